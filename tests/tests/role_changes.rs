//! Roles that change while clients write, with itself and with the reference: what was acknowledged before REPLICAOF may be
//! lost by design, but whoever follows ends with its primary's data, and nothing is written behind a stream's back.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::client::encode;
use redoubt_tests::replication::{field, fill, follow, number, settle, until, wait_link};
use redoubt_tests::{Client, Kind, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;

const AT_ONCE: &[(&str, &str)] = &[("repl-diskless-sync-delay", "0")];
/// What a server that changes its role may answer a write with.
const REFUSALS: [&str; 4] = ["READONLY", "LOADING", "MASTERDOWN", "EXECABORT"];

/// Clients that write to a server whatever it is, in pipelines.
struct Writers {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(server: &Server) -> Writers {
        let (stop, done, refused) =
            (Arc::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let threads = (0..3)
            .map(|number| {
                let (stop, done, refused) = (Arc::clone(&stop), Arc::clone(&done), Arc::clone(&refused));
                let address = server.address();
                std::thread::spawn(move || {
                    let stop: &AtomicBool = &stop;
                    let mut rng = fastrand::Rng::with_seed(number);
                    while !stop.load(SeqCst) {
                        // Whoever changes a server's role may close its clients.
                        let Ok(mut client) = Client::connect(address) else { continue };
                        while !stop.load(SeqCst) && write(&mut client, &mut rng, &done, &refused).is_some() {}
                    }
                })
            })
            .collect();
        Writers { stop, done, refused, threads }
    }

    /// Waits until some more writes were done, or refused.
    fn go_on(&self, count: &AtomicU64) {
        let before = count.load(SeqCst);
        until("writes go on", || count.load(SeqCst) > before + 300);
    }

    fn end(self) -> (u64, u64) {
        self.stop.store(true, SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        (self.done.load(SeqCst), self.refused.load(SeqCst))
    }
}

/// One pipeline; none if the connection ended.
fn write(client: &mut Client, rng: &mut fastrand::Rng, done: &AtomicU64, refused: &AtomicU64) -> Option<()> {
    let mut pipeline = Vec::new();
    let mut count = 0;
    let mut add = |words: &[&str]| {
        pipeline.extend(encode(words));
        count += 1;
    };
    add(&["SELECT", &rng.usize(..3).to_string()]);
    for _ in 0..rng.usize(1..40) {
        let key = format!("k{}", rng.usize(..50));
        match rng.usize(..7) {
            0 => add(&["SET", &key, &rng.u64(..).to_string(), "PX", "200"]),
            1 => add(&["RPUSH", &format!("l{key}"), "x"]),
            2 => add(&["LPOP", &format!("l{key}")]),
            3 => {
                add(&["MULTI"]);
                add(&["INCR", "counter"]);
                add(&["SADD", &format!("s{key}"), &rng.usize(..9).to_string()]);
                add(&["EXEC"]);
            }
            4 => add(&["SPOP", &format!("s{key}")]),
            5 => add(&["GET", &key]),
            _ => add(&["INCRBY", &format!("n{key}"), "1"]),
        }
    }
    client.send_raw(&pipeline).ok()?;
    for _ in 0..count {
        let reply = client.read().ok()?;
        if reply.is_error() {
            let text = reply.text();
            assert!(REFUSALS.iter().any(|refusal| text.starts_with(refusal)), "{text}");
            refused.fetch_add(1, SeqCst);
        } else {
            done.fetch_add(1, SeqCst);
        }
    }
    Some(())
}

fn replicaof(server: &Server, primary: Option<&Server>) {
    let port = primary.map(|primary| primary.port.to_string());
    let call = match &port {
        Some(port) => ["REPLICAOF", "127.0.0.1", port],
        None => ["REPLICAOF", "NO", "ONE"],
    };
    until("the role is changed", || {
        let reply = server.client().call(&call);
        // While a snapshot is taken over, no role is changed, as with the reference.
        assert!(!reply.is_error() || reply.text().starts_with("LOADING"), "{reply}");
        !reply.is_error()
    });
}

/// A primary with a replica of its own is told to follow another, and to follow nobody, and all the while clients write
/// to both.
fn changes_its_mind(first: Kind, other: Kind, end: Kind) {
    let Some(first) = Server::start(first, AT_ONCE) else { return };
    let Some(other) = Server::start(other, AT_ONCE) else { return };
    let Some(end) = Server::start(end, AT_ONCE) else { return };
    fill(&mut first.client(), 300);
    fill(&mut other.client(), 500);
    follow(&end, first.port);
    let (here, there) = (Writers::start(&first), Writers::start(&other));
    for round in 0..4 {
        here.go_on(&here.done);
        replicaof(&first, Some(&other));
        here.go_on(&here.refused);
        // Now and then the full sync is not waited for.
        if round % 2 == 1 {
            wait_link(&first);
        }
        replicaof(&first, None);
    }
    here.go_on(&here.done);
    let (done, refused) = here.end();
    assert!(done > 0 && refused > 0, "{done} {refused}");
    wait_link(&end);
    settle(&first, &end);
    replicaof(&first, Some(&other));
    there.go_on(&there.done);
    there.end();
    wait_link(&first);
    settle(&other, &first);
    wait_link(&end);
    settle(&other, &end);
}

#[test]
fn it_changes_its_mind_among_its_own_kind() {
    changes_its_mind(Kind::Ours, Kind::Ours, Kind::Ours);
}

#[test]
fn it_follows_the_reference_and_leaves_it() {
    changes_its_mind(Kind::Ours, Kind::Redis7, Kind::Redis7);
}

#[test]
fn the_reference_follows_it_and_leaves_it() {
    changes_its_mind(Kind::Redis7, Kind::Ours, Kind::Ours);
}

/// Any of three leads, for a moment each, and clients write to all of them.
fn flaps(kinds: [Kind; 3], seed: u64) {
    let Some(nodes) = kinds.into_iter().map(|kind| Server::start(kind, AT_ONCE)).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let mut rng = fastrand::Rng::with_seed(seed);
    let writers: Vec<Writers> = nodes.iter().map(Writers::start).collect();
    let mut leader = 0;
    for _ in 0..8 {
        leader = rng.usize(..3);
        replicaof(&nodes[leader], None);
        let mut others = [0, 1, 2].map(|step| (leader + step) % 3)[1..].to_vec();
        rng.shuffle(&mut others);
        // One may follow the other, before that one does, or at all.
        let chained = rng.bool();
        replicaof(&nodes[others[0]], Some(&nodes[leader]));
        replicaof(&nodes[others[1]], Some(&nodes[if chained { others[0] } else { leader }]));
        if rng.bool() {
            wait_link(&nodes[others[0]]);
        }
        writers[leader].go_on(&writers[leader].done);
    }
    writers.into_iter().for_each(|writers| _ = writers.end());
    for other in (0..3).filter(|other| *other != leader) {
        wait_link(&nodes[other]);
        settle(&nodes[leader], &nodes[other]);
    }
}

#[test]
fn three_of_its_kind_flap() {
    (0..3).for_each(|seed| flaps([Kind::Ours; 3], seed));
}

#[test]
fn three_flap_with_the_reference_among_them() {
    flaps([Kind::Ours, Kind::Redis7, Kind::Ours], 11);
    flaps([Kind::Redis7, Kind::Ours, Kind::Redis7], 12);
}

/// Who waits for a key is told, and closed: what the new primary writes is not for them.
#[test]
fn blocked_clients_of_a_primary_that_follows_are_closed() {
    for kind in [Kind::Redis7, Kind::Ours] {
        let Some(other) = Server::start(kind, AT_ONCE) else { continue };
        let Some(first) = Server::start(kind, AT_ONCE) else { continue };
        let calls: [&[&str]; 4] = [
            &["BLPOP", "list", "0"],
            &["XREAD", "BLOCK", "0", "STREAMS", "stream", "$"],
            &["BLMOVE", "list", "list2", "LEFT", "LEFT", "0"],
            &["WAIT", "3", "0"],
        ];
        let mut blocked: Vec<Client> = calls
            .iter()
            .map(|call| {
                let mut client = first.client();
                client.send(call).unwrap();
                client
            })
            .collect();
        until("they wait", || number(&first, "clients", "blocked_clients") == 4);
        follow(&first, other.port);
        other.client().line("RPUSH list a b");
        other.client().line("XADD stream * f v");
        for client in &mut blocked {
            let reply = client.read().unwrap().text();
            assert!(reply.starts_with("UNBLOCKED force unblock"), "{reply}");
            assert!(client.read().is_err(), "{kind:?} leaves it open");
        }
        settle(&other, &first);
        // On a replica one may wait for what only reads.
        let mut waiting = first.client();
        waiting.send(calls[1]).unwrap();
        until("it waits", || number(&first, "clients", "blocked_clients") == 1);
        other.client().line("XADD stream * f v");
        assert_eq!(waiting.read().unwrap().list().len(), 1);
        assert_eq!(field(&first, "clients", "blocked_clients"), "0");
    }
}
