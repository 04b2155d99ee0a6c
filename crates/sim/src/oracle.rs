//! What must be true at every instant, seen from outside by one who sees all machines at once.

use crate::data::{Pending, Record};
use crate::linear::Op;
use crate::machine::{Machine, Setup};
use crate::raft::{Kind, Logged};
use redoubt_ha::entry::{Applied, Entry};
use redoubt_ha::topology::{ONLY_SHARD, Topology};
use redoubt_ha::{Epoch, NodeId, Process};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// All that is known from outside.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Committed entries of the group's log, and the facts they make.
    entries: Vec<Rc<Logged>>,
    group: Option<u64>,
    pub(crate) topology: Topology,
    /// Nodes that operators wanted to be forgotten.
    pub(crate) asked_to_forget: BTreeSet<NodeId>,
    /// Everything a client may rely on, in order.
    committed: Vec<Record>,
    /// Which machines ever held the record of each value, as bits.
    holders: Vec<u8>,
    /// How much of each machine's log is noted there.
    noted: Vec<usize>,
    leaders: BTreeMap<Epoch, Process>,
    last_epoch: Epoch,
    /// The failures took every copy that the rules promise to keep: histories are not judged any more.
    pub(crate) lossy: bool,
    pub(crate) history: Vec<Op>,
    pub(crate) acknowledged: u64,
    pub(crate) failovers: u64,
}

impl Oracle {
    /// A reply leaves machine `from`. One that waited for nobody promises nothing.
    pub(crate) fn on_acknowledged(
        &mut self,
        now: u64,
        from: usize,
        (pending, epoch, at_once): (&Pending, Epoch, bool),
        machines: &[Machine],
    ) -> Result<(), String> {
        self.acknowledged += 1;
        for other in machines.iter().filter(|other| other.index != from) {
            let local = other.local(now);
            if other.running.as_ref().is_some_and(|running| running.data.can_acknowledge(local)) {
                return Err(format!("two primaries: m{from} acknowledges while m{} could", other.index));
            }
        }
        let Some(running) = &machines[from].running else { return Err("the dead acknowledge".into()) };
        let shard = self.topology.shards.get(&ONLY_SHARD);
        let is_given_up = self.lossy && shard.is_some_and(|shard| !shard.is_in_sync(running.agent.me()));
        if epoch < self.last_epoch {
            return Err(format!("epoch {epoch} acknowledges after epoch {}", self.last_epoch));
        }
        self.last_epoch = epoch;
        // A primary that operators have given up serves until it hears of it.
        if at_once || is_given_up {
            return Ok(());
        }
        let log = &running.data.log;
        if log.len() < self.committed.len() {
            return Err(format!(
                "m{from} acknowledges with {} of {} records",
                log.len(),
                self.committed.len()
            ));
        }
        if pending.required > self.committed.len() {
            self.extend(&log[..pending.required], machines)?;
            self.check_copies(&machines[from])?;
        }
        Ok(())
    }

    /// The committed part gets longer. It must agree with what was committed, every member of the set must have it, and so
    /// many machines as the minimum asks for must have had it.
    fn extend(&mut self, log: &[Record], machines: &[Machine]) -> Result<(), String> {
        let known = self.committed.len();
        if known > 0 && log[known - 1] != self.committed[known - 1] {
            return Err(format!("acknowledged record {known} was replaced: {:?}", log[known - 1]));
        }
        self.committed.extend_from_slice(&log[known..]);
        for machine in machines {
            let Some(running) = &machine.running else { continue };
            let held = self.held(&running.data.log);
            let process = running.agent.me();
            let Some(shard) = self.topology.shards.get(&ONLY_SHARD) else { continue };
            if shard.is_in_sync(process) && held < self.committed.len() {
                let all = self.committed.len();
                return Err(format!("{process} is in sync and has {held} of {all} acknowledged records"));
            }
        }
        Ok(())
    }

    /// So many machines as the minimum asks for must have had what is acknowledged, the acknowledging one among them.
    fn check_copies(&self, primary: &Machine) -> Result<(), String> {
        let Some(running) = &primary.running else { return Ok(()) };
        let needed = running.data.copies;
        // What a former primary wrote was counted then.
        let own = self.committed.last().filter(|last| Some(last.epoch) == running.data.leads());
        let bits = own.and_then(|last| self.holders.get(last.value as usize));
        let copies = bits.map_or(needed, |bits| bits.count_ones() as usize);
        if copies < needed {
            return Err(format!("acknowledged with {copies} copies, {needed} are the minimum"));
        }
        Ok(())
    }

    /// How much of the committed part this log has.
    fn held(&self, log: &[Record]) -> usize {
        let both = log.len().min(self.committed.len());
        // Logs differ from some point on if they differ at all.
        if both == 0 || log[both - 1] == self.committed[both - 1] {
            return both;
        }
        log.iter().zip(&self.committed).take_while(|(one, other)| one == other).count()
    }

    /// Notes what the machine has come to hold, committed or not.
    pub(crate) fn note_holder(&mut self, machine: &Machine) {
        self.noted.resize(self.noted.len().max(machine.index + 1), 0);
        let noted = &mut self.noted[machine.index];
        let log = machine.running.as_ref().map_or(&[][..], |running| &running.data.log);
        *noted = (*noted).min(log.len());
        for record in &log[*noted..] {
            let value = record.value as usize;
            self.holders.resize(self.holders.len().max(value + 1), 0);
            self.holders[value] |= 1 << machine.index;
        }
        *noted = log.len();
    }

    /// A process takes the lead.
    pub(crate) fn on_lead(&mut self, epoch: Epoch, machine: &Machine) -> Result<(), String> {
        let Some(process) = machine.process() else { return Ok(()) };
        self.failovers += 1;
        match self.leaders.insert(epoch, process) {
            Some(other) if other != process => Err(format!("{process} and {other} lead in epoch {epoch}")),
            _ => Ok(()),
        }
    }

