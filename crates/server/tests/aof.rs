//! The append-only file of a running server, on a disk that fails: what was acknowledged is there after a crash, writes
//! are refused while the disk refuses, and are taken again when it does not.

use redoubt_persistence::aof::{CommandReader, Directory};
use redoubt_persistence::disk::faults::{Disk, Operation};
use redoubt_server::config::Config;
use redoubt_server::{Handle, Server};
use redoubt_tests::client::Received;
use redoubt_tests::{Client, Reply};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn start(disk: &Disk, policy: &str) -> Handle {
    let settings = [
        ("port", "0"),
        ("bind", "127.0.0.1"),
        ("appendonly", "yes"),
        ("appendfsync", policy),
        ("save", ""),
        ("io-threads", "2"),
    ];
    let config = settings
        .iter()
        .try_fold(Config::new(), |config, (name, value)| config.with(name, value))
        .expect("valid settings");
    Server::builder().config(config).disk(disk.root()).start().expect("a free port and a disk")
}

fn connect(server: &Handle) -> Client {
    Client::connect(server.addresses()[0]).expect("the server listens")
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The elements that the files append to each list, in order. The last file may lack its end.
fn lists(disk: &Disk) -> BTreeMap<String, Vec<u64>> {
    let directory =
        Directory::open(disk.root(), "appendonly.aof", "appendonlydir").expect("a readable folder");
    let mut lists: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for entry in &directory.manifest().incremental {
        let size = directory.len(entry).expect("a file");
        let mut reader = CommandReader::new(directory.read(entry).expect("a file"), 0, size);
        loop {
            match reader.next_chunk() {
                Ok(None) => break,
                Ok(Some(chunk)) => {
                    let text = String::from_utf8(chunk.bytes.to_vec()).expect("tests write text");
                    let words: Vec<&str> = text.split("\r\n").collect();
                    // *3 $5 RPUSH $1 key $1 number
                    for at in (0..words.len()).filter(|at| words[*at] == "RPUSH") {
                        let number = words[at + 4].parse().expect("a number");
                        lists.entry(words[at + 2].into()).or_default().push(number);
                    }
                }
                Err(error) => {
                    assert!(matches!(error.kind, redoubt_persistence::ErrorKind::Truncated), "{error}");
                    break;
                }
            }
        }
    }
    lists
}

/// Appends 1, 2, 3... to a list, a few at a time, until the disk has crashed. Returns the last number acknowledged.
fn write_until_crash(server: &Handle, disk: &Disk, key: &str) -> u64 {
    let mut client = connect(server);
    let (mut sent, mut acknowledged) = (0, 0);
    while !disk.has_crashed() {
        for _ in 0..3 {
            sent += 1;
            client.send(&["RPUSH", key, &sent.to_string()]).expect("an open connection");
        }
        while acknowledged < sent && !disk.has_crashed() {
            match client.receive(Duration::from_millis(5)).expect("a reply") {
                Received::Reply(Reply::Int(length)) => acknowledged = length as u64,
                Received::Reply(Reply::Error(text)) if text.starts_with("MISCONF") => return acknowledged,
                Received::Nothing => {}
                other => panic!("{other:?}"),
            }
        }
    }
    acknowledged
}

/// Checks that each list is 1, 2, 3... as far as it goes, and that it goes far enough.
fn check(disk: &Disk, acknowledged: &[(String, u64)], seed: u64) {
    let lists = lists(disk);
    for (key, least) in acknowledged {
        let found = lists.get(key).map_or(&[][..], Vec::as_slice);
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>(), "seed {seed}");
        assert!(found.len() as u64 >= *least, "seed {seed}: {key} has {} of {least}", found.len());
    }
}

