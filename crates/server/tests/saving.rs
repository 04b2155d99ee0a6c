//! `dump.rdb` on a disk that fails: whatever step of a save the machine dies in, the file before or the new one is there,
//! whole; and the new one once SAVE was answered.

use redoubt_persistence::disk::faults::{Disk, Operation};
use redoubt_persistence::rdb::{Reader, Record};
use redoubt_server::config::Config;
use redoubt_server::{Handle, Server};
use redoubt_store::{EncodingLimits, ValueRef};
use redoubt_tests::{Client, Reply};
use std::io;
use std::time::{Duration, Instant};

/// Keys beside the one that tells the files apart: enough for several writes.
const KEYS: usize = 40;

fn start(disk: &Disk) -> Handle {
    let settings = [("port", "0"), ("bind", "127.0.0.1"), ("save", ""), ("io-threads", "1")];
    let more = [("rdbcompression", "no"), ("enable-debug-command", "yes")];
    let config = settings
        .iter()
        .chain(&more)
        .try_fold(Config::new(), |config, (name, value)| config.with(name, value))
        .expect("valid settings");
    Server::builder().config(config).disk(disk.root()).start().expect("a port, and a disk that can be read")
}

fn connect(server: &Handle) -> Client {
    Client::connect(server.addresses()[0]).expect("the server listens")
}

fn fill(client: &mut Client, version: u64) {
    client.call(&["SET", "version", &version.to_string()]);
    for at in 0..KEYS {
        client.call(&["SET", &format!("key{at}"), &version.to_string().repeat(8000)]);
    }
}

/// The version that a file has all of; 0 where there is none.
fn version(disk: &Disk) -> u64 {
    let file = match disk.root().read("dump.rdb") {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return 0,
        Err(error) => panic!("{error}"),
    };
    let (mut version, mut texts) = (0, Vec::new());
    for record in Reader::new(file, EncodingLimits::default()).expect("a file with its head") {
        if let Record::Key(key) = record.expect("a whole file") {
            let ValueRef::Str(text) = key.value.as_ref() else { panic!("strings only") };
            let text = String::from_utf8(text.to_vec()).expect("digits");
            match key.key.as_slice() {
                b"version" => version = text.parse().expect("a number"),
                _ => texts.push(text),
            }
        }
    }
    assert_eq!(texts.len(), KEYS);
    assert!(texts.iter().all(|text| *text == version.to_string().repeat(8000)), "of two versions");
    version
}

/// Saves; whether it was acknowledged.
fn save(server: &Handle, client: &mut Client, background: bool) -> bool {
    if !background {
        return client.line("SAVE") == Reply::Status(b"OK".to_vec());
    }
    client.line("BGSAVE");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !server.shared().snapshots.wait_until_idle(Duration::from_secs(1)) {
        assert!(Instant::now() < deadline, "the save goes on for ever");
    }
    !server.shared().snapshots.saves.has_failed()
}

/// Steps of the disk that a save takes.
fn steps_of_a_save() -> u64 {
    let disk = Disk::new(0);
    let server = start(&disk);
    let mut client = connect(&server);
    fill(&mut client, 1);
    assert!(save(&server, &mut client, false));
    let before = disk.steps();
    assert!(save(&server, &mut client, true));
    disk.steps() - before
}

#[test]
fn a_crash_in_any_step_leaves_the_old_file_or_the_new_one() {
    let steps = steps_of_a_save();
    assert!(steps >= 6, "{steps} steps: creating, writing more than once, two syncs, renaming");
    let (mut old, mut new) = (0, 0);
    for seed in 0..40 * steps {
        let disk = Disk::new(seed);
        let server = start(&disk);
        let mut client = connect(&server);
        let first = seed % 5 != 0;
        fill(&mut client, 1);
        assert!(!first || save(&server, &mut client, false));
        fill(&mut client, 2);
        disk.crash_at(disk.steps() + 1 + seed % steps);
        let acknowledged = save(&server, &mut client, seed % 2 == 0);
        for disk in [disk.after_crash(), disk.after_kill()] {
            let version = version(&disk);
            assert!(version == 2 || !acknowledged, "seed {seed}: version {version} after the answer");
            assert!(version == 2 || version == u64::from(first), "seed {seed}: version {version}");
            old += u64::from(version < 2);
            new += u64::from(version == 2);
            if seed % 16 == 0 {
                let again = start(&disk);
                let found = connect(&again).line("GET version");
                let expected =
                    if version == 0 { Reply::Nil } else { Reply::Bulk(version.to_string().into_bytes()) };
                assert_eq!(found, expected, "seed {seed}");
            }
        }
    }
    assert!(old > 100 && new > 10, "{old} old files and {new} new ones prove little");
}

/// A disk that runs full or fails in one step fails the save, leaves the old file and nothing else.
#[test]
fn a_save_that_fails_leaves_the_old_file_alone() {
    use Operation::{Create, Rename, Sync, SyncFolder, Write};
    for seed in 0..60 {
        let disk = Disk::new(seed);
        let server = start(&disk);
        let mut client = connect(&server);
        fill(&mut client, 1);
        assert!(save(&server, &mut client, false));
        fill(&mut client, 2);
        let operation = [Create, Write, Sync, Rename, SyncFolder][seed as usize % 5];
        match seed % 3 {
            0 => disk.limit(Some(330_000 + seed * 4000)),
            _ => disk.fail(operation, io::ErrorKind::Other, 1),
        }
        assert!(!save(&server, &mut client, seed % 2 == 0), "seed {seed}");
        let renamed = seed % 3 != 0 && operation == SyncFolder;
        assert_eq!(version(&disk.after_kill()), 1 + u64::from(renamed), "seed {seed}");
        assert_eq!(disk.root().names().expect("names"), ["dump.rdb"], "seed {seed}");
        disk.limit(None);
        assert!(save(&server, &mut client, true), "seed {seed}");
        assert_eq!(version(&disk.after_crash()), 2, "seed {seed}");
    }
}
