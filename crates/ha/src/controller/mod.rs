//! The controller: who leads which shard, who is in its in-sync set, who votes. It runs on every node and listens
//! everywhere, but acts only on the Raft leader.

mod shards;
#[cfg(test)]
mod tests;

use crate::entry::Entry;
use crate::event::Event;
use crate::ids::{Epoch, NodeId, Process, ShardId};
use crate::lease;
use crate::membership;
use crate::message::{HandOver, Heartbeat, Lease};
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time, Timing};
use crate::topology::{Holder, Shard, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a controller is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// By the driver, at least every quarter of a heartbeat.
    Tick,
    /// By the driver, after each applied entry that changed something, in order; and at start, what the disk says.
    Topology(Arc<Topology>),
    /// By an agent, this node's included.
    Heartbeat(Box<Heartbeat>),
    /// By Raft: this node leads the group.
    Elected {
        /// Whether the former leader handed over: then leases it granted may still be live.
        by_transfer: bool,
    },
    /// By Raft: this node leads the group no more, as far as it knows.
    Deposed,
    /// By Raft, while leading: the last heartbeat of this leader that a quorum answered was sent then.
    Quorum {
        /// By this node's clock.
        sent: Time,
    },
    /// By Raft: who votes.
    Voters(BTreeSet<NodeId>),
    /// By an operator, through whichever node.
    Request(Request),
}

/// What an operator may want of the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `FAILOVER` and its kin: another primary, as planned.
    Failover {
        /// Of this shard.
        shard: ShardId,
        /// Nobody: whoever has everything first.
        to: Option<NodeId>,
    },
    /// `CLUSTER FORGET`.
    Forget(NodeId),
    /// A deployment-wide setting.
    Set {
        /// Its name.
        name: String,
        /// Its value; nothing: the default.
        value: Option<String>,
    },
    /// An ACL user.
    User {
        /// Its name.
        name: String,
        /// Its rules; nothing: removed.
        rules: Option<String>,
    },
}

/// What a controller wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// To Raft: append this, if this node still leads.
    Propose(Entry),
    /// To an agent.
    Lease(Lease),
    /// To an agent.
    HandOver(HandOver),
    /// To Raft: these are to vote. One change at a time.
    Voters(BTreeSet<NodeId>),
    /// To the log and INFO.
    Event(Event),
}

/// The last that was heard of a node.
#[derive(Debug)]
struct Seen {
    heartbeat: Box<Heartbeat>,
    /// When it came.
    heard: Time,
    /// From when on silence is counted: later than that if this controller was stopped in between.
    at: Time,
}

/// Being the Raft leader.
#[derive(Debug)]
struct Office {
    /// Nothing is decided on silence before this: a former leader's leases may be live.
    quiet_until: Time,
    quorum_sent: Time,
}

/// The controller of one node.
#[derive(Debug)]
pub struct Controller {
    me: Process,
    /// `ha-bootstrap-expect`.
    expect: usize,
    timing: Timing,
    rules: Rules,
    topology: Arc<Topology>,
    voters: BTreeSet<NodeId>,
    office: Option<Office>,
    tenure: u64,
    seen: BTreeMap<NodeId, Seen>,
    /// When nodes were heard that are no members any more: until others vote in their place they do.
    leaving: BTreeMap<NodeId, Time>,
    /// From when on silence is counted for a node that was never heard.
    began: Time,
    last_step: Time,
    /// The end of the last lease granted to the primary of an epoch, by this node's clock.
    granted: BTreeMap<ShardId, (Epoch, Time)>,
    /// Shards for which another primary is proposed. No lease is granted for their epoch any more.
    moving: BTreeMap<ShardId, (Epoch, Time)>,
    /// What was proposed lately.
    proposed: Vec<(Effect, Time)>,
}

impl Controller {
    /// A controller of a process that has just started.
    #[must_use]
    pub fn new(me: Process, expect: usize, timing: Timing, rules: Rules, now: Time) -> Controller {
        Controller {
            me,
            expect,
            timing,
            rules,
            topology: Arc::default(),
            voters: BTreeSet::new(),
            office: None,
            tenure: 0,
            seen: BTreeMap::new(),
            leaving: BTreeMap::new(),
            began: now,
            last_step: now,
            granted: BTreeMap::new(),
            moving: BTreeMap::new(),
            proposed: Vec::new(),
        }
    }

