//! Rule 8: Raft is initialised once. A node that was never initialised tells all it reaches so, and whom it has promised to
//! be initialised by. Whoever holds the promises of `ha-bootstrap-expect` nodes, its own among them, may do it. A node
//! promises one at a time and keeps the promise on its disk, so two that need a common node cannot both succeed;
//! `ha-bootstrap-expect` must be more than half of the deployment.

use crate::ids::NodeId;
use crate::rules::{Rule, Rules};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One try of one node to initialise. The number is never used again by that node, and is kept on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// Who tries.
    pub by: NodeId,
    /// Its count of tries.
    pub number: u64,
}

/// What a node says of itself to all others, again and again, until it belongs to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who.
    pub node: NodeId,
    /// Grows with every hello of the node, over restarts too; an older one than the last is ignored.
    pub seq: u64,
    /// Whether its Raft log was ever initialised.
    pub initialised: bool,
    /// Its own try, while it makes one.
    pub attempt: Option<u64>,
    /// Whose try it will take part in.
    pub promised: Option<Attempt>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet: this many of the expected nodes were heard.
    Wait(usize),
    /// Initialise Raft with these voters.
    Initialise(BTreeSet<NodeId>),
    /// There is a deployment: join it as new, through this node.
    Join(NodeId),
}

/// The bootstrap of one node that was never initialised.
#[derive(Debug)]
pub struct Bootstrap {
    me: NodeId,
    expect: usize,
    rules: Rules,
    tries: u64,
    attempt: Option<u64>,
    promised: Option<Attempt>,
    peers: BTreeMap<NodeId, Hello>,
    gone: BTreeSet<NodeId>,
}

impl Bootstrap {
    /// `tries` and `promised` come from the disk, where [`Bootstrap::to_keep`] put them.
    #[must_use]
    pub fn new(me: NodeId, expect: usize, tries: u64, promised: Option<Attempt>, rules: Rules) -> Bootstrap {
        // A try of a former process is over: it did not get as far as initialising.
        let promised = promised.filter(|promise| promise.by != me);
        let (peers, gone) = (BTreeMap::new(), BTreeSet::new());
        Bootstrap { me, expect, rules, tries, attempt: None, promised, peers, gone }
    }

    /// What must be on the disk before the next hello leaves.
    #[must_use]
    pub fn to_keep(&self) -> (u64, Option<Attempt>) {
        (self.tries, self.promised)
    }

    /// What to tell the others; `seq` counts.
    #[must_use]
    pub fn hello(&self, seq: u64) -> Hello {
        Hello { node: self.me, seq, initialised: false, attempt: self.attempt, promised: self.promised }
    }

    /// A hello came in.
    pub fn heard(&mut self, hello: Hello) {
        let is_old = self.peers.get(&hello.node).is_some_and(|last| last.seq >= hello.seq);
        if !is_old && hello.node != self.me {
            self.gone.remove(&hello.node);
            self.peers.insert(hello.node, hello);
        }
    }

    /// The node has not been heard for a while: it does not count as reachable, its promise stands.
    pub fn silent(&mut self, node: NodeId) {
        self.gone.insert(node);
    }

    /// The node's address is used by another: it has lost its disk and will never be heard again.
    pub fn replaced(&mut self, node: NodeId) {
        self.peers.remove(&node);
        if self.promised.is_some_and(|promise| promise.by == node) {
            self.promised = None;
        }
    }

    fn reachable(&self) -> impl Iterator<Item = &Hello> {
        self.peers.values().filter(|hello| !self.gone.contains(&hello.node))
    }

    /// What to do now. Changes what the next hello says.
    pub fn decide(&mut self) -> Decision {
        if !self.rules.hold(Rule::BootstrapOnce) {
            return self.decide_hastily();
        }
        if let Some(hello) = self.reachable().find(|hello| hello.initialised) {
            return Decision::Join(hello.node);
        }
        self.release();
        let heard = 1 + self.reachable().count();
        if heard < self.expect {
            return Decision::Wait(heard);
        }
        let lowest = self.reachable().map(|hello| hello.node).chain([self.me]).min();
        if lowest == Some(self.me) {
            if self.promised.is_none() {
                self.tries += 1;
                self.attempt = Some(self.tries);
                self.promised = Some(Attempt { by: self.me, number: self.tries });
            }
        } else if self.promised.is_none() {
            let others = self.reachable().find(|hello| Some(hello.node) == lowest);
            let attempt = others.and_then(|hello| Some((hello.node, hello.attempt?)));
            self.promised = attempt.map(|(by, number)| Attempt { by, number });
        }
        self.initialise_if_promised(heard)
    }

    fn initialise_if_promised(&self, heard: usize) -> Decision {
        let Some(mine) = self.attempt.map(|number| Attempt { by: self.me, number }) else {
            return Decision::Wait(heard);
        };
        let promised = self.peers.values().filter(|hello| hello.promised == Some(mine));
        let voters: BTreeSet<NodeId> = promised.map(|hello| hello.node).chain([self.me]).collect();
        if voters.len() < self.expect {
            return Decision::Wait(heard);
        }
        Decision::Initialise(voters)
    }

