//! Before a handover begins: writes are held, and those that were admitted before have ended. So the end of the log is the
//! end, and every write that was executed here is acknowledged before this node stops serving.

use super::node::Node;
use redoubt_ha::{NodeId, Time, agent};
use std::sync::Arc;

/// A handover that begins when every thread that serves clients has been between two batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    number: u64,
    to: Option<NodeId>,
    leaving: bool,
    since: Time,
}

impl Node {
    /// Begins a handover, unless one has begun.
    pub(super) fn begin_handover(&mut self, to: Option<NodeId>, leaving: bool) {
        if self.drain.is_some() || !self.ha().gate.is_serving() {
            return;
        }
        self.drains += 1;
        let number = self.drains;
        self.drain = Some(Drain { number, to, leaving, since: crate::raft::now() });
        self.ha().gate.hold_ahead(true);
        self.refresh_gate();
        let (workers, news) = (self.shared().ask_workers(), Arc::clone(&self.news));
        tokio::spawn(async move {
            for worker in workers {
                // A worker that is gone runs nothing any more.
                let _ = worker.await;
            }
            news.drained(number);
        });
    }

    /// No write is running: the agent may begin, knowing the end of the log.
    pub(super) fn hand_over_if_drained(&mut self, drained: u64) {
        if let Some(drain) = self.drain.take_if(|drain| drain.number <= drained) {
            self.agent_input(agent::Input::HandOver { to: drain.to, leaving: drain.leaving });
        }
    }

    /// Some command runs for so long that writes cannot wait for it.
    pub(super) fn give_up_drain(&mut self) {
        let limit = self.timing.handover;
        self.drain.take_if(|drain| crate::raft::now().since(drain.since) > limit);
    }

    /// What becomes of writes is the agent's to say again.
    pub(super) fn end_drain(&self) {
        if self.drain.is_none() && self.ha().gate.hold_ahead(false) {
            self.refresh_gate();
        }
    }
}
