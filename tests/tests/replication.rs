//! Replication with itself and with the reference at either end: data, offsets, links that break.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::replication::{
    Proxy, field, fill, follow, number, random_calls, run, settle, until, wait_link,
};
use redoubt_tests::{Client, Kind, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Options under which the reference takes part without waiting for more replicas.
const AT_ONCE: &[(&str, &str)] = &[("repl-diskless-sync-delay", "0")];

/// Random writes before and after the full sync end in the same data at both ends.
fn converges(primary: Kind, replica: Kind, newer: bool) {
    let Some(primary) = Server::start(primary, AT_ONCE) else { return };
    let Some(replica) = Server::start(replica, AT_ONCE) else { return };
    let calls = random_calls(newer, 3000);
    let (before, after) = calls.split_at(1000);
    let mut client = primary.client();
    run(&mut client, before);
    follow(&replica, primary.port);
    run(&mut client, after);
    settle(&primary, &replica);
    assert_eq!(number(&primary, "stats", "sync_full"), 1);
}

#[test]
fn our_primary_and_replica() {
    converges(Kind::Ours, Kind::Ours, true);
}

#[test]
fn our_primary_and_a_redis_7_replica() {
    converges(Kind::Ours, Kind::Redis7, false);
}

#[test]
fn a_redis_7_primary_and_our_replica() {
    converges(Kind::Redis7, Kind::Ours, false);
}

#[test]
fn our_primary_and_a_redis_8_replica() {
    converges(Kind::Ours, Kind::Redis8, true);
}

#[test]
fn a_redis_8_primary_and_our_replica() {
    converges(Kind::Redis8, Kind::Ours, true);
}

#[test]
fn without_diskless_sync_the_length_comes_first() {
    let primary = Server::ours(&[("repl-diskless-sync", "no")]);
    fill(&mut primary.client(), 2000);
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(replica) = Server::start(kind, &[]) else { continue };
        follow(&replica, primary.port);
        fill(&mut primary.client(), 100);
        settle(&primary, &replica);
    }
}

/// Chains of three, and what becomes of them when the middle is promoted: nobody needs a snapshot.
#[test]
fn a_chain_goes_on_under_a_promoted_middle() {
    for (top, middle, end) in [
        (Kind::Ours, Kind::Ours, Kind::Redis7),
        (Kind::Redis7, Kind::Ours, Kind::Ours),
        (Kind::Ours, Kind::Redis7, Kind::Ours),
    ] {
        let Some(top) = Server::start(top, AT_ONCE) else { return };
        let Some(middle) = Server::start(middle, AT_ONCE) else { return };
        let Some(end) = Server::start(end, AT_ONCE) else { return };
        top.client().line("SELECT 3");
        fill(&mut top.client(), 500);
        follow(&middle, top.port);
        follow(&end, middle.port);
        let mut client = top.client();
        client.line("SELECT 5");
        fill(&mut client, 500);
        settle(&top, &middle);
        settle(&middle, &end);
        let fulls = number(&middle, "stats", "sync_full");
        middle.client().line("REPLICAOF NO ONE");
        wait_link(&end);
        fill(&mut middle.client(), 100);
        settle(&middle, &end);
        assert_eq!(number(&middle, "stats", "sync_full"), fulls, "{}", middle.log());
        assert_eq!(
            field(&middle, "replication", "master_replid2"),
            field(&top, "replication", "master_replid")
        );
        // The old primary has written nothing since: it may follow without a snapshot too.
        follow(&top, middle.port);
        settle(&middle, &top);
        assert_eq!(number(&middle, "stats", "sync_full"), fulls, "{}", middle.log());
    }
}

