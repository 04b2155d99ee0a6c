//! Replication inside a deployment: who leads and who follows is decided by the control plane (`redoubt_ha`), and carried
//! out here. Streams belong to one epoch; what they bring is told to a `Watcher`.
//!
//! A server that is watched follows nobody and takes no writes until it is told to lead. It takes no full sync unasked
//! for: that would throw away what others may count on.

use super::link::{State, restart_append_only};
use super::{Replication, gate, new_id};
use crate::client::Client;
use crate::log::frame;
use crate::shared::{Shared, unix_ms};
use parking_lot::{Mutex, MutexGuard};
use redoubt_ha::{Epoch, Incarnation, NodeId, Position, Process, ShardId};
use redoubt_replication::{Member, ReplId, Stranger};
use redoubt_store::Txn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::atomic::{Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, OnceLock};

/// What the message of a PING begins with that says the epoch of what follows in the stream. Anybody else's replica
/// takes it for a PING.
const EPOCH_MARK: &str = "redoubt-epoch:";

/// Which stream this server is part of, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The deployment. Nobody of another one is fed or followed.
    pub cluster: u128,
    /// The shard.
    pub shard: ShardId,
    /// The epoch that is led or followed.
    pub epoch: Epoch,
    /// This process.
    pub me: Process,
}

/// Is told what happens to streams. Called from any thread, with locks held: it must only take note and wake somebody.
pub trait Watcher: Send + Sync {
    /// A follower of this epoch has everything up to the offset, as safely as its `appendfsync` promises.
    fn acked(&self, from: Process, epoch: Epoch, offset: u64);
    /// `position` may be another now.
    fn moved(&self);
    /// The primary of the epoch cannot go on from what is held here. Nothing is asked for until `discard`, or until there
    /// is another epoch to follow.
    fn resync_needed(&self, epoch: Epoch);
}

/// What this server is in its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Rests,
    Leads(Membership),
    Follows(Membership),
}

/// The part of `Replication` that is about a deployment; of no use without a watcher.
pub(super) struct Deployment {
    watcher: OnceLock<Arc<dyn Watcher>>,
    role: Mutex<Role>,
    /// The watcher wants to know of every write.
    watches_end: AtomicBool,
    /// What is held was given up, and nothing has taken its place yet.
    void: AtomicBool,
    /// The epoch said by a record that is being applied; 0: none.
    said: AtomicU64,
}

impl Membership {
    /// As it stands in handshakes.
    fn member(&self) -> Member {
        Member {
            cluster: self.cluster,
            shard: self.shard.0,
            epoch: self.epoch.0,
            node: self.me.node.0,
            incarnation: self.me.incarnation.0,
        }
    }
}

impl Role {
    /// Whether a process of this server's stream asks to be fed. Returns what the primary says of itself.
    ///
    /// # Errors
    /// When there is no stream in common.
    pub(super) fn greet(&self, peer: &Member) -> Result<Member, Stranger> {
        let Role::Leads(membership) = self else { return Err(Stranger::NobodyLeads) };
        let ours = membership.member();
        ours.same_stream(peer).map(|()| ours)
    }
}

impl Default for Deployment {
    fn default() -> Deployment {
        Deployment {
            watcher: OnceLock::new(),
            role: Mutex::new(Role::Rests),
            watches_end: AtomicBool::new(false),
            void: AtomicBool::new(false),
            said: AtomicU64::new(0),
        }
    }
}

impl Deployment {
    /// Whether somebody else decides on this server's role.
    pub(super) fn is_watched(&self) -> bool {
        self.watcher.get().is_some()
    }

    pub(super) fn watcher(&self) -> Option<&Arc<dyn Watcher>> {
        self.watcher.get()
    }

    pub(super) fn role(&self) -> Role {
        *self.role.lock()
    }

