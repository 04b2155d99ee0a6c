//! What it costs a node to carry a client to the primary, beside HAProxy in front of the same primary.
//!
//! One deployment of three; the load goes through a replica, then through HAProxy in tcp mode. Counted is the CPU time of
//! whoever is in between. A replica also applies what is written: what the other replica spends meanwhile is taken off.

use super::link::Link;
use super::options::Options;
use super::report::{Table, cell, median};
use super::server::{Contender, Running, cpu_us_of};
use super::{LOAD_CORE, SERVER_CORE};
use crate::process::{find_program, output};
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Connections of the load generator.
const CONNECTIONS: &str = "50";
/// Requests of one measurement at `--scale 1`, by requests in flight per connection.
const REQUESTS: f64 = 300_000.0;
/// How long nodes and the proxy may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nodes listen for each other on their client port and this.
const PEER_PORT_OFFSET: u16 = 10_000;

/// Measures and prints the table.
pub(super) fn run(options: &Options, ours: &Contender) -> Result<()> {
    let Some(program) = find_program("haproxy") else {
        eprintln!("forward: haproxy is not on this machine (package haproxy)");
        return Ok(());
    };
    let nodes = deployment(ours)?;
    let (primary, others): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| says(node.port, "ha_serving:1"));
    let [primary] = primary[..] else { bail!("not one node serves") };
    let [through, beside] = others[..] else { bail!("a node is missing") };
    let proxy = Proxy::start(&program, primary.port)?;
    println!(
        "CPU of whoever is in between, µs per request, {CONNECTIONS} connections, median of {}:\n",
        options.repeats
    );
    let mut table = Table::new(&["test", "pipeline"], &["redoubt, through a replica", "haproxy"]);
    for test in ["get", "set"] {
        for &pipeline in &options.pipelines {
            let factor = (pipeline as f64).sqrt();
            let requests = (REQUESTS * factor * options.scale).max(1000.0) as u64;
            let (mut node, mut haproxy) = (Vec::new(), Vec::new());
            for _ in 0..options.repeats {
                eprintln!("forward: {test} -P {pipeline}");
                let before = (through.cpu_us()?, beside.cpu_us()?);
                load(through.port, test, pipeline, requests)?;
                let spent = (through.cpu_us()? - before.0, beside.cpu_us()? - before.1);
                node.push((spent.0 - spent.1) / requests as f64);
                let before = proxy.cpu_us()?;
                load(proxy.port, test, pipeline, requests)?;
                haproxy.push((proxy.cpu_us()? - before) / requests as f64);
            }
            let (node, haproxy) = (median(&node), median(&haproxy));
            let cells =
                [cell(&format!("{node:.2}"), None), cell(&format!("{haproxy:.2}"), Some(haproxy / node))];
            table.row(&[test.to_owned(), pipeline.to_string()], &cells);
        }
    }
    println!("{table}");
    Ok(())
}

/// Starts three nodes and waits until all are in sync.
fn deployment(ours: &Contender) -> Result<Vec<Running>> {
    let ports = free_ports();
    let peers: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let peers = peers.join(",");
    let mut nodes = Vec::new();
    for port in ports {
        let dir = std::env::temp_dir().join(format!("redoubt-bench-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let dir = dir.to_str().context("the temporary folder's name is no text")?.to_owned();
        let settings =
            ["--ha-enabled", "yes", "--ha-peers", &peers, "--ha-sentinel-port", "0", "--dir", &dir];
        nodes.push(ours.start_at(port, SERVER_CORE, &settings)?);
    }
    let deadline = Instant::now() + PATIENCE;
    while !nodes.iter().all(|node| says(node.port, "ha_in_sync:3")) {
        if Instant::now() > deadline {
            bail!("the nodes do not get in sync");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(nodes)
}

fn free_ports() -> Vec<u16> {
    let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (20_100..22_700).filter(|port| free(*port) && free(port + PEER_PORT_OFFSET)).take(3).collect()
}

/// Whether INFO ha holds a line.
fn says(port: u16, line: &str) -> bool {
    let info = Link::open(port).and_then(|mut link| link.call(&["INFO", "ha"]));
    info.is_ok_and(|info| info.lines().any(|other| other.trim() == line))
}

fn load(port: u16, test: &str, pipeline: u64, requests: u64) -> Result<()> {
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        LOAD_CORE,
        "redis-benchmark",
        "--csv",
        "-c",
        CONNECTIONS,
        "-r",
        "100000",
        "-t",
        test,
    ]);
    command.args(["-p", &port.to_string(), "-P", &pipeline.to_string(), "-n", &requests.to_string()]);
    output(&mut command).map(drop)
}

/// HAProxy in front of a server; killed when dropped.
struct Proxy {
    child: Child,
    port: u16,
    config: PathBuf,
}

impl Proxy {
    fn start(program: &std::path::Path, server: u16) -> Result<Proxy> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = std::env::temp_dir().join(format!("redoubt-bench-haproxy-{port}.cfg"));
        let text = format!(
            "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  \
             timeout server 1m\nlisten redis\n  bind 127.0.0.1:{port}\n  server primary 127.0.0.1:{server}\n"
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CORE]).arg(program).arg("-db").arg("-f").arg(&config);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let proxy = Proxy { child, port, config };
        let deadline = Instant::now() + PATIENCE;
        while Link::open(port).and_then(|mut link| link.call(&["PING"])).is_err() {
            if Instant::now() > deadline {
                bail!("haproxy does not start");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(proxy)
    }

    fn cpu_us(&self) -> Result<f64> {
        cpu_us_of(self.child.id())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It is gone already if this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.config);
    }
}
