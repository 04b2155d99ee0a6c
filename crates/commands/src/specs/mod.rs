//! Rows of the command table, one module per family. A family is listed here once its handlers exist.

pub mod connection;
pub mod hash;
pub mod list;
pub mod server;
pub mod set;
pub mod sorted_set;
pub mod string;
pub mod transaction;
