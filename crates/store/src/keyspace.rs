//! The keyspace: per database one table per hash slot, guarded by partitions, each a lock over a range of slots.
#![allow(unsafe_code)]

use crate::cut::Cuts;
use crate::fields::DueHashes;
use crate::key::{Key, KeyHasher, SLOTS};
use crate::side::Side;
use crate::table::{NOW, SOON, Table, prefetch};
use crossbeam_epoch as epoch;
use parking_lot::RawMutex;
use parking_lot::lock_api::RawMutex as _;
use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Most partitions a keyspace can have.
pub const PARTITIONS_MAX: usize = 256;

/// A set of partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PartitionSet {
    words: [u64; PARTITIONS_MAX / 64],
}

impl PartitionSet {
    /// No partition.
    pub const EMPTY: PartitionSet = PartitionSet { words: [0; PARTITIONS_MAX / 64] };

    /// Adds a partition.
    #[inline]
    pub fn insert(&mut self, partition: usize) {
        self.words[partition / 64] |= 1 << (partition % 64);
    }

    /// Whether a partition is in the set.
    #[inline]
    pub fn contains(&self, partition: usize) -> bool {
        self.words[partition / 64] & (1 << (partition % 64)) != 0
    }

    /// Whether every member of `other` is in the set.
    #[inline]
    pub fn contains_all(&self, other: &PartitionSet) -> bool {
        self.words.iter().zip(&other.words).all(|(mine, theirs)| mine & theirs == *theirs)
    }

    /// Adds all members of `other`.
    pub fn extend(&mut self, other: &PartitionSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Whether the set is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        self.words.into_iter().enumerate().flat_map(|(index, word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    index * 64 + bit
                })
            })
        })
    }
}

/// Keys of one database within one partition.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) keys: Cell<usize>,
    pub(crate) expires: Cell<usize>,
}

/// One database: a table, and the earliest expiry in it, per slot; counts, and hashes whose fields expire, per
/// partition.
pub(crate) struct Database {
    pub(crate) tables: Box<[Table]>,
    /// Lower bound of the expiries in each slot, Unix ms; `i64::MAX` when there is none.
    pub(crate) next_expire: Box<[Cell<i64>]>,
    pub(crate) counts: Box<[Count]>,
    pub(crate) due_hashes: Box<[Cell<DueHashes>]>,
}

// SAFETY: everything in a `Database` is touched under the lock of its slot's partition, save `Table::prefetch_*`, which
// read atomics only.
unsafe impl Sync for Database {}
// SAFETY: it owns what it points to; values are Send.
unsafe impl Send for Database {}

impl Database {
    fn new(partitions: usize) -> Database {
        Database {
            tables: (0..SLOTS).map(|_| Table::new()).collect(),
            next_expire: (0..SLOTS).map(|_| Cell::new(i64::MAX)).collect(),
            counts: (0..partitions).map(|_| Count::default()).collect(),
            due_hashes: (0..partitions).map(|_| Cell::default()).collect(),
        }
    }
}

/// A lock over a range of slots, with what hangs on keys but is not data. Alone on its cache lines.
#[repr(align(128))]
pub(crate) struct Partition {
    lock: RawMutex,
    side: UnsafeCell<Side>,
}

// SAFETY: `side` is reached only through `Keyspace::side`, whose callers hold the lock.
unsafe impl Sync for Partition {}

/// Asks the processor for the memory of keys that will be looked up soon, in three steps that each need the one before
/// to have arrived: slot, bucket, entry; and a fourth right before the look-up. What it sees may be stale, never wild:
/// array memory goes through epochs.
pub struct Lookahead<'k> {
    tables: &'k [Table],
    guard: epoch::Guard,
}

impl Lookahead<'_> {
    /// The first step.
    #[inline]
    pub fn slot(&self, key: &Key<'_>) {
        if let Some(table) = self.tables.get(usize::from(key.slot)) {
            prefetch::<SOON>(ptr::from_ref(table).cast());
        }
    }

    /// The second step.
    #[inline]
    pub fn bucket(&self, key: &Key<'_>) {
        if let Some(table) = self.tables.get(usize::from(key.slot)) {
            table.prefetch_bucket(key.hash, &self.guard);
        }
    }

    /// The third step.
    #[inline]
    pub fn entry(&self, key: &Key<'_>) {
        if let Some(table) = self.tables.get(usize::from(key.slot)) {
            table.prefetch_entry::<SOON>(key.hash, &self.guard);
        }
    }

    /// The last step: the look-up comes next but a few. It will wait for one thing after the other under its lock, so
    /// all of them move up to the nearest cache.
    #[inline]
    pub fn entry_now(&self, key: &Key<'_>) {
        if let Some(table) = self.tables.get(usize::from(key.slot)) {
            table.prefetch_entry::<NOW>(key.hash, &self.guard);
        }
    }
}

