//! A cut against a model: whatever happens while it runs, what it saves is the keyspace as it was at its beginning.

use super::{CutBudget, CutKey, CutSink, CutWalk};
use crate::types::stream::StreamId;
use crate::{
    EncodingLimits, Expiry, Hash, Keyspace, Lazy, List, Set, SortedSet, Stream, Txn, Value, ValueMut,
    ValueRef,
};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const DATABASES: usize = 3;

/// Keys by database and name: value and expiry.
type Content = BTreeMap<(usize, Vec<u8>), (String, Option<i64>)>;

/// A key that is being saved in parts: database, name, content, and the part that came last.
type Begun = (usize, Vec<u8>, String, u64);

/// Keeps what it is given. Big keys come in parts.
#[derive(Default)]
struct Saved(Mutex<Content>, Mutex<Option<Begun>>);

impl CutSink for Saved {
    fn save(&self, key: &CutKey<'_>) -> usize {
        let content = (describe(key.value), key.expire_ms);
        let before = self.0.lock().insert((key.db, key.key.to_vec()), content);
        assert!(before.is_none(), "{:?} was saved twice", key.key.escape_ascii().to_string());
        16
    }

    fn parts_from(&self) -> usize {
        100
    }

    fn save_part(&self, key: &CutKey<'_>, first: bool) -> bool {
        let (text, mut begun) = (describe(key.value), self.1.lock());
        let part = match (first, begun.take()) {
            (true, None) => 0,
            (false, Some((db, name, before, part))) => {
                assert_eq!((db, &name[..], &before), (key.db, key.key, &text));
                part + 1
            }
            (first, other) => panic!("first is {first}, and begun is {other:?}"),
        };
        if part < 3 {
            *begun = Some((key.db, key.key.to_vec(), text, part));
            return true;
        }
        self.save(key);
        false
    }
}

/// The elements of a value, whatever their order if they have none.
fn describe(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Str(text) => format!("{:?}", text.to_vec()),
        ValueRef::List(list) => format!("{:?}", list.iter().map(|value| value.to_vec()).collect::<Vec<_>>()),
        ValueRef::Set(set) => {
            let mut members: Vec<_> = set.iter().map(|value| value.to_vec()).collect();
            members.sort();
            format!("{members:?}")
        }
        ValueRef::SortedSet(zset) => {
            format!("{:?}", zset.iter().map(|(value, score)| (value.to_vec(), score)).collect::<Vec<_>>())
        }
        ValueRef::Hash(hash) => {
            let fields = hash.timed_fields().map(|(field, value, at)| (field.to_vec(), value.to_vec(), at));
            let mut fields: Vec<_> = fields.collect();
            fields.sort();
            format!("{fields:?}")
        }
        ValueRef::Stream(stream) => {
            let ids: Vec<_> = stream.iter().map(|entry| entry.id).collect();
            let groups: Vec<_> = stream.groups().map(|group| (group.name(), group.pending_len())).collect();
            format!("{ids:?} {groups:?}")
        }
    }
}

/// What the keyspace holds, expired keys included.
fn content(txn: &mut Txn<'_>) -> Content {
    let (db, now_ms) = (txn.db(), txn.now_ms());
    txn.set_now_ms(i64::MIN);
    let mut content = Content::new();
    for other in 0..txn.keyspace().databases() {
        txn.set_db(other);
        txn.for_each(|key, value, expire_ms| {
            content.insert((other, key.to_vec()), (describe(value), expire_ms));
        });
    }
    txn.set_db(db);
    txn.set_now_ms(now_ms);
    content
}

