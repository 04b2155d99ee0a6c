//! A transaction: the partitions of its keys, held, and everything a command may do to them.
#![allow(unsafe_code)]

mod changes;
mod events;
mod expiry;
mod reads;

use crate::access::AccessClock;
use crate::effects::Effects;
use crate::entry::{Collection, Entry};
use crate::events::Event;
use crate::garbage::{Garbage, Lazy};
use crate::key::Key;
use crate::keyspace::{Database, Keyspace, PartitionSet};
use crate::record::Recorder;
use crate::side::Signal;
use crate::table::Place;
use crate::value::ValueRef;

/// What becomes of a key's expiry when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// No expiry.
    Clear,
    /// As before.
    Keep,
    /// At this Unix time, milliseconds.
    At(i64),
}

/// What a transaction counted; the server adds it to its statistics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// `keyspace_hits`.
    pub hits: u64,
    /// `keyspace_misses`.
    pub misses: u64,
    /// `expired_keys`.
    pub expired: u64,
    /// `expired_subkeys`: fields of hashes.
    pub expired_fields: u64,
    /// Changes to the data set (`rdb_changes_since_last_save`).
    pub dirty: u64,
    /// Times that all databases were emptied at once.
    pub emptied: u64,
}

/// Access facts of a key, for OBJECT.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Seconds since the last access (LRU policies).
    pub idle_seconds: u32,
    /// LFU counter after decay (LFU policies).
    pub frequency: u32,
}

/// A key that was given an expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenExpiry {
    /// Its database.
    pub db: usize,
    /// Its name.
    pub key: Box<[u8]>,
    /// Unix ms.
    pub at_ms: i64,
}

/// `Txn::single` where nothing is held.
const NOTHING: usize = usize::MAX;
/// `Txn::single` where `Txn::many` says what is held.
const MANY: usize = usize::MAX - 1;
/// Before every expiry, Unix ms.
const NEVER_MS: i64 = i64::MIN;

/// See the module's text. Unlocks what it holds when dropped.
///
/// A worker keeps one for a whole batch and calls `acquire`/`release` around each run of commands.
pub struct Txn<'k> {
    pub(crate) space: &'k Keyspace,
    /// The only partition held, `NOTHING` or `MANY`: the common case takes and releases without looking at a set.
    single: usize,
    many: PartitionSet,
    pub(crate) db: usize,
    pub(crate) now_ms: i64,
    /// What expires by then has expired: the time, or before all times.
    judged_ms: i64,
    /// Hash and slot computed ahead for one key of the current call.
    primed: Option<Key<'k>>,
    /// How accesses are noted.
    pub clock: AccessClock,
    /// The entry whose access was counted last in the current call.
    counted: Option<Entry>,
    /// Randomness for LFU counters and sampling.
    pub rng: fastrand::Rng,
    /// Counts since they were last taken.
    pub counters: Counters,
    /// Recorded effects of the current commit.
    pub effects: Effects,
    /// Events of the current commit, when the keyspace collects them.
    pub events: Vec<Event>,
    /// Keys of the current commit that parked clients wait for.
    pub signalled: Vec<Signal>,
    /// Values removed lazily: to be dropped by whoever drains this.
    pub garbage: Vec<Garbage>,
    /// Values that the caller drops before it answers, once the locks are released.
    pub garbage_of_caller: Vec<Garbage>,
    /// Which removals are lazy besides those that say so.
    pub lazy: Lazy,
    /// Newest log offset of partitions that were walked through and are not held any more.
    pub(crate) walked_offset: u64,
    /// What has expired is hidden but stays (while clients are paused, on a replica).
    pub keep_expired: bool,
    /// Where it is noted which keys were given an expiry, if anybody wants to know.
    pub own_expiries: Option<Vec<GivenExpiry>>,
    /// Whether a value may have been changed since `acquire`: a panic now may have left it half-done.
    pub touched: bool,
    /// Which keys are touched, for tests.
    pub recorder: Recorder,
}

