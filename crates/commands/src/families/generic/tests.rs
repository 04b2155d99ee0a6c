//! Generic handlers on the handlers' bench.

use crate::testing::Bench;
use redoubt_store::{Expiry, Hash, List, Set, Value};

fn bench(strings: &[(&str, &str)]) -> Bench {
    let bench = Bench::new();
    bench.with(|txn| {
        for (name, text) in strings {
            let key = txn.key(name.as_bytes());
            txn.set_string(&key, text.as_bytes(), Expiry::Clear);
        }
    });
    bench
}

fn put(bench: &Bench, name: &str, value: Value) {
    bench.with(|txn| {
        let key = txn.key(name.as_bytes());
        txn.insert(&key, value, None);
    });
}

fn list(bench: &Bench, elements: &[&str]) -> Value {
    let mut list = List::new();
    elements.iter().for_each(|element| list.push_back(element.as_bytes(), &bench.settings.encoding));
    Value::List(list)
}

fn text(bench: &Bench, name: &str) -> Option<String> {
    bench.with(|txn| {
        let key = txn.key(name.as_bytes());
        match txn.get(&key) {
            Some(redoubt_store::ValueRef::Str(text)) => Some(String::from_utf8(text.to_vec()).unwrap()),
            Some(redoubt_store::ValueRef::List(list)) => {
                let words: Vec<_> = list.iter().map(|e| String::from_utf8(e.to_vec()).unwrap()).collect();
                Some(words.join(" "))
            }
            _ => None,
        }
    })
}

#[test]
fn keys_are_counted_removed_and_renamed() {
    let bench = bench(&[("a", "1"), ("b", "two"), ("c", "3")]);
    bench.check(&[
        ("EXISTS a a nokey b", ":3|"),
        ("TYPE a", "+string|"),
        ("TYPE nokey", "+none|"),
        ("TOUCH a b nokey", ":2|"),
        ("DEL a a nokey", ":1|"),
        ("UNLINK c", ":1|"),
        ("RENAME nokey x", "-ERR no such key|"),
        ("RENAME b b", "+OK|"),
        ("RENAMENX b b", ":0|"),
        ("RENAME b d", "+OK|"),
        ("EXISTS b d", ":1|"),
        ("COPY d e", ":1|"),
        ("COPY d e", ":0|"),
        ("COPY d e REPLACE", ":1|"),
        ("COPY d d", "-ERR source and destination objects are the same|"),
        ("COPY d d DB 3", ":1|"),
        ("COPY d d DB 16", "-ERR DB index is out of range|"),
        ("COPY nokey x", ":0|"),
        ("MOVE e 0", "-ERR source and destination objects are the same|"),
        ("MOVE d 3", ":0|"),
        ("MOVE e 3", ":1|"),
        ("DBSIZE", ":1|"),
        ("SWAPDB 0 3", "+OK|"),
        ("DBSIZE", ":2|"),
        ("FLUSHDB ASYNC", "+OK|"),
        ("DBSIZE", ":0|"),
        ("SWAPDB 0 3", "+OK|"),
        ("DBSIZE", ":1|"),
        ("FLUSHALL", "+OK|"),
        ("RANDOMKEY", "$-1|"),
    ]);
}

#[test]
fn expiry_is_set_under_conditions() {
    let mut bench = bench(&[("a", "1")]);
    bench.check(&[
        ("TTL a", ":-1|"),
        ("TTL nokey", ":-2|"),
        ("EXPIRE a 10 XX", ":0|"),
        ("EXPIRE a 10 GT", ":0|"),
        ("EXPIRE a 10 NX", ":1|"),
        ("EXPIRE a 20 NX", ":0|"),
        ("EXPIRE a 20 LT", ":0|"),
        ("EXPIRE a 20 GT", ":1|"),
        ("PTTL a", ":20000|"),
        ("EXPIRETIME a", ":1700000020|"),
        ("PEXPIRETIME a", ":1700000020000|"),
        ("EXPIRE a 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible|"),
        ("EXPIRE a 10 ??", "-ERR Unsupported option ??|"),
        ("EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command|"),
        ("PERSIST a", ":1|"),
        ("PERSIST a", ":0|"),
        ("PEXPIREAT a 1700000000400", ":1|"),
        ("TTL a", ":0|"),
    ]);
    bench.now_ms += 400;
    bench.check(&[("EXISTS a", ":0|"), ("EXPIRE a 1", ":0|")]);
}

#[test]
fn an_expiry_in_the_past_removes_the_key() {
    let bench = bench(&[("a", "1"), ("b", "1")]);
    bench.check(&[("EXPIRE a -1", ":1|"), ("PEXPIREAT b 0 LT", ":1|"), ("DBSIZE", ":0|")]);
}

