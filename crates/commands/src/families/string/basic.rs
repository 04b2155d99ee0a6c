//! GET and its kin, MGET, MSET.

use super::options::{Dialect, Lifetime, Options};
use super::{reply_opt, reply_str};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Class, Expiry, ValueRef};
use std::borrow::Cow;

/// GET key. <https://redis.io/docs/latest/commands/get/>
#[inline]
pub fn get(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    reply_opt(reply, ctx.string(&key)?);
    Ok(())
}

/// GETDEL key. <https://redis.io/docs/latest/commands/getdel/>
pub fn getdel(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    let Some(string) = ctx.string(&key)? else {
        reply.null();
        return Ok(());
    };
    reply_str(reply, string);
    ctx.txn.remove(&key);
    ctx.txn.changed(&key, Class::Generic, "del");
    ctx.txn.effect(&[b"DEL", key.bytes]);
    Ok(())
}

/// GETEX key [EX|PX|EXAT|PXAT n | PERSIST]. <https://redis.io/docs/latest/commands/getex/>
pub fn getex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args, 2, Dialect::Getex)?;
    let key = ctx.key(args.get(1));
    let Some(string) = ctx.string(&key)? else {
        reply.null();
        return Ok(());
    };
    reply_str(reply, string);
    let deadline = match options.lifetime {
        Lifetime::Expire(unit, text) => Some((unit, unit.deadline(ctx, text, "getex")?)),
        Lifetime::Default | Lifetime::Keep | Lifetime::Persist => None,
    };
    match deadline {
        Some((unit, at)) if unit.is_absolute() && at <= ctx.judged_ms() => {
            ctx.txn.remove(&key);
            ctx.txn.changed(&key, Class::Generic, "del");
            ctx.txn.effect(&[b"DEL", key.bytes]);
        }
        Some((_, at)) => {
            ctx.txn.set_expire(&key, Some(at));
            ctx.txn.changed(&key, Class::Generic, "expire");
            ctx.txn.effect(&[b"PEXPIREAT", key.bytes, itoa::Buffer::new().format(at).as_bytes()]);
        }
        None if options.lifetime == Lifetime::Persist && ctx.txn.expire_at(&key).flatten().is_some() => {
            ctx.txn.set_expire(&key, None);
            ctx.txn.changed(&key, Class::Generic, "persist");
            ctx.txn.effect(&[b"PERSIST", key.bytes]);
        }
        None => {}
    }
    Ok(())
}

/// GETSET key value. <https://redis.io/docs/latest/commands/getset/>
pub fn getset(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    reply_opt(reply, ctx.string(&key)?);
    ctx.txn.set_string(&key, args.get(2), Expiry::Clear);
    ctx.txn.changed(&key, Class::String, "set");
    ctx.txn.effect(&[b"SET", key.bytes, args.get(2)]);
    Ok(())
}

/// MGET key [key ...]: null for what is missing or no string. <https://redis.io/docs/latest/commands/mget/>
pub fn mget(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let keys = args.rest(1);
    reply.array(keys.len());
    for bytes in keys {
        let key = ctx.key(bytes);
        match ctx.txn.get(&key) {
            Some(ValueRef::Str(string)) => reply_str(reply, string),
            _ => reply.null(),
        }
    }
    Ok(())
}

/// MSET key value [key value ...]. <https://redis.io/docs/latest/commands/mset/>
pub fn mset(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_pairs(ctx, pairs(args, "mset")?);
    reply.ok();
    Ok(())
}

/// MSETNX key value [key value ...]: all or nothing. <https://redis.io/docs/latest/commands/msetnx/>
pub fn msetnx(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let pairs = pairs(args, "msetnx")?;
    let any = pairs.iter().any(|[bytes, _]| {
        let key = ctx.key(bytes);
        ctx.txn.contains(&key)
    });
    if !any {
        set_pairs(ctx, pairs);
    }
    reply.int(i64::from(!any));
    Ok(())
}

/// The words behind the name in twos, or the arity error.
fn pairs<'a>(args: &Args<'a>, name: &'static str) -> Result<&'a [[&'a [u8]; 2]], CommandError> {
    let (pairs, rest) = args.rest(1).as_chunks::<2>();
    if rest.is_empty() { Ok(pairs) } else { Err(CommandError::WrongArity(Cow::Borrowed(name))) }
}

fn set_pairs(ctx: &mut Context<'_>, pairs: &[[&[u8]; 2]]) {
    for [bytes, value] in pairs {
        let key = ctx.key(bytes);
        ctx.txn.set_string(&key, value, Expiry::Clear);
        ctx.txn.changed(&key, Class::String, "set");
    }
}
