//! Proposing entries, on the leader.

use super::storage::Machine;
use super::types::{Facts, Proposal, Reply, Types};
use openraft::Raft;
use openraft::errors::{ClientWriteError, ForwardReason, RaftError};
use redoubt_ha::NodeId;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a leader that was just elected is given for its first quorum, a step at a time.
const RETRY: Duration = Duration::from_millis(5);

/// Why a proposal has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Only the leader proposes; who it is, if known. The entry is not in the log.
    #[error("this node does not lead the control plane")]
    NotLeader(Option<NodeId>),
    /// The entry may be applied later, or never.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// The entry cannot be proposed, or this node takes no part any more.
    #[error("{0}")]
    Failed(String),
}

/// Proposes an entry and waits until it is applied here.
pub(super) async fn propose<F: Facts>(
    raft: &Raft<Types, Machine<F>>,
    proposal: Proposal,
    limit: Duration,
) -> Result<(u64, Reply), ProposeError> {
    let end = Instant::now() + limit;
    loop {
        let result = timeout_at(end, raft.client_write(proposal.clone())).await;
        let Ok(result) = result else {
            return Err(ProposeError::Unknown(format!("not committed in {limit:?}")));
        };
        match result {
            Ok(done) => return Ok((done.log_id.index, done.data)),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))
                if to.reason == ForwardReason::LeaseExpired && Instant::now() < end =>
            {
                sleep(RETRY).await;
            }
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                let leader = to.leader_id.filter(|_| to.reason == ForwardReason::NotLeader);
                return Err(ProposeError::NotLeader(leader.map(NodeId)));
            }
            Err(RaftError::APIError(error @ ClientWriteError::LogEntryDiscarded(_))) => {
                return Err(ProposeError::Unknown(error.to_string()));
            }
            Err(error) => return Err(ProposeError::Failed(error.to_string())),
        }
    }
}
