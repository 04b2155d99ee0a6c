//! Commands that change one list.

use super::{End, part, pop_many, removed, write};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::packed::Needle;
use redoubt_store::{Class, List, Value};
use std::borrow::Cow;

type Outcome = Result<(), CommandError>;

/// LPUSH key element [element ...]
pub(crate) fn lpush(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    push(ctx, args, reply, End::Left, true)
}

/// RPUSH key element [element ...]
pub(crate) fn rpush(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    push(ctx, args, reply, End::Right, true)
}

/// LPUSHX key element [element ...]
pub(crate) fn lpushx(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    push(ctx, args, reply, End::Left, false)
}

/// RPUSHX key element [element ...]
pub(crate) fn rpushx(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    push(ctx, args, reply, End::Right, false)
}

#[inline]
fn push(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>, end: End, create: bool) -> Outcome {
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let elements = args.rest(2);
    let len = match ctx.list_mut(&key)? {
        Some(list) => {
            end.extend(list, elements, limits);
            list.len()
        }
        None if create => {
            let mut list = List::new();
            end.extend(&mut list, elements, limits);
            let len = list.len();
            ctx.txn.insert(&key, Value::List(list), None);
            len
        }
        None => {
            reply.int(0);
            return Ok(());
        }
    };
    reply.int(len as i64);
    ctx.txn.changed_times(&key, Class::List, end.push_event(), elements.len());
    ctx.txn.signal(&key);
    Ok(())
}

/// LPOP key [count]
pub(crate) fn lpop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    pop(ctx, args, reply, End::Left, "lpop")
}

/// RPOP key [count]
pub(crate) fn rpop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    pop(ctx, args, reply, End::Right, "rpop")
}

#[inline]
fn pop(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    end: End,
    name: &'static str,
) -> Outcome {
    let count = match args.len() {
        2 => None,
        3 => {
            let count = args.int(2).ok().and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or(CommandError::NotPositive)?)
        }
        _ => return Err(CommandError::WrongArity(Cow::Borrowed(name))),
    };
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let Some(list) = ctx.list_mut(&key)? else {
        match count {
            Some(_) => reply.null_array(),
            None => reply.null(),
        }
        return Ok(());
    };
    let popped = match count {
        Some(count) => pop_many(list, end, count, limits, reply),
        None => {
            if let Some(value) = end.peek(list) {
                write(reply, value);
            }
            end.remove(list, 1, limits);
            1
        }
    };
    let empty = list.is_empty();
    match popped {
        0 => {}
        _ if empty => removed(ctx, &key, end.pop_event(), popped),
        _ => ctx.txn.changed_times(&key, Class::List, end.pop_event(), popped),
    }
    Ok(())
}

/// LSET key index element
pub(crate) fn lset(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let list = ctx.list_mut(&key)?.ok_or(CommandError::NoSuchKey)?;
    let index = args.int(2)?;
    if !list.set(index, args.get(3), limits) {
        return Err(CommandError::IndexOutOfRange);
    }
    reply.ok();
    ctx.txn.changed(&key, Class::List, "lset");
    Ok(())
}

/// LINSERT key BEFORE | AFTER pivot element
pub(crate) fn linsert(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let after = match (args.is(2, "before"), args.is(2, "after")) {
        (true, _) => 0,
        (_, true) => 1,
        _ => return Err(CommandError::Syntax),
    };
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let Some(list) = ctx.list_mut(&key)? else {
        reply.int(0);
        return Ok(());
    };
    list.convert_for(args.rest(4), limits);
    let pivot = Needle::new(args.get(3));
    let Some(at) = list.iter().position(|value| pivot.matches(value)) else {
        reply.int(-1);
        return Ok(());
    };
    list.insert(at + after, args.get(4), limits);
    reply.int(list.len() as i64);
    ctx.txn.changed(&key, Class::List, "linsert");
    Ok(())
}

/// LREM key count element
pub(crate) fn lrem(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let count = args.int(2)?;
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    let gone = match ctx.list_mut(&key)? {
        Some(list) => list.remove_equal(args.get(3), count, limits),
        None => 0,
    };
    reply.int(gone as i64);
    if gone > 0 {
        removed(ctx, &key, "lrem", gone);
    }
    Ok(())
}

/// LTRIM key start stop
pub(crate) fn ltrim(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let key = ctx.key(args.get(1));
    let limits = &ctx.settings.encoding;
    if let Some(list) = ctx.list_mut(&key)? {
        let len = list.len();
        let (start, count) = part(start, stop, len);
        list.trim(start, count, limits);
        removed(ctx, &key, "ltrim", len - count);
    }
    reply.ok();
    Ok(())
}
