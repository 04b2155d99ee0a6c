//! What goes over a connection between two nodes, and how a frame is read from somebody who may send anything.

use super::super::codec::{self, CodecError, HEADER, Kind};
use super::super::types::{Proposal, Reply, SnapshotMeta, Types, Vote};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A question to another node.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::raft) enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
    PreVote(VoteRequest<Types>),
    /// A snapshot, whole: facts are small.
    Snapshot {
        vote: Vote,
        meta: SnapshotMeta,
        facts: Vec<u8>,
    },
    Transfer(TransferLeaderRequest<Types>),
    /// An entry, for the leader to propose.
    Propose(Proposal),
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::raft) enum Response {
    Append(AppendEntriesResponse<Types>),
    Vote(VoteResponse<Types>),
    Snapshot(SnapshotResponse<Types>),
    Transfer(TransferLeaderResponse<Types>),
    Proposed {
        index: u64,
        reply: Reply,
    },
    /// Only the leader proposes; who it is, if known.
    NotLeader(Option<u64>),
    Failed(String),
}

/// What follows the handshake.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Frame {
    Request {
        id: u64,
        request: Request,
    },
    Response {
        id: u64,
        response: Response,
    },
    /// A message of the control plane. It may get lost.
    Control(Vec<u8>),
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("it closed the connection")]
    Closed,
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    #[error("a frame took longer than {0:?}")]
    Slow(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// How long a reader waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the first byte of a frame.
    pub(super) silence: Duration,
    /// For the rest of it.
    pub(super) frame: Duration,
}

/// Reads one frame. Memory grows with what has come, not with what is announced.
pub(super) async fn read<R, T>(reader: &mut R, kind: Kind, patience: Patience) -> Result<T, WireError>
where
    R: AsyncRead + Unpin,
    T: serde::de::DeserializeOwned,
{
    let mut header = [0; HEADER];
    let first = tokio::time::timeout(patience.silence, reader.read(&mut header[..1])).await;
    if first.map_err(|_| WireError::Silent(patience.silence))?? == 0 {
        return Err(WireError::Closed);
    }
    let rest = async {
        reader.read_exact(&mut header[1..]).await?;
        let length = codec::body_length(kind, &header)?;
        let mut bytes = header.to_vec();
        reader.take(length as u64).read_to_end(&mut bytes).await?;
        Ok::<Vec<u8>, WireError>(bytes)
    };
    let bytes =
        tokio::time::timeout(patience.frame, rest).await.map_err(|_| WireError::Slow(patience.frame))??;
    Ok(codec::decode(kind, &bytes)?)
}
