//! The world of one seed: virtual time, machines, network, clients, faults. Everything that happens is an event in one queue.

use crate::client::{Client, PATIENCE};
use crate::data::Reply;
use crate::faults::{FOR_GOOD, Fault, LEADER, Order, Plan};
use crate::linear;
use crate::machine::{Machine, Message, Setup, Step, To};
use crate::network::{Network, Weather};
use crate::oracle::Oracle;
use crate::raft::Group;
use fastrand::Rng;
use redoubt_ha::{NodeId, Rules, Span, Timing};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// How long a deployment may take, once all faults are over, to have one primary, equal copies, everybody in sync and writes
/// that are acknowledged. 16 times `ha-node-timeout`; most of it is waiting for replica timeouts and full resyncs one after another.
pub const LIVENESS_BOUND: u64 = 8_000_000;

/// When, after the last fault, processes that hang for good are restarted if nobody else is in sync.
const OPERATOR_AFTER: u64 = 3_500_000;

/// Between two ticks of a process.
const TICK: u64 = 12_500;

#[derive(Debug)]
pub(crate) enum Event {
    Deliver {
        to: usize,
        from: usize,
        node: Option<NodeId>,
        message: Message,
    },
    Tick {
        machine: usize,
        life: u32,
    },
    Wake {
        machine: usize,
        life: u32,
    },
    Start {
        machine: usize,
    },
    /// Looks whether a process that was asked to stop may.
    Leaving {
        machine: usize,
        life: u32,
    },
    /// A machine that was forgotten is set up anew.
    Readmit {
        machine: usize,
    },
    /// Settings get their defaults again.
    Reset,
    Resume {
        machine: usize,
    },
    Fault,
    /// A part of a fault that takes time.
    Inflict(Fault),
    Invoke {
        client: usize,
    },
    Reply {
        client: usize,
        op: u64,
        reply: Reply,
    },
    GiveUp {
        client: usize,
        op: u64,
    },
}

#[derive(Debug)]
struct Scheduled {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The first thing that must not happen, if it did.
    pub violation: Option<String>,
    /// What happened, line by line, if it was asked for.
    pub trace: Vec<String>,
    /// Replies that left primaries.
    pub acknowledged: u64,
    /// Epochs that began.
    pub failovers: u64,
    /// Whether the failures took more than the rules promise to keep.
    pub lossy: bool,
    /// Microseconds from the end of the faults until all was well.
    pub healed_after: u64,
}

pub(crate) struct World {
    pub(crate) now: u64,
    order: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    pub(crate) rng: Rng,
    plan: Plan,
    pub(crate) setup: Setup,
    pub(crate) machines: Vec<Machine>,
    /// Which machine a node lives or lived on.
    owners: Vec<usize>,
    network: Network,
    clients: Vec<Client>,
    values: u32,
    pub(crate) oracle: Oracle,
    trace: Vec<String>,
    violation: Option<String>,
}

