//! Random command sequences: what they are made of, and how two servers are compared on them.

pub mod compare;
pub mod families;
pub mod state;
pub mod template;
