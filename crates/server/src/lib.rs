//! The embeddable server: sockets, workers, dispatch, configuration, metrics.

pub mod config;
pub mod histogram;
pub mod latency;
pub mod slowlog;
