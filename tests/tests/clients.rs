//! What one connection does to another, and to the data meanwhile: CLIENT REPLY, PAUSE, UNBLOCK, KILL, NO-TOUCH. Each
//! test runs against Redoubt and against the reference.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::client::Received;
use redoubt_tests::{Client, Kind, Server};
use std::time::{Duration, Instant};

/// Long enough for a reply, short enough to wait for none.
const SILENCE: Duration = Duration::from_millis(150);
/// How long something that happens by itself may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test on both servers; `options` as for `Server::start`.
fn on_both(reference: Kind, options: &[(&str, &str)], test: impl Fn(&Server)) {
    for kind in [Kind::Ours, reference] {
        if let Some(server) = Server::start(kind, options) {
            test(&server);
        }
    }
}

/// Sends a call that must not be answered before something else happens.
#[track_caller]
fn send_held(client: &mut Client, line: &str) {
    client.send(&redoubt_tests::words::split(line).unwrap()).unwrap();
    assert_eq!(client.receive(SILENCE).unwrap(), Received::Nothing, "{line} was answered");
}

#[track_caller]
fn closed(client: &mut Client) {
    assert_eq!(client.receive(PATIENCE).unwrap(), Received::Closed);
}

/// The number behind `name:` in a section of INFO.
fn info(client: &mut Client, section: &str, name: &str) -> i64 {
    let text = client.call(&["INFO", section]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect(name);
    line.trim().parse().expect(name)
}

/// Asks again until the answer is `expected`.
#[track_caller]
fn becomes(what: &str, expected: i64, mut ask: impl FnMut() -> i64) {
    let deadline = Instant::now() + PATIENCE;
    let mut last = ask();
    while last != expected {
        assert!(Instant::now() < deadline, "{what} is {last}, not {expected}");
        std::thread::sleep(Duration::from_millis(5));
        last = ask();
    }
}

#[test]
fn replies_are_off_or_skipped_for_the_one_that_asked() {
    on_both(Kind::Redis7, &[], |server| {
        let (mut quiet, mut other) = (server.client(), server.client());
        quiet.send(&["CLIENT", "REPLY", "OFF"]).unwrap();
        send_held(&mut quiet, "SET k 1");
        becomes("k", 1, || other.line("EXISTS k").int());
        assert_eq!(quiet.line("CLIENT REPLY ON").to_string(), "+OK");
        quiet.send(&["CLIENT", "REPLY", "SKIP"]).unwrap();
        quiet.send(&["INCR", "k"]).unwrap();
        assert_eq!(quiet.line("INCR k").int(), 3);
        // Off is stronger than one skipped reply, and errors are not sent either.
        for line in ["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "NOSUCH", "GET k"] {
            quiet.send(&redoubt_tests::words::split(line).unwrap()).unwrap();
        }
        assert_eq!(quiet.line("CLIENT REPLY ON").to_string(), "+OK");
    });
}

#[test]
fn a_pause_of_writes_holds_back_what_writes() {
    on_both(Kind::Redis7, &[], |server| {
        let (mut pausing, mut other) = (server.client(), server.client());
        let (mut writer, mut counter, mut queueing) = (server.client(), server.client(), server.client());
        other.line("SET k v");
        other.line("PFADD h a");
        other.line("SET short v PX 50");
        assert_eq!(queueing.line("MULTI").to_string(), "+OK");
        pausing.line("CLIENT PAUSE 60000 WRITE");
        send_held(&mut writer, "SET k w");
        send_held(&mut counter, "PFCOUNT h");
        send_held(&mut queueing, "SET q 1");
        assert_eq!(other.line("GET k").text(), "v");
        // What has expired is hidden and stays.
        becomes("short", 0, || other.line("EXISTS short").int());
        assert_eq!(other.line("GET short").to_string(), "(nil)");
        assert_eq!(other.line("DBSIZE").int(), 3);
        let expired = info(&mut other, "stats", "expired_keys");
        std::thread::sleep(Duration::from_millis(250));
        assert_eq!(info(&mut other, "stats", "expired_keys"), expired);
        pausing.line("CLIENT UNPAUSE");
        assert_eq!(writer.read().unwrap().to_string(), "+OK");
        assert_eq!(counter.read().unwrap().int(), 1);
        assert_eq!(queueing.read().unwrap().to_string(), "+QUEUED");
        assert_eq!(queueing.line("EXEC").list().len(), 1);
        becomes("the number of keys", 3, || other.line("DBSIZE").int());
    });
}

#[test]
fn a_pause_of_everything_ends_by_itself() {
    on_both(Kind::Redis7, &[], |server| {
        let (mut pausing, mut other, mut third) = (server.client(), server.client(), server.client());
        let started = Instant::now();
        pausing.line("CLIENT PAUSE 400 ALL");
        send_held(&mut other, "GET k");
        // Nobody is exempt.
        third.send(&["CLIENT", "UNPAUSE"]).unwrap();
        assert_eq!(other.read().unwrap().to_string(), "(nil)");
        assert_eq!(third.read().unwrap().to_string(), "+OK");
        assert!(started.elapsed() >= Duration::from_millis(400));
    });
}

#[test]
fn nothing_is_evicted_while_clients_are_paused() {
    on_both(Kind::Redis7, &[("maxmemory-policy", "allkeys-random")], |server| {
        let mut client = server.client();
        (0..50).for_each(|number| drop(client.call(&["SET", &format!("k{number}"), "v"])));
        client.line("CLIENT PAUSE 60000 WRITE");
        client.line("CONFIG SET maxmemory 1");
        assert_eq!(client.line("GET k1").text(), "v");
        assert_eq!(client.line("DBSIZE").int(), 50);
        client.line("CLIENT UNPAUSE");
        becomes("the number of keys", 0, || {
            client.line("GET k1");
            client.line("DBSIZE").int()
        });
        assert_eq!(info(&mut client, "stats", "evicted_keys"), 50);
    });
}

#[test]
fn a_parked_call_is_unblocked_by_another_client() {
    on_both(Kind::Redis7, &[], |server| {
        let (mut parked, mut other) = (server.client(), server.client());
        let id = parked.line("CLIENT ID").int().to_string();
        assert_eq!(other.call(&["CLIENT", "UNBLOCK", &id]).int(), 0);
        for (call, null) in
            [("BLPOP l 0", "*-1\r\n"), ("BLMOVE l m LEFT RIGHT 0", "*-1\r\n"), ("BZPOPMIN z 0", "*-1\r\n")]
        {
            send_held(&mut parked, call);
            assert_eq!(other.call(&["CLIENT", "UNBLOCK", &id, "TIMEOUT"]).int(), 1);
            // The kind of null matters to clients, and only the bytes tell it.
            let (bytes, _) = parked.drain(SILENCE).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), null, "{call}");
        }
        send_held(&mut parked, "BRPOP l 0");
        assert_eq!(other.call(&["CLIENT", "UNBLOCK", &id, "ERROR"]).int(), 1);
        assert_eq!(parked.read().unwrap().to_string(), "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
        // It is parked nowhere any more.
        assert_eq!(other.line("RPUSH l x").int(), 1);
        assert_eq!(parked.line("LLEN l").int(), 1);
    });
}