/// A link that breaks again and again, anywhere, costs no second snapshot and no byte.
#[test]
fn a_broken_link_is_mended_without_a_snapshot() {
    for (primary, replica) in
        [(Kind::Ours, Kind::Ours), (Kind::Redis7, Kind::Ours), (Kind::Ours, Kind::Redis7)]
    {
        let Some(primary) = Server::start(primary, AT_ONCE) else { return };
        let Some(replica) = Server::start(replica, AT_ONCE) else { return };
        let proxy = Proxy::start(primary.port);
        follow(&replica, proxy.port);
        let mut client = primary.client();
        for cut in 0..25 {
            proxy.cut_after(100 + cut * 37);
            fill(&mut client, 200);
            client.line("MULTI");
            for number in 0..20 {
                client.call(&["INCRBY", "sum", &number.to_string()]);
                client.call(&["RPUSH", "l", "x"]);
            }
            client.line("EXEC");
            until("the link breaks", || proxy.cuts() > cut);
        }
        proxy.pass_all();
        settle(&primary, &replica);
        assert_eq!(number(&primary, "stats", "sync_full"), 1, "{}\n{}", primary.log(), replica.log());
        assert!(number(&primary, "stats", "sync_partial_ok") > 0);
    }
}

#[test]
fn who_is_behind_the_backlog_gets_a_snapshot() {
    for (primary, replica) in
        [(Kind::Ours, Kind::Ours), (Kind::Redis7, Kind::Ours), (Kind::Ours, Kind::Redis7)]
    {
        let options = [AT_ONCE, &[("repl-backlog-size", "20kb")]].concat();
        let Some(primary) = Server::start(primary, &options) else { return };
        let Some(replica) = Server::start(replica, AT_ONCE) else { return };
        let proxy = Proxy::start(primary.port);
        follow(&replica, proxy.port);
        fill(&mut primary.client(), 100);
        settle(&primary, &replica);
        proxy.refuse();
        until("the replica notices", || field(&replica, "replication", "master_link_status") == "down");
        fill(&mut primary.client(), 20_000);
        proxy.pass_all();
        settle(&primary, &replica);
        assert_eq!(number(&primary, "stats", "sync_full"), 2, "{}", primary.log());
    }
}

