//! The agent: what this node is, right now. It runs on every node's control thread and is told of every applied entry.

mod leadership;
#[cfg(test)]
mod tests;

use crate::event::{Event, Fenced};
use crate::handover::Handover;
use crate::ids::{Epoch, Incarnation, NodeId, Position, Process, ShardId};
use crate::lease;
use crate::message::{Heartbeat, Lease};
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time, Timing};
use crate::topology::{Announcement, Topology};
use leadership::Leadership;
use std::sync::Arc;

/// What an agent is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// By the driver, at least every quarter of a heartbeat.
    Tick,
    /// By the driver, after each applied entry that changed something, in order; and at start, what the disk says.
    Topology(Arc<Topology>),
    /// By the controller in office, in answer to a heartbeat.
    Lease(Lease),
    /// By replication: what is held now; for a primary the end of its log, nothing while the data loads.
    Holds(Option<Position>),
    /// By replication, on a primary: a follower of `epoch` has everything up to the offset.
    Acked {
        /// The follower.
        from: Process,
        /// The epoch it follows.
        epoch: Epoch,
        /// Up to where it has everything.
        offset: u64,
    },
    /// By the data threads' watchdog.
    Health {
        /// Rule 10: how long they have made no progress.
        stalled_for: Span,
        /// Whether writes can be taken.
        writable: bool,
    },
    /// By an operator, by SIGTERM, or by the controller.
    HandOver {
        /// Who is to lead; nobody: whoever has everything first.
        to: Option<NodeId>,
        /// Whether this node is about to stop.
        leaving: bool,
    },
    /// By replication, on a replica: the primary cannot go on from what is held here.
    ResyncNeeded,
    /// By the driver, on a replica that is about to stop: it leaves the in-sync set first, so that no write waits for it.
    Leaving,
}

/// What an agent wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// To the driver: send this to every node, this one's controller included.
    Heartbeat(Box<Heartbeat>),
    /// To replication: this process is the primary of the epoch. It acknowledges nothing before `Serve`.
    Lead {
        /// The shard.
        shard: ShardId,
        /// The epoch.
        epoch: Epoch,
    },
    /// To replication: follow this primary; refuse and close every stream of an older epoch (rule 5).
    Follow {
        /// The shard.
        shard: ShardId,
        /// The primary.
        primary: Process,
        /// Its epoch.
        epoch: Epoch,
    },
    /// To replication: there is nobody to follow.
    Rest,
    /// To the data threads: replies may leave until then, by this node's clock, as far as they are committed. They compare
    /// the clock after executing a command and before writing its reply.
    Serve {
        /// The epoch.
        epoch: Epoch,
        /// The end of the lease.
        until: Time,
    },
    /// To the data threads, at once: no reply leaves any more; clients are closed or routed on.
    Fence,
    /// To the data threads: everything up to here is committed.
    Commit {
        /// The epoch.
        epoch: Epoch,
        /// The offset.
        offset: u64,
    },
    /// To the data threads: what becomes of new writes.
    Writes(Writes),
    /// To the driver and replication: this process has a new life; its number is on the disk before anything else happens.
    /// Under it nothing is acknowledged, and no stream asked for, before `Discard` or the next `Follow`: an acknowledgement
    /// of what is about to go would count as one of what comes.
    NewLife(Incarnation),
    /// To replication: the data may be thrown away now, for a full resync.
    Discard,
    /// To the log and INFO.
    Event(Event),
}

/// What becomes of new writes on a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// They are executed.
    Allowed,
    /// They wait for the end of a handover.
    Held,
    /// `-NOREPLICAS`: rule 7, too few copies.
    Refused,
}

#[derive(Debug)]
enum Role {
    /// Rule 1: how every process starts.
    Nobody,
    Replica {
        primary: Process,
        epoch: Epoch,
    },
    Primary(Box<Leadership>),
}

/// The agent of one node.
#[derive(Debug)]
pub struct Agent {
    me: Process,
    announcement: Announcement,
    timing: Timing,
    rules: Rules,
    topology: Arc<Topology>,
    role: Role,
    position: Option<Position>,
    stalled_for: Span,
    writable: bool,
    /// A full resync waits for the new life to be known to all.
    resync: bool,
    seq: u64,
    last_heartbeat: Option<Time>,
}

