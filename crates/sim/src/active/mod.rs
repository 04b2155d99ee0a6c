//! What a process does in one step: inputs from messages and ticks, effects to Raft, data plane and network. It connects
//! the state machines the way the server does.

mod control;
mod meeting;
mod plane;

use crate::data::{Out, Reply};
use crate::machine::{Disk, Message, Order, Running, Setup, Step, To, Work};
use fastrand::Rng;
use redoubt_ha::{Span, Time, agent, controller};

/// A process during one step.
pub(crate) struct Active<'a> {
    pub(crate) running: &'a mut Running,
    pub(crate) disk: &'a mut Disk,
    pub(crate) setup: &'a Setup,
    pub(crate) now: u64,
    pub(crate) local: Time,
    pub(crate) hung: bool,
    pub(crate) rng: &'a mut Rng,
    pub(crate) step: &'a mut Step,
}

impl Active<'_> {
    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.setup.tracing {
            self.step.notes.push(text());
        }
    }

    fn send(&mut self, to: To, message: Message) {
        self.step.out.push((to, message, 0));
    }

    fn send_data(&mut self, out: Out) {
        for (to, message, delay) in out {
            self.step.out.push((To::Node(to), Message::Data(message), delay));
        }
    }

    pub(crate) fn tick(&mut self, stalled_for: Span) {
        self.running.ticks += 1;
        if self.running.ticks == 1 {
            self.news();
        }
        self.wake();
        if self.running.ticks % 8 == 1 {
            self.bootstrap();
        }
        let mut effects = Vec::new();
        self.running.raft.tick(self.local, self.rng, &mut effects);
        self.raft_effects(effects);
        self.compact();
        self.apply();
        self.agent(agent::Input::Health { stalled_for, writable: true });
        self.controller(controller::Input::Tick);
        self.settle();
        self.change_group();
        if !self.hung {
            let mut out = Vec::new();
            self.running.data.tick(self.local, &mut out);
            self.send_data(out);
            if self.running.ticks.is_multiple_of(40) {
                self.running.data.sync();
            }
            self.release();
        }
    }

    pub(crate) fn receive(&mut self, from: usize, message: Message) {
        match message {
            Message::Raft(message) => {
                let mut effects = Vec::new();
                self.running.raft.receive(self.local, message, self.rng, &mut effects);
                self.raft_effects(effects);
                if self.rng.u8(0..4) != 0 {
                    self.apply();
                }
            }
            Message::Heartbeat(heartbeat) => self.controller(controller::Input::Heartbeat(heartbeat)),
            Message::Lease(lease) => self.agent(agent::Input::Lease(lease)),
            Message::HandOver(order) => {
                if order.primary == self.running.agent.me() {
                    self.hand_over(order.to, false);
                }
            }
            Message::Hello(hello) => self.on_hello(from, hello),
            Message::Join(node) => self.on_join(node),
            Message::Data(message) => self.on_data(message),
            Message::Request { client, op, ask } => {
                let mut out = Vec::new();
                if self.running.data.request(self.local, client, op, ask, &mut out) {
                    self.send_data(out);
                    // Where acknowledgements move the commit offset, the agent hears of writes with them.
                    if self.running.watches_end {
                        self.news();
                    }
                    self.release();
                } else {
                    self.step.replies.push((client, op, Reply::Refused));
                }
            }
        }
    }

    pub(crate) fn agent(&mut self, input: agent::Input) {
        self.running.work.push_back(Work::Agent(input));
    }

    pub(crate) fn controller(&mut self, input: controller::Input) {
        self.running.work.push_back(Work::Controller(input));
    }

    /// Has the machines work until there is nothing left to do.
    pub(crate) fn settle(&mut self) {
        while let Some(work) = self.running.work.pop_front() {
            match work {
                Work::Agent(input) => self.step_agent(input),
                Work::Controller(input) => self.step_controller(input),
            }
        }
        self.hold_as_needed();
    }

    /// Writes are held first, and none is running: the agent begins knowing the end of the log.
    pub(crate) fn hand_over(&mut self, to: Option<redoubt_ha::NodeId>, leaving: bool) {
        self.look_at_news();
        self.agent(agent::Input::HandOver { to, leaving });
    }

    /// It does not stop after all: a replica takes up its stream again.
    pub(crate) fn stay(&mut self) {
        if let Some((primary, epoch)) = self.running.agent.follows() {
            self.order(Order::Follow(self.running.agent.me(), primary, epoch));
        }
    }
}
