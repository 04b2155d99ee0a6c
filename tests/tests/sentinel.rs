//! A real Sentinel watches plain nodes and fails them over.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::replication::{field, follow, number, settle, until};
use redoubt_tests::{Client, Kind, Server};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running Sentinel; killed when dropped.
struct Sentinel {
    child: Child,
    address: SocketAddr,
    dir: PathBuf,
}

impl Sentinel {
    /// One that watches this primary. None if the program is not on this machine.
    fn start(primary: u16) -> Option<Sentinel> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?.local_addr().ok()?.port();
        let dir = std::env::temp_dir().join(format!("redoubt-sentinel-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir {0}\nlogfile {0}/log\nsentinel monitor mymaster 127.0.0.1 {primary} 1\nsentinel \
             down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 6000\n",
            dir.display()
        );
        std::fs::write(dir.join("sentinel.conf"), config).unwrap();
        let started = Command::new("redis-server")
            .arg(dir.join("sentinel.conf"))
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            eprintln!("skipped: redis-server is not on this machine");
            return None;
        };
        let sentinel = Sentinel { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), dir };
        until("the Sentinel answers", || Client::connect(sentinel.address).is_ok());
        Some(sentinel)
    }

    fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// Port of the primary it names.
    fn primary(&self) -> u16 {
        let address = self.client().line("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster").list();
        address[1].text().parse().unwrap()
    }

    fn replicas(&self) -> usize {
        self.client().line("SENTINEL REPLICAS mymaster").list().len()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // Failures here mean the process is already gone, which is the aim.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn signal(server: &Server, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &server.pid().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// A real primary with one of its own and one of ours behind it: ours takes over, and the others follow it.
#[test]
fn a_sentinel_fails_a_real_primary_over_to_ours() {
    let quick = [("repl-diskless-sync-delay", "0")];
    let start =
        |priority: &'static str| Server::start(Kind::Redis7, &[quick[0], ("replica-priority", priority)]);
    let (Some(old), Some(theirs)) = (start("100"), start("0")) else { return };
    let ours = Server::ours(&[]);
    old.client().line("SET before 1");
    follow(&ours, old.port);
    follow(&theirs, old.port);
    let Some(sentinel) = Sentinel::start(old.port) else { return };
    until("it has found the replicas", || sentinel.replicas() == 2);
    let mut client = old.client();
    client.line("SET while 2");
    assert_eq!(client.line("WAIT 2 5000").int(), 2);
    signal(&old, "STOP");
    until("ours leads", || sentinel.primary() == ours.port);
    until("it knows", || field(&ours, "replication", "role") == "master");
    until("the other follows it", || {
        field(&theirs, "replication", "master_port") == ours.port.to_string()
            && field(&theirs, "replication", "master_link_status") == "up"
    });
    ours.client().line("SET after 3");
    settle(&ours, &theirs);
    assert_eq!(number(&ours, "stats", "sync_full"), 0, "it had all it needed\n{}", ours.log());
    signal(&old, "CONT");
    until("the old primary follows", || field(&old, "replication", "master_port") == ours.port.to_string());
    settle(&ours, &old);
    let mut there = old.client();
    for (key, value) in [("before", "1"), ("while", "2"), ("after", "3")] {
        assert_eq!(there.call(&["GET", key]).text(), value, "{}", sentinel.log());
    }
}

#[test]
fn a_sentinel_fails_three_nodes_over_and_back() {
    let nodes = [Server::ours(&[]), Server::ours(&[]), Server::ours(&[])];
    let mut client = nodes[0].client();
    client.line("SET before 1");
    follow(&nodes[1], nodes[0].port);
    follow(&nodes[2], nodes[0].port);
    let Some(sentinel) = Sentinel::start(nodes[0].port) else { return };
    until("it has found the replicas", || sentinel.replicas() == 2);
    client.line("SET while 2");
    assert_eq!(client.line("WAIT 2 5000").int(), 2);
    // A node that hangs and comes back is no worse than one that dies.
    signal(&nodes[0], "STOP");
    until("another node leads", || sentinel.primary() != nodes[0].port);
    let leader = nodes.iter().find(|node| node.port == sentinel.primary()).unwrap();
    let other = nodes[1..].iter().find(|node| node.port != leader.port).unwrap();
    until("it knows", || field(leader, "replication", "role") == "master");
    until("the other follows it", || {
        field(other, "replication", "master_port") == leader.port.to_string()
            && field(other, "replication", "master_link_status") == "up"
    });
    leader.client().line("SET after 3");
    settle(leader, other);
    assert_eq!(number(leader, "stats", "sync_full"), 0, "the other had all it needed\n{}", leader.log());
    signal(&nodes[0], "CONT");
    until("the old primary follows", || {
        field(&nodes[0], "replication", "master_port") == leader.port.to_string()
    });
    settle(leader, &nodes[0]);
    let mut there = nodes[0].client();
    for (key, value) in [("before", "1"), ("while", "2"), ("after", "3")] {
        assert_eq!(there.call(&["GET", key]).text(), value, "{}", sentinel.log());
    }
}
