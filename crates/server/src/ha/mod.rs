//! Failover built in: this node as one of a deployment. The decisions are `redoubt_ha`'s; here are the clocks, sockets,
//! files and threads they lack.
//!
//! - [`View`]: what this node knows of the deployment, for everybody who wants to look.
//! - [`Gate`]: what the threads that serve clients compare before a reply leaves.
//! - [`Request`]: what operators want of the deployment, through whichever node.

mod data;
mod drain;
mod effects;
mod events;
mod facts;
mod gate;
mod group;
mod meet;
mod message;
mod node;
mod requests;
mod serving;
mod settings;
mod show;
mod start;
mod view;
mod watchdog;

pub(crate) use facts::print;
pub use gate::{Gate, Tenure};
pub(crate) use settings::agree;
pub(crate) use start::{Started, start};
pub use view::{Endpoint, Failover, Heard, Role, Route, View};

use crate::config::HaValues;
use crate::log::Hold;
use crate::shared::Shared;
use parking_lot::Mutex;
use redoubt_ha::NodeId;
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot, watch};

/// What an operator wants. The answer says what became of it, or why nothing will.
#[derive(Debug)]
pub enum Request {
    /// Another primary, as planned; nobody named: whoever has everything first. Answered when the deployment has accepted
    /// it, not when it is done: the view tells that.
    Failover {
        /// Who is to lead.
        to: Option<NodeId>,
        /// Whether this node is about to stop.
        leaving: bool,
        /// The answer.
        done: Done,
    },
    /// This node, a replica, is about to stop: it leaves the in-sync set, or comes back since it does not stop after all.
    Leave {
        /// Whether it stops.
        stops: bool,
        /// The answer.
        done: Done,
    },
    /// The node is gone for good.
    Forget {
        /// Who.
        node: NodeId,
        /// The answer.
        done: Done,
    },
    /// A setting of the whole deployment; no value: its default.
    Set {
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
        /// The answer, once it is agreed on.
        done: Done,
    },
}

/// Where the answer to a request goes.
pub type Done = oneshot::Sender<Result<(), String>>;

/// Failover, as the rest of the server sees it. Part of `Shared`, where it is switched on.
pub struct Ha {
    /// What the threads that serve clients look at.
    pub gate: Gate,
    view: watch::Sender<Arc<View>>,
    requests: mpsc::UnboundedSender<Request>,
    /// Holds replies back until the in-sync set has what they tell of, while this node leads.
    hold: Mutex<Option<Hold>>,
    /// Told when the data is loaded.
    news: OnceLock<Arc<data::News>>,
    /// Taken by the driver when it starts.
    pending: Mutex<Option<mpsc::UnboundedReceiver<Request>>>,
}

impl Ha {
    pub(crate) fn new(values: &HaValues) -> Ha {
        let (requests, pending) = mpsc::unbounded_channel();
        Ha {
            gate: Gate::default(),
            view: watch::Sender::new(Arc::new(View::new(values))),
            requests,
            hold: Mutex::default(),
            news: OnceLock::new(),
            pending: Mutex::new(Some(pending)),
        }
    }

    /// What is known now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Tells of every change of what is known.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Asks the driver for something.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn request(&self, make: impl FnOnce(Done) -> Request) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let gone = || "the server is shutting down".to_owned();
        self.requests.send(make(done)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Begins a planned change of primary; nobody named: to whoever has everything first. Returns at once.
    ///
    /// # Errors
    /// Why that makes no sense now.
    pub fn fail_over(&self, to: Option<NodeId>) -> Result<(), String> {
        self.view().may_fail_over(to)?;
        let (done, _) = oneshot::channel();
        let sent = self.requests.send(Request::Failover { to, leaving: false, done });
        sent.map_err(|_| "the server is shutting down".to_owned())
    }

    /// As `request`, for threads that may block.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn request_blocking(&self, make: impl FnOnce(Done) -> Request) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let gone = || "the server is shutting down".to_owned();
        self.requests.send(make(done)).map_err(|_| gone())?;
        answer.blocking_recv().map_err(|_| gone())?
    }

    /// Removes a node for good. Returns when it is no member any more.
    ///
    /// # Errors
    /// Why it still is one.
    pub(crate) fn forget(&self, node: NodeId) -> Result<(), String> {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        loop {
            // The request may get lost on its way to the leader.
            self.request_blocking(|done| Request::Forget { node, done })?;
            for _ in 0..20 {
                if !self.view().topology.members.contains_key(&node) {
                    return Ok(());
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            if std::time::Instant::now() > end {
                return Err("the deployment has not agreed to it yet".into());
            }
        }
    }

    /// This node is about to stop: where it is the primary, another takes over first; where it is a replica, it leaves the
    /// in-sync set, so that no write waits for it. Returns when that has happened, or when it was not to be had in time.
    pub(crate) fn leave(&self) {
        let view = self.view();
        let outcome = match view.role {
            Role::Primary { .. } => {
                self.request_blocking(|done| Request::Failover { to: None, leaving: true, done })
            }
            Role::Replica { .. } => self.request_blocking(|done| Request::Leave { stops: true, done }),
            Role::Nobody => return,
        };
        if let Err(why) = outcome {
            return tracing::warn!("This node leaves without the others having agreed: {why}");
        }
        let is_missed = |now: &View| match now.shard() {
            Some(shard) => {
                matches!(now.role, Role::Primary { .. }) || shard.in_sync.contains_key(&now.me.node)
            }
            None => false,
        };
        let limit = std::time::Duration::from_micros(view.timing.handover.0);
        let end = std::time::Instant::now() + limit;
        while is_missed(&self.view()) && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// This node does not stop after all.
    pub(crate) fn stay(&self) {
        // Without a driver there is nothing to come back to.
        let _ = self.request_blocking(|done| Request::Leave { stops: false, done });
    }

    /// The data is loaded.
    pub(crate) fn loaded(&self) {
        if let Some(news) = self.news.get() {
            news.loaded();
        }
    }

    fn show(&self, view: View) {
        self.view.send_replace(Arc::new(view));
    }

    /// Holds back replies that tell of what is not committed, or no longer.
    fn set_hold(&self, shared: &Shared, holds: bool, committed: Option<u64>) {
        let mut hold = self.hold.lock();
        if holds == hold.is_some() {
            return;
        }
        *hold = holds.then(|| shared.log.hold());
        if let (Some(hold), Some(committed)) = (&*hold, committed) {
            hold.release(committed);
        }
    }

    fn release(&self, offset: u64) {
        if let Some(hold) = &*self.hold.lock() {
            hold.release(offset);
        }
    }
}
