//! Values: one module per type, pure operations that know nothing of keys or the protocol.

pub mod hash;
pub mod list;
pub mod set;
pub mod sorted_set;
