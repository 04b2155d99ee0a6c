//! Decisions about one shard: is its primary failing, who is next, who enters and leaves the in-sync set.

use super::{Controller, Effect, Seen};
use crate::entry::{Entry, ShardChange};
use crate::event::{Cause, Event, Leave, Waiting};
use crate::ids::{Process, ShardId};
use crate::message::{HandOver, Leading, Surrender};
use crate::ranking::{Candidate, best};
use crate::rules::Rule;
use crate::time::{Span, Time};
use crate::topology::{ONLY_SHARD, Shard, Topology};
use std::collections::BTreeSet;

/// The last slot.
const SLOT_MAX: u16 = 16383;

/// A primary that should not go on.
#[derive(Debug)]
struct Failing {
    cause: Cause,
    /// Whether its leases must run out first. Not if its process is gone, or if it has stopped by itself.
    waits_for_lease: bool,
    /// Rule 9: the successor it named.
    surrender: Option<Surrender>,
}

impl Failing {
    fn new(cause: Cause, waits_for_lease: bool) -> Failing {
        Failing { cause, waits_for_lease, surrender: None }
    }
}

impl Controller {
    pub(super) fn decide_shard(&mut self, now: Time, id: ShardId, shard: &Shard, effects: &mut Vec<Effect>) {
        self.add_replicas(now, id, shard, effects);
        if self.moving.contains_key(&id) {
            return;
        }
        if let Some(failing) = self.failing(now, shard) {
            return self.replace_primary(now, id, shard, &failing, effects);
        }
        self.relieve_unwritable(now, shard, effects);
        if let Some(change) = self.set_change(now, shard) {
            self.change(now, id, shard, change, effects);
        }
    }

    fn change(
        &mut self,
        now: Time,
        id: ShardId,
        shard: &Shard,
        change: ShardChange,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let entry = Entry::Change { mandate: self.topology.mandate, shard: id, epoch: shard.epoch, change };
        self.once(now, Effect::Propose(entry), effects)
    }

    /// What a primary says of its epoch, if this is the epoch and the primary.
    fn report(&self, shard: &Shard) -> Option<&Leading> {
        let seen = self.seen.get(&shard.primary.node)?;
        let leading = seen.heartbeat.leading.as_ref()?;
        (seen.heartbeat.from == shard.primary && leading.epoch == shard.epoch).then_some(leading)
    }

    fn failing(&self, now: Time, shard: &Shard) -> Option<Failing> {
        let primary = shard.primary;
        let silent_for = self.silent_for(now, primary.node);
        match self.topology.members.get(&primary.node) {
            None => return Some(Failing::new(Cause::Forgotten, true)),
            // Rule 6: the old process is gone, and its lease with it.
            Some(member) if member.incarnation != primary.incarnation => {
                return Some(Failing::new(Cause::Restarted, false));
            }
            Some(_) if silent_for > self.timing.lease => {
                return Some(Failing::new(Cause::Silent(silent_for), true));
            }
            Some(_) => {}
        }
        let seen = self.seen.get(&primary.node)?;
        let report = self.report(shard)?;
        if let Some(surrender) = report.surrender {
            let cause = if seen.heartbeat.writable { Cause::Planned } else { Cause::Unwritable };
            let mut planned = Failing::new(cause, false);
            planned.surrender = Some(surrender);
            return Some(planned);
        }
        // Rule 10: its control thread lives, its data threads do not.
        let stalled_for = seen.heartbeat.stalled_for;
        if stalled_for > self.timing.stall_timeout && self.rules.hold(Rule::Stall) {
            return Some(Failing::new(Cause::Stalled(stalled_for), true));
        }
        self.blocked(now, shard, report)
    }

    /// A primary that cannot reach a member it cannot do without, while that member is well.
    fn blocked(&self, now: Time, shard: &Shard, report: &Leading) -> Option<Failing> {
        if shard.in_sync.len() > 1 + self.topology.min_replicas(shard) {
            return None;
        }
        let limit = self.timing.replica_timeout.times(2);
        let (_, behind) = report
            .lagging
            .iter()
            .filter(|(process, behind)| *behind > limit && shard.is_in_sync(*process))
            .find(|(process, _)| self.is_fit(now, *process))?;
        Some(Failing::new(Cause::Blocked(*behind), true))
    }

    /// Heard just now, in this life.
    fn is_heard(&self, now: Time, process: Process) -> bool {
        self.seen.get(&process.node).is_some_and(|Seen { heartbeat, heard, .. }| {
            heartbeat.from == process && now.since(*heard) < self.timing.reachable
        })
    }

    /// Heard just now, in this life, and not hung.
    fn is_fit(&self, now: Time, process: Process) -> bool {
        let hangs = |seen: &Seen| seen.heartbeat.stalled_for >= self.timing.replica_timeout;
        self.is_heard(now, process) && !self.seen.get(&process.node).is_some_and(hangs)
    }

