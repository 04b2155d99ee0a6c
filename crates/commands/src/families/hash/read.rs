//! Commands that read a hash.

use super::write;
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::families::scan::{self, ScanOptions, Step};
use redoubt_resp::Reply;

type Outcome = Result<(), CommandError>;

/// HGET key field
pub(crate) fn hget(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    match ctx.hash(&key)?.and_then(|hash| hash.get(args.get(2))) {
        Some(value) => write(reply, value),
        None => reply.null(),
    }
    Ok(())
}

/// HMGET key field [field ...]
pub(crate) fn hmget(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let hash = ctx.hash(&key)?;
    reply.array(args.len() - 2);
    for field in args.rest(2) {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => write(reply, value),
            None => reply.null(),
        }
    }
    Ok(())
}

/// HGETALL key
pub(crate) fn hgetall(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let hash = ctx.hash(&key)?;
    reply.map(hash.map_or(0, |hash| hash.len()));
    for (field, value) in hash.into_iter().flat_map(|hash| hash.iter()) {
        write(reply, field);
        write(reply, value);
    }
    Ok(())
}

/// HKEYS key
pub(crate) fn hkeys(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let hash = ctx.hash(&key)?;
    reply.array(hash.map_or(0, |hash| hash.len()));
    hash.into_iter().flat_map(|hash| hash.iter()).for_each(|(field, _)| write(reply, field));
    Ok(())
}

/// HVALS key
pub(crate) fn hvals(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let hash = ctx.hash(&key)?;
    reply.array(hash.map_or(0, |hash| hash.len()));
    hash.into_iter().flat_map(|hash| hash.iter()).for_each(|(_, value)| write(reply, value));
    Ok(())
}

/// HLEN key
pub(crate) fn hlen(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let len = ctx.hash(&key)?.map_or(0, |hash| hash.len());
    reply.int(len as i64);
    Ok(())
}

/// HEXISTS key field
pub(crate) fn hexists(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let there = ctx.hash(&key)?.is_some_and(|hash| hash.contains(args.get(2)));
    reply.int(i64::from(there));
    Ok(())
}

/// HSTRLEN key field
pub(crate) fn hstrlen(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let len = ctx.hash(&key)?.and_then(|hash| hash.get(args.get(2))).map_or(0, |value| value.len());
    reply.int(len as i64);
    Ok(())
}

/// HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]
pub(crate) fn hscan(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let cursor = scan::cursor(args.get(2))?;
    let key = ctx.key(args.get(1));
    let Some(hash) = ctx.hash(&key)? else {
        scan::empty(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args.cursor(3), true)?;
    options.run(cursor, reply, |cursor, reply| {
        let mut step = Step::default();
        step.cursor = hash.scan(cursor, |field, value| {
            step.visited += 1;
            if !options.admits(field.as_bytes(&mut itoa::Buffer::new())) {
                return;
            }
            write(reply, field);
            if !options.novalues {
                write(reply, value);
            }
            step.written += if options.novalues { 1 } else { 2 };
        });
        step
    });
    Ok(())
}
