//! Conversions between encodings as commands cause them, and random fields of large hashes.

use crate::testing::Bench;
use std::collections::BTreeSet;

const LISTPACK: &str = "$8|listpack|";
const HASHTABLE: &str = "$9|hashtable|";

#[test]
fn encodings_change_where_redis_changes_them() {
    let mut bench = Bench::new();
    bench.settings.encoding.hash_listpack_entries = 3;
    bench.settings.encoding.hash_listpack_value = 5;
    bench.check(&[
        ("HSET h a 1 b 2 c 3", ":3|"),
        ("HSET h c 4", ":0|"),
        ("OBJECT ENCODING h", LISTPACK),
        ("HSET h d 4", ":1|"),
        ("OBJECT ENCODING h", HASHTABLE),
        ("HDEL h d c b", ":3|"),
        ("OBJECT ENCODING h", HASHTABLE),
        ("HSET v a 12345", ":1|"),
        ("OBJECT ENCODING v", LISTPACK),
        ("HSET v a 123456", ":0|"),
        ("OBJECT ENCODING v", HASHTABLE),
        ("HGET v a", "$6|123456|"),
        ("HSETNX n longfield 1", ":1|"),
        ("OBJECT ENCODING n", HASHTABLE),
        ("HINCRBY i longfield 1", ":1|"),
        ("HINCRBY i longfield 41", ":42|"),
        ("OBJECT ENCODING i", HASHTABLE),
        ("HSET many a 1 a 1 a 1 a 1", ":1|"),
        ("OBJECT ENCODING many", HASHTABLE),
        ("HLEN many", ":1|"),
    ]);
}

#[test]
fn random_fields_of_a_table_differ_when_asked_to() {
    let bench = Bench::new();
    for number in 0..1000 {
        bench.run(&format!("HSET h field{number} {number}"));
    }
    for count in [1, 10, 300, 400, 999, 1000, 5000] {
        let reply = bench.run(&format!("HRANDFIELD h {count}"));
        let fields: BTreeSet<&str> = reply.split('|').filter(|word| word.starts_with("field")).collect();
        assert_eq!(fields.len(), count.min(1000));
    }
    assert!(bench.run("HRANDFIELD h -2000").starts_with("*2000|"));
    assert!(bench.run("HRANDFIELD h 7 WITHVALUES").starts_with("*14|"));
}

#[test]
fn hscan_visits_all_of_a_table_in_parts() {
    let bench = Bench::new();
    for number in 0..1000 {
        bench.run(&format!("HSET h field{number} {number}"));
    }
    let (mut cursor, mut seen, mut calls) = ("0".to_string(), BTreeSet::new(), 0);
    loop {
        let reply = bench.run(&format!("HSCAN h {cursor} COUNT 50 NOVALUES"));
        let mut words = reply.split('|').map(str::to_string);
        cursor = words.nth(2).unwrap();
        seen.extend(words.filter(|word| word.starts_with("field")));
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
    assert!((10..=20).contains(&calls), "{calls}");
}
