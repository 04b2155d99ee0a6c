//! Commands on sets. <https://redis.io/docs/latest/commands/?group=set>

use super::members::{self, Repeats, ScanOptions, bulk, positive_count, random_count, sample};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Class, EncodingLimits, Key, Lazy, Set, Value};

type Done = Result<(), CommandError>;

/// SADD key member [member ...]
pub fn sadd(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let members = args.rest(2);
    let set = ctx.set_or_create(&key)?;
    set.prepare(members[0], members.len(), limits);
    let added = members.iter().filter(|member| set.insert(member, limits)).count();
    if added > 0 {
        ctx.txn.changed_times(&key, Class::Set, "sadd", added);
    }
    reply.int(added as i64);
    Ok(())
}

/// SREM key member [member ...]
pub fn srem(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let Some(set) = ctx.set_mut(&key)? else {
        reply.int(0);
        return Ok(());
    };
    let removed = args.rest(2).iter().filter(|member| set.remove(member)).count();
    if removed > 0 {
        ctx.txn.changed_times(&key, Class::Set, "srem", removed);
        drop_empty(ctx, &key);
    }
    reply.int(removed as i64);
    Ok(())
}

/// Removes a key whose last member went.
fn drop_empty(ctx: &mut Context<'_>, key: &Key<'_>) {
    if ctx.txn.remove_if_empty(key) {
        ctx.txn.changed_too(key, Class::Generic, "del");
    }
}

/// SMOVE source destination member
pub fn smove(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let (source, destination) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    let member = args.get(3);
    let Some(there) = ctx.set_mut(&source)?.map(|set| set.contains(member)) else {
        reply.int(0);
        return Ok(());
    };
    ctx.set_mut(&destination)?;
    reply.int(i64::from(there));
    if !there || source.bytes == destination.bytes {
        return Ok(());
    }
    if let Some(set) = ctx.set_mut(&source)? {
        set.remove(member);
    }
    ctx.txn.changed(&source, Class::Set, "srem");
    drop_empty(ctx, &source);
    let limits = &ctx.settings.encoding;
    let set = ctx.set_or_create(&destination)?;
    set.prepare(member, 1, limits);
    if set.insert(member, limits) {
        ctx.txn.changed(&destination, Class::Set, "sadd");
    }
    Ok(())
}

/// SISMEMBER key member
pub fn sismember(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let found = ctx.set(&key)?.is_some_and(|set| set.contains(args.get(2)));
    reply.int(i64::from(found));
    Ok(())
}

