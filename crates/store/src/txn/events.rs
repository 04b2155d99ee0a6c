//! What a change sets off: counts, WATCH marks, keyspace events, parked clients, the log.
#![allow(unsafe_code)]

use super::Txn;
use crate::entry::{Collection, Entry};
use crate::events::{Class, Event};
use crate::key::Key;
use crate::side::Signal;
use std::sync::atomic::Ordering::Relaxed;

// SAFETY note for the whole file: as in `txn`.
impl Txn<'_> {
    /// Tells that the key changed: counts it, marks its WATCHers, notes the keyspace event.
    /// `event` is Redis's name for it ("lpush"), `class` its class in `notify-keyspace-events`.
    #[inline]
    pub fn changed(&mut self, key: &Key<'_>, class: Class, event: &'static str) {
        self.counters.dirty += 1;
        self.notify(key, class, event);
    }

    /// As `changed` for a call that made several changes: Redis counts the elements.
    #[inline]
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

    #[inline]
    pub(crate) fn mark_watchers(&mut self, key: &Key<'_>) {
        let partition = self.space.partition_of(key.slot);
        assert!(self.holds(partition), "the key's partition is not held");
        // SAFETY: the partition is held, and the reference ends here.
        let side = unsafe { self.space.side(partition) };
        if side.has_watchers() {
            side.mark(self.db, key.bytes);
        }
    }

    #[inline]
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
    #[inline]
    pub fn signal(&mut self, key: &Key<'_>) {
        self.signal_as(key, false);
    }

    #[inline]
    fn signal_as(&mut self, key: &Key<'_>, lost: bool) {
        let partition = self.space.partition_of(key.slot);
        // SAFETY: the partition is held (the key was just written), and the reference ends here.
        let side = unsafe { self.space.side(partition) };
        if side.has_waiters() && side.is_waited_for(self.db, key.bytes) {
            self.signalled.push(Signal { db: self.db, key: key.bytes.into(), lost });
        }
    }

    /// A stream goes away: clients that read it on behalf of a group wait in vain.
    pub(super) fn signal_lost(&mut self, key: &Key<'_>, entry: Entry) {
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
}
