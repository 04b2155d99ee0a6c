//! `redoubt-server demo`: three nodes on this machine that fail over by themselves, and a line for everything that
//! happens to them. They are ordinary processes, to be killed and stopped at will.

mod node;
mod watch;

use node::{Node, Plan};
use redoubt_server::process::{Signal, Signals};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use watch::Picture;

/// What the demo is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Port of the first node; the others follow.
    port: u16,
    nodes: u16,
    /// Passed on to every node.
    settings: Vec<String>,
}

/// The Raft port of a node is its client port and this; the Sentinel port another step further.
const RAFT: u16 = 10_000;
const SENTINEL: u16 = 20_000;
/// How often the nodes are asked how they are.
const LOOK: Duration = Duration::from_millis(50);
/// How long a node that was killed stays down.
const REST: Duration = Duration::from_secs(5);

/// Understands the arguments after `demo`. The error is for the operator.
pub(crate) fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options { port: 7000, nodes: 3, settings: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number =
            || args.next().and_then(|text| text.parse().ok()).ok_or(format!("{arg} needs a number"));
        match arg.as_str() {
            "--port" => options.port = number()?,
            "--nodes" => options.nodes = number()?,
            _ => {
                options.settings.push(arg.clone());
                options.settings.extend(args.next().cloned());
            }
        }
    }
    let highest = u32::from(options.port) + u32::from(options.nodes) + u32::from(SENTINEL);
    match options.nodes {
        1..=9 if highest <= 65_535 => Ok(options),
        1..=9 => {
            Err(format!("--port {} is too high: the nodes use ports up to 20000 above it", options.port))
        }
        _ => Err("--nodes is from 1 to 9".into()),
    }
}

/// A folder that goes with the demo.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder, String> {
        let path = std::env::temp_dir().join(format!("redoubt-demo-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs until Ctrl-C.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let signals = Signals::hold();
    let folder = Folder::new()?;
    let began = Instant::now();
    let say = |line: &str| println!("{:>8.2}s  {line}", began.elapsed().as_secs_f64());
    let mut nodes = start(options, &folder.0)?;
    introduce(&nodes, &folder.0);
    let ended = end_by_signal(signals)?;
    let mut before = Picture::default();
    while !ended.load(Relaxed) {
        for node in &mut nodes {
            if let Some(line) = node.look_after(REST)? {
                say(&line);
            }
        }
        let now = Picture::of(&nodes);
        now.changes(&before).iter().for_each(|line| say(line));
        before = now;
        std::thread::sleep(LOOK);
    }
    println!();
    say("ending all nodes");
    // One after the other would hand over from each to the next.
    nodes.iter_mut().for_each(Node::ask_to_end);
    drop(nodes);
    Ok(())
}

fn start(options: &Options, folder: &Path) -> Result<Vec<Node>, String> {
    let ports: Vec<u16> = (0..options.nodes).map(|index| options.port + index).collect();
    for port in ports.iter().flat_map(|port| [*port, port + RAFT, port + SENTINEL]) {
        TcpListener::bind(("127.0.0.1", port))
            .map_err(|error| format!("port {port} is not to be had ({error}): try another --port"))?;
    }
    let peers: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let start_one = |(index, port): (usize, &u16)| {
        Node::start(Plan {
            name: format!("node {}", index + 1),
            port: *port,
            folder: folder.join(format!("node-{}", index + 1)),
            settings: [
                &["--ha-enabled", "yes", "--ha-peers", &peers.join(","), "--bind", "127.0.0.1", "--save", ""]
                    [..],
                &["--ha-bootstrap-expect", &options.nodes.to_string()],
                &["--ha-sentinel-port", &(port + SENTINEL).to_string(), "--port", &port.to_string()],
            ]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .chain(options.settings.iter().cloned())
            .collect(),
        })
    };
    ports.iter().enumerate().map(start_one).collect()
}

fn introduce(nodes: &[Node], folder: &Path) {
    println!(
        "{} nodes of one deployment, on this machine. Data and logs: {}\n",
        nodes.len(),
        folder.display()
    );
    for node in nodes {
        println!("  {}   redis-cli -p {}   (pid {})", node.name(), node.port(), node.pid());
    }
    let first = nodes.first().map_or(0, Node::port);
    println!(
        "\nEvery node answers: those that are not the primary carry clients to it. Sentinel clients ask port {}.\n\
         Try: kill -9 <pid of the primary>, kill -STOP and kill -CONT, redis-cli -p {first} failover.\n\
         A node that was killed comes back after {} seconds. Ctrl-C ends all.\n",
        first + SENTINEL,
        REST.as_secs()
    );
}

/// Says when a signal has come. A second one ends the process at once; the nodes end with it.
fn end_by_signal(signals: Signals) -> Result<Arc<AtomicBool>, String> {
    let ended = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&ended);
    let wait = move || {
        let _: Signal = signals.wait();
        tell.store(true, Relaxed);
        signals.wait();
        std::process::exit(1);
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .map_err(|error| format!("could not start a thread: {error}"))?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments() {
        let plain = Options { port: 7000, nodes: 3, settings: Vec::new() };
        assert_eq!(parse(&[]), Ok(plain.clone()));
        assert_eq!(
            parse(&words("--port 8000 --nodes 5")),
            Ok(Options { port: 8000, nodes: 5, ..plain.clone() })
        );
        let settings = words("--appendonly yes");
        assert_eq!(parse(&settings), Ok(Options { settings, ..plain }));
        for wrong in ["--port", "--port x", "--nodes 0", "--nodes 10", "--port 50000"] {
            assert!(parse(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
