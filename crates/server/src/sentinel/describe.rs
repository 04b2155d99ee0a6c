//! The deployment in the words of SENTINEL MASTER, REPLICAS and SENTINELS.
//!
//! What a Sentinel knows by asking, a node knows by heartbeats: `last-ping-reply` and its kin say how long ago the last
//! one came. There are no links that could have pending commands, and no votes of Sentinels.

use crate::config::join_host_port;
use crate::ha::{Endpoint, Role, View};
use crate::shared::{Shared, unix_ms};
use redoubt_ha::topology::Member;
use redoubt_ha::{NodeId, Span, Time};

/// Names and values, in Sentinel's order.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// When something is described.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// On the clock of leases.
    pub(crate) now: Time,
    /// Unix time, milliseconds.
    pub(crate) unix_ms: i64,
    /// Since the start of this process, milliseconds.
    pub(crate) up_ms: u64,
    /// A failover that was asked for at this node is under way.
    pub(crate) failing_over: bool,
}

impl Moment {
    /// Now.
    pub(crate) fn now(shared: &Shared, view: &View) -> Moment {
        let now = crate::raft::now();
        Moment {
            now,
            unix_ms: unix_ms(),
            up_ms: shared.started.elapsed().map_or(0, |up| up.as_millis() as u64),
            failing_over: shared
                .sentinel
                .as_ref()
                .is_some_and(|sentinel| sentinel.is_failing_over(view, now)),
        }
    }
}

/// The id that a node has as a Sentinel and as an instance: 40 hex digits, the first 16 as in the log.
pub(crate) fn run_id(node: NodeId) -> String {
    let mixed = |salt: u64| {
        // SplitMix64's finalizer: the same node has the same digits for ever.
        let mut word = node.0.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    };
    format!("{:016x}{:016x}{:08x}", node.0, mixed(1), mixed(2) >> 32)
}

/// A view with the eyes of a Sentinel.
#[derive(Clone, Copy)]
pub(crate) struct Sentinels<'v> {
    pub(crate) view: &'v View,
    pub(crate) at: Moment,
}

