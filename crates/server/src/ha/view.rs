//! What a node knows of its deployment: a copy, made anew with every change.

use crate::config::{HaValues, host_and_port};
use crate::raft::Standing;
use redoubt_ha::event::Cause;
use redoubt_ha::topology::{Member, Shard, Topology};
use redoubt_ha::{Epoch, Incarnation, NodeId, Position, Process, Time, Timing};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Role {
    /// Rule 1: how every process starts.
    #[default]
    Nobody,
    /// It follows a primary.
    Replica {
        /// Whom.
        primary: Process,
        /// In this epoch.
        epoch: Epoch,
    },
    /// It leads.
    Primary {
        /// In this epoch.
        epoch: Epoch,
        /// Whether it has a lease, and has not handed over.
        serving: bool,
    },
}

/// Where clients reach a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The node.
    pub node: NodeId,
    /// Name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The last that was heard of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When, on this node's clock of leases.
    pub at: Time,
    /// In this life of it.
    pub process: Process,
    /// What it held; nothing while it loads or resyncs.
    pub position: Option<Position>,
}

/// Where commands on data go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// They are executed here.
    Local,
    /// To the primary.
    To(Endpoint),
    /// The primary is about to change, or to get its lease.
    Wait,
    /// Nobody can be agreed on: why.
    Down(&'static str),
}

/// A change of primary that this node saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Unix ms.
    pub at_ms: i64,
    /// Who led before.
    pub from: Option<NodeId>,
    /// Who leads since.
    pub to: NodeId,
    /// Why.
    pub cause: Cause,
    /// From when writes were last known to be possible to when they were again, milliseconds; for the node that took over.
    pub took_ms: Option<u64>,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct View {
    /// The deployment's name for Sentinel clients.
    pub name: String,
    /// The durations.
    pub timing: Timing,
    /// This process; node 0 before the driver has started.
    pub me: Process,
    /// The deployment's id, once there is one.
    pub cluster: Option<u128>,
    /// The facts all agree on.
    pub topology: Arc<Topology>,
    /// What this node is.
    pub role: Role,
    /// What it is in the Raft group.
    pub standing: Standing,
    /// Whether it has heard of no Raft leader for so long that nothing can be agreed on.
    pub is_cut_off: bool,
    /// By node, this one included.
    pub heard: BTreeMap<NodeId, Heard>,
    /// The last change of primary.
    pub failover: Option<Failover>,
    /// Changes of primary seen since the start.
    pub failovers: u64,
}

impl View {
    pub(crate) fn new(values: &HaValues) -> View {
        View {
            name: values.name.clone(),
            timing: values.timing.clone(),
            me: Process { node: NodeId(0), incarnation: Incarnation(0) },
            cluster: None,
            topology: Arc::default(),
            role: Role::Nobody,
            standing: Standing::default(),
            is_cut_off: true,
            heard: BTreeMap::new(),
            failover: None,
            failovers: 0,
        }
    }

    /// The shard this node holds a copy of. In HA mode there is one.
    #[must_use]
    pub fn shard(&self) -> Option<&Shard> {
        self.topology
            .shard_of(self.me.node)
            .or_else(|| self.topology.shards.iter().next().map(|(id, shard)| (*id, shard)))
            .map(|(_, shard)| shard)
    }

    /// Where clients reach a member.
    #[must_use]
    pub fn endpoint(&self, node: NodeId) -> Option<Endpoint> {
        let member = self.topology.members.get(&node)?;
        let (host, port) = host_and_port(&member.announcement.clients)?;
        Some(Endpoint { node, host, port })
    }

    /// Where clients reach the primary of the newest epoch.
    #[must_use]
    pub fn primary(&self) -> Option<Endpoint> {
        self.endpoint(self.shard()?.primary.node)
    }

    /// The members that hold copies, but the primary.
    pub fn replicas(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        let shard = self.shard();
        let nodes = shard.into_iter().flat_map(|shard| &shard.replicas);
        nodes.filter_map(move |node| {
            let is_primary = shard.is_some_and(|shard| shard.primary.node == *node);
            self.topology.members.get(node).filter(|_| !is_primary).map(|member| (*node, member))
        })
    }

    /// Whether the node, in its present life, has everything that was acknowledged.
    #[must_use]
    pub fn is_in_sync(&self, node: NodeId) -> bool {
        let Some(shard) = self.shard() else { return false };
        let member = self.topology.members.get(&node);
        member.is_some_and(|member| shard.is_in_sync(Process { node, incarnation: member.incarnation }))
    }

    /// How long the node was not heard, milliseconds; nothing if it never was.
    #[must_use]
    pub fn silent_ms(&self, node: NodeId, now: Time) -> Option<u64> {
        self.heard.get(&node).map(|heard| now.since(heard.at).0 / 1000)
    }

    /// Whether the node has not been heard for so long that others may act on it.
    #[must_use]
    pub fn is_down(&self, node: NodeId, now: Time) -> bool {
        node != self.me.node
            && self.heard.get(&node).is_none_or(|heard| now.since(heard.at) > self.timing.lease)
    }

    /// Whether a planned change of primary can begin.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn may_fail_over(&self, to: Option<NodeId>) -> Result<(), String> {
        let Some(shard) = self.shard() else { return Err("there is no primary yet".into()) };
        if to == Some(shard.primary.node) {
            return Err("this node is the primary already".into());
        }
        if to.is_some_and(|node| !self.is_in_sync(node)) {
            return Err("this node is not in sync".into());
        }
        if self.topology.current_in_sync(shard).all(|process| process == shard.primary) {
            return Err("no replica is in sync".into());
        }
        Ok(())
    }

    /// Where commands on data go.
    #[must_use]
    pub fn route(&self) -> Route {
        match self.role {
            Role::Primary { serving: true, .. } => Route::Local,
            _ if self.is_cut_off => Route::Down("a majority of the deployment's nodes cannot be reached"),
            Role::Replica { primary, .. } => match self.endpoint(primary.node) {
                Some(endpoint) if self.topology.is_current(primary) => Route::To(endpoint),
                _ => Route::Wait,
            },
            Role::Primary { .. } | Role::Nobody => Route::Wait,
        }
    }
}
