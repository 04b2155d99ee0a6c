//! The entries of the replicated log, and what each does when it is applied. An entry is resolved then and not when it is
//! proposed: it says under which mandate, epoch and version it was decided, and is void if they have moved.

use crate::event::{Cause, Leave};
use crate::ids::{Epoch, Mandate, NodeId, Process, SetVersion, ShardId};
use crate::rules::{Rule, Rules};
use crate::topology::{Announcement, Holder, Member, Shard, SlotRange, Topology};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A new controller takes office. What earlier ones decided and is not applied yet is void from here on.
    Mandate {
        /// Who, and for which time.
        holder: Holder,
    },
    /// A process says that it is there, and where. Rule 6: it leaves the in-sync set in which its former life is.
    Announce {
        /// The process.
        process: Process,
        /// What it says of itself.
        announcement: Announcement,
    },
    /// A shard begins.
    CreateShard {
        /// Under which it was decided.
        mandate: Mandate,
        /// Its number.
        shard: ShardId,
        /// Its first primary, in epoch 1.
        primary: Process,
        /// Who is to hold copies.
        replicas: BTreeSet<NodeId>,
        /// Its slots.
        slots: Vec<(u16, u16)>,
    },
    /// A shard changes.
    Change {
        /// Under which it was decided.
        mandate: Mandate,
        /// Which.
        shard: ShardId,
        /// The epoch in which it was decided.
        epoch: Epoch,
        /// What.
        change: ShardChange,
    },
    /// A node is no longer a member. Its id is never used again.
    Forget {
        /// Under which it was decided.
        mandate: Mandate,
        /// The process; void if the node has another by now.
        process: Process,
        /// Void also while the node is in an in-sync set: it was only silent for long, and leaves the set by rule 7 first.
        spares_copies: bool,
    },
    /// A deployment-wide setting; nothing: back to the default.
    Set {
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// An ACL user; nothing: removed.
    User {
        /// Its name.
        name: String,
        /// Its rules.
        rules: Option<String>,
    },
}

/// A change of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardChange {
    /// Rule 5: a member of the in-sync set leads from now on, in the next epoch.
    Promote {
        /// Who.
        candidate: Process,
        /// Whether the old primary leaves the set: it is dead, or is about to stop.
        old_leaves: bool,
        /// Why.
        cause: Cause,
    },
    /// Rule 6: every member of the in-sync set has restarted; the best recovered copy leads and is the set.
    Recover {
        /// Who.
        candidate: Process,
    },
    /// Rule 4: a follower that the primary offered enters the in-sync set.
    Grow {
        /// The version under which it was offered.
        version: SetVersion,
        /// Who.
        member: Process,
    },
    /// Rule 4: a member leaves the in-sync set.
    Shrink {
        /// The version the decision saw.
        version: SetVersion,
        /// Who.
        member: Process,
        /// Why.
        why: Leave,
    },
    /// A node is to hold a copy.
    AddReplica(NodeId),
    /// A range of slots gets this owner.
    TakeSlots {
        /// First slot.
        first: u16,
        /// Last slot, included.
        last: u16,
    },
}

/// What an entry changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// The mandate.
    Mandate,
    /// A member's process or addresses; the shards whose in-sync set it left by that.
    Member(Vec<ShardId>),
    /// The shard has a new primary and epoch.
    Primary(ShardId),
    /// The in-sync set of the shard.
    Set(ShardId),
    /// The replicas or slots of the shard.
    Shard(ShardId),
    /// A member is gone.
    Forgotten,
    /// A setting or a user.
    Settings,
}

