//! XINFO.

use super::group::missing;
use super::{Outcome, bad_subcommand, write_entry, write_id};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::introspect;
use redoubt_resp::Reply;
use redoubt_store::types::stream::{Consumer, Entry, Group};
use redoubt_store::{Stream, StreamId};

/// Entries and pending entries that FULL lists where COUNT does not say.
const FULL_COUNT: usize = 10;

/// XINFO STREAM key [FULL [COUNT count]]
pub(crate) fn xinfo_stream(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(2));
    let stream = ctx.stream(&key)?.ok_or(CommandError::NoSuchKey)?;
    match full_count(args)? {
        None => brief(stream, reply),
        Some(count) => full(stream, count, reply),
    }
    Ok(())
}

/// How many entries FULL lists; nothing without FULL.
fn full_count(args: &Args<'_>) -> Result<Option<usize>, CommandError> {
    match args.len() {
        3 => Ok(None),
        4 | 6 if args.is(3, "full") => {
            if args.len() == 4 {
                return Ok(Some(FULL_COUNT));
            }
            if !args.is(4, "count") {
                return Err(bad_subcommand("XINFO", args.get(1)));
            }
            Ok(Some(match args.int(5)? {
                0 => usize::MAX,
                count => usize::try_from(count).unwrap_or(FULL_COUNT),
            }))
        }
        _ => Err(bad_subcommand("XINFO", args.get(1))),
    }
}

/// What both forms begin with.
fn figures(stream: &Stream, reply: &mut Reply<'_>) {
    field(reply, "length", stream.len() as i64);
    // One node of a radix tree per block, and its root.
    field(reply, "radix-tree-keys", stream.blocks() as i64);
    field(reply, "radix-tree-nodes", stream.blocks() as i64 + 1);
    id_field(reply, "last-generated-id", stream.last_id());
    id_field(reply, "max-deleted-entry-id", stream.max_deleted_id());
    field(reply, "entries-added", stream.entries_added() as i64);
    id_field(reply, "recorded-first-entry-id", stream.first_id());
}

fn brief(stream: &Stream, reply: &mut Reply<'_>) {
    reply.map(10);
    figures(stream, reply);
    field(reply, "groups", stream.groups().len() as i64);
    let mut edge = |name: &str, entry: Option<Entry<'_>>| {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => write_entry(reply, entry),
            None => reply.null(),
        }
    };
    edge("first-entry", stream.iter().next());
    edge("last-entry", stream.rev_range(StreamId::MIN, StreamId::MAX).next());
}

fn full(stream: &Stream, count: usize, reply: &mut Reply<'_>) {
    reply.map(9);
    figures(stream, reply);
    reply.bulk(b"entries");
    reply.array(count.min(stream.len() as usize));
    stream.iter().take(count).for_each(|entry| write_entry(reply, entry));
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    stream.groups().for_each(|group| full_group(stream, group, count, reply));
}

fn full_group(stream: &Stream, group: &Group, count: usize, reply: &mut Reply<'_>) {
    reply.map(7);
    text_field(reply, "name", group.name());
    id_field(reply, "last-delivered-id", group.last_id());
    progress(stream, group, reply);
    field(reply, "pel-count", group.pending_len() as i64);
    reply.bulk(b"pending");
    reply.array(count.min(group.pending_len()));
    for (id, pending) in group.pending_from(StreamId::MIN).take(count) {
        reply.array(4);
        write_id(reply, id);
        reply.bulk(group.consumer(pending.consumer()).name());
        reply.int(pending.delivered_ms);
        reply.int(pending.deliveries as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers().len());
    group.consumers().for_each(|consumer| full_consumer(group, consumer, count, reply));
}

fn full_consumer(group: &Group, consumer: &Consumer, count: usize, reply: &mut Reply<'_>) {
    reply.map(5);
    text_field(reply, "name", consumer.name());
    field(reply, "seen-time", consumer.seen_ms);
    field(reply, "active-time", consumer.active_ms.unwrap_or(-1));
    field(reply, "pel-count", consumer.pending_len() as i64);
    reply.bulk(b"pending");
    reply.array(count.min(consumer.pending_len()));
    let ids = consumer.pending_from(StreamId::MIN).take(count);
    for (id, pending) in ids.filter_map(|id| group.pending_at(id).map(|pending| (id, pending))) {
        reply.array(3);
        write_id(reply, id);
        reply.int(pending.delivered_ms);
        reply.int(pending.deliveries as i64);
    }
}

/// How far a group is.
fn progress(stream: &Stream, group: &Group, reply: &mut Reply<'_>) {
    let mut known = |name: &str, value: Option<i64>| {
        reply.bulk(name.as_bytes());
        match value {
            Some(value) => reply.int(value),
            None => reply.null(),
        }
    };
    known("entries-read", group.entries_read().map(|read| read as i64));
    known("lag", stream.lag(group));
}

/// XINFO GROUPS key
pub(crate) fn xinfo_groups(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(2));
    let stream = ctx.stream(&key)?.ok_or(CommandError::NoSuchKey)?;
    reply.array(stream.groups().len());
    for group in stream.groups() {
        reply.map(6);
        text_field(reply, "name", group.name());
        field(reply, "consumers", group.consumers().len() as i64);
        field(reply, "pending", group.pending_len() as i64);
        id_field(reply, "last-delivered-id", group.last_id());
        progress(stream, group, reply);
    }
    Ok(())
}

/// XINFO CONSUMERS key group
pub(crate) fn xinfo_consumers(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let now_ms = ctx.now_ms();
    let key = ctx.key(args.get(2));
    let stream = ctx.stream(&key)?.ok_or(CommandError::NoSuchKey)?;
    let group = stream.group(args.get(3)).ok_or_else(|| missing(args))?;
    reply.array(group.consumers().len());
    for consumer in group.consumers() {
        reply.map(4);
        text_field(reply, "name", consumer.name());
        field(reply, "pending", consumer.pending_len() as i64);
        field(reply, "idle", (now_ms - consumer.seen_ms).max(0));
        field(reply, "inactive", consumer.active_ms.map_or(-1, |active| (now_ms - active).max(0)));
    }
    Ok(())
}

/// XINFO HELP
pub(crate) fn xinfo_help(_ctx: &mut Context<'_>, _args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    introspect::help("xinfo", reply);
    Ok(())
}

fn field(reply: &mut Reply<'_>, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.int(value);
}

fn text_field(reply: &mut Reply<'_>, name: &str, value: &[u8]) {
    reply.bulk(name.as_bytes());
    reply.bulk(value);
}

fn id_field(reply: &mut Reply<'_>, name: &str, id: StreamId) {
    reply.bulk(name.as_bytes());
    write_id(reply, id);
}
