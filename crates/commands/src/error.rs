//! Every error a command can answer with, and its text on the wire. No other file holds error texts.

use std::borrow::Cow;

/// Why a command failed. The texts are Redis's, so that clients that match on them keep working.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The key holds another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// Not parseable as a signed 64-bit integer.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// Not parseable as a double.
    #[error("ERR value is not a valid float")]
    NotAFloat,
    /// Arguments in the wrong order or unknown.
    #[error("ERR syntax error")]
    Syntax,
    /// The key must exist.
    #[error("ERR no such key")]
    NoSuchKey,
    /// An index beyond the end.
    #[error("ERR index out of range")]
    IndexOutOfRange,
    /// INCR or DECR past 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// INCRBYFLOAT or HINCRBYFLOAT beyond what a float holds.
    #[error("ERR increment would produce NaN or Infinity")]
    InfiniteIncrement,
    /// DECRBY by the smallest integer, which has no opposite.
    #[error("ERR decrement would overflow")]
    DecrementOverflow,
    /// A string longer than `proto-max-bulk-len`.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    /// A negative offset.
    #[error("ERR offset is out of range")]
    OffsetOutOfRange,
    /// A bit offset that is negative, not a number, or beyond `proto-max-bulk-len`.
    #[error("ERR bit offset is not an integer or out of range")]
    BadBitOffset,
    /// SETBIT to something else than 0 or 1.
    #[error("ERR bit is not an integer or out of range")]
    BadBit,
    /// BITPOS of something else than 0 or 1.
    #[error("ERR The bit argument must be 1 or 0.")]
    BadBitArgument,
    /// BITOP NOT of several keys.
    #[error("ERR BITOP NOT must be called with a single source key.")]
    BitopNotOneSource,
    /// BITFIELD's type of integer.
    #[error(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
    )]
    BadFieldType,
    /// BITFIELD's OVERFLOW.
    #[error("ERR Invalid OVERFLOW type specified")]
    BadOverflow,
    /// BITFIELD_RO that would write.
    #[error("ERR BITFIELD_RO only supports the GET subcommand")]
    BitfieldRoOnlyGet,
    /// A string that is no HyperLogLog.
    #[error("WRONGTYPE Key is not a valid HyperLogLog string value.")]
    NotAnHll,
    /// A HyperLogLog whose runs do not add up.
    #[error("INVALIDOBJ Corrupted HLL object detected")]
    HllCorrupted,
    /// PFDEBUG of a missing key.
    #[error("ERR The specified key does not exist")]
    HllNoSuchKey,
    /// PFDEBUG DECODE of a dense value.
    #[error("ERR HLL encoding is not sparse")]
    HllNotSparse,
    /// PFSELFTEST found an estimate far off.
    #[error("TESTFAILED HyperLogLog estimates are out of bounds")]
    HllSelfTest,
    /// LCS of something else than strings.
    #[error("ERR The specified keys must contain string values")]
    LcsNotStrings,
    /// LCS with LEN and IDX.
    #[error("ERR If you want both the length and indexes, please just use IDX.")]
    LcsIndexesAndLength,
    /// LCS of strings whose table of lengths would be larger than `proto-max-bulk-len`.
    #[error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")]
    LcsTooLarge,
    /// A count that must not be negative.
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    /// An expiry in the past or beyond 64 bits; holds the command's name.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(&'static str),
    /// Wrong number of words; holds the full command name.
    #[error("ERR wrong number of arguments for '{0}' command")]
    WrongArity(Cow<'static, str>),
    /// A timeout that is not a number.
    #[error("ERR timeout is not a float or out of range")]
    BadTimeout,
    /// A timeout below zero.
    #[error("ERR timeout is negative")]
    NegativeTimeout,
    /// Any other text, code included.
    #[error("{0}")]
    Text(Cow<'static, str>),
}

impl CommandError {
    /// An error with a fixed text, code included ("ERR offset is out of range").
    pub const fn text(text: &'static str) -> CommandError {
        CommandError::Text(Cow::Borrowed(text))
    }

    /// An error with a composed text, code included.
    pub fn owned(text: String) -> CommandError {
        CommandError::Text(Cow::Owned(text))
    }
}
