//! FLUSHALL and the file, DEBUG RELOAD and LOADAOF while clients write, and a server that is killed while it saves.

use redoubt_tests::data::{self, Folder};
use redoubt_tests::replication::{field, follow, settle, until};
use redoubt_tests::{Client, Kind, Reply, Server};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn ok(client: &mut Client, line: &str) {
    assert_eq!(client.line(line).to_string(), "+OK", "{line}");
}

fn digest(client: &mut Client) -> String {
    client.line("DEBUG DIGEST").text()
}

fn kill(server: &mut Server) {
    let done = Command::new("kill").args(["-KILL", &server.pid().to_string()]).status();
    assert!(done.expect("kill runs").success());
    server.wait_exit(Duration::from_secs(20)).expect("it is gone");
}

/// What stands in a folder of files, subfolders included, copied to one that outlives the server.
fn copied(from: &Path) -> Folder {
    fn copy(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("readable");
            let to = to.join(entry.file_name());
            if entry.file_type().expect("known").is_dir() {
                fs::create_dir_all(&to).expect("room");
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).expect("room");
            }
        }
    }
    let folder = Folder::with("began", b"");
    copy(from, Path::new(folder.path()));
    folder
}

fn flushing(kind: Kind) {
    let debug = ("enable-debug-command", "yes");
    let Some(server) = Server::start(kind, &[debug]) else { return };
    let mut client = server.client();
    let running = |server: &Server| field(server, "persistence", "rdb_bgsave_in_progress");
    let size = || fs::metadata(server.dir.join("dump.rdb")).map(|file| file.len()).unwrap_or(0);
    ok(&mut client, "DEBUG POPULATE 1000");
    ok(&mut client, "SAVE");
    let full = size();
    // Without rules the save that runs is given up, and the file stays as it is.
    ok(&mut client, "CONFIG SET rdb-key-save-delay 100000");
    assert_eq!(client.line("BGSAVE").text(), "Background saving started");
    assert_eq!(running(&server), "1");
    ok(&mut client, "FLUSHALL");
    until("the save is given up", || running(&server) == "0");
    assert_eq!(size(), full);
    assert_eq!(field(&server, "persistence", "rdb_last_bgsave_status"), "ok");
    // With rules the file is emptied too, although no rule is due.
    ok(&mut client, "CONFIG SET save \"3600 1000000\"");
    ok(&mut client, "DEBUG POPULATE 1000");
    assert_eq!(client.line("BGSAVE").text(), "Background saving started");
    let saves = field(&server, "persistence", "rdb_saves");
    ok(&mut client, "FLUSHALL");
    until("the save is given up", || running(&server) == "0");
    assert!(size() < full / 10, "{} of {full} bytes", size());
    assert_eq!(field(&server, "persistence", "rdb_changes_since_last_save"), "0");
    assert_eq!(field(&server, "persistence", "rdb_saves"), saves);
    // FLUSHDB does nothing of the kind; in a transaction FLUSHALL does.
    ok(&mut client, "CONFIG SET rdb-key-save-delay 0");
    ok(&mut client, "DEBUG POPULATE 1000");
    ok(&mut client, "SAVE");
    ok(&mut client, "FLUSHDB");
    assert_eq!(size(), full);
    ok(&mut client, "DEBUG POPULATE 1000");
    ok(&mut client, "MULTI");
    client.line("FLUSHALL ASYNC");
    client.line("EXEC");
    assert!(size() < full / 10, "{} of {full} bytes", size());
}

#[test]
fn flushing_everything_empties_the_file() {
    flushing(Kind::Ours);
    flushing(Kind::Redis7);
}

#[test]
fn what_was_flushed_does_not_come_back_after_a_crash() {
    let mut server = Server::ours(&[("save", "3600 1"), ("enable-debug-command", "yes")]);
    let mut client = server.client();
    ok(&mut client, "DEBUG POPULATE 1000");
    ok(&mut client, "SAVE");
    ok(&mut client, "FLUSHALL");
    kill(&mut server);
    let folder = copied(&server.dir);
    let again = Server::ours(&[("dir", folder.path())]);
    assert_eq!(again.client().line("DBSIZE").int(), 0);
}

