//! The facts all nodes agree on: members, shards, slots, settings, users. A state machine replicated by Raft; it changes
//! only in [`Topology::apply`](crate::entry).

use crate::event::Cause;
use crate::ids::{Epoch, Incarnation, Mandate, NodeId, Process, SetVersion, ShardId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The shard of a deployment in HA mode.
pub const ONLY_SHARD: ShardId = ShardId(0);

/// Setting that bounds the in-sync set from below: `auto` or a number.
pub const MIN_REPLICAS: &str = "min-replicas-to-write";

/// Setting that says when a write is acknowledged: `in-sync` or `local`.
pub const ACKS: &str = "ha-acks";

/// Where and what a node is. It may change with every start of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// `host:port` for clients.
    pub clients: String,
    /// `host:port` for other nodes.
    pub peers: String,
    /// Failure zone; voters are spread over them. Empty: unknown.
    pub zone: String,
    /// `replica-priority`: lower is promoted first, 0 never.
    pub priority: u32,
}

/// A node of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The latest of its lives.
    pub incarnation: Incarnation,
    /// What it said of itself.
    pub announcement: Announcement,
}

/// A shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Counts its primaries.
    pub epoch: Epoch,
    /// Counts the changes of its in-sync set.
    pub version: SetVersion,
    /// Who leads in this epoch. It may have restarted since; then it leads no more.
    pub primary: Process,
    /// Who has everything acknowledged, the primary among them. Processes, not nodes: a member that has restarted is not
    /// in sync, it is only remembered until there is a primary again (rule 6).
    pub in_sync: BTreeMap<NodeId, Incarnation>,
    /// All nodes that are to hold a copy.
    pub replicas: BTreeSet<NodeId>,
    /// Why the present primary leads.
    pub cause: Cause,
    /// How often the shard started again from what was recovered.
    pub recoveries: u64,
}

impl Shard {
    /// Whether this process, in this life, is in the in-sync set.
    #[must_use]
    pub fn is_in_sync(&self, process: Process) -> bool {
        self.in_sync.get(&process.node) == Some(&process.incarnation)
    }
}

/// Who holds the mandate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The controller's process.
    pub process: Process,
    /// Its count of times it took office. Only the entry of this very time shows that everything before is applied.
    pub tenure: u64,
}

/// A range of hash slots and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRange {
    /// First slot.
    pub first: u16,
    /// Last slot, included.
    pub last: u16,
    /// Who has them.
    pub shard: ShardId,
}

/// All facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Topology {
    /// The newest mandate: decisions of older ones are void.
    pub mandate: Mandate,
    /// Who holds it.
    pub controller: Option<Holder>,
    /// The nodes.
    pub members: BTreeMap<NodeId, Member>,
    /// Nodes that were removed. An id is never used again.
    pub forgotten: BTreeSet<NodeId>,
    /// The shards.
    pub shards: BTreeMap<ShardId, Shard>,
    /// Owners of slots, ascending, without overlap.
    pub slots: Vec<SlotRange>,
    /// Deployment-wide settings.
    pub settings: BTreeMap<String, String>,
    /// ACL users, as `ACL SETUSER` rules.
    pub users: BTreeMap<String, String>,
}

impl Topology {
    /// Whether the process is the latest life of a member.
    #[must_use]
    pub fn is_current(&self, process: Process) -> bool {
        self.members.get(&process.node).is_some_and(|member| member.incarnation == process.incarnation)
    }

    /// The members of the shard's in-sync set that have not restarted since they entered.
    pub fn current_in_sync(&self, shard: &Shard) -> impl Iterator<Item = Process> {
        let set = shard.in_sync.iter().map(|(&node, &incarnation)| Process { node, incarnation });
        set.filter(|process| self.is_current(*process))
    }

    /// Whether the node is in the in-sync set of a shard, in this life or an earlier one.
    #[must_use]
    pub fn counts_as_copy(&self, node: NodeId) -> bool {
        self.shards.values().any(|shard| shard.in_sync.contains_key(&node))
    }

    /// Rule 7: how many replicas beside the primary must be in sync for writes to be acknowledged.
    #[must_use]
    pub fn min_replicas(&self, shard: &Shard) -> usize {
        let auto = usize::from(shard.replicas.len() >= 3);
        self.settings.get(MIN_REPLICAS).and_then(|value| value.parse().ok()).unwrap_or(auto)
    }

    /// Rule 3: whether writes are acknowledged without waiting for the in-sync set.
    #[must_use]
    pub fn acks_local(&self) -> bool {
        self.settings.get(ACKS).is_some_and(|value| value == "local")
    }

    /// The shard this node holds a copy of.
    #[must_use]
    pub fn shard_of(&self, node: NodeId) -> Option<(ShardId, &Shard)> {
        self.shards.iter().find(|(_, shard)| shard.replicas.contains(&node)).map(|(&id, shard)| (id, shard))
    }
}
