//! The driver: connects agent, controller, Raft, data plane and the outside. One task on the control thread; nothing in
//! it waits for data threads.

use super::data::{News, Order, Orders};
use super::drain::Drain;
use super::group::Changes;
use super::meet::{self, Meeting};
use super::message::Message;
use super::serving::Leading;
use super::view::{Failover, Heard, Role};
use super::watchdog::Watchdog;
use super::{Ha, Request};
use crate::raft::{self, Driver, Inbox, Peer, Standing};
use crate::shared::Shared;
use redoubt_ha::agent::{self, Agent};
use redoubt_ha::controller::{self, Controller};
use redoubt_ha::message::Heartbeat;
use redoubt_ha::topology::{Announcement, Topology};
use redoubt_ha::{Epoch, NodeId, Position, Process, Rules, Span, Time, Timing};
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
    pub(super) controller: Controller,
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
    pub(super) heard: BTreeMap<NodeId, Heard>,
    pub(super) leading: Option<Leading>,
    /// A planned change of primary that was asked for here, of this epoch, until it is given up.
    pub(super) planned: Option<(Epoch, Option<NodeId>, Time)>,
    /// A handover that is about to begin, and how many there were.
    pub(super) drain: Option<Drain>,
    pub(super) drains: u64,
    pub(super) failover: Option<Failover>,
    pub(super) failovers: u64,
    /// What the view says of the role, and whether it may have to say something else than the role anew.
    pub(super) shown: Role,
    pub(super) shows_more: bool,
    /// When this node last had another lead the group, since it cannot write itself.
    stepped_aside: Option<Time>,
    /// The deployment has removed this node: nobody will ever listen to it again.
    is_forgotten: bool,
}

/// What a node is started with, beside what it finds on its disk.
pub(crate) struct Beginning {
    pub(crate) shared: Arc<Shared>,
    pub(crate) driver: Group,
    pub(crate) announcement: Announcement,
}

/// What outlives a node that was forgotten and begins anew in the same process: the way to its data.
pub(crate) struct Former {
    orders: Orders,
    news: Arc<News>,
    drains: u64,
}

