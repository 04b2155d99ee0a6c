//! The append-only file as Redis 7 keeps it: a folder with a base file (a snapshot), incremental files (commands), and a
//! manifest that says which of them count, in which order.
//!
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>

mod directory;
mod manifest;
mod reader;
mod rewrite;
mod words;

pub use directory::{Directory, DirectoryError, Rewritten};
pub use manifest::{Entry, Kind, Manifest, ManifestError};
pub use reader::{Chunk, CommandReader, Place};
pub use rewrite::{write_key, write_key_part, write_select};

/// Adds the line that says from when the commands after it are (`aof-timestamp-enabled`).
pub fn annotate_time(out: &mut Vec<u8>, unix_seconds: i64) {
    out.extend_from_slice(b"#TS:");
    out.extend_from_slice(itoa::Buffer::new().format(unix_seconds).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// How the line begins that says where in a stream the commands after it stand.
const PLACE: &str = "#redoubt-place:";

/// Adds the line that says that the next command stands behind `offset` bytes of a replication stream. Everybody who
/// reads the file passes over it.
pub fn annotate_place(out: &mut Vec<u8>, stream: &str, offset: u64) {
    out.extend_from_slice(PLACE.as_bytes());
    out.extend_from_slice(stream.as_bytes());
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(offset).as_bytes());
    out.extend_from_slice(b"\r\n");
}
