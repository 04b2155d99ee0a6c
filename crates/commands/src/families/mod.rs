//! Handlers of the data commands, one module per family.

pub(crate) mod blocking;
pub(crate) mod hash;
pub(crate) mod list;
pub(crate) mod scan;
pub mod string;
mod members;
pub mod set;
pub mod sorted_set;
