//! How nodes find each other: by the addresses of `ha-peers`, before and after there is a deployment (rule 8).

use super::message::Message;
use super::node::Node;
use crate::config::HaValues;
use crate::raft::Peer;
use redoubt_ha::bootstrap::{Attempt, Bootstrap, Decision, Hello};
use redoubt_ha::{NodeId, Rules, Time};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// What is kept on the disk of what was promised.
const KEPT: &str = "bootstrap";
/// The Raft port is the client port and this.
pub(super) const RAFT_PORT_OFFSET: u16 = 10_000;
/// Who is looked up this often, in heartbeats.
const ROUND: u64 = 4;
const RESOLVE: std::time::Duration = std::time::Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Meeting {
    /// While this node belongs to no deployment.
    bootstrap: Option<Bootstrap>,
    kept: Option<Vec<u8>>,
    /// Who said hello from an address, and when.
    hellos: BTreeMap<String, (Time, NodeId)>,
    /// Where peers listen for Raft, as names say now.
    addresses: Vec<String>,
    resolved: mpsc::Receiver<Vec<String>>,
    rounds: u64,
    told: Option<Decision>,
}

/// Looks the peers' names up, again and again: the addresses behind them change.
async fn resolve(peers: Vec<(String, u16)>, found: mpsc::Sender<Vec<String>>) {
    let mut complained = false;
    loop {
        let mut addresses = Vec::new();
        for (host, port) in &peers {
            let port = port.saturating_add(RAFT_PORT_OFFSET);
            match tokio::net::lookup_host((host.as_str(), port)).await {
                Ok(all) => addresses.extend(all.map(|address: SocketAddr| address.to_string())),
                Err(error) if !complained => {
                    complained = true;
                    tracing::info!("{host} has no address yet: {error}");
                }
                Err(_) => {}
            }
        }
        addresses.sort();
        addresses.dedup();
        if found.send(addresses).await.is_err() {
            return;
        }
        tokio::time::sleep(RESOLVE).await;
    }
}

impl Meeting {
    /// `kept` is what was on the disk; a node that was initialised needs no bootstrap.
    pub(super) fn new(me: NodeId, values: &HaValues, kept: Option<Vec<u8>>, initialised: bool) -> Meeting {
        let (found, resolved) = mpsc::channel(1);
        tokio::spawn(resolve(values.peers.clone(), found));
        let (tries, promised) = kept.as_deref().and_then(read).unwrap_or_default();
        let new = || Bootstrap::new(me, values.bootstrap_expect, tries, promised, Rules::default());
        Meeting {
            bootstrap: (!initialised).then(new),
            kept,
            hellos: BTreeMap::new(),
            addresses: Vec::new(),
            resolved,
            rounds: 0,
            told: None,
        }
    }

    /// Whether this node belongs to no deployment, as far as it knows.
    pub(super) fn is_alone(&self) -> bool {
        self.bootstrap.is_some()
    }

    fn silence(&mut self, now: Time, reachable: redoubt_ha::Span) {
        let Some(bootstrap) = &mut self.bootstrap else { return };
        for &(at, node) in self.hellos.values() {
            if now.since(at) > reachable {
                bootstrap.silent(node);
            }
        }
    }

    fn on_hello(&mut self, now: Time, from: &Peer, hello: Hello) {
        let former = self.hellos.insert(from.address.clone(), (now, hello.node));
        let Some(bootstrap) = &mut self.bootstrap else { return };
        if let Some((_, node)) = former.filter(|(_, node)| *node != hello.node) {
            bootstrap.replaced(node);
        }
        bootstrap.heard(hello);
    }

    /// Says once what is waited for.
    fn tell(&mut self, decision: &Decision, expect: usize) {
        if self.told.as_ref() == Some(decision) {
            return;
        }
        match decision {
            Decision::Wait(heard) => {
                tracing::info!("Waiting for the nodes of the deployment: {heard} of {expect} are here");
            }
            Decision::Join(through) => {
                tracing::info!("Joining the deployment through node {through:x}", through = through.0)
            }
            Decision::Initialise(_) => {}
        }
        self.told = Some(decision.clone());
    }
}

fn read(kept: &[u8]) -> Option<(u64, Option<Attempt>)> {
    crate::raft::codec::decode(crate::raft::codec::Kind::Control, kept).ok()
}

/// A number that grows with every hello, over restarts too.
fn hello_seq() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

