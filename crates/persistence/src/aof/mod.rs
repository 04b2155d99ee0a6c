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
pub use reader::{Chunk, CommandReader};
pub use rewrite::{write_key, write_select};

/// Adds the line that says from when the commands after it are (`aof-timestamp-enabled`).
pub fn annotate_time(out: &mut Vec<u8>, unix_seconds: i64) {
    out.extend_from_slice(b"#TS:");
    out.extend_from_slice(itoa::Buffer::new().format(unix_seconds).as_bytes());
    out.extend_from_slice(b"\r\n");
}
