//! What a process knows of its place when it starts: what its files hold, and from where it can go on.

use crate::common::{Node, eventually, join, pair};
use redoubt_ha::{Epoch, Position};
use redoubt_persistence::aof::Directory;
use redoubt_persistence::disk::faults::Disk;
use std::time::Duration;

const APPEND: [(&str, &str); 2] = [("appendonly", "yes"), ("appendfsync", "everysec")];

/// Waits until the files are those of the data.
fn await_rewrite(node: &Node) {
    eventually("the file is rewritten", || {
        let info = node.line("INFO persistence");
        ["aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"].iter().all(|line| info.contains(line))
    });
}

fn write(node: &Node, rounds: u64) {
    let mut client = node.client();
    for round in 0..rounds {
        client.line(&format!("SELECT {}", round % 3));
        client.line(&format!("SET k{round} {round}"));
        client.line(&format!("INCR n{}", round % 7));
        client.line("MULTI");
        client.line("LPUSH l x");
        client.line("INCR n");
        client.line("EXEC");
        if round % 5 == 0 {
            // Asks the replicas where they are: a part of the stream that is no data.
            client.line("WAIT 1 1000");
        }
    }
}

#[test]
fn a_follower_goes_on_from_its_append_only_file() {
    let (primary, mut follower) = pair(&APPEND);
    await_rewrite(&follower);
    for round in 0..3 {
        write(&primary, 40);
        primary.await_ack(&follower, 1);
        // Once with what a rewrite makes of it.
        if round == 1 {
            follower.line("BGREWRITEAOF");
            await_rewrite(&follower);
            write(&primary, 3);
            primary.await_ack(&follower, 1);
        }
        let (position, incarnation) = (follower.position(), follower.me.incarnation.0 + 1);
        follower = Node::on(follower.stop(), 2, incarnation, &APPEND);
        let held = follower.position().expect("all is loaded");
        assert_eq!(held.epoch, Epoch(1));
        // What is no data at the end is not in the file.
        let lacks = position.expect("it was whole").offset - held.offset;
        assert!(lacks < 100, "{held:?} of {position:?}");
        write(&primary, 10);
        follower.follow(&primary, 1);
        primary.await_ack(&follower, 1);
        assert_eq!(follower.resyncs(), [0; 0], "it goes on from where it was");
        assert_eq!(follower.digest(), primary.digest());
    }
}

/// With nothing but a base file, be it a snapshot or commands.
#[test]
fn a_base_file_says_where_it_stands() {
    for preamble in ["yes", "no"] {
        let settings = [APPEND[0], APPEND[1], ("aof-use-rdb-preamble", preamble)];
        let (primary, follower) = pair(&settings);
        await_rewrite(&follower);
        let mut client = primary.client();
        for line in ["SELECT 1", "SET k 1", "SELECT 2", "SET k 2", "SELECT 1", "SET l 1"] {
            client.line(line);
        }
        primary.await_ack(&follower, 1);
        follower.line("BGREWRITEAOF");
        await_rewrite(&follower);
        let position = follower.position();
        let follower = Node::on(follower.stop(), 2, 2, &settings);
        assert_eq!(follower.position(), position, "aof-use-rdb-preamble {preamble}");
        // The stream goes on where its database was.
        client.line("APPEND l 2");
        follower.follow(&primary, 1);
        primary.await_ack(&follower, 1);
        assert_eq!(follower.resyncs(), [0; 0]);
        assert_eq!(follower.digest(), primary.digest());
        // And so does the file.
        client.line("APPEND l 3");
        primary.await_ack(&follower, 1);
        let follower = Node::on(follower.stop(), 2, 3, &settings);
        follower.follow(&primary, 1);
        primary.await_ack(&follower, 1);
        assert_eq!(follower.resyncs(), [0; 0]);
        assert_eq!(follower.digest(), primary.digest(), "aof-use-rdb-preamble {preamble}");
    }
}

#[test]
fn a_primary_goes_on_from_its_append_only_file() {
    let (primary, mut follower) = pair(&APPEND);
    write(&primary, 20);
    primary.await_ack(&follower, 1);
    let position = primary.position().expect("it is whole");
    let primary = Node::on(primary.stop(), 1, 2, &APPEND);
    let held = primary.position().expect("all is loaded");
    assert_eq!(held.epoch, Epoch(1));
    assert!(position.offset - held.offset < 100);
    // The follower has become the primary; the old one has nothing that it lacks.
    follower.lead(2);
    write(&follower, 5);
    primary.follow(&follower, 2);
    follower.await_ack(&primary, 2);
    assert_eq!(primary.resyncs(), [0; 0]);
    assert_eq!(primary.digest(), follower.digest());
    assert_eq!(primary.position(), follower.position());
    // And leads again from its files, those of an epoch it has only heard of.
    let primary = Node::on(primary.stop(), 1, 3, &APPEND);
    assert_eq!(primary.position().map(|position| position.epoch), Some(Epoch(2)));
    follower.rest();
    primary.lead(3);
    follower.new_life();
    follower.follow(&primary, 3);
    eventually("it goes on or says that it cannot", || {
        primary.acked(follower.me, 3) == Some(primary.end()) || follower.resyncs().len() == 2
    });
}

