//! Flat sequence of byte strings and integers in one buffer, walkable from both ends: what small collections and
//! list nodes are made of.
//!
//! An entry is `[head][payload][back length]`, laid out as in Redis's listpack so that snapshots can copy entries as
//! they are (format: <https://github.com/antirez/listpack/blob/master/listpack.md>). A text that is a canonical
//! decimal 64-bit integer is stored as a number and reads back as the same text.
//!
//! The buffer may have a gap before the first entry, so that pushes and pops at the front move nothing.

mod from;

use crate::alloc_size::alloc_size;
use crate::number::parse_i64;

/// Longest head: tag and a 64-bit length.
const HEAD_MAX: usize = 9;
/// Longest back length: 64 bits in groups of seven.
const BACK_MAX: usize = 10;

const TAG_STR32: u8 = 0xF0;
const TAG_I16: u8 = 0xF1;
const TAG_I24: u8 = 0xF2;
const TAG_I32: u8 = 0xF3;
const TAG_I64: u8 = 0xF4;
/// Ours: a string of 4 GiB or more.
const TAG_STR64: u8 = 0xF5;

/// A sequence of entries in one buffer. The handle is one pointer.
#[derive(Clone, Default)]
pub struct Packed {
    inner: Box<Inner>,
}

#[derive(Default)]
struct Inner {
    /// `start` unused bytes, then the entries.
    buf: Vec<u8>,
    start: u32,
    count: u32,
}

impl Clone for Inner {
    fn clone(&self) -> Inner {
        Inner { buf: self.entries().to_vec(), start: 0, count: self.count }
    }
}

/// Place of an entry, or the end. Valid until the sequence changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(usize);

/// An entry's value.
#[derive(Clone, Copy, Debug)]
pub enum PackedValue<'a> {
    /// Was written as the decimal text of this integer.
    Int(i64),
    /// Any other text.
    Bytes(&'a [u8]),
}

impl<'a> PackedValue<'a> {
    /// The text, formatted into `buffer` where it is stored as a number.
    #[inline]
    pub fn as_bytes<'b>(&self, buffer: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            PackedValue::Int(value) => buffer.format(value).as_bytes(),
            PackedValue::Bytes(bytes) => bytes,
        }
    }

    /// An owned copy of the text.
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_bytes(&mut itoa::Buffer::new()).to_vec()
    }

    /// Length of the text in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes(&mut itoa::Buffer::new()).len()
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        matches!(self, PackedValue::Bytes([]))
    }

    /// The value as an integer, if its text is a canonical one.
    pub fn as_int(&self) -> Option<i64> {
        match *self {
            PackedValue::Int(value) => Some(value),
            PackedValue::Bytes(bytes) => parse_int(bytes),
        }
    }
}

impl PartialEq<[u8]> for PackedValue<'_> {
    #[inline]
    fn eq(&self, text: &[u8]) -> bool {
        Needle::new(text).matches(*self)
    }
}

/// A text to compare with many entries, parsed once.
#[derive(Clone, Copy)]
pub struct Needle<'n> {
    text: &'n [u8],
    int: Option<i64>,
}

impl<'n> Needle<'n> {
    /// Prepares `text`.
    #[inline]
    pub fn new(text: &'n [u8]) -> Needle<'n> {
        Needle { text, int: parse_int(text) }
    }

    /// Whether `value` has this text.
    #[inline]
    pub fn matches(&self, value: PackedValue<'_>) -> bool {
        match (value, self.int) {
            (PackedValue::Int(value), Some(int)) => value == int,
            (PackedValue::Bytes(bytes), _) => bytes == self.text,
            (PackedValue::Int(_), None) => false,
        }
    }
}

/// The integer an entry of this text is stored as. Quick to refuse what cannot be one.
#[inline]
fn parse_int(text: &[u8]) -> Option<i64> {
    match text {
        [b'-' | b'0'..=b'9', ..] if text.len() <= 20 => parse_i64(text),
        _ => None,
    }
}

/// An encoded entry without its string payload.
pub(crate) struct Encoded<'a> {
    pub(crate) head: [u8; HEAD_MAX],
    pub(crate) head_len: u8,
    back: [u8; BACK_MAX],
    back_len: u8,
    pub(crate) payload: &'a [u8],
}

