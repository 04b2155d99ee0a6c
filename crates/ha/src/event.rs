//! Why things happened: for the log line, INFO and SENTINEL events.

use crate::ids::{Epoch, NodeId, Position, Process, ShardId};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a shard got another primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The deployment's first primary.
    First,
    /// The primary was not heard for this long.
    Silent(Span),
    /// The primary's process restarted: what it held in memory is gone.
    Restarted,
    /// The primary's node is no longer a member.
    Forgotten,
    /// Its data threads made no progress for this long.
    Stalled(Span),
    /// It could not get its writes acknowledged for this long, and others could be reached.
    Blocked(Span),
    /// It handed over: SIGTERM, FAILOVER.
    Planned,
    /// Every member of the in-sync set restarted; the best recovered copy leads.
    AllRestarted,
    /// It handed over because it could take no writes: its disk is full.
    Unwritable,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::First => write!(f, "first primary"),
            Cause::Silent(span) => write!(f, "silent for {span}"),
            Cause::Restarted => write!(f, "restarted"),
            Cause::Forgotten => write!(f, "no longer a member"),
            Cause::Stalled(span) => write!(f, "data threads hung for {span}"),
            Cause::Blocked(span) => write!(f, "could not replicate for {span}"),
            Cause::Planned => write!(f, "planned handover"),
            Cause::AllRestarted => write!(f, "all in-sync members restarted"),
            Cause::Unwritable => write!(f, "could not write to its disk"),
        }
    }
}

/// Why a member left the in-sync set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leave {
    /// The controller did not hear it for `ha-replica-timeout`.
    Silent,
    /// The primary waited for its acknowledgement that long.
    Lagging,
}

/// What is worth a line in the log. The agent and the controller emit these beside their effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Controller: this node is the controller from now on.
    TookOffice,
    /// Controller: a failover is proposed. `took` is the time from the last sign of the old primary.
    FailingOver {
        /// The shard.
        shard: ShardId,
        /// Who leads next.
        to: Process,
        /// Why.
        cause: Cause,
        /// Since the last sign of life of the old primary.
        took: Span,
    },
    /// Controller: the shard has no primary and there is nobody to promote.
    NoCandidate {
        /// The shard.
        shard: ShardId,
        /// What is waited for.
        why: Waiting,
    },
    /// Controller: the shard starts again from what was recovered; acknowledged writes may be missing.
    PossibleLoss {
        /// The shard.
        shard: ShardId,
        /// Where it goes on.
        from: Position,
    },
    /// Agent: this process leads.
    Leading {
        /// In this epoch.
        epoch: Epoch,
    },
    /// Agent: this process follows another.
    Following {
        /// The primary.
        primary: Process,
        /// In this epoch.
        epoch: Epoch,
    },
    /// Agent: nothing is acknowledged any more.
    Fenced(Fenced),
    /// Agent: the handover was given up; this process goes on as primary.
    HandoverFailed,
}

/// What a shard without a primary waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// This member of the in-sync set holds what was acknowledged and cannot be reached.
    ForMember(NodeId),
    /// Members of the in-sync set can be reached, but none may lead (priority 0, hung, loading).
    ForCandidate,
    /// The deployment's founding members have not all announced themselves.
    ForFounders,
}

/// Why a primary stopped acknowledging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// Its lease ended.
    LeaseLost,
    /// Another process leads.
    Deposed,
    /// It handed over.
    HandedOver,
}
