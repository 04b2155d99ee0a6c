//! Changes of the Raft group, one at a time: learners come in, voters are replaced, the forgotten go.

use super::message::Message;
use super::node::{Group, Node};
use crate::raft::{GroupError, Standing};
use redoubt_ha::topology::Topology;
use redoubt_ha::{NodeId, Process, Time};
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinHandle;

/// A learner may be this many entries behind when it becomes a voter.
const BEHIND_MAX: u64 = 50;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Another leader has begun a change.
    End,
    Learn(NodeId, String),
    Vote(BTreeSet<NodeId>),
    Remove(NodeId),
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Changes {
    running: Option<JoinHandle<()>>,
    /// Who is to vote, as the controller wants it.
    wanted: Option<BTreeSet<NodeId>>,
    /// Who asks to be let in, and where it is.
    joining: BTreeMap<NodeId, String>,
}

impl Changes {
    pub(super) fn want_voters(&mut self, voters: BTreeSet<NodeId>) {
        self.wanted = Some(voters);
    }

    /// `since`: who has answered nothing that was sent since then is not there.
    fn next(&mut self, standing: &Standing, topology: &Topology, since: Time) -> Option<Step> {
        if standing.half_changed {
            return Some(Step::End);
        }
        let knows = |node: &NodeId| standing.voters.contains(node) || standing.learners.contains(node);
        self.joining.retain(|node, _| !knows(node) && !topology.forgotten.contains(node));
        if let Some(gone) = standing.learners.iter().find(|node| topology.forgotten.contains(node)) {
            return Some(Step::Remove(*gone));
        }
        if let Some((node, address)) = self.joining.pop_first() {
            return Some(Step::Learn(node, address));
        }
        let wanted = self.wanted.take()?;
        let has_log = |node: &NodeId| {
            let matched = standing.matched.get(node);
            standing.learners.contains(node)
                && matched.is_some_and(|matched| matched + BEHIND_MAX >= standing.last)
                // Heartbeats that lay in a buffer while this node was stopped show nothing.
                && standing.answered.get(node).is_some_and(|sent| *sent >= since)
        };
        let ready = wanted.difference(&standing.voters).all(has_log);
        (ready && wanted != standing.voters && !wanted.is_empty()).then_some(Step::Vote(wanted))
    }
}

impl Node {
    /// Begins the next step, on the leader, when the last one is over.
    pub(super) fn change_group(&mut self) {
        if self.changes.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        if !self.standing.leads || !(self.standing.settled || self.standing.half_changed) {
            return;
        }
        let since = Time(crate::raft::now().0.saturating_sub(self.timing.reachable.0));
        let Some(step) = self.changes.next(&self.standing, &self.topology, since) else { return };
        let driver = self.driver.clone();
        self.changes.running = Some(tokio::spawn(take(driver, step)));
    }

    /// A node asks to be let in.
    pub(super) fn on_join(&mut self, process: Process, address: String) {
        if process.node == self.me().node || self.meeting.is_alone() {
            return;
        }
        if self.topology.forgotten.contains(&process.node) {
            let message = self.driver.cluster().map(|cluster| Message::Forgotten(process.node, cluster));
            return message.into_iter().for_each(|message| self.send_to_address(&address, &message));
        }
        if self.standing.leads {
            self.driver.learn(process, &address);
            self.changes.joining.insert(process.node, address);
        } else if let Some(leader) = self.standing.leader {
            self.send(leader, &Message::Join(process, address));
        }
    }
}

async fn take(driver: Group, step: Step) {
    let outcome = match &step {
        Step::End => driver.end_change().await,
        Step::Learn(node, address) => driver.add_learner(*node, address).await,
        Step::Vote(voters) => driver.change_voters(voters.clone()).await,
        Step::Remove(node) => driver.remove(*node).await,
    };
    match outcome {
        // The controller wants it again if it is still needed.
        Ok(()) | Err(GroupError::Busy | GroupError::NotLeader(_)) => {}
        Err(error) => tracing::warn!("the group could not be changed ({step:?}): {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn a_learner_votes_once_it_has_the_log() {
        let mut standing =
            Standing { voters: ids(&[1]), learners: ids(&[2, 3]), last: 1000, ..Standing::default() };
        let mut changes = Changes::default();
        let topology = Topology::default();
        standing.matched = [(NodeId(2), 1000), (NodeId(3), 10)].into();
        standing.answered = [(NodeId(2), Time(70)), (NodeId(3), Time(60))].into();
        changes.want_voters(ids(&[1, 2, 3]));
        assert_eq!(changes.next(&standing, &topology, Time(50)), None);
        standing.matched.insert(NodeId(3), 990);
        changes.want_voters(ids(&[1, 2, 3]));
        assert_eq!(changes.next(&standing, &topology, Time(65)), None, "3 has not answered lately");
        changes.want_voters(ids(&[1, 2, 3]));
        assert_eq!(changes.next(&standing, &topology, Time(50)), Some(Step::Vote(ids(&[1, 2, 3]))));
        assert_eq!(changes.next(&standing, &topology, Time(50)), None, "not without being asked again");
    }

    #[test]
    fn a_change_that_was_left_half_done_is_ended_first() {
        let standing =
            Standing { voters: ids(&[1, 2]), learners: ids(&[4]), half_changed: true, ..Standing::default() };
        let topology = Topology { forgotten: ids(&[4]), ..Topology::default() };
        assert_eq!(Changes::default().next(&standing, &topology, Time(0)), Some(Step::End));
    }

    #[test]
    fn who_asks_becomes_a_learner_unless_forgotten() {
        let standing = Standing { voters: ids(&[1]), learners: ids(&[4]), ..Standing::default() };
        let mut changes = Changes::default();
        for node in [1, 5, 6] {
            changes.joining.insert(NodeId(node), format!("h:{node}"));
        }
        let topology = Topology { forgotten: ids(&[4, 6]), ..Topology::default() };
        assert_eq!(changes.next(&standing, &topology, Time(0)), Some(Step::Remove(NodeId(4))));
        let standing = Standing { learners: BTreeSet::new(), ..standing };
        assert_eq!(changes.next(&standing, &topology, Time(0)), Some(Step::Learn(NodeId(5), "h:5".into())));
        assert_eq!(changes.next(&standing, &topology, Time(0)), None);
    }
}