#[test]
fn a_replica_that_dies_while_it_syncs_leaves_no_trace() {
    let primary = Server::ours(&[]);
    let mut client = primary.client();
    let value = "x".repeat(100_000);
    for number in 0..400 {
        client.call(&["SET", &format!("big{number}"), &value]);
    }
    let dying = Server::ours(&[]);
    dying.client().call(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    until("it syncs", || number(&primary, "stats", "sync_full") == 1);
    signal(&dying, "STOP");
    until("it is being sent", || !field(&primary, "replication", "slave0").contains("wait_bgsave"));
    drop(dying);
    until("it is gone", || number(&primary, "replication", "connected_slaves") == 0);
    let replica = Server::ours(&[]);
    follow(&replica, primary.port);
    settle(&primary, &replica);
}

#[test]
fn a_slow_replica_is_bounded_by_its_output_limit() {
    let primary = Server::ours(&[("client-output-buffer-limit", "replica 3mb 0 0")]);
    let replica = Server::ours(&[]);
    follow(&replica, primary.port);
    signal(&replica, "STOP");
    let mut client = primary.client();
    let value = "x".repeat(100_000);
    let mut sent = 0;
    while number(&primary, "replication", "connected_slaves") == 1 {
        client.call(&["SET", &format!("k{}", sent % 10), &value]);
        sent += 1;
        // What the kernel takes comes on top of the limit.
        assert!(sent < 1000, "the limit has no effect");
    }
    assert!(number(&primary, "memory", "mem_replication_backlog") < 8_000_000);
    signal(&replica, "CONT");
    settle(&primary, &replica);
}

fn signal(server: &Server, name: &str) {
    let sent =
        std::process::Command::new("kill").args([&format!("-{name}"), &server.pid().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn wait_counts_who_has_confirmed() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let primary = Server::ours(AT_ONCE);
        let Some(replica) = Server::start(kind, &[]) else { continue };
        let mut client = primary.client();
        assert_eq!(client.line("WAIT 0 0").int(), 0);
        follow(&replica, primary.port);
        client.line("SET k v");
        assert_eq!(client.line("WAIT 1 5000").int(), 1);
        assert_eq!(client.line("WAIT 2 50").int(), 1);
        signal(&replica, "STOP");
        client.line("SET k w");
        assert_eq!(client.line("WAIT 1 100").int(), 0);
        // Another client can end the waiting, and a replica that comes back does.
        let mut waiting = primary.client();
        waiting.line("SET k x");
        let id = waiting.line("CLIENT ID").int().to_string();
        waiting.send(&["WAIT", "1", "0"]).unwrap();
        until("it waits", || number(&primary, "clients", "blocked_clients") == 1);
        client.call(&["CLIENT", "UNBLOCK", &id, "ERROR"]);
        assert!(waiting.read().unwrap().text().starts_with("UNBLOCKED"));
        waiting.send(&["WAIT", "1", "0"]).unwrap();
        until("it waits", || number(&primary, "clients", "blocked_clients") == 1);
        signal(&replica, "CONT");
        assert_eq!(waiting.read().unwrap().int(), 1);
    }
}

#[test]
fn writes_need_as_many_replicas_as_the_settings_say() {
    let primary = Server::ours(&[("min-replicas-to-write", "1"), ("min-replicas-max-lag", "2")]);
    let mut client = primary.client();
    assert!(client.line("SET k v").text().starts_with("NOREPLICAS"));
    let replica = Server::ours(&[]);
    follow(&replica, primary.port);
    until("the replica counts", || client.line("SET k v").text() == "OK");
    assert_eq!(number(&primary, "replication", "min_slaves_good_slaves"), 1);
    signal(&replica, "STOP");
    until("the replica lags", || client.line("SET k v").is_error());
    assert_eq!(client.line("GET k").text(), "v");
    signal(&replica, "CONT");
    until("it is back", || !client.line("SET k v").is_error());
}

/// A replica hides what has expired, and keeps it until its primary says otherwise.
#[test]
fn a_replica_expires_nothing_by_itself() {
    let primary = Server::ours(&[("enable-debug-command", "yes")]);
    let replica = Server::ours(&[]);
    follow(&replica, primary.port);
    let mut client = primary.client();
    client.line("DEBUG SET-ACTIVE-EXPIRE 0");
    client.line("SET k v PX 30");
    client.line("HSET h f v g w");
    client.line("HPEXPIRE h 30 FIELDS 1 f");
    let mut there = replica.client();
    until("both have come", || there.line("DBSIZE").int() == 2);
    until("it has expired", || there.line("GET k").is_nil() && there.line("HGET h f").is_nil());
    assert_eq!(there.line("DBSIZE").int(), 2);
    client.line("DEBUG SET-ACTIVE-EXPIRE 1");
    until("the primary has removed it", || there.line("DBSIZE").int() == 1);
    settle(&primary, &replica);
}

#[test]
fn messages_reach_subscribers_of_replicas() {
    for (primary, replica) in
        [(Kind::Ours, Kind::Ours), (Kind::Redis7, Kind::Ours), (Kind::Ours, Kind::Redis7)]
    {
        let Some(primary) = Server::start(primary, AT_ONCE) else { return };
        let Some(replica) = Server::start(replica, AT_ONCE) else { return };
        follow(&replica, primary.port);
        let mut listener = replica.client();
        listener.line("SUBSCRIBE news");
        let mut client = primary.client();
        client.line("PUBLISH news one");
        client.line("MULTI");
        client.line("SET k v");
        client.line("PUBLISH news two");
        client.line("EXEC");
        for text in ["one", "two"] {
            assert_eq!(listener.read().unwrap().list()[2].text(), text);
        }
        settle(&primary, &replica);
    }
}

/// The primary is a client like others: it is listed, and may be killed; then it is connected to again.
#[test]
fn the_link_is_a_client() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let primary = Server::ours(&[]);
        let Some(replica) = Server::start(kind, AT_ONCE) else { return };
        follow(&replica, primary.port);
        let mut client = replica.client();
        let list = client.line("CLIENT LIST TYPE master").text();
        assert_eq!(list.lines().count(), 1, "{list}");
        assert!(list.contains(&format!("addr=127.0.0.1:{} ", primary.port)), "{list}");
        assert!(list.contains(" flags=M ") && list.contains(" user=(superuser) "), "{list}");
        assert_eq!(client.line("CLIENT LIST TYPE normal").text().lines().count(), 1);
        assert_eq!(number(&replica, "clients", "connected_clients"), 3);
        assert_eq!(client.line("CLIENT KILL TYPE master").int(), 1);
        // Redis keeps the id.
        let from = |list: &str| list.split(' ').find(|word| word.starts_with("laddr=")).map(str::to_owned);
        until("it has come again", || {
            let again = client.line("CLIENT LIST TYPE master").text();
            again.lines().count() == 1 && from(&again) != from(&list)
        });
        settle(&primary, &replica);
        assert_eq!(number(&primary, "stats", "sync_partial_ok"), 1);
    }
}

