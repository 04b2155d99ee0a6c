//! Counted B+tree over (score, member id), ordered by score and then by the member's bytes.
//!
//! Every inner entry holds the least entry and the number of entries below it, so a rank is found on the way down.
//! All bounds (an entry, a score, a member) are one primitive: the first entry for which a monotone test fails.

use crate::alloc_size::alloc_size;
use crate::table::{NOW, prefetch};
use std::cmp::Ordering;

/// Entries of a leaf: 62 scores, 62 ids and the header fill a 768-byte allocation.
const LEAF_LEN: usize = 62;
/// Children of an inner node: 1280 bytes.
const INNER_LEN: usize = 63;
/// A node with fewer entries is joined with a neighbour or filled from it.
const LEAF_LEN_MIN: usize = LEAF_LEN / 3;
const INNER_LEN_MIN: usize = INNER_LEN / 3;
const NONE: u32 = u32::MAX;

/// Resolves ids to member bytes: the tree stores none itself.
pub(crate) trait Names {
    /// Bytes of the member `id`.
    fn name(&self, id: u32) -> &[u8];
}

/// An entry: score and member id.
pub(crate) type Entry = (f64, u32);

/// Order of two (score, member) pairs; scores are never NaN, and -0 equals 0.
#[inline]
pub(crate) fn compare(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(b.1))
}

#[derive(Clone)]
struct Leaf {
    len: u32,
    next: u32,
    prev: u32,
    ids: [u32; LEAF_LEN],
    scores: [f64; LEAF_LEN],
}

#[derive(Clone)]
struct Inner {
    len: u32,
    ids: [u32; INNER_LEN],
    children: [u32; INNER_LEN],
    counts: [u32; INNER_LEN],
    scores: [f64; INNER_LEN],
}

/// Asks for all of a node at once: a binary search would wait for one cache line after the other.
#[inline]
fn prefetch_node<T>(node: &T) {
    let start = std::ptr::from_ref(node).cast::<u8>();
    (0..size_of::<T>()).step_by(64).for_each(|offset| prefetch::<NOW>(start.wrapping_add(offset)));
}

/// What an inner node holds about a child.
#[derive(Clone, Copy)]
struct Child {
    least: Entry,
    node: u32,
    count: u32,
}

impl Leaf {
    fn new() -> Box<Leaf> {
        Box::new(Leaf { len: 0, next: NONE, prev: NONE, ids: [0; LEAF_LEN], scores: [0.0; LEAF_LEN] })
    }

    #[inline]
    fn entry(&self, at: usize) -> Entry {
        (self.scores[at], self.ids[at])
    }

    fn insert(&mut self, at: usize, entry: Entry) {
        let len = self.len as usize;
        self.scores.copy_within(at..len, at + 1);
        self.ids.copy_within(at..len, at + 1);
        (self.scores[at], self.ids[at]) = entry;
        self.len += 1;
    }

    fn remove(&mut self, at: usize) {
        let len = self.len as usize;
        self.scores.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        self.len -= 1;
    }

    fn entries(&self) -> Vec<Entry> {
        (0..self.len as usize).map(|at| self.entry(at)).collect()
    }

    fn fill(&mut self, entries: &[Entry]) {
        self.len = entries.len() as u32;
        for (at, entry) in entries.iter().enumerate() {
            (self.scores[at], self.ids[at]) = *entry;
        }
    }
}

impl Inner {
    fn new() -> Box<Inner> {
        Box::new(Inner {
            len: 0,
            ids: [0; INNER_LEN],
            children: [0; INNER_LEN],
            counts: [0; INNER_LEN],
            scores: [0.0; INNER_LEN],
        })
    }

    #[inline]
    fn child(&self, at: usize) -> Child {
        Child { least: (self.scores[at], self.ids[at]), node: self.children[at], count: self.counts[at] }
    }

