//! List values: one packed node while small, a deque of packed nodes beyond.
//!
//! Node limits and the moments of conversion between "listpack" and "quicklist" follow `list-max-listpack-size`
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/>).

use crate::encoding::EncodingLimits;
use crate::packed::{self, Needle, Packed, PackedValue};
use std::collections::{VecDeque, vec_deque};

/// Header and end mark of a listpack, which the limits count.
const FRAME: usize = 7;
/// What an entry is assumed to take besides its text when a node is checked for room.
const ENTRY_OVERHEAD: usize = 8;
/// Bytes of a node when `list-max-listpack-size` limits the count only.
const NODE_BYTES_SAFE: usize = 8192;

/// A list value.
#[derive(Clone, Debug)]
pub struct List {
    repr: Repr,
}

#[derive(Clone, Debug)]
enum Repr {
    /// Encoding "listpack".
    One(Packed),
    /// Encoding "quicklist".
    Many(Box<Nodes>),
}

/// Packed nodes in order, none empty; `len` is the sum of theirs.
#[derive(Clone, Debug)]
struct Nodes {
    nodes: VecDeque<Packed>,
    len: usize,
}

/// What a node may hold.
#[derive(Clone, Copy)]
struct NodeLimit {
    bytes: usize,
    count: usize,
    by_count: bool,
}

impl NodeLimit {
    fn new(limits: &EncodingLimits) -> NodeLimit {
        let by_size = |bytes| NodeLimit { bytes, count: usize::MAX, by_count: false };
        match limits.list_listpack_size {
            count @ 0.. => {
                NodeLimit { bytes: NODE_BYTES_SAFE, count: (count as usize).max(1), by_count: true }
            }
            -1 => by_size(4096),
            -2 => by_size(8192),
            -3 => by_size(16_384),
            -4 => by_size(32_768),
            _ => by_size(65_536),
        }
    }

    #[inline]
    fn has_room(self, node: &Packed, text: &[u8]) -> bool {
        node.byte_len() + FRAME + text.len() + ENTRY_OVERHEAD <= self.bytes && node.len() < self.count
    }

    fn can_merge(self, a: &Packed, b: &Packed) -> bool {
        a.byte_len() + b.byte_len() + FRAME <= self.bytes && a.len() + b.len() <= self.count
    }

    /// Whether a last node is small enough to be a listpack again: half the limit, so that a list at the border does
    /// not convert to and fro.
    fn fits_one(self, node: &Packed) -> bool {
        let bytes = if self.by_count { self.bytes } else { self.bytes / 2 };
        node.byte_len() + FRAME <= bytes && node.len() <= self.count / 2
    }
}

impl Default for List {
    fn default() -> List {
        List { repr: Repr::One(Packed::new()) }
    }
}

