//! Keyspace notifications: the events of random sequences are those of the reference, in its order; every class, and
//! the choice between them.
#![allow(clippy::unwrap_used, reason = "a test may")]

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use redoubt_tests::random::families::{FAMILIES, NEWER};
use redoubt_tests::random::template::{self, Call};
use redoubt_tests::server::{Kind, Server};
use redoubt_tests::{Client, Reply, words};
use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

/// Sequences per family when `REDOUBT_CASES` does not say.
const CASES: u32 = 60;
const CALLS_MAX: usize = 30;

/// A server, a client that works and one that listens to everything.
struct Observed {
    server: Server,
    client: Client,
    listener: Client,
}

impl Observed {
    fn start(kind: Kind, classes: &str) -> Option<Observed> {
        let options = [
            ("notify-keyspace-events", classes),
            ("enable-debug-command", "yes"),
            ("hash-max-listpack-entries", "4"),
            ("zset-max-listpack-entries", "4"),
        ];
        let server = Server::start(kind, &options)?;
        let (mut client, mut listener) = (server.client(), server.client());
        // Keys expire when they are looked at, which is the same on all servers.
        client.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        listener.call(&["PSUBSCRIBE", "__key*"]);
        Some(Observed { server, client, listener })
    }

    /// Channel and payload of what was announced since the last call.
    fn announced(&mut self) -> Vec<(String, String)> {
        self.listener.send(&["PING"]).unwrap();
        let mut events = Vec::new();
        loop {
            let message: Vec<String> = self.listener.read().unwrap().list().iter().map(Reply::text).collect();
            match message.as_slice() {
                [_, _, channel, payload] => events.push((channel.clone(), payload.clone())),
                _ => return events,
            }
        }
    }

    /// What the calls announce. Misses of a call that is refused do not count: they tell whether the key was looked up
    /// before or after the mistake was found.
    fn events_of(&mut self, calls: &[Call]) -> Vec<(String, String)> {
        for reset in [&["DISCARD"][..], &["UNWATCH"], &["SELECT", "0"], &["FLUSHALL"]] {
            self.client.call(reset);
        }
        self.announced();
        let mut events = Vec::new();
        for call in calls {
            let refused = matches!(self.client.call(call), Reply::Error(_));
            let is_miss =
                |(channel, payload): &(String, String)| channel.ends_with("keymiss") || payload == "keymiss";
            events.extend(self.announced().into_iter().filter(|event| !(refused && is_miss(event))));
        }
        events
    }
}

/// Templates whose events are not the reference's: 7.0 lacks an option (BITCOUNT), the order of reads is not defined
/// (BY), or it creates a key without a word about it (BITFIELD).
fn is_comparable(template: &str) -> bool {
    let command = template.split(' ').next().unwrap_or_default();
    !(command == "BITCOUNT" || template.contains(" BY ") || template.contains("OVERFLOW"))
}

#[test]
fn events_of_random_sequences_are_those_of_redis_7() {
    same_events(FAMILIES, Kind::Redis7);
}

#[test]
fn events_of_newer_commands_are_those_of_redis_8() {
    same_events(NEWER, Kind::Redis8);
}

fn same_events(families: &[(&str, &[&[&str]])], kind: Kind) {
    let Some(reference) = Observed::start(kind, "AKEmn") else { return };
    let ours = Observed::start(Kind::Ours, "AKEmn").unwrap();
    let servers = RefCell::new((ours, reference));
    let cases = std::env::var("REDOUBT_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    for (family, lists) in families {
        let templates: Vec<&str> =
            lists.concat().into_iter().filter(|template| is_comparable(template)).collect();
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
        let sequences = vec(template::calls(&templates), 1..=CALLS_MAX);
        let result = runner.run(&sequences, |calls| {
            let (ours, reference) = &mut *servers.borrow_mut();
            let (left, right) = (ours.events_of(&calls), reference.events_of(&calls));
            if left == right {
                return Ok(());
            }
            let lines: Vec<String> = calls.iter().map(|call| format!("> {}", words::join(call))).collect();
            Err(TestCaseError::fail(format!(
                "{}\nours:      {left:?}\nreference: {right:?}",
                lines.join("\n")
            )))
        });
        if let Err(error) = result {
            panic!("{family}: {error}");
        }
    }
}

