//! Replication in a deployment: epochs, acknowledgements, full syncs that are agreed on, places that outlive a process.

mod common;
mod restarts;

use common::{Node, eventually, join, pair, text};
use redoubt_ha::{Epoch, Position};
use redoubt_tests::{Client, Reply};
use std::time::{Duration, Instant};

#[test]
fn a_node_that_was_told_nothing_takes_no_writes() {
    let node = Node::new(1, &[]);
    assert!(node.line("SET k v").contains("READONLY"));
    assert_eq!(node.position(), Some(Position::default()));
    assert!(node.line("REPLICAOF 127.0.0.1 1").contains("ERR REPLICAOF not allowed"));
    assert!(node.line("PSYNC ? -1").contains("NOMASTERLINK"));
    node.lead(1);
    assert_eq!(node.line("SET k v"), "OK");
    assert_eq!(node.position(), Some(Position { epoch: Epoch(1), offset: node.end() }));
    node.rest();
    assert!(node.line("SET k v").contains("READONLY"));
}

#[test]
fn everything_is_sent_only_when_that_was_agreed_on() {
    let (primary, mut follower) = (Node::new(1, &[]), Node::new(2, &[]));
    primary.lead(3);
    primary.line("SET k v");
    follower.follow(&primary, 3);
    eventually("a full sync is needed", || follower.resyncs() == [3]);
    // Nothing happens meanwhile.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(follower.resyncs(), [3]);
    assert_eq!(primary.acked(follower.me, 3), None);
    assert_eq!(follower.position(), Some(Position::default()));
    let before = follower.me;
    follower.new_life();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(primary.line("INFO replication").matches("slave0").count(), 0);
    follower.server.shared().replication.discard();
    primary.await_ack(&follower, 3);
    assert_eq!(primary.acked(before, 3), None);
    assert_eq!(follower.position(), primary.position());
    assert_eq!(follower.line("GET k"), "v");
    assert!(follower.line("SET k w").contains("READONLY"));
}

#[test]
fn each_piece_is_acknowledged_at_once() {
    let (primary, follower) = pair(&[]);
    let mut client = primary.client();
    let mut times = Vec::new();
    for number in 0..200 {
        client.call(&["SET", "k", &number.to_string()]);
        let (end, began) = (primary.end(), Instant::now());
        eventually("the follower acknowledges", || primary.acked(follower.me, 1) >= Some(end));
        times.push(began.elapsed());
    }
    // It would be a second if it were left to the clock. The machine may be busy now and then.
    times.sort_unstable();
    let middle = times[times.len() / 2];
    assert!(middle < Duration::from_millis(250), "{middle:?}");
    assert_eq!(follower.position(), primary.position());
}

#[test]
fn strangers_are_refused_by_both_sides() {
    let (primary, mut follower) = pair(&[]);
    let refused = |follower: &Node, epoch: u64| {
        follower.follow(&primary, epoch);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(primary.acked(follower.me, epoch), None);
        assert_eq!(primary.line("INFO replication").matches("slave0").count(), 0);
    };
    follower.new_life();
    refused(&follower, 2);
    follower.cluster = 1;
    refused(&follower, 1);
    follower.cluster = primary.cluster;
    primary.rest();
    refused(&follower, 1);
    primary.lead(2);
    follower.follow(&primary, 2);
    primary.await_ack(&follower, 2);
    assert_eq!(follower.resyncs().len(), 1, "it can go on from where it was");
    // One that leads nothing of ours, and one that knows nothing of deployments.
    let plain = redoubt_server::Server::builder()
        .config(redoubt_server::config::Config::new().with("port", "0").expect("a valid setting"))
        .start()
        .expect("a free port");
    let mut client = Client::connect(plain.addresses()[0]).expect("the server listens");
    let line = format!("REPLCONF redoubt-member {:x} 0 2 2 1", primary.cluster);
    assert!(text(client.line(&line)).contains("Unrecognized REPLCONF option"));
    let mut client = primary.client();
    assert!(matches!(client.line(&line), Reply::Status(text) if text.starts_with(b"MEMBER ")));
    assert!(text(client.line("REPLCONF redoubt-member 1 0 2 2 1")).contains("another deployment"));
    assert!(primary.line("REPLCONF redoubt-member x 0 2 2 1").contains("syntax"));
}

#[test]
fn after_a_failover_those_go_on_who_have_nothing_more() {
    let (old, second) = pair(&[]);
    let mut third = Node::new(3, &[]);
    join(&mut third, &old, 1);
    old.line("SET shared yes");
    old.await_ack(&second, 1);
    old.await_ack(&third, 1);
    // The followers hear nothing of this.
    second.rest();
    third.rest();
    old.line("SET lost yes");
    third.lead(2);
    second.follow(&third, 2);
    third.await_ack(&second, 2);
    assert_eq!(second.resyncs().len(), 1, "only the one it began with");
    assert_eq!(second.position(), third.position());
    assert_eq!(third.position().map(|position| position.epoch), Some(Epoch(2)));
    // The old primary has a write that nobody has: it does not keep it, and does not throw anything away by itself.
    let mut old = old;
    old.follow(&third, 2);
    eventually("a full sync is needed", || old.resyncs() == [2]);
    assert_eq!(old.line("GET lost"), "yes");
    old.start_over();
    third.await_ack(&old, 2);
    assert_eq!(old.line("GET lost"), "(nil)");
    third.line("SET k v");
    for node in [&second, &old] {
        third.await_ack(node, 2);
        assert_eq!(node.digest(), third.digest());
    }
}

