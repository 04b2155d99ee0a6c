//! What the keyspace should hold, in the standard library's collections.

use redoubt_store::{EncodingLimits, Keyspace, Str, Txn, ValueRef};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A value of the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    Str(Vec<u8>),
    List(VecDeque<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    SortedSet(BTreeMap<Vec<u8>, f64>),
}

/// Values with their expiries by database and key, and the time.
pub struct Model {
    pub limits: EncodingLimits,
    pub now_ms: i64,
    pub db: usize,
    pub keys: BTreeMap<(usize, Vec<u8>), (Plain, Option<i64>)>,
    pub turn: u64,
}

impl Model {
    pub fn new(limits: EncodingLimits) -> Model {
        Model { limits, now_ms: 1_000_000, db: 0, keys: BTreeMap::new(), turn: 0 }
    }

    /// The value of a key that is alive.
    pub fn get(&mut self, key: &[u8]) -> Option<&mut Plain> {
        self.expire();
        self.keys.get_mut(&(self.db, key.to_vec())).map(|(value, _)| value)
    }

    /// Forgets what is due.
    pub fn expire(&mut self) {
        let now = self.now_ms;
        self.keys.retain(|_, (_, expires)| expires.is_none_or(|at| at > now));
    }

    /// Panics where the keyspace holds something else.
    pub fn compare(&mut self, space: &Keyspace) {
        self.expire();
        let mut txn = Txn::new(space, self.now_ms, fastrand::Rng::with_seed(self.turn));
        txn.acquire(space.all_partitions());
        let mut seen = BTreeMap::new();
        for db in 0..space.databases() {
            txn.set_db(db);
            txn.for_each(|key, value, expires| {
                let twice = seen.insert((db, key.to_vec()), (plain(value), expires));
                assert!(twice.is_none(), "a key is there twice");
            });
        }
        assert!(seen == self.keys, "the keyspace holds {seen:?}, the model {:?}", self.keys);
    }
}

/// A stored value in the model's terms; checks on the way that its parts agree with each other.
pub fn plain(value: ValueRef<'_>) -> Plain {
    match value {
        ValueRef::Str(text) => Plain::Str(text.to_vec()),
        ValueRef::List(list) => {
            let elements: VecDeque<Vec<u8>> = list.iter().map(|element| element.to_vec()).collect();
            let mut backwards: Vec<Vec<u8>> = list.iter().rev().map(|element| element.to_vec()).collect();
            backwards.reverse();
            assert!(elements == backwards, "a list reads differently from its end");
            assert_eq!(elements.len(), list.len());
            Plain::List(elements)
        }
        ValueRef::Hash(hash) => {
            let fields: BTreeMap<Vec<u8>, Vec<u8>> =
                hash.iter(0).map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
            assert_eq!(fields.len(), hash.len());
            Plain::Hash(fields)
        }
        ValueRef::Set(set) => {
            let members: BTreeSet<Vec<u8>> = set.iter().map(|member| member.to_vec()).collect();
            assert_eq!(members.len(), set.len());
            Plain::Set(members)
        }
        ValueRef::SortedSet(set) => {
            let members: Vec<(Vec<u8>, f64)> =
                set.iter().map(|(member, score)| (member.to_vec(), score)).collect();
            let sorted = members.is_sorted_by(|a, b| a.1 < b.1 || (a.1 == b.1 && a.0 < b.0));
            assert!(sorted, "a sorted set is out of order: {members:?}");
            assert_eq!(members.len(), set.len());
            Plain::SortedSet(members.into_iter().collect())
        }
        #[allow(unreachable_patterns, reason = "types that the model does not know are never made")]
        _ => unreachable!("a type that no operation makes"),
    }
}

/// Whether a stored string has this text.
pub fn has_text(string: Str<'_>, text: &[u8]) -> bool {
    string.to_vec() == text && string.len() == text.len()
}
