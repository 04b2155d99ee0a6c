//! Replicas that take writes of their own (`replica-read-only no`): what expires there, and who is told of it. Each is asked
//! of the reference too.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::replication::{field, follow, number, settle, until, wait_link};
use redoubt_tests::{Client, Kind, Server};
use std::time::Duration;

const PRIMARY: &[(&str, &str)] = &[("repl-diskless-sync-delay", "0"), ("enable-debug-command", "yes")];
const REPLICA: &[(&str, &str)] =
    &[("repl-diskless-sync-delay", "0"), ("replica-read-only", "no"), ("appendonly", "yes")];

const PAIRS: [(Kind, Kind); 4] = [
    (Kind::Redis7, Kind::Redis7),
    (Kind::Ours, Kind::Ours),
    (Kind::Redis7, Kind::Ours),
    (Kind::Ours, Kind::Redis7),
];

/// A primary that removes nothing by itself, and its writable replica.
fn pair(primary: Kind, replica: Kind) -> Option<(Server, Server)> {
    let primary = Server::start(primary, PRIMARY)?;
    let replica = Server::start(replica, REPLICA)?;
    primary.client().line("DEBUG SET-ACTIVE-EXPIRE 0");
    follow(&replica, primary.port);
    // The file is begun anew by the full sync.
    until("it appends again", || field(&replica, "persistence", "aof_rewrite_in_progress") == "0");
    Some((primary, replica))
}

fn run(client: &mut Client, lines: &[&str]) {
    for line in lines {
        let reply = client.line(line);
        assert!(!reply.is_error(), "{line}: {reply}");
    }
}

/// The names of a database in order.
fn keys(client: &mut Client, db: u32) -> Vec<String> {
    client.line(&format!("SELECT {db}"));
    let mut names: Vec<String> = client.line("KEYS *").list().iter().map(|name| name.text()).collect();
    names.sort();
    client.line("SELECT 0");
    names
}

#[test]
fn what_its_own_clients_let_expire_goes() {
    for (primary, replica) in PAIRS {
        let Some((primary, replica)) = pair(primary, replica) else { continue };
        let (mut there, mut here) = (primary.client(), replica.client());
        run(&mut there, &["SET theirs v PX 50", "SET base v", "SET plain v"]);
        until("they have come", || here.line("DBSIZE").int() == 3);
        run(
            &mut here,
            &[
                "SET own v PX 60",
                "SET r v PX 60",
                "RENAME r r2",
                "COPY r2 r3",
                "SET kept v PX 60",
                "PERSIST kept",
                "SET longer v PX 60",
                "PEXPIRE longer 100000",
                "PEXPIRE base 60",
                "SELECT 3",
                "SET own v PX 60",
                "HSET h f v",
                "PEXPIRE h 70",
                "SELECT 0",
            ],
        );
        assert!(number(&replica, "stats", "slave_expires_tracked_keys") > 0);
        // `theirs` is hidden, and counts.
        until("its own keys are gone", || here.line("DBSIZE").int() == 4);
        assert_eq!(keys(&mut here, 0), ["kept", "longer", "plain"]);
        until("in the other database, too", || {
            here.line("SELECT 3");
            here.line("DBSIZE").int() == 0
        });
        here.line("SELECT 0");
        until("one is left", || number(&replica, "stats", "slave_expires_tracked_keys") == 1);
        assert!(here.line("GET theirs").is_nil());
        assert_eq!(here.line("DBSIZE").int(), 4);
        // A write that finds it expired removes it.
        assert_eq!(here.line("SADD theirs m").int(), 1);
        assert_eq!(here.line("TYPE theirs").text(), "set");
        assert_eq!(here.line("DEL theirs").int(), 1);
        run(&mut there, &["SET theirs v PX 50", "SET done v"]);
        until("they have come", || here.line("EXISTS done").int() == 1);
        until("it has expired", || here.line("EXISTS theirs").int() == 0);
        assert_eq!(here.line("DBSIZE").int(), 5);
        // The reference counts it as deleted.
        assert!(here.line("DEL theirs").int() <= i64::from(replica.kind == Kind::Redis7));
        assert_eq!(here.line("DBSIZE").int(), 4);
        // The primary's data are as they were.
        assert_eq!(keys(&mut there, 0), ["base", "done", "plain"]);
    }
}

