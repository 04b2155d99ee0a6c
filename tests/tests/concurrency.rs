//! Many connections over few keys: WATCH, atomicity of MULTI, order of service, blocked clients that go away.
//!
//! Each test also runs against the reference, which shows that it asks for what Redis does.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::server::{Kind, Server};
use redoubt_tests::{Client, Reply};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

fn on_both(test: impl Fn(&Server)) {
    for kind in [Kind::Ours, Kind::Redis7] {
        if let Some(server) = Server::start(kind, &[]) {
            test(&server);
        }
    }
}

/// Runs `work` on `count` threads, each with a connection of its own.
fn in_parallel<T: Send>(
    server: &Server,
    count: usize,
    work: impl Fn(usize, &mut Client) -> T + Sync,
) -> Vec<T> {
    thread::scope(|scope| {
        let spawn = |number| {
            let work = &work;
            scope.spawn(move || work(number, &mut server.client()))
        };
        let threads: Vec<_> = (0..count).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Waits until the server counts that many blocked clients.
fn wait_blocked(server: &Server, count: u64) {
    let mut client = server.client();
    let wanted = format!("blocked_clients:{count}");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let info = client.line("INFO clients").text();
        if info.lines().any(|line| line.trim() == wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{}: not {wanted}:\n{info}", server.kind.name());
        thread::sleep(Duration::from_millis(2));
    }
}

/// Clients parked one after the other on the same call.
fn park(server: &Server, calls: &[&str]) -> Vec<Client> {
    let mut parked = Vec::new();
    for call in calls {
        let mut client = server.client();
        client.send(&call.split(' ').collect::<Vec<_>>()).unwrap();
        parked.push(client);
        wait_blocked(server, parked.len() as u64);
    }
    parked
}

fn strings(words: &[&str]) -> Reply {
    Reply::Array(words.iter().map(|word| Reply::Bulk(word.as_bytes().to_vec())).collect())
}

#[test]
fn counters_under_watch_lose_no_step() {
    const THREADS: usize = 16;
    const STEPS: usize = 40;
    on_both(|server| {
        in_parallel(server, THREADS, |_, client| {
            for _ in 0..STEPS {
                loop {
                    client.line("WATCH counter");
                    let value = match client.line("GET counter") {
                        Reply::Bulk(text) => String::from_utf8(text).unwrap().parse::<i64>().unwrap(),
                        _ => 0,
                    };
                    client.line("MULTI");
                    client.call(&["SET", "counter", &(value + 1).to_string()]);
                    if !client.line("EXEC").is_nil() {
                        break;
                    }
                }
            }
        });
        assert_eq!(server.client().line("GET counter").text(), (THREADS * STEPS).to_string());
    });
}

#[test]
fn transactions_are_seen_whole() {
    // Different slots, so that different partitions take part.
    let keys = ["a", "b", "c", "dd", "eee", "ffff"];
    on_both(|server| {
        let increments: Vec<String> = keys.iter().map(|key| format!("INCR {key}")).collect();
        in_parallel(server, 8, |number, client| {
            for _ in 0..200 {
                client.line("MULTI");
                if number % 2 == 0 {
                    increments.iter().for_each(|call| assert_eq!(client.line(call).text(), "QUEUED"));
                } else {
                    keys.iter().rev().for_each(|key| assert_eq!(client.call(&["GET", key]).text(), "QUEUED"));
                }
                let values = client.line("EXEC").list();
                assert!(values.iter().all(|value| *value == values[0]), "torn: {values:?}");
                let one = client.call(&[&["MGET"], &keys[..]].concat()).list();
                assert!(one.iter().all(|value| *value == one[0]), "MGET is torn: {one:?}");
            }
        });
        assert_eq!(server.client().line("GET ffff").text(), "800");
    });
}

#[test]
fn pipelined_increments_add_up_and_never_go_back() {
    on_both(|server| {
        in_parallel(server, 16, |_, client| {
            let mut last = 0;
            for _ in 0..10 {
                (0..100).for_each(|_| client.send(&["INCR", "counter"]).unwrap());
                for _ in 0..100 {
                    let value = client.read().unwrap().int();
                    assert!(value > last);
                    last = value;
                }
            }
        });
        assert_eq!(server.client().line("GET counter").text(), "16000");
    });
}

#[test]
fn blpop_serves_in_order_of_arrival() {
    on_both(|server| {
        let mut parked = park(server, &["BLPOP k 0", "BLPOP j k 0", "BRPOP k 0", "BLPOP k j 0"]);
        server.client().line("RPUSH k 1 2 3 4");
        for (client, value) in parked.iter_mut().zip(["1", "2", "4", "3"]) {
            assert_eq!(client.read().unwrap(), strings(&["k", value]), "{}", server.kind.name());
        }
        assert_eq!(server.client().line("EXISTS k").int(), 0);
    });
}

#[test]
fn one_push_serves_one_client() {
    on_both(|server| {
        let mut parked = park(server, &["BLPOP k 0", "BLPOP k 0", "BLPOP k 0"]);
        for (number, client) in parked.iter_mut().enumerate() {
            server.client().call(&["RPUSH", "k", &number.to_string()]);
            assert_eq!(client.read().unwrap(), strings(&["k", &number.to_string()]));
        }
    });
}

#[test]
fn a_transaction_is_finished_before_anyone_is_served() {
    on_both(|server| {
        let mut parked = park(server, &["BLPOP k 0", "BZPOPMIN z 0"]);
        let mut client = server.client();
        for call in ["MULTI", "RPUSH k a", "DEL k", "RPUSH k b", "ZADD z 2 two", "ZADD z 1 one", "EXEC"] {
            client.line(call);
        }
        assert_eq!(parked[0].read().unwrap(), strings(&["k", "b"]));
        assert_eq!(parked[1].read().unwrap(), strings(&["z", "one", "1"]));
    });
}

#[test]
fn blmove_chains_run_through() {
    on_both(|server| {
        let mut parked = park(
            server,
            &[
                "BLMOVE c d LEFT RIGHT 0",
                "BLMOVE b c LEFT RIGHT 0",
                "BRPOPLPUSH a b 0",
                "BLMPOP 0 2 x d LEFT COUNT 5",
            ],
        );
        server.client().line("RPUSH a v");
        for client in &mut parked[..3] {
            assert_eq!(client.read().unwrap(), Reply::Bulk(b"v".to_vec()), "{}", server.kind.name());
        }
        assert_eq!(
            parked[3].read().unwrap(),
            Reply::Array(vec![Reply::Bulk(b"d".to_vec()), strings(&["v"])])
        );
        assert_eq!(server.client().line("DBSIZE").int(), 0);
    });
}

#[test]
fn every_element_is_popped_once() {
    const PAIRS: usize = 8;
    const EACH: usize = 200;
    on_both(|server| {
        let popped = in_parallel(server, 2 * PAIRS, |number, client| {
            let mut taken = Vec::new();
            for step in 0..EACH {
                if number < PAIRS {
                    client.call(&["RPUSH", &format!("k{}", step % 3), &format!("{number}-{step}")]);
                } else {
                    taken.push(client.line("BLPOP k2 k0 k1 0").list()[1].text());
                }
            }
            taken
        });
        let popped: Vec<String> = popped.concat();
        assert_eq!(popped.len(), PAIRS * EACH);
        assert_eq!(popped.iter().collect::<BTreeSet<_>>().len(), PAIRS * EACH);
    });
}

#[test]
fn a_client_that_goes_away_takes_nothing() {
    on_both(|server| {
        let mut parked = park(server, &["BLPOP k 0", "BLPOP k 0", "BLPOP k 0", "BLPOP k 0"]);
        let mut client = server.client();
        // One disconnects, one is killed, one is unblocked.
        drop(parked.remove(0));
        wait_blocked(server, 3);
        let ids: Vec<String> = client
            .line("CLIENT LIST")
            .text()
            .lines()
            .filter(|line| line.contains("cmd=blpop"))
            .map(|line| line.split(' ').next().unwrap().trim_start_matches("id=").to_string())
            .collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(client.call(&["CLIENT", "KILL", "ID", &ids[0]]).int(), 1);
        assert!(parked[0].read().is_err(), "a killed client gets no reply");
        wait_blocked(server, 2);
        assert_eq!(client.call(&["CLIENT", "UNBLOCK", &ids[1], "ERROR"]).int(), 1);
        assert_eq!(parked[1].read().unwrap().to_string(), "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
        wait_blocked(server, 1);
        client.line("RPUSH k a b");
        assert_eq!(parked[2].read().unwrap(), strings(&["k", "a"]));
        assert_eq!(client.line("LRANGE k 0 -1"), strings(&["b"]));
    });
}

#[test]
fn timeouts_end_the_wait() {
    on_both(|server| {
        let waited = in_parallel(server, 20, |number, client| {
            let began = Instant::now();
            let reply = match number % 3 {
                0 => client.line("BLPOP k j 0.15"),
                1 => client.line("BZPOPMAX z 0.15"),
                _ => client.line("BLMPOP 0.15 1 k LEFT"),
            };
            assert_eq!(reply, Reply::NilArray);
            began.elapsed()
        });
        let (low, high) = (waited.iter().min().unwrap(), waited.iter().max().unwrap());
        assert!(*low >= Duration::from_millis(140) && *high < Duration::from_secs(3), "{low:?} to {high:?}");
        wait_blocked(server, 0);
    });
}

#[test]
fn a_watched_key_of_another_type_or_expiry_counts_as_changed() {
    on_both(|server| {
        let (mut watcher, mut writer) = (server.client(), server.client());
        let changes: &[(&str, bool)] = &[
            ("SET k w", true),
            ("DEL k", true),
            ("DEL nokey", false),
            ("EXPIRE k 100", true),
            ("SET other v", false),
            ("GET k", false),
            ("RENAME k2 k", true),
            ("FLUSHALL", true),
            ("SWAPDB 0 1", true),
        ];
        for (change, aborts) in changes {
            writer.line("FLUSHALL");
            writer.line("MSET k v k2 v");
            watcher.line("WATCH k");
            writer.line(change);
            watcher.line("MULTI");
            watcher.line("PING");
            assert_eq!(watcher.line("EXEC").is_nil(), *aborts, "{} after {change}", server.kind.name());
        }
    });
}

#[test]
fn a_refused_exec_in_a_pipeline_forgets_its_watched_keys() {
    on_both(|server| {
        let mut client = server.client();
        let calls = ["WATCH k", "SET k v", "EXEC x", "MULTI", "SET k w", "EXEC x", "MULTI", "GET k", "EXEC"];
        // All in one batch: the SET before the first EXEC leaves the key's partition held.
        for call in calls {
            client.send(&call.split(' ').collect::<Vec<_>>()).unwrap();
        }
        let replies: Vec<Reply> = calls.iter().map(|_| client.read().unwrap()).collect();
        let refusal =
            "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";
        assert_eq!((replies[2].to_string(), replies[5].to_string()), (refusal.into(), refusal.into()));
        assert_eq!(replies[8], strings(&["v"]));
    });
}

#[test]
fn every_reader_of_a_stream_gets_an_entry_and_of_a_group_only_one() {
    const READERS: usize = 30;
    on_both(|server| {
        let mut client = server.client();
        client.line("XGROUP CREATE s g $ MKSTREAM");
        let mut plain = park(server, &["XREAD BLOCK 0 STREAMS s $"; READERS]);
        let calls: Vec<String> =
            (0..READERS).map(|n| format!("XREADGROUP GROUP g c{n} BLOCK 0 COUNT 1 STREAMS s >")).collect();
        let mut grouped = Vec::new();
        for (number, call) in calls.iter().enumerate() {
            let mut reader = server.client();
            reader.send(&call.split(' ').collect::<Vec<_>>()).unwrap();
            grouped.push(reader);
            wait_blocked(server, (READERS + number + 1) as u64);
        }
        for number in 1..=READERS {
            assert_eq!(client.line(&format!("XADD s {number}-1 f v")).text(), format!("{number}-1"));
        }
        let id = |reply: Reply| reply.list()[0].list()[1].list()[0].list()[0].text();
        for reader in &mut plain {
            assert_eq!(id(reader.read().unwrap()), "1-1");
        }
        for (number, reader) in grouped.iter_mut().enumerate() {
            assert_eq!(id(reader.read().unwrap()), format!("{}-1", number + 1), "in order of arrival");
        }
        assert_eq!(client.line("XPENDING s g").list()[0].int(), READERS as i64);
    });
}

#[test]
fn entries_are_delivered_once_to_a_group_of_many_consumers() {
    const WRITERS: usize = 4;
    const READERS: usize = 4;
    const EACH: usize = 200;
    on_both(|server| {
        server.client().line("XGROUP CREATE s g $ MKSTREAM");
        let ids = in_parallel(server, WRITERS + READERS, |number, client| {
            let mut ids = Vec::new();
            if number < WRITERS {
                for _ in 0..EACH {
                    client.line("XADD s * writer w");
                }
                return ids;
            }
            while ids.len() < WRITERS * EACH / READERS {
                let left = WRITERS * EACH / READERS - ids.len();
                let count = left.min(3).to_string();
                let consumer = number.to_string();
                let call =
                    ["XREADGROUP", "GROUP", "g", &consumer, "COUNT", &count, "BLOCK", "5000", "STREAMS"];
                let reply = client.call(&[&call[..], &["s", ">"]].concat());
                for entry in reply.list()[0].list()[1].list() {
                    ids.push(entry.list()[0].text());
                    client.call(&["XACK", "s", "g", ids.last().unwrap()]);
                }
            }
            ids
        });
        let distinct: BTreeSet<String> = ids.iter().flatten().cloned().collect();
        assert_eq!(ids.iter().map(Vec::len).sum::<usize>(), WRITERS * EACH);
        assert_eq!(distinct.len(), WRITERS * EACH);
        assert_eq!(server.client().line("XPENDING s g").list()[0].int(), 0);
    });
}

/// One worker; its clients ask while it sleeps, so they are all ready in its next turn.
#[test]
fn a_pipeline_waits_for_one_slow_command_of_others_and_not_for_all() {
    let server = Server::ours(&[("io-threads", "1"), ("enable-debug-command", "yes")]);
    let sleeps = ["DEBUG", "SLEEP", "0.3"];
    let mut occupant = server.client();
    let mut pipeline = server.client();
    let mut slow: Vec<Client> = (0..4).map(|_| server.client()).collect();
    occupant.send(&sleeps).unwrap();
    pipeline.send_raw(b"PING\r\nPING\r\n").unwrap();
    slow.iter_mut().for_each(|client| client.send(&sleeps).unwrap());
    assert_eq!(pipeline.read().unwrap(), Reply::Status("PONG".into()));
    assert_eq!(pipeline.read().unwrap(), Reply::Status("PONG".into()));
    // At most one of them slept in between: the last sleeps a second later.
    assert!(!slow[3].has_data(Duration::from_millis(20)).unwrap(), "all went first");
    slow.iter_mut().for_each(|client| assert_eq!(client.read().unwrap(), Reply::Status("OK".into())));
}
