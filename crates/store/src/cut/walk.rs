//! The walk that saves what nobody touches.

use super::copied::Copied;
use super::{Gone, Orphan, Owned, Running};
use crate::key::SLOTS;
use crate::keyspace::Keyspace;
use crate::txn::Txn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How much one step may do. It goes beyond by what one bucket holds.
#[derive(Clone, Copy, Debug)]
pub struct CutBudget {
    /// Keys looked at.
    pub keys: usize,
    /// Bytes that the sink made of them.
    pub bytes: usize,
}

impl CutBudget {
    fn take(&mut self, bytes: usize) {
        self.keys = self.keys.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn spend(&mut self) {
        self.bytes = 0;
    }

    fn is_spent(self) -> bool {
        self.keys == 0 || self.bytes == 0
    }
}

/// Saves the keys of a cut, step by step, database by database and slot by slot. Dropped before its end it walks on,
/// saving nothing: entries must not be left pending.
pub struct CutWalk<'k> {
    txn: Txn<'k>,
    running: Arc<Running>,
    /// Database, as numbered at the cut, and slot that come next, and the place in the slot's table.
    db: usize,
    slot: usize,
    place: u64,
    /// Keys of the slots passed that are saved in parts, with their database.
    big: Vec<(usize, Box<[u8]>)>,
    /// The orphan that was begun, with the table and bucket that come next.
    orphan: Option<(Orphan, usize, u64)>,
    /// Strings taken from the slots passed, empty between two steps.
    copied: Copied,
    keys: u64,
    ended: bool,
}

impl<'k> CutWalk<'k> {
    pub(super) fn new(space: &'k Keyspace, running: Arc<Running>, keys: u64) -> CutWalk<'k> {
        let txn = Txn::new(space, 0, fastrand::Rng::with_seed(0));
        let (big, copied) = (Vec::new(), Copied::default());
        CutWalk { txn, running, db: 0, slot: 0, place: 0, big, orphan: None, copied, keys, ended: false }
    }

    /// Keys there were at the cut.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Keys that were saved, here and by those who changed them.
    pub fn saved(&self) -> u64 {
        self.running.saved.load(Relaxed)
    }

    /// From now on nothing more is saved. The steps must go on until the end all the same, and are quicker.
    pub fn cancel(&mut self) {
        self.running.cancelled.store(true, Relaxed);
    }

    /// Saves the next keys, holding one partition at most, and none on return. False once every key is saved: the cut
    /// is over then.
    pub fn step(&mut self, mut budget: CutBudget) -> bool {
        if self.ended {
            return false;
        }
        while !budget.is_spent() && self.step_orphan(&mut budget) {}
        if !self.big.is_empty() {
            self.step_big();
            return true;
        }
        if self.db < self.txn.space.databases() {
            if !budget.is_spent() {
                self.step_slots(&mut budget);
            }
            return true;
        }
        // Only pending entries become orphans, and none is left: once there is no orphan, there will be none.
        if self.orphan.is_some() || !self.running.orphans.lock().is_empty() {
            return true;
        }
        *self.txn.space.cuts.running.write() = None;
        self.ended = true;
        false
    }

    /// Saves some of what left the keyspace. False if there is nothing left of that.
    fn step_orphan(&mut self, budget: &mut CutBudget) -> bool {
        let next = self.orphan.take().or_else(|| Some((self.running.take_orphan()?, 0, 0)));
        let Some((orphan, mut table, mut bucket)) = next else { return false };
        let phase = self.txn.space.cuts.phase();
        if self.running.cancelled.load(Relaxed) {
            return true;
        }
        let save = |entry: crate::entry::Entry, budget: &mut CutBudget| {
            let pending = entry.phase() != phase;
            budget.take(if pending { self.running.save(orphan.db, entry, phase) } else { 0 });
        };
        match &orphan.what {
            // Nobody waits for it, but it is not gathered in one piece all the same.
            Gone::Entry(Owned(entry))
                if self.running.is_big(*entry) && !self.running.is_busy_with_another(*entry) =>
            {
                if self.running.save_part(orphan.db, *entry, phase) {
                    self.orphan = Some((orphan, table, bucket));
                    budget.spend();
                }
            }
            Gone::Entry(owned) => save(owned.0, budget),
            Gone::Tables(tables) => {
                while table < tables.len() {
                    if budget.is_spent() {
                        self.orphan = Some((orphan, table, bucket));
                        return true;
                    }
                    let more = tables[table].visit_bucket(bucket, &mut |entry| save(entry, budget));
                    (table, bucket) = if more { (table, bucket + 1) } else { (table + 1, 0) };
                }
            }
        }
        true
    }

    /// Saves a part of a big key, one at a time.
    fn step_big(&mut self) {
        let Some((db, name)) = self.big.last() else { return };
        let space = self.txn.space;
        let key = space.key(name);
        self.txn.acquire_one(space.partition_of(key.slot));
        let phase = space.cuts.phase();
        let database = space.database(self.running.now(*db));
        let place =
            database.and_then(|database| database.tables[usize::from(key.slot)].find(key.hash, key.bytes));
        let entry = place.map(|place| place.entry()).filter(|entry| entry.phase() != phase);
        let running = &self.running;
        // Whoever changed or removed it has saved it, or has left it to the orphans, which are saved first.
        let more = entry
            .is_some_and(|entry| running.is_busy_with_another(entry) || running.save_part(*db, entry, phase));
        self.txn.release();
        if !more {
            self.big.pop();
        }
    }

    /// Saves keys of the next slots, all of one partition.
    fn step_slots(&mut self, budget: &mut CutBudget) {
        let space = self.txn.space;
        let partition = space.partition_of(self.slot as u16);
        self.txn.acquire_one(partition);
        // Databases are exchanged only while all partitions are held.
        let now = self.running.now(self.db);
        let end = space.slots_of(partition).end;
        let Some(database) = space.database(now) else {
            // It was not there at the cut either: whatever makes it later is not pending.
            self.txn.release();
            (self.db, self.slot, self.place) = (self.db + 1, 0, 0);
            return;
        };
        if database.counts[partition].keys.get() == 0 {
            (self.slot, self.place) = (end, 0);
        }
        let phase = space.cuts.phase();
        let parts_from = self.running.sink.parts_from();
        while self.slot < end && !budget.is_spent() {
            if let Some(next) = database.tables.get(self.slot + 1).filter(|_| self.place == 0) {
                next.prefetch_first();
            }
            self.place = database.tables[self.slot].scan(self.place, &mut |entry| {
                let pending = entry.phase() != phase;
                if pending && entry.elements() >= parts_from {
                    self.big.push((self.db, entry.key().into()));
                } else if pending && let Some(bytes) = self.copied.take(entry) {
                    entry.set_phase(phase);
                    budget.take(bytes);
                } else {
                    budget.take(if pending { self.running.save(self.db, entry, phase) } else { 0 });
                }
            });
            self.slot += usize::from(self.place == 0);
            if !self.big.is_empty() {
                break;
            }
        }
        self.txn.release();
        self.running.save_copied(self.db, &mut self.copied);
        if self.slot == SLOTS {
            (self.db, self.slot) = (self.db + 1, 0);
        }
    }
}

impl Drop for CutWalk<'_> {
    fn drop(&mut self) {
        self.cancel();
        while self.step(CutBudget { keys: 1000, bytes: usize::MAX }) {}
    }
}
