//! Handlers of the data commands, one module per family.

pub(crate) mod blocking;
pub(crate) mod generic;
pub(crate) mod hash;
pub(crate) mod list;
mod members;
pub(crate) mod scan;
pub mod set;
pub mod sorted_set;
pub mod string;
