//! What blocking commands of all families share: the timeout argument, and parking.

use crate::context::{Context, Deadline};
use crate::error::CommandError;
use crate::number;

const OUT_OF_RANGE: CommandError = CommandError::text("ERR timeout is out of range");

/// Reads a timeout in seconds, fractions allowed, 0 meaning for ever, as the moment it passes.
pub(crate) fn deadline(word: &[u8], now_ms: i64) -> Result<Deadline, CommandError> {
    let seconds = number::parse_f64(word).ok_or(CommandError::BadTimeout)?;
    let milliseconds = (seconds * 1000.0).ceil();
    if milliseconds < 0.0 {
        return Err(CommandError::NegativeTimeout);
    }
    // 2^63 is the first double that a 64-bit integer does not hold.
    if milliseconds >= i64::MAX as f64 {
        return Err(OUT_OF_RANGE);
    }
    match milliseconds as i64 {
        0 => Ok(Deadline::Forever),
        after => now_ms.checked_add(after).map(Deadline::At).ok_or(OUT_OF_RANGE),
    }
}

/// Reads a timeout in whole milliseconds, 0 meaning for ever, as the moment it passes.
pub(crate) fn deadline_ms(word: &[u8], now_ms: i64) -> Result<Deadline, CommandError> {
    const NOT_AN_INTEGER: CommandError = CommandError::text("ERR timeout is not an integer or out of range");
    match number::parse_i64(word).ok_or(NOT_AN_INTEGER)? {
        0 => Ok(Deadline::Forever),
        after if after < 0 => Err(CommandError::NegativeTimeout),
        after => now_ms.checked_add(after).map(Deadline::At).ok_or(OUT_OF_RANGE),
    }
}

/// Parks the call if it may block. Returns false where the caller has to answer as if the time had passed.
pub(crate) fn park(ctx: &mut Context<'_>, deadline: Deadline) -> bool {
    if ctx.may_block {
        ctx.block(deadline);
    }
    ctx.may_block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_round_up_and_refuse_what_is_no_time() {
        assert_eq!(deadline(b"0", 5), Ok(Deadline::Forever));
        assert_eq!(deadline(b"0.0001", 5), Ok(Deadline::At(6)));
        assert_eq!(deadline(b"1.5", 5), Ok(Deadline::At(1505)));
        assert_eq!(deadline(b"-1", 5), Err(CommandError::NegativeTimeout));
        for word in ["nan", "", "1x"] {
            assert_eq!(deadline(word.as_bytes(), 5), Err(CommandError::BadTimeout), "{word}");
        }
        for word in ["1e30", "inf", "9223372036854775"] {
            assert_eq!(
                deadline(word.as_bytes(), 1 << 50),
                Err(CommandError::text("ERR timeout is out of range")),
                "{word}"
            );
        }
    }
}
