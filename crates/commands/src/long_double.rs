//! Extended-precision floats (64-bit mantissa, 15-bit exponent) for INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Redis adds in the x87 `long double` and prints 17 decimals without trailing zeros, so `0.1 + 0.2` is `0.3` where
//! doubles would give `0.30000000000000004`. This does the same sums in integers, on every machine alike.
//! Rules: <https://redis.io/docs/latest/commands/incrbyfloat/>.

use std::cmp::Ordering;

/// Longest text that is read as a number, bytes.
const TEXT_LEN_MAX: usize = 5 * 1024 - 1;
/// Decimals printed, before trailing zeros go.
const DECIMALS: u32 = 17;
/// Exponent of the lowest mantissa bit of the largest and of the smallest values.
const EXPONENT_MAX: i32 = 16383 - 63;
const EXPONENT_MIN: i32 = -16445;
/// Decimal exponents beyond which a value surely overflows or vanishes.
const DECIMAL_MAX: i64 = 4940;
const DECIMAL_MIN: i64 = -4960;

/// A float of extended precision; never NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongDouble {
    /// Infinite; true when negative.
    Infinite(bool),
    /// `mantissa * 2^exponent`; the mantissa's top bit is set unless the value is zero.
    Finite {
        /// Below zero (or a negative zero).
        negative: bool,
        /// 64 significant bits.
        mantissa: u64,
        /// Weight of the lowest bit.
        exponent: i32,
    },
}

impl LongDouble {
    /// Zero.
    pub const ZERO: LongDouble = LongDouble::Finite { negative: false, mantissa: 0, exponent: 0 };

    /// Reads a whole word as C's `strtold` does: decimal or hexadecimal, or `inf`. None for blanks, NaN, texts of
    /// 5 KiB and more, and finite texts that overflow or vanish.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_LEN_MAX {
            return None;
        }
        let (negative, body) = match text {
            [b'-', body @ ..] => (true, body),
            [b'+', body @ ..] => (false, body),
            body => (false, body),
        };
        if body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble::Infinite(negative));
        }
        match body {
            [b'0', b'x' | b'X', digits @ ..] => Digits::read(digits, 16)?.hexadecimal(negative),
            _ => Digits::read(body, 10)?.decimal(negative),
        }
    }

    /// Whether the value is not infinite.
    pub fn is_finite(self) -> bool {
        matches!(self, LongDouble::Finite { .. })
    }

    /// The sum, rounded to nearest; none where it would be infinite or not a number.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        let (LongDouble::Finite { mantissa, .. }, LongDouble::Finite { mantissa: other_mantissa, .. }) =
            (self, other)
        else {
            return None;
        };
        let sum = match (mantissa, other_mantissa) {
            (_, 0) => self,
            (0, _) => other,
            _ => self.add_nonzero(other),
        };
        sum.is_finite().then_some(sum)
    }

    fn add_nonzero(self, other: LongDouble) -> LongDouble {
        let (mut large, mut small) = (self.parts(), other.parts());
        if (small.2, small.1) > (large.2, large.1) {
            std::mem::swap(&mut large, &mut small);
        }
        // Two free bits above (carry), 62 guard bits below.
        const GUARD: i32 = 62;
        let distance = (large.2 - small.2) as u32;
        let wide = u128::from(small.1) << GUARD;
        let aligned = wide.checked_shr(distance).unwrap_or(0);
        let lost = aligned.checked_shl(distance).unwrap_or(0) != wide;
        let base = u128::from(large.1) << GUARD;
        let sum = if large.0 == small.0 { base + aligned } else { base - aligned - u128::from(lost) };
        if sum == 0 {
            return LongDouble::ZERO;
        }
        round(large.0, sum, large.2 - GUARD, lost)
    }

    /// Sign, mantissa and exponent of a finite value.
    fn parts(self) -> (bool, u64, i32) {
        match self {
            LongDouble::Finite { negative, mantissa, exponent } => (negative, mantissa, exponent),
            LongDouble::Infinite(negative) => (negative, 0, 0),
        }
    }

    /// The text Redis prints: at most 17 decimals, no trailing zeros, no exponent, no `-0`.
    pub fn to_text(self) -> String {
        let LongDouble::Finite { negative, mantissa, exponent } = self else {
            return if self == LongDouble::Infinite(true) { "-inf" } else { "inf" }.to_owned();
        };
        let text = if exponent >= 0 {
            let mut whole = Big::from(mantissa);
            whole.shift_left(exponent as u32);
            whole.into_decimal()
        } else {
            // Below 2^64 * 2^57: it fits.
            let scale = 10u128.pow(DECIMALS);
            let scaled = shift_right_even(u128::from(mantissa) * scale, exponent.unsigned_abs(), false);
            let mut text = (scaled / scale).to_string();
            let fraction = scaled % scale;
            if fraction != 0 {
                text.push_str(&format!(".{fraction:017}"));
                text.truncate(text.trim_end_matches('0').len());
            }
            text
        };
        if negative && text != "0" { format!("-{text}") } else { text }
    }
}

