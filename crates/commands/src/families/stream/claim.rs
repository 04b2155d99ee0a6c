//! XCLAIM and XAUTOCLAIM.

use super::consume::{created_consumer, log_claim, log_position};
use super::id::{self, IdText, parse_start};
use super::{Outcome, no_group, write_entry, write_id};
use crate::args::{Args, Cursor};
use crate::context::Context;
use crate::error::CommandError;
use crate::number::parse_i64;
use redoubt_resp::Reply;
use redoubt_store::types::stream::{ConsumerId, Group, Pending};
use redoubt_store::{Key, Stream, StreamId};

/// How claimed entries are noted.
#[derive(Default)]
struct Options {
    /// When they were delivered, Unix milliseconds.
    time_ms: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: Option<StreamId>,
}

impl Options {
    fn parse(mut words: Cursor<'_>, now_ms: i64) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let int = |words: &mut Cursor<'_>, error: &'static str| {
            parse_i64(words.word()?).ok_or(CommandError::text(error))
        };
        while !words.is_done() {
            let more = words.remaining() > 1;
            if words.token("force") {
                options.force = true;
            } else if words.token("justid") {
                options.just_id = true;
            } else if more && words.token("idle") {
                let idle = int(&mut words, "ERR Invalid IDLE option argument for XCLAIM")?;
                options.time_ms = Some(now_ms.saturating_sub(idle));
            } else if more && words.token("time") {
                options.time_ms = Some(int(&mut words, "ERR Invalid TIME option argument for XCLAIM")?);
            } else if more && words.token("retrycount") {
                let count = int(&mut words, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.deliveries = u64::try_from(count).ok();
            } else if more && words.token("lastid") {
                options.last_id = Some(id::parse(words.word()?, 0)?);
            } else {
                let word = String::from_utf8_lossy(words.word()?);
                return Err(CommandError::owned(format!("ERR Unrecognized XCLAIM option '{word}'")));
            }
        }
        // A time that has not come yet, or never was, counts as now. With LASTID the call comes from another server's
        // log, whose clock may be ahead.
        let latest = if options.last_id.is_some() { i64::MAX } else { now_ms };
        options.time_ms = options.time_ms.filter(|time| (0..=latest).contains(time));
        Ok(options)
    }
}

/// A least time since the last delivery, milliseconds.
fn idle_min(word: &[u8], error: &'static str) -> Result<i64, CommandError> {
    Ok(parse_i64(word).ok_or(CommandError::text(error))?.max(0))
}

/// The stream and the group of arguments 1 and 2, which must exist.
fn check_group(ctx: &mut Context<'_>, args: &Args<'_>, key: &Key<'_>) -> Outcome {
    match ctx.stream_view(key)?.and_then(|stream| stream.group(args.get(2))) {
        Some(_) => Ok(()),
        None => Err(no_group(args.get(1), args.get(2))),
    }
}

fn stream_of<'c>(ctx: &'c mut Context<'_>, key: &Key<'_>) -> Result<&'c mut Stream, CommandError> {
    ctx.stream_mut(key)?.ok_or(CommandError::NoSuchKey)
}

/// The group's consumer of this name, made if missing, who has just been seen.
fn consumer(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    key: &Key<'_>,
) -> Result<Option<ConsumerId>, CommandError> {
    let now_ms = ctx.now_ms();
    let Some(group) = stream_of(ctx, key)?.group_mut(args.get(2)) else { return Ok(None) };
    let (consumer, created) = group.create_consumer(args.get(3), now_ms);
    group.consumer_mut(consumer).seen_ms = now_ms;
    if created {
        created_consumer(ctx, key, args.get(2), args.get(3));
    }
    Ok(Some(consumer))
}

/// What became of an entry that was to be claimed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// It stays with whom it is.
    No,
    Yes,
    /// The stream has it no more, and neither has the group.
    Deleted,
}

/// Gives one pending entry to a consumer.
fn claim(
    stream: &mut Stream,
    group: &[u8],
    id: StreamId,
    to: ConsumerId,
    options: &Options,
    limits: (i64, i64),
) -> Claim {
    let (idle_min_ms, now_ms) = limits;
    let exists = stream.contains(id);
    let Some(group) = stream.group_mut(group) else { return Claim::No };
    let pending = group.pending_at(id).copied();
    if !exists {
        group.acknowledge(id);
        return if pending.is_some() { Claim::Deleted } else { Claim::No };
    }
    let before = match pending {
        Some(pending) if idle_min_ms > 0 && now_ms - pending.delivered_ms < idle_min_ms => return Claim::No,
        Some(pending) => pending,
        None if options.force => Pending::new(now_ms),
        None => return Claim::No,
    };
    let again = if options.just_id { before.deliveries } else { before.deliveries + 1 };
    let mut after = before;
    after.delivered_ms = options.time_ms.unwrap_or(now_ms);
    after.deliveries = options.deliveries.unwrap_or(again);
    group.assign(id, to, after);
    group.consumer_mut(to).active_ms = Some(now_ms);
    Claim::Yes
}

