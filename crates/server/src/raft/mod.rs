//! The Raft group on openraft: what the nodes of a deployment agree on. Nothing outside this module sees openraft, redb
//! or bincode.

pub mod codec;
