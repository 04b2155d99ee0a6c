//! Writing streams.

use super::kind;
use super::output::Output;
use crate::error::Error;
use crate::place::{BYTES, ELEMENTS, PartPlace, StreamPlace};
use redoubt_store::packed::{Packed, PackedValue};
use redoubt_store::types::stream::{Entry, Group};
use redoubt_store::{Stream, StreamId};
use std::io::Write;

const SAME_FIELDS: i64 = 2;

pub(super) fn write_stream<W: Write>(out: &mut Output<W>, kind: u8, stream: &Stream) -> Result<(), Error> {
    let mut place = PartPlace { begun: true, ..PartPlace::default() };
    while write_stream_part(out, kind, stream, &mut place)? {}
    Ok(())
}

/// Writes some of a stream. Whether there is more.
pub(super) fn write_stream_part<W: Write>(
    out: &mut Output<W>,
    kind: u8,
    stream: &Stream,
    place: &mut PartPlace,
) -> Result<bool, Error> {
    if let StreamPlace::Entries(StreamId::MIN) = place.stream {
        out.length(stream.blocks() as u64);
    }
    let end = out.position() + BYTES;
    while out.position() < end {
        place.stream = match place.stream {
            StreamPlace::Entries(from) => write_entries(out, stream, from)?,
            StreamPlace::Summary => {
                out.length(stream.len());
                out.id(stream.last_id());
                out.id(stream.first_id());
                out.id(stream.max_deleted_id());
                out.length(stream.entries_added());
                out.length(stream.groups().len() as u64);
                StreamPlace::Group(0)
            }
            StreamPlace::Group(at) => match stream.groups().nth(at) {
                Some(group) => {
                    out.string(group.name())?;
                    out.id(group.last_id());
                    out.length(group.entries_read().unwrap_or(u64::MAX));
                    out.length(group.pending_len() as u64);
                    StreamPlace::Pending(at, StreamId::MIN)
                }
                None => StreamPlace::End,
            },
            StreamPlace::Pending(at, from) => write_pending(out, nth(stream, at), at, from)?,
            StreamPlace::Consumer(at, number) => match nth(stream, at).consumers().nth(number) {
                Some(consumer) => {
                    out.string(consumer.name())?;
                    out.millis(consumer.seen_ms);
                    if kind == kind::STREAM_3 {
                        out.millis(consumer.active_ms.unwrap_or(-1));
                    }
                    out.length(consumer.pending_len() as u64);
                    StreamPlace::Owned(at, number, StreamId::MIN)
                }
                None => StreamPlace::Group(at + 1),
            },
            StreamPlace::Owned(at, number, from) => {
                let group = nth(stream, at);
                let consumer = group.consumers().nth(number).expect("it was there");
                let mut ids = consumer.pending_from(from);
                for id in ids.by_ref().take(ELEMENTS) {
                    out.fixed_id(id);
                    out.raw(&[])?;
                }
                match ids.next() {
                    Some(next) => StreamPlace::Owned(at, number, next),
                    None => StreamPlace::Consumer(at, number + 1),
                }
            }
            StreamPlace::End => return Ok(false),
        };
    }
    Ok(true)
}

fn nth(stream: &Stream, at: usize) -> &Group {
    stream.groups().nth(at).expect("the stream does not change meanwhile")
}

/// The block that begins at `from` or after it.
fn write_entries<W: Write>(
    out: &mut Output<W>,
    stream: &Stream,
    from: StreamId,
) -> Result<StreamPlace, Error> {
    let Some(start) = stream.block_start_from(from) else { return Ok(StreamPlace::Summary) };
    let next = start.next().and_then(|after| stream.block_start_from(after));
    let end = next.and_then(|next| next.previous()).unwrap_or(StreamId::MAX);
    let entries: Vec<Entry<'_>> = stream.range(start, end).collect();
    if let Some(first) = entries.first() {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&first.id.ms.to_be_bytes());
        key[8..].copy_from_slice(&first.id.seq.to_be_bytes());
        out.string(&key)?;
        out.listpack(&block(first, &entries))?;
    }
    Ok(next.map_or(StreamPlace::Summary, StreamPlace::Entries))
}

/// Pending entries from an id on; after the last, what stands before the consumers.
fn write_pending<W: Write>(
    out: &mut Output<W>,
    group: &Group,
    at: usize,
    from: StreamId,
) -> Result<StreamPlace, Error> {
    let mut pending = group.pending_from(from);
    for (id, pending) in pending.by_ref().take(ELEMENTS) {
        out.fixed_id(id);
        out.millis(pending.delivered_ms);
        out.length(pending.deliveries);
        out.raw(&[])?;
    }
    if let Some((next, _)) = pending.next() {
        return Ok(StreamPlace::Pending(at, next));
    }
    out.length(group.consumers().len() as u64);
    Ok(StreamPlace::Consumer(at, 0))
}

fn push_number(packed: &mut Packed, value: i64) {
    packed.push_back(itoa::Buffer::new().format(value).as_bytes());
}

fn push(packed: &mut Packed, value: PackedValue<'_>) {
    packed.push_back(value.as_bytes(&mut itoa::Buffer::new()));
}

fn same(a: PackedValue<'_>, b: PackedValue<'_>) -> bool {
    match (a, b) {
        (PackedValue::Int(a), PackedValue::Int(b)) => a == b,
        (PackedValue::Bytes(a), PackedValue::Bytes(b)) => a == b,
        _ => false,
    }
}

/// Entries in one listpack; names of the first are not repeated.
fn block(first: &Entry<'_>, entries: &[Entry<'_>]) -> Packed {
    let mut packed = Packed::new();
    let names: Vec<PackedValue<'_>> = first.fields.clone().map(|(name, _)| name).collect();
    push_number(&mut packed, entries.len() as i64);
    push_number(&mut packed, 0);
    push_number(&mut packed, names.len() as i64);
    names.iter().for_each(|name| push(&mut packed, *name));
    push_number(&mut packed, 0);
    for entry in entries {
        let fields = entry.fields.clone();
        let count = fields.len();
        let alike = count == names.len() && fields.zip(&names).all(|((name, _), other)| same(name, *other));
        push_number(&mut packed, if alike { SAME_FIELDS } else { 0 });
        push_number(&mut packed, entry.id.ms.wrapping_sub(first.id.ms) as i64);
        push_number(&mut packed, entry.id.seq.wrapping_sub(first.id.seq) as i64);
        if !alike {
            push_number(&mut packed, count as i64);
        }
        for (name, value) in entry.fields.clone() {
            if !alike {
                push(&mut packed, name);
            }
            push(&mut packed, value);
        }
        let size = if alike { count + 3 } else { 2 * count + 4 };
        push_number(&mut packed, size as i64);
    }
    packed
}