impl List {
    /// An empty list.
    pub fn new() -> List {
        List::default()
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::One(node) => node.len(),
            Repr::Many(nodes) => nodes.len,
        }
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name that OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::One(_) => "listpack",
            Repr::Many(_) => "quicklist",
        }
    }

    /// Bytes on the heap.
    pub fn mem_usage(&self) -> usize {
        match &self.repr {
            Repr::One(node) => node.mem_usage(),
            Repr::Many(nodes) => {
                let handles = nodes.nodes.capacity() * size_of::<Packed>();
                size_of::<Nodes>() + handles + nodes.nodes.iter().map(Packed::mem_usage).sum::<usize>()
            }
        }
    }

    /// Adds elements at the end, in order.
    #[inline]
    pub fn extend_back(&mut self, texts: &[&[u8]], limits: &EncodingLimits) {
        self.convert_for(texts, limits);
        match &mut self.repr {
            Repr::One(node) => texts.iter().for_each(|text| node.push_back(text)),
            Repr::Many(nodes) => {
                let limit = NodeLimit::new(limits);
                texts.iter().for_each(|text| nodes.push_back(text, limit));
            }
        }
    }

    /// Adds a node's elements at the end. Much like adding each, but a node that is full stays as it is.
    pub fn append_node(&mut self, node: Packed, limits: &EncodingLimits) {
        if node.is_empty() {
            return;
        }
        let limit = NodeLimit::new(limits);
        if let Repr::One(one) = &mut self.repr {
            if limit.can_merge(one, &node) {
                return if one.is_empty() { *one = node } else { one.append(&node) };
            }
            let one = std::mem::take(one);
            let (len, nodes) =
                (one.len(), if one.is_empty() { VecDeque::new() } else { VecDeque::from([one]) });
            self.repr = Repr::Many(Box::new(Nodes { nodes, len }));
        }
        let Repr::Many(nodes) = &mut self.repr else { return };
        nodes.len += node.len();
        match nodes.nodes.back_mut() {
            Some(last) if limit.can_merge(last, &node) => last.append(&node),
            _ => nodes.nodes.push_back(node),
        }
    }

    /// Whether a node is within the limits, so that `append_node` may take it.
    pub fn takes_node(node: &Packed, limits: &EncodingLimits) -> bool {
        let limit = NodeLimit::new(limits);
        node.len() == 1 || node.byte_len() + FRAME <= limit.bytes && node.len() <= limit.count
    }

    /// Adds elements at the beginning one after the other: the last of `texts` ends up first.
    #[inline]
    pub fn extend_front(&mut self, texts: &[&[u8]], limits: &EncodingLimits) {
        self.convert_for(texts, limits);
        match &mut self.repr {
            Repr::One(node) => texts.iter().for_each(|text| node.push_front(text)),
            Repr::Many(nodes) => {
                let limit = NodeLimit::new(limits);
                texts.iter().for_each(|text| nodes.push_front(text, limit));
            }
        }
    }

    /// Adds an element at the end.
    #[inline]
    pub fn push_back(&mut self, text: &[u8], limits: &EncodingLimits) {
        self.extend_back(&[text], limits);
    }

    /// Adds an element at the beginning.
    #[inline]
    pub fn push_front(&mut self, text: &[u8], limits: &EncodingLimits) {
        self.extend_front(&[text], limits);
    }

    /// Becomes a quicklist if `texts` would take the listpack over its limit. Changes that add call it themselves;
    /// LINSERT does so before it knows whether there is anything to add, and that shows in the encoding.
    #[inline]
    pub fn convert_for(&mut self, texts: &[&[u8]], limits: &EncodingLimits) {
        let Repr::One(node) = &mut self.repr else { return };
        let limit = NodeLimit::new(limits);
        let added: usize = texts.iter().map(|text| text.len()).sum();
        if node.byte_len() + FRAME + added > limit.bytes || node.len() + texts.len() > limit.count {
            let node = std::mem::take(node);
            let len = node.len();
            let nodes = if len == 0 { VecDeque::new() } else { VecDeque::from([node]) };
            self.repr = Repr::Many(Box::new(Nodes { nodes, len }));
        }
    }

    /// Becomes a listpack again if a single small node is left.
    #[inline]
    fn convert_back(&mut self, limits: &EncodingLimits) {
        let Repr::Many(nodes) = &mut self.repr else { return };
        if nodes.nodes.len() != 1 {
            return;
        }
        if nodes.nodes.front().is_some_and(|node| NodeLimit::new(limits).fits_one(node)) {
            self.repr = Repr::One(nodes.nodes.pop_front().unwrap_or_default());
        }
    }

    /// The element at `index` (negative: from the end, -1 is the last).
    pub fn get(&self, index: i64) -> Option<PackedValue<'_>> {
        let index = self.resolve(index)?;
        match &self.repr {
            Repr::One(node) => node.get(index as isize),
            Repr::Many(nodes) => {
                let (node, offset) = nodes.locate(index);
                nodes.nodes.get(node)?.get(offset as isize)
            }
        }
    }

    /// The first element.
    #[inline]
    pub fn front(&self) -> Option<PackedValue<'_>> {
        let node = match &self.repr {
            Repr::One(node) => node,
            Repr::Many(nodes) => nodes.nodes.front()?,
        };
        node.at(node.first()).map(|(value, _)| value)
    }

    /// The last element.
    #[inline]
    pub fn back(&self) -> Option<PackedValue<'_>> {
        let node = match &self.repr {
            Repr::One(node) => node,
            Repr::Many(nodes) => nodes.nodes.back()?,
        };
        node.at(node.last()?).map(|(value, _)| value)
    }

    /// Position from the start of an index that may count from the end; none if it is outside.
    fn resolve(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let index = if index < 0 {
            len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
        } else {
            usize::try_from(index).ok()?
        };
        (index < len).then_some(index)
    }

    /// Replaces the element at `index` (negative: from the end). False if there is none.
    pub fn set(&mut self, index: i64, text: &[u8], limits: &EncodingLimits) -> bool {
        self.convert_for(&[text], limits);
        let Some(index) = self.resolve(index) else { return false };
        match &mut self.repr {
            Repr::One(node) => {
                node.replace(index as isize, text);
            }
            Repr::Many(nodes) => nodes.set(index, text, NodeLimit::new(limits)),
        }
        self.convert_back(limits);
        true
    }

    /// Inserts before the element at position `index`; at or past the length it appends.
    pub fn insert(&mut self, index: usize, text: &[u8], limits: &EncodingLimits) {
        self.convert_for(&[text], limits);
        match &mut self.repr {
            Repr::One(node) => node.insert(index, text),
            Repr::Many(nodes) => nodes.insert(index, text, NodeLimit::new(limits)),
        }
    }

    /// Removes the first `count` elements, or all.
    #[inline]
    pub fn remove_front(&mut self, count: usize, limits: &EncodingLimits) {
        self.remove(0, count, limits);
    }

    /// Removes the last `count` elements, or all.
    #[inline]
    pub fn remove_back(&mut self, count: usize, limits: &EncodingLimits) {
        let len = self.len();
        self.remove(len.saturating_sub(count), count, limits);
    }

    /// Removes up to `count` elements from position `index` on.
    #[inline]
    pub fn remove(&mut self, index: usize, count: usize, limits: &EncodingLimits) {
        self.remove_part(index, count);
        self.convert_back(limits);
    }

    #[inline]
    fn remove_part(&mut self, index: usize, count: usize) {
        match &mut self.repr {
            Repr::One(node) => node.remove(index, count),
            Repr::Many(nodes) => nodes.remove(index, count),
        }
    }

    /// Moves the first (or last) element to the end (or beginning). The encoding is judged when it is done.
    pub fn rotate(&mut self, forward: bool, limits: &EncodingLimits) {
        let Some(value) = (if forward { self.front() } else { self.back() }).map(|value| value.to_vec())
        else {
            return;
        };
        if forward {
            self.remove_part(0, 1);
            self.push_back(&value, limits);
        } else {
            self.remove_part(self.len() - 1, 1);
            self.push_front(&value, limits);
        }
        self.convert_back(limits);
    }

    /// Keeps `count` elements from position `start` on.
    pub fn trim(&mut self, start: usize, count: usize, limits: &EncodingLimits) {
        let end = start.saturating_add(count).min(self.len());
        self.remove_back(self.len() - end, limits);
        self.remove_front(start, limits);
    }

    /// Removes elements equal to `text`: the first `count` of them, the last if `count` is negative, all if it is 0.
    /// Returns how many it removed.
    pub fn remove_equal(&mut self, text: &[u8], count: i64, limits: &EncodingLimits) -> usize {
        let most = match count {
            0 => usize::MAX,
            _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
        };
        let needle = Needle::new(text);
        match &mut self.repr {
            Repr::One(node) => remove_from_node(node, &needle, most, count < 0),
            Repr::Many(nodes) => {
                let removed = nodes.remove_equal(&needle, most, count < 0);
                self.convert_back(limits);
                removed
            }
        }
    }

    /// All elements, from both ends.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0, usize::MAX)
    }

    /// Up to `count` elements from position `start` on.
    pub fn range(&self, start: usize, count: usize) -> Iter<'_> {
        let count = count.min(self.len().saturating_sub(start));
        match &self.repr {
            Repr::One(node) => Iter { front: node.range(start, count), ..Iter::empty() },
            Repr::Many(_) if count == 0 => Iter::empty(),
            Repr::Many(nodes) => nodes.range(start, count),
        }
    }

    /// The packed nodes in order, for snapshots.
    pub fn nodes(&self) -> impl Iterator<Item = &Packed> {
        let (one, many) = match &self.repr {
            Repr::One(node) => (Some(node), None),
            Repr::Many(nodes) => (None, Some(nodes.nodes.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

/// Removes up to `most` entries that match, the last ones if `from_back`. Returns how many.
fn remove_from_node(node: &mut Packed, needle: &Needle<'_>, most: usize, from_back: bool) -> usize {
    let matching = node.iter().filter(|value| needle.matches(*value)).count();
    let removed = matching.min(most);
    if removed == 0 {
        return 0;
    }
    let spared = if from_back { matching - removed } else { 0 };
    let mut met = 0;
    node.retain(|value| {
        if !needle.matches(value) {
            return true;
        }
        met += 1;
        met <= spared || met > spared + removed
    });
    removed
}

impl Nodes {
    #[inline]
    fn push_back(&mut self, text: &[u8], limit: NodeLimit) {
        self.len += 1;
        if let Some(node) = self.nodes.back_mut()
            && limit.has_room(node, text)
        {
            return node.push_back(text);
        }
        self.nodes.push_back(node_of(text));
    }

    #[inline]
    fn push_front(&mut self, text: &[u8], limit: NodeLimit) {
        self.len += 1;
        if let Some(node) = self.nodes.front_mut()
            && limit.has_room(node, text)
        {
            return node.push_front(text);
        }
        self.nodes.push_front(node_of(text));
    }

    /// Node and offset in it of a position below the length; the length itself is (number of nodes, 0).
    fn locate(&self, index: usize) -> (usize, usize) {
        if index <= self.len / 2 {
            let mut before = 0;
            for (at, node) in self.nodes.iter().enumerate() {
                if index < before + node.len() {
                    return (at, index - before);
                }
                before += node.len();
            }
        } else {
            let mut from = self.len;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                from -= node.len();
                if index < self.len && index >= from {
                    return (at, index - from);
                }
            }
        }
        (self.nodes.len(), 0)
    }

    fn insert(&mut self, index: usize, text: &[u8], limit: NodeLimit) {
        if index >= self.len {
            return self.push_back(text, limit);
        }
        if index == 0 {
            return self.push_front(text, limit);
        }
        let (at, offset) = self.locate(index);
        self.len += 1;
        if limit.has_room(&self.nodes[at], text) {
            return self.nodes[at].insert(offset, text);
        }
        if offset > 0 {
            let tail = self.nodes[at].split_off(offset);
            self.nodes.insert(at + 1, tail);
            // The new element goes between the halves; they may now fit their neighbours.
            self.insert_between(at + 1, text, limit);
        } else {
            self.insert_between(at, text, limit);
        }
    }

    /// Puts `text` between nodes `at - 1` and `at`, into either if it has room, and joins what has become small.
    fn insert_between(&mut self, at: usize, text: &[u8], limit: NodeLimit) {
        if limit.has_room(&self.nodes[at - 1], text) {
            self.nodes[at - 1].push_back(text);
        } else if limit.has_room(&self.nodes[at], text) {
            self.nodes[at].push_front(text);
        } else {
            self.nodes.insert(at, node_of(text));
        }
        for left in [at + 1, at, at - 1, at.saturating_sub(2)] {
            if left + 1 < self.nodes.len() && limit.can_merge(&self.nodes[left], &self.nodes[left + 1]) {
                let right = self.nodes.remove(left + 1).unwrap_or_default();
                self.nodes[left].append(&right);
            }
        }
    }

    fn set(&mut self, index: usize, text: &[u8], limit: NodeLimit) {
        let (at, offset) = self.locate(index);
        let node = &mut self.nodes[at];
        if text.len() <= limit.bytes || node.len() == 1 {
            node.replace(offset as isize, text);
        } else {
            // Too large to share a node.
            self.remove(index, 1);
            self.insert(index, text, limit);
        }
    }

    #[inline]
    fn remove(&mut self, index: usize, count: usize) {
        let mut left = count.min(self.len.saturating_sub(index));
        if left == 0 {
            return;
        }
        let (mut at, mut offset) = self.locate(index);
        self.len -= left;
        while left > 0 {
            let node = &mut self.nodes[at];
            let here = left.min(node.len() - offset);
            left -= here;
            if here == node.len() {
                let whole = self.whole_nodes(at, left);
                left -= self.nodes.range(at + 1..whole).map(Packed::len).sum::<usize>();
                self.nodes.drain(at..whole);
            } else {
                node.remove(offset, here);
                at += 1;
            }
            offset = 0;
        }
    }

    /// End of the run of nodes after `at` that `left` elements cover completely.
    fn whole_nodes(&self, at: usize, mut left: usize) -> usize {
        let mut end = at + 1;
        while let Some(node) = self.nodes.get(end)
            && node.len() <= left
        {
            left -= node.len();
            end += 1;
        }
        end
    }

    fn remove_equal(&mut self, needle: &Needle<'_>, most: usize, from_back: bool) -> usize {
        let mut removed = 0;
        let mut clean = |node: &mut Packed| {
            if removed < most {
                removed += remove_from_node(node, needle, most - removed, from_back);
            }
        };
        if from_back {
            self.nodes.iter_mut().rev().for_each(&mut clean);
        } else {
            self.nodes.iter_mut().for_each(&mut clean);
        }
        self.len -= removed;
        if removed > 0 {
            self.nodes.retain(|node| !node.is_empty());
        }
        removed
    }

    fn range(&self, start: usize, count: usize) -> Iter<'_> {
        let (first, from) = self.locate(start);
        let (last, to) = self.locate(start + count - 1);
        if first == last {
            return Iter { front: self.nodes[first].range(from, count), ..Iter::empty() };
        }
        Iter {
            front: self.nodes[first].range(from, usize::MAX),
            middle: self.nodes.range(first + 1..last),
            back: self.nodes[last].range(0, to + 1),
        }
    }
}

fn node_of(text: &[u8]) -> Packed {
    let mut node = Packed::new();
    node.push_back(text);
    node
}

/// Elements of a list, from both ends.
#[derive(Clone)]
pub struct Iter<'a> {
    front: packed::Iter<'a>,
    middle: vec_deque::Iter<'a, Packed>,
    back: packed::Iter<'a>,
}

impl Iter<'_> {
    fn empty() -> Iter<'static> {
        Iter {
            front: packed::Iter::default(),
            middle: vec_deque::Iter::default(),
            back: packed::Iter::default(),
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = PackedValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<PackedValue<'a>> {
        loop {
            if let Some(value) = self.front.next() {
                return Some(value);
            }
            match self.middle.next() {
                Some(node) => self.front = node.iter(),
                None => return self.back.next(),
            }
        }
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<PackedValue<'a>> {
        loop {
            if let Some(value) = self.back.next_back() {
                return Some(value);
            }
            match self.middle.next_back() {
                Some(node) => self.back = node.iter(),
                None => return self.front.next_back(),
            }
        }
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
