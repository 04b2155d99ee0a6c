//! What the server sends unasked: order across workers, slow subscribers, MONITOR, and what CLIENT LIST and INFO tell.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::client::Received;
use redoubt_tests::server::{Kind, Server};
use redoubt_tests::{Client, Reply};
use std::thread;
use std::time::{Duration, Instant};

fn on_both(options: &[(&str, &str)], test: impl Fn(&Server)) {
    for kind in [Kind::Ours, Kind::Redis7] {
        if let Some(server) = Server::start(kind, options) {
            test(&server);
        }
    }
}

fn texts(reply: &Reply) -> Vec<String> {
    reply.list().iter().map(Reply::text).collect()
}

/// Waits until `of` says yes about a section of INFO or the like.
fn wait_until(what: &str, mut of: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !of() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn field(client: &mut Client, section: &str, name: &str) -> String {
    let text = client.call(&["INFO", section]).text();
    let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("INFO {section} has no {name}")).to_owned()
}

/// Publishers and subscribers outnumber the workers, so that most messages cross from one to another.
#[test]
fn messages_of_a_publisher_arrive_in_order() {
    const PUBLISHERS: usize = 6;
    const SUBSCRIBERS: usize = 8;
    const MESSAGES: usize = 3000;
    let server = Server::ours(&[("io-threads", "4")]);
    let mut subscribers: Vec<Client> = (0..SUBSCRIBERS).map(|_| server.client()).collect();
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        // Every other one in RESP3, and by a pattern.
        if number % 2 == 1 {
            subscriber.hello3();
        }
        let command = if number % 4 < 2 { "SUBSCRIBE" } else { "PSUBSCRIBE" };
        subscriber.call(&[command, "channel"]);
    }
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let mut client = server.client();
            scope.spawn(move || {
                for first in (0..MESSAGES).step_by(50) {
                    for number in first..first + 50 {
                        client.send(&["PUBLISH", "channel", &format!("{publisher} {number}")]).unwrap();
                    }
                    for _ in 0..50 {
                        assert_eq!(client.read().unwrap(), Reply::Int(SUBSCRIBERS as i64));
                    }
                }
            });
        }
        for mut subscriber in subscribers {
            scope.spawn(move || {
                let mut next = [0; PUBLISHERS];
                for _ in 0..PUBLISHERS * MESSAGES {
                    let message = texts(&subscriber.read().unwrap());
                    let (publisher, number) = message.last().unwrap().split_once(' ').unwrap();
                    let publisher: usize = publisher.parse().unwrap();
                    assert_eq!(number.parse::<usize>().unwrap(), next[publisher]);
                    next[publisher] += 1;
                }
                assert_eq!(next, [MESSAGES; PUBLISHERS]);
            });
        }
    });
}

/// Whoever comes and goes while messages flow hears all of them from its confirmation to that of leaving, and no other.
#[test]
fn nothing_is_lost_or_heard_too_late() {
    let server = Server::ours(&[("io-threads", "4")]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let come_and_go = |number: usize| {
        let mut client = server.client();
        if number % 2 == 1 {
            client.hello3();
        }
        let name = if number.is_multiple_of(3) {
            ["PSUBSCRIBE", "PUNSUBSCRIBE"]
        } else {
            ["SUBSCRIBE", "UNSUBSCRIBE"]
        };
        for round in 0..150 {
            client.call(&[name[0], "flow"]);
            let mut last: Option<u64> = None;
            let mut hear = |message: Vec<String>| {
                let count: u64 = message.last().unwrap().parse().unwrap();
                assert!(last.is_none_or(|last| last + 1 == count), "{last:?} is followed by {count}");
                last = Some(count);
            };
            for _ in 0..round % 7 {
                hear(texts(&client.read().unwrap()));
            }
            client.send(&[name[1], "flow"]).unwrap();
            loop {
                let message = texts(&client.read().unwrap());
                if message[0].ends_with("unsubscribe") {
                    break;
                }
                hear(message);
            }
            assert_eq!(client.call(&["PING"]).text(), "PONG");
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = server.client();
            let mut number = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for _ in 0..10 {
                    publisher.send(&["PUBLISH", "flow", &number.to_string()]).unwrap();
                    number += 1;
                }
                (0..10).for_each(|_| drop(publisher.read().unwrap()));
            }
        });
        let listeners: Vec<_> = (0..6)
            .map(|number| {
                let come_and_go = &come_and_go;
                scope.spawn(move || come_and_go(number))
            })
            .collect();
        let outcomes: Vec<_> = listeners.into_iter().map(|listener| listener.join()).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(outcomes.iter().all(Result::is_ok));
    });
    let mut client = server.client();
    wait_until("all have left", || field(&mut client, "clients", "pubsub_clients") == "0");
    assert_eq!(field(&mut client, "stats", "pubsub_channels"), "0");
    assert_eq!(field(&mut client, "stats", "pubsub_patterns"), "0");
}

