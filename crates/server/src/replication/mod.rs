//! Replication, both ways: the backlog that replicas are fed from, their full syncs, and the link to a primary.
//!
//! The decisions are in `redoubt_replication`; here are the sockets, threads and clocks they lack.

mod backlog;
mod cron;
mod deployment;
mod facts;
mod failover;
mod feed;
mod full;
mod link;
mod own;
mod restart;
mod role;
mod wait;

pub(crate) use backlog::Backlog;
pub(crate) use cron::run as cron;
pub(crate) use deployment::said_epoch;
pub use deployment::{Membership, Watcher};
pub(crate) use facts::print;
pub(crate) use failover::Request as FailoverRequest;
pub(crate) use feed::{Feed, Refill};
pub(crate) use link::Follow;
pub use restart::Origin;
pub(crate) use restart::place_as_commands;
pub(crate) use role::Told;
pub(crate) use wait::{Waiting, Wanted};

use crate::client::{Client, flag};
use crate::config::Values;
use crate::log::Consumer;
use crate::shared::Shared;
use link::Link;
use parking_lot::{Condvar, Mutex, RwLock};
use redoubt_commands::CommandError;
use redoubt_replication::{History, Peer, RESYNC, ReplId, Standing, Start, good_replicas};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::time::{Duration, Instant};

/// What commands must be looked at more closely for, as bits of one word: usually none is set.
pub(crate) mod gate {
    /// This server is a replica that takes no writes.
    pub(crate) const READ_ONLY: u32 = 1;
    /// It is a replica without its primary, and must not answer with what it has.
    pub(crate) const STALE: u32 = 1 << 1;
    /// It takes over a snapshot.
    pub(crate) const LOADING: u32 = 1 << 2;
    /// Too few replicas to take writes.
    pub(crate) const FEW_REPLICAS: u32 = 1 << 3;
    /// Failover is built in, and this server is not the primary, or takes no writes just now.
    pub(crate) const HA: u32 = 1 << 4;
    /// This server is a replica that takes writes of its own.
    pub(crate) const OWN_WRITES: u32 = 1 << 5;
}

/// See the module's text.
pub struct Replication {
    gate: AtomicU32,
    /// This server follows another.
    follows: AtomicBool,
    /// There is a backlog, so that whatever is no data (PUBLISH) must be told, too.
    active: AtomicBool,
    history: Mutex<History>,
    backlog: Arc<Backlog>,
    feeds: RwLock<Vec<Arc<Feed>>>,
    /// Replicas that wait for a snapshot to begin.
    gathering: Mutex<Vec<Arc<Feed>>>,
    /// Clients in WAIT and WAITAOF.
    waiting: Mutex<Vec<Arc<Client>>>,
    link: Mutex<Option<Link>>,
    /// Held while the role changes.
    change: Mutex<()>,
    /// Told when more is safe on the disk.
    syncs: Mutex<()>,
    synced: Condvar,
    failover: failover::Failover,
    deployment: deployment::Deployment,
    /// Since when there is a backlog and no replica.
    lonely: Mutex<Option<Instant>>,
    /// Keys that expire here although this server is a replica.
    pub(crate) own_keys: own::OwnKeys,
    /// Database that the stream of a loaded snapshot was at.
    restored_db: AtomicUsize,
    /// Counts of syncs: full, partial, and partial ones refused.
    full: AtomicU64,
    partial: AtomicU64,
    refused: AtomicU64,
    /// Bytes read from the primary and written to replicas.
    read: Arc<AtomicU64>,
    written: AtomicU64,
    /// The clock of acknowledgements begins here.
    started: Instant,
}

impl Replication {
    /// A primary whose history begins with an id of its own.
    pub(crate) fn new() -> Replication {
        Replication {
            gate: AtomicU32::new(0),
            follows: AtomicBool::new(false),
            active: AtomicBool::new(false),
            history: Mutex::new(History::new(new_id())),
            backlog: Arc::default(),
            feeds: RwLock::default(),
            gathering: Mutex::default(),
            waiting: Mutex::default(),
            link: Mutex::default(),
            change: Mutex::default(),
            syncs: Mutex::default(),
            synced: Condvar::new(),
            failover: failover::Failover::default(),
            deployment: deployment::Deployment::default(),
            lonely: Mutex::default(),
            own_keys: own::OwnKeys::default(),
            restored_db: AtomicUsize::new(0),
            full: AtomicU64::new(0),
            partial: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            read: Arc::default(),
            written: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// Bytes (read from the primary, written to replicas).
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.read.load(Relaxed), self.written.load(Relaxed))
    }

