//! Ids of stream entries as text.

use crate::error::CommandError;
use redoubt_store::StreamId;

/// An id that is none.
const BAD_ID: CommandError = CommandError::text("ERR Invalid stream ID specified as stream command argument");

/// Two 64-bit numbers and the dash between.
const TEXT_LEN_MAX: usize = 41;

/// The text of an id.
pub(super) struct IdText {
    bytes: [u8; TEXT_LEN_MAX],
    len: usize,
}

impl IdText {
    /// Writes `ms-seq`.
    #[inline]
    pub(super) fn new(id: StreamId) -> IdText {
        let mut text = IdText { bytes: [0; TEXT_LEN_MAX], len: 0 };
        let mut digits = itoa::Buffer::new();
        text.push(digits.format(id.ms).as_bytes());
        text.push(b"-");
        text.push(digits.format(id.seq).as_bytes());
        text
    }

    #[inline]
    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }
}

impl std::ops::Deref for IdText {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// An id, or the end of an interval, as a person writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`: the server chooses.
    Auto,
    /// `ms-*`: the server chooses the number.
    AutoSeq(u64),
    /// Both parts.
    Given(StreamId),
}

/// Reads `*`, `ms`, `ms-seq` or `ms-*`.
pub(super) fn parse_new(word: &[u8]) -> Result<NewId, CommandError> {
    match word {
        b"*" => Ok(NewId::Auto),
        [ms @ .., b'-', b'*'] => parse_u64(ms).map(NewId::AutoSeq).ok_or(BAD_ID),
        _ => parse(word, 0).map(NewId::Given),
    }
}

/// Reads `ms` or `ms-seq`; `seq` stands in for a missing number.
pub(super) fn parse(word: &[u8], seq: u64) -> Result<StreamId, CommandError> {
    let id = match word.iter().position(|byte| *byte == b'-') {
        Some(dash) => {
            parse_u64(&word[..dash]).zip(parse_u64(&word[dash + 1..])).map(|(ms, seq)| StreamId::new(ms, seq))
        }
        None => parse_u64(word).map(|ms| StreamId::new(ms, seq)),
    };
    id.ok_or(BAD_ID)
}

/// The first id of an interval: also `-`, `+`, and `(id` for the one after.
pub(super) fn parse_start(word: &[u8]) -> Result<StreamId, CommandError> {
    const NOTHING_ABOVE: CommandError = CommandError::text("ERR invalid start ID for the interval");
    match word {
        [b'(', id @ ..] => parse(id, 0)?.next().ok_or(NOTHING_ABOVE),
        _ => parse_end_point(word, 0),
    }
}

/// The last id of an interval: also `-`, `+`, and `(id` for the one before.
pub(super) fn parse_end(word: &[u8]) -> Result<StreamId, CommandError> {
    const NOTHING_BELOW: CommandError = CommandError::text("ERR invalid end ID for the interval");
    match word {
        [b'(', id @ ..] => parse(id, u64::MAX)?.previous().ok_or(NOTHING_BELOW),
        _ => parse_end_point(word, u64::MAX),
    }
}

/// An id, `-` or `+`; `seq` stands in for a missing number.
pub(super) fn parse_end_point(word: &[u8], seq: u64) -> Result<StreamId, CommandError> {
    match word {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => parse(word, seq),
    }
}

/// Reads a number as `strtoull` does for a whole word: blanks before it and leading zeros are accepted.
fn parse_u64(word: &[u8]) -> Option<u64> {
    let blanks = word.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b).count();
    let digits = &word[blanks..];
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_written() {
        assert_eq!(parse(b"5", 7), Ok(StreamId::new(5, 7)));
        assert_eq!(parse(b"05-+1", 7), Ok(StreamId::new(5, 1)));
        for bad in ["", "-", "5-", "-5", "x", "1-1-1", "18446744073709551616", "5-*", "1 "] {
            assert_eq!(parse(bad.as_bytes(), 0), Err(BAD_ID), "{bad}");
        }
        assert_eq!(parse_new(b"5-*"), Ok(NewId::AutoSeq(5)));
        assert_eq!(parse_new(b"-*"), Err(BAD_ID));
        assert_eq!(&*IdText::new(StreamId::MAX), b"18446744073709551615-18446744073709551615");
        assert_eq!(&*IdText::new(StreamId::MIN), b"0-0");
    }

    #[test]
    fn intervals_may_leave_their_ends_out() {
        assert_eq!(parse_start(b"(5"), Ok(StreamId::new(5, 1)));
        assert_eq!(parse_end(b"(5-0"), Ok(StreamId::new(4, u64::MAX)));
        assert_eq!(parse_end(b"5"), Ok(StreamId::new(5, u64::MAX)));
        assert!(parse_start(b"(18446744073709551615-18446744073709551615").is_err());
        assert!(parse_end(b"(0-0").is_err());
        assert_eq!(parse_start(b"(-"), Err(BAD_ID));
    }
}