#[test]
fn reloading_keeps_all_data() {
    for appendonly in ["no", "yes"] {
        let server = Server::ours(&[("enable-debug-command", "yes"), ("appendonly", appendonly)]);
        let mut client = server.client();
        data::fill(&mut client, true);
        let before = digest(&mut client);
        ok(&mut client, "DEBUG RELOAD");
        assert_eq!(digest(&mut client), before);
        ok(&mut client, "DEBUG RELOAD NOSAVE NOFLUSH MERGE");
        assert_eq!(digest(&mut client), before);
        // A key that is in both is a mistake without MERGE; what is there by then stays, and the server goes on.
        let refused = client.line("DEBUG RELOAD NOSAVE NOFLUSH").text();
        assert!(refused.starts_with("ERR Error trying to load the RDB dump"), "{refused}");
        ok(&mut client, "DEBUG RELOAD NOSAVE");
        assert_eq!(digest(&mut client), before);
        let applied = client.line("DEBUG LOADAOF");
        match appendonly {
            "yes" => {
                assert_eq!(applied.to_string(), "+OK");
                ok(&mut client, "SET one more");
                let before = digest(&mut client);
                ok(&mut client, "DEBUG LOADAOF");
                assert_eq!(digest(&mut client), before);
            }
            _ => {
                assert!(applied.text().starts_with("ERR Error trying to load the AOF files"), "{applied}");
                assert_eq!(digest(&mut client), before, "nothing was removed");
            }
        }
        fs::remove_file(server.dir.join("dump.rdb")).expect("saved");
        assert!(client.line("DEBUG RELOAD NOSAVE").is_error());
        ok(&mut client, "MULTI");
        client.line("DEBUG RELOAD");
        assert!(client.line("EXEC").to_string().contains("not possible inside a transaction"));
    }
}

/// What was acknowledged is there after any number of reloads.
#[test]
fn reloading_loses_no_write() {
    let server = Server::ours(&[("enable-debug-command", "yes"), ("appendonly", "yes"), ("io-threads", "2")]);
    let mut client = server.client();
    ok(&mut client, "DEBUG POPULATE 5000");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|number| {
                let (server, stop) = (&server, &stop);
                scope.spawn(move || {
                    let (mut client, key) = (server.client(), format!("counter{number}"));
                    let mut acknowledged = 0;
                    while !stop.load(Relaxed) {
                        match client.call(&["INCR", &key]) {
                            Reply::Int(value) => {
                                assert_eq!(value, acknowledged + 1, "{key}");
                                acknowledged = value;
                            }
                            refused => assert!(refused.text().starts_with("LOADING"), "{refused}"),
                        }
                    }
                    (key, acknowledged)
                })
            })
            .collect();
        for round in 0..12 {
            ok(&mut client, if round % 2 == 0 { "DEBUG RELOAD" } else { "DEBUG LOADAOF" });
        }
        stop.store(true, Relaxed);
        for writer in writers {
            let (key, acknowledged) = writer.join().expect("no panic");
            assert_eq!(client.call(&["GET", &key]).text(), acknowledged.to_string());
            assert!(acknowledged > 0);
        }
    });
}

#[test]
fn a_replica_that_reloads_goes_on_with_the_stream() {
    let primary = Server::ours(&[]);
    let replica = Server::ours(&[("enable-debug-command", "yes")]);
    let mut client = primary.client();
    data::fill(&mut client, true);
    follow(&replica, primary.port);
    ok(&mut client, "SELECT 2");
    let mut of_replica = replica.client();
    for round in 0..5 {
        for at in 0..200 {
            client.send(&["RPUSH", &format!("list{}", at % 20), &format!("{round}-{at}")]).expect("sent");
        }
        ok(&mut of_replica, "DEBUG RELOAD");
        for _ in 0..200 {
            assert!(!client.read().expect("a reply").is_error());
        }
    }
    settle(&primary, &replica);
}

