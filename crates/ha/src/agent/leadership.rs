//! What a primary keeps while it leads: who has acknowledged what, whom it waits for, how long its lease lasts.

use super::Writes;
use crate::handover::Handover;
use crate::ids::{Epoch, Incarnation, NodeId, Position, Process, SetVersion, ShardId};
use crate::message::Leading;
use crate::rules::{Rule, Rules};
use crate::time::{Time, Timing};
use crate::topology::{Shard, Topology};
use std::collections::{BTreeMap, BTreeSet};

/// A follower that has not acknowledged everything: where the log ended when that began.
#[derive(Debug, Clone, Copy)]
struct Lag {
    target: u64,
    since: Time,
}

/// One epoch of leading.
#[derive(Debug)]
pub(super) struct Leadership {
    pub(super) shard: ShardId,
    pub(super) epoch: Epoch,
    /// The version of the in-sync set that the offers are for.
    version: SetVersion,
    /// Rule 4: offered to the set, and waited for like a member until the version moves.
    offers: BTreeSet<Process>,
    /// Acknowledgements given in this epoch. Those of older ones tell nothing of this history (rule 5).
    acks: BTreeMap<NodeId, (Incarnation, u64)>,
    lag: BTreeMap<Process, Lag>,
    began: Time,
    pub(super) commit: Option<u64>,
    /// The commit offset the data threads know.
    pub(super) announced: Option<u64>,
    pub(super) lease_until: Time,
    /// Leases that answer older heartbeats do not count.
    pub(super) lease_from: Time,
    /// Whether replies may leave: the lease is live and nothing was handed over.
    pub(super) serving: bool,
    pub(super) handover: Option<Handover>,
    pub(super) told_writes: Option<Writes>,
}

impl Leadership {
    pub(super) fn new(shard: ShardId, epoch: Epoch, version: SetVersion, now: Time) -> Leadership {
        Leadership {
            shard,
            epoch,
            version,
            offers: BTreeSet::new(),
            acks: BTreeMap::new(),
            lag: BTreeMap::new(),
            began: now,
            commit: None,
            announced: None,
            lease_until: Time(0),
            lease_from: now,
            serving: false,
            handover: None,
            told_writes: None,
        }
    }

    pub(super) fn acked(&mut self, from: Process, epoch: Epoch, offset: u64, rules: Rules) {
        if epoch != self.epoch && rules.hold(Rule::OldStreams) {
            return;
        }
        let ack = self.acks.entry(from.node).or_insert((from.incarnation, 0));
        if ack.0 < from.incarnation {
            *ack = (from.incarnation, offset);
        } else if ack.0 == from.incarnation {
            ack.1 = ack.1.max(offset);
        }
    }

    fn ack_of(&self, process: Process) -> Option<u64> {
        self.acks
            .get(&process.node)
            .filter(|(incarnation, _)| *incarnation == process.incarnation)
            .map(|ack| ack.1)
    }

    /// An entry was applied: another version settles all offers, and an offered process that is no longer its node's latest
    /// can never enter.
    pub(super) fn set_changed(&mut self, shard: &Shard, topology: &Topology) {
        if shard.version != self.version {
            self.version = shard.version;
            self.offers.clear();
        }
        self.offers.retain(|process| topology.is_current(*process));
    }

    /// Everybody a write must reach before it is acknowledged, but this process.
    fn required<'a>(&'a self, topology: &'a Topology) -> impl Iterator<Item = Process> + 'a {
        let shard = &topology.shards[&self.shard];
        let members = shard.in_sync.iter().map(|(&node, &incarnation)| Process { node, incarnation });
        members.filter(|process| process.node != shard.primary.node).chain(self.offers.iter().copied())
    }

    /// Rule 3: moves the commit offset to what everybody required has. Rule 7: not while there are too few of them.
    pub(super) fn advance(
        &mut self,
        now: Time,
        topology: &Topology,
        position: Option<Position>,
        timing: &Timing,
        rules: Rules,
    ) {
        let end = position.map_or(0, |position| position.offset);
        // With `ha-acks local` too: when it is switched off, what was acknowledged under it counts only once all have it.
        if !rules.hold(Rule::InSyncAcks) {
            self.commit = Some(end);
            return;
        }
        if self.has_too_few(topology, rules) {
            return;
        }
        let counts = |process: &Process| {
            if !rules.hold(Rule::OfferCounts) && self.offers.contains(process) {
                return false;
            }
            let is_late =
                self.lag.get(process).is_some_and(|lag| now.since(lag.since) > timing.replica_timeout);
            rules.hold(Rule::SetByEntry) || !is_late
        };
        let mut lowest = Some(end);
        for process in self.required(topology).filter(counts) {
            lowest = lowest.min(self.ack_of(process));
        }
        self.commit = self.commit.max(lowest);
    }

