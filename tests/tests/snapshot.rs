//! Saving: the reference loads what SAVE and BGSAVE write, rules and failures do what they do in Redis, and who ends the
//! server does not lose data.

use redoubt_tests::data::Folder;
use redoubt_tests::{Client, Kind, Reply, Server};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(30);

/// Waits until the question is answered with yes.
fn wait_until(what: &str, mut question: impl FnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !question() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A field of INFO persistence.
fn info(client: &mut Client, field: &str) -> String {
    let text = client.call(&["INFO", "persistence"]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in\n{text}")).to_owned()
}

fn bgsave(client: &mut Client) {
    assert_eq!(client.line("BGSAVE").text(), "Background saving started");
    wait_until("the save ends", || info(client, "rdb_bgsave_in_progress") == "0");
    assert_eq!(info(client, "rdb_last_bgsave_status"), "ok");
}

/// Has the reference load the file that ours has saved.
fn load(ours: &Server, theirs: &Server) -> Client {
    fs::copy(ours.dir.join("dump.rdb"), theirs.dir.join("dump.rdb")).expect("saved");
    let mut client = theirs.client();
    let reply = client.line("DEBUG RELOAD NOSAVE");
    assert_eq!(reply, Reply::Status(b"OK".to_vec()), "{}", theirs.log());
    client
}

fn fill(client: &mut Client, timed: bool) {
    let mut call = |line: &str| {
        let reply = client.line(line);
        assert!(!reply.is_error(), "{line}: {reply}");
    };
    for at in 0..600 {
        call(&format!("SET string{at} {}", "value ".trim().repeat(at % 50 + 1)));
        call(&format!("RPUSH list element{at} {at}"));
        call(&format!("SADD set member{at}"));
        call(&format!("SADD ints{} {at}", at % 7));
        call(&format!("ZADD zset {}.5 member{at}", at % 100));
        call(&format!("HSET hash field{at} {at}"));
        call(&format!("XADD stream {}-{at} field value other {at}", at / 5 + 1));
    }
    call("PEXPIREAT string1 4000000000000");
    call("XGROUP CREATE stream group 5-22");
    call("XREADGROUP GROUP group reader COUNT 50 STREAMS stream >");
    call("XACK stream group 6-25");
    if timed {
        call("HPEXPIREAT hash 4000000000000 FIELDS 2 field1 field2");
    }
    call("SELECT 9");
    call("SET other database");
    call("SELECT 0");
}

/// Values that are saved in parts.
fn fill_big(client: &mut Client, timed: bool) {
    let mut rng = fastrand::Rng::with_seed(5);
    let noise: String = (0..700_000).map(|_| rng.alphanumeric()).collect();
    client.call(&["SET", "big:text", &"some text and more of it ".repeat(30_000)]);
    client.call(&["SET", "big:noise", &noise]);
    let words = |head: [&str; 2], word: fn(u32) -> String| {
        head.map(str::to_owned).into_iter().chain((0..9000).map(word)).collect::<Vec<_>>()
    };
    client.call(&words(["RPUSH", "big:list"], |at| format!("element {at}")));
    client.call(&words(["SADD", "big:set"], |at| format!("member {at}")));
    client.call(&words(["HSET", "big:hash"], |at| format!("{at}")));
    client.call(&words(["ZADD", "big:zset"], |at| format!("{at}")));
    for at in 1..=3000 {
        client.send(&["XADD", "big:stream", &format!("{at}-1"), "field", &at.to_string()]).expect("sent");
    }
    for _ in 1..=3000 {
        assert!(!client.read().expect("a reply").is_error());
    }
    client.line("XGROUP CREATE big:stream group 0");
    client.line("XREADGROUP GROUP group reader COUNT 2500 STREAMS big:stream >");
    if timed {
        client.line("HPEXPIREAT big:hash 4000000000000 FIELDS 3 0 44 4444");
    }
}

fn exchange(kind: Kind, version: &str, timed: bool, save: &str) {
    let Some(theirs) = Server::start(kind, &[("enable-debug-command", "yes")]) else { return };
    let Some(again) = Server::start(kind, &[("enable-debug-command", "yes")]) else { return };
    let ours = Server::ours(&[("rdb-version", version), ("maxmemory-policy", "allkeys-lru")]);
    let (mut our_client, mut their_client) = (ours.client(), theirs.client());
    for client in [&mut our_client, &mut their_client] {
        fill(client, timed);
        fill_big(client, timed);
    }
    match save {
        "BGSAVE" => bgsave(&mut our_client),
        _ => assert_eq!(our_client.line("SAVE").text(), "OK"),
    }
    let mut loaded = load(&ours, &again);
    // Groups' times of delivery differ, so streams are compared by what they hold.
    for (line, except) in [
        ("XRANGE stream - +", ""),
        ("XPENDING stream group", ""),
        ("XRANGE big:stream - +", ""),
        ("XPENDING big:stream group", "stream"),
        ("DEBUG DIGEST", "big:stream"),
    ] {
        if !except.is_empty() {
            loaded.call(&["DEL", except]);
            their_client.call(&["DEL", except]);
        }
        assert_eq!(loaded.line(line), their_client.line(line), "{line}");
    }
    assert_eq!(loaded.line("PEXPIRETIME string1").int(), 4_000_000_000_000);
    if timed {
        let times = loaded.line("HPEXPIRETIME hash FIELDS 2 field2 field3");
        assert_eq!(times, their_client.line("HPEXPIRETIME hash FIELDS 2 field2 field3"));
    }
}

#[test]
fn redis_7_loads_what_is_saved() {
    exchange(Kind::Redis7, "10", false, "SAVE");
    exchange(Kind::Redis7, "10", false, "BGSAVE");
}

/// Functions cannot run here yet; they must not be lost on the way through, by file or by replication.
#[test]
fn functions_go_through_untouched() {
    let Some(theirs) = Server::start(Kind::Redis7, &[]) else { return };
    let Some(again) = Server::start(Kind::Redis7, &[("enable-debug-command", "yes")]) else { return };
    let mut client = theirs.client();
    let code = "#!lua name=mylib\nredis.register_function('f', function() return 1 end)";
    assert_eq!(client.call(&["FUNCTION", "LOAD", code]).text(), "mylib");
    client.line("SET key value");
    let listed = client.line("FUNCTION LIST WITHCODE");
    assert_eq!(client.line("SAVE").text(), "OK");
    let folder = Folder::with("dump.rdb", &fs::read(theirs.dir.join("dump.rdb")).expect("saved"));
    let loaded = Server::ours(&[("rdb-version", "10"), ("dir", folder.path())]);
    assert_eq!(loaded.client().line("SAVE").text(), "OK");
    let port = theirs.port.to_string();
    let replica = Server::ours(&[("rdb-version", "10"), ("replicaof", &format!("127.0.0.1 {port}"))]);
    let mut to_replica = replica.client();
    wait_until("the replica has the data", || to_replica.line("DBSIZE") == Reply::Int(1));
    assert_eq!(to_replica.line("SAVE").text(), "OK");
    for (path, what) in [(Path::new(folder.path()), "file"), (&replica.dir, "replication")] {
        fs::copy(path.join("dump.rdb"), again.dir.join("dump.rdb")).expect("saved");
        let mut client = again.client();
        assert_eq!(client.line("FUNCTION FLUSH").text(), "OK");
        assert_eq!(client.line("DEBUG RELOAD NOSAVE").text(), "OK", "{}", again.log());
        assert_eq!(client.line("FUNCTION LIST WITHCODE"), listed, "by {what}");
    }
}

#[test]
fn redis_8_loads_what_is_saved() {
    exchange(Kind::Redis8, "11", false, "BGSAVE");
    // Hash fields that expire take the newest version, whatever the setting says.
    exchange(Kind::Redis8, "11", true, "BGSAVE");
}

/// Tells the writers to stop, even after a failure.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_file_saved_under_load_is_one_moment() {
    let Some(theirs) = Server::start(Kind::Redis7, &[("enable-debug-command", "yes")]) else { return };
    let ours = Server::ours(&[("rdb-version", "10")]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (mut client, stop) = (ours.client(), &stop);
            scope.spawn(move || {
                for round in 0u64.. {
                    if stop.load(Relaxed) {
                        break;
                    }
                    client.line("MULTI");
                    ["a", "b", "c", "d", "e"].iter().for_each(|name| drop(client.call(&["INCR", name])));
                    client.line("EXEC");
                    // One after the other: the second is never ahead of the first.
                    client.call(&["SET", &format!("first{writer}"), &round.to_string()]);
                    client.call(&["SET", &format!("second{writer}"), &round.to_string()]);
                    client.call(&[
                        "SET",
                        &format!("key{}", round % 500),
                        &"x".repeat((round % 300) as usize),
                    ]);
                }
            });
        }
        let _stop = Stop(&stop);
        let mut client = ours.client();
        for _ in 0..5 {
            bgsave(&mut client);
            let mut loaded = load(&ours, &theirs);
            let mut number = |name: &str| match loaded.call(&["GET", name]) {
                none if none.is_nil() => 0u64,
                number => number.text().parse().expect("a number"),
            };
            let counters = ["a", "b", "c", "d", "e"].map(&mut number);
            assert_eq!(counters, [counters[0]; 5]);
            for writer in 0..3 {
                let (first, second) = (number(&format!("first{writer}")), number(&format!("second{writer}")));
                assert!(first == second || first == second + 1, "{first} {second}");
            }
        }
    });
}