/// Logs what became of an entry.
fn log(ctx: &mut Context<'_>, args: &Args<'_>, key: &Key<'_>, id: StreamId, claim: Claim) {
    match claim {
        Claim::No => return,
        Claim::Yes => log_claim(ctx, key, args.get(2), args.get(3), id),
        Claim::Deleted => ctx.txn.effect(&[b"XACK", key.bytes, args.get(2), &IdText::new(id)]),
    }
    ctx.txn.counters.dirty += 1;
}

fn write_claimed(reply: &mut Reply<'_>, stream: &Stream, id: StreamId, just_id: bool) {
    match stream.get(id) {
        Some(entry) if !just_id => write_entry(reply, entry),
        _ => write_id(reply, id),
    }
}

/// XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count]
/// [FORCE] [JUSTID] [LASTID lastid]
pub(crate) fn xclaim(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    ctx.txn.get(&key);
    check_group(ctx, args, &key)?;
    let idle_min_ms = idle_min(args.get(4), "ERR Invalid min-idle-time argument for XCLAIM")?;
    let ids: Vec<StreamId> = args.rest(5).iter().map_while(|word| id::parse(word, 0).ok()).collect();
    let now_ms = ctx.now_ms();
    let options = Options::parse(args.cursor(5 + ids.len()), now_ms)?;
    let moved = match stream_of(ctx, &key)?.group_mut(args.get(2)) {
        Some(group) if options.last_id.is_some_and(|id| id > group.last_id()) => {
            group.set_last_id(options.last_id.unwrap_or_default());
            true
        }
        _ => false,
    };
    let Some(consumer) = consumer(ctx, args, &key)? else { return Ok(()) };
    let open = reply.open();
    let mut claimed = 0;
    for id in ids {
        let stream = stream_of(ctx, &key)?;
        let outcome = claim(stream, args.get(2), id, consumer, &options, (idle_min_ms, now_ms));
        if outcome == Claim::Yes {
            claimed += 1;
            write_claimed(reply, stream, id, options.just_id);
        }
        log(ctx, args, &key, id, outcome);
    }
    reply.close_array(open, claimed);
    if moved {
        ctx.txn.counters.dirty += 1;
        log_position(ctx, &key, args.get(2));
    }
    Ok(())
}

/// XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]
pub(crate) fn xautoclaim(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    /// Pending entries looked at for each one to be claimed.
    const ATTEMPTS: usize = 10;
    let key = ctx.key(args.get(1));
    // The look-up counts even when an argument is refused.
    ctx.txn.get(&key);
    let idle_min_ms = idle_min(args.get(4), "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = parse_start(args.get(5))?;
    let (count, just_id) = autoclaim_options(args.cursor(6))?;
    check_group(ctx, args, &key)?;
    let Some(consumer) = consumer(ctx, args, &key)? else { return Ok(()) };
    let now_ms = ctx.now_ms();
    let options = Options { just_id, ..Options::default() };
    let (mut next, mut attempts, mut left) = (Some(start), count.saturating_mul(ATTEMPTS), count);
    let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
    while let Some(from) = next {
        let stream = stream_of(ctx, &key)?;
        let found = stream.group(args.get(2)).and_then(|group| first_pending(group, from));
        next = found;
        let Some(id) = found.filter(|_| attempts > 0 && left > 0) else { break };
        attempts -= 1;
        let outcome = claim(stream, args.get(2), id, consumer, &options, (idle_min_ms, now_ms));
        left -= usize::from(outcome != Claim::No);
        match outcome {
            Claim::Yes => claimed.push(id),
            Claim::Deleted => deleted.push(id),
            Claim::No => {}
        }
        log(ctx, args, &key, id, outcome);
        next = id.next();
    }
    reply.array(3);
    write_id(reply, next.unwrap_or(StreamId::MIN));
    reply.array(claimed.len());
    let stream = stream_of(ctx, &key)?;
    claimed.into_iter().for_each(|id| write_claimed(reply, stream, id, just_id));
    reply.array(deleted.len());
    deleted.into_iter().for_each(|id| write_id(reply, id));
    Ok(())
}

fn first_pending(group: &Group, from: StreamId) -> Option<StreamId> {
    group.pending_from(from).next().map(|(id, _)| id)
}

/// Reads `[COUNT count] [JUSTID]`.
fn autoclaim_options(mut words: Cursor<'_>) -> Result<(usize, bool), CommandError> {
    /// Beyond this, so many attempts could not be counted.
    const COUNT_MAX: i64 = i64::MAX / 16;
    let (mut count, mut just_id) = (100, false);
    while !words.is_done() {
        if words.remaining() > 1 && words.token("count") {
            let given = parse_i64(words.word()?).filter(|count| (1..=COUNT_MAX).contains(count));
            count = given.ok_or(CommandError::text("ERR COUNT must be > 0"))? as usize;
        } else if words.token("justid") {
            just_id = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((count, just_id))
}