impl Agent {
    /// An agent of a process that has just started, with an incarnation that is already on its disk.
    #[must_use]
    pub fn new(me: Process, announcement: Announcement, timing: Timing, rules: Rules) -> Agent {
        Agent {
            me,
            announcement,
            timing,
            rules,
            topology: Arc::default(),
            role: Role::Nobody,
            position: None,
            stalled_for: Span(0),
            writable: true,
            resync: false,
            seq: 0,
            last_heartbeat: None,
        }
    }

    /// The process, in its present life.
    #[must_use]
    pub fn me(&self) -> Process {
        self.me
    }

    /// Says this of its priority from the next heartbeat on (`replica-priority`).
    pub fn set_priority(&mut self, priority: u32) {
        self.announcement.priority = priority;
    }

    /// The epoch this process leads in, if it does.
    #[must_use]
    pub fn leads(&self) -> Option<Epoch> {
        match &self.role {
            Role::Primary(leadership) => Some(leadership.epoch),
            _ => None,
        }
    }

    /// The primary this process follows and its epoch.
    #[must_use]
    pub fn follows(&self) -> Option<(Process, Epoch)> {
        match &self.role {
            Role::Replica { primary, epoch } => Some((*primary, *epoch)),
            _ => None,
        }
    }

    /// How long the lease lasts, for a primary that may acknowledge.
    #[must_use]
    pub fn lease_left(&self, now: Time) -> Option<Span> {
        match &self.role {
            Role::Primary(leadership) if leadership.serving => Some(leadership.lease_until.since(now)),
            _ => None,
        }
    }

    /// Everything committed, for a primary.
    #[must_use]
    pub fn committed(&self) -> Option<u64> {
        match &self.role {
            Role::Primary(leadership) => leadership.commit,
            _ => None,
        }
    }

    /// Whether this process leads and a write is acknowledged as soon as it is executed (`ha-acks local`). Where it is not,
    /// nothing past the commit offset is, also while nobody else is in the in-sync set: who is offered next has been
    /// judged by that offset.
    #[must_use]
    pub fn acknowledges_at_once(&self) -> bool {
        match &self.role {
            Role::Primary(leadership) => {
                self.topology.acks_local() || leadership.leaves_alone(&self.topology, self.rules)
            }
            _ => false,
        }
    }

