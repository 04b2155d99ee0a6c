//! Reading values of every type but streams.

use super::bulk;
use super::compact::{intset, listpack, ziplist, zipmap};
use super::input::{Input, Result, Text, as_number};
use super::{FIELD_EXPIRY_MAX, NODE_PACKED, NODE_PLAIN, kind};
use crate::error::{Error, ErrorKind};
use redoubt_store::number::parse_f64;
use redoubt_store::packed::PackedValue;
use redoubt_store::{EncodingLimits, Hash, List, Set, SortedSet, Value};
use std::io::Read;

/// Reads the value of a type.
pub(super) struct ValueReader<'a, R> {
    pub(super) input: &'a mut Input<R>,
    pub(super) limits: &'a EncodingLimits,
}

/// Names the place where a flat encoding begins if it is damaged.
pub(super) fn located<T>(offset: u64, result: std::result::Result<T, &'static str>) -> Result<T> {
    result.map_err(|what| Error { offset, kind: ErrorKind::Corrupt(what) })
}

const DUPLICATE: &str = "the same member twice";

fn check(new: bool) -> std::result::Result<(), &'static str> {
    if new { Ok(()) } else { Err(DUPLICATE) }
}

impl<R: Read> ValueReader<'_, R> {
    /// The value of this type; `ErrorKind::Empty`, with all of it read, where a collection has no elements.
    pub(super) fn value(&mut self, kind: u8) -> Result<Value> {
        let value = match kind {
            kind::STRING => self.string()?,
            kind::LIST | kind::LIST_ZIPLIST | kind::LIST_OF_ZIPLISTS | kind::LIST_OF_LISTPACKS => {
                Value::List(self.list(kind)?)
            }
            kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => Value::Set(self.set(kind)?),
            kind::ZSET_TEXT | kind::ZSET => Value::SortedSet(self.plain_zset(kind)?),
            kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => Value::SortedSet(self.flat_zset(kind)?),
            kind::HASH => Value::Hash(self.plain_hash()?),
            kind::HASH_ZIPMAP | kind::HASH_ZIPLIST | kind::HASH_LISTPACK => {
                Value::Hash(self.flat_hash(kind)?)
            }
            kind::HASH_TIMED | kind::HASH_TIMED_OLD => Value::Hash(self.timed_hash(kind)?),
            kind::HASH_TIMED_LISTPACK | kind::HASH_TIMED_LISTPACK_OLD => {
                Value::Hash(self.flat_timed_hash(kind)?)
            }
            kind::STREAM_1 | kind::STREAM_2 | kind::STREAM_3 => Value::Stream(self.stream(kind)?),
            kind::MODULE_OLD | kind::MODULE => return self.module(),
            _ => return self.input.fail(ErrorKind::UnknownType(kind)),
        };
        let empty = match &value {
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::SortedSet(zset) => zset.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::Int(_) | Value::Bytes(_) | Value::Raw(_) | Value::Stream(_) => false,
        };
        if empty { self.input.fail(ErrorKind::Empty) } else { Ok(value) }
    }

    fn string(&mut self) -> Result<Value> {
        Ok(match self.input.text()? {
            Text::Int(value) => Value::Int(value),
            Text::Bytes(bytes) => as_number(&bytes).map_or(Value::Bytes(bytes), Value::Int),
        })
    }

    fn module<T>(&mut self) -> Result<T> {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let id = self.input.length()?;
        // Nine characters of six bits, above ten bits of a version.
        let letter = |at: u32| char::from(ALPHABET[(id >> (10 + 6 * at) & 0x3F) as usize]);
        self.input.fail(ErrorKind::Module((0..9).rev().map(letter).collect()))
    }

    /// A string, with the place where it begins.
    pub(super) fn blob(&mut self) -> Result<(u64, Vec<u8>)> {
        let offset = self.input.position();
        Ok((offset, self.input.string()?))
    }

    fn list(&mut self, kind: u8) -> Result<List> {
        let mut list = List::new();
        let count = if kind == kind::LIST_ZIPLIST { 1 } else { self.input.length()? };
        for _ in 0..count {
            let plain = match kind {
                kind::LIST => true,
                kind::LIST_OF_LISTPACKS => match self.input.length()? {
                    NODE_PLAIN => true,
                    NODE_PACKED => false,
                    _ => return self.input.corrupt("a list node of unknown form"),
                },
                _ => false,
            };
            let (offset, text) = self.blob()?;
            if plain {
                list.push_back(&text, self.limits);
                continue;
            }
            let packed = kind == kind::LIST_OF_LISTPACKS;
            let values = located(offset, if packed { listpack(&text) } else { ziplist(&text) })?;
            if packed && bulk::append(&mut list, &text, &values, self.limits) {
                continue;
            }
            for value in values {
                list.push_back(value.as_bytes(&mut itoa::Buffer::new()), self.limits);
            }
        }
        Ok(list)
    }

    fn set(&mut self, kind: u8) -> Result<Set> {
        let mut set = Set::new();
        let limits = self.limits;
        if kind == kind::SET {
            let count = self.input.length()?;
            if count > limits.set_intset_entries.max(limits.set_listpack_entries) as u64 {
                set.prepare(b"", usize::MAX, limits);
            }
            let mut scratch = Vec::new();
            for _ in 0..count {
                let offset = self.input.position();
                let member = self.input.string_in(&mut scratch)?;
                located(offset, check(set.insert(member, limits)))?;
            }
            return Ok(set);
        }
        let (offset, blob) = self.blob()?;
        let mut buffer = itoa::Buffer::new();
        if kind == kind::SET_INTSET {
            for member in located(offset, intset(&blob))? {
                set.insert(buffer.format(member).as_bytes(), limits);
            }
            return Ok(set);
        }
        let members = located(offset, listpack(&blob))?;
        if let Some(set) = bulk::set(&blob, &members, limits) {
            return Ok(set);
        }
        set.prepare(b"", members.len(), limits);
        for member in members {
            located(offset, check(set.insert(member.as_bytes(&mut buffer), limits)))?;
        }
        Ok(set)
    }

    fn plain_zset(&mut self, kind: u8) -> Result<SortedSet> {
        let mut zset = SortedSet::new();
        let count = self.input.length()?;
        zset.prepare(usize::try_from(count).unwrap_or(usize::MAX), 0, self.limits);
        let (mut member, mut scratch) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let offset = self.input.position();
            member.clear();
            member.extend_from_slice(self.input.string_in(&mut scratch)?);
            let score = if kind == kind::ZSET { self.input.double()? } else { self.input.text_double()? };
            located(offset, check(zset.insert(&member, score, self.limits).is_none()))?;
        }
        Ok(zset)
    }

    fn flat_zset(&mut self, kind: u8) -> Result<SortedSet> {
        let (offset, blob) = self.blob()?;
        let flat = if kind == kind::ZSET_LISTPACK { listpack(&blob) } else { ziplist(&blob) };
        let flat = located(offset, flat)?;
        let (pairs, []) = flat.as_chunks::<2>() else {
            return located(offset, Err("a member without score"));
        };
        let scored = pairs.iter().map(|[member, score]| {
            let score = match score {
                PackedValue::Int(score) => Some(*score as f64),
                PackedValue::Bytes(text) => parse_f64(text),
            };
            score.map(|score| (*member, score))
        });
        let scored: Option<Vec<_>> = scored.collect();
        let scored = located(offset, scored.ok_or("a score that is no number"))?;
        if let Some(zset) = bulk::sorted_set(&scored, self.limits) {
            return Ok(zset);
        }
        let mut zset = SortedSet::new();
        zset.prepare(pairs.len(), 0, self.limits);
        for (member, score) in scored {
            let member = member.to_vec();
            located(offset, check(zset.insert(&member, score, self.limits).is_none()))?;
        }
        Ok(zset)
    }

    /// Room for so many fields, as far as the encoding goes and the bytes of them are there: what a file says is no reason
    /// to take memory.
    fn reserve(&self, hash: &mut Hash, count: u64) {
        let most = self.limits.hash_listpack_entries as u64 + 1;
        if count >= most {
            let least = if most <= 1 << 16 { most as usize } else { 0 };
            hash.reserve(self.input.expected(count, 2).max(least), self.limits);
        }
    }

    fn plain_hash(&mut self) -> Result<Hash> {
        let mut hash = Hash::new();
        let count = self.input.length()?;
        self.reserve(&mut hash, count);
        let (mut field, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let offset = self.input.position();
            field.clear();
            field.extend_from_slice(self.input.string_in(&mut first)?);
            let value = self.input.string_in(&mut second)?;
            located(offset, check(hash.insert(&field, value, self.limits)))?;
        }
        Ok(hash)
    }

    fn flat_hash(&mut self, kind: u8) -> Result<Hash> {
        let (offset, blob) = self.blob()?;
        let flat = match kind {
            kind::HASH_LISTPACK => listpack(&blob),
            kind::HASH_ZIPLIST => ziplist(&blob),
            _ => zipmap(&blob),
        };
        let flat = located(offset, flat)?;
        let (pairs, []) = flat.as_chunks::<2>() else {
            return located(offset, Err("a field without value"));
        };
        if kind == kind::HASH_LISTPACK
            && let Some(hash) = bulk::hash(&blob, &flat, self.limits)
        {
            return Ok(hash);
        }
        let mut hash = Hash::new();
        self.reserve(&mut hash, pairs.len() as u64);
        let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
        for [field, value] in pairs {
            let new = hash.insert(field.as_bytes(&mut a), value.as_bytes(&mut b), self.limits);
            located(offset, check(new))?;
        }
        Ok(hash)
    }

    fn timed_hash(&mut self, kind: u8) -> Result<Hash> {
        let mut hash = Hash::new();
        hash.make_timed();
        let least = if kind == kind::HASH_TIMED { self.input.millis()? as u64 } else { 1 };
        let count = self.input.length()?;
        self.reserve(&mut hash, count);
        for _ in 0..count {
            // One more than the distance to the least expiry; 0 is none.
            let expiry = match self.input.length()? {
                0 => Some(0),
                after => least.checked_add(after - 1),
            };
            let (offset, field) = self.blob()?;
            let value = self.input.string()?;
            let expiry = expiry.ok_or("an expiry out of range");
            let expiry = located(offset, expiry.and_then(field_expiry))?;
            located(offset, check(hash.insert(&field, &value, self.limits)))?;
            hash.set_expiry(&field, expiry);
        }
        Ok(hash)
    }

    fn flat_timed_hash(&mut self, kind: u8) -> Result<Hash> {
        if kind == kind::HASH_TIMED_LISTPACK {
            // The least expiry, which the listpack has again.
            self.input.millis()?;
        }
        let (offset, blob) = self.blob()?;
        let flat = located(offset, listpack(&blob))?;
        let (triples, []) = flat.as_chunks::<3>() else {
            return located(offset, Err("a field without value or expiry"));
        };
        let mut hash = Hash::new();
        hash.make_timed();
        self.reserve(&mut hash, triples.len() as u64);
        for [field, value, expiry] in triples {
            let (field, value) = (field.to_vec(), value.to_vec());
            let expiry = expiry.as_int().and_then(|at| u64::try_from(at).ok());
            let expiry = expiry.ok_or("an expiry that is no number");
            let expiry = located(offset, expiry.and_then(field_expiry))?;
            located(offset, check(hash.insert(&field, &value, self.limits)))?;
            hash.set_expiry(&field, expiry);
        }
        Ok(hash)
    }
}

/// An expiry as stored; 0 is none.
fn field_expiry(at: u64) -> std::result::Result<Option<i64>, &'static str> {
    match at {
        0 => Ok(None),
        1..=FIELD_EXPIRY_MAX => Ok(Some(at as i64)),
        _ => Err("an expiry out of range"),
    }
}