/// Messages between pipelined replies of a RESP3 client leave the replies in their order.
#[test]
fn pushes_do_not_disturb_replies() {
    let server = Server::ours(&[("io-threads", "3")]);
    let mut client = server.client();
    client.hello3();
    client.call(&["SUBSCRIBE", "noise"]);
    thread::scope(|scope| {
        let noise = scope.spawn(|| {
            let mut publisher = server.client();
            (0..2000).for_each(|_| drop(publisher.call(&["PUBLISH", "noise", &"x".repeat(100)])));
        });
        let mut number = 0;
        let mut pushes = 0;
        while !noise.is_finished() || pushes < 2000 {
            for call in 0..20 {
                client.send(&["ECHO", &(number + call).to_string()]).unwrap();
            }
            let mut replies = 0;
            while replies < 20 {
                match client.read().unwrap() {
                    Reply::Push(_) => pushes += 1,
                    reply => {
                        assert_eq!(reply.text(), (number + replies).to_string());
                        replies += 1;
                    }
                }
            }
            number += 20;
        }
        assert_eq!(pushes, 2000);
    });
}

/// Large messages are shared between subscribers instead of copied; they arrive whole and in their places.
#[test]
fn messages_of_all_sizes_arrive_whole() {
    on_both(&[], |server| {
        let mut subscribers = [server.client(), server.client(), server.client()];
        subscribers[1].hello3();
        for subscriber in &mut subscribers {
            subscriber.call(&["SUBSCRIBE", "c"]);
        }
        let mut publisher = server.client();
        let sizes = [
            0, 1, 100, 470, 480, 490, 500, 512, 4096, 5000, 70_000, 3, 1_000_000, 10, 20_000, 20_000, 474,
            475, 476,
        ];
        let message = |size: usize| "abcdefghij".repeat(size / 10 + 1)[..size].to_owned();
        for size in sizes {
            publisher.send(&["PUBLISH", "c", &message(size)]).unwrap();
        }
        sizes.iter().for_each(|_| assert_eq!(publisher.read().unwrap(), Reply::Int(3)));
        for subscriber in &mut subscribers {
            for size in sizes {
                assert_eq!(texts(&subscriber.read().unwrap()), ["message", "c", &message(size)]);
            }
            assert_eq!(subscriber.receive(Duration::from_millis(20)).unwrap(), Received::Nothing);
        }
    });
}

/// Publishes until the subscriber, who does not read, is gone.
fn publish_until_closed(server: &Server, size: usize, pause: Duration) {
    let mut publisher = server.client();
    let message = "x".repeat(size);
    let deadline = Instant::now() + Duration::from_secs(20);
    while publisher.call(&["PUBLISH", "c", &message]) != Reply::Int(0) {
        assert!(Instant::now() < deadline, "the subscriber stays: {}", server.log());
        thread::sleep(pause);
    }
}

#[test]
fn a_subscriber_beyond_the_hard_limit_is_closed() {
    let options = [("client-output-buffer-limit", "pubsub 1mb 0 0")];
    on_both(&options, |server| {
        let mut slow = server.client();
        slow.call(&["SUBSCRIBE", "c"]);
        publish_until_closed(server, 100_000, Duration::ZERO);
        let mut client = server.client();
        wait_until("the subscriber is gone", || field(&mut client, "clients", "connected_clients") == "1");
        if server.kind == Kind::Ours {
            let count = field(&mut client, "stats", "client_output_buffer_limit_disconnections");
            assert_eq!(count, "1");
            assert!(server.log().contains("output buffer limit reached"), "{}", server.log());
        }
        // What had left the server before can be read, then the connection ends.
        assert!(slow.drain(Duration::from_secs(5)).unwrap().1);
        // Many small messages in one batch are bounded too.
        let mut slow = server.client();
        slow.call(&["SUBSCRIBE", "c"]);
        for _ in 0..40_000 {
            client.send(&["PUBLISH", "c", &"x".repeat(1000)]).unwrap();
        }
        (0..40_000).for_each(|_| drop(client.read().unwrap()));
        assert_eq!(client.call(&["PUBLISH", "c", "x"]), Reply::Int(0));
        assert!(slow.drain(Duration::from_secs(5)).unwrap().1);
    });
}

