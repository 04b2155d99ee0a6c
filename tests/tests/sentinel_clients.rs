//! What is written for Sentinel, in front of a deployment: HAProxy with the redis-ha chart's checks, that chart's scripts,
//! redis-py. Each is skipped where the program is not on this machine.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::Client;
use redoubt_tests::client::Received;
use redoubt_tests::loopback::{Deployment, Node, PORT, SENTINEL_PORT};
use redoubt_tests::replication::until;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs a step of a tcp-check: what is sent, and what must be found in what comes back.
fn step(stream: &mut TcpStream, send: &str, expect: &str) -> Result<(), String> {
    stream.write_all(send.as_bytes()).map_err(|error| error.to_string())?;
    let (mut got, mut buffer) = (String::new(), [0; 65536]);
    while !got.contains(expect) {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(format!("closed after {got:?}")),
            Ok(count) => got += &String::from_utf8_lossy(&buffer[..count]),
            Err(error) => return Err(format!("{send:?}: {error}, after {got:?}")),
        }
    }
    Ok(())
}

fn check(address: SocketAddr, steps: &[(&str, &str)]) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_millis(500))).map_err(|error| error.to_string())?;
    steps.iter().try_for_each(|(send, expect)| step(&mut stream, send, expect))
}

/// Whether the chart's HAProxy takes the node's Sentinel to name this address.
fn names(node: &Node, ip: Ipv4Addr) -> Result<(), String> {
    let ask = "SENTINEL get-master-addr-by-name mymaster\r\n";
    let ip = ip.to_string();
    check(node.sentinel_address(), &[("PING\r\n", "+PONG"), (ask, &ip), ("QUIT\r\n", "+OK")])
}

/// Whether it takes the node to have this role.
fn has_role(node: &Node, role: &str) -> Result<(), String> {
    let role = format!("role:{role}");
    check(node.address(), &[("PING\r\n", "+PONG"), ("info replication\r\n", &role), ("QUIT\r\n", "+OK")])
}

#[test]
fn the_checks_of_haproxy_find_one_primary() {
    let deployment = Deployment::start(3, &[]);
    let leader = deployment.wait_ready();
    for (number, node) in deployment.nodes.iter().enumerate() {
        for other in &deployment.nodes {
            let named = names(other, node.ip);
            assert_eq!(named.is_ok(), number == leader, "{named:?}");
        }
        assert_eq!(has_role(node, "master").is_ok(), number == leader);
        assert_eq!(has_role(node, "slave").is_ok(), number != leader);
    }
}

#[test]
fn who_comes_back_from_a_freeze_never_calls_itself_primary() {
    let deployment = Deployment::start(3, &[]);
    let leader = deployment.wait_ready();
    let frozen = &deployment.nodes[leader];
    // Asked while it could not answer: the reply is made in its first moment.
    let mut early: Vec<TcpStream> = Vec::new();
    frozen.signal("STOP");
    let witness = &deployment.nodes[(leader + 1) % 3];
    for _ in 0..4 {
        let mut stream = TcpStream::connect(frozen.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"INFO replication\r\n").unwrap();
        early.push(stream);
    }
    until("another node is named", || names(witness, frozen.ip).is_err());
    frozen.signal("CONT");
    for mut stream in early {
        step(&mut stream, "", "role:slave").unwrap();
    }
    let mut late = TcpStream::connect(frozen.address()).unwrap();
    late.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for _ in 0..50 {
        step(&mut late, "INFO replication\r\n", "role:slave").unwrap();
    }
    deployment.wait_ready();
    assert!(has_role(frozen, "master").is_err() && names(frozen, frozen.ip).is_err());
}