    /// So many more bytes have gone to a replica.
    pub(crate) fn has_written(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts syncs and bytes anew.
    pub(crate) fn reset_counts(&self) {
        for counter in [&self.full, &self.partial, &self.refused, &*self.read, &self.written] {
            counter.store(0, Relaxed);
        }
    }

    /// What admission has to look at; see `gate`.
    #[inline]
    pub(crate) fn gate(&self) -> u32 {
        self.gate.load(Relaxed)
    }

    fn set_gate(&self, bit: u32, on: bool) {
        if on {
            self.gate.fetch_or(bit, Release);
        } else {
            self.gate.fetch_and(!bit, Release);
        }
    }

    /// Has commands looked at more closely, or not, where failover is built in.
    pub(crate) fn set_ha_gate(&self, on: bool) {
        self.set_gate(gate::HA, on);
    }

    /// Whether this server is a replica: its data expire when its primary says so.
    #[inline]
    pub(crate) fn follows(&self) -> bool {
        self.follows.load(Acquire)
    }

    /// Whether it is one whose clients may write.
    pub(crate) fn is_writable_replica(&self) -> bool {
        self.gate() & gate::OWN_WRITES != 0
    }

    /// Whether the primary's snapshot is being taken over.
    pub(crate) fn is_taking_over(&self) -> bool {
        self.gate() & gate::LOADING != 0
    }

    /// What clients of a replica may do, by the settings.
    fn set_replica_gates(&self, values: &Values) {
        let (follows, read_only) = (self.follows(), self.is_read_only(values));
        self.set_gate(gate::READ_ONLY, follows && read_only);
        self.set_gate(gate::OWN_WRITES, follows && !read_only);
    }

    /// Whether replicas are, or may soon be, fed with what is no data.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Replicas by order of arrival.
    pub(crate) fn feeds(&self) -> Vec<Arc<Feed>> {
        self.feeds.read().clone()
    }

    /// Something was written: has the tasks of replicas look at the backlog, those that had found it empty.
    pub(crate) fn wake(&self) {
        for feed in &*self.feeds.read() {
            feed.wake();
        }
        if self.deployment.watches_end() {
            self.moved();
        }
    }

    /// Makes sure that there is a backlog. A new one begins a new history, unless the history is a primary's.
    fn open_backlog(&self, shared: &Shared, values: &Values) {
        let mut history = self.history.lock();
        if self.active.load(Acquire) {
            return;
        }
        if !self.follows() {
            history.restart(new_id());
        }
        let consumer: Arc<dyn Consumer> = Arc::clone(&self.backlog) as _;
        let start = shared.log.attach(consumer, None);
        self.backlog.open(start, values.replication.repl_backlog_size);
        self.active.store(true, Release);
    }

    /// Gives the backlog up: nobody has wanted it for long.
    fn close_backlog(&self, shared: &Shared) {
        let mut history = self.history.lock();
        let consumer: Arc<dyn Consumer> = Arc::clone(&self.backlog) as _;
        shared.log.detach(&consumer);
        self.backlog.close();
        self.active.store(false, Release);
        // What is written from now on is in no backlog: nobody may think it was.
        history.restart(new_id());
    }

    /// Takes a connection as replica that asks for what follows `wanted` (the next byte, counted from 1) of the stream
    /// of `id`.
    ///
    /// # Errors
    /// When it is a member that cannot be fed.
    pub(crate) fn serve(
        &self,
        shared: &Arc<Shared>,
        client: &Arc<Client>,
        peer: Peer,
        psync: Option<(&[u8], i64)>,
    ) -> Result<Arc<Feed>, CommandError> {
        let values = shared.values();
        let member = peer.member;
        let feed = Arc::new(Feed::new(Arc::clone(client), peer, Arc::clone(&self.backlog), self.now_ms()));
        let name = feed.name();
        // Streams belong to an epoch: it does not change before the feed is among those that are closed with it.
        let role = self.deployment.settled_role();
        if let Some(member) = &member {
            role.greet(member).map_err(|stranger| CommandError::owned(format!("ERR {stranger}")))?;
        }
        match self.decide(psync) {
            Start::Partial(offset) if feed.resume(offset, &self.history.lock()) => {
                tracing::info!(
                    "Partial resynchronization request from {name} accepted, from offset {offset}"
                );
                self.partial.fetch_add(1, Relaxed);
                self.feeds.write().push(Arc::clone(&feed));
            }
            start => {
                let why = if let Start::Full(why) = start { why } else { "the backlog begins later" };
                let unasked = psync.is_some_and(|(id, _)| id != b"?");
                self.refused.fetch_add(u64::from(unasked), Relaxed);
                if member.is_some() && unasked {
                    tracing::info!("replica {name} needs a full resync, and has not asked for it: {why}");
                    return Err(CommandError::owned(format!("{RESYNC} {why}")));
                }
                tracing::info!("Full resync requested by replica {name}: {why}");
                self.full.fetch_add(1, Relaxed);
                self.open_backlog(shared, &values);
                self.feeds.write().push(Arc::clone(&feed));
                self.gathering.lock().push(Arc::clone(&feed));
            }
        }
        drop(role);
        client.set(flag::REPLICA, true);
        if values.replication.repl_diskless_sync_delay.is_none() {
            full::start(shared);
        }
        *self.lonely.lock() = None;
        self.count_replicas(&values);
        Ok(feed)
    }

    fn decide(&self, psync: Option<(&[u8], i64)>) -> Start {
        match psync {
            Some((id, wanted)) => self.history.lock().start(id, wanted, self.backlog.range()),
            None => Start::Full("it knows SYNC only"),
        }
    }

    /// A replica's connection is gone.
    pub(crate) fn leave(&self, shared: &Shared, feed: &Arc<Feed>) {
        tracing::info!("Connection with replica {} lost.", feed.name());
        feed.end();
        self.gathering.lock().retain(|other| !Arc::ptr_eq(other, feed));
        let mut feeds = self.feeds.write();
        feeds.retain(|other| !Arc::ptr_eq(other, feed));
        if feeds.is_empty() {
            *self.lonely.lock() = Some(Instant::now());
        }
        drop(feeds);
        self.count_replicas(&shared.values());
    }

    /// Closes the connections of all replicas: their data is not ours any more.
    fn drop_feeds(&self, shared: &Shared) {
        self.feeds().iter().for_each(|feed| shared.kill(&feed.client));
    }

    /// A replica has said how far it is.
    pub(crate) fn acknowledged(&self, feed: &Feed, offset: u64, on_disk: Option<u64>) {
        feed.acknowledge(offset, on_disk, self.now_ms());
        if let Some(member) = &feed.peer.member {
            self.confirmed(member, offset);
        }
        self.wake_waiting();
    }

    /// More of the log is safe on the disk here.
    pub(crate) fn synced(&self) {
        self.wake_waiting();
        drop(self.syncs.lock());
        self.synced.notify_all();
    }

    /// Waits until the log is safe up to `offset`, or is not to be, or `enough` says so, or for as long as this.
    fn await_sync(&self, shared: &Shared, offset: u64, within: Duration, enough: impl Fn() -> bool) {
        const LOOK_EVERY: Duration = Duration::from_millis(50);
        let until = Instant::now() + within;
        let mut syncs = self.syncs.lock();
        while shared.fsynced_offset().is_some_and(|synced| synced < offset) && !enough() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.synced.wait_for(&mut syncs, left.min(LOOK_EVERY));
        }
    }

