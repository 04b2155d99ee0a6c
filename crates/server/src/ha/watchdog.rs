//! Rule 10: whether the threads that serve clients make progress. Each is asked now and then, and answers between two
//! batches of requests.

use crate::shared::Shared;
use redoubt_ha::{Span, Time};
use tokio::sync::oneshot;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    asked: Vec<(Time, oneshot::Receiver<()>)>,
}

impl Watchdog {
    /// How long the slowest thread has not answered. Asks those that have.
    pub(super) fn look(&mut self, shared: &Shared) -> Span {
        let now = crate::raft::now();
        self.asked.retain_mut(|(_, answer)| answer.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        if self.asked.is_empty() {
            self.asked = shared.ask_workers().into_iter().map(|answer| (now, answer)).collect();
            return Span(0);
        }
        self.asked.iter().map(|(at, _)| now.since(*at)).max().unwrap_or_default()
    }
}
