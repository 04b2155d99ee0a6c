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
    let (now_ms, key, field) = (ctx.judged_ms(), ctx.key(args.get(1)), args.get(2));
    let Some(hash) = ctx.hash(&key)? else {
        reply.null();
        return Ok(());
    };
    if let Some(value) = hash.get(field, now_ms) {
        write(reply, value);
        return Ok(());
    }
    let has_due = hash.has_due(now_ms);
    reply.null();
    if has_due {
        ctx.txn.expire_fields(&key, &[field]);
    }
    Ok(())
}

/// HMGET key field [field ...]
pub(crate) fn hmget(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (now_ms, key) = (ctx.judged_ms(), ctx.key(args.get(1)));
    let hash = ctx.hash(&key)?;
    reply.array(args.len() - 2);
    let mut missing = false;
    for field in args.rest(2) {
        match hash.and_then(|hash| hash.get(field, now_ms)) {
            Some(value) => write(reply, value),
            None => {
                reply.null();
                missing = true;
            }
        }
    }
    if missing && hash.is_some_and(|hash| hash.has_due(now_ms)) {
        ctx.txn.expire_fields(&key, args.rest(2));
    }
    Ok(())
}

/// HGETALL key
pub(crate) fn hgetall(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (now_ms, key) = (ctx.judged_ms(), ctx.key(args.get(1)));
    let hash = ctx.hash(&key)?;
    reply.map(hash.map_or(0, |hash| hash.live_len(now_ms)));
    if let Some(hash) = hash {
        hash.visit(now_ms, |field, value| {
            write(reply, field);
            write(reply, value);
        });
    }
    Ok(())
}

/// HKEYS key
pub(crate) fn hkeys(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (now_ms, key) = (ctx.judged_ms(), ctx.key(args.get(1)));
    let hash = ctx.hash(&key)?;
    reply.array(hash.map_or(0, |hash| hash.live_len(now_ms)));
    if let Some(hash) = hash {
        hash.visit(now_ms, |field, _| write(reply, field));
    }
    Ok(())
}

/// HVALS key
pub(crate) fn hvals(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (now_ms, key) = (ctx.judged_ms(), ctx.key(args.get(1)));
    let hash = ctx.hash(&key)?;
    reply.array(hash.map_or(0, |hash| hash.live_len(now_ms)));
    if let Some(hash) = hash {
        hash.visit(now_ms, |_, value| write(reply, value));
    }
    Ok(())
}

/// HLEN key: as in Redis, fields that are due count until they are taken out.
pub(crate) fn hlen(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let len = ctx.hash(&key)?.map_or(0, |hash| hash.len());
    reply.int(len as i64);
    Ok(())
}

/// HEXISTS key field
pub(crate) fn hexists(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let len = value_len(ctx, args)?;
    reply.int(i64::from(len.is_some()));
    Ok(())
}

/// HSTRLEN key field
pub(crate) fn hstrlen(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let len = value_len(ctx, args)?;
    reply.int(len.unwrap_or(0) as i64);
    Ok(())
}

/// Length of the value of the field after the key.
fn value_len(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Option<usize>, CommandError> {
    let (now_ms, key, field) = (ctx.judged_ms(), ctx.key(args.get(1)), args.get(2));
    let Some(hash) = ctx.hash(&key)? else { return Ok(None) };
    let len = hash.get(field, now_ms).map(|value| value.len());
    if len.is_none() && hash.has_due(now_ms) {
        ctx.txn.expire_fields(&key, &[field]);
    }
    Ok(len)
}

/// HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]
pub(crate) fn hscan(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let cursor = scan::cursor(args.get(2))?;
    let (now_ms, key) = (ctx.judged_ms(), ctx.key(args.get(1)));
    let Some(hash) = ctx.hash(&key)? else {
        scan::empty(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args.cursor(3), true)?;
    options.run(cursor, reply, |cursor, reply| {
        let mut step = Step::default();
        step.cursor = hash.scan(cursor, now_ms, |field, value| {
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
