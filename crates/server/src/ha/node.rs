//! The driver: connects agent, controller, Raft, data plane and the outside. One task on the control thread; nothing in
//! it waits for data threads.

use super::data::{News, Order, Orders};
use super::group::Changes;
use super::meet::{self, Meeting};
use super::message::Message;
use super::serving::Leading;
use super::view::{Failover, Heard, Role, View};
use super::watchdog::Watchdog;
use super::{Ha, Request};
use crate::config::host_and_port;
use crate::raft::{self, Driver, Inbox, Peer, Standing};
use crate::replication::Membership;
use crate::shared::{Shared, unix_ms};
use redoubt_ha::agent::{self, Agent};
use redoubt_ha::controller::{self, Controller};
use redoubt_ha::message::Heartbeat;
use redoubt_ha::topology::{Announcement, Topology};
use redoubt_ha::{Epoch, NodeId, Position, Process, Rules, ShardId, Time, Timing};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// One node of the Raft group of a deployment.
pub(super) type Group = Driver<Topology>;

/// Something for one of the machines.
#[derive(Debug)]
enum Work {
    Agent(agent::Input),
    Controller(controller::Input),
}

/// See the module's text.
pub(crate) struct Node {
    shared: Arc<Shared>,
    pub(super) driver: Group,
    pub(super) agent: Agent,
    controller: Controller,
    work: VecDeque<Work>,
    pub(super) meeting: Meeting,
    pub(super) changes: Changes,
    pub(super) orders: Orders,
    pub(super) news: Arc<News>,
    watchdog: Watchdog,
    pub(super) announcement: Announcement,
    pub(super) expect: usize,
    pub(super) timing: Timing,
    pub(super) topology: Arc<Topology>,
    pub(super) standing: Standing,
    position: Option<Position>,
    /// Whether this node leads, and nobody else has to have a write before it is acknowledged.
    pub(super) alone: bool,
    heard: BTreeMap<NodeId, Heard>,
    pub(super) leading: Option<Leading>,
    /// A planned change of primary that was asked for here, of this epoch, until it is given up.
    pub(super) planned: Option<(Epoch, Option<NodeId>, Time)>,
    failover: Option<Failover>,
    failovers: u64,
    /// What the view says of the role, and whether it may have to say something else than the role anew.
    shown: Role,
    shows_more: bool,
}

/// What a node is started with, beside what it finds on its disk.
pub(crate) struct Beginning {
    pub(crate) shared: Arc<Shared>,
    pub(crate) driver: Group,
    pub(crate) announcement: Announcement,
}

impl Node {
    /// A node that has just started.
    pub(crate) async fn new(beginning: Beginning) -> Node {
        let Beginning { shared, driver, announcement } = beginning;
        let values = shared.values();
        let (me, timing, expect) = (driver.me(), values.ha.timing.clone(), values.ha.bootstrap_expect);
        let initialised = driver.is_initialised().await.unwrap_or(false);
        let kept = meet::kept(&driver).await;
        let news = Arc::new(News::default());
        shared.replication.watch(Arc::clone(&news) as _);
        Node {
            agent: Agent::new(me, announcement.clone(), timing.clone(), Rules::default()),
            controller: Controller::new(me, expect, timing.clone(), Rules::default(), raft::now()),
            work: VecDeque::new(),
            meeting: Meeting::new(me.node, &values.ha, kept, initialised),
            changes: Changes::default(),
            orders: Orders::new(Arc::clone(&news)),
            watchdog: Watchdog::default(),
            announcement,
            expect,
            timing,
            topology: Arc::default(),
            standing: Standing::default(),
            position: None,
            alone: false,
            heard: BTreeMap::new(),
            leading: None,
            planned: None,
            failover: None,
            failovers: 0,
            shown: Role::Nobody,
            shows_more: true,
            news,
            driver,
            shared,
        }
    }

    /// Told when the data is loaded.
    pub(crate) fn news(&self) -> Arc<News> {
        Arc::clone(&self.news)
    }

    /// This process, in its present life.
    pub(super) fn me(&self) -> Process {
        self.agent.me()
    }

    pub(super) fn ha(&self) -> &Ha {
        self.shared.ha.as_ref().expect("a node runs where failover is switched on")
    }

