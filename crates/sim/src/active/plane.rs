//! Between the control thread and the data threads: orders in one direction, news in the other. Neither waits for the
//! other, so both may come late; what guards replies (lease, fence, hold) counts at once.

use super::Active;
use crate::data::{DataMessage, Pending, Reply};
use crate::machine::{Leading, Message, Order, To};
use redoubt_ha::{Epoch, Process, agent};

impl Active<'_> {
    /// Gives an order to the thread that carries them out one after the other.
    pub(super) fn order(&mut self, order: Order) -> u64 {
        self.running.orders_given += 1;
        self.running.orders.push_back(order);
        if self.setup.thread_lag == 0 && !self.hung {
            self.carry_out();
        } else if self.running.orders_at.is_none() {
            let at = self.now + self.rng.u64(1..=self.setup.thread_lag.max(1));
            self.running.orders_at = Some(at);
            self.step.wakes.push(at);
        }
        self.running.orders_given
    }

    /// Carries out what was ordered; not while the data threads hang.
    fn carry_out(&mut self) {
        self.running.orders_at = None;
        while let Some(order) = self.running.orders.pop_front() {
            let data = &mut self.running.data;
            match order {
                Order::Lead(me, epoch) => data.lead(me, epoch),
                Order::Follow(me, primary, epoch) => data.follow(me, primary, epoch),
                Order::Rest => data.rest(),
                Order::NewLife(me) => data.new_life(me),
                Order::Discard => {
                    data.discard();
                    self.step.discarded = true;
                    self.note(|| "discards its data".into());
                }
            }
            self.running.orders_done += 1;
        }
        self.news();
        self.serve_if_ready();
    }

    /// The data plane has something to tell.
    pub(super) fn news(&mut self) {
        if self.setup.thread_lag == 0 {
            self.look_at_news();
        } else if self.running.news_at.is_none() {
            let at = self.now + self.rng.u64(1..=self.setup.thread_lag);
            self.running.news_at = Some(at);
            self.step.wakes.push(at);
        }
    }

    pub(crate) fn wake(&mut self) {
        if self.running.orders_at.is_some_and(|at| at <= self.now) && !self.hung {
            self.carry_out();
        }
        if self.running.news_at.is_some_and(|at| at <= self.now) {
            self.look_at_news();
        }
    }

    /// The end of the log is looked at after what was acknowledged: nobody acknowledges what is not there.
    pub(super) fn look_at_news(&mut self) {
        self.running.news_at = None;
        if let Some(epoch) = self.running.resync.take()
            && self.running.agent.follows().is_some_and(|(_, following)| following == epoch)
        {
            self.agent(agent::Input::ResyncNeeded);
        }
        let acks = std::mem::take(&mut self.running.acks);
        let position = self.running.data.position();
        if Some(position) != self.running.position {
            self.running.position = Some(position);
            self.agent(agent::Input::Holds(position));
        }
        for (from, epoch, offset) in acks {
            self.agent(agent::Input::Acked { from, epoch, offset: offset as u64 });
        }
        self.serve_if_ready();
        self.release();
    }

    /// Rule 3: replies wait for the commit offset while this process leads, unless they are not to wait for anybody.
    pub(super) fn hold_as_needed(&mut self) {
        let agent = &self.running.agent;
        let at_once = agent.acknowledges_at_once();
        let (holds, alone) = (agent.leads().is_some() && !at_once, agent.is_alone() && !at_once);
        let leading = self.running.leading.filter(|_| self.running.data.serving);
        self.running.data.set_hold(holds, leading.map(|leading| leading.committed));
        let watched = std::mem::replace(&mut self.running.watches_end, alone);
        if alone && !watched && self.running.news_at.is_none() {
            // Not at once: an agent is told nothing while it is being told something.
            let at = self.now + 1;
            self.running.news_at = Some(at);
            self.step.wakes.push(at);
        }
    }

    /// A lease counts once the data plane leads in its epoch.
    pub(super) fn serve_if_ready(&mut self) {
        let Some(Leading { order, lease: Some(until), committed, .. }) = self.running.leading else { return };
        if self.running.orders_done < order {
            return;
        }
        let was_serving = self.running.data.serving;
        self.running.data.serve(until);
        if !was_serving {
            self.running.data.commit(committed);
        }
        self.release();
    }

    pub(super) fn fence(&mut self) {
        if let Some(leading) = &mut self.running.leading {
            leading.lease = None;
        }
        for pending in self.running.data.fence() {
            self.step.replies.push((pending.client, pending.op, Reply::Closed));
        }
        self.note(|| "fenced".into());
    }

    /// The commit offset has moved.
    pub(super) fn commit(&mut self) {
        if let Some(leading) = self.running.leading.filter(|_| self.running.data.serving) {
            self.running.data.commit(leading.committed);
        }
        self.release();
    }

    pub(super) fn release(&mut self) {
        if self.hung {
            return;
        }
        let Some(epoch) = self.running.data.leads() else { return };
        let at_once = self.running.topology.acks_local();
        self.running.data.note_copies(self.running.copies);
        let released: Vec<Pending> = self.running.data.release(self.local);
        self.step.acknowledged.extend(released.into_iter().map(|pending| (pending, epoch, at_once)));
    }

    pub(super) fn on_data(&mut self, message: DataMessage) {
        match message {
            DataMessage::Sync { .. } => {
                let mut out = Vec::new();
                self.running.data.on_sync(self.local, message, &mut out, self.rng);
                self.send_data(out);
            }
            DataMessage::NeedFull { session } => {
                if let Some(epoch) = self.running.data.needs_full(session) {
                    self.running.resync = Some(epoch);
                    self.news();
                }
            }
            DataMessage::Ack { from, epoch, offset } => {
                self.running.data.on_ack(self.local, from, offset);
                self.running.acks.push((from, epoch, offset));
                self.news();
            }
            DataMessage::Snapshot { .. } | DataMessage::Records { .. } => {
                if let Some((primary, epoch)) = self.running.data.on_stream(self.local, message) {
                    self.acknowledge(primary, epoch);
                    self.news();
                }
            }
        }
    }

    fn acknowledge(&mut self, primary: Process, epoch: Epoch) {
        let (from, offset) = (self.running.data.me, self.running.data.log.len());
        self.send(To::Node(primary.node), Message::Data(DataMessage::Ack { from, epoch, offset }));
    }
}
