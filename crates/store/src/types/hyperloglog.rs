//! HyperLogLog as a string: the bytes Redis keeps, so that GET, DUMP and replication interchange with it.
//!
//! A header of 16 bytes (`HYLL`, encoding, three zero bytes, the cached cardinality as a little-endian u64 whose top
//! bit says "stale"), then 16384 registers of 6 bits, either packed ("dense") or as runs ("sparse"):
//! `00llllll` is 1..=64 zero registers, `01llllll llllllll` 1..=16384 of them, `1vvvvvll` 1..=4 registers of value
//! 1..=32. Format and commands: <https://redis.io/docs/latest/develop/data-types/probabilistic/hyperloglogs/>.
//! Cardinality: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), section 4.

/// Registers of a HyperLogLog.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bytes of a dense value.
pub const DENSE_LEN: usize = HEADER_LEN + REGISTERS * REGISTER_BITS / 8;

const INDEX_BITS: usize = 14;
const REGISTER_BITS: usize = 6;
/// Bits of a hash that are left after the index: the longest run of zeros.
const PATTERN_BITS: usize = 64 - INDEX_BITS;
const HEADER_LEN: usize = 16;
const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING_AT: usize = 4;
const CARDINALITY: std::ops::Range<usize> = 8..16;
const STALE: u8 = 0x80;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const HASH_SEED: u64 = 0xadc8_3b19;
/// Largest register a sparse run can hold.
const SPARSE_VALUE_MAX: u8 = 32;
const SPARSE_VALUE_RUN_MAX: usize = 4;
const SHORT_ZEROS_MAX: usize = 64;

/// The runs of a sparse value do not add up to 16384 registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupted HyperLogLog")]
pub struct Corrupted;

/// An empty HyperLogLog: sparse, its cached cardinality a valid zero.
pub fn new() -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_LEN + 2);
    value.extend_from_slice(MAGIC);
    value.push(SPARSE);
    value.resize(HEADER_LEN, 0);
    value.extend_from_slice(Run::Zeros(REGISTERS).encode().as_slice());
    value
}

/// Whether a string looks like a HyperLogLog: header, and length when dense. Runs are checked when they are read.
pub fn is_valid(value: &[u8]) -> bool {
    value.len() >= HEADER_LEN
        && value.starts_with(MAGIC)
        && match value[ENCODING_AT] {
            DENSE => value.len() == DENSE_LEN,
            encoding => encoding == SPARSE,
        }
}

/// Whether a valid value has the dense representation.
pub fn is_dense(value: &[u8]) -> bool {
    value[ENCODING_AT] == DENSE
}

/// The cached cardinality, unless it is stale.
pub fn cached_count(value: &[u8]) -> Option<u64> {
    let bytes: [u8; 8] = value[CARDINALITY].try_into().expect("the range has 8 bytes");
    (bytes[7] & STALE == 0).then(|| u64::from_le_bytes(bytes))
}

/// Caches the cardinality.
pub fn cache_count(value: &mut [u8], count: u64) {
    value[CARDINALITY].copy_from_slice(&count.to_le_bytes());
}

/// Marks the cached cardinality stale.
pub fn invalidate(value: &mut [u8]) {
    value[CARDINALITY.end - 1] |= STALE;
}

/// Adds an element to a dense value; whether a register grew.
pub fn add_dense(value: &mut [u8], element: &[u8]) -> bool {
    let (index, pattern) = locate(element);
    raise_dense(&mut value[HEADER_LEN..], index, pattern)
}

