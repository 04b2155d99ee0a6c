//! One node of the Raft group: its file, its connections, its openraft. What controllers and agents need of Raft comes out
//! of the [`Inbox`], what they want of it are calls.

use super::clock::Clock;
use super::group::{GroupError, Settled};
use super::network::{CallError, Factory, Net, Peer, Request, Secret, Service, Times};
use super::promise::Promise;
use super::propose::{ProposeError, propose};
use super::service::{Answers, proposed};
use super::standing::{self, Standing};
use super::storage::{Applied, DiskEnd, Identity, IdentityStore, Machine, Store};
use super::types::{Facts, Place, Proposal, Types};
use openraft::{Config, Raft, SnapshotPolicy};
use parking_lot::Mutex;
use redoubt_ha::{Incarnation, NodeId, Process, Timing};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A snapshot is made after so many entries, and the log before it is thrown away but for a few.
const SNAPSHOT_EVERY: u64 = 1000;
const KEEP: u64 = 200;
/// Entries in one request. With the limit of an entry this stays below the limit of a frame.
const ENTRIES_MAX: u64 = 32;
/// Messages of the control plane that wait for this node to look at them.
const CONTROL_MAX: usize = 1024;

/// What a node is started with.
#[derive(Debug)]
pub struct Settings {
    /// The data directory.
    pub directory: PathBuf,
    /// Where other nodes call: client port + 10000.
    pub listeners: Vec<std::net::TcpListener>,
    /// What this node tells others of where that is, `host:port`. It may change with every start.
    pub address: String,
    /// What the nodes of the deployment have in common.
    pub secret: Secret,
    /// The durations.
    pub timing: Timing,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file cannot be used; the text names it.
    #[error("{0}")]
    Storage(io::Error),
    /// A listening socket cannot be used.
    #[error("{0}")]
    Listen(io::Error),
    /// openraft does not accept what it was given.
    #[error("{0}")]
    Raft(String),
}

/// What comes out of Raft and from other nodes.
#[derive(Debug)]
pub struct Inbox<F: Facts> {
    /// Every applied entry, in order. It begins with the snapshot, if there is one.
    pub applied: mpsc::UnboundedReceiver<Applied<F>>,
    /// Messages of the control plane, with who sent them. They may get lost.
    pub control: mpsc::Receiver<(Peer, Vec<u8>)>,
    /// What this node is in the group, and who else.
    pub standing: watch::Receiver<Standing>,
}

/// A running node. Clones are the same node; it ends by [`Driver::stop`].
#[derive(Debug)]
pub struct Driver<F: Facts>(Arc<Inner<F>>);

impl<F: Facts> Clone for Driver<F> {
    fn clone(&self) -> Driver<F> {
        Driver(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<F: Facts> {
    raft: Raft<Types, Machine<F>>,
    net: Arc<Net>,
    identities: Arc<IdentityStore>,
    promise: Arc<Promise>,
    times: Times,
    tasks: Mutex<JoinSet<()>>,
    disk: DiskEnd,
}

fn millis(span: redoubt_ha::Span) -> Duration {
    Duration::from_micros(span.0)
}

fn config(timing: &Timing, elects: bool) -> Config {
    let ms = |span| u64::try_from(millis(span).as_millis()).unwrap_or(u64::MAX).max(1);
    let pause = ms(timing.heartbeat);
    Config {
        cluster_name: "redoubt".into(),
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: ms(timing.election_min),
        election_timeout_max: ms(timing.election_max),
        install_snapshot_timeout: 10_000,
        max_payload_entries: ENTRIES_MAX,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
        max_in_snapshot_log_to_keep: KEEP,
        replication_lag_threshold: 2 * SNAPSHOT_EVERY,
        backoff: format!("{pause}ms {pause}ms {pause}ms"),
        enable_elect: elects,
        enable_pre_vote: Some(true),
        enable_leader_restore: Some(false),
        ..Config::default()
    }
}

fn times(timing: &Timing) -> Times {
    let limit = millis(timing.node_timeout) * 4;
    Times {
        connect: millis(timing.election_min) * 2 / 3,
        handshake: Duration::from_secs(2),
        pause: millis(timing.heartbeat),
        append: limit,
        propose: limit,
        silence: millis(timing.node_timeout),
        idle: Duration::from_secs(60),
        frame: Duration::from_secs(10),
        snapshot: Duration::from_secs(10),
    }
}

/// An id that no other node has or had.
fn new_id() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes).max(1),
        Err(_) => fastrand::u64(1..),
    }
}