impl From<i64> for LongDouble {
    fn from(value: i64) -> LongDouble {
        round(value < 0, u128::from(value.unsigned_abs()), 0, false)
    }
}

/// `mantissa * 2^exponent` to 64 significant bits, ties to even; `sticky` says that something below is not zero.
fn round(negative: bool, mantissa: u128, exponent: i32, sticky: bool) -> LongDouble {
    if mantissa == 0 {
        return LongDouble::Finite { negative, mantissa: 0, exponent: 0 };
    }
    let excess = 64 - mantissa.leading_zeros() as i32;
    // Below the smallest exponent the mantissa loses bits instead.
    let shift = excess.max(EXPONENT_MIN - exponent).max(0);
    let kept = shift_right_even(mantissa, shift as u32, sticky);
    if kept == 0 {
        return LongDouble::Finite { negative, mantissa: 0, exponent: 0 };
    }
    let up = kept.leading_zeros() as i32 - 64;
    // A carry out of the top leaves a power of two: shifting down by one loses nothing.
    let (normal, exponent) =
        if up >= 0 { (kept << up, exponent + shift - up) } else { (kept >> 1, exponent + shift + 1) };
    if exponent > EXPONENT_MAX {
        return LongDouble::Infinite(negative);
    }
    LongDouble::Finite { negative, mantissa: normal as u64, exponent }
}

/// Shifts right and rounds to nearest, ties to even.
fn shift_right_even(value: u128, shift: u32, sticky: bool) -> u128 {
    if shift == 0 {
        return value;
    }
    if shift > 128 {
        return 0;
    }
    let kept = value.checked_shr(shift).unwrap_or(0);
    let half = 1u128 << (shift - 1);
    let rest = value & (half | (half - 1));
    let up = match rest.cmp(&half) {
        Ordering::Greater => true,
        Ordering::Equal => sticky || kept & 1 == 1,
        Ordering::Less => false,
    };
    kept + u128::from(up)
}

/// The parts of a number's text.
struct Digits {
    /// The digits as one integer.
    value: Big,
    /// Significant digits.
    count: i64,
    /// Digits behind the point, and the exponent written.
    fraction: i64,
    exponent: i64,
}

impl Digits {
    /// Reads digits with an optional point and exponent (`e` or, for radix 16, `p`); none unless all of it is read.
    fn read(text: &[u8], radix: u32) -> Option<Digits> {
        let mark = if radix == 16 { b'p' } else { b'e' };
        let end = text.iter().position(|byte| byte.eq_ignore_ascii_case(&mark)).unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at(end);
        let exponent = if exponent.is_empty() { 0 } else { read_exponent(&exponent[1..])? };
        let (mut value, mut count, mut fraction) = (Big::default(), 0, 0);
        let (mut point, mut any) = (false, false);
        for &byte in mantissa {
            if byte == b'.' && !point {
                point = true;
                continue;
            }
            let digit = char::from(byte).to_digit(radix)?;
            any = true;
            fraction += i64::from(point);
            count += i64::from(count > 0 || digit > 0);
            value.multiply_add(radix, digit);
        }
        any.then_some(Digits { value, count, fraction, exponent })
    }

