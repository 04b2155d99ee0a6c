//! Looking at keys.
#![allow(unsafe_code)]

use super::{Access, Txn};
use crate::events::Class;
use crate::key::Key;
use crate::value::ValueRef;

// SAFETY note for the whole file: as in `txn`.
impl Txn<'_> {
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
                if let Some(collection) = unsafe { entry.collection_mut() }
                    && !self.is_pending(entry)
                {
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
}
