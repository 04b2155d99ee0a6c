//! Values: one module per type, pure operations that know nothing of keys or the protocol.

pub mod bitmap;
pub mod hash;
pub mod hyperloglog;
mod index;
mod intset;
pub mod list;
mod numbered;
pub mod set;
pub mod sorted_set;
pub mod stream;
