//! The one place where Raft's entries, messages and snapshots become bytes: serde and bincode inside an envelope.
//!
//! ```text
//! magic  version  kind  length of body  CRC-32C of all but itself  body
//! 1      1        2     4               4                          length
//! ```
//!
//! Numbers are little-endian. The envelope says what the body is before anything is decoded, so an old file or a peer of
//! another version is refused by name, and the encoding inside can be replaced by counting the version up. Every kind has
//! a limit; nothing is allocated because a length in the input says so.

use bincode::Options;
use crc_fast::{CrcAlgorithm, Digest};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes in front of a body.
pub const HEADER: usize = 12;

/// The encoding this module writes, and the only one it reads.
pub const VERSION: u8 = 1;

const MAGIC: u8 = 0xa7;

/// What an envelope holds. The numbers are on disks and wires: they are only ever added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Kind {
    /// An entry of the log, with its id.
    Entry = 1,
    /// The vote.
    Vote = 2,
    /// The id of a log entry: committed, purged.
    LogId = 3,
    /// What a snapshot covers.
    SnapshotMeta = 4,
    /// The facts themselves.
    Facts = 5,
    /// What is proposed: the payload of an entry.
    Proposal = 6,
    /// What came of it when it was applied.
    Outcome = 7,
    /// A frame of the handshake between two nodes.
    Handshake = 8,
    /// A frame between two nodes that know each other.
    Frame = 9,
    /// What a node must remember of itself: its id, its incarnation, its deployment.
    Identity = 10,
    /// A message between the control planes of two nodes.
    Control = 11,
}

impl Kind {
    /// All kinds, ascending.
    pub const ALL: [Kind; 11] = [
        Kind::Entry,
        Kind::Vote,
        Kind::LogId,
        Kind::SnapshotMeta,
        Kind::Facts,
        Kind::Proposal,
        Kind::Outcome,
        Kind::Handshake,
        Kind::Frame,
        Kind::Identity,
        Kind::Control,
    ];

    /// How long a body of this kind may be, in bytes.
    #[must_use]
    pub fn limit(self) -> usize {
        match self {
            Kind::Vote | Kind::LogId | Kind::Identity | Kind::Handshake => 4 << 10,
            Kind::SnapshotMeta | Kind::Control | Kind::Outcome | Kind::Proposal => 1 << 20,
            // An entry is a proposal and a little more.
            Kind::Entry => 2 << 20,
            Kind::Facts => 64 << 20,
            // A frame carries a snapshot whole, or 32 entries.
            Kind::Frame => 66 << 20,
        }
    }

    fn from_number(number: u16) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u16 == number)
    }
}

/// Why bytes could not be read, or a value not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The input ends before the envelope or its body does.
    #[error("{found} bytes where {expected} were announced")]
    Short {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// There is more input than the envelope announces.
    #[error("{0} bytes too many")]
    Long(usize),
    /// The first byte is not that of an envelope.
    #[error("not an envelope: it begins with {0:#04x}")]
    Magic(u8),
    /// Written by another version of this module.
    #[error("encoding version {0} where {VERSION} was expected")]
    Version(u8),
    /// An envelope of another kind.
    #[error("kind {found} where {expected:?} was expected")]
    Kind {
        /// What was asked for.
        expected: Kind,
        /// The number found.
        found: u16,
    },
    /// The body is longer than its kind may be.
    #[error("{length} bytes of {kind:?} are more than the limit of {}", kind.limit())]
    Limit {
        /// The kind.
        kind: Kind,
        /// The length announced or needed.
        length: u64,
    },
    /// The checksum does not match.
    #[error("checksum mismatch")]
    Checksum,
    /// The body is whole but not what it should be.
    #[error("malformed: {0}")]
    Malformed(String),
}

impl From<CodecError> for std::io::Error {
    fn from(error: CodecError) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
    }
}

fn options(kind: Kind) -> impl Options {
    bincode::DefaultOptions::new().with_limit(kind.limit() as u64)
}

fn crc(header: &[u8], body: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&header[..HEADER - 4]);
    digest.update(body);
    u32::try_from(digest.finalize()).expect("a CRC-32 has 32 bits")
}

/// Puts a value into an envelope.
///
/// # Errors
/// When it is longer than its kind may be.
pub fn encode<T: Serialize + ?Sized>(kind: Kind, value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![0; HEADER];
    if let Err(error) = options(kind).serialize_into(&mut bytes, value) {
        return Err(match *error {
            bincode::ErrorKind::SizeLimit => {
                let length = bincode::serialized_size(value).unwrap_or(u64::MAX);
                CodecError::Limit { kind, length }
            }
            other => CodecError::Malformed(other.to_string()),
        });
    }
    fill_header(kind, &mut bytes);
    Ok(bytes)
}

/// Puts a body that is encoded already into an envelope.
///
/// # Errors
/// When it is longer than its kind may be.
pub fn seal(kind: Kind, body: &[u8]) -> Result<Vec<u8>, CodecError> {
    if body.len() > kind.limit() {
        return Err(CodecError::Limit { kind, length: body.len() as u64 });
    }
    let mut bytes = vec![0; HEADER];
    bytes.extend_from_slice(body);
    fill_header(kind, &mut bytes);
    Ok(bytes)
}

