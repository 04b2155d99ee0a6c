//! What agents and controllers say to each other. The driver carries it between control threads, over links that may lose,
//! delay, double and reorder.

use crate::ids::{Epoch, NodeId, Position, Process, SetVersion, ShardId};
use crate::time::{Span, Time};
use crate::topology::Announcement;
use serde::{Deserialize, Serialize};

/// Sent by every agent to every node, every [`heartbeat`](crate::Timing::heartbeat). All controllers listen, so that a new
/// one knows at once who has been silent; only the one in office answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub from: Process,
    /// Counts the heartbeats of this process; older ones than the last seen are ignored.
    pub seq: u64,
    /// When it was sent, on the sender's clock. The answer repeats it.
    pub sent: Time,
    /// Where the node is.
    pub announcement: Announcement,
    /// What it holds; nothing while it loads or resyncs.
    pub position: Option<Position>,
    /// Rule 10: how long its data threads have made no progress.
    pub stalled_for: Span,
    /// Whether it can take writes (its disk is not full, for one).
    pub writable: bool,
    /// What it says as the primary of an epoch.
    pub leading: Option<Leading>,
}

/// The part of a heartbeat that only a primary has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leading {
    /// The shard.
    pub shard: ShardId,
    /// The epoch in which the sender leads; a lease is asked for it.
    pub epoch: Epoch,
    /// The version of the in-sync set it has applied.
    pub version: SetVersion,
    /// Rule 4: followers that have caught up. The primary waits for them as for members from this moment on.
    pub offers: Vec<Process>,
    /// Members of the set that have not acknowledged for a while.
    pub lagging: Vec<(Process, Span)>,
    /// Rule 9: the sender acknowledges nothing any more and asks for this process to be promoted.
    pub surrender: Option<Surrender>,
}

/// A primary that hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surrender {
    /// Who has everything.
    pub to: Process,
    /// Whether the old primary is about to stop and must not be waited for.
    pub leaving: bool,
}

/// The answer of the controller in office to a primary's heartbeat: a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Whom it is for.
    pub to: Process,
    /// The shard.
    pub shard: ShardId,
    /// The epoch it is for.
    pub epoch: Epoch,
    /// When the answered heartbeat was sent, on the holder's clock.
    pub sent: Time,
    /// How long it lasts from then.
    pub left: Span,
}

/// The controller in office asks a primary to hand over: an operator wants it, or it cannot take writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// Whom it is for.
    pub primary: Process,
    /// The epoch it is for.
    pub epoch: Epoch,
    /// Who is to lead; nobody: whoever has most.
    pub to: Option<NodeId>,
}
