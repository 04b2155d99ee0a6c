//! Deployments as Sentinel clients, proxies and scripts see them.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::client::Received;
use redoubt_tests::loopback::{Deployment, PORT};
use redoubt_tests::replication::until;
use redoubt_tests::{Client, Kind, Reply, Server};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The value of a name in a map, or in the array that it is in RESP2; empty if it is not there.
fn value(reply: &Reply, name: &str) -> String {
    let list = reply.list();
    let pair = list.chunks(2).find(|pair| pair[0].text() == name);
    pair.map(|pair| pair[1].text()).unwrap_or_default()
}

fn primary_of(client: &mut Client) -> (String, String) {
    let address = client.line("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster").list();
    (address[0].text(), address[1].text())
}

/// Messages of a pattern subscription, as `channel text`.
struct Messages {
    client: Client,
    seen: Vec<String>,
}

impl Messages {
    fn of(mut client: Client) -> Messages {
        client.line("PSUBSCRIBE *");
        Messages { client, seen: Vec::new() }
    }

    /// Takes what has come within a moment.
    fn look(&mut self) -> &[String] {
        while let Ok(Received::Reply(message)) = self.client.receive(Duration::from_millis(20)) {
            let words = message.list();
            self.seen.push(format!("{} {}", words[2].text(), words[3].text()));
        }
        &self.seen
    }

    fn wait(&mut self, message: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.look().iter().any(|seen| seen == message) {
            assert!(Instant::now() < deadline, "never: {message}\n{:#?}", self.seen);
        }
    }

    fn position(&self, message: &str) -> usize {
        self.seen
            .iter()
            .position(|seen| seen == message)
            .unwrap_or_else(|| panic!("{message}\n{:#?}", self.seen))
    }
}

#[test]
fn the_port_is_a_sentinels() {
    let deployment = Deployment::start(1, &[]);
    let node = &deployment.nodes[0];
    let mut client = node.sentinel();
    assert_eq!(client.line("PING").text(), "PONG");
    assert_eq!(value(&client.line("HELLO"), "mode"), "sentinel");
    let role = client.line("ROLE").list();
    assert_eq!((role[0].text(), role[1].list()[0].text()), ("sentinel".into(), "mymaster".into()));
    let mut names: Vec<String> = client.line("COMMAND LIST").list().iter().map(Reply::text).collect();
    names.retain(|name| !name.contains('|'));
    let own = [
        "auth",
        "client",
        "command",
        "hello",
        "info",
        "ping",
        "psubscribe",
        "publish",
        "punsubscribe",
        "quit",
    ];
    assert_eq!(names, [&own[..], &["role", "sentinel", "subscribe", "unsubscribe"]].concat());
    for line in ["GET k", "SET k v", "CONFIG GET port", "MULTI", "SELECT 1", "SHUTDOWN", "MONITOR", "KEYS *"]
    {
        assert!(client.line(line).text().starts_with("ERR unknown command"), "{line}");
    }
    let info = client.line("INFO").text();
    let headings: Vec<&str> = info.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(headings, ["# Server", "# Clients", "# Stats", "# CPU", "# Sentinel"]);
    let line = format!("master0:name=mymaster,status=ok,address={}:{PORT},slaves=0,sentinels=1", node.ip);
    assert!(info.contains(&line) && info.contains("redis_mode:sentinel"), "{info}");
    assert!(client.line("PUBLISH news x").text().contains("Only HELLO messages"));
    // The data port knows SENTINEL too, and its commands are described there.
    let mut data = node.client();
    assert_eq!(primary_of(&mut data), (node.ip.to_string(), PORT.to_string()));
    assert_eq!(data.line("COMMAND INFO sentinel").list()[0].list()[1].int(), -2);
    assert_eq!(data.line("SENTINEL MYID").text(), client.line("SENTINEL MYID").text());
    assert!(data.line("SENTINEL FAILOVER mymaster").text().starts_with("NOGOODSLAVE"));
    let cache = data.line("SENTINEL INFO-CACHE mymaster other").list();
    assert!(cache[1].list()[0].list()[1].text().contains("redis_mode:standalone"));
}