#[test]
fn a_subscriber_beyond_the_soft_limit_is_closed_after_its_time() {
    let options = [("client-output-buffer-limit", "pubsub 0 200kb 1")];
    on_both(&options, |server| {
        let mut slow = server.client();
        slow.call(&["SUBSCRIBE", "c"]);
        let mut publisher = server.client();
        // Beyond what the sockets take; then silence: the time alone closes it.
        for _ in 0..200 {
            publisher.call(&["PUBLISH", "c", &"x".repeat(100_000)]);
        }
        assert_eq!(publisher.call(&["PUBSUB", "NUMSUB", "c"]).list()[1], Reply::Int(1));
        let started = Instant::now();
        wait_until("the subscriber is gone", || {
            publisher.call(&["PUBSUB", "NUMSUB", "c"]).list()[1] == Reply::Int(0)
        });
        assert!(started.elapsed() > Duration::from_millis(500), "closed too early");
        drop(slow);
    });
}

#[test]
fn a_subscriber_that_reads_is_never_closed() {
    let options = [("client-output-buffer-limit", "pubsub 1mb 0 0"), ("io-threads", "2")];
    let server = Server::ours(&options);
    let mut subscriber = server.client();
    subscriber.call(&["SUBSCRIBE", "c"]);
    let mut publisher = server.client();
    for _ in 0..200 {
        assert_eq!(publisher.call(&["PUBLISH", "c", &"x".repeat(50_000)]), Reply::Int(1));
        assert_eq!(subscriber.read().unwrap().list()[2].text().len(), 50_000);
    }
}

/// A line of MONITOR without its time and address.
fn monitored(client: &mut Client) -> String {
    let line = client.read().expect("a line").text();
    let (time, rest) = line.split_once(' ').expect("a line of MONITOR");
    let (seconds, micros) = time.split_once('.').expect("a line of MONITOR");
    assert!(seconds.parse::<u64>().expect("a time") > 1_600_000_000 && micros.len() == 6, "{line}");
    let (place, call) = rest.split_once("] ").expect("a line of MONITOR");
    let (db, address) =
        place.strip_prefix('[').expect("a line of MONITOR").split_once(' ').expect("a line of MONITOR");
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    format!("{db} {call}")
}

#[test]
fn monitor_shows_calls_as_they_run() {
    on_both(&[("requirepass", "secret")], |server| {
        let mut monitor = server.client();
        monitor.call(&["AUTH", "secret"]);
        monitor.call(&["MONITOR"]);
        let mut client = server.client();
        let calls: &[&[&str]] = &[
            &["AUTH", "secret"],
            &["HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me"],
            &["set", "k\n\"\\\u{e9}\t", "v"],
            &["SELECT", "3"],
            &["GET", "k"],
            &["CONFIG", "SET", "requirepass", "secret"],
            &["LPUSH", "k"],
            &["NOSUCH"],
            &["MULTI"],
            &["INCR", "n"],
            &["EXEC"],
            &["BLPOP", "nokey", "0.01"],
            &["PUBLISH", "c", "m"],
        ];
        calls.iter().for_each(|call| drop(client.call(call)));
        let expected = [
            r#"0 "AUTH" "(redacted)""#,
            r#"0 "HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "me""#,
            r#"0 "set" "k\n\"\\\xc3\xa9\t" "v""#,
            r#"3 "SELECT" "3""#,
            r#"3 "GET" "k""#,
            r#"3 "MULTI""#,
            r#"3 "INCR" "n""#,
            r#"3 "EXEC""#,
            r#"3 "BLPOP" "nokey" "0.01""#,
            r#"3 "PUBLISH" "c" "m""#,
        ];
        for line in expected {
            assert_eq!(monitored(&mut monitor), line, "{}", server.kind.name());
        }
    });
}

#[test]
fn a_slow_monitor_is_closed() {
    let server = Server::ours(&[("client-output-buffer-limit", "pubsub 1mb 0 0")]);
    let mut monitor = server.client();
    monitor.call(&["MONITOR"]);
    let mut client = server.client();
    wait_until("the monitor is gone", || {
        client.call(&["SET", "k", &"x".repeat(100_000)]);
        field(&mut client, "clients", "connected_clients") == "1"
    });
    assert!(monitor.drain(Duration::from_secs(5)).unwrap().1);
}

