//! RDB, the snapshot format: <https://rdb.fnordig.de/file_format.html> and what newer versions added.

mod bulk;
mod compact;
mod input;
mod output;
mod parts;
mod payload;
mod read_file;
mod read_stream;
mod read_value;
mod split;
mod write_file;
mod write_part;
mod write_stream;
mod write_value;

pub use parts::{Block, Part, RawKey, RawValue};
pub use payload::{dump, restore};
pub use read_file::{KeyRecord, Reader, Record};
pub use write_file::{KeyInfo, Options, Trailer, Writer, write_select};
pub(crate) use write_value::score_text;

/// The oldest version that can be written.
pub const VERSION_MIN_WRITTEN: u32 = 10;
/// The version written unless told otherwise.
pub const VERSION_DEFAULT: u32 = 11;
/// The newest version that can be read and written.
pub const VERSION_MAX: u32 = 12;

/// Types of values, as in the file.
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    pub(super) const ZSET_TEXT: u8 = 3;
    pub(super) const HASH: u8 = 4;
    pub(super) const ZSET: u8 = 5;
    pub(super) const MODULE_OLD: u8 = 6;
    pub(super) const MODULE: u8 = 7;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const ZSET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    pub(super) const LIST_OF_ZIPLISTS: u8 = 14;
    pub(super) const STREAM_1: u8 = 15;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const ZSET_LISTPACK: u8 = 17;
    pub(super) const LIST_OF_LISTPACKS: u8 = 18;
    pub(super) const STREAM_2: u8 = 19;
    pub(super) const SET_LISTPACK: u8 = 20;
    pub(super) const STREAM_3: u8 = 21;
    /// As `HASH_TIMED`, of a Redis 7.4 release candidate: expiries are absolute.
    pub(super) const HASH_TIMED_OLD: u8 = 22;
    /// As `HASH_TIMED_LISTPACK`, without the least expiry.
    pub(super) const HASH_TIMED_LISTPACK_OLD: u8 = 23;
    pub(super) const HASH_TIMED: u8 = 24;
    pub(super) const HASH_TIMED_LISTPACK: u8 = 25;
}

/// Marks between values.
mod mark {
    pub(super) const SLOT_INFO: u8 = 244;
    pub(super) const FUNCTION: u8 = 245;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZE: u8 = 251;
    pub(super) const EXPIRE_MS: u8 = 252;
    pub(super) const EXPIRE_S: u8 = 253;
    pub(super) const SELECT: u8 = 254;
    pub(super) const END: u8 = 255;
}

/// Kinds of quicklist nodes.
const NODE_PLAIN: u64 = 1;
const NODE_PACKED: u64 = 2;
/// From this size on, an element of a list is a node of its own and not in a listpack.
const PLAIN_FROM: usize = 1 << 30;
/// Longest compressed form of a string that is kept while the string is compressed a piece at a time. A longer one is
/// written as it is.
const KEPT_COMPRESSED_MAX: usize = 64 << 20;
/// The greatest expiry of a hash field, as in Redis.
const FIELD_EXPIRY_MAX: u64 = (1 << 48) - 2;