    /// Has the clients in WAIT and WAITAOF look again.
    pub(crate) fn wake_waiting(&self) {
        self.waiting.lock().iter().for_each(|client| client.mailbox.wake());
    }

    /// `min_slaves_good_slaves`, and whether they are enough.
    fn count_replicas(&self, values: &Values) -> usize {
        let now = self.now_ms();
        let feeds = self.feeds.read();
        let standings: Vec<Standing> =
            feeds.iter().filter(|feed| feed.is_online()).map(|feed| feed.standing()).collect();
        let good = good_replicas(standings, values.replication.min_replicas_max_lag, now);
        let limited =
            values.replication.min_replicas_to_write != 0 && values.replication.min_replicas_max_lag != 0;
        self.set_gate(
            gate::FEW_REPLICAS,
            limited && !self.follows() && good < values.replication.min_replicas_to_write,
        );
        good
    }

    /// Takes over settings.
    pub(crate) fn configure(&self, values: &Values) {
        self.backlog.resize(values.replication.repl_backlog_size);
        self.set_replica_gates(values);
        self.count_replicas(values);
        self.refresh_stale(values);
    }

    /// Whether a replica without its primary may answer.
    fn refresh_stale(&self, values: &Values) {
        let linked = self.link.lock().as_ref().is_none_or(Link::is_up);
        self.set_gate(gate::STALE, !linked && !values.replication.replica_serve_stale_data);
    }
}

/// An id nobody else has.
fn new_id() -> ReplId {
    let mut rng = fastrand::Rng::new();
    ReplId::from_digits(|| rng.u8(0..16))
}
