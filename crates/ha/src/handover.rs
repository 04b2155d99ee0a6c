//! Rule 9: a planned change of primary, as the old primary sees it. It holds new writes, waits until the successor has its
//! last offset and nothing is left unacknowledged, stops acknowledging, and only then asks for the promotion.

use crate::ids::{NodeId, Process};
use crate::message::Surrender;
use crate::time::{Time, Timing};

/// How far a handover has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// Writes are held; the successor is catching up.
    Draining {
        /// Who is to lead; nobody: whoever has everything first.
        to: Option<NodeId>,
        /// Whether this node is about to stop.
        leaving: bool,
        /// Since when.
        since: Time,
    },
    /// Nothing is acknowledged any more; every heartbeat asks for the promotion.
    Surrendered {
        /// What the heartbeats say.
        surrender: Surrender,
        /// Since when writes are held.
        since: Time,
    },
}

impl Handover {
    /// What goes into the heartbeat.
    #[must_use]
    pub fn surrender(&self) -> Option<Surrender> {
        match self {
            Handover::Draining { .. } => None,
            Handover::Surrendered { surrender, .. } => Some(*surrender),
        }
    }

    /// Whether writes were held too long: the primary takes its place again, under a lease it asks for anew.
    #[must_use]
    pub fn is_overdue(&self, now: Time, timing: &Timing) -> bool {
        let (Handover::Draining { since, .. } | Handover::Surrendered { since, .. }) = self;
        now.since(*since) > timing.handover
    }

    /// The next step, once one of `complete` (in-sync members that have everything) fits and nothing is unacknowledged.
    #[must_use]
    pub fn surrender_to(
        &self,
        complete: impl IntoIterator<Item = Process>,
        all_committed: bool,
    ) -> Option<Handover> {
        let Handover::Draining { to, leaving, since } = *self else { return None };
        if !all_committed {
            return None;
        }
        let successor = complete.into_iter().find(|process| to.is_none_or(|node| node == process.node))?;
        Some(Handover::Surrendered { surrender: Surrender { to: successor, leaving }, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Incarnation;
    use crate::time::Span;

    #[test]
    fn it_waits_for_the_successor_and_for_the_last_acknowledgement() {
        let process = |node| Process { node: NodeId(node), incarnation: Incarnation(1) };
        let draining = Handover::Draining { to: Some(NodeId(2)), leaving: true, since: Time(0) };
        assert_eq!(draining.surrender_to([process(3)], true), None);
        assert_eq!(draining.surrender_to([process(3), process(2)], false), None);
        let next = draining.surrender_to([process(3), process(2)], true).unwrap();
        assert_eq!(next.surrender(), Some(Surrender { to: process(2), leaving: true }));
        assert_eq!(next.surrender_to([process(2)], true), None);
        let timing = Timing::default();
        assert!(!next.is_overdue(Time(0).plus(timing.handover), &timing));
        assert!(next.is_overdue(Time(0).plus(timing.handover).plus(Span(1)), &timing));
    }
}
