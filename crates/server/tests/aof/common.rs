//! A server on a disk that fails, clients that remember what was acknowledged, and what the files say.

use redoubt_persistence::aof::{CommandReader, Directory, Entry};
use redoubt_persistence::disk::faults::Disk;
use redoubt_persistence::{ErrorKind, rdb};
use redoubt_server::config::Config;
use redoubt_server::{Handle, Server};
use redoubt_store::{EncodingLimits, ValueRef};
use redoubt_tests::client::Received;
use redoubt_tests::{Client, Reply};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

/// Numbers by key.
pub(crate) type Lists = BTreeMap<String, Vec<u64>>;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server on this disk, with the log on.
pub(crate) fn start(disk: &Disk, settings: &[(&str, &str)]) -> Handle {
    let usual =
        [("port", "0"), ("bind", "127.0.0.1"), ("appendonly", "yes"), ("save", ""), ("io-threads", "2")];
    let config = usual
        .iter()
        .chain(settings)
        .try_fold(Config::new(), |config, (name, value)| config.with(name, value))
        .expect("valid settings");
    Server::builder().config(config).disk(disk.root()).start().expect("a free port and a disk")
}

pub(crate) fn connect(server: &Handle) -> Client {
    Client::connect(server.addresses()[0]).expect("the server listens")
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the files say each list holds. The last file may lack its end.
pub(crate) fn lists(disk: &Disk) -> Lists {
    let directory =
        Directory::open(disk.root(), "appendonly.aof", "appendonlydir").expect("a readable folder");
    let mut lists = Lists::new();
    for entry in directory.manifest().files() {
        if entry.name.ends_with(".rdb") {
            let source = directory.read(entry).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
            snapshot(source, &mut lists);
        } else {
            commands(&directory, entry, &mut lists);
        }
    }
    lists
}

fn snapshot(source: impl Read, lists: &mut Lists) {
    for record in rdb::Reader::new(source, EncodingLimits::default()).expect("a whole file") {
        if let rdb::Record::Key(record) = record.expect("a whole file")
            && let ValueRef::List(list) = record.value.as_ref()
        {
            let key = String::from_utf8(record.key).expect("tests write text");
            let number = |element: &[u8]| String::from_utf8_lossy(element).parse().expect("a number");
            lists.insert(key, list.iter().map(|element| number(&element.to_vec())).collect());
        }
    }
}

fn commands(directory: &Directory, entry: &Entry, lists: &mut Lists) {
    let size = directory.len(entry).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
    let mut reader = CommandReader::new(directory.read(entry).expect("a file"), 0, size);
    loop {
        match reader.next_chunk() {
            Ok(None) => return,
            Ok(Some(chunk)) => {
                let text = String::from_utf8(chunk.bytes.to_vec()).expect("tests write text");
                for command in text.split('*').skip(1) {
                    let words: Vec<&str> = command.split("\r\n").skip(2).step_by(2).collect();
                    if words[0] == "RPUSH" {
                        let numbers = words[2..].iter().filter_map(|word| word.parse::<u64>().ok());
                        lists.entry(words[1].into()).or_default().extend(numbers);
                    }
                }
            }
            Err(error) => {
                assert!(matches!(error.kind, ErrorKind::Truncated), "{}: {error}", entry.name);
                let last = directory.manifest().files().last();
                assert_eq!(last, Some(entry), "only the last file may lack its end");
                return;
            }
        }
    }
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
pub(crate) fn check(disk: &Disk, acknowledged: &[(String, u64)], seed: u64) {
    let lists = lists(disk);
    for (key, least) in acknowledged {
        let found = lists.get(key).map_or(&[][..], Vec::as_slice);
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>(), "seed {seed}");
        assert!(found.len() as u64 >= *least, "seed {seed}: {key} has {} of {least}", found.len());
    }
}

/// Writes from three clients until the disk has crashed, while `also` does something else. The last number acknowledged of
/// each list.
pub(crate) fn crash_while(
    server: &Handle,
    disk: &Disk,
    also: impl FnOnce(&Handle, &Disk) + Send,
) -> Vec<(String, u64)> {
    let keys = ["a", "b", "c"];
    let acknowledged = std::thread::scope(|scope| {
        let threads = keys.map(|key| scope.spawn(move || write_until_crash(server, disk, key)));
        also(server, disk);
        threads.map(|thread| thread.join().expect("no panic"))
    });
    keys.map(String::from).into_iter().zip(acknowledged).collect()
}