    /// The role, which does not change while the guard lives.
    pub(super) fn settled_role(&self) -> MutexGuard<'_, Role> {
        self.role.lock()
    }

    /// What this process says of itself to the primary it follows.
    pub(super) fn follower(&self) -> Option<Member> {
        match self.role() {
            Role::Follows(membership) => Some(membership.member()),
            _ => None,
        }
    }

    /// Whether the watcher wants to know of every write.
    #[inline]
    pub(super) fn watches_end(&self) -> bool {
        self.watches_end.load(Acquire)
    }

    /// Whether the data here was given up.
    pub(super) fn is_void(&self) -> bool {
        self.void.load(Acquire)
    }

    /// What was taken over is whole.
    pub(super) fn fill(&self) {
        self.void.store(false, Release);
    }

    /// The record being applied says this epoch; it is not in the log yet.
    pub(super) fn say(&self, epoch: u64) {
        self.said.store(epoch, Relaxed);
    }

    /// The epoch said since this was last asked.
    pub(super) fn take_said(&self) -> Option<u64> {
        Some(self.said.swap(0, Relaxed)).filter(|epoch| *epoch != 0)
    }
}

/// Appends the record that says the epoch of what follows.
pub(super) fn epoch_record(out: &mut Vec<u8>, epoch: u64) {
    frame(out, &[b"PING", format!("{EPOCH_MARK}{epoch}").as_bytes()]);
}

