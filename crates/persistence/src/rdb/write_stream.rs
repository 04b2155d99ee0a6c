//! Writing streams.

use super::kind;
use super::output::Output;
use crate::error::Error;
use redoubt_store::packed::{Packed, PackedValue};
use redoubt_store::types::stream::{Entry, Group};
use redoubt_store::{Stream, StreamId};
use std::io::Write;

const SAME_FIELDS: i64 = 2;

pub(super) fn write_stream<W: Write>(out: &mut Output<W>, kind: u8, stream: &Stream) -> Result<(), Error> {
    out.length(stream.blocks() as u64);
    let mut starts = stream.block_starts().peekable();
    while let Some(start) = starts.next() {
        let end = starts.peek().and_then(|next| next.previous()).unwrap_or(StreamId::MAX);
        let entries: Vec<Entry<'_>> = stream.range(start, end).collect();
        let Some(first) = entries.first() else { continue };
        let mut key = [0; 16];
        key[..8].copy_from_slice(&first.id.ms.to_be_bytes());
        key[8..].copy_from_slice(&first.id.seq.to_be_bytes());
        out.string(&key)?;
        out.listpack(&block(first, &entries))?;
    }
    out.length(stream.len());
    out.id(stream.last_id());
    out.id(stream.first_id());
    out.id(stream.max_deleted_id());
    out.length(stream.entries_added());
    out.length(stream.groups().len() as u64);
    stream.groups().try_for_each(|group| write_group(out, kind, group))
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

fn write_group<W: Write>(out: &mut Output<W>, kind: u8, group: &Group) -> Result<(), Error> {
    out.string(group.name())?;
    out.id(group.last_id());
    out.length(group.entries_read().unwrap_or(u64::MAX));
    out.length(group.pending_len() as u64);
    for (id, pending) in group.pending_from(StreamId::MIN) {
        out.fixed_id(id);
        out.millis(pending.delivered_ms);
        out.length(pending.deliveries);
        out.raw(&[])?;
    }
    out.length(group.consumers().len() as u64);
    for consumer in group.consumers() {
        out.string(consumer.name())?;
        out.millis(consumer.seen_ms);
        if kind == kind::STREAM_3 {
            out.millis(consumer.active_ms.unwrap_or(-1));
        }
        out.length(consumer.pending_len() as u64);
        for id in consumer.pending_from(StreamId::MIN) {
            out.fixed_id(id);
            out.raw(&[])?;
        }
    }
    Ok(())
}
