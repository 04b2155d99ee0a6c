//! Why data could not be loaded.

use crate::apply::ApplyErrorKind;
use redoubt_persistence::Error;
use std::io;

/// See the module's text. The messages are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened.
    #[error("Fatal error: can't open {file} for reading: {error}")]
    #[expect(missing_docs, reason = "the message says it")]
    Io { file: String, error: io::Error },
    /// The file is damaged, ends early or is of a version that is not known.
    #[error("Fatal error loading the DB, {file}: {error}")]
    #[expect(missing_docs, reason = "the message says it")]
    File { file: String, error: Error },
    /// The append-only file lacks its end, and may not be cut.
    #[error(
        "Unexpected end of file reading the append only file {file}, at byte {offset}. You can: 1) Make a backup of it, \
         then use redoubt-check-aof --fix on it or on its manifest. 2) Set 'aof-load-truncated' to yes and start again: \
         what is half written at the end of the last file goes then"
    )]
    #[expect(missing_docs, reason = "the message says it")]
    Truncated { file: String, offset: u64 },
    /// The append-only file is no sequence of commands.
    #[error(
        "Bad file format reading the append only file {file}: {error}. Make a backup of it, then use redoubt-check-aof \
         --fix on it or on its manifest"
    )]
    #[expect(missing_docs, reason = "the message says it")]
    Format { file: String, error: Error },
    /// A command of the append-only file cannot be run.
    #[error("Fatal error loading the append only file {file}: {reason}, at byte {offset}")]
    #[expect(missing_docs, reason = "the message says it")]
    Command { file: String, reason: ApplyErrorKind, offset: u64 },
    /// The append-only file's folder, or its manifest, is not as it should be.
    #[error("Fatal error: can't open the append-only file: {0}")]
    Append(String),
    /// A key of a database that there is none of.
    #[error(
        "Fatal error loading the DB, {file}: it has keys in database {db}, but there are {databases} databases (setting \
         'databases'), at byte {offset}"
    )]
    #[expect(missing_docs, reason = "the message says it")]
    Database { file: String, db: u64, databases: usize, offset: u64 },
    /// A key twice.
    #[error(
        "Fatal error loading the DB, {file}: it has the key '{key}' twice in database {db}, at byte {offset}"
    )]
    #[expect(missing_docs, reason = "the message says it")]
    Duplicate { file: String, key: String, db: u64, offset: u64 },
    /// The server was told to end meanwhile.
    #[error("Received shutdown signal during loading, exiting now.")]
    Stopped,
    /// A thread could not be made.
    #[error("could not start a thread: {0}")]
    Thread(io::Error),
}

impl LoadError {
    /// Where in the file, bytes from its beginning.
    pub fn offset(&self) -> Option<u64> {
        match self {
            LoadError::File { error, .. } | LoadError::Format { error, .. } => Some(error.offset),
            LoadError::Truncated { offset, .. } | LoadError::Command { offset, .. } => Some(*offset),
            LoadError::Database { offset, .. } | LoadError::Duplicate { offset, .. } => Some(*offset),
            LoadError::Io { .. } | LoadError::Append(_) | LoadError::Stopped | LoadError::Thread(_) => None,
        }
    }
}
