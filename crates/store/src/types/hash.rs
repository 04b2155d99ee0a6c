//! Hash values: packed pairs while small, a table of pairs beyond.
//!
//! Conversion follows `hash-max-listpack-entries` and `hash-max-listpack-value`; a table stays one
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/>).

use crate::encoding::EncodingLimits;
use crate::member_table::{Member, MemberTable};
use crate::packed::{Packed, PackedValue};
use crate::thin::ThinBytes;

/// A hash value.
#[derive(Clone, Debug)]
pub struct Hash {
    repr: Repr,
}

#[derive(Clone, Debug)]
enum Repr {
    /// Encoding "listpack": field, value, field, value...
    Packed(Packed),
    /// Encoding "hashtable".
    Table(Box<MemberTable<Pair>>),
}

/// Field and value in one allocation: `[length of the field, 7 bits per byte][field][value]`.
#[derive(Clone)]
struct Pair(ThinBytes);

impl Pair {
    fn new(field: &[u8], value: &[u8]) -> Pair {
        let mut prefix = [0u8; 10];
        let mut used = 0;
        let mut len = field.len();
        while len >= 0x80 {
            prefix[used] = len as u8 | 0x80;
            len >>= 7;
            used += 1;
        }
        prefix[used] = len as u8;
        Pair(ThinBytes::from_parts(&[&prefix[..=used], field, value]))
    }

    /// Where the field begins and ends.
    #[inline]
    fn bounds(&self) -> (usize, usize) {
        let mut len = 0;
        for (at, &byte) in self.0.iter().enumerate() {
            len |= usize::from(byte & 0x7F) << (7 * at);
            if byte < 0x80 {
                return (at + 1, at + 1 + len);
            }
        }
        (0, 0)
    }

    #[inline]
    fn value(&self) -> &[u8] {
        &self.0[self.bounds().1..]
    }

    fn set_value(&mut self, value: &[u8]) {
        let (start, end) = self.bounds();
        if self.0.len() - end == value.len() {
            self.0[end..].copy_from_slice(value);
        } else {
            *self = Pair::new(&self.0[start..end], value);
        }
    }

    fn parts(&self) -> (PackedValue<'_>, PackedValue<'_>) {
        (PackedValue::Bytes(self.key()), PackedValue::Bytes(self.value()))
    }
}

impl Member for Pair {
    #[inline]
    fn key(&self) -> &[u8] {
        let (start, end) = self.bounds();
        &self.0[start..end]
    }
    fn mem_usage(&self) -> usize {
        self.0.mem_usage()
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.key().escape_ascii(), self.value().escape_ascii())
    }
}

impl Default for Hash {
    fn default() -> Hash {
        Hash { repr: Repr::Packed(Packed::new()) }
    }
}

impl Hash {
    /// An empty hash.
    pub fn new() -> Hash {
        Hash::default()
    }