    /// Ends promises that bind nobody any more: to a try that its maker has ended, and to an own try when a lower id makes one.
    fn release(&mut self) {
        let Some(promise) = self.promised else { return };
        if promise.by == self.me {
            let lower_tries = self.reachable().any(|hello| hello.node < self.me && hello.attempt.is_some());
            if lower_tries {
                (self.promised, self.attempt) = (None, None);
            }
            return;
        }
        let maker = self.peers.get(&promise.by);
        let is_over = maker.is_some_and(|hello| !hello.initialised && hello.attempt != Some(promise.number));
        if is_over {
            self.promised = None;
        }
    }

    /// Rule 8 broken: the lowest id of whom it happens to reach initialises.
    fn decide_hastily(&self) -> Decision {
        let lowest = self.reachable().map(|hello| hello.node).chain([self.me]).min();
        if lowest == Some(self.me) {
            return Decision::Initialise(self.reachable().map(|hello| hello.node).chain([self.me]).collect());
        }
        match self.reachable().find(|hello| hello.initialised) {
            Some(hello) => Decision::Join(hello.node),
            None => Decision::Wait(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: u64, expect: usize) -> Vec<Bootstrap> {
        let new = |id| Bootstrap::new(NodeId(id), expect, 0, None, Rules::default());
        (1..=count).map(new).collect()
    }

    /// Everybody that `reaches` says hello to everybody, then decides.
    fn round(nodes: &mut [Bootstrap], seq: u64, reaches: impl Fn(u64, u64) -> bool) -> Vec<Decision> {
        let hellos: Vec<Hello> = nodes.iter().map(|node| node.hello(seq)).collect();
        for node in nodes.iter_mut() {
            let me = node.me.0;
            for hello in hellos.iter().filter(|hello| reaches(hello.node.0, me)) {
                node.heard(*hello);
            }
        }
        nodes.iter_mut().map(Bootstrap::decide).collect()
    }

    fn initialisers(nodes: &mut [Bootstrap], reaches: impl Fn(u64, u64) -> bool + Copy) -> Vec<u64> {
        let mut found = BTreeSet::new();
        for seq in 1..20 {
            for (index, decision) in round(nodes, seq, reaches).into_iter().enumerate() {
                if matches!(decision, Decision::Initialise(_)) {
                    found.insert(index as u64 + 1);
                }
            }
        }
        found.into_iter().collect()
    }

    #[test]
    fn the_lowest_of_the_expected_does_it() {
        assert_eq!(initialisers(&mut nodes(3, 3), |_, _| true), [1]);
        assert_eq!(initialisers(&mut nodes(1, 1), |_, _| true), [1]);
        assert!(initialisers(&mut nodes(2, 3), |_, _| true).is_empty());
    }

    #[test]
    fn two_groups_with_a_common_node_cannot_both_begin() {
        // 1 and 5 do not reach each other, nor 2 and 5; all others do. Three of five are expected.
        let cut = |a: u64, b: u64| !matches!((a.min(b), a.max(b)), (1 | 2, 4 | 5));
        assert!(initialisers(&mut nodes(5, 3), cut).len() <= 1);
    }

    #[test]
    fn who_sees_a_deployment_joins_it() {
        let mut node = nodes(1, 3).remove(0);
        let hello = Hello { node: NodeId(9), seq: 1, initialised: true, attempt: None, promised: None };
        node.heard(hello);
        assert_eq!(node.decide(), Decision::Join(NodeId(9)));
        node.silent(NodeId(9));
        assert_eq!(node.decide(), Decision::Wait(1));
    }

    #[test]
    fn a_higher_try_yields_and_an_ended_try_binds_nobody() {
        let mut all = nodes(3, 2);
        // 2 and 3 meet first: 2 tries and 3 promises.
        let without_1 = |a: u64, b: u64| a != 1 && b != 1;
        round(&mut all, 1, without_1);
        round(&mut all, 2, without_1);
        assert_eq!(all[2].promised, Some(Attempt { by: NodeId(2), number: 1 }));
        // 2 is gone: 3 keeps its promise, and nobody can do without it.
        for seq in 3..6 {
            let decisions = round(&mut all, seq, |a, b| a != 2 && b != 2);
            assert!(!decisions.iter().any(|decision| matches!(decision, Decision::Initialise(_))));
        }
        // 2 is back and has ended its try: 3 is free again, and the lowest does it.
        all[1] = Bootstrap::new(NodeId(2), 2, 1, all[1].promised, Rules::default());
        let mut found = Vec::new();
        for seq in 6..10 {
            found.extend(round(&mut all, seq, |_, _| true));
        }
        let everybody = |decision: &Decision| matches!(decision, Decision::Initialise(voters) if voters.contains(&NodeId(1)));
        assert!(found.iter().any(everybody));
    }

    #[test]
    fn an_old_hello_does_not_end_a_promise() {
        let mut all = nodes(2, 2);
        let old = all[0].hello(1);
        round(&mut all, 2, |_, _| true);
        round(&mut all, 3, |_, _| true);
        assert!(all[1].promised.is_some());
        all[1].heard(old);
        all[1].decide();
        assert!(all[1].promised.is_some());
    }
}
