//! Rewrites of a running server's append-only file, on a disk that fails at any step of them: everything acknowledged is
//! in the base file or behind it, once.

use crate::common::{check, connect, crash_while, eventually, start};
use redoubt_persistence::disk::faults::{Disk, Operation};
use redoubt_server::Handle;
use redoubt_tests::Reply;
use std::io::ErrorKind;

/// Asks for rewrites one after the other until the disk has crashed.
fn rewrite_until_crash(server: &Handle, disk: &Disk) {
    let mut client = connect(server);
    while !disk.has_crashed() {
        let reply = client.call(&["BGREWRITEAOF"]).to_string();
        assert!(reply.contains("rewriting") || reply.contains("Can't execute"), "{reply}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn crashes(policy: &str, preamble: &str, seeds: std::ops::Range<u64>) {
    let mut total = 0;
    for seed in seeds {
        let disk = Disk::new(seed);
        let server = start(&disk, &[("appendfsync", policy), ("aof-use-rdb-preamble", preamble)]);
        disk.crash_at(disk.steps() + 1 + seed);
        let acknowledged = crash_while(&server, &disk, rewrite_until_crash);
        drop(server);
        total += acknowledged.iter().map(|(_, count)| count).sum::<u64>();
        let least: Vec<_> = match policy {
            "always" => acknowledged,
            _ => acknowledged.into_iter().map(|(key, _)| (key, 0)).collect(),
        };
        check(&disk.after_crash(), &least, seed);
    }
    assert!(total > 100, "{total} writes prove little");
}

#[test]
fn with_always_nothing_acknowledged_is_lost() {
    crashes("always", "yes", 0..120);
    crashes("always", "no", 1000..1060);
}

#[test]
fn with_everysec_a_beginning_is_left() {
    crashes("everysec", "yes", 0..60);
}

fn file_names(disk: &Disk) -> Vec<String> {
    disk.root().subfolder("appendonlydir").and_then(|folder| folder.names()).unwrap_or_default()
}

fn rewritten(server: &Handle) -> u64 {
    server.shared().aof.figures.state().rewrites
}

/// Files, figures and data before and after.
#[test]
fn a_rewrite_replaces_the_files() {
    let disk = Disk::new(1);
    let server = start(&disk, &[("appendfsync", "always")]);
    let mut client = connect(&server);
    for number in 1..=100 {
        client.call(&["RPUSH", "a", &number.to_string()]);
    }
    assert_eq!(
        client.call(&["BGREWRITEAOF"]),
        Reply::Status(b"Background append only file rewriting started".to_vec())
    );
    eventually("it is rewritten", || rewritten(&server) == 1);
    eventually("the old files go", || {
        file_names(&disk)
            == ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"]
    });
    assert_eq!(client.call(&["RPUSH", "a", "101"]), Reply::Int(101));
    let info = client.call(&["INFO", "persistence"]).text();
    for line in ["aof_rewrites:1", "aof_last_bgrewrite_status:ok", "aof_rewrite_in_progress:0"] {
        assert!(info.contains(line), "{info}");
    }
    server.shutdown();
    check(&disk.after_crash(), &[("a".into(), 101)], 0);
}

#[test]
fn it_is_switched_off_and_on() {
    let disk = Disk::new(1);
    let server = start(&disk, &[("appendfsync", "always")]);
    let mut client = connect(&server);
    let ok = Reply::Status(b"OK".to_vec());
    let mut number = 0;
    let push = |client: &mut redoubt_tests::Client, number: &mut i64| {
        *number += 1;
        let number = *number;
        assert_eq!(client.call(&["RPUSH", "a", &number.to_string()]), Reply::Int(number));
    };
    for round in 1..=3 {
        push(&mut client, &mut number);
        assert_eq!(client.call(&["CONFIG", "SET", "appendonly", "no"]), ok);
        assert!(client.call(&["INFO", "persistence"]).text().contains("aof_enabled:0"));
        push(&mut client, &mut number);
        assert_eq!(client.call(&["CONFIG", "SET", "appendonly", "yes"]), ok);
        push(&mut client, &mut number);
        assert!(client.call(&["INFO", "persistence"]).text().contains("aof_enabled:1"));
        eventually("its first rewrite is done", || rewritten(&server) == round);
        push(&mut client, &mut number);
        check(&disk.after_crash(), &[("a".into(), number as u64)], 0);
    }
    // Without it, a rewrite makes a base file and nothing else.
    assert_eq!(client.call(&["CONFIG", "SET", "appendonly", "no"]), ok);
    push(&mut client, &mut number);
    client.call(&["BGREWRITEAOF"]);
    eventually("it is rewritten", || rewritten(&server) == 4);
    check(&disk.after_crash(), &[("a".into(), number as u64)], 0);
    let names = file_names(&disk);
    assert_eq!(names.len(), 2, "{names:?}");
}

/// A rewrite that fails changes nothing; the log goes on.
#[test]
fn a_failed_rewrite_leaves_the_files_as_they_were() {
    for (seed, operation) in
        [Operation::Create, Operation::Rename, Operation::Write, Operation::Sync].into_iter().enumerate()
    {
        let disk = Disk::new(seed as u64);
        let server = start(&disk, &[("appendfsync", "no")]);
        let mut client = connect(&server);
        client.call(&["RPUSH", "a", "1"]);
        eventually("it is written", || server.shared().aof.waiting_bytes() == 0);
        disk.fail(operation, ErrorKind::StorageFull, 1);
        client.call(&["BGREWRITEAOF"]);
        let figures = &server.shared().aof.figures;
        eventually("it fails", || figures.state().failures == 1);
        assert!(client.call(&["INFO", "persistence"]).text().contains("aof_last_bgrewrite_status:err"));
        eventually("writes go on", || client.call(&["RPUSH", "a", "2"]) == Reply::Int(2));
        client.call(&["BGREWRITEAOF"]);
        eventually("the next one succeeds", || rewritten(&server) == 1);
        client.call(&["RPUSH", "a", "3"]);
        server.shutdown();
        check(&disk.after_crash(), &[("a".into(), 3)], seed as u64);
    }
}

/// Growth beyond the percentage begins a rewrite by itself.
#[test]
fn growth_begins_a_rewrite() {
    let disk = Disk::new(1);
    let server = start(&disk, &[("auto-aof-rewrite-min-size", "1000")]);
    let mut client = connect(&server);
    for number in 1..=100 {
        client.call(&["RPUSH", "a", &number.to_string()]);
    }
    eventually("it is rewritten", || rewritten(&server) == 1);
    server.shutdown();
    check(&disk.after_crash(), &[("a".into(), 100)], 0);
}
