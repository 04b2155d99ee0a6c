//! The command table and the data-command handlers: pure functions over a store transaction.

pub mod args;
pub mod context;
pub mod error;
pub mod number;
pub mod spec;

pub use args::{Args, Cursor};
pub use context::{Context, Deadline, Settings};
pub use error::CommandError;
