//! Any node answers: a client of a node that is not the serving primary is carried to the primary, and stays the client
//! of this node. What is carried and what is not: docs/forwarding.md.
//!
//! - [`admit`]: which commands this node must not answer itself, and what becomes of them (`ha-route`).
//! - [`Machine`]: requests and replies on their way, and what a lost primary means for them; pure.
//! - `course`: where requests go now; pure.
//! - [`Relay`]: the connection to the primary, the client's own or one that many share (`trunk`, `sharing`). Its client's task (`net/connection/relayed.rs`) drives it.

mod admit;
mod course;
mod machine;
mod relay;
mod scan;
mod sharing;
mod state;
mod trunk;

pub(crate) use admit::{Away, Need, may_share, need};
pub(crate) use course::Course;
pub(crate) use machine::{NOT_PRIMARY, Nature, Received};
pub(crate) use relay::{Happened, Relay, exec_request, unblock_request};
pub(crate) use trunk::Trunks;

use crate::ha::Route;
use crate::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

/// Counts of relayed clients.
#[derive(Debug, Default)]
pub struct Figures {
    /// Clients of this node that are being relayed.
    pub relayed: AtomicUsize,
    /// Times a client began to be relayed.
    pub total: AtomicU64,
    /// Requests carried to the primary.
    pub commands: AtomicU64,
    /// Requests answered with an error because nobody knows their outcome.
    pub unknown: AtomicU64,
    /// Requests that had to wait for a primary.
    pub waits: AtomicU64,
    /// Requests that waited in vain, or could not be carried at all.
    pub failed: AtomicU64,
    /// Times a node said that it is not the primary, and requests went to another.
    pub rerouted: AtomicU64,
    /// Connections here on which other nodes relay their clients.
    pub serves: AtomicUsize,
}

/// Prints the counts into INFO ha.
pub(crate) fn print(shared: &Shared, page: &mut crate::info::Page) {
    use std::sync::atomic::Ordering::Relaxed;
    let figures = &shared.forward;
    page.field("ha_relayed_clients", figures.relayed.load(Relaxed));
    page.field("ha_relayed_clients_total", figures.total.load(Relaxed));
    page.field("ha_relayed_commands", figures.commands.load(Relaxed));
    page.field("ha_relayed_unknown_outcomes", figures.unknown.load(Relaxed));
    page.field("ha_relayed_waits", figures.waits.load(Relaxed));
    page.field("ha_relayed_failures", figures.failed.load(Relaxed));
    page.field("ha_relayed_rerouted", figures.rerouted.load(Relaxed));
    page.field("ha_relays_served", figures.serves.load(Relaxed));
}

/// This node leads no more and is about to end: other nodes are given a moment to hear that it has not executed what
/// they have sent last.
pub(crate) fn linger(shared: &Shared) {
    let Some(ha) = shared.ha.as_ref().filter(|ha| !ha.gate.is_serving()) else { return };
    let end = Instant::now() + Duration::from_micros(ha.view().timing.reachable.0);
    while shared.forward.serves.load(std::sync::atomic::Ordering::Relaxed) > 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Wakes connections when commands on data go another way. Until the server stops.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let Some(ha) = &shared.ha else { return };
    let mut views = ha.watch();
    let mut last: Option<Route> = None;
    while views.changed().await.is_ok() {
        let route = views.borrow_and_update().route();
        if last.as_ref() != Some(&route) {
            tracing::debug!("commands on data go: {route:?}");
            shared.clients.iter().for_each(|client| client.mailbox.wake());
            last = Some(route);
        }
    }
}
