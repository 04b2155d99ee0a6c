//! XREAD and XREADGROUP.

use super::id::{self, IdText};
use super::read::write_entries;
use super::{Outcome, no_group, noted, write_entry, write_id};
use crate::args::{Args, Cursor};
use crate::context::{Context, Deadline};
use crate::error::CommandError;
use crate::families::blocking;
use redoubt_resp::Reply;
use redoubt_store::{Key, StreamId};

/// What a call asks for.
struct Request<'a> {
    /// Group and consumer of XREADGROUP.
    group: Option<(&'a [u8], &'a [u8])>,
    /// Most entries of each stream; 0 is no limit.
    count: u64,
    deadline: Option<Deadline>,
    noack: bool,
    keys: &'a [&'a [u8]],
    ids: &'a [&'a [u8]],
}

/// From where on a stream is read.
#[derive(Clone, Copy)]
enum From {
    /// Entries above this id.
    Above(StreamId),
    /// Entries that the group has not delivered.
    New,
    /// Entries pending for the consumer, above this id.
    Pending(StreamId),
}

/// XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]
pub(crate) fn xread(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let request = Request::parse(ctx, args, false)?;
    request.run(ctx, args, reply)
}

/// XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]
pub(crate) fn xreadgroup(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let request = Request::parse(ctx, args, true)?;
    request.run(ctx, args, reply)
}