/// SMISMEMBER key member [member ...]
pub fn smismember(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let set = ctx.set(&key)?;
    let members = args.rest(2);
    reply.array(members.len());
    for member in members {
        reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

/// SCARD key
pub fn scard(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let len = ctx.set(&key)?.map_or(0, Set::len);
    reply.int(len as i64);
    Ok(())
}

/// SMEMBERS key
pub fn smembers(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    match ctx.set(&key)? {
        Some(set) => reply_all(reply, set),
        None => reply.set(0),
    }
    Ok(())
}

fn reply_all(reply: &mut Reply<'_>, set: &Set) {
    reply.set(set.len());
    for member in set.iter() {
        bulk(reply, member);
    }
}

/// SPOP key [count]
pub fn spop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let count = match args.len() {
        2 => None,
        3 => Some(positive_count(args.get(2))?),
        _ => return Err(CommandError::Syntax),
    };
    let key = ctx.key(args.get(1));
    let Some(len) = ctx.set_mut(&key)?.map(|set| set.len()) else {
        match count {
            None => reply.null(),
            Some(_) => reply.set(0),
        }
        return Ok(());
    };
    match count {
        Some(0) => reply.set(0),
        Some(count) if count >= len => pop_all(ctx, &key, len, reply),
        Some(count) => pop_some(ctx, &key, count, len, reply)?,
        None => pop_one(ctx, &key, len, reply)?,
    }
    Ok(())
}

fn pop_one(ctx: &mut Context<'_>, key: &Key<'_>, len: usize, reply: &mut Reply<'_>) -> Done {
    let at = ctx.rng.usize(..len);
    // Pops come in rows: what the next three will draw can be on its way meanwhile.
    let mut ahead = ctx.rng.clone();
    let next = [1, 2, 3].map(|gone| ahead.usize(..len.saturating_sub(gone).max(1)));
    let Some(set) = ctx.set_mut(key)? else { return Ok(()) };
    set.look_ahead_at(next);
    let Some(member) = set.take(at) else { return Ok(()) };
    ctx.txn.changed_times(key, Class::Set, "spop", 1);
    drop_empty(ctx, key);
    ctx.txn.effect(&[b"SREM", key.bytes, &member]);
    reply.bulk(&member);
    Ok(())
}

fn pop_all(ctx: &mut Context<'_>, key: &Key<'_>, len: usize, reply: &mut Reply<'_>) {
    if let Ok(Some(set)) = ctx.set_view(key) {
        reply_all(reply, set);
    }
    ctx.txn.changed_times(key, Class::Set, "spop", len);
    ctx.txn.remove(key);
    ctx.txn.changed_too(key, Class::Generic, "del");
    ctx.txn.effect(&[Lazy::removal(ctx.txn.lazy.overwrite), key.bytes]);
}

fn pop_some(ctx: &mut Context<'_>, key: &Key<'_>, count: usize, len: usize, reply: &mut Reply<'_>) -> Done {
    let positions = sample(ctx.rng, len, count);
    let Some(set) = ctx.set_mut(key)? else { return Ok(()) };
    let popped: Vec<Vec<u8>> =
        positions.iter().filter_map(|&at| set.nth(at)).map(|member| member.to_vec()).collect();
    for member in &popped {
        set.remove(member);
    }
    ctx.txn.changed_times(key, Class::Set, "spop", popped.len());
    drop_empty(ctx, key);
    let mut words: Vec<&[u8]> = vec![b"SREM", key.bytes];
    words.extend(popped.iter().map(|member| &member[..]));
    ctx.txn.effect(&words);
    reply.set(popped.len());
    for member in &popped {
        reply.bulk(member);
    }
    Ok(())
}

/// SRANDMEMBER key [count]
pub fn srandmember(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let count = match args.len() {
        2 => None,
        3 => Some(random_count(args, 2)?),
        _ => return Err(CommandError::Syntax),
    };
    let key = ctx.key(args.get(1));
    let Some(len) = ctx.set(&key)?.map(Set::len) else {
        match count {
            None => reply.null(),
            Some(_) => reply.array(0),
        }
        return Ok(());
    };
    let Some(count) = count else {
        let at = ctx.rng.usize(..len);
        if let Some(member) = ctx.set_view(&key)?.and_then(|set| set.nth(at)) {
            bulk(reply, member);
        }
        return Ok(());
    };
    if count < 0 {
        return repeat_random(ctx, &key, len, count.unsigned_abs(), reply);
    }
    let positions = sample(ctx.rng, len, usize::try_from(count).unwrap_or(usize::MAX));
    let Some(set) = ctx.set_view(&key)? else { return Ok(()) };
    reply.array(positions.len());
    if positions.len() == len {
        set.iter().for_each(|member| bulk(reply, member));
        return Ok(());
    }
    for member in positions.into_iter().filter_map(|at| set.nth(at)) {
        bulk(reply, member);
    }
    Ok(())
}

/// Members drawn independently of each other.
fn repeat_random(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    len: usize,
    count: u64,
    reply: &mut Reply<'_>,
) -> Done {
    // The draws borrow the generator while the set is borrowed from the transaction.
    let mut rng = ctx.rng.fork();
    let repeats = Repeats::new(ctx.settings, count, reply)?;
    let Some(set) = ctx.set_view(key)? else { return Ok(()) };
    reply.array(count as usize);
    for _ in 0..count {
        if !repeats.go_on(reply)? {
            break;
        }
        if let Some(member) = set.nth(rng.usize(..len)) {
            bulk(reply, member);
        }
    }
    Ok(())
}

/// SSCAN key cursor [MATCH pattern] [COUNT count]
pub fn sscan(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let cursor = members::parse_cursor(args.get(2))?;
    let key = ctx.key(args.get(1));
    let Some(set) = ctx.set(&key)? else {
        members::empty_scan(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args.cursor(3))?;
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut buffer = itoa::Buffer::new();
    let next = set.scan(cursor, options.count, |member| {
        let bytes = member.as_bytes(&mut buffer);
        if options.wants(bytes) {
            found.push(bytes.to_vec());
        }
    });
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(found.len());
    found.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

/// An operation on several sets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Combine {
    Inter,
    Union,
    Diff,
}

/// Looks up and type-checks every set. Those that do not exist are `None`; keys stay in their order.
fn load<'k>(ctx: &mut Context<'_>, words: &[&'k [u8]]) -> Result<Vec<Key<'k>>, CommandError> {
    let keys: Vec<Key<'k>> = words.iter().map(|word| ctx.key(word)).collect();
    for key in &keys {
        ctx.set(key)?;
    }
    Ok(keys)
}

/// Calls `each` for the members of the intersection until it answers false.
fn intersect(sets: &[Option<&Set>], mut each: impl FnMut(&[u8]) -> bool) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<&Set>>>() else { return };
    // The fewest members are looked up in the others, small sets first.
    sets.sort_by_key(|set| set.len());
    let mut buffer = itoa::Buffer::new();
    for member in sets[0].iter() {
        let member = member.as_bytes(&mut buffer);
        if sets[1..].iter().all(|set| set.contains(member)) && !each(member) {
            return;
        }
    }
}

/// A set to collect into that goes straight to the encoding `like` suggests.
fn collector(like: Option<&Set>, limits: &EncodingLimits) -> Set {
    let mut result = Set::new();
    if like.is_some_and(|set| set.encoding() != "intset") {
        result.prepare(b"", 0, limits);
    }
    result
}

fn combine(how: Combine, sets: &[Option<&Set>], limits: &EncodingLimits) -> Set {
    match how {
        Combine::Inter => {
            let smallest = sets.iter().copied().flatten().min_by_key(|set| set.len());
            let mut result = collector(smallest, limits);
            intersect(sets, |member| {
                result.insert(member, limits);
                true
            });
            result.compact_ints(limits);
            result
        }
        Combine::Union => {
            let mut result = Set::new();
            let mut buffer = itoa::Buffer::new();
            for member in sets.iter().copied().flatten().flat_map(Set::iter) {
                result.insert(member.as_bytes(&mut buffer), limits);
            }
            result
        }
        Combine::Diff => {
            let mut result = Set::new();
            let Some((Some(first), others)) = sets.split_first() else { return result };
            let mut buffer = itoa::Buffer::new();
            for member in first.iter() {
                let member = member.as_bytes(&mut buffer);
                if !others.iter().copied().flatten().any(|other| other.contains(member)) {
                    result.insert(member, limits);
                }
            }
            result
        }
    }
}

fn combine_and_reply(how: Combine, ctx: &mut Context<'_>, words: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    let keys = load(ctx, words)?;
    let sets = keys.iter().map(|key| ctx.set_view(key)).collect::<Result<Vec<_>, _>>()?;
    let result = combine(how, &sets, &ctx.settings.encoding);
    reply_all(reply, &result);
    Ok(())
}

fn combine_and_store(
    how: Combine,
    event: &'static str,
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let destination = ctx.key(args.get(1));
    let keys = load(ctx, args.rest(2))?;
    let sets = keys.iter().map(|key| ctx.set_view(key)).collect::<Result<Vec<_>, _>>()?;
    let result = combine(how, &sets, &ctx.settings.encoding);
    reply.int(result.len() as i64);
    if !result.is_empty() {
        ctx.txn.insert(&destination, Value::Set(result), None);
        ctx.txn.changed(&destination, Class::Set, event);
    } else if ctx.txn.remove(&destination) {
        ctx.txn.changed(&destination, Class::Generic, "del");
    }
    Ok(())
}

/// SINTER key [key ...]
pub fn sinter(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let keys = load(ctx, args.rest(1))?;
    let sets = keys.iter().map(|key| ctx.set_view(key)).collect::<Result<Vec<_>, _>>()?;
    let open = reply.open();
    let mut found = 0;
    intersect(&sets, |member| {
        reply.bulk(member);
        found += 1;
        true
    });
    reply.close_set(open, found);
    Ok(())
}

/// SINTERSTORE destination key [key ...]
pub fn sinterstore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    combine_and_store(Combine::Inter, "sinterstore", ctx, args, reply)
}

/// SUNION key [key ...]
pub fn sunion(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    combine_and_reply(Combine::Union, ctx, args.rest(1), reply)
}

/// SUNIONSTORE destination key [key ...]
pub fn sunionstore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    combine_and_store(Combine::Union, "sunionstore", ctx, args, reply)
}

