//! The embeddable server: sockets, workers, dispatch, configuration, metrics.

pub mod client;
pub mod config;
mod cron;
mod dispatch;
mod eviction;
pub mod histogram;
pub mod latency;
pub mod log;
pub mod memory;
mod net;
mod ops;
mod server;
pub mod shared;
pub mod slowlog;
pub mod stats;
mod worker;

pub use server::{Builder, Handle, Server, StartError};