/// What a script prints.
fn script(text: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(text).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_charts_scripts_see_what_they_expect() {
    if script("command -v redis-cli").is_empty() {
        return eprintln!("skipped: redis-cli is not on this machine");
    }
    let mut deployment = Deployment::start(3, &[]);
    let leader = deployment.wait_ready();
    let primary = deployment.nodes[leader].ip.to_string();
    let master = |ip: Ipv4Addr| {
        script(&format!(
            "redis-cli -h {ip} -p {SENTINEL_PORT} sentinel get-master-addr-by-name mymaster | \
             grep -E '[0-9]{{1,3}}\\.[0-9]{{1,3}}\\.[0-9]{{1,3}}\\.[0-9]{{1,3}}'"
        ))
    };
    // The loop against split brain takes the role from all of INFO, and so the host of the primary.
    let from_info = |ip: Ipv4Addr, word: &str, field: &str| {
        script(&format!(
            "redis-cli -h {ip} -p {PORT} info | grep {word} | sed 's/{field}://' | sed 's/\\r//'"
        ))
    };
    for (number, node) in deployment.nodes.iter().enumerate() {
        let ip = node.ip;
        assert_eq!(script(&format!("redis-cli -h {ip} -p {PORT} ping")), "PONG");
        assert_eq!(script(&format!("redis-cli -h {ip} -p {SENTINEL_PORT} ping")), "PONG");
        assert_eq!(master(ip), primary);
        let role = script(&format!("redis-cli -h {ip} -p {PORT} role"));
        let lines: Vec<&str> = role.lines().collect();
        if number == leader {
            assert_eq!((lines[0], from_info(ip, "role", "role").as_str()), ("master", "master"));
        } else {
            assert_eq!((lines[0], lines[3]), ("slave", "connected"));
            assert_eq!(from_info(ip, "role", "role"), "slave");
            assert_eq!(from_info(ip, "master_host", "master_host"), primary);
        }
    }
    // Before a node stops: its primary goes elsewhere.
    let ip = deployment.nodes[leader].ip;
    let answer = script(&format!("redis-cli -h {ip} -p {SENTINEL_PORT} sentinel failover mymaster"));
    assert_eq!(answer, "OK");
    until("another node is named", || master(ip) != primary);
    until("the role has gone", || from_info(ip, "role", "role") == "slave");
    deployment.wait_ready();
    let reset = script(&format!("redis-cli -h {ip} -p {SENTINEL_PORT} sentinel reset mymaster"));
    assert_eq!(reset, "1");
    // With nobody to take over there is no good replica.
    let leader = deployment.wait_ready();
    for number in (0..3).filter(|number| *number != leader) {
        deployment.nodes[number].kill();
    }
    let ip = deployment.nodes[leader].ip;
    until("nobody can take over", || {
        let ask = format!("redis-cli -h {ip} -p {SENTINEL_PORT} sentinel failover mymaster");
        script(&ask).contains("NOGOODSLAVE")
    });
    until("it says so itself", || from_info(ip, "role", "role") == "slave");
}

/// A HAProxy with the chart's configuration.
struct Haproxy {
    child: Child,
    dir: PathBuf,
    port: u16,
}

impl Haproxy {
    fn start(nodes: &[Node]) -> Option<Haproxy> {
        let program =
            ["/usr/sbin/haproxy", "/usr/bin/haproxy"].into_iter().find(|path| Path::new(path).exists())?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?.local_addr().ok()?.port();
        let dir = std::env::temp_dir().join(format!("redoubt-haproxy-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("haproxy.cfg"), configuration(nodes, port)).unwrap();
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg")).stdout(Stdio::null()).stderr(Stdio::null());
        Some(Haproxy { child: command.spawn().unwrap(), dir, port })
    }

    fn ask(&self, line: &str) -> Option<String> {
        let mut client = Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).ok()?;
        client.send(&line.split(' ').collect::<Vec<_>>()).ok()?;
        match client.receive(Duration::from_millis(500)) {
            Ok(Received::Reply(reply)) if !reply.is_error() => Some(reply.text()),
            _ => None,
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// For each node a backend of Sentinels that name it; writes go where two of them do and the node agrees.
fn configuration(nodes: &[Node], port: u16) -> String {
    let mut text = "defaults\n mode tcp\n timeout connect 4s\n timeout server 330s\n timeout client 330s\n timeout check 2s\n".to_owned();
    for (number, node) in nodes.iter().enumerate() {
        let _ = write!(
            text,
            "backend check_if_redis_is_master_{number}\n option tcp-check\n tcp-check connect\n tcp-check send PING\\r\\n\n \
             tcp-check expect string +PONG\n tcp-check send SENTINEL\\ get-master-addr-by-name\\ mymaster\\r\\n\n tcp-check \
             expect string {}\n tcp-check send QUIT\\r\\n\n tcp-check expect string +OK\n",
            node.ip
        );
        for (number, node) in nodes.iter().enumerate() {
            let _ = writeln!(text, " server R{number} {}:{SENTINEL_PORT} check inter 1s", node.ip);
        }
    }
    let _ = write!(
        text,
        "frontend ft_redis_master\n bind 127.0.0.1:{port}\n use_backend bk_redis_master\nbackend bk_redis_master\n option \
         tcp-check\n tcp-check connect\n tcp-check send PING\\r\\n\n tcp-check expect string +PONG\n tcp-check send info\\ \
         replication\\r\\n\n tcp-check expect string role:master\n tcp-check send QUIT\\r\\n\n tcp-check expect string +OK\n"
    );
    for (number, node) in nodes.iter().enumerate() {
        let _ = write!(
            text,
            " use-server R{number} if {{ srv_is_up(R{number}) }} {{ nbsrv(check_if_redis_is_master_{number}) ge 2 }}\n server \
             R{number} {}:{PORT} check inter 1s fall 1 rise 1\n",
            node.ip
        );
    }
    text
}

#[test]
fn haproxy_follows_a_crash() {
    let mut deployment = Deployment::start(3, &[]);
    let leader = deployment.wait_ready();
    let Some(proxy) = Haproxy::start(&deployment.nodes) else {
        return eprintln!("skipped: haproxy is not on this machine");
    };
    let at = |deployment: &Deployment, proxy: &Haproxy, number: usize| {
        let id = deployment.nodes[number].field("server", "run_id");
        proxy.ask("INFO server").is_some_and(|info| !id.is_empty() && info.contains(&id))
    };
    // Until its first checks are over it takes all nodes to be good, and nodes take writes for each other.
    until("it has found the primary", || at(&deployment, &proxy, leader));
    until("writes get through", || proxy.ask("SET through haproxy").is_some());
    deployment.nodes[leader].kill();
    let leader = deployment.wait_ready();
    until("it has found the new primary", || at(&deployment, &proxy, leader));
    until("writes get through again", || proxy.ask("SET through again").is_some());
    assert_eq!(deployment.nodes[leader].ask("GET through").unwrap().text(), "again");
}

#[test]
fn redis_py_finds_and_follows_the_primary() {
    let Some(python) = std::env::var_os("REDOUBT_PYTHON") else {
        return eprintln!("skipped: REDOUBT_PYTHON is not set; `cargo xtask test` sets it");
    };
    let mut deployment = Deployment::start(3, &[]);
    deployment.wait_ready();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/sentinel.py");
    let addresses = deployment.nodes.iter().map(|node| format!("{}:{SENTINEL_PORT}", node.ip));
    let mut child = Command::new(python)
        .arg(script)
        .args(addresses)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().and_then(Result::ok);
    if first.as_deref() == Some("ready") {
        // It has had another lead meanwhile.
        let leader = deployment.wait_ready();
        deployment.nodes[leader].kill();
    }
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && first.is_some(), "{first:?}\n{error}");
}