/// The epoch that the message of a PING says, if it is a record.
pub(crate) fn said_epoch(message: &[u8]) -> Option<u64> {
    let digits = message.strip_prefix(EPOCH_MARK.as_bytes())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl Replication {
    /// Puts the role into somebody else's hands. Once, and before data is loaded: from here on this server rests.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        assert!(self.deployment.watcher.set(watcher).is_ok(), "there is one watcher");
        self.follows.store(true, Release);
        self.set_gate(gate::READ_ONLY, true);
    }

    /// Has the watcher told of every write, or no longer. Whether that is new: what was written meanwhile it was not told of.
    pub(crate) fn watch_end(&self, on: bool) -> bool {
        let was = self.deployment.watches_end.swap(on, AcqRel);
        on && !was
    }

    /// Whether somebody else decides on this server's role.
    pub(crate) fn is_watched(&self) -> bool {
        self.deployment.is_watched()
    }

    /// Leads in this epoch. What is written from now on stands in the log behind a record that says so.
    pub fn lead_epoch(&self, shared: &Arc<Shared>, membership: Membership) {
        let _change = self.change.lock();
        if self.deployment.role() == Role::Leads(membership) {
            return;
        }
        self.end_link();
        *self.deployment.role.lock() = Role::Leads(membership);
        self.drop_feeds(shared);
        // While this server counts as a replica, nothing is written.
        self.open_backlog(shared, &shared.values());
        self.begin_epoch(shared, membership.epoch.0);
        self.follows.store(false, Release);
        for bit in [gate::READ_ONLY, gate::OWN_WRITES, gate::STALE, gate::LOADING] {
            self.set_gate(bit, false);
        }
        self.count_replicas(&shared.values());
        restart_append_only(shared);
        self.moved();
    }

    /// Begins a history of our own with the record of its epoch, between two commands: no cut of the data sees half of it.
    fn begin_epoch(&self, shared: &Shared, epoch: u64) {
        let mut record = Vec::new();
        epoch_record(&mut record, epoch);
        while_all_held(shared, |txn| {
            self.history.lock().branch(new_id(), shared.log.end());
            self.name_stream(shared);
            let end = shared.log.append_epoch(&record, None, epoch);
            shared.log.set_foreign(false);
            // What is here may not be confirmed yet, whoever wrote it: whoever reads it waits for the record.
            txn.set_log_offset(end);
        });
    }

    /// Has the append-only file say whose stream it is part of.
    pub(super) fn name_stream(&self, shared: &Shared) {
        if let Some(id) = self.stream_for_files() {
            shared.aof.set_stream(id);
        }
    }

    /// The id of the stream, if files are to say their places in it.
    pub(crate) fn stream_for_files(&self) -> Option<ReplId> {
        self.is_watched().then(|| *self.history.lock().id())
    }

    /// A connection says that it is a process of our deployment. Returns what to say of ourselves.
    ///
    /// # Errors
    /// When it cannot be fed as one.
    pub(crate) fn greet(&self, client: &Client, peer: &Member) -> Result<Member, Stranger> {
        self.deployment.role().greet(peer).inspect_err(|stranger| {
            tracing::warn!("refusing to feed {peer}, which comes from {}: {stranger}", client.addr);
        })
    }

    /// A member has acknowledged.
    pub(super) fn confirmed(&self, member: &Member, offset: u64) {
        if let Some(watcher) = self.deployment.watcher() {
            let from = Process { node: NodeId(member.node), incarnation: Incarnation(member.incarnation) };
            watcher.acked(from, Epoch(member.epoch), offset);
        }
    }

    /// The primary cannot go on from what is held here, which is not thrown away before all know of it.
    pub(super) fn need_resync(&self, state: &State, member: &Member, why: &str) {
        tracing::warn!("a full sync is needed, and has to be agreed on: {why}");
        // First: whoever is told may have the link go on.
        state.rest();
        if let Some(watcher) = self.deployment.watcher() {
            watcher.resync_needed(Epoch(member.epoch));
        }
    }

    /// Follows the primary of this epoch. What waits for an acknowledgement of the role before is made void by whoever ends
    /// its serving, before this: what was let go then may still be on its way. On return nothing of an older epoch is being applied, and no write runs that
    /// was admitted before.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn follow_epoch(
        &self,
        shared: &Arc<Shared>,
        membership: Membership,
        host: &str,
        port: u16,
    ) -> io::Result<()> {
        self.begin_to_follow(&shared.values());
        settle_writes(shared);
        let _change = self.change.lock();
        let db = self.end_link();
        *self.deployment.role.lock() = Role::Follows(membership);
        self.drop_feeds(shared);
        let db = db.unwrap_or_else(|| self.restored_db.swap(0, Relaxed));
        self.start_link(shared, host, port, db)
    }

    /// Neither leads nor follows from now on.
    pub fn rest(&self, shared: &Arc<Shared>) {
        self.begin_to_follow(&shared.values());
        let _change = self.change.lock();
        self.keep_db(self.end_link());
        *self.deployment.role.lock() = Role::Rests;
        self.drop_feeds(shared);
    }

    /// This process is another from now on: under the new name nothing is acknowledged, and no stream asked for, before
    /// `discard` or the next `follow_epoch`.
    pub fn new_life(&self, me: Process) {
        if let Some(link) = &*self.link.lock() {
            link.rest();
        }
        match &mut *self.deployment.role.lock() {
            Role::Leads(membership) | Role::Follows(membership) => membership.me = me,
            Role::Rests => {}
        }
    }

    /// The data may be thrown away for those of the primary, which are asked for now.
    pub fn discard(&self) {
        self.deployment.void.store(true, Release);
        if let Some(link) = &*self.link.lock() {
            link.resume();
        }
    }

    /// What is held; none while that is not whole.
    pub fn position(&self, shared: &Shared) -> Option<Position> {
        let (epoch, offset) = shared.log.position();
        self.is_whole(shared).then_some(Position { epoch: Epoch(epoch), offset })
    }

    /// Whether the data are whole: neither being loaded or taken over, nor what is left of that when it failed.
    pub(crate) fn is_whole(&self, shared: &Shared) -> bool {
        !(shared.is_loading() || self.deployment.is_void())
    }

    /// A record of the stream says the epoch of what follows it.
    pub(crate) fn note_epoch(&self, epoch: u64) {
        self.deployment.say(epoch);
    }

    /// The epoch that a record has said since this was last asked.
    pub(crate) fn take_said(&self) -> Option<u64> {
        self.deployment.take_said()
    }

    /// Tells the watcher that `position` may be another.
    pub(super) fn moved(&self) {
        if let Some(watcher) = self.deployment.watcher() {
            watcher.moved();
        }
    }

    /// Remembers the database that an ended link's stream was at.
    fn keep_db(&self, db: Option<usize>) {
        if let Some(db) = db {
            self.restored_db.store(db, Relaxed);
        }
    }
}

/// Returns once no write is under way that was admitted before this server became a replica.
pub(super) fn settle_writes(shared: &Shared) {
    shared.quiesce_blocking();
    // Expiry and eviction look at the role when they have a partition.
    while_all_held(shared, |_| ());
}

/// Does something between two commands: all partitions are held.
pub(super) fn while_all_held<T>(shared: &Shared, work: impl FnOnce(&mut Txn<'_>) -> T) -> T {
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::new());
    txn.acquire(shared.keyspace.all_partitions());
    work(&mut txn)
}

#[cfg(test)]
mod tests {
    use super::said_epoch;

    #[test]
    fn only_records_say_an_epoch() {
        assert_eq!(said_epoch(b"redoubt-epoch:7"), Some(7));
        for other in [&b"redoubt-epoch:"[..], b"redoubt-epoch:x", b"hello", b""] {
            assert_eq!(said_epoch(other), None);
        }
    }
}
