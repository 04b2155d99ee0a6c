//! DBSIZE, FLUSHDB, FLUSHALL, SWAPDB: whole databases.

use super::{db_index, db_number};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;

/// DBSIZE: keys of the database, those expired but not removed yet included.
/// <https://redis.io/docs/latest/commands/dbsize/>
pub fn dbsize(ctx: &mut Context<'_>, _args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.int(ctx.txn.len(ctx.txn.db()) as i64);
    Ok(())
}

/// FLUSHDB [ASYNC|SYNC]. <https://redis.io/docs/latest/commands/flushdb/>
pub fn flushdb(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now = frees_now(ctx, args)?;
    let db = ctx.txn.db();
    flush(ctx, args, db..db + 1, now);
    reply.ok();
    Ok(())
}

/// FLUSHALL [ASYNC|SYNC]. <https://redis.io/docs/latest/commands/flushall/>
pub fn flushall(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now = frees_now(ctx, args)?;
    let databases = ctx.txn.keyspace().databases();
    flush(ctx, args, 0..databases, now);
    ctx.txn.counters.emptied += 1;
    reply.ok();
    Ok(())
}

/// Whether the memory is to be given back before the reply leaves. `lazyfree-lazy-user-flush` says so for a call that
/// does not.
fn frees_now(ctx: &Context<'_>, args: &Args<'_>) -> Result<bool, CommandError> {
    match args.len() {
        1 => Ok(!ctx.settings.lazy_user_flush),
        2 if args.is(1, "SYNC") => Ok(true),
        2 if args.is(1, "ASYNC") => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

/// Takes the tables away; they are freed after the locks are released, by this thread or by another.
fn flush(ctx: &mut Context<'_>, args: &Args<'_>, databases: std::ops::Range<usize>, now: bool) {
    let before = ctx.txn.garbage.len();
    let removed: usize = databases.map(|db| ctx.txn.flush(db)).sum();
    if now {
        let taken = ctx.txn.garbage.split_off(before);
        ctx.txn.garbage_of_caller.extend(taken);
    }
    ctx.txn.counters.dirty += removed as u64;
    if removed == 0 {
        // Logged all the same: a replica may hold keys that are expired here.
        ctx.txn.effect(args.words());
    }
}

/// SWAPDB a b. <https://redis.io/docs/latest/commands/swapdb/>
pub fn swapdb(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let first = db_number(args.get(1)).map_err(|_| CommandError::text("ERR invalid first DB index"))?;
    let second = db_number(args.get(2)).map_err(|_| CommandError::text("ERR invalid second DB index"))?;
    let (first, second) = (db_index(ctx, first)?, db_index(ctx, second)?);
    ctx.txn.swap_databases(first, second);
    ctx.txn.counters.dirty += 1;
    reply.ok();
    Ok(())
}
