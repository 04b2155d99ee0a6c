//! Changes to lists, hashes, sets and sorted sets on both sides.

use crate::input::Input;
use crate::model::{Model, Plain, plain};
use redoubt_store::{EncodingLimits, List, SortedSet, Txn, Value, ValueMut, ValueRef};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Members that a bulk operation adds or removes at most: several times what a table holds before it moves its members
/// a few at a time.
const BULK_MAX: u16 = 4000;

/// Makes sure that key holds a collection of the type that the input chooses; true if so.
fn make(txn: &mut Txn<'_>, model: &mut Model, name: &[u8], kind: u8) -> bool {
    if model.get(name).is_some() {
        return !matches!(model.get(name), Some(Plain::Str(_)));
    }
    let (plain, new) = match kind % 4 {
        0 => (Plain::List(Default::default()), Value::List(Default::default())),
        1 => (Plain::Hash(Default::default()), Value::Hash(Default::default())),
        2 => (Plain::Set(Default::default()), Value::Set(Default::default())),
        _ => (Plain::SortedSet(Default::default()), Value::SortedSet(Default::default())),
    };
    txn.insert(&txn.key(name), new, None);
    model.keys.insert((model.db, name.to_vec()), (plain, None));
    true
}

/// One change to a collection.
pub fn change(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let name = input.key();
    if !make(txn, model, &name, input.byte()) {
        return;
    }
    let (limits, key) = (model.limits, txn.key(&name));
    let expected = model.get(&name).expect("made above");
    match (txn.get_mut(&key).expect("made above"), &mut *expected) {
        (ValueMut::List(list), Plain::List(plain)) => change_list(list, plain, &limits, input),
        (ValueMut::Hash(hash), Plain::Hash(plain)) => {
            let (field, text) = (input.text(), input.text());
            if input.byte() % 3 == 0 {
                assert_eq!(hash.remove(&field), plain.remove(&field).is_some());
            } else {
                assert_eq!(hash.insert(&field, &text, &limits), plain.insert(field.clone(), text).is_none());
            }
            assert_eq!(hash.get(&field, 0).map(|value| value.to_vec()), plain.get(&field).cloned());
        }
        (ValueMut::Set(set), Plain::Set(plain)) => {
            let member = input.text();
            if input.byte() % 3 == 0 {
                assert_eq!(set.remove(&member), plain.remove(&member));
            } else {
                assert_eq!(set.insert(&member, &limits), plain.insert(member.clone()));
            }
            assert_eq!(set.contains(&member), plain.contains(&member));
            if input.byte() % 8 == 0 {
                set.compact_ints(&limits);
            }
        }
        (ValueMut::SortedSet(set), Plain::SortedSet(plain)) => {
            change_sorted_set(set, plain, &limits, input);
        }
        _ => panic!("a key holds another type than the model's"),
    }
    if input.byte() % 8 == 0 {
        let stored = txn.view(&key).expect("made above");
        assert!(plain(stored) == *expected, "{stored:?} is not {expected:?}");
    }
    let empty = match expected {
        Plain::Str(_) => false,
        Plain::List(list) => list.is_empty(),
        Plain::Hash(hash) => hash.is_empty(),
        Plain::Set(set) => set.is_empty(),
        Plain::SortedSet(set) => set.is_empty(),
    };
    assert_eq!(txn.remove_if_empty(&key), empty);
    if empty {
        model.keys.remove(&(model.db, name));
    }
}

fn change_list(
    list: &mut List,
    plain: &mut VecDeque<Vec<u8>>,
    limits: &EncodingLimits,
    input: &mut Input<'_>,
) {
    let (how, at, text) = (input.byte(), usize::from(input.byte()), input.text());
    match how % 9 {
        0 | 1 => {
            list.push_back(&text, limits);
            plain.push_back(text);
        }
        2 => {
            list.push_front(&text, limits);
            plain.push_front(text);
        }
        3 => {
            let at = at.min(plain.len());
            list.insert(at, &text, limits);
            plain.insert(at, text);
        }
        4 => {
            let there = at < plain.len();
            assert_eq!(list.set(at as i64, &text, limits), there);
            if there {
                plain[at] = text;
            }
        }
        5 => {
            let (from, count) = (at.min(plain.len()), usize::from(how / 9));
            list.remove(from, count, limits);
            plain.drain(from..(from + count).min(plain.len()));
        }
        6 => {
            list.rotate(how >= 128, limits);
            if !plain.is_empty() {
                if how >= 128 { plain.rotate_left(1) } else { plain.rotate_right(1) }
            }
        }
        7 => {
            let before = plain.len();
            plain.retain(|element| *element != text);
            assert_eq!(list.remove_equal(&text, 0, limits), before - plain.len());
        }
        _ => {
            list.trim(at, usize::from(how), limits);
            *plain = plain.iter().skip(at).take(usize::from(how)).cloned().collect();
        }
    }
    assert_eq!(list.len(), plain.len());
    assert_eq!(list.get(at as i64).map(|element| element.to_vec()), plain.get(at).cloned());
    let back = list.get(-1).map(|element| element.to_vec());
    assert_eq!(back, plain.back().cloned());
}