/// Attaches as replicas of long ago do, with SYNC: the stream, and the snapshot that comes first.
fn sync(server: &Server) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"SYNC\r\n").unwrap();
    // Lines without words say that the server is there.
    let size = std::iter::repeat_with(|| line(&mut stream)).find(|line| !line.is_empty()).unwrap();
    let mut snapshot = vec![0; size.strip_prefix('$').unwrap().parse().unwrap()];
    stream.read_exact(&mut snapshot).unwrap();
    (stream, snapshot)
}

fn line(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap().trim_end().to_owned()
}

/// Reads a request of the stream.
fn request(stream: &mut TcpStream) -> String {
    let count: usize = line(stream).strip_prefix('*').unwrap().parse().unwrap();
    let words: Vec<String> = (0..count).map(|_| (line(stream), line(stream)).1).collect();
    words.join(" ")
}

#[test]
fn sync_without_psync() {
    let primary = Server::ours(&[]);
    primary.client().line("SET before 1");
    let (mut old, snapshot) = sync(&primary);
    assert!(snapshot.starts_with(b"REDIS0010"));
    primary.client().line("SET after 2");
    let mut all = Vec::new();
    read_until(&mut old, &mut all, |all| all.ends_with(b"$5\r\nafter\r\n$1\r\n2\r\n"));
    let stream = String::from_utf8_lossy(&all).into_owned();
    assert!(stream.starts_with("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n"), "{stream}");
}

/// Calls that choose are told as what they chose, in the words of the newer reference (SPOP of all is a DEL in 7.0).
#[test]
fn effects_are_those_of_the_reference() {
    let calls = "RPUSH l a b c d e|LMPOP 2 none l LEFT COUNT 2|LMPOP 1 l RIGHT|BLMPOP 0 1 l LEFT COUNT 9|\
         ZADD z 1 a 2 b 3 c 4 d|ZMPOP 2 none z MAX COUNT 2|ZMPOP 1 z MIN|BZMPOP 0 1 z MIN COUNT 9|ZADD z 1 a|BZPOPMIN z 0|\
         SET s v|GETSET s w|SET s x GET|GETDEL s|SADD m 1 2|SPOP m 2|CONFIG SET lazyfree-lazy-server-del yes|SADD m 1 2|\
         SPOP m 2|SET e v|EXPIRE e -1|CONFIG SET lazyfree-lazy-expire yes|SET e v|EXPIRE e -1|SET end 1";
    let mut told: Vec<Vec<String>> = Vec::new();
    for kind in [Kind::Ours, Kind::Redis8] {
        let Some(primary) = Server::start(kind, AT_ONCE) else { continue };
        let (mut stream, _) = sync(&primary);
        let mut client = primary.client();
        calls.split('|').for_each(|call| drop(client.line(call)));
        let mut requests = Vec::new();
        while requests.last().is_none_or(|last: &String| last != "set end 1") {
            let words = request(&mut stream).to_lowercase();
            if !["select", "ping", "replconf"].iter().any(|other| words.starts_with(other)) {
                requests.push(words);
            }
        }
        told.push(requests);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:#?}");
}

/// A transaction that was queued while the link was up does not run once the data are not to be served.
#[test]
fn a_transaction_meets_stale_data() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(server) = Server::start(kind, &[("replica-serve-stale-data", "no")]) else { continue };
        let (mut client, mut other) = (server.client(), server.client());
        client.line("SET k v");
        for queued in ["GET k", "PING"] {
            client.line("MULTI");
            client.line(queued);
            // Nobody is there.
            other.line("REPLICAOF 127.0.0.1 1");
            let error = client.line("EXEC").text();
            assert!(error.starts_with("EXECABORT Transaction discarded because of: MASTERDOWN"), "{error}");
            other.line("REPLICAOF NO ONE");
        }
        client.line("MULTI");
        client.line("GET k");
        assert_eq!(client.line("EXEC").list()[0].text(), "v");
    }
}

