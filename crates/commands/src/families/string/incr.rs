//! INCR, DECR and their kin.

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::number::{self, LongDouble};
use redoubt_resp::Reply;
use redoubt_store::{Class, Str, StrMut, Value};

/// INCR key. <https://redis.io/docs/latest/commands/incr/>
#[inline]
pub fn incr(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    add(ctx, args.get(1), 1, reply)
}

/// DECR key. <https://redis.io/docs/latest/commands/decr/>
pub fn decr(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    add(ctx, args.get(1), -1, reply)
}

/// INCRBY key increment. <https://redis.io/docs/latest/commands/incrby/>
pub fn incrby(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    add(ctx, args.get(1), args.int(2)?, reply)
}

/// DECRBY key decrement. <https://redis.io/docs/latest/commands/decrby/>
pub fn decrby(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let increment = args.int(2)?.checked_neg().ok_or(CommandError::DecrementOverflow)?;
    add(ctx, args.get(1), increment, reply)
}

#[inline]
fn add(ctx: &mut Context<'_>, key: &[u8], increment: i64, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(key);
    let sum = match ctx.string_mut(&key)? {
        Some(mut string) => {
            let value = match string.get() {
                Str::Int(value) => value,
                Str::Bytes(text) => number::parse_i64(text).ok_or(CommandError::NotAnInteger)?,
            };
            let sum = value.checked_add(increment).ok_or(CommandError::Overflow)?;
            string.set_int(sum);
            sum
        }
        None => {
            ctx.txn.insert(&key, Value::Int(increment), None);
            increment
        }
    };
    ctx.txn.changed(&key, Class::String, "incrby");
    reply.int(sum);
    Ok(())
}

/// INCRBYFLOAT key increment. <https://redis.io/docs/latest/commands/incrbyfloat/>
pub fn incrbyfloat(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    let value = match ctx.string_mut(&key)?.as_ref().map(StrMut::get) {
        Some(Str::Int(value)) => LongDouble::from(value),
        Some(Str::Bytes(text)) => LongDouble::parse(text).ok_or(CommandError::NotAFloat)?,
        None => LongDouble::ZERO,
    };
    let increment = LongDouble::parse(args.get(2)).ok_or(CommandError::NotAFloat)?;
    let sum = value.checked_add(increment).ok_or(CommandError::InfiniteIncrement)?.to_text();
    let expire_ms = ctx.txn.expire_at(&key).flatten();
    reply.bulk(sum.as_bytes());
    // Another machine may round otherwise: the log has the result.
    ctx.txn.effect(&[b"SET", key.bytes, sum.as_bytes(), b"KEEPTTL"]);
    // Not stored as an integer even where it is one, as OBJECT ENCODING can tell.
    ctx.txn.insert(&key, Value::Bytes(sum.into_bytes()), expire_ms);
    ctx.txn.changed(&key, Class::String, "incrbyfloat");
    Ok(())
}