fn crash(seed: u64, policy: &str) -> (Disk, Vec<(String, u64)>) {
    let disk = Disk::new(seed);
    let server = start(&disk, policy);
    disk.crash_at(disk.steps() + 1 + seed % 50);
    let keys = ["a", "b", "c"];
    let acknowledged = std::thread::scope(|scope| {
        let threads = keys.map(|key| scope.spawn(|| write_until_crash(&server, &disk, key)));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    drop(server);
    (disk, keys.map(String::from).into_iter().zip(acknowledged).collect())
}

#[test]
fn with_always_nothing_acknowledged_is_lost() {
    let mut total = 0;
    for seed in 0..200 {
        let (disk, acknowledged) = crash(seed, "always");
        total += acknowledged.iter().map(|(_, count)| count).sum::<u64>();
        check(&disk.after_crash(), &acknowledged, seed);
    }
    assert!(total > 1000, "{total} writes prove little");
}

/// Without `always` a crash of the machine leaves a beginning of what was written.
#[test]
fn with_everysec_a_beginning_is_left() {
    for seed in 0..40 {
        let (disk, acknowledged) = crash(seed, "everysec");
        let nothing: Vec<_> = acknowledged.into_iter().map(|(key, _)| (key, 0)).collect();
        check(&disk.after_crash(), &nothing, seed);
    }
}

#[test]
fn with_everysec_a_killed_process_loses_what_it_had_not_written() {
    let disk = Disk::new(1);
    let server = start(&disk, "everysec");
    let mut client = connect(&server);
    for number in 1..=500 {
        client.call(&["RPUSH", "a", &number.to_string()]);
    }
    let sent = Instant::now();
    eventually("everything is written", || server.shared().aof.waiting_bytes() == 0);
    assert!(sent.elapsed() < Duration::from_millis(900), "written once a second only");
    check(&disk.after_kill(), &[("a".into(), 500)], 0);
    // The sync comes by itself.
    eventually("everything is synced", || {
        lists(&disk.after_crash()).get("a").is_some_and(|list| list.len() == 500)
    });
}

/// Fills the disk under a policy: refusal, reads, room again, nothing lost.
fn fill(policy: &str) {
    let disk = Disk::new(7);
    let server = start(&disk, policy);
    let mut client = connect(&server);
    assert_eq!(client.call(&["RPUSH", "a", "1"]), Reply::Int(1));
    assert_eq!(client.call(&["SET", "unrelated", "x"]), Reply::Status(b"OK".into()));
    eventually("it is written", || server.shared().aof.waiting_bytes() == 0);
    disk.limit(Some(0));
    // With `always` this one is not acknowledged before there is room.
    client.send(&["RPUSH", "a", "2"]).expect("an open connection");
    let mut other = connect(&server);
    eventually("writes are refused", || {
        other
            .call(&["RPUSH", "refused", "1"])
            .to_string()
            .contains("MISCONF Errors writing to the AOF file: ")
    });
    assert_eq!(other.call(&["LLEN", "a"]), Reply::Int(2));
    assert!(other.call(&["PING"]).to_string().contains("MISCONF"));
    assert_eq!(other.call(&["MULTI"]), Reply::Status(b"OK".into()));
    assert!(other.call(&["SET", "k", "v"]).to_string().contains("MISCONF"));
    assert!(other.call(&["EXEC"]).to_string().contains("EXECABORT"));
    let info = other.call(&["INFO", "persistence"]).to_string();
    assert!(info.contains("aof_last_write_status:err"), "{info}");
    let acknowledged = client.receive(Duration::from_millis(50)).expect("a connection");
    assert_eq!(acknowledged == Received::Nothing, policy == "always", "{acknowledged:?}");
    disk.limit(None);
    eventually("writes are taken again", || other.call(&["RPUSH", "b", "1"]) == Reply::Int(1));
    if policy == "always" {
        assert_eq!(client.read().expect("room again"), Reply::Int(2));
    }
    assert!(other.call(&["INFO", "persistence"]).to_string().contains("aof_last_write_status:ok"));
    server.shutdown();
    check(&disk.after_crash(), &[("a".into(), 2), ("b".into(), 1)], 0);
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    ["always", "everysec", "no"].into_iter().for_each(fill);
}

/// Bytes whose sync failed are written again: the system may have forgotten them.
#[test]
fn failed_syncs_lose_nothing() {
    for seed in 0..30 {
        let disk = Disk::new(seed);
        let server = start(&disk, "always");
        let mut client = connect(&server);
        for number in 1..=20u64 {
            if number % 7 == 0 {
                disk.fail(Operation::Sync, ErrorKind::Other, 1 + seed % 3);
            }
            eventually("the disk works again", || match client.call(&["RPUSH", "a", &number.to_string()]) {
                Reply::Int(length) => length == number as i64,
                Reply::Error(text) => !text.starts_with("MISCONF"),
                _ => false,
            });
        }
        check(&disk.after_crash(), &[("a".into(), 20)], seed);
    }
}

#[test]
fn the_policy_changes_while_it_runs() {
    let disk = Disk::new(3);
    let server = start(&disk, "no");
    let mut client = connect(&server);
    let mut number = 0;
    for policy in ["no", "always", "everysec", "always", "no", "always"] {
        assert_eq!(client.call(&["CONFIG", "SET", "appendfsync", policy]), Reply::Status(b"OK".into()));
        for _ in 0..10 {
            number += 1;
            assert_eq!(client.call(&["RPUSH", "a", &number.to_string()]), Reply::Int(number));
        }
        if policy == "always" {
            check(&disk.after_crash(), &[("a".into(), number as u64)], 0);
        }
    }
}

#[test]
fn what_expires_by_itself_reaches_the_file() {
    let disk = Disk::new(3);
    let server = start(&disk, "always");
    let mut client = connect(&server);
    client.call(&["CONFIG", "SET", "aof-timestamp-enabled", "yes"]);
    client.call(&["SET", "gone", "x", "PX", "1"]);
    eventually("it expires", || client.call(&["DBSIZE"]) == Reply::Int(0));
    let stats = &server.shared().stats;
    eventually("it is counted", || stats.expired() == 1);
    server.shutdown();
    let folder = disk.root().subfolder("appendonlydir").expect("a folder");
    let mut text = String::new();
    folder.read("appendonly.aof.1.incr.aof").expect("a file").read_to_string(&mut text).expect("text");
    assert!(text.contains("$3\r\nDEL\r\n$4\r\ngone\r\n"), "{text}");
    assert!(text.starts_with("#TS:"), "{text}");
    assert_eq!(disk.root().names().expect("names"), ["appendonlydir"]);
}
