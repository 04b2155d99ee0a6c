//! Streams whole and in pieces, what they leave in the data, and what is told of them.

use super::*;
use crate::config::Config;
use parking_lot::Mutex;
use proptest::prelude::*;
use redoubt_store::{Txn, ValueRef};
use std::sync::atomic::Ordering::Relaxed;

fn shared_with(settings: &str) -> Arc<Shared> {
    let mut config = Config::new();
    config.reader().stdin(settings).expect("valid settings");
    let (garbage, dropped) = std::sync::mpsc::channel();
    drop(dropped);
    let shared = Shared::new(config, garbage, 1);
    shared.publish(&shared.config.read());
    Arc::new(shared)
}

fn stream(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let mut reply = redoubt_resp::Reply::new(&mut bytes, false);
        reply.array(words.len());
        words.iter().for_each(|word| reply.bulk(word.as_bytes()));
    }
    bytes
}

/// The string at a key, as its expiry is judged at `now_ms`.
fn string_at(shared: &Shared, db: usize, key: &str, now_ms: i64) -> Option<String> {
    let mut txn = Txn::new(&shared.keyspace, now_ms, fastrand::Rng::with_seed(0));
    txn.keep_expired = true;
    txn.acquire(shared.keyspace.all_partitions());
    txn.set_db(db);
    let key = txn.key(key.as_bytes());
    match txn.get(&key) {
        Some(ValueRef::Str(value)) => Some(String::from_utf8_lossy(&value.to_vec()).into_owned()),
        Some(other) => panic!("a {}", other.type_name()),
        None => None,
    }
}

fn apply(shared: &Arc<Shared>, origin: Origin, lines: &[&str]) -> Result<Applier, ApplyError> {
    let mut applier = Applier::new(shared, origin);
    applier.feed(&mut stream(lines)).map(|_| applier)
}

/// What a relay was told: bytes, database, whether the watched key's partition was held.
type Told = Arc<Mutex<Vec<(Vec<u8>, usize, bool)>>>;

struct Recorder {
    shared: Arc<Shared>,
    told: Told,
}

impl Relay for Recorder {
    fn applied(&mut self, bytes: &[u8], db: usize) -> u64 {
        let space = &self.shared.keyspace;
        let mut partitions = redoubt_store::PartitionSet::EMPTY;
        partitions.insert(space.partition_of(redoubt_store::slot_of(b"k")));
        let held = !Txn::new(space, 0, fastrand::Rng::with_seed(0)).try_extend(&partitions);
        let mut told = self.told.lock();
        told.push((bytes.to_vec(), db, held));
        told.iter().map(|(bytes, ..)| bytes.len() as u64).sum()
    }
}

fn relayed(shared: &Arc<Shared>) -> (Applier, Told) {
    let told = Told::default();
    let mut applier = Applier::new(shared, Origin::Primary);
    applier.relay_to(Box::new(Recorder { shared: Arc::clone(shared), told: Arc::clone(&told) }));
    (applier, told)
}

#[test]
fn an_applier_may_go_to_another_thread() {
    fn check<T: Send>() {}
    check::<Applier>();
}

#[test]
fn commands_run_on_the_database_that_is_selected() {
    let shared = shared_with("");
    let applier = apply(&shared, Origin::Loading, &["SET a 1", "SELECT 3", "SET a 3", "INCR a"]);
    assert_eq!(applier.expect("all can run").db(), 3);
    assert_eq!(string_at(&shared, 0, "a", 0).as_deref(), Some("1"));
    assert_eq!(string_at(&shared, 3, "a", 0).as_deref(), Some("4"));
    assert_eq!(shared.stats.commands_processed(), 0);
}

#[test]
fn nobody_asks_whether_a_command_may_run() {
    let shared = shared_with("requirepass secret\nmaxmemory 1\nrename-command SET \"\"\n");
    shared.pause.until_ms.store(i64::MAX, Relaxed);
    let lines = ["SET k v", "MULTI", "APPEND k w", "BLPOP none 0", "EXEC", "BLPOP none 0", "APPEND k x"];
    for origin in [Origin::Loading, Origin::Primary] {
        let applier = apply(&shared, origin, &lines).expect("all can run");
        assert_eq!(applier.faults(), 0);
        assert_eq!(string_at(&shared, 0, "k", 0).as_deref(), Some("vwx"));
    }
}

#[test]
fn no_expiry_is_judged_by_our_clock() {
    let lines = [
        "SET at v PXAT 5",
        "SET later v",
        "PEXPIREAT later 5",
        "APPEND later w",
        "SET ex v",
        "GETEX ex PXAT 5",
        "APPEND ex w",
        "EXPIREAT ex 1",
        "HSET h f v g w",
        "HPEXPIREAT h 5 FIELDS 1 f",
        "HSETEX h PXAT 5 FIELDS 1 f x",
        "HGETEX h PXAT 5 FIELDS 1 f",
    ];
    for origin in [Origin::Loading, Origin::Primary] {
        let shared = shared_with("");
        assert_eq!(apply(&shared, origin, &lines).expect("all can run").faults(), 0);
        assert_eq!(string_at(&shared, 0, "at", 4).as_deref(), Some("v"));
        assert_eq!(string_at(&shared, 0, "at", 5), None);
        assert_eq!(string_at(&shared, 0, "later", 4).as_deref(), Some("vw"));
        assert_eq!(string_at(&shared, 0, "ex", 999).as_deref(), Some("vw"));
        assert_eq!(string_at(&shared, 0, "ex", 1000), None);
        let mut txn = Txn::new(&shared.keyspace, 1000, fastrand::Rng::with_seed(0));
        txn.acquire(shared.keyspace.all_partitions());
        let Some(ValueRef::Hash(hash)) = txn.view(&txn.key(b"h")) else { panic!("the hash is there") };
        assert_eq!((hash.live_len(4), hash.live_len(5)), (2, 1));
        assert_eq!(shared.stats.expired(), 0);
    }
}