    /// Whether nobody has to have a write but this process.
    pub(super) fn is_alone(&self, topology: &Topology) -> bool {
        self.required(topology).next().is_none()
    }

    /// Rule 4 broken: by itself it acknowledges what it has not told the agent of.
    pub(super) fn leaves_alone(&self, topology: &Topology, rules: Rules) -> bool {
        !rules.hold(Rule::HoldAlone) && self.is_alone(topology) && !self.has_too_few(topology, rules)
    }

    /// Rule 7.
    fn has_too_few(&self, topology: &Topology, rules: Rules) -> bool {
        let shard = &topology.shards[&self.shard];
        shard.in_sync.len() < 1 + topology.min_replicas(shard) && rules.hold(Rule::MinReplicas)
    }

    pub(super) fn writes(&self, topology: &Topology, rules: Rules) -> Writes {
        match self.handover {
            Some(_) if rules.hold(Rule::HoldOnHandover) => Writes::Held,
            _ if self.has_too_few(topology, rules) => Writes::Refused,
            _ => Writes::Allowed,
        }
    }

    /// Rule 4: offers followers that have everything committed. While nothing is known to be committed in this epoch, all
    /// that is held here may be.
    pub(super) fn offer(&mut self, topology: &Topology, position: Option<Position>) {
        let shard = &topology.shards[&self.shard];
        if shard.epoch != self.epoch || shard.version != self.version {
            return;
        }
        let needed = self.commit.unwrap_or(position.map_or(0, |position| position.offset));
        for &node in &shard.replicas {
            let Some(member) = topology.members.get(&node) else { continue };
            let process = Process { node, incarnation: member.incarnation };
            let caught_up = self.ack_of(process).is_some_and(|offset| offset >= needed);
            if caught_up && node != shard.primary.node && !shard.in_sync.contains_key(&node) {
                self.offers.insert(process);
            }
        }
    }

    /// Notes since when each one required has been behind.
    pub(super) fn watch_lag(&mut self, now: Time, topology: &Topology, position: Option<Position>) {
        let end = position.map_or(0, |position| position.offset);
        let required: Vec<Process> = self.required(topology).collect();
        self.lag.retain(|process, _| required.contains(process));
        for process in required {
            let acked = self.ack_of(process);
            if acked.is_some_and(|acked| acked >= end) {
                self.lag.remove(&process);
                continue;
            }
            let first = if acked.is_none() { self.began } else { now };
            let lag = self.lag.entry(process).or_insert(Lag { target: end, since: first });
            if acked.is_some_and(|acked| acked >= lag.target) {
                *lag = Lag { target: end, since: now };
            }
        }
    }

    /// In-sync members other than `me` that have everything up to `end`, the ones that lead first in front.
    pub(super) fn complete<'a>(
        &'a self,
        topology: &'a Topology,
        me: Process,
        end: u64,
    ) -> impl Iterator<Item = Process> + 'a {
        let shard = &topology.shards[&self.shard];
        let mut found: Vec<(u32, Process)> = topology
            .current_in_sync(shard)
            .filter(|process| process.node != me.node)
            .filter(|process| self.ack_of(*process).is_some_and(|offset| offset >= end))
            .filter_map(|process| Some((topology.members.get(&process.node)?.announcement.priority, process)))
            .filter(|(priority, _)| *priority != 0)
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, process)| process)
    }

    /// What the heartbeat says.
    pub(super) fn report(&self, now: Time, timing: &Timing) -> Leading {
        let lagging = |(&process, lag): (&Process, &Lag)| {
            let behind = now.since(lag.since);
            (behind > timing.heartbeat).then_some((process, behind))
        };
        Leading {
            shard: self.shard,
            epoch: self.epoch,
            version: self.version,
            offers: self.offers.iter().copied().collect(),
            lagging: self.lag.iter().filter_map(lagging).collect(),
            surrender: self.handover.and_then(|handover| handover.surrender()),
        }
    }
}