/// What goes over links is counted, and CONFIG RESETSTAT begins anew.
#[test]
fn bytes_of_links_are_counted() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(primary) = Server::start(kind, AT_ONCE) else { continue };
        let replica = Server::start(kind, AT_ONCE).unwrap();
        follow(&replica, primary.port);
        let value = "x".repeat(200_000);
        primary.client().call(&["SET", "k", &value]);
        settle(&primary, &replica);
        assert!(number(&primary, "stats", "total_net_repl_output_bytes") > 200_000);
        assert!(number(&replica, "stats", "total_net_repl_input_bytes") > 200_000);
        assert!(number(&replica, "stats", "total_net_input_bytes") > 200_000);
        assert_eq!(number(&primary, "stats", "sync_full"), 1);
        for server in [&primary, &replica] {
            server.client().line("CONFIG RESETSTAT");
            for name in
                ["total_net_repl_output_bytes", "total_net_repl_input_bytes", "total_net_output_bytes"]
            {
                assert!(number(server, "stats", name) < 50_000, "{name} of {kind:?}");
            }
            assert_eq!(number(server, "stats", "sync_full"), 0);
        }
    }
}

fn read_until(stream: &mut TcpStream, all: &mut Vec<u8>, done: impl Fn(&[u8]) -> bool) {
    let mut part = [0; 4096];
    while !done(all) {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(all));
        all.extend_from_slice(&part[..count]);
    }
}

/// `redis-cli --rdb` takes a snapshot and no stream.
#[test]
fn a_snapshot_over_the_wire() {
    let primary = Server::ours(&[]);
    fill(&mut primary.client(), 100);
    let file = primary.dir.join("copy.rdb");
    let Ok(output) = std::process::Command::new("redis-cli")
        .args(["-p", &primary.port.to_string(), "--rdb"])
        .arg(&file)
        .output()
    else {
        eprintln!("skipped: redis-cli is not on this machine");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(&file).unwrap().starts_with(b"REDIS"));
    until("it is gone", || number(&primary, "replication", "connected_slaves") == 0);
}

#[test]
fn a_replica_logs_in_at_its_primary() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(primary) = Server::start(kind, AT_ONCE) else { continue };
        let mut client = primary.client();
        client.line("CONFIG SET requirepass secret");
        client.line("AUTH secret");
        let port = primary.port.to_string();
        let replica = Server::ours(&[("replicaof", &format!("127.0.0.1 {port}"))]);
        until("it is refused", || replica.log().contains("NOAUTH"));
        replica.client().line("CONFIG SET masterauth secret");
        wait_link(&replica);
        client.line("SET k v");
        let mut there = replica.client();
        until("it follows", || there.line("EXISTS k").int() == 1);
    }
}

/// Everybody tells of the same offsets and lists the same replicas.
#[test]
fn info_and_role_have_the_reference_fields() {
    let names = |server: &Server| -> Vec<String> {
        let info = server.client().line("INFO replication").text();
        info.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
    };
    let mut seen: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(primary) = Server::start(kind, AT_ONCE) else { continue };
        let replica = Server::start(kind, AT_ONCE).unwrap();
        follow(&replica, primary.port);
        settle(&primary, &replica);
        seen.push((names(&primary), names(&replica)));
        let role = role_of(&mut replica.client());
        assert_eq!(role[..4], ["slave", "127.0.0.1", &primary.port.to_string(), "connected"]);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:#?}");
}

fn role_of(client: &mut Client) -> Vec<String> {
    client.line("ROLE").list().iter().map(|item| item.text()).collect()
}

