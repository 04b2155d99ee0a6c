//! Append-only files of the reference server, loaded at the start: every form of them, and what is said of files that are
//! damaged.

use redoubt_tests::data::{Folder, fill};
use redoubt_tests::random::state;
use redoubt_tests::{Kind, Server};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder exists") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

/// A folder with what a filled server of the reference has appended, and what it held.
fn appended(kind: Kind, options: &[(&str, &str)], rewrite: bool) -> Option<(Folder, state::State)> {
    let always = [("appendonly", "yes"), ("appendfsync", "always")];
    let server = Server::start(kind, &[&always, options].concat())?;
    let mut client = server.client();
    fill(&mut client, kind == Kind::Redis8);
    if rewrite {
        assert!(!client.call(&["BGREWRITEAOF"]).is_error());
        wait_until("the rewrite ends", || {
            let info = client.call(&["INFO", "persistence"]).text();
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
        });
    }
    for call in [
        "SELECT 3",
        "SET later x",
        "MULTI",
        "INCR n",
        "INCR n",
        "EXEC",
        "SET gone x PX 1",
        "SELECT 0",
        "APPEND long x",
    ] {
        assert!(!client.line(call).is_error(), "{call}");
    }
    client.call(&["SELECT", "3"]);
    wait_until("it expires", || client.call(&["EXISTS", "gone"]).int() == 0);
    client.call(&["SELECT", "0"]);
    let state = state::read(&mut client).expect("the server answers");
    let folder = Folder::with("none", b"");
    copy(&server.dir.join("appendonlydir"), &folder.0.join("appendonlydir"));
    Some((folder, state))
}

fn ours(folder: &Folder, options: &[(&str, &str)]) -> Server {
    Server::ours(&[&[("appendonly", "yes"), ("dir", folder.path())], options].concat())
}

fn assert_holds(server: &Server, expected: &state::State) {
    let found = state::read(&mut server.client()).expect("the server answers");
    let difference = state::difference(&found, expected);
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
}

#[test]
fn what_the_reference_appended_is_loaded() {
    let timed: &[(&str, &str)] = &[("aof-timestamp-enabled", "yes")];
    let commands: &[(&str, &str)] = &[("aof-use-rdb-preamble", "no")];
    for (kind, options, rewrite) in [
        (Kind::Redis7, timed, false),
        (Kind::Redis7, &[], true),
        (Kind::Redis7, commands, true),
        (Kind::Redis8, &[], true),
        (Kind::Redis8, commands, true),
    ] {
        let Some((folder, expected)) = appended(kind, options, rewrite) else { continue };
        let mut server = ours(&folder, &[]);
        assert_holds(&server, &expected);
        assert!(server.log().contains("DB loaded from append only file"), "{}", server.log());
        // It goes on where the other ended.
        let mut client = server.client();
        client.call(&["SET", "ours", "too"]);
        client.send(&["SHUTDOWN"]).expect("it listens");
        server.wait_exit(TIMEOUT).expect("SHUTDOWN ends it");
        let server = ours(&folder, &[]);
        assert_eq!(server.client().call(&["GET", "ours"]).text(), "too");
    }
}

fn commands(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        words
            .iter()
            .for_each(|word| bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes()));
    }
    bytes
}

#[test]
fn a_file_of_before_version_7_is_taken_over() {
    let lines = [
        "SELECT 1",
        "SET a 1",
        "SELECT 0",
        "SET a 0",
        "EXPIRE a 1000",
        "SETEX b 1000 x",
        "PEXPIREAT a 99999999999999",
    ];
    let mut bytes = commands(&lines);
    if let Some(server) = Server::start(Kind::Redis7, &[]) {
        // With an RDB file before the commands.
        let mut client = server.client();
        client.call(&["SET", "old", "1"]);
        client.call(&["SAVE"]);
        bytes = [fs::read(server.dir.join("dump.rdb")).expect("SAVE writes it"), bytes].concat();
    }
    let folder = Folder::with("appendonly.aof", &bytes);
    for _ in 0..2 {
        let server = ours(&folder, &[]);
        let mut client = server.client();
        assert_eq!(client.call(&["GET", "a"]).text(), "0");
        assert_eq!(client.call(&["PEXPIRETIME", "a"]).int(), 99_999_999_999_999);
        assert!(client.call(&["TTL", "b"]).int() > 900);
        assert_eq!(client.call(&["EXISTS", "old"]).int(), i64::from(bytes.starts_with(b"REDIS")));
        client.call(&["SELECT", "1"]);
        assert_eq!(client.call(&["GET", "a"]).text(), "1");
        assert!(!folder.0.join("appendonly.aof").exists());
    }
}

