//! A view to test with: three nodes, of which node 1 leads.

use crate::config::{HaValues, join_host_port};
use crate::ha::{Heard, Role, View};
use redoubt_ha::event::Cause;
use redoubt_ha::topology::{Announcement, Member, ONLY_SHARD, Shard, Topology};
use redoubt_ha::{Epoch, Incarnation, NodeId, Position, Process, SetVersion, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// When the sample was made: all nodes were heard a moment before.
pub(crate) const NOW: Time = Time(10_000_000);

/// What node `me` sees.
pub(crate) fn sample(me: u64) -> View {
    let values: HaValues = crate::config::Config::new().values().ha;
    let process = |node: u64| Process { node: NodeId(node), incarnation: Incarnation(node * 10) };
    let members = (1..=3).map(|node| (NodeId(node), member(node, process(node).incarnation)));
    let shard = Shard {
        epoch: Epoch(3),
        version: SetVersion(1),
        primary: process(1),
        in_sync: (1..=3).map(|node| (NodeId(node), process(node).incarnation)).collect(),
        replicas: (1..=3).map(NodeId).collect(),
        cause: Cause::First,
        recoveries: 0,
    };
    let topology = Topology {
        members: members.collect(),
        shards: BTreeMap::from([(ONLY_SHARD, shard)]),
        ..Topology::default()
    };
    let mut view = View::new(&values);
    view.me = process(me);
    view.topology = Arc::new(topology);
    view.role = match me {
        1 => Role::Primary { epoch: Epoch(3), serving: true },
        _ => Role::Replica { primary: process(1), epoch: Epoch(3) },
    };
    view.is_cut_off = false;
    view.standing.leader = Some(NodeId(3));
    view.standing.leads = me == 3;
    view.standing.voters = (1..=3).map(NodeId).collect();
    view.heard = (1..=3).map(|node| (NodeId(node), heard(process(node), 3, 100 + node))).collect();
    view
}

/// What is heard of a process that holds records up to this position.
pub(crate) fn heard(process: Process, epoch: u64, offset: u64) -> Heard {
    let position = Some(Position { epoch: Epoch(epoch), offset });
    Heard { at: Time(NOW.0 - 20_000), process, position }
}

/// Node N is at 10.0.0.N.
pub(crate) fn member(node: u64, incarnation: Incarnation) -> Member {
    let announcement = Announcement {
        clients: join_host_port(&format!("10.0.0.{node}"), 6379),
        peers: join_host_port(&format!("10.0.0.{node}"), 16379),
        zone: String::new(),
        priority: 100,
    };
    Member { incarnation, announcement }
}

/// The view after a change of the facts.
pub(crate) fn changed(view: &View, change: impl FnOnce(&mut Topology)) -> View {
    let mut topology = (*view.topology).clone();
    change(&mut topology);
    View { topology: Arc::new(topology), ..view.clone() }
}
