//! Tests of `Hash`: encodings at the limits, memory, and random operations against a `BTreeMap`.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The time, where nothing expires.
const NOW: i64 = 1_000;

fn content(hash: &Hash) -> BTreeMap<Vec<u8>, Vec<u8>> {
    hash.iter(NOW).map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
}

#[test]
fn the_handle_is_small() {
    assert!(size_of::<Hash>() <= 16);
}

#[test]
fn limits_of_count_and_length_convert_for_good() {
    let limits = EncodingLimits { hash_listpack_entries: 2, hash_listpack_value: 4, ..Default::default() };
    let mut hash = Hash::new();
    hash.insert(b"a", b"1234", &limits);
    hash.insert(b"b", b"2", &limits);
    hash.insert(b"b", b"3", &limits);
    assert_eq!(hash.encoding(), "listpack");
    hash.insert(b"c", b"3", &limits);
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 3));
    assert!(hash.remove(b"c") && hash.remove(b"b"));
    assert_eq!(hash.encoding(), "hashtable");

    let mut hash = Hash::new();
    hash.insert(b"a", b"12345", &limits);
    assert_eq!(hash.encoding(), "hashtable");
    let mut hash = Hash::new();
    hash.reserve(3, &limits);
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 0));
}

#[test]
fn fields_keep_their_order_while_packed() {
    let limits = EncodingLimits::default();
    let mut hash = Hash::new();
    for field in ["z", "a", "10", "m"] {
        hash.insert(field.as_bytes(), b"1", &limits);
    }
    hash.insert(b"a", b"2", &limits);
    let fields: Vec<_> = hash.iter(NOW).map(|(field, _)| field.to_vec()).collect();
    assert_eq!(fields, [&b"z"[..], b"a", b"10", b"m"]);
}

#[test]
fn long_fields_and_values_read_back_from_a_table() {
    let limits = EncodingLimits::default();
    let mut hash = Hash::new();
    for len in [0, 1, 127, 128, 20_000] {
        let field = vec![b'f'; len];
        assert!(hash.insert(&field, &vec![b'v'; len * 2 + 65], &limits));
        assert!(!hash.insert(&field, &vec![b'w'; len], &limits));
        assert!(!hash.insert(&field, &vec![b'u'; len], &limits));
        assert!(hash.get(&field, NOW).is_some_and(|value| value == *vec![b'u'; len]));
    }
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 5));
}

#[test]
fn a_large_hash_takes_less_than_81_bytes_a_field() {
    let limits = EncodingLimits::default();
    let mut hash = Hash::new();
    for number in 0..100_000 {
        let text = format!("element:{number:05}");
        hash.insert(text.as_bytes(), text.as_bytes(), &limits);
    }
    // The worst moment: the table has just doubled, and the old buckets are not given back yet.
    let each = hash.mem_usage() as f64 / 100_000.0;
    assert!(each < 70.0, "{each} bytes");
}

proptest! {
    #[test]
    fn behaves_like_a_map(
        entries in 0usize..40,
        ops in proptest::collection::vec((0u32..4, 0u32..60, "[0-9a-b]{0,12}"), 0..300),
    ) {
        let limits = EncodingLimits { hash_listpack_entries: entries, ..Default::default() };
        let mut hash = Hash::new();
        let mut model = BTreeMap::new();
        for (kind, field, value) in ops {
            let field = field.to_string().into_bytes();
            if kind == 0 {
                prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some());
            } else {
                let value = value.into_bytes();
                prop_assert_eq!(hash.insert(&field, &value, &limits), model.insert(field, value).is_none());
            }
            prop_assert_eq!(hash.len(), model.len());
        }
        prop_assert_eq!(content(&hash), model.clone());
        let mut visited = Vec::new();
        hash.visit(NOW, |field, value| visited.push((field.to_vec(), value.to_vec())));
        let listed: Vec<_> = hash.iter(NOW).map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
        prop_assert_eq!(visited, listed);
        prop_assert_eq!(content(&hash.clone()), model.clone());
        for (field, value) in &model {
            prop_assert!(hash.contains(field, NOW) && hash.get(field, NOW).is_some_and(|v| v == **value));
        }
        let mut scanned = BTreeMap::new();
        let mut cursor = 0;
        loop {
            cursor = hash.scan(cursor, NOW, |field, value| { scanned.insert(field.to_vec(), value.to_vec()); });
            if cursor == 0 {
                break;
            }
        }
        prop_assert_eq!(scanned, model.clone());
        let mut rng = fastrand::Rng::with_seed(1);
        let chosen = hash.random(&mut rng).map(|(field, value)| (field.to_vec(), value.to_vec()));
        prop_assert_eq!(chosen.is_none(), model.is_empty());
        prop_assert!(chosen.is_none_or(|(field, value)| model.get(&field) == Some(&value)));
    }
}

