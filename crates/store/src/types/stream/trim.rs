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
    /// Only whole blocks are removed, unless references decide.
    pub approximate: bool,
    /// Most entries to remove, blocks that would exceed it being left; 0 is no limit.
    pub limit: u64,
    /// What becomes of references.
    pub references: References,
}

impl Stream {
    /// Removes the oldest entries. Returns how many.
    pub fn trim(&mut self, trim: &Trim) -> u64 {
        if trim.references == References::Acked && self.groups().len() > 0 {
            return self.trim_acked(trim);
        }
        let forgets = trim.references == References::Delete && self.groups().len() > 0;
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
            if forgets {
                self.ids_to_trim(trim, whole).into_iter().for_each(|id| self.forget(id));
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

    /// Removes the oldest entries that no group needs. Blocks play no part, so that doing it again on a copy of the
    /// stream removes the same ones.
    fn trim_acked(&mut self, trim: &Trim) -> u64 {
        let delivered = self.groups().map(|group| group.last_id()).min().unwrap_or(StreamId::MAX);
        let (excess, below) = match trim.to {
            TrimTo::MaxLen(max) => (self.len().saturating_sub(max), None),
            TrimTo::MinId(id) => (u64::MAX, Some(id)),
        };
        let most = if trim.limit > 0 { excess.min(trim.limit) } else { excess };
        let ids = self.range(StreamId::MIN, delivered).map(|entry| entry.id);
        let ids =
            ids.take_while(|id| below.is_none_or(|below| *id < below)).filter(|id| !self.is_needed(*id));
        let ids: Vec<StreamId> = ids.take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
        let gap = self.max_deleted_id();
        ids.iter().for_each(|id| {
            self.delete(*id);
        });
        // What is trimmed leaves no gap.
        self.set_max_deleted_id(gap);
        ids.len() as u64
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
