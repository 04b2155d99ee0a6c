//! Reading streams.

use super::compact::listpack;
use super::input::Result;
use super::kind;
use super::read_value::{ValueReader, located};
use redoubt_store::packed::PackedValue;
use redoubt_store::types::stream::Pending;
use redoubt_store::{EncodingLimits, Stream, StreamId};
use std::collections::HashMap;
use std::io::Read;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// What is wrong, or nothing.
type Flat<T> = std::result::Result<T, &'static str>;

const DAMAGED: &str = "a block of a stream is damaged";

impl<R: Read> ValueReader<'_, R> {
    pub(super) fn stream(&mut self, kind: u8) -> Result<Stream> {
        let mut stream = Stream::new();
        for _ in 0..self.input.length()? {
            let (offset, base) = self.blob()?;
            let base = located(offset, <[u8; 16]>::try_from(base).map_err(|_| "a stream id of odd length"))?;
            let bits = u128::from_be_bytes(base);
            let base = StreamId::new((bits >> 64) as u64, bits as u64);
            let (offset, block) = self.blob()?;
            let block = located(offset, listpack(&block))?;
            located(offset, add_block(&mut stream, base, &block))?;
        }
        let offset = self.input.position();
        let (len, last_id) = (self.input.length()?, self.input.id()?);
        if len != stream.len() {
            return located(offset, Err("a stream of another length than it says"));
        }
        if last_id < stream.last_id() {
            return located(offset, Err("a stream whose last id is below its entries"));
        }
        stream.set_last_id(last_id);
        if kind == kind::STREAM_1 {
            stream.set_entries_added(len);
        } else {
            // The first id is known from the entries.
            self.input.id()?;
            stream.set_max_deleted_id(self.input.id()?);
            stream.set_entries_added(self.input.length()?);
        }
        for _ in 0..self.input.length()? {
            self.group(&mut stream, kind)?;
        }
        Ok(stream)
    }

    fn group(&mut self, stream: &mut Stream, kind: u8) -> Result<()> {
        let (offset, name) = self.blob()?;
        let last_id = self.input.id()?;
        let read = match kind {
            kind::STREAM_1 => stream.entries_up_to(last_id),
            _ => Some(self.input.length()?).filter(|read| *read != u64::MAX),
        };
        if !stream.create_group(&name, last_id, read) {
            return located(offset, Err("the same group twice"));
        }
        let mut pending = HashMap::new();
        for _ in 0..self.input.length()? {
            let id = self.input.fixed_id()?;
            let mut entry = Pending::new(self.input.millis()?);
            entry.deliveries = self.input.length()?;
            if pending.insert(id, entry).is_some() {
                return self.input.corrupt("the same pending entry twice");
            }
        }
        for _ in 0..self.input.length()? {
            self.consumer(stream, &name, kind, &mut pending)?;
        }
        if !pending.is_empty() {
            return self.input.corrupt("a pending entry that no consumer has");
        }
        Ok(())
    }

    fn consumer(
        &mut self,
        stream: &mut Stream,
        group: &[u8],
        kind: u8,
        pending: &mut HashMap<StreamId, Pending>,
    ) -> Result<()> {
        let (offset, name) = self.blob()?;
        let seen = self.input.millis()?;
        let active = if kind == kind::STREAM_3 { self.input.millis()? } else { seen };
        let group = located(offset, stream.group_mut(group).ok_or("a consumer without group"))?;
        let (id, new) = group.create_consumer(&name, seen);
        if !new {
            return located(offset, Err("the same consumer twice"));
        }
        group.consumer_mut(id).active_ms = Some(active).filter(|at| *at != -1);
        for _ in 0..self.input.length()? {
            let entry = self.input.fixed_id()?;
            match pending.remove(&entry) {
                Some(known) => group.assign(entry, id, known),
                None => return self.input.corrupt("a consumer has what is not pending"),
            }
        }
        Ok(())
    }
}

/// Numbers and texts of a block, one after the other.
struct Elements<'a, 'b> {
    values: std::slice::Iter<'b, PackedValue<'a>>,
}

impl<'a> Elements<'a, '_> {
    fn next(&mut self) -> Flat<PackedValue<'a>> {
        self.values.next().copied().ok_or(DAMAGED)
    }

    fn number(&mut self) -> Flat<i64> {
        match self.next()? {
            PackedValue::Int(value) => Ok(value),
            PackedValue::Bytes(_) => Err(DAMAGED),
        }
    }

    fn count(&mut self) -> Flat<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| DAMAGED)?;
        // Nobody can have more than there is.
        if count <= self.values.len() { Ok(count) } else { Err(DAMAGED) }
    }
}

/// Adds the entries of a block. It stays a block.
fn add_block(stream: &mut Stream, base: StreamId, block: &[PackedValue<'_>]) -> Flat<()> {
    let mut limits =
        EncodingLimits { stream_node_bytes: 0, stream_node_entries: 1, ..EncodingLimits::default() };
    let mut elements = Elements { values: block.iter() };
    let (live, deleted) = (elements.number()?, elements.number()?);
    let names = elements.count()?;
    let names: Vec<Vec<u8>> = (0..names).map(|_| Ok(elements.next()?.to_vec())).collect::<Flat<_>>()?;
    if elements.number()? != 0 {
        return Err(DAMAGED);
    }
    let (mut lives, mut deads, mut texts) = (0, 0, Vec::new());
    while elements.values.len() > 0 {
        let start = elements.values.len();
        let (flags, ms, seq) = (elements.number()?, elements.number()?, elements.number()?);
        let id = StreamId::new(base.ms.wrapping_add(ms as u64), base.seq.wrapping_add(seq as u64));
        texts.clear();
        if flags & SAME_FIELDS != 0 {
            for name in &names {
                texts.extend([name.clone(), elements.next()?.to_vec()]);
            }
        } else {
            for _ in 0..elements.count()? {
                texts.extend([elements.next()?.to_vec(), elements.next()?.to_vec()]);
            }
        }
        let size = start - elements.values.len();
        if elements.number()? != size as i64 {
            return Err(DAMAGED);
        }
        if flags & DELETED != 0 {
            deads += 1;
            continue;
        }
        lives += 1;
        let pairs: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        if !stream.add(id, &pairs, &limits) {
            return Err("entries of a stream out of order");
        }
        limits.stream_node_entries = 0;
    }
    if (lives, deads) == (live, deleted) {
        Ok(())
    } else {
        Err("a block of a stream counts its entries wrong")
    }
}
