//! What HSCAN, SSCAN and ZSCAN share with SCAN: cursor, options, and the shape of the answer.
//! <https://redis.io/docs/latest/commands/scan/>

use crate::args::Cursor;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::glob;

/// Steps of a scan for each element that COUNT asks for, at most: sparse tables do not hold a call up.
const STEPS_PER_ELEMENT: usize = 10;

/// Reads a scan cursor: an unsigned 64-bit integer; blanks before it and a sign are let through as in Redis.
pub(crate) fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    const INVALID: CommandError = CommandError::text("ERR invalid cursor");
    let text = std::str::from_utf8(word.trim_ascii_start()).map_err(|_| INVALID)?;
    match text.strip_prefix('-') {
        Some(digits) if !digits.starts_with('+') => digits.parse().map(u64::wrapping_neg),
        _ => text.parse(),
    }
    .map_err(|_| INVALID)
}

/// Options of a scan over the elements of one key.
pub(crate) struct ScanOptions<'a> {
    /// MATCH, unless it lets everything through.
    pub(crate) pattern: Option<&'a [u8]>,
    /// COUNT.
    pub(crate) count: usize,
    /// NOVALUES, where the command has it.
    pub(crate) novalues: bool,
}

impl<'a> ScanOptions<'a> {
    /// Reads the options that follow the cursor; `novalues` says whether the command knows NOVALUES.
    pub(crate) fn parse(mut words: Cursor<'a>, novalues: bool) -> Result<ScanOptions<'a>, CommandError> {
        let mut options = ScanOptions { pattern: None, count: 10, novalues: false };
        while !words.is_done() {
            if words.token("count") {
                let count = words.int()?;
                let count = usize::try_from(count).ok().filter(|count| *count > 0);
                options.count = count.ok_or(CommandError::Syntax)?;
            } else if words.token("match") {
                options.pattern = Some(words.word()?).filter(|pattern| *pattern != b"*");
            } else if novalues && words.token("novalues") {
                options.novalues = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Whether an element passes MATCH.
    pub(crate) fn admits(&self, element: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, element))
    }

    /// Runs `step` (cursor in, writer; cursor and number of elements visited out) until enough elements were visited
    /// or the scan is complete, and answers the cursor and whatever the steps wrote. Steps return the number of
    /// elements they wrote as the third item.
    pub(crate) fn run(
        &self,
        cursor: u64,
        reply: &mut Reply<'_>,
        mut step: impl FnMut(u64, &mut Reply<'_>) -> Step,
    ) {
        let mut frames = Vec::new();
        let mut writer = Reply::new(&mut frames, reply.is_resp3());
        let (mut cursor, mut visited, mut written) = (cursor, 0, 0);
        for _ in 0..self.count.saturating_mul(STEPS_PER_ELEMENT) {
            let done = step(cursor, &mut writer);
            cursor = done.cursor;
            visited += done.visited;
            written += done.written;
            if cursor == 0 || visited >= self.count {
                break;
            }
        }
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
        reply.array(written);
        reply.raw(&frames);
    }
}

/// What one step of a scan did.
#[derive(Clone, Copy, Default)]
pub(crate) struct Step {
    /// Where the next step begins; 0 when there is none.
    pub(crate) cursor: u64,
    /// Elements looked at.
    pub(crate) visited: usize,
    /// Replies written.
    pub(crate) written: usize,
}

/// Answers a scan of a missing key.
pub(crate) fn empty(reply: &mut Reply<'_>) {
    reply.array(2);
    reply.bulk(b"0");
    reply.array(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_unsigned_and_64_bits_wide() {
        assert_eq!(cursor(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(cursor(b" 7"), Ok(7));
        assert_eq!(cursor(b"-1"), Ok(u64::MAX));
        for word in ["", "x", "1 ", "18446744073709551616", "-+1", "--1"] {
            assert!(cursor(word.as_bytes()).is_err(), "{word}");
        }
    }
}
