//! Failover built in: this node as one of a deployment. The decisions are `redoubt_ha`'s; here are the clocks, sockets,
//! files and threads they lack.
//!
//! - [`View`]: what this node knows of the deployment, for everybody who wants to look.
//! - [`Gate`]: what the threads that serve clients compare before a reply leaves.
//! - [`Request`]: what operators want of the deployment, through whichever node.

mod gate;
mod view;

pub use gate::{Gate, Tenure};
pub use view::{Endpoint, Heard, Role, Route, View};

use crate::config::HaValues;
use redoubt_ha::NodeId;
use std::sync::Arc;
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
#[derive(Debug)]
pub struct Ha {
    /// What the threads that serve clients look at.
    pub gate: Gate,
    view: watch::Sender<Arc<View>>,
    requests: mpsc::UnboundedSender<Request>,
    /// Taken by the driver when it starts.
    #[allow(dead_code, reason = "the driver comes next")]
    pending: parking_lot::Mutex<Option<mpsc::UnboundedReceiver<Request>>>,
}

impl Ha {
    pub(crate) fn new(values: &HaValues) -> Ha {
        let (requests, pending) = mpsc::unbounded_channel();
        Ha {
            gate: Gate::default(),
            view: watch::Sender::new(Arc::new(View::new(values))),
            requests,
            pending: parking_lot::Mutex::new(Some(pending)),
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
}
