//! The log and the vote.

use super::super::codec::{self, Kind};
use super::super::types::{Entry, LogId, Types, Vote};
use super::disk::{self, Disk, Done, Write};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// What readers see.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) purged: Option<LogId>,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
}

/// The log and the vote. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::raft) struct LogStore {
    state: Arc<Mutex<State>>,
    disk: Disk,
}

impl LogStore {
    pub(super) fn new(state: State, disk: Disk) -> LogStore {
        LogStore { state: Arc::new(Mutex::new(state)), disk }
    }

    /// Whether this node was ever part of a group.
    pub(in crate::raft) fn is_initialised(&self) -> bool {
        let state = self.state.lock();
        state.vote.is_some() || state.purged.is_some() || !state.entries.is_empty()
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (start, end) = (range.start_bound().cloned(), range.end_bound().cloned());
        if is_empty(start, end) {
            return Ok(Vec::new());
        }
        Ok(self.state.lock().entries.range((start, end)).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.state.lock().vote)
    }
}

/// `BTreeMap::range` panics on ranges that end before they start.
fn is_empty(start: Bound<u64>, end: Bound<u64>) -> bool {
    let first = match start {
        Bound::Included(index) => index,
        Bound::Excluded(index) => index.saturating_add(1),
        Bound::Unbounded => 0,
    };
    match end {
        Bound::Included(index) => index < first,
        Bound::Excluded(index) => index <= first,
        Bound::Unbounded => false,
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.state.lock();
        let last = state.entries.last_key_value().map(|(_, entry)| entry.log_id());
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: last.or(state.purged) })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let bytes = codec::encode(Kind::Vote, vote)?;
        self.disk.write(Write::Put(vec![(disk::VOTE, bytes)])).await?;
        self.state.lock().vote = Some(*vote);
        Ok(())
    }

    /// Nobody waits for it: it only spares the next start from asking the leader what is committed.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.state.lock().committed = committed;
        let bytes = codec::encode(Kind::LogId, &committed)?;
        self.disk.queue(Write::PutLazily(disk::COMMITTED, bytes), Done::Nobody);
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.state.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut encoded = Vec::new();
        let mut added = Vec::new();
        for entry in entries {
            encoded.push((entry.log_id.index, codec::encode(Kind::Entry, &entry)?));
            added.push((entry.log_id.index, entry));
        }
        self.state.lock().entries.extend(added);
        self.disk.queue(Write::Append(encoded), Done::Flushed(callback));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let first = last.map_or(0, |id| id.index + 1);
        self.state.lock().entries.split_off(&first);
        self.disk.write(Write::TruncateFrom(first)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let bytes = codec::encode(Kind::LogId, &upto)?;
        {
            let mut state = self.state.lock();
            state.entries = state.entries.split_off(&(upto.index + 1));
            state.purged = Some(upto);
        }
        self.disk.write(Write::PurgeTo(upto.index, bytes)).await
    }
}
