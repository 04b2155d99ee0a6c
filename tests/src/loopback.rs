//! Deployments of ours on addresses of their own, with the ports that everybody expects.

use crate::client::Client;
use crate::replication::until;
use crate::reply::Reply;
use crate::server::Kind;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The port of clients.
pub const PORT: u16 = 6379;
/// The port of the Sentinel API.
pub const SENTINEL_PORT: u16 = 26379;

/// A node; killed when dropped.
pub struct Node {
    child: Option<Child>,
    /// Its address on the loopback.
    pub ip: Ipv4Addr,
    dir: PathBuf,
    arguments: Vec<String>,
}

impl Node {
    /// Starts it, for the first time or again.
    ///
    /// # Panics
    /// When the program cannot be run.
    pub fn start(&mut self) {
        let program = Kind::Ours.program().expect("our own program exists or program() has panicked");
        let log = File::options().create(true).append(true).open(self.dir.join("log")).expect("a log");
        let child = Command::new(program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("our own program runs"));
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Failures here mean the process is already gone, which is the aim.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends its process a signal: STOP, CONT.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {pid}");
    }

    /// Whether it runs, as far as we have to do with it.
    pub fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.ip, PORT))
    }

    /// Where its Sentinel API is.
    pub fn sentinel_address(&self) -> SocketAddr {
        SocketAddr::from((self.ip, SENTINEL_PORT))
    }

    /// A client of the data port.
    ///
    /// # Panics
    /// When the node does not accept it.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address())
            .unwrap_or_else(|error| panic!("{}: {error:#}\n{}", self.ip, self.log()))
    }

    /// A client of the Sentinel port.
    ///
    /// # Panics
    /// When the node does not accept it.
    #[track_caller]
    pub fn sentinel(&self) -> Client {
        let client = Client::connect(self.sentinel_address());
        client.unwrap_or_else(|error| panic!("{}: {error:#}\n{}", self.ip, self.log()))
    }

    /// What it answers to one call on the data port, if it answers.
    pub fn ask(&self, line: &str) -> Option<Reply> {
        let words: Vec<&str> = line.split(' ').collect();
        Client::connect(self.address()).ok()?.try_call(&words).ok()
    }

    /// A field of INFO; empty if it is not there.
    pub fn field(&self, section: &str, name: &str) -> String {
        let Some(info) = self.ask(&format!("INFO {section}")) else { return String::new() };
        let info = info.text();
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

/// Nodes with one set of peers.
pub struct Deployment {
    /// By number.
    pub nodes: Vec<Node>,
    dir: PathBuf,
}

impl Deployment {
    /// Starts so many nodes, and waits until all are in sync and writes are acknowledged.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn start(count: u8, options: &[(&str, &str)]) -> Deployment {
        let mut deployment = Deployment::new(count, options);
        deployment.nodes.iter_mut().for_each(Node::start);
        deployment.wait_ready();
        deployment
    }

    fn new(count: u8, options: &[(&str, &str)]) -> Deployment {
        let network = free_network(count);
        let [_, a, b, _] = network.octets();
        let dir = std::env::temp_dir().join(format!("redoubt-deployment-{}-{a}-{b}", std::process::id()));
        let ips: Vec<Ipv4Addr> = (1..=count).map(|number| Ipv4Addr::new(127, a, b, number)).collect();
        let peers: Vec<String> = ips.iter().map(|ip| format!("{ip}:{PORT}")).collect();
        let nodes = ips.iter().map(|ip| {
            let own = dir.join(ip.to_string());
            fs::create_dir_all(&own).expect("a folder");
            let settings = [
                ("port", PORT.to_string()),
                ("bind", ip.to_string()),
                ("dir", own.display().to_string()),
                ("save", String::new()),
                ("ha-enabled", "yes".into()),
                ("ha-peers", peers.join(",")),
                ("ha-bootstrap-expect", count.to_string()),
                // Other tests want the processors too.
                ("ha-node-timeout", "2000".into()),
            ];
            let further = options.iter().map(|(name, value)| (*name, (*value).to_owned()));
            let arguments =
                settings.into_iter().chain(further).flat_map(|(name, value)| [format!("--{name}"), value]);
            Node { child: None, ip: *ip, dir: own, arguments: arguments.collect() }
        });
        Deployment { nodes: nodes.collect(), dir }
    }

    /// Waits until one node leads, all that run are in sync with it, and writes are acknowledged. Returns its number.
    ///
    /// # Panics
    /// When it does not come to that.
    #[track_caller]
    pub fn wait_ready(&self) -> usize {
        let up = self.nodes.iter().filter(|node| node.is_up()).count().to_string();
        let mut leader = None;
        let what = "one node leads, and all are in sync";
        until(what, || {
            leader = self.leader().filter(|number| self.nodes[*number].field("ha", "ha_in_sync") == up);
            let acknowledged = |number: usize| self.nodes[number].ask("SET deployment:ready 1");
            leader.and_then(acknowledged).is_some_and(|reply| !reply.is_error())
        });
        leader.expect("it was waited for")
    }

    /// The node that says it is the primary.
    ///
    /// # Panics
    /// When two say so.
    #[track_caller]
    pub fn leader(&self) -> Option<usize> {
        let up = self.nodes.iter().enumerate().filter(|(_, node)| node.is_up());
        let leaders: Vec<usize> = up
            .filter(|(_, node)| node.field("replication", "role") == "master")
            .map(|(number, _)| number)
            .collect();
        leaders.first().copied()
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A network of the loopback whose first addresses nobody listens on.
fn free_network(count: u8) -> Ipv4Addr {
    loop {
        let (a, b) = (fastrand::u8(10..250), fastrand::u8(1..250));
        let free = |number: u8| {
            let ports = [PORT, PORT + 10_000, SENTINEL_PORT];
            ports.iter().all(|port| TcpListener::bind((Ipv4Addr::new(127, a, b, number), *port)).is_ok())
        };
        if (1..=count).all(free) {
            return Ipv4Addr::new(127, a, b, 0);
        }
    }
}
