//! Answers to what other nodes ask.

use super::network::{Net, Peer, Request, Response, Service};
use super::promise::Promise;
use super::storage::{IdentityStore, Machine};
use super::types::{Facts, Proposal, Reply, Snapshot, SnapshotMeta, Types, Vote};
use super::{ProposeError, propose};
use openraft::Raft;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use openraft::type_config::async_runtime::WatchReceiver;
use std::fmt::Display;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// One node's side.
pub(super) struct Answers<F: Facts> {
    pub(super) raft: Raft<Types, Machine<F>>,
    pub(super) net: Arc<Net>,
    pub(super) identities: Arc<IdentityStore>,
    pub(super) promise: Arc<Promise>,
    pub(super) control: Sender<(Peer, Vec<u8>)>,
    pub(super) propose_limit: Duration,
}

impl<F: Facts> Clone for Answers<F> {
    fn clone(&self) -> Answers<F> {
        Answers {
            raft: self.raft.clone(),
            net: Arc::clone(&self.net),
            identities: Arc::clone(&self.identities),
            promise: Arc::clone(&self.promise),
            control: self.control.clone(),
            propose_limit: self.propose_limit,
        }
    }
}

impl<F: Facts> Service for Answers<F> {
    fn handle(&self, from: Arc<Peer>, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let this = self.clone();
        Box::pin(async move { this.answer(&from, request).await.unwrap_or_else(Response::Failed) })
    }

    fn control(&self, from: &Peer, bytes: Vec<u8>) {
        // A node that does not keep up with its messages loses some.
        let _ = self.control.try_send((from.clone(), bytes));
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

impl<F: Facts> Answers<F> {
    async fn answer(&self, from: &Peer, request: Request) -> Result<Response, String> {
        self.belong(from).await?;
        match request {
            Request::Append(request) => self.append(request).await.map(Response::Append),
            Request::Snapshot { vote, meta, facts } => self.snapshot(vote, meta, facts).await,
            Request::PreVote(request) => match self.hold_back(&request) {
                Some(refusal) => Ok(Response::Vote(refusal)),
                None => self.raft.pre_vote(request).await.map(Response::Vote).map_err(text),
            },
            Request::Vote(request) => match self.hold_back(&request) {
                Some(refusal) => Ok(Response::Vote(refusal)),
                None => self.raft.vote(request).await.map(Response::Vote).map_err(text),
            },
            Request::Transfer(request) => {
                self.promise.handed_over();
                self.raft.handle_transfer_leader(request).await.map(Response::Transfer).map_err(text)
            }
            Request::Propose(proposal) => Ok(self.propose(proposal).await),
        }
    }

    /// Raft's requests come from members of the same deployment. A node that has none yet is being made a member.
    async fn belong(&self, from: &Peer) -> Result<(), String> {
        let Some(theirs) = from.cluster else { return Err("the caller belongs to no deployment".into()) };
        match self.net.me().cluster {
            Some(mine) if mine == theirs => Ok(()),
            Some(_) => Err("this node belongs to another deployment".into()),
            None => {
                let change = self.identities.change(|identity| {
                    identity.cluster.get_or_insert(theirs);
                });
                let now = change.await.map_err(text)?.cluster;
                if now != Some(theirs) {
                    return Err("this node belongs to another deployment".into());
                }
                self.net.set_cluster(theirs);
                tracing::info!("Taken into deployment {theirs:032x} by node {:016x}", from.node);
                Ok(())
            }
        }
    }

    async fn append(
        &self,
        request: AppendEntriesRequest<Types>,
    ) -> Result<AppendEntriesResponse<Types>, String> {
        let response = self.raft.append_entries(request).await.map_err(text)?;
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            self.promise.give(Instant::now());
        }
        Ok(response)
    }

    async fn snapshot(&self, vote: Vote, meta: SnapshotMeta, facts: Vec<u8>) -> Result<Response, String> {
        let snapshot = Snapshot { meta, snapshot: Arc::new(facts) };
        let response = self.raft.install_full_snapshot(vote, snapshot).await.map_err(text)?;
        if response.vote == vote {
            self.promise.give(Instant::now());
        }
        Ok(Response::Snapshot(response))
    }

    /// No vote while a lease may be live, unless the leader itself hands over.
    fn hold_back(&self, request: &VoteRequest<Types>) -> Option<VoteResponse<Types>> {
        if request.leadership_transfer || self.promise.left(Instant::now()).is_zero() {
            return None;
        }
        let metrics = self.raft.metrics();
        let vote = metrics.borrow_watched().vote;
        Some(VoteResponse::new(vote, None, false))
    }

    async fn propose(&self, proposal: Proposal) -> Response {
        match propose(&self.raft, proposal, self.propose_limit).await {
            Ok((index, reply)) => Response::Proposed { index, reply },
            Err(ProposeError::NotLeader(leader)) => Response::NotLeader(leader.map(|node| node.0)),
            Err(error) => Response::Failed(error.to_string()),
        }
    }
}

/// The other direction: what another node answered to a proposal of ours.
pub(super) fn proposed(response: Response) -> Result<(u64, Reply), ProposeError> {
    match response {
        Response::Proposed { index, reply } => Ok((index, reply)),
        Response::NotLeader(leader) => Err(ProposeError::NotLeader(leader.map(redoubt_ha::NodeId))),
        Response::Failed(why) => Err(ProposeError::Unknown(why)),
        _ => Err(ProposeError::Failed(io::Error::from(io::ErrorKind::InvalidData).to_string())),
    }
}
