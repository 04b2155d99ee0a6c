//! Sorted integers in the narrowest of three widths: what small sets of integers are made of.

use crate::alloc_size::alloc_size;

/// Sorted integers without duplicates.
#[derive(Clone, Debug)]
pub(crate) enum IntSet {
    /// All fit 16 bits.
    Small(Vec<i16>),
    /// All fit 32 bits.
    Medium(Vec<i32>),
    /// Any.
    Large(Vec<i64>),
}

/// Runs the same expression on the vector of whichever width.
macro_rules! each {
    ($set:expr, $list:ident => $body:expr) => {
        match $set {
            IntSet::Small($list) => $body,
            IntSet::Medium($list) => $body,
            IntSet::Large($list) => $body,
        }
    };
}

impl IntSet {
    /// An empty set.
    pub(crate) const fn new() -> IntSet {
        IntSet::Small(Vec::new())
    }

    /// Number of integers.
    pub(crate) fn len(&self) -> usize {
        each!(self, list => list.len())
    }

    /// The integer at `at` in ascending order.
    pub(crate) fn get(&self, at: usize) -> Option<i64> {
        match self {
            IntSet::Small(list) => list.get(at).map(|&value| value.into()),
            IntSet::Medium(list) => list.get(at).map(|&value| value.into()),
            IntSet::Large(list) => list.get(at).copied(),
        }
    }

    /// Position of an integer, or where it would be.
    fn search(&self, value: i64) -> Result<usize, usize> {
        match self {
            IntSet::Small(list) => list.binary_search_by(|&other| i64::from(other).cmp(&value)),
            IntSet::Medium(list) => list.binary_search_by(|&other| i64::from(other).cmp(&value)),
            IntSet::Large(list) => list.binary_search(&value),
        }
    }

    /// Whether it is in the set.
    pub(crate) fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// Adds an integer; false if it was there.
    pub(crate) fn insert(&mut self, value: i64) -> bool {
        let Err(at) = self.search(value) else { return false };
        self.widen(value);
        match self {
            IntSet::Small(list) => list.insert(at, value as i16),
            IntSet::Medium(list) => list.insert(at, value as i32),
            IntSet::Large(list) => list.insert(at, value),
        }
        true
    }

    /// Makes the width fit `value`. As in Redis the width never goes back.
    fn widen(&mut self, value: i64) {
        if let IntSet::Small(list) = self
            && i16::try_from(value).is_err()
        {
            *self = IntSet::Medium(list.iter().map(|&value| value.into()).collect());
        }
        if let IntSet::Medium(list) = self
            && i32::try_from(value).is_err()
        {
            *self = IntSet::Large(list.iter().map(|&value| value.into()).collect());
        }
    }

    /// Takes an integer out; false if it was not there.
    pub(crate) fn remove(&mut self, value: i64) -> bool {
        let Ok(at) = self.search(value) else { return false };
        each!(self, list => {
            list.remove(at);
            if list.len() < list.capacity() / 4 {
                list.shrink_to(list.len() * 2);
            }
        });
        true
    }

    /// In ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Bytes on the heap.
    pub(crate) fn mem_usage(&self) -> usize {
        let (capacity, width) = match self {
            IntSet::Small(list) => (list.capacity(), 2),
            IntSet::Medium(list) => (list.capacity(), 4),
            IntSet::Large(list) => (list.capacity(), 8),
        };
        alloc_size(capacity * width)
    }
}
