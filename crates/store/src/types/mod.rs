//! Values: one module per type, pure operations that know nothing of keys or the protocol.

pub mod bitmap;
mod dense;
pub mod hash;
pub mod hyperloglog;
mod index;
mod intset;
pub mod list;
pub mod set;
pub mod sorted_set;
pub mod stream;