#[test]
fn rules_save_and_the_figures_say_so() {
    let ours = Server::ours(&[("save", "1 10 3600 1")]);
    let mut client = ours.client();
    let saved = || ours.dir.join("dump.rdb").exists();
    for at in 0..9 {
        client.call(&["SET", &format!("key{at}"), "value"]);
    }
    assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "9");
    assert!(!saved());
    client.line("SET key9 value");
    wait_until("the rule saves", saved);
    wait_until("it is over", || info(&mut client, "rdb_changes_since_last_save") == "0");
    assert_eq!(info(&mut client, "rdb_saves"), "1");
    assert!(client.line("LASTSAVE").int() > 1_700_000_000);
    // A rule that is not due does nothing, one that CONFIG SET gives does.
    client.line("SET more value");
    assert_eq!(client.line("CONFIG SET save \"1 1\"").text(), "OK");
    wait_until("the new rule saves", || info(&mut client, "rdb_saves") == "2");
}

#[test]
fn a_save_that_fails_stops_writes_until_one_succeeds() {
    let dir = std::env::temp_dir().join(format!("redoubt-snapshot-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    let path = dir.display().to_string();
    let ours = Server::ours(&[("dir", &path), ("save", "3600 1")]);
    let mut client = ours.client();
    assert_eq!(client.line("SET k v").text(), "OK");
    fs::remove_dir_all(&dir).expect("made above");
    assert!(client.line("SAVE").is_error());
    // As in Redis only what happens in the background counts.
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
    client.line("BGSAVE");
    wait_until("it fails", || info(&mut client, "rdb_last_bgsave_status") == "err");
    let refused = client.line("SET k w").text();
    assert!(refused.starts_with("MISCONF Redis is configured to save RDB snapshots"), "{refused}");
    assert_eq!(client.line("GET k").text(), "v");
    // Nor does it end.
    let refused = client.line("SHUTDOWN").text();
    assert!(refused.starts_with("ERR Errors trying to SHUTDOWN"), "{refused}");
    client.line("CONFIG SET stop-writes-on-bgsave-error no");
    assert_eq!(client.line("SET k w").text(), "OK");
    client.line("CONFIG SET stop-writes-on-bgsave-error yes");
    assert!(client.line("SET k x").is_error());
    fs::create_dir_all(&dir).expect("a folder");
    // The rule is not due for an hour; this is what an operator would do.
    bgsave(&mut client);
    assert_eq!(client.line("SET k x").text(), "OK");
    assert_eq!(fs::read_dir(&dir).expect("a folder").count(), 1, "a temporary file is left");
    drop(ours);
    fs::remove_dir_all(&dir).expect("made above");
}

/// Ends a server this way; its file, if there is one.
fn end(options: &[(&str, &str)], how: impl FnOnce(&Server, &mut Client)) -> Option<Vec<u8>> {
    let mut ours = Server::ours(options);
    let mut client = ours.client();
    client.line("SET unmistakable-key value");
    how(&ours, &mut client);
    let code = ours.wait_exit(WITHIN).expect("it ends");
    assert_eq!(code, Some(0), "{}", ours.log());
    fs::read(ours.dir.join("dump.rdb")).ok()
}

fn send(client: &mut Client, line: &str) {
    client.send_raw(format!("{line}\r\n").as_bytes()).expect("it listens");
}

#[test]
fn the_end_saves_where_rules_or_words_say_so() {
    let holds = |file: Option<Vec<u8>>| {
        file.is_some_and(|file| file.windows(16).any(|window| window == b"unmistakable-key"))
    };
    let rules = &[("save", "3600 1")][..];
    assert!(holds(end(rules, |_, client| send(client, "SHUTDOWN"))));
    assert!(holds(end(&[], |_, client| send(client, "SHUTDOWN SAVE"))));
    assert!(end(&[], |_, client| send(client, "SHUTDOWN NOW")).is_none());
    assert!(end(rules, |_, client| send(client, "SHUTDOWN NOSAVE")).is_none());
    let term = |server: &Server, _: &mut Client| {
        let done = Command::new("kill").args(["-TERM", &server.pid().to_string()]).status();
        assert!(done.expect("kill runs").success());
    };
    assert!(holds(end(rules, term)));
    assert!(end(&[], term).is_none());
    assert!(end(&[("save", "3600 1"), ("shutdown-on-sigterm", "nosave")], term).is_none());
}

/// The file of changes is no data before it has its base: a start would find nothing.
#[test]
fn the_end_waits_for_the_first_append_only_file() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let options = [("save", ""), ("rdb-key-save-delay", "100000000")];
        let Some(mut server) = Server::start(kind, &options) else { continue };
        let mut client = server.client();
        client.line("SET k v");
        assert_eq!(client.line("CONFIG SET appendonly yes").text(), "OK");
        let error = client.line("SHUTDOWN").text();
        assert!(error.contains("Errors trying to SHUTDOWN"), "{kind:?}: {error}");
        assert_eq!(client.line("GET k").text(), "v");
        client.send(&["SHUTDOWN", "FORCE"]).unwrap();
        assert!(server.wait_exit(Duration::from_secs(10)).unwrap().is_some(), "{kind:?}: it does not end");
    }
}