impl<'a> Encoded<'a> {
    #[inline]
    pub(crate) fn new(text: &'a [u8]) -> Encoded<'a> {
        match parse_int(text) {
            Some(value) => Encoded::int(value),
            None => Encoded::bytes(text),
        }
    }

    fn int(value: i64) -> Encoded<'a> {
        let mut head = [0u8; HEAD_MAX];
        let le = value.to_le_bytes();
        let head_len = match value {
            0..=127 => {
                head[0] = value as u8;
                1
            }
            -4096..=4095 => {
                let bits = (value & 0x1FFF) as u16;
                head[0] = 0xC0 | (bits >> 8) as u8;
                head[1] = bits as u8;
                2
            }
            _ => {
                let (tag, width) = match value {
                    -0x8000..=0x7FFF => (TAG_I16, 2),
                    -0x80_0000..=0x7F_FFFF => (TAG_I24, 3),
                    -0x8000_0000..=0x7FFF_FFFF => (TAG_I32, 4),
                    _ => (TAG_I64, 8),
                };
                head[0] = tag;
                head[1..=width].copy_from_slice(&le[..width]);
                1 + width
            }
        };
        Encoded::with_back(head, head_len, &[])
    }

    #[inline]
    fn bytes(text: &'a [u8]) -> Encoded<'a> {
        let mut head = [0u8; HEAD_MAX];
        let len = text.len();
        let head_len = if len < 64 {
            head[0] = 0x80 | len as u8;
            1
        } else if len < 4096 {
            head[0] = 0xE0 | (len >> 8) as u8;
            head[1] = len as u8;
            2
        } else if let Ok(len) = u32::try_from(len) {
            head[0] = TAG_STR32;
            head[1..5].copy_from_slice(&len.to_le_bytes());
            5
        } else {
            head[0] = TAG_STR64;
            head[1..9].copy_from_slice(&(len as u64).to_le_bytes());
            9
        };
        Encoded::with_back(head, head_len, text)
    }

    #[inline]
    fn with_back(head: [u8; HEAD_MAX], head_len: usize, payload: &'a [u8]) -> Encoded<'a> {
        let mut back = [0u8; BACK_MAX];
        let back_len = encode_back(head_len + payload.len(), &mut back);
        Encoded { head, head_len: head_len as u8, back, back_len: back_len as u8, payload }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.head_len as usize + self.payload.len() + self.back_len as usize
    }

    /// Writes the entry into `out`, which has exactly its length.
    #[inline]
    fn write(&self, out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(self.head_len as usize);
        head.copy_from_slice(&self.head[..self.head_len as usize]);
        let (payload, back) = rest.split_at_mut(self.payload.len());
        payload.copy_from_slice(self.payload);
        back.copy_from_slice(&self.back[..self.back_len as usize]);
    }

    #[inline]
    fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head[..self.head_len as usize]);
        out.extend_from_slice(self.payload);
        out.extend_from_slice(&self.back[..self.back_len as usize]);
    }
}

/// Writes `len` in groups of seven bits, most significant first; all but the first byte carry the top bit, so that
/// it reads backwards. Returns the bytes used.
#[inline]
fn encode_back(len: usize, out: &mut [u8; BACK_MAX]) -> usize {
    let used = back_size(len);
    for (at, byte) in out[..used].iter_mut().enumerate() {
        let group = (len >> (7 * (used - 1 - at))) as u8 & 0x7F;
        *byte = if at == 0 { group } else { group | 0x80 };
    }
    used
}

/// Bytes the back length of an entry with `len` bytes of head and payload takes. As in Redis, who counts them to find the
/// next entry, the greatest length of two groups or more (16383, 2097151...) takes one more than it needs.
#[inline]
fn back_size(len: usize) -> usize {
    if len < 128 { 1 } else { ((len + 1).ilog2() as usize) / 7 + 1 }
}

