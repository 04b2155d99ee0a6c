//! Who votes and who learns: changes of the group itself, on its leader, one at a time.

use super::driver::Driver;
use super::network::Net;
use super::storage::Machine;
use super::types::{Facts, Place, Types};
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, Raft};
use redoubt_ha::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why the group was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Only the leader changes it; who it is, if known.
    #[error("this node does not lead the control plane")]
    NotLeader(Option<NodeId>),
    /// Another change is not committed yet, or the leader is too new.
    #[error("the group is changing")]
    Busy,
    /// A voter must be a learner first.
    #[error("node {} is not a learner", .0)]
    NotALearner(NodeId),
    /// This node takes no part any more, or the change makes no sense.
    #[error("{0}")]
    Failed(String),
}

impl From<RaftError<Types, ClientWriteError<Types>>> for GroupError {
    fn from(error: RaftError<Types, ClientWriteError<Types>>) -> GroupError {
        use ChangeMembershipError::{InProgress, LearnerNotFound, UncommittedLeaderLog};
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => {
                GroupError::NotLeader(to.leader_id.map(NodeId))
            }
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => match error {
                InProgress(_) | UncommittedLeaderLog(_) => GroupError::Busy,
                LearnerNotFound(error) => GroupError::NotALearner(NodeId(error.node_id)),
                error => GroupError::Failed(error.to_string()),
            },
            error => GroupError::Failed(error.to_string()),
        }
    }
}

/// The parts of a driver a change needs.
pub(super) struct Settled<'a, F: Facts> {
    pub(super) raft: &'a Raft<Types, Machine<F>>,
    pub(super) net: &'a Arc<Net>,
}

impl<F: Facts> Settled<'_, F> {
    async fn change(&self, change: ChangeMembers<u64, Place>, retain: bool) -> Result<(), GroupError> {
        Ok(self.raft.change_membership(change, retain).await.map(drop)?)
    }
}

impl<F: Facts> Driver<F> {
    /// Makes a node a learner: it gets the log from now on. Its id was never in the group before. Returns when that is
    /// committed; how far the node has come is told by the standing.
    ///
    /// # Errors
    /// Why not.
    pub async fn add_learner(&self, node: NodeId, address: &str) -> Result<(), GroupError> {
        let group = self.settled();
        group.net.learn(node.0, address, 0);
        let place = Place { address: address.to_owned() };
        group.raft.add_learner(node.0, place, false).await?;
        tracing::info!("Node {:016x} at {address} is a learner of the control plane", node.0);
        Ok(())
    }

    /// Makes exactly these nodes vote. They are learners or voters now; who votes no more is a learner again. Returns when
    /// that is committed; every step on the way keeps a majority of the old and of the new voters.
    ///
    /// # Errors
    /// Why not.
    pub async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), GroupError> {
        let ids: BTreeSet<u64> = voters.iter().map(|node| node.0).collect();
        let count = ids.len();
        self.settled().change(ChangeMembers::ReplaceAllVoters(ids), true).await?;
        tracing::info!("{count} nodes vote in the control plane");
        Ok(())
    }

    /// Ends a change of the voters that was left half done ([`Standing::half_changed`](super::Standing)).
    ///
    /// # Errors
    /// Why not.
    pub async fn end_change(&self) -> Result<(), GroupError> {
        self.settled().change(ChangeMembers::AddVoterIds(BTreeSet::new()), true).await?;
        tracing::info!("A change of the voters of the control plane that was left half done is ended");
        Ok(())
    }

    /// The first half of a change: majorities of all these are needed.
    #[cfg(test)]
    pub(super) async fn begin_change(&self, config: Vec<BTreeSet<u64>>) {
        let place = |(node, address): (NodeId, String)| (node.0, Place { address });
        let places: BTreeMap<u64, Place> = self.members().into_iter().map(place).collect();
        let membership = openraft::Membership::new(config, places).expect("all have places");
        let payload = openraft::EntryPayload::Blank;
        self.settled().raft.append_membership(membership, payload, []).await.expect("it is the leader");
    }

    /// Removes a node from the group, whether it votes or learns.
    ///
    /// # Errors
    /// Why not.
    pub async fn remove(&self, node: NodeId) -> Result<(), GroupError> {
        let group = self.settled();
        let voters: BTreeSet<u64> = group.raft.voter_ids().collect();
        if voters.contains(&node.0) {
            group.change(ChangeMembers::RemoveVoters([node.0].into()), false).await?;
        } else {
            group.change(ChangeMembers::RemoveNodes([node.0].into()), false).await?;
        }
        tracing::info!("Node {:016x} is no member of the control plane any more", node.0);
        Ok(())
    }

    /// Voters and learners with the addresses the group has of them.
    #[must_use]
    pub fn members(&self) -> BTreeMap<NodeId, String> {
        use openraft::type_config::async_runtime::WatchReceiver;
        let metrics = self.settled().raft.metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.nodes();
        nodes.map(|(node, place)| (NodeId(*node), place.address.clone())).collect()
    }
}
