//! Numbers as Redis reads and prints them.

use crate::error::CommandError;
pub use crate::long_double::LongDouble;

/// Reads a signed 64-bit integer in its only canonical form: no blanks, no `+`, no leading zero, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    redoubt_store::number::parse_i64(text)
}

/// Reads a double as `strtod` does for a whole word: decimal, exponent, `inf`, hex; no blanks, no NaN.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    redoubt_store::number::parse_f64(text)
}

/// The text of the sum of two numbers, as INCRBYFLOAT stores it.
///
/// Errors: "ERR value is not a valid float" when one is no number, "ERR increment would produce NaN or Infinity".
pub fn add_long_double(value: &[u8], increment: &[u8]) -> Result<String, CommandError> {
    let value = LongDouble::parse(value).ok_or(CommandError::NotAFloat)?;
    let increment = LongDouble::parse(increment).ok_or(CommandError::NotAFloat)?;
    Ok(value.checked_add(increment).ok_or(CommandError::InfiniteIncrement)?.to_text())
}