/// Bytes of head and payload, and the value, of the entry that begins `data`.
#[inline]
pub(crate) fn decode(data: &[u8]) -> (usize, PackedValue<'_>) {
    let tag = data[0];
    let text = |head: usize, len: usize| (head + len, PackedValue::Bytes(&data[head..head + len]));
    match tag {
        0..=0x7F => (1, PackedValue::Int(i64::from(tag))),
        0x80..=0xBF => text(1, usize::from(tag & 0x3F)),
        0xC0..=0xDF => {
            let bits = (u16::from(tag & 0x1F) << 8) | u16::from(data[1]);
            // Sign extension of 13 bits.
            (2, PackedValue::Int(i64::from(((bits << 3) as i16) >> 3)))
        }
        0xE0..=0xEF => text(2, (usize::from(tag & 0x0F) << 8) | usize::from(data[1])),
        TAG_STR32 => text(5, little(&data[1..5]) as usize),
        TAG_STR64 => text(9, little(&data[1..9]) as usize),
        _ => {
            let width = match tag {
                TAG_I16 => 2,
                TAG_I24 => 3,
                TAG_I32 => 4,
                _ => 8,
            };
            let unused = 64 - 8 * width as u32;
            let bits = little(&data[1..=width]);
            (1 + width, PackedValue::Int(((bits << unused) as i64) >> unused))
        }
    }
}

/// A number of two, three, four or eight bytes.
#[inline]
fn little(bytes: &[u8]) -> u64 {
    match *bytes {
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
    }
}

/// The entry at `pos` of `data`, and the place after it.
#[inline]
fn entry_at(data: &[u8], pos: Pos) -> Option<(PackedValue<'_>, Pos)> {
    let data = data.get(pos.0..)?;
    if data.is_empty() {
        return None;
    }
    let (size, value) = decode(data);
    Some((value, Pos(pos.0 + size + back_size(size))))
}