    /// Number of fields.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Packed(pairs) => pairs.len() / 2,
            Repr::Table(table) => table.len(),
        }
    }

    /// Whether there are no fields.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name that OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::Packed(_) => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }

    /// Bytes on the heap; those of a table are estimated from a sample.
    pub fn mem_usage(&self) -> usize {
        match &self.repr {
            Repr::Packed(pairs) => pairs.mem_usage(),
            Repr::Table(table) => size_of::<MemberTable<Pair>>() + table.mem_usage(),
        }
    }

    /// The pairs as they are packed, while they are: field, value, field, value...
    pub fn as_packed(&self) -> Option<&Packed> {
        match &self.repr {
            Repr::Packed(pairs) => Some(pairs),
            Repr::Table(_) => None,
        }
    }

    /// Value of `field`.
    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<PackedValue<'_>> {
        match &self.repr {
            Repr::Packed(pairs) => {
                let value = pairs.after(pairs.find(field, 1)?);
                pairs.at(value).map(|(value, _)| value)
            }
            Repr::Table(table) => table.get(field).map(|pair| PackedValue::Bytes(pair.value())),
        }
    }

    /// Whether `field` is there.
    pub fn contains(&self, field: &[u8]) -> bool {
        match &self.repr {
            Repr::Packed(pairs) => pairs.find(field, 1).is_some(),
            Repr::Table(table) => table.contains(field),
        }
    }

    /// Prepares for `fields` fields given in one call: more than a listpack may hold make it a table at once.
    pub fn reserve(&mut self, fields: usize, limits: &EncodingLimits) {
        if matches!(self.repr, Repr::Packed(_)) && fields > limits.hash_listpack_entries {
            self.convert(fields);
        }
    }

    /// Sets `field` to `value`. Returns whether the field is new.
    #[inline]
    pub fn insert(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) -> bool {
        let longest = field.len().max(value.len());
        if longest > limits.hash_listpack_value && matches!(self.repr, Repr::Packed(_)) {
            self.convert(1);
        }
        match &mut self.repr {
            Repr::Packed(pairs) => {
                if let Some(at) = pairs.find(field, 1) {
                    let at = pairs.after(at);
                    pairs.replace_at(at, value);
                    return false;
                }
                pairs.push_back(field);
                pairs.push_back(value);
                if pairs.len() / 2 > limits.hash_listpack_entries {
                    self.convert(0);
                }
                true
            }
            Repr::Table(table) => insert_pair(table, field, value),
        }
    }

    /// Turns packed pairs into a table with room for `extra` more.
    #[cold]
    fn convert(&mut self, extra: usize) {
        let mut table = Box::new(MemberTable::with_capacity(self.len() + extra));
        for (field, value) in self.iter() {
            let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
            table.insert(Pair::new(field.as_bytes(&mut a), value.as_bytes(&mut b)));
        }
        self.repr = Repr::Table(table);
    }

    /// Removes `field`. Returns whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Packed(pairs) => {
                let at = pairs.find(field, 1);
                if let Some(at) = at {
                    pairs.remove_at(at, 2);
                }
                at.is_some()
            }
            Repr::Table(table) => table.remove(field).is_some(),
        }
    }

    /// All fields with their values: in order of insertion while packed, in no order beyond.
    pub fn iter(&self) -> impl Iterator<Item = (PackedValue<'_>, PackedValue<'_>)> {
        let (packed, table) = match &self.repr {
            Repr::Packed(pairs) => (Some(pairs.iter()), None),
            Repr::Table(table) => (None, Some(table.iter())),
        };
        let mut packed = packed.into_iter().flatten();
        std::iter::from_fn(move || Some((packed.next()?, packed.next()?)))
            .chain(table.into_iter().flatten().map(Pair::parts))
    }

    /// Visits a part of the fields; begins at cursor 0 and is complete when it returns 0. Whatever is there from the
    /// first call to the last is visited, whatever happens between calls.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(PackedValue<'_>, PackedValue<'_>)) -> u64 {
        match &self.repr {
            Repr::Packed(_) => {
                self.iter().for_each(|(field, value)| visit(field, value));
                0
            }
            Repr::Table(table) => table.scan(cursor, |pair| visit(pair.parts().0, pair.parts().1)),
        }
    }

    /// A field, chosen with equal chances, and its value.
    pub fn random(&self, rng: &mut fastrand::Rng) -> Option<(PackedValue<'_>, PackedValue<'_>)> {
        match &self.repr {
            Repr::Packed(pairs) if pairs.is_empty() => None,
            Repr::Packed(pairs) => {
                let (field, value) = pairs.at(pairs.seek(2 * rng.usize(..pairs.len() / 2) as isize)?)?;
                pairs.at(value).map(|(value, _)| (field, value))
            }
            Repr::Table(table) => table.random(rng).map(Pair::parts),
        }
    }
}

fn insert_pair(table: &mut MemberTable<Pair>, field: &[u8], value: &[u8]) -> bool {
    match table.get_mut(field) {
        Some(pair) => {
            pair.set_value(value);
            false
        }
        None => {
            table.insert(Pair::new(field, value));
            true
        }
    }
}

#[cfg(test)]
#[path = "hash_tests.rs"]
mod tests;