#[test]
fn a_new_life_acknowledges_nothing() {
    let (primary, mut follower) = pair(&[]);
    let before = follower.me;
    follower.new_life();
    let acked = primary.acked(before, 1);
    primary.line("SET k v");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((primary.acked(before, 1), primary.acked(follower.me, 1)), (acked, None));
    // Another primary may go on from what it has.
    primary.lead(2);
    follower.follow(&primary, 2);
    primary.await_ack(&follower, 2);
    assert_eq!(follower.resyncs().len(), 1);
}

#[test]
fn nothing_is_held_while_it_is_taken_over() {
    let (primary, mut follower) = (Node::new(1, &[]), Node::new(2, &[]));
    primary.lead(1);
    primary.line("DEBUG POPULATE 20000 k 1000");
    follower.follow(&primary, 1);
    eventually("a full sync is needed", || follower.resyncs() == [1]);
    follower.start_over();
    assert_eq!(follower.position(), None);
    eventually("it arrives", || {
        let position = follower.position();
        assert!(position.is_none() || position == primary.position(), "{position:?}");
        position.is_some()
    });
    assert_eq!(follower.line("DBSIZE"), "20000");
}

/// Clients go on writing while their server loses its role: what was let in is in the log before the call returns, and
/// replies that nobody has confirmed never leave.
#[test]
fn writes_end_before_another_is_followed() {
    let (first, mut second) = pair(&[("io-threads", "2")]);
    let (mut first, mut epoch) = (first, 1);
    for round in 0..6 {
        let stop = std::sync::atomic::AtomicBool::new(false);
        let address = first.server.addresses()[0];
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let stop = &stop;
                scope.spawn(move || {
                    let mut client = Client::connect(address).expect("the server listens");
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        for number in 0..16 {
                            let key = format!("k{writer}:{number}");
                            if client.send(&["SET", &key, &round.to_string()]).is_err() {
                                return;
                            }
                        }
                        if (0..16).any(|_| client.read().is_err()) {
                            return;
                        }
                    }
                });
            }
            eventually("writes run", || first.end() > 20_000);
            epoch += 1;
            second.rest();
            first.rest();
            let closed = Node::new(100 + round, &[]);
            first.follow(&closed, epoch);
            let end = first.end();
            std::thread::sleep(Duration::from_millis(30));
            assert_eq!(first.end(), end, "a write came late");
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        // The one with the longer log leads, as is the rule: the other goes on from where it was.
        first.lead(epoch + 1);
        epoch += 1;
        second.follow(&first, epoch);
        first.await_ack(&second, epoch);
        assert_eq!(second.resyncs().len(), 1);
        assert_eq!(second.digest(), first.digest());
        std::mem::swap(&mut first, &mut second);
        epoch += 1;
        first.lead(epoch);
        second.follow(&first, epoch);
        first.await_ack(&second, epoch);
        assert!(second.resyncs().len() <= 1);
        std::mem::swap(&mut first, &mut second);
        epoch += 1;
        first.lead(epoch);
        second.follow(&first, epoch);
        first.await_ack(&second, epoch);
    }
}

#[test]
fn replies_are_held_until_a_copy_has_what_they_tell() {
    let (primary, follower) = pair(&[]);
    let log = &primary.server.shared().log;
    let hold = log.hold();
    let mut client = primary.client();
    client.send(&["SET", "k", "v"]).expect("an open connection");
    assert!(!client.has_data(Duration::from_millis(50)).expect("an open connection"));
    primary.await_ack(&follower, 1);
    hold.release(primary.end());
    assert_eq!(client.read().expect("a reply"), Reply::Status("OK".into()));
    // A primary that is none any more does not confirm what it has done last.
    follower.rest();
    client.send(&["SET", "k", "w"]).expect("an open connection");
    assert!(!client.has_data(Duration::from_millis(50)).expect("an open connection"));
    log.void();
    primary.rest();
    drop(hold);
    assert!(client.read().is_err(), "the connection is closed");
}

/// A replica that knows nothing of deployments is fed all the same, and counts for nothing.
#[test]
fn plain_replicas_are_fed_too() {
    let (primary, follower) = pair(&[]);
    let config = redoubt_server::config::Config::new()
        .with("port", "0")
        .and_then(|config| config.with("replicaof", &format!("127.0.0.1 {}", primary.port())))
        .expect("valid settings");
    let plain = redoubt_server::Server::builder().config(config).start().expect("a free port");
    let mut client = Client::connect(plain.addresses()[0]).expect("the server listens");
    primary.line("SET k v");
    eventually("it follows", || text(client.line("GET k")) == "v");
    primary.await_ack(&follower, 1);
    let acks = primary.acked(follower.me, 1);
    assert!(acks.is_some());
    primary.lead(2);
    primary.line("SET k w");
    eventually("it comes again", || text(client.line("GET k")) == "w");
}
