//! What hangs on keys beside their values: WATCH marks, parked clients, offsets in the log.
#![allow(unsafe_code)]

use crate::key::Key;
use crate::side::{Waiter, WatchMark};
use crate::txn::Txn;
use std::sync::Arc;

// SAFETY note for the whole file: as in `txn`.
impl Txn<'_> {
    /// Registers a mark to be set when the key changes.
    pub fn watch(&mut self, key: &Key<'_>, mark: &WatchMark) {
        self.contains(key);
        // SAFETY: `contains` proved the partition held.
        unsafe { self.space.side(self.space.partition_of(key.slot)) }.watch(self.db, key.bytes, mark);
    }

    /// Takes the mark back.
    pub fn unwatch(&mut self, key: &Key<'_>, mark: &WatchMark) {
        self.database(key.slot);
        // SAFETY: `database` proved the partition held.
        unsafe { self.space.side(self.space.partition_of(key.slot)) }.unwatch(self.db, key.bytes, mark);
    }

    /// Parks a client on the key; `order` (unique, rising) is its place in the queue.
    pub fn park(&mut self, key: &Key<'_>, order: u64, waiter: Arc<dyn Waiter>) {
        self.database(key.slot);
        // SAFETY: as in `unwatch`.
        unsafe { self.space.side(self.space.partition_of(key.slot)) }.park(self.db, key.bytes, order, waiter);
    }

    /// Takes a client off the key's queue.
    pub fn unpark(&mut self, key: &Key<'_>, order: u64) {
        self.database(key.slot);
        // SAFETY: as in `unwatch`.
        unsafe { self.space.side(self.space.partition_of(key.slot)) }.unpark(self.db, key.bytes, order);
    }

    /// The first client parked on the key that arrived after `after` (0 = the very first).
    pub fn next_waiter(&mut self, key: &Key<'_>, after: u64) -> Option<(u64, Arc<dyn Waiter>)> {
        self.database(key.slot);
        // SAFETY: as in `unwatch`.
        unsafe { self.space.side(self.space.partition_of(key.slot)) }.next_waiter(self.db, key.bytes, after)
    }

    /// Notes that everything held was last written at this log offset.
    pub fn set_log_offset(&mut self, offset: u64) {
        for partition in self.held().iter() {
            // SAFETY: the partition is held.
            unsafe { self.space.side(partition) }.log_offset = offset;
        }
    }

    /// The newest log offset that anything readable in the held partitions was written at.
    pub fn log_offset(&self) -> u64 {
        // SAFETY: the partitions are held.
        let held = self.held().iter().map(|partition| unsafe { self.space.side(partition) }.log_offset);
        held.fold(self.walked_offset, u64::max)
    }
}