/// Adds an element to a value of either representation; whether a register grew. A sparse value becomes dense when
/// it would outgrow `sparse_max` bytes (`hll-sparse-max-bytes`) or a register exceeds 32.
pub fn add(value: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool, Corrupted> {
    let (index, pattern) = locate(element);
    raise(value, index, pattern, sparse_max)
}

/// Makes a value dense; whether it was sparse.
pub fn to_dense(value: &mut Vec<u8>) -> Result<bool, Corrupted> {
    if is_dense(value) {
        return Ok(false);
    }
    let mut dense = vec![0; DENSE_LEN];
    dense[..HEADER_LEN].copy_from_slice(&value[..HEADER_LEN]);
    dense[ENCODING_AT] = DENSE;
    for_each_run(value, |first, run| {
        if let Run::Values { value, len } = run {
            for index in first..first + len {
                write_register(&mut dense[HEADER_LEN..], index, value);
            }
        }
    })?;
    *value = dense;
    Ok(true)
}

/// The estimated cardinality, computed from the registers.
pub fn count(value: &[u8]) -> Result<u64, Corrupted> {
    let mut histogram = [0u32; 64];
    if is_dense(value) {
        for index in 0..REGISTERS {
            histogram[usize::from(read_register(&value[HEADER_LEN..], index))] += 1;
        }
    } else {
        for_each_run(value, |_, run| match run {
            Run::Zeros(len) => histogram[0] += len as u32,
            Run::Values { value, len } => histogram[usize::from(value)] += len as u32,
        })?;
    }
    Ok(estimate(&histogram))
}

/// Text of a sparse value's runs as PFDEBUG DECODE prints it: `z:` and `Z:` zeros, `v:value,len`. Runs that do not
/// add up are shown as they are: this is how to find out.
pub fn decode(value: &[u8]) -> String {
    let mut at = HEADER_LEN;
    let runs = std::iter::from_fn(|| {
        let (run, bytes) = Run::read(value, at)?;
        at += bytes;
        Some(match run {
            Run::Zeros(len) if bytes == 1 => format!("z:{len}"),
            Run::Zeros(len) => format!("Z:{len}"),
            Run::Values { value, len } => format!("v:{value},{len}"),
        })
    });
    runs.collect::<Vec<_>>().join(" ")
}

/// Registers outside any representation: the union of several values.
#[derive(Clone)]
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Registers {
        Registers(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    /// Raises each register to that of a valid `value`.
    pub fn merge(&mut self, value: &[u8]) -> Result<(), Corrupted> {
        if is_dense(value) {
            for (index, register) in self.0.iter_mut().enumerate() {
                *register = (*register).max(read_register(&value[HEADER_LEN..], index));
            }
            return Ok(());
        }
        for_each_run(value, |first, run| {
            if let Run::Values { value, len } = run {
                for register in &mut self.0[first..first + len] {
                    *register = (*register).max(value);
                }
            }
        })
    }

    /// The registers, by index.
    pub fn as_slice(&self) -> &[u8] {
        &self.0[..]
    }

    /// The estimated cardinality.
    pub fn count(&self) -> u64 {
        let mut histogram = [0u32; 64];
        for &register in self.0.iter() {
            histogram[usize::from(register)] += 1;
        }
        estimate(&histogram)
    }

    /// Raises the registers of a valid `value` to these, lowest index first (which decides the runs a sparse value
    /// ends up with), and marks its cached cardinality stale.
    pub fn store(&self, value: &mut Vec<u8>, sparse_max: usize) -> Result<(), Corrupted> {
        for (index, &register) in self.0.iter().enumerate().filter(|(_, register)| **register != 0) {
            raise(value, index, register, sparse_max)?;
        }
        invalidate(value);
        Ok(())
    }
}

/// A run of equal registers in the sparse representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Zeros(usize),
    Values { value: u8, len: usize },
}

/// The one or two bytes of a run.
struct Encoded {
    bytes: [u8; 2],
    len: usize,
}

impl Encoded {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Run {
    fn len(self) -> usize {
        match self {
            Run::Zeros(len) | Run::Values { len, .. } => len,
        }
    }

    fn with_len(self, len: usize) -> Run {
        match self {
            Run::Zeros(_) => Run::Zeros(len),
            Run::Values { value, .. } => Run::Values { value, len },
        }
    }

    fn encode(self) -> Encoded {
        match self {
            Run::Zeros(len) if len <= SHORT_ZEROS_MAX => Encoded { bytes: [(len - 1) as u8, 0], len: 1 },
            Run::Zeros(len) => {
                let len = len - 1;
                Encoded { bytes: [0x40 | (len >> 8) as u8, len as u8], len: 2 }
            }
            Run::Values { value, len } => {
                Encoded { bytes: [0x80 | (value - 1) << 2 | (len - 1) as u8, 0], len: 1 }
            }
        }
    }

    /// The run that begins at `at` and the bytes it takes; none at the end or when its second byte is missing.
    fn read(value: &[u8], at: usize) -> Option<(Run, usize)> {
        let first = *value.get(at)?;
        let low = usize::from(first & 0x3f);
        Some(match first >> 6 {
            0 => (Run::Zeros(low + 1), 1),
            1 => (Run::Zeros((low << 8 | usize::from(*value.get(at + 1)?)) + 1), 2),
            _ => (Run::Values { value: (first >> 2 & 0x1f) + 1, len: usize::from(first & 3) + 1 }, 1),
        })
    }
}

/// Visits the runs of a sparse value with the index of their first register; checks that they cover all registers.
fn for_each_run(value: &[u8], mut visit: impl FnMut(usize, Run)) -> Result<(), Corrupted> {
    let (mut at, mut first) = (HEADER_LEN, 0);
    while at < value.len() {
        let (run, bytes) = Run::read(value, at).ok_or(Corrupted)?;
        if first + run.len() > REGISTERS {
            return Err(Corrupted);
        }
        visit(first, run);
        at += bytes;
        first += run.len();
    }
    if first == REGISTERS { Ok(()) } else { Err(Corrupted) }
}

/// Raises a register of a value of either representation.
fn raise(value: &mut Vec<u8>, index: usize, pattern: u8, sparse_max: usize) -> Result<bool, Corrupted> {
    if !is_dense(value) {
        if let Some(raised) = raise_sparse(value, index, pattern, sparse_max)? {
            return Ok(raised);
        }
        to_dense(value)?;
    }
    Ok(raise_dense(&mut value[HEADER_LEN..], index, pattern))
}

/// Raises a register of a sparse value; none if that needs the dense representation.
fn raise_sparse(
    value: &mut Vec<u8>,
    index: usize,
    pattern: u8,
    sparse_max: usize,
) -> Result<Option<bool>, Corrupted> {
    if pattern > SPARSE_VALUE_MAX {
        return Ok(None);
    }
    let (mut at, mut first, mut previous) = (HEADER_LEN, 0, HEADER_LEN);
    let (run, bytes) = loop {
        let (run, bytes) = Run::read(value, at).ok_or(Corrupted)?;
        if index < first + run.len() {
            break (run, bytes);
        }
        previous = at;
        at += bytes;
        first += run.len();
    };
    if matches!(run, Run::Values { value, .. } if value >= pattern) {
        return Ok(Some(false));
    }
    // The run splits into what is before the register, the register, and what is behind it.
    let mut split = [0u8; 5];
    let mut len = 0;
    let mut push = |run: Run| {
        if run.len() > 0 {
            let encoded = run.encode();
            split[len..len + encoded.len].copy_from_slice(encoded.as_slice());
            len += encoded.len;
        }
    };
    push(run.with_len(index - first));
    push(Run::Values { value: pattern, len: 1 });
    push(run.with_len(first + run.len() - 1 - index));
    if len > bytes && value.len() + len - bytes > sparse_max {
        return Ok(None);
    }
    value.splice(at..at + bytes, split[..len].iter().copied());
    join_values(value, previous);
    invalidate(value);
    Ok(Some(true))
}

/// Joins neighbouring runs of the same value where one run can hold both, in five steps from `at`.
fn join_values(value: &mut Vec<u8>, mut at: usize) {
    for _ in 0..5 {
        let Some((run, bytes)) = Run::read(value, at) else { return };
        match (run, Run::read(value, at + bytes)) {
            (Run::Values { value: one, len }, Some((Run::Values { value: other, len: more }, _)))
                if one == other && len + more <= SPARSE_VALUE_RUN_MAX =>
            {
                value[at + 1] = run.with_len(len + more).encode().bytes[0];
                value.remove(at);
            }
            _ => at += bytes,
        }
    }
}

fn raise_dense(registers: &mut [u8], index: usize, pattern: u8) -> bool {
    let raised = read_register(registers, index) < pattern;
    if raised {
        write_register(registers, index, pattern);
    }
    raised
}

/// Register `index` of the packed registers: 6 bits, from the lowest bit of a byte on into the next.
fn read_register(registers: &[u8], index: usize) -> u8 {
    let (byte, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let next = registers.get(byte + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([registers[byte], next]) >> shift) as u8 & 0x3f
}

fn write_register(registers: &mut [u8], index: usize, value: u8) {
    let (byte, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let mask = !(0x3fu16 << shift).to_le();
    let bits = (u16::from(value) << shift).to_le_bytes();
    let mask = mask.to_le_bytes();
    registers[byte] = registers[byte] & mask[0] | bits[0];
    // The last register ends with the last byte.
    if shift > 8 - REGISTER_BITS {
        registers[byte + 1] = registers[byte + 1] & mask[1] | bits[1];
    }
}

/// Register of an element, and one more than the zeros its hash has above the index bits.
fn locate(element: &[u8]) -> (usize, u8) {
    let hash = murmur_hash_64a(element, HASH_SEED);
    let pattern = hash >> INDEX_BITS | 1 << PATTERN_BITS;
    (hash as usize & (REGISTERS - 1), pattern.trailing_zeros() as u8 + 1)
}

/// MurmurHash2 for 64 bits (variant A) by Austin Appleby, read as little endian on every machine.
fn murmur_hash_64a(bytes: &[u8], seed: u64) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        word ^= word >> SHIFT;
        hash = (hash ^ word.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}

/// Ertl's improved raw estimator over the number of registers of each value.
fn estimate(histogram: &[u32; 64]) -> u64 {
    /// 1 / (2 ln 2), the limit of HyperLogLog's alpha for many registers.
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let registers = REGISTERS as f64;
    let share = |value: usize| f64::from(histogram[value]) / registers;
    let full = (registers - f64::from(histogram[PATTERN_BITS + 1])) / registers;
    let mut sum = registers * tau(full);
    for value in (1..=PATTERN_BITS).rev() {
        sum = (sum + f64::from(histogram[value])) * 0.5;
    }
    sum += registers * sigma(share(0));
    (ALPHA * registers * registers / sum).round() as u64
}

/// Correction for registers that are still zero (Ertl, equation 13): x + sum of x^(2^k) * 2^(k-1).
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if before == sum {
            return sum;
        }
    }
}

/// Correction for registers at their maximum (Ertl, equation 15): (1 - x - sum of (1 - x^(2^-k))^2 * 2^-k) / 3.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if before == sum {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(elements: std::ops::Range<u32>, sparse_max: usize) -> Vec<u8> {
        let mut value = new();
        for element in elements {
            add(&mut value, element.to_string().as_bytes(), sparse_max).unwrap();
        }
        value
    }

    #[test]
    fn an_empty_value_counts_nothing() {
        let value = new();
        assert_eq!(value, b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
        assert!(is_valid(&value));
        assert_eq!(count(&value), Ok(0));
        assert_eq!(cached_count(&value), Some(0));
    }

    #[test]
    fn registers_pack_and_unpack() {
        let mut packed = vec![0u8; DENSE_LEN - HEADER_LEN];
        for index in 0..REGISTERS {
            write_register(&mut packed, index, (index * 7 % 64) as u8);
        }
        for index in 0..REGISTERS {
            assert_eq!(usize::from(read_register(&packed, index)), index * 7 % 64);
        }
    }

    #[test]
    fn both_representations_hold_the_same_registers() {
        let sparse = filled(0..1500, 12_000);
        let mut dense = filled(0..1500, 0);
        assert!(!is_dense(&sparse) && is_dense(&dense));
        let (mut one, mut other) = (Registers::default(), Registers::default());
        one.merge(&sparse).unwrap();
        other.merge(&dense).unwrap();
        assert_eq!(one.as_slice(), other.as_slice());
        assert_eq!(count(&sparse), count(&dense));
        assert_eq!(count(&sparse), Ok(one.count()));
        let mut converted = sparse.clone();
        assert_eq!(to_dense(&mut converted), Ok(true));
        invalidate(&mut dense);
        assert_eq!(converted, dense);
    }

    #[test]
    fn estimates_stay_within_three_percent() {
        for total in [100u32, 3000, 20_000, 100_000] {
            let value = filled(0..total, 3000);
            let error = (count(&value).unwrap() as f64 - f64::from(total)).abs() / f64::from(total);
            assert!(error < 0.03, "{total}: {error}");
        }
    }

    #[test]
    fn storing_a_union_equals_adding_everything() {
        let mut union = Registers::default();
        union.merge(&filled(0..800, 3000)).unwrap();
        union.merge(&filled(400..1600, 0)).unwrap();
        let mut stored = new();
        union.store(&mut stored, 0).unwrap();
        assert_eq!(stored, {
            let mut all = filled(0..1600, 0);
            invalidate(&mut all);
            all
        });
    }

    #[test]
    fn broken_runs_are_found() {
        for tail in [&b"\x7f"[..], b"\x7f\xfe", b"\x7f\xff\x00", b"", b"\x00"] {
            let value = [&new()[..HEADER_LEN], tail].concat();
            assert!(is_valid(&value));
            assert_eq!(count(&value), Err(Corrupted), "{tail:?}");
            assert_eq!(to_dense(&mut value.clone()), Err(Corrupted));
            assert_eq!(Registers::default().merge(&value), Err(Corrupted));
        }
        assert!(!is_valid(b"HYLL"));
        assert!(!is_valid(&[&b"HYLL\x00"[..], &[0; 11]].concat()));
        assert!(!is_valid(&[&b"HYLL\x02"[..], &[0; 13]].concat()));
        let mut short = [&new()[..HEADER_LEN], b"\x00"].concat();
        assert_eq!(add(&mut short, b"element", 3000), Err(Corrupted));
    }

    #[test]
    fn decodes_runs() {
        let mut value = new();
        raise(&mut value, 3, 2, 3000).unwrap();
        raise(&mut value, 4, 2, 3000).unwrap();
        raise(&mut value, 16383, 32, 3000).unwrap();
        assert_eq!(decode(&value), "z:3 v:2,2 Z:16378 v:32,1");
        raise(&mut value, 0, 33, 3000).unwrap();
        assert!(is_dense(&value));
    }
}
