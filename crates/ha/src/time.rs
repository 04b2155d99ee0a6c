//! Time as the state machines see it, and every duration of the control plane, derived from one setting.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment on one node's clock: microseconds since an origin that means nothing to others. The clock must go on while
/// the machine sleeps and must not be set (`CLOCK_BOOTTIME`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Time(pub u64);

/// A length of time in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span(pub u64);

impl Time {
    /// Later than every other: a lease that never ends.
    pub const NEVER: Time = Time(u64::MAX);

    /// The moment `span` later.
    #[must_use]
    pub fn plus(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }

    /// How long after `earlier` this is; nothing if it is before.
    #[must_use]
    pub fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// `count` milliseconds.
    #[must_use]
    pub const fn millis(count: u64) -> Span {
        Span(count * 1000)
    }

    /// This length `factor` times.
    #[must_use]
    pub const fn times(self, factor: u64) -> Span {
        Span(self.0 * factor)
    }

    /// `numerator / denominator` of this length.
    #[must_use]
    pub const fn part(self, numerator: u64, denominator: u64) -> Span {
        Span(self.0 * numerator / denominator)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0 / 1000)
    }
}

/// Every duration of the control plane. [`Timing::new`] derives them from `ha-node-timeout`; operators may set the last
/// three on their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// `ha-node-timeout`, T.
    pub node_timeout: Span,
    /// Between two heartbeats of a node, and of the Raft leader: T/10.
    pub heartbeat: Span,
    /// Shortest random part of an election timeout: 3T/10.
    pub election_min: Span,
    /// Longest random part of an election timeout, and Raft's own leader lease: 6T/10.
    pub election_max: Span,
    /// How long a lease lasts, counted from the sending of the granter's last heartbeat that a quorum answered, and how
    /// long a voter that heard a leader refuses to vote: 9T/10. They are one number, or a lease could outlive its granter.
    pub lease: Span,
    /// A node that was not heard for this long is no candidate: 5T/10.
    pub reachable: Span,
    /// When a decision that was proposed and not seen applied is proposed again: 2T.
    pub retry: Span,
    /// How long a handover may hold writes before it is given up: 4T.
    pub handover: Span,
    /// A voter that was silent this long is replaced by a learner: 20T.
    pub replace: Span,
    /// `ha-replica-timeout`: a member of the in-sync set that lags or is silent this long is removed; 2T.
    pub replica_timeout: Span,
    /// `ha-stall-timeout`: data threads without progress this long are hung; 20T, well above the longest sensible script.
    pub stall_timeout: Span,
    /// `ha-forget-timeout`: a member silent this long is forgotten; none: never.
    pub forget_timeout: Option<Span>,
}

impl Timing {
    /// Everything from `ha-node-timeout`.
    #[must_use]
    pub fn new(node_timeout: Span) -> Timing {
        let tenths = |count| node_timeout.part(count, 10);
        Timing {
            node_timeout,
            heartbeat: tenths(1),
            election_min: tenths(3),
            election_max: tenths(6),
            lease: tenths(9),
            reachable: tenths(5),
            retry: tenths(20),
            handover: tenths(40),
            replace: tenths(200),
            replica_timeout: tenths(20),
            stall_timeout: tenths(200),
            forget_timeout: None,
        }
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing::new(Span::millis(500))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_design() {
        let timing = Timing::default();
        assert_eq!(timing.heartbeat, Span::millis(50));
        assert_eq!((timing.election_min, timing.election_max), (Span::millis(150), Span::millis(300)));
        assert_eq!(timing.lease, Span::millis(450));
        assert_eq!(timing.replica_timeout, Span::millis(1000));
        // The earliest candidacy of who heard the leader is Raft's lease and the shortest random part.
        assert_eq!(Span(timing.election_max.0 + timing.election_min.0), timing.lease);
    }

    #[test]
    fn time_saturates() {
        assert_eq!(Time(3).since(Time(5)), Span(0));
        assert_eq!(Time::NEVER.plus(Span(1)), Time::NEVER);
    }
}