    fn set(&mut self, at: usize, child: Child) {
        (self.scores[at], self.ids[at]) = child.least;
        self.children[at] = child.node;
        self.counts[at] = child.count;
    }

    fn insert(&mut self, at: usize, child: Child) {
        let len = self.len as usize;
        self.scores.copy_within(at..len, at + 1);
        self.ids.copy_within(at..len, at + 1);
        self.children.copy_within(at..len, at + 1);
        self.counts.copy_within(at..len, at + 1);
        self.len += 1;
        self.set(at, child);
    }

    fn remove(&mut self, at: usize) {
        let len = self.len as usize;
        self.scores.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        self.children.copy_within(at + 1..len, at);
        self.counts.copy_within(at + 1..len, at);
        self.len -= 1;
    }

    fn all(&self) -> Vec<Child> {
        (0..self.len as usize).map(|at| self.child(at)).collect()
    }

    fn fill(&mut self, children: &[Child]) {
        self.len = children.len() as u32;
        for (at, child) in children.iter().enumerate() {
            self.set(at, *child);
        }
    }

    fn count(&self) -> u32 {
        self.counts[..self.len as usize].iter().sum()
    }

    /// The last child whose least entry passes the test, or the first.
    #[inline]
    fn descend(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        prefetch_node(&self.scores);
        let (mut low, mut high) = (1, self.len as usize);
        while low < high {
            let middle = usize::midpoint(low, high);
            if before(self.scores[middle], self.ids[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low - 1
    }
}

/// The tree. Nodes live in two arenas and name each other by index.
#[derive(Clone)]
pub(crate) struct Tree {
    /// `None` where the number is free.
    leaves: Vec<Option<Box<Leaf>>>,
    inners: Vec<Option<Box<Inner>>>,
    free_leaves: Vec<u32>,
    free_inners: Vec<u32>,
    root: u32,
    /// Levels of inner nodes above the leaves.
    height: u32,
    len: usize,
}

impl Tree {
    /// An empty tree.
    pub(crate) fn new() -> Tree {
        Tree {
            leaves: vec![Some(Leaf::new())],
            inners: Vec::new(),
            free_leaves: Vec::new(),
            free_inners: Vec::new(),
            root: 0,
            height: 0,
            len: 0,
        }
    }

    /// Bytes allocated.
    pub(crate) fn mem_usage(&self) -> usize {
        let leaves = (self.leaves.len() - self.free_leaves.len()) * alloc_size(size_of::<Leaf>());
        let inners = (self.inners.len() - self.free_inners.len()) * alloc_size(size_of::<Inner>());
        let lists = (self.leaves.capacity() + self.inners.capacity()) * size_of::<usize>();
        leaves + inners + lists + (self.free_leaves.capacity() + self.free_inners.capacity()) * 4
    }

    #[inline]
    fn leaf(&self, number: u32) -> &Leaf {
        self.leaves[number as usize].as_deref().expect("a number that is linked is in use")
    }

    #[inline]
    fn leaf_mut(&mut self, number: u32) -> &mut Leaf {
        self.leaves[number as usize].as_deref_mut().expect("a number that is linked is in use")
    }

    #[inline]
    fn inner(&self, number: u32) -> &Inner {
        self.inners[number as usize].as_deref().expect("a number that is linked is in use")
    }

    #[inline]
    fn inner_mut(&mut self, number: u32) -> &mut Inner {
        self.inners[number as usize].as_deref_mut().expect("a number that is linked is in use")
    }

    /// Number of entries that pass `before`, which must hold for a prefix of the order.
    pub(crate) fn rank_where(&self, before: impl Fn(f64, u32) -> bool) -> usize {
        let (mut node, mut rank) = (self.root, 0usize);
        for _ in 0..self.height {
            let inner = self.inner(node);
            let at = inner.descend(&before);
            rank += inner.counts[..at].iter().map(|&count| count as usize).sum::<usize>();
            node = inner.children[at];
        }
        rank + self.leaf_position(node, &before)
    }

    /// Entries from the first on that does not pass `before`, which must hold for a prefix of the order.
    pub(crate) fn walk_from(&self, before: impl Fn(f64, u32) -> bool) -> Walk<'_> {
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = self.inner(node);
            node = inner.children[inner.descend(&before)];
        }
        let at = self.leaf_position(node, &before);
        let leaf = self.leaf(node);
        let (leaf, at) = if at < leaf.len as usize { (node, at) } else { (leaf.next, 0) };
        Walk { tree: self, leaf, at, reverse: false }
    }

    /// Entries of the leaf that pass `before`.
    #[inline]
    fn leaf_position(&self, leaf: u32, before: &impl Fn(f64, u32) -> bool) -> usize {
        let leaf = self.leaf(leaf);
        prefetch_node(leaf);
        let (mut low, mut high) = (0, leaf.len as usize);
        while low < high {
            let middle = usize::midpoint(low, high);
            if before(leaf.scores[middle], leaf.ids[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Leaf and position of a rank; `rank` is below the length.
    fn locate(&self, rank: usize) -> (u32, usize) {
        let (mut node, mut rank) = (self.root, rank);
        for _ in 0..self.height {
            let inner = self.inner(node);
            let mut at = 0;
            while rank >= inner.counts[at] as usize {
                rank -= inner.counts[at] as usize;
                at += 1;
            }
            node = inner.children[at];
        }
        (node, rank)
    }

    /// Entries from `rank` on, forward or (when `reverse`) from `rank` down.
    pub(crate) fn walk(&self, rank: usize, reverse: bool) -> Walk<'_> {
        if rank >= self.len {
            return Walk { tree: self, leaf: NONE, at: 0, reverse };
        }
        let (leaf, at) = self.locate(rank);
        Walk { tree: self, leaf, at, reverse }
    }

    /// Adds an entry that is not in the tree.
    pub(crate) fn insert(&mut self, names: &impl Names, score: f64, id: u32) {
        let name = names.name(id);
        let before =
            |other: f64, other_id: u32| other < score || (other == score && names.name(other_id) < name);
        if let Some(split) = self.insert_below(self.root, self.height, (score, id), &before) {
            let first = self.describe(self.root, self.height);
            let mut inner = Inner::new();
            inner.fill(&[first, split]);
            self.root = self.add_inner(inner);
            self.height += 1;
        }
        self.len += 1;
    }

    /// Inserts under a node at `level`; the new right neighbour if it had to split.
    fn insert_below(
        &mut self,
        node: u32,
        level: u32,
        entry: Entry,
        before: &impl Fn(f64, u32) -> bool,
    ) -> Option<Child> {
        if level == 0 {
            return self.insert_leaf(node, entry, before);
        }
        let inner = self.inner(node);
        let at = inner.descend(before);
        let child = inner.children[at];
        let split = self.insert_below(child, level - 1, entry, before);
        let changed = self.describe(child, level - 1);
        let inner = self.inner_mut(node);
        inner.set(at, changed);
        let split = split?;
        if (inner.len as usize) < INNER_LEN {
            inner.insert(at + 1, split);
            return None;
        }
        let mut children = inner.all();
        children.insert(at + 1, split);
        let cut = split_point(children.len(), at + 1);
        inner.fill(&children[..cut]);
        let mut right = Inner::new();
        right.fill(&children[cut..]);
        let right = self.add_inner(right);
        Some(self.describe(right, level))
    }

    fn insert_leaf(&mut self, node: u32, entry: Entry, before: &impl Fn(f64, u32) -> bool) -> Option<Child> {
        let at = self.leaf_position(node, before);
        let leaf = self.leaf_mut(node);
        if (leaf.len as usize) < LEAF_LEN {
            leaf.insert(at, entry);
            return None;
        }
        let mut entries = leaf.entries();
        entries.insert(at, entry);
        let last = leaf.next == NONE;
        let cut = split_point(entries.len(), if last { at } else { 0 });
        leaf.fill(&entries[..cut]);
        let next = leaf.next;
        let mut right = Leaf::new();
        right.fill(&entries[cut..]);
        (right.prev, right.next) = (node, next);
        let right = self.add_leaf(right);
        self.leaf_mut(node).next = right;
        if next != NONE {
            self.leaf_mut(next).prev = right;
        }
        Some(self.describe(right, 0))
    }

    /// Removes an entry; false if it is not there.
    pub(crate) fn remove(&mut self, names: &impl Names, score: f64, id: u32) -> bool {
        let name = names.name(id);
        let before =
            |other: f64, other_id: u32| other < score || (other == score && names.name(other_id) < name);
        // The descent needs the last child whose least entry is not after the target: the target itself included.
        let until = |other: f64, other_id: u32| {
            other < score || (other == score && (other_id == id || names.name(other_id) < name))
        };
        if !self.remove_below(self.root, self.height, id, &before, &until) {
            return false;
        }
        self.len -= 1;
        if self.height > 0 && self.inner(self.root).len == 1 {
            let child = self.inner(self.root).children[0];
            self.free_inner(self.root);
            self.root = child;
            self.height -= 1;
        }
        true
    }

    fn remove_below(
        &mut self,
        node: u32,
        level: u32,
        id: u32,
        before: &impl Fn(f64, u32) -> bool,
        until: &impl Fn(f64, u32) -> bool,
    ) -> bool {
        if level == 0 {
            let at = self.leaf_position(node, before);
            let leaf = self.leaf_mut(node);
            let found = at < leaf.len as usize && leaf.ids[at] == id;
            if found {
                leaf.remove(at);
            }
            return found;
        }
        let inner = self.inner(node);
        let at = inner.descend(until);
        let child = inner.children[at];
        if !self.remove_below(child, level - 1, id, before, until) {
            return false;
        }
        if self.is_short(child, level - 1) {
            self.refill(node, level, at);
        } else {
            let changed = self.describe(child, level - 1);
            self.inner_mut(node).set(at, changed);
        }
        true
    }

    fn is_short(&self, node: u32, level: u32) -> bool {
        if level == 0 {
            (self.leaf(node).len as usize) < LEAF_LEN_MIN
        } else {
            (self.inner(node).len as usize) < INNER_LEN_MIN
        }
    }

    /// Joins the child at `at` with a neighbour, or shares their entries evenly if they do not fit in one node.
    fn refill(&mut self, node: u32, level: u32, at: usize) {
        let inner = self.inner(node);
        if inner.len == 1 {
            // Only a root can have one child; `remove` takes that level away.
            let changed = self.describe(inner.children[0], level - 1);
            return self.inner_mut(node).set(0, changed);
        }
        let left_at = if at + 1 < inner.len as usize { at } else { at - 1 };
        let (left, right) = (inner.children[left_at], inner.children[left_at + 1]);
        let joined = if level == 1 { self.join_leaves(left, right) } else { self.join_inners(left, right) };
        let changed = self.describe(left, level - 1);
        self.inner_mut(node).set(left_at, changed);
        if joined {
            self.inner_mut(node).remove(left_at + 1);
        } else {
            let changed = self.describe(right, level - 1);
            self.inner_mut(node).set(left_at + 1, changed);
        }
    }

    /// True if `right` was emptied into `left` and freed.
    fn join_leaves(&mut self, left: u32, right: u32) -> bool {
        let mut entries = self.leaf(left).entries();
        entries.extend(self.leaf(right).entries());
        if entries.len() > LEAF_LEN {
            let cut = entries.len() / 2;
            self.leaf_mut(left).fill(&entries[..cut]);
            self.leaf_mut(right).fill(&entries[cut..]);
            return false;
        }
        self.leaf_mut(left).fill(&entries);
        let next = self.leaf(right).next;
        self.leaf_mut(left).next = next;
        if next != NONE {
            self.leaf_mut(next).prev = left;
        }
        self.free_leaf(right);
        true
    }

    fn join_inners(&mut self, left: u32, right: u32) -> bool {
        let mut children = self.inner(left).all();
        children.extend(self.inner(right).all());
        if children.len() > INNER_LEN {
            let cut = children.len() / 2;
            self.inner_mut(left).fill(&children[..cut]);
            self.inner_mut(right).fill(&children[cut..]);
            return false;
        }
        self.inner_mut(left).fill(&children);
        self.free_inner(right);
        true
    }

    /// Gives the entry (score, old) the id `new`; both ids name the same bytes or `old` still does.
    pub(crate) fn rename(&mut self, names: &impl Names, score: f64, old: u32, new: u32) {
        let name = names.name(old);
        let until = |other: f64, other_id: u32| {
            other < score || (other == score && (other_id == old || names.name(other_id) < name))
        };
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = self.inner_mut(node);
            let at = inner.descend(&until);
            node = inner.children[at];
            if inner.ids[at] == old {
                inner.ids[at] = new;
            }
        }
        let position = self.leaf_position(node, &until);
        let leaf = self.leaf_mut(node);
        debug_assert!(position > 0 && leaf.ids[position - 1] == old);
        if let Some(slot) = position.checked_sub(1).filter(|&at| leaf.ids[at] == old) {
            leaf.ids[slot] = new;
        }
    }

    /// What a parent has to know of a node.
    fn describe(&self, node: u32, level: u32) -> Child {
        if level == 0 {
            let leaf = self.leaf(node);
            Child { least: leaf.entry(0), node, count: leaf.len }
        } else {
            let inner = self.inner(node);
            Child { least: inner.child(0).least, node, count: inner.count() }
        }
    }

    fn add_leaf(&mut self, leaf: Box<Leaf>) -> u32 {
        if let Some(free) = self.free_leaves.pop() {
            self.leaves[free as usize] = Some(leaf);
            return free;
        }
        self.leaves.push(Some(leaf));
        (self.leaves.len() - 1) as u32
    }

    fn add_inner(&mut self, inner: Box<Inner>) -> u32 {
        if let Some(free) = self.free_inners.pop() {
            self.inners[free as usize] = Some(inner);
            return free;
        }
        self.inners.push(Some(inner));
        (self.inners.len() - 1) as u32
    }

    fn free_leaf(&mut self, leaf: u32) {
        self.leaves[leaf as usize] = None;
        self.free_leaves.push(leaf);
    }

    fn free_inner(&mut self, inner: u32) {
        self.inners[inner as usize] = None;
        self.free_inners.push(inner);
    }
}

/// Where to cut a full node of `len` entries: in the middle, but near the end when the newcomer is the last, so that
/// ascending inserts leave full nodes behind.
fn split_point(len: usize, inserted: usize) -> usize {
    if inserted + 1 == len { len - 1 } else { len / 2 }
}

/// Walks entries in order, or backwards.
#[derive(Clone)]
pub(crate) struct Walk<'t> {
    tree: &'t Tree,
    leaf: u32,
    at: usize,
    reverse: bool,
}

impl Iterator for Walk<'_> {
    type Item = Entry;

    #[inline]
    fn next(&mut self) -> Option<Entry> {
        if self.leaf == NONE {
            return None;
        }
        let leaf = self.tree.leaf(self.leaf);
        if self.at >= leaf.len as usize {
            return None;
        }
        let entry = leaf.entry(self.at);
        if self.reverse {
            if self.at > 0 {
                self.at -= 1;
            } else {
                self.leaf = leaf.prev;
                self.at = if leaf.prev == NONE { 0 } else { self.tree.leaf(leaf.prev).len as usize - 1 };
            }
        } else {
            self.at += 1;
            if self.at == leaf.len as usize {
                (self.leaf, self.at) = (leaf.next, 0);
            }
        }
        Some(entry)
    }
}
