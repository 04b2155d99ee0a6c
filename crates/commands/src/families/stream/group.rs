//! XGROUP and XACK.

use super::{Outcome, bad_subcommand, id, noted};
use crate::args::{Args, Cursor};
use crate::context::Context;
use crate::error::CommandError;
use crate::introspect;
use redoubt_resp::Reply;
use redoubt_store::types::stream::Group;
use redoubt_store::{Class, Key, Stream, StreamId};

const KEY_MISSING: CommandError = CommandError::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);

/// Options of XGROUP CREATE and XGROUP SETID.
#[derive(Default)]
struct Options {
    make: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(args: &Args<'_>, may_make: bool) -> Result<Options, CommandError> {
        let mut words: Cursor<'_> = args.cursor(5);
        let mut options = Options::default();
        while !words.is_done() {
            if may_make && words.token("mkstream") {
                options.make = true;
            } else if words.remaining() > 1 && words.token("entriesread") {
                options.entries_read = match words.int()? {
                    -1 => None,
                    count => Some(u64::try_from(count).map_err(|_| {
                        CommandError::text("ERR value for ENTRIESREAD must be positive or -1")
                    })?),
                };
            } else {
                return Err(bad_subcommand("XGROUP", args.get(1)));
            }
        }
        Ok(options)
    }
}

/// Reads an id; the number stands in for a missing one.
type ReadId = fn(&[u8], u64) -> Result<StreamId, CommandError>;

/// The id of argument 4, as `parse` reads it; `$` is the stream's last one.
fn position(args: &Args<'_>, stream: Option<&Stream>, parse: ReadId) -> Result<StreamId, CommandError> {
    match args.get(4) {
        b"$" => Ok(stream.map_or(StreamId::MIN, |stream| stream.last_id())),
        word => parse(word, 0),
    }
}

/// The stream of argument 2, which must exist.
fn stream<'c>(ctx: &'c mut Context<'_>, key: &Key<'_>) -> Result<&'c mut Stream, CommandError> {
    ctx.stream_mut(key)?.ok_or(KEY_MISSING)
}

/// The group of argument 3 in the stream of argument 2; both must exist.
fn group<'c>(
    ctx: &'c mut Context<'_>,
    args: &Args<'_>,
    key: &Key<'_>,
) -> Result<&'c mut Group, CommandError> {
    stream(ctx, key)?.group_mut(args.get(3)).ok_or_else(|| missing(args))
}

/// NOGROUP of the group of argument 3 (XGROUP, XINFO).
pub(super) fn missing(args: &Args<'_>) -> CommandError {
    let (key, group) = (String::from_utf8_lossy(args.get(2)), String::from_utf8_lossy(args.get(3)));
    CommandError::owned(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

/// XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read]
pub(crate) fn xgroup_create(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let options = Options::parse(args, true)?;
    let key = ctx.key(args.get(2));
    let exists = match ctx.stream_mut(&key)? {
        None if !options.make => return Err(KEY_MISSING),
        stream => stream.is_some(),
    };
    let last_id = position(args, ctx.stream_view(&key)?, id::parse)?;
    if !ctx.stream_or_create(&key)?.create_group(args.get(3), last_id, options.entries_read) {
        return Err(CommandError::text("BUSYGROUP Consumer Group name already exists"));
    }
    reply.ok();
    if exists {
        noted(ctx, &key, "xgroup-create");
    } else {
        ctx.txn.changed(&key, Class::Stream, "xgroup-create");
    }
    Ok(())
}

/// XGROUP SETID key group id | $ [ENTRIESREAD entries-read]
pub(crate) fn xgroup_setid(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let options = Options::parse(args, false)?;
    let key = ctx.key(args.get(2));
    group(ctx, args, &key)?;
    // Unlike CREATE it takes `-` and `+` too.
    let last_id = position(args, ctx.stream_view(&key)?, id::parse_end_point)?;
    let group = group(ctx, args, &key)?;
    group.set_last_id(last_id);
    group.set_entries_read(options.entries_read);
    reply.ok();
    noted(ctx, &key, "xgroup-setid");
    Ok(())
}

/// XGROUP CREATECONSUMER key group consumer
pub(crate) fn xgroup_createconsumer(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Outcome {
    let key = ctx.key(args.get(2));
    let now_ms = ctx.now_ms();
    let (_, created) = group(ctx, args, &key)?.create_consumer(args.get(4), now_ms);
    reply.int(i64::from(created));
    if created {
        noted(ctx, &key, "xgroup-createconsumer");
    }
    Ok(())
}

/// XGROUP DELCONSUMER key group consumer
pub(crate) fn xgroup_delconsumer(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(2));
    let pending = group(ctx, args, &key)?.remove_consumer(args.get(4));
    reply.int(pending.unwrap_or(0) as i64);
    if pending.is_some() {
        noted(ctx, &key, "xgroup-delconsumer");
    }
    Ok(())
}

/// XGROUP DESTROY key group
pub(crate) fn xgroup_destroy(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(2));
    let removed = stream(ctx, &key)?.remove_group(args.get(3));
    reply.int(i64::from(removed));
    if removed {
        noted(ctx, &key, "xgroup-destroy");
        // Clients that wait on behalf of the group are told that it is gone.
        ctx.txn.signal(&key);
    }
    Ok(())
}

/// XGROUP HELP
pub(crate) fn xgroup_help(_ctx: &mut Context<'_>, _args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    introspect::help("xgroup", reply);
    Ok(())
}

/// XACK key group id [id ...]
pub(crate) fn xack(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let group = ctx.stream_mut(&key)?.and_then(|stream| stream.group_mut(args.get(2)));
    let Some(group) = group else {
        // Where there is no key, this was a read that missed it.
        ctx.stream(&key)?;
        reply.int(0);
        return Ok(());
    };
    // All ids are checked before any is acknowledged.
    let ids = args.rest(3).iter().map(|word| id::parse(word, 0));
    let ids = ids.collect::<Result<smallvec::SmallVec<[StreamId; 16]>, _>>()?;
    let acknowledged = ids.into_iter().filter(|id| group.acknowledge(*id)).count();
    reply.int(acknowledged as i64);
    ctx.txn.counters.dirty += acknowledged as u64;
    Ok(())
}
