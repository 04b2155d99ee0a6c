//! A run of entries in one buffer, with the fields of the first entry written once.
//!
//! The buffer holds `fields` (a count and that many names) and then entries:
//! `head | ms | seq | [count] | values`. `head` is a varint of the bytes behind it, shifted by two, and two bits: deleted,
//! and fields as at the beginning of the block. `ms` and `seq` count from the block's first id (`seq` from zero where
//! `ms` is not zero). Names and values are written as in `packed`, without the length behind; an entry with fields of its
//! own has their count and each name before its value.
//!
//! Ids are relative to the block and not to the entry before, so entries can be cut out without touching others.

use super::id::StreamId;
use crate::alloc_size::alloc_size;
use crate::packed::{Encoded, PackedValue, decode};

/// Every so many entries, the place of one is noted.
const MARK_EVERY: u32 = 16;
const DELETED: u64 = 1;
const SAME_FIELDS: u64 = 2;
/// Bytes a listpack takes beside its elements: <https://github.com/antirez/listpack/blob/master/listpack.md>.
const LISTPACK_FRAME: u32 = 7;
/// Deleted entries that are left in place at least, so that deleting does not copy all the time.
const SLACK_MIN: u32 = 16;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Id of the first entry the block ever had; all others count from it.
    base: StreamId,
    /// Newest id, be its entry deleted or not.
    last: StreamId,
    live: u32,
    /// Entries deleted since the block began.
    dead: u32,
    /// Entries in the buffer, live and deleted.
    stored: u32,
    /// Bytes that the elements of the entries take in a Redis listpack: it decides when a block is full.
    listed: u32,
    /// Where the entries begin.
    entries: u32,
    /// The first live entry.
    start: u32,
    data: Vec<u8>,
    /// Places of every `MARK_EVERY`th stored entry.
    marks: Vec<u32>,
}

/// Place of an entry, and what its head says.
#[derive(Clone, Copy)]
struct Head {
    /// Right after the head.
    body: usize,
    /// The next entry.
    next: usize,
    bits: u64,
}

impl Head {
    fn is_live(self) -> bool {
        self.bits & DELETED == 0
    }
}

