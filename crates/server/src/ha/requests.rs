//! What operators want of the deployment, whichever node they ask.

use super::message::Message;
use super::node::Node;
use super::{Done, Request};
use redoubt_ha::NodeId;
use redoubt_ha::agent;
use redoubt_ha::controller;
use redoubt_ha::entry::Entry;
use redoubt_ha::message::HandOver;

impl Node {
    pub(super) fn on_request(&mut self, request: Request) {
        match request {
            Request::Failover { to, leaving, done } => {
                let outcome = self.plan_failover(to, leaving);
                answer(done, outcome);
            }
            Request::Leave { stops, done } => {
                match (stops, self.agent.follows(), self.topology.shard_of(self.me().node)) {
                    (true, ..) => self.agent_input(agent::Input::Leaving),
                    (false, Some((primary, epoch)), Some((shard, _))) => self.follow(shard, primary, epoch),
                    (false, ..) => {}
                }
                answer(done, Ok(()));
            }
            Request::Forget { node, done } => {
                let known = self.topology.members.contains_key(&node);
                if known {
                    self.forget(node);
                }
                answer(done, if known { Ok(()) } else { Err(format!("Unknown node {:016x}", node.0)) });
            }
            Request::Set { name, value, done } => {
                let driver = self.driver.clone();
                tokio::spawn(async move {
                    let outcome = driver.propose_anywhere(&Entry::Set { name, value }).await;
                    answer(done, outcome.map(drop).map_err(|error| error.to_string()));
                });
            }
        }
    }

    fn plan_failover(&mut self, to: Option<NodeId>, leaving: bool) -> Result<(), String> {
        self.ha().view().may_fail_over(to)?;
        let Some((_, shard)) = self.topology.shard_of(self.me().node) else { return Ok(()) };
        if shard.primary == self.me() {
            self.begin_handover(to, leaving);
        } else {
            let until = crate::raft::now().plus(self.timing.handover);
            self.planned = Some((shard.epoch, to, until));
            self.pursue_plan();
        }
        Ok(())
    }

    /// The order may get lost: it is given until the epoch changes.
    pub(super) fn pursue_plan(&mut self) {
        let Some((epoch, to, until)) = self.planned else { return };
        let shard = self.topology.shard_of(self.me().node).map(|(_, shard)| shard);
        match shard.filter(|shard| shard.epoch == epoch && crate::raft::now() < until) {
            Some(shard) => self
                .send(shard.primary.node, &Message::HandOver(HandOver { primary: shard.primary, epoch, to })),
            None => self.planned = None,
        }
    }

    /// The controller does it; who is not the leader passes it on.
    pub(super) fn forget(&mut self, node: NodeId) {
        if self.standing.leads {
            self.controller_input(controller::Input::Request(controller::Request::Forget(node)));
        } else if let Some(leader) = self.standing.leader {
            self.send(leader, &Message::Forget(node));
        }
    }
}

fn answer(done: Done, outcome: Result<(), String>) {
    // Whoever asked may have given up waiting.
    let _ = done.send(outcome);
}
