//! Strings as arrays of bits: bit 0 is the highest bit of the first byte.
//!
//! Pure functions over bytes. Rules: <https://redis.io/docs/latest/develop/data-types/bitmaps/> and
//! <https://redis.io/docs/latest/commands/bitfield/>.

/// Value of the bit at `offset`; bits beyond the end are 0.
pub fn get_bit(bytes: &[u8], offset: usize) -> bool {
    bytes.get(offset / 8).is_some_and(|byte| byte >> (7 - offset % 8) & 1 == 1)
}

/// Sets the bit at `offset`, which the bytes must reach.
pub fn set_bit(bytes: &mut [u8], offset: usize, on: bool) {
    let mask = 0x80 >> (offset % 8);
    let byte = &mut bytes[offset / 8];
    *byte = if on { *byte | mask } else { *byte & !mask };
}

/// Number of ones.
pub fn count_ones(bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let whole: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    whole + tail.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// Number of ones from bit `start` to bit `end`, both included and within the bytes.
pub fn count_ones_between(bytes: &[u8], start: usize, end: usize) -> u64 {
    let whole = count_ones(&bytes[start / 8..=end / 8]);
    let before = (bytes[start / 8] & head_mask(start)).count_ones();
    let behind = (bytes[end / 8] & tail_mask(end)).count_ones();
    whole - u64::from(before + behind)
}

/// Bits of a byte in front of bit `start`.
fn head_mask(start: usize) -> u8 {
    !(0xff >> (start % 8))
}

/// Bits of a byte behind bit `end`.
fn tail_mask(end: usize) -> u8 {
    0x7f >> (end % 8)
}

/// Offset of the first bit equal to `bit` from bit `start` to bit `end`, both included and within the bytes.
pub fn find_bit(bytes: &[u8], bit: bool, start: usize, end: usize) -> Option<usize> {
    let flip = if bit { 0 } else { 0xff };
    let (first, last) = (start / 8, end / 8);
    let at = |index: usize| {
        let mut byte = bytes[index] ^ flip;
        if index == first {
            byte &= !head_mask(start);
        }
        if index == last {
            byte &= !tail_mask(end);
        }
        (byte != 0).then(|| index * 8 + byte.leading_zeros() as usize)
    };
    at(first).or_else(|| {
        if first == last {
            return None;
        }
        let inner = &bytes[first + 1..last];
        match skip_equal(inner, flip) {
            Some(skipped) => at(first + 1 + skipped),
            None => at(last),
        }
    })
}

/// Index of the first byte that is not `byte`.
fn skip_equal(bytes: &[u8], byte: u8) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let equal = words.iter().take_while(|word| **word == [byte; 8]).count() * 8;
    bytes[equal..].iter().position(|other| *other != byte).map(|at| equal + at)
}

/// A bitwise operation over whole strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Ones where all sources have ones.
    And,
    /// Ones where any source has a one.
    Or,
    /// Ones where an odd number of sources has a one.
    Xor,
    /// Ones where the only source has a zero.
    Not,
}

/// Begins a result with its first source, zeros behind it up to `len` bytes.
pub fn operation_first(operation: Operation, source: &[u8], len: usize) -> Vec<u8> {
    let mut result = Vec::with_capacity(len);
    result.extend_from_slice(source);
    result.resize(len, 0);
    if operation == Operation::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    result
}

/// Combines a result with a further source that is not longer; a shorter source counts as padded with zeros.
pub fn operation_next(operation: Operation, result: &mut [u8], source: &[u8]) {
    let (shared, rest) = result.split_at_mut(source.len());
    let pairs = shared.iter_mut().zip(source);
    match operation {
        Operation::And => {
            pairs.for_each(|(byte, other)| *byte &= other);
            rest.fill(0);
        }
        Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
        Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
        Operation::Not => {}
    }
}

/// Width and signedness of a BITFIELD integer: `i1`..`i64`, `u1`..`u63`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldType {
    /// Two's complement.
    pub signed: bool,
    /// Bits.
    pub bits: u32,
}

/// What BITFIELD does with a result that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Keep the low bits.
    Wrap,
    /// Take the nearest value that fits.
    Saturate,
    /// Do nothing.
    Fail,
}

impl FieldType {
    /// Smallest and largest value.
    fn limits(self) -> (i128, i128) {
        if self.signed {
            (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        }
    }

    /// The value of this type in the low bits of `raw`.
    fn interpret(self, raw: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed { (raw << unused) as i64 >> unused } else { (raw << unused >> unused) as i64 }
    }

    /// Reads the field whose highest bit is at bit `offset`; bits beyond the end are 0.
    pub fn read(self, bytes: &[u8], offset: usize) -> i64 {
        let mut window = [0u8; 16];
        let first = offset / 8;
        if let Some(source) = bytes.get(first..) {
            let len = source.len().min(9);
            window[..len].copy_from_slice(&source[..len]);
        }
        let wide = u128::from_be_bytes(window) << (offset % 8) >> (128 - self.bits);
        self.interpret(wide as u64)
    }

    /// Writes the low bits of `value` to the field at bit `offset`, which the bytes must reach.
    pub fn write(self, bytes: &mut [u8], offset: usize, value: i64) {
        let raw = value as u64;
        for index in 0..self.bits {
            set_bit(bytes, offset + index as usize, raw >> (self.bits - 1 - index) & 1 == 1);
        }
    }

    /// The value to store for SET; none if it does not fit and `overflow` says to fail.
    ///
    /// An unsigned field takes a negative value as the 64-bit unsigned number of the same bits.
    pub fn fit(self, value: i64, overflow: Overflow) -> Option<i64> {
        let exact = if self.signed { i128::from(value) } else { i128::from(value as u64) };
        self.resolve(exact, overflow)
    }

    /// The value to store for INCRBY; none if it does not fit and `overflow` says to fail.
    pub fn add(self, value: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        self.resolve(i128::from(value) + i128::from(increment), overflow)
    }

    fn resolve(self, exact: i128, overflow: Overflow) -> Option<i64> {
        let (low, high) = self.limits();
        if (low..=high).contains(&exact) {
            return Some(exact as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.interpret(exact as u64)),
            Overflow::Saturate => Some(exact.clamp(low, high) as i64),
            Overflow::Fail => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of a small deterministic pattern.
    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 7) as u8 & (at as u8).wrapping_mul(31)).collect()
    }