    fn hexadecimal(self, negative: bool) -> Option<LongDouble> {
        let exponent = self.exponent - 4 * self.fraction;
        let (mantissa, shift, sticky) = self.value.top_bits();
        let exponent = i32::try_from(exponent.clamp(-200_000, 200_000)).ok()? + shift;
        in_range(round(negative, mantissa, exponent, sticky), mantissa)
    }

    fn decimal(mut self, negative: bool) -> Option<LongDouble> {
        let exponent = self.exponent - self.fraction;
        if self.value.is_zero() {
            return Some(round(negative, 0, 0, false));
        }
        if !(DECIMAL_MIN..=DECIMAL_MAX).contains(&(self.count + exponent)) {
            return None;
        }
        let power = exponent.unsigned_abs() as u32;
        let (mantissa, binary, sticky) = if exponent >= 0 {
            self.value.multiply_power_of_ten(power);
            self.value.top_bits()
        } else {
            let mut divisor = Big::from(1);
            divisor.multiply_power_of_ten(power);
            self.value.divide(divisor)
        };
        in_range(round(negative, mantissa, binary, sticky), mantissa)
    }
}

/// Exponent digits with an optional sign, held within what cannot matter any more.
fn read_exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for &byte in digits {
        value = (value * 10 + i64::from(char::from(byte).to_digit(10)?)).min(1_000_000);
    }
    Some(sign * value)
}

/// None if a value that is not zero became zero or infinite.
fn in_range(value: LongDouble, mantissa: u128) -> Option<LongDouble> {
    match value {
        LongDouble::Infinite(_) => None,
        LongDouble::Finite { mantissa: 0, .. } if mantissa != 0 => None,
        _ => Some(value),
    }
}

/// A natural number of any size: 32-bit limbs, lowest first, none on top that is zero.
#[derive(Clone, Debug, Default)]
struct Big(Vec<u32>);

impl From<u64> for Big {
    fn from(value: u64) -> Big {
        let mut big = Big(vec![value as u32, (value >> 32) as u32]);
        big.trim();
        big
    }
}

impl Big {
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> u32 {
        self.0.last().map_or(0, |top| self.0.len() as u32 * 32 - top.leading_zeros())
    }

    fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn multiply_power_of_ten(&mut self, mut power: u32) {
        while power > 0 {
            let step = power.min(9);
            self.multiply_add(10u32.pow(step), 0);
            power -= step;
        }
    }

    fn shift_left(&mut self, bits: u32) {
        if self.is_zero() {
            return;
        }
        if !bits.is_multiple_of(32) {
            self.multiply_add(1 << (bits % 32), 0);
        }
        self.0.splice(0..0, std::iter::repeat_n(0, bits as usize / 32));
    }