#[test]
fn calls_whose_time_is_over_answer_a_null_array_and_in_multi_their_own_null() {
    on_both(Kind::Redis7, &[], |server| {
        let mut client = server.client();
        let calls = [
            ("BLPOP l 0.01", "*-1\r\n"),
            ("BLMPOP 0.01 1 l LEFT", "*-1\r\n"),
            ("BZMPOP 0.01 1 z MIN", "*-1\r\n"),
            ("BRPOPLPUSH l m 0.01", "$-1\r\n"),
            ("BLMOVE l m LEFT RIGHT 0.01", "$-1\r\n"),
        ];
        for (call, _) in calls {
            client.send(&redoubt_tests::words::split(call).unwrap()).unwrap();
            let (bytes, _) = client.drain(SILENCE).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), "*-1\r\n", "{call}");
        }
        for (call, null) in calls {
            client.line("MULTI");
            client.line(call);
            client.send(&["EXEC"]).unwrap();
            let (bytes, _) = client.drain(SILENCE).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), format!("*1\r\n{null}"), "{call}");
        }
    });
}

#[test]
fn others_are_killed_by_id_address_and_type() {
    on_both(Kind::Redis7, &[], |server| {
        let mut killer = server.client();
        let mut victim = server.client();
        let id = victim.line("CLIENT ID").int().to_string();
        assert_eq!(killer.call(&["CLIENT", "KILL", "ID", &id]).int(), 1);
        closed(&mut victim);
        assert_eq!(killer.call(&["CLIENT", "KILL", "ID", &id]).int(), 0);

        let mut victim = server.client();
        let address = victim.stream().local_addr().unwrap().to_string();
        victim.line("PING");
        assert_eq!(killer.call(&["CLIENT", "KILL", &address]).to_string(), "+OK");
        closed(&mut victim);

        // A parked one goes too, and leaves nothing behind that would take an element.
        let mut parked = server.client();
        send_held(&mut parked, "BLPOP l 0");
        let mut queueing = server.client();
        queueing.line("MULTI");
        assert_eq!(killer.call(&["CLIENT", "KILL", "TYPE", "normal"]).int(), 2);
        closed(&mut parked);
        closed(&mut queueing);
        becomes("the number of clients", 1, || info(&mut killer, "clients", "connected_clients"));
        assert_eq!(info(&mut killer, "clients", "blocked_clients"), 0);
        killer.line("RPUSH l x");
        assert_eq!(killer.line("LLEN l").int(), 1);

        // Itself: the reply still leaves.
        assert_eq!(killer.line("CLIENT KILL TYPE normal SKIPME no").int(), 1);
        closed(&mut killer);
    });
}

#[test]
fn no_touch_leaves_the_access_clock_alone() {
    let options = [("maxmemory-policy", "allkeys-lfu"), ("lfu-log-factor", "0")];
    on_both(Kind::Redis8, &options, |server| {
        let (mut quiet, mut other) = (server.client(), server.client());
        other.line("SET k v");
        let fresh = other.line("OBJECT FREQ k").int();
        quiet.line("CLIENT NO-TOUCH ON");
        quiet.line("GET k");
        assert_eq!(other.line("OBJECT FREQ k").int(), fresh);
        // TOUCH does what it says all the same.
        quiet.line("TOUCH k");
        let touched = other.line("OBJECT FREQ k").int();
        assert_eq!(touched, fresh + 1);
        other.line("GET k");
        assert_eq!(other.line("OBJECT FREQ k").int(), touched + 1);
        quiet.line("CLIENT NO-TOUCH OFF");
        quiet.line("GET k");
        assert_eq!(other.line("OBJECT FREQ k").int(), touched + 2);
    });
}