/// A folder whose only increment is this.
fn incremental(bytes: &[u8]) -> Folder {
    let folder = Folder::with("none", b"");
    let dir = folder.0.join("appendonlydir");
    fs::create_dir(&dir).expect("a folder can be made");
    fs::write(dir.join("appendonly.aof.1.incr.aof"), bytes).expect("a file can be written");
    fs::write(dir.join("appendonly.aof.manifest"), "file appendonly.aof.1.incr.aof seq 1 type i\n")
        .expect("as above");
    folder
}

fn increment(folder: &Folder) -> std::path::PathBuf {
    folder.0.join("appendonlydir/appendonly.aof.1.incr.aof")
}

/// Exit code and output of a server that cannot start.
fn refused(folder: &Folder, options: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(Kind::Ours.program().expect("our own"));
    command.args(["--port", "0", "--appendonly", "yes", "--dir", folder.path()]).args(options);
    let output = command.output().expect("it can be run");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn an_end_that_is_missing_is_cut_off_or_refused() {
    let whole = commands(&["SELECT 0", "SET a 1", "SET b 2"]);
    let opened = commands(&["MULTI", "SET a 9", "SET b 9"]);
    for (tail, intact) in [
        (whole[..whole.len() - 3].to_vec(), commands(&["SELECT 0", "SET a 1"]).len()),
        ([whole.clone(), opened].concat(), whole.len()),
        ([whole.clone(), vec![0; 100]].concat(), whole.len()),
    ] {
        let folder = incremental(&tail);
        let (code, text) = refused(&folder, &["--aof-load-truncated", "no"]);
        assert!(code == Some(1) && text.contains("Unexpected end of file"), "{text}");
        assert!(text.contains("appendonly.aof.1.incr.aof") && text.contains("at byte"), "{text}");
        assert_eq!(fs::read(increment(&folder)).expect("it exists"), tail);
        let server = ours(&folder, &[]);
        assert_eq!(server.client().call(&["GET", "a"]).text(), "1");
        assert!(server.log().contains("aof-load-truncated is enabled"), "{}", server.log());
        assert_eq!(fs::read(increment(&folder)).expect("it exists"), whole[..intact]);
    }
}

#[test]
fn what_is_no_command_is_refused_with_its_place() {
    let good = commands(&["SELECT 0", "SET a 1"]);
    let at = format!("at byte {}", good.len());
    for (bad, expected) in [
        (b"garbage\r\n".to_vec(), "Bad file format"),
        (commands(&["NOSUCH a"]), "unknown command"),
        (commands(&["GET"]), "wrong number of arguments"),
        (commands(&["SELECT 99"]), "DB index is out of range"),
    ] {
        let folder = incremental(&[good.clone(), bad, commands(&["SET b 2"])].concat());
        let (code, text) = refused(&folder, &[]);
        assert!(code == Some(1) && text.contains(expected), "{text}");
        assert!(text.contains("appendonly.aof.1.incr.aof") && text.contains(&at), "{text}");
        assert!(!text.contains("Ready to accept"), "{text}");
    }
    let folder = incremental(b"");
    fs::remove_file(increment(&folder)).expect("it exists");
    let (code, text) = refused(&folder, &[]);
    assert!(code == Some(1) && text.contains("appendonly.aof.1.incr.aof"), "{text}");
    fs::write(folder.0.join("appendonlydir/appendonly.aof.manifest"), "nonsense\n").expect("as above");
    let (code, text) = refused(&folder, &[]);
    assert!(code == Some(1) && text.contains("appendonly.aof.manifest"), "{text}");
}

#[test]
fn only_the_last_file_may_lack_its_end() {
    let folder = incremental(&commands(&["SET a 1"])[..10]);
    let dir = folder.0.join("appendonlydir");
    fs::write(dir.join("appendonly.aof.2.incr.aof"), commands(&["SET b 1"])).expect("a file can be written");
    let manifest =
        "file appendonly.aof.1.incr.aof seq 1 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n";
    fs::write(dir.join("appendonly.aof.manifest"), manifest).expect("as above");
    let (code, text) = refused(&folder, &[]);
    assert!(code == Some(1) && text.contains("Unexpected end of file"), "{text}");
}

#[test]
fn the_append_only_file_goes_before_the_snapshot() {
    let folder = incremental(&commands(&["SET a 1"]));
    // A file that cannot be read, which nobody reads.
    fs::write(folder.0.join("dump.rdb"), "nonsense").expect("a file can be written");
    let server = ours(&folder, &[]);
    assert_eq!(server.client().call(&["DBSIZE"]).int(), 1);
}
