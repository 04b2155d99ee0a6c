//! Who votes in the Raft group: an odd number up to five, the dead replaced, zones spread. Everybody else is a learner.

use crate::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Most voters a group has: more make every commit slower and no deployment safer.
const VOTERS_MAX: usize = 5;

/// What the decision is made from.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Who votes now.
    pub voters: BTreeSet<NodeId>,
    /// All members, with their zones. A voter that is not among them was forgotten.
    pub members: BTreeMap<NodeId, String>,
    /// Members that were heard just now and have the log.
    pub live: BTreeSet<NodeId>,
    /// Who is no member any more, still votes, and was heard just now.
    pub leaving: BTreeSet<NodeId>,
    /// Members that were silent for `Timing::replace`.
    pub dead: BTreeSet<NodeId>,
    /// This node, which leads the group: it goes last.
    pub me: NodeId,
}

impl View {
    /// The voters the group should have next, if they are to change. One step at a time: the caller waits for it to be
    /// committed. Nothing is changed unless a majority of the old and of the new voters is alive.
    #[must_use]
    pub fn next_voters(&self) -> Option<BTreeSet<NodeId>> {
        let next = self.forgotten_removed().or_else(|| self.resized()).or_else(|| self.dead_replaced())?;
        let has_majority = |voters: &BTreeSet<NodeId>| {
            let answers = |node: &&NodeId| self.live.contains(node) || self.leaving.contains(node);
            voters.iter().filter(answers).count() > voters.len() / 2
        };
        (has_majority(&self.voters) && has_majority(&next)).then_some(next)
    }

    /// The largest odd number that the members fill.
    fn target(&self) -> usize {
        let count = self.members.len().min(VOTERS_MAX);
        if count.is_multiple_of(2) { count.saturating_sub(1) } else { count }.max(1)
    }

    fn forgotten_removed(&self) -> Option<BTreeSet<NodeId>> {
        let stay: BTreeSet<NodeId> =
            self.voters.iter().copied().filter(|node| self.members.contains_key(node)).collect();
        if stay.len() == self.voters.len() {
            return None;
        }
        let missing = self.target().saturating_sub(stay.len());
        Some(self.joined_by(stay, missing))
    }

    fn resized(&self) -> Option<BTreeSet<NodeId>> {
        let (have, want) = (self.voters.len(), self.target());
        if have < want {
            let next = self.joined_by(self.voters.clone(), want - have);
            // An even number is no better than one less, except on the way from two.
            let better = next.len() > have && next.len() % 2 == 1;
            return better.then_some(next);
        }
        if have == want {
            return None;
        }
        // The first to go is dead, else silent, else the newest; the leader last.
        let order =
            |node: &NodeId| (self.dead.contains(node), !self.live.contains(node), *node != self.me, *node);
        let leaves = self.voters.iter().copied().max_by_key(order)?;
        let mut next = self.voters.clone();
        next.remove(&leaves);
        Some(next)
    }

    fn dead_replaced(&self) -> Option<BTreeSet<NodeId>> {
        let dead = self.voters.intersection(&self.dead).next()?;
        let mut stay = self.voters.clone();
        stay.remove(dead);
        let next = self.joined_by(stay, 1);
        (next.len() == self.voters.len()).then_some(next)
    }

    /// Adds up to `count` live learners, each from the zone with the fewest voters.
    fn joined_by(&self, mut voters: BTreeSet<NodeId>, count: usize) -> BTreeSet<NodeId> {
        for _ in 0..count {
            let in_zone = |zone: &String| {
                voters.iter().filter(|node| self.members.get(node).is_some_and(|other| other == zone)).count()
            };
            let learners =
                self.members.iter().filter(|(node, _)| self.live.contains(node) && !voters.contains(node));
            let Some((&node, _)) = learners.min_by_key(|(node, zone)| (in_zone(zone), **node)) else { break };
            voters.insert(node);
        }
        voters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members are given as id and zone.
    fn view(voters: &[u64], members: &[(u64, &str)], live: &[u64], dead: &[u64]) -> View {
        let ids = |ids: &[u64]| ids.iter().copied().map(NodeId).collect();
        View {
            voters: ids(voters),
            members: members.iter().map(|&(id, zone)| (NodeId(id), zone.to_owned())).collect(),
            live: ids(live),
            leaving: BTreeSet::new(),
            dead: ids(dead),
            me: NodeId(voters[0]),
        }
    }

    fn next(view: &View) -> Option<Vec<u64>> {
        view.next_voters().map(|voters| voters.into_iter().map(|node| node.0).collect())
    }

    #[test]
    fn cases() {
        let plain = |ids: &[u64]| ids.iter().map(|&id| (id, "")).collect::<Vec<_>>();
        let three = plain(&[1, 2, 3]);
        assert_eq!(next(&view(&[1, 2, 3], &three, &[1, 2, 3], &[])), None, "all is well");
        assert_eq!(next(&view(&[1], &plain(&[1, 2]), &[1, 2], &[])), None, "two members, one voter");
        assert_eq!(next(&view(&[1], &three, &[1, 2, 3], &[])), Some(vec![1, 2, 3]), "one grows to three");
        assert_eq!(next(&view(&[1, 2, 3], &three, &[1, 2], &[3])), None, "nobody replaces the dead");
        let four = plain(&[1, 2, 3, 4]);
        assert_eq!(next(&view(&[1, 2, 3], &four, &[1, 2, 4], &[3])), Some(vec![1, 2, 4]), "a learner does");
        assert_eq!(next(&view(&[1, 2, 3], &four, &[1, 2, 4], &[])), None, "but not too early");
        assert_eq!(next(&view(&[1, 2, 9], &three, &[1, 2, 3], &[])), Some(vec![1, 2, 3]), "9 was forgotten");
        assert_eq!(next(&view(&[1, 2, 9], &plain(&[1, 2]), &[1, 2], &[])), Some(vec![1, 2]), "nobody for 9");
        assert_eq!(next(&view(&[1, 2], &plain(&[1, 2]), &[1, 2], &[])), Some(vec![1]), "then one");
        assert_eq!(next(&view(&[1, 2, 3], &four, &[1], &[2, 3])), None, "no majority, no change");
        let seven = plain(&[1, 2, 3, 4, 5, 6, 7]);
        let all = [1, 2, 3, 4, 5, 6, 7];
        assert_eq!(next(&view(&[1, 2, 3], &seven, &all, &[])), Some(vec![1, 2, 3, 4, 5]), "five at most");
    }

    #[test]
    fn who_was_forgotten_helps_to_vote_itself_out() {
        let members = [(1, ""), (4, "")];
        let mut view = view(&[1, 2, 3], &members, &[1, 4], &[]);
        assert_eq!(next(&view), None, "one of three is no majority");
        view.leaving = [NodeId(2)].into();
        assert_eq!(next(&view), Some(vec![1]));
    }

    #[test]
    fn zones_are_spread() {
        let members = [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c")];
        assert_eq!(next(&view(&[1, 2, 3], &members, &[1, 2, 4, 5], &[3])), Some(vec![1, 2, 3, 4, 5]));
        let members = [(1, "a"), (2, "a"), (3, "b"), (4, "b")];
        assert_eq!(next(&view(&[1], &members, &[1, 2, 3, 4], &[])), Some(vec![1, 2, 3]));
        let members = [(1, "a"), (2, "a"), (3, "a"), (4, "b")];
        assert_eq!(next(&view(&[1, 2, 9], &members, &[1, 2, 3, 4], &[])), Some(vec![1, 2, 4]));
    }
}
