//! Scores, ranks, counts, random members and ZSCAN.

use super::{Done, bounds, open_members, write_member};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::families::members::{self, Repeats, ScanOptions, bulk, random_count, sample};
use redoubt_resp::{DoubleBuffer, Reply};
use redoubt_store::{Key, SortedSet};

/// ZCARD key
pub fn zcard(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let len = ctx.sorted_set(&key)?.map_or(0, SortedSet::len);
    reply.int(len as i64);
    Ok(())
}

/// ZSCORE key member
pub fn zscore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let score = ctx.sorted_set(&key)?.and_then(|set| set.score(args.get(2)));
    write_score(reply, score);
    Ok(())
}

fn write_score(reply: &mut Reply<'_>, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

/// ZMSCORE key member [member ...]
pub fn zmscore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let set = ctx.sorted_set(&key)?;
    reply.array(args.rest(2).len());
    for member in args.rest(2) {
        write_score(reply, set.and_then(|set| set.score(member)));
    }
    Ok(())
}

/// ZRANK key member [WITHSCORE]
pub fn zrank(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    rank(ctx, args, "zrank", false, reply)
}

/// ZREVRANK key member [WITHSCORE]
pub fn zrevrank(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    rank(ctx, args, "zrevrank", true, reply)
}

fn rank(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    name: &'static str,
    reverse: bool,
    reply: &mut Reply<'_>,
) -> Done {
    if args.len() > 4 {
        return Err(CommandError::WrongArity(name.into()));
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "withscore") {
        return Err(CommandError::Syntax);
    }
    let key = ctx.key(args.get(1));
    let set = ctx.sorted_set(&key)?;
    let found = set.and_then(|set| {
        let (rank, score) = set.rank(args.get(2))?;
        Some((if reverse { set.len() - 1 - rank } else { rank }, score))
    });
    match found {
        None if with_score => reply.null_array(),
        None => reply.null(),
        Some((rank, score)) => {
            if with_score {
                reply.array(2);
            }
            reply.int(rank as i64);
            if with_score {
                reply.double(score);
            }
        }
    }
    Ok(())
}

/// ZCOUNT key min max
pub fn zcount(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let range = bounds::score_range(args.get(2), args.get(3))?;
    let key = ctx.key(args.get(1));
    let count = ctx.sorted_set(&key)?.map_or(0, |set| set.score_ranks(&range).len());
    reply.int(count as i64);
    Ok(())
}

/// ZLEXCOUNT key min max
pub fn zlexcount(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let range = bounds::lex_range(args.get(2), args.get(3))?;
    let key = ctx.key(args.get(1));
    let count = ctx.sorted_set(&key)?.map_or(0, |set| set.lex_ranks(&range).len());
    reply.int(count as i64);
    Ok(())
}

/// ZRANDMEMBER key [count [WITHSCORES]]
pub fn zrandmember(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    if args.len() == 2 {
        return one_random(ctx, args, reply);
    }
    let count = random_count(args, 2)?;
    let scores = args.len() > 3;
    if args.len() > 4 || (scores && !args.is(3, "withscores")) {
        return Err(CommandError::Syntax);
    }
    if scores && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
        return Err(CommandError::text("ERR value is out of range"));
    }
    let key = ctx.key(args.get(1));
    let Some(len) = ctx.sorted_set(&key)?.map(SortedSet::len) else {
        reply.array(0);
        return Ok(());
    };
    if count < 0 {
        return repeat_random(ctx, &key, len, (count.unsigned_abs(), scores), reply);
    }
    let positions = sample(ctx.rng, len, usize::try_from(count).unwrap_or(usize::MAX));
    let Some(set) = ctx.sorted_set_view(&key)? else { return Ok(()) };
    open_members(reply, positions.len(), scores);
    if positions.len() == len {
        set.iter().for_each(|(member, score)| write_member(reply, member, score, scores));
        return Ok(());
    }
    for (member, score) in positions.into_iter().filter_map(|at| set.nth(at)) {
        write_member(reply, member, score, scores);
    }
    Ok(())
}

fn one_random(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let Some(len) = ctx.sorted_set(&key)?.map(SortedSet::len) else {
        reply.null();
        return Ok(());
    };
    let at = ctx.rng.usize(..len);
    if let Some((member, _)) = ctx.sorted_set_view(&key)?.and_then(|set| set.nth(at)) {
        bulk(reply, member);
    }
    Ok(())
}

/// Members drawn independently of each other.
fn repeat_random(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    len: usize,
    (count, scores): (u64, bool),
    reply: &mut Reply<'_>,
) -> Done {
    // The draws borrow the generator while the set is borrowed from the transaction.
    let mut rng = ctx.rng.fork();
    let repeats = Repeats::new(ctx.settings, count, reply)?;
    let Some(set) = ctx.sorted_set_view(key)? else { return Ok(()) };
    open_members(reply, count as usize, scores);
    for _ in 0..count {
        if !repeats.go_on(reply)? {
            break;
        }
        if let Some((member, score)) = set.nth(rng.usize(..len)) {
            write_member(reply, member, score, scores);
        }
    }
    Ok(())
}

/// ZSCAN key cursor [MATCH pattern] [COUNT count]
pub fn zscan(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let cursor = members::parse_cursor(args.get(2))?;
    let key = ctx.key(args.get(1));
    let Some(set) = ctx.sorted_set(&key)? else {
        members::empty_scan(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args.cursor(3))?;
    let mut found: Vec<(Vec<u8>, f64)> = Vec::new();
    let mut buffer = itoa::Buffer::new();
    let next = set.scan(cursor, options.count, |member, score| {
        let bytes = member.as_bytes(&mut buffer);
        if options.wants(bytes) {
            found.push((bytes.to_vec(), score));
        }
    });
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(found.len() * 2);
    let mut text = DoubleBuffer::new();
    for (member, score) in &found {
        reply.bulk(member);
        // A byte string in both protocol versions.
        reply.bulk(text.format(*score).as_bytes());
    }
    Ok(())
}