/// SDIFF key [key ...]
pub fn sdiff(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    combine_and_reply(Combine::Diff, ctx, args.rest(1), reply)
}

/// SDIFFSTORE destination key [key ...]
pub fn sdiffstore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    combine_and_store(Combine::Diff, "sdiffstore", ctx, args, reply)
}

/// SINTERCARD numkeys key [key ...] [LIMIT limit]
pub fn sintercard(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let mut cursor = args.cursor(1);
    let count = cursor
        .int()
        .ok()
        .and_then(|count| usize::try_from(count).ok())
        .filter(|&count| count > 0)
        .ok_or(CommandError::text("ERR numkeys should be greater than 0"))?;
    if count > cursor.remaining() {
        return Err(CommandError::text("ERR Number of keys can't be greater than number of args"));
    }
    let words = cursor.take(count)?;
    let mut limit = 0;
    while !cursor.is_done() {
        if cursor.remaining() < 2 || !cursor.token("limit") {
            return Err(CommandError::Syntax);
        }
        limit = cursor
            .int()
            .ok()
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or(CommandError::text("ERR LIMIT can't be negative"))?;
    }
    let keys = load(ctx, words)?;
    let sets = keys.iter().map(|key| ctx.set_view(key)).collect::<Result<Vec<_>, _>>()?;
    let mut found = 0usize;
    intersect(&sets, |_| {
        found += 1;
        found != limit
    });
    reply.int(found as i64);
    Ok(())
}
