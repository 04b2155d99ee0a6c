//! Where a key and its value end, without decoding them: so that one thread reads a file and others decode it.

use super::{kind, mark};
use std::ops::Range;

/// Why a record was not split off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It goes on beyond the bytes there are.
    Short,
    /// It is no key, or damaged: whoever decodes it knows.
    Other,
}

type Split<T> = Result<T, Stop>;

/// A key and its value as they stand in bytes; positions in these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans {
    pub(super) kind: u8,
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    pub(super) expire_ms: Option<i64>,
    pub(super) idle_s: Option<u64>,
    pub(super) frequency: Option<u8>,
}

/// Splits off the first key of `bytes`, which is at `at`.
pub(super) fn split(bytes: &[u8], at: usize) -> Split<Spans> {
    let mut cursor = Cursor { bytes, at };
    let mut spans = Spans::default();
    loop {
        match cursor.byte()? {
            mark::EXPIRE_MS => spans.expire_ms = Some(i64::from_le_bytes(cursor.array()?)),
            mark::EXPIRE_S => {
                spans.expire_ms = Some(i64::from(i32::from_le_bytes(cursor.array()?)) * 1000);
            }
            mark::IDLE => spans.idle_s = Some(cursor.length()?),
            mark::FREQUENCY => spans.frequency = Some(cursor.byte()?),
            // A slot and how many keys it has: of use for nothing here.
            mark::SLOT_INFO => cursor.lengths(3)?,
            kind if kind > mark::SLOT_INFO => return Err(Stop::Other),
            kind => {
                spans.kind = kind;
                break;
            }
        }
    }
    let start = cursor.at;
    cursor.string()?;
    spans.key = start..cursor.at;
    cursor.value(spans.kind)?;
    spans.value = spans.key.end..cursor.at;
    Ok(spans)
}

/// The bytes of a string that is written as they are; `None` where it is written otherwise.
pub(super) fn plain(string: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor { bytes: string, at: 0 };
    if string.first()? >> 6 == 3 {
        return None;
    }
    cursor.length().ok()?;
    string.get(cursor.at..)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    #[inline]
    fn byte(&mut self) -> Split<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or(Stop::Short)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn skip(&mut self, len: u64) -> Split<()> {
        let left = self.bytes.len() - self.at;
        if len > left as u64 {
            return Err(Stop::Short);
        }
        self.at += len as usize;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Split<[u8; N]> {
        let bytes = self.bytes[self.at..].first_chunk::<N>().ok_or(Stop::Short)?;
        self.at += N;
        Ok(*bytes)
    }

    #[inline]
    fn length_after(&mut self, first: u8) -> Split<u64> {
        Ok(match (first >> 6, first) {
            (0, _) => first.into(),
            (1, _) => u64::from(first & 0x3F) << 8 | u64::from(self.byte()?),
            (_, 0x80) => u32::from_be_bytes(self.array()?).into(),
            (_, 0x81) => u64::from_be_bytes(self.array()?),
            _ => return Err(Stop::Other),
        })
    }

    #[inline]
    fn length(&mut self) -> Split<u64> {
        let first = self.byte()?;
        self.length_after(first)
    }

    fn lengths(&mut self, count: u64) -> Split<()> {
        (0..count).try_for_each(|_| self.length().map(drop))
    }

    #[inline]
    fn string(&mut self) -> Split<()> {
        let first = self.byte()?;
        match first {
            0xC0 => self.skip(1),
            0xC1 => self.skip(2),
            0xC2 => self.skip(4),
            0xC3 => {
                let packed = self.length()?;
                self.length()?;
                self.skip(packed)
            }
            _ => {
                let len = self.length_after(first)?;
                self.skip(len)
            }
        }
    }

    fn strings(&mut self, count: u64) -> Split<()> {
        (0..count).try_for_each(|_| self.string())
    }

    /// Calls `skip` as often as the length here says.
    fn each(&mut self, skip: impl Fn(&mut Self) -> Split<()>) -> Split<()> {
        let count = self.length()?;
        (0..count).try_for_each(|_| skip(self))
    }

    fn value(&mut self, kind: u8) -> Split<()> {
        match kind {
            kind::STRING
            | kind::HASH_ZIPMAP
            | kind::LIST_ZIPLIST
            | kind::SET_INTSET
            | kind::ZSET_ZIPLIST
            | kind::HASH_ZIPLIST
            | kind::HASH_LISTPACK
            | kind::ZSET_LISTPACK
            | kind::SET_LISTPACK
            | kind::HASH_TIMED_LISTPACK_OLD => self.string(),
            kind::LIST | kind::SET | kind::LIST_OF_ZIPLISTS => self.each(Cursor::string),
            kind::HASH => self.each(|cursor| cursor.strings(2)),
            kind::ZSET => self.each(|cursor| {
                cursor.string()?;
                cursor.skip(8)
            }),
            kind::ZSET_TEXT => self.each(|cursor| {
                cursor.string()?;
                let len = cursor.byte()?;
                if len < 253 { cursor.skip(len.into()) } else { Ok(()) }
            }),
            kind::LIST_OF_LISTPACKS => self.each(|cursor| {
                cursor.length()?;
                cursor.string()
            }),
            kind::STREAM_1 | kind::STREAM_2 | kind::STREAM_3 => self.stream(kind),
            kind::HASH_TIMED | kind::HASH_TIMED_OLD => {
                if kind == kind::HASH_TIMED {
                    self.skip(8)?;
                }
                self.each(|cursor| {
                    cursor.length()?;
                    cursor.strings(2)
                })
            }
            kind::HASH_TIMED_LISTPACK => {
                self.skip(8)?;
                self.string()
            }
            _ => Err(Stop::Other),
        }
    }

    fn stream(&mut self, kind: u8) -> Split<()> {
        self.each(|cursor| cursor.strings(2))?;
        // Length and last id; then the first id, the greatest deleted one, and how many entries there ever were.
        self.lengths(if kind == kind::STREAM_1 { 3 } else { 8 })?;
        self.each(|cursor| {
            cursor.string()?;
            cursor.lengths(if kind == kind::STREAM_1 { 2 } else { 3 })?;
            // Pending entries: id, time, deliveries.
            cursor.each(|cursor| {
                cursor.skip(24)?;
                cursor.length().map(drop)
            })?;
            // Consumers: name, times, ids.
            cursor.each(|cursor| {
                cursor.string()?;
                cursor.skip(if kind == kind::STREAM_3 { 16 } else { 8 })?;
                cursor.each(|cursor| cursor.skip(16))
            })
        })
    }
}
