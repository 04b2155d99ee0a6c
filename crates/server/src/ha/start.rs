//! Starting a node: its file, its sockets, where it says it is.

use super::Request;
use super::meet::RAFT_PORT_OFFSET;
use super::node::{Beginning, Former, Node};
use crate::config::{Values, join_host_port};
use crate::net::listener;
use crate::raft::{Driver, Inbox, Secret, Settings};
use crate::shared::Shared;
use redoubt_ha::topology::{Announcement, Topology};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::mpsc;

/// Attempts to listen again, and the time between them: sockets take a moment to close.
const ATTEMPTS: usize = 100;
const ATTEMPT: std::time::Duration = std::time::Duration::from_millis(50);

/// A node that is ready to run.
pub(crate) struct Started {
    shared: Arc<Shared>,
    node: Node,
    inbox: Inbox<Topology>,
    requests: mpsc::UnboundedReceiver<Request>,
}

impl Started {
    /// Runs until the server stops. A node that was forgotten begins anew, as another that has its data.
    pub(crate) async fn run(self) {
        let Started { shared, mut node, mut inbox, mut requests } = self;
        while let Some(former) = node.run(inbox, &mut requests).await {
            tracing::warn!(
                "The deployment has forgotten this node while it was away: it joins again, as another"
            );
            match begin_anew(&shared, former).await {
                Ok(begun) => (node, inbox) = begun,
                Err(error) => {
                    tracing::error!("It cannot begin anew, and ends: {error}");
                    return shared.request_stop();
                }
            }
        }
    }
}

async fn begin_anew(shared: &Arc<Shared>, former: Former) -> Result<(Node, Inbox<Topology>), String> {
    crate::raft::discard(&shared.values().dir).map_err(|error| error.to_string())?;
    let mut attempts = 0;
    let (beginning, inbox) = loop {
        match open(shared).await {
            Ok(open) => break open,
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(_) => attempts += 1,
        }
        tokio::time::sleep(ATTEMPT).await;
    };
    Ok((Node::new(beginning, Some(former)).await, inbox))
}

/// Opens what a node needs. Its tasks run on the current runtime.
///
/// # Errors
/// A text for the operator.
pub(crate) async fn start(shared: &Arc<Shared>) -> Result<Option<Started>, String> {
    let Some(ha) = &shared.ha else { return Ok(None) };
    check(&shared.values())?;
    let (beginning, inbox) = open(shared).await?;
    let node = Node::new(beginning, None).await;
    let _ = ha.news.set(node.news());
    let requests = ha.pending.lock().take().expect("a server starts once");
    Ok(Some(Started { shared: Arc::clone(shared), node, inbox, requests }))
}

/// The node's file and sockets.
async fn open(shared: &Arc<Shared>) -> Result<(Beginning, Inbox<Topology>), String> {
    let values = shared.values();
    let client_port = shared.port.load(Relaxed) as u16;
    let port = match values.ha.port {
        0 => client_port
            .checked_add(RAFT_PORT_OFFSET)
            .ok_or("ha-port: the client port is too high to add 10000 to it")?,
        port => port,
    };
    let listeners = listener::open_tcp(&values, port).map_err(|error| error.to_string())?;
    let announcement = announcement(&values, client_port, port);
    let password = match values.replication.masterauth.as_str() {
        "" => &values.requirepass,
        password => password,
    };
    if password.is_empty() {
        tracing::warn!(
            "Without requirepass or masterauth anybody who reaches port {port} can join the deployment"
        );
    }
    let settings = Settings {
        directory: values.dir.clone(),
        listeners,
        address: announcement.peers.clone(),
        secret: Secret::derive(password.as_bytes()),
        timing: values.ha.timing.clone(),
    };
    let (driver, inbox) = Driver::start(settings).await.map_err(|error| error.to_string())?;
    let me = driver.me();
    tracing::info!(
        "Node {:016x}, incarnation {}: clients at {}, nodes at {}",
        me.node.0,
        me.incarnation,
        announcement.clients,
        announcement.peers
    );
    Ok((Beginning { shared: Arc::clone(shared), driver, announcement }, inbox))
}

