//! Tests of the register of hashes whose fields expire.

use crate::{EncodingLimits, Hash, Keyspace, Txn, Value};

/// A hash of fields "0", "1"... that expire at these times, 0 meaning never.
fn hash(times: &[i64]) -> Value {
    let mut hash = Hash::new();
    for (number, &at) in times.iter().enumerate() {
        let field = number.to_string();
        hash.insert(field.as_bytes(), b"v", &EncodingLimits::default());
        hash.set_expiry(field.as_bytes(), Some(at).filter(|at| *at > 0));
    }
    Value::Hash(hash)
}

fn open(space: &Keyspace, now_ms: i64) -> Txn<'_> {
    let mut txn = Txn::new(space, now_ms, fastrand::Rng::with_seed(1));
    txn.acquire(space.all_partitions());
    txn.effects.enable(true);
    txn
}

fn put(txn: &mut Txn<'_>, key: &str, times: &[i64]) {
    txn.insert(&txn.key(key.as_bytes()), hash(times), None);
}

/// Expires everything that is due; the number of fields and keys that went.
fn expire(txn: &mut Txn<'_>) -> usize {
    (0..txn.keyspace().partitions()).map(|partition| txn.expire_partition(partition, usize::MAX).0).sum()
}

fn effects(txn: &Txn<'_>) -> Vec<String> {
    let words = txn.effects.iter().map(|(_, words)| words.join(&b' '));
    words.map(|words| String::from_utf8(words).unwrap()).collect()
}

#[test]
fn due_fields_go_without_access_and_the_key_with_the_last() {
    let space = Keyspace::new(2, 4, 7);
    space.set_events(u32::MAX);
    let mut txn = open(&space, 100);
    put(&mut txn, "part", &[150, 0, 400]);
    put(&mut txn, "whole", &[150, 160]);
    put(&mut txn, "none", &[0]);
    assert_eq!((txn.expiring_hashes(0), expire(&mut txn)), (2, 0));

    txn.events.clear();
    txn.set_now_ms(200);
    assert_eq!(expire(&mut txn), 3);
    assert!(!txn.contains(&txn.key(b"whole")) && txn.contains(&txn.key(b"part")));
    assert_eq!(txn.expiring_hashes(0), 1);
    let mut done = effects(&txn);
    done.sort();
    assert_eq!(done, ["HDEL part 0", "HDEL whole 0 1"]);
    let mut events: Vec<_> = txn.events.drain(..).map(|event| event.name).collect();
    events.sort_unstable();
    assert_eq!(events, ["del", "hexpired", "hexpired"]);

    txn.set_now_ms(500);
    assert_eq!((expire(&mut txn), txn.expiring_hashes(0), txn.len(0)), (1, 0, 2));
    assert_eq!(txn.counters.expired_fields, 4);
}

#[test]
fn the_register_follows_keys_wherever_they_go() {
    let space = Keyspace::new(2, 4, 7);
    let mut txn = open(&space, 100);
    put(&mut txn, "deleted", &[200]);
    put(&mut txn, "replaced", &[200]);
    put(&mut txn, "renamed", &[200]);
    put(&mut txn, "copied", &[200]);
    assert_eq!(txn.expiring_hashes(0), 4);
    txn.remove(&txn.key(b"deleted"));
    txn.set_string(&txn.key(b"replaced"), b"text", crate::Expiry::Clear);
    assert_eq!(txn.expiring_hashes(0), 2);
    let (value, _) = txn.take(&txn.key(b"renamed")).unwrap();
    assert_eq!(txn.expiring_hashes(0), 1);
    txn.insert(&txn.key(b"new name"), value, None);
    let (copy, _) = txn.copy_of(&txn.key(b"copied")).unwrap();
    txn.insert(&txn.key(b"copy"), copy, Some(10_000));
    txn.set_expire(&txn.key(b"copied"), Some(10_000));
    assert_eq!(txn.expiring_hashes(0), 3);
    txn.swap_databases(0, 1);
    assert_eq!((txn.expiring_hashes(0), txn.expiring_hashes(1)), (0, 3));
    txn.set_now_ms(200);
    assert_eq!((expire(&mut txn), txn.len(1), txn.expiring_hashes(1)), (3, 1, 0));
    put(&mut txn, "flushed", &[300]);
    txn.flush(0);
    assert_eq!((txn.expiring_hashes(0), expire(&mut txn)), (0, 0));
}

#[test]
fn slices_are_bounded_and_early_times_are_corrected() {
    let space = Keyspace::new(1, 1, 7);
    let mut txn = open(&space, 100);
    put(&mut txn, "many", &[150; 100]);
    let key = txn.key(b"later");
    put(&mut txn, "later", &[150, 0]);
    if let Some(crate::ValueMut::Hash(hash)) = txn.get_mut(&key) {
        hash.set_expiry(b"0", Some(900));
    }
    txn.fields_expire(&key);
    txn.set_now_ms(200);
    assert_eq!(txn.expire_partition(0, 30), (30, true));
    assert_eq!(txn.expire_partition(0, 70), (70, true));
    assert_eq!(txn.expire_partition(0, 70), (0, false));
    assert_eq!((txn.len(0), txn.expiring_hashes(0)), (1, 1));
    txn.set_now_ms(900);
    assert_eq!((txn.expire_partition(0, 70), txn.expiring_hashes(0)), ((1, false), 0));
    assert_eq!(txn.len(0), 1);
}
