//! RDB files of the reference are read, what is written from them is loaded by the reference, and it holds the same.

use redoubt_persistence::rdb::{KeyInfo, Options, Reader, Record, VERSION_MAX, Writer};
use redoubt_store::EncodingLimits;
use redoubt_tests::{Client, Kind, Reply, Server};
use std::fs;

const FAR: &str = "4000000000000";

/// Fills a server with values of every type around every threshold.
fn fill(client: &mut Client, kind: Kind) {
    let mut call = |words: &[&str]| {
        let reply = client.call(words);
        assert!(!matches!(reply, Reply::Error(_)), "{words:?}: {reply}");
    };
    for (at, value) in
        ["", "0", "-1", "127", "-129", "32768", "-2147483649", "9223372036854775807", "007", "text"]
            .iter()
            .enumerate()
    {
        call(&["SET", &format!("string{at}"), value]);
    }
    for len in [20, 21, 63, 64, 16_383, 16_384, 100_000] {
        call(&["SET", &format!("same{len}"), &"s".repeat(len)]);
        let mixed: String = (0..len).map(|at| char::from(b'!' + (at * at % 89) as u8)).collect();
        call(&["SET", &format!("mixed{len}"), &mixed]);
    }
    call(&["SET", "expiring", "value", "PXAT", FAR]);
    fill_collections(&mut call, kind);
    call(&[
        "ZADD",
        "ends",
        "-inf",
        "a",
        "inf",
        "b",
        "0",
        "c",
        "1e300",
        "d",
        "-1e-300",
        "e",
        "9007199254740993",
        "f",
    ]);
    for len in [16_376, 16_377, 16_378, 16_379, 20_000] {
        call(&[
            "RPUSH",
            "boundaries",
            &"b".repeat(len),
            "-5",
            "4095",
            "-4097",
            "70000",
            "-9000000",
            "5000000000",
        ]);
    }
    fill_streams(&mut call);
}

fn fill_collections(call: &mut impl FnMut(&[&str]), kind: Kind) {
    for len in [1, 30, 127, 128, 129, 500, 513, 2000] {
        for wide in ["", &"w".repeat(65)] {
            let name = format!("{len}:{}", wide.len());
            for at in 0..len {
                let (text, number) = (format!("m{at}{wide}"), at.to_string());
                call(&["RPUSH", &format!("list{name}"), &text, &number]);
                call(&["SADD", &format!("set{name}"), &text]);
                call(&["SADD", &format!("ints{name}"), &(at * 1000 * wide.len().max(1)).to_string()]);
                let score = format!("{}", (at as f64 - 10.0) * 0.37 * 10f64.powi(at as i32 % 40 - 20));
                call(&["ZADD", &format!("zset{name}"), &score, &text]);
                call(&["HSET", &format!("hash{name}"), &text, &number]);
                if kind == Kind::Redis8 {
                    call(&["HSET", &format!("timed{name}"), &text, &number]);
                }
            }
            if kind == Kind::Redis8 {
                let at = (4_000_000_000_000i64 + len as i64).to_string();
                let (key, field) = (format!("timed{name}"), format!("m0{wide}"));
                call(&["HPEXPIREAT", &key, &at, "FIELDS", "1", &field]);
            }
        }
    }
}

fn fill_streams(call: &mut impl FnMut(&[&str])) {
    for at in 1..=350 {
        let (id, value) = (format!("{}-{}", at / 3, at), at.to_string());
        call(&["XADD", "stream", &id, "field", &value, "other", "text"]);
        let odd = if at % 5 == 0 { "odd" } else { "even" };
        call(&["XADD", "mixed", &id, odd, &value]);
    }
    call(&["XGROUP", "CREATE", "stream", "group", "0"]);
    call(&["XGROUP", "CREATE", "stream", "later", "50-150"]);
    call(&["XGROUP", "CREATECONSUMER", "stream", "group", "idle"]);
    call(&["XREADGROUP", "GROUP", "group", "a", "COUNT", "120", "STREAMS", "stream", ">"]);
    call(&["XREADGROUP", "GROUP", "group", "b", "COUNT", "20", "STREAMS", "stream", ">"]);
    call(&["XACK", "stream", "group", "1-3", "2-6"]);
    for at in (10..200).step_by(3) {
        call(&["XDEL", "mixed", &format!("{}-{}", at / 3, at)]);
    }
    call(&["XTRIM", "mixed", "MAXLEN", "300"]);
    call(&["XADD", "gone", "1-1", "a", "b"]);
    call(&["XDEL", "gone", "1-1"]);
}

/// What the server says of each of its keys.
fn view(client: &mut Client) -> Vec<String> {
    let keys = client.call(&["KEYS", "*"]).elements().expect("keys");
    let mut lines: Vec<String> = keys.iter().map(|key| view_key(client, &key.text())).collect();
    lines.sort();
    lines
}

