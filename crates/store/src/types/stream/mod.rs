//! Stream values: entries in packed blocks under an index by id, and consumer groups.
//! <https://redis.io/docs/latest/develop/data-types/streams/>
//!
//! When a block is full is decided as in Redis (`stream-node-max-bytes`, `stream-node-max-entries`), so that approximate
//! trimming, which removes whole blocks, removes as much as there.

mod block;
mod group;
mod id;
mod id_map;
mod range;
#[cfg(test)]
mod tests;
mod trim;

pub use block::Fields;
pub use group::{Consumer, ConsumerId, Group, Pending};
pub use id::StreamId;
pub use range::{Entry, Range, RevRange};
pub use trim::{References, Trim, TrimTo};

use crate::alloc_size::alloc_size;
use crate::encoding::EncodingLimits;
use block::Block;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// Most bytes of a block, whatever the settings say, and of the names and values of one entry.
pub const BLOCK_BYTES_MAX: u64 = 1 << 30;
/// Blocks that `mem_usage` looks at.
const SAMPLED_BLOCKS: usize = 128;

/// A stream value. Unlike other collections it may be empty.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    inner: Box<Inner>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    /// All blocks but the newest, by the id they count from.
    older: BTreeMap<StreamId, Box<Block>>,
    /// The newest block. None only when there is no entry; no block is ever empty.
    tail: Option<Box<Block>>,
    len: u64,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    /// Sorted by name.
    groups: Vec<Group>,
}