fn change_sorted_set(
    set: &mut SortedSet,
    plain: &mut BTreeMap<Vec<u8>, f64>,
    limits: &EncodingLimits,
    input: &mut Input<'_>,
) {
    let (member, score) = (input.text(), input.score());
    match input.byte() % 8 {
        0 | 1 => assert_eq!(set.remove(&member), plain.remove(&member)),
        2 => {
            let popped = set.pop(score > 0.0);
            let order = |a: &(&Vec<u8>, &f64), b: &(&Vec<u8>, &f64)| a.1.total_cmp(b.1).then(a.0.cmp(b.0));
            // Zeros of both signs are one score.
            let order = |a: &(&Vec<u8>, &f64), b: &(&Vec<u8>, &f64)| {
                if a.1 == b.1 { a.0.cmp(b.0) } else { order(a, b) }
            };
            let chosen = if score > 0.0 { plain.iter().max_by(order) } else { plain.iter().min_by(order) };
            let chosen = chosen.map(|(member, score)| (member.clone(), *score));
            assert_eq!(popped, chosen);
            popped.map(|(member, _)| plain.remove(&member));
        }
        3 => {
            let (from, count) = (usize::from(input.byte()), usize::from(input.byte()));
            let gone: Vec<Vec<u8>> =
                set.range(from..from + count, false).map(|(member, _)| member.to_vec()).collect();
            assert_eq!(set.remove_ranks(from..from + count), gone.len());
            gone.iter().for_each(|member| {
                plain.remove(member);
            });
        }
        _ => assert_eq!(set.insert(&member, score, limits), plain.insert(member.clone(), score)),
    }
    assert_eq!(set.len(), plain.len());
    assert_eq!(set.score(&member), plain.get(&member).copied());
    let rank = plain.get(&member).map(|score| {
        plain.iter().filter(|(other, of)| *of < score || (*of == score && **other < member)).count()
    });
    assert_eq!(set.rank(&member).map(|(rank, _)| rank), rank);
}

/// Many members at once: tables and trees of members grow and shrink, and are walked on the way.
pub fn bulk(txn: &mut Txn<'_>, model: &mut Model, input: &mut Input<'_>) {
    let name = input.key();
    let kind = input.byte();
    if !make(txn, model, &name, kind) {
        return;
    }
    let limits = model.limits;
    let (from, count, adds) = (input.short() % BULK_MAX, input.short() % BULK_MAX, kind < 160);
    let key = txn.key(&name);
    let expected = model.get(&name).expect("made above");
    for number in from..(from + count).min(BULK_MAX) {
        let member = format!("m{number}").into_bytes();
        let score = f64::from(number % 50);
        match (txn.get_mut(&key).expect("made above"), &mut *expected) {
            (ValueMut::Hash(hash), Plain::Hash(plain)) if adds => {
                assert_eq!(
                    hash.insert(&member, b"1", &limits),
                    plain.insert(member, b"1".to_vec()).is_none()
                );
            }
            (ValueMut::Hash(hash), Plain::Hash(plain)) => {
                assert_eq!(hash.remove(&member), plain.remove(&member).is_some());
            }
            (ValueMut::Set(set), Plain::Set(plain)) if adds => {
                assert_eq!(set.insert(&member, &limits), plain.insert(member));
            }
            (ValueMut::Set(set), Plain::Set(plain)) => assert_eq!(set.remove(&member), plain.remove(&member)),
            (ValueMut::SortedSet(set), Plain::SortedSet(plain)) if adds => {
                assert_eq!(set.insert(&member, score, &limits), plain.insert(member, score));
            }
            (ValueMut::SortedSet(set), Plain::SortedSet(plain)) => {
                assert_eq!(set.remove(&member), plain.remove(&member));
            }
            (ValueMut::List(list), Plain::List(plain)) if adds => {
                list.push_back(&member, &limits);
                plain.push_back(member);
            }
            (ValueMut::List(list), Plain::List(plain)) => {
                list.remove_front(1, &limits);
                plain.pop_front();
            }
            _ => panic!("a key holds another type than the model's"),
        }
    }
    let stored = txn.view(&key).expect("made above");
    assert!(plain(stored) == *expected, "{stored:?} is not {expected:?}");
    walk(stored, expected);
    if txn.remove_if_empty(&key) {
        model.keys.remove(&(model.db, name));
    }
}

/// The scan of a collection sees all of it.
fn walk(stored: ValueRef<'_>, expected: &Plain) {
    let (mut cursor, mut seen) = (0, BTreeSet::new());
    loop {
        cursor = match stored {
            ValueRef::Hash(hash) => hash.scan(cursor, 0, |field, _| {
                seen.insert(field.to_vec());
            }),
            ValueRef::Set(set) => set.scan(cursor, 10, |member| {
                seen.insert(member.to_vec());
            }),
            ValueRef::SortedSet(set) => set.scan(cursor, 10, |member, _| {
                seen.insert(member.to_vec());
            }),
            _ => return,
        };
        if cursor == 0 {
            break;
        }
    }
    let complete = match expected {
        Plain::Hash(hash) => hash.keys().all(|field| seen.contains(field)),
        Plain::Set(set) => set.iter().all(|member| seen.contains(member)),
        Plain::SortedSet(set) => set.keys().all(|member| seen.contains(member)),
        _ => true,
    };
    assert!(complete, "a scan of a collection missed a member");
}