/// Why an entry changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Void {
    /// Another controller has taken office.
    #[error("decided under an older mandate")]
    OldMandate,
    /// The shard has another primary.
    #[error("decided in an older epoch")]
    OldEpoch,
    /// The in-sync set has changed.
    #[error("decided for an older in-sync set")]
    OldVersion,
    /// The node has a newer process.
    #[error("the process is not the node's latest")]
    OldProcess,
    /// There is no such member or shard.
    #[error("not a member")]
    Unknown,
    /// The node was removed; ids are not used again.
    #[error("the node was forgotten")]
    Forgotten,
    /// A candidate must be in the in-sync set.
    #[error("not in the in-sync set")]
    NotInSync,
    /// The set may not get smaller.
    #[error("the in-sync set is at its minimum")]
    AtMinimum,
    /// A member of the set still has what was acknowledged.
    #[error("a member of the in-sync set has not restarted")]
    StillAlive,
    /// What was acknowledged counts on it.
    #[error("it is in the in-sync set")]
    InSync,
    /// It leads, and somebody else could.
    #[error("it is the primary")]
    IsPrimary,
    /// It is so already.
    #[error("nothing to change")]
    NoChange,
}

impl Topology {
    /// Applies one committed entry. Every node applies the same entries in the same order and comes to the same facts.
    ///
    /// # Errors
    /// Why the entry is void; then nothing has changed.
    pub fn apply(&mut self, entry: &Entry, rules: Rules) -> Result<Applied, Void> {
        match entry {
            Entry::Mandate { holder } => {
                (self.mandate, self.controller) = (self.mandate.next(), Some(*holder));
                Ok(Applied::Mandate)
            }
            Entry::Announce { process, announcement } => self.announce(*process, announcement, rules),
            Entry::CreateShard { mandate, shard, primary, replicas, slots } => {
                self.check_mandate(*mandate, rules)?;
                self.create_shard(*shard, *primary, replicas, slots)
            }
            Entry::Change { mandate, shard, epoch, change } => {
                self.check_mandate(*mandate, rules)?;
                let id = *shard;
                let shard = self.shards.get(&id).ok_or(Void::Unknown)?;
                if shard.epoch != *epoch {
                    return Err(Void::OldEpoch);
                }
                self.change(id, change, rules)
            }
            Entry::Forget { mandate, process, spares_copies } => {
                self.check_mandate(*mandate, rules)?;
                if *spares_copies && self.counts_as_copy(process.node) {
                    return Err(Void::InSync);
                }
                self.forget(*process)
            }
            Entry::Set { name, value } => {
                set_or_remove(&mut self.settings, name, value.as_deref());
                Ok(Applied::Settings)
            }
            Entry::User { name, rules } => {
                set_or_remove(&mut self.users, name, rules.as_deref());
                Ok(Applied::Settings)
            }
        }
    }

    fn check_mandate(&self, mandate: Mandate, rules: Rules) -> Result<(), Void> {
        if mandate != self.mandate && rules.hold(Rule::Mandate) {
            return Err(Void::OldMandate);
        }
        Ok(())
    }

    fn announce(
        &mut self,
        process: Process,
        announcement: &Announcement,
        rules: Rules,
    ) -> Result<Applied, Void> {
        if self.forgotten.contains(&process.node) {
            return Err(Void::Forgotten);
        }
        let before = self.members.get(&process.node);
        match before {
            Some(member) if member.incarnation > process.incarnation => return Err(Void::OldProcess),
            Some(member)
                if member.incarnation == process.incarnation && member.announcement == *announcement =>
            {
                return Err(Void::NoChange);
            }
            _ => {}
        }
        let member = Member { incarnation: process.incarnation, announcement: announcement.clone() };
        self.members.insert(process.node, member);
        Ok(Applied::Member(self.leave_sets(process, rules)))
    }

    /// Rule 6: a restarted process leaves the in-sync sets before anything else is decided. Where there is no primary that
    /// has everything, its former life stays noted in the set: the set must not come down to who happened to restart last.
    fn leave_sets(&mut self, process: Process, rules: Rules) -> Vec<ShardId> {
        let mut left = Vec::new();
        let members = &self.members;
        let is_current = |process: Process| {
            members.get(&process.node).is_some_and(|member| member.incarnation == process.incarnation)
        };
        for (&id, shard) in &mut self.shards {
            let Some(incarnation) = shard.in_sync.get_mut(&process.node) else { continue };
            if *incarnation == process.incarnation {
                continue;
            }
            if !rules.hold(Rule::Incarnations) {
                *incarnation = process.incarnation;
                if shard.primary.node == process.node {
                    shard.primary = process;
                }
                continue;
            }
            let primary = shard.primary;
            if primary.node != process.node && shard.is_in_sync(primary) && is_current(primary) {
                shard.in_sync.remove(&process.node);
                shard.version = shard.version.next();
                left.push(id);
            }
        }
        left
    }

