//! Keyspace, values, expiry and eviction. No clock, no IO, no async: time and randomness arrive as arguments.

mod alloc_size;
mod encoding;
pub mod glob;
pub mod member_table;
pub mod number;
pub mod packed;
pub mod thin;
pub mod types;

pub use encoding::EncodingLimits;
pub use types::hash::Hash;
pub use types::list::List;
pub use types::set::Set;
pub use types::sorted_set::SortedSet;