    /// Whether this node decides: it leads the Raft group and has applied everything older than its own mandate.
    #[must_use]
    pub fn in_office(&self) -> bool {
        let holder = Holder { process: self.me, tenure: self.tenure };
        let has_mandate = self.topology.controller == Some(holder) || !self.rules.hold(Rule::Mandate);
        self.office.is_some() && has_mandate
    }

    /// How long the node has not been heard.
    #[must_use]
    pub fn silent_for(&self, now: Time, node: NodeId) -> Span {
        now.since(self.seen.get(&node).map_or(self.began, |seen| seen.at))
    }

    /// Takes one input; what is to be done is appended to `effects`.
    pub fn step(&mut self, now: Time, input: Input, effects: &mut Vec<Effect>) {
        self.forgive_own_pause(now);
        let mut answer = None;
        match input {
            Input::Tick => {}
            Input::Topology(topology) => self.on_topology(topology),
            Input::Heartbeat(heartbeat) => answer = self.on_heartbeat(now, heartbeat),
            Input::Elected { by_transfer } => self.take_office(now, by_transfer, effects),
            Input::Deposed => self.office = None,
            Input::Quorum { sent } => {
                if let Some(office) = &mut self.office {
                    office.quorum_sent = office.quorum_sent.max(sent);
                }
            }
            Input::Voters(voters) => self.voters = voters,
            Input::Request(request) => self.on_request(now, request, effects),
        }
        if !self.in_office() {
            self.renew_mandate(now, effects);
            return;
        }
        self.decide(now, effects);
        if let Some(node) = answer {
            self.grant(now, node, effects);
        }
    }

    /// A controller that was stopped for a while has heard nobody, and nobody is to blame for it.
    fn forgive_own_pause(&mut self, now: Time) {
        let gap = now.since(self.last_step);
        if gap > self.timing.heartbeat.times(3) {
            for seen in self.seen.values_mut() {
                seen.at = seen.at.plus(gap).min(now);
            }
            self.began = self.began.plus(gap).min(now);
        }
        self.last_step = now;
    }

    /// Rule 2: everything a former controller decided must be applied or void before this one grants a lease. Its own
    /// mandate, applied, shows that.
    fn take_office(&mut self, now: Time, by_transfer: bool, effects: &mut Vec<Effect>) {
        let waits = by_transfer && self.rules.hold(Rule::TransferWait);
        let quiet_until = if waits { now.plus(self.timing.lease) } else { now };
        self.office = Some(Office { quiet_until, quorum_sent: Time(0) });
        self.new_tenure(now, effects);
        effects.push(Effect::Event(Event::TookOffice));
    }

    fn new_tenure(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.tenure += 1;
        self.moving.clear();
        self.proposed.clear();
        self.propose_mandate(now, effects);
    }

    fn propose_mandate(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let holder = Holder { process: self.me, tenure: self.tenure };
        self.once(now, Effect::Propose(Entry::Mandate { holder }), effects);
    }

    fn renew_mandate(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.office.is_some() {
            self.propose_mandate(now, effects);
        }
    }

    fn on_topology(&mut self, topology: Arc<Topology>) {
        self.topology = topology;
        let topology = &self.topology;
        let epoch_of = |shard: &ShardId| topology.shards.get(shard).map(|shard| shard.epoch);
        self.moving.retain(|shard, (epoch, _)| epoch_of(shard) == Some(*epoch));
        self.seen.retain(|node, _| !topology.forgotten.contains(node));
    }

    /// Notes the heartbeat; gives the node if it may get a lease.
    fn on_heartbeat(&mut self, now: Time, heartbeat: Box<Heartbeat>) -> Option<NodeId> {
        let from = heartbeat.from;
        if self.topology.forgotten.contains(&from.node) {
            self.leaving.insert(from.node, now);
            return None;
        }
        let order = |heartbeat: &Heartbeat| (heartbeat.from.incarnation, heartbeat.seq);
        let is_old =
            self.seen.get(&from.node).is_some_and(|seen| order(&seen.heartbeat) >= order(&heartbeat));
        if is_old {
            return None;
        }
        let asks = heartbeat.leading.is_some();
        self.seen.insert(from.node, Seen { heartbeat, heard: now, at: now });
        asks.then_some(from.node)
    }