impl<F: Facts> Driver<F> {
    /// Starts a node on the current runtime. A node that was a member before gives no vote and does not stand for election
    /// for the length of one lease, as it has forgotten what it promised.
    ///
    /// # Errors
    /// When its file or its sockets cannot be used.
    pub async fn start(settings: Settings) -> Result<(Driver<F>, Inbox<F>), StartError> {
        let store = Store::open(&settings.directory, new_id).map_err(StartError::Storage)?;
        Driver::start_on(store, settings).await
    }

    pub(super) async fn start_on(
        store: Store<F>,
        settings: Settings,
    ) -> Result<(Driver<F>, Inbox<F>), StartError> {
        let Settings { listeners, address, secret, timing, .. } = settings;
        let Store { log, machine, applied, identity, identities, disk } = store;
        let Identity { node, incarnation, cluster, .. } = identity;
        let was_member = log.is_initialised();
        let lease = millis(timing.lease);
        let promise = Arc::new(Promise::new(lease, was_member));
        let net = Net::new(Peer { node, incarnation, address, cluster }, secret, times(&timing));
        let config = config(&timing, !was_member);
        let config = config.validate().map_err(|error| StartError::Raft(error.to_string()))?;
        let raft = Raft::new(node, Arc::new(config), Factory(Arc::clone(&net)), log, machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let (control, messages) = mpsc::channel(CONTROL_MAX);
        let answers = Answers {
            raft: raft.clone(),
            net: Arc::clone(&net),
            identities: Arc::clone(&identities),
            promise: Arc::clone(&promise),
            control,
            propose_limit: times(&timing).propose,
        };
        let service: Arc<dyn Service> = Arc::new(answers);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            listener.set_nonblocking(true).map_err(StartError::Listen)?;
            let listener = TcpListener::from_std(listener).map_err(StartError::Listen)?;
            tasks.spawn(Arc::clone(&net).listen(listener, Arc::clone(&service)));
        }
        if was_member {
            let raft = raft.clone();
            tasks.spawn(async move {
                tokio::time::sleep(lease).await;
                raft.runtime_config().elect(true);
            });
        }
        let (tell, standing) = watch::channel(Standing::default());
        let (clock, heartbeat) = (Clock::new(), millis(timing.heartbeat));
        tasks.spawn(standing::watch(
            raft.clone(),
            Arc::clone(&net),
            Arc::clone(&promise),
            clock,
            heartbeat,
            tell,
        ));
        let times = times(&timing);
        let inner = Inner { raft, net, identities, promise, times, tasks: Mutex::new(tasks), disk };
        let inbox = Inbox { applied, control: messages, standing };
        Ok((Driver(Arc::new(inner)), inbox))
    }

    /// Who this is.
    #[must_use]
    pub fn me(&self) -> Process {
        let me = self.0.net.me();
        Process { node: NodeId(me.node), incarnation: Incarnation(me.incarnation) }
    }

    /// The deployment this node belongs to, if it does.
    #[must_use]
    pub fn cluster(&self) -> Option<u128> {
        self.0.net.me().cluster
    }

    /// How long ago this process heard a leader that it accepts, or led itself with a quorum's consent. A node that was
    /// removed, or that nobody finds any more, knows it by this.
    #[must_use]
    pub fn leader_heard(&self) -> Option<Duration> {
        self.0.promise.heard()
    }

    /// Whether this node has ever been part of the group.
    ///
    /// # Errors
    /// When it takes no part any more.
    pub async fn is_initialised(&self) -> Result<bool, GroupError> {
        self.0.raft.is_initialized().await.map_err(|error| GroupError::Failed(error.to_string()))
    }

    /// Begins a deployment with these voters, this node among them, and where they are. Once, by one node: rule 8.
    ///
    /// # Errors
    /// When this node was initialised before, or its disk fails.
    pub async fn initialise(
        &self,
        cluster: u128,
        voters: BTreeMap<NodeId, String>,
    ) -> Result<(), GroupError> {
        let failed = |error: &dyn std::fmt::Display| GroupError::Failed(error.to_string());
        let identity = self.0.identities.change(|identity| {
            identity.cluster.get_or_insert(cluster);
        });
        let identity = identity.await.map_err(|error| failed(&error))?;
        if identity.cluster != Some(cluster) {
            return Err(GroupError::Failed("this node belongs to a deployment already".into()));
        }
        self.0.net.set_cluster(cluster);
        let places: BTreeMap<u64, Place> =
            voters.into_iter().map(|(node, address)| (node.0, Place { address })).collect();
        tracing::info!("Beginning deployment {cluster:032x} with {} voters", places.len());
        self.0.raft.initialize(places).await.map_err(|error| failed(&error))
    }

