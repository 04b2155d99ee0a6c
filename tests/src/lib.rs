//! Harness of the black-box tests: server processes, a blocking client, conversation files, state comparison.
//!
//! Everything here talks to a server over TCP, so the same test runs against Redoubt and against the reference
//! `redis-server`. Nothing links the server crates.

pub mod client;
pub mod conversation;
pub mod data;
pub mod deployment;
pub mod loopback;
pub mod notation;
pub mod random;
pub mod replication;
pub mod reply;
pub mod server;
pub mod words;

pub use client::Client;
pub use reply::Reply;
pub use server::{Kind, Server};