    /// Rule 2, the granter's side: only for the primary of the newest epoch, only while nothing else is decided for the
    /// shard, only as long as a quorum confirms this leader.
    fn grant(&mut self, now: Time, node: NodeId, effects: &mut Vec<Effect>) {
        let Some(Seen { heartbeat, .. }) = self.seen.get(&node) else { return };
        let Some(leading) = &heartbeat.leading else { return };
        let Some(shard) = self.topology.shards.get(&leading.shard) else { return };
        let Some(office) = &self.office else { return };
        let leads = shard.primary == heartbeat.from && shard.epoch == leading.epoch;
        let holds = leading.surrender.is_none() || !self.rules.hold(Rule::HoldOnHandover);
        let may = leads && holds && self.topology.is_current(heartbeat.from);
        if !may || self.moving.contains_key(&leading.shard) || self.withholds(now, shard) {
            return;
        }
        let Some((left, end)) = lease::grant(now, office.quorum_sent, &self.timing) else { return };
        let lease = Lease {
            to: heartbeat.from,
            shard: leading.shard,
            epoch: leading.epoch,
            sent: heartbeat.sent,
            left,
        };
        let granted = self.granted.entry(leading.shard).or_insert((leading.epoch, end));
        *granted =
            if granted.0 == leading.epoch { (granted.0, granted.1.max(end)) } else { (leading.epoch, end) };
        effects.push(Effect::Lease(lease));
    }

    /// Whether every lease that may be live for the shard's epoch is over.
    fn leases_are_over(&self, now: Time, id: ShardId, shard: &Shard) -> bool {
        let granted = self.granted.get(&id).filter(|(epoch, _)| *epoch == shard.epoch);
        let quiet = self.office.as_ref().is_some_and(|office| now >= office.quiet_until);
        quiet && granted.is_none_or(|(_, end)| now >= *end)
    }

    /// Everything that follows from what is known now.
    fn decide(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.moving.values().any(|(_, since)| now.since(*since) > self.timing.retry) {
            // A proposal is lost or void, which of the two is not known: under a new mandate it can no longer be applied.
            self.new_tenure(now, effects);
            return;
        }
        self.announce_members(now, effects);
        if self.topology.shards.is_empty() {
            self.create_first_shard(now, effects);
        }
        let topology = self.topology.clone();
        for (&id, shard) in &topology.shards {
            self.decide_shard(now, id, shard, effects);
        }
        self.forget_members(now, effects);
        self.decide_voters(now, effects);
    }

    /// Rule 6: processes the topology does not know yet are announced before anything else is decided about them.
    fn announce_members(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let mut entries = Vec::new();
        for Seen { heartbeat, .. } in self.seen.values() {
            let known = self.topology.members.get(&heartbeat.from.node);
            let is_news = known.is_none_or(|member| {
                let is_newer = member.incarnation < heartbeat.from.incarnation;
                let has_moved = member.incarnation == heartbeat.from.incarnation
                    && member.announcement != heartbeat.announcement;
                is_newer || has_moved
            });
            if is_news {
                let announcement = heartbeat.announcement.clone();
                entries.push(Entry::Announce { process: heartbeat.from, announcement });
            }
        }
        for entry in entries {
            self.once(now, Effect::Propose(entry), effects);
        }
    }

    /// Removes who will not come back: its address is another's now, or it was silent for `ha-forget-timeout`. Silence alone
    /// takes nobody out of an in-sync set here: rule 7 binds.
    fn forget_members(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let topology = self.topology.clone();
        let me = self.me.node;
        for &node in topology.members.keys().filter(|node| **node != me) {
            let silent_for = self.silent_for(now, node);
            // The replacement holds a copy first: what counts as copies must not drop in between.
            let has_copies =
                |other: NodeId| topology.shards.values().all(|shard| shard.replicas.contains(&other));
            let replaced = silent_for > self.timing.replica_timeout
                && self.replacement(now, node).is_some_and(has_copies);
            let timed_out = self.timing.forget_timeout.is_some_and(|timeout| silent_for > timeout)
                && !topology.counts_as_copy(node);
            if replaced || timed_out {
                self.forget(now, node, !replaced, effects);
            }
        }
    }