#[test]
fn the_port_asks_for_the_password_unless_told_otherwise() {
    let deployment = Deployment::start(1, &[]);
    let node = &deployment.nodes[0];
    assert_eq!(node.client().line("CONFIG SET requirepass secret").text(), "OK");
    until("it is asked for", || node.sentinel().line("SENTINEL MASTERS").is_error());
    let mut stranger = node.sentinel();
    assert!(stranger.line("SENTINEL MASTERS").text().starts_with("NOAUTH"));
    assert_eq!(stranger.line("AUTH secret").text(), "OK");
    assert_eq!(primary_of(&mut stranger).0, node.ip.to_string());
    let mut data = node.client();
    assert_eq!(data.line("AUTH secret").text(), "OK");
    assert_eq!(data.line("CONFIG SET ha-sentinel-auth no").text(), "OK");
    until("it is asked no more", || !node.sentinel().line("SENTINEL MASTERS").is_error());
    assert!(node.client().line("SENTINEL MASTERS").text().starts_with("NOAUTH"), "the data port asks");
    // Whoever gets in there does not get at the clients of the data port.
    let mut inside = node.sentinel();
    let own = data.line("CLIENT ID").int();
    assert!(!inside.line("CLIENT LIST").text().contains(&format!("id={own} ")));
    assert_eq!(inside.line(&format!("CLIENT KILL ID {own}")).int(), 0);
    assert!(inside.line("CLIENT PAUSE 1000").is_error());
    assert_eq!(data.line("PING").text(), "PONG");
}

#[test]
fn channels_of_both_ports_are_apart() {
    let deployment = Deployment::start(1, &[]);
    let node = &deployment.nodes[0];
    let (mut there, mut here) = (Messages::of(node.sentinel()), Messages::of(node.client()));
    assert_eq!(node.client().line("PUBLISH news x").int(), 1);
    here.wait("news x");
    assert_eq!(node.sentinel().line("SENTINEL RESET my*").int(), 1);
    assert_eq!(node.sentinel().line("SENTINEL RESET other").int(), 0);
    let reset = format!("+reset-master master mymaster {} {PORT}", node.ip);
    here.wait(&reset);
    there.wait(&reset);
    assert!(!there.seen.iter().any(|message| message.starts_with("news")), "{:?}", there.seen);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(Kind::Ours.program().unwrap())
        .args(["--port", "0", "--bind", "127.0.0.1", "--ha-enabled", "yes", "--ha-peers", "127.0.0.1:1"])
        .args(["--ha-sentinel-port", &port])
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(&format!("socket 127.0.0.1:{port}: ")), "{said}");
}

#[test]
fn a_crash_is_told_and_answered() {
    let mut deployment = Deployment::start(3, &[]);
    let old = deployment.wait_ready();
    let witness = (old + 1) % 3;
    let mut all = [
        Messages::of(deployment.nodes[witness].sentinel()),
        Messages::of(deployment.nodes[witness].client()),
        Messages::of(deployment.nodes[(old + 2) % 3].sentinel()),
    ];
    let was = deployment.nodes[old].ip;
    assert!(
        deployment.nodes[old].sentinel().line("SENTINEL CKQUORUM mymaster").text().starts_with("OK 3 usable")
    );
    deployment.nodes[old].kill();
    let mut client = deployment.nodes[witness].sentinel();
    until("another node is named", || primary_of(&mut client).0 != was.to_string());
    let is = primary_of(&mut client).0;
    for messages in &mut all {
        let switched = format!("+switch-master mymaster {was} {PORT} {is} {PORT}");
        messages.wait(&switched);
        let down = messages.position(&format!("+sdown master mymaster {was} {PORT}"));
        let odown = messages.seen.iter().position(|seen| seen.starts_with("+odown master mymaster"));
        assert!(odown.is_none_or(|odown| down < odown), "{:#?}", messages.seen);
        assert!(down < messages.position(&switched));
        let slave = format!("slave {was}:{PORT} {was} {PORT} @ mymaster {is} {PORT}");
        messages.wait(&format!("+sdown {slave}"));
        assert!(messages.position(&switched) < messages.position(&format!("+slave {slave}")));
    }
    let ready = deployment.wait_ready();
    assert_eq!(deployment.nodes[ready].ip.to_string(), is);
    let master = client.line("SENTINEL MASTER mymaster");
    assert_eq!((value(&master, "flags"), value(&master, "num-slaves")), ("master".into(), "2".into()));
    assert!(client.line("SENTINEL CKQUORUM mymaster").text().starts_with("OK 2 usable"));
    deployment.nodes[old].start();
    for messages in &mut all {
        messages.wait(&format!("-sdown slave {was}:{PORT} {was} {PORT} @ mymaster {is} {PORT}"));
        messages.wait(&format!("+reboot slave {was}:{PORT} {was} {PORT} @ mymaster {is} {PORT}"));
        messages.wait(&format!("+convert-to-slave slave {was}:{PORT} {was} {PORT} @ mymaster {is} {PORT}"));
    }
    until("the replica is linked again", || {
        let replicas = client.line("SENTINEL REPLICAS mymaster").list();
        replicas.iter().all(|replica| value(replica, "master-link-status") == "ok")
    });
}