    fn at_least(&self, other: &Big) -> bool {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())) != Ordering::Less
    }

    /// Subtracts a number that is not larger.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = 0i64;
        for (index, limb) in self.0.iter_mut().enumerate() {
            let taken = other.0.get(index).copied().unwrap_or(0);
            let difference = i64::from(*limb) - i64::from(taken) + borrow;
            *limb = difference as u32;
            borrow = difference >> 32;
        }
        self.trim();
    }

    /// The highest 96 to 128 bits, their exponent, and whether anything below them is not zero.
    fn top_bits(&self) -> (u128, i32, bool) {
        let below = self.0.len().saturating_sub(4);
        let top = self.0[below..].iter().rev().fold(0u128, |bits, limb| bits << 32 | u128::from(*limb));
        (top, below as i32 * 32, self.0[..below].iter().any(|limb| *limb != 0))
    }

    /// The quotient to at least 66 bits: mantissa, exponent, and whether a remainder is left.
    fn divide(mut self, mut divisor: Big) -> (u128, i32, bool) {
        const STEPS: i32 = 68;
        let scale = self.bits() as i32 - divisor.bits() as i32;
        if scale < 0 {
            self.shift_left(scale.unsigned_abs());
        } else {
            divisor.shift_left(scale as u32);
        }
        let mut quotient = 0u128;
        for _ in 0..STEPS {
            quotient <<= 1;
            if self.at_least(&divisor) {
                self.subtract(&divisor);
                quotient |= 1;
            }
            self.shift_left(1);
        }
        (quotient, scale - (STEPS - 1), !self.is_zero())
    }

    fn into_decimal(mut self) -> String {
        const GROUP: u64 = 1_000_000_000;
        let mut groups = Vec::new();
        while !self.is_zero() {
            let mut rest = 0u64;
            for limb in self.0.iter_mut().rev() {
                rest = rest << 32 | u64::from(*limb);
                *limb = (rest / GROUP) as u32;
                rest %= GROUP;
            }
            groups.push(rest);
            self.trim();
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        for group in groups.iter().rev() {
            text.push_str(&format!("{group:09}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::LongDouble;

    fn sum(one: &str, other: &str) -> Option<String> {
        let one = LongDouble::parse(one.as_bytes()).unwrap();
        Some(one.checked_add(LongDouble::parse(other.as_bytes()).unwrap())?.to_text())
    }

    #[track_caller]
    fn check(one: &str, other: &str, expected: &str) {
        assert_eq!(sum(one, other).as_deref(), Some(expected), "{one} + {other}");
    }

    #[test]
    fn adds_as_redis_documents() {
        check("10.5", "0.1", "10.6");
        check("5.0e3", "2.0e2", "5200");
        check("3.0", "1.1", "4.1");
        check("0.1", "0.2", "0.3");
        check("10.6", "-5", "5.6");
    }

    #[test]
    fn keeps_signs_and_zero() {
        check("-0", "-0", "0");
        check("1.5", "-1.5", "0");
        check("-1e-30", "0", "0");
        check("-0.5", "0.25", "-0.25");
        check("+3", "0", "3");
        check(".5", "5.", "5.5");
    }

    #[test]
    fn rounds_to_seventeen_decimals_and_64_bits() {
        check("0.000003814697265625", "0", "0.00000381469726562");
        check("18446744073709551615", "0", "18446744073709551615");
        check("18446744073709551615", "1", "18446744073709551616");
        check("18446744073709551616", "1", "18446744073709551616");
        check("36893488147419103235", "0", "36893488147419103236");
        check("1e22", "0", "10000000000000000000000");
        check("1", "1e-17", "1.00000000000000001");
    }

    #[test]
    fn reads_hexadecimal() {
        check("0x10", "0", "16");
        check("-0x1.8p3", "0", "-12");
        check("0X.8", "0", "0.5");
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in
            ["", " 1", "1 ", "abc", "1e", "1e+", "0x", "0xp1", ".", "e5", "1.2.3", "nan", "--1", "1_0"]
        {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        for text in ["1e5000", "1e-5000", "1e99999999999999999999", "0x1p20000", "0x1p-20000", "1.19e4932"] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(LongDouble::parse(&[b'1'; 5120]), None);
        assert_eq!(LongDouble::parse(b"0e99999999999"), Some(LongDouble::ZERO));
    }

    #[test]
    fn infinity_has_no_sum() {
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("1", "-Infinity"), None);
        assert_eq!(sum("1e4932", "1e4932"), None);
    }

    #[test]
    fn huge_values_print_all_digits() {
        let text = sum("1e4932", "0").unwrap();
        assert_eq!(text.len(), 4933);
        check("-9223372036854775808", "0", "-9223372036854775808");
        assert_eq!(LongDouble::from(i64::MIN).to_text(), "-9223372036854775808");
    }
}