impl World {
    pub(crate) fn new(seed: u64, rules: Rules, tracing: bool) -> World {
        let mut rng = Rng::with_seed(seed);
        let plan = Plan::new(&mut rng);
        // Scripts of the simulator are as short as its runs, and the dead are replaced within them.
        let (stall_timeout, replace) = (Span::millis(2500), Span::millis(2500));
        let forget_timeout = plan.forget.map(Span);
        let timing = Timing { stall_timeout, replace, forget_timeout, ..Timing::default() };
        let setup = Setup {
            timing,
            rules,
            fsync: plan.fsync,
            expect: plan.expect,
            apply_lag: plan.apply_lag,
            thread_lag: plan.thread_lag,
            compact: plan.compact,
            tracing,
        };
        let clock = |rng: &mut Rng| (rng.u64(0..1_000_000_000), rng.i64(-2000..2000));
        let machines =
            (0..plan.machines).map(|index| Machine::new(index, clock(&mut rng), setup.clone())).collect();
        let clients = (0..plan.clients).map(|_| Client::new(rng.usize(0..plan.machines))).collect();
        let mut world = World {
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            network: Network::new(plan.machines),
            rng,
            plan,
            setup,
            machines,
            owners: Vec::new(),
            clients,
            values: 0,
            oracle: Oracle::default(),
            trace: Vec::new(),
            violation: None,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let plan = self.plan.clone();
        self.note(|| format!("{plan:?}"));
        for machine in 0..self.plan.machines {
            let is_late = machine >= self.plan.machines - self.plan.late;
            let at = if is_late { self.rng.u64(1_000_000..5_000_000) } else { self.rng.u64(0..300_000) };
            self.schedule(at, Event::Start { machine });
            for other in 0..self.plan.machines {
                if self.plan.rough_start && self.rng.bool() {
                    let until = self.rng.u64(0..2_500_000);
                    self.network.cut(machine, other, until);
                }
            }
        }
        for client in 0..self.plan.clients {
            self.schedule(1_000_000, Event::Invoke { client });
        }
        self.schedule(if self.plan.rough_start { 100_000 } else { 1_500_000 }, Event::Fault);
    }

    pub(crate) fn schedule(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled { at, order: self.order, event }));
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.setup.tracing {
            let line = format!("{:>9.3} {}", self.now as f64 / 1e6, text());
            self.trace.push(line);
        }
    }

    /// Runs until something is wrong or everything has healed.
    pub(crate) fn run(mut self) -> Outcome {
        let mut healed = None;
        let (mut calm, mut operated) = (false, false);
        while self.violation.is_none() && healed.is_none() {
            let Some(Reverse(next)) = self.queue.pop() else { break };
            self.now = next.at;
            if !calm && self.now >= self.plan.calm_at {
                calm = true;
                self.calm();
            }
            self.handle(next.event);
            if self.now > self.plan.calm_at + OPERATOR_AFTER && !operated {
                operated = true;
                self.restart_hung();
            }
            if calm && self.is_well() {
                healed = Some(self.now - self.plan.calm_at);
            } else if self.now > self.plan.calm_at + LIVENESS_BOUND {
                let why = format!(
                    "not well {} s after the last fault: {}",
                    LIVENESS_BOUND / 1_000_000,
                    self.state()
                );
                self.violation.get_or_insert(why);
            }
        }
        self.oracle.history.extend(self.clients.iter().filter_map(Client::unfinished));
        if self.violation.is_none() && !self.oracle.lossy {
            self.violation = linear::violation(&self.oracle.history);
        }
        if let Some(why) = self.violation.clone() {
            self.note(|| format!("VIOLATION: {why}"));
        }
        Outcome {
            violation: self.violation,
            trace: self.trace,
            acknowledged: self.oracle.acknowledged,
            failovers: self.oracle.failovers,
            lossy: self.oracle.lossy,
            healed_after: healed.unwrap_or(0),
        }
    }

    fn check(&mut self, result: Result<(), String>) {
        if let Err(why) = result {
            self.violation.get_or_insert(why);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Deliver { to, from, node, message } => {
                if node.is_none_or(|node| self.machines[to].id() == Some(node)) {
                    self.deliver(to, from, message);
                }
            }
            Event::Tick { machine, life } => {
                if self.machines[machine].life == life && self.machines[machine].running.is_some() {
                    self.schedule(self.now + TICK, Event::Tick { machine, life });
                    if self.machines[machine].paused_until <= self.now {
                        self.step(machine, |machine, now, rng, step| machine.tick(now, rng, step));
                    }
                }
            }
            Event::Wake { machine, life } => {
                let one = &self.machines[machine];
                if one.life == life && one.running.is_some() && one.paused_until <= self.now {
                    self.step(machine, |machine, now, rng, step| machine.wake(now, rng, step));
                }
            }
            Event::Start { machine } => self.start(machine),
            Event::Leaving { machine, life } => self.go_on_leaving(machine, life),
            Event::Readmit { machine } => self.readmit(machine),
            Event::Reset => self.reset(),
            Event::Resume { machine } => {
                if self.machines[machine].paused_until <= self.now {
                    for (from, message) in std::mem::take(&mut self.machines[machine].inbox) {
                        self.deliver(machine, from, message);
                    }
                }
            }
            Event::Fault => {
                if self.now < self.plan.calm_at {
                    let fault = self.plan.fault(&mut self.rng);
                    self.note(|| format!("fault: {fault:?}"));
                    self.inflict(fault);
                    let next = self.now + self.rng.u64(20_000..self.plan.pace);
                    self.schedule(next, Event::Fault);
                }
            }
            Event::Inflict(fault) => {
                if self.now < self.plan.calm_at {
                    self.note(|| format!("fault: {fault:?}"));
                    self.inflict(fault);
                }
            }
            Event::Invoke { client } => self.invoke(client),
            Event::Reply { client, op, reply } => self.answer(client, op, reply),
            Event::GiveUp { client, op } => self.answer(client, op, Reply::Closed),
        }
    }

    fn deliver(&mut self, to: usize, from: usize, message: Message) {
        if self.machines[to].paused_until > self.now {
            if self.machines[to].running.is_some() {
                self.machines[to].inbox.push((from, message));
            }
            return;
        }
        self.step(to, |machine, now, rng, step| machine.receive(now, from, message, rng, step));
    }

    /// Lets a machine do something, and sees to what comes of it.
    pub(crate) fn step(&mut self, index: usize, work: impl FnOnce(&mut Machine, u64, &mut Rng, &mut Step)) {
        let mut step = Step::default();
        work(&mut self.machines[index], self.now, &mut self.rng, &mut step);
        for note in std::mem::take(&mut step.notes) {
            let process = self.machines[index].process();
            self.note(|| format!("m{index} ({}): {note}", process.map_or("-".into(), |one| one.to_string())));
        }
        self.oracle.note_holder(&self.machines[index]);
        let forgotten = self.oracle.topology.forgotten.len();
        let committed = self.oracle.on_committed(&self.machines, index, &self.setup);
        self.check(committed);
        if self.oracle.topology.forgotten.len() > forgotten {
            self.note_forgotten();
        }
        if step.restored {
            let restored = self.oracle.on_restored(&self.machines[index]);
            self.check(restored);
        }
        let (machine, life) = (index, self.machines[index].life);
        for at in step.wakes {
            self.schedule(at, Event::Wake { machine, life });
        }
        if step.discarded {
            let discarded = self.oracle.on_discard(&self.machines[index]);
            self.check(discarded);
        }
        if let Some(epoch) = step.led {
            let led = self.oracle.on_lead(epoch, &self.machines[index]);
            self.check(led);
        }
        for (pending, epoch, at_once) in step.acknowledged {
            let told = (&pending, epoch, at_once);
            let result = self.oracle.on_acknowledged(self.now, index, told, &self.machines);
            self.check(result);
            let reply = if at_once { Reply::AtOnce(pending.value) } else { Reply::Done(pending.value) };
            self.reply(pending.client, pending.op, reply);
        }
        for (client, op, reply) in step.replies {
            self.reply(client, op, reply);
        }
        for (to, message, delay) in step.out {
            self.send(index, to, message, delay);
        }
    }

    fn send(&mut self, from: usize, to: To, message: Message, delay: u64) {
        match to {
            To::Node(node) => {
                let Some(&owner) = self.owners.get(node.0 as usize) else { return };
                self.send_one(from, owner, Some(node), message, delay);
            }
            To::Machine(machine) => self.send_one(from, machine, None, message, delay),
            To::Everybody => {
                for machine in 0..self.machines.len() {
                    self.send_one(from, machine, None, message.clone(), delay);
                }
            }
        }
    }

    fn send_one(&mut self, from: usize, to: usize, node: Option<NodeId>, message: Message, delay: u64) {
        let [first, second] = self.network.arrivals(self.now, from, to, &mut self.rng);
        if let Some(at) = second {
            self.schedule(at + delay, Event::Deliver { to, from, node, message: message.clone() });
        }
        if let Some(at) = first {
            self.schedule(at + delay, Event::Deliver { to, from, node, message });
        }
    }

    fn reply(&mut self, client: usize, op: u64, reply: Reply) {
        let at = self.now + self.rng.u64(50..500);
        self.schedule(at, Event::Reply { client, op, reply });
    }

    fn invoke(&mut self, client: usize) {
        let (target, op, ask) = self.clients[client].invoke(self.now, &mut self.values, &mut self.rng);
        let at = self.now + self.rng.u64(50..500);
        let message = Message::Request { client, op, ask };
        if self.machines[target].running.is_some() {
            self.schedule(at, Event::Deliver { to: target, from: target, node: None, message });
            self.schedule(self.now + PATIENCE, Event::GiveUp { client, op });
        } else {
            self.schedule(at, Event::Reply { client, op, reply: Reply::Refused });
        }
    }

    fn answer(&mut self, client: usize, op: u64, reply: Reply) {
        let machines = self.machines.len();
        let (entry, over) = self.clients[client].answered(self.now, op, reply, machines, &mut self.rng);
        self.oracle.history.extend(entry);
        if over {
            let next = self.now + self.rng.u64(2_000..40_000);
            self.schedule(next, Event::Invoke { client });
        }
    }

    fn start(&mut self, index: usize) {
        if self.machines[index].running.is_some() {
            return;
        }
        let owners = &mut self.owners;
        let fresh = || {
            owners.push(index);
            NodeId(owners.len() as u64 - 1)
        };
        self.machines[index].start(self.now, fresh, &mut self.rng);
        let (machine, life) = (index, self.machines[index].life);
        let process = self.machines[index].process();
        self.note(|| format!("m{index} starts as {process:?}"));
        self.step(index, |machine, now, rng, step| machine.tick(now, rng, step));
        let at = self.now + self.rng.u64(1..TICK);
        self.schedule(at, Event::Tick { machine, life });
    }

    pub(crate) fn crash(&mut self, machine: usize, wipe: bool, start_after: u64) {
        self.machines[machine].crash(&mut self.rng);
        if wipe {
            self.machines[machine].wipe();
        }
        self.gone(machine, start_after);
    }

    /// A process has ended: what it held may be lost.
    pub(crate) fn gone(&mut self, machine: usize, start_after: u64) {
        self.oracle.note_holder(&self.machines[machine]);
        self.oracle.on_loss(&self.machines);
        self.schedule(self.now + start_after, Event::Start { machine });
    }

    fn inflict(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::Isolate { machine, length } => {
                for other in (0..self.machines.len()).filter(|other| *other != machine) {
                    self.network.cut(machine, other, now + length);
                    self.network.cut(other, machine, now + length);
                }
            }
            Fault::OneWay { from, to, length } => self.network.cut(from, to, now + length),
            Fault::Cut { one, other, length } => {
                self.network.cut(one, other, now + length);
                self.network.cut(other, one, now + length);
            }
            Fault::Creep { machine, pace, length } => {
                let machine = if machine == LEADER { self.raft_leader() } else { machine };
                let mut at = now;
                for other in (0..self.machines.len()).filter(|other| *other != machine) {
                    self.schedule(at, Event::Inflict(Fault::Cut { one: machine, other, length }));
                    at += pace;
                }
            }
            Fault::Estrange { one, other, third, by_third, after, length } => {
                self.inflict(Fault::Cut { one, other, length });
                let to = if by_third { third } else { other };
                self.schedule(now + after, Event::Inflict(Fault::Operator(Order::Transfer { to })));
                if !by_third && third != one && third != other {
                    let crash = Fault::Crash { machine: third, length: 30_000 };
                    self.schedule(now + after, Event::Inflict(crash));
                }
            }
            Fault::Heal => self.network.heal(),
            Fault::Crash { machine, length } => self.crash(machine, false, length),
            Fault::PowerCut => {
                for machine in 0..self.machines.len() {
                    let length = self.rng.u64(20_000..1_500_000);
                    self.crash(machine, false, length);
                }
            }
            Fault::Wipe { machine, length } => {
                if self.may_wipe(machine) && self.keeps_quorum_once_forgotten(machine) {
                    self.crash(machine, true, length);
                }
            }
            Fault::Pause { machine, length } => {
                if self.machines[machine].running.is_some() {
                    self.machines[machine].paused_until = now + length;
                    self.schedule(now + length, Event::Resume { machine });
                }
            }
            Fault::Hang { machine, length } => self.hang(machine, length),
            Fault::Weather(weather) => self.network.weather = weather,
            Fault::Operator(order) => self.operate(order),
        }
    }

    fn hang(&mut self, index: usize, length: u64) {
        // For good only one: the others must be enough for a primary and its minimum.
        let hangs_for_good =
            |machine: &Machine| machine.hung.is_some_and(|(from, until)| until - from >= FOR_GOOD);
        let too_many =
            length >= FOR_GOOD && (self.machines.iter().any(hangs_for_good) || self.machines.len() < 3);
        if self.machines[index].running.is_some() && !too_many {
            self.machines[index].hung = Some((self.now, self.now + length));
        }
    }

    /// The machine that leads the group, by the newest term.
    pub(crate) fn raft_leader(&self) -> usize {
        let term = |machine: &Machine| {
            let raft = &machine.running.as_ref()?.raft;
            (raft.leader == Some(raft.me)).then_some(raft.term)
        };
        self.machines.iter().max_by_key(|machine| term(machine)).map_or(0, |machine| machine.index)
    }

    /// A disk may be lost as long as most voters keep theirs: more is beyond what any rule covers.
    pub(crate) fn may_wipe(&self, machine: usize) -> bool {
        let Some(id) = self.machines[machine].id() else { return false };
        let groups = self.groups_without(machine);
        let lives = |node| node != id && groups.iter().any(|(other, _)| *other == node);
        // So many nodes that know of no deployment would begin another where they do not reach it.
        let blank = self.machines.iter().filter(|other| other.id().is_none_or(|id| !lives(id))).count();
        let keeps = groups.iter().all(|(_, group)| group.has_quorum(lives));
        !groups.is_empty() && keeps && blank < self.plan.expect
    }

    /// Whether most voters keep their disks also when those are gone whose forgetting was asked for: that may begin before
    /// anybody has missed the one that lost its disk.
    fn keeps_quorum_once_forgotten(&self, machine: usize) -> bool {
        let groups = self.groups_without(machine);
        let lives = |node| groups.iter().any(|(other, _)| *other == node);
        let left = groups.iter().map(|(_, group)| group.without(&self.oracle.asked_to_forget));
        left.filter(|group| group.voters().next().is_some()).all(|group| group.has_quorum(lives))
    }

    /// All machines but one that have a disk: their nodes, and the group as they know it.
    fn groups_without(&self, machine: usize) -> Vec<(NodeId, Rc<Group>)> {
        let group = |other: &Machine| {
            let running = other.running.as_ref().map(|running| running.raft.members());
            let group = running.or_else(|| other.disk.raft.as_ref().map(|raft| raft.members()))?;
            group.voters().next()?;
            Some((other.id()?, group))
        };
        self.machines.iter().filter(|other| other.index != machine).filter_map(group).collect()
    }

    /// All faults end; what is down comes up. What is hung for good stays so.
    fn calm(&mut self) {
        self.note(|| "calm".into());
        self.network.heal();
        self.network.weather = Weather::FAIR;
        for machine in 0..self.machines.len() {
            self.machines[machine].paused_until = self.machines[machine].paused_until.min(self.now);
            self.schedule(self.now, Event::Resume { machine });
            self.schedule(self.now, Event::Start { machine });
        }
        self.clients.iter_mut().for_each(|client| client.writes = 0);
        self.schedule(self.now + 1, Event::Reset);
    }

    /// Where a hung process alone has everything, nothing can be done without it: its operator restarts it.
    fn restart_hung(&mut self) {
        if self.oracle.has_sound_member(self.now, &self.machines) {
            return;
        }
        for machine in 0..self.machines.len() {
            if self.machines[machine].is_hung(self.now) {
                self.note(|| format!("m{machine} hangs and is restarted by hand"));
                self.crash(machine, false, 0);
            }
        }
    }

    fn is_primary(&self, machine: &Machine) -> bool {
        let local = machine.local(self.now);
        machine.running.as_ref().is_some_and(|running| running.data.can_acknowledge(local))
    }

    fn is_well(&self) -> bool {
        let now = self.now;
        // One is enough: how soon a client finds the primary is its own luck.
        if self.clients.iter().all(|client| client.writes == 0) {
            return false;
        }
        let hung = |machine: &Machine| machine.hung.is_some_and(|(_, until)| until > now);
        let sound = self.machines.iter().filter(|machine| !hung(machine));
        let all_up = self.machines.iter().all(|machine| machine.running.is_some());
        let in_sync: Vec<_> = self.oracle.in_sync().collect();
        let are_in = sound.clone().all(|machine| machine.id().is_some_and(|id| in_sync.contains(&id)));
        let primaries = sound.clone().filter(|machine| self.is_primary(machine));
        let settled = self.oracle.topology.settings.is_empty() && self.is_group_well();
        all_up && are_in && settled && primaries.count() == 1 && self.oracle.equal_data(sound)
    }

    fn state(&self) -> String {
        let machine = |machine: &Machine| {
            let running = machine.running.as_ref();
            format!(
                "m{} {:?} raft {:?} leads {:?} follows {:?} log {:?} hung {} data {:?}",
                machine.index,
                machine.process(),
                running.map(|running| (
                    running.raft.role,
                    running.raft.term,
                    running.raft.commit,
                    running.raft.log.len(),
                    running.raft.members(),
                )),
                running.and_then(|running| running.agent.leads()),
                running.and_then(|running| running.agent.follows()),
                running.and_then(|running| running.data.position()),
                machine.is_hung(self.now),
                running.map(|running| running.data.link()),
            )
        };
        let machines: Vec<String> = self.machines.iter().map(machine).collect();
        let writes: Vec<u64> = self.clients.iter().map(|client| client.writes).collect();
        format!("\n  {}\n  writes {writes:?}\n  {:?}", machines.join("\n  "), self.oracle.topology)
    }
}
