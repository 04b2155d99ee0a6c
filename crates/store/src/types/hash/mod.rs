//! Hash values: packed pairs while small, a table of pairs beyond; both with expiries once a field had one.
//!
//! Conversion follows `hash-max-listpack-entries` and `hash-max-listpack-value`; a table stays one
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/>).
//!
//! A field that is due stays until somebody takes it out; reads are told the time and pass it over.

mod pair;
mod timed;

use crate::encoding::EncodingLimits;
use crate::member_table::MemberTable;
use crate::packed::{Packed, PackedValue};
use pair::Pair;
use timed::{Fate, Fields, Keep, NEVER, Timed, TimedTable, Triples};

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
    /// Fields may expire. Once a hash is one of these it stays one.
    Timed(Box<Timed>),
}

/// A field, its value and its expiry, Unix ms.
pub type TimedField<'a> = (PackedValue<'a>, PackedValue<'a>, Option<i64>);

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

    /// A hash of these pairs: field, value, field, value... No field may be there twice, and the caller has looked at the
    /// limits.
    pub fn from_packed(pairs: Packed) -> Hash {
        Hash { repr: Repr::Packed(pairs) }
    }

    /// Number of fields, those that are due but still there included.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Packed(pairs) => pairs.len() / 2,
            Repr::Table(table) => table.len(),
            Repr::Timed(timed) => timed.len(),
        }
    }

    /// Whether there are no fields.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of fields that are not due by `now_ms`.
    #[inline]
    pub fn live_len(&self, now_ms: i64) -> usize {
        match &self.repr {
            Repr::Timed(timed) => timed.len() - timed.due(now_ms),
            _ => self.len(),
        }
    }

    /// Moves a few fields on, if the table is on its way to another size: reads do so too, so that it gets there.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if let Repr::Table(table) = &mut self.repr {
            table.settle();
        }
    }

    /// Name that OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::Packed(_) => "listpack",
            Repr::Table(_) => "hashtable",
            Repr::Timed(timed) => timed.encoding(),
        }
    }

    /// Bytes on the heap; those of a table are estimated from a sample.
    pub fn mem_usage(&self) -> usize {
        match &self.repr {
            Repr::Packed(pairs) => pairs.mem_usage(),
            Repr::Table(table) => size_of::<MemberTable<Pair>>() + table.mem_usage(),
            Repr::Timed(timed) => timed.mem_usage(),
        }
    }

    /// The pairs as they are packed, while they are: field, value, field, value...
    pub fn as_packed(&self) -> Option<&Packed> {
        match &self.repr {
            Repr::Packed(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Whether the hash is small enough to be walked for a single field.
    pub fn is_compact(&self) -> bool {
        match &self.repr {
            Repr::Packed(_) => true,
            Repr::Table(_) => false,
            Repr::Timed(timed) => matches!(timed.fields, Fields::Packed(_)),
        }
    }

    /// Asks the processor for the memory that finding these fields takes.
    pub fn look_ahead(&self, fields: &[&[u8]]) {
        if let Repr::Table(table) = &self.repr {
            table.look_ahead(fields);
        }
    }

    /// Value of `field`, unless it is due by `now_ms`.
    #[inline]
    pub fn get(&self, field: &[u8], now_ms: i64) -> Option<PackedValue<'_>> {
        match &self.repr {
            Repr::Packed(pairs) => {
                let value = pairs.after(pairs.find(field, 1)?);
                pairs.at(value).map(|(value, _)| value)
            }
            Repr::Table(table) => table.get(field).map(|pair| PackedValue::Bytes(pair.value())),
            Repr::Timed(timed) => timed.get(field).filter(|(_, at)| *at > now_ms).map(|(value, _)| value),
        }
    }

    /// Whether `field` is there and not due by `now_ms`.
    pub fn contains(&self, field: &[u8], now_ms: i64) -> bool {
        match &self.repr {
            Repr::Packed(pairs) => pairs.find(field, 1).is_some(),
            Repr::Table(table) => table.contains(field),
            Repr::Timed(timed) => timed.get(field).is_some_and(|(_, at)| at > now_ms),
        }
    }

    /// Prepares for `fields` fields given in one call: more than a listpack may hold make it a table at once.
    pub fn reserve(&mut self, fields: usize, limits: &EncodingLimits) {
        if fields <= limits.hash_listpack_entries {
            return;
        }
        match &mut self.repr {
            Repr::Packed(_) => self.convert(fields),
            Repr::Table(_) => {}
            Repr::Timed(timed) => timed.convert(fields),
        }
    }

    /// Sets `field` to `value`; its expiry goes. Returns whether the field is new, or false for one that was due.
    #[inline]
    pub fn insert(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) -> bool {
        self.set(field, value, Keep::No, limits)
    }

    /// Sets `field` to `value`; its expiry stays. Returns as `insert` does.
    #[inline]
    pub fn insert_keeping(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) -> bool {
        self.set(field, value, Keep::Yes, limits)
    }

    #[inline]
    fn set(&mut self, field: &[u8], value: &[u8], keep: Keep, limits: &EncodingLimits) -> bool {
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
            Repr::Timed(timed) => timed.set(field, value, keep, limits),
        }
    }

    /// Turns packed pairs into a table with room for `extra` more.
    #[cold]
    fn convert(&mut self, extra: usize) {
        let Repr::Packed(pairs) = &self.repr else { return };
        let mut table = Box::new(MemberTable::with_capacity(pairs.len() / 2 + extra));
        let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
        let mut texts = pairs.iter();
        while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
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
            Repr::Timed(timed) => timed.remove(field),
        }
    }

    /// All fields that are not due by `now_ms`, with their values: in order of insertion while packed, then those
    /// that expire soonest first, and in no order beyond.
    pub fn iter(&self, now_ms: i64) -> impl Iterator<Item = (PackedValue<'_>, PackedValue<'_>)> {
        let (packed, table, timed) = match &self.repr {
            Repr::Packed(pairs) => (Some(pairs.iter()), None, None),
            Repr::Table(table) => (None, Some(table.iter().map(Pair::parts)), None),
            Repr::Timed(timed) => {
                let live = timed.iter().filter(move |(_, _, at)| *at > now_ms);
                (None, None, Some(live.map(|(field, value, _)| (field, value))))
            }
        };
        let mut packed = packed.into_iter().flatten();
        std::iter::from_fn(move || Some((packed.next()?, packed.next()?)))
            .chain(table.into_iter().flatten())
            .chain(timed.into_iter().flatten())
    }

    /// Visits what `iter` gives, in the same order; quicker.
    #[inline]
    pub fn visit(&self, now_ms: i64, mut visit: impl FnMut(PackedValue<'_>, PackedValue<'_>)) {
        match &self.repr {
            Repr::Packed(pairs) => {
                let mut texts = pairs.iter();
                while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
                    visit(field, value);
                }
            }
            Repr::Table(table) => {
                table.iter().map(Pair::parts).for_each(|(field, value)| visit(field, value))
            }
            Repr::Timed(timed) => timed
                .iter()
                .filter(|(_, _, at)| *at > now_ms)
                .for_each(|(field, value, _)| visit(field, value)),
        }
    }

    /// All fields, due ones included, with their values and expiries.
    pub fn timed_fields(&self) -> impl Iterator<Item = TimedField<'_>> {
        let (plain, timed) = match &self.repr {
            Repr::Timed(timed) => (None, Some(timed.iter())),
            _ => (Some(self.iter(NEVER)), None),
        };
        let plain = plain.into_iter().flatten().map(|(field, value)| (field, value, None));
        let timed = timed.into_iter().flatten();
        plain.chain(timed.map(|(field, value, at)| (field, value, (at != NEVER).then_some(at))))
    }

    /// Visits a part of the fields that are not due by `now_ms`; begins at cursor 0 and is complete when it returns
    /// 0. Whatever is there from the first call to the last is visited, whatever happens between calls.
    pub fn scan(
        &self,
        cursor: u64,
        now_ms: i64,
        mut visit: impl FnMut(PackedValue<'_>, PackedValue<'_>),
    ) -> u64 {
        match &self.repr {
            Repr::Packed(_) => {
                self.visit(now_ms, visit);
                0
            }
            Repr::Table(table) => table.scan(cursor, |pair| visit(pair.parts().0, pair.parts().1)),
            Repr::Timed(timed) => timed.scan(cursor, |(field, value, at)| {
                if at > now_ms {
                    visit(field, value);
                }
            }),
        }
    }

    /// As `scan`, for all fields, with their expiries.
    pub fn scan_timed(
        &self,
        cursor: u64,
        mut visit: impl FnMut(PackedValue<'_>, PackedValue<'_>, Option<i64>),
    ) -> u64 {
        match &self.repr {
            Repr::Timed(timed) => {
                timed.scan(cursor, |(field, value, at)| visit(field, value, (at != NEVER).then_some(at)))
            }
            _ => self.scan(cursor, i64::MIN, |field, value| visit(field, value, None)),
        }
    }

    /// A field, chosen with equal chances from all that are there, and its value.
    pub fn random(&self, rng: &mut fastrand::Rng) -> Option<(PackedValue<'_>, PackedValue<'_>)> {
        match &self.repr {
            Repr::Packed(pairs) if pairs.is_empty() => None,
            Repr::Packed(pairs) => {
                let (field, value) = pairs.at(pairs.seek(2 * rng.usize(..pairs.len() / 2) as isize)?)?;
                pairs.at(value).map(|(value, _)| (field, value))
            }
            Repr::Table(table) => table.random(rng).map(Pair::parts),
            Repr::Timed(timed) => timed.random(rng),
        }
    }

    // --- expiry of fields ----------------------------------------------------------------------------------------

    /// Makes room for expiries; the encoding is another from then on.
    pub fn make_timed(&mut self) {
        let fields = match &mut self.repr {
            Repr::Packed(pairs) => Fields::Packed(Triples::from_pairs(pairs)),
            Repr::Table(table) => Fields::Table(Box::new(TimedTable::new(std::mem::take(&mut **table)))),
            Repr::Timed(_) => return,
        };
        self.repr = Repr::Timed(Box::new(Timed::new(fields)));
    }

    /// Expiry of a field, Unix ms: `None` without field (one that is due is there), `Some(None)` without expiry.
    pub fn expiry_of(&self, field: &[u8]) -> Option<Option<i64>> {
        match &self.repr {
            Repr::Timed(timed) => timed.get(field).map(|(_, at)| (at != NEVER).then_some(at)),
            _ => self.contains(field, 0).then_some(None),
        }
    }

    /// Gives a field an expiry or takes it off. False if the field is not there.
    pub fn set_expiry(&mut self, field: &[u8], at: Option<i64>) -> bool {
        if at.is_some() {
            self.make_timed();
        }
        match &mut self.repr {
            Repr::Timed(timed) => timed.change(field, |_| Fate::Expire(at.unwrap_or(NEVER))).is_some(),
            _ => self.contains(field, 0),
        }
    }

    /// Lets a field expire at `at`, or removes it if `remove` says so, where `allows` agrees to it, given the expiry
    /// there is. Returns whether it did; `None` without field. Makes room for expiries.
    #[inline]
    pub fn change_expiry(
        &mut self,
        field: &[u8],
        at: i64,
        remove: bool,
        allows: impl FnOnce(Option<i64>) -> bool,
    ) -> Option<bool> {
        self.make_timed();
        let Repr::Timed(timed) = &mut self.repr else { return None };
        let fate = timed.change(field, |before| match allows((before != NEVER).then_some(before)) {
            false => Fate::Stay,
            true if remove => Fate::Remove,
            true => Fate::Expire(at),
        });
        fate.map(|fate| fate != Fate::Stay)
    }

    /// The soonest expiry of a field.
    #[inline]
    pub fn next_expiry(&self) -> Option<i64> {
        match &self.repr {
            Repr::Timed(timed) => Some(timed.next_expiry()).filter(|at| *at != NEVER),
            _ => None,
        }
    }

    /// Whether a field is due by `now_ms`.
    #[inline]
    pub fn has_due(&self, now_ms: i64) -> bool {
        match &self.repr {
            Repr::Timed(timed) => timed.next_expiry() <= now_ms,
            _ => false,
        }
    }

    /// Removes `field` if it is due by `now_ms`. Returns whether it was.
    pub fn remove_due(&mut self, field: &[u8], now_ms: i64) -> bool {
        let due = self.expiry_of(field).flatten().is_some_and(|at| at <= now_ms);
        due && self.remove(field)
    }

    /// Takes out a field that is due by `now_ms`, the soonest first.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        match &mut self.repr {
            Repr::Timed(timed) => timed.pop_due(now_ms),
            _ => None,
        }
    }

    /// Time under which the keyspace has registered this hash for expiry of its fields.
    #[inline]
    pub(crate) fn registered(&self) -> Option<i64> {
        match &self.repr {
            Repr::Timed(timed) => Some(timed.registered).filter(|at| *at != NEVER),
            _ => None,
        }
    }

    pub(crate) fn set_registered(&mut self, at: Option<i64>) {
        if let Repr::Timed(timed) = &mut self.repr {
            timed.registered = at.unwrap_or(NEVER);
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
mod tests;
