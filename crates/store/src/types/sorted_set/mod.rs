//! Sorted set values: a flat listpack of (member, score) pairs in order, or a counted B+tree beside a member table.
//!
//! Every range (by rank, score or member) is a range of ranks; reads, counts and removals work on those.

mod bounds;
mod from;
mod tree;

pub use bounds::{LexBound, LexRange, ScoreRange};
pub use from::{ByScore, FromScore, MemberRef};

use super::numbered::Numbered;
use crate::EncodingLimits;
use crate::member_table::Member;
use crate::packed::{self, Packed, PackedValue};
use crate::table::{NOW, prefetch};
use crate::thin::ThinBytes;
use std::ops::Range;
use tree::{Names, Tree, Walk, compare};

/// A sorted set value. Scores are never NaN: callers refuse it.
#[derive(Clone)]
pub struct SortedSet {
    repr: Repr,
}

#[derive(Clone)]
enum Repr {
    /// Member, score, member, score... in order.
    Packed(Packed),
    Tree(Box<Big>),
}

#[derive(Clone)]
struct Big {
    members: Numbered<Scored>,
    tree: Tree,
}

/// A member and its score.
#[derive(Clone)]
struct Scored {
    score: f64,
    name: ThinBytes,
}

impl Member for Scored {
    #[inline]
    fn key(&self) -> &[u8] {
        &self.name
    }
    #[inline]
    fn key_address(&self) -> *const u8 {
        self.name.address()
    }
    fn mem_usage(&self) -> usize {
        self.name.mem_usage()
    }
}

impl Names for Numbered<Scored> {
    #[inline]
    fn name(&self, id: u32) -> &[u8] {
        &self.get(id).name
    }
}

impl Default for SortedSet {
    fn default() -> SortedSet {
        SortedSet { repr: Repr::Packed(Packed::new()) }
    }
}

/// First byte of a score that is not an integer; the leading bytes of the big-endian double follow, up to its last
/// byte that is not zero.
const FLOAT_MARK: u8 = b'f';
/// Integers up to here are exact as doubles and are stored as integers.
const INT_MAX: f64 = 9_007_199_254_740_992.0;

/// Gives `put` the stored form of a score.
fn write_score(score: f64, put: impl FnOnce(&[u8])) {
    // As in Redis, -0 becomes 0 here and stays -0 in the tree.
    if score.fract() == 0.0 && score.abs() <= INT_MAX {
        return put(itoa::Buffer::new().format(score as i64).as_bytes());
    }
    let mut text = [FLOAT_MARK; 9];
    text[1..].copy_from_slice(&score.to_be_bytes());
    let used = text.iter().rposition(|&byte| byte != 0).map_or(1, |last| last + 1);
    put(&text[..used]);
}

fn read_score(value: PackedValue<'_>) -> f64 {
    match value {
        PackedValue::Int(value) => value as f64,
        PackedValue::Bytes(text) => {
            let mut bytes = [0u8; 8];
            let stored = &text[1..];
            bytes[..stored.len()].copy_from_slice(stored);
            f64::from_be_bytes(bytes)
        }
    }
}

impl SortedSet {
    /// An empty value.
    pub fn new() -> SortedSet {
        SortedSet::default()
    }