#[test]
fn clients_and_figures_tell_of_subscriptions() {
    on_both(&[], |server| {
        let (mut main, mut subscriber, mut monitor) = (server.client(), server.client(), server.client());
        for call in [&["SUBSCRIBE", "a"], &["SUBSCRIBE", "b"], &["PSUBSCRIBE", "p"], &["SSUBSCRIBE", "s"]] {
            subscriber.call(call);
        }
        monitor.call(&["MONITOR"]);
        let list = main.call(&["CLIENT", "LIST", "TYPE", "pubsub"]).text();
        assert_eq!(list.lines().count(), 1);
        assert!(list.contains(" flags=P ") && list.contains(" sub=2 psub=1 "), "{list}");
        let list = main.call(&["CLIENT", "LIST", "TYPE", "normal"]).text();
        assert_eq!(list.lines().count(), 2);
        assert!(list.contains(" flags=O "), "{list}");
        for (name, count) in [("pubsub_channels", "2"), ("pubsub_patterns", "1")] {
            assert_eq!(field(&mut main, "stats", name), count);
        }
        if server.kind == Kind::Ours {
            assert_eq!(field(&mut main, "clients", "pubsub_clients"), "1");
            assert_eq!(field(&mut main, "stats", "pubsubshard_channels"), "1");
        }
        assert_eq!(main.call(&["CLIENT", "KILL", "TYPE", "pubsub"]), Reply::Int(1));
        assert!(subscriber.drain(Duration::from_secs(5)).unwrap().1);
        wait_until("nothing is listened to", || field(&mut main, "stats", "pubsub_channels") == "0");
        assert_eq!(field(&mut main, "stats", "pubsub_patterns"), "0");
    });
}

/// Output that waits counts as memory of the client and of all clients.
#[test]
fn waiting_messages_are_counted_as_memory() {
    let server = Server::ours(&[]);
    let mut slow = server.client();
    slow.call(&["SUBSCRIBE", "c"]);
    let mut main = server.client();
    for _ in 0..200 {
        main.call(&["PUBLISH", "c", &"x".repeat(100_000)]);
    }
    let number = |line: &str, name: &str| -> u64 {
        let rest = line.split(name).nth(1).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let line = main.call(&["CLIENT", "LIST", "TYPE", "pubsub"]).text();
    assert!(number(&line, " omem=") > 5_000_000 && number(&line, " tot-mem=") > 5_000_000, "{line}");
    let clients: u64 = field(&mut main, "memory", "mem_clients_normal").parse().unwrap();
    assert!(clients > 5_000_000, "{clients}");
    drop(slow);
}

/// Those that take the most memory go, unless they asked to be spared.
#[test]
fn clients_are_evicted_by_memory() {
    on_both(&[("maxmemory-clients", "4mb")], |server| {
        let mut main = server.client();
        let (mut spared, mut small) = (server.client(), server.client());
        assert_eq!(spared.call(&["CLIENT", "NO-EVICT", "on"]).text(), "OK");
        let part = format!("*2\r\n$4\r\nECHO\r\n$3000000\r\n{}", "x".repeat(2_500_000));
        spared.send_raw(part.as_bytes()).unwrap();
        let mut large = server.client();
        large.send_raw(part.as_bytes()).unwrap();
        wait_until("one is gone", || field(&mut main, "stats", "evicted_clients") == "1");
        assert!(large.drain(Duration::from_secs(5)).unwrap().1);
        assert_eq!(small.call(&["PING"]).text(), "PONG");
        spared.send_raw(format!("{}\r\n", "x".repeat(500_000)).as_bytes()).unwrap();
        assert_eq!(spared.read().unwrap().text().len(), 3_000_000);
    });
}

/// A client parked in a blocking call hears messages meanwhile, and its reply comes.
#[test]
fn a_parked_client_hears_messages() {
    on_both(&[], |server| {
        let mut client = server.client();
        client.hello3();
        client.call(&["SUBSCRIBE", "c"]);
        client.send(&["BLPOP", "q", "0"]).unwrap();
        let mut other = server.client();
        wait_until("it is parked", || field(&mut other, "clients", "blocked_clients") == "1");
        other.call(&["PUBLISH", "c", "before"]);
        assert_eq!(texts(&client.read().unwrap()), ["message", "c", "before"]);
        other.call(&["MULTI"]);
        other.call(&["RPUSH", "q", "x"]);
        other.call(&["EXEC"]);
        other.call(&["PUBLISH", "c", "after"]);
        assert_eq!(texts(&client.read().unwrap()), ["q", "x"]);
        assert_eq!(texts(&client.read().unwrap()), ["message", "c", "after"]);
    });
}