    /// Runs until the server stops.
    pub(crate) async fn run(
        mut self,
        mut inbox: Inbox<Topology>,
        mut requests: mpsc::UnboundedReceiver<Request>,
    ) {
        let quarter = std::time::Duration::from_micros(self.timing.heartbeat.0 / 4);
        let mut ticks = tokio::time::interval(quarter);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = self.shared.stop.subscribe();
        let news = Arc::clone(&self.news);
        let mut beats = 0u64;
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(applied) = inbox.applied.recv() => {
                    self.on_applied(applied);
                    while let Ok(applied) = inbox.applied.try_recv() {
                        self.on_applied(applied);
                    }
                }
                () = news.arrived.notified() => self.on_news(),
                Some((from, bytes)) = inbox.control.recv() => self.on_message(&from, &bytes).await,
                Ok(()) = inbox.standing.changed() => {
                    let standing = inbox.standing.borrow_and_update().clone();
                    self.on_standing(standing);
                }
                Some(request) = requests.recv() => self.on_request(request),
                _ = ticks.tick() => {
                    beats += 1;
                    self.shows_more = true;
                    self.tick();
                    if beats.is_multiple_of(4) {
                        self.meet().await;
                    }
                }
            }
            self.settle().await;
        }
        self.fence();
        self.give_up_leadership(&mut inbox).await;
        self.driver.stop().await;
    }

    /// A leader of the group that stops hands over, so that nobody has to wait for its lease to end.
    async fn give_up_leadership(&mut self, inbox: &mut Inbox<Topology>) {
        let standing = inbox.standing.borrow_and_update().clone();
        let others = standing.voters.iter().filter(|node| **node != self.me().node);
        let best = others.max_by_key(|node| standing.matched.get(node).copied().unwrap_or(0)).copied();
        let Some(to) = best.filter(|_| standing.leads) else { return };
        if self.driver.transfer_leader(to).await.is_ok() {
            let limit = std::time::Duration::from_micros(self.timing.election_max.0);
            // Whoever does not take it in time is elected the slow way.
            let _ = tokio::time::timeout(limit, inbox.standing.wait_for(|standing| !standing.leads)).await;
        }
    }

    fn tick(&mut self) {
        if let Err(error) = self.orders.start(&self.shared) {
            tracing::error!("could not start a thread: {error}");
        }
        let stalled_for = self.watchdog.look(&self.shared);
        let writable = !self.shared.refusal.is_on();
        self.agent_input(agent::Input::Health { stalled_for, writable });
        self.controller_input(controller::Input::Tick);
        self.change_group();
        self.pursue_plan();
    }

    pub(super) fn agent_input(&mut self, input: agent::Input) {
        self.work.push_back(Work::Agent(input));
    }

    pub(super) fn controller_input(&mut self, input: controller::Input) {
        self.work.push_back(Work::Controller(input));
    }

    /// An entry of the log, or a snapshot of it, was applied.
    fn on_applied(&mut self, applied: raft::Applied<Topology>) {
        if matches!(applied.outcome, Some(Err(_))) {
            return;
        }
        let before = std::mem::replace(&mut self.topology, Arc::clone(&applied.facts));
        self.shows_more = true;
        self.learn_places();
        self.note_change(&before);
        self.agent_input(agent::Input::Topology(Arc::clone(&applied.facts)));
        self.controller_input(controller::Input::Topology(applied.facts));
        self.take_over_settings(&before);
    }

    fn learn_places(&self) {
        for (&node, member) in &self.topology.members {
            let process = Process { node, incarnation: member.incarnation };
            self.driver.learn(process, &member.announcement.peers);
        }
    }

    /// Notes a change of primary, for INFO and the log.
    fn note_change(&mut self, before: &Topology) {
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

    fn on_news(&mut self) {
        if let Some(epoch) = self.news.take_resync()
            && self.agent.follows().is_some_and(|(_, following)| following == epoch)
        {
            self.agent_input(agent::Input::ResyncNeeded);
        }
        // Before the position is looked at: nobody acknowledges what is not there.
        let acks = self.news.take_acks();
        let position = self.shared.replication.position(&self.shared);
        if position != self.position && self.news.is_loaded() {
            self.position = position;
            self.agent_input(agent::Input::Holds(position));
        }
        for ((from, epoch), offset) in acks {
            self.agent_input(agent::Input::Acked { from, epoch, offset });
        }
        self.serve_if_ready();
    }

    fn on_standing(&mut self, standing: Standing) {
        let before = std::mem::replace(&mut self.standing, standing.clone());
        self.shows_more = true;
        if let Some(why) = &standing.failed {
            tracing::error!("This node cannot take part any more, and ends: {why}");
            self.fence();
            self.shared.request_stop();
            return;
        }
        let was = before.leads.then_some(before.term);
        let is = standing.leads.then_some(standing.term);
        if was != is {
            if was.is_some() {
                self.controller_input(controller::Input::Deposed);
            }
            if is.is_some() {
                self.controller_input(controller::Input::Elected { by_transfer: standing.by_transfer });
            }
        }
        if before.voters != standing.voters || was != is {
            self.controller_input(controller::Input::Voters(standing.voters.clone()));
        }
        if let Some(sent) = standing.quorum {
            self.controller_input(controller::Input::Quorum { sent });
        }
    }

    async fn on_message(&mut self, from: &Peer, bytes: &[u8]) {
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                return tracing::warn!("node {:016x} sent a message that is none: {error}", from.node);
            }
        };
        let is_ours = from.cluster.is_some() && from.cluster == self.driver.cluster();
        if from.node == self.me().node.0 || (!is_ours && !message.is_for_strangers()) {
            return;
        }
        match message {
            Message::Heartbeat(heartbeat) if heartbeat.from.node.0 == from.node => {
                self.on_heartbeat(heartbeat)
            }
            Message::Heartbeat(_) => {}
            Message::Lease(lease) => self.agent_input(agent::Input::Lease(lease)),
            Message::HandOver(order) => self.hand_over(order),
            Message::Hello(hello) => self.on_hello(from, hello).await,
            Message::Join(process, address) => self.on_join(process, address),
            Message::Forget(node) => self.forget(node),
        }
    }

    fn on_heartbeat(&mut self, heartbeat: Box<Heartbeat>) {
        let (process, position) = (heartbeat.from, heartbeat.position);
        self.heard.insert(process.node, Heard { at: raft::now(), process, position });
        self.controller_input(controller::Input::Heartbeat(heartbeat));
    }

    pub(super) fn hand_over(&mut self, order: redoubt_ha::message::HandOver) {
        if order.primary == self.me() && self.agent.leads() == Some(order.epoch) {
            self.agent_input(agent::Input::HandOver { to: order.to, leaving: false });
        }
    }

    /// Has the machines work until there is nothing left to do, then shows what came of it.
    async fn settle(&mut self) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Agent(input) => self.step_agent(input).await,
                Work::Controller(input) => self.step_controller(input),
            }
        }
        self.hold_as_needed();
        self.publish();
    }

    async fn step_agent(&mut self, input: agent::Input) {
        let mut effects = Vec::new();
        self.agent.step(raft::now(), input, &mut effects);
        // Before an offer leaves, replies wait for who is offered.
        self.hold_as_needed();
        for effect in effects {
            self.carry_out(effect).await;
        }
    }

    async fn carry_out(&mut self, effect: agent::Effect) {
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
            Effect::NewLife(incarnation) => {
                if let Err(error) = self.driver.new_life(incarnation).await {
                    tracing::error!("the disk does not take a new incarnation: {error}");
                    self.shared.request_stop();
                }
                self.orders.give(Order::NewLife(self.me()));
            }
            Effect::Discard => {
                self.orders.give(Order::Discard);
            }
            Effect::Event(event) => super::events::tell(&event),
        }
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

    pub(super) fn send(&self, to: NodeId, message: &Message) {
        match message.encode() {
            Ok(bytes) => self.driver.control(to, bytes),
            Err(error) => tracing::error!("a message could not be written: {error}"),
        }
    }

    fn membership(&self, shard: ShardId, epoch: Epoch) -> Membership {
        let cluster = self.driver.cluster().unwrap_or_default();
        Membership { cluster, shard, epoch, me: self.me() }
    }

    fn lead(&mut self, shard: ShardId, epoch: Epoch) {
        let order = self.orders.give(Order::Lead(self.membership(shard, epoch)));
        self.leading = Some(Leading { order, epoch, lease: None, committed: 0 });
    }

    fn follow(&mut self, shard: ShardId, primary: Process, epoch: Epoch) {
        self.leading = None;
        let place = self.topology.members.get(&primary.node);
        let Some((host, port)) = place.and_then(|member| host_and_port(&member.announcement.clients)) else {
            tracing::error!("node {:016x} says no address for clients", primary.node.0);
            return;
        };
        self.orders.give(Order::Follow(self.membership(shard, epoch), host, port));
    }

    fn step_controller(&mut self, input: controller::Input) {
        let mut effects = Vec::new();
        self.controller.step(raft::now(), input, &mut effects);
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

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn role(&self) -> Role {
        if let Some(epoch) = self.agent.leads() {
            return Role::Primary { epoch, serving: self.ha().gate.is_serving() };
        }
        self.agent.follows().map_or(Role::Nobody, |(primary, epoch)| Role::Replica { primary, epoch })
    }

    /// Shows what is known now to whoever looks, if it is something else than before.
    fn publish(&mut self) {
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

async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    // The sender lives as long as the server.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long the old primary was silent before the change was decided.
fn silence_ms(cause: redoubt_ha::event::Cause) -> u64 {
    use redoubt_ha::event::Cause;
    match cause {
        Cause::Silent(span) | Cause::Stalled(span) | Cause::Blocked(span) => span.0 / 1000,
        Cause::First | Cause::Restarted | Cause::Forgotten | Cause::Planned | Cause::AllRestarted => 0,
    }
}
