//! Nodes talking to each other, on a port of their own: requests of Raft and messages of the control plane over one
//! authenticated connection per direction, and a second one for snapshots, which must not hold up heartbeats.

mod client;
mod handshake;
mod link;
mod listener;
#[cfg(test)]
mod tests;
mod wire;

pub(super) use client::Factory;
pub use handshake::Secret;
pub(super) use link::CallError;
pub(super) use wire::{Request, Response};

use handshake::{Introduction, PROTOCOL, Party};
use link::{Lane, Link, Way};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wire::Patience;

/// The same complaint about the same peer is logged once in this time.
const COMPLAINT: Duration = Duration::from_secs(30);
/// How many complaints are remembered.
const COMPLAINTS_MAX: usize = 1024;
/// A way that was not used for so long is given up.
const UNUSED: Duration = Duration::from_secs(300);

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub node: u64,
    /// Its incarnation.
    pub incarnation: u64,
    /// Where it can be called, as it says, `host:port`.
    pub address: String,
    /// The deployment it belongs to, if it does.
    pub cluster: Option<u128>,
}

impl From<Introduction> for Peer {
    fn from(other: Introduction) -> Peer {
        let Introduction { node, incarnation, address, cluster, .. } = other;
        Peer { node, incarnation, address, cluster }
    }
}

/// Every duration of the network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Connecting and the handshake, for the caller.
    pub(super) connect: Duration,
    /// The handshake, for who is called.
    pub(super) handshake: Duration,
    /// Between two tries to connect.
    pub(super) pause: Duration,
    /// An append that carries entries: they go to the other's disk before it answers.
    pub(super) append: Duration,
    /// An answer from a leader that proposes for another node.
    pub(super) propose: Duration,
    /// A connection is given up when a call has failed and nothing came for this long.
    pub(super) silence: Duration,
    /// A connection nobody uses is closed.
    pub(super) idle: Duration,
    /// From the first to the last byte of a frame.
    pub(super) frame: Duration,
    /// A snapshot, until it is on the other's disk.
    pub(super) snapshot: Duration,
}

/// What answers requests.
pub(super) trait Service: Send + Sync + 'static {
    fn handle(&self, from: Arc<Peer>, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>>;
    fn control(&self, from: &Peer, bytes: Vec<u8>);
}

#[derive(Debug, Clone)]
struct Known {
    address: String,
    incarnation: u64,
}

/// This node's side of all connections.
pub(super) struct Net {
    me: Mutex<Peer>,
    secret: Secret,
    times: Times,
    book: Mutex<HashMap<u64, Known>>,
    links: Mutex<HashMap<(Way, Lane), Arc<Link>>>,
    complaints: Mutex<HashMap<String, Instant>>,
    stop: watch::Sender<bool>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("me", &*self.me.lock()).finish_non_exhaustive()
    }
}

impl Net {
    pub(super) fn new(me: Peer, secret: Secret, times: Times) -> Arc<Net> {
        Arc::new(Net {
            me: Mutex::new(me),
            secret,
            times,
            book: Mutex::default(),
            links: Mutex::default(),
            complaints: Mutex::default(),
            stop: watch::Sender::new(false),
        })
    }

    pub(super) fn me(&self) -> Peer {
        self.me.lock().clone()
    }

    pub(super) fn set_cluster(&self, cluster: u128) {
        self.me.lock().cluster = Some(cluster);
    }

    pub(super) fn set_incarnation(&self, incarnation: u64) {
        self.me.lock().incarnation = incarnation;
    }

    /// Ends all connections.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
        self.links.lock().clear();
    }

    /// Notes where a node is. What a node in a newer life said of itself stays.
    pub(super) fn learn(&self, node: u64, address: &str, incarnation: u64) {
        if address.is_empty() || node == self.me.lock().node {
            return;
        }
        let mut book = self.book.lock();
        if book.get(&node).is_none_or(|known| known.incarnation <= incarnation) {
            book.insert(node, Known { address: address.to_owned(), incarnation });
        }
    }

    fn address(&self, node: u64) -> Option<String> {
        self.book.lock().get(&node).map(|known| known.address.clone())
    }

    fn party(&self, patience: Patience) -> io::Result<Party<'_>> {
        let Peer { node, incarnation, address, cluster } = self.me();
        let nonce = handshake::nonce()?;
        let me = Introduction { protocol: PROTOCOL, cluster, node, incarnation, address, nonce };
        Ok(Party { me, secret: &self.secret, patience })
    }

    /// The link of this way, made if there is none.
    fn link(self: &Arc<Net>, way: Way, lane: Lane) -> Arc<Link> {
        let mut links = self.links.lock();
        if let Some(link) = links.get(&(way.clone(), lane)) {
            return Arc::clone(link);
        }
        links.retain(|_, link| link.unused_for() < UNUSED);
        let link = Link::start(self, way.clone(), lane);
        links.insert((way, lane), Arc::clone(&link));
        link
    }

    /// Asks a node.
    pub(super) async fn call(
        self: &Arc<Net>,
        node: u64,
        request: Request,
        limit: Duration,
    ) -> Result<Response, CallError> {
        let lane = if matches!(request, Request::Snapshot { .. }) { Lane::Bulk } else { Lane::Main };
        self.link(Way::Node(node), lane).call(request, limit).await
    }

    /// Sends a message to a node; it may get lost.
    pub(super) fn control(self: &Arc<Net>, node: u64, bytes: Vec<u8>) {
        self.link(Way::Node(node), Lane::Main).control(bytes);
    }

    /// Sends a message to whoever is at an address; it may get lost.
    pub(super) fn control_to(self: &Arc<Net>, address: &str, bytes: Vec<u8>) {
        self.link(Way::Address(address.to_owned()), Lane::Main).control(bytes);
    }

    /// Logs what is wrong with a peer, unless that was said a moment ago.
    fn complain(&self, about: &dyn fmt::Display, what: &dyn fmt::Display) {
        let text = format!("Raft peer {about}: {what}");
        let now = Instant::now();
        let mut complaints = self.complaints.lock();
        if complaints.get(&text).is_some_and(|last| now - *last < COMPLAINT) {
            return;
        }
        if complaints.len() >= COMPLAINTS_MAX {
            complaints.clear();
        }
        tracing::warn!("{text}");
        complaints.insert(text, now);
    }
}
