//! A deployment: its nodes, its network, and waiting for what it should come to.

use crate::disk::SmallDisk;
use crate::facts::Facts;
use crate::link::Link;
use crate::network::Network;
use crate::node::Node;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a node may take to answer a question.
pub const ASK: Duration = Duration::from_millis(500);
/// How long anything may take that has no bound of its own. Machines that run tests are busy.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// More than a load writes, less than is missed in memory.
pub(crate) const DISK_MEGABYTES: u32 = 48;

/// What is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program; none: as the other tests find it.
    pub program: Option<PathBuf>,
    /// How many nodes.
    pub nodes: usize,
    /// How many of them begin the deployment; the others are started by the test.
    pub founders: usize,
    /// Whether data is on the disk before it is acknowledged: `appendfsync always`.
    pub durable: bool,
    /// Whether the nodes live in namespaces, so that links can be cut.
    pub cuttable: bool,
    /// The size of a disk of its own for each node, megabytes, so that it can be filled and made to hang.
    pub disk: Option<u32>,
    /// Further settings, for all nodes.
    pub settings: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            program: None,
            nodes: 3,
            founders: 3,
            durable: false,
            cuttable: false,
            disk: None,
            settings: Vec::new(),
        }
    }
}

impl Options {
    /// With a further setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Options {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// With data on the disk before it is acknowledged.
    #[must_use]
    pub fn durable(self) -> Options {
        Options { durable: true, ..self }
    }

    /// With a small disk for each node.
    #[must_use]
    pub fn with_disks(self) -> Options {
        self.with_disks_of(DISK_MEGABYTES)
    }

    /// With a disk of so many megabytes for each node.
    #[must_use]
    pub fn with_disks_of(self, megabytes: u32) -> Options {
        Options { disk: Some(megabytes), ..self }
    }

    /// With so many nodes that are not there at first.
    #[must_use]
    pub fn with_later_ones(self, count: usize) -> Options {
        Options { nodes: self.founders + count, ..self }
    }

    /// With links that can be cut.
    #[must_use]
    pub fn cuttable(self) -> Options {
        Options { cuttable: true, ..self }
    }
}

/// Running nodes. Ended and removed when dropped; after a panic, or when told so, their folder stays.
#[derive(Debug)]
pub struct Deployment {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Between them.
    pub network: Network,
    /// Each node's own, if they were asked for.
    pub disks: Vec<SmallDisk>,
    /// Holds everything of it.
    pub dir: PathBuf,
    /// Whether the folder stays.
    pub keep: bool,
    program: PathBuf,
}

impl Deployment {
    /// Starts all nodes and returns when one of them is the primary, all are in sync, and a write is acknowledged. None
    /// where links are to be cut, or disks to be filled, and cannot be.
    ///
    /// # Errors
    /// When that does not happen.
    pub fn start(options: &Options) -> Result<Option<Deployment>> {
        let Some(mut deployment) = Deployment::prepare(options)? else { return Ok(None) };
        for node in 0..options.founders {
            deployment.start_node(node)?;
        }
        deployment.wait_ready()?;
        Ok(Some(deployment))
    }

    /// As `start`, without starting any node.
    ///
    /// # Errors
    /// When folders or ports cannot be had.
    pub fn prepare(options: &Options) -> Result<Option<Deployment>> {
        let network = match options.cuttable {
            true => match Network::namespaces(options.nodes) {
                Some(network) => network,
                None => return Ok(None),
            },
            false => Network::Loopback,
        };
        let program = match &options.program {
            Some(program) => program.clone(),
            None => redoubt_tests::Kind::Ours.program().context("our own program")?,
        };
        let mut addresses = Vec::new();
        while addresses.len() < options.nodes {
            let address = SocketAddr::from((network.address(addresses.len()), network.port()?));
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let dir = fresh_dir()?;
        let nodes: Vec<Node> =
            (0..options.nodes).map(|node| new_node(node, &addresses, &dir, options)).collect();
        let mut deployment = Deployment { nodes, network, disks: Vec::new(), dir, keep: false, program };
        if let Some(megabytes) = options.disk {
            let disks = deployment.nodes.iter().map(|node| SmallDisk::mount(&node.dir, megabytes));
            let Some(disks) = disks.collect() else { return Ok(None) };
            deployment.disks = disks;
        }
        Ok(Some(deployment))
    }

    /// Starts a node's process.
    ///
    /// # Errors
    /// When it runs or cannot be started.
    pub fn start_node(&mut self, node: usize) -> Result<()> {
        let command = self.network.command(node, &self.program);
        self.nodes[node].start(command)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self, node: usize) -> Result<()> {
        self.nodes[node].kill()
    }

    /// SIGKILL, and nobody waits for it any more.
    ///
    /// # Errors
    /// When it does not run.
    pub fn retire(&mut self, node: usize) -> Result<()> {
        self.nodes[node].is_away = true;
        self.nodes[node].kill()
    }

    /// Starts who does not run and is not away.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start_missing(&mut self) -> Result<()> {
        for node in 0..self.nodes.len() {
            if !self.nodes[node].is_running() && !self.nodes[node].is_away {
                self.start_node(node)?;
            }
        }
        Ok(())
    }