/// All databases. Shared by every worker; reached through `Txn`.
pub struct Keyspace {
    partitions: Box<[Partition]>,
    /// Right shift that takes a slot to its partition.
    shift: u32,
    databases: Box<[OnceLock<Database>]>,
    pub(crate) hasher: KeyHasher,
    /// Classes of the keyspace events that transactions collect.
    pub(crate) events: AtomicU32,
    /// See `cut`.
    pub(crate) cuts: Cuts,
}

impl Keyspace {
    /// An empty keyspace of `databases` databases over `partitions` partitions (a power of two up to
    /// `PARTITIONS_MAX`). `seed` keys the hash function and must not be known outside.
    pub fn new(databases: usize, partitions: usize, seed: u64) -> Keyspace {
        assert!(partitions.is_power_of_two() && partitions <= PARTITIONS_MAX, "partitions: a power of two");
        assert!((1..=1 << 15).contains(&databases), "databases: 1 to 32768");
        let space = Keyspace {
            partitions: (0..partitions)
                .map(|_| Partition { lock: RawMutex::INIT, side: UnsafeCell::new(Side::default()) })
                .collect(),
            shift: (SLOTS / partitions).trailing_zeros(),
            databases: (0..databases).map(|_| OnceLock::new()).collect(),
            hasher: KeyHasher::new(seed),
            events: AtomicU32::new(0),
            cuts: Cuts::default(),
        };
        // Nearly every server uses the first database: its tables are part of what an empty one takes.
        space.database_or_create(0);
        space
    }

    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.databases.len()
    }

    /// Number of partitions.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Sets which classes of keyspace events transactions collect: a union of `Class::bit`.
    pub fn set_events(&self, classes: u32) {
        self.events.store(classes, Relaxed);
    }

    /// Hash and slot of a key.
    #[inline(always)]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        self.hasher.key(bytes)
    }

    /// Partition of a slot.
    #[inline]
    pub fn partition_of(&self, slot: u16) -> usize {
        usize::from(slot) >> self.shift
    }

    /// All partitions.
    pub fn all_partitions(&self) -> PartitionSet {
        let mut all = PartitionSet::EMPTY;
        (0..self.partitions.len()).for_each(|partition| all.insert(partition));
        all
    }

    /// Slots of a partition.
    pub fn slots_of(&self, partition: usize) -> std::ops::Range<usize> {
        let width = 1usize << self.shift;
        partition * width..(partition + 1) * width
    }

    #[inline]
    pub(crate) fn database(&self, db: usize) -> Option<&Database> {
        self.databases[db].get()
    }

    pub(crate) fn database_or_create(&self, db: usize) -> &Database {
        self.databases[db].get_or_init(|| Database::new(self.partitions.len()))
    }

    /// Gives the means to ask for the memory of keys of `db` ahead of their use, without locks.
    #[inline]
    pub fn lookahead(&self, db: usize) -> Lookahead<'_> {
        Lookahead { tables: self.database(db).map_or(&[], |database| &database.tables), guard: epoch::pin() }
    }

    #[inline]
    pub(crate) fn lock(&self, partition: usize) {
        self.partitions[partition].lock.lock();
    }

    pub(crate) fn try_lock(&self, partition: usize) -> bool {
        self.partitions[partition].lock.try_lock()
    }

    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn unlock(&self, partition: usize) {
        // SAFETY: by the caller.
        unsafe { self.partitions[partition].lock.unlock() }
    }

    /// # Safety
    /// The caller holds the partition's lock and no other reference to its side structures.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the lock, not the reference, makes it exclusive")]
    pub(crate) unsafe fn side(&self, partition: usize) -> &mut Side {
        // SAFETY: by the caller.
        unsafe { &mut *self.partitions[partition].side.get() }
    }
}
