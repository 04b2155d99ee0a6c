//! Who leads, who is in sync, who may acknowledge: the control plane as pure state machines.
//!
//! - [`topology`]: the facts all nodes agree on, and [`entry`]: how one entry of the Raft log changes them.
//! - [`agent`]: runs on every node. Topology and leases in; lead, follow, fence, commit offset out.
//! - [`controller`]: runs on every node, acts on the Raft leader. Heartbeats in; leases and proposals out.
//! - [`ranking`], [`bootstrap`], [`membership`], [`handover`], [`lease`]: single decisions, each in one place.
//!
//! Nothing here has a clock, a socket, a file or a random number: time is an argument, the rest goes in as inputs and
//! out as effects, both closed enums. Every rule of the design is marked where it stands ("Rule 4").
//!
//! What the driver owes them, beside carrying out effects in order:
//!
//! - A tick at least every quarter of a heartbeat, with the time read anew for every input.
//! - Votes and pre-votes are refused for `Timing::lease` after a leader was heard, after a restart, and on a leader after
//!   the sending of its last heartbeat that a quorum answered. A transfer of leadership is exempt, and is told.
//! - An incarnation, and what `bootstrap` wants kept, are on the disk before anything that tells of them leaves.
//! - Data threads compare the clock with `Serve`'s end after executing a command and before writing its reply.
//! - A follower acknowledges what would survive what `appendfsync` promises; a stream belongs to one epoch and one
//!   connection, and so do its acknowledgements. After `NewLife` nothing is acknowledged before `Discard` or `Follow`.
//! - A position's epoch is that of the last record held. Nobody in the in-sync set is given a full resync.
//! - A learner becomes a voter only if it has the log and has answered something sent within `Timing::reachable`. A node that
//!   hears no leader for two leases asks to be let in again.

pub mod agent;
pub mod bootstrap;
pub mod controller;
pub mod entry;
pub mod event;
pub mod handover;
pub mod ids;
pub mod lease;
pub mod membership;
pub mod message;
pub mod ranking;
pub mod rules;
pub mod time;
pub mod topology;

pub use ids::{Epoch, Incarnation, Mandate, NodeId, Position, Process, SetVersion, ShardId};
pub use rules::{Rule, Rules};
pub use time::{Span, Time, Timing};
