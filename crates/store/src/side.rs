//! What hangs on keys beside their values: WATCH marks and parked clients. One per partition, under its lock.

use hashbrown::HashMap;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Release};

/// A client parked on a key; the server knows its concrete type.
pub trait Waiter: Any + Send + Sync {}

/// A key that parked clients wait for, and that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Database.
    pub db: usize,
    /// Key.
    pub key: Box<[u8]>,
    /// The stream that was there has gone: clients that need it are told.
    pub lost: bool,
}

/// Set when a WATCHed key changes.
pub type WatchMark = Arc<AtomicBool>;

type Name = (u16, Box<[u8]>);
type Map<V> = HashMap<Name, V, foldhash::fast::RandomState>;

/// See the module's text.
#[derive(Default)]
pub(crate) struct Side {
    watchers: Map<Vec<WatchMark>>,
    /// Parked clients in order of arrival.
    waiters: Map<BTreeMap<u64, Arc<dyn Waiter>>>,
    /// Log offset of the newest write to this partition.
    pub(crate) log_offset: u64,
}

fn name(db: usize, key: &[u8]) -> Name {
    (db as u16, key.into())
}

impl Side {
    #[inline]
    pub(crate) fn has_watchers(&self) -> bool {
        !self.watchers.is_empty()
    }

    #[inline]
    pub(crate) fn has_waiters(&self) -> bool {
        !self.waiters.is_empty()
    }

    pub(crate) fn watch(&mut self, db: usize, key: &[u8], mark: &WatchMark) {
        self.watchers.entry(name(db, key)).or_default().push(Arc::clone(mark));
    }

    pub(crate) fn unwatch(&mut self, db: usize, key: &[u8], mark: &WatchMark) {
        let name = name(db, key);
        if let Some(marks) = self.watchers.get_mut(&name) {
            marks.retain(|other| !Arc::ptr_eq(other, mark));
            if marks.is_empty() {
                self.watchers.remove(&name);
            }
        }
    }

    pub(crate) fn mark(&mut self, db: usize, key: &[u8]) {
        if let Some(marks) = self.watchers.get(&name(db, key)) {
            marks.iter().for_each(|mark| mark.store(true, Release));
        }
    }

    /// Names of the WATCHed keys of a database.
    pub(crate) fn watched(&self, db: usize) -> Vec<Box<[u8]>> {
        self.watchers.keys().filter(|(d, _)| usize::from(*d) == db).map(|(_, key)| key.clone()).collect()
    }

    pub(crate) fn park(&mut self, db: usize, key: &[u8], order: u64, waiter: Arc<dyn Waiter>) {
        self.waiters.entry(name(db, key)).or_default().insert(order, waiter);
    }

    pub(crate) fn unpark(&mut self, db: usize, key: &[u8], order: u64) {
        let name = name(db, key);
        if let Some(queue) = self.waiters.get_mut(&name) {
            queue.remove(&order);
            if queue.is_empty() {
                self.waiters.remove(&name);
            }
        }
    }

    pub(crate) fn is_waited_for(&self, db: usize, key: &[u8]) -> bool {
        self.waiters.contains_key(&name(db, key))
    }

    /// The first waiter of a key that arrived after `after`.
    pub(crate) fn next_waiter(&self, db: usize, key: &[u8], after: u64) -> Option<(u64, Arc<dyn Waiter>)> {
        let queue = self.waiters.get(&name(db, key))?;
        queue.range(after + 1..).next().map(|(order, waiter)| (*order, Arc::clone(waiter)))
    }

    /// Names of the keys of a database that clients are parked on.
    pub(crate) fn waited(&self, db: usize) -> Vec<Box<[u8]>> {
        self.waiters.keys().filter(|(d, _)| usize::from(*d) == db).map(|(_, key)| key.clone()).collect()
    }
}