impl Sentinels<'_> {
    /// Nodes that must agree: a majority of those who vote.
    pub(crate) fn quorum(&self) -> usize {
        let voters = self.view.standing.voters.len();
        // Before the group is known, nobody can agree on anything.
        if voters == 0 { self.view.topology.members.len() / 2 + 1 } else { voters / 2 + 1 }
    }

    /// Nodes that can vote and are heard, this one included.
    pub(crate) fn usable(&self) -> usize {
        let voters = self.view.standing.voters.iter();
        voters.filter(|node| !self.view.is_down(**node, self.at.now)).count()
    }

    /// Whether this node finds the primary down.
    pub(crate) fn is_primary_down(&self) -> bool {
        let Some(primary) = self.view.shard().map(|shard| shard.primary.node) else { return true };
        if primary == self.view.me.node {
            // Cut off from the others it serves nobody.
            return self.view.is_cut_off && !matches!(self.view.role, Role::Primary { serving: true, .. });
        }
        self.view.is_down(primary, self.at.now)
    }

    /// Whether those who decide can be expected to find so, too: there is a Raft leader, and it is not the primary.
    pub(crate) fn is_agreed(&self) -> bool {
        let primary = self.view.shard().map(|shard| shard.primary.node);
        let leader = self.view.standing.leader;
        self.is_primary_down() && !self.view.is_cut_off && leader.is_some() && leader != primary
    }

    /// Whether a replica could take over now.
    pub(crate) fn has_candidate(&self) -> bool {
        self.view.replicas().any(|(node, member)| {
            let fit = member.announcement.priority != 0 && self.view.is_in_sync(node);
            fit && !self.view.is_down(node, self.at.now)
        })
    }

    /// Where the primary is; `?` and 0 before there is one.
    pub(crate) fn primary(&self) -> Endpoint {
        let unknown = || Endpoint { node: NodeId(0), host: "?".into(), port: 0 };
        self.view.primary().unwrap_or_else(unknown)
    }

    /// Replicas that have addresses.
    pub(crate) fn replica_nodes(&self) -> impl Iterator<Item = (Endpoint, &Member)> {
        self.view.replicas().filter_map(|(node, member)| Some((self.view.endpoint(node)?, member)))
    }

    /// The other nodes.
    pub(crate) fn other_nodes(&self) -> impl Iterator<Item = Endpoint> {
        let others = self.view.topology.members.keys().filter(|node| **node != self.view.me.node);
        others.filter_map(|node| self.view.endpoint(*node))
    }

    /// Whether the node holds records of the primary's epoch, and can be heard saying so.
    pub(crate) fn is_linked(&self, node: NodeId) -> bool {
        let epoch = self.view.shard().map(|shard| shard.epoch);
        let position = self.view.heard.get(&node).and_then(|heard| heard.position);
        !self.view.is_down(node, self.at.now) && position.map(|position| position.epoch) == epoch
    }

    /// SENTINEL MASTER.
    pub(crate) fn master(&self) -> Fields {
        let primary = self.primary();
        let down = self.is_primary_down();
        let in_progress = self.at.failing_over || (self.is_agreed() && self.view.standing.leads);
        let flags = [
            (down, "s_down"),
            (self.is_agreed(), "o_down"),
            (true, "master"),
            (down && primary.node != self.view.me.node, "disconnected"),
            (in_progress, "failover_in_progress"),
            (self.at.failing_over, "force_failover"),
        ];
        let mut fields = vec![("name", self.view.name.clone())];
        self.begin(&mut fields, &primary, &flags);
        if in_progress {
            let state = if self.at.failing_over { "wait_promotion" } else { "select_slave" };
            fields.push(("failover-state", state.into()));
        }
        self.pings(&mut fields, primary.node, down, self.is_agreed());
        self.reported(&mut fields, primary.node, "master");
        let epoch = self.view.shard().map_or(0, |shard| shard.epoch.0);
        let timing = &self.view.timing;
        let replicas = self.replica_nodes().count();
        fields.extend([
            ("config-epoch", epoch.to_string()),
            ("num-slaves", replicas.to_string()),
            ("num-other-sentinels", self.other_nodes().count().to_string()),
            ("quorum", self.quorum().to_string()),
            ("failover-timeout", millis(timing.handover).to_string()),
            // All follow the new primary at once.
            ("parallel-syncs", replicas.max(1).to_string()),
        ]);
        fields
    }

    /// SENTINEL REPLICAS.
    pub(crate) fn replicas(&self) -> Vec<Fields> {
        self.replica_nodes().map(|(endpoint, member)| self.replica(&endpoint, member)).collect()
    }

    fn replica(&self, endpoint: &Endpoint, member: &Member) -> Fields {
        let node = endpoint.node;
        let down = self.view.is_down(node, self.at.now);
        let linked = self.is_linked(node);
        let mut fields = vec![("name", join_host_port(&endpoint.host, endpoint.port))];
        self.begin(&mut fields, endpoint, &[(down, "s_down"), (true, "slave"), (down, "disconnected")]);
        self.pings(&mut fields, node, down, false);
        self.reported(&mut fields, node, "slave");
        let primary = self.primary();
        let offset =
            self.view.heard.get(&node).and_then(|heard| heard.position).map_or(0, |held| held.offset);
        fields.extend([
            ("master-link-down-time", if linked { 0 } else { self.role_ms() }.to_string()),
            ("master-link-status", if linked { "ok" } else { "err" }.into()),
            ("master-host", primary.host),
            ("master-port", primary.port.to_string()),
            ("slave-priority", member.announcement.priority.to_string()),
            ("slave-repl-offset", offset.to_string()),
            ("replica-announced", "1".into()),
        ]);
        fields
    }

    /// SENTINEL SENTINELS. Nodes are named by their clients' port, where they answer SENTINEL as well as at any other.
    pub(crate) fn others(&self) -> Vec<Fields> {
        self.other_nodes().map(|endpoint| self.other(&endpoint)).collect()
    }

    fn other(&self, endpoint: &Endpoint) -> Fields {
        let node = endpoint.node;
        let down = self.view.is_down(node, self.at.now);
        let mut fields = vec![("name", run_id(node))];
        self.begin(&mut fields, endpoint, &[(down, "s_down"), (true, "sentinel"), (down, "disconnected")]);
        self.pings(&mut fields, node, down, false);
        fields.extend([
            ("last-hello-message", self.silent_ms(node).to_string()),
            ("voted-leader", "?".into()),
            ("voted-leader-epoch", "0".into()),
        ]);
        fields
    }

    /// From `ip` to the links.
    fn begin(&self, fields: &mut Fields, endpoint: &Endpoint, flags: &[(bool, &str)]) {
        let flags: Vec<&str> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
        let known = self.view.topology.members.contains_key(&endpoint.node);
        fields.extend([
            ("ip", endpoint.host.clone()),
            ("port", endpoint.port.to_string()),
            ("runid", if known { run_id(endpoint.node) } else { String::new() }),
            ("flags", flags.join(",")),
            ("link-pending-commands", "0".into()),
            ("link-refcount", "1".into()),
        ]);
    }

    /// From `last-ping-sent` to `down-after-milliseconds`.
    fn pings(&self, fields: &mut Fields, node: NodeId, down: bool, agreed: bool) {
        let silent = self.silent_ms(node);
        fields.extend([
            ("last-ping-sent", if down { silent } else { 0 }.to_string()),
            ("last-ok-ping-reply", silent.to_string()),
            ("last-ping-reply", silent.to_string()),
        ]);
        if down {
            fields.push(("s-down-time", self.down_ms(node).to_string()));
        }
        if agreed {
            fields.push(("o-down-time", self.down_ms(node).to_string()));
        }
        fields.push(("down-after-milliseconds", millis(self.view.timing.lease).to_string()));
    }

    /// From `info-refresh` to `role-reported-time`.
    fn reported(&self, fields: &mut Fields, node: NodeId, role: &str) {
        fields.extend([
            ("info-refresh", self.silent_ms(node).to_string()),
            ("role-reported", role.into()),
            ("role-reported-time", self.role_ms().to_string()),
        ]);
    }

    /// How long the node was not heard; since the start if never.
    pub(crate) fn silent_ms(&self, node: NodeId) -> u64 {
        if node == self.view.me.node {
            return 0;
        }
        self.view.silent_ms(node, self.at.now).unwrap_or(self.at.up_ms)
    }

    /// How long it has been down.
    fn down_ms(&self, node: NodeId) -> u64 {
        self.silent_ms(node).saturating_sub(millis(self.view.timing.lease))
    }

    /// How long the roles have been what they are, as far as this process has seen.
    fn role_ms(&self) -> u64 {
        let since = self.view.failover.map(|failover| self.at.unix_ms.saturating_sub(failover.at_ms));
        since.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(self.at.up_ms)
    }
}

pub(super) fn millis(span: Span) -> u64 {
    span.0 / 1000
}

#[cfg(test)]
mod tests;
