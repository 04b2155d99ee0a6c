//! What a process does in one step: inputs from messages and ticks, effects to Raft, data plane and network. It connects
//! the state machines the way the server does.

use crate::data::{DataMessage, Out, Reply};
use crate::machine::{Disk, Message, Running, Setup, Step, To};
use crate::raft::{Group, Kind, RaftEffect};
use fastrand::Rng;
use redoubt_ha::bootstrap::{Decision, Hello};
use redoubt_ha::entry::Entry;
use redoubt_ha::topology::ONLY_SHARD;
use redoubt_ha::{NodeId, Span, Time, agent, controller};
use std::sync::Arc;

/// A process during one step.
pub(crate) struct Active<'a> {
    pub(crate) running: &'a mut Running,
    pub(crate) disk: &'a mut Disk,
    pub(crate) setup: &'a Setup,
    pub(crate) now: u64,
    pub(crate) local: Time,
    pub(crate) hung: bool,
    pub(crate) rng: &'a mut Rng,
    pub(crate) step: &'a mut Step,
}

impl Active<'_> {
    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.setup.tracing {
            self.step.notes.push(text());
        }
    }

    fn send(&mut self, to: To, message: Message) {
        self.step.out.push((to, message, 0));
    }

    fn send_data(&mut self, out: Out) {
        for (to, message, delay) in out {
            self.step.out.push((To::Node(to), Message::Data(message), delay));
        }
    }

    pub(crate) fn tick(&mut self, stalled_for: Span) {
        self.running.ticks += 1;
        if self.running.ticks == 1 {
            self.holds();
        }
        if self.running.ticks % 8 == 1 {
            self.bootstrap();
        }
        let mut effects = Vec::new();
        self.running.raft.tick(self.local, self.rng, &mut effects);
        self.raft_effects(effects);
        self.apply();
        self.agent(agent::Input::Health { stalled_for, writable: true });
        self.controller(controller::Input::Tick);
        self.change_group();
        if !self.hung {
            let mut out = Vec::new();
            let me = self.running.agent.me();
            self.running.data.tick(self.local, me, &mut out);
            self.send_data(out);
            if self.running.ticks.is_multiple_of(40) {
                self.running.data.sync();
            }
            self.release();
        }
    }

    pub(crate) fn receive(&mut self, from: usize, message: Message) {
        match message {
            Message::Raft(message) => {
                let mut effects = Vec::new();
                self.running.raft.receive(self.local, message, self.rng, &mut effects);
                self.raft_effects(effects);
                if self.rng.u8(0..4) != 0 {
                    self.apply();
                }
            }
            Message::Heartbeat(heartbeat) => self.controller(controller::Input::Heartbeat(heartbeat)),
            Message::Lease(lease) => self.agent(agent::Input::Lease(lease)),
            Message::HandOver(order) => {
                if order.primary == self.running.agent.me() {
                    self.agent(agent::Input::HandOver { to: order.to, leaving: false });
                }
            }
            Message::Hello(hello) => self.on_hello(from, hello),
            Message::Join(node) => self.on_join(node),
            Message::Data(message) => self.on_data(message),
            Message::Request { client, op, ask } => {
                let mut out = Vec::new();
                if self.running.data.request(self.local, client, op, ask, &mut out) {
                    self.send_data(out);
                    self.holds();
                    self.release();
                } else {
                    self.step.replies.push((client, op, Reply::Refused));
                }
            }
        }
    }

    fn holds(&mut self) {
        let position = self.running.data.position();
        self.agent(agent::Input::Holds(position));
    }

    fn release(&mut self) {
        if self.hung {
            return;
        }
        let Some(epoch) = self.running.data.leads() else { return };
        for pending in self.running.data.release(self.local) {
            self.step.acknowledged.push((pending, epoch));
        }
    }

    fn on_data(&mut self, message: DataMessage) {
        match message {
            DataMessage::Sync { .. } => {
                let mut out = Vec::new();
                self.running.data.on_sync(self.local, message, &mut out, self.rng);
                self.send_data(out);
            }
            DataMessage::NeedFull { session } => {
                if self.running.data.needs_full(session) {
                    self.agent(agent::Input::ResyncNeeded);
                }
            }
            DataMessage::Ack { from, epoch, offset } => {
                self.running.data.on_ack(self.local, from, offset);
                self.agent(agent::Input::Acked { from, epoch, offset: offset as u64 });
                self.release();
            }
            DataMessage::Snapshot { .. } | DataMessage::Records { .. } => {
                if let Some((primary, epoch)) = self.running.data.on_stream(self.local, message) {
                    self.holds();
                    let (from, offset) = (self.running.agent.me(), self.running.data.log.len());
                    let ack = DataMessage::Ack { from, epoch, offset };
                    self.send(To::Node(primary.node), Message::Data(ack));
                }
            }
        }
    }

    pub(crate) fn agent(&mut self, input: agent::Input) {
        let mut effects = Vec::new();
        self.running.agent.step(self.local, input, &mut effects);
        for effect in effects {
            self.agent_effect(effect);
        }
    }

    fn agent_effect(&mut self, effect: agent::Effect) {
        use agent::Effect;
        let data = &mut self.running.data;
        match effect {
            Effect::Heartbeat(heartbeat) => self.send(To::Everybody, Message::Heartbeat(heartbeat)),
            Effect::Lead { epoch, .. } => {
                data.lead(epoch);
                self.step.led = Some(epoch);
                self.note(|| format!("leads in epoch {epoch}"));
                self.holds();
            }
            Effect::Follow { primary, epoch, .. } => {
                data.follow(primary, epoch);
                self.note(|| format!("follows {primary} in epoch {epoch}"));
            }
            Effect::Rest => data.rest(),
            Effect::Serve { until, .. } => {
                data.serve(until);
                self.release();
            }
            Effect::Fence => {
                for pending in data.fence() {
                    self.step.replies.push((pending.client, pending.op, Reply::Closed));
                }
                self.note(|| "fenced".into());
            }
            Effect::Commit { offset, .. } => {
                let shard = self.running.topology.shards.get(&ONLY_SHARD);
                let copies = shard.map_or(1, |shard| 1 + self.running.topology.min_replicas(shard));
                data.commit(offset, copies);
                self.release();
            }
            Effect::Writes(writes) => {
                data.set_writes(writes);
                self.note(|| format!("writes are {writes:?}"));
            }
            Effect::NewLife(incarnation) => {
                self.disk.incarnation = incarnation.0;
                data.new_life();
                self.note(|| format!("takes a new life, {incarnation}"));
            }
            Effect::Discard => {
                data.discard();
                self.step.discarded = true;
                self.note(|| "discards its data".into());
                self.holds();
            }
            Effect::Event(_) => {}
        }
    }

    fn controller(&mut self, input: controller::Input) {
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

    fn propose(&mut self, kind: Kind) -> bool {
        let mut effects = Vec::new();
        let proposed = self.running.raft.propose(kind, self.local, &mut effects);
        self.raft_effects(effects);
        proposed
    }

    pub(crate) fn raft_effects(&mut self, effects: Vec<RaftEffect>) {
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

    /// Applies what is committed, not always at once.
    fn apply(&mut self) {
        if self.running.applied >= self.running.raft.commit {
            self.running.apply_at = self.now + self.rng.u64(0..=self.setup.apply_lag);
            return;
        }
        if self.now < self.running.apply_at {
            return;
        }
        while self.running.applied < self.running.raft.commit {
            let logged = self.running.raft.log[self.running.applied].clone();
            self.running.applied += 1;
            match &logged.kind {
                Kind::Noop => {}
                Kind::Group(group) => self.controller(controller::Input::Voters(group.voters.clone())),
                Kind::Entry(entry) => self.apply_entry(entry),
            }
        }
    }

    fn apply_entry(&mut self, entry: &Entry) {
        if Arc::make_mut(&mut self.running.topology).apply(entry, self.setup.rules).is_ok() {
            let topology = self.running.topology.clone();
            self.agent(agent::Input::Topology(topology.clone()));
            self.controller(controller::Input::Topology(topology));
        }
    }

    /// One step of a wanted change of voters. Who is replaced leaves first: it is dead, and counts against the quorum.
    fn change_group(&mut self) {
        let forgotten = &self.running.topology.forgotten;
        let mut group = Group::clone(&self.running.raft.members());
        if self.running.raft.leader != Some(self.running.raft.me) {
            self.running.wanted_voters = None;
            return;
        }
        let learners = group.learners.len();
        group.learners.retain(|node| !forgotten.contains(node));
        if let Some(wanted) = &self.running.wanted_voters {
            let (raft, now) = (&self.running.raft, self.local);
            let may_join = |node: &&NodeId| !group.voters.contains(node) && raft.is_responsive(**node, now);
            let joins = wanted.iter().find(may_join).copied();
            let leaves = group.voters.iter().find(|node| !wanted.contains(node)).copied();
            if let Some(node) = leaves {
                group.voters.remove(&node);
                group.learners.insert(node);
            } else if let Some(node) = joins {
                group.learners.remove(&node);
                group.voters.insert(node);
            } else if group.learners.len() == learners {
                // Done, or whoever was to join does not answer: the controller decides anew.
                self.running.wanted_voters = None;
                return;
            }
        } else if group.learners.len() == learners {
            return;
        }
        self.propose(Kind::Group(group));
    }

    fn on_join(&mut self, node: NodeId) {
        let mut group = Group::clone(&self.running.raft.members());
        let is_known = group.voters.contains(&node) || group.learners.contains(&node);
        if !is_known && self.running.raft.leader == Some(self.running.raft.me) {
            group.learners.insert(node);
            self.propose(Kind::Group(group));
        }
    }

    fn hello(&mut self, to: To) {
        self.disk.hello_seq += 1;
        let seq = self.disk.hello_seq;
        let hello = match &self.running.bootstrap {
            Some(bootstrap) => bootstrap.hello(seq),
            None => {
                let node = self.running.raft.me;
                Hello { node, seq, initialised: true, attempt: None, promised: None }
            }
        };
        self.send(to, Message::Hello(hello));
    }

    fn bootstrap(&mut self) {
        if self.running.raft.group.is_some() {
            self.running.bootstrap = None;
            let (node, group) = (self.running.raft.me, self.running.raft.members());
            let is_in = group.voters.contains(&node) || group.learners.contains(&node);
            // The entry that let it in may be lost with the leader that appended it, and so may the one it reads this from.
            if !is_in || self.running.raft.is_lonely(self.local) {
                self.send(To::Everybody, Message::Join(node));
            }
        }
        let Some(bootstrap) = &mut self.running.bootstrap else { return };
        for &(at, node) in self.running.hellos.values() {
            if self.now - at > 500_000 {
                bootstrap.silent(node);
            }
        }
        let decision = bootstrap.decide();
        (self.disk.tries, self.disk.promised) = bootstrap.to_keep();
        match decision {
            Decision::Wait(_) => {}
            Decision::Initialise(voters) => {
                self.note(|| format!("initialises the group with {voters:?}"));
                let group = self.rng.u64(1..);
                self.running.raft.initialise(group, voters, self.local);
                self.running.bootstrap = None;
            }
            Decision::Join(_) => {
                let node = self.running.raft.me;
                self.send(To::Everybody, Message::Join(node));
            }
        }
        self.hello(To::Everybody);
    }

    fn on_hello(&mut self, from: usize, hello: Hello) {
        let Some(bootstrap) = &mut self.running.bootstrap else {
            if !hello.initialised {
                self.hello(To::Machine(from));
            }
            return;
        };
        let former = self.running.hellos.insert(from, (self.now, hello.node));
        if let Some((_, node)) = former.filter(|(_, node)| *node != hello.node) {
            bootstrap.replaced(node);
        }
        bootstrap.heard(hello);
    }
}
