//! The command table and the data-command handlers: pure functions over a store transaction.

pub mod args;
pub mod context;
pub mod error;
pub mod families;
pub mod introspect;
pub mod keys;
mod long_double;
pub mod number;
pub mod spec;
pub mod specs;
pub mod table;
#[cfg(test)]
mod testing;

pub use args::{Args, Cursor};
pub use context::{Context, Deadline, Park, Settings};
pub use error::CommandError;
pub use table::{Command, find, lookup, table};