/// Fields and values of an entry.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// Names shared by the block, or nothing when names and values alternate.
    names: Option<&'a [u8]>,
    data: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (PackedValue<'a>, PackedValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = take_value(self.names.as_mut().unwrap_or(&mut self.data));
        Some((name, take_value(&mut self.data)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

#[inline]
fn take_value<'a>(data: &mut &'a [u8]) -> PackedValue<'a> {
    let (size, value) = decode(data);
    *data = &data[size..];
    value
}

#[inline]
fn varint(data: &[u8], at: &mut usize) -> u64 {
    let first = data[*at];
    *at += 1;
    if first < 0x80 {
        return u64::from(first);
    }
    let (mut value, mut shift) = (u64::from(first & 0x7F), 7);
    loop {
        let byte = data[*at];
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

fn varint_len(value: u64) -> usize {
    (value | 1).ilog2() as usize / 7 + 1
}

#[inline]
fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes `value` over all of `out`, which is as long as its varint or longer.
fn fill_varint(out: &mut [u8], mut value: u64) {
    let last = out.len() - 1;
    for byte in &mut out[..last] {
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    out[last] = value as u8;
}

/// Appends a name or value; returns the bytes of its listpack element.
#[inline]
fn push_value(out: &mut Vec<u8>, text: &[u8]) -> u32 {
    let encoded = Encoded::new(text);
    out.extend_from_slice(&encoded.head[..usize::from(encoded.head_len)]);
    out.extend_from_slice(encoded.payload);
    encoded.len() as u32
}

/// Bytes of the listpack element of a number.
fn listed_int(value: i64) -> u32 {
    match value {
        0..=127 => 2,
        -4096..=4095 => 3,
        -0x8000..=0x7FFF => 4,
        -0x80_0000..=0x7F_FFFF => 5,
        -0x8000_0000..=0x7FFF_FFFF => 6,
        _ => 10,
    }
}

impl Block {
    /// A block whose entries share the names of `pairs` (name, value, name, value...), without an entry yet.
    pub(super) fn new(base: StreamId, pairs: &[&[u8]]) -> Block {
        let mut data = Vec::new();
        push_varint(&mut data, (pairs.len() / 2) as u64);
        // The count of names and the mark behind them are elements too.
        let mut listed = listed_int((pairs.len() / 2) as i64) + listed_int(0);
        for name in pairs.iter().step_by(2) {
            listed += push_value(&mut data, name);
        }
        let entries = data.len() as u32;
        Block {
            base,
            last: base,
            live: 0,
            dead: 0,
            stored: 0,
            listed,
            entries,
            start: entries,
            data,
            marks: Vec::new(),
        }
    }

    /// The id that others count from; no entry of the block is below.
    pub(super) fn base(&self) -> StreamId {
        self.base
    }

    /// The newest id, be its entry deleted or not.
    pub(super) fn last(&self) -> StreamId {
        self.last
    }

    /// Entries that are not deleted.
    pub(super) fn live(&self) -> u64 {
        u64::from(self.live)
    }

    /// Entries the block has had in all.
    pub(super) fn total(&self) -> u64 {
        u64::from(self.live) + u64::from(self.dead)
    }

    /// Bytes this block would take as a Redis listpack.
    pub(super) fn listpack_bytes(&self) -> u64 {
        let counts = listed_int(i64::from(self.live)) + listed_int(i64::from(self.dead));
        u64::from(LISTPACK_FRAME + counts + self.listed)
    }

    /// Bytes on the heap.
    pub(super) fn mem_usage(&self) -> usize {
        alloc_size(self.data.capacity()) + alloc_size(self.marks.capacity() * size_of::<u32>())
    }

    /// Gives back what is not used: no entry is added any more.
    pub(super) fn seal(&mut self) {
        self.data.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    // --- writing -------------------------------------------------------------------------------------------------

    /// Appends an entry; its id is above all others.
    pub(super) fn push(&mut self, id: StreamId, pairs: &[&[u8]]) {
        let place = self.data.len();
        if self.stored.is_multiple_of(MARK_EVERY) {
            self.marks.push(place as u32);
        }
        let same = self.has_names(pairs);
        let text: usize = pairs.iter().map(|text| text.len() + 10).sum();
        self.reserve(text + 32);
        let ms = id.ms - self.base.ms;
        let seq = if ms == 0 { id.seq - self.base.seq } else { id.seq };
        let head_len = self.head_len(ms, seq, pairs, same);
        self.data.resize(place + head_len, 0);
        push_varint(&mut self.data, ms);
        push_varint(&mut self.data, seq);
        let (count, mut listed) = ((pairs.len() / 2) as i64, 0);
        if same {
            for value in pairs.iter().skip(1).step_by(2) {
                listed += push_value(&mut self.data, value);
            }
        } else {
            push_varint(&mut self.data, count as u64);
            for text in pairs {
                listed += push_value(&mut self.data, text);
            }
        }
        let bits = if same { SAME_FIELDS } else { 0 };
        let body = (self.data.len() - place - head_len) as u64;
        fill_varint(&mut self.data[place..place + head_len], body << 2 | bits);
        self.count_listed(id, count, same, listed);
        self.last = id;
        self.live += 1;
        self.stored += 1;
    }

    /// Bytes that surely suffice for the head: a text never takes more than its own bytes and a length.
    fn head_len(&self, ms: u64, seq: u64, pairs: &[&[u8]], same: bool) -> usize {
        let size = |text: &&[u8]| text.len() + if text.len() < 64 { 1 } else { 9 };
        let texts: usize = if same {
            pairs.iter().skip(1).step_by(2).map(size).sum()
        } else {
            pairs.iter().map(size).sum::<usize>() + varint_len((pairs.len() / 2) as u64)
        };
        varint_len(((varint_len(ms) + varint_len(seq) + texts) as u64) << 2)
    }

    /// Adds what the entry takes in a listpack: flags, id, count and names where they differ, values, and their number.
    fn count_listed(&mut self, id: StreamId, count: i64, same: bool, values: u32) {
        let ms = listed_int(id.ms.wrapping_sub(self.base.ms) as i64);
        let seq = listed_int(id.seq.wrapping_sub(self.base.seq) as i64);
        let shape = if same { listed_int(count + 3) } else { listed_int(count) + listed_int(2 * count + 4) };
        self.listed = self.listed.saturating_add(listed_int(0) + ms + seq + shape + values);
    }

    fn reserve(&mut self, extra: usize) {
        let needed = self.data.len() + extra;
        if self.data.capacity() < needed {
            let wanted = alloc_size(needed + self.data.len() / 4);
            self.data.reserve_exact(wanted - self.data.len());
        }
    }

    /// Whether the names among `pairs` are those of the block.
    fn has_names(&self, pairs: &[&[u8]]) -> bool {
        let mut at = 0;
        if varint(&self.data, &mut at) as usize != pairs.len() / 2 {
            return false;
        }
        let mut names = &self.data[at..self.entries as usize];
        pairs.iter().step_by(2).all(|name| take_value(&mut names) == **name)
    }

    /// Deletes the entry of this id. True if there was one.
    pub(super) fn delete(&mut self, id: StreamId) -> bool {
        let place = self.seek(id);
        if place >= self.data.len() || self.id_at(place) != id {
            return false;
        }
        self.delete_at(place);
        self.compact();
        true
    }

    /// Deletes live entries from the first on while `which` says so, up to `max`; returns how many.
    pub(super) fn delete_first(&mut self, max: u64, mut which: impl FnMut(StreamId) -> bool) -> u64 {
        let mut deleted = 0;
        while deleted < max && self.live > 0 && which(self.id_at(self.start as usize)) {
            self.delete_at(self.start as usize);
            deleted += 1;
        }
        self.compact();
        deleted
    }

    fn delete_at(&mut self, place: usize) {
        self.data[place] |= DELETED as u8;
        self.live -= 1;
        self.dead += 1;
        if place == self.start as usize {
            self.start = self.next_live(place) as u32;
        }
    }

    /// Cuts deleted entries out when they outnumber the live ones.
    fn compact(&mut self) {
        let slack = self.stored - self.live;
        if slack < SLACK_MIN.max(self.live) || self.live == 0 {
            return;
        }
        let mut data = Vec::with_capacity(self.data.len() / 2);
        data.extend_from_slice(&self.data[..self.entries as usize]);
        self.marks.clear();
        self.stored = 0;
        let mut place = self.start as usize;
        while place < self.data.len() {
            let head = self.head(place);
            if head.is_live() {
                if self.stored.is_multiple_of(MARK_EVERY) {
                    self.marks.push(data.len() as u32);
                }
                data.extend_from_slice(&self.data[place..head.next]);
                self.stored += 1;
            }
            place = head.next;
        }
        data.shrink_to_fit();
        self.data = data;
        self.start = self.entries;
    }

    // --- reading -------------------------------------------------------------------------------------------------

    #[inline]
    fn head(&self, place: usize) -> Head {
        let mut body = place;
        let head = varint(&self.data, &mut body);
        Head { body, next: body + (head >> 2) as usize, bits: head & 3 }
    }

    #[inline]
    fn id_behind(&self, at: &mut usize) -> StreamId {
        let ms = varint(&self.data, at);
        let seq = varint(&self.data, at);
        if ms == 0 {
            StreamId::new(self.base.ms, self.base.seq + seq)
        } else {
            StreamId::new(self.base.ms + ms, seq)
        }
    }

    /// Id of the entry at `place`, which is not the end.
    #[inline]
    pub(super) fn id_at(&self, place: usize) -> StreamId {
        let mut at = self.head(place).body;
        self.id_behind(&mut at)
    }

    /// Place of the first live entry.
    pub(super) fn first_place(&self) -> usize {
        self.start as usize
    }

    /// Place behind the last entry.
    pub(super) fn end_place(&self) -> usize {
        self.data.len()
    }

    /// Place of the first live entry with this id or a greater one, or the end.
    pub(super) fn seek(&self, id: StreamId) -> usize {
        if id <= self.base {
            return self.start as usize;
        }
        if id > self.last {
            return self.data.len();
        }
        let marks = self.marks.partition_point(|mark| self.id_at(*mark as usize) <= id);
        let mark = self.marks.get(marks.wrapping_sub(1)).map_or(0, |mark| *mark as usize);
        let mut place = mark.max(self.start as usize);
        while place < self.data.len() {
            let head = self.head(place);
            if head.is_live() && self.id_behind(&mut { head.body }) >= id {
                break;
            }
            place = head.next;
        }
        place
    }

    /// Place of the live entry after the one at `place`, or the end.
    #[inline]
    pub(super) fn next_live(&self, place: usize) -> usize {
        let mut place = self.head(place).next;
        while place < self.data.len() {
            let head = self.head(place);
            if head.is_live() {
                break;
            }
            place = head.next;
        }
        place
    }

    /// Place of the last live entry before `place`.
    pub(super) fn live_before(&self, place: usize) -> Option<usize> {
        let mut end = place;
        while end > self.start as usize {
            let marks = self.marks.partition_point(|mark| (*mark as usize) < end);
            let from = self.marks.get(marks.wrapping_sub(1)).map_or(0, |mark| *mark as usize);
            let mut at = from.max(self.start as usize);
            let mut found = None;
            while at < end {
                let head = self.head(at);
                if head.is_live() {
                    found = Some(at);
                }
                at = head.next;
            }
            if found.is_some() {
                return found;
            }
            end = from;
        }
        None
    }

    /// Id and fields of the entry at `place`, and the place after it (which may be deleted).
    #[inline]
    pub(super) fn entry(&self, place: usize) -> (StreamId, Fields<'_>) {
        let head = self.head(place);
        let mut at = head.body;
        let id = self.id_behind(&mut at);
        let fields = if head.bits & SAME_FIELDS != 0 {
            let mut names = 0;
            let left = varint(&self.data, &mut names) as usize;
            let names = Some(&self.data[names..self.entries as usize]);
            Fields { names, data: &self.data[at..head.next], left }
        } else {
            let left = varint(&self.data, &mut at) as usize;
            Fields { names: None, data: &self.data[at..head.next], left }
        };
        (id, fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_what_they_take_in_a_listpack() {
        for exponent in 0..63 {
            for value in [1i64 << exponent, (1 << exponent) - 1, -(1 << exponent), -(1 << exponent) - 1] {
                let text = value.to_string();
                assert_eq!(listed_int(value), Encoded::new(text.as_bytes()).len() as u32, "{value}");
            }
        }
    }
}
