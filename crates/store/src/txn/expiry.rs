//! Keys that go by themselves: expired or evicted.

use super::Txn;
use crate::events::Class;
use crate::garbage::Lazy;
use crate::key::Key;
use crate::table::Place;

impl Txn<'_> {
    pub(super) fn expire(&mut self, key: &Key<'_>, place: Place) {
        self.detach(key, place, self.lazy.expire);
        self.counters.expired += 1;
        self.effects.push(self.db, &[Lazy::removal(self.lazy.expire), key.bytes]);
        self.notify(key, Class::Expired, "expired");
    }

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
        self.effects.push(self.db, &[Lazy::removal(self.lazy.evict), bytes]);
        self.notify(&key, Class::Evicted, "evicted");
        true
    }
}