/// Hands the role over and back while clients write: nobody gets an error but READONLY, and no write is lost.
#[test]
fn failover_loses_nothing() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let first = Server::ours(AT_ONCE);
        let Some(second) = Server::start(kind, AT_ONCE) else { continue };
        follow(&second, first.port);
        let mut client = first.client();
        let written = std::thread::spawn(move || {
            let mut count = 0;
            while !client.line("INCR sum").is_error() {
                count += 1;
            }
            count
        });
        until("writes arrive", || number_of(&second) > 50);
        let fulls = number(&first, "stats", "sync_full");
        assert_eq!(first.client().line("FAILOVER").text(), "OK");
        assert!(first.client().line("FAILOVER").is_error());
        let count = written.join().unwrap();
        until("the roles have changed", || field(&second, "replication", "role") == "master");
        wait_link(&first);
        until("it is over", || field(&first, "replication", "master_failover_state") == "no-failover");
        settle(&second, &first);
        assert_eq!(number_of(&second), count);
        assert_eq!(number(&second, "stats", "sync_full"), 0, "{}", second.log());
        // And back again.
        let port = first.port.to_string();
        let reply = second.client().call(&["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "20000"]);
        assert_eq!(reply.text(), "OK");
        until("the roles have changed", || field(&first, "replication", "role") == "master");
        wait_link(&second);
        first.client().line("INCR sum");
        settle(&first, &second);
        assert_eq!(number(&first, "stats", "sync_full"), fulls, "{}", first.log());
    }
}

/// What `sum` has come to.
fn number_of(server: &Server) -> i64 {
    let sum = server.client().line("GET sum");
    if sum.is_nil() { 0 } else { sum.text().parse().unwrap_or(0) }
}

#[test]
fn a_failover_that_nobody_can_take_is_given_up() {
    let primary = Server::ours(AT_ONCE);
    let replica = Server::ours(AT_ONCE);
    follow(&replica, primary.port);
    let mut client = primary.client();
    signal(&replica, "STOP");
    client.line("SET k 1");
    assert_eq!(client.line("FAILOVER TIMEOUT 300").text(), "OK");
    // The write waits until the attempt is over.
    assert_eq!(client.line("SET k 2").text(), "OK");
    assert_eq!(field(&primary, "replication", "master_failover_state"), "no-failover");
    assert_eq!(client.line("FAILOVER").text(), "OK");
    assert_eq!(field(&primary, "replication", "master_failover_state"), "waiting-for-sync");
    assert_eq!(client.line("FAILOVER ABORT").text(), "OK");
    assert_eq!(client.line("SET k 3").text(), "OK");
    signal(&replica, "CONT");
    settle(&primary, &replica);
}

/// WAITAOF counts what is safe on disk, here and at replicas.
#[test]
fn waitaof_counts_what_is_on_disk() {
    let primary = Server::ours(&[("appendonly", "yes")]);
    let replica = Server::ours(&[("appendonly", "yes")]);
    let mut client = primary.client();
    client.line("SET k v");
    assert_eq!(client.line("WAITAOF 1 0 10000").list()[0].int(), 1);
    follow(&replica, primary.port);
    client.line("SET k w");
    let reached = client.line("WAITAOF 1 1 20000").list();
    assert_eq!((reached[0].int(), reached[1].int()), (1, 1));
    settle(&primary, &replica);
}

/// Both ends of a link are stopped and started again with what they have saved: nobody needs a snapshot.
#[test]
fn a_clean_restart_goes_on_where_it_was() {
    let mut primary = Server::ours(&[]);
    let mut replica = Server::ours(&[]);
    follow(&replica, primary.port);
    primary.client().line("SELECT 3");
    fill(&mut primary.client(), 300);
    settle(&primary, &replica);
    let stop = |server: &mut Server| {
        server.client().send(&["SHUTDOWN", "SAVE"]).unwrap();
        server.wait_exit(Duration::from_secs(20)).unwrap();
        server.dir.display().to_string()
    };
    let folder = stop(&mut replica);
    fill(&mut primary.client(), 100);
    let port = primary.port.to_string();
    let replica = Server::ours(&[("dir", &folder), ("replicaof", &format!("127.0.0.1 {port}"))]);
    wait_link(&replica);
    settle(&primary, &replica);
    assert_eq!(number(&primary, "stats", "sync_full"), 1, "{}\n{}", primary.log(), replica.log());
    let folder = stop(&mut primary);
    let primary = Server::ours(&[("dir", &folder)]);
    follow(&replica, primary.port);
    fill(&mut primary.client(), 100);
    settle(&primary, &replica);
    assert_eq!(number(&primary, "stats", "sync_full"), 0, "{}\n{}", primary.log(), replica.log());
}

