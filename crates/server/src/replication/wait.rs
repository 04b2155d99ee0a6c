//! WAIT and WAITAOF: clients that wait for replicas to confirm what they have written.

use super::{Feed, Replication};
use crate::client::{Client, flag};
use crate::dispatch::Session;
use crate::dispatch::blocking::DEMOTED;
use crate::forward::NOT_PRIMARY;
use crate::net::output::Output;
use crate::shared::{Shared, unix_ms};
use redoubt_replication::reached;
use redoubt_resp::Reply;
use std::sync::Arc;

/// How many must have reached the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// This many replicas (WAIT).
    Replicas(usize),
    /// Our own append-only file, if so, and those of this many replicas (WAITAOF).
    OnDisk(bool, usize),
}

/// A call of WAIT or WAITAOF that is not answered yet.
pub(crate) struct Waiting {
    pub(crate) offset: u64,
    pub(crate) wanted: Wanted,
    /// Unix ms at which it is answered with what there is.
    pub(crate) deadline_ms: Option<i64>,
}

impl Replication {
    /// How many have reached an offset: on disk here, and replicas.
    pub(crate) fn reached(&self, shared: &Shared, wanted: Wanted, offset: u64) -> (usize, usize) {
        let feeds = self.feeds.read();
        let standings = feeds.iter().filter(|feed| feed.is_online()).map(|feed| feed.standing());
        match wanted {
            Wanted::Replicas(_) => (0, reached(standings.map(|standing| standing.offset), offset)),
            Wanted::OnDisk(..) => {
                let local = usize::from(shared.fsynced_offset().is_some_and(|synced| synced >= offset));
                (local, reached(standings.map(|standing| standing.on_disk), offset))
            }
        }
    }

    /// The replicas that have not confirmed an offset, and how many there are; whoever only takes a snapshot is none.
    pub(crate) fn lagging(&self, offset: u64) -> (Vec<Arc<Feed>>, usize) {
        let mut feeds = self.feeds();
        feeds.retain(|feed| !feed.peer.rdb_only);
        let all = feeds.len();
        feeds.retain(|feed| !feed.is_online() || feed.standing().offset < offset);
        (feeds, all)
    }

    fn enter(&self, client: &Arc<Client>) {
        self.waiting.lock().push(Arc::clone(client));
    }

    fn leave_waiting(&self, client: &Client) {
        self.waiting.lock().retain(|other| other.id != client.id);
    }
}

impl Wanted {
    fn is_met(self, (local, replicas): (usize, usize)) -> bool {
        match self {
            Wanted::Replicas(wanted) => replicas >= wanted,
            Wanted::OnDisk(locally, wanted) => replicas >= wanted && (!locally || local > 0),
        }
    }

    fn answer(self, (local, replicas): (usize, usize), reply: &mut Reply<'_>) {
        if matches!(self, Wanted::OnDisk(..)) {
            reply.array(2);
            reply.int(local as i64);
        }
        reply.int(replicas as i64);
    }
}

impl Session {
    /// Answers at once if that is possible or if nothing may wait; else parks the client and asks the replicas where they
    /// are. True if it is parked.
    pub(crate) fn begin_wait(&mut self, waiting: Waiting, may_block: bool, output: &mut Output) -> bool {
        let shared = Arc::clone(&self.shared);
        let reached = shared.replication.reached(&shared, waiting.wanted, waiting.offset);
        if waiting.wanted.is_met(reached) || !may_block {
            waiting.wanted.answer(reached, &mut Reply::new(&mut output.buffer, self.resp3));
            return false;
        }
        self.waiting = Some(waiting);
        self.client.set(flag::BLOCKED, true);
        shared.stats.parked(1);
        shared.replication.enter(&self.client);
        shared.replication.ask_acks(&shared);
        // An acknowledgement may have come between the look and the entry.
        self.look_at_wait(output, false, None);
        self.waiting.is_some()
    }

    /// Answers a waiting client whose wish is fulfilled, or whose time is over. Whether its connection is to end: its server
    /// was told to follow another.
    pub(crate) fn look_at_wait(&mut self, output: &mut Output, give_up: bool, error: Option<&str>) -> bool {
        let Some(waiting) = &self.waiting else { return false };
        let reached = self.shared.replication.reached(&self.shared, waiting.wanted, waiting.offset);
        let late = give_up || waiting.deadline_ms.is_some_and(|at| at <= unix_ms());
        // A server that became a replica meanwhile can count nobody.
        let follows = self.shared.replication.follows();
        if !waiting.wanted.is_met(reached) && !late && !follows {
            return false;
        }
        let mut reply = Reply::new(&mut output.buffer, self.resp3);
        match error {
            _ if follows && self.away.relays => {
                self.away.refused = true;
                reply.error(NOT_PRIMARY);
            }
            _ if follows => reply.error(DEMOTED),
            Some(text) => reply.error(text),
            None => waiting.wanted.answer(reached, &mut reply),
        }
        self.end_wait();
        follows && self.shared.ha.is_none()
    }

    /// Forgets the waiting call.
    pub(crate) fn end_wait(&mut self) {
        if self.waiting.take().is_some() {
            self.client.set(flag::BLOCKED, false);
            self.shared.stats.parked(-1);
            self.shared.replication.leave_waiting(&self.client);
        }
    }
}
