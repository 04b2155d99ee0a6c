//! The data plane as the driver sees it: orders, carried out one after the other by a thread that may block, and what
//! streams tell in return.

use crate::replication::{Membership, Watcher};
use crate::shared::Shared;
use parking_lot::Mutex;
use redoubt_ha::{Epoch, Process};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::mpsc;
use tokio::sync::Notify;

/// What a node's data is to become.
#[derive(Debug)]
pub(super) enum Order {
    Lead(Membership),
    Follow(Membership, String, u16),
    Rest,
    NewLife(Process),
    Discard,
    Settings(BTreeMap<String, String>),
}

/// What streams have told since it was last looked at.
#[derive(Debug, Default)]
pub(super) struct News {
    acks: Mutex<BTreeMap<(Process, Epoch), u64>>,
    /// The epoch of a primary that cannot go on from what is held, and 1; 0: none.
    resync: AtomicU64,
    loaded: AtomicBool,
    /// How many orders were carried out.
    done: AtomicU64,
    /// The last of the drains that are over.
    drained: AtomicU64,
    pub(super) arrived: Notify,
}

impl News {
    pub(super) fn take_acks(&self) -> BTreeMap<(Process, Epoch), u64> {
        std::mem::take(&mut self.acks.lock())
    }

    pub(super) fn take_resync(&self) -> Option<Epoch> {
        self.resync.swap(0, Acquire).checked_sub(1).map(Epoch)
    }

    /// The data is loaded: orders are carried out from now on.
    pub(super) fn loaded(&self) {
        self.loaded.store(true, Release);
        self.arrived.notify_one();
    }

    /// Every thread that serves clients has been between two batches since this drain began.
    pub(super) fn drained(&self, number: u64) {
        self.drained.fetch_max(number, Release);
        self.arrived.notify_one();
    }

    /// The last drain that is over.
    pub(super) fn last_drained(&self) -> u64 {
        self.drained.load(Acquire)
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.loaded.load(Acquire)
    }
}

impl Watcher for News {
    fn acked(&self, from: Process, epoch: Epoch, offset: u64) {
        let mut acks = self.acks.lock();
        let ack = acks.entry((from, epoch)).or_default();
        *ack = offset.max(*ack);
        drop(acks);
        self.arrived.notify_one();
    }

    fn moved(&self) {
        self.arrived.notify_one();
    }

    fn resync_needed(&self, epoch: Epoch) {
        self.resync.store(epoch.0 + 1, Release);
        self.arrived.notify_one();
    }
}

/// Gives orders.
#[derive(Debug)]
pub(super) struct Orders {
    sender: Option<mpsc::Sender<Order>>,
    waiting: Option<mpsc::Receiver<Order>>,
    given: u64,
    news: Arc<News>,
}

impl Orders {
    pub(super) fn new(news: Arc<News>) -> Orders {
        let (sender, waiting) = mpsc::channel();
        Orders { sender: Some(sender), waiting: Some(waiting), given: 0, news }
    }

    /// Gives an order. What it counts up to is told by [`Orders::is_done`].
    pub(super) fn give(&mut self, order: Order) -> u64 {
        self.given += 1;
        if let Some(sender) = &self.sender {
            // The thread ends when the server does; nobody misses what it leaves undone.
            let _ = sender.send(order);
        }
        self.given
    }

    /// Whether the order that was given as this one, and all before it, are carried out.
    pub(super) fn is_done(&self, order: u64) -> bool {
        self.news.done.load(Acquire) >= order
    }

    /// Begins to carry them out, once the data is loaded.
    pub(super) fn start(&mut self, shared: &Arc<Shared>) -> std::io::Result<()> {
        let Some(waiting) = self.waiting.take_if(|_| self.news.is_loaded()) else { return Ok(()) };
        let (shared, news) = (Arc::clone(shared), Arc::clone(&self.news));
        let carry_out = move || {
            for order in waiting {
                carry_out(&shared, order);
                news.done.fetch_add(1, Release);
                news.arrived.notify_one();
            }
        };
        std::thread::Builder::new().name("ha-data".into()).spawn(carry_out).map(drop)
    }
}

fn carry_out(shared: &Arc<Shared>, order: Order) {
    let replication = &shared.replication;
    match order {
        Order::Lead(membership) => replication.lead_epoch(shared, membership),
        Order::Follow(membership, host, port) => {
            if let Err(error) = replication.follow_epoch(shared, membership, &host, port) {
                tracing::error!("the link to {host}:{port} could not be started: {error}");
            }
        }
        Order::Rest => replication.rest(shared),
        Order::NewLife(me) => replication.new_life(me),
        Order::Discard => replication.discard(),
        Order::Settings(settings) => super::settings::take_over(shared, &settings),
    }
}
