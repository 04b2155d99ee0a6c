//! Calls that wait: how INFO, SLOWLOG and CLIENT LIST show them.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::replication::{field, number, until};
use redoubt_tests::{Kind, Server};

/// Runs the test against Redoubt and the newer reference, which counts them when they end.
fn on_both(test: impl Fn(&Server)) {
    for kind in [Kind::Ours, Kind::Redis8] {
        if let Some(server) = Server::start(kind, &[("slowlog-log-slower-than", "0")]) {
            test(&server);
        }
    }
}

fn calls_of(server: &Server, command: &str) -> String {
    let info = server.client().line("INFO commandstats").text();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let counts = |line: &str| {
        let named = |part: &&str| part.starts_with("calls") || part.starts_with("failed");
        line.trim().split(',').filter(named).collect::<Vec<_>>().join(" ")
    };
    line.map_or_else(String::new, counts)
}

fn logged(server: &Server, command: &str) -> usize {
    let entries = server.client().line("SLOWLOG GET -1").list();
    let name = |entry: &redoubt_tests::Reply| entry.list()[3].list()[0].text();
    entries.iter().filter(|entry| name(entry) == command).count()
}

fn wait_blocked(server: &Server, count: i64) {
    until("the call waits", || number(server, "clients", "blocked_clients") == count);
}

#[test]
fn a_call_is_counted_when_it_ends() {
    on_both(|server| {
        let (mut client, mut waiting) = (server.client(), server.client());
        waiting.send(&["BLPOP", "l", "0"]).unwrap();
        wait_blocked(server, 1);
        assert_eq!((calls_of(server, "blpop"), logged(server, "BLPOP")), (String::new(), 0));
        client.line("RPUSH l v");
        assert_eq!(waiting.read().unwrap().list()[1].text(), "v");
        until("it is counted", || calls_of(server, "blpop") == "calls=1 failed_calls=0");
        until("it is logged", || logged(server, "BLPOP") == 1);
        assert!(waiting.line("BLPOP l 0.01").is_nil());
        until("it is counted", || calls_of(server, "blpop") == "calls=2 failed_calls=0");
    });
}

#[test]
fn errors_that_end_a_call_are_counted() {
    on_both(|server| {
        let (mut client, mut waiting) = (server.client(), server.client());
        let id = waiting.line("CLIENT ID").int();
        waiting.send(&["BLPOP", "l", "0"]).unwrap();
        wait_blocked(server, 1);
        assert_eq!(client.line(&format!("CLIENT UNBLOCK {id} ERROR")).int(), 1);
        assert!(waiting.read().unwrap().is_error());
        until("it is counted", || calls_of(server, "blpop") == "calls=1 failed_calls=1");
        assert_eq!(field(server, "errorstats", "errorstat_UNBLOCKED"), "count=1");
        client.line("XGROUP CREATE s g $ MKSTREAM");
        waiting.send(&["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]).unwrap();
        wait_blocked(server, 1);
        client.line("XGROUP DESTROY s g");
        assert!(waiting.read().unwrap().text().starts_with("NOGROUP"));
        until("it is counted", || calls_of(server, "xreadgroup") == "calls=1 failed_calls=1");
        assert_eq!(field(server, "errorstats", "errorstat_NOGROUP"), "count=1");
    });
}

#[test]
fn keys_that_are_waited_for_are_counted_once() {
    on_both(|server| {
        let mut client = server.client();
        client.line("XGROUP CREATE s g $ MKSTREAM");
        let mut others: Vec<_> = (0..3).map(|_| server.client()).collect();
        others[0].send(&["BLPOP", "a", "b", "0"]).unwrap();
        others[1].send(&["BRPOP", "b", "c", "0"]).unwrap();
        others[2].send(&["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]).unwrap();
        wait_blocked(server, 3);
        let counts = ["total_blocking_keys", "total_blocking_keys_on_nokey"]
            .map(|name| number(server, "clients", name));
        assert_eq!(counts, [4, 1]);
        drop(others);
        until("nobody waits", || number(server, "clients", "total_blocking_keys") == 0);
        assert_eq!(number(server, "clients", "total_blocking_keys_on_nokey"), 0);
    });
}

/// A client that a pause holds up counts as blocked.
#[test]
fn a_pause_blocks() {
    on_both(|server| {
        let (mut client, mut waiting) = (server.client(), server.client());
        client.line("CLIENT PAUSE 100000 WRITE");
        waiting.send(&["SET", "k", "v"]).unwrap();
        wait_blocked(server, 1);
        let list = client.line("CLIENT LIST").text();
        assert!(list.lines().any(|line| line.contains(" flags=b ") && line.contains(" cmd=set ")), "{list}");
        let id = list.lines().find(|line| line.contains(" cmd=set ")).unwrap();
        let id = id.split(' ').next().unwrap().strip_prefix("id=").unwrap();
        assert_eq!(client.line(&format!("CLIENT UNBLOCK {id}")).int(), 0);
        client.line("CLIENT UNPAUSE");
        assert_eq!(waiting.read().unwrap().text(), "OK");
        wait_blocked(server, 0);
        assert!(!client.line("CLIENT LIST").text().contains(" flags=b "));
    });
}