    #[test]
    fn bits_count_from_the_highest() {
        let mut bytes = vec![0u8; 2];
        set_bit(&mut bytes, 0, true);
        set_bit(&mut bytes, 15, true);
        assert_eq!(bytes, [0x80, 0x01]);
        assert!(get_bit(&bytes, 15) && !get_bit(&bytes, 14) && !get_bit(&bytes, 99));
        set_bit(&mut bytes, 0, false);
        assert_eq!(count_ones(&bytes), 1);
    }

    #[test]
    fn counting_and_finding_agree_with_single_bits() {
        let bytes = pattern(40);
        for start in 0..bytes.len() * 8 {
            for end in start..bytes.len() * 8 {
                let ones = (start..=end).filter(|at| get_bit(&bytes, *at)).count() as u64;
                assert_eq!(count_ones_between(&bytes, start, end), ones, "{start}..={end}");
                for bit in [false, true] {
                    let found = (start..=end).find(|at| get_bit(&bytes, *at) == bit);
                    assert_eq!(find_bit(&bytes, bit, start, end), found, "{bit} in {start}..={end}");
                }
            }
        }
    }

    #[test]
    fn finds_behind_long_runs() {
        let mut bytes = vec![0u8; 1000];
        bytes[997] = 0x10;
        assert_eq!(find_bit(&bytes, true, 3, 7999), Some(997 * 8 + 3));
        assert_eq!(find_bit(&bytes, true, 3, 7000), None);
        let ones = vec![0xff; 1000];
        assert_eq!(find_bit(&ones, false, 0, 7999), None);
    }

    #[test]
    fn operations_pad_with_zeros() {
        let mut and = operation_first(Operation::And, b"\xff\xf0", 3);
        operation_next(Operation::And, &mut and, b"\x0f");
        assert_eq!(and, [0x0f, 0, 0]);
        let mut or = operation_first(Operation::Or, b"\x01", 2);
        operation_next(Operation::Or, &mut or, b"\x02\x80");
        assert_eq!(or, [0x03, 0x80]);
        let mut xor = operation_first(Operation::Xor, b"\x03\x01", 2);
        operation_next(Operation::Xor, &mut xor, b"\x02");
        assert_eq!(xor, [0x01, 0x01]);
        assert_eq!(operation_first(Operation::Not, b"\x0f", 1), [0xf0]);
    }

    #[test]
    fn fields_write_and_read_back() {
        for bits in 1..=64u32 {
            for offset in 0..20 {
                let signed = FieldType { signed: true, bits };
                let mut bytes = pattern(16);
                let before = bytes.clone();
                let value = signed.interpret(0x9e37_79b9_7f4a_7c15);
                signed.write(&mut bytes, offset, value);
                assert_eq!(signed.read(&bytes, offset), value, "i{bits} at {offset}");
                for at in (0..128).filter(|at| !(offset..offset + bits as usize).contains(at)) {
                    assert_eq!(get_bit(&bytes, at), get_bit(&before, at));
                }
            }
        }
        let byte = FieldType { signed: false, bits: 8 };
        assert_eq!(byte.read(b"\x01\x80", 4), 0x18);
        assert_eq!(byte.read(b"", 100), 0);
    }

    #[test]
    fn overflow_wraps_saturates_or_fails() {
        let signed = FieldType { signed: true, bits: 8 };
        let unsigned = FieldType { signed: false, bits: 2 };
        assert_eq!(signed.add(127, 1, Overflow::Wrap), Some(-128));
        assert_eq!(signed.add(127, 1, Overflow::Saturate), Some(127));
        assert_eq!(signed.add(-128, -1, Overflow::Saturate), Some(-128));
        assert_eq!(signed.add(127, 1, Overflow::Fail), None);
        assert_eq!(unsigned.add(3, 1, Overflow::Wrap), Some(0));
        assert_eq!(unsigned.add(0, -1, Overflow::Saturate), Some(0));
        assert_eq!(unsigned.add(0, -1, Overflow::Wrap), Some(3));
        assert_eq!(unsigned.fit(-1, Overflow::Saturate), Some(3));
        let widest = FieldType { signed: true, bits: 64 };
        assert_eq!(widest.add(i64::MAX, 1, Overflow::Wrap), Some(i64::MIN));
        assert_eq!(widest.add(i64::MIN, -1, Overflow::Saturate), Some(i64::MIN));
    }
}
