//! The state machine: facts, and the snapshots they are kept in. Between snapshots they are only in memory; a start applies
//! the log again.

use super::super::codec::{self, Kind};
use super::super::types::{Facts, LogId, Membership, Reply, Snapshot, SnapshotBytes, SnapshotMeta, Types};
use super::disk::{self, Disk, Write};
use futures_util::{Stream, TryStreamExt};
use openraft::entry::{EntryPayload, RaftEntry};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{OptionalSend, StoredMembership};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// An entry was applied, or a snapshot was taken over.
#[derive(Debug, Clone)]
pub struct Applied<F: Facts> {
    /// The index of the entry.
    pub index: u64,
    /// The facts from then on.
    pub facts: Arc<F>,
    /// What came of the entry; nothing for a snapshot.
    pub outcome: Option<F::Outcome>,
}

/// The latest snapshot, which the builder writes and the machine hands out.
pub(super) type Latest = Arc<Mutex<Option<Snapshot>>>;

/// The state machine.
#[derive(Debug)]
pub(in crate::raft) struct Machine<F: Facts> {
    facts: Arc<F>,
    applied: Option<LogId>,
    membership: Membership,
    latest: Latest,
    disk: Disk,
    told: UnboundedSender<Applied<F>>,
}

impl<F: Facts> Machine<F> {
    /// A machine in the state of its snapshot.
    pub(super) fn new(
        snapshot: Option<Snapshot>,
        disk: Disk,
        told: UnboundedSender<Applied<F>>,
    ) -> io::Result<Machine<F>> {
        let mut machine = Machine {
            facts: Arc::default(),
            applied: None,
            membership: StoredMembership::default(),
            latest: Arc::default(),
            disk,
            told,
        };
        if let Some(snapshot) = snapshot {
            machine.take_over(snapshot)?;
        }
        Ok(machine)
    }

    fn take_over(&mut self, snapshot: Snapshot) -> io::Result<()> {
        self.facts = Arc::new(codec::decode(Kind::Facts, &snapshot.snapshot)?);
        self.applied = snapshot.meta.last_log_id;
        self.membership = snapshot.meta.last_membership.clone();
        *self.latest.lock() = Some(snapshot);
        self.tell(None);
        Ok(())
    }

    fn tell(&self, outcome: Option<F::Outcome>) {
        let index = self.applied.map_or(0, |id| id.index);
        // Nobody listens while the node ends.
        let _ = self.told.send(Applied { index, facts: Arc::clone(&self.facts), outcome });
    }

    fn apply_one(&mut self, (entry, responder): EntryResponder<Types>) -> io::Result<()> {
        self.applied = Some(entry.log_id());
        let reply = match &entry.payload {
            EntryPayload::Blank => Reply::NONE,
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(self.applied, membership.clone());
                Reply::NONE
            }
            EntryPayload::Normal(proposal) => {
                // An entry this version cannot read would be applied by others and not here: better to stop.
                let entry: F::Entry = proposal.entry().inspect_err(|error| {
                    tracing::error!("An entry of the Raft log could not be read: {error}");
                })?;
                let outcome = Arc::make_mut(&mut self.facts).apply(&entry);
                let reply = Reply::new(&outcome)?;
                self.tell(Some(outcome));
                reply
            }
        };
        if let Some(responder) = responder {
            responder.send(reply);
        }
        Ok(())
    }
}

impl<F: Facts> RaftStateMachine<Types> for Machine<F> {
    type SnapshotData = SnapshotBytes;
    type SnapshotBuilder = Builder<F>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Membership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some(entry) = entries.try_next().await? {
            self.apply_one(entry)?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder<F> {
        Builder {
            facts: Arc::clone(&self.facts),
            meta: SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() },
            latest: Arc::clone(&self.latest),
            disk: self.disk.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotBytes) -> io::Result<()> {
        let snapshot = Snapshot { meta: meta.clone(), snapshot };
        keep(&self.disk, &snapshot).await?;
        self.take_over(snapshot)
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.latest.lock().clone())
    }
}

/// Makes a snapshot of the facts as they were when it was made.
#[derive(Debug)]
pub(in crate::raft) struct Builder<F: Facts> {
    facts: Arc<F>,
    meta: SnapshotMeta,
    latest: Latest,
    disk: Disk,
}

impl<F: Facts> RaftSnapshotBuilder<Types> for Builder<F> {
    type SnapshotData = SnapshotBytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let bytes = codec::encode(Kind::Facts, &*self.facts)?;
        let snapshot = Snapshot { meta: self.meta.clone(), snapshot: Arc::new(bytes) };
        keep(&self.disk, &snapshot).await?;
        let mut latest = self.latest.lock();
        // A snapshot of the leader's may have overtaken this one.
        if latest.as_ref().is_none_or(|latest| latest.meta.last_log_id <= snapshot.meta.last_log_id) {
            *latest = Some(snapshot.clone());
        }
        Ok(snapshot)
    }
}

async fn keep(disk: &Disk, snapshot: &Snapshot) -> io::Result<()> {
    let meta = codec::encode(Kind::SnapshotMeta, &snapshot.meta)?;
    let bytes = snapshot.snapshot.as_ref().clone();
    disk.write(Write::Put(vec![(disk::SNAPSHOT_META, meta), (disk::SNAPSHOT, bytes)])).await
}