/// Place of the entry of `data` before `pos`.
#[inline]
fn entry_before(data: &[u8], pos: Pos) -> Option<Pos> {
    let data = data.get(..pos.0)?;
    let mut size = 0;
    let mut used = 0;
    for &byte in data.iter().rev().take(BACK_MAX) {
        size |= usize::from(byte & 0x7F) << (7 * used);
        used += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if used == 0 { None } else { Some(Pos(pos.0 - used - size)) }
}

impl Inner {
    #[inline]
    fn entries(&self) -> &[u8] {
        &self.buf[self.start as usize..]
    }

    /// Makes room for `extra` bytes at the back.
    #[inline]
    fn reserve_back(&mut self, extra: usize) {
        if self.buf.capacity() - self.buf.len() < extra {
            self.grow_back(extra);
        }
    }

    #[cold]
    fn grow_back(&mut self, extra: usize) {
        let start = self.start as usize;
        let len = self.buf.len() - start;
        // Sliding into the gap is worth its copy when it gains a share of what it moves.
        if start >= extra && start >= len / 16 {
            self.buf.copy_within(start.., 0);
            self.buf.truncate(len);
            self.start = 0;
            return;
        }
        self.rebuild(start, alloc_size(self.buf.len() + extra));
    }

    /// Makes room for `extra` bytes before the first entry.
    #[inline]
    fn reserve_front(&mut self, extra: usize) {
        if (self.start as usize) < extra {
            self.grow_front(extra);
        }
    }

    #[cold]
    fn grow_front(&mut self, extra: usize) {
        let start = self.start as usize;
        let len = self.buf.len() - start;
        let slack = self.buf.capacity() - len;
        let capacity = if slack >= 2 * extra && slack >= len / 16 {
            // Share the room there is with the back.
            let gap = start + (self.buf.capacity() - self.buf.len()).div_ceil(2).max(extra - start);
            return self.slide_up(gap.min(slack));
        } else {
            alloc_size(len + extra)
        };
        self.rebuild(capacity - len, capacity);
    }

    fn slide_up(&mut self, gap: usize) {
        let start = self.start as usize;
        let end = self.buf.len();
        self.buf.resize(end + gap - start, 0);
        self.buf.copy_within(start..end, gap);
        self.start = gap as u32;
    }

    /// Moves the entries to a buffer of `capacity` bytes, `gap` of them before the first.
    fn rebuild(&mut self, gap: usize, capacity: usize) {
        if gap == self.start as usize && capacity >= self.buf.capacity() {
            self.buf.reserve_exact(capacity - self.buf.len());
            return;
        }
        let mut buf = Vec::with_capacity(capacity);
        buf.resize(gap, 0);
        buf.extend_from_slice(self.entries());
        self.buf = buf;
        self.start = gap as u32;
    }

    /// Makes the bytes `at..at + old` be `new` bytes long. The content of the opened part is unspecified.
    fn resize_range(&mut self, at: usize, old: usize, new: usize) {
        let end = self.buf.len();
        if new > old {
            let extra = new - old;
            let before = self.start as usize;
            self.reserve_back(extra);
            let at = at - (before - self.start as usize);
            let end = end - (before - self.start as usize);
            self.buf.resize(end + extra, 0);
            self.buf.copy_within(at + old..end, at + new);
        } else if old > new {
            self.buf.copy_within(at + old..end, at + new);
            self.buf.truncate(end - (old - new));
        }
    }
}

impl Packed {
    /// An empty sequence.
    pub fn new() -> Packed {
        Packed::default()
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.inner.count as usize
    }

    /// Whether there are no entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.inner.count == 0
    }

    /// Bytes of all entries, overhead of each included.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.inner.buf.len() - self.inner.start as usize
    }

    /// The encoded entries, as in the body of a listpack (no header, no end mark).
    pub fn as_encoded(&self) -> &[u8] {
        self.inner.entries()
    }

    /// Bytes on the heap.
    pub fn mem_usage(&self) -> usize {
        alloc_size(size_of::<Inner>()) + alloc_size(self.inner.buf.capacity())
    }

    /// Bytes an entry of `text` would take.
    #[inline]
    pub fn entry_size(text: &[u8]) -> usize {
        Encoded::new(text).len()
    }

    /// Gives back memory that is not used.
    pub fn shrink(&mut self) {
        if self.inner.start > 0 {
            self.inner.rebuild(0, self.byte_len());
        } else {
            self.inner.buf.shrink_to_fit();
        }
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        *self.inner = Inner::default();
    }

    /// Adds an entry at the end.
    #[inline]
    pub fn push_back(&mut self, text: &[u8]) {
        let entry = Encoded::new(text);
        self.inner.reserve_back(entry.len());
        entry.append(&mut self.inner.buf);
        self.inner.count += 1;
    }

    /// Adds an entry at the beginning.
    #[inline]
    pub fn push_front(&mut self, text: &[u8]) {
        let entry = Encoded::new(text);
        let size = entry.len();
        self.inner.reserve_front(size);
        let start = self.inner.start as usize;
        entry.write(&mut self.inner.buf[start - size..start]);
        self.inner.start -= size as u32;
        self.inner.count += 1;
    }

    // Places.

    /// Place of the first entry, or the end.
    #[inline]
    pub fn first(&self) -> Pos {
        Pos(0)
    }

    /// The place after the last entry.
    #[inline]
    pub fn end(&self) -> Pos {
        Pos(self.byte_len())
    }

    /// Place of the last entry.
    pub fn last(&self) -> Option<Pos> {
        self.before(self.end())
    }

    /// The entry at `pos`, and the place after it.
    #[inline]
    pub fn at(&self, pos: Pos) -> Option<(PackedValue<'_>, Pos)> {
        entry_at(self.inner.entries(), pos)
    }

    /// The place after the entry at `pos`; the end stays the end.
    #[inline]
    pub fn after(&self, pos: Pos) -> Pos {
        self.at(pos).map_or(pos, |(_, next)| next)
    }

    /// Place of the entry before `pos`.
    #[inline]
    pub fn before(&self, pos: Pos) -> Option<Pos> {
        entry_before(self.inner.entries(), pos)
    }

    /// Place of the entry at `index` (negative: from the end, -1 is the last).
    #[inline]
    pub fn seek(&self, index: isize) -> Option<Pos> {
        let count = self.len();
        let index = if index < 0 { count.checked_sub(index.unsigned_abs())? } else { index as usize };
        if index >= count {
            return None;
        }
        if index <= count / 2 {
            Some((0..index).fold(self.first(), |pos, _| self.after(pos)))
        } else {
            (index..count).try_fold(self.end(), |pos, _| self.before(pos))
        }
    }

    /// First place from `from` on whose entry equals `text`, comparing an entry and then skipping `stride`.
    #[inline]
    pub fn find_from(&self, from: Pos, text: &[u8], stride: usize) -> Option<Pos> {
        let needle = Needle::new(text);
        let mut pos = from;
        while let Some((value, next)) = self.at(pos) {
            if needle.matches(value) {
                return Some(pos);
            }
            pos = (0..stride).fold(next, |pos, _| self.after(pos));
        }
        None
    }

    /// First place whose entry equals `text`, skipping `stride` entries after each one compared (1 for pairs).
    #[inline]
    pub fn find(&self, text: &[u8], stride: usize) -> Option<Pos> {
        self.find_from(self.first(), text, stride)
    }

    /// Inserts an entry before `pos`.
    pub fn insert_at(&mut self, pos: Pos, text: &[u8]) {
        if pos.0 == 0 {
            return self.push_front_compact(text);
        }
        if pos >= self.end() {
            return self.push_back(text);
        }
        self.put(pos, 0, &Encoded::new(text));
        self.inner.count += 1;
    }

    /// An insertion before the first entry that leaves no gap for more: small maps do not grow at the front.
    fn push_front_compact(&mut self, text: &[u8]) {
        let entry = Encoded::new(text);
        if self.inner.start as usize >= entry.len() {
            return self.push_front(text);
        }
        self.put(Pos(0), 0, &entry);
        self.inner.count += 1;
    }

    /// Replaces the entry at `pos`; at the end it does nothing.
    pub fn replace_at(&mut self, pos: Pos, text: &[u8]) {
        if let Some((_, next)) = self.at(pos) {
            self.put(pos, next.0 - pos.0, &Encoded::new(text));
        }
    }

    /// Removes up to `count` entries from `pos` on.
    pub fn remove_at(&mut self, pos: Pos, count: usize) {
        let mut end = pos;
        let mut removed = 0;
        while removed < count
            && let Some((_, next)) = self.at(end)
        {
            end = next;
            removed += 1;
        }
        if removed == 0 {
            return;
        }
        self.inner.count -= removed as u32;
        let start = self.inner.start as usize;
        let gap = start + end.0;
        if self.inner.count == 0 {
            self.inner.buf.clear();
            self.inner.start = 0;
        } else if pos.0 == 0 && u32::try_from(gap).is_ok() {
            self.inner.start = gap as u32;
        } else {
            self.inner.resize_range(start + pos.0, end.0 - pos.0, 0);
        }
        self.give_back();
    }

    /// Moves the entries from `from` up to `end` before the one at `to`, which is none of them. Returns where they
    /// begin then.
    pub fn move_before(&mut self, from: Pos, end: Pos, to: Pos) -> Pos {
        let start = self.inner.start as usize;
        let size = end.0 - from.0;
        if to > end {
            self.inner.buf[start + from.0..start + to.0].rotate_left(size);
            Pos(to.0 - size)
        } else if to < from {
            self.inner.buf[start + to.0..start + end.0].rotate_right(size);
            to
        } else {
            from
        }
    }

    /// Keeps the entries for which `keep` says so, asked in order.
    pub fn retain(&mut self, mut keep: impl FnMut(PackedValue<'_>) -> bool) {
        let start = self.inner.start as usize;
        let (mut read, mut write, mut kept) = (Pos(0), start, 0);
        while let Some((value, next)) = self.at(read) {
            if keep(value) {
                self.inner.buf.copy_within(start + read.0..start + next.0, write);
                write += next.0 - read.0;
                kept += 1;
            }
            read = next;
        }
        self.inner.buf.truncate(write);
        self.inner.count = kept;
        self.give_back();
    }

    /// Shrinks a buffer that is mostly unused.
    #[inline]
    fn give_back(&mut self) {
        if self.inner.buf.capacity() > 64 && self.byte_len() < self.inner.buf.capacity() / 4 {
            self.inner.rebuild(0, alloc_size(self.byte_len() * 2));
        }
    }

    fn put(&mut self, pos: Pos, old: usize, entry: &Encoded<'_>) {
        let size = entry.len();
        self.inner.resize_range(self.inner.start as usize + pos.0, old, size);
        let at = self.inner.start as usize + pos.0;
        entry.write(&mut self.inner.buf[at..at + size]);
    }

    // By index.

    /// The entry at `index` (negative: from the end).
    #[inline]
    pub fn get(&self, index: isize) -> Option<PackedValue<'_>> {
        self.at(self.seek(index)?).map(|(value, _)| value)
    }

    /// Inserts before the entry at `index`; at or past the length it appends.
    pub fn insert(&mut self, index: usize, text: &[u8]) {
        let pos = isize::try_from(index).ok().and_then(|index| self.seek(index));
        self.insert_at(pos.unwrap_or(self.end()), text);
    }

    /// Replaces the entry at `index` (negative: from the end). False if there is none.
    pub fn replace(&mut self, index: isize, text: &[u8]) -> bool {
        let pos = self.seek(index);
        if let Some(pos) = pos {
            self.replace_at(pos, text);
        }
        pos.is_some()
    }

    /// Removes up to `count` entries from `index` on.
    pub fn remove(&mut self, index: usize, count: usize) {
        if let Some(pos) = isize::try_from(index).ok().and_then(|index| self.seek(index)) {
            self.remove_at(pos, count);
        }
    }

    /// Splits off the entries from `index` on.
    pub fn split_off(&mut self, index: usize) -> Packed {
        let mut tail = Packed::new();
        let Some(pos) = isize::try_from(index).ok().and_then(|index| self.seek(index)) else {
            return tail;
        };
        tail.inner.buf = self.inner.entries()[pos.0..].to_vec();
        tail.inner.count = self.inner.count - index as u32;
        self.remove_at(pos, usize::MAX);
        tail
    }

    /// Appends all entries of `other`.
    pub fn append(&mut self, other: &Packed) {
        self.inner.reserve_back(other.byte_len());
        self.inner.buf.extend_from_slice(other.as_encoded());
        self.inner.count += other.inner.count;
    }

    /// All entries, from both ends.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter { data: self.as_encoded(), front: self.first(), back: self.end(), left: self.len() }
    }

    /// The `count` entries from index `from` on, or as many as there are.
    pub fn range(&self, from: usize, count: usize) -> Iter<'_> {
        let left = count.min(self.len().saturating_sub(from));
        let seek = |index: usize| isize::try_from(index).ok().and_then(|index| self.seek(index));
        let front = seek(from).unwrap_or(self.end());
        // The back end of a part is sought only when the iteration is taken from that side.
        let back = if from + left >= self.len() { self.end() } else { UNSOUGHT };
        Iter { data: self.as_encoded(), front, back, left }
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Stands for a back end that is not known yet.
const UNSOUGHT: Pos = Pos(usize::MAX);

/// Entries of a `Packed`, from both ends.
#[derive(Clone, Default)]
pub struct Iter<'a> {
    data: &'a [u8],
    front: Pos,
    back: Pos,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = PackedValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<PackedValue<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (value, next) = entry_at(self.data, self.front)?;
        self.front = next;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<PackedValue<'a>> {
        let left = self.left.checked_sub(1)?;
        if self.back == UNSOUGHT {
            self.back = (0..self.left)
                .fold(self.front, |pos, _| entry_at(self.data, pos).map_or(pos, |(_, next)| next));
        }
        self.left = left;
        self.back = entry_before(self.data, self.back)?;
        entry_at(self.data, self.back).map(|(value, _)| value)
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
#[path = "packed_tests.rs"]
mod tests;