    /// A set of members that come in order. No member may be there twice, no score may be NaN, and the caller has looked at
    /// the limits.
    pub fn from_ordered<'m>(members: impl Iterator<Item = (PackedValue<'m>, f64)>) -> SortedSet {
        let mut packed = Packed::new();
        let mut buffer = itoa::Buffer::new();
        for (member, score) in members {
            packed.push_back(member.as_bytes(&mut buffer));
            write_score(score, |text| packed.push_back(text));
        }
        SortedSet { repr: Repr::Packed(packed) }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Packed(packed) => packed.len() / 2,
            Repr::Tree(big) => big.members.len(),
        }
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name that OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::Packed(_) => "listpack",
            Repr::Tree(_) => "skiplist",
        }
    }

    /// Chooses the encoding of a sorted set that is empty but about to get `expected` members, the longest of
    /// `longest` bytes.
    pub fn prepare(&mut self, expected: usize, longest: usize, limits: &EncodingLimits) {
        if self.is_empty()
            && (expected > limits.zset_listpack_entries || longest > limits.zset_listpack_value)
        {
            self.become_tree();
        }
    }

    /// Asks the processor for the memory that finding these members takes.
    pub fn look_ahead(&self, members: &[&[u8]]) {
        if let Repr::Tree(big) = &self.repr {
            big.members.look_ahead(members);
        }
    }

    /// Score of a member.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.repr {
            Repr::Packed(packed) => {
                let pos = packed.find(member, 1)?;
                packed.at(packed.after(pos)).map(|(value, _)| read_score(value))
            }
            Repr::Tree(big) => big.members.find(member).map(|id| big.members.get(id).score),
        }
    }

    /// Adds a member or changes its score; the score it had before.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &EncodingLimits) -> Option<f64> {
        debug_assert!(!score.is_nan());
        let fits = self.len() < limits.zset_listpack_entries && member.len() <= limits.zset_listpack_value;
        match &mut self.repr {
            Repr::Packed(packed) => {
                let old = packed.find(member, 1);
                if old.is_none() && !fits {
                    self.become_tree();
                    return self.insert(member, score, limits);
                }
                let before =
                    old.and_then(|pos| packed.at(packed.after(pos))).map(|(value, _)| read_score(value));
                // 0 and -0 are equal: as in Redis the sign that came first stays.
                if before == Some(score) {
                    return before;
                }
                if let Some(pos) = old {
                    packed.remove_at(pos, 2);
                }
                insert_packed(packed, member, score);
                before
            }
            Repr::Tree(big) => big.insert(member, score),
        }
    }

    fn become_tree(&mut self) {
        let mut big = Box::new(Big { members: Numbered::new(), tree: Tree::new() });
        let mut buffer = itoa::Buffer::new();
        for (member, score) in self.iter() {
            big.add(member.as_bytes(&mut buffer), score);
        }
        self.repr = Repr::Tree(big);
    }

    /// Takes a member out; the score it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.repr {
            Repr::Packed(packed) => {
                let pos = packed.find(member, 1)?;
                let score = packed.at(packed.after(pos)).map(|(value, _)| read_score(value));
                packed.remove_at(pos, 2);
                score
            }
            Repr::Tree(big) => {
                let id = big.members.find(member)?;
                Some(big.remove(id).score)
            }
        }
    }

    /// Rank (0 is the lowest) and score of a member.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.repr {
            Repr::Packed(_) => self
                .iter()
                .enumerate()
                .find(|(_, (other, _))| other.eq(member))
                .map(|(rank, (_, score))| (rank, score)),
            Repr::Tree(big) => {
                let score = big.members.get(big.members.find(member)?).score;
                let rank = big.tree.rank_where(|other, id| {
                    other < score || (other == score && big.members.name(id) < member)
                });
                Some((rank, score))
            }
        }
    }

    /// Members and scores of a range of ranks, ascending or (`reverse`) from its upper end down.
    pub fn range(&self, ranks: Range<usize>, reverse: bool) -> Iter<'_> {
        let end = ranks.end.min(self.len());
        let left = end.saturating_sub(ranks.start);
        let kind = match &self.repr {
            Repr::Packed(packed) => Kind::Packed(packed.range(ranks.start * 2, left * 2), reverse),
            Repr::Tree(big) if left > 0 => {
                let walk = big.tree.walk(if reverse { end - 1 } else { ranks.start }, reverse);
                Kind::Tree(&big.members, walk)
            }
            Repr::Tree(big) => Kind::Tree(&big.members, big.tree.walk(usize::MAX, false)),
        };
        Iter { kind, left }
    }

    /// All members and scores, ascending.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len(), false)
    }

    /// The member at a rank.
    pub fn nth(&self, rank: usize) -> Option<(PackedValue<'_>, f64)> {
        self.range(rank..rank.saturating_add(1), false).next()
    }

    /// Number of members for which `before` holds; it must hold for a prefix of the order.
    fn rank_where(&self, before: impl Fn(f64, PackedValue<'_>) -> bool) -> usize {
        match &self.repr {
            Repr::Packed(_) => self.iter().take_while(|(member, score)| before(*score, *member)).count(),
            Repr::Tree(big) => {
                big.tree.rank_where(|score, id| before(score, PackedValue::Bytes(big.members.name(id))))
            }
        }
    }

    /// Ranks of the scores in a range.
    pub fn score_ranks(&self, range: &ScoreRange) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        let start = self.rank_where(|score, _| !range.reaches_min(score));
        let end = self.rank_where(|score, _| range.reaches_max(score));
        start..end.max(start)
    }

    /// Ranks of the members in a range; meaningful when all scores are equal.
    pub fn lex_ranks(&self, range: &LexRange<'_>) -> Range<usize> {
        let start =
            self.rank_where(|_, member| !range.reaches_min(member.as_bytes(&mut itoa::Buffer::new())));
        let end = self.rank_where(|_, member| range.reaches_max(member.as_bytes(&mut itoa::Buffer::new())));
        start..end.max(start)
    }

    /// Takes out the members of a range of ranks; how many there were.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) -> usize {
        let end = ranks.end.min(self.len());
        let count = end.saturating_sub(ranks.start);
        match &mut self.repr {
            Repr::Packed(packed) => packed.remove(ranks.start * 2, count * 2),
            Repr::Tree(big) => {
                for _ in 0..count {
                    let (_, id) = big.tree.walk(ranks.start, false).next().expect("a rank below the length");
                    big.remove(id);
                }
            }
        }
        count
    }

    /// Takes out the lowest member, or the highest.
    pub fn pop(&mut self, highest: bool) -> Option<(Vec<u8>, f64)> {
        let last = self.len().checked_sub(1)?;
        let rank = if highest { last } else { 0 };
        if let Repr::Tree(big) = &mut self.repr {
            let mut walk = big.tree.walk(rank, highest);
            let (_, id) = walk.next()?;
            // Pops come in rows: what the next three will read can be on its way meanwhile.
            if let Some((_, next)) = walk.next() {
                big.members.prefetch_index(next);
            }
            if let Some((_, second)) = walk.next() {
                prefetch::<NOW>(big.members.get(second).key_address());
            }
            if let Some((_, third)) = walk.next() {
                prefetch::<NOW>(std::ptr::from_ref(big.members.get(third)).cast());
            }
            let removed = big.remove(id);
            return Some((removed.name.to_vec(), removed.score));
        }
        let (member, score) = self.range(rank..rank + 1, false).next()?;
        let member = member.to_vec();
        self.remove_ranks(rank..rank + 1);
        Some((member, score))
    }

    /// Visits some members from `cursor` (0 begins) on and returns the next cursor, 0 at the end. Listpacks are
    /// visited whole, trees `count` members at a time; every member that is there all along is visited.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(PackedValue<'_>, f64)) -> u64 {
        match &self.repr {
            Repr::Tree(big) => big
                .members
                .scan(cursor, count, |member| visit(PackedValue::Bytes(&member.name), member.score)),
            Repr::Packed(_) => {
                self.iter().for_each(|(member, score)| visit(member, score));
                0
            }
        }
    }

    /// Bytes on the heap.
    pub fn mem_usage(&self) -> usize {
        match &self.repr {
            Repr::Packed(packed) => packed.mem_usage(),
            Repr::Tree(big) => size_of::<Big>() + big.members.mem_usage() + big.tree.mem_usage(),
        }
    }
}

