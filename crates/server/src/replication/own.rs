//! Keys that a replica's own clients have given an expiry (`replica-read-only no`): they expire here, by this server's
//! clock, whereas what the primary wrote stays until the primary says otherwise.

use parking_lot::Mutex;
use redoubt_store::GivenExpiry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

type Name = (usize, Arc<[u8]>);

#[derive(Default)]
struct Inner {
    /// Unix ms at which each is looked at: its expiry may have moved since.
    times: HashMap<Name, i64>,
    queue: BTreeSet<(i64, Name)>,
}

/// See the module's text. Names of keys by database; what became of a key otherwise is found out when its time comes.
#[derive(Default)]
pub(crate) struct OwnKeys {
    inner: Mutex<Inner>,
}

impl OwnKeys {
    /// Adds keys.
    pub(crate) fn note(&self, keys: Vec<GivenExpiry>) {
        for GivenExpiry { db, key, at_ms } in keys {
            self.add(db, key.into(), at_ms);
        }
    }

    /// Adds a key that expires at this Unix time, milliseconds, in place of what was known of it.
    pub(crate) fn add(&self, db: usize, name: Arc<[u8]>, at: i64) {
        let mut inner = self.inner.lock();
        let name = (db, name);
        if let Some(before) = inner.times.insert(name.clone(), at) {
            inner.queue.remove(&(before, name.clone()));
        }
        inner.queue.insert((at, name));
    }

    /// Takes out a key that may be due.
    pub(crate) fn take_due(&self, now_ms: i64) -> Option<Name> {
        let mut inner = self.inner.lock();
        if inner.queue.first()?.0 > now_ms {
            return None;
        }
        let (_, name) = inner.queue.pop_first()?;
        inner.times.remove(&name);
        Some(name)
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().times.len()
    }
}

#[cfg(test)]
mod tests {
    use super::OwnKeys;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn each_key_is_due_once_at_its_last_time(
            steps in proptest::collection::vec((0usize..2, 0u8..6, 0i64..40, prop::bool::weighted(0.3)), 0..80),
        ) {
            let (keys, mut model) = (OwnKeys::default(), BTreeMap::new());
            for (db, name, at, takes) in steps {
                if takes {
                    let due: Vec<_> = std::iter::from_fn(|| keys.take_due(at)).collect();
                    let mut found: Vec<(usize, u8)> = due.iter().map(|(db, name)| (*db, name[0])).collect();
                    found.sort_unstable();
                    let expected: Vec<(usize, u8)> =
                        model.iter().filter(|(_, when)| **when <= at).map(|(key, _)| *key).collect();
                    model.retain(|_, when| *when > at);
                    prop_assert_eq!(found, expected);
                } else {
                    keys.add(db, [name].as_slice().into(), at);
                    model.insert((db, name), at);
                }
                prop_assert_eq!(keys.len(), model.len());
            }
            keys.clear();
            prop_assert!(keys.len() == 0 && keys.take_due(i64::MAX).is_none());
        }
    }
}
