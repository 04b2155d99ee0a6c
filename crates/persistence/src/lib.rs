//! The file formats of Redis, over `std::io`: no files, no clock, no locks. Values go in and out through the public API
//! of the store.

pub mod aof;
pub mod disk;
mod error;
mod lzf;
mod place;
pub mod rdb;

pub use error::{Error, ErrorKind};
pub use place::PartPlace;
