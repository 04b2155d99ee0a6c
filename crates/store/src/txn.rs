//! A transaction: the partitions of its keys, held, and everything a command may do to them.
#![allow(unsafe_code)]

use crate::access::AccessClock;
use crate::effects::Effects;
use crate::entry::{Collection, EMBED_BYTES_MAX, Entry, Payload};
use crate::events::{Class, Event};
use crate::garbage::{Garbage, Lazy};
use crate::key::Key;
use crate::keyspace::{Database, Keyspace, PartitionSet};
use crate::number;
use crate::record::Recorder;
use crate::side::Signal;
use crate::table::Place;
use crate::value::{StrMut, Value, ValueMut, ValueRef};
use std::sync::atomic::Ordering::Relaxed;

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
}

/// Access facts of a key, for OBJECT.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Seconds since the last access (LRU policies).
    pub idle_seconds: u32,
    /// LFU counter after decay (LFU policies).
    pub frequency: u32,
}

const NOT_SINGLE: usize = usize::MAX;
/// Before every expiry, Unix ms.
const NEVER_MS: i64 = i64::MIN;

/// See the module's text. Unlocks what it holds when dropped.
///
/// A worker keeps one for a whole batch and calls `acquire`/`release` around each run of commands.
pub struct Txn<'k> {
    pub(crate) space: &'k Keyspace,
    pub(crate) held: PartitionSet,
    /// The only partition held, or `NOT_SINGLE`: the common case is released without walking the set.
    single: usize,
    pub(crate) db: usize,
    pub(crate) now_ms: i64,
    /// What expires by then has expired: the time, or before all times.
    judged_ms: i64,
    /// Hash and slot computed ahead for one key of the current call.
    primed: Option<Key<'k>>,
    /// How accesses are noted.
    pub clock: AccessClock,
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
            held: PartitionSet::EMPTY,
            single: NOT_SINGLE,
            db: 0,
            now_ms,
            judged_ms: now_ms,
            primed: None,
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
            touched: false,
            recorder: Recorder::default(),
        }
    }

    // --- locks ---------------------------------------------------------------------------------------------------

    /// Locks the partitions, in ascending order. Nothing may be held.
    #[inline]
    pub fn acquire(&mut self, partitions: PartitionSet) {
        assert!(self.held.is_empty(), "acquiring while holding could deadlock");
        partitions.iter().for_each(|partition| self.space.lock(partition));
        self.held = partitions;
        self.touched = false;
    }

    /// Locks one partition. Nothing may be held.
    #[inline]
    pub fn acquire_one(&mut self, partition: usize) {
        assert!(self.held.is_empty(), "acquiring while holding could deadlock");
        self.space.lock(partition);
        self.held.insert(partition);
        self.single = partition;
        self.touched = false;
    }

    /// Whether exactly this partition is held.
    #[inline]
    pub fn holds_only(&self, partition: usize) -> bool {
        self.single == partition
    }

    /// Locks further partitions without waiting; false (and nothing changed) if one is taken.
    pub fn try_extend(&mut self, partitions: &PartitionSet) -> bool {
        let mut added = PartitionSet::EMPTY;
        for partition in partitions.iter().filter(|p| !self.held.contains(*p)) {
            if !self.space.try_lock(partition) {
                // SAFETY: locked a moment ago by this loop.
                added.iter().for_each(|p| unsafe { self.space.unlock(p) });
                return false;
            }
            added.insert(partition);
        }
        self.held.extend(&added);
        self.single = NOT_SINGLE;
        true
    }

    /// Unlocks everything.
    #[inline]
    pub fn release(&mut self) {
        if self.single != NOT_SINGLE {
            // SAFETY: it is locked by this transaction.
            unsafe { self.space.unlock(self.single) };
            self.single = NOT_SINGLE;
        } else {
            for partition in self.held.iter() {
                // SAFETY: members of `held` are locked by this transaction.
                unsafe { self.space.unlock(partition) };
            }
        }
        self.held = PartitionSet::EMPTY;
    }

    /// What is held.
    #[inline]
    pub fn held(&self) -> &PartitionSet {
        &self.held
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

    // --- inner look-ups ------------------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn database(&self, slot: u16) -> Option<&'k Database> {
        let partition = self.space.partition_of(slot);
        assert!(
            self.single == partition || self.held.contains(partition),
            "a command touched a key whose partition it does not hold"
        );
        self.space.database(self.db)
    }

    #[inline]
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
    #[inline]
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

    fn expire(&mut self, key: &Key<'_>, place: Place) {
        self.detach(key, place, self.lazy.expire);
        self.counters.expired += 1;
        self.effects.push(self.db, &[b"DEL", key.bytes]);
        self.notify(key, Class::Expired, "expired");
    }

    /// Takes the entry out of its table and drops or shelves its value.
    fn detach(&mut self, key: &Key<'_>, place: Place, lazy: bool) {
        let entry = self.unlink(key, place);
        // SAFETY: see the note above `impl`; the entry is out of its table.
        unsafe { self.free(entry, lazy) };
    }

    /// # Safety
    /// The entry is out of its table, and nothing refers to it.
    unsafe fn free(&mut self, entry: Entry, lazy: bool) {
        // SAFETY: by the caller.
        unsafe {
            if lazy && entry.collection().is_some_and(|value| value.is_heavy()) {
                let mut scratch = Vec::new();
                self.garbage.push(Garbage::Value(Value::from_payload(entry.into_payload(&mut scratch))));
            } else {
                entry.free();
            }
        }
    }

    fn unlink(&mut self, key: &Key<'_>, place: Place) -> Entry {
        self.touch_for_change(key);
        self.forget_fields(key, place.entry());
        self.signal_lost(key, place.entry());
        let space = self.space;
        let database = self.database(key.slot).expect("the entry was found in it");
        let table = &database.tables[usize::from(key.slot)];
        let count = &database.counts[space.partition_of(key.slot)];
        if place.entry().expire_ms().is_some() {
            table.add_expires(-1);
            count.expires.set(count.expires.get() - 1);
        }
        count.keys.set(count.keys.get() - 1);
        table.remove(place, |key| space.hasher.hash(key))
    }

    fn link(&mut self, key: &Key<'_>, entry: Entry) {
        self.touch_for_change(key);
        let space = self.space;
        assert!(self.held.contains(space.partition_of(key.slot)), "the key's partition is not held");
        let database = space.database_or_create(self.db);
        database.tables[usize::from(key.slot)].insert(key.hash, entry, |key| space.hasher.hash(key));
        let count = &database.counts[space.partition_of(key.slot)];
        count.keys.set(count.keys.get() + 1);
        if let Some(at) = entry.expire_ms() {
            self.note_expire(key, at, 1);
        }
        self.adopt_fields(key, entry);
        self.event(key, Class::New, "new");
    }

    /// Keeps the count of expiring keys and the slot's earliest expiry.
    fn note_expire(&self, key: &Key<'_>, at: i64, delta: i32) {
        let database = self.database(key.slot).expect("the entry is in it");
        let slot = usize::from(key.slot);
        database.tables[slot].add_expires(delta);
        let count = &database.counts[self.space.partition_of(key.slot)];
        count.expires.set(count.expires.get().wrapping_add_signed(delta as isize));
        if at < database.next_expire[slot].get() {
            database.next_expire[slot].set(at);
        }
    }

    #[inline]
    fn access(&mut self, place: &Place) {
        let entry = place.entry();
        let before = entry.clock();
        let clock = self.clock.accessed(before, &mut self.rng);
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

    // --- reads ---------------------------------------------------------------------------------------------------

    /// The value, as a read access: expired keys are gone, hits, misses and the access clock are counted.
    #[inline]
    pub fn get(&mut self, key: &Key<'_>) -> Option<ValueRef<'_>> {
        match self.find(key) {
            Some(place) => {
                self.counters.hits += 1;
                self.access(&place);
                let entry = place.entry();
                if let Some(string) = entry.as_str() {
                    return Some(ValueRef::Str(string));
                }
                // SAFETY: see the note above `impl`: nothing else refers to the value yet.
                if let Some(collection) = unsafe { entry.collection_mut() } {
                    collection.settle();
                }
                Some(Self::view_of(&place))
            }
            None => {
                self.counters.misses += 1;
                self.event(key, Class::KeyMiss, "keymiss");
                None
            }
        }
    }

    /// Asks the processor for the memory that finding these elements of the collection at `key` takes.
    pub fn look_ahead(&self, key: &Key<'_>, elements: &[&[u8]]) {
        match self.view(key) {
            Some(ValueRef::Hash(hash)) => hash.look_ahead(elements),
            Some(ValueRef::Set(set)) => set.look_ahead(elements),
            Some(ValueRef::SortedSet(zset)) => zset.look_ahead(elements),
            Some(ValueRef::Str(_) | ValueRef::List(_) | ValueRef::Stream(_)) | None => {}
        }
    }

    /// The value without counting an access (TYPE, OBJECT, TTL).
    pub fn peek(&mut self, key: &Key<'_>) -> Option<ValueRef<'_>> {
        self.find(key).map(|place| Self::view_of(&place))
    }

    /// The value of a key already looked up in this call; shared, so that several can be held.
    pub fn view(&self, key: &Key<'_>) -> Option<ValueRef<'_>> {
        let place = self.find_raw(key)?;
        let live = place.entry().expire_ms().is_none_or(|at| at > self.judged_ms);
        live.then(|| Self::view_of(&place))
    }

    /// Whether the key exists; no access is counted.
    pub fn contains(&mut self, key: &Key<'_>) -> bool {
        self.find(key).is_some()
    }

    /// The expiry of an existing key, Unix ms: `None` without key, `Some(None)` without expiry.
    pub fn expire_at(&mut self, key: &Key<'_>) -> Option<Option<i64>> {
        self.find(key).map(|place| place.entry().expire_ms())
    }

    /// Access facts of an existing key.
    pub fn access_of(&mut self, key: &Key<'_>) -> Option<Access> {
        let bits = self.find(key)?.entry().clock();
        Some(Access { idle_seconds: self.clock.idle_seconds(bits), frequency: self.clock.frequency(bits) })
    }

    /// Sets when an existing key was last used, or how often it is, whichever the policy looks at.
    pub fn set_access(&mut self, key: &Key<'_>, idle_seconds: Option<u64>, frequency: Option<u8>) {
        if let (Some(place), Some(bits)) = (self.find(key), self.clock.known(idle_seconds, frequency)) {
            place.entry().set_clock(bits);
        }
    }

    /// Notes an access to an existing key (TOUCH).
    pub fn touch(&mut self, key: &Key<'_>) -> bool {
        let place = self.find(key);
        if let Some(place) = &place {
            self.access(place);
        }
        place.is_some()
    }

    /// Name that OBJECT ENCODING answers.
    pub fn encoding(&mut self, key: &Key<'_>) -> Option<&'static str> {
        let entry = self.find(key)?.entry();
        Some(entry.encoding())
    }

    /// Bytes the key and its value take, for MEMORY USAGE.
    pub fn memory_usage(&mut self, key: &Key<'_>) -> Option<usize> {
        let entry = self.find(key)?.entry();
        // The bucket's share: a pointer and a tag at the usual load.
        Some(entry.memory_usage() + 16)
    }

    // --- changes -------------------------------------------------------------------------------------------------

    /// The value for change, as a write access. Tell `changed` afterwards.
    pub fn get_mut(&mut self, key: &Key<'_>) -> Option<ValueMut<'_>> {
        let place = self.find(key)?;
        self.access(&place);
        self.touch_for_change(key);
        // SAFETY: see the note above `impl`: the result borrows the transaction exclusively.
        Some(match unsafe { place.entry().collection_mut() } {
            None => ValueMut::Str(StrMut::new(place)),
            Some(Collection::List(list)) => ValueMut::List(list),
            Some(Collection::Hash(hash)) => ValueMut::Hash(hash),
            Some(Collection::Set(set)) => ValueMut::Set(set),
            Some(Collection::SortedSet(zset)) => ValueMut::SortedSet(zset),
            Some(Collection::Stream(stream)) => ValueMut::Stream(stream),
        })
    }

    /// Sets a string, replacing a value of any type. Stored as an integer when the text is one.
    #[inline]
    pub fn set_string(&mut self, key: &Key<'_>, bytes: &[u8], expiry: Expiry) {
        let payload = match number::parse_i64(bytes) {
            Some(value) => Payload::Int(value),
            None if bytes.len() <= EMBED_BYTES_MAX => Payload::Embedded(bytes),
            None => Payload::Raw(bytes.to_vec()),
        };
        self.put(key, payload, expiry);
    }

    /// Sets a value of any type, replacing what was there. A list, sorted set or stream wakes clients parked on the key.
    pub fn insert(&mut self, key: &Key<'_>, mut value: Value, expire_ms: Option<i64>) {
        let expiry = expire_ms.map_or(Expiry::Clear, Expiry::At);
        let wakes = matches!(value, Value::List(_) | Value::SortedSet(_) | Value::Stream(_));
        self.put(key, value.payload(), expiry);
        if wakes {
            self.signal(key);
        }
    }

    fn put(&mut self, key: &Key<'_>, payload: Payload<'_>, expiry: Expiry) {
        self.touch_for_change(key);
        // What is hidden must not come to be there twice.
        let keep_expired = std::mem::take(&mut self.keep_expired);
        let place = self.find(key);
        self.keep_expired = keep_expired;
        let Some(place) = place else {
            let expire_ms = match expiry {
                Expiry::At(at) => Some(at),
                Expiry::Clear | Expiry::Keep => None,
            };
            return self.link(key, Entry::new(key.bytes, payload, expire_ms, self.clock.initial()));
        };
        let entry = place.entry();
        let before = entry.expire_ms();
        let after = match expiry {
            Expiry::Clear => None,
            Expiry::Keep => before,
            Expiry::At(at) => Some(at),
        };
        if before == after {
            let done = match &payload {
                Payload::Int(value) => entry.overwrite_int(*value),
                Payload::Embedded(bytes) => entry.overwrite_embedded(bytes),
                Payload::Raw(_) | Payload::Collection(_) => false,
            };
            if done {
                return self.access(&place);
            }
        }
        let clock = if self.clock.lfu {
            self.clock.accessed(entry.clock(), &mut self.rng)
        } else {
            self.clock.initial()
        };
        self.signal_lost(key, entry);
        let new = Entry::new(key.bytes, payload, after, clock);
        let old = place.replace(new);
        self.count_expire(key, before, after);
        self.forget_fields(key, old);
        self.adopt_fields(key, new);
        self.discard(old);
    }

    fn count_expire(&self, key: &Key<'_>, before: Option<i64>, after: Option<i64>) {
        let delta = i32::from(after.is_some()) - i32::from(before.is_some());
        match after {
            Some(at) => self.note_expire(key, at, delta),
            None if delta != 0 => self.note_expire(key, i64::MAX, delta),
            None => {}
        }
    }

    fn discard(&mut self, old: Entry) {
        // SAFETY: see the note above `impl`; the entry is out of its table.
        unsafe { self.free(old, self.lazy.overwrite) };
    }

    /// Removes a key. True if it existed.
    pub fn remove(&mut self, key: &Key<'_>) -> bool {
        self.remove_with(key, false)
    }

    /// Removes a key; a heavy value goes to `garbage` instead of being dropped here (UNLINK).
    pub fn unlink_key(&mut self, key: &Key<'_>) -> bool {
        self.remove_with(key, true)
    }

    fn remove_with(&mut self, key: &Key<'_>, lazy: bool) -> bool {
        let Some(place) = self.find(key) else { return false };
        self.detach(key, place, lazy);
        true
    }

    /// Removes the key if its collection is empty. True if it did.
    pub fn remove_if_empty(&mut self, key: &Key<'_>) -> bool {
        let empty = match self.view(key) {
            Some(ValueRef::List(list)) => list.is_empty(),
            Some(ValueRef::Hash(hash)) => hash.is_empty(),
            Some(ValueRef::Set(set)) => set.is_empty(),
            Some(ValueRef::SortedSet(zset)) => zset.is_empty(),
            // A stream may be empty.
            Some(ValueRef::Str(_) | ValueRef::Stream(_)) | None => false,
        };
        empty && self.remove(key)
    }

    /// Takes the value and its expiry out of the keyspace (RENAME, MOVE).
    pub fn take(&mut self, key: &Key<'_>) -> Option<(Value, Option<i64>)> {
        let place = self.find(key)?;
        let expire_ms = place.entry().expire_ms();
        let entry = self.unlink(key, place);
        let mut scratch = Vec::new();
        // SAFETY: see the note above `impl`; the entry is out of its table.
        let value = Value::from_payload(unsafe { entry.into_payload(&mut scratch) });
        Some((value, expire_ms))
    }

    /// A copy of the value, and its expiry (COPY).
    pub fn copy_of(&mut self, key: &Key<'_>) -> Option<(Value, Option<i64>)> {
        let entry = self.find(key)?.entry();
        Some((entry.clone_value(), entry.expire_ms()))
    }

    /// Sets or clears the expiry of an existing key. True if the key exists.
    pub fn set_expire(&mut self, key: &Key<'_>, expire_ms: Option<i64>) -> bool {
        let Some(place) = self.find(key) else { return false };
        self.touch_for_change(key);
        let entry = place.entry();
        let before = entry.expire_ms();
        match expire_ms {
            None if before.is_none() => return true,
            Some(at) if entry.overwrite_expire(at) => {}
            _ => {
                let bytes = entry.key();
                let clock = entry.clock();
                let mut scratch = Vec::new();
                // The header's size changes, so the entry is built anew around the moved payload.
                let holder = Entry::new(bytes, Payload::Int(0), None, 0);
                place.replace(holder);
                // SAFETY: `entry` is out of the table; `holder` takes its place until the new one does.
                unsafe {
                    let payload = entry.into_payload(&mut scratch);
                    let new = Entry::new(holder.key(), payload, expire_ms, clock);
                    place.replace(new).free();
                }
            }
        }
        self.count_expire(key, before, expire_ms);
        true
    }

    // --- what a change sets off ----------------------------------------------------------------------------------

    /// Tells that the key changed: counts it, marks its WATCHers, notes the keyspace event.
    /// `event` is Redis's name for it ("lpush"), `class` its class in `notify-keyspace-events`.
    #[inline]
    pub fn changed(&mut self, key: &Key<'_>, class: Class, event: &'static str) {
        self.counters.dirty += 1;
        self.notify(key, class, event);
    }

    /// As `changed` for a call that made several changes: Redis counts the elements.
    pub fn changed_times(&mut self, key: &Key<'_>, class: Class, event: &'static str, times: usize) {
        self.counters.dirty += times as u64;
        self.notify(key, class, event);
    }

    /// A further event of a change that is counted already ("del" when the last element went).
    pub fn changed_too(&mut self, key: &Key<'_>, class: Class, event: &'static str) {
        self.notify(key, class, event);
    }

    /// As `changed`, without an event.
    #[inline]
    pub fn modified(&mut self, key: &Key<'_>) {
        self.counters.dirty += 1;
        self.mark_watchers(key);
    }

    pub(crate) fn mark_watchers(&mut self, key: &Key<'_>) {
        let partition = self.space.partition_of(key.slot);
        assert!(self.held.contains(partition), "the key's partition is not held");
        // SAFETY: the partition is held, and the reference ends here.
        let side = unsafe { self.space.side(partition) };
        if side.has_watchers() {
            side.mark(self.db, key.bytes);
        }
    }

    pub(crate) fn notify(&mut self, key: &Key<'_>, class: Class, event: &'static str) {
        self.mark_watchers(key);
        self.event(key, class, event);
    }

    /// Notes a keyspace event that changes nothing ("keymiss"), if its class is listened to.
    #[inline]
    pub fn event(&mut self, key: &Key<'_>, class: Class, event: &'static str) {
        if self.space.events.load(Relaxed) & class.bit() != 0 {
            self.events.push(Event { db: self.db, class, name: event, key: key.bytes.into() });
        }
    }

    /// Tells that clients parked on the key may go on.
    pub fn signal(&mut self, key: &Key<'_>) {
        self.signal_as(key, false);
    }

    fn signal_as(&mut self, key: &Key<'_>, lost: bool) {
        let partition = self.space.partition_of(key.slot);
        // SAFETY: the partition is held (the key was just written), and the reference ends here.
        let side = unsafe { self.space.side(partition) };
        if side.has_waiters() && side.is_waited_for(self.db, key.bytes) {
            self.signalled.push(Signal { db: self.db, key: key.bytes.into(), lost });
        }
    }

    /// A stream goes away: clients that read it on behalf of a group wait in vain.
    fn signal_lost(&mut self, key: &Key<'_>, entry: Entry) {
        // SAFETY: see the note above `impl`.
        if matches!(unsafe { entry.collection() }, Some(Collection::Stream(_))) {
            self.signal_as(key, true);
        }
    }

    /// Records what a replica must do. Costs nothing while nobody listens.
    #[inline]
    pub fn effect(&mut self, words: &[&[u8]]) {
        self.effects.push(self.db, words);
    }

    // --- expiry and eviction -------------------------------------------------------------------------------------

    /// Removes the expired keys of one slot if any can be due; returns how many.
    pub(crate) fn expire_slot(&mut self, slot: usize) -> usize {
        let Some(database) = self.space.database(self.db) else { return 0 };
        if database.next_expire[slot].get() > self.judged_ms {
            return 0;
        }
        let mut due: Vec<Box<[u8]>> = Vec::new();
        let mut next = i64::MAX;
        database.tables[slot].for_each(|entry| match entry.expire_ms() {
            Some(at) if at <= self.judged_ms => due.push(entry.key().into()),
            Some(at) => next = next.min(at),
            None => {}
        });
        database.next_expire[slot].set(next);
        for bytes in &due {
            self.contains(&self.space.key(bytes));
        }
        due.len()
    }

    /// Removes a key chosen for eviction; true if it was still there.
    pub fn evict(&mut self, bytes: &[u8]) -> bool {
        let key = self.space.key(bytes);
        let Some(place) = self.find(&key) else { return false };
        self.detach(&key, place, self.lazy.evict);
        self.effects.push(self.db, &[b"DEL", bytes]);
        self.notify(&key, Class::Evicted, "evicted");
        true
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
