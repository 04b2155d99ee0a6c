//! Tools of the replication tests: following, waiting, random writes, and a proxy whose links break.

use crate::client::{Client, encode};
use crate::random::families::{FAMILIES, NEWER};
use crate::random::{state, template};
use crate::server::Server;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a condition.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A field of INFO; empty if it is not there.
pub fn field(server: &Server, section: &str, name: &str) -> String {
    // Whoever changes a node's role may close its clients.
    let asked = (0..5).find_map(|_| server.client().try_call(&["INFO", section]).ok());
    let info = asked.expect("INFO is answered").text();
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

/// A field of INFO that is a number.
pub fn number(server: &Server, section: &str, name: &str) -> i64 {
    field(server, section, name).parse().unwrap_or(-1)
}

/// Makes a server follow the one on a port, and waits for the link.
#[track_caller]
pub fn follow(replica: &Server, port: u16) {
    let reply = replica.client().call(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
    assert!(!reply.is_error(), "{reply}");
    wait_link(replica);
}

/// Waits until a replica has a link to its primary.
#[track_caller]
pub fn wait_link(replica: &Server) {
    let deadline = Instant::now() + PATIENCE;
    while field(replica, "replication", "master_link_status") != "up" {
        assert!(Instant::now() < deadline, "no link:\n{}", replica.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the replica has everything the primary has, and compares the data.
#[track_caller]
pub fn settle(primary: &Server, replica: &Server) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let offset = |server: &Server| number(server, "replication", "master_repl_offset");
        // While a snapshot comes, the offset is the primary's already.
        let difference = if field(replica, "replication", "master_link_status") == "down" {
            Some("there is no link".to_owned())
        } else if offset(primary) == offset(replica) {
            let (left, right) = (state::read(&mut primary.client()), state::read(&mut replica.client()));
            state::difference(&left.expect("state"), &right.expect("state"))
        } else {
            Some(format!("offsets {} and {}", offset(primary), offset(replica)))
        };
        let Some(difference) = difference else { return };
        assert!(
            Instant::now() < deadline,
            "they differ: {difference}\n--- primary\n{}\n--- replica\n{}",
            primary.log(),
            replica.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Writes keys of all types.
pub fn fill(client: &mut Client, count: usize) {
    let mut pipeline = Vec::new();
    for number in 0..count {
        let key = format!("{}{}", ["s", "l", "h", "z", "x"][number % 5], fastrand::usize(..count));
        let value = format!("v{number}");
        let call: Vec<&str> = match number % 5 {
            0 => vec!["SET", &key, &value],
            1 => vec!["RPUSH", &key, &value],
            2 => vec!["HSET", &key, &value, "1"],
            3 => vec!["ZADD", &key, "1.5", &value],
            _ => vec!["XADD", &key, "*", "f", &value],
        };
        pipeline.extend(encode(&call));
    }
    client.send_raw(&pipeline).expect("sent");
    for _ in 0..count {
        let reply = client.read().expect("a reply");
        assert!(!reply.is_error(), "{reply}");
    }
}

/// Random calls of every family, those of newer versions too if asked for; none that waits or listens.
pub fn random_calls(newer: bool, count: usize) -> Vec<template::Call> {
    let families = FAMILIES.iter().filter(|(name, _)| *name != "pubsub");
    let newer = NEWER.iter().filter(|_| newer);
    let templates: Vec<&str> = families
        .chain(newer)
        .flat_map(|(_, groups)| groups.iter().flat_map(|group| group.iter().copied()))
        .collect();
    let waits = |template: &&str| {
        ["BL", "BR", "BZ", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR"]
            .iter()
            .any(|word| template.starts_with(word))
            || template.contains("BLOCK")
    };
    let templates: Vec<&str> = templates.into_iter().filter(|template| !waits(template)).collect();
    let strategy = template::calls(&templates);
    let mut runner = TestRunner::deterministic();
    let mut calls = Vec::new();
    while calls.len() < count {
        calls.push(strategy.new_tree(&mut runner).expect("a value").current());
    }
    calls
}

/// Runs calls, whatever they answer.
pub fn run(client: &mut Client, calls: &[template::Call]) {
    for call in calls {
        client.try_call(call).expect("an answer");
    }
    client.line("DISCARD");
    client.line("SELECT 0");
}

/// Stands between a replica and its primary.
pub struct Proxy {
    /// Where the replica finds it.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// Bytes from the primary that still pass before the link is cut; below 0: all.
    left: AtomicI64,
    cuts: AtomicU64,
    refuses: AtomicBool,
    ended: AtomicBool,
}

impl Proxy {
    /// One that lets everything pass.
    pub fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared {
            left: AtomicI64::new(-1),
            cuts: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if own.ended.load(SeqCst) {
                    return;
                }
                if own.refuses.load(SeqCst) {
                    continue;
                }
                let Ok(onwards) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let (there, back) = (stream.try_clone(), onwards.try_clone());
                let (Ok(there), Ok(back)) = (there, back) else { continue };
                std::thread::spawn(move || pass(there, back, None));
                let own = Arc::clone(&own);
                std::thread::spawn(move || pass(onwards, stream, Some(&own)));
            }
        });
        Proxy { port, shared }
    }

    /// Breaks the link once so many more bytes of the primary have passed.
    pub fn cut_after(&self, bytes: u64) {
        self.shared.left.store(bytes as i64, SeqCst);
    }

    /// Links broken so far.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(SeqCst)
    }

    /// Lets everything pass.
    pub fn pass_all(&self) {
        self.shared.left.store(-1, SeqCst);
        self.shared.refuses.store(false, SeqCst);
    }

    /// Breaks the link at the next byte and lets nobody through.
    pub fn refuse(&self) {
        self.shared.refuses.store(true, SeqCst);
        self.cut_after(0);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Copies until one end closes, or the budget is used up.
fn pass(mut from: TcpStream, mut to: TcpStream, budget: Option<&Shared>) {
    let mut buffer = [0; 8192];
    let _ = from.set_read_timeout(Some(Duration::from_millis(20)));
    loop {
        if budget.is_some_and(|shared| shared.refuses.load(SeqCst)) {
            break;
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                continue;
            }
            Err(_) => break,
        };
        let mut passing = count;
        let mut cut = false;
        if let Some(shared) = budget {
            let left = shared.left.load(SeqCst);
            if left >= 0 {
                passing = count.min(left as usize);
                cut = passing < count;
                shared.left.store(if cut { -1 } else { left - passing as i64 }, SeqCst);
            }
        }
        if to.write_all(&buffer[..passing]).is_err() {
            break;
        }
        if cut {
            if let Some(shared) = budget {
                shared.cuts.fetch_add(1, SeqCst);
            }
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
