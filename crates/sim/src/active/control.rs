//! The effects of agent and controller, and the Raft group under them.

use super::Active;
use crate::machine::{Leading, Message, Order, To};
use crate::raft::{Group, Kind, RaftEffect};
use redoubt_ha::entry::Entry;
use redoubt_ha::topology::ONLY_SHARD;
use redoubt_ha::{NodeId, agent, controller};
use std::rc::Rc;
use std::sync::Arc;

/// A learner may be so many entries behind when it becomes a voter.
const BEHIND_MAX: usize = 5;

/// Entries before a snapshot that are kept all the same.
const KEPT: usize = 3;

impl Active<'_> {
    pub(super) fn step_agent(&mut self, input: agent::Input) {
        if let agent::Input::Topology(topology) = &input {
            let shard = topology.shards.get(&ONLY_SHARD);
            self.running.copies = shard.map_or(1, |shard| 1 + topology.min_replicas(shard));
        }
        let mut effects = Vec::new();
        self.running.agent.step(self.local, input, &mut effects);
        self.note_commit();
        // Before an offer leaves, replies wait for who is offered.
        self.hold_as_needed();
        for effect in effects {
            self.agent_effect(effect);
        }
    }

    fn agent_effect(&mut self, effect: agent::Effect) {
        use agent::Effect;
        let me = self.running.agent.me();
        match effect {
            Effect::Heartbeat(heartbeat) => self.send(To::Everybody, Message::Heartbeat(heartbeat)),
            Effect::Lead { epoch, .. } => {
                self.step.led = Some(epoch);
                self.note(|| format!("leads in epoch {epoch}"));
                let order = self.order(Order::Lead(me, epoch));
                self.running.leading = Some(Leading { order, epoch, lease: None, committed: (0, 1) });
                self.serve_if_ready();
            }
            Effect::Follow { primary, epoch, .. } => {
                self.note(|| format!("follows {primary} in epoch {epoch}"));
                self.running.leading = None;
                self.order(Order::Follow(me, primary, epoch));
            }
            Effect::Rest => {
                self.running.leading = None;
                self.order(Order::Rest);
            }
            Effect::Serve { epoch, until } => {
                if let Some(leading) = self.running.leading.as_mut().filter(|one| one.epoch == epoch) {
                    leading.lease = Some(until);
                    self.serve_if_ready();
                }
            }
            Effect::Fence => self.fence(),
            Effect::Commit { .. } => self.commit(),
            Effect::Writes(writes) => {
                self.running.data.set_writes(writes);
                self.note(|| format!("writes are {writes:?}"));
            }
            Effect::NewLife(incarnation) => {
                self.disk.incarnation = incarnation.0;
                self.note(|| format!("takes a new life, {incarnation}"));
                self.order(Order::NewLife(me));
            }
            Effect::Discard => {
                self.order(Order::Discard);
            }
            Effect::Event(_) => {}
        }
    }

    /// The commit offset moves by what is asked for now, whenever the data plane is told.
    fn note_commit(&mut self) {
        let (committed, copies) = (self.running.agent.committed(), self.running.copies);
        if let (Some(offset), Some(leading)) = (committed, &mut self.running.leading)
            && offset as usize > leading.committed.0
        {
            leading.committed = (offset as usize, copies);
        }
    }

    pub(super) fn step_controller(&mut self, input: controller::Input) {
        let mut effects = Vec::new();
        self.running.controller.step(self.local, input, &mut effects);
        for effect in effects {
            match effect {
                controller::Effect::Propose(entry) => {
                    self.note(|| format!("proposes {entry:?}"));
                    self.propose(Kind::Entry(entry));
                }
                controller::Effect::Lease(lease) => self.send(To::Node(lease.to.node), Message::Lease(lease)),
                controller::Effect::HandOver(order) => {
                    self.send(To::Node(order.primary.node), Message::HandOver(order));
                }
                controller::Effect::Voters(voters) => self.running.wanted_voters = Some(voters),
                controller::Effect::Event(event) => self.note(|| format!("{event:?}")),
            }
        }
    }

    pub(crate) fn propose(&mut self, kind: Kind) -> bool {
        let mut effects = Vec::new();
        let proposed = self.running.raft.propose(kind, self.local, &mut effects);
        self.raft_effects(effects);
        proposed
    }

    pub(crate) fn raft_effects(&mut self, effects: Vec<RaftEffect>) {
        self.tell_voters();
        for effect in effects {
            match effect {
                RaftEffect::Send(to, message) => self.send(To::Node(to), Message::Raft(message)),
                RaftEffect::Elected { by_transfer } => {
                    let (term, how) = (self.running.raft.term, by_transfer);
                    self.note(|| format!("leads the group in term {term}, by transfer: {how}"));
                    self.controller(controller::Input::Elected { by_transfer });
                }
                RaftEffect::Deposed => self.controller(controller::Input::Deposed),
                RaftEffect::Quorum(sent) => self.controller(controller::Input::Quorum { sent }),
            }
        }
    }

    /// Who votes is known as soon as it counts, which is before it is committed.
    fn tell_voters(&mut self) {
        let group = self.running.raft.members();
        if !Rc::ptr_eq(&group, &self.running.told_group) {
            let is_news = group != self.running.told_group;
            self.running.told_group = group.clone();
            if !is_news {
                return;
            }
            self.note(|| format!("the group is {group:?}"));
            self.controller(controller::Input::Voters(group.voters().collect()));
        }
    }

    /// Applies what is committed, not always at once.
    pub(super) fn apply(&mut self) {
        let commit = self.running.raft.commit;
        if self.running.applied >= commit {
            self.running.apply_at = self.now + self.rng.u64(0..=self.setup.apply_lag);
            return;
        }
        if self.now < self.running.apply_at {
            return;
        }
        self.restore();
        while self.running.applied < commit {
            let Some(logged) = self.running.raft.log.get(self.running.applied).cloned() else { break };
            self.running.applied += 1;
            if let Kind::Entry(entry) = &logged.kind {
                self.apply_entry(entry);
            }
        }
    }

    fn apply_entry(&mut self, entry: &Entry) {
        if Arc::make_mut(&mut self.running.topology).apply(entry, self.setup.rules).is_ok() {
            self.tell_topology();
        }
    }

    fn tell_topology(&mut self) {
        let topology = self.running.topology.clone();
        self.agent(agent::Input::Topology(topology.clone()));
        self.controller(controller::Input::Topology(topology));
    }

    /// What entries have come to, of which some were never seen here: all at once.
    fn restore(&mut self) {
        let Some(snapshot) = self.running.raft.snapshot.clone() else { return };
        if snapshot.index > self.running.applied {
            self.note(|| format!("takes over a snapshot of {} entries", snapshot.index));
            self.running.applied = snapshot.index;
            self.running.topology = snapshot.facts.clone();
            self.step.restored = true;
            self.tell_topology();
        }
    }

    /// Now and then a snapshot of what is applied takes the place of the log.
    pub(super) fn compact(&mut self) {
        let applied = self.running.applied;
        let every = self.setup.compact;
        let before = self.running.raft.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        if every > 0 && applied >= before + every {
            self.running.raft.compact(applied, &self.running.topology, KEPT);
        }
    }

    /// On the leader: one step at a time of what is to change about the group.
    pub(super) fn change_group(&mut self) {
        let raft = &self.running.raft;
        if raft.leader != Some(raft.me) {
            (self.running.wanted_voters, self.running.joining) = (None, Default::default());
            return;
        }
        let group = raft.members();
        if !raft.may_regroup() || group.changed().is_some() {
            return;
        }
        if let Some(next) = self.next_group(&group) {
            self.propose(Kind::Group(next));
        }
    }

    fn next_group(&mut self, group: &Group) -> Option<Group> {
        let Active { running, local, .. } = self;
        let forgotten = &running.topology.forgotten;
        if group.learners.iter().any(|node| forgotten.contains(node)) {
            let mut group = group.clone();
            group.learners.retain(|node| !forgotten.contains(node));
            return Some(group);
        }
        running.joining.retain(|node| !group.contains(*node) && !forgotten.contains(node));
        if let Some(node) = running.joining.pop_first() {
            let mut group = group.clone();
            group.learners.insert(node);
            return Some(group);
        }
        let wanted = running.wanted_voters.take()?;
        let raft = &running.raft;
        let is_ready =
            |node: &NodeId| group.has_voter(*node) || raft.is_responsive(*node, BEHIND_MAX, *local);
        let is_news = !wanted.iter().copied().eq(group.voters());
        (is_news && !wanted.is_empty() && wanted.iter().all(is_ready)).then(|| group.change(wanted))
    }
}
