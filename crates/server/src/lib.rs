//! The embeddable server: sockets, workers, dispatch, configuration, metrics.

pub mod config;
