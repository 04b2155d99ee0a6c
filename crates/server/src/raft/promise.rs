//! What a voter promises by answering a leader's heartbeat: not to take part in the election of another for the length of a
//! lease. openraft's own promise is shorter (its longest election timeout) and is forgotten by a restart; leases need this
//! one. See docs/decisions/0011-raft-leases.md.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The promise of one node.
#[derive(Debug)]
pub(super) struct Promise {
    lease: Duration,
    /// The latest moment at which this node answered a leader, led itself with a quorum's consent, or may have forgotten
    /// that it did.
    given: Mutex<Option<Instant>>,
    /// The same without what may have been forgotten.
    heard: Mutex<Option<Instant>>,
    /// Whether a leader has handed over and nobody was elected since.
    transfer: AtomicBool,
}

impl Promise {
    /// Of a process that starts; `forgotten` if an earlier one may have given a promise.
    pub(super) fn new(lease: Duration, forgotten: bool) -> Promise {
        let given = forgotten.then(Instant::now);
        Promise { lease, given: Mutex::new(given), heard: Mutex::new(None), transfer: AtomicBool::new(false) }
    }

    /// A leader was answered, or a quorum's answer to this leader was seen.
    pub(super) fn give(&self, at: Instant) {
        for moment in [&self.given, &self.heard] {
            let mut moment = moment.lock();
            *moment = (*moment).max(Some(at));
        }
    }

    /// How long ago this process last answered a leader, or led with a quorum's consent.
    pub(super) fn heard(&self) -> Option<Duration> {
        self.heard.lock().map(|heard| heard.elapsed())
    }

    /// How long no vote may be given yet.
    pub(super) fn left(&self, now: Instant) -> Duration {
        let since = self.given.lock().map(|given| now.saturating_duration_since(given));
        since.map_or(Duration::ZERO, |since| self.lease.saturating_sub(since))
    }

    /// A leader hands over: the next one is elected while leases are live.
    pub(super) fn handed_over(&self) {
        self.transfer.store(true, Relaxed);
    }

    /// Somebody was elected: whether by a handover.
    pub(super) fn elected(&self) -> bool {
        self.transfer.swap(false, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_lasts_one_lease_from_the_last_answer() {
        let lease = Duration::from_millis(450);
        let promise = Promise::new(lease, false);
        let now = Instant::now();
        assert_eq!(promise.left(now), Duration::ZERO);
        promise.give(now);
        promise.give(now - Duration::from_millis(100));
        assert_eq!(promise.left(now), lease);
        assert_eq!(promise.left(now + Duration::from_millis(400)), Duration::from_millis(50));
        assert_eq!(promise.left(now + lease), Duration::ZERO);
        assert!(promise.heard().is_some());
        let restarted = Promise::new(lease, true);
        assert_eq!(restarted.heard(), None);
        assert!(restarted.left(Instant::now()) > Duration::from_millis(400));
        promise.handed_over();
        assert!(promise.elected() && !promise.elected());
    }
}
