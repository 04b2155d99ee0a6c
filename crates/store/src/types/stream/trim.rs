//! Trimming, and deleting with regard to what consumer groups still refer to.

use super::block::Block;
use super::{Stream, StreamId};

/// What becomes of the references that consumer groups hold to a deleted entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum References {
    /// They stay: the entry is pending, though it is gone.
    #[default]
    Keep,
    /// They go with it.
    Delete,
    /// Only entries that all groups have read and acknowledged are deleted.
    Acked,
}

/// What trimming leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// This many entries.
    MaxLen(u64),
    /// Entries with this id or a greater one.
    MinId(StreamId),
}

/// How to trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What is left.
    pub to: TrimTo,
    /// Only whole blocks are removed.
    pub approximate: bool,
    /// Most entries to remove, blocks that would exceed it being left; 0 is no limit.
    pub limit: u64,
    /// What becomes of references.
    pub references: References,
}

impl Stream {
    /// Removes the oldest entries. Returns how many; `removed` sees their ids if `references` is not `Keep`.
    pub fn trim(&mut self, trim: &Trim, mut removed: impl FnMut(StreamId)) -> u64 {
        if trim.references == References::Acked && self.groups().len() > 0 {
            return self.trim_acked(trim, removed);
        }
        let by_entry = trim.references != References::Keep;
        let mut deleted = 0;
        while let Some(block) = self.first_block() {
            let live = block.live();
            let whole = match trim.to {
                TrimTo::MaxLen(max) if self.len() <= max => break,
                TrimTo::MaxLen(max) => self.len() - live >= max,
                TrimTo::MinId(id) => block.last() < id,
            };
            if trim.limit > 0 && deleted + live > trim.limit || !whole && trim.approximate {
                break;
            }
            if by_entry {
                let ids = self.ids_to_trim(trim, whole);
                ids.into_iter().for_each(|id| {
                    self.forget(id);
                    removed(id);
                });
            }
            if !whole {
                deleted += self.trim_first_block(trim.to);
                break;
            }
            self.drop_first_block();
            deleted += live;
        }
        deleted
    }

    /// Ids of the entries of the first block that trimming removes.
    fn ids_to_trim(&self, trim: &Trim, whole: bool) -> Vec<StreamId> {
        let end = self.first_block().map_or(StreamId::MIN, Block::last);
        let ids = self.range(StreamId::MIN, end).map(|entry| entry.id);
        match trim.to {
            _ if whole => ids.collect(),
            TrimTo::MaxLen(max) => ids.take((self.len() - max) as usize).collect(),
            TrimTo::MinId(id) => ids.take_while(|other| *other < id).collect(),
        }
    }

    fn drop_first_block(&mut self) {
        let Some(block) = self.first_block() else { return };
        let (base, live) = (block.base(), block.live());
        self.drop_block(base);
        self.inner.len -= live;
    }

    /// Removes entries of the first block, of which some stay.
    fn trim_first_block(&mut self, to: TrimTo) -> u64 {
        let len = self.len();
        let inner = &mut *self.inner;
        let oldest = inner.older.first_entry().map(|entry| entry.into_mut());
        let Some(block) = oldest.or(inner.tail.as_mut()) else { return 0 };
        let deleted = match to {
            TrimTo::MaxLen(max) => block.delete_first(len - max, |_| true),
            TrimTo::MinId(id) => block.delete_first(u64::MAX, |other| other < id),
        };
        inner.len -= deleted;
        if block.live() == 0 {
            let base = block.base();
            self.drop_block(base);
        }
        deleted
    }

    /// Trims what no group needs, wherever it lies below the threshold.
    fn trim_acked(&mut self, trim: &Trim, mut removed: impl FnMut(StreamId)) -> u64 {
        let mut deleted = 0;
        let mut next = self.first_block().map(Block::base);
        while let Some(base) = next {
            let Some(block) = self.block_of(base) else { break };
            let (live, end) = (block.live(), block.last());
            next = self.block_after(base).map(Block::base);
            let excess = match trim.to {
                TrimTo::MaxLen(max) => self.len().saturating_sub(max),
                TrimTo::MinId(_) => u64::MAX,
            };
            if excess == 0 || trim.limit > 0 && deleted + live > trim.limit {
                break;
            }
            let below = |id: &StreamId| match trim.to {
                TrimTo::MaxLen(_) => true,
                TrimTo::MinId(min) => *id < min,
            };
            let ids = self.range(base, end).map(|entry| entry.id).take_while(below);
            let ids: Vec<_> = ids.filter(|id| !self.is_needed(*id)).collect();
            let whole = ids.len() as u64 == live && live <= excess;
            if whole || !trim.approximate {
                for id in ids.into_iter().take(excess.min(live) as usize) {
                    self.erase(id);
                    removed(id);
                    deleted += 1;
                }
            }
            if let TrimTo::MinId(min) = trim.to
                && end >= min
            {
                break;
            }
        }
        deleted
    }

    /// Deletes an entry without remembering it as a gap.
    fn erase(&mut self, id: StreamId) -> bool {
        let before = self.max_deleted_id();
        let deleted = self.delete(id);
        self.set_max_deleted_id(before);
        deleted
    }

    /// Whether a group has yet to deliver the entry or to see it acknowledged.
    pub fn is_needed(&self, id: StreamId) -> bool {
        self.groups().any(|group| id > group.last_id() || group.pending_at(id).is_some())
    }

    /// Takes an entry off the pending entries of all groups, whether it exists or not.
    pub fn forget(&mut self, id: StreamId) {
        self.inner.groups.iter_mut().for_each(|group| {
            group.acknowledge(id);
        });
    }
}
