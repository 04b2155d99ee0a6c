//! INFO ha.

use super::{Role, View};
use crate::info::Page;
use crate::shared::{Shared, unix_ms};
use redoubt_ha::{NodeId, Process};

/// Prints the section; nothing where failover is switched off.
pub(crate) fn print(shared: &Shared, page: &mut Page) {
    let Some(ha) = &shared.ha else { return page.field("ha_enabled", 0) };
    let view = ha.view();
    page.field("ha_enabled", 1);
    page.field("ha_name", &view.name);
    page.field("ha_cluster_id", view.cluster.map(|id| format!("{id:032x}")).unwrap_or_default());
    page.field("ha_node_id", name(view.me.node));
    page.field("ha_incarnation", view.me.incarnation);
    page.field("ha_role", role(&view));
    page.field("ha_serving", u8::from(ha.gate.is_serving()));
    page.field("ha_lease_left_ms", ha.gate.lease_left().0 / 1000);
    page.field("ha_raft_role", raft_role(&view));
    page.field("ha_raft_term", view.standing.term);
    page.field("ha_raft_leader", view.standing.leader.map(name).unwrap_or_default());
    page.field("ha_raft_applied", view.standing.applied);
    page.field("ha_majority", u8::from(!view.is_cut_off));
    if let Some(shard) = view.shard() {
        page.field("ha_epoch", shard.epoch);
        page.field("ha_primary", name(shard.primary.node));
        page.field("ha_in_sync", shard.in_sync.len());
        page.field("ha_recoveries", shard.recoveries);
        page.field("ha_last_cause", shard.cause);
    }
    page.field("ha_failovers", view.failovers);
    if let Some(failover) = view.failover {
        page.field("ha_last_failover_seconds_ago", (unix_ms() - failover.at_ms).max(0) / 1000);
        page.field("ha_last_failover_from", failover.from.map(name).unwrap_or_default());
        page.field("ha_last_failover_to", name(failover.to));
        if let Some(took) = failover.took_ms {
            page.field("ha_last_failover_took_ms", took);
        }
    }
    crate::forward::print(shared, page);
    print_members(&view, page);
}

fn name(node: NodeId) -> String {
    format!("{:016x}", node.0)
}

fn role(view: &View) -> &'static str {
    match view.role {
        Role::Nobody => "nobody",
        Role::Replica { .. } => "replica",
        Role::Primary { .. } => "primary",
    }
}

fn raft_role(view: &View) -> &'static str {
    match &view.standing {
        standing if standing.leads => "leader",
        standing if standing.voters.contains(&view.me.node) => "voter",
        standing if standing.learners.contains(&view.me.node) => "learner",
        _ => "none",
    }
}

fn print_members(view: &View, page: &mut Page) {
    let (now, shard) = (crate::raft::now(), view.shard());
    page.field("ha_members", view.topology.members.len());
    for (number, (&node, member)) in view.topology.members.iter().enumerate() {
        let process = Process { node, incarnation: member.incarnation };
        let role = if shard.is_some_and(|shard| shard.primary == process) { "primary" } else { "replica" };
        let heard = view.heard.get(&node).filter(|heard| heard.process == process);
        let offset = heard.and_then(|heard| heard.position).map_or(-1, |position| position.offset as i64);
        let line = format_args!(
            "id={},address={},role={role},in_sync={},voter={},silent_ms={},offset={offset},priority={},zone={}",
            name(node),
            member.announcement.clients,
            u8::from(shard.is_some_and(|shard| shard.is_in_sync(process))),
            u8::from(view.standing.voters.contains(&node)),
            view.silent_ms(node, now).map_or(-1, |silent| silent as i64),
            member.announcement.priority,
            member.announcement.zone
        );
        page.field(&format!("ha_node{number}"), line);
    }
}