    /// Fills a node's disk, again and again until it says that it cannot write, or `done` says that it is enough.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub fn fill(&mut self, node: usize, done: impl Fn(&Deployment) -> bool) -> Result<()> {
        self.until(&format!("the full disk of node {node} is noticed"), PATIENCE, |all| {
            all.disks[node].fill().ok()?;
            done(all).then_some(())
        })
    }

    /// Has a command run on a node that holds all its data locked for so long, and has others wait for it on every thread.
    /// They are writes of values that nobody may ever be told of; the connections they wait on are returned.
    ///
    /// # Errors
    /// When it cannot be reached, or does not allow DEBUG.
    pub fn hang(&self, node: usize, time: Duration) -> Result<Vec<Link>> {
        let address = self.nodes[node].address;
        let mut first = Link::connect(address, ASK)?;
        let reply = first.call(&["DEBUG", "SLEEP", "0"], 4 * ASK)?;
        anyhow::ensure!(!reply.is_error(), "DEBUG SLEEP: {reply}");
        first.send(&["DEBUG", "SLEEP", &time.as_secs_f64().to_string()])?;
        // Nobody says when it sleeps; those behind it on its thread wait in any case.
        std::thread::sleep(Duration::from_millis(50));
        let mut all = vec![first];
        for number in 0..8 {
            let mut link = Link::connect(address, ASK)?;
            link.send(&["SET", &format!("e2e:hung:{number}"), "1"])?;
            all.push(link);
        }
        Ok(all)
    }

    /// Where clients reach each node.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// What a node says, if it answers.
    pub fn facts(&self, node: usize) -> Option<Facts> {
        let node = &self.nodes[node];
        if !node.is_up() {
            return None;
        }
        Facts::ask(node.address, ASK).ok()
    }

    /// The node that serves as primary in the newest epoch anybody knows.
    pub fn primary(&self) -> Option<usize> {
        let all = (0..self.nodes.len()).filter_map(|node| Some((node, self.facts(node)?)));
        all.filter(|(_, facts)| facts.is_serving())
            .max_by_key(|(_, facts)| facts.epoch())
            .map(|(node, _)| node)
    }

    /// Waits for a condition, which gives a value when it is true.
    ///
    /// # Errors
    /// When it is not within `timeout`; the message holds what all nodes say.
    pub fn until<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        mut done: impl FnMut(&Deployment) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(value) = done(self) {
                return Ok(value);
            }
            for node in 0..self.nodes.len() {
                if let Some(status) = self.nodes[node].has_crashed() {
                    self.keep = true;
                    bail!(
                        "node {node} ended by itself ({status}):\n{}",
                        tail(&self.nodes[node].log_text(), 40)
                    );
                }
            }
            if Instant::now() > deadline {
                self.keep = true;
                bail!("never within {timeout:?}: {what}\n{}", self.state());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until there is a primary.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_primary(&mut self) -> Result<usize> {
        self.until("a primary that serves", PATIENCE, Deployment::primary)
    }

    /// Waits until a node leads that is not this one.
    ///
    /// # Errors
    /// When none does in time.
    pub fn wait_other_primary(&mut self, than: usize) -> Result<usize> {
        self.until("another primary", PATIENCE, |all| all.primary().filter(|node| *node != than))
    }

    /// Waits until all is well: one primary, every running node in sync with it, and a write is acknowledged. Returns the
    /// primary.
    ///
    /// # Errors
    /// When it does not come to that in time.
    pub fn wait_ready(&mut self) -> Result<usize> {
        self.until("all nodes in sync, and writes acknowledged", PATIENCE, |all| {
            let primary = all.primary()?;
            let facts = all.facts(primary)?;
            let up = all.nodes.iter().filter(|node| node.is_up()).count() as u64;
            (facts.number("ha_in_sync") == up).then_some(())?;
            let mut link = Link::connect(all.nodes[primary].address, ASK).ok()?;
            let reply = link.call(&["SET", "e2e:ready", "1"], ASK).ok()?;
            (!reply.is_error()).then_some(primary)
        })
    }

    /// What all nodes say, and the ends of their logs.
    pub fn state(&self) -> String {
        let mut text = String::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let facts = self.facts(number).map_or("does not answer".into(), |facts| facts.to_string());
            let log = tail(&node.log_text(), 25);
            text += &format!("node {number} ({}): {facts}\n{log}\n", node.address);
        }
        text
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        // Nodes end before their folders, disks and network go; those that wait for a disk do not end.
        self.disks.iter().for_each(SmallDisk::thaw);
        self.nodes.clear();
        if !self.disks.is_empty() && (self.keep || std::thread::panicking()) {
            eprintln!("the disks of the nodes are not kept");
        }
        self.disks.clear();
        if self.keep || std::thread::panicking() || std::env::var_os("REDOUBT_E2E_KEEP").is_some() {
            eprintln!("logs and data are kept in {}", self.dir.display());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn new_node(number: usize, addresses: &[SocketAddr], dir: &Path, options: &Options) -> Node {
    let (address, own) = (addresses[number], dir.join(format!("node{number}")));
    let peers = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let appends = if options.durable { "yes" } else { "no" };
    let settings = [
        ("port", address.port().to_string()),
        ("bind", address.ip().to_string()),
        ("dir", own.display().to_string()),
        ("save", String::new()),
        ("appendonly", appends.into()),
        ("appendfsync", "always".into()),
        ("protected-mode", "no".into()),
        ("ha-enabled", "yes".into()),
        ("ha-peers", peers),
        ("ha-bootstrap-expect", options.founders.to_string()),
        ("ha-sentinel-port", "0".into()),
    ];
    let own_settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let further = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let arguments =
        own_settings.chain(further).flat_map(|(name, value)| [format!("--{name}"), value.to_owned()]);
    Node {
        address,
        dir: own,
        log: dir.join(format!("node{number}.log")),
        arguments: arguments.collect(),
        child: None,
        stopped: false,
        is_away: number >= options.founders,
    }
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| format!("    {line}\n")).collect()
}

fn fresh_dir() -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let name = format!("redoubt-e2e-{}-{number}-{:08x}", std::process::id(), fastrand::u32(..));
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}