/// Some event of each class, and the letter that asks for it.
const CLASSES: &[(&str, &[&str], &str)] = &[
    ("g", &["SET k v", "DEL k"], "del"),
    ("$", &["SET k v"], "set"),
    ("l", &["RPUSH l a"], "rpush"),
    ("s", &["SADD s a"], "sadd"),
    ("h", &["HSET h f v"], "hset"),
    ("z", &["ZADD z 1 a"], "zadd"),
    ("t", &["XADD st 1-1 f v"], "xadd"),
    ("x", &["SET k v PX 1", "DEBUG SLEEP 0.02", "GET k"], "expired"),
    ("m", &["GET nokey"], "keymiss"),
    ("n", &["SET k v"], "new"),
];

#[test]
fn each_letter_asks_for_its_class_alone() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(mut observed) = Observed::start(kind, "") else { continue };
        let all: Vec<Call> =
            CLASSES.iter().flat_map(|(_, calls, _)| *calls).map(|call| words::split(call).unwrap()).collect();
        for (letter, calls, event) in CLASSES {
            for (targets, channels) in [("K", 1), ("E", 1), ("KE", 2), ("", 0)] {
                let setting = format!("{targets}{letter}");
                observed.client.call(&["CONFIG", "SET", "notify-keyspace-events", &setting]);
                let calls: Vec<Call> = calls.iter().map(|call| words::split(call).unwrap()).collect();
                let events = observed.events_of(&calls);
                assert_eq!(events.len(), channels, "{setting}: {events:?}");
                for (channel, payload) in &events {
                    let by_key = channel.starts_with("__keyspace@0__:");
                    let name =
                        if by_key { payload } else { channel.strip_prefix("__keyevent@0__:").unwrap() };
                    assert_eq!(name, *event, "{setting}");
                    assert!(!(by_key && targets == "E"), "{setting}: {channel}");
                }
            }
            // With everything running, only this class is announced.
            observed.client.call(&["CONFIG", "SET", "notify-keyspace-events", &format!("E{letter}")]);
            let events = observed.events_of(&all);
            let known: Vec<&str> =
                CLASSES.iter().filter(|(l, _, _)| l != letter).map(|(_, _, e)| *e).collect();
            assert!(!events.is_empty());
            for (channel, _) in events {
                assert!(
                    !known.iter().any(|event| channel.ends_with(&format!(":{event}"))),
                    "E{letter}: {channel}"
                );
            }
        }
    }
}

/// Keys that nobody looks at expire too, and say so, in their database.
#[test]
fn active_expiry_and_eviction_are_announced() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(mut observed) = Observed::start(kind, "Exe") else { continue };
        observed.client.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "1"]);
        observed.client.call(&["SELECT", "3"]);
        observed.client.call(&["SET", "k", "v", "PX", "5"]);
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut events = Vec::new();
        while events.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
            events = observed.announced();
        }
        assert_eq!(events, [("__keyevent@3__:expired".to_string(), "k".to_string())], "{}", kind.name());

        for number in 0..100 {
            observed.client.call(&["SET", &format!("key{number}"), &"x".repeat(10_000)]);
        }
        observed.client.call(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
        let info = observed.client.call(&["INFO", "memory"]).text();
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        let limit = used.trim().parse::<u64>().unwrap() - 200_000;
        observed.client.call(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
        observed.client.call(&["SET", "last", "v"]);
        let events = observed.announced();
        assert!(!events.is_empty(), "{}: nothing was evicted", observed.server.kind.name());
        assert!(events.iter().all(|(channel, _)| channel == "__keyevent@3__:evicted"), "{events:?}");
    }
}

/// The events of a transaction and its messages come in the order of its commands.
#[test]
fn events_and_messages_of_a_transaction_keep_their_order() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(mut observed) = Observed::start(kind, "E$l") else { continue };
        observed.listener.call(&["SUBSCRIBE", "c"]);
        for call in ["MULTI", "SET k v", "PUBLISH c one", "RPUSH l a", "PUBLISH c two", "EXEC"] {
            observed.client.line(call);
        }
        let mut heard = Vec::new();
        observed.listener.send(&["PING"]).unwrap();
        loop {
            let message = observed.listener.read().unwrap().list();
            if message.len() == 2 {
                break;
            }
            heard.push(message.last().unwrap().text());
        }
        assert_eq!(heard, ["k", "one", "l", "two"], "{}", kind.name());
    }
}