    fn candidate(&self, process: Process) -> Option<Candidate> {
        let heartbeat = &self.seen.get(&process.node)?.heartbeat;
        let priority = heartbeat.announcement.priority;
        Some(Candidate { process, position: heartbeat.position, writable: heartbeat.writable, priority })
    }

    /// The members of the set that could take over.
    fn successors(&self, now: Time, shard: &Shard) -> impl Iterator<Item = Candidate> {
        let members = self.topology.current_in_sync(shard);
        let others = members.filter(move |process| *process != shard.primary && self.is_fit(now, *process));
        others.filter_map(|process| self.candidate(process))
    }

    /// Rule 5: the best of the members of the set that can be reached.
    fn successor(&self, now: Time, shard: &Shard) -> Option<Candidate> {
        if !self.rules.hold(Rule::PromoteInSync) {
            let anyone = |process: &Process| process.node != shard.primary.node && self.is_fit(now, *process);
            return self.replicas(&self.topology, shard).find(anyone).and_then(|one| self.candidate(one));
        }
        best(self.successors(now, shard))
    }

    /// The latest processes of all that hold copies.
    fn replicas<'a>(
        &self,
        topology: &'a Topology,
        shard: &'a Shard,
    ) -> impl Iterator<Item = Process> + use<'a> {
        shard.replicas.iter().filter_map(|&node| {
            let member = topology.members.get(&node)?;
            Some(Process { node, incarnation: member.incarnation })
        })
    }

    /// Whether the failing primary should get no more leases: somebody else could lead.
    pub(super) fn withholds(&self, now: Time, shard: &Shard) -> bool {
        self.failing(now, shard).is_some() && self.successor(now, shard).is_some()
    }

    fn replace_primary(
        &mut self,
        now: Time,
        id: ShardId,
        shard: &Shard,
        failing: &Failing,
        effects: &mut Vec<Effect>,
    ) {
        if self.topology.current_in_sync(shard).next().is_none() {
            return self.recover(now, id, shard, effects);
        }
        let named = failing.surrender.map(|surrender| surrender.to);
        let Some(candidate) = named.or_else(|| self.successor(now, shard).map(|best| best.process)) else {
            let event = Event::NoCandidate { shard: id, why: self.awaited(now, shard) };
            self.note(now, event, effects);
            return;
        };
        if failing.waits_for_lease && !self.leases_are_over(now, id, shard) {
            return;
        }
        let old_leaves = failing.surrender.is_none_or(|surrender| surrender.leaving);
        let change = ShardChange::Promote { candidate, old_leaves, cause: failing.cause };
        if self.change(now, id, shard, change, effects) {
            self.moving.insert(id, (shard.epoch, now));
            let took = self.silent_for(now, shard.primary.node);
            let event = Event::FailingOver { shard: id, to: candidate, cause: failing.cause, took };
            effects.push(Effect::Event(event));
        }
    }

    /// Whom a shard without a primary waits for.
    fn awaited(&self, now: Time, shard: &Shard) -> Waiting {
        let mut members = self.topology.current_in_sync(shard);
        let missing = members.find(|process| !self.is_fit(now, *process));
        missing.map_or(Waiting::ForCandidate, |process| Waiting::ForMember(process.node))
    }

    /// Rule 6: the whole set has restarted. Once all of it has been heard again, the best copy there is leads; outside the
    /// set too, for with everybody's disk read nobody can have more than the best.
    fn recover(&mut self, now: Time, id: ShardId, shard: &Shard, effects: &mut Vec<Effect>) {
        let topology = self.topology.clone();
        let heard = |process: Process| self.is_heard(now, process) && self.has_position(process);
        let missing = shard.in_sync.keys().find(|node| {
            let Some(member) = topology.members.get(node) else { return false };
            !heard(Process { node: **node, incarnation: member.incarnation })
        });
        if let Some(&node) = missing {
            let event = Event::NoCandidate { shard: id, why: Waiting::ForMember(node) };
            return self.note(now, event, effects);
        }
        if !topology.members.contains_key(&shard.primary.node) && !self.leases_are_over(now, id, shard) {
            return;
        }
        let all = self.replicas(&topology, shard).filter(|process| self.is_heard(now, *process));
        let Some(candidate) = best(all.filter_map(|process| self.candidate(process))) else {
            let event = Event::NoCandidate { shard: id, why: Waiting::ForCandidate };
            return self.note(now, event, effects);
        };
        // Who has most and hangs is waited for, not overwritten.
        if !self.is_fit(now, candidate.process) {
            let event = Event::NoCandidate { shard: id, why: Waiting::ForMember(candidate.process.node) };
            return self.note(now, event, effects);
        }
        if self.change(now, id, shard, ShardChange::Recover { candidate: candidate.process }, effects) {
            self.moving.insert(id, (shard.epoch, now));
            let from = candidate.position.unwrap_or_default();
            effects.push(Effect::Event(Event::PossibleLoss { shard: id, from }));
        }
    }

    fn has_position(&self, process: Process) -> bool {
        self.candidate(process).is_some_and(|candidate| candidate.position.is_some())
    }

    /// Rule 4: the next change of the in-sync set.
    fn set_change(&self, now: Time, shard: &Shard) -> Option<ShardChange> {
        let report = self.report(shard).filter(|report| report.version == shard.version);
        let offer =
            report.and_then(|report| report.offers.iter().copied().find(|one| !shard.is_in_sync(*one)));
        if let Some(member) = offer {
            return Some(ShardChange::Grow { version: shard.version, member });
        }
        if shard.in_sync.len() <= 1 + self.topology.min_replicas(shard) && self.rules.hold(Rule::MinReplicas)
        {
            return None;
        }
        let others = self.topology.current_in_sync(shard).filter(|process| *process != shard.primary);
        let lag_of = |member: Process| -> Option<Span> {
            let mut lagging = report?.lagging.iter();
            lagging.find(|(process, _)| *process == member).map(|(_, behind)| *behind)
        };
        let late = others.filter_map(|member| {
            let silent = self.silent_for(now, member.node);
            let lagging = lag_of(member).unwrap_or_default();
            let worst = silent.max(lagging);
            let why = if silent >= lagging { Leave::Silent } else { Leave::Lagging };
            let is_late = worst > self.timing.replica_timeout || lagging > self.patience_with(member);
            is_late.then_some((worst, member, why))
        });
        let (_, member, why) = late.max_by_key(|(worst, member, _)| (*worst, *member))?;
        Some(ShardChange::Shrink { version: shard.version, member, why })
    }

    fn is_writable(&self, process: Process) -> bool {
        self.seen.get(&process.node).is_some_and(|seen| seen.heartbeat.writable)
    }

    /// How far behind a member may be that is heard. Whose disk is full may acknowledge nothing until somebody clears it.
    fn patience_with(&self, member: Process) -> Span {
        if self.is_writable(member) { self.timing.replica_timeout } else { self.timing.heartbeat.times(2) }
    }

    /// A primary that cannot take writes (its disk is full) is asked to hand over to one that can.
    fn relieve_unwritable(&mut self, now: Time, shard: &Shard, effects: &mut Vec<Effect>) {
        if self.report(shard).is_none() || self.is_writable(shard.primary) {
            return;
        }
        if let Some(successor) = best(self.successors(now, shard).filter(|one| one.writable)) {
            let to = Some(successor.process.node);
            let order = HandOver { primary: shard.primary, epoch: shard.epoch, to };
            self.once(now, Effect::HandOver(order), effects);
        }
    }

    /// In HA mode every member holds a copy.
    fn add_replicas(&mut self, now: Time, id: ShardId, shard: &Shard, effects: &mut Vec<Effect>) {
        let topology = self.topology.clone();
        if topology.shards.len() != 1 {
            return;
        }
        for &node in topology.members.keys().filter(|node| !shard.replicas.contains(node)) {
            self.change(now, id, shard, ShardChange::AddReplica(node), effects);
        }
    }

    /// The founders have met: the one with most data leads first, so that a node that was a server before keeps what it has.
    pub(super) fn create_first_shard(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let process = |(&node, member): (&_, &crate::topology::Member)| Process {
            node,
            incarnation: member.incarnation,
        };
        let members: Vec<Process> = self.topology.members.iter().map(process).collect();
        let ready = |member: &&Process| self.is_heard(now, **member) && self.has_position(**member);
        let there: Vec<Process> = members.iter().filter(ready).copied().collect();
        let fit = there.iter().filter(|process| self.is_fit(now, **process));
        let candidate = best(fit.filter_map(|process| self.candidate(*process)));
        let Some(candidate) = candidate.filter(|_| there.len() >= self.expect) else {
            let event = Event::NoCandidate { shard: ONLY_SHARD, why: Waiting::ForFounders };
            return self.note(now, event, effects);
        };
        let replicas: BTreeSet<_> = members.iter().map(|process| process.node).collect();
        let entry = Entry::CreateShard {
            mandate: self.topology.mandate,
            shard: ONLY_SHARD,
            primary: candidate.process,
            replicas,
            slots: vec![(0, SLOT_MAX)],
        };
        self.once(now, Effect::Propose(entry), effects);
    }

    /// Says the same thing at most once per retry.
    fn note(&mut self, now: Time, event: Event, effects: &mut Vec<Effect>) {
        self.once(now, Effect::Event(event), effects);
    }
}
