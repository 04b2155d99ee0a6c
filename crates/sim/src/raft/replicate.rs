//! The log on its way: what the leader sends, what a follower makes of it, and what is committed by that.

use super::log::{Kind, Logged, Snapshot};
use super::{Body, Raft, RaftEffect, Role};
use redoubt_ha::topology::Topology;
use redoubt_ha::{NodeId, Time};
use std::rc::Rc;
use std::sync::Arc;

/// Most entries one message carries.
const BATCH: usize = 32;

impl Raft {
    pub(super) fn replicate(&mut self, now: Time, effects: &mut Vec<RaftEffect>) {
        let group = self.members();
        for to in group.all() {
            if to != self.me {
                self.append_to(to, now, effects);
            }
        }
        self.advance_commit(now, effects);
    }

    fn append_to(&mut self, to: NodeId, now: Time, effects: &mut Vec<RaftEffect>) {
        let next = (*self.next.entry(to).or_insert(self.log.len())).min(self.log.len());
        let body = match (self.log.term_before(next), &self.snapshot) {
            (Some(term), _) => {
                let entries = self.log.from(next, BATCH);
                Body::Append { prev: (term, next), entries, commit: self.commit, sent: now }
            }
            (None, Some(snapshot)) => Body::Install { snapshot: snapshot.clone(), sent: now },
            (None, None) => return,
        };
        effects.push(RaftEffect::Send(to, self.message(body)));
    }

    /// Appends an entry, on the leader; says whether it did.
    pub(crate) fn propose(&mut self, kind: Kind, now: Time, effects: &mut Vec<RaftEffect>) -> bool {
        if self.role != Role::Leader {
            return false;
        }
        let regroups = matches!(kind, Kind::Group(_));
        if regroups && !self.may_regroup() {
            return false;
        }
        self.log.push(Logged { term: self.term, kind });
        if regroups {
            self.find_group();
        }
        self.replicate(now, effects);
        true
    }

    /// Whether the last change is committed, and an entry of the own term: only then may there be another.
    pub(crate) fn may_regroup(&self) -> bool {
        let is_settled = self.log.term_before(self.commit) == Some(self.term);
        self.members_committed() && is_settled
    }

    /// The second step of a change of the voters, once the first is committed. A new leader finishes what it finds.
    pub(super) fn change_on(&mut self, now: Time, effects: &mut Vec<RaftEffect>) {
        let Some(changed) = self.members().changed() else { return };
        self.propose(Kind::Group(changed), now, effects);
    }

    pub(super) fn advance_commit(&mut self, now: Time, effects: &mut Vec<RaftEffect>) {
        if self.role != Role::Leader {
            return;
        }
        let group = self.members();
        let me = self.me;
        let matched = |node| if node == me { self.log.len() } else { *self.matched.get(&node).unwrap_or(&0) };
        let acked = |node| if node == me { now } else { *self.acked.get(&node).unwrap_or(&Time(0)) };
        let (at, sent) = (group.agreed(matched), group.agreed(acked));
        if at > self.commit && self.log.term_before(at) == Some(self.term) {
            self.commit = at;
        }
        if sent > self.quorum_sent || sent == now {
            self.quorum_sent = sent;
            effects.push(RaftEffect::Quorum(sent));
        }
    }

    pub(super) fn append(
        &mut self,
        (prev_term, start): (u64, usize),
        entries: Vec<Rc<Logged>>,
        commit: usize,
    ) -> Option<usize> {
        // What a snapshot stands for is committed, and so the same everywhere.
        if start >= self.log.base() && self.log.term_before(start) != Some(prev_term) {
            return None;
        }
        let end = start + entries.len();
        let grows = end > self.log.len();
        let known = self.log.base().saturating_sub(start);
        for (at, entry) in (start..).zip(entries).skip(known) {
            match self.log.get(at) {
                Some(own) if own.term == entry.term => {}
                Some(_) => {
                    assert!(at >= self.commit, "a committed entry is overwritten");
                    self.log.truncate(at);
                    self.log.take(entry);
                    self.find_group();
                }
                None => self.log.take(entry),
            }
        }
        if grows {
            self.find_group();
        }
        self.commit = self.commit.max(commit.min(end));
        Some(end)
    }

    /// A follower that is far behind gets what the entries have come to. Gives up to where it has everything.
    pub(super) fn install(&mut self, snapshot: Rc<Snapshot>) -> usize {
        let index = snapshot.index;
        if index > self.commit {
            if self.log.term_before(index) == Some(snapshot.term) {
                self.log.compact(index);
            } else {
                self.log.begin_at(index, snapshot.term);
            }
            self.commit = index;
            self.snapshot = Some(snapshot);
            self.find_group();
        }
        index
    }

    /// Makes a snapshot of what is applied, and forgets the log before it but for some entries.
    pub(crate) fn compact(&mut self, applied: usize, facts: &Arc<Topology>, keep: usize) {
        let Some(term) = self.log.term_before(applied) else { return };
        let former = self.snapshot.as_ref().map(|snapshot| snapshot.group.clone());
        let group = self.log.group_before(applied).map(|(group, _)| group).or(former).unwrap_or_default();
        self.snapshot = Some(Rc::new(Snapshot { index: applied, term, group, facts: facts.clone() }));
        self.log.compact(applied.saturating_sub(keep));
        self.find_group();
    }

    pub(super) fn on_appended(
        &mut self,
        now: Time,
        from: NodeId,
        matched: Option<usize>,
        sent: Time,
        effects: &mut Vec<RaftEffect>,
    ) {
        let acked = self.acked.entry(from).or_default();
        *acked = (*acked).max(sent);
        let Some(at) = matched else {
            let next = self.next.entry(from).or_insert(0);
            *next = next.saturating_sub(8);
            return;
        };
        let best = self.matched.entry(from).or_default();
        *best = (*best).max(at);
        let next = (*best).max(at);
        self.next.insert(from, next);
        if next < self.log.len() && self.log.len() - next > BATCH {
            self.append_to(from, now, effects);
        }
        self.advance_commit(now, effects);
    }
}