fn view_key(client: &mut Client, key: &str) -> String {
    let digest = client.call(&["DEBUG", "DIGEST-VALUE", key]);
    let encoding = client.call(&["OBJECT", "ENCODING", key]);
    let expiry = client.call(&["PEXPIRETIME", key]);
    let stream = match client.call(&["TYPE", key]).text().as_str() {
        "stream" => client.call(&["XINFO", "STREAM", key, "FULL", "COUNT", "0"]).to_string(),
        "hash" => client.call(&["HPEXPIRETIME", key, "FIELDS", "1", "m0"]).to_string(),
        _ => String::new(),
    };
    format!("{key} {digest} {encoding} {expiry} {stream}")
}

/// The file, read and written again.
fn again(file: &[u8], version: u32) -> Vec<u8> {
    let reader = Reader::new(file, EncodingLimits::default()).expect("an RDB file");
    let options = Options { version, ..Options::default() };
    let mut writer = Writer::new(Vec::new(), options).expect("begun");
    for record in reader {
        match record.expect("readable") {
            Record::Aux(name, value) => writer.aux(&name, &value),
            Record::Select(db) => writer.select(db),
            Record::Resize { keys, expires } => writer.resize(keys, expires),
            Record::Function(library) => writer.function(&library),
            Record::Key(key) => {
                let info = KeyInfo { expire_ms: key.expire_ms, idle_s: key.idle_s, frequency: key.frequency };
                writer.key(&key.key, key.value.as_ref(), info)
            }
            Record::End => return writer.finish().expect("written"),
        }
        .expect("written");
    }
    unreachable!("the last record is the end");
}

fn exchange(kind: Kind, versions: &[u32], options: &[(&str, &str)]) {
    let mut all = vec![("enable-debug-command", "yes"), ("save", "")];
    all.extend_from_slice(options);
    let Some(server) = Server::start(kind, &all) else { return };
    let mut client = server.client();
    fill(&mut client, kind);
    let before = view(&mut client);
    assert!(before.len() > 80);
    let digest = client.call(&["DEBUG", "DIGEST"]);
    client.call(&["SAVE"]);
    let path = server.dir.join("dump.rdb");
    let theirs = fs::read(&path).expect("saved");
    for version in versions {
        fs::write(&path, again(&theirs, *version)).expect("written");
        let reply = client.call(&["DEBUG", "RELOAD", "NOSAVE"]);
        assert_eq!(reply, Reply::Status(b"OK".to_vec()), "{}", server.log());
        let after = view(&mut client);
        assert_eq!(after.len(), before.len());
        for (after, before) in after.iter().zip(&before) {
            let lossy = *version < VERSION_MAX && after.starts_with("timed");
            assert!(lossy || after == before, "{after}\nshould be\n{before}");
        }
        if *version == VERSION_MAX || kind == Kind::Redis7 {
            assert_eq!(client.call(&["DEBUG", "DIGEST"]), digest);
        }
    }
}

#[test]
fn redis_7() {
    exchange(Kind::Redis7, &[10], &[]);
    exchange(Kind::Redis7, &[10], &[("rdbcompression", "no"), ("rdbchecksum", "no")]);
}

#[test]
fn redis_8() {
    exchange(Kind::Redis8, &[12, 11], &[("sanitize-dump-payload", "yes")]);
}

/// Gives every key of a server to the other by DUMP and RESTORE.
fn hand_over(from: &mut Client, to: &mut Client) -> usize {
    let keys = from.call(&["KEYS", "*"]).elements().expect("keys");
    for key in &keys {
        let Reply::Bulk(name) = key else { panic!("{key}") };
        let Reply::Bulk(payload) = from.call(&[b"DUMP", &name[..]]) else { panic!("{key}") };
        let ttl = from.call(&[b"PEXPIRETIME", &name[..]]).to_string();
        let ttl = if ttl.contains(FAR) { FAR } else { "0" };
        let words = [b"RESTORE", &name[..], ttl.as_bytes(), &payload, b"ABSTTL", b"REPLACE"];
        assert_eq!(to.call(&words), Reply::Status(b"OK".to_vec()), "{key}");
    }
    keys.len()
}

#[test]
fn payloads_to_and_fro() {
    let options = [("enable-debug-command", "yes"), ("save", "")];
    let Some(theirs) = Server::start(Kind::Redis8, &options) else { return };
    let ours = Server::ours(&[]);
    let (mut their_client, mut our_client) = (theirs.client(), ours.client());
    fill(&mut their_client, Kind::Redis8);
    let (before, digest) = (view(&mut their_client), their_client.call(&["DEBUG", "DIGEST"]));
    let count = hand_over(&mut their_client, &mut our_client);
    assert_eq!(our_client.call(&["DBSIZE"]), Reply::Int(count as i64));
    their_client.call(&["FLUSHALL"]);
    hand_over(&mut our_client, &mut their_client);
    let after = view(&mut their_client);
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(&before) {
        assert_eq!(after, before);
    }
    assert_eq!(their_client.call(&["DEBUG", "DIGEST"]), digest);
}
