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
    check_mode(args)?;
    let db = ctx.txn.db();
    flush(ctx, db..db + 1);
    reply.ok();
    Ok(())
}

/// FLUSHALL [ASYNC|SYNC]. <https://redis.io/docs/latest/commands/flushall/>
pub fn flushall(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    check_mode(args)?;
    let databases = ctx.txn.keyspace().databases();
    flush(ctx, 0..databases);
    reply.ok();
    Ok(())
}

/// Both modes are the same here: the tables are taken away at once and freed after the locks are released.
fn check_mode(args: &Args<'_>) -> Result<(), CommandError> {
    let known = args.len() == 1 || args.len() == 2 && (args.is(1, "ASYNC") || args.is(1, "SYNC"));
    if known { Ok(()) } else { Err(CommandError::Syntax) }
}

fn flush(ctx: &mut Context<'_>, databases: std::ops::Range<usize>) {
    let removed: usize = databases.map(|db| ctx.txn.flush(db)).sum();
    // An empty database is flushed in the log too: a replica may hold keys that are expired here.
    ctx.txn.counters.dirty += removed.max(1) as u64;
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