    /// Proposes an entry, if this node leads, and waits until it is applied here: its index and what came of it.
    ///
    /// # Errors
    /// Why there is no outcome.
    pub async fn propose(&self, entry: &F::Entry) -> Result<(u64, F::Outcome), ProposeError> {
        let failed = |error: super::codec::CodecError| ProposeError::Failed(error.to_string());
        let proposal = Proposal::new(entry).map_err(failed)?;
        let (index, reply) = propose(&self.0.raft, proposal, self.0.times.propose).await?;
        let outcome = reply.outcome().map_err(failed)?;
        Ok((index, outcome.ok_or_else(|| ProposeError::Failed("an entry without an outcome".into()))?))
    }

    /// Proposes an entry through the leader, whichever node that is. It is applied there, and here soon.
    ///
    /// # Errors
    /// Why there is no outcome.
    pub async fn propose_anywhere(&self, entry: &F::Entry) -> Result<(u64, F::Outcome), ProposeError> {
        let leader = match self.propose(entry).await {
            Err(ProposeError::NotLeader(Some(leader))) if leader != self.me().node => leader,
            other => return other,
        };
        let failed = |error: super::codec::CodecError| ProposeError::Failed(error.to_string());
        let request = Request::Propose(Proposal::new(entry).map_err(failed)?);
        // The leader gives up first, so that its answer says more than a timeout here.
        let limit = self.0.times.propose + self.0.times.silence;
        let response = match self.0.net.call(leader.0, request, limit).await {
            Ok(response) => response,
            Err(CallError::Unreachable(_)) => return Err(ProposeError::NotLeader(Some(leader))),
            Err(error) => return Err(ProposeError::Unknown(error.to_string())),
        };
        let (index, reply) = proposed(response)?;
        let outcome = reply.outcome().map_err(failed)?;
        Ok((index, outcome.ok_or_else(|| ProposeError::Failed("an entry without an outcome".into()))?))
    }

    /// The settled form of a change of the group: see [`super::group`].
    pub(super) fn settled(&self) -> Settled<'_, F> {
        Settled { raft: &self.0.raft, net: &self.0.net }
    }

    /// Hands the leadership of the group to another voter. Whether it took it is told by the standing.
    ///
    /// # Errors
    /// When this node takes no part any more.
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), GroupError> {
        let done = self.0.raft.trigger().transfer_leader(to.0).await;
        done.map_err(|error| GroupError::Failed(error.to_string()))
    }

    /// Notes where a node is, as somebody else says. What it said itself in its present life stands.
    pub fn learn(&self, process: Process, address: &str) {
        self.0.net.learn(process.node.0, address, process.incarnation.0);
    }

    /// Sends a message of the control plane to a node. It may get lost, and is if there is no connection yet.
    pub fn control(&self, to: NodeId, message: Vec<u8>) {
        self.0.net.control(to.0, message);
    }

    /// The same, to whoever is at this address: before nodes know each other's ids.
    pub fn control_to(&self, address: &str, message: Vec<u8>) {
        self.0.net.control_to(address, message);
    }

    /// Begins a new life of this node's data; on return its number is on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn new_life(&self, incarnation: Incarnation) -> io::Result<()> {
        let change = |identity: &mut Identity| identity.incarnation = identity.incarnation.max(incarnation.0);
        let identity = self.0.identities.change(change).await?;
        self.0.net.set_incarnation(identity.incarnation);
        Ok(())
    }

    /// Whether this node's file waits for space on its disk. Until there is some it gives no vote and acknowledges no entry.
    #[must_use]
    pub fn lacks_space(&self) -> bool {
        self.0.disk.lacks_space()
    }

    /// Keeps something small under a name, over restarts; on return it is on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn keep(&self, name: &str, value: Vec<u8>) -> io::Result<()> {
        let change = |identity: &mut Identity| drop(identity.notes.insert(name.to_owned(), value));
        self.0.identities.change(change).await.map(drop)
    }

    /// What was kept under the name.
    pub async fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.0.identities.now().await.notes.remove(name)
    }

    /// Ends the node: nothing is answered any more, and the file is closed on return.
    pub async fn stop(&self) {
        self.0.net.stop();
        // Raft waits for its writes.
        self.0.disk.give_up();
        let began = Instant::now();
        // It ends in any case; an error says that it panicked, which was logged.
        let _ = self.0.raft.shutdown().await;
        self.0.tasks.lock().abort_all();
        self.0.disk.stop().await;
        tracing::debug!("The Raft node ended in {:?}", began.elapsed());
    }
}

impl<F: Facts> Drop for Inner<F> {
    fn drop(&mut self) {
        self.net.stop();
    }
}
