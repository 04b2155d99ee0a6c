//! The names of things: nodes, processes, shards, epochs, positions. Different kinds of number are different types.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A node, for as long as it has its data directory. Never used again: who loses its disk gets a new one.
    NodeId
}
number! {
    /// One life of the data in a node's memory: a new one at every process start and before every full resync (rule 6).
    Incarnation
}
number! {
    /// A shard: one set of copies with one primary. A deployment in HA mode has one, number 0.
    ShardId
}
number! {
    /// Counts the primaries of a shard. It fences: who has seen a newer one refuses everything of an older one.
    Epoch
}
number! {
    /// Counts the changes of a shard's in-sync set, so that an offer to enter it ends with the next change.
    SetVersion
}
number! {
    /// Counts controllers. Two Raft leaders may share a term; two controllers never share a mandate.
    Mandate
}

/// A node in one of its lives: what holds data, leads, and is in an in-sync set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// The node.
    pub node: NodeId,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.incarnation)
    }
}

/// How much of a shard's history a process holds: everything up to `offset`, the last of it written in `epoch`.
///
/// The epoch is that of the last record held, not of the stream that is followed: a follower that has just turned to a
/// new primary but lacks older records must not outrank who has them. So, of two positions, the higher one holds
/// everything acknowledged that the lower one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// The epoch whose primary wrote the last record held; 0 when there is none.
    pub epoch: Epoch,
    /// Bytes of the replication stream held.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.offset, self.epoch)
    }
}