    fn create_shard(
        &mut self,
        id: ShardId,
        primary: Process,
        replicas: &BTreeSet<NodeId>,
        slots: &[(u16, u16)],
    ) -> Result<Applied, Void> {
        if self.shards.contains_key(&id) {
            return Err(Void::NoChange);
        }
        if !self.is_current(primary) {
            return Err(Void::OldProcess);
        }
        // Who was forgotten since it was decided holds no copy.
        let is_member = |node: &&NodeId| self.members.contains_key(node);
        let mut replicas: BTreeSet<NodeId> = replicas.iter().filter(is_member).copied().collect();
        replicas.insert(primary.node);
        let shard = Shard {
            epoch: Epoch(1),
            version: SetVersion(1),
            primary,
            in_sync: [(primary.node, primary.incarnation)].into(),
            replicas,
            cause: Cause::First,
            recoveries: 0,
        };
        self.shards.insert(id, shard);
        for &(first, last) in slots {
            self.take_slots(SlotRange { first, last, shard: id });
        }
        Ok(Applied::Primary(id))
    }

    fn change(&mut self, id: ShardId, change: &ShardChange, rules: Rules) -> Result<Applied, Void> {
        match change {
            ShardChange::Promote { candidate, old_leaves, cause } => {
                self.promote(id, *candidate, *old_leaves, *cause, rules)
            }
            ShardChange::Recover { candidate } => self.recover(id, *candidate),
            ShardChange::Grow { version, member } => self.grow(id, *version, *member),
            ShardChange::Shrink { version, member, .. } => self.shrink(id, *version, *member, rules),
            ShardChange::AddReplica(node) => {
                if !self.members.contains_key(node) {
                    return Err(Void::Unknown);
                }
                let added = self.shard_mut(id).replicas.insert(*node);
                if added { Ok(Applied::Shard(id)) } else { Err(Void::NoChange) }
            }
            ShardChange::TakeSlots { first, last } => {
                self.take_slots(SlotRange { first: *first, last: *last, shard: id });
                Ok(Applied::Shard(id))
            }
        }
    }

    fn shard_mut(&mut self, id: ShardId) -> &mut Shard {
        self.shards.get_mut(&id).expect("the caller has looked it up")
    }

    /// Rule 5: void unless the candidate is in the in-sync set now, in the life it was chosen in.
    fn promote(
        &mut self,
        id: ShardId,
        candidate: Process,
        old_leaves: bool,
        cause: Cause,
        rules: Rules,
    ) -> Result<Applied, Void> {
        if !self.is_current(candidate) {
            return Err(Void::OldProcess);
        }
        let shard = &self.shards[&id];
        if shard.primary == candidate {
            return Err(Void::IsPrimary);
        }
        if !shard.is_in_sync(candidate) && rules.hold(Rule::PromoteInSync) {
            return Err(Void::NotInSync);
        }
        let old = shard.primary;
        let mut stay: Vec<Process> = self.current_in_sync(shard).collect();
        // Rule 7 binds here too: who has everything is not given up for nothing, it may come back.
        let may_leave = stay.len() > 1 + self.min_replicas(shard);
        stay.retain(|process| !(old_leaves && may_leave && *process == old));
        if !stay.contains(&candidate) {
            stay.push(candidate);
        }
        self.lead(id, candidate, stay, cause);
        Ok(Applied::Primary(id))
    }

