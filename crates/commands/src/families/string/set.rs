//! SET, SETNX, SETEX, PSETEX.

use super::options::{Dialect, Lifetime, Options, Unit};
use super::reply_opt;
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Class, Expiry, Key};

/// SET key value [NX|XX] [GET] [EX|PX|EXAT|PXAT n | KEEPTTL]. <https://redis.io/docs/latest/commands/set/>
#[inline]
pub fn set(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.len() > 3 {
        return set_with_options(ctx, args, reply);
    }
    let key = ctx.key(args.get(1));
    ctx.txn.set_string(&key, args.get(2), Expiry::Clear);
    ctx.txn.changed(&key, Class::String, "set");
    ctx.txn.effect(args.words());
    reply.ok();
    Ok(())
}

fn set_with_options(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let options = Options::parse(args, 3, Dialect::Set)?;
    let expiry = match options.lifetime {
        Lifetime::Expire(unit, text) => Expiry::At(unit.deadline(ctx, text, "set")?),
        Lifetime::Keep => Expiry::Keep,
        Lifetime::Default | Lifetime::Persist => Expiry::Clear,
    };
    let key = ctx.key(args.get(1));
    if options.get {
        reply_opt(reply, ctx.string(&key)?);
    }
    if options.if_missing || options.if_present {
        let found = ctx.txn.contains(&key);
        if found == options.if_missing {
            if !options.get {
                reply.null();
            }
            return Ok(());
        }
    }
    store(ctx, &key, args.get(2), expiry);
    match expiry {
        Expiry::At(at) => effect_with_deadline(ctx, &key, args.get(2), at),
        Expiry::Keep | Expiry::Clear if options.get => effect_without_get(ctx, args),
        Expiry::Keep | Expiry::Clear => ctx.txn.effect(args.words()),
    }
    if !options.get {
        reply.ok();
    }
    Ok(())
}

fn store(ctx: &mut Context<'_>, key: &Key<'_>, value: &[u8], expiry: Expiry) {
    ctx.txn.set_string(key, value, expiry);
    ctx.txn.changed(key, Class::String, "set");
    if matches!(expiry, Expiry::At(_)) {
        ctx.txn.event(key, Class::Generic, "expire");
    }
}

/// A relative expiry means another moment on a replica, so the log has the moment itself.
fn effect_with_deadline(ctx: &mut Context<'_>, key: &Key<'_>, value: &[u8], at: i64) {
    let mut buffer = itoa::Buffer::new();
    ctx.txn.effect(&[b"SET", key.bytes, value, b"PXAT", buffer.format(at).as_bytes()]);
}

/// What was answered is no part of the state.
fn effect_without_get(ctx: &mut Context<'_>, args: &Args<'_>) {
    if ctx.txn.effects.is_enabled() {
        let (fixed, options) = args.words().split_at(3);
        let kept = options.iter().filter(|word| !word.eq_ignore_ascii_case(b"GET"));
        let words: Vec<&[u8]> = fixed.iter().chain(kept).copied().collect();
        ctx.txn.effect(&words);
    }
}

/// SETNX key value. <https://redis.io/docs/latest/commands/setnx/>
pub fn setnx(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    let missing = !ctx.txn.contains(&key);
    if missing {
        store(ctx, &key, args.get(2), Expiry::Clear);
    }
    reply.int(i64::from(missing));
    Ok(())
}

/// SETEX key seconds value. <https://redis.io/docs/latest/commands/setex/>
pub fn setex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_for(ctx, args, reply, Unit::Seconds, "setex")
}

/// PSETEX key milliseconds value. <https://redis.io/docs/latest/commands/psetex/>
pub fn psetex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_for(ctx, args, reply, Unit::Milliseconds, "psetex")
}

fn set_for(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    unit: Unit,
    command: &'static str,
) -> Result<(), CommandError> {
    let at = unit.deadline(ctx, args.get(2), command)?;
    let key = ctx.key(args.get(1));
    store(ctx, &key, args.get(3), Expiry::At(at));
    effect_with_deadline(ctx, &key, args.get(3), at);
    reply.ok();
    Ok(())
}
