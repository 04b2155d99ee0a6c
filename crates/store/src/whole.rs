//! What a transaction does to whole databases: flush, swap, count, walk, scan.
#![allow(unsafe_code)]

use crate::entry::{Collection, Entry};
use crate::garbage::{FlushedTables, Garbage};
use crate::side::Signal;
use crate::txn::Txn;
use crate::value::ValueRef;

// SAFETY note for the whole file: as in `txn`.
impl Txn<'_> {
    /// Marks the WATCHed keys of a database that exist (before it is flushed or swapped), and those of `also`.
    fn mark_watched(&mut self, db: usize, also: Option<usize>) {
        let before = self.set_db(db);
        for partition in self.held().iter() {
            // SAFETY: the partition is held; the list is a copy.
            for name in unsafe { self.space.side(partition) }.watched(db) {
                let key = self.space.key(&name);
                let other = also.is_some_and(|also| {
                    self.db = also;
                    // An expired one is as good as none, and goes: EXEC must not find it in the place of none.
                    let found = self.contains(&key);
                    self.db = db;
                    found
                });
                if other || self.find_raw(&key).is_some() {
                    self.mark_watchers(&key);
                }
            }
        }
        self.db = before;
    }

    /// Removes every key of a database; the tables go to `garbage`. All partitions must be held. Returns how many.
    pub fn flush(&mut self, db: usize) -> usize {
        self.assert_all_held();
        self.mark_watched(db, None);
        self.signal_lost_streams(db);
        let Some(database) = self.space.database(db) else { return 0 };
        self.touched = true;
        let removed = database.counts.iter().map(|count| count.keys.take()).sum();
        database.counts.iter().for_each(|count| count.expires.set(0));
        database.next_expire.iter().for_each(|at| at.set(i64::MAX));
        database.due_hashes.iter().for_each(|due| drop(due.take()));
        let tables =
            database.tables.iter().filter(|table| table.len() > 0).map(|table| table.take()).collect();
        if removed > 0
            && let Some(tables) = self.hand_tables_to_cut(db, tables)
        {
            self.garbage.push(Garbage::Tables(FlushedTables { keys: removed, tables }));
        }
        removed
    }

    /// Exchanges two databases (SWAPDB). All partitions must be held.
    pub fn swap_databases(&mut self, a: usize, b: usize) {
        self.assert_all_held();
        if a == b {
            return;
        }
        self.mark_watched(a, Some(b));
        self.mark_watched(b, Some(a));
        self.signal_lost_streams(a);
        self.signal_lost_streams(b);
        self.touched = true;
        self.swap_in_cut(a, b);
        let (first, second) = (self.space.database_or_create(a), self.space.database_or_create(b));
        first.tables.iter().zip(&second.tables).for_each(|(x, y)| x.swap(y));
        first.next_expire.iter().zip(&second.next_expire).for_each(|(x, y)| x.swap(y));
        first.due_hashes.iter().zip(&second.due_hashes).for_each(|(x, y)| x.swap(y));
        for (x, y) in first.counts.iter().zip(&second.counts) {
            x.keys.swap(&y.keys);
            x.expires.swap(&y.expires);
        }
        self.signal_all(a);
        self.signal_all(b);
    }

    fn signal_all(&mut self, db: usize) {
        let before = self.set_db(db);
        for partition in self.held().iter() {
            // SAFETY: the partition is held; the list is a copy.
            for name in unsafe { self.space.side(partition) }.waited(db) {
                let key = self.space.key(&name);
                if self.find_raw(&key).is_some() {
                    self.signalled.push(Signal { db, key: name, lost: false });
                }
            }
        }
        self.db = before;
    }

    /// Tells clients that wait for streams of a database that these are about to go.
    fn signal_lost_streams(&mut self, db: usize) {
        let before = self.set_db(db);
        for partition in self.held().iter() {
            // SAFETY: the partition is held; the list is a copy.
            for name in unsafe { self.space.side(partition) }.waited(db) {
                let place = self.find_raw(&self.space.key(&name));
                // SAFETY: as above; no mutable reference lives.
                let value = place.and_then(|place| unsafe { place.entry().collection() });
                if matches!(value, Some(Collection::Stream(_))) {
                    self.signalled.push(Signal { db, key: name, lost: true });
                }
            }
        }
        self.db = before;
    }

    pub(crate) fn assert_all_held(&self) {
        assert!(self.held().contains_all(&self.space.all_partitions()), "needs every partition");
    }

    fn held_count(&self, db: usize, of: impl Fn(&crate::keyspace::Count) -> usize) -> usize {
        let Some(database) = self.space.database(db) else { return 0 };
        self.held().iter().map(|partition| of(&database.counts[partition])).sum()
    }

    /// Keys of a database in the held partitions (DBSIZE holds all).
    pub fn len(&self, db: usize) -> usize {
        self.held_count(db, |count| count.keys.get())
    }

    /// Whether a database has no key in the held partitions.
    pub fn is_empty(&self, db: usize) -> bool {
        self.len(db) == 0
    }

    /// Keys with an expiry of a database in the held partitions.
    pub fn expires(&self, db: usize) -> usize {
        self.held_count(db, |count| count.expires.get())
    }

    /// Hashes with fields that expire of a database in the held partitions (those whose fields lost their expiries
    /// since may be among them until the time comes).
    pub fn expiring_hashes(&self, db: usize) -> usize {
        let Some(database) = self.space.database(db) else { return 0 };
        self.held()
            .iter()
            .map(|partition| {
                let due = database.due_hashes[partition].take();
                let count = due.len();
                database.due_hashes[partition].set(due);
                count
            })
            .sum()
    }

    fn is_live(&self, entry: Entry) -> bool {
        entry.expire_ms().is_none_or(|at| at > self.judged_ms())
    }

    /// Visits every live key of the current database in the held partitions.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], ValueRef<'_>, Option<i64>)) {
        let Some(database) = self.space.database(self.db) else { return };
        for slot in self.held().iter().flat_map(|partition| self.space.slots_of(partition)) {
            database.tables[slot].for_each(|entry| {
                if self.is_live(entry) {
                    visit(entry.key(), entry.view(), entry.expire_ms());
                }
            });
        }
    }

    /// Holds the partition of a slot: either all are held, or it is taken in place of the one before. What was read
    /// in that one is not forgotten: replies wait for the newest offset of all.
    fn walk_to(&mut self, slot: usize, walks: bool) {
        let partition = self.space.partition_of(slot as u16);
        if !walks || self.holds_only(partition) {
            return;
        }
        self.walked_offset = self.log_offset();
        self.release();
        self.acquire_one(partition);
    }

    /// One step of SCAN over the current database: visits the live keys of buckets from `cursor` on until about
    /// `count` were seen, and returns the next cursor, 0 at the end. Either all partitions are held or none: then it
    /// takes them one after the other, in ascending order, and the last is still held afterwards.
    ///
    /// The cursor is the slot in its low 14 bits and the place in the slot's table above. A key never changes its
    /// slot and a slot is visited under its lock, so the guarantee of a table's scan is that of the whole.
    pub fn scan(&mut self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], ValueRef<'_>)) -> u64 {
        let walks = self.held().is_empty();
        if !walks {
            self.assert_all_held();
        }
        let Some(database) = self.space.database(self.db) else { return 0 };
        let (mut slot, mut place) = ((cursor & 0x3fff) as usize, cursor >> 14);
        let (mut seen, mut buckets) = (0, 0);
        while slot < crate::key::SLOTS {
            self.walk_to(slot, walks);
            let table = &database.tables[slot];
            if table.len() > 0 {
                buckets += 1;
                // Bucket cursors are reversed 64-bit counters; only as many low bits as the table needs are used.
                place = table.scan(place, &mut |entry| {
                    seen += 1;
                    if self.is_live(entry) {
                        visit(entry.key(), entry.view());
                    }
                });
            } else {
                place = 0;
            }
            if place == 0 {
                slot += 1;
            }
            if seen >= count || buckets >= count.saturating_mul(10) {
                break;
            }
        }
        if slot >= crate::key::SLOTS { 0 } else { place << 14 | slot as u64 }
    }

    /// A random live key of the current database (RANDOMKEY). All partitions must be held.
    pub fn random_key(&mut self) -> Option<Box<[u8]>> {
        self.assert_all_held();
        let database = self.space.database(self.db)?;
        for _ in 0..100 {
            let total = self.len(self.db);
            if total == 0 {
                return None;
            }
            let mut left = self.rng.usize(0..total);
            let partition = self.held().iter().find(|p| {
                let keys = database.counts[*p].keys.get();
                let here = left < keys;
                left = left.wrapping_sub(if here { 0 } else { keys });
                here
            })?;
            let slot = self.space.slots_of(partition).find(|slot| {
                let keys = database.tables[*slot].len();
                let here = left < keys;
                left = left.wrapping_sub(if here { 0 } else { keys });
                here
            })?;
            let entry = database.tables[slot].random(&mut self.rng)?;
            if self.is_live(entry) {
                return Some(entry.key().into());
            }
            let bytes: Box<[u8]> = entry.key().into();
            let key = self.space.key(&bytes);
            self.contains(&key);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::{Expiry, Keyspace, Txn};
    use std::collections::BTreeSet;

    fn filled(keys: usize) -> Keyspace {
        let space = Keyspace::new(1, 8, 1);
        let mut txn = Txn::new(&space, 0, fastrand::Rng::with_seed(1));
        txn.acquire(space.all_partitions());
        for number in 0..keys {
            let name = format!("key:{number}").into_bytes();
            txn.set_string(&txn.key(&name), b"v", Expiry::Clear);
        }
        drop(txn);
        space
    }

    #[test]
    fn a_scan_that_holds_nothing_takes_one_partition_after_the_other() {
        let space = filled(2000);
        let mut txn = Txn::new(&space, 0, fastrand::Rng::with_seed(1));
        let (mut cursor, mut seen, mut partitions) = (0, BTreeSet::new(), BTreeSet::new());
        loop {
            cursor = txn.scan(cursor, 10, |key, _| assert!(seen.insert(key.to_vec())));
            assert_eq!(txn.held().iter().count(), 1);
            partitions.extend(txn.held().iter());
            txn.release();
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((seen.len(), partitions.len()), (2000, 8));
    }

    #[test]
    fn what_a_scan_has_walked_through_counts_for_the_log() {
        let space = filled(10);
        let mut txn = Txn::new(&space, 0, fastrand::Rng::with_seed(1));
        txn.acquire_one(0);
        txn.set_log_offset(7);
        txn.release();
        assert_eq!(txn.scan(0, 1000, |_, _| {}), 0);
        assert!(!txn.held().contains(0));
        assert_eq!(txn.log_offset(), 7);
    }

    #[test]
    fn a_flushed_database_is_as_many_objects_as_it_had_keys() {
        let space = filled(10);
        let mut txn = Txn::new(&space, 0, fastrand::Rng::with_seed(1));
        txn.acquire(space.all_partitions());
        assert_eq!((txn.flush(0), txn.flush(0)), (10, 0));
        assert_eq!(txn.garbage.iter().map(crate::Garbage::objects).collect::<Vec<_>>(), [10]);
    }
}
