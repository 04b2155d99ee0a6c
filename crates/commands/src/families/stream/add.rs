//! XADD and XTRIM.

use super::id::{IdText, NewId, parse_new};
use super::options::TrimOptions;
use super::{Outcome, write_id};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::types::stream::{BLOCK_BYTES_MAX, References, Trim};
use redoubt_store::{Class, Key, Stream, StreamId, Value};
use std::borrow::Cow;

const NOT_ABOVE: CommandError =
    CommandError::text("ERR The ID specified in XADD is equal or smaller than the target stream top item");

/// XADD key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id
/// field value [field value ...]
pub(crate) fn xadd(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let mut words = args.cursor(2);
    let mut make = true;
    let mut options = TrimOptions::default();
    let new_id = loop {
        if words.token("nomkstream") {
            make = false;
        } else if words.peek() == Some(b"*") || !options.take(&mut words)? {
            break parse_new(words.word()?)?;
        }
    };
    let trim = options.finish(ctx)?;
    let pairs = args.rest(words.position());
    if pairs.len() < 2 || pairs.len() % 2 == 1 {
        return Err(CommandError::WrongArity(Cow::Borrowed("xadd")));
    }
    if new_id == NewId::Given(StreamId::MIN) {
        return Err(CommandError::text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = ctx.key(args.get(1));
    let Some(id) = append(ctx, &key, new_id, pairs, make)? else {
        reply.null();
        return Ok(());
    };
    write_id(reply, id);
    ctx.txn.changed(&key, Class::Stream, "xadd");
    ctx.txn.signal(&key);
    let trimmed = match &trim {
        Some(trim) => self::trim(ctx, &key, trim)?,
        None => Trimmed::default(),
    };
    log_add(ctx, &key, id, pairs, &trimmed);
    Ok(())
}

/// Appends an entry and returns its id; nothing if there is no stream and none is to be made.
fn append(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    new_id: NewId,
    pairs: &[&[u8]],
    make: bool,
) -> Result<Option<StreamId>, CommandError> {
    let (now_ms, limits) = (ctx.now_ms(), &ctx.settings.encoding);
    let too_large = pairs.iter().map(|text| text.len() as u64).sum::<u64>() > BLOCK_BYTES_MAX;
    let add = |stream: &mut Stream| {
        let id = choose(new_id, stream.last_id(), now_ms)?;
        if too_large {
            return Err(CommandError::text("ERR Elements are too large to be stored"));
        }
        stream.add(id, pairs, limits).then_some(Some(id)).ok_or(NOT_ABOVE)
    };
    if let Some(stream) = ctx.stream_mut(key)? {
        return add(stream);
    }
    if !make {
        return Ok(None);
    }
    let mut stream = Stream::new();
    let id = add(&mut stream)?;
    ctx.txn.insert(key, Value::Stream(stream), None);
    Ok(id)
}

/// The id of a new entry of a stream whose last one is `last`.
fn choose(new_id: NewId, last: StreamId, now_ms: i64) -> Result<StreamId, CommandError> {
    if last == StreamId::MAX {
        return Err(CommandError::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = match new_id {
        NewId::Given(id) => Some(id),
        NewId::Auto if now_ms as u64 > last.ms => Some(StreamId::new(now_ms as u64, 0)),
        NewId::Auto => last.next(),
        NewId::AutoSeq(ms) if ms == last.ms => last.seq.checked_add(1).map(|seq| StreamId::new(ms, seq)),
        NewId::AutoSeq(ms) => Some(StreamId::new(ms, 0)),
    };
    id.filter(|id| *id > last).ok_or(NOT_ABOVE)
}

/// What trimming did, for the log.
#[derive(Default)]
struct Trimmed {
    count: u64,
    /// Entries left.
    len: u64,
    references: References,
}

fn trim(ctx: &mut Context<'_>, key: &Key<'_>, trim: &Trim) -> Result<Trimmed, CommandError> {
    let mut trimmed = Trimmed { references: trim.references, ..Trimmed::default() };
    let Some(stream) = ctx.stream_mut(key)? else { return Ok(trimmed) };
    trimmed.count = stream.trim(trim);
    trimmed.len = stream.len();
    if trimmed.count > 0 {
        ctx.txn.changed_too(key, Class::Stream, "xtrim");
    }
    Ok(trimmed)
}

impl Trimmed {
    /// Options that trim a copy of the stream likewise, however its blocks lie: the oldest entries went, or the oldest
    /// of those that no group needs.
    fn words<'a>(&self, digits: &'a mut itoa::Buffer) -> Vec<&'a [u8]> {
        let mut words: Vec<&[u8]> = Vec::new();
        if self.count == 0 {
            return words;
        }
        match self.references {
            References::Keep => {}
            References::Delete => words.push(b"DELREF"),
            References::Acked => words.push(b"ACKED"),
        }
        words.extend([&b"MAXLEN"[..], b"=", digits.format(self.len).as_bytes()]);
        words
    }
}

fn log_add(ctx: &mut Context<'_>, key: &Key<'_>, id: StreamId, pairs: &[&[u8]], trimmed: &Trimmed) {
    if !ctx.txn.effects.is_enabled() {
        return;
    }
    let mut digits = itoa::Buffer::new();
    let id = IdText::new(id);
    let mut words: Vec<&[u8]> = vec![b"XADD", key.bytes];
    words.extend(trimmed.words(&mut digits));
    words.push(&id);
    words.extend(pairs);
    ctx.txn.effect(&words);
}

/// XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]
pub(crate) fn xtrim(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let mut words = args.cursor(2);
    let mut options = TrimOptions::default();
    while !words.is_done() {
        if !options.take(&mut words)? {
            return Err(CommandError::Syntax);
        }
    }
    let trim = options.finish(ctx)?.ok_or(CommandError::Syntax)?;
    let key = ctx.key(args.get(1));
    if ctx.stream_mut(&key)?.is_none_or(|stream| stream.is_empty()) {
        reply.int(0);
        return Ok(());
    }
    let trimmed = self::trim(ctx, &key, &trim)?;
    // What XADD trims is part of its one change.
    ctx.txn.counters.dirty += trimmed.count;
    reply.int(trimmed.count as i64);
    let mut digits = itoa::Buffer::new();
    let options = trimmed.words(&mut digits);
    if !options.is_empty() {
        ctx.txn.effect(&[&[&b"XTRIM"[..], key.bytes], &options[..]].concat());
    }
    Ok(())
}
