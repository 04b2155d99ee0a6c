//! One machine: a clock, a disk, and the process that runs on it when it runs.

use crate::active::Active;
use crate::data::{Ask, Data, DataMessage, Fsync, Pending, Record, Reply};
use crate::raft::{Raft, RaftMessage};
use fastrand::Rng;
use redoubt_ha::agent::{self, Agent};
use redoubt_ha::bootstrap::{Attempt, Bootstrap, Hello};
use redoubt_ha::controller::Controller;
use redoubt_ha::message::{HandOver, Heartbeat, Lease};
use redoubt_ha::topology::{Announcement, Topology};
use redoubt_ha::{Epoch, Incarnation, NodeId, Process, Rules, Span, Time, Timing};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that travels.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Raft(RaftMessage),
    Heartbeat(Box<Heartbeat>),
    Lease(Lease),
    HandOver(HandOver),
    Hello(Hello),
    Join(NodeId),
    Data(DataMessage),
    Request { client: usize, op: u64, ask: Ask },
}

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To {
    Node(NodeId),
    Machine(usize),
    Everybody,
}

/// What a machine does in one step, beside changing itself.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) out: Vec<(To, Message, u64)>,
    /// Replies that leave, with the epoch they are acknowledged in.
    pub(crate) acknowledged: Vec<(Pending, Epoch)>,
    pub(crate) replies: Vec<(usize, u64, Reply)>,
    pub(crate) led: Option<Epoch>,
    pub(crate) discarded: bool,
    pub(crate) notes: Vec<String>,
}

/// What is the same for all machines of a run.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) timing: Timing,
    pub(crate) rules: Rules,
    pub(crate) fsync: Fsync,
    pub(crate) expect: usize,
    /// Longest time a committed entry waits to be applied.
    pub(crate) apply_lag: u64,
    pub(crate) tracing: bool,
}

/// What survives a crash.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) id: Option<NodeId>,
    pub(crate) incarnation: u64,
    pub(crate) raft: Option<Raft>,
    pub(crate) data: Vec<Record>,
    pub(crate) tries: u64,
    pub(crate) promised: Option<Attempt>,
    pub(crate) hello_seq: u64,
    pub(crate) sessions: u64,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) agent: Agent,
    pub(crate) controller: Controller,
    pub(crate) raft: Raft,
    pub(crate) data: Data,
    pub(crate) topology: Arc<Topology>,
    pub(crate) bootstrap: Option<Bootstrap>,
    /// Last hellos by machine: when, and of which id.
    pub(crate) hellos: BTreeMap<usize, (u64, NodeId)>,
    pub(crate) applied: usize,
    pub(crate) apply_at: u64,
    pub(crate) wanted_voters: Option<BTreeSet<NodeId>>,
    pub(crate) ticks: u64,
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) index: usize,
    /// Microseconds the clock is ahead, and by how many millionths it runs fast.
    pub(crate) clock: (u64, i64),
    pub(crate) disk: Disk,
    pub(crate) running: Option<Running>,
    /// Counts processes, so that ticks of dead ones end.
    pub(crate) life: u32,
    pub(crate) paused_until: u64,
    /// The data threads are hung from one moment to another.
    pub(crate) hung: Option<(u64, u64)>,
    pub(crate) inbox: Vec<(usize, Message)>,
    data_inbox: Vec<(usize, Message)>,
    setup: Setup,
}

impl Machine {
    pub(crate) fn new(index: usize, clock: (u64, i64), setup: Setup) -> Machine {
        Machine {
            index,
            clock,
            disk: Disk::default(),
            running: None,
            life: 0,
            paused_until: 0,
            hung: None,
            inbox: Vec::new(),
            data_inbox: Vec::new(),
            setup,
        }
    }

    pub(crate) fn local(&self, now: u64) -> Time {
        let drift = now as i64 * self.clock.1 / 1_000_000;
        Time((now as i64 + drift) as u64 + self.clock.0)
    }

    pub(crate) fn id(&self) -> Option<NodeId> {
        self.disk.id
    }

    pub(crate) fn process(&self) -> Option<Process> {
        self.running.as_ref().map(|running| running.agent.me())
    }

