//! What is shown of a node and its deployment to whoever looks.

use super::node::Node;
use super::view::{Failover, Role, View};
use crate::shared::unix_ms;
use redoubt_ha::topology::Topology;
use std::sync::Arc;

impl Node {
    /// Notes a change of primary, for INFO and the log.
    pub(super) fn note_change(&mut self, before: &Topology) {
        for (id, shard) in &self.topology.shards {
            let old = before.shards.get(id);
            if old.is_some_and(|old| old.epoch == shard.epoch) {
                continue;
            }
            let (from, to) = (old.map(|old| old.primary.node), shard.primary.node);
            tracing::info!("Epoch {}: node {:016x} leads ({})", shard.epoch, to.0, shard.cause);
            if old.is_some() {
                self.failovers += 1;
                self.failover =
                    Some(Failover { at_ms: unix_ms(), from, to, cause: shard.cause, took_ms: None });
            }
        }
    }

    fn role(&self) -> Role {
        if let Some(epoch) = self.agent.leads() {
            return Role::Primary { epoch, serving: self.ha().gate.is_serving() };
        }
        self.agent.follows().map_or(Role::Nobody, |(primary, epoch)| Role::Replica { primary, epoch })
    }

    /// Shows what is known now to whoever looks, if it is something else than before.
    pub(super) fn publish(&mut self) {
        let role = self.role();
        if !std::mem::take(&mut self.shows_more) && self.shown == role {
            return;
        }
        self.shown = role;
        self.note_recovery(role);
        let (cluster, is_cut_off) = (self.driver.cluster(), self.is_lonely());
        let ha = self.ha();
        let old = ha.view();
        let same = Arc::ptr_eq(&old.topology, &self.topology)
            && (old.role, old.is_cut_off, old.me) == (role, is_cut_off, self.me())
            && (old.cluster, old.failover) == (cluster, self.failover)
            && old.heard == self.heard
            && old.standing == self.standing;
        if same {
            return;
        }
        let view = View {
            me: self.me(),
            cluster,
            topology: Arc::clone(&self.topology),
            role,
            standing: self.standing.clone(),
            is_cut_off,
            heard: self.heard.clone(),
            failover: self.failover,
            failovers: self.failovers,
            name: old.name.clone(),
            timing: old.timing.clone(),
        };
        ha.show(view);
    }

    /// How long the change of primary that made this node one took, once it serves.
    fn note_recovery(&mut self, role: Role) {
        let me = self.me().node;
        let Some(failover) = &mut self.failover else { return };
        if failover.took_ms.is_none()
            && failover.to == me
            && matches!(role, Role::Primary { serving: true, .. })
        {
            let took = u64::try_from(unix_ms() - failover.at_ms).unwrap_or(0) + silence_ms(failover.cause);
            failover.took_ms = Some(took);
            tracing::info!(
                "Failover complete: this node serves, {took} ms after the last sign of the old primary"
            );
        }
    }
}

/// How long the old primary was silent before the change was decided.
fn silence_ms(cause: redoubt_ha::event::Cause) -> u64 {
    use redoubt_ha::event::Cause;
    match cause {
        Cause::Silent(span) | Cause::Stalled(span) | Cause::Blocked(span) => span.0 / 1000,
        Cause::First | Cause::Restarted | Cause::Forgotten => 0,
        Cause::Planned | Cause::AllRestarted | Cause::Unwritable => 0,
    }
}
