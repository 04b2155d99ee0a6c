//! The Raft group on openraft: what the nodes of a deployment agree on. Nothing outside this module sees openraft, redb
//! or bincode.
//!
//! - [`codec`]: how everything here becomes bytes, on the disk and between nodes.
//! - `storage`: vote, log and snapshots in one file.
//! - `network`: authenticated connections on a port of their own, for Raft and for messages of the control plane.
//! - [`Driver`]: one node. Its [`Inbox`] is what controllers and agents are told.
//!
//! What is agreed on is [`Facts`]: the topology of `redoubt_ha`, and whatever tests like.

mod clock;
pub mod codec;
mod driver;
mod facts;
mod group;
mod network;
mod promise;
mod propose;
#[cfg(test)]
mod scratch;
mod service;
mod standing;
mod storage;
#[cfg(test)]
mod tests;
mod types;

pub use clock::now;
pub use driver::{Driver, Inbox, Settings, StartError};
pub use group::GroupError;
pub use network::{Peer, Secret};
pub use propose::ProposeError;
pub use standing::Standing;
pub use storage::Applied;
pub(crate) use storage::discard;
pub use types::Facts;

use propose::propose;