#[test]
fn scan_walks_everything_once() {
    let names: Vec<String> = (0..300).map(|n| format!("key:{n}")).collect();
    let bench = Bench::new();
    bench.with(|txn| {
        for name in &names {
            let key = txn.key(name.as_bytes());
            txn.set_string(&key, b"x", Expiry::Clear);
        }
    });
    let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
    loop {
        let reply = bench.run(&format!("SCAN {cursor} COUNT 7 MATCH key:*"));
        let mut words =
            reply.split('|').filter(|word| !word.starts_with(['*', '$', '\0']) && !word.is_empty());
        cursor = words.next().unwrap().to_owned();
        seen.extend(words.map(str::to_owned));
        if cursor == "0" {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), names.len());
    bench.check(&[
        ("SCAN x", "-ERR invalid cursor|"),
        ("SCAN 0 COUNT 0", "-ERR syntax error|"),
        ("SCAN 0 COUNT 100000 TYPE list", "*2|$1|0|*0|"),
    ]);
    assert!(bench.run("KEYS key:1?").starts_with("*10|"));
}

#[test]
fn sort_orders_cuts_and_looks_up() {
    let bench = bench(&[("w_1", "30"), ("w_2", "20"), ("w_10", "10"), ("o_1", "one")]);
    put(&bench, "l", list(&bench, &["10", "2", "1"]));
    let mut hash = Hash::new();
    hash.insert(b"f", b"first", &bench.settings.encoding);
    put(&bench, "h_1", Value::Hash(hash));
    bench.check(&[
        ("SORT l", "*3|$1|1|$1|2|$2|10|"),
        ("SORT l DESC LIMIT 0 2", "*2|$2|10|$1|2|"),
        ("SORT l ALPHA", "*3|$1|1|$2|10|$1|2|"),
        ("SORT l BY w_*", "*3|$2|10|$1|2|$1|1|"),
        ("SORT l BY nosort", "*3|$2|10|$1|2|$1|1|"),
        ("SORT l BY nosort DESC LIMIT 1 1", "*1|$1|2|"),
        ("SORT l LIMIT 0 1 GET # GET o_* GET h_*->f GET nostar", "*4|$1|1|$3|one|$5|first|$-1|"),
        ("SORT l BY o_*", "-ERR One or more scores can't be converted into double|"),
        ("SORT l BY o_* ALPHA", "*3|$2|10|$1|2|$1|1|"),
        ("SORT_RO l STORE d", "-ERR syntax error|"),
        ("SORT l LIMIT 1", "-ERR syntax error|"),
        ("SORT w_1", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("SORT l GET o_* STORE d", ":3|"),
    ]);
    assert_eq!(text(&bench, "d").as_deref(), Some("one  "));
    bench.check(&[("SORT nokey STORE d", ":0|"), ("EXISTS d", ":0|"), ("SORT nokey", "*0|")]);
    let mut set = Set::new();
    for member in ["b", "c", "a"] {
        set.insert(member.as_bytes(), &bench.settings.encoding);
    }
    put(&bench, "s", Value::Set(set));
    bench.check(&[("SORT s BY nosort STORE d", ":3|")]);
    assert_eq!(text(&bench, "d").as_deref(), Some("a b c"));
}

#[test]
fn object_tells_what_is_tracked() {
    let mut bench = bench(&[("a", "1"), ("b", "text")]);
    bench.check(&[
        ("OBJECT ENCODING a", "$3|int|"),
        ("OBJECT ENCODING b", "$6|embstr|"),
        ("OBJECT ENCODING nokey", "$-1|"),
        ("OBJECT REFCOUNT a", ":1|"),
        ("OBJECT IDLETIME a", ":0|"),
        ("OBJECT FREQ nokey", "$-1|"),
        ("MEMORY USAGE nokey", "$-1|"),
        ("MEMORY USAGE a SAMPLES -1", "-ERR syntax error|"),
        ("OBJECT a", "-ERR unknown subcommand 'a'. Try OBJECT HELP.|"),
        ("OBJECT", "-ERR wrong number of arguments for 'object' command|"),
    ]);
    assert!(bench.run("OBJECT FREQ a").starts_with("-ERR An LFU maxmemory policy is not selected"));
    assert!(bench.run("OBJECT HELP").contains("|+ENCODING <key>|"));
    bench.settings.lfu = true;
    assert!(bench.run("OBJECT IDLETIME a").starts_with("-ERR An LFU maxmemory policy is selected"));
}