#[test]
fn a_follower_goes_on_from_its_snapshot() {
    let (primary, follower) = pair(&[]);
    write(&primary, 20);
    primary.await_ack(&follower, 1);
    let position = follower.position();
    assert_eq!(follower.line("SAVE"), "OK");
    write(&primary, 20);
    primary.await_ack(&follower, 1);
    let follower = Node::on(follower.kill(), 2, 9, &[]);
    assert_eq!(follower.position(), position);
    follower.follow(&primary, 1);
    primary.await_ack(&follower, 1);
    assert_eq!(follower.resyncs(), [0; 0]);
    assert_eq!(follower.digest(), primary.digest());
}

/// Wherever the file is torn, the place is that of the last command that is whole, and the stream goes on from there.
#[test]
fn a_torn_file_says_how_much_of_it_is_left() {
    let (primary, follower) = pair(&APPEND);
    await_rewrite(&follower);
    write(&primary, 30);
    primary.await_ack(&follower, 1);
    let (position, disk) = (follower.position().expect("it is whole"), follower.stop());
    let size = last_size(&disk);
    for (number, cut) in [1, 5, 30, 47, 80, 200, 1000].into_iter().enumerate() {
        let torn = disk.after_kill();
        truncate(&torn, size - cut);
        let follower = Node::on(torn, 2, 10 + number as u64, &APPEND);
        let held = follower.position().expect("all is loaded");
        assert!(held < position && held.epoch == Epoch(1), "{held:?} of {position:?}");
        follower.follow(&primary, 1);
        primary.await_ack(&follower, 1);
        assert_eq!(follower.resyncs(), [0; 0]);
        assert_eq!(follower.digest(), primary.digest(), "{cut} bytes less");
        follower.stop();
    }
}

fn last_size(disk: &Disk) -> u64 {
    let directory = Directory::open(disk.root(), "appendonly.aof", "appendonlydir").expect("a folder");
    let last = directory.manifest().files().last().cloned().expect("a file");
    directory.len(&last).expect("a file")
}

fn truncate(disk: &Disk, size: u64) {
    let directory = Directory::open(disk.root(), "appendonly.aof", "appendonlydir").expect("a folder");
    let last = directory.manifest().files().last().cloned().expect("a file");
    directory.truncate(&last, size).expect("a file");
}

/// With `always` an acknowledgement says that the disk has it: a machine that crashes afterwards has it still.
#[test]
fn with_always_an_acknowledgement_is_on_the_disk() {
    let settings = [("appendonly", "yes"), ("appendfsync", "always")];
    let (primary, mut follower) = (Node::new(1, &[]), Node::new(2, &settings));
    primary.lead(1);
    primary.line("SET before 1");
    join(&mut follower, &primary, 1);
    let mut client = primary.client();
    for round in 0..40 {
        for number in 0..20 {
            client.send(&["INCR", &format!("n{number}")]).expect("an open connection");
        }
        (0..20).for_each(|_| drop(client.read().expect("a reply")));
        if round % 10 != 9 {
            continue;
        }
        if round == 19 {
            primary.await_ack(&follower, 1);
        }
        let acked = primary.acked(follower.me, 1).expect("it has acknowledged");
        let crashed = Node::on(follower.disk.after_crash(), 2, 50 + round, &settings);
        let held = crashed.position().expect("all is loaded");
        assert!(held >= Position { epoch: Epoch(1), offset: acked }, "{held:?}, {acked} were acknowledged");
    }
    // A PING is acknowledged, too, although no file has it.
    client.line("WAIT 1 1000");
    primary.await_ack(&follower, 1);
    // What a process finds in its files is acknowledged at once, even if nothing comes.
    let follower = Node::on(follower.stop(), 2, 99, &settings);
    follower.follow(&primary, 1);
    let began = std::time::Instant::now();
    primary.await_ack(&follower, 1);
    assert_eq!(follower.resyncs(), [0; 0]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// What a full sync replaces is not mixed with what comes: until the new files are there, the old ones are.
#[test]
fn files_are_of_one_history() {
    let (old, mut follower) = pair(&APPEND);
    write(&old, 10);
    old.await_ack(&follower, 1);
    std::thread::sleep(Duration::from_millis(20));
    let other = Node::new(3, &[]);
    other.lead(2);
    other.line("DEBUG POPULATE 3000 other 100");
    join(&mut follower, &other, 2);
    let mut client = other.client();
    for number in 0..200 {
        client.line(&format!("SET after{number} x"));
        if number % 20 != 0 {
            continue;
        }
        let again = Node::on(follower.disk.after_kill(), 2, 50 + number, &APPEND);
        let held = again.position().expect("all is loaded");
        let has = |key: &str| again.line(&format!("EXISTS {key}")) == "1";
        assert_ne!(has("k0"), has("other:0"), "{held:?}");
        assert_eq!(held.epoch, Epoch(if has("k0") { 1 } else { 2 }));
        again.stop();
    }
    other.await_ack(&follower, 2);
}
