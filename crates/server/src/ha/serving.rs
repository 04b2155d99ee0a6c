//! Serving clients as a primary: leases, fences, what is committed, what becomes of writes.

use super::node::Node;
use redoubt_ha::agent::Writes;
use redoubt_ha::{Epoch, Time};

/// Leading an epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leading {
    /// The order to the data plane.
    pub(super) order: u64,
    pub(super) epoch: Epoch,
    /// The end of the lease, once there is one.
    pub(super) lease: Option<Time>,
    /// What is committed.
    pub(super) committed: u64,
}

impl Node {
    /// A lease came. It counts once the data plane leads in its epoch.
    pub(super) fn serve(&mut self, epoch: Epoch, until: Time) {
        if let Some(leading) = self.leading.as_mut().filter(|leading| leading.epoch == epoch) {
            leading.lease = Some(until);
            self.serve_if_ready();
        }
    }

    pub(super) fn serve_if_ready(&mut self) {
        let Some(Leading { order, lease: Some(until), committed, .. }) = self.leading else { return };
        if !self.orders.is_done(order) {
            return;
        }
        let was_serving = self.ha().gate.is_serving();
        self.ha().gate.serve(until);
        if !was_serving {
            self.ha().release(committed);
            self.refresh_gate();
        }
    }

    /// No reply leaves any more that has not been released.
    pub(super) fn fence(&mut self) {
        if let Some(leading) = &mut self.leading {
            leading.lease = None;
        }
        // First: a batch that begins after the fence is to see that it has to look more closely.
        self.shared().replication.set_ha_gate(true);
        self.ha().gate.fence();
        self.shared().log.void();
        self.refresh_gate();
    }

    pub(super) fn release(&mut self, offset: u64) {
        if let Some(leading) = &mut self.leading {
            leading.committed = offset;
        }
        if self.ha().gate.is_serving() {
            self.ha().release(offset);
        }
    }

    pub(super) fn set_writes(&mut self, writes: Writes) {
        self.ha().gate.set_writes(writes);
        self.refresh_gate();
    }

    /// Has commands looked at more closely unless all is well, and has those look again that wait.
    pub(super) fn refresh_gate(&self) {
        let shared = self.shared();
        shared.replication.set_ha_gate(!self.ha().gate.is_open());
        for client in &shared.clients {
            client.mailbox.wake();
        }
    }

    /// Rule 3: replies wait for the commit offset while this node leads, unless they are not to wait for anybody. Where no
    /// acknowledgement moves that offset, every write is looked at.
    pub(super) fn hold_as_needed(&mut self) {
        let leads = self.agent.leads().is_some();
        let at_once = self.agent.acknowledges_at_once();
        let committed = self.leading.filter(|_| self.ha().gate.is_serving()).map(|leading| leading.committed);
        self.ha().set_hold(self.shared(), leads && !at_once, committed);
        if self.shared().replication.watch_end(self.agent.is_alone() && !at_once) {
            self.news.arrived.notify_one();
        }
    }
}