#[test]
fn a_planned_failover_through_any_node() {
    let deployment = Deployment::start(3, &[]);
    let old = deployment.wait_ready();
    let ids: Vec<String> =
        deployment.nodes.iter().map(|node| node.sentinel().line("SENTINEL MYID").text()).collect();
    for (node, id) in deployment.nodes.iter().zip(&ids) {
        assert_eq!(
            node.client().line("SENTINEL MYID").text(),
            *id,
            "each answers for itself, at either port"
        );
    }
    let other = &deployment.nodes[(old + 1) % 3];
    let mut messages = Messages::of(other.sentinel());
    let was = deployment.nodes[old].ip.to_string();
    let mut client = other.sentinel();
    assert_eq!(client.line("SENTINEL FAILOVER nobody").text(), "ERR No such master with that name");
    assert_eq!(client.line("SENTINEL FAILOVER mymaster").text(), "OK");
    until("another node is named", || primary_of(&mut client).0 != was);
    let is = primary_of(&mut client).0;
    messages.wait(&format!("+switch-master mymaster {was} {PORT} {is} {PORT}"));
    messages.wait(&format!("+convert-to-slave slave {was}:{PORT} {was} {PORT} @ mymaster {is} {PORT}"));
    assert!(
        !messages.seen.iter().any(|seen| seen.starts_with("+sdown")),
        "nobody was down: {:#?}",
        messages.seen
    );
    let leader = deployment.wait_ready();
    assert_eq!(deployment.nodes[leader].ip.to_string(), is);
}

/// A reply's kinds and, of maps, the names in order.
fn shape(reply: &Reply, map: bool) -> String {
    match reply.elements() {
        Some(elements) if map => {
            let names =
                elements.chunks(2).map(|pair| format!("{}={}", pair[0].text(), shape(&pair[1], false)));
            format!("{}{{{}}}", kind(reply), names.collect::<Vec<_>>().join(" "))
        }
        Some(elements) => {
            let is_map = |element: &Reply| element.elements().is_some_and(|inner| inner.len() > 10);
            let mut shapes: Vec<String> =
                elements.iter().map(|element| shape(element, is_map(element))).collect();
            // Another number of replicas or nodes is no other shape.
            shapes.dedup();
            format!("{}[{}]", kind(reply), shapes.join(" "))
        }
        None if reply.is_error() => "error".into(),
        None if reply.is_nil() => format!("{reply:?}"),
        None => kind(reply),
    }
}

