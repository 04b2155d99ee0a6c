//! One operation on both sides, and a comparison of what it answered.

use crate::collections;
use crate::input::Input;
use crate::model::{Model, Plain, has_text};
use redoubt_store::{Expiry, Keyspace, Txn, ValueMut};
use std::collections::BTreeSet;

/// Runs the operation that the input describes.
pub fn run(space: &Keyspace, model: &mut Model, input: &mut Input<'_>) {
    model.turn += 1;
    let mut txn = Txn::new(space, model.now_ms, fastrand::Rng::with_seed(model.turn));
    txn.set_db(model.db);
    txn.acquire(space.all_partitions());
    txn.effects.enable(true);
    match input.byte() % 32 {
        0 => {
            drop(txn);
            model.now_ms += i64::from(input.byte());
        }
        1 => model.db = usize::from(input.byte()) % 2,
        2 | 3 => set_string(&mut txn, model, input),
        4 => change_string(&mut txn, model, input),
        5 => remove(&mut txn, model, input),
        6 => rename(&mut txn, model, input),
        7 => copy(&mut txn, model, input),
        8 => set_expire(&mut txn, model, input),
        9 => whole(&mut txn, model, input),
        10 => scan(&mut txn, model, input),
        11 => keys_in_bulk(&mut txn, model, input),
        12 => prefetch(space, model, input),
        13 => {
            drop(txn);
            model.compare(space);
        }
        14..=25 => collections::change(&mut txn, model, input),
        _ => collections::bulk(&mut txn, model, input),
    }
}

fn set_string(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let (name, text) = (input.key(), input.text());
    let expiry = match input.byte() % 4 {
        0 => Expiry::At(model.now_ms + 1 + i64::from(input.byte())),
        1 => Expiry::Keep,
        _ => Expiry::Clear,
    };
    model.expire();
    let before = model.keys.get(&(model.db, name.clone())).and_then(|(_, expires)| *expires);
    let expires = match expiry {
        Expiry::At(at) => Some(at),
        Expiry::Keep => before,
        Expiry::Clear => None,
    };
    txn.set_string(&txn.key(&name), &text, expiry);
    model.keys.insert((model.db, name), (Plain::Str(text), expires));
}

fn change_string(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let (name, text, how) = (input.key(), input.text(), input.byte());
    let key = txn.key(&name);
    let plain = model.get(&name);
    let stored = txn.get_mut(&key).and_then(ValueMut::into_str);
    let Some(Plain::Str(expected)) = plain else {
        assert!(stored.is_none(), "a string where the model has none");
        return;
    };
    let mut stored = stored.expect("the model has a string");
    assert!(has_text(stored.get(), expected));
    match how % 3 {
        0 => {
            stored.make_raw().extend_from_slice(&text);
            expected.extend_from_slice(&text);
        }
        1 => {
            stored.set_int(i64::from(how));
            *expected = how.to_string().into_bytes();
        }
        _ => {
            stored.set_bytes(&text);
            expected.clone_from(&text);
        }
    }
    assert!(has_text(stored.get(), expected));
}

fn remove(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let name = input.key();
    let key = txn.key(&name);
    let there = model.get(&name).is_some();
    let removed = if input.byte() % 2 == 0 { txn.remove(&key) } else { txn.unlink_key(&key) };
    assert_eq!(removed, there);
    model.keys.remove(&(model.db, name));
}

fn rename(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let (from, to) = (input.key(), input.key());
    model.expire();
    let taken = txn.take(&txn.key(&from));
    let expected = model.keys.remove(&(model.db, from));
    assert_eq!(taken.is_some(), expected.is_some());
    if let (Some((value, expires)), Some((plain, expected))) = (taken, expected) {
        assert_eq!(expires, expected);
        txn.insert(&txn.key(&to), value, expires);
        model.keys.insert((model.db, to), (plain, expires));
    }
}