    /// The member that has the node's address now: the node has lost its disk and will not be heard again.
    fn replacement(&self, now: Time, node: NodeId) -> Option<NodeId> {
        let member = self.topology.members.get(&node)?;
        let silent_for = self.silent_for(now, node);
        let has_its_address = |(other, seen): (&NodeId, &Seen)| {
            let is_live = now.since(seen.heard) < self.timing.reachable.min(silent_for);
            let same = seen.heartbeat.announcement.peers == member.announcement.peers;
            (*other != node && is_live && same && self.topology.members.contains_key(other)).then_some(*other)
        };
        self.seen.iter().find_map(has_its_address)
    }

    fn forget(&mut self, now: Time, node: NodeId, spares_copies: bool, effects: &mut Vec<Effect>) {
        let Some(member) = self.topology.members.get(&node) else { return };
        let process = Process { node, incarnation: member.incarnation };
        let entry = Entry::Forget { mandate: self.topology.mandate, process, spares_copies };
        self.once(now, Effect::Propose(entry), effects);
    }

    fn decide_voters(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let members = &self.topology.members;
        let is_gone =
            |node: &NodeId| self.topology.forgotten.contains(node) || self.replacement(now, *node).is_some();
        let is_live = |node: &NodeId| {
            let heard = self.seen.get(node).is_some_and(|seen| now.since(seen.heard) < self.timing.reachable);
            heard && !is_gone(node)
        };
        let is_leaving = |node: &NodeId| {
            self.leaving.get(node).is_some_and(|heard| now.since(*heard) < self.timing.reachable)
        };
        let is_dead = |node: &NodeId| self.silent_for(now, *node) > self.timing.replace;
        // A founder that has not announced itself yet votes all the same.
        let zone =
            |node: NodeId| members.get(&node).map_or(String::new(), |one| one.announcement.zone.clone());
        let known: BTreeSet<NodeId> =
            members.keys().chain(&self.voters).copied().filter(|node| !is_gone(node)).collect();
        let view = membership::View {
            voters: self.voters.clone(),
            live: members.keys().copied().filter(is_live).collect(),
            leaving: self.voters.iter().copied().filter(is_leaving).collect(),
            // A founder that lost its disk before it announced itself will never be heard, and nobody tells its address.
            dead: known.iter().copied().filter(is_dead).collect(),
            members: known.into_iter().map(|node| (node, zone(node))).collect(),
            me: self.me.node,
        };
        if let Some(voters) = view.next_voters() {
            self.once(now, Effect::Voters(voters), effects);
        }
    }

    fn on_request(&mut self, now: Time, request: Request, effects: &mut Vec<Effect>) {
        if !self.in_office() {
            return;
        }
        match request {
            Request::Failover { shard, to } => {
                let Some(shard) = self.topology.shards.get(&shard) else { return };
                let order = HandOver { primary: shard.primary, epoch: shard.epoch, to };
                effects.push(Effect::HandOver(order));
            }
            Request::Forget(node) => self.forget(now, node, false, effects),
            Request::Set { name, value } => effects.push(Effect::Propose(Entry::Set { name, value })),
            Request::User { name, rules } => effects.push(Effect::Propose(Entry::User { name, rules })),
        }
    }

    /// Emits the effect unless it was emitted lately and may still be under way; says whether it did.
    fn once(&mut self, now: Time, effect: Effect, effects: &mut Vec<Effect>) -> bool {
        self.proposed.retain(|(_, at)| now.since(*at) < self.timing.retry);
        if self.proposed.iter().any(|(other, _)| *other == effect) {
            return false;
        }
        self.proposed.push((effect.clone(), now));
        effects.push(effect);
        true
    }
}
