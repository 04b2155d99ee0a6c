//! What a node is in the group, as openraft sees it, in terms of leases: who leads, since when a quorum agrees.

use super::clock::Clock;
use super::network::Net;
use super::promise::Promise;
use super::storage::Machine;
use super::types::{Facts, Types};
use openraft::type_config::async_runtime::Instant as _;
use openraft::type_config::async_runtime::WatchReceiver;
use openraft::{Raft, RaftMetrics};
use redoubt_ha::{NodeId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch::Sender;
use tokio::time::MissedTickBehavior;

/// What a node is in the group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last leader this node heard, unless it knows that it leads no more.
    pub leader: Option<NodeId>,
    /// Its term. Not a fencing epoch: two leaders may share one.
    pub term: u64,
    /// Whether this node leads.
    pub leads: bool,
    /// While it leads: whether the former leader handed over, so that leases it granted may be live.
    pub by_transfer: bool,
    /// While it leads: when the last heartbeat that a quorum answered was sent, on the clock of leases.
    pub quorum: Option<Time>,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who only learns.
    pub learners: BTreeSet<NodeId>,
    /// Whether that is committed, and not changing.
    pub settled: bool,
    /// Whether a change of the voters was left half done, by a leader that is gone: majorities of both are needed until
    /// somebody ends it.
    pub half_changed: bool,
    /// While it leads: how far each node has the log.
    pub matched: BTreeMap<NodeId, u64>,
    /// While it leads: when the last of what each node has answered was sent, on the clock of leases.
    pub answered: BTreeMap<NodeId, Time>,
    /// The last entry this node has.
    pub last: u64,
    /// The last entry it has applied.
    pub applied: u64,
    /// Why it takes no part any more. Leases are lost, nothing may be acknowledged.
    pub failed: Option<String>,
}

/// Keeps the standing until the node ends.
pub(super) async fn watch<F: Facts>(
    raft: Raft<Types, Machine<F>>,
    net: Arc<Net>,
    promise: Arc<Promise>,
    clock: Clock,
    heartbeat: Duration,
    tell: Sender<Standing>,
) {
    let mut metrics = raft.metrics();
    // openraft tells of changes; the clocks and a quorum of one are looked at as often as heartbeats are sent.
    let mut ticks = tokio::time::interval(heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.observe();
        let new = {
            let metrics = metrics.borrow_watched();
            let before = tell.borrow();
            read(&metrics, &before, &promise, &clock)
        };
        if let Some(why) = &new.failed
            && tell.borrow().failed.is_none()
        {
            tracing::error!("This node takes no further part in the control plane: {why}");
            net.stop();
        }
        report(&tell.borrow(), &new);
        tell.send_if_modified(|standing| {
            let is_new = *standing != new;
            *standing = new;
            is_new
        });
        let ended = tokio::select! {
            changed = metrics.changed() => changed.is_err(),
            _ = ticks.tick() => false,
        };
        if ended {
            tell.send_modify(|standing| {
                standing.failed.get_or_insert_with(|| "it has ended".into());
                (standing.leads, standing.quorum) = (false, None);
            });
            return;
        }
    }
}

fn read(metrics: &RaftMetrics<Types>, before: &Standing, promise: &Promise, clock: &Clock) -> Standing {
    let failed = metrics.running_state.as_ref().err().map(ToString::to_string);
    let leads = metrics.state.is_leader() && failed.is_none();
    let leader = metrics.current_leader.map(NodeId).filter(|_| failed.is_none());
    let is_elected = leads && !(before.leads && before.term == metrics.current_term);
    let is_another = leader.is_some() && leader != before.leader && leader != Some(NodeId(metrics.id));
    let was_transfer = (is_elected || is_another) && promise.elected();
    let membership = &metrics.membership_config;
    let quorum = quorum_acked(metrics).filter(|_| leads).map(|at| {
        promise.give(at);
        clock.time_of(at)
    });
    let voters: BTreeSet<NodeId> = membership.voter_ids().map(NodeId).collect();
    let is_committed = metrics.membership_config == metrics.committed_membership_config;
    let is_joint = membership.get_joint_config().len() > 1;
    let all = membership.nodes().map(|(node, _)| NodeId(*node));
    let matched = metrics.replication.iter().flatten();
    Standing {
        leader,
        term: metrics.current_term,
        leads,
        by_transfer: leads && if is_elected { was_transfer } else { before.by_transfer },
        // It only moves forward, whatever rounding does.
        quorum: quorum.max(before.quorum.filter(|_| leads && !is_elected)),
        learners: all.filter(|node| !voters.contains(node)).collect(),
        voters,
        settled: is_committed && !is_joint,
        half_changed: is_committed && is_joint,
        matched: matched.map(|(node, id)| (NodeId(*node), id.map_or(0, |id| id.index))).collect(),
        answered: answered(metrics, clock).filter(|_| leads).unwrap_or_default(),
        last: metrics.last_log_index.unwrap_or(0),
        applied: metrics.last_applied.map_or(0, |id| id.index),
        failed,
    }
}

/// When the last heartbeat that a quorum answered was sent.
fn quorum_acked(metrics: &RaftMetrics<Types>) -> Option<Instant> {
    let mut voters = metrics.membership_config.voter_ids();
    if voters.next() == Some(metrics.id) && voters.next().is_none() {
        // A quorum of one agrees with itself; openraft tells of answers only.
        return Some(Instant::now());
    }
    Instant::now().checked_sub(metrics.last_quorum_acked?.elapsed())
}

fn answered(metrics: &RaftMetrics<Types>, clock: &Clock) -> Option<BTreeMap<NodeId, Time>> {
    let of = |(node, at): (&u64, &Option<_>)| {
        let at: &openraft::type_config::alias::SerdeInstantOf<Types> = at.as_ref()?;
        Some((NodeId(*node), clock.time_of(Instant::now().checked_sub(at.elapsed())?)))
    };
    Some(metrics.heartbeat.as_ref()?.iter().filter_map(of).collect())
}

fn report(before: &Standing, new: &Standing) {
    if (before.leader, before.leads) == (new.leader, new.leads) {
        return;
    }
    match new.leader {
        Some(_) if new.leads => tracing::info!("This node leads the control plane, term {}", new.term),
        Some(leader) => tracing::info!("Node {:016x} leads the control plane, term {}", leader.0, new.term),
        None if before.leads => tracing::warn!("This node leads the control plane no more"),
        None => tracing::info!("Nobody leads the control plane"),
    }
}