impl<'a> Request<'a> {
    fn parse(ctx: &Context<'_>, args: &Args<'a>, for_group: bool) -> Result<Request<'a>, CommandError> {
        let mut words = args.cursor(1);
        let mut request =
            Request { group: None, count: 0, deadline: None, noack: false, keys: &[], ids: &[] };
        while request.keys.is_empty() {
            request.option(ctx, &mut words, for_group)?;
        }
        if for_group && request.group.is_none() {
            return Err(CommandError::text("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(request)
    }

    fn option(&mut self, ctx: &Context<'_>, words: &mut Cursor<'a>, for_group: bool) -> Outcome {
        let more = words.remaining() > 1;
        if more && words.token("block") {
            self.deadline = Some(blocking::deadline_ms(words.word()?, ctx.now_ms())?);
        } else if more && words.token("count") {
            self.count = words.int()?.max(0) as u64;
        } else if more && words.token("streams") {
            if words.remaining() % 2 == 1 {
                return Err(unbalanced(for_group));
            }
            let count = words.remaining() / 2;
            self.keys = words.take(count)?;
            self.ids = words.take(count)?;
        } else if words.remaining() > 2 && words.token("group") {
            if !for_group {
                return Err(CommandError::text(
                    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                ));
            }
            self.group = Some((words.word()?, words.word()?));
        } else if words.token("noack") {
            if !for_group {
                return Err(CommandError::text(
                    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                ));
            }
            self.noack = true;
        } else {
            return Err(CommandError::Syntax);
        }
        Ok(())
    }

    fn run(&self, ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
        let mut from: smallvec::SmallVec<[From; 4]> = smallvec::SmallVec::new();
        for (key, word) in self.keys.iter().zip(self.ids) {
            from.push(self.from(ctx, key, word)?);
        }
        let open = reply.open();
        let mut served = 0;
        for (word, from) in self.keys.iter().zip(&from) {
            let key = ctx.key(word);
            served += usize::from(match from {
                From::Above(id) => self.read(ctx, &key, *id, reply)?,
                From::New => self.read_new(ctx, &key, reply)?,
                From::Pending(id) => self.read_pending(ctx, &key, *id, reply)?,
            });
        }
        if served > 0 {
            if reply.is_resp3() {
                reply.close_map(open, served);
            } else {
                reply.close_array(open, served);
            }
        } else if let Some(deadline) = self.deadline.filter(|_| ctx.may_block) {
            let words = self.concrete(args, &from);
            ctx.block_as(deadline, words, self.group.is_some());
        } else {
            reply.null_array();
        }
        Ok(())
    }

    /// Where reading begins in the stream at `key`.
    fn from(&self, ctx: &mut Context<'_>, word: &[u8], id: &[u8]) -> Result<From, CommandError> {
        let key = ctx.key(word);
        let stream = ctx.stream(&key)?;
        if let Some((group, _)) = self.group {
            if stream.is_none_or(|stream| stream.group(group).is_none()) {
                let why = no_group(word, group);
                return Err(CommandError::owned(format!("{why} in XREADGROUP with GROUP option")));
            }
            return match id {
                b">" => Ok(From::New),
                b"$" | b"+" => Err(meaningless(id)),
                _ => Ok(From::Pending(id::parse(id, 0)?)),
            };
        }
        match id {
            b"$" => Ok(From::Above(stream.map_or(StreamId::MIN, |stream| stream.last_id()))),
            b"+" => {
                let newest = stream.and_then(|stream| stream.rev_range(StreamId::MIN, StreamId::MAX).next());
                let below = newest.and_then(|entry| entry.id.previous());
                // Without an entry, the first one to come is the newest.
                let last = stream.map_or(StreamId::MIN, |stream| stream.last_id());
                Ok(From::Above(below.unwrap_or(last)))
            }
            b">" => Err(CommandError::text(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> \
                 option.",
            )),
            _ => Ok(From::Above(id::parse(id, 0)?)),
        }
    }

    /// The call with ids in place of `$` and `+`, which mean what they meant when it was made.
    fn concrete(&self, args: &Args<'_>, from: &[From]) -> Option<Vec<Box<[u8]>>> {
        if self.group.is_some() {
            return None;
        }
        let first = args.len() - self.ids.len();
        let mut words: Vec<Box<[u8]>> = args.words().iter().map(|word| Box::from(*word)).collect();
        for (word, from) in words[first..].iter_mut().zip(from) {
            if let From::Above(id) = from {
                *word = Box::from(&*IdText::new(*id));
            }
        }
        Some(words)
    }

    /// XREAD of one stream. False, and no answer, if there is nothing new.
    fn read(
        &self,
        ctx: &mut Context<'_>,
        key: &Key<'_>,
        above: StreamId,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        let Some(stream) = ctx.stream(key)?.filter(|stream| stream.last_id() > above) else {
            return Ok(false);
        };
        let Some(from) = above.next() else { return Ok(false) };
        let mut entries = stream.range(from, StreamId::MAX).take(self.count_max()).peekable();
        if entries.peek().is_none() {
            return Ok(false);
        }
        begin(reply, key);
        write_entries(reply, entries);
        Ok(true)
    }

    fn count_max(&self) -> usize {
        if self.count == 0 { usize::MAX } else { self.count as usize }
    }

    /// XREADGROUP of what one stream's group has not delivered. False, and no answer, if there is nothing.
    fn read_new(
        &self,
        ctx: &mut Context<'_>,
        key: &Key<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        let (group_name, consumer_name) = self.group.unwrap_or_default();
        let now_ms = ctx.now_ms();
        let logs = ctx.txn.effects.is_enabled();
        let position = reply.position();
        let Some(stream) = ctx.stream_mut(key)? else { return Ok(false) };
        let Some(group) = stream.group_mut(group_name) else { return Ok(false) };
        let (consumer, created) = group.create_consumer(consumer_name, now_ms);
        group.consumer_mut(consumer).seen_ms = now_ms;
        begin(reply, key);
        let open = reply.open();
        let mut ids = Vec::new();
        let pending = (!self.noack).then_some(now_ms);
        let len = stream.deliver(group_name, consumer, self.count, pending, |entry| {
            if logs && pending.is_some() {
                ids.push(entry.id);
            }
            write_entry(reply, entry);
        });
        if len > 0 {
            reply.close_array(open, len as usize);
            if let Some(group) = stream.group_mut(group_name).filter(|_| pending.is_some()) {
                group.consumer_mut(consumer).active_ms = Some(now_ms);
            }
        } else {
            reply.truncate(position);
        }
        if created {
            created_consumer(ctx, key, group_name, consumer_name);
        }
        if len > 0 {
            ctx.txn.counters.dirty += 1;
            log_delivery(ctx, key, group_name, consumer_name, &ids)?;
        }
        Ok(len > 0)
    }

    /// XREADGROUP of what is pending for the consumer in one stream, which may be nothing. False, and no answer, only
    /// where no id can be above.
    fn read_pending(
        &self,
        ctx: &mut Context<'_>,
        key: &Key<'_>,
        above: StreamId,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        let (group_name, consumer_name) = self.group.unwrap_or_default();
        let now_ms = ctx.now_ms();
        let Some(from) = above.next() else { return Ok(false) };
        let Some(stream) = ctx.stream_mut(key)? else { return Ok(false) };
        let Some(group) = stream.group_mut(group_name) else { return Ok(false) };
        let (consumer, created) = group.create_consumer(consumer_name, now_ms);
        group.consumer_mut(consumer).seen_ms = now_ms;
        let ids = group.consumer(consumer).pending_from(from).take(self.count_max());
        let ids: Vec<StreamId> = ids.collect();
        begin(reply, key);
        reply.array(ids.len());
        let mut redelivered = Vec::new();
        for id in ids {
            match stream.get(id) {
                Some(entry) => write_entry(reply, entry),
                None => {
                    reply.array(2);
                    write_id(reply, id);
                    reply.null_array();
                    continue;
                }
            }
            if let Some(group) = stream.group_mut(group_name) {
                group.redeliver(id, now_ms);
                redelivered.push(id);
            }
        }
        if created {
            created_consumer(ctx, key, group_name, consumer_name);
        }
        redelivered.into_iter().for_each(|id| log_claim(ctx, key, group_name, consumer_name, id));
        Ok(true)
    }
}

/// Begins the answer of one stream: its name, to be followed by its entries.
fn begin(reply: &mut Reply<'_>, key: &Key<'_>) {
    if !reply.is_resp3() {
        reply.array(2);
    }
    reply.bulk(key.bytes);
}

fn unbalanced(for_group: bool) -> CommandError {
    CommandError::text(if for_group {
        "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
    } else {
        "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
    })
}

fn meaningless(id: &[u8]) -> CommandError {
    let id = String::from_utf8_lossy(id);
    CommandError::owned(format!(
        "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
         by specifying a proper ID, or use the > ID to get new messages. The {id} ID would just return an empty \
         result set."
    ))
}

/// Tells and logs that a call made its consumer.
pub(super) fn created_consumer(ctx: &mut Context<'_>, key: &Key<'_>, group: &[u8], consumer: &[u8]) {
    noted(ctx, key, "xgroup-createconsumer");
    ctx.txn.effect(&[b"XGROUP", b"CREATECONSUMER", key.bytes, group, consumer]);
}

/// Logs what was delivered: each pending entry as a claim, and how far the group is.
fn log_delivery(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    group: &[u8],
    consumer: &[u8],
    ids: &[StreamId],
) -> Outcome {
    if !ctx.txn.effects.is_enabled() {
        return Ok(());
    }
    ids.iter().for_each(|id| log_claim(ctx, key, group, consumer, *id));
    log_position(ctx, key, group);
    Ok(())
}

/// Logs a pending entry as it is now, as a claim that can be repeated.
pub(super) fn log_claim(ctx: &mut Context<'_>, key: &Key<'_>, group: &[u8], consumer: &[u8], id: StreamId) {
    if !ctx.txn.effects.is_enabled() {
        return;
    }
    let Ok(Some(stream)) = ctx.stream_view(key) else { return };
    let Some(at) = stream.group(group) else { return };
    let Some(pending) = at.pending_at(id).copied() else { return };
    let (id, last) = (IdText::new(id), IdText::new(at.last_id()));
    let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
    let time = a.format(pending.delivered_ms).as_bytes();
    let count = b.format(pending.deliveries).as_bytes();
    ctx.txn.effect(&[
        b"XCLAIM",
        key.bytes,
        group,
        consumer,
        b"0",
        &id,
        b"TIME",
        time,
        b"RETRYCOUNT",
        count,
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        &last,
    ]);
}

/// Logs how far a group is.
pub(super) fn log_position(ctx: &mut Context<'_>, key: &Key<'_>, group: &[u8]) {
    if !ctx.txn.effects.is_enabled() {
        return;
    }
    let Ok(Some(stream)) = ctx.stream_view(key) else { return };
    let Some(at) = stream.group(group) else { return };
    let last = IdText::new(at.last_id());
    let mut digits = itoa::Buffer::new();
    let read = at.entries_read().map_or(-1, |read| read as i64);
    let read = digits.format(read).as_bytes();
    ctx.txn.effect(&[b"XGROUP", b"SETID", key.bytes, group, &last, b"ENTRIESREAD", read]);
}
