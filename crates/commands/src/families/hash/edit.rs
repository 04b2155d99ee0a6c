//! Commands that change a hash.

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::number::LongDouble;
use redoubt_resp::Reply;
use redoubt_store::packed::PackedValue;
use redoubt_store::{Class, EncodingLimits, Hash, Key, Value};
use std::borrow::Cow;

type Outcome = Result<(), CommandError>;

/// HSET key field value [field value ...]
pub(crate) fn hset(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let added = set_pairs(ctx, args, "hset")?;
    reply.int(added as i64);
    Ok(())
}

/// HMSET key field value [field value ...]
pub(crate) fn hmset(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    set_pairs(ctx, args, "hmset")?;
    reply.ok();
    Ok(())
}

/// Sets the pairs after the key. Returns how many fields are new.
#[inline]
fn set_pairs(ctx: &mut Context<'_>, args: &Args<'_>, name: &'static str) -> Result<usize, CommandError> {
    let pairs = args.rest(2);
    if pairs.len() % 2 == 1 {
        return Err(CommandError::WrongArity(Cow::Borrowed(name)));
    }
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let added = change(ctx, &key, |hash| insert_pairs(hash, pairs, limits))?;
    ctx.txn.changed_times(&key, Class::Hash, "hset", pairs.len() / 2);
    Ok(added)
}

pub(super) fn insert_pairs(hash: &mut Hash, pairs: &[&[u8]], limits: &EncodingLimits) -> usize {
    hash.reserve(pairs.len() / 2, limits);
    pairs.chunks_exact(2).filter(|pair| hash.insert(pair[0], pair[1], limits)).count()
}

/// Runs `edit`, which leaves the hash with a field at least, on the hash at `key` or a new one.
#[inline]
pub(super) fn change<R>(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    edit: impl FnOnce(&mut Hash) -> R,
) -> Result<R, CommandError> {
    if let Some(hash) = ctx.hash_mut(key)? {
        return Ok(edit(hash));
    }
    let mut hash = Hash::new();
    let result = edit(&mut hash);
    ctx.txn.insert(key, Value::Hash(hash), None);
    Ok(result)
}

/// HSETNX key field value
pub(crate) fn hsetnx(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let (field, value) = (args.get(2), args.get(3));
    if text_of(ctx, &key, field, |_| ())?.is_some() {
        reply.int(0);
        return Ok(());
    }
    change(ctx, &key, |hash| hash.insert(field, value, limits))?;
    reply.int(1);
    ctx.txn.changed(&key, Class::Hash, "hset");
    Ok(())
}

/// HDEL key field [field ...]
pub(crate) fn hdel(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let (gone, empty) = match ctx.hash_mut(&key)? {
        Some(hash) => (args.rest(2).iter().filter(|field| hash.remove(field)).count(), hash.is_empty()),
        None => (0, false),
    };
    reply.int(gone as i64);
    if gone > 0 {
        ctx.txn.changed_times(&key, Class::Hash, "hdel", gone);
        if empty {
            ctx.txn.remove(&key);
            ctx.txn.event(&key, Class::Generic, "del");
        }
    }
    Ok(())
}

/// HINCRBY key field increment
pub(crate) fn hincrby(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let increment = args.int(3)?;
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let field = args.get(2);
    let current = match text_of(ctx, &key, field, |value| value.as_int())? {
        Some(value) => value.ok_or(CommandError::text("ERR hash value is not an integer"))?,
        None => 0,
    };
    let sum = current.checked_add(increment).ok_or(CommandError::Overflow)?;
    let mut digits = itoa::Buffer::new();
    let text = digits.format(sum).as_bytes();
    change(ctx, &key, |hash| hash.insert_keeping(field, text, limits))?;
    reply.int(sum);
    ctx.txn.changed(&key, Class::Hash, "hincrby");
    Ok(())
}

/// HINCRBYFLOAT key field increment; logged as the setting of the sum.
pub(crate) fn hincrbyfloat(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let increment = LongDouble::parse(args.get(3)).ok_or(CommandError::NotAFloat)?;
    if matches!(increment, LongDouble::Infinite(_)) {
        return Err(CommandError::text("ERR value is NaN or Infinity"));
    }
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let field = args.get(2);
    let parse = |value: PackedValue<'_>| LongDouble::parse(value.as_bytes(&mut itoa::Buffer::new()));
    let current = match text_of(ctx, &key, field, parse)? {
        Some(value) => value.ok_or(CommandError::text("ERR hash value is not a float"))?,
        None => LongDouble::ZERO,
    };
    let sum = current.checked_add(increment).ok_or(CommandError::InfiniteIncrement)?.to_text();
    let sum = sum.as_bytes();
    let expires = change(ctx, &key, |hash| {
        hash.insert_keeping(field, sum, limits);
        hash.expiry_of(field).flatten().is_some()
    })?;
    reply.bulk(sum);
    ctx.txn.changed(&key, Class::Hash, "hincrbyfloat");
    if expires {
        // HSET would take the expiry off.
        ctx.txn.effect(&[b"HSETEX", key.bytes, b"KEEPTTL", b"FIELDS", b"1", field, sum]);
    } else {
        ctx.txn.effect(&[b"HSET", key.bytes, field, sum]);
    }
    Ok(())
}

/// What `read` makes of the value of a field; a field that is due is taken out first.
#[inline]
fn text_of<R>(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    field: &[u8],
    read: impl FnOnce(PackedValue<'_>) -> R,
) -> Result<Option<R>, CommandError> {
    let now_ms = ctx.judged_ms();
    let Some(hash) = ctx.hash_mut(key)? else { return Ok(None) };
    if let Some(value) = hash.get(field, now_ms) {
        return Ok(Some(read(value)));
    }
    if hash.has_due(now_ms) {
        ctx.txn.expire_fields(key, &[field]);
    }
    Ok(None)
}