/// Puts a member that is not in the sequence where its order wants it.
fn insert_packed(packed: &mut Packed, member: &[u8], score: f64) {
    let mut pos = packed.first();
    let mut buffer = itoa::Buffer::new();
    while let Some((name, score_pos)) = packed.at(pos) {
        let Some((value, next)) = packed.at(score_pos) else { break };
        if compare((read_score(value), name.as_bytes(&mut buffer)), (score, member)).is_gt() {
            break;
        }
        pos = next;
    }
    // The score first: the member goes before it to the same place.
    write_score(score, |text| packed.insert_at(pos, text));
    packed.insert_at(pos, member);
}

impl Big {
    fn add(&mut self, member: &[u8], score: f64) {
        let id = self.members.push(Scored { score, name: ThinBytes::new(member) });
        self.tree.insert(&self.members, score, id);
    }

    fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let made = || Scored { score, name: ThinBytes::new(member) };
        let (id, new) = self.members.find_or_push(member, made);
        if new {
            self.tree.insert(&self.members, score, id);
            return None;
        }
        let before = self.members.get(id).score;
        if before != score {
            self.tree.remove(&self.members, before, id);
            self.members.get_mut(id).score = score;
            self.tree.insert(&self.members, score, id);
        }
        Some(before)
    }

    fn remove(&mut self, id: u32) -> Scored {
        self.tree.remove(&self.members, self.members.get(id).score, id);
        let removed = self.members.vacate(id);
        let tree = &mut self.tree;
        self.members.condense(|members, old, new| tree.rename(members, members.get(old).score, old, new));
        removed
    }
}

impl std::fmt::Debug for SortedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Members and scores of a range.
#[derive(Clone)]
pub struct Iter<'s> {
    kind: Kind<'s>,
    left: usize,
}

#[derive(Clone)]
enum Kind<'s> {
    Packed(packed::Iter<'s>, bool),
    Tree(&'s Numbered<Scored>, Walk<'s>),
}

impl<'s> Iterator for Iter<'s> {
    type Item = (PackedValue<'s>, f64);

    #[inline]
    fn next(&mut self) -> Option<(PackedValue<'s>, f64)> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.kind {
            Kind::Packed(iter, false) => Some((iter.next()?, read_score(iter.next()?))),
            Kind::Packed(iter, true) => {
                let score = read_score(iter.next_back()?);
                Some((iter.next_back()?, score))
            }
            Kind::Tree(members, walk) => {
                let (score, id) = walk.next()?;
                Some((PackedValue::Bytes(&members.get(id).name), score))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests;
