//! Expiry of single fields of hashes: which hashes have due fields, and taking those out.
//!
//! Each partition keeps, per database, its hashes by the time of a hash's soonest expiry, so that active expiry visits
//! only hashes that have something due. A time may be too early (the field was set anew since), never too late.
#![allow(unsafe_code)]

use crate::entry::{Collection, Entry};
use crate::events::Class;
use crate::key::Key;
use crate::txn::Txn;
use crate::types::hash::Hash;
use std::collections::BTreeMap;

/// Keys of one partition by (time, hash of the key). Nearly always one key each.
#[derive(Default)]
pub(crate) struct DueHashes {
    by_time: BTreeMap<(i64, u64), Vec<Box<[u8]>>>,
    len: usize,
}

impl DueHashes {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn add(&mut self, at: i64, key: &Key<'_>) {
        self.by_time.entry((at, key.hash)).or_default().push(key.bytes.into());
        self.len += 1;
    }

    fn remove(&mut self, at: i64, key: &Key<'_>) {
        let Some(keys) = self.by_time.get_mut(&(at, key.hash)) else { return };
        let before = keys.len();
        keys.retain(|other| **other != *key.bytes);
        self.len -= before - keys.len();
        if keys.is_empty() {
            self.by_time.remove(&(at, key.hash));
        }
    }

    /// Takes out a key whose time is not after `now_ms`.
    fn pop_due(&mut self, now_ms: i64) -> Option<Box<[u8]>> {
        let mut first = self.by_time.first_entry().filter(|first| first.key().0 <= now_ms)?;
        let key = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        self.len -= usize::from(key.is_some());
        key
    }
}

impl Txn<'_> {
    fn with_due<R>(&self, key: &Key<'_>, work: impl FnOnce(&mut DueHashes) -> R) -> Option<R> {
        let cell = &self.database(key.slot)?.due_hashes[self.space.partition_of(key.slot)];
        let mut due = cell.take();
        let result = work(&mut due);
        cell.set(due);
        Some(result)
    }

    /// The hash of an entry that is in a table, for change.
    fn hash_of<'a>(&self, entry: Entry) -> Option<&'a mut Hash> {
        // SAFETY: the entry's partition is held, and callers in this file let go of the hash before they look again.
        match unsafe { entry.collection_mut() } {
            Some(Collection::Hash(hash)) => Some(hash),
            _ => None,
        }
    }

    /// An entry leaves its table: its fields need no looking after.
    #[inline]
    pub(crate) fn forget_fields(&mut self, key: &Key<'_>, entry: Entry) {
        if let Some(hash) = self.hash_of(entry)
            && let Some(at) = hash.registered()
        {
            self.with_due(key, |due| due.remove(at, key));
            hash.set_registered(None);
        }
    }

    /// An entry came into its table, whatever its value was registered as elsewhere.
    #[inline]
    pub(crate) fn adopt_fields(&mut self, key: &Key<'_>, entry: Entry) {
        if let Some(hash) = self.hash_of(entry) {
            hash.set_registered(None);
            self.register_fields(key, hash);
        }
    }

    fn register_fields(&self, key: &Key<'_>, hash: &mut Hash) {
        let (before, next) = (hash.registered(), hash.next_expiry());
        // Too early does no harm, and costs less than keeping up with every change.
        let Some(next) = next.filter(|next| before.is_none_or(|before| *next < before)) else { return };
        self.with_due(key, |due| {
            if let Some(before) = before {
                due.remove(before, key);
            }
            due.add(next, key);
        });
        hash.set_registered(Some(next));
    }

    /// Tells that a field of the hash at the key may expire sooner than any did before.
    pub fn fields_expire(&mut self, key: &Key<'_>) {
        if let Some(entry) = self.find_entry(key)
            && let Some(hash) = self.hash_of(entry)
        {
            self.register_fields(key, hash);
        }
    }

    /// Takes those of the fields out that are due, and the key with its last field. Does nothing where what has expired
    /// stays.
    #[cold]
    pub fn expire_fields(&mut self, key: &Key<'_>, fields: &[&[u8]]) {
        if self.keep_expired {
            return;
        }
        let Some(entry) = self.find_entry(key) else { return };
        self.preserve(entry);
        let Some(hash) = self.hash_of(entry) else { return };
        let now_ms = self.judged_ms();
        let gone: Vec<&[u8]> =
            fields.iter().copied().filter(|field| hash.remove_due(field, now_ms)).collect();
        let empty = hash.is_empty();
        self.expired_fields(key, &gone, empty);
    }

    /// Takes up to `count` due fields out, and the key with its last field. Returns how many went: none where what has
    /// expired stays.
    #[cold]
    pub fn expire_due_fields(&mut self, key: &Key<'_>, count: usize) -> usize {
        if self.keep_expired {
            return 0;
        }
        let Some(entry) = self.find_entry(key) else { return 0 };
        self.preserve(entry);
        let Some(hash) = self.hash_of(entry) else { return 0 };
        let now_ms = self.judged_ms();
        let gone: Vec<Vec<u8>> = std::iter::from_fn(|| hash.pop_due(now_ms)).take(count).collect();
        let empty = hash.is_empty();
        let gone: Vec<&[u8]> = gone.iter().map(Vec::as_slice).collect();
        self.expired_fields(key, &gone, empty);
        gone.len()
    }

    /// What the expiry of fields sets off.
    fn expired_fields(&mut self, key: &Key<'_>, gone: &[&[u8]], empty: bool) {
        if gone.is_empty() {
            return;
        }
        self.touched = true;
        self.counters.expired_fields += gone.len() as u64;
        if self.effects.is_enabled() {
            let mut words: Vec<&[u8]> = vec![b"HDEL", key.bytes];
            words.extend(gone);
            self.effects.push(self.db, &words);
        }
        self.notify(key, Class::Hash, "hexpired");
        if empty {
            self.remove(key);
            self.event(key, Class::Generic, "del");
        }
    }

    /// Takes up to `removals_max` due fields out of the hashes of a held partition of the current database.
    pub(crate) fn expire_fields_of(&mut self, partition: usize, removals_max: usize) -> usize {
        let Some(database) = self.database_of(self.db) else { return 0 };
        let cell = &database.due_hashes[partition];
        let mut removed = 0;
        while removed < removals_max {
            let mut due = cell.take();
            let key = due.pop_due(self.judged_ms());
            cell.set(due);
            let Some(bytes) = key else { break };
            let key = self.space.key(&bytes);
            removed += self.expire_due_fields(&key, removals_max - removed);
            // What is left of the hash is looked after under its true time.
            if let Some(entry) = self.find_entry(&key) {
                self.adopt_fields(&key, entry);
            }
        }
        removed
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