// SAFETY note for the whole file: an `Entry` reached through a table of a held partition is live and exclusively ours:
// tables change only under their partition's lock (`held` proves it, checked in `table`), and the signatures bind every
// reference handed out to a borrow of the transaction, shared for reads and exclusive for changes.
impl<'k> Txn<'k> {
    /// A transaction that holds nothing yet, on database 0.
    pub fn new(space: &'k Keyspace, now_ms: i64, rng: fastrand::Rng) -> Txn<'k> {
        Txn {
            space,
            single: NOTHING,
            many: PartitionSet::EMPTY,
            db: 0,
            now_ms,
            judged_ms: now_ms,
            primed: None,
            counted: None,
            clock: AccessClock::new(now_ms),
            rng,
            counters: Counters::default(),
            effects: Effects::default(),
            events: Vec::new(),
            signalled: Vec::new(),
            garbage: Vec::new(),
            garbage_of_caller: Vec::new(),
            lazy: Lazy::default(),
            walked_offset: 0,
            keep_expired: false,
            own_expiries: None,
            touched: false,
            recorder: Recorder::default(),
        }
    }

    // --- locks ---------------------------------------------------------------------------------------------------

    /// Locks the partitions, in ascending order. Nothing may be held.
    #[inline]
    pub fn acquire(&mut self, partitions: PartitionSet) {
        assert!(self.single == NOTHING, "acquiring while holding could deadlock");
        partitions.iter().for_each(|partition| self.space.lock(partition));
        if !partitions.is_empty() {
            self.single = MANY;
            self.many = partitions;
        }
        self.touched = false;
    }

    /// Locks one partition. Nothing may be held.
    #[inline]
    pub fn acquire_one(&mut self, partition: usize) {
        assert!(self.single == NOTHING, "acquiring while holding could deadlock");
        self.space.lock(partition);
        self.single = partition;
        self.touched = false;
    }

    /// Whether exactly this partition is held.
    #[inline]
    pub fn holds_only(&self, partition: usize) -> bool {
        self.single == partition
    }

    /// Whether this partition is held.
    #[inline]
    pub(crate) fn holds(&self, partition: usize) -> bool {
        self.single == partition || (self.single == MANY && self.many.contains(partition))
    }

    /// Locks further partitions without waiting; false (and nothing changed) if one is taken.
    pub fn try_extend(&mut self, partitions: &PartitionSet) -> bool {
        let mut held = self.held();
        let mut added = PartitionSet::EMPTY;
        for partition in partitions.iter().filter(|p| !held.contains(*p)) {
            if !self.space.try_lock(partition) {
                // SAFETY: locked a moment ago by this loop.
                added.iter().for_each(|p| unsafe { self.space.unlock(p) });
                return false;
            }
            added.insert(partition);
        }
        held.extend(&added);
        if !held.is_empty() {
            self.single = MANY;
            self.many = held;
        }
        true
    }

    /// Unlocks everything.
    #[inline]
    pub fn release(&mut self) {
        match std::mem::replace(&mut self.single, NOTHING) {
            NOTHING => {}
            MANY => self.release_many(),
            // SAFETY: it is locked by this transaction.
            single => unsafe { self.space.unlock(single) },
        }
    }

    #[cold]
    fn release_many(&mut self) {
        for partition in std::mem::take(&mut self.many).iter() {
            // SAFETY: members of `many` are locked by this transaction.
            unsafe { self.space.unlock(partition) };
        }
    }

    /// What is held.
    pub fn held(&self) -> PartitionSet {
        match self.single {
            NOTHING => PartitionSet::EMPTY,
            MANY => self.many,
            single => {
                let mut held = PartitionSet::EMPTY;
                held.insert(single);
                held
            }
        }
    }

    /// The keyspace.
    pub fn keyspace(&self) -> &'k Keyspace {
        self.space
    }

    // --- time, database, keys ------------------------------------------------------------------------------------

    /// Unix time in milliseconds; stands still within a call.
    #[inline]
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Moves the time.
    #[inline]
    pub fn set_now_ms(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        if self.judged_ms != NEVER_MS {
            self.judged_ms = now_ms;
        }
        self.clock.set(now_ms);
    }

    /// Unix ms by which expiries are judged: the time, unless nothing expires here.
    #[inline]
    pub fn judged_ms(&self) -> i64 {
        self.judged_ms
    }