impl Node {
    /// A node that has just started, or was another before.
    pub(crate) async fn new(beginning: Beginning, former: Option<Former>) -> Node {
        let Beginning { shared, driver, announcement } = beginning;
        let values = shared.values();
        let (me, timing, expect) = (driver.me(), values.ha.timing.clone(), values.ha.bootstrap_expect);
        let initialised = driver.is_initialised().await.unwrap_or(false);
        let kept = meet::kept(&driver).await;
        let Former { orders, news, drains } = former.unwrap_or_else(|| {
            let news = Arc::new(News::default());
            shared.replication.watch(Arc::clone(&news) as _);
            Former { orders: Orders::new(Arc::clone(&news)), news, drains: 0 }
        });
        Node {
            agent: Agent::new(me, announcement.clone(), timing.clone(), Rules::default()),
            controller: Controller::new(me, expect, timing.clone(), Rules::default(), raft::now()),
            work: VecDeque::new(),
            meeting: Meeting::new(me.node, &values.ha, kept, initialised),
            changes: Changes::default(),
            orders,
            watchdog: Watchdog::default(),
            announcement,
            expect,
            timing,
            topology: Arc::default(),
            standing: Standing::default(),
            position: None,
            heard: BTreeMap::new(),
            leading: None,
            planned: None,
            drain: None,
            drains,
            failover: None,
            failovers: 0,
            shown: Role::Nobody,
            shows_more: true,
            stepped_aside: None,
            is_forgotten: false,
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

    /// Runs until the server stops, or the deployment is known to have forgotten this node: then something is left for who
    /// begins anew.
    pub(crate) async fn run(
        mut self,
        mut inbox: Inbox<Topology>,
        requests: &mut mpsc::UnboundedReceiver<Request>,
    ) -> Option<Former> {
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
            if self.is_forgotten {
                break;
            }
        }
        self.fence();
        self.give_up_leadership(&mut inbox).await;
        self.driver.stop().await;
        self.is_forgotten.then(|| {
            self.orders.give(Order::Rest);
            Former { orders: self.orders, news: self.news, drains: self.drains }
        })
    }

    /// A leader of the group that stops hands over, so that nobody has to wait for its lease to end.
    async fn give_up_leadership(&mut self, inbox: &mut Inbox<Topology>) {
        let standing = inbox.standing.borrow_and_update().clone();
        let Some(to) = self.next_leader(&standing) else { return };
        if self.driver.transfer_leader(to).await.is_ok() {
            let limit = std::time::Duration::from_micros(self.timing.election_max.0);
            // Whoever does not take it in time is elected the slow way.
            let _ = tokio::time::timeout(limit, inbox.standing.wait_for(|standing| !standing.leads)).await;
        }
    }

    /// Who is to lead the group if this node, which does, is not to.
    fn next_leader(&self, standing: &Standing) -> Option<NodeId> {
        let others = standing.voters.iter().filter(|node| **node != self.me().node);
        let best = others.max_by_key(|node| standing.matched.get(node).copied().unwrap_or(0)).copied();
        best.filter(|_| standing.leads)
    }

    /// A leader of the group that cannot write has another lead: the group would get stuck with it sooner or later.
    pub(super) fn step_aside(&self) {
        let Some(to) = self.next_leader(&self.standing) else { return };
        let driver = self.driver.clone();
        // Whether it was taken is told by the standing.
        tokio::spawn(async move { drop(driver.transfer_leader(to).await) });
    }

    fn tick(&mut self) {
        if let Err(error) = self.orders.start(&self.shared) {
            tracing::error!("could not start a thread: {error}");
        }
        let waits_for_disk = Span(self.shared.aof.hung_for().as_micros() as u64);
        let stalled_for = self.watchdog.look(&self.shared).max(waits_for_disk);
        let lacks_space = self.driver.lacks_space();
        let now = raft::now();
        if lacks_space && self.stepped_aside.is_none_or(|at| now.since(at) > self.timing.retry) {
            self.stepped_aside = Some(now);
            self.step_aside();
        }
        // Of what a node announces, the setting that may change while it runs.
        self.agent.set_priority(self.shared.values().replication.replica_priority);
        let writable = !self.shared.refusal.is_on() && !lacks_space;
        self.agent_input(agent::Input::Health { stalled_for, writable });
        self.controller_input(controller::Input::Tick);
        self.change_group();
        self.pursue_plan();
        self.give_up_drain();
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

    fn on_news(&mut self) {
        if let Some(epoch) = self.news.take_resync()
            && self.agent.follows().is_some_and(|(_, following)| following == epoch)
        {
            self.agent_input(agent::Input::ResyncNeeded);
        }
        // Before the position is looked at: nobody acknowledges what is not there, and nothing is written after a drain.
        let drained = self.news.last_drained();
        let acks = self.news.take_acks();
        let position = self.shared.replication.position(&self.shared);
        if position != self.position && self.news.is_loaded() {
            self.position = position;
            self.agent_input(agent::Input::Holds(position));
        }
        for ((from, epoch), offset) in acks {
            self.agent_input(agent::Input::Acked { from, epoch, offset });
        }
        self.hand_over_if_drained(drained);
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
            Message::Forgotten(node, cluster) => {
                let is_us = node == self.me().node && Some(cluster) == self.driver.cluster();
                self.is_forgotten |= is_us && self.is_lonely();
            }
        }
    }

    pub(super) fn on_heartbeat(&mut self, heartbeat: Box<Heartbeat>) {
        let (process, position) = (heartbeat.from, heartbeat.position);
        self.heard.insert(process.node, Heard { at: raft::now(), process, position });
        self.controller_input(controller::Input::Heartbeat(heartbeat));
    }

    pub(super) fn hand_over(&mut self, order: redoubt_ha::message::HandOver) {
        if order.primary == self.me() && self.agent.leads() == Some(order.epoch) {
            self.begin_handover(order.to, false);
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
        self.end_drain();
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

    pub(super) fn send(&self, to: NodeId, message: &Message) {
        match message.encode() {
            Ok(bytes) => self.driver.control(to, bytes),
            Err(error) => tracing::error!("a message could not be written: {error}"),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

pub(super) async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    // The sender lives as long as the server.
    let _ = stop.wait_for(|stop| *stop).await;
}