/// A replica that is stopped, and lacks the newest write of its primary.
fn with_a_lagging_replica(kind: Kind, timeout: &str, test: impl Fn(&mut Server, &mut Client, &Server)) {
    let options = [("repl-diskless-sync-delay", "0"), ("shutdown-timeout", timeout), ("save", "")];
    let Some(mut primary) = Server::start(kind, &options) else { return };
    let replica = Server::start(kind, AT_ONCE).unwrap();
    follow(&replica, primary.port);
    settle(&primary, &replica);
    signal(&replica, "STOP");
    let mut client = primary.client();
    // More than sockets hold.
    let value = "x".repeat(1 << 20);
    (0..16).for_each(|number| drop(client.call(&["SET", &format!("big{number}"), &value])));
    client.line("SET k 2");
    test(&mut primary, &mut client, &replica);
}

fn ends(server: &mut Server) -> bool {
    server.wait_exit(Duration::from_secs(10)).unwrap().is_some()
}

/// What was acknowledged does not go with a server that is asked to stop: replicas may catch up first.
#[test]
fn the_end_waits_for_replicas() {
    for kind in [Kind::Ours, Kind::Redis7] {
        for how in ["SHUTDOWN", "TERM"] {
            with_a_lagging_replica(kind, "100", |primary, client, replica| {
                let mut stopping = primary.client();
                match how {
                    "TERM" => signal(primary, "TERM"),
                    _ => stopping.send(&["SHUTDOWN"]).unwrap(),
                }
                until("the end waits", || {
                    client.line("INFO server").text().contains("shutdown_in_milliseconds:")
                });
                let waits = i64::from(how == "SHUTDOWN");
                assert_eq!(number(primary, "clients", "blocked_clients"), waits, "{kind:?} {how}");
                until("replicas are not counted with the clients", || {
                    let normal = client.line("CLIENT LIST TYPE normal").text().lines().count();
                    client.line("INFO clients").text().contains(&format!("connected_clients:{normal}\r\n"))
                });
                signal(replica, "CONT");
                assert!(ends(primary), "{kind:?} {how}: it does not end");
                assert_eq!(replica.client().line("GET k").text(), "2", "{kind:?} {how}");
            });
        }
    }
}

#[test]
fn the_end_waits_no_longer_than_it_should() {
    for kind in [Kind::Ours, Kind::Redis7] {
        with_a_lagging_replica(kind, "1", |primary, client, _| {
            client.send(&["SHUTDOWN"]).unwrap();
            assert!(ends(primary), "{kind:?}: it waits for ever");
        });
        for (timeout, call) in [("0", "SHUTDOWN"), ("100", "SHUTDOWN NOW")] {
            with_a_lagging_replica(kind, timeout, |primary, client, _| {
                client.send_raw(format!("{call}\r\n").as_bytes()).unwrap();
                assert!(ends(primary), "{kind:?} {call}: it waits");
            });
        }
        with_a_lagging_replica(kind, "100", |primary, client, _| {
            let mut stopping = primary.client();
            stopping.send(&["SHUTDOWN"]).unwrap();
            until("the end waits", || {
                client.line("INFO server").text().contains("shutdown_in_milliseconds:")
            });
            assert_eq!(client.line("SHUTDOWN ABORT").text(), "OK");
            assert!(stopping.read().unwrap().text().contains("Errors trying to SHUTDOWN"));
            assert_eq!(client.line("SET k 3").text(), "OK");
        });
    }
}
