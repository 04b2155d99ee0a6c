//! Vote, log and snapshot on the disk: openraft's storage over one redb file.
//!
//! The log is held in memory too, as it is short (it is compacted into snapshots) and read far more often than written.
//! Memory is what readers see; [`disk`] makes it last, in the order of the changes.

mod disk;
mod file;
mod log;
mod machine;
mod open;
#[cfg(test)]
pub(super) mod tests;

pub(super) use disk::DiskEnd;
pub use machine::Applied;
pub(super) use machine::Machine;
pub(crate) use open::discard;
pub(super) use open::{Identity, IdentityStore, Store};