fn kind(reply: &Reply) -> String {
    let text = format!("{reply:?}");
    text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

/// Real Sentinels of three real servers.
struct Real {
    servers: Vec<Server>,
    sentinels: Vec<(Child, u16)>,
}

impl Real {
    fn start() -> Option<Real> {
        let servers: Option<Vec<Server>> = (0..3).map(|_| Server::start(Kind::Redis7, &[])).collect();
        let mut real = Real { servers: servers?, sentinels: Vec::new() };
        for replica in &real.servers[1..] {
            replica.client().call(&["REPLICAOF", "127.0.0.1", &real.servers[0].port.to_string()]);
        }
        for server in &real.servers[1..] {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?.local_addr().ok()?.port();
            let config = server.dir.join("sentinel.conf");
            let monitored = real.servers[0].port;
            let text =
                format!("port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {monitored} 2\n");
            std::fs::write(&config, text).unwrap();
            let child = Command::new(Kind::Redis7.program()?)
                .arg(config)
                .arg("--sentinel")
                .stdout(Stdio::null())
                .spawn();
            real.sentinels.push((child.unwrap(), port));
        }
        until("the Sentinels know everybody", || {
            let Ok(mut client) = Client::connect(real.address()) else { return false };
            let known = |client: &mut Client, what: &str| {
                client.line(&format!("SENTINEL {what} mymaster")).list().len()
            };
            known(&mut client, "REPLICAS") == 2 && known(&mut client, "SENTINELS") == 1
        });
        Some(real)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.sentinels[0].1))
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for (child, _) in &mut self.sentinels {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Calls whose replies have a shape to compare, and whether that is a map.
const SHAPES: &[(&str, bool)] = &[
    ("SENTINEL MASTER mymaster", true),
    ("SENTINEL MASTERS", false),
    ("SENTINEL REPLICAS mymaster", false),
    ("SENTINEL SLAVES mymaster", false),
    ("SENTINEL SENTINELS mymaster", false),
    ("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", false),
    ("SENTINEL GET-MASTER-ADDR-BY-NAME other", false),
    ("SENTINEL CKQUORUM mymaster", false),
    ("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *", false),
    ("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 *", false),
    ("SENTINEL CONFIG GET *", true),
    ("SENTINEL CONFIG GET resolve-hostnames", true),
    ("SENTINEL PENDING-SCRIPTS", false),
    ("SENTINEL FLUSHCONFIG", false),
    ("SENTINEL MYID", false),
    ("SENTINEL RESET nobody", false),
    ("SENTINEL INFO-CACHE nobody", false),
    ("SENTINEL MASTER other", false),
    ("SENTINEL REPLICAS other", false),
    ("SENTINEL SENTINELS other", false),
    ("SENTINEL SET mymaster nothing 1", false),
    ("SENTINEL CONFIG SET nothing 1", false),
    ("SENTINEL DEBUG nothing", false),
    ("SENTINEL nothing", false),
    ("SENTINEL", false),
    ("ROLE", false),
    ("GET k", false),
];

#[test]
fn replies_have_the_shape_of_a_real_sentinels() {
    let Some(real) = Real::start() else { return };
    let deployment = Deployment::start(3, &[]);
    let node = &deployment.nodes[0];
    until("the replicas are linked", || {
        let replicas = node.sentinel().line("SENTINEL REPLICAS mymaster").list();
        replicas.len() == 2 && replicas.iter().all(|replica| value(replica, "master-link-status") == "ok")
    });
    let (mut theirs, mut ours) = (Client::connect(real.address()).unwrap(), node.sentinel());
    for resp3 in [false, true] {
        if resp3 {
            theirs.hello3();
            ours.hello3();
        }
        for (line, map) in SHAPES {
            let (expected, got) = (theirs.line(line), ours.line(line));
            assert_eq!(shape(&got, *map), shape(&expected, *map), "{line}, RESP3: {resp3}");
            if expected.is_error() {
                assert_eq!(got.text(), expected.text(), "{line}");
            }
        }
    }
}

#[test]
fn the_rows_of_sentinel_are_those_of_a_real_one() {
    let Some(real) = Real::start() else { return };
    let deployment = Deployment::start(1, &[]);
    let rows = |client: &mut Client| {
        let mut rows: Vec<String> = client.call(&["COMMAND", "INFO", "sentinel"]).list()[0].list()[9]
            .list()
            .iter()
            .map(|row| {
                let row = row.list();
                let mut flags: Vec<String> = row[2].list().iter().map(Reply::text).collect();
                flags.sort();
                format!("{} {} {}", row[0].text(), row[1].int(), flags.join(","))
            })
            .collect();
        rows.sort();
        rows
    };
    let expected = rows(&mut Client::connect(real.address()).unwrap());
    assert_eq!(rows(&mut deployment.nodes[0].sentinel()), expected);
    assert_eq!(rows(&mut deployment.nodes[0].client()), expected);
}
