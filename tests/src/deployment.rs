//! Three nodes that fail over: started together, each on ports of its own.

use crate::replication::{field, until};
use crate::server::{Kind, Server};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Nodes of a deployment listen on their client port and on this much above.
const PEER_PORT_OFFSET: u16 = 10_000;
/// Client ports come from here: below the ports that the system gives to connections, as are those of the nodes.
const PORTS: std::ops::Range<u16> = 20_100..22_700;

/// A running deployment. Nodes that were killed are gone from it.
pub struct Deployment {
    /// The nodes that are left.
    pub nodes: Vec<Server>,
}

impl Deployment {
    /// Starts three nodes with these settings beside those of failover; waits until one serves and all are in sync.
    ///
    /// # Panics
    /// When they do not come up.
    pub fn start(options: &[(&str, &str)]) -> Deployment {
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let peers: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let peers = peers.join(",");
        let own = [
            ("ha-enabled", "yes"),
            ("ha-peers", peers.as_str()),
            ("ha-sentinel-port", "0"),
            // A machine that is busy with other tests is no failure.
            ("ha-node-timeout", "2000"),
        ];
        let options: Vec<_> = own.iter().chain(options).copied().collect();
        let nodes = ports.iter().map(|port| Server::start_at(Kind::Ours, *port, &options)).collect();
        let deployment = Deployment { nodes };
        deployment.settle();
        deployment
    }

    /// Waits until one node serves and all that are left are in sync.
    pub fn settle(&self) {
        let wanted = self.nodes.len().to_string();
        until("one serves and all are in sync", || {
            let serving = self.nodes.iter().filter(|node| field(node, "ha", "ha_serving") == "1").count();
            serving == 1 && self.nodes.iter().all(|node| field(node, "ha", "ha_in_sync") == wanted)
        });
    }

    /// The place of the node that serves; waits for it.
    pub fn primary(&self) -> usize {
        let mut found = None;
        until("one serves", || {
            found = self.nodes.iter().position(|node| field(node, "ha", "ha_serving") == "1");
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// A node that does not serve.
    pub fn other(&self) -> &Server {
        self.others()[0]
    }

    /// The nodes that do not serve.
    pub fn others(&self) -> Vec<&Server> {
        let primary = self.primary();
        self.nodes.iter().enumerate().filter(|(at, _)| *at != primary).map(|(_, node)| node).collect()
    }

    /// Ends the node that serves at once, as a crash does.
    pub fn kill_primary(&mut self) {
        let primary = self.primary();
        drop(self.nodes.remove(primary));
    }
}

/// One that nobody has, and that was not given before.
fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = fastrand::u16(PORTS);
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if free(port) && free(port + PEER_PORT_OFFSET) && given.insert(port) {
            return port;
        }
    }
}
