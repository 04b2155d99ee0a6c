//! Rule 5: who is promoted, of those that may be. One function, one table of cases.

use crate::ids::{Position, Process};
use std::cmp::Reverse;

/// One that may be promoted, as its last heartbeat told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub process: Process,
    /// What it holds; nothing while it loads.
    pub position: Option<Position>,
    /// Whether it can take writes: its disk is not full, for one.
    pub writable: bool,
    /// `replica-priority`: lower goes first, 0 never leads.
    pub priority: u32,
}

/// The one that holds most; of equals one that can take writes, then the one with the lowest priority number, then the
/// lowest id. Who holds nothing known, and who has priority 0, is never the one.
#[must_use]
pub fn best(candidates: impl IntoIterator<Item = Candidate>) -> Option<Candidate> {
    let may_lead = |candidate: &Candidate| candidate.position.is_some() && candidate.priority != 0;
    let order = |candidate: &Candidate| {
        let Candidate { process, position, writable, priority } = *candidate;
        (position, writable, Reverse(priority), Reverse(process))
    };
    candidates.into_iter().filter(may_lead).max_by_key(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, Incarnation, NodeId};

    /// (id, (epoch, offset) or nothing, priority)
    type Row = (u64, Option<(u64, u64)>, u32);

    fn candidate(&(id, position, priority): &Row) -> Candidate {
        Candidate {
            process: Process { node: NodeId(id), incarnation: Incarnation(1) },
            position: position.map(|(epoch, offset)| Position { epoch: Epoch(epoch), offset }),
            writable: true,
            priority,
        }
    }

    fn ranked(rows: &[Row]) -> Option<u64> {
        best(rows.iter().map(candidate)).map(|candidate| candidate.process.node.0)
    }

    #[test]
    fn a_disk_that_takes_nothing_goes_after_what_is_held_and_before_priority() {
        let full = |row: &Row| Candidate { writable: false, ..candidate(row) };
        let leads = |all: [Candidate; 2]| best(all).map(|candidate| candidate.process.node.0);
        let (more, less) = ((1, Some((1, 11)), 100), (2, Some((1, 10)), 1));
        assert_eq!(leads([full(&more), candidate(&less)]), Some(1));
        let (first, second) = ((1, Some((1, 10)), 1), (2, Some((1, 10)), 100));
        assert_eq!(leads([full(&first), candidate(&second)]), Some(2));
        assert_eq!(leads([full(&first), full(&second)]), Some(1));
        assert_eq!(leads([full(&first), candidate(&(2, Some((1, 10)), 0))]), Some(1));
    }

    #[test]
    fn cases() {
        let cases: &[(&str, &[Row], Option<u64>)] = &[
            ("nobody", &[], None),
            ("the higher offset", &[(1, Some((1, 10)), 100), (2, Some((1, 11)), 100)], Some(2)),
            (
                "the newer epoch, whatever the offset",
                &[(1, Some((1, 99)), 100), (2, Some((2, 5)), 100)],
                Some(2),
            ),
            ("what is held goes before priority", &[(1, Some((1, 10)), 1), (2, Some((1, 11)), 100)], Some(2)),
            (
                "the lower priority number of equals",
                &[(1, Some((1, 10)), 100), (2, Some((1, 10)), 10)],
                Some(2),
            ),
            ("the lower id of equals", &[(2, Some((1, 10)), 100), (1, Some((1, 10)), 100)], Some(1)),
            ("priority 0 never", &[(1, Some((9, 99)), 0), (2, Some((1, 1)), 100)], Some(2)),
            ("priority 0 never, even alone", &[(1, Some((9, 99)), 0)], None),
            ("who loads never", &[(1, None, 1), (2, Some((0, 0)), 100)], Some(2)),
            ("the empty, if all are", &[(3, Some((0, 0)), 100), (2, Some((0, 0)), 100)], Some(2)),
            ("the empty after who has anything", &[(1, Some((0, 0)), 1), (2, Some((0, 7)), 100)], Some(2)),
        ];
        for (what, rows, expected) in cases {
            assert_eq!(ranked(rows), *expected, "{what}");
            let mut turned = rows.to_vec();
            turned.reverse();
            assert_eq!(ranked(&turned), *expected, "{what}, turned round");
        }
    }
}
