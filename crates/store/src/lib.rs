//! Keyspace, values, expiry and eviction. No clock, no IO, no async: time and randomness arrive as arguments.

mod access;
mod alloc_size;
mod effects;
mod encoding;
mod entry;
mod events;
mod evict;
pub mod glob;
mod inspect;
mod key;
mod keyspace;
pub mod member_table;
pub mod number;
pub mod packed;
mod side;
mod table;
pub mod thin;
mod txn;
pub mod types;
mod value;
mod whole;

pub use access::AccessClock;
pub use effects::Effects;
pub use encoding::EncodingLimits;
pub use entry::Str;
pub use events::{Class, Event};
pub use evict::{Candidate, EvictionPolicy};
pub use key::{Key, SLOTS, hash_tag, slot_of};
pub use keyspace::{Keyspace, PARTITIONS_MAX, PartitionSet};
pub use side::{Waiter, WatchMark};
pub use txn::{Access, Counters, Expiry, FlushedTables, Garbage, Txn};
pub use types::hash::Hash;
pub use types::list::List;
pub use types::set::Set;
pub use types::sorted_set::SortedSet;
pub use value::{StrMut, Value, ValueMut, ValueRef};