fn copy(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let (from, to) = (input.key(), input.key());
    model.expire();
    let copied = txn.copy_of(&txn.key(&from));
    let expected = model.keys.get(&(model.db, from)).cloned();
    assert_eq!(copied.is_some(), expected.is_some());
    if let (Some((value, expires)), Some(expected)) = (copied, expected) {
        assert_eq!(expires, expected.1);
        txn.insert(&txn.key(&to), value, expires);
        model.keys.insert((model.db, to), expected);
    }
}

fn set_expire(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let name = input.key();
    let expires = (input.byte() % 3 != 0).then(|| model.now_ms + 1 + i64::from(input.short()));
    model.expire();
    let entry = model.keys.get_mut(&(model.db, name.clone()));
    assert_eq!(txn.set_expire(&txn.key(&name), expires), entry.is_some());
    if let Some((_, at)) = entry {
        *at = expires;
    }
}

/// What is done to whole databases.
fn whole(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    match input.byte() % 8 {
        0 => {
            let db = usize::from(input.byte()) % 2;
            txn.flush(db);
            model.keys.retain(|(of, _), _| *of != db);
        }
        1 => {
            txn.swap_databases(0, 1);
            let keys = std::mem::take(&mut model.keys);
            model.keys = keys.into_iter().map(|((db, key), value)| ((1 - db, key), value)).collect();
        }
        2 | 3 => {
            (0..4).for_each(|partition| {
                txn.expire_partition(partition, usize::MAX);
            });
            model.expire();
            for db in 0..2 {
                let keys = model.keys.iter().filter(|((of, _), _)| *of == db);
                assert_eq!(txn.len(db), keys.clone().count());
                assert_eq!(txn.expires(db), keys.filter(|(_, (_, expires))| expires.is_some()).count());
            }
        }
        _ => {
            model.expire();
            let found = txn.random_key();
            let some = model.keys.keys().any(|(db, _)| *db == model.db);
            assert!(found.is_none() || model.keys.contains_key(&(model.db, found.unwrap().into_vec())));
            assert!(some || txn.random_key().is_none());
        }
    }
}

/// A whole SCAN, with keys added and removed between its steps: what is there throughout is seen.
fn scan(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    model.expire();
    let db = model.db;
    let all = model.keys.keys().filter(|(of, _)| *of == db).map(|(_, key)| key.clone());
    let mut must: BTreeSet<Vec<u8>> = all.collect();
    let (mut cursor, mut seen) = (0, BTreeSet::new());
    loop {
        cursor = txn.scan(cursor, 10, |key, _| {
            seen.insert(key.to_vec());
        });
        if cursor == 0 {
            break;
        }
        if !input.is_empty() {
            let name = input.key();
            if input.byte() % 2 == 0 {
                txn.remove(&txn.key(&name));
                model.keys.remove(&(db, name.clone()));
                must.remove(&name);
            } else {
                txn.set_string(&txn.key(&name), b"new", Expiry::Clear);
                model.keys.insert((db, name), (Plain::Str(b"new".to_vec()), None));
            }
        }
    }
    assert!(must.is_subset(&seen), "SCAN missed a key");
}

/// Many keys of one slot, so that its table grows or shrinks.
fn keys_in_bulk(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let (from, count, adds) = (input.short() % 2048, input.short() % 1024, input.byte() % 2 == 0);
    for number in from..from.saturating_add(count).min(2048) {
        let name = format!("{{x}}{number}").into_bytes();
        if adds {
            txn.set_string(&txn.key(&name), &name, Expiry::Clear);
            model.keys.insert((model.db, name.clone()), (Plain::Str(name), None));
        } else {
            txn.remove(&txn.key(&name));
            model.keys.remove(&(model.db, name));
        }
    }
}

/// Looks ahead without the lock, as a worker does.
fn prefetch(space: &Keyspace, model: &Model, input: &mut Input<'_>) {
    let name = input.key();
    let key = space.key(&name);
    let ahead = space.lookahead(model.db);
    ahead.slot(&key);
    ahead.bucket(&key);
    ahead.entry(&key);
}