#[test]
fn errors_are_reported_and_the_stream_goes_on() {
    let shared = shared_with("");
    let lines = ["SET k v", "LPUSH k x", "MULTI", "LPUSH k x", "APPEND k w", "EXEC", "APPEND k x"];
    let mut applier = apply(&shared, Origin::Primary, &lines).expect("none ends it");
    assert_eq!(applier.faults(), 2);
    let fault = applier.take_fault().expect("the first");
    assert_eq!((fault.command.as_str(), &fault.text[..9]), ("LPUSH k x", "WRONGTYPE"));
    assert_eq!(shared.stats.stream_errors.load(Relaxed), 2);
    assert_eq!(string_at(&shared, 0, "k", 0).as_deref(), Some("vwx"));
    let applier = apply(&shared, Origin::Primary, &["NOSUCH a", "SELECT 99", "SET k z"]);
    assert_eq!(applier.expect("a primary's stream goes on").faults(), 2);
    assert_eq!(string_at(&shared, 0, "k", 0).as_deref(), Some("z"));
}

#[test]
fn a_file_ends_where_a_command_cannot_run() {
    let good = stream(&["SET k v", "LPUSH k x", "MULTI", "APPEND k w", "EXEC"]);
    for bad in ["NOSUCH a", "GET", "SELECT 99", "EXEC", "OBJECT NOSUCH x"] {
        let shared = shared_with("");
        let mut applier = Applier::new(&shared, Origin::Loading);
        let mut bytes = [good.clone(), stream(&[bad, "SET k no"])].concat();
        let error = applier.feed(&mut bytes).expect_err("cannot run");
        assert_eq!(error.offset, good.len() as u64, "{bad}");
        let ApplyErrorKind::Refused(fault) = &error.kind else { panic!("{error}") };
        assert_eq!(fault.command, bad);
        assert_eq!(string_at(&shared, 0, "k", 0).as_deref(), Some("vw"));
    }
}

#[test]
fn what_is_no_request_is_said_to_be_none() {
    for (bad, at) in [("SET k v\r\n", 0), ("*1\r\n$x\r\nPING\r\n", 0), ("\r\n!", 2)] {
        let mut applier = Applier::new(&shared_with(""), Origin::Loading);
        let mut bytes = stream(&["PING", "SET a b"]);
        applier.feed(&mut bytes).expect("good so far");
        let before = applier.position();
        let error = applier.feed(&mut bad.into()).expect_err("no request");
        assert_eq!(error.offset, before + at, "{error}");
    }
}

#[test]
fn the_bytes_are_relayed_under_the_locks_and_transactions_whole() {
    let shared = shared_with("");
    let (mut applier, told) = relayed(&shared);
    let parts = [
        stream(&["SELECT 2"]),
        stream(&["SET k v"]),
        stream(&["MULTI", "SET k w", "SELECT 4", "SET k x", "EXEC"]),
        b"\n".to_vec(),
        stream(&["PING"]),
    ];
    let whole = parts.concat();
    assert_eq!(applier.feed(&mut whole.clone()).expect("all can run"), whole.len());
    let told = told.lock();
    let bytes: Vec<u8> = told.iter().flat_map(|(bytes, ..)| bytes.clone()).collect();
    assert_eq!(bytes, whole);
    let seen: Vec<(usize, bool)> = told.iter().map(|(_, db, held)| (*db, *held)).collect();
    assert_eq!(told[1].0, parts[1]);
    assert_eq!(told[2].0, parts[2]);
    assert_eq!(seen[..3], [(2, false), (2, true), (4, true)]);
    assert_eq!(string_at(&shared, 4, "k", 0).as_deref(), Some("x"));
}

proptest! {
    #[test]
    fn it_does_not_matter_where_a_stream_is_cut(cuts in prop::collection::vec(0usize..300, 0..12)) {
        let lines = ["SET k 1", "MULTI", "INCR k", "LPUSH k x", "EXEC", "SELECT 1", "SET k 5", "INCRBY k 7"];
        let whole = stream(&lines);
        let shared = shared_with("");
        let (mut applier, told) = relayed(&shared);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let (mut buffer, mut consumed) = (Vec::new(), 0);
        for cut in cuts.windows(2) {
            buffer.extend_from_slice(&whole[cut[0]..cut[1]]);
            consumed += applier.feed(&mut buffer).expect("all can run");
            let relayed: usize = told.lock().iter().map(|(bytes, ..)| bytes.len()).sum();
            prop_assert!(relayed == consumed || applier.in_transaction());
            prop_assert!(told.lock().iter().all(|(bytes, ..)| !bytes.ends_with(b"MULTI\r\n")));
        }
        prop_assert_eq!((consumed, applier.position()), (whole.len(), whole.len() as u64));
        prop_assert_eq!(applier.faults(), 1);
        let bytes: Vec<u8> = told.lock().iter().flat_map(|(bytes, ..)| bytes.clone()).collect();
        prop_assert_eq!(bytes, whole);
        prop_assert_eq!(string_at(&shared, 0, "k", 0), Some("2".to_owned()));
        prop_assert_eq!(string_at(&shared, 1, "k", 0), Some("12".to_owned()));
    }
}
