//! openraft's calls to other nodes.

use super::super::types::{Place, Snapshot, SnapshotBytes, Types, Vote};
use super::wire::{Request, Response};
use super::{CallError, Net};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

type RpcError = RPCError<Types>;

/// Makes clients.
#[derive(Debug, Clone)]
pub(in crate::raft) struct Factory(pub(in crate::raft) Arc<Net>);

impl RaftNetworkFactory<Types> for Factory {
    type Network = Client;

    async fn new_client(&mut self, target: u64, place: &Place) -> Client {
        // What the node says of itself is newer.
        self.0.learn(target, &place.address, 0);
        Client { net: Arc::clone(&self.0), target }
    }
}

/// Calls one node.
#[derive(Debug)]
pub(in crate::raft) struct Client {
    net: Arc<Net>,
    target: u64,
}

impl Client {
    async fn call(&self, request: Request, limit: Duration, action: RPCTypes) -> Result<Response, RpcError> {
        match self.net.call(self.target, request, limit).await {
            Ok(Response::Failed(why)) => Err(RPCError::Network(NetworkError::from_string(why))),
            Ok(response) => Ok(response),
            Err(CallError::Timeout(timeout)) => {
                let id = self.net.me().node;
                Err(RPCError::Timeout(Timeout { action, id, target: self.target, timeout }))
            }
            Err(error @ CallError::Unreachable(_)) => {
                Err(RPCError::Unreachable(Unreachable::from_string(error)))
            }
            Err(error) => Err(RPCError::Network(NetworkError::from_string(error))),
        }
    }
}

fn unexpected(response: &Response) -> RpcError {
    RPCError::Network(NetworkError::from_string(format!("an answer to something else: {response:?}")))
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = SnapshotBytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RpcError> {
        // openraft's limit is that of a heartbeat. Entries are on the other's disk before it answers.
        let limit = if request.entries.is_empty() { option.soft_ttl() } else { self.net.times.append };
        match self.call(Request::Append(request), limit, RPCTypes::AppendEntries).await? {
            Response::Append(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RpcError> {
        match self.call(Request::Vote(request), option.soft_ttl(), RPCTypes::Vote).await? {
            Response::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RpcError> {
        match self.call(Request::PreVote(request), option.soft_ttl(), RPCTypes::Vote).await? {
            Response::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let request =
            Request::Snapshot { vote, meta: snapshot.meta, facts: snapshot.snapshot.as_ref().clone() };
        let limit = self.net.times.snapshot;
        let response = tokio::select! {
            response = self.call(request, limit, RPCTypes::InstallSnapshot) => response,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        match response.map_err(streaming)? {
            Response::Snapshot(response) => Ok(response),
            other => Err(streaming(unexpected(&other))),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RpcError> {
        match self.call(Request::Transfer(request), option.soft_ttl(), RPCTypes::TransferLeader).await? {
            Response::Transfer(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }
}

fn streaming(error: RpcError) -> StreamingError<Types> {
    match error {
        RPCError::Timeout(error) => StreamingError::Timeout(error),
        RPCError::Unreachable(error) => StreamingError::Unreachable(error),
        RPCError::Network(error) => StreamingError::Network(error),
        RPCError::RemoteError(_) => StreamingError::Network(NetworkError::from_string("a remote error")),
    }
}