/// A full sync, and FLUSHALL, end what was known of the replica's own keys: what comes afterwards is the primary's.
#[test]
fn what_the_primary_writes_anew_is_its_own() {
    for (primary, replica) in PAIRS {
        let Some((primary, replica)) = pair(primary, replica) else { continue };
        let (mut there, mut here) = (primary.client(), replica.client());
        run(&mut here, &["SET k v PX 100000", "SET l v PX 100000"]);
        assert_eq!(number(&replica, "stats", "slave_expires_tracked_keys"), 2);
        run(&mut there, &["FLUSHALL", "SET k v PX 40", "SET mark v"]);
        until("it has come", || here.line("EXISTS mark").int() == 1);
        assert_eq!(number(&replica, "stats", "slave_expires_tracked_keys"), 0);
        until("it has expired", || here.line("EXISTS k").int() == 0);
        assert_eq!(here.line("DBSIZE").int(), 2);
        run(&mut here, &["SET m v PX 100000"]);
        run(&mut here, &["REPLICAOF NO ONE"]);
        run(&mut here, &["SET n v"]);
        follow(&replica, primary.port);
        until("all is the primary's", || here.line("EXISTS n").int() == 0);
        assert_eq!(number(&replica, "stats", "slave_expires_tracked_keys"), 0);
    }
}

/// Nobody follows what a replica writes by itself, but its own file has it.
#[test]
fn its_own_writes_are_in_its_file_and_in_no_stream() {
    for (primary, replica) in PAIRS {
        let Some((primary, mut replica)) = pair(primary, replica) else { continue };
        let Some(end) = Server::start(Kind::Redis7, PRIMARY) else { continue };
        follow(&end, replica.port);
        let (mut there, mut here) = (primary.client(), replica.client());
        let mut waiting = replica.client();
        waiting.send(&["BLPOP", "list", "0"]).unwrap();
        until("it waits", || number(&replica, "clients", "blocked_clients") == 1);
        run(&mut there, &["SELECT 2", "SET a 1", "SELECT 0", "RPUSH list x y"]);
        assert_eq!(waiting.read().unwrap().list()[1].text(), "x");
        run(&mut here, &["SELECT 5", "SET own v", "SET short v PX 30", "SELECT 2", "SET two v", "MULTI"]);
        run(&mut here, &["SET one v", "RPUSH l a b", "EXEC", "SELECT 0"]);
        run(&mut there, &["SELECT 2", "SET b 1", "APPEND b 2", "SELECT 0", "SET last v"]);
        until("all has come", || here.line("EXISTS last").int() == 1);
        until("what is short has gone", || {
            here.line("SELECT 5");
            here.line("DBSIZE").int() == 1
        });
        assert_eq!(number(&replica, "replication", "master_repl_offset"), {
            until("all has come", || {
                number(&end, "replication", "master_repl_offset")
                    == number(&primary, "replication", "master_repl_offset")
            });
            number(&end, "replication", "master_repl_offset")
        });
        let mut follower = end.client();
        assert_eq!(keys(&mut follower, 0), ["last", "list"]);
        assert_eq!(keys(&mut follower, 2), ["a", "b"]);
        assert_eq!((keys(&mut follower, 5), follower.line("LLEN list").int()), (Vec::new(), 2));
        replica.client().send(&["SHUTDOWN", "NOSAVE"]).unwrap();
        replica.wait_exit(Duration::from_secs(20)).unwrap();
        let folder = replica.dir.display().to_string();
        let again = Server::start(replica.kind, &[("dir", &folder), ("appendonly", "yes")]).unwrap();
        let mut here = again.client();
        assert_eq!(keys(&mut here, 0), ["last", "list"], "{:?}", replica.kind);
        assert_eq!(here.line("LRANGE list 0 -1").list().len(), 1);
        assert_eq!(keys(&mut here, 2), ["a", "b", "l", "one", "two"]);
        here.line("SELECT 2");
        assert_eq!(here.line("GET b").text(), "12");
        assert_eq!(keys(&mut here, 5), ["own"]);
    }
}

/// A promoted replica has what it wrote by itself, and its replicas are told of what it does from then on.
#[test]
fn a_promoted_one_expires_as_a_primary() {
    for kind in [Kind::Redis7, Kind::Ours] {
        let Some((_primary, replica)) = pair(kind, kind) else { continue };
        let mut here = replica.client();
        run(&mut here, &["SET own v PX 300", "SET kept v", "REPLICAOF NO ONE"]);
        let end = Server::start(kind, PRIMARY).unwrap();
        follow(&end, replica.port);
        run(&mut here, &["SET more v PX 20"]);
        until("it has expired", || here.line("DBSIZE").int() == 1);
        wait_link(&end);
        settle(&replica, &end);
        assert_eq!(end.client().line("DBSIZE").int(), 1);
    }
}
