//! Rule 2: lease arithmetic. Two clocks take part that share nothing but their pace, so a lease travels as a length of time.
//!
//! Granter: the lease ends `Timing::lease` after the sending of its last heartbeat that a quorum answered. Every voter of
//! that quorum refuses to vote for as long after it heard the heartbeat, so no other Raft leader exists before the end.
//! Holder: it counts the granted length from the moment it sent the heartbeat that was answered, so messages that were
//! under way for long only shorten it.

use crate::time::{Span, Time, Timing};

/// Clocks may differ in pace by half of one part in this many.
const PACE: u64 = 100;

/// What the granter gives when it handles a heartbeat at `now`: how long its lease still lasts, and when it ends on the
/// granter's own clock. Nothing if the granter's leadership is not confirmed.
#[must_use]
pub fn grant(now: Time, quorum_sent: Time, timing: &Timing) -> Option<(Span, Time)> {
    let end = quorum_sent.plus(timing.lease);
    let left = end.since(now);
    (left > Span(0)).then_some((left, end))
}

/// When a granted lease ends on the holder's clock. A hundredth is left out for clocks of different pace.
#[must_use]
pub fn end(sent: Time, left: Span) -> Time {
    sent.plus(left.part(PACE - 1, PACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_anchored_at_the_quorum() {
        let timing = Timing::default();
        let (left, at) = grant(Time(1_100_000), Time(1_000_000), &timing).unwrap();
        assert_eq!((left, at), (Span::millis(350), Time(1_450_000)));
        assert_eq!(end(Time(5_000_000), left), Time(5_346_500));
        assert_eq!(grant(Time(1_450_000), Time(1_000_000), &timing), None);
        assert_eq!(grant(Time(9_000_000), Time(1_000_000), &timing), None);
    }

    #[test]
    fn the_holder_ends_before_the_granter_whatever_the_delay_and_the_pace() {
        let timing = Timing::default();
        // True time is the granter's; the holder's clock has another origin and runs half a percent slow.
        let holder = |true_time: u64| Time(7_000_000 + true_time * 995 / 1000);
        for delay in (0..450_000).step_by(10_000) {
            let quorum_sent = 2_000_000;
            let sent = quorum_sent + 5_000;
            let Some((left, ends)) = grant(Time(sent + delay), Time(quorum_sent), &timing) else { continue };
            assert!(end(holder(sent), left) <= holder(ends.0));
        }
    }
}
