//! Where nodes live: on loopback, or each in a network namespace of its own, where packets from one place to another can be
//! made to vanish.
//!
//! Nothing is needed for that but `ip`: every place knows the others by fixed hardware addresses, and a cut replaces one by
//! an address nobody has. The packets go to the bridge and no further: silence, with no reset and no error, one way or
//! both ways, as when a machine loses its power.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Where packets come from and go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A node.
    Node(usize),
    /// This process: all clients.
    Clients,
}

/// The network of one deployment.
#[derive(Debug)]
pub enum Network {
    /// All on 127.0.0.1. Nothing can be cut.
    Loopback,
    /// A namespace for each node, and a bridge between them.
    Namespaces(Namespaces),
}

impl Network {
    /// A namespace for each of `nodes`; None, with a line on stderr that says why, where that cannot be had.
    pub fn namespaces(nodes: usize) -> Option<Network> {
        match Namespaces::create(nodes) {
            Ok(namespaces) => Some(Network::Namespaces(namespaces)),
            Err(error) => {
                eprintln!("no network namespaces here (they need root and iproute2): {error:#}");
                None
            }
        }
    }

    /// How a node's program is started.
    pub fn command(&self, node: usize, program: &Path) -> Command {
        match self {
            Network::Loopback => Command::new(program),
            Network::Namespaces(namespaces) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &namespaces.space(node)]).arg(program);
                command
            }
        }
    }

    /// A node's address.
    pub fn address(&self, node: usize) -> Ipv4Addr {
        match self {
            Network::Loopback => Ipv4Addr::LOCALHOST,
            Network::Namespaces(namespaces) => namespaces.address(Place::Node(node)),
        }
    }

    /// A node's client port: a free one where all share an address.
    ///
    /// # Errors
    /// When there is none.
    pub fn port(&self) -> Result<u16> {
        match self {
            Network::Loopback => free_port(),
            Network::Namespaces(_) => Ok(6379),
        }
    }

    /// From now on packets from one place to the other vanish.
    ///
    /// # Errors
    /// When they cannot be made to.
    pub fn cut(&self, from: Place, to: Place) -> Result<()> {
        self.spaces()?.point(&[(from, to)], true)
    }

    /// Cuts both ways between any of these places and all others.
    ///
    /// # Errors
    /// As `cut`.
    pub fn isolate(&self, places: &[Place]) -> Result<()> {
        let spaces = self.spaces()?;
        let all = spaces.places();
        let (inside, outside): (Vec<Place>, Vec<Place>) =
            all.iter().partition(|place| places.contains(place));
        let there = inside.iter().flat_map(|from| outside.iter().map(move |to| (*from, *to)));
        let both: Vec<(Place, Place)> = there.flat_map(|(from, to)| [(from, to), (to, from)]).collect();
        spaces.point(&both, true)
    }

    /// Everybody reaches everybody again.
    ///
    /// # Errors
    /// When that cannot be had.
    pub fn heal(&self) -> Result<()> {
        let Network::Namespaces(spaces) = self else { return Ok(()) };
        spaces.point(&spaces.pairs(), false)
    }

    /// Whether packets can be made to vanish.
    pub fn can_cut(&self) -> bool {
        matches!(self, Network::Namespaces(_))
    }

    fn spaces(&self) -> Result<&Namespaces> {
        match self {
            Network::Loopback => anyhow::bail!("nothing can be cut on loopback"),
            Network::Namespaces(spaces) => Ok(spaces),
        }
    }
}

/// See the module's text. Removed when dropped.
#[derive(Debug)]
pub struct Namespaces {
    /// Begins the names of all that was made.
    name: String,
    net: (u8, u8),
    nodes: usize,
}

