//! Tests of `Hash`: encodings at the limits, memory, and random operations against a `BTreeMap`.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn content(hash: &Hash) -> BTreeMap<Vec<u8>, Vec<u8>> {
    hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
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
    let fields: Vec<_> = hash.iter().map(|(field, _)| field.to_vec()).collect();
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
        assert!(hash.get(&field).is_some_and(|value| value == *vec![b'u'; len]));
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
        prop_assert_eq!(content(&hash.clone()), model.clone());
        for (field, value) in &model {
            prop_assert!(hash.contains(field) && hash.get(field).is_some_and(|v| v == **value));
        }
        let mut scanned = BTreeMap::new();
        let mut cursor = 0;
        loop {
            cursor = hash.scan(cursor, |field, value| { scanned.insert(field.to_vec(), value.to_vec()); });
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
