//! What operators do, and processes that are asked to stop: SIGTERM, CLUSTER FORGET, CONFIG SET, a machine set up anew.

use crate::faults::{Fault, Order};
use crate::machine::{Leaving, Machine};
use crate::world::{Event, World};
use redoubt_ha::NodeId;
use redoubt_ha::controller::Request;
use redoubt_ha::topology::ONLY_SHARD;

/// How often a process that is to stop looks whether it may.
const LOOK: u64 = 2_000;

/// How long a leader of the Raft group waits for another to take over before it stops.
const TRANSFER: u64 = 20_000;

/// How long an operator waits before trying again.
const AGAIN: u64 = 250_000;

impl World {
    pub(crate) fn operate(&mut self, order: Order) {
        match order {
            Order::Transfer { to } => {
                let Some(to) = self.machines[to].id() else { return };
                for machine in 0..self.machines.len() {
                    self.step(machine, |machine, now, rng, step| machine.transfer(now, to, rng, step));
                }
            }
            Order::HandOver { leaving } => {
                for index in 0..self.machines.len() {
                    self.step(index, |machine, now, rng, step| machine.hand_over(now, leaving, rng, step));
                }
            }
            Order::Leave { machine, length, stays } => self.leave(machine, length, stays),
            Order::Roll { pace, length } => {
                for machine in 0..self.machines.len() {
                    let at = self.now + pace * machine as u64;
                    let leave = Order::Leave { machine, length, stays: false };
                    self.schedule(at, Event::Inflict(Fault::Operator(leave)));
                }
            }
            Order::Forget { machine } => self.forget(machine),
            Order::Set { name, value } => self.set(name, value),
        }
    }

    /// SIGTERM. What follows is what the server does on it, step by step.
    pub(crate) fn leave(&mut self, index: usize, length: u64, stays: bool) {
        let machine = &mut self.machines[index];
        if machine.running.is_none() || machine.leaving.is_some() || machine.paused_until > self.now {
            return;
        }
        let deadline = self.now + self.setup.timing.handover.0;
        machine.leaving = Some(Leaving { deadline, stays, length });
        let life = machine.life;
        self.step(index, |machine, now, rng, step| machine.leave(now, rng, step));
        self.schedule(self.now + LOOK, Event::Leaving { machine: index, life });
    }

    /// It waits until nobody counts on it, hands the Raft group over, and stops.
    pub(crate) fn go_on_leaving(&mut self, index: usize, life: u32) {
        let machine = &self.machines[index];
        let Some(leaving) = machine.leaving.filter(|_| machine.life == life) else { return };
        let goes_on = machine.is_missed() && self.now < leaving.deadline;
        if goes_on || machine.paused_until > self.now {
            return self.schedule(self.now + LOOK, Event::Leaving { machine: index, life });
        }
        if leaving.stays {
            self.note(|| format!("m{index} stays after all"));
            self.machines[index].leaving = None;
            return self.step(index, |machine, now, rng, step| machine.stay(now, rng, step));
        }
        let leads = |machine: &Machine| {
            machine.running.as_ref().is_some_and(|running| running.raft.leader == Some(running.raft.me))
        };
        if leads(machine) && self.now < leaving.deadline {
            let heir = machine.running.as_ref().and_then(|running| running.raft.heir());
            if let Some(to) = heir {
                self.step(index, |machine, now, rng, step| machine.transfer(now, to, rng, step));
            }
            let deadline = leaving.deadline.min(self.now + TRANSFER);
            self.machines[index].leaving = Some(Leaving { deadline, ..leaving });
            return self.schedule(self.now + LOOK, Event::Leaving { machine: index, life });
        }
        self.note(|| format!("m{index} stops"));
        self.stop(index, leaving.length);
    }

    /// A process stops in its own time.
    fn stop(&mut self, machine: usize, start_after: u64) {
        self.machines[machine].stop(&mut self.rng);
        self.gone(machine, start_after);
    }

    /// CLUSTER FORGET, asked of all nodes: the one that decides does it.
    pub(crate) fn forget(&mut self, machine: usize) {
        let Some(node) = self.machines[machine].id() else { return };
        let is_busy = self.machines.iter().any(|other| self.is_forgotten(other));
        if is_busy || self.machines.len() < 3 || !self.may_wipe(machine) {
            return;
        }
        self.oracle.asked_to_forget.insert(node);
        self.ask(&Request::Forget(node));
    }

    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        self.ask(&Request::Set { name: name.into(), value: value.map(Into::into) });
    }

    fn ask(&mut self, request: &Request) {
        for index in 0..self.machines.len() {
            if self.machines[index].paused_until <= self.now {
                let request = request.clone();
                self.step(index, |machine, now, rng, step| machine.ask(now, request, rng, step));
            }
        }
    }

    /// Once the faults are over the settings are what they were.
    pub(crate) fn reset(&mut self) {
        let names: Vec<String> = self.oracle.topology.settings.keys().cloned().collect();
        for name in &names {
            self.set(name, None);
        }
        self.schedule(self.now + AGAIN, Event::Reset);
    }

    fn is_forgotten(&self, machine: &Machine) -> bool {
        machine.id().is_some_and(|id| self.oracle.topology.forgotten.contains(&id))
    }

    /// Nodes were forgotten: whoever runs the deployment sets their machines up anew.
    pub(crate) fn note_forgotten(&mut self) {
        for machine in 0..self.machines.len() {
            if self.is_forgotten(&self.machines[machine]) {
                let at = self.now + self.rng.u64(10_000..1_500_000);
                self.schedule(at, Event::Readmit { machine });
            }
        }
    }

    pub(crate) fn readmit(&mut self, machine: usize) {
        if !self.is_forgotten(&self.machines[machine]) {
            return;
        }
        if self.may_wipe(machine) {
            // It joins by itself on the data it has, or with nothing.
            let keeps_data = self.rng.bool();
            self.note(|| format!("m{machine} was forgotten and begins anew, with its data: {keeps_data}"));
            let data = self.machines[machine].held().filter(|_| keeps_data);
            self.crash(machine, true, 50_000);
            self.machines[machine].disk.data = data.unwrap_or_default();
        } else {
            self.schedule(self.now + AGAIN, Event::Readmit { machine });
        }
    }

    /// Whether the Raft group is what the members make of it: an odd number of them votes, and nobody who is gone.
    pub(crate) fn is_group_well(&self) -> bool {
        let leader = &self.machines[self.raft_leader()];
        let Some(group) = leader.running.as_ref().map(|running| running.raft.members()) else { return false };
        let is_there = |node: NodeId| self.machines.iter().any(|machine| machine.id() == Some(node));
        let count = self.machines.len().min(5);
        let target = if count.is_multiple_of(2) { count - 1 } else { count };
        let shard = self.oracle.topology.shards.get(&ONLY_SHARD);
        // Who lost its disk before anybody heard of it may stay a learner.
        let is_whole = shard.is_some_and(|shard| shard.replicas.len() == self.machines.len())
            && self.machines.iter().all(|machine| machine.id().is_some_and(|id| group.contains(id)));
        is_whole
            && group.changed().is_none()
            && group.voters().all(is_there)
            && group.voters().count() == target
    }
}