impl Node {
    /// Once a heartbeat: says hello while that is of use.
    pub(super) async fn meet(&mut self) {
        if let Ok(addresses) = self.meeting.resolved.try_recv() {
            self.meeting.addresses = addresses;
        }
        self.meeting.rounds += 1;
        if !self.meeting.rounds.is_multiple_of(ROUND) {
            return;
        }
        if self.meeting.is_alone() && self.driver.is_initialised().await.unwrap_or(false) {
            self.meeting.bootstrap = None;
        }
        if self.meeting.is_alone() {
            self.bootstrap().await;
        } else if self.is_lonely() {
            // Whoever was let in may find nobody where they were: by the names they find each other again.
            self.say_hello(true, None).await;
            self.ask_to_join();
        }
    }

    async fn bootstrap(&mut self) {
        let (now, reachable) = (crate::raft::now(), self.timing.node_timeout.times(2));
        self.meeting.silence(now, reachable);
        let Some(bootstrap) = &mut self.meeting.bootstrap else { return };
        let decision = bootstrap.decide();
        let expect = self.expect;
        self.meeting.tell(&decision, expect);
        match decision {
            Decision::Wait(_) => {}
            Decision::Initialise(voters) => self.initialise(voters.into_iter().collect()).await,
            Decision::Join(_) => self.ask_to_join(),
        }
        self.say_hello(false, None).await;
    }

    async fn initialise(&mut self, voters: Vec<NodeId>) {
        let mut places = BTreeMap::new();
        for node in voters {
            let address = match node == self.me().node {
                true => Some(self.announcement.peers.clone()),
                false => self
                    .meeting
                    .hellos
                    .iter()
                    .find(|(_, (_, other))| *other == node)
                    .map(|(at, _)| at.clone()),
            };
            let Some(address) = address else { return };
            places.insert(node, address);
        }
        let mut id = [0; 16];
        if let Err(error) = getrandom::fill(&mut id) {
            return tracing::error!("no id for the deployment: {error}");
        }
        match self.driver.initialise(u128::from_le_bytes(id), places).await {
            Ok(()) => {
                self.meeting.bootstrap = None;
                self.first_settings();
            }
            Err(error) => tracing::error!("the deployment could not be begun: {error}"),
        }
    }

    /// What was promised is on the disk before anybody hears of it.
    async fn say_hello(&mut self, initialised: bool, to: Option<&str>) {
        let seq = hello_seq();
        let node = self.me().node;
        let hello = match &self.meeting.bootstrap {
            Some(bootstrap) if !initialised => {
                let kept =
                    crate::raft::codec::encode(crate::raft::codec::Kind::Control, &bootstrap.to_keep());
                let Ok(kept) = kept else { return };
                if self.meeting.kept.as_ref() != Some(&kept) {
                    if let Err(error) = self.driver.keep(KEPT, kept.clone()).await {
                        return tracing::error!("the disk does not take what was promised: {error}");
                    }
                    self.meeting.kept = Some(kept);
                }
                bootstrap.hello(seq)
            }
            _ => Hello { node, seq, initialised: true, attempt: None, promised: None },
        };
        match to {
            Some(address) => self.send_to_address(address, &Message::Hello(hello)),
            None => self.send_to_addresses(&Message::Hello(hello)),
        }
    }

    /// Somebody says hello. Who belongs to a deployment says so in return.
    pub(super) async fn on_hello(&mut self, from: &Peer, hello: Hello) {
        if hello.node != NodeId(from.node) {
            return;
        }
        self.meeting.on_hello(crate::raft::now(), from, hello);
        if !self.meeting.is_alone() && !hello.initialised {
            let address = from.address.clone();
            self.say_hello(true, Some(&address)).await;
        }
    }

    fn ask_to_join(&self) {
        self.send_to_addresses(&Message::Join(self.me(), self.announcement.peers.clone()));
    }

    fn send_to_addresses(&self, message: &Message) {
        for address in &self.meeting.addresses {
            if *address != self.announcement.peers {
                self.send_to_address(address, message);
            }
        }
    }

    pub(super) fn send_to_address(&self, address: &str, message: &Message) {
        match message.encode() {
            Ok(bytes) => self.driver.control_to(address, bytes),
            Err(error) => tracing::error!("a message could not be written: {error}"),
        }
    }

    /// Whether no leader was heard for so long that this node may have been removed, or be where nobody looks for it.
    pub(super) fn is_lonely(&self) -> bool {
        let limit = std::time::Duration::from_micros(self.timing.lease.times(2).0);
        self.driver.leader_heard().is_none_or(|heard| heard > limit)
    }
}

/// What was kept on the disk.
pub(super) async fn kept(driver: &super::node::Group) -> Option<Vec<u8>> {
    driver.kept(KEPT).await
}