    /// Whether this process leads and nobody's acknowledgement moves its commit offset: it has to be told of every write.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        match &self.role {
            Role::Primary(leadership) => leadership.is_alone(&self.topology),
            _ => false,
        }
    }

    /// Takes one input; what is to be done is appended to `effects`.
    pub fn step(&mut self, now: Time, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Tick => {}
            Input::Topology(topology) => self.on_topology(now, topology, effects),
            Input::Lease(lease) => self.on_lease(now, lease, effects),
            Input::Holds(position) => {
                self.position = position;
                self.lead(now, effects);
            }
            Input::Acked { from, epoch, offset } => {
                if let Role::Primary(leadership) = &mut self.role {
                    leadership.acked(from, epoch, offset, self.rules);
                }
                self.lead(now, effects);
            }
            Input::Health { stalled_for, writable } => {
                (self.stalled_for, self.writable) = (stalled_for, writable);
            }
            Input::HandOver { to, leaving } => self.hand_over(now, to, leaving, effects),
            Input::ResyncNeeded => self.new_life(now, effects),
            Input::Leaving => self.leave_set(now, effects),
        }
        self.tick(now, effects);
    }

    fn tick(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if let Role::Primary(leadership) = &mut self.role {
            leadership.watch_lag(now, &self.topology, self.position);
            if leadership.serving && now >= leadership.lease_until {
                leadership.serving = false;
                effects.extend([Effect::Fence, Effect::Event(Event::Fenced(Fenced::LeaseLost))]);
            }
            if leadership.handover.is_some_and(|handover| handover.is_overdue(now, &self.timing)) {
                leadership.handover = None;
                // What was granted for heartbeats before this one may be shared with a successor.
                leadership.lease_from = now;
                effects.push(Effect::Event(Event::HandoverFailed));
            }
        }
        self.lead(now, effects);
        if self.last_heartbeat.is_none_or(|last| now.since(last) >= self.timing.heartbeat) {
            self.heartbeat(now, effects);
        }
    }

    fn heartbeat(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.seq += 1;
        self.last_heartbeat = Some(now);
        let leading = match &mut self.role {
            Role::Primary(leadership) => {
                leadership.offer(&self.topology, self.position);
                Some(leadership.report(now, &self.timing))
            }
            _ => None,
        };
        effects.push(Effect::Heartbeat(Box::new(Heartbeat {
            from: self.me,
            seq: self.seq,
            sent: now,
            announcement: self.announcement.clone(),
            position: self.position.filter(|_| !self.will_discard()),
            stalled_for: self.stalled_for,
            writable: self.writable,
            leading,
        })));
    }

    /// Rule 1: what this process is comes from the newest applied entry, and from nothing else.
    fn on_topology(&mut self, now: Time, topology: Arc<Topology>, effects: &mut Vec<Effect>) {
        self.topology = topology;
        let topology = self.topology.clone();
        let Some((id, shard)) = topology.shard_of(self.me.node) else {
            return self.become_nobody(effects);
        };
        let by_node_only = !self.rules.hold(Rule::StartAsNobody);
        let names_me = shard.primary == self.me || (by_node_only && shard.primary.node == self.me.node);
        if names_me {
            match &mut self.role {
                Role::Primary(leadership) if leadership.epoch == shard.epoch => {
                    leadership.set_changed(shard, &topology);
                }
                _ => self.become_primary(now, id, shard.epoch, effects),
            }
        } else if shard.primary.node == self.me.node {
            self.become_nobody(effects);
        } else if self.follows() != Some((shard.primary, shard.epoch)) {
            self.fence_if_serving(effects);
            self.role = Role::Replica { primary: shard.primary, epoch: shard.epoch };
            // What the last primary could not go on from, this one may.
            self.resync = false;
            effects.push(Effect::Follow { shard: id, primary: shard.primary, epoch: shard.epoch });
            effects.push(Effect::Event(Event::Following { primary: shard.primary, epoch: shard.epoch }));
        }
        self.discard_if_known(effects);
    }

    fn become_nobody(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.role, Role::Nobody) {
            return;
        }
        self.fence_if_serving(effects);
        self.role = Role::Nobody;
        effects.push(Effect::Rest);
    }

    fn become_primary(&mut self, now: Time, id: ShardId, epoch: Epoch, effects: &mut Vec<Effect>) {
        self.fence_if_serving(effects);
        let shard = &self.topology.shards[&id];
        let mut leadership = Leadership::new(id, epoch, shard.version, now);
        effects.push(Effect::Lead { shard: id, epoch });
        effects.push(Effect::Event(Event::Leading { epoch }));
        if !self.rules.hold(Rule::StartAsNobody) {
            leadership.serving = true;
            leadership.lease_until = now.plus(self.timing.lease);
            effects.push(Effect::Serve { epoch, until: leadership.lease_until });
        }
        self.role = Role::Primary(Box::new(leadership));
        self.resync = false;
        // The lease is asked for at once: nothing is acknowledged before it is there.
        self.heartbeat(now, effects);
    }

    fn fence_if_serving(&mut self, effects: &mut Vec<Effect>) {
        if let Role::Primary(leadership) = &mut self.role
            && leadership.serving
        {
            leadership.serving = false;
            effects.extend([Effect::Fence, Effect::Event(Event::Fenced(Fenced::Deposed))]);
        }
    }

    /// Rule 2, the holder's side.
    fn on_lease(&mut self, now: Time, lease: Lease, effects: &mut Vec<Effect>) {
        let Role::Primary(leadership) = &mut self.role else { return };
        let is_ours = lease.to == self.me && lease.epoch == leadership.epoch;
        let surrendered = leadership.handover.is_some_and(|handover| handover.surrender().is_some());
        if !is_ours || lease.sent < leadership.lease_from || surrendered {
            return;
        }
        let end = lease::end(lease.sent, lease.left);
        let end = if self.rules.hold(Rule::Lease) { end } else { Time::NEVER };
        if end > now && end > leadership.lease_until {
            leadership.lease_until = end;
            effects.push(Effect::Serve { epoch: leadership.epoch, until: end });
            if !leadership.serving {
                leadership.serving = true;
                (leadership.announced, leadership.told_writes) = (None, None);
            }
        }
    }

    /// What follows from acknowledgements, set and lease: the commit offset, what becomes of writes, the next step of a
    /// handover.
    fn lead(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Role::Primary(leadership) = &mut self.role else { return };
        leadership.advance(now, &self.topology, self.position, &self.timing, self.rules);
        if !leadership.serving {
            return;
        }
        let writes = leadership.writes(&self.topology, self.rules);
        if leadership.told_writes != Some(writes) {
            leadership.told_writes = Some(writes);
            effects.push(Effect::Writes(writes));
        }
        if let Some(offset) = leadership.commit
            && leadership.announced.is_none_or(|announced| announced < offset)
        {
            leadership.announced = Some(offset);
            effects.push(Effect::Commit { epoch: leadership.epoch, offset });
        }
        self.surrender_when_drained(now, effects);
    }

    fn hand_over(&mut self, now: Time, to: Option<NodeId>, leaving: bool, effects: &mut Vec<Effect>) {
        let Role::Primary(leadership) = &mut self.role else { return };
        if leadership.serving && leadership.handover.is_none() {
            leadership.handover = Some(Handover::Draining { to, leaving, since: now });
            self.lead(now, effects);
        }
    }

    /// Rule 9: from the heartbeat that asks for the promotion on, nothing is acknowledged here.
    fn surrender_when_drained(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Role::Primary(leadership) = &mut self.role else { return };
        let Some(handover) = leadership.handover else { return };
        let end = self.position.map_or(0, |position| position.offset);
        let holds = self.rules.hold(Rule::HoldOnHandover);
        let all_committed =
            self.topology.acks_local() || leadership.commit.is_some_and(|commit| commit >= end);
        let needed = if holds { end } else { 0 };
        let complete = leadership.complete(&self.topology, self.me, needed);
        let Some(next) = handover.surrender_to(complete, all_committed || !holds) else { return };
        leadership.handover = Some(next);
        if holds {
            leadership.serving = false;
            leadership.lease_until = Time(0);
            effects.extend([Effect::Fence, Effect::Event(Event::Fenced(Fenced::HandedOver))]);
        }
        self.heartbeat(now, effects);
    }

    /// Rule 6: throwing data away is like a restart. All know of the new life before it happens, so that nobody counts on
    /// the former.
    fn new_life(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.resync || !matches!(self.role, Role::Replica { .. }) {
            return;
        }
        if !self.rules.hold(Rule::DiscardByEntry) {
            self.position = None;
            effects.push(Effect::Discard);
            return;
        }
        self.resync = true;
        self.me.incarnation = self.me.incarnation.next();
        effects.push(Effect::NewLife(self.me.incarnation));
        self.heartbeat(now, effects);
    }

    /// A replica that stops is as good as restarted: known as that before it happens, it is in no set when it is gone.
    fn leave_set(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.resync || !matches!(self.role, Role::Replica { .. }) {
            return;
        }
        self.me.incarnation = self.me.incarnation.next();
        effects.push(Effect::NewLife(self.me.incarnation));
        self.heartbeat(now, effects);
    }

    /// Whether the data here is about to go: who might is no candidate. It does not go while the primary it would be
    /// replaced from is known to be gone; within an epoch that primary does not come back.
    fn will_discard(&self) -> bool {
        let shard = self.topology.shard_of(self.me.node).map(|(_, shard)| shard);
        self.resync && shard.is_some_and(|shard| self.topology.is_current(shard.primary))
    }

    fn discard_if_known(&mut self, effects: &mut Vec<Effect>) {
        let Some((_, shard)) = self.topology.shard_of(self.me.node) else { return };
        let counted_on = shard.in_sync.contains_key(&self.me.node);
        if self.will_discard() && self.topology.is_current(self.me) && !counted_on {
            self.resync = false;
            // No heartbeat may tell of it any more, not even one of this very step.
            self.position = None;
            effects.push(Effect::Discard);
        }
    }
}
