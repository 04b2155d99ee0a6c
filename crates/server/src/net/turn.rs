//! A worker's turn: the connections that are ready run what they have read, then the replies to pipelines are written.
//!
//! A client of several connections is then woken for all of them at once, and waking it is the dearest part of a write
//! (decision 0015). A single request is answered at once, unless others wait already: who is answered first asks again
//! first, and would keep slow commands between the pipelines and their replies. What replies wait for is bounded: once
//! they are overdue, nobody begins a batch before they are written.

use quanta::Clock;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// How long replies wait for other connections, apart from the batch that is being run then.
const OVERDUE: Duration = Duration::from_micros(200);

/// What a worker knows of its turn.
#[derive(Default)]
pub(crate) struct Turn {
    /// Connections whose replies wait.
    waiting: usize,
    /// When the first of them began to, in raw ticks.
    since: u64,
}

impl Turn {
    /// A connection's replies wait for the end of the turn.
    pub(crate) fn wait(&mut self, clock: &Clock) {
        if self.waiting == 0 {
            self.since = clock.raw();
        }
        self.waiting += 1;
    }

    /// They are about to be written.
    pub(crate) fn end_wait(&mut self) {
        self.waiting -= 1;
    }

    /// Whether replies wait for its end.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting > 0
    }

    /// Whether replies have waited for long enough.
    pub(crate) fn is_overdue(&self, clock: &Clock) -> bool {
        self.waiting > 0 && clock.delta(self.since, clock.raw()) >= OVERDUE
    }
}

/// Has all other tasks that are ready go first. Unlike `yield_now`, does not wait until the sockets have been looked at.
pub(crate) async fn give_way() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
