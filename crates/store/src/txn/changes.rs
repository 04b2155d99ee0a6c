//! Changing, making and removing keys.
#![allow(unsafe_code)]

use super::{Expiry, GivenExpiry, Txn};
use crate::entry::{Collection, EMBED_BYTES_MAX, Entry, Payload};
use crate::events::Class;
use crate::garbage::Garbage;
use crate::key::Key;
use crate::number;
use crate::table::Place;
use crate::value::{StrMut, Value, ValueMut, ValueRef};

// SAFETY note for the whole file: as in `txn`.
impl Txn<'_> {
    /// The value for change, as a write access. Tell `changed` afterwards.
    pub fn get_mut(&mut self, key: &Key<'_>) -> Option<ValueMut<'_>> {
        let place = self.find(key)?;
        self.access(&place);
        Some(self.open(key, place))
    }

    /// As `get_mut`; a missing key gets `new` first.
    pub fn get_or_insert(&mut self, key: &Key<'_>, new: impl FnOnce() -> Value) -> ValueMut<'_> {
        let place = match self.find(key) {
            Some(place) => {
                self.access(&place);
                place
            }
            None => {
                self.insert(key, new(), None);
                self.find_raw(key).expect("it has just been inserted")
            }
        };
        self.open(key, place)
    }

    #[inline]
    fn open(&mut self, key: &Key<'_>, place: Place) -> ValueMut<'_> {
        self.touch_for_change(key);
        self.preserve(place.entry());
        // SAFETY: see the note above `impl`: the result borrows the transaction exclusively.
        match unsafe { place.entry().collection_mut() } {
            None => ValueMut::Str(StrMut::new(place)),
            Some(Collection::List(list)) => ValueMut::List(list),
            Some(Collection::Hash(hash)) => ValueMut::Hash(hash),
            Some(Collection::Set(set)) => ValueMut::Set(set),
            Some(Collection::SortedSet(zset)) => ValueMut::SortedSet(zset),
            Some(Collection::Stream(stream)) => ValueMut::Stream(stream),
        }
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
            let stamp = self.clock.initial() | self.space.cuts.phase();
            return self.link(key, Entry::new(key.bytes, payload, expire_ms, stamp));
        };
        let entry = place.entry();
        // A heavy value is not overwritten in place but replaced, and the cut takes it as it is.
        self.preserve_light(entry);
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
        let clock = if self.clock.lfu { self.accessed(entry) } else { self.clock.initial() };
        self.signal_lost(key, entry);
        let new = Entry::new(key.bytes, payload, after, clock | self.space.cuts.phase());
        self.counted = Some(new);
        let old = place.replace(new);
        self.count_expire(key, before, after);
        self.forget_fields(key, old);
        self.adopt_fields(key, new);
        self.discard(old);
    }

    fn count_expire(&mut self, key: &Key<'_>, before: Option<i64>, after: Option<i64>) {
        let delta = i32::from(after.is_some()) - i32::from(before.is_some());
        match after {
            Some(at) => self.note_expire(key, at, delta),
            None if delta != 0 => self.note_expire(key, i64::MAX, delta),
            None => {}
        }
    }

    fn discard(&mut self, old: Entry) {
        // SAFETY: see the note above `impl`; the entry is out of its table.
        unsafe { self.dispose(old, self.lazy.overwrite) };
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
        self.preserve(place.entry());
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
            _ => self.preserve(entry),
        }
        match expire_ms {
            Some(at) if entry.overwrite_expire(at) => {}
            _ => {
                let bytes = entry.key();
                let stamp = entry.stamp();
                let mut scratch = Vec::new();
                // The header's size changes, so the entry is built anew around the moved payload.
                let holder = Entry::new(bytes, Payload::Int(0), None, 0);
                place.replace(holder);
                // SAFETY: `entry` is out of the table; `holder` takes its place until the new one does.
                unsafe {
                    let payload = entry.into_payload(&mut scratch);
                    let new = Entry::new(holder.key(), payload, expire_ms, stamp);
                    place.replace(new).free();
                }
            }
        }
        self.count_expire(key, before, expire_ms);
        true
    }

    /// Takes the entry out of its table and drops or shelves its value.
    pub(super) fn detach(&mut self, key: &Key<'_>, place: Place, lazy: bool) {
        let entry = self.unlink(key, place);
        // SAFETY: see the note above `impl`; the entry is out of its table.
        unsafe { self.dispose(entry, lazy) };
    }

    /// Drops what the running cut, if any, does not need.
    ///
    /// # Safety
    /// The entry is out of its table, and nothing refers to it.
    unsafe fn dispose(&mut self, entry: Entry, lazy: bool) {
        // SAFETY: by the caller.
        if self.is_pending(entry) && unsafe { self.hand_to_cut(entry) } {
            return;
        }
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
        assert!(self.holds(space.partition_of(key.slot)), "the key's partition is not held");
        let database = space.database_or_create(self.db);
        database.tables[usize::from(key.slot)].insert(key.hash, entry, |key| space.hasher.hash(key));
        // It is new, and has not been accessed besides.
        self.counted = Some(entry);
        let count = &database.counts[space.partition_of(key.slot)];
        count.keys.set(count.keys.get() + 1);
        if let Some(at) = entry.expire_ms() {
            self.note_expire(key, at, 1);
        }
        self.adopt_fields(key, entry);
        self.event(key, Class::New, "new");
    }

    /// Keeps the count of expiring keys and the slot's earliest expiry.
    fn note_expire(&mut self, key: &Key<'_>, at: i64, delta: i32) {
        if let Some(own) = self.own_expiries.as_mut().filter(|_| at != i64::MAX) {
            own.push(GivenExpiry { db: self.db, key: key.bytes.into(), at_ms: at });
        }
        let database = self.database(key.slot).expect("the entry is in it");
        let slot = usize::from(key.slot);
        database.tables[slot].add_expires(delta);
        let count = &database.counts[self.space.partition_of(key.slot)];
        count.expires.set(count.expires.get().wrapping_add_signed(delta as isize));
        if at < database.next_expire[slot].get() {
            database.next_expire[slot].set(at);
        }
    }
}
