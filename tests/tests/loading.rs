//! Files of the reference server, loaded at the start; what is answered meanwhile; what is said of files that are
//! damaged.

use redoubt_tests::data::{Folder, fill};
use redoubt_tests::random::state;
use redoubt_tests::reply::Reply;
use redoubt_tests::{Client, Kind, Server};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The file of a filled server, and what it held.
fn saved(kind: Kind, options: &[(&str, &str)]) -> Option<(Vec<u8>, state::State)> {
    let server = Server::start(kind, &[options, &[("enable-debug-command", "yes")]].concat())?;
    let mut client = server.client();
    fill(&mut client, kind == Kind::Redis8);
    // Saved although it has expired.
    assert!(!client.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]).is_error());
    client.call(&["SET", "late", "x", "PX", "1"]);
    let micros = |client: &mut Client| {
        let time: Vec<i64> =
            client.call(&["TIME"]).list().iter().map(|part| part.text().parse().expect("a number")).collect();
        time[0] * 1_000_000 + time[1]
    };
    let set = micros(&mut client);
    while micros(&mut client) < set + 3000 {}
    assert_eq!(client.call(&["SAVE"]), Reply::Status(b"OK".to_vec()));
    let file = fs::read(server.dir.join("dump.rdb")).expect("SAVE writes it");
    Some((file, state::read(&mut client).expect("the server answers")))
}

#[test]
fn files_of_the_reference_are_loaded() {
    let old: &[(&str, &str)] = &[("rdbcompression", "no"), ("rdbchecksum", "no")];
    let small = &[
        ("list-max-listpack-size", "3"),
        ("zset-max-listpack-entries", "3"),
        ("hash-max-listpack-entries", "3"),
    ];
    for (kind, options) in
        [(Kind::Redis7, &[][..]), (Kind::Redis7, old), (Kind::Redis8, &[]), (Kind::Redis8, small)]
    {
        let Some((file, expected)) = saved(kind, options) else { continue };
        let folder = Folder::with("dump.rdb", &file);
        for threads in ["1", "4"] {
            let server = Server::ours(&[("dir", folder.path()), ("io-threads", threads)]);
            let mut client = server.client();
            let found = state::read(&mut client).expect("the server answers");
            let difference = state::difference(&found, &expected);
            assert!(difference.is_none(), "{}: {}", kind.name(), difference.unwrap_or_default());
            if kind == Kind::Redis8 {
                assert!(client.call(&["HTTL", "hash:7", "FIELDS", "1", "f1"]).list()[0].int() > 0);
            }
            let info = client.call(&["INFO", "persistence"]).text();
            assert!(info.contains("\r\nloading:0\r\n") && !info.contains("loading_eta"), "{info}");
            assert!(info.contains(&format!("rdb_last_load_keys_loaded:{}\r\n", expected.len())), "{info}");
            assert!(info.contains("rdb_last_load_keys_expired:1\r\n"), "{info}");
            let log = server.log();
            assert!(
                log.contains("Loading RDB produced by version") && log.contains("DB loaded from disk"),
                "{log}"
            );
        }
    }
}

#[test]
fn no_file_is_an_empty_server() {
    let server = Server::ours(&[("dbfilename", "none.rdb")]);
    assert_eq!(server.client().call(&["DBSIZE"]).int(), 0);
}

/// Starts a server that takes its time to load, and waits until it listens.
fn loading(kind: Kind, folder: &Folder) -> Option<(std::process::Child, std::net::SocketAddr)> {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let mut command = Command::new(kind.program()?);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir", folder.path()]);
    command.args(["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"]);
    command.args(["--logfile", "server.log"]);
    let child = command.spawn().expect("it can be run");
    Some((child, ([127, 0, 0, 1], port).into()))
}

fn connect(address: std::net::SocketAddr) -> Client {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match Client::connect(address) {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "{error:#}"),
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// What each call is answered while the server loads; INFO's fields instead of its text.
fn answers(address: std::net::SocketAddr) -> Vec<String> {
    let mut client = connect(address);
    let calls = [
        "PING",
        "GET a",
        "SET a b",
        "DBSIZE",
        "SELECT 1",
        "ECHO x",
        "AUTH x",
        "HELLO 2 extra",
        "CLIENT SETNAME x",
        "CLIENT GETNAME",
        "CONFIG GET maxmemory",
        "CONFIG SET appendonly yes",
        "CONFIG SET maxmemory 100mb appendonly no",
        "COMMAND COUNT extra",
        "SUBSCRIBE",
        "PUBLISH a b",
        "MULTI",
        "GET a",
        "EXEC",
        "DISCARD",
        "RESTORE a 0 x",
        "NOSUCH",
        "SCAN 0",
        "FLUSHALL",
    ];
    let mut lines: Vec<String> = calls
        .iter()
        .map(|call| {
            let words: Vec<&str> = call.split(' ').collect();
            format!("{call}: {}", client.call(&words))
        })
        .collect();
    let info = client.call(&["INFO", "persistence"]).text();
    let names = info.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name);
    lines.extend(names.filter(|name| name.contains("loading")).map(str::to_owned));
    lines.push(format!("{}", info.contains("\r\nloading:1\r\n")));
    lines
}

#[test]
fn while_it_loads_it_answers_as_the_reference() {
    let Some((file, _)) = saved(Kind::Redis7, &[]) else { return };
    let folder = Folder::with("dump.rdb", &file);
    let mut found = Vec::new();
    for kind in [Kind::Redis7, Kind::Ours] {
        let Some((mut child, address)) = loading(kind, &folder) else { continue };
        found.push(answers(address));
        let mut client = connect(address);
        client.send(&["SHUTDOWN", "NOSAVE"]).expect("it listens");
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = child.try_wait().expect("its own child") {
                break status;
            }
            assert!(Instant::now() < deadline, "SHUTDOWN does not end it");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "{}: {status}", kind.name());
    }
    let [reference, ours] = &found[..] else { return };
    assert_eq!(ours, reference);
    assert!(ours.iter().any(|line| line.contains("-LOADING")), "{ours:?}");
}

/// Exit code and output of a server that cannot start.
fn refused(folder: &Path, options: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(Kind::Ours.program().expect("our own"));
    command.args(["--port", "0", "--save", ""]).arg("--dir").arg(folder).args(options);
    let output = command.output().expect("it can be run");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_its_place() {
    let Some((file, _)) = saved(Kind::Redis7, &[]) else { return };
    let mut changed = file.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0x10;
    let cases: [(&[u8], &[&str], &str); 5] = [
        (&file[..file.len() / 2], &[], "unexpected end of input at byte"),
        (b"no file of ours", &[], "not an RDB file at byte 0"),
        (b"", &[], "unexpected end of input at byte 0"),
        (&changed, &[], " at byte "),
        (&file, &["--databases", "5"], "it has keys in database 7, but there are 5 databases"),
    ];
    for (bytes, options, expected) in cases {
        let folder = Folder::with("dump.rdb", bytes);
        let (code, text) = refused(&folder.0, options);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(expected) && text.contains("dump.rdb"), "{text}");
        assert!(!text.contains("Ready to accept"), "{text}");
    }
    let folder = Folder::with("other", b"");
    fs::create_dir(folder.0.join("dump.rdb")).expect("a folder can be made");
    let (code, text) = refused(&folder.0, &[]);
    assert!(code == Some(1) && text.contains("dump.rdb"), "{text}");
}
