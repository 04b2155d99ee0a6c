//! Handlers of the data commands, one module per family.

pub mod bitmap;
pub(crate) mod blocking;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod list;
mod members;
pub(crate) mod scan;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;