    /// Nothing expires from now on, and what has expired is there like anything else: whoever wrote the commands of a
    /// file or of a primary's stream has judged that, and says what went.
    pub fn judge_nothing(&mut self) {
        self.judged_ms = NEVER_MS;
    }

    /// The database that keys are looked up in.
    #[inline]
    pub fn db(&self) -> usize {
        self.db
    }

    /// Chooses the database (below `Keyspace::databases`) and returns the one before.
    #[inline]
    pub fn set_db(&mut self, db: usize) -> usize {
        std::mem::replace(&mut self.db, db)
    }

    /// Hash and slot of a key.
    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        match &self.primed {
            Some(primed) if std::ptr::eq(primed.bytes, bytes) => Key { bytes, ..*primed },
            _ => self.space.key(bytes),
        }
    }

    /// Gives the next call a key already hashed; it is recognised by its address. The bytes outlive the call, and
    /// nothing else may stand at that address before the next `prime`.
    #[inline]
    pub fn prime(&mut self, key: Option<&Key<'_>>) {
        // SAFETY: the stretched lifetime is never used to read: `key` only compares the address.
        self.primed = key.map(|key| Key {
            bytes: unsafe { std::slice::from_raw_parts(key.bytes.as_ptr(), key.bytes.len()) },
            ..*key
        });
    }

    /// A call begins: however often it looks a key up in a row, that is one access to its LFU counter.
    #[inline]
    pub fn begin_call(&mut self) {
        self.counted = None;
    }

    // --- inner look-ups ------------------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn database(&self, slot: u16) -> Option<&'k Database> {
        let partition = self.space.partition_of(slot);
        assert!(self.holds(partition), "a command touched a key whose partition it does not hold");
        self.space.database(self.db)
    }

    #[inline(always)]
    pub(crate) fn find_raw(&self, key: &Key<'_>) -> Option<Place> {
        self.recorder.note(self.db, key.bytes, false);
        self.database(key.slot)?.tables[usize::from(key.slot)].find(key.hash, key.bytes)
    }

    /// A value may be changed from here on.
    #[inline]
    fn touch_for_change(&mut self, key: &Key<'_>) {
        self.touched = true;
        self.recorder.note(self.db, key.bytes, true);
    }

    /// Finds a live entry; an expired one is removed on the way.
    #[inline(always)]
    fn find(&mut self, key: &Key<'_>) -> Option<Place> {
        let place = self.find_raw(key)?;
        if let Some(at) = place.entry().expire_ms()
            && at <= self.judged_ms
        {
            if !self.keep_expired {
                self.expire(key, place);
            }
            return None;
        }
        Some(place)
    }

    /// The live entry of a key.
    pub(crate) fn find_entry(&mut self, key: &Key<'_>) -> Option<Entry> {
        self.find(key).map(|place| place.entry())
    }

    /// The clock of an entry after this call's access to it.
    #[inline]
    fn accessed(&mut self, entry: Entry) -> u32 {
        if self.clock.lfu && self.counted.replace(entry) == Some(entry) {
            return entry.clock();
        }
        self.clock.accessed(entry.clock(), &mut self.rng)
    }

    #[inline]
    fn access(&mut self, place: &Place) {
        let entry = place.entry();
        let before = entry.clock();
        let clock = self.accessed(entry);
        // Most accesses fall into the second of the one before: a line left clean need not be written back.
        if clock != before {
            entry.set_clock(clock);
        }
    }

    #[inline]
    fn view_of<'a>(place: &Place) -> ValueRef<'a> {
        let entry = place.entry();
        match entry.as_str() {
            Some(string) => ValueRef::Str(string),
            // SAFETY: see the note above `impl`.
            None => match unsafe { entry.collection() }.expect("not a string, so a collection") {
                Collection::List(list) => ValueRef::List(list),
                Collection::Hash(hash) => ValueRef::Hash(hash),
                Collection::Set(set) => ValueRef::Set(set),
                Collection::SortedSet(zset) => ValueRef::SortedSet(zset),
                Collection::Stream(stream) => ValueRef::Stream(stream),
            },
        }
    }

    pub(crate) fn database_of(&self, db: usize) -> Option<&'k Database> {
        self.space.database(db)
    }
}

impl Drop for Txn<'_> {
    fn drop(&mut self) {
        self.release();
    }
}
