//! Client libraries with Sentinel support, in front of a deployment: they find the primary, follow it when it hands over and
//! when it is killed, and hear of it. redis-py's is in `sentinel_clients.rs`.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redis::Commands;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redoubt_tests::loopback::{Deployment, SENTINEL_PORT};
use redoubt_tests::replication::until;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn sentinels(deployment: &Deployment) -> Vec<String> {
    deployment.nodes.iter().map(|node| format!("{}:{SENTINEL_PORT}", node.ip)).collect()
}

/// Asks for a planned change of the primary, as an operator would, and waits for it.
fn fail_over(deployment: &Deployment, leader: usize) -> usize {
    let mut sentinel = deployment.nodes[(leader + 1) % 3].sentinel();
    assert_eq!(sentinel.call(&["SENTINEL", "FAILOVER", "mymaster"]).text(), "OK");
    until("another leads", || deployment.leader().is_some_and(|other| other != leader));
    deployment.wait_ready()
}

/// What subscribers of `+switch-master` hear from one Sentinel, by redis-rs.
fn switches(address: &str) -> Receiver<String> {
    let mut connection = redis::Client::open(format!("redis://{address}")).unwrap().get_connection().unwrap();
    let (sender, receiver) = channel();
    let (ready, is_ready) = channel();
    std::thread::spawn(move || {
        let mut messages = connection.as_pubsub();
        messages.subscribe("+switch-master").unwrap();
        ready.send(()).unwrap();
        // It ends with the node, or with the test.
        while let Ok(message) = messages.get_message() {
            if sender.send(message.get_payload().unwrap()).is_err() {
                return;
            }
        }
    });
    is_ready.recv_timeout(LIMIT).unwrap();
    receiver
}

/// Until the client's connection is to the node, and a value can be written there.
fn writes_at(client: &mut SentinelClient, deployment: &Deployment, leader: usize, value: &str) {
    let id = deployment.nodes[leader].field("server", "run_id");
    until("the client has found the primary", || {
        let Ok(mut connection) = client.get_connection() else { return false };
        let Ok(info) = redis::cmd("INFO").arg("server").query::<String>(&mut connection) else {
            return false;
        };
        info.contains(&id) && connection.set::<_, _, ()>("key", value).is_ok()
    });
    let mut connection = client.get_connection().unwrap();
    assert_eq!(connection.get::<_, String>("key").unwrap(), value);
}

#[test]
fn redis_rs_finds_and_follows_the_primary() {
    let mut deployment = Deployment::start(3, &[]);
    let first = deployment.wait_ready();
    let urls: Vec<String> =
        sentinels(&deployment).into_iter().map(|address| format!("redis://{address}")).collect();
    let build = |kind| SentinelClient::build(urls.clone(), "mymaster".into(), None, kind).unwrap();
    let mut client = build(SentinelServerType::Master);
    writes_at(&mut client, &deployment, first, "first");
    let mut replica = build(SentinelServerType::Replica).get_connection().unwrap();
    let role: (String, String) = redis::cmd("ROLE").query(&mut replica).map(first_two).unwrap();
    assert_eq!(role, ("slave".to_owned(), deployment.nodes[first].ip.to_string()));

    let heard: Vec<Receiver<String>> =
        sentinels(&deployment).iter().map(|address| switches(address)).collect();
    let ips = |from: usize, to: usize| (deployment.nodes[from].ip, deployment.nodes[to].ip);
    let expect = |heard: &Receiver<String>, (from, to): (Ipv4Addr, Ipv4Addr)| {
        let message = heard.recv_timeout(LIMIT).unwrap();
        let words: Vec<&str> = message.split(' ').collect();
        assert_eq!((words[0], words[1], words[3]), ("mymaster", &*from.to_string(), &*to.to_string()));
    };
    let second = fail_over(&deployment, first);
    heard.iter().for_each(|one| expect(one, ips(first, second)));
    writes_at(&mut client, &deployment, second, "second");
    deployment.nodes[second].kill();
    let third = deployment.wait_ready();
    let pair = (deployment.nodes[second].ip, deployment.nodes[third].ip);
    for (_, one) in heard.iter().enumerate().filter(|(number, _)| *number != second) {
        expect(one, pair);
    }
    writes_at(&mut client, &deployment, third, "third");
}

/// The state and the primary's host, of a replica's ROLE.
fn first_two(role: Vec<redis::Value>) -> (String, String) {
    let text = |value: &redis::Value| redis::from_redis_value_ref::<String>(value).unwrap();
    (text(&role[0]), text(&role[1]))
}

#[test]
fn ioredis_finds_and_follows_the_primary() {
    let (Some(node), Some(modules)) =
        (std::env::var_os("REDOUBT_NODE"), std::env::var_os("REDOUBT_NODE_MODULES"))
    else {
        return eprintln!(
            "skipped: REDOUBT_NODE is not set; `cargo xtask test` sets it where there are node and npm"
        );
    };
    let mut deployment = Deployment::start(3, &[]);
    let first = deployment.wait_ready();
    let mut child = Command::new(node)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("node/sentinel.js"))
        .args(sentinels(&deployment))
        .env("NODE_PATH", modules)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut says = |what: &str, number: usize, deployment: &Deployment| {
        let line = lines.next().and_then(Result::ok).unwrap_or_default();
        let is_so = line == format!("{what} {}", deployment.nodes[number].ip);
        if !is_so { Err(line) } else { Ok(()) }
    };
    let outcome = says("ready", first, &deployment).and_then(|()| {
        let second = fail_over(&deployment, first);
        says("followed", second, &deployment)?;
        deployment.nodes[second].kill();
        let third = deployment.wait_ready();
        says("followed", third, &deployment)
    });
    if outcome.is_err() {
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(outcome.is_ok() && output.status.success(), "{outcome:?}\n{error}");
}
