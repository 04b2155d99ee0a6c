//! Any node answers: clients of nodes that are not the primary, in a deployment of three.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::client::{Received, encode};
use redoubt_tests::deployment::Deployment;
use redoubt_tests::replication::{field, number, until};
use redoubt_tests::{Client, Reply, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Calls of all families, whose replies do not depend on who answers.
const CALLS: &str = r#"
SET s hello EX 1000
APPEND s " world"
GETRANGE s 0 4
INCRBYFLOAT f 1.5
MSET {a}1 1 {a}2 2
MGET {a}1 {a}2 {a}3
SETBIT b 7 1
BITCOUNT b
PFADD p a b c
PFCOUNT p
RPUSH l a b c
LRANGE l 0 -1
LPOP l 2
HSET h f 1 g 2
HGETALL h
HINCRBY h f 5
SADD set a
SISMEMBER set a
ZADD z 1 a 2 b
ZRANGE z 0 -1 WITHSCORES
GEOADD g 13.361389 38.115556 Palermo
GEOPOS g Palermo
XADD x 1-1 f v
XRANGE x - +
OBJECT ENCODING l
TYPE z
EXISTS s l nothing
DEL nothing
DBSIZE
GET
NOSUCHCOMMAND x
GET l
SELECT 3
DBSIZE
SET in3 x
SELECT 0
EXISTS in3
MULTI
SET t 1
INCR t
EXEC
MULTI
SET t 1
NOSUCH
EXEC
DISCARD
MULTI
SELECT 3
GET in3
EXEC
GET in3
SELECT 99
SELECT 0
WATCH t
UNWATCH
BLPOP nothing 0.01
ECHO hi
PING
CLIENT SETNAME me
CLIENT GETNAME
OBJECT FREQ s
KEYS {a}*
RENAME {a}1 {a}9
FLUSHALL
DBSIZE
"#;

#[test]
fn any_node_answers_as_one_server_would() {
    let deployment = Deployment::start(&[]);
    let alone = Server::ours(&[]);
    for resp3 in [false, true] {
        let (mut through, mut direct) = (deployment.other().client(), alone.client());
        if resp3 {
            through.hello3();
            direct.hello3();
        }
        for line in CALLS.lines().filter(|line| !line.is_empty()) {
            assert_eq!(through.line(line), direct.line(line), "{line}");
        }
    }
    assert_eq!(number(deployment.other(), "ha", "ha_relayed_unknown_outcomes"), 0);
}

#[test]
fn pipelines_and_large_values_go_through() {
    let deployment = Deployment::start(&[]);
    let mut client = deployment.other().client();
    let calls: Vec<u8> =
        (0..10_000).flat_map(|n| encode(&["INCRBY", "count", if n % 2 == 0 { "1" } else { "2" }])).collect();
    client.send_raw(&calls).unwrap();
    let last = (0..10_000).map(|_| client.read().unwrap()).last().unwrap();
    assert_eq!(last, Reply::Int(15_000));
    // A state that changes in the middle keeps the order.
    let words = ["SELECT", "PING", "INCR", "MULTI", "EXEC"];
    let mixed: Vec<u8> = (0..500)
        .flat_map(|n| match words[n % 5] {
            "SELECT" => encode(&["SELECT", if n % 2 == 0 { "1" } else { "0" }]),
            "INCR" => encode(&["INCR", "mixed"]),
            word => encode(&[word]),
        })
        .collect();
    client.send_raw(&mixed).unwrap();
    let replies: Vec<Reply> = (0..500).map(|_| client.read().unwrap()).collect();
    assert_eq!((replies[498].text().as_str(), replies[499].list().len()), ("OK", 0));
    assert_eq!(client.line("GET mixed"), deployment.nodes[deployment.primary()].client().line("GET mixed"));
    let value = vec![b'x'; 64 << 20];
    assert_eq!(client.call(&[b"SET", b"big", &value[..]]).text(), "OK");
    assert_eq!(client.line("STRLEN big"), Reply::Int(64 << 20));
    assert!(client.line("GET big").text().len() == value.len());
    assert_eq!(client.line("DEL big"), Reply::Int(1));
    // Inline, as somebody with telnet writes it.
    client.send_raw(b"SET inline \"a b\"\r\nGET inline\r\n").unwrap();
    assert_eq!(client.read().unwrap().text(), "OK");
    assert_eq!(client.read().unwrap().text(), "a b");
}

#[test]
fn plain_clients_share_a_connection_until_they_need_their_own() {
    let deployment = Deployment::start(&[("io-threads", "1")]);
    let primary = &deployment.nodes[deployment.primary()];
    let served = || number(primary, "ha", "ha_relays_served");
    let mut clients: Vec<Client> = (0..20).map(|_| deployment.other().client()).collect();
    for turn in 0..3 {
        // All at once, so that their requests meet on the way.
        for (number, client) in clients.iter_mut().enumerate() {
            for n in 0..20 {
                let (key, value) = (format!("{number}:{n}"), format!("{turn} of {number}, {n}"));
                client.send(&["SET", &key, &value]).unwrap();
                client.send(&["GET", &key]).unwrap();
            }
        }
        for (number, client) in clients.iter_mut().enumerate() {
            for n in 0..20 {
                assert_eq!(client.read().unwrap().text(), "OK");
                assert_eq!(client.read().unwrap().text(), format!("{turn} of {number}, {n}"));
            }
        }
    }
    assert_eq!(served(), 1, "all share one");
    // Another database is another connection, which is shared again.
    for client in &mut clients[..5] {
        assert_eq!(client.line("SELECT 1").text(), "OK");
        assert_eq!(client.line("GET 0:0"), Reply::Nil);
    }
    assert_eq!(served(), 2);
    assert_eq!(clients[19].line("GET 0:0").text(), "2 of 0, 0");
    // Who leaves in the middle takes nobody's replies along.
    for _ in 0..50 {
        clients[18].send(&["GET", "0:0"]).unwrap();
        clients[17].send(&["GET", "0:1"]).unwrap();
    }
    clients.remove(18);
    assert!((0..50).all(|_| clients[17].read().unwrap().text() == "2 of 0, 1"));

    // Limits are for clients, not for what many of them are sent together.
    let value = "v".repeat(4000);
    assert_eq!(clients[9].call(&["SET", "some", &value]).text(), "OK");
    let mut operator = primary.client();
    assert_eq!(
        operator.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 20000 0 0"]).text(),
        "OK"
    );
    for _ in 0..20 {
        clients[5..].iter_mut().for_each(|client| client.send(&["GET", "some"]).unwrap());
        assert!(clients[5..].iter_mut().all(|client| client.read().unwrap().text() == value));
    }
    // What was written on the shared connection counts for WAIT on the client's own.
    assert_eq!(clients[10].line("SET waited for").text(), "OK");
    assert_eq!(clients[10].line("WAIT 2 0"), Reply::Int(2));
    assert_eq!(served(), 3);
    clients[11].send(&["BLPOP", "queue", "0"]).unwrap();
    until("it waits on its own", || served() == 4);
    assert_eq!(clients[12].line("RPUSH queue v"), Reply::Int(1));
    assert_eq!(clients[11].read().unwrap().list()[1].text(), "v");
    assert_eq!(clients[13].line("KEYS nothing*").list().len(), 0);
    assert_eq!(operator.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0"]).text(), "OK");
    let large = "x".repeat(100_000);
    assert_eq!(clients[14].call(&["SET", "large", &large]).text(), "OK");
    assert_eq!(served(), 6);
    // A large reply is taken where it was asked for, and is the last one there.
    assert_eq!(clients[15].line("GET large").text(), large);
    assert_eq!(clients[15].line("GET 0:0").text(), "2 of 0, 0");
    assert_eq!(served(), 7);
    drop(clients);
    until("nobody is relayed any more", || served() == 0);
}

#[test]
fn blocked_and_subscribed_clients_are_served() {
    let deployment = Deployment::start(&[]);
    let others = deployment.others();
    let (mut one, mut two) = (others[0].client(), others[1].client());
    one.send(&["BLPOP", "queue", "0"]).unwrap();
    until("it waits", || number(&deployment.nodes[deployment.primary()], "clients", "blocked_clients") == 1);
    assert_eq!(two.line("RPUSH queue v"), Reply::Int(1));
    assert_eq!(one.read().unwrap().list()[1].text(), "v");
    // Who waits is closed from its own node, and takes nothing with it.
    one.send(&["BLPOP", "queue", "0"]).unwrap();
    until("it waits", || number(&deployment.nodes[deployment.primary()], "clients", "blocked_clients") == 1);
    assert_eq!(others[0].client().line("CLIENT KILL TYPE normal SKIPME yes").int(), 1);
    until("it is gone", || {
        number(&deployment.nodes[deployment.primary()], "clients", "blocked_clients") == 0
    });
    assert_eq!(two.line("RPUSH queue v"), Reply::Int(1));
    assert_eq!(two.line("LLEN queue"), Reply::Int(1));
    let mut subscriber = others[0].client();
    subscriber.line("SUBSCRIBE news");
    two.line("PUBLISH news hello");
    assert_eq!(subscriber.read().unwrap().list()[2].text(), "hello");
    subscriber = others[0].client();
    subscriber.hello3();
    subscriber.line("SUBSCRIBE news");
    assert_eq!(subscriber.line("SET by-a-subscriber 1").text(), "OK");
    two.line("PUBLISH news hello");
    assert_eq!(subscriber.read().unwrap().list()[2].text(), "hello");
}

#[test]
fn watched_keys_are_watched_on_the_primary() {
    let deployment = Deployment::start(&[]);
    let others = deployment.others();
    let (mut one, mut two) = (others[0].client(), others[1].client());
    let mut transaction = |change: bool| {
        one.line("WATCH k");
        one.line("GET k");
        if change {
            two.line("INCR k");
        }
        one.line("MULTI");
        one.line("INCR k");
        one.line("EXEC")
    };
    assert_eq!(transaction(false).list().len(), 1);
    assert!(transaction(true).is_nil());
    one.line("WATCH k");
    two.line("INCR k");
    one.line("UNWATCH");
    one.line("MULTI");
    one.line("GET k");
    assert_eq!(one.line("EXEC").list()[0].text(), "3");
    one.line("MULTI");
    one.line("GET k");
    one.line("SUBSCRIBE x");
    assert!(one.line("EXEC").text().starts_with("EXECABORT"));
    assert_eq!(one.line("GET k").text(), "3");
}

#[test]
fn replies_that_nobody_wants_are_kept_back() {
    let deployment = Deployment::start(&[]);
    let mut client = deployment.other().client();
    client.send(&["CLIENT", "REPLY", "SKIP"]).unwrap();
    client.send(&["INCR", "n"]).unwrap();
    assert_eq!(client.line("INCR n"), Reply::Int(2));
    client.send(&["CLIENT", "REPLY", "OFF"]).unwrap();
    client.send(&["INCR", "n"]).unwrap();
    client.send(&["INCR", "n"]).unwrap();
    assert_eq!(client.line("CLIENT REPLY ON").text(), "OK");
    assert_eq!(client.line("INCR n"), Reply::Int(5));
}

#[test]
fn nodes_answer_as_they_are_told_to() {
    let deployment = Deployment::start(&[]);
    let primary = &deployment.nodes[deployment.primary()];
    let other = deployment.other();
    let mut client = other.client();
    client.line("SET k v");
    // What changes the connection's state does not cost the connection.
    client.line("WATCH k");
    client.line("SELECT 1");
    client.line("CLIENT SETNAME x");
    client.line("SET elsewhere v");
    client.line("SELECT 0");
    client.line("MULTI");
    client.line("GET k");
    assert_eq!(client.line("EXEC").list().len(), 1);
    assert_eq!(client.line("READONLY").text(), "OK");
    let relayed = number(other, "ha", "ha_relayed_commands");
    until("it is here, too", || client.line("GET k").text() == "v");
    assert_eq!(number(other, "ha", "ha_relayed_commands"), relayed, "it was read here");
    assert_eq!(client.line("SET k w").text(), "OK");
    client.line("READWRITE");
    assert_eq!(client.line("GET k").text(), "w");
    client.line("CONFIG SET ha-route redirect");
    until("all know", || other.client().line("CONFIG GET ha-route").list()[1].text() == "redirect");
    assert!(client.line("SET k x").text().starts_with("READONLY"));
    client.line("CLIENT CAPA redirect");
    let redirect = format!("REDIRECT 127.0.0.1:{}", primary.port);
    for call in ["SET k x", "GET k", "DBSIZE"] {
        assert_eq!(client.line(call).text(), redirect, "{call}");
    }
    client.line("MULTI");
    assert_eq!(client.line("GET k").text(), redirect);
    assert!(client.line("EXEC").text().starts_with("EXECABORT"));
    client.line("READONLY");
    assert_eq!(client.line("GET k").text(), "w");
    client.line("CONFIG SET ha-route off");
    until("all know", || other.client().line("CONFIG GET ha-route").list()[1].text() == "off");
    assert_eq!(client.line("GET k").text(), "w");
    assert!(client.line("SET k x").text().starts_with("READONLY"));
    // As on a replica of Redis, messages are for its own subscribers.
    let mut listener = other.client();
    listener.line("SUBSCRIBE news");
    let offset = number(primary, "replication", "master_repl_offset");
    assert_eq!(client.line("PUBLISH news one"), Reply::Int(1));
    for (change, answer) in [("GET k", "w"), ("SET k x", "EXECABORT")] {
        ["MULTI", change, "PUBLISH news two"].iter().for_each(|line| drop(client.line(line)));
        let reply = client.line("EXEC");
        let text = if reply.is_error() { reply.text() } else { reply.list()[0].text() };
        assert!(text.starts_with(answer), "{text}");
    }
    assert_eq!(primary.client().line("PUBLISH news three"), Reply::Int(0));
    for text in ["one", "two", "three"] {
        assert_eq!(listener.read().unwrap().list()[2].text(), text);
    }
    until("the replica has the primary's stream and nothing else", || {
        let at = |node| number(node, "replication", "master_repl_offset");
        at(primary) > offset && at(primary) == at(other)
    });
}

/// CLIENT UNBLOCK and CLIENT KILL are said to the node that the client is connected to; and the nodes understand each other
/// whatever the commands are called.
#[test]
fn blocked_clients_are_reached_through_their_node() {
    let renames =
        ["SELECT choose", "CLIENT cli", "MULTI begin", "EXEC commit"].map(|pair| ("rename-command", pair));
    let deployment = Deployment::start(&renames);
    let (primary, other) = (&deployment.nodes[deployment.primary()], deployment.other());
    let mut client = other.client();
    for line in ["choose 3", "cli SETNAME somebody", "SET k v", "begin", "APPEND k w"] {
        assert!(!client.line(line).is_error(), "{line}");
    }
    assert_eq!(client.line("commit").list(), [Reply::Int(2)]);
    assert!(primary.client().line("cli LIST").text().contains("name=somebody"));
    let mut waiting = other.client();
    let id = waiting.line("cli ID").int();
    assert_eq!(waiting.line("choose 3").text(), "OK");
    let mut ask = |line: String| client.line(&line);
    assert_eq!(ask(format!("cli UNBLOCK {id}")), Reply::Int(0));
    let mut unblock = |how: &str| {
        until("it is blocked", || ask(format!("cli UNBLOCK {id} {how}")) == Reply::Int(1));
    };
    for call in [&["BLPOP", "none", "0"][..], &["XREAD", "BLOCK", "0", "STREAMS", "none", "$"]] {
        waiting.send(call).unwrap();
        unblock("TIMEOUT");
        assert!(waiting.read().unwrap().is_nil());
        waiting.send(call).unwrap();
        unblock("ERROR");
        let text = waiting.read().unwrap().text();
        assert_eq!(text, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    }
    waiting.send(&["WAIT", "7", "0"]).unwrap();
    unblock("TIMEOUT");
    assert_eq!(waiting.read().unwrap(), Reply::Int(2));
    // Only what waits now is given up, whatever came behind it.
    let calls: [&[&str]; 3] = [&["BLPOP", "none", "0"], &["BLPOP", "some", "0"], &["GET", "k"]];
    let pipeline: Vec<u8> = calls.iter().flat_map(|call| encode(call)).collect();
    waiting.send_raw(&pipeline).unwrap();
    unblock("TIMEOUT");
    assert!(waiting.read().unwrap().is_nil());
    assert_eq!(ask("RPUSH some x".into()), Reply::Int(1));
    assert_eq!(waiting.read().unwrap().list()[1].text(), "x");
    assert_eq!(waiting.read().unwrap().text(), "vw");
    waiting.send(&["BLPOP", "none", "0"]).unwrap();
    until("it is blocked", || {
        ask("cli LIST".into())
            .text()
            .lines()
            .any(|line| line.starts_with(&format!("id={id} ")) && line.contains("flags=b"))
    });
    assert_eq!(ask(format!("cli KILL ID {id}")), Reply::Int(1));
    assert!(waiting.read().is_err());
    // What is pushed now is not lost to somebody who has gone.
    until("its connection to the primary is gone", || field(primary, "clients", "blocked_clients") == "0");
}

#[test]
fn the_primary_learns_who_the_client_is() {
    let deployment = Deployment::start(&[]);
    let mut first = deployment.other().client();
    assert_eq!(first.line("CONFIG SET masterauth secret").text(), "OK");
    assert_eq!(first.line("CONFIG SET requirepass secret").text(), "OK");
    let mut nodes = Vec::new();
    for node in &deployment.nodes {
        let mut client = node.client();
        until("it asks for the password", || node.client().line("GET k").is_error());
        assert_eq!(client.line("GET k").text(), "NOAUTH Authentication required.");
        assert_eq!(client.line("AUTH secret").text(), "OK");
        assert_eq!(client.line("CLIENT SETNAME somebody").text(), "OK");
        assert_eq!(client.line("SET k v").text(), "OK");
        nodes.push(client);
    }
    let named = |client: &mut Client| client.line("CLIENT LIST").text().matches("name=somebody").count();
    // What they sent so far went on connections that others may share.
    let counts: Vec<usize> = nodes.iter_mut().map(named).collect();
    assert_eq!(counts, [1, 1, 1]);
    for client in &mut nodes {
        assert_eq!(client.line("WATCH k").text(), "OK");
    }
    let counts: Vec<usize> = nodes.iter_mut().map(named).collect();
    assert_eq!(counts.iter().max(), Some(&3), "{counts:?}");
}

/// Counts as long as it is told to, through a node; what was acknowledged, and what may have happened.
struct Writer {
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<(u64, Vec<String>)>,
}

impl Writer {
    fn start(node: &Server, key: &'static str, write: fn(&mut Client, &str) -> Reply) -> Writer {
        let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut client = node.client();
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&acked));
        let thread = std::thread::spawn(move || {
            let (mut unknown, mut errors) = (0, Vec::new());
            while !stopped.load(SeqCst) {
                let reply = write(&mut client, key);
                if !reply.is_error() {
                    counted.fetch_add(1, SeqCst);
                } else {
                    unknown += u64::from(reply.text().contains("unknown"));
                    errors.push(reply.text());
                }
            }
            (unknown, errors)
        });
        Writer { stop, acked, thread }
    }

    fn acked(&self) -> u64 {
        self.acked.load(SeqCst)
    }

    /// Acknowledged, of unknown outcome, and all errors.
    fn end(self) -> (u64, u64, Vec<String>) {
        self.stop.store(true, SeqCst);
        let (unknown, errors) = self.thread.join().unwrap();
        (self.acked.load(SeqCst), unknown, errors)
    }
}

fn increment(client: &mut Client, key: &str) -> Reply {
    client.call(&["INCR", key])
}

fn transact(client: &mut Client, key: &str) -> Reply {
    client.line("MULTI");
    client.call(&["INCR", key]);
    client.line("EXEC")
}

fn pop(client: &mut Client, key: &str) -> Reply {
    client.call(&["RPUSH", "queue", "x"]);
    client.call(&["BLPOP", "queue", "0"]);
    client.call(&["INCR", key])
}

#[test]
fn what_was_acknowledged_outlives_the_primary() {
    let mut deployment = Deployment::start(&[]);
    let writers: Vec<_> = {
        let others = deployment.others();
        [(0, "one"), (1, "two"), (0, "three"), (1, "four")]
            .into_iter()
            .map(|(node, key)| (key, Writer::start(others[node], key, increment)))
            .collect()
    };
    until("all write", || writers.iter().all(|(_, writer)| writer.acked() > 100));
    deployment.kill_primary();
    let before: Vec<u64> = writers.iter().map(|(_, writer)| writer.acked()).collect();
    until("all write again", || {
        writers.iter().zip(&before).all(|((_, writer), before)| writer.acked() > before + 100)
    });
    for (key, writer) in writers {
        let (acked, unknown, errors) = writer.end();
        let counted: u64 = deployment.other().client().call(&["GET", key]).text().parse().unwrap();
        assert!(acked <= counted && counted <= acked + unknown, "{key}: {acked} + {unknown}, {counted}");
        assert!(unknown <= 1 && errors.len() as u64 == unknown, "{errors:?}");
    }
}

#[test]
fn a_primary_that_is_told_to_stop_costs_nothing() {
    let mut deployment = Deployment::start(&[]);
    let leads = deployment.primary();
    let ways = [("inc", increment as fn(&mut Client, &str) -> Reply), ("multi", transact), ("pop", pop)];
    let mut writers = Vec::new();
    for node in deployment.others() {
        for (name, way) in ways {
            let key: &'static str = String::leak(format!("{name}{}", node.port));
            writers.push((key, Writer::start(node, key, way)));
        }
    }
    let all_write = |what: &str| {
        let before: Vec<u64> = writers.iter().map(|(_, writer)| writer.acked()).collect();
        until(what, || writers.iter().zip(&before).all(|((_, writer), before)| writer.acked() > before + 30));
    };
    all_write("all write");
    let pid = deployment.nodes[leads].pid().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let code = deployment.nodes[leads].wait_exit(Duration::from_secs(30)).unwrap();
    assert_eq!(code, Some(0));
    drop(deployment.nodes.remove(leads));
    all_write("all write on");
    let mut client = deployment.other().client();
    for (key, writer) in writers {
        let (acked, _, errors) = writer.end();
        assert!(errors.is_empty(), "{key}: {errors:?}");
        assert_eq!(client.call(&["GET", key]).text(), acked.to_string(), "{key}");
    }
}

#[test]
fn a_planned_change_of_primary_is_no_error() {
    let deployment = Deployment::start(&[]);
    let first = deployment.primary();
    let mut writers = Vec::new();
    let ways = [("inc", increment as fn(&mut Client, &str) -> Reply), ("multi", transact), ("pop", pop)];
    for node in &deployment.nodes {
        for (name, way) in ways {
            let key: &'static str = String::leak(format!("{name}{}", node.port));
            writers.push((key, Writer::start(node, key, way)));
        }
    }
    for round in 0..4 {
        let before: Vec<u64> = writers.iter().map(|(_, writer)| writer.acked()).collect();
        until("all write", || {
            writers.iter().zip(&before).all(|((_, writer), before)| writer.acked() > before + 30)
        });
        let leads = deployment.primary();
        assert!(round > 0 || leads == first);
        let node = &deployment.nodes[(leads + round) % 3];
        let reply = node.client().line("FAILOVER");
        assert_eq!(reply.text(), "OK");
        until("another leads", || deployment.primary() != leads);
        deployment.settle();
    }
    let mut client = deployment.other().client();
    for (key, writer) in writers {
        let (acked, _, errors) = writer.end();
        assert!(errors.is_empty(), "{key}: {errors:?}");
        assert_eq!(client.call(&["GET", key]).text(), acked.to_string(), "{key}");
    }
}

#[test]
fn a_blocked_client_is_served_by_the_next_primary() {
    let deployment = Deployment::start(&[]);
    let leads = deployment.primary();
    let mut waiting: Vec<Client> = deployment.nodes.iter().map(Server::client).collect();
    for client in &mut waiting {
        client.send(&["BLPOP", "queue", "0"]).unwrap();
    }
    until("all wait", || number(&deployment.nodes[leads], "clients", "blocked_clients") == 3);
    assert_eq!(deployment.other().client().line("FAILOVER").text(), "OK");
    until("another leads", || deployment.primary() != leads);
    let now = deployment.primary();
    until("all wait there", || number(&deployment.nodes[now], "clients", "blocked_clients") == 3);
    assert_eq!(deployment.other().client().line("RPUSH queue a b c").int(), 3);
    for client in &mut waiting {
        assert_eq!(client.read().unwrap().list().len(), 2);
    }
}

#[test]
fn without_a_majority_requests_are_refused() {
    let mut deployment = Deployment::start(&[]);
    let mut client = deployment.other().client();
    assert_eq!(client.line("SET k v").text(), "OK");
    let kept = client.stream().peer_addr().unwrap().port();
    deployment.nodes.retain(|node| node.port == kept);
    let answer = || {
        let mut client = deployment.nodes[0].client();
        client.send(&["GET", "k"]).unwrap();
        client.receive(Duration::from_secs(10)).unwrap()
    };
    until(
        "it says so",
        || matches!(answer(), Received::Reply(reply) if reply.text().starts_with("CLUSTERDOWN")),
    );
    let started = std::time::Instant::now();
    let Received::Reply(reply) = answer() else { panic!("no answer") };
    assert!(reply.text().starts_with("CLUSTERDOWN"), "{reply}");
    assert!(started.elapsed() < Duration::from_millis(500), "it took {:?}", started.elapsed());
    assert_eq!(field(&deployment.nodes[0], "ha", "ha_majority"), "0");
}

/// As if it were the primary that has to take a whole pipeline before a reply is read.
#[test]
fn a_pipeline_is_taken_whole_before_a_reply_is() {
    let deployment = Deployment::start(&[]);
    let mut client = deployment.other().client();
    let word = |number: usize| format!("{number:01024}");
    let calls: Vec<u8> = (0..40_000).flat_map(|number| encode(&["SET", "k", &word(number), "GET"])).collect();
    client.send_blindly(&calls).expect("it is taken");
    assert_eq!(client.read().unwrap(), Reply::Nil);
    for number in 0..39_999 {
        assert_eq!(client.read().unwrap().text(), word(number));
    }
    assert_eq!(client.line("GET k").text(), word(39_999));
}

#[test]
fn what_was_sent_before_the_end_is_carried() {
    let deployment = Deployment::start(&[("io-threads", "1")]);
    let (mut client, mut brief) = (deployment.other().client(), deployment.other().client());
    client.call(&["SET", "k", &"v".repeat(50_000)]);
    let calls = [encode(&["GET", "k"]).repeat(2_000), encode(&["SET", "done", "1"])].concat();
    brief.send_blindly(&calls).unwrap();
    // One worker serves both, and must go on doing so while it waits for what the other is to be answered.
    until("replies wait to be taken", || {
        client.line("CLIENT LIST").text().lines().any(|line| {
            line.split_once(" omem=")
                .is_some_and(|(_, rest)| rest.split(' ').next().is_some_and(|n| n.len() > 6))
        })
    });
    brief.stream().shutdown(std::net::Shutdown::Write).unwrap();
    until("the last request has run", || client.line("EXISTS done").int() == 1);
}
