//! What can be wrong with a file, and where.

use std::io;

/// An error and the place it was found at.
#[derive(Debug, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct Error {
    /// Bytes from the beginning of the input: of the damaged string when it is inside one.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub kind: ErrorKind,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The system did not read or write.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The input ends in the middle of something.
    #[error("unexpected end of input")]
    Truncated,
    /// Too short to be a value with version and checksum.
    #[error("payload without version and checksum")]
    Frame,
    /// It does not begin as an RDB file does.
    #[error("not an RDB file")]
    Magic,
    /// A version that is not known.
    #[error("RDB version {0} is not supported")]
    Version(u32),
    /// The bytes are not those that were written.
    #[error("checksum is {computed:016x} where {stored:016x} was expected")]
    #[expect(missing_docs, reason = "the message says it")]
    Checksum { stored: u64, computed: u64 },
    /// A type of value, or a mark between values, that is not known.
    #[error("unknown type or opcode {0}")]
    UnknownType(u8),
    /// A value of a module.
    #[error("value of module type \"{0}\", which is not supported")]
    Module(String),
    /// A collection without elements, read to its end.
    #[error("empty collection")]
    Empty,
    /// A number that is more than can be held.
    #[error("length {0} is too great")]
    TooLong(u64),
    /// Anything else that cannot be.
    #[error("corrupt data: {0}")]
    Corrupt(&'static str),
}
