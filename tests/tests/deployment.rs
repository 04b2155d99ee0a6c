//! What operators do with a deployment of three nodes: settings, planned changes of primary, nodes that are gone.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::deployment::Deployment;
use redoubt_tests::replication::{field, until};
use redoubt_tests::{Reply, Server};

fn call(node: &Server, words: &[&str]) -> Reply {
    node.client().call(words)
}

fn setting(node: &Server, name: &str) -> String {
    call(node, &["CONFIG", "GET", name]).list().get(1).map(|reply| reply.text()).unwrap_or_default()
}

fn ok() -> Reply {
    Reply::Status("OK".into())
}

#[test]
fn config_set_on_any_node_reaches_all_and_is_not_lost_on_failover() {
    let mut deployment = Deployment::start(&[]);
    until("its first settings hold", || setting(deployment.other(), "min-replicas-to-write") == "auto");
    let changes = [("maxmemory", "123456789"), ("ha-acks", "local"), ("hash-max-listpack-entries", "77")];
    for ((name, value), node) in changes.iter().zip(&deployment.nodes) {
        assert_eq!(call(node, &["CONFIG", "SET", name, value]), ok());
        assert_eq!(setting(node, name), *value, "it holds at once where it was set");
    }
    for (name, value) in changes {
        until("all have taken it over", || deployment.nodes.iter().all(|node| setting(node, name) == value));
    }
    let refused = call(&deployment.nodes[0], &["CONFIG", "SET", "maxmemory", "nonsense"]);
    assert!(refused.text().contains("memory value"), "{refused:?}");
    deployment.kill_primary();
    deployment.primary();
    for node in &deployment.nodes {
        assert_eq!(setting(node, "maxmemory"), "123456789");
    }
    assert_eq!(call(&deployment.nodes[0], &["CONFIG", "SET", "maxmemory", "0"]), ok());
    until("it goes on", || deployment.nodes.iter().all(|node| setting(node, "maxmemory") == "0"));
}

#[test]
fn what_belongs_to_a_node_stays_its_own() {
    let deployment = Deployment::start(&[]);
    assert_eq!(call(&deployment.nodes[0], &["CONFIG", "SET", "loglevel", "debug", "timeout", "1000"]), ok());
    until("the other setting is everywhere", || {
        deployment.nodes.iter().all(|node| setting(node, "timeout") == "1000")
    });
    assert_eq!(setting(&deployment.nodes[0], "loglevel"), "debug");
    assert_eq!(setting(&deployment.nodes[1], "loglevel"), "notice");
}

#[test]
fn a_planned_change_of_primary_goes_where_it_is_told() {
    let deployment = Deployment::start(&[]);
    let refused = call(deployment.other(), &["REPLICAOF", "NO", "ONE"]);
    assert!(refused.text().contains("the deployment decides"), "{refused:?}");
    let target = deployment.others()[1];
    let port = target.address().port().to_string();
    assert_eq!(call(deployment.others()[0], &["FAILOVER", "TO", "127.0.0.1", &port]), ok());
    until("it leads", || field(target, "ha", "ha_serving") == "1");
    assert_eq!(field(target, "ha", "ha_last_cause"), "planned handover");
    deployment.settle();
    let next = deployment.other();
    assert_eq!(call(next, &["CLUSTER", "FAILOVER"]), ok());
    until("it leads", || field(next, "ha", "ha_serving") == "1");
    let forced = call(next, &["FAILOVER", "ABORT"]);
    assert!(forced.text().starts_with("ERR"), "{forced:?}");
}

/// What all know of a node's priority.
fn is_known(deployment: &Deployment, node: &Server, priority: &str) -> bool {
    let id = field(node, "ha", "ha_node_id");
    let says = |other: &Server| {
        let info = call(other, &["INFO", "ha"]).text();
        let line =
            info.lines().find(|line| line.starts_with("ha_node") && line.contains(&format!("id={id},")));
        line.is_some_and(|line| line.contains(&format!(",priority={priority},")))
    };
    deployment.nodes.iter().all(says)
}

#[test]
fn who_may_lead_next_is_set_while_it_runs() {
    let mut deployment = Deployment::start(&[]);
    let set = |deployment: &Deployment, node: &Server, priority: &str| {
        assert_eq!(call(node, &["CONFIG", "SET", "replica-priority", priority]), ok());
        until("all know", || is_known(deployment, node, priority));
    };
    // Each in turn must not, and each in turn goes first.
    for turn in 0..2 {
        let others = deployment.others();
        let (never, next) = (others[turn], others[1 - turn]);
        set(&deployment, never, "0");
        assert_eq!(setting(next, "replica-priority"), "100", "it is a node's own setting");
        assert_eq!(call(next, &["FAILOVER"]), ok());
        until("the one that may leads", || field(next, "ha", "ha_serving") == "1");
        deployment.settle();
        set(&deployment, never, "100");
    }
    for turn in 0..2 {
        let first = deployment.others()[turn];
        set(&deployment, first, "5");
        assert_eq!(call(first, &["FAILOVER"]), ok());
        until("the first of them leads", || field(first, "ha", "ha_serving") == "1");
        deployment.settle();
        set(&deployment, first, "100");
    }
    let never = deployment.others()[0].port;
    set(&deployment, deployment.others()[0], "0");
    deployment.kill_primary();
    let primary = deployment.primary();
    assert_ne!(deployment.nodes[primary].port, never);
}

#[test]
fn a_node_that_is_gone_is_forgotten_and_one_that_lives_is_not() {
    let mut deployment = Deployment::start(&[]);
    let id = |node: &Server| call(node, &["CLUSTER", "MYID"]).text();
    let (primary, others) = (deployment.primary(), deployment.others());
    let alive = call(&deployment.nodes[primary], &["CLUSTER", "FORGET", &id(others[0])]);
    assert!(alive.text().contains("alive"), "{alive:?}");
    let unknown = call(&deployment.nodes[primary], &["CLUSTER", "FORGET", "abc"]);
    assert_eq!(unknown.text(), "ERR Unknown node abc");
    let gone = id(&deployment.nodes[primary]);
    deployment.kill_primary();
    deployment.primary();
    let asked = &deployment.nodes[0];
    until("it is forgotten", || call(asked, &["CLUSTER", "FORGET", &gone]) == ok());
    until("all know", || deployment.nodes.iter().all(|node| field(node, "ha", "ha_members") == "2"));
    assert_eq!(call(asked, &["CLUSTER", "FORGET", &gone]).text(), format!("ERR Unknown node {gone}"));
}

/// Nobody's acknowledgement moves the commit offset then: what is written is noticed all the same.
#[test]
fn a_node_by_itself_acknowledges() {
    let node =
        Server::ours(&[("ha-enabled", "yes"), ("ha-bootstrap-expect", "1"), ("ha-sentinel-port", "0")]);
    until("it serves", || field(&node, "ha", "ha_serving") == "1");
    let mut client = node.client();
    for turn in 1..=500 {
        assert_eq!(client.call(&["INCR", "n"]), Reply::Int(turn));
    }
    for _ in 0..500 {
        client.send(&["INCR", "n"]).unwrap();
    }
    let last = (0..500).map(|_| client.read().unwrap()).last();
    assert_eq!(last, Some(Reply::Int(1000)));
}
