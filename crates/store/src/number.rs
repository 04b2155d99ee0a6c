//! Numbers as Redis reads them.

/// Reads a signed 64-bit integer in its only canonical form: no blanks, no `+`, no leading zero, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // At most 19 digits: below 10^19, no overflow of u64.
        value = value * 10 + u64::from(digit - b'0');
    }
    if negative {
        (value <= 1 << 63).then(|| (value as i64).wrapping_neg())
    } else {
        i64::try_from(value).ok()
    }
}

/// Reads a double as `strtod` does for a whole word: decimal, exponent, `inf`, hex; no blanks, no NaN.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let word = std::str::from_utf8(text).ok()?;
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let value = if unsigned.len() > 1 && unsigned.as_bytes()[..2].eq_ignore_ascii_case(b"0x") {
        let magnitude = parse_hex(&unsigned[2..])?;
        if word.starts_with('-') { -magnitude } else { magnitude }
    } else {
        word.parse::<f64>().ok()?
    };
    // "infinity" and "inf" are infinite by name; a finite text that overflows is out of range.
    let named_infinite = unsigned.as_bytes().first().is_some_and(|b| b.eq_ignore_ascii_case(&b'i'));
    (!value.is_nan() && (value.is_finite() || named_infinite)).then_some(value)
}

/// Hexadecimal float body: digits, optional point, optional binary exponent.
fn parse_hex(body: &str) -> Option<f64> {
    let (mantissa, exponent) = match body.find(['p', 'P']) {
        Some(at) => (&body[..at], body[at + 1..].parse::<i32>().ok()?),
        None => (body, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    Some(value * 2f64.powi(exponent - 4 * fraction.len() as i32))
}