/// One thing that happens. Numbers choose keys, types and sizes.
#[derive(Clone, Debug)]
enum Op {
    SetString(u8, u16, bool),
    Insert(u8, u8, u16, bool),
    Change(u8, u8),
    Expire(u8, Option<u8>),
    ExpireFields(u8),
    Remove(u8, bool),
    Rename(u8, u8),
    Copy(u8, u8),
    Read(u8),
    Evict(u8),
    Flush,
    Swap(u8, u8),
    Select(u8),
    Wait(u8),
    ExpireDue,
    Steps(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..24u8;
    prop_oneof![
        4 => (key(), any::<u16>(), any::<bool>()).prop_map(|(k, n, keep)| Op::SetString(k, n, keep)),
        6 => (key(), 0..6u8, 1..200u16, any::<bool>()).prop_map(|(k, t, n, x)| Op::Insert(k, t, n, x)),
        6 => (key(), any::<u8>()).prop_map(|(k, n)| Op::Change(k, n)),
        3 => (key(), proptest::option::of(1..40u8)).prop_map(|(k, at)| Op::Expire(k, at)),
        1 => key().prop_map(Op::ExpireFields),
        3 => (key(), any::<bool>()).prop_map(|(k, lazy)| Op::Remove(k, lazy)),
        2 => (key(), key()).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => (key(), key()).prop_map(|(a, b)| Op::Copy(a, b)),
        3 => key().prop_map(Op::Read),
        1 => key().prop_map(Op::Evict),
        1 => Just(Op::Flush),
        2 => (0..3u8, 0..3u8).prop_map(|(a, b)| Op::Swap(a, b)),
        2 => (0..3u8).prop_map(Op::Select),
        1 => (0..20u8).prop_map(Op::Wait),
        1 => Just(Op::ExpireDue),
        6 => (1..30u8).prop_map(Op::Steps),
    ]
}

/// A third of the keys share a slot.
fn name(number: u8) -> Vec<u8> {
    match number % 3 {
        0 => format!("{{slot}}{number}").into_bytes(),
        _ => format!("key:{number}").into_bytes(),
    }
}

fn value(kind: u8, len: u16) -> Value {
    let limits = EncodingLimits::default();
    let texts = || (0..len).map(|number| format!("element {number}").into_bytes());
    match kind {
        0 => Value::Raw(vec![b'x'; usize::from(len) * 100]),
        1 => {
            let mut list = List::new();
            texts().for_each(|text| list.push_back(&text, &limits));
            Value::List(list)
        }
        2 => {
            let mut set = Set::new();
            texts().for_each(|text| assert!(set.insert(&text, &limits)));
            Value::Set(set)
        }
        3 => {
            let mut zset = SortedSet::new();
            texts()
                .enumerate()
                .for_each(|(at, text)| assert!(zset.insert(&text, at as f64, &limits).is_none()));
            Value::SortedSet(zset)
        }
        4 => {
            let mut hash = Hash::new();
            for (at, text) in texts().enumerate() {
                hash.insert(&text, b"v", &limits);
                if at % 3 == 1 {
                    hash.set_expiry(&text, Some(1000 + at as i64));
                }
            }
            Value::Hash(hash)
        }
        _ => {
            let mut stream = Stream::new();
            (1..=u64::from(len))
                .for_each(|ms| assert!(stream.add(StreamId::new(ms, 0), &[b"f", b"v"], &limits)));
            Value::Stream(stream)
        }
    }
}

fn change(value: ValueMut<'_>, number: u8) {
    let limits = EncodingLimits::default();
    match value {
        ValueMut::Str(mut text) => match number % 3 {
            0 => text.set_int(i64::from(number)),
            1 => text.set_bytes(&vec![number; usize::from(number)]),
            _ => text.make_raw().push(number),
        },
        ValueMut::List(list) => match number % 2 {
            0 => list.push_front(&[number], &limits),
            _ => list.remove_back(1, &limits),
        },
        ValueMut::Set(set) => {
            set.insert(&[number], &limits);
        }
        ValueMut::SortedSet(zset) => match number % 2 {
            0 => drop(zset.insert(&[number], f64::from(number), &limits)),
            _ => drop(zset.pop(false)),
        },
        ValueMut::Hash(hash) => match number % 2 {
            0 => drop(hash.insert(&[number], b"new", &limits)),
            _ => drop(hash.remove(b"element 0")),
        },
        ValueMut::Stream(stream) => {
            stream.create_group(&[number], StreamId::MIN, None);
        }
    }
}

/// Does one thing to a keyspace, all of whose partitions are held.
fn run(txn: &mut Txn<'_>, op: &Op) {
    match *op {
        Op::SetString(key, number, keep) => {
            let (name, text) = (name(key), number.to_string().repeat(usize::from(number % 40) + 1));
            txn.set_string(&txn.key(&name), text.as_bytes(), if keep { Expiry::Keep } else { Expiry::Clear });
        }
        Op::Insert(key, kind, len, expires) => {
            let expire_ms = expires.then(|| txn.now_ms() + i64::from(len));
            txn.insert(&txn.key(&name(key)), value(kind, len), expire_ms);
        }
        Op::Change(key, number) => {
            let name = name(key);
            let key = txn.key(&name);
            if let Some(value) = txn.get_mut(&key) {
                change(value, number);
            }
            txn.remove_if_empty(&key);
        }
        Op::Expire(key, after) => {
            let at = after.map(|after| txn.now_ms() + i64::from(after));
            txn.set_expire(&txn.key(&name(key)), at);
        }
        Op::ExpireFields(key) => {
            txn.expire_due_fields(&txn.key(&name(key)), 3);
            txn.expire_fields(&txn.key(&name(key)), &[b"element 1"]);
        }
        Op::Remove(key, lazy) => {
            let name = name(key);
            let key = txn.key(&name);
            if lazy {
                txn.unlink_key(&key)
            } else {
                txn.remove(&key)
            };
        }
        Op::Rename(from, to) => {
            if let Some((value, expire_ms)) = txn.take(&txn.key(&name(from))) {
                txn.insert(&txn.key(&name(to)), value, expire_ms);
            }
        }
        Op::Copy(from, to) => {
            if let Some((value, expire_ms)) = txn.copy_of(&txn.key(&name(from))) {
                txn.insert(&txn.key(&name(to)), value, expire_ms);
            }
        }
        Op::Read(key) => drop(txn.get(&txn.key(&name(key))).map(describe)),
        Op::Evict(key) => drop(txn.evict(&name(key))),
        Op::Flush => drop(txn.flush(txn.db())),
        Op::Swap(a, b) => txn.swap_databases(usize::from(a), usize::from(b)),
        Op::Select(db) => drop(txn.set_db(usize::from(db))),
        Op::Wait(ms) => txn.set_now_ms(txn.now_ms() + i64::from(ms)),
        Op::ExpireDue => {
            let partitions = txn.keyspace().partitions();
            for partition in 0..partitions {
                txn.expire_partition(partition, 1000);
            }
        }
        Op::Steps(_) => unreachable!("the test walks itself"),
    }
    txn.garbage.clear();
}

fn hold(txn: &mut Txn<'_>) {
    txn.acquire(txn.keyspace().all_partitions());
}

/// Walks a little; true while there is more.
fn walk(txn: &mut Txn<'_>, cut: &mut CutWalk<'_>, steps: u8) -> bool {
    txn.release();
    let more = (0..steps).all(|_| cut.step(CutBudget { keys: 3, bytes: 1000 }));
    hold(txn);
    more
}

fn lazy(on: bool) -> Lazy {
    Lazy { expire: on, evict: on, overwrite: on }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_saves_what_was_there_when_it_began(
        before in proptest::collection::vec(op(), 0..60),
        during in proptest::collection::vec(op(), 0..80),
        lazily in any::<bool>(),
        cancelled in any::<bool>(),
    ) {
        let space = Keyspace::new(DATABASES, 4, 1);
        // Dropped after the transaction: an unfinished walk goes on to its end, and needs the partitions.
        let mut cut;
        let mut txn = Txn::new(&space, 1000, fastrand::Rng::with_seed(1));
        txn.lazy = lazy(lazily);
        hold(&mut txn);
        before.iter().filter(|op| !matches!(op, Op::Steps(_))).for_each(|op| run(&mut txn, op));
        if cancelled {
            // What a cut that nobody wanted any more has left behind must not show.
            let mut unwanted = txn.begin_cut(Arc::new(Saved::default())).unwrap();
            walk(&mut txn, &mut unwanted, 2);
            run(&mut txn, &Op::Flush);
            run(&mut txn, &Op::Insert(1, 2, 100, false));
            txn.release();
            drop(unwanted);
            hold(&mut txn);
        }
        let expected = content(&mut txn);
        let sink = Arc::new(Saved::default());
        cut = txn.begin_cut(Arc::clone(&sink) as Arc<dyn CutSink>).unwrap();
        prop_assert!(txn.begin_cut(Arc::new(Saved::default())).is_none());
        for op in &during {
            match op {
                Op::Steps(steps) => drop(walk(&mut txn, &mut cut, *steps)),
                op => run(&mut txn, op),
            }
        }
        while walk(&mut txn, &mut cut, 10) {}
        prop_assert_eq!(&*sink.0.lock(), &expected);
        prop_assert_eq!((cut.keys(), cut.saved()), (expected.len() as u64, expected.len() as u64));
        // The next one begins with nothing left over.
        let now = content(&mut txn);
        let sink = Arc::new(Saved::default());
        let mut cut = txn.begin_cut(Arc::clone(&sink) as Arc<dyn CutSink>).unwrap();
        while walk(&mut txn, &mut cut, 10) {}
        prop_assert_eq!(&*sink.0.lock(), &now);
    }
}

#[test]
fn writers_on_other_threads_do_not_spoil_a_cut() {
    const KEYS: u64 = 2000;
    let space = Keyspace::new(1, 8, 1);
    let names: Vec<Vec<u8>> = (0..KEYS).map(|number| format!("key:{number}").into_bytes()).collect();
    let fill = |txn: &mut Txn<'_>, round: u64| {
        names.iter().for_each(|name| {
            let key = txn.key(name);
            txn.acquire_one(space.partition_of(key.slot));
            txn.set_string(&key, round.to_string().as_bytes(), Expiry::Clear);
            txn.release();
        });
    };
    let mut txn = Txn::new(&space, 0, fastrand::Rng::with_seed(1));
    fill(&mut txn, 0);
    for round in 1..20 {
        hold(&mut txn);
        let expected = content(&mut txn);
        let sink = Arc::new(Saved::default());
        let mut cut = txn.begin_cut(Arc::clone(&sink) as Arc<dyn CutSink>).unwrap();
        txn.release();
        std::thread::scope(|scope| {
            scope.spawn(|| fill(&mut Txn::new(&space, 0, fastrand::Rng::with_seed(1)), round));
            while cut.step(CutBudget { keys: 10, bytes: 1000 }) {}
        });
        assert_eq!(*sink.0.lock(), expected);
    }
}
