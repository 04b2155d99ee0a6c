//! Who votes and who only listens. During a change, the voters of before and those of after: joint consensus.

use redoubt_ha::NodeId;
use std::collections::BTreeSet;

/// The members of the Raft group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    voters: BTreeSet<NodeId>,
    /// Who votes from now on. Until that is committed, a majority of both is needed.
    next: Option<BTreeSet<NodeId>>,
    pub(crate) learners: BTreeSet<NodeId>,
}

impl Group {
    pub(crate) fn of(voters: BTreeSet<NodeId>) -> Group {
        Group { voters, ..Group::default() }
    }

    /// Everybody who votes now.
    pub(crate) fn voters(&self) -> impl Iterator<Item = NodeId> + '_ {
        let new = self.next.iter().flatten().filter(|node| !self.voters.contains(node));
        self.voters.iter().chain(new).copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters().chain(self.learners.iter().copied())
    }

    pub(crate) fn has_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.next.as_ref().is_some_and(|next| next.contains(&node))
    }

    pub(crate) fn contains(&self, node: NodeId) -> bool {
        self.has_voter(node) || self.learners.contains(&node)
    }

    fn majorities(&self) -> impl Iterator<Item = &BTreeSet<NodeId>> {
        std::iter::once(&self.voters).chain(&self.next)
    }

    pub(crate) fn has_quorum(&self, has: impl Fn(NodeId) -> bool) -> bool {
        self.majorities().all(|voters| {
            let count = voters.iter().filter(|node| has(**node)).count();
            count > voters.len() / 2
        })
    }

    /// The group once these have gone.
    pub(crate) fn without(&self, leaving: &BTreeSet<NodeId>) -> Group {
        let rest = |nodes: &BTreeSet<NodeId>| nodes.difference(leaving).copied().collect();
        Group {
            voters: rest(&self.voters),
            next: self.next.as_ref().map(rest),
            learners: rest(&self.learners),
        }
    }

    /// The most that a quorum has reached.
    pub(crate) fn agreed<T: Ord + Copy + Default>(&self, reached: impl Fn(NodeId) -> T) -> T {
        let of = |voters: &BTreeSet<NodeId>| {
            let mut all: Vec<T> = voters.iter().map(|node| reached(*node)).collect();
            all.sort_unstable();
            all.get((voters.len().max(1) - 1) / 2).copied().unwrap_or_default()
        };
        self.majorities().map(of).min().unwrap_or_default()
    }

    /// The two steps to another set of voters; who votes no more listens.
    pub(crate) fn change(&self, next: BTreeSet<NodeId>) -> Group {
        let learners = self.learners.difference(&next).copied().collect();
        Group { voters: self.voters.clone(), next: Some(next), learners }
    }

    /// See [`Group::change`]; nothing if no change is under way.
    pub(crate) fn changed(&self) -> Option<Group> {
        let next = self.next.clone()?;
        let gone = self.voters.difference(&next);
        Some(Group {
            learners: self.learners.iter().chain(gone).copied().collect(),
            voters: next,
            next: None,
        })
    }
}
