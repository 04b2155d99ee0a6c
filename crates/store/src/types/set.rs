//! Set values: sorted integers, a flat listpack, or a hash table.
//!
//! Which encoding holds what: <https://redis.io/docs/latest/commands/object-encoding/>; small sets of texts are
//! listpacks as from Redis 7.2 on.

use super::intset::IntSet;
use super::numbered::Numbered;
use crate::EncodingLimits;
use crate::number::parse_i64;
use crate::packed::{self, Packed, PackedValue};
use crate::thin::ThinBytes;

/// A set value.
#[derive(Clone)]
pub struct Set {
    repr: Repr,
}

#[derive(Clone)]
enum Repr {
    Ints(Box<IntSet>),
    Packed(Packed),
    Table(Box<Numbered<ThinBytes>>),
}

impl Default for Set {
    fn default() -> Set {
        Set { repr: Repr::Ints(Box::new(IntSet::new())) }
    }
}

impl Set {
    /// An empty value.
    pub fn new() -> Set {
        Set::default()
    }

    /// A set of these members. None may be there twice, and the caller has looked at the limits.
    pub fn from_packed(members: Packed) -> Set {
        Set { repr: Repr::Packed(members) }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Ints(ints) => ints.len(),
            Repr::Packed(packed) => packed.len(),
            Repr::Table(table) => table.len(),
        }
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name that OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::Ints(_) => "intset",
            Repr::Packed(_) => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }

    /// Chooses the encoding of a set that is empty but about to get `expected` members, the first being `first`.
    pub fn prepare(&mut self, first: &[u8], expected: usize, limits: &EncodingLimits) {
        if !self.is_empty() {
            return;
        }
        self.repr = if parse_i64(first).is_some() && expected <= limits.set_intset_entries {
            Repr::Ints(Box::new(IntSet::new()))
        } else if expected <= limits.set_listpack_entries {
            Repr::Packed(Packed::new())
        } else {
            Repr::Table(Box::new(Numbered::new()))
        };
    }

    /// Asks the processor for the memory that finding these members takes.
    pub fn look_ahead(&self, members: &[&[u8]]) {
        if let Repr::Table(table) = &self.repr {
            table.look_ahead(members);
        }
    }

    /// Whether `member` is in the set.
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.repr {
            Repr::Ints(ints) => parse_i64(member).is_some_and(|value| ints.contains(value)),
            Repr::Packed(packed) => packed.find(member, 0).is_some(),
            Repr::Table(table) => table.find(member).is_some(),
        }
    }

    /// Adds a member; false if it was there.
    pub fn insert(&mut self, member: &[u8], limits: &EncodingLimits) -> bool {
        match &mut self.repr {
            Repr::Ints(ints) => match parse_i64(member) {
                Some(value) => {
                    let added = ints.insert(value);
                    if ints.len() > limits.set_intset_entries {
                        self.become_table();
                    }
                    added
                }
                None => {
                    self.leave_ints(member, limits);
                    self.insert(member, limits)
                }
            },
            Repr::Packed(packed) => {
                if packed.find(member, 0).is_some() {
                    return false;
                }
                if packed.len() < limits.set_listpack_entries && member.len() <= limits.set_listpack_value {
                    packed.push_back(member);
                    return true;
                }
                self.become_table();
                self.insert(member, limits)
            }
            Repr::Table(table) => table.find_or_push(member, || ThinBytes::new(member)).1,
        }
    }

    /// Makes integers a listpack or a table that may hold `member`.
    fn leave_ints(&mut self, member: &[u8], limits: &EncodingLimits) {
        let Repr::Ints(ints) = &self.repr else { return };
        let mut buffer = itoa::Buffer::new();
        let mut digits = |at: usize| ints.get(at).map_or(0, |value| buffer.format(value).len());
        let longest = digits(0).max(digits(ints.len().saturating_sub(1))).max(member.len());
        if ints.len() >= limits.set_listpack_entries || longest > limits.set_listpack_value {
            return self.become_table();
        }
        let mut packed = Packed::new();
        for value in ints.iter() {
            packed.push_back(itoa::Buffer::new().format(value).as_bytes());
        }
        self.repr = Repr::Packed(packed);
    }

    fn become_table(&mut self) {
        let mut table = Box::new(Numbered::new());
        let mut buffer = itoa::Buffer::new();
        for member in self.iter() {
            table.push(ThinBytes::new(member.as_bytes(&mut buffer)));
        }
        self.repr = Repr::Table(table);
    }

    /// Takes a member out; false if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Ints(ints) => parse_i64(member).is_some_and(|value| ints.remove(value)),
            Repr::Packed(packed) => {
                let found = packed.find(member, 0);
                if let Some(pos) = found {
                    packed.remove_at(pos, 1);
                }
                found.is_some()
            }
            Repr::Table(table) => {
                let found = table.find(member);
                if let Some(id) = found {
                    table.swap_remove(id);
                }
                found.is_some()
            }
        }
    }

    /// Takes out the member at a position below the length.
    pub fn take(&mut self, at: usize) -> Option<Vec<u8>> {
        if let Repr::Table(table) = &mut self.repr {
            return (at < table.len()).then(|| table.swap_remove(at as u32).to_vec());
        }
        let member = self.nth(at)?.to_vec();
        self.remove(&member);
        Some(member)
    }

    /// Asks for the memory that taking out the members at these positions needs, one after the other, once one more has gone.
    pub fn look_ahead_at(&self, next: [usize; 3]) {
        if let Repr::Table(table) = &self.repr
            && next.iter().all(|at| *at < table.len())
        {
            table.look_ahead_swaps(next.map(|at| at as u32));
        }
    }

    /// The member at a position below the length; positions hold until the set changes. A uniformly random position
    /// is a uniformly random member. Source: <https://redis.io/docs/latest/commands/srandmember/>
    pub fn nth(&self, at: usize) -> Option<PackedValue<'_>> {
        match &self.repr {
            Repr::Ints(ints) => ints.get(at).map(PackedValue::Int),
            Repr::Packed(packed) => isize::try_from(at).ok().and_then(|at| packed.get(at)),
            Repr::Table(table) if at < table.len() => Some(PackedValue::Bytes(table.get(at as u32))),
            Repr::Table(_) => None,
        }
    }

    /// Members: ascending integers, listpacks as they were added, tables in no order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            kind: match &self.repr {
                Repr::Ints(ints) => Kind::Ints(ints, 0),
                Repr::Packed(packed) => Kind::Packed(packed.iter()),
                Repr::Table(table) => Kind::Table(table, 0),
            },
        }
    }

    /// Visits some members from `cursor` (0 begins) on and returns the next cursor, 0 at the end. Compact encodings
    /// are visited whole, tables `count` members at a time; every member that is there all along is visited.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(PackedValue<'_>)) -> u64 {
        match &self.repr {
            Repr::Table(table) => table.scan(cursor, count, |member| visit(PackedValue::Bytes(member))),
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }

    /// Makes a set of nothing but integers an intset, if it is not too large for one, as results of SINTERSTORE and its kin are.
    pub fn compact_ints(&mut self, limits: &EncodingLimits) {
        if matches!(self.repr, Repr::Ints(_)) || self.len() > limits.set_intset_entries {
            return;
        }
        let mut ints = IntSet::new();
        let mut buffer = itoa::Buffer::new();
        for member in self.iter() {
            let Some(value) = parse_i64(member.as_bytes(&mut buffer)) else { return };
            ints.insert(value);
        }
        self.repr = Repr::Ints(Box::new(ints));
    }

    /// Bytes on the heap.
    pub fn mem_usage(&self) -> usize {
        match &self.repr {
            Repr::Ints(ints) => size_of::<IntSet>() + ints.mem_usage(),
            Repr::Packed(packed) => packed.mem_usage(),
            Repr::Table(table) => size_of::<Numbered<ThinBytes>>() + table.mem_usage(),
        }
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Members of a set.
#[derive(Clone)]
pub struct Iter<'s> {
    kind: Kind<'s>,
}

#[derive(Clone)]
enum Kind<'s> {
    Ints(&'s IntSet, usize),
    Packed(packed::Iter<'s>),
    Table(&'s Numbered<ThinBytes>, usize),
}

impl<'s> Iterator for Iter<'s> {
    type Item = PackedValue<'s>;

    #[inline]
    fn next(&mut self) -> Option<PackedValue<'s>> {
        match &mut self.kind {
            Kind::Ints(ints, at) => {
                *at += 1;
                ints.get(*at - 1).map(PackedValue::Int)
            }
            Kind::Packed(iter) => iter.next(),
            Kind::Table(table, at) => {
                let id = *at;
                *at += 1;
                (id < table.len()).then(|| PackedValue::Bytes(table.get(id as u32)))
            }
        }
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
