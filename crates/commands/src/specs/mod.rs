//! Rows of the command table, one module per family. A family is listed here once its handlers exist.

pub mod bitmap;
pub mod cluster;
pub mod connection;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod hash_fields;
pub mod hyperloglog;
pub mod list;
pub mod pubsub;
pub mod replication;
pub mod sentinel;
pub mod server;
pub mod server_keys;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;
pub mod transaction;
