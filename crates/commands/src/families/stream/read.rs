//! XLEN, XRANGE, XREVRANGE, and XSETID.

use super::id::{self, parse_end, parse_start};
use super::{Outcome, noted, write_entry};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::StreamId;
use redoubt_store::types::stream::Entry;

/// XLEN key
pub(crate) fn xlen(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let len = ctx.stream(&key)?.map_or(0, |stream| stream.len());
    reply.int(len as i64);
    Ok(())
}

/// XRANGE key start end [COUNT count]
pub(crate) fn xrange(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    range(ctx, args, args.get(2), args.get(3), false, reply)
}

/// XREVRANGE key end start [COUNT count]
pub(crate) fn xrevrange(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    range(ctx, args, args.get(3), args.get(2), true, reply)
}

fn range(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    start: &[u8],
    end: &[u8],
    reverse: bool,
    reply: &mut Reply<'_>,
) -> Outcome {
    let (from, to) = (parse_start(start)?, parse_end(end)?);
    let mut words = args.cursor(4);
    let mut count = None;
    while !words.is_done() {
        if words.remaining() < 2 || !words.token("count") {
            return Err(CommandError::Syntax);
        }
        count = Some(words.int()?.max(0) as usize);
    }
    let key = ctx.key(args.get(1));
    match (ctx.stream(&key)?, count.unwrap_or(usize::MAX)) {
        (None, _) => reply.array(0),
        (_, 0) => reply.null_array(),
        (Some(stream), count) if reverse => write_entries(reply, stream.rev_range(from, to).take(count)),
        (Some(stream), count) => write_entries(reply, stream.range(from, to).take(count)),
    }
    Ok(())
}

/// An array of entries.
pub(super) fn write_entries<'a>(reply: &mut Reply<'_>, entries: impl Iterator<Item = Entry<'a>>) {
    let open = reply.open();
    let mut len = 0;
    for entry in entries {
        write_entry(reply, entry);
        len += 1;
    }
    reply.close_array(open, len);
}

/// XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]
pub(crate) fn xsetid(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let last_id = id::parse(args.get(2), 0)?;
    let mut words = args.cursor(3);
    let (mut added, mut max_deleted) = (None, StreamId::MIN);
    while !words.is_done() {
        if words.remaining() < 2 {
            return Err(CommandError::Syntax);
        } else if words.token("entriesadded") {
            let count = u64::try_from(words.int()?);
            added = Some(count.map_err(|_| CommandError::text("ERR entries_added must be positive"))?);
        } else if words.token("maxdeletedid") {
            max_deleted = id::parse(words.word()?, 0)?;
            if last_id < max_deleted {
                return Err(CommandError::text(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let key = ctx.key(args.get(1));
    let stream = ctx.stream_mut(&key)?.ok_or(CommandError::NoSuchKey)?;
    if last_id < stream.max_deleted_id() {
        return Err(CommandError::text(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    let top = stream.rev_range(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id);
    if top.is_some_and(|top| last_id < top) {
        return Err(CommandError::text(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if added.is_some_and(|added| added < stream.len()) {
        return Err(CommandError::text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    stream.set_last_id(last_id);
    stream.set_entries_added(added.unwrap_or(stream.entries_added()));
    if max_deleted != StreamId::MIN {
        stream.set_max_deleted_id(max_deleted);
    }
    reply.ok();
    noted(ctx, &key, "xsetid");
    Ok(())
}
