//! A deterministic simulator of whole deployments: the agents and controllers of `redoubt-ha`, a small model of replication,
//! clients, operators, and everything that goes wrong around them. One seed is one history; the same seed is the same history
//! again.
//!
//! Checked all the time: at most one process can acknowledge at any instant; nothing acknowledged is lost by failures that
//! the rules cover; every member of the in-sync set has what was acknowledged, and so have as many machines as
//! `min-replicas-to-write` asks for; epochs only grow; who is named primary has everything; there is one Raft group and one
//! log, and snapshots of it say the same. At the end: the history is linearizable, and once the faults are over all is well within [`LIVENESS_BOUND`].

mod active;
mod client;
mod data;
mod faults;
pub mod linear;
mod machine;
mod network;
mod operator;
mod oracle;
mod raft;
mod world;

pub use redoubt_ha::{Rule, Rules};
pub use world::{LIVENESS_BOUND, Outcome};

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, rules: Rules, tracing: bool) -> Outcome {
    world::World::new(seed, rules, tracing).run()
}
