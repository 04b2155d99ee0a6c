//! The Raft group on openraft: what the nodes of a deployment agree on. Nothing outside this module sees openraft, redb
//! or bincode.

pub mod codec;
#[cfg(test)]
mod scratch;
// The driver that uses it lands next.
#[allow(dead_code, unused_imports)]
mod storage;
#[allow(dead_code)]
mod types;

pub use types::Facts;
