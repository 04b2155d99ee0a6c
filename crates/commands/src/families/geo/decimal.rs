//! Text of coordinates: 17 decimals, rounded exactly, without the zeros at the end.

/// Decimals.
const DECIMALS: usize = 17;
const SCALE: u128 = 10u128.pow(DECIMALS as u32);
/// Larger numbers are no coordinates.
const VALUE_MAX: f64 = 1000.0;

/// Writes the text of a coordinate; its length.
pub(super) fn format(value: f64, text: &mut [u8; 32]) -> usize {
    debug_assert!(value.abs() <= VALUE_MAX);
    let (mut whole, decimals) = split(value.abs().min(VALUE_MAX));
    let mut decimals = decimals as u64;
    if u128::from(decimals) == SCALE {
        (whole, decimals) = (whole + 1, 0);
    }
    let mut len = 0;
    if value.is_sign_negative() {
        text[0] = b'-';
        len = 1;
    }
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(whole).as_bytes();
    text[len..len + digits.len()].copy_from_slice(digits);
    len += digits.len();
    if decimals == 0 {
        return len;
    }
    text[len] = b'.';
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(decimals).as_bytes();
    text[len + 1..=len + DECIMALS].fill(b'0');
    text[len + 1 + DECIMALS - digits.len()..=len + DECIMALS].copy_from_slice(digits);
    let shown = text[len + 1..=len + DECIMALS].iter().rposition(|&digit| digit != b'0').unwrap_or(0);
    len + 2 + shown
}

/// The whole part, and the rest in units of the last decimal, rounded half to even.
fn split(value: f64) -> (u64, u128) {
    const MANTISSA_BITS: u32 = 52;
    const BIAS: i32 = 1023;
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32;
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1) | if exponent > 0 { 1 << MANTISSA_BITS } else { 0 };
    // The value is the mantissa divided by 2 to the power of `shift`: from 43 for the largest on.
    let shift = (BIAS + MANTISSA_BITS as i32 - exponent.max(1)) as u32;
    if shift > 120 {
        // Far below half a unit of the last decimal.
        return (0, 0);
    }
    let mantissa = u128::from(mantissa);
    let fraction = mantissa & ((1 << shift) - 1);
    // At most 53 bits times 57.
    let scaled = fraction * SCALE;
    let (floor, rest, half) = (scaled >> shift, scaled & ((1 << shift) - 1), 1u128 << (shift - 1));
    let up = rest > half || rest == half && floor & 1 == 1;
    ((mantissa >> shift) as u64, floor + u128::from(up))
}

#[cfg(test)]
mod tests {
    use super::format;

    fn text(value: f64) -> String {
        let mut text = [0; 32];
        let len = format(value, &mut text);
        String::from_utf8(text[..len].to_vec()).unwrap()
    }

    #[test]
    fn texts_are_those_of_all_decimals_without_zeros() {
        let mut rng = fastrand::Rng::with_seed(8);
        let mut values = vec![
            0.0,
            1.0,
            0.5,
            -180.0,
            85.05112878,
            0.1,
            1e-17,
            5e-18,
            4.9e-18,
            1e-300,
            0.999_999_999_999_999_9,
        ];
        values.extend((0..200_000).map(|n| (rng.f64() - 0.5) * 400.0 / 10f64.powi(n % 20)));
        for value in values {
            let expected = format!("{value:.17}");
            let expected = expected.trim_end_matches('0').trim_end_matches('.');
            assert_eq!(text(value), expected, "{value:e}");
        }
    }
}