/// Fields with value and expiry, and the order of a listpackex.
#[derive(Default)]
struct TimedModel(Vec<(Vec<u8>, Vec<u8>, Option<i64>)>);

impl TimedModel {
    fn position(&self, field: &[u8]) -> Option<usize> {
        self.0.iter().position(|(other, _, _)| other == field)
    }

    fn add(&mut self, field: &[u8], value: Vec<u8>, at: Option<i64>) {
        let rank = |at: Option<i64>| at.unwrap_or(i64::MAX);
        let before = self.0.iter().position(|(_, _, other)| at.is_some() && rank(*other) >= rank(at));
        self.0.insert(before.unwrap_or(self.0.len()), (field.to_vec(), value, at));
    }

    fn set(&mut self, field: &[u8], value: Vec<u8>, keep: bool) -> bool {
        match self.position(field) {
            Some(at) if keep || self.0[at].2.is_none() => self.0[at].1 = value,
            Some(at) => {
                self.0.remove(at);
                self.add(field, value, None);
            }
            None => {
                self.add(field, value, None);
                return true;
            }
        }
        false
    }

    fn expire(&mut self, field: &[u8], expiry: Option<i64>) -> bool {
        let Some(at) = self.position(field) else { return false };
        let (field, value, _) = self.0.remove(at);
        self.add(&field, value, expiry);
        true
    }

    fn pop_due(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|(_, _, at)| at.is_some_and(|at| at <= now_ms))?;
        Some(self.0.remove(at).0)
    }
}

fn timed(hash: &Hash) -> Vec<(Vec<u8>, Vec<u8>, Option<i64>)> {
    hash.timed_fields().map(|(field, value, at)| (field.to_vec(), value.to_vec(), at)).collect()
}