impl Stream {
    /// An empty stream.
    pub fn new() -> Stream {
        Stream::default()
    }

    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.inner.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.inner.len == 0
    }

    /// The greatest id ever added, or set by `set_last_id`.
    pub fn last_id(&self) -> StreamId {
        self.inner.last_id
    }

    /// Sets the id that new entries must be above.
    pub fn set_last_id(&mut self, id: StreamId) {
        self.inner.last_id = id;
    }

    /// The greatest id that was deleted on its own (trimming does not count); 0-0 when none was.
    pub fn max_deleted_id(&self) -> StreamId {
        self.inner.max_deleted_id
    }

    /// Sets what `max_deleted_id` answers.
    pub fn set_max_deleted_id(&mut self, id: StreamId) {
        self.inner.max_deleted_id = id;
    }

    /// Entries ever added.
    pub fn entries_added(&self) -> u64 {
        self.inner.entries_added
    }

    /// Sets what `entries_added` answers.
    pub fn set_entries_added(&mut self, count: u64) {
        self.inner.entries_added = count;
    }

    /// Id of the oldest entry; 0-0 when there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_block().map_or(StreamId::MIN, |block| block.id_at(block.first_place()))
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.inner.older.len() + usize::from(self.inner.tail.is_some())
    }

    /// The ids that blocks begin at, in order: every entry from one on, up to the next, is in that block.
    pub fn block_starts(&self) -> impl Iterator<Item = StreamId> {
        let tail = self.inner.tail.as_deref().map(Block::base);
        self.inner.older.keys().copied().chain(tail)
    }

    /// The first of `block_starts` that is not below `from`.
    pub fn block_start_from(&self, from: StreamId) -> Option<StreamId> {
        let tail = self.inner.tail.as_deref().map(Block::base).filter(|base| *base >= from);
        self.inner.older.range(from..).next().map(|(base, _)| *base).or(tail)
    }

    /// Bytes on the heap; a long stream's are estimated from its oldest blocks.
    pub fn mem_usage(&self) -> usize {
        // A node of the index holds 11 keys and boxes, and is two thirds full.
        const INDEXED: usize = (size_of::<StreamId>() + size_of::<Box<Block>>() + 2) * 3 / 2;
        let inner = &*self.inner;
        let of_block = |block: &Block| alloc_size(size_of::<Block>()) + block.mem_usage();
        let sampled = inner.older.len().min(SAMPLED_BLOCKS);
        let sample: usize = inner.older.values().take(sampled).map(|block| INDEXED + of_block(block)).sum();
        let older = (sample as u128 * inner.older.len() as u128 / sampled.max(1) as u128) as usize;
        let tail = inner.tail.as_deref().map_or(0, of_block);
        let groups = alloc_size(inner.groups.capacity() * size_of::<Group>());
        let groups = groups + inner.groups.iter().map(|group| group.mem_usage()).sum::<usize>();
        alloc_size(size_of::<Inner>()) + older + tail + groups
    }

    // --- entries -------------------------------------------------------------------------------------------------

    /// Appends an entry of name, value, name, value... False, and nothing done, when its id is not above `last_id`.
    pub fn add(&mut self, id: StreamId, pairs: &[&[u8]], limits: &EncodingLimits) -> bool {
        let inner = &mut *self.inner;
        if id <= inner.last_id {
            return false;
        }
        if inner.tail.as_ref().is_some_and(|block| is_full(block, pairs, limits)) {
            let mut full = inner.tail.take().expect("looked at just now");
            full.seal();
            inner.older.insert(full.base(), full);
        }
        inner.tail.get_or_insert_with(|| Box::new(Block::new(id, pairs))).push(id, pairs);
        inner.len += 1;
        inner.entries_added += 1;
        inner.last_id = id;
        true
    }

    /// Deletes an entry and remembers that it was. True if there was one.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some(block) = self.block_of_mut(id) else { return false };
        if !block.delete(id) {
            return false;
        }
        if block.live() == 0 {
            let base = block.base();
            self.drop_block(base);
        }
        self.inner.len -= 1;
        self.inner.max_deleted_id = self.inner.max_deleted_id.max(id);
        true
    }

    /// The entry of this id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        let block = self.block_of(id)?;
        let place = block.seek(id);
        (place < block.end_place() && block.id_at(place) == id).then(|| Entry::at(block, place))
    }

    /// Whether there is an entry of this id.
    pub fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    /// Entries with ids between `from` and `to`, both included, oldest first.
    pub fn range(&self, from: StreamId, to: StreamId) -> Range<'_> {
        Range::new(self, from, to)
    }

    /// Entries with ids between `from` and `to`, both included, newest first.
    pub fn rev_range(&self, from: StreamId, to: StreamId) -> RevRange<'_> {
        RevRange::new(self, from, to)
    }

    /// All entries, oldest first.
    pub fn iter(&self) -> Range<'_> {
        self.range(StreamId::MIN, StreamId::MAX)
    }

    // --- the index -----------------------------------------------------------------------------------------------

    fn first_block(&self) -> Option<&Block> {
        let oldest = self.inner.older.first_key_value().map(|(_, block)| &**block);
        oldest.or(self.inner.tail.as_deref())
    }

    /// The block that holds `id` if any does.
    fn block_of(&self, id: StreamId) -> Option<&Block> {
        match &self.inner.tail {
            Some(tail) if tail.base() <= id => Some(tail),
            _ => self.inner.older.range(..=id).next_back().map(|(_, block)| &**block),
        }
    }

    fn block_of_mut(&mut self, id: StreamId) -> Option<&mut Block> {
        let inner = &mut *self.inner;
        match &mut inner.tail {
            Some(tail) if tail.base() <= id => Some(tail),
            _ => inner.older.range_mut(..=id).next_back().map(|(_, block)| &mut **block),
        }
    }

    fn block_after(&self, base: StreamId) -> Option<&Block> {
        let tail = self.inner.tail.as_deref().filter(|tail| tail.base() > base);
        let mut older = self.inner.older.range((Excluded(base), Unbounded));
        older.next().map(|(_, block)| &**block).or(tail)
    }

    fn block_before(&self, base: StreamId) -> Option<&Block> {
        self.inner.older.range(..base).next_back().map(|(_, block)| &**block)
    }

    /// Removes a block from the index. The newest one that is left takes new entries again.
    fn drop_block(&mut self, base: StreamId) {
        let inner = &mut *self.inner;
        if inner.tail.as_ref().is_some_and(|tail| tail.base() == base) {
            inner.tail = inner.older.pop_last().map(|(_, block)| block);
        } else {
            inner.older.remove(&base);
        }
    }

    // --- groups --------------------------------------------------------------------------------------------------

    /// The consumer groups, sorted by name.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.inner.groups.iter()
    }

    fn find_group(&self, name: &[u8]) -> Result<usize, usize> {
        self.inner.groups.binary_search_by(|group| group.name().cmp(name))
    }

    /// The group of this name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.find_group(name).ok().map(|at| &self.inner.groups[at])
    }

    /// The group of this name, for change.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.find_group(name).ok().map(|at| &mut self.inner.groups[at])
    }

    /// Adds a group that has delivered everything up to `last_id`. `entries_read` is how many entries that are, where
    /// it is known. False if there is a group of this name.
    pub fn create_group(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> bool {
        let place = self.find_group(name);
        if let Err(at) = place {
            let groups = &mut self.inner.groups;
            if groups.is_empty() {
                // Most streams have one group at most.
                groups.reserve_exact(1);
            }
            groups.insert(at, Group::new(name, last_id, entries_read));
        }
        place.is_err()
    }

    /// Removes a group. True if there was one.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        let place = self.find_group(name);
        if let Ok(at) = place {
            self.inner.groups.remove(at);
        }
        place.is_ok()
    }

    /// Delivers up to `count` (0 = all) entries above what the group has delivered to `consumer`: moves the group on
    /// and, unless `pending` is false, notes each as pending since `now_ms`. `visit` sees the entries.
    /// Returns how many there were.
    pub fn deliver(
        &mut self,
        group: &[u8],
        consumer: ConsumerId,
        count: u64,
        pending: Option<i64>,
        mut visit: impl FnMut(Entry<'_>),
    ) -> u64 {
        let Ok(at) = self.find_group(group) else { return 0 };
        // The groups are taken out while the entries are read.
        let mut groups = std::mem::take(&mut self.inner.groups);
        let group = &mut groups[at];
        let mut delivered = 0;
        let first = self.first_id();
        if let Some(from) = group.last_id().next() {
            for entry in self.range(from, StreamId::MAX) {
                self.count_read(group, entry.id, first);
                if let Some(now_ms) = pending {
                    group.assign(entry.id, consumer, Pending::new(now_ms));
                }
                visit(entry);
                delivered += 1;
                if delivered == count {
                    break;
                }
            }
        }
        self.inner.groups = groups;
        delivered
    }

    /// Moves a group on to `id`, which is above its last one; `first` is the stream's first id.
    fn count_read(&self, group: &mut Group, id: StreamId, first: StreamId) {
        let before = group.last_id();
        let known = group.entries_read().filter(|_| before >= first && !self.has_gap_after(before));
        match known {
            Some(read) => group.set_entries_read(Some(read + 1)),
            None if self.entries_added() > 0 => group.set_entries_read(self.entries_up_to(id)),
            None => {}
        }
        group.set_last_id(id);
    }

    /// Whether an entry at `id` or above was deleted on its own.
    fn has_gap_after(&self, id: StreamId) -> bool {
        !self.is_empty() && self.max_deleted_id() != StreamId::MIN && id <= self.max_deleted_id()
    }

    /// How many entries were ever added up to `id`, itself included, where that can be told.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        let added = self.entries_added();
        if added == 0 {
            return Some(0);
        }
        if self.is_empty() && id <= self.last_id() {
            return Some(added);
        }
        if id != StreamId::MIN && id < self.max_deleted_id() || id > self.last_id() {
            return None;
        }
        if id == self.last_id() {
            return Some(added);
        }
        let whole = self.max_deleted_id() == StreamId::MIN || self.max_deleted_id() < self.first_id();
        match id.cmp(&self.first_id()) {
            std::cmp::Ordering::Less if whole => Some(added.saturating_sub(self.len())),
            std::cmp::Ordering::Equal if whole => Some(added.saturating_sub(self.len()) + 1),
            _ => None,
        }
    }

    /// How many entries a group has yet to deliver, where that can be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.entries_added() as i64;
        if added == 0 || self.is_empty() {
            return Some(0);
        }
        let first = self.first_id();
        if group.last_id() < first && self.max_deleted_id() < first {
            return Some(self.len() as i64);
        }
        match group.entries_read() {
            Some(read) if !self.has_gap_after(group.last_id()) => Some(added - read as i64),
            _ => self.entries_up_to(group.last_id()).map(|read| added - read as i64),
        }
    }
}

/// Whether an entry of these names and values goes to a new block.
fn is_full(block: &Block, pairs: &[&[u8]], limits: &EncodingLimits) -> bool {
    let bytes_max = match limits.stream_node_bytes as u64 {
        0 => BLOCK_BYTES_MAX,
        bytes => bytes.min(BLOCK_BYTES_MAX),
    };
    let texts: usize = pairs.iter().map(|text| text.len()).sum();
    let entries_max = limits.stream_node_entries as u64;
    block.listpack_bytes() + texts as u64 >= bytes_max || (entries_max > 0 && block.total() >= entries_max)
}