    /// Rule 6: void while any member of the in-sync set has not restarted. Only the set knows what was acknowledged.
    fn recover(&mut self, id: ShardId, candidate: Process) -> Result<Applied, Void> {
        let shard = &self.shards[&id];
        if self.current_in_sync(shard).next().is_some() {
            return Err(Void::StillAlive);
        }
        if !self.is_current(candidate) {
            return Err(Void::OldProcess);
        }
        if !shard.replicas.contains(&candidate.node) {
            return Err(Void::Unknown);
        }
        self.lead(id, candidate, vec![candidate], Cause::AllRestarted);
        self.shard_mut(id).recoveries += 1;
        Ok(Applied::Primary(id))
    }

    fn lead(&mut self, id: ShardId, primary: Process, in_sync: Vec<Process>, cause: Cause) {
        let shard = self.shard_mut(id);
        shard.epoch = shard.epoch.next();
        shard.version = shard.version.next();
        shard.primary = primary;
        shard.in_sync = in_sync.into_iter().map(|process| (process.node, process.incarnation)).collect();
        shard.cause = cause;
    }

    /// Rule 4. The version is the one the primary offered under: it counts whom it offers as a member from then on, until
    /// it sees another version.
    fn grow(&mut self, id: ShardId, version: SetVersion, member: Process) -> Result<Applied, Void> {
        if !self.is_current(member) {
            return Err(Void::OldProcess);
        }
        let shard = self.shard_mut(id);
        if shard.version != version {
            return Err(Void::OldVersion);
        }
        if !shard.replicas.contains(&member.node) {
            return Err(Void::Unknown);
        }
        if shard.in_sync.insert(member.node, member.incarnation) == Some(member.incarnation) {
            return Err(Void::NoChange);
        }
        shard.version = shard.version.next();
        Ok(Applied::Set(id))
    }

    /// Rule 4, and rule 7: not below the minimum. Writes wait rather than rest on too few copies.
    fn shrink(
        &mut self,
        id: ShardId,
        version: SetVersion,
        member: Process,
        rules: Rules,
    ) -> Result<Applied, Void> {
        let minimum = 1 + self.min_replicas(&self.shards[&id]);
        let shard = self.shard_mut(id);
        if shard.version != version {
            return Err(Void::OldVersion);
        }
        if shard.primary.node == member.node {
            return Err(Void::IsPrimary);
        }
        if !shard.is_in_sync(member) {
            return Err(Void::NotInSync);
        }
        if shard.in_sync.len() <= minimum && rules.hold(Rule::MinReplicas) {
            return Err(Void::AtMinimum);
        }
        shard.in_sync.remove(&member.node);
        shard.version = shard.version.next();
        Ok(Applied::Set(id))
    }

    /// A primary is forgotten only when nobody else is in the set: else another is promoted first.
    fn forget(&mut self, process: Process) -> Result<Applied, Void> {
        if !self.is_current(process) {
            return Err(Void::OldProcess);
        }
        let leads = |shard: &Shard| {
            shard.primary == process && self.current_in_sync(shard).any(|other| other.node != process.node)
        };
        if self.shards.values().any(leads) {
            return Err(Void::IsPrimary);
        }
        self.members.remove(&process.node);
        self.forgotten.insert(process.node);
        for shard in self.shards.values_mut() {
            shard.replicas.remove(&process.node);
            if shard.in_sync.remove(&process.node).is_some() {
                shard.version = shard.version.next();
            }
        }
        Ok(Applied::Forgotten)
    }

    /// Gives a range to a shard, cutting it out of the others'.
    fn take_slots(&mut self, range: SlotRange) {
        let mut slots = Vec::with_capacity(self.slots.len() + 2);
        for old in &self.slots {
            if old.first < range.first {
                slots.push(SlotRange { last: old.last.min(range.first - 1), ..*old });
            }
            if old.last > range.last {
                slots.push(SlotRange { first: old.first.max(range.last + 1), ..*old });
            }
        }
        slots.push(range);
        slots.sort_by_key(|range| range.first);
        self.slots = slots;
    }
}

fn set_or_remove(map: &mut std::collections::BTreeMap<String, String>, name: &str, value: Option<&str>) {
    match value {
        Some(value) => map.insert(name.into(), value.into()),
        None => map.remove(name),
    };
}

#[cfg(test)]
mod tests;