fn check(values: &Values) -> Result<(), String> {
    if !values.replication.replicaof.is_empty() {
        return Err(
            "replicaof cannot be used with ha-enabled: the deployment decides who follows whom".into()
        );
    }
    if values.port == 0 {
        return Err("ha-enabled needs a TCP port: 'port' is 0".into());
    }
    if values.ha.peers.is_empty() && values.ha.bootstrap_expect > 1 {
        return Err(format!(
            "ha-peers is empty, and ha-bootstrap-expect is {}: name the other nodes",
            values.ha.bootstrap_expect
        ));
    }
    Ok(())
}

fn announcement(values: &Values, client_port: u16, port: u16) -> Announcement {
    let host = own_host(values);
    let given = |text: &str, port: u16| match text {
        "" => join_host_port(&host, port),
        text => text.to_owned(),
    };
    let replication = &values.replication;
    let clients = match (replication.replica_announce_ip.as_str(), replication.replica_announce_port) {
        ("", 0) => join_host_port(&host, client_port),
        (ip, announced) => {
            let port = if announced == 0 { client_port } else { announced };
            join_host_port(if ip.is_empty() { &host } else { ip }, port)
        }
    };
    Announcement {
        clients: if values.ha.announce_clients.is_empty() {
            clients
        } else {
            values.ha.announce_clients.clone()
        },
        peers: given(&values.ha.announce_peers, port),
        zone: values.ha.zone.clone(),
        priority: replication.replica_priority,
    }
}

/// The address others reach this machine at: the one listened on, or the one from which the peers are reached.
fn own_host(values: &Values) -> String {
    let bound = values.bind.iter().map(|bind| bind.trim_start_matches('-'));
    let mut bound = bound.filter_map(|bind| bind.parse::<IpAddr>().ok());
    let loopback_is_enough =
        values.ha.peers.iter().all(|peer| addresses(peer).all(|at| at.ip().is_loopback()));
    if let Some(ip) = bound.find(|ip| !ip.is_unspecified() && (loopback_is_enough || !ip.is_loopback())) {
        return ip.to_string();
    }
    let mut peers = values.ha.peers.iter().flat_map(addresses);
    peers.find_map(source).map_or_else(|| "127.0.0.1".into(), |ip| ip.to_string())
}

fn addresses((host, port): &(String, u16)) -> impl Iterator<Item = SocketAddr> + use<> {
    (host.as_str(), *port).to_socket_addrs().into_iter().flatten()
}

/// The address this machine sends from to get there. Nothing is sent.
fn source(to: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn values(settings: &[(&str, &str)]) -> Values {
        let mut config = Config::new();
        for (name, value) in settings {
            config = config.with(name, value).unwrap();
        }
        config.values()
    }

    #[test]
    fn a_node_says_where_it_is() {
        let plain = values(&[("ha-enabled", "yes"), ("bind", "127.0.0.1"), ("ha-peers", "127.0.0.1:7001")]);
        let said = announcement(&plain, 7001, 17001);
        assert_eq!((said.clients.as_str(), said.peers.as_str()), ("127.0.0.1:7001", "127.0.0.1:17001"));
        let announced = values(&[
            ("ha-peers", "127.0.0.1:7001"),
            ("replica-announce-ip", "redis-0.example"),
            ("ha-announce-peers", "10.0.0.1:9000"),
            ("ha-zone", "a"),
        ]);
        let said = announcement(&announced, 7001, 17001);
        assert_eq!((said.clients.as_str(), said.peers.as_str()), ("redis-0.example:7001", "10.0.0.1:9000"));
        assert_eq!((said.zone.as_str(), said.priority), ("a", 100));
    }

    #[test]
    fn what_makes_no_sense_does_not_start() {
        for settings in [
            &[("replicaof", "a 1"), ("ha-peers", "b:1")][..],
            &[("port", "0"), ("ha-peers", "b:1")],
            &[("ha-bootstrap-expect", "3")],
        ] {
            assert!(check(&values(settings)).is_err(), "{settings:?}");
        }
        assert!(check(&values(&[("ha-bootstrap-expect", "1")])).is_ok());
        assert!(check(&values(&[("ha-peers", "a:1,b:2")])).is_ok());
    }
}
