//! Numbers as Redis reads and prints them.

/// Reads a signed 64-bit integer in its only canonical form: no blanks, no `+`, no leading zero, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    redoubt_store::number::parse_i64(text)
}

/// Reads a double as `strtod` does for a whole word: decimal, exponent, `inf`, hex; no blanks, no NaN.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    redoubt_store::number::parse_f64(text)
}
