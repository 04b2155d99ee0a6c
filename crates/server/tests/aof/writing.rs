//! What was acknowledged is there after a crash, writes are refused while the disk refuses, and are taken again when it
//! does not.

use crate::common::{check, connect, crash_while, eventually, lists, start};
use redoubt_persistence::disk::faults::{Disk, Operation};
use redoubt_tests::Reply;
use redoubt_tests::client::Received;
use std::io::{ErrorKind, Read};
use std::time::Duration;

fn crash(seed: u64, policy: &str) -> (Disk, Vec<(String, u64)>) {
    let disk = Disk::new(seed);
    let server = start(&disk, &[("appendfsync", policy)]);
    disk.crash_at(disk.steps() + 1 + seed % 50);
    let acknowledged = crash_while(&server, &disk, |_, _| {});
    drop(server);
    (disk, acknowledged)
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

/// What the process has written, the system has.
#[test]
fn without_syncs_a_killed_process_loses_nothing_acknowledged() {
    for policy in ["everysec", "no"] {
        let disk = Disk::new(1);
        let server = start(&disk, &[("appendfsync", policy)]);
        let mut client = connect(&server);
        for number in 1..=500 {
            client.call(&["RPUSH", "a", &number.to_string()]);
            if number % 50 == 0 {
                check(&disk.after_kill(), &[("a".into(), number)], 0);
            }
        }
        if policy == "everysec" {
            // The sync comes by itself.
            eventually("everything is synced", || {
                lists(&disk.after_crash()).get("a").is_some_and(|list| list.len() == 500)
            });
        }
    }
}

/// Fills the disk under a policy: refusal, reads, room again, nothing lost.
fn fill(policy: &str) {
    let disk = Disk::new(7);
    let server = start(&disk, &[("appendfsync", policy)]);
    let mut client = connect(&server);
    assert_eq!(client.call(&["RPUSH", "a", "1"]), Reply::Int(1));
    assert_eq!(client.call(&["SET", "unrelated", "x"]), Reply::Status(b"OK".into()));
    eventually("it is written", || server.shared().aof.waiting_bytes() == 0);
    disk.limit(Some(0));
    // This one is not acknowledged before there is room.
    client.send(&["RPUSH", "a", "2"]).expect("an open connection");
    let mut other = connect(&server);
    // A write that runs before the disk refuses would wait as that one does.
    eventually("the disk refuses", || {
        other.call(&["INFO", "persistence"]).to_string().contains("aof_last_write_status:err")
    });
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
    assert_eq!(acknowledged, Received::Nothing);
    disk.limit(None);
    eventually("writes are taken again", || other.call(&["RPUSH", "b", "1"]) == Reply::Int(1));
    assert_eq!(client.read().expect("room again"), Reply::Int(2));
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
        let server = start(&disk, &[("appendfsync", "always")]);
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
    let server = start(&disk, &[("appendfsync", "no")]);
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
    let server = start(&disk, &[("appendfsync", "always")]);
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

/// Without it nobody could tell whether a moment lies before the rewrite.
#[test]
fn a_base_of_commands_says_from_when_it_is() {
    let disk = Disk::new(3);
    let server = start(&disk, &[("aof-timestamp-enabled", "yes"), ("aof-use-rdb-preamble", "no")]);
    let mut client = connect(&server);
    client.call(&["SET", "k", "v"]);
    client.call(&["BGREWRITEAOF"]);
    let folder = disk.root().subfolder("appendonlydir").expect("a folder");
    eventually("it is rewritten", || folder.read("appendonly.aof.2.base.aof").is_ok());
    server.shutdown();
    let mut text = String::new();
    folder.read("appendonly.aof.2.base.aof").expect("a file").read_to_string(&mut text).expect("text");
    assert!(text.starts_with("#TS:"), "{text}");
}