proptest! {
    #[test]
    fn expiries_behave_like_a_list_in_order_of_time(
        entries in 0usize..30,
        ops in proptest::collection::vec((0u32..9, 0u32..20, "[0-9a-b]{0,12}", 1i64..50), 0..200),
    ) {
        let limits = EncodingLimits { hash_listpack_entries: entries, ..Default::default() };
        let mut hash = Hash::new();
        hash.make_timed();
        let mut model = TimedModel::default();
        for (kind, field, value, at) in ops {
            let field = field.to_string().into_bytes();
            let value = value.into_bytes();
            match kind {
                0 => {
                    let there = model.position(&field).map(|at| model.0.remove(at)).is_some();
                    prop_assert_eq!(hash.remove(&field), there);
                }
                1 => prop_assert_eq!(hash.set_expiry(&field, None), model.expire(&field, None)),
                2 | 3 => prop_assert_eq!(hash.set_expiry(&field, Some(at)), model.expire(&field, Some(at))),
                8 => {
                    let allowed = |before: Option<i64>| before.is_none_or(|before| before > at);
                    let there = model.position(&field).map(|position| allowed(model.0[position].2));
                    prop_assert_eq!(hash.change_expiry(&field, at, value.is_empty(), allowed), there);
                    match there {
                        Some(true) if value.is_empty() => drop(model.position(&field).map(|p| model.0.remove(p))),
                        Some(true) => drop(model.expire(&field, Some(at))),
                        _ => {}
                    }
                }
                4 => prop_assert_eq!(
                    hash.insert_keeping(&field, &value, &limits),
                    model.set(&field, value, true)
                ),
                5 => {
                    let due = model.position(&field).filter(|&p| model.0[p].2.is_some_and(|other| other <= at));
                    prop_assert_eq!(hash.remove_due(&field, at), due.is_some());
                    due.map(|at| model.0.remove(at));
                }
                _ => prop_assert_eq!(hash.insert(&field, &value, &limits), model.set(&field, value, false)),
            }
            prop_assert_eq!(hash.len(), model.0.len());
            let soonest = model.0.iter().filter_map(|(_, _, at)| *at).min();
            prop_assert_eq!(hash.next_expiry(), soonest);
            let live = model.0.iter().filter(|(_, _, other)| other.is_none_or(|other| other > at)).count();
            prop_assert_eq!((hash.live_len(at), hash.iter(at).count()), (live, live));
            let mut visited = 0;
            hash.visit(at, |_, _| visited += 1);
            prop_assert_eq!(visited, live);
            prop_assert_eq!(hash.has_due(at), soonest.is_some_and(|soonest| soonest <= at));
        }
        let mut left = timed(&hash);
        let mut expected = model.0.clone();
        if !hash.is_compact() {
            left.sort();
            expected.sort();
        }
        prop_assert_eq!(left, expected);
        for (field, value, at) in &model.0 {
            prop_assert_eq!(hash.expiry_of(field), Some(*at));
            prop_assert!(hash.get(field, 0).is_some_and(|other| other == **value));
            prop_assert_eq!(hash.contains(field, 25), at.is_none_or(|at| at > 25));
        }
        let mut copy = hash.clone();
        let mut popped: Vec<_> = std::iter::from_fn(|| copy.pop_due(25)).collect();
        let mut due: Vec<_> = std::iter::from_fn(|| model.pop_due(25)).collect();
        popped.sort();
        due.sort();
        prop_assert_eq!(popped, due);
        prop_assert_eq!(copy.len(), model.0.len());
    }
}

#[test]
fn expiries_change_the_encoding_for_good() {
    let limits = EncodingLimits { hash_listpack_entries: 2, ..Default::default() };
    let mut hash = Hash::new();
    hash.insert(b"a", b"1", &limits);
    assert!(hash.set_expiry(b"a", None) && hash.encoding() == "listpack");
    assert!(hash.set_expiry(b"a", Some(5)) && hash.encoding() == "listpackex");
    assert!(hash.set_expiry(b"a", None) && hash.encoding() == "listpackex");
    assert!(!hash.set_expiry(b"b", Some(5)));
    hash.insert(b"b", b"2", &limits);
    hash.set_expiry(b"b", Some(7));
    hash.insert(b"c", b"3", &limits);
    assert_eq!((hash.encoding(), hash.expiry_of(b"b")), ("hashtable", Some(Some(7))));
    assert_eq!((hash.pop_due(6), hash.pop_due(7), hash.pop_due(7)), (None, Some(b"b".to_vec()), None));
    assert_eq!((hash.len(), hash.next_expiry()), (2, None));
}

#[test]
fn a_table_with_expiries_takes_little_more_than_one_without() {
    let limits = EncodingLimits::default();
    let mut hash = Hash::new();
    let name = |number: u32| format!("element:{number:05}").into_bytes();
    (0..100_000).for_each(|number| assert!(hash.insert(&name(number), &name(number), &limits)));
    let plain = hash.mem_usage();
    hash.make_timed();
    assert!(hash.mem_usage() < plain + 200);
    (0..100_000).for_each(|number| assert!(hash.set_expiry(&name(number), Some(i64::from(number)))));
    let each = (hash.mem_usage() - plain) as f64 / 100_000.0;
    assert!(each < 60.0, "{each} bytes for an expiry");
}
