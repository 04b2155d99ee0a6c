//! The append-only file of a running server, on a disk that fails.

mod common;
mod rewriting;
mod writing;
