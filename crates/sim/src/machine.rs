//! One machine: a clock, a disk, and the process that runs on it when it runs.

use crate::active::Active;
use crate::data::{Ask, Data, DataMessage, Fsync, Pending, Record, Reply};
use crate::raft::{Group, Kind, Raft, RaftMessage};
use fastrand::Rng;
use redoubt_ha::agent::{self, Agent};
use redoubt_ha::bootstrap::{Attempt, Bootstrap, Hello};
use redoubt_ha::controller::{self, Controller};
use redoubt_ha::message::{HandOver, Heartbeat, Lease};
use redoubt_ha::topology::{Announcement, ONLY_SHARD, Topology};
use redoubt_ha::{Epoch, Incarnation, NodeId, Position, Process, Rules, Span, Time, Timing};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
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
    /// Replies that leave, with the epoch they are acknowledged in, and whether at once: then nothing is promised.
    pub(crate) acknowledged: Vec<(Pending, Epoch, bool)>,
    pub(crate) replies: Vec<(usize, u64, Reply)>,
    pub(crate) led: Option<Epoch>,
    pub(crate) discarded: bool,
    /// A snapshot was taken over.
    pub(crate) restored: bool,
    /// When the machine wants to go on by itself.
    pub(crate) wakes: Vec<u64>,
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
    /// Longest time that news of the data threads, and orders to them, wait.
    pub(crate) thread_lag: u64,
    /// After how many entries a snapshot takes the place of the log; 0: never.
    pub(crate) compact: usize,
    pub(crate) tracing: bool,
}

/// Something for one of the state machines.
#[derive(Debug)]
pub(crate) enum Work {
    Agent(agent::Input),
    Controller(controller::Input),
}

/// What a process's data is to become, and as which process.
#[derive(Debug)]
pub(crate) enum Order {
    Lead(Process, Epoch),
    Follow(Process, Process, Epoch),
    Rest,
    NewLife(Process),
    Discard,
}

/// Leading an epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leading {
    /// The order to the data plane.
    pub(crate) order: u64,
    pub(crate) epoch: Epoch,
    /// The end of the lease, once there is one.
    pub(crate) lease: Option<Time>,
    /// What is committed, and how many copies were asked for then.
    pub(crate) committed: (usize, usize),
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
    /// Who asks to be let in.
    pub(crate) joining: BTreeSet<NodeId>,
    /// The group the controller knows.
    pub(crate) told_group: Rc<Group>,
    pub(crate) ticks: u64,
    pub(crate) work: VecDeque<Work>,
    pub(crate) orders: VecDeque<Order>,
    pub(crate) orders_given: u64,
    pub(crate) orders_done: u64,
    pub(crate) orders_at: Option<u64>,
    pub(crate) leading: Option<Leading>,
    /// How many copies the agent's topology asks for.
    pub(crate) copies: usize,
    /// What the data plane has told since it was last looked at, and when that will be.
    pub(crate) acks: Vec<(Process, Epoch, usize)>,
    pub(crate) resync: Option<Epoch>,
    pub(crate) news_at: Option<u64>,
    /// What was last seen of the data.
    pub(crate) position: Option<Option<Position>>,
    /// Every write is news.
    pub(crate) watches_end: bool,
}

/// A process that was asked to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    pub(crate) deadline: u64,
    /// It does not stop after all.
    pub(crate) stays: bool,
    /// How long it is away.
    pub(crate) length: u64,
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
    pub(crate) leaving: Option<Leaving>,
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
            leaving: None,
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
        let data = Data::new(me, std::mem::take(&mut self.disk.data), fsync, rules, self.disk.sessions);
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
            joining: BTreeSet::new(),
            told_group: Rc::default(),
            ticks: 0,
            work: VecDeque::new(),
            orders: VecDeque::new(),
            orders_given: 0,
            orders_done: 0,
            orders_at: None,
            leading: None,
            copies: 1,
            acks: Vec::new(),
            resync: None,
            news_at: None,
            position: None,
            watches_end: false,
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
        (self.paused_until, self.hung, self.leaving) = (0, None, None);
    }

    /// The process stops in its own time: what it holds goes to the disk first, as far as that is wanted.
    pub(crate) fn stop(&mut self, rng: &mut Rng) {
        if let Some(running) = &mut self.running {
            running.data.sync();
        }
        self.crash(rng);
    }

    /// All records in memory, if they are complete.
    pub(crate) fn held(&self) -> Option<Vec<Record>> {
        let data = &self.running.as_ref()?.data;
        data.loaded.then(|| data.log.clone())
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
        let outcome = work(&mut active);
        active.settle();
        Some(outcome)
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

    pub(crate) fn wake(&mut self, now: u64, rng: &mut Rng, step: &mut Step) {
        self.with(now, rng, step, |active| active.wake());
    }

    pub(crate) fn hand_over(&mut self, now: u64, leaving: bool, rng: &mut Rng, step: &mut Step) {
        self.with(now, rng, step, |active| active.hand_over(None, leaving));
    }

    pub(crate) fn transfer(&mut self, now: u64, to: NodeId, rng: &mut Rng, step: &mut Step) {
        self.with(now, rng, step, |active| {
            let mut effects = Vec::new();
            active.running.raft.transfer(to, &mut effects);
            active.raft_effects(effects);
        });
    }

    /// An operator wants something of the deployment, and asks this node.
    pub(crate) fn ask(&mut self, now: u64, request: controller::Request, rng: &mut Rng, step: &mut Step) {
        self.with(now, rng, step, |active| match request {
            controller::Request::Set { name, value } => {
                active.propose(Kind::Entry(redoubt_ha::entry::Entry::Set { name, value }));
            }
            request => active.controller(controller::Input::Request(request)),
        });
    }

    /// SIGTERM: a primary hands over if it can, a replica leaves the in-sync set.
    pub(crate) fn leave(&mut self, now: u64, rng: &mut Rng, step: &mut Step) {
        self.with(now, rng, step, |active| {
            let agent = &active.running.agent;
            if agent.leads().is_some() {
                // Without anybody to hand over to there is nothing to wait for.
                let shard = active.running.topology.shards.get(&ONLY_SHARD);
                let others = shard.is_some_and(|shard| shard.in_sync.len() > 1);
                if others {
                    active.hand_over(None, true);
                }
            } else if agent.follows().is_some() {
                active.agent(agent::Input::Leaving);
            }
        });
    }

    /// It does not stop after all.
    pub(crate) fn stay(&mut self, now: u64, rng: &mut Rng, step: &mut Step) {
        self.with(now, rng, step, |active| active.stay());
    }

    /// Whether others count on this process, as far as it knows.
    pub(crate) fn is_missed(&self) -> bool {
        let Some(running) = &self.running else { return false };
        let in_sync = |running: &Running| {
            let shard = running.topology.shards.get(&ONLY_SHARD);
            shard.is_some_and(|shard| shard.in_sync.contains_key(&running.raft.me))
        };
        running.agent.leads().is_some() || (running.agent.follows().is_some() && in_sync(running))
    }
}