fn fill_header(kind: Kind, bytes: &mut [u8]) {
    let (header, body) = bytes.split_at_mut(HEADER);
    let length = u32::try_from(body.len()).expect("limits are below 4 GiB");
    (header[0], header[1]) = (MAGIC, VERSION);
    header[2..4].copy_from_slice(&(kind as u16).to_le_bytes());
    header[4..8].copy_from_slice(&length.to_le_bytes());
    let crc = crc(header, body);
    header[8..12].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the header in front of a body of this kind: how many bytes follow it. For readers of streams, which must know
/// before they read on; the result is at most the kind's limit.
///
/// # Errors
/// When it is no envelope of this version and kind, or announces more than the limit.
pub fn body_length(kind: Kind, header: &[u8; HEADER]) -> Result<usize, CodecError> {
    if header[0] != MAGIC {
        return Err(CodecError::Magic(header[0]));
    }
    if header[1] != VERSION {
        return Err(CodecError::Version(header[1]));
    }
    let found = u16::from_le_bytes([header[2], header[3]]);
    if Kind::from_number(found) != Some(kind) {
        return Err(CodecError::Kind { expected: kind, found });
    }
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    if length as usize > kind.limit() {
        return Err(CodecError::Limit { kind, length: u64::from(length) });
    }
    Ok(length as usize)
}

/// Takes a value out of an envelope, which must be all of `bytes`.
///
/// # Errors
/// When the envelope is cut, damaged, of another version or kind, or its body is not such a value.
pub fn decode<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, CodecError> {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(CodecError::Short { expected: HEADER, found: bytes.len() });
    };
    let length = body_length(kind, header)?;
    if body.len() < length {
        return Err(CodecError::Short { expected: HEADER + length, found: bytes.len() });
    }
    if body.len() > length {
        return Err(CodecError::Long(body.len() - length));
    }
    let stored = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if crc(header, body) != stored {
        return Err(CodecError::Checksum);
    }
    options(kind).deserialize(body).map_err(|error| CodecError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    enum Sample {
        Nothing,
        Number(u64),
        Text { text: String, list: Vec<Option<String>> },
        Map(BTreeMap<u64, Vec<u8>>),
    }

    fn sample() -> impl Strategy<Value = Sample> {
        prop_oneof![
            Just(Sample::Nothing),
            any::<u64>().prop_map(Sample::Number),
            (".{0,20}", prop::collection::vec(prop::option::of(".{0,5}"), 0..10))
                .prop_map(|(text, list)| Sample::Text { text, list }),
            prop::collection::btree_map(any::<u64>(), prop::collection::vec(any::<u8>(), 0..9), 0..9)
                .prop_map(Sample::Map),
        ]
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value in sample()) {
            for kind in Kind::ALL {
                let bytes = encode(kind, &value).unwrap();
                prop_assert_eq!(decode::<Sample>(kind, &bytes), Ok(value.clone()));
                let other = if kind == Kind::Vote { Kind::Entry } else { Kind::Vote };
                prop_assert_eq!(
                    decode::<Sample>(other, &bytes),
                    Err(CodecError::Kind { expected: other, found: kind as u16 })
                );
            }
        }

        #[test]
        fn cut_or_prolonged_input_is_an_error(value in sample(), cut in any::<prop::sample::Index>()) {
            let mut bytes = encode(Kind::Entry, &value).unwrap();
            let end = cut.index(bytes.len());
            let is_short = matches!(decode::<Sample>(Kind::Entry, &bytes[..end]), Err(CodecError::Short { .. }));
            prop_assert!(is_short);
            bytes.push(0);
            prop_assert_eq!(decode::<Sample>(Kind::Entry, &bytes), Err(CodecError::Long(1)));
        }

        #[test]
        fn a_flipped_bit_is_an_error(value in sample(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = encode(Kind::Entry, &value).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert!(decode::<Sample>(Kind::Entry, &bytes).is_err());
        }

        #[test]
        fn any_bytes_are_an_error_or_a_value(body in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode::<Sample>(Kind::Entry, &body).is_err());
            if let Ok(value) = decode::<Sample>(Kind::Entry, &seal(Kind::Entry, &body).unwrap()) {
                let again = encode(Kind::Entry, &value).unwrap();
                prop_assert_eq!(decode::<Sample>(Kind::Entry, &again), Ok(value));
            }
        }
    }

    #[test]
    fn a_length_in_the_body_allocates_nothing() {
        // Sample::Map with 2^62 elements, and Sample::Text with a text of 2^62 bytes: both end at once.
        for variant in [3, 2] {
            let body: Vec<u8> = [&[variant, 253][..], &(1u64 << 62).to_le_bytes()].concat();
            let result = decode::<Sample>(Kind::Entry, &seal(Kind::Entry, &body).unwrap());
            assert!(matches!(result, Err(CodecError::Malformed(_))), "{result:?}");
        }
    }

    #[test]
    fn limits_hold_both_ways() {
        let long = vec![0u8; Kind::Vote.limit()];
        assert!(matches!(encode(Kind::Vote, &long), Err(CodecError::Limit { kind: Kind::Vote, .. })));
        let mut header: [u8; HEADER] = encode(Kind::Vote, &()).unwrap()[..HEADER].try_into().unwrap();
        header[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let expected = CodecError::Limit { kind: Kind::Vote, length: u64::from(u32::MAX) };
        assert_eq!(body_length(Kind::Vote, &header), Err(expected));
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let mut bytes = encode(Kind::Vote, &1u8).unwrap();
        bytes[1] = VERSION + 1;
        assert_eq!(decode::<u8>(Kind::Vote, &bytes), Err(CodecError::Version(VERSION + 1)));
        bytes[0] = b'G';
        assert_eq!(decode::<u8>(Kind::Vote, &bytes), Err(CodecError::Magic(b'G')));
    }

    /// What is on disks must be read by later versions: this changes only together with `VERSION`.
    #[test]
    fn the_encoding_is_pinned() {
        let value = Sample::Text { text: "ab".into(), list: vec![None, Some("c".into())] };
        let bytes = encode(Kind::Entry, &value).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "a70101000900000000cc7576020261620200010163");
        assert_eq!(Kind::ALL.map(|kind| kind as u16), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    }
}
