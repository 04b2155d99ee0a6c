//! Who leads, who is in sync, who may acknowledge: the control plane as pure state machines.
//!
//! - [`topology`]: the facts all nodes agree on, and [`entry`]: how one entry of the Raft log changes them.
//! - [`agent`]: runs on every node. Topology and leases in; lead, follow, fence, commit offset out.
//! - [`controller`]: runs on every node, acts on the Raft leader. Heartbeats in; leases and proposals out.
//! - [`ranking`], [`bootstrap`], [`membership`], [`handover`], [`lease`]: single decisions, each in one place.
//!
//! Nothing here has a clock, a socket, a file or a random number: time is an argument, the rest goes in as inputs and
//! out as effects, both closed enums. Every rule of the design is marked where it stands ("Rule 4").

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
