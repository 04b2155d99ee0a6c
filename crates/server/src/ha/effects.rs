//! What the machines want done.

use super::data::Order;
use super::message::Message;
use super::node::{Node, stopped};
use super::serving::Leading;
use crate::config::host_and_port;
use crate::replication::Membership;
use redoubt_ha::message::Heartbeat;
use redoubt_ha::{Epoch, Incarnation, NodeId, Process, ShardId, agent, controller};

impl Node {
    pub(super) async fn carry_out(&mut self, effect: agent::Effect) {
        use agent::Effect;
        match effect {
            Effect::Heartbeat(heartbeat) => self.send_heartbeat(heartbeat),
            Effect::Lead { shard, epoch } => self.lead(shard, epoch),
            Effect::Follow { shard, primary, epoch } => self.follow(shard, primary, epoch),
            Effect::Rest => {
                self.leading = None;
                self.orders.give(Order::Rest);
            }
            Effect::Serve { epoch, until } => self.serve(epoch, until),
            Effect::Fence => self.fence(),
            Effect::Commit { offset, .. } => self.release(offset),
            Effect::Writes(writes) => self.set_writes(writes),
            Effect::NewLife(incarnation) => self.new_life(incarnation).await,
            Effect::Discard => {
                self.orders.give(Order::Discard);
            }
            Effect::Event(event) => super::events::tell(&event),
        }
    }

    /// On the disk before anybody hears of it. Nothing else is done meanwhile: if that takes long, another may lead the group.
    async fn new_life(&mut self, incarnation: Incarnation) {
        let driver = self.driver.clone();
        let mut written = std::pin::pin!(driver.new_life(incarnation));
        let mut stop = self.shared().stop.subscribe();
        let limit = std::time::Duration::from_micros(self.timing.lease.0);
        let outcome = loop {
            tokio::select! {
                outcome = &mut written => break outcome,
                // Nothing leaves any more: the number is not this process's yet.
                () = stopped(&mut stop) => return driver.stop().await,
                () = tokio::time::sleep(limit) => self.step_aside(),
            }
        };
        if let Err(error) = outcome {
            tracing::error!("the disk does not take a new incarnation: {error}");
            self.shared().request_stop();
        }
        self.orders.give(Order::NewLife(self.me()));
    }

    fn send_heartbeat(&mut self, heartbeat: Box<Heartbeat>) {
        let me = self.me().node;
        let message = Message::Heartbeat(heartbeat.clone());
        let members = self.topology.members.keys().copied();
        let group = self.standing.voters.iter().chain(&self.standing.learners).copied();
        let all: std::collections::BTreeSet<NodeId> =
            members.chain(group).filter(|node| *node != me).collect();
        for node in all {
            self.send(node, &message);
        }
        self.on_heartbeat(heartbeat);
    }

    fn membership(&self, shard: ShardId, epoch: Epoch) -> Membership {
        let cluster = self.driver.cluster().unwrap_or_default();
        Membership { cluster, shard, epoch, me: self.me() }
    }

    fn lead(&mut self, shard: ShardId, epoch: Epoch) {
        let order = self.orders.give(Order::Lead(self.membership(shard, epoch)));
        self.leading = Some(Leading { order, epoch, lease: None, committed: 0 });
    }

    pub(super) fn follow(&mut self, shard: ShardId, primary: Process, epoch: Epoch) {
        self.leading = None;
        let place = self.topology.members.get(&primary.node);
        let Some((host, port)) = place.and_then(|member| host_and_port(&member.announcement.clients)) else {
            tracing::error!("node {:016x} says no address for clients", primary.node.0);
            return;
        };
        self.orders.give(Order::Follow(self.membership(shard, epoch), host, port));
    }

    pub(super) fn step_controller(&mut self, input: controller::Input) {
        let mut effects = Vec::new();
        self.controller.step(crate::raft::now(), input, &mut effects);
        for effect in effects {
            match effect {
                controller::Effect::Propose(entry) => {
                    let driver = self.driver.clone();
                    tokio::spawn(async move {
                        // What comes of it is seen when it is applied; what is lost is proposed again.
                        if let Err(error) = driver.propose(&entry).await {
                            tracing::debug!("{entry:?} was not proposed: {error}");
                        }
                    });
                }
                controller::Effect::Lease(lease) if lease.to.node == self.me().node => {
                    self.agent_input(agent::Input::Lease(lease));
                }
                controller::Effect::Lease(lease) => self.send(lease.to.node, &Message::Lease(lease)),
                controller::Effect::HandOver(order) if order.primary.node == self.me().node => {
                    self.hand_over(order)
                }
                controller::Effect::HandOver(order) => {
                    self.send(order.primary.node, &Message::HandOver(order))
                }
                controller::Effect::Voters(voters) => self.changes.want_voters(voters),
                controller::Effect::Event(event) => super::events::tell(&event),
            }
        }
    }
}