    /// A process has thrown its data away: nobody may count on it any more.
    pub(crate) fn on_discard(&self, machine: &Machine) -> Result<(), String> {
        let Some(process) = machine.process() else { return Ok(()) };
        match self.topology.shards.get(&ONLY_SHARD) {
            Some(shard) if shard.is_in_sync(process) && !self.committed.is_empty() => {
                Err(format!("{process} is in sync and throws its data away"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a member of the in-sync set runs and does not hang.
    pub(crate) fn has_sound_member(&self, now: u64, machines: &[Machine]) -> bool {
        let Some(shard) = self.topology.shards.get(&ONLY_SHARD) else { return false };
        let mut sound = machines.iter().filter(|machine| !machine.is_hung(now));
        sound.any(|machine| machine.process().is_some_and(|process| shard.is_in_sync(process)))
    }

    /// New committed entries of the group's log.
    pub(crate) fn on_committed(
        &mut self,
        machines: &[Machine],
        from: usize,
        setup: &Setup,
    ) -> Result<(), String> {
        let Some(running) = &machines[from].running else { return Ok(()) };
        let raft = &running.raft;
        if raft.commit > 0 && *self.group.get_or_insert(raft.group.unwrap_or(0)) != raft.group.unwrap_or(0) {
            return Err("two groups have committed entries".into());
        }
        while self.entries.len() < raft.commit {
            let Some(logged) = raft.log.get(self.entries.len()).cloned() else {
                return Err("a snapshot of what nobody has committed".into());
            };
            self.entries.push(logged.clone());
            if let Kind::Entry(entry) = &logged.kind {
                self.on_entry(entry, machines, setup)?;
            }
        }
        let last = raft.commit.checked_sub(1);
        let differs = |last: usize| raft.log.get(last).is_some_and(|logged| *logged != self.entries[last]);
        if last.is_some_and(differs) {
            return Err("two machines have committed different entries".into());
        }
        Ok(())
    }

    /// A snapshot was taken over: it must say what the entries have come to.
    pub(crate) fn on_restored(&self, machine: &Machine) -> Result<(), String> {
        let Some(running) = &machine.running else { return Ok(()) };
        if running.applied == self.entries.len() && *running.topology != self.topology {
            return Err(format!("m{} takes over a snapshot that is another's", machine.index));
        }
        Ok(())
    }

    fn on_entry(&mut self, entry: &Entry, machines: &[Machine], setup: &Setup) -> Result<(), String> {
        let epoch = self.topology.shards.get(&ONLY_SHARD).map(|shard| shard.epoch);
        let applied = self.topology.apply(entry, setup.rules);
        let id = match applied {
            Ok(Applied::Primary(id)) => id,
            Ok(Applied::Forgotten) => return self.on_forgotten(entry, machines),
            // What was there when it was decided may be gone when it counts.
            Ok(Applied::Set(_) | Applied::Member(_)) => {
                self.on_loss(machines);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let shard = &self.topology.shards[&id];
        if epoch.is_some_and(|epoch| shard.epoch <= epoch) {
            return Err("an epoch did not move".into());
        }
        let primary = shard.primary;
        let leader = machines.iter().find(|machine| machine.process() == Some(primary));
        match leader.and_then(|machine| machine.running.as_ref()) {
            Some(running) => {
                let (held, all) = (self.held(&running.data.log), self.committed.len());
                if held < all && !self.lossy {
                    return Err(format!("{primary} is to lead with {held} of {all} acknowledged records"));
                }
            }
            None => self.on_loss(machines),
        }
        Ok(())
    }

    /// Copies were destroyed. If no member of the in-sync set has everything any more, neither in memory nor on
    /// its disk, the rules promise nothing for what is missing.
    pub(crate) fn on_loss(&mut self, machines: &[Machine]) {
        let Some(shard) = self.topology.shards.get(&ONLY_SHARD) else { return };
        let mut best = 0;
        for machine in machines {
            let Some(id) = machine.id() else { continue };
            if !shard.in_sync.contains_key(&id) {
                continue;
            }
            if let Some(running) = &machine.running {
                // In another life too: who leaves keeps its data until it is gone.
                if running.data.loaded {
                    best = best.max(self.held(&running.data.log));
                }
                best = best.max(self.held(&running.data.disk));
            } else {
                best = best.max(self.held(&machine.disk.data));
            }
        }
        if best < self.committed.len() {
            self.lossy = true;
            self.committed.truncate(best);
        }
    }

    /// Operators may give up the last copy; silence alone may not, as long as the disk is there.
    fn on_forgotten(&mut self, entry: &Entry, machines: &[Machine]) -> Result<(), String> {
        let Entry::Forget { process, .. } = entry else { return Ok(()) };
        let was_lossy = self.lossy;
        self.on_loss(machines);
        let is_there = machines.iter().any(|machine| machine.id() == Some(process.node));
        if self.lossy && !was_lossy && is_there && !self.asked_to_forget.contains(&process.node) {
            return Err(format!("{process} was forgotten, and it alone had what was acknowledged"));
        }
        Ok(())
    }

    /// Whether all copies are equal and complete.
    pub(crate) fn equal_data<'a>(&self, machines: impl Iterator<Item = &'a Machine>) -> bool {
        let mut logs = machines.filter_map(|machine| machine.running.as_ref());
        let Some(first) = logs.next() else { return true };
        logs.all(|running| running.data.loaded && running.data.log == first.data.log)
    }

    /// Nodes that are members and in sync.
    pub(crate) fn in_sync(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.topology.shards.values().flat_map(|shard| shard.in_sync.keys().copied())
    }
}