impl Namespaces {
    fn create(nodes: usize) -> Result<Namespaces> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed) % 100;
        let name = format!("rd{}x{number}", std::process::id() % 100_000);
        let net = (fastrand::u8(100..250), fastrand::u8(..));
        let spaces = Namespaces { name, net, nodes };
        spaces.build()?;
        Ok(spaces)
    }

    fn build(&self) -> Result<()> {
        let (bridge, host) = (&self.name, self.address(Place::Clients));
        for node in 0..self.nodes {
            ip(&["netns", "add", &self.space(node)])?;
        }
        let mut lines = format!(
            "link add {bridge} type bridge\nlink set {bridge} address {}\naddr add {host}/24 dev {bridge}\n\
             link set {bridge} up\n",
            hardware(Place::Clients)
        );
        for node in 0..self.nodes {
            let (space, port) = (self.space(node), format!("{bridge}p{node}"));
            let address = hardware(Place::Node(node));
            lines += &format!(
                "link add {port} type veth peer name eth0 address {address} netns {space}\n\
                 link set {port} master {bridge}\nlink set {port} up\n"
            );
        }
        batch(None, &lines)?;
        for node in 0..self.nodes {
            let own = self.address(Place::Node(node));
            let lines = format!("link set lo up\naddr add {own}/24 dev eth0\nlink set eth0 up\n");
            batch(Some(&self.space(node)), &lines)?;
        }
        self.point(&self.pairs(), false)
    }

    fn space(&self, node: usize) -> String {
        format!("{}n{node}", self.name)
    }

    fn address(&self, place: Place) -> Ipv4Addr {
        let last = match place {
            Place::Node(node) => u8::try_from(node + 1).expect("a deployment has few nodes"),
            Place::Clients => 254,
        };
        Ipv4Addr::new(10, self.net.0, self.net.1, last)
    }

    fn places(&self) -> Vec<Place> {
        (0..self.nodes).map(Place::Node).chain([Place::Clients]).collect()
    }

    fn pairs(&self) -> Vec<(Place, Place)> {
        let all = self.places();
        all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to))).filter(|(a, b)| a != b).collect()
    }

    /// Tells each `from` where `to` is, or where nobody is.
    fn point(&self, pairs: &[(Place, Place)], nowhere: bool) -> Result<()> {
        for from in self.places() {
            let (space, device) = match from {
                Place::Node(node) => (Some(self.space(node)), "eth0"),
                Place::Clients => (None, self.name.as_str()),
            };
            let mut lines = String::new();
            for (_, to) in pairs.iter().filter(|(place, _)| *place == from) {
                let there = if nowhere { "02:de:ad:00:00:00".to_owned() } else { hardware(*to) };
                let address = self.address(*to);
                lines += &format!("neigh replace {address} lladdr {there} dev {device} nud permanent\n");
            }
            if !lines.is_empty() {
                batch(space.as_deref(), &lines)?;
            }
        }
        Ok(())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // What is not there need not be removed. A port of the bridge goes with its namespace.
        for node in 0..self.nodes {
            let _ = ip(&["netns", "del", &self.space(node)]);
        }
        let _ = ip(&["link", "del", &self.name]);
    }
}

fn hardware(place: Place) -> String {
    match place {
        Place::Node(node) => format!("02:72:64:00:00:{:02x}", node + 1),
        Place::Clients => "02:72:64:00:00:fe".into(),
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("running ip")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), stderr.trim());
    Ok(())
}

fn batch(space: Option<&str>, lines: &str) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(space) = space {
        command.args(["-n", space]);
    }
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("running ip")?;
    child.stdin.take().context("a pipe")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip -batch: {}\n{lines}", stderr.trim());
    Ok(())
}

/// A port below the ephemeral ones, free together with the one 10000 above it, where the nodes listen for each other.
fn free_port() -> Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    for _ in 0..1000 {
        let port = fastrand::u16(11_000..22_000);
        let is_free =
            |port| std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok();
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if is_free(port) && is_free(port + 10_000) && given.insert(port) {
            return Ok(port);
        }
    }
    anyhow::bail!("no free pair of ports")
}
