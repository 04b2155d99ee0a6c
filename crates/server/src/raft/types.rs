//! What openraft is told about our types: node ids are numbers, entries and their outcomes are bytes of the codec. What they
//! mean is known to [`Facts`] alone.

use super::codec::{self, CodecError, Kind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// What all nodes agree on: a state that changes only by entries of the log, the same way on every node.
pub trait Facts: Clone + Default + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// An entry of the log.
    type Entry: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What came of an entry: what it changed, or why it changed nothing.
    type Outcome: fmt::Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Applies a committed entry. The outcome depends on the facts and the entry alone.
    fn apply(&mut self, entry: &Self::Entry) -> Self::Outcome;
}

/// Where a member of the Raft group was when it was made one. It may have moved since: who it is is told by the handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// `host:port` of its Raft port.
    pub(super) address: String,
}

/// An entry as openraft sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proposal(Vec<u8>);

impl Proposal {
    pub(super) fn new<E: Serialize>(entry: &E) -> Result<Proposal, CodecError> {
        codec::encode(Kind::Proposal, entry).map(Proposal)
    }

    pub(super) fn entry<E: DeserializeOwned>(&self) -> Result<E, CodecError> {
        codec::decode(Kind::Proposal, &self.0)
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// An outcome as openraft sees it; nothing for entries that are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reply(Option<Vec<u8>>);

impl Reply {
    pub(super) const NONE: Reply = Reply(None);

    pub(super) fn new<O: Serialize>(outcome: &O) -> Result<Reply, CodecError> {
        codec::encode(Kind::Outcome, outcome).map(|bytes| Reply(Some(bytes)))
    }

    pub(super) fn outcome<O: DeserializeOwned>(&self) -> Result<Option<O>, CodecError> {
        self.0.as_deref().map(|bytes| codec::decode(Kind::Outcome, bytes)).transpose()
    }
}

openraft::declare_raft_types!(
    /// openraft's view of our types.
    pub(super) Types: D = Proposal, R = Reply, NodeId = u64, Node = Place
);

pub(super) type LogId = openraft::type_config::alias::LogIdOf<Types>;
pub(super) type Vote = openraft::type_config::alias::VoteOf<Types>;
pub(super) type Entry = openraft::type_config::alias::EntryOf<Types>;
pub(super) type Membership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub(super) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;
/// A snapshot is the facts, encoded.
pub(super) type SnapshotBytes = std::sync::Arc<Vec<u8>>;
pub(super) type Snapshot = openraft::type_config::alias::SnapshotOf<Types, SnapshotBytes>;