    pub(crate) fn is_hung(&self, now: u64) -> bool {
        self.hung.is_some_and(|(from, until)| from <= now && now < until)
    }

    /// Starts a process on what the disk has.
    pub(crate) fn start(&mut self, now: u64, fresh_id: impl FnOnce() -> NodeId, rng: &mut Rng) {
        let local = self.local(now);
        let id = *self.disk.id.get_or_insert_with(fresh_id);
        self.disk.incarnation += 1;
        self.life += 1;
        let me = Process { node: id, incarnation: Incarnation(self.disk.incarnation) };
        let Setup { timing, rules, fsync, expect, .. } = self.setup.clone();
        let announcement = Announcement {
            clients: format!("m{}:6379", self.index),
            peers: format!("m{}:16379", self.index),
            zone: String::new(),
            priority: 100,
        };
        let raft = match self.disk.raft.take() {
            Some(raft) => raft.reboot(local, rng),
            None => Raft::new(id, timing.clone(), rules),
        };
        let bootstrap = raft
            .group
            .is_none()
            .then(|| Bootstrap::new(id, expect, self.disk.tries, self.disk.promised, rules));
        self.disk.sessions += 1 << 20;
        let data = Data::new(std::mem::take(&mut self.disk.data), fsync, rules, self.disk.sessions);
        self.running = Some(Running {
            agent: Agent::new(me, announcement, timing.clone(), rules),
            controller: Controller::new(me, expect, timing, rules, local),
            raft,
            data,
            topology: Arc::default(),
            bootstrap,
            hellos: BTreeMap::new(),
            applied: 0,
            apply_at: 0,
            wanted_voters: None,
            ticks: 0,
        });
    }

    /// The process is gone; its memory with it.
    pub(crate) fn crash(&mut self, rng: &mut Rng) {
        if let Some(running) = self.running.take() {
            self.disk.raft = Some(running.raft);
            self.disk.data = running.data.crashed(rng);
        }
        self.inbox.clear();
        self.data_inbox.clear();
        (self.paused_until, self.hung) = (0, None);
    }

    pub(crate) fn wipe(&mut self) {
        let (seq, sessions) = (self.disk.hello_seq, self.disk.sessions);
        self.disk = Disk { hello_seq: seq, sessions, ..Disk::default() };
    }

    /// Runs `work` on the running process.
    fn with<R>(
        &mut self,
        now: u64,
        rng: &mut Rng,
        step: &mut Step,
        work: impl FnOnce(&mut Active<'_>) -> R,
    ) -> Option<R> {
        let local = self.local(now);
        let hung = self.is_hung(now);
        let running = self.running.as_mut()?;
        let mut active =
            Active { running, disk: &mut self.disk, setup: &self.setup, now, local, hung, rng, step };
        Some(work(&mut active))
    }

    pub(crate) fn tick(&mut self, now: u64, rng: &mut Rng, step: &mut Step) {
        let stalled_for = self.hung.filter(|_| self.is_hung(now)).map_or(0, |(from, _)| now - from);
        if stalled_for == 0 && !self.data_inbox.is_empty() {
            for (from, message) in std::mem::take(&mut self.data_inbox) {
                self.receive(now, from, message, rng, step);
            }
        }
        self.with(now, rng, step, |active| active.tick(Span(stalled_for)));
    }

    pub(crate) fn receive(
        &mut self,
        now: u64,
        from: usize,
        message: Message,
        rng: &mut Rng,
        step: &mut Step,
    ) {
        let is_data = matches!(message, Message::Data(_) | Message::Request { .. });
        if is_data && self.is_hung(now) && self.running.is_some() {
            return self.data_inbox.push((from, message));
        }
        self.with(now, rng, step, |active| active.receive(from, message));
    }

    pub(crate) fn hand_over(&mut self, now: u64, leaving: bool, rng: &mut Rng, step: &mut Step) {
        let input = agent::Input::HandOver { to: None, leaving };
        self.with(now, rng, step, |active| active.agent(input));
    }

    pub(crate) fn transfer(&mut self, now: u64, to: NodeId, rng: &mut Rng, step: &mut Step) {
        self.with(now, rng, step, |active| {
            let mut effects = Vec::new();
            active.running.raft.transfer(to, &mut effects);
            active.raft_effects(effects);
        });
    }
}
