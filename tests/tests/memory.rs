//! What is freed when and by whom, what INFO says of it, and replies that must not take all memory. Each test runs
//! against Redoubt and against the reference.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::client::{Received, encode};
use redoubt_tests::{Client, Kind, Server};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

fn on_both(options: &[(&str, &str)], test: impl Fn(&Server)) {
    for kind in [Kind::Ours, Kind::Redis7] {
        if let Some(server) = Server::start(kind, options) {
            test(&server);
        }
    }
}

fn field(client: &mut Client, section: &str, name: &str) -> String {
    let text = client.call(&["INFO", section]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect(name);
    line.trim().into()
}

fn number(client: &mut Client, section: &str, name: &str) -> i64 {
    field(client, section, name).parse().expect(name)
}

/// A set that is worth another thread's time.
fn large(client: &mut Client, key: &str) {
    let mut words = vec!["SADD".to_owned(), key.to_owned()];
    words.extend((0..1000).map(|number| format!("member-{number}")));
    client.call(&words);
}

/// What a test does to a key.
type Act<'a> = &'a dyn Fn(&mut Client);

/// How many objects the background thread freed because of `act`.
fn freed_lazily(client: &mut Client, act: impl FnOnce(&mut Client)) -> i64 {
    let before = number(client, "memory", "lazyfreed_objects");
    act(client);
    let deadline = Instant::now() + PATIENCE;
    while number(client, "memory", "lazyfree_pending_objects") != 0 {
        assert!(Instant::now() < deadline, "the background thread does not get on");
    }
    number(client, "memory", "lazyfreed_objects") - before
}

fn expire(client: &mut Client, key: &str) {
    client.call(&["PEXPIRE", key, "1"]);
    let deadline = Instant::now() + PATIENCE;
    while client.line("DBSIZE").int() != 0 {
        assert!(Instant::now() < deadline, "the key stays");
    }
}

#[test]
fn lazy_removals_are_those_that_the_settings_name() {
    on_both(&[], |server| {
        let mut client = server.client();
        let cases: [(&str, Act<'_>); 4] = [
            ("lazyfree-lazy-user-del", &|client| drop(client.line("DEL s"))),
            ("lazyfree-lazy-server-del", &|client| drop(client.line("SET s v"))),
            ("lazyfree-lazy-expire", &|client| expire(client, "s")),
            ("lazyfree-lazy-user-flush", &|client| drop(client.line("FLUSHALL"))),
        ];
        for (setting, act) in cases {
            for (value, expected) in [("no", 0), ("yes", 1)] {
                client.line("FLUSHALL SYNC");
                client.call(&["CONFIG", "SET", setting, value]);
                large(&mut client, "s");
                assert_eq!(freed_lazily(&mut client, act), expected, "{setting} {value}");
                client.call(&["CONFIG", "SET", setting, "no"]);
            }
        }
    });
}

#[test]
fn unlink_and_flush_say_themselves_how_they_free() {
    on_both(&[], |server| {
        let mut client = server.client();
        large(&mut client, "s");
        assert_eq!(freed_lazily(&mut client, |client| drop(client.line("UNLINK s"))), 1);
        for (call, expected) in [
            ("FLUSHALL ASYNC", 2),
            ("FLUSHALL SYNC", 0),
            ("FLUSHDB ASYNC", 2),
            ("FLUSHDB SYNC", 0),
            ("FLUSHDB", 0),
        ] {
            large(&mut client, "s");
            client.line("SET k v");
            assert_eq!(freed_lazily(&mut client, |client| drop(client.line(call))), expected, "{call}");
            assert_eq!(client.line("DBSIZE").int(), 0);
        }
    });
}

#[test]
fn a_synchronous_flush_has_freed_when_it_answers() {
    on_both(&[], |server| {
        let mut client = server.client();
        client.line("PING");
        let before = number(&mut client, "memory", "used_memory");
        let value = "x".repeat(1 << 20);
        (0..32).for_each(|number| drop(client.call(&["SET", &format!("k{number}"), &value])));
        assert!(number(&mut client, "memory", "used_memory") > before + (30 << 20));
        client.line("FLUSHALL SYNC");
        assert!(number(&mut client, "memory", "used_memory") < before + (8 << 20));
    });
}

#[test]
fn evictions_are_lazy_when_the_setting_says_so() {
    for (value, lazy) in [("no", false), ("yes", true)] {
        let options = [("maxmemory-policy", "allkeys-random"), ("lazyfree-lazy-eviction", value)];
        on_both(&options, |server| {
            let mut client = server.client();
            large(&mut client, "s");
            let freed = freed_lazily(&mut client, |client| {
                client.line("CONFIG SET maxmemory 1");
                let deadline = Instant::now() + PATIENCE;
                while client.line("DBSIZE").int() != 0 {
                    assert!(Instant::now() < deadline, "the key stays");
                }
            });
            assert_eq!(freed, i64::from(lazy), "lazyfree-lazy-eviction {value}");
        });
    }
}

#[test]
fn the_average_time_to_live_is_estimated() {
    on_both(&[], |server| {
        let mut client = server.client();
        (0..50).for_each(|number| drop(client.call(&["SET", &format!("k{number}"), "v", "EX", "1000"])));
        let mut average = || -> i64 {
            let line = field(&mut client, "keyspace", "db0");
            let text = line.split(',').find_map(|part| part.strip_prefix("avg_ttl=")).unwrap();
            text.parse().unwrap()
        };
        let deadline = Instant::now() + PATIENCE;
        while !(900_000..=1_000_000).contains(&average()) {
            assert!(Instant::now() < deadline, "avg_ttl is {}", average());
        }
    });
}

#[test]
fn buffers_of_clients_are_counted() {
    on_both(&[], |server| {
        let (mut client, mut other) = (server.client(), server.client());
        other.line("PING");
        let before = number(&mut client, "memory", "mem_clients_normal");
        // A call that has not come whole yet.
        other
            .send_raw(format!("*2\r\n$4\r\nECHO\r\n$4000000\r\n{}", "x".repeat(3_000_000)).as_bytes())
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while number(&mut client, "memory", "mem_clients_normal") < before + 3_000_000 {
            assert!(Instant::now() < deadline, "the query buffer is not counted");
        }
    });
}

/// The counts are far beyond what memory holds.
#[test]
fn random_elements_with_repetition_stop_at_the_output_limit() {
    on_both(&[("client-output-buffer-limit", "normal 1000000 0 0")], |server| {
        let mut client = server.client();
        for line in ["SADD s a", "HSET h f v", "ZADD z 1 a"] {
            client.line(line);
        }
        let calls = [
            "SRANDMEMBER s -9000000000000000000",
            "HRANDFIELD h -4000000000000000000 WITHVALUES",
            "ZRANDMEMBER z -4000000000000000000 WITHSCORES",
        ];
        for call in calls {
            let mut greedy = server.client();
            greedy.send(&redoubt_tests::words::split(call).unwrap()).unwrap();
            let (bytes, closed) = greedy.drain(PATIENCE).unwrap();
            assert!(closed && bytes.len() < 8_000_000, "{call}: {} bytes, closed: {closed}", bytes.len());
        }
        let out_of_range = "-ERR value is out of range";
        assert_eq!(client.line("HRANDFIELD h -9000000000000000000 WITHVALUES").to_string(), out_of_range);
        assert_eq!(client.line("ZRANDMEMBER z -9000000000000000000 WITHSCORES").to_string(), out_of_range);
        assert!(client.line("SRANDMEMBER s -9223372036854775808").is_error());
        assert_eq!(client.line("SRANDMEMBER s -1000").list().len(), 1000);
        assert!(matches!(client.receive(Duration::from_millis(1)), Ok(Received::Nothing)));
    });
}

/// Without a limit Redis goes on until memory ends; here such a call is refused.
#[test]
fn random_elements_with_repetition_are_bounded_without_a_limit() {
    let server = Server::ours(&[]);
    let mut client = server.client();
    client.line("SADD s a");
    client.call(&["SADD", "large", &"x".repeat(16 << 20)]);
    let out_of_range = "-ERR value is out of range";
    assert_eq!(client.line("SRANDMEMBER s -9000000000000000000").to_string(), out_of_range);
    assert_eq!(client.line("SRANDMEMBER large -100").to_string(), out_of_range);
    assert_eq!(client.line("SRANDMEMBER s -3").list().len(), 3);
}

/// Ours alone: Redis shrinks its buffers, too, but in steps of its own.
#[test]
fn a_connection_that_is_idle_gives_its_buffers_back() {
    let server = Server::ours(&[]);
    let (mut busy, mut client) = (server.client(), server.client());
    busy.call(&["CLIENT", "SETNAME", "busy"]);
    let value = "x".repeat(100_000);
    for _ in 0..20 {
        (0..8).for_each(|_| busy.send(&["ECHO", &value]).unwrap());
        (0..8).for_each(|_| drop(busy.read().unwrap()));
    }
    let memory = |client: &mut Client| -> i64 {
        let list = client.call(&["CLIENT", "LIST"]).text();
        let line = list.lines().find(|line| line.contains("name=busy")).expect("it is there").to_owned();
        let word = line.split(' ').find_map(|word| word.strip_prefix("tot-mem=")).expect("a figure");
        word.parse().unwrap()
    };
    let deadline = Instant::now() + PATIENCE;
    while memory(&mut client) > 20_000 {
        assert!(Instant::now() < deadline, "{} bytes", memory(&mut client));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(busy.call(&["ECHO", &value]).text(), value);
}

/// Whether the kernel may give the server huge pages; `None` where it does not say.
fn has_huge_pages(server: &Server) -> Option<bool> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("THP_enabled:")).map(|value| value.trim() == "1")
}

#[test]
fn huge_pages_are_for_servers_that_hold_much() {
    let never = Server::ours(&[("disable-thp", "yes")]);
    let server = Server::ours(&[]);
    if has_huge_pages(&server).is_none() {
        return eprintln!("skipped: this kernel does not say who may have huge pages");
    }
    assert_eq!(has_huge_pages(&server), Some(false), "a small server would waste them");
    for server in [&never, &server] {
        server.client().call(&["SETRANGE", "large", "40000000", "x"]);
    }
    let deadline = Instant::now() + PATIENCE;
    while has_huge_pages(&server) == Some(false) {
        assert!(Instant::now() < deadline, "it has grown and still may not have them");
        std::thread::yield_now();
    }
    assert_eq!(has_huge_pages(&never), Some(false), "disable-thp");
}

/// The positions of a million words take 16 MB each in two places.
#[test]
fn the_words_of_a_long_call_are_given_back() {
    let server = Server::ours(&[]);
    let (mut client, mut other) = (server.client(), server.client());
    other.line("PING");
    let before = number(&mut client, "memory", "used_memory");
    let mut words = vec!["EXISTS".to_owned()];
    words.extend((0..1_000_000).map(|number| number.to_string()));
    assert_eq!(other.call(&words).int(), 0);
    let deadline = Instant::now() + PATIENCE;
    while number(&mut client, "memory", "used_memory") > before + (4 << 20) {
        assert!(Instant::now() < deadline, "the memory stays");
    }
}

/// Memory that a client can make the server keep counts as the client's, and goes with it over `maxmemory-clients`. Of
/// names that are watched or listened to, Redis counts the number only.
#[test]
fn what_clients_keep_elsewhere_is_theirs() {
    let long = "x".repeat(100_000);
    let acts: [(&str, Act<'_>); 3] = [
        ("multi", &|client| drop(client.call(&["SET", "k", &long]))),
        ("watch", &|client| drop(client.call(&["WATCH", &format!("{long}{}", fastrand::u64(..))]))),
        ("listen", &|client| drop(client.call(&["SUBSCRIBE", &format!("{long}{}", fastrand::u64(..))]))),
    ];
    let server = Server::ours(&[]);
    let mut client = server.client();
    let total = |client: &mut Client, id: i64| -> i64 {
        let line = client.line(&format!("CLIENT LIST ID {id}")).text();
        line.split(' ').find_map(|part| part.strip_prefix("tot-mem=")).map_or(0, |text| text.parse().unwrap())
    };
    for (what, act) in acts {
        let mut greedy = server.client();
        let id = greedy.line("CLIENT ID").int();
        if what == "multi" {
            greedy.line("MULTI");
        }
        (0..20).for_each(|_| act(&mut greedy));
        let deadline = Instant::now() + PATIENCE;
        while total(&mut client, id) < 2_000_000 {
            assert!(Instant::now() < deadline, "{what}: {}", total(&mut client, id));
        }
        if what == "multi" {
            greedy.line("DISCARD");
            while total(&mut client, id) > 1_000_000 {
                assert!(Instant::now() < deadline, "{what}: it is still counted");
            }
        } else {
            client.line("CONFIG SET maxmemory-clients 1mb");
            let (_, closed) = greedy.drain(PATIENCE).unwrap();
            assert!(closed, "{what}");
            client.line("CONFIG SET maxmemory-clients 0");
        }
    }
}

/// Its buffer is as long as it, wherever the reads have cut it: who sends one must not take twice what it sends.
#[test]
fn a_large_request_takes_its_length() {
    const LENGTH: usize = 6 << 20;
    let server = Server::ours(&[]);
    let mut client = server.client();
    let request = [format!("*1\r\n${LENGTH}\r\n").into_bytes(), vec![b'v'; LENGTH]].concat();
    for first in [5, 13, 14, 100, 16_384, 50_000, LENGTH - 10] {
        let mut sender = server.client();
        let id = sender.line("CLIENT ID").int();
        let mut figures = |sent: usize| {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let line = client.line(&format!("CLIENT LIST ID {id}")).text();
                let figure = |name: &str| -> usize {
                    line.split(' ').find_map(|part| part.strip_prefix(name)).unwrap().parse().unwrap()
                };
                if figure("qbuf=") == sent {
                    return figure("tot-mem=");
                }
                assert!(Instant::now() < deadline, "{sent} bytes do not arrive: {line}");
            }
        };
        sender.send_raw(&request[..first]).unwrap();
        figures(first);
        sender.send_raw(&request[first..]).unwrap();
        let memory = figures(request.len());
        assert!(memory < LENGTH + 300_000, "cut after {first} bytes it takes {memory}");
        sender.send_raw(b"\r\n").unwrap();
        assert!(sender.read().unwrap().to_string().contains("unknown command"));
    }
}

/// What clients of other threads had taken is known to be free as soon as they are gone.
#[test]
fn memory_that_clients_give_back_costs_no_keys() {
    let server =
        Server::ours(&[("maxmemory", "32mb"), ("maxmemory-policy", "allkeys-random"), ("io-threads", "3")]);
    let mut client = server.client();
    let value = "x".repeat(100_000);
    for round in 0..5 {
        client.line("FLUSHALL");
        (0..20).for_each(|key| drop(client.call(&["SET", &key.to_string(), &value])));
        // Replies that nobody takes.
        let calls = encode(&["GET", "1"]).repeat(100);
        let mut greedy: Vec<Client> = (0..12).map(|_| server.client()).collect();
        greedy.iter_mut().for_each(|client| client.send_raw(&calls).unwrap());
        let deadline = Instant::now() + PATIENCE;
        while number(&mut client, "memory", "mem_clients_normal") < 12_000_000 {
            assert!(Instant::now() < deadline, "they take less than they should");
        }
        drop(greedy);
        while number(&mut client, "clients", "connected_clients") > 1 {
            assert!(Instant::now() < deadline, "they stay");
        }
        (20..200).for_each(|key| drop(client.call(&["SET", &key.to_string(), &value])));
        assert_eq!(number(&mut client, "stats", "evicted_keys"), 0, "round {round}");
    }
}

/// How long `maxmemory` is exceeded, as far as evicting keys does not help.
#[test]
fn time_over_the_limit_is_counted() {
    on_both(&[("maxmemory-policy", "noeviction")], |server| {
        let mut client = server.client();
        let exceeded = |client: &mut Client| {
            let times = ["total_eviction_exceeded_time", "current_eviction_exceeded_time"];
            times.map(|name| number(client, "stats", name))
        };
        large(&mut client, "key");
        assert_eq!(exceeded(&mut client), [0, 0]);
        client.line("CONFIG SET maxmemory 1");
        let deadline = Instant::now() + PATIENCE;
        while exceeded(&mut client)[1] < 20 {
            assert!(Instant::now() < deadline, "no time passes");
        }
        assert!(client.line("SET other 1").to_string().contains("OOM"));
        client.line("CONFIG SET maxmemory 1gb");
        client.line("PING");
        let [total, current] = exceeded(&mut client);
        assert!(total >= 20 && current == 0, "{total} {current}");
        assert_eq!(exceeded(&mut client), [total, 0]);
        client.line("CONFIG RESETSTAT");
        assert_eq!(exceeded(&mut client), [0, 0]);
    });
}

/// The latency monitor is told what evicting and expiring large keys takes.
#[test]
fn slow_evictions_and_expiries_are_monitored() {
    on_both(&[("latency-monitor-threshold", "1"), ("maxmemory-policy", "allkeys-random")], |server| {
        let mut client = server.client();
        let deadline = Instant::now() + PATIENCE;
        let mut goes = |event: &str, line: &str| {
            while client.line(&format!("LATENCY HISTORY {event}")).list().is_empty() {
                assert!(Instant::now() < deadline, "{event} was not seen");
                for part in 0..10 {
                    let members = (0..20_000).map(|member| format!("{part}-{member}"));
                    client.call(
                        &["SADD".to_owned(), "key".to_owned()].into_iter().chain(members).collect::<Vec<_>>(),
                    );
                }
                client.line(line);
                while client.line("DBSIZE").int() != 0 {
                    assert!(Instant::now() < deadline, "it stays: {event}");
                }
                client.line("CONFIG SET maxmemory 0");
            }
        };
        goes("expire-cycle", "PEXPIRE key 1");
        goes("eviction-del", "CONFIG SET maxmemory 1");
        assert!(!client.line("LATENCY HISTORY eviction-cycle").list().is_empty());
    });
}
