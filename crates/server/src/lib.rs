//! The embeddable server: sockets, workers, dispatch, configuration, metrics.

pub mod aof;
pub mod apply;
pub mod client;
pub mod config;
mod cron;
pub mod digest;
pub mod disk;
mod dispatch;
mod eviction;
pub mod forward;
pub mod ha;
pub mod histogram;
pub mod info;
pub mod latency;
pub mod load;
pub mod log;
pub mod logging;
pub mod memory;
mod net;
mod ops;
pub mod process;
pub mod pubsub;
pub mod raft;
pub mod refusal;
pub mod replication;
pub mod sentinel;
mod server;
pub mod shared;
pub mod slowlog;
pub mod snapshot;
pub mod stats;
pub mod version;
mod worker;

pub use redoubt_persistence as persistence;
pub use redoubt_store as store;
pub use server::{Builder, Handle, Server, StartError};