/// A process that is killed while it saves leaves the file before; what it saved then is whole.
#[test]
fn a_killed_save_leaves_the_file_before() {
    let mut folder = Folder::with("began", b"");
    for round in 0..6u32 {
        let options = [("dir", folder.path()), ("enable-debug-command", "yes"), ("save", "")];
        let mut server = Server::ours(&options);
        let mut client = server.client();
        if round > 0 {
            assert_eq!(client.line("GET round").text(), (round - 1).to_string(), "{}", server.log());
            assert_eq!(client.line("DBSIZE").int(), 2001);
        }
        ok(&mut client, "DEBUG POPULATE 2000");
        ok(&mut client, &format!("SET round {round}"));
        ok(&mut client, "SAVE");
        ok(&mut client, "SET round unsaved");
        ok(&mut client, "DEBUG POPULATE 9000");
        ok(&mut client, "CONFIG SET rdb-key-save-delay 200");
        assert_eq!(client.line("BGSAVE").text(), "Background saving started");
        let saved = || field(&server, "persistence", "current_save_keys_processed").parse().unwrap_or(0);
        until("it has begun to write", || saved() > round * 1200);
        assert_eq!(field(&server, "persistence", "rdb_bgsave_in_progress"), "1");
        kill(&mut server);
        folder = copied(Path::new(folder.path()));
    }
}

/// A replica's append-only file alone makes the primary's data, its full sync and the stream after it included.
#[test]
fn a_replicas_file_makes_the_primarys_data() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(primary) = Server::start(kind, &[("enable-debug-command", "yes")]) else { return };
        let settings = [("appendonly", "yes"), ("enable-debug-command", "yes"), ("appendfsync", "everysec")];
        let mut replica = Server::ours(&settings);
        let mut client = primary.client();
        replica.client().line("SET lost before");
        data::fill(&mut client, false);
        follow(&replica, primary.port);
        for line in
            ["SELECT 4", "SET timed x PXAT 9999999999999", "INCR counter", "FLUSHDB", "MULTI", "INCR a"]
        {
            client.line(line);
        }
        for line in ["INCR a", "EXEC", "SPOP set:2000 5", "XADD stream:7 * a b", "SELECT 7", "DEL long"] {
            client.line(line);
        }
        settle(&primary, &replica);
        until("the rewrite after the sync is done", || {
            field(&replica, "persistence", "aof_rewrite_in_progress") == "0"
                && field(&replica, "persistence", "aof_rewrite_scheduled") == "0"
        });
        client.line("SELECT 4");
        client.line("SET after everything");
        settle(&primary, &replica);
        until("all is written", || field(&replica, "persistence", "aof_buffer_length") == "0");
        let expected = digest(&mut replica.client());
        kill(&mut replica);
        let folder = copied(&replica.dir);
        assert!(!Path::new(folder.path()).join("dump.rdb").exists());
        let again = Server::ours(&[&settings[..], &[("dir", folder.path())]].concat());
        assert_eq!(digest(&mut again.client()), expected, "{}", again.log());
        if kind == Kind::Ours {
            assert_eq!(digest(&mut client), expected);
        }
    }
}

/// Events of the append-only file are told to the latency monitor, where they take their time.
#[test]
fn a_slow_disk_shows_in_the_latency_monitor() {
    let server = Server::ours(&[("appendonly", "yes"), ("latency-monitor-threshold", "1")]);
    let mut client = server.client();
    let value = "x".repeat(16 << 20);
    let deadline = Instant::now() + Duration::from_secs(30);
    while client.line("LATENCY HISTORY aof-write").to_string().lines().count() < 2 {
        assert!(Instant::now() < deadline, "writing 16 MB never took a millisecond");
        assert!(!client.call(&["SET", "k", &value]).is_error());
    }
}
