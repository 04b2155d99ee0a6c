//! What the families of collections share: scan options, random positions, replies of members.

use crate::args::{Args, Cursor};
use crate::context::Settings;
use crate::error::CommandError;
use crate::number::parse_i64;
use hashbrown::HashSet;
use redoubt_resp::Reply;
use redoubt_store::glob;
use redoubt_store::packed::PackedValue;

/// Writes a member as a byte string.
#[inline]
pub(crate) fn bulk(reply: &mut Reply<'_>, member: PackedValue<'_>) {
    match member {
        PackedValue::Int(value) => reply.bulk_int(value),
        PackedValue::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// A scan cursor, or "ERR invalid cursor".
pub(crate) fn parse_cursor(word: &[u8]) -> Result<u64, CommandError> {
    std::str::from_utf8(word)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(CommandError::text("ERR invalid cursor"))
}

/// Options of SSCAN and ZSCAN. <https://redis.io/docs/latest/commands/scan/>
pub(crate) struct ScanOptions<'a> {
    /// Members looked at per call, at least 1.
    pub(crate) count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// Reads `[MATCH pattern] [COUNT count]`.
    pub(crate) fn parse(mut cursor: Cursor<'a>) -> Result<ScanOptions<'a>, CommandError> {
        let mut options = ScanOptions { count: 10, pattern: None };
        while !cursor.is_done() {
            // A word without its value is a syntax error before it is anything else.
            if cursor.remaining() < 2 {
                return Err(CommandError::Syntax);
            } else if cursor.token("count") {
                let count = cursor.int()?;
                options.count = usize::try_from(count).ok().filter(|&n| n > 0).ok_or(CommandError::Syntax)?;
            } else if cursor.token("match") {
                options.pattern = Some(cursor.word()?).filter(|pattern| *pattern != b"*");
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Whether a member is wanted.
    pub(crate) fn wants(&self, member: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, member))
    }
}

/// The reply of a scan over a key that does not exist.
pub(crate) fn empty_scan(reply: &mut Reply<'_>) {
    reply.array(2);
    reply.bulk(b"0");
    reply.array(0);
}

/// The count of SRANDMEMBER and ZRANDMEMBER: any sign, but its magnitude fits.
pub(crate) fn random_count(args: &Args<'_>, at: usize) -> Result<i64, CommandError> {
    let count = args.int(at)?;
    if count == i64::MIN {
        return Err(CommandError::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    Ok(count)
}

/// Longest reply to a negative count where no output limit ends the connection before, bytes: no call can ask for more
/// than memory holds.
const REPEATED_BYTES_MAX: usize = 512 << 20;
/// Fewest bytes an element takes in a reply.
const ELEMENT_BYTES: u64 = 6;
const OUT_OF_RANGE: CommandError = CommandError::text("ERR value is out of range");

/// How far the reply to a negative count may go: the number of elements is whatever the client likes.
pub(crate) struct Repeats {
    end: usize,
    limited: bool,
}

impl Repeats {
    /// Refuses a count that could not be answered. `reply` is where the elements will go.
    pub(crate) fn new(settings: &Settings, count: u64, reply: &Reply<'_>) -> Result<Repeats, CommandError> {
        let limited = settings.reply_bytes_max != 0;
        if !limited && count > REPEATED_BYTES_MAX as u64 / ELEMENT_BYTES {
            return Err(OUT_OF_RANGE);
        }
        let bytes = if limited { settings.reply_bytes_max } else { REPEATED_BYTES_MAX };
        Ok(Repeats { end: reply.position().saturating_add(bytes), limited })
    }

    /// False once the reply is so long that it ends the connection, as in Redis: nobody will read the rest.
    pub(crate) fn go_on(&self, reply: &Reply<'_>) -> Result<bool, CommandError> {
        match reply.position() <= self.end {
            false if !self.limited => Err(OUT_OF_RANGE),
            fits => Ok(fits),
        }
    }
}

/// A count that must not be negative: anything else, no number included, is "out of range, must be positive".
pub(crate) fn positive_count(word: &[u8]) -> Result<usize, CommandError> {
    parse_i64(word).and_then(|count| usize::try_from(count).ok()).ok_or(CommandError::NotPositive)
}

/// Up to `count` different positions below `len`, every subset equally likely, in no particular order.
pub(crate) fn sample(rng: &mut fastrand::Rng, len: usize, count: usize) -> Vec<usize> {
    if count >= len {
        return (0..len).collect();
    }
    // Robert Floyd's sampling: one draw per position, no retries.
    let mut taken: HashSet<usize, foldhash::fast::RandomState> =
        HashSet::with_capacity_and_hasher(count, Default::default());
    let mut positions = Vec::with_capacity(count);
    for top in len - count..len {
        let drawn = rng.usize(..=top);
        let position = if taken.insert(drawn) { drawn } else { top };
        taken.insert(position);
        positions.push(position);
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_distinct_and_cover_all_positions() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut drawn = [0u32; 10];
        for _ in 0..3000 {
            let mut positions = sample(&mut rng, 10, 3);
            positions.iter().for_each(|&position| drawn[position] += 1);
            positions.sort_unstable();
            positions.dedup();
            assert_eq!(positions.len(), 3);
        }
        assert!(drawn.iter().all(|&times| (750..1050).contains(&times)), "{drawn:?}");
        assert_eq!(sample(&mut rng, 4, 9), [0, 1, 2, 3]);
    }

    #[test]
    fn cursors_are_decimal() {
        assert_eq!(parse_cursor(b"18446744073709551615"), Ok(u64::MAX));
        assert!(parse_cursor(b"-1").is_err() && parse_cursor(b"").is_err() && parse_cursor(b"1x").is_err());
    }
}
