//! Text of doubles as Redis 7.2 and later print them: integers plain, otherwise the shortest digits that read back equal.

/// Formats doubles without allocating: `3`, `0.1`, `1e+30`, `1e-7`, `inf`, `-inf`, `nan`.
pub struct DoubleBuffer {
    text: [u8; 40],
    len: usize,
}

/// Integers up to here are written in full, as Redis does.
const PLAIN_INTEGER_MAX: f64 = (1u64 << 62) as f64;

impl Default for DoubleBuffer {
    fn default() -> DoubleBuffer {
        DoubleBuffer { text: [0; 40], len: 0 }
    }
}

impl DoubleBuffer {
    /// An empty buffer.
    pub fn new() -> DoubleBuffer {
        DoubleBuffer::default()
    }

    /// The text of `value`, valid until the next call.
    pub fn format(&mut self, value: f64) -> &str {
        self.len = 0;
        if value.is_nan() {
            self.push(b"nan");
        } else if value.is_infinite() {
            self.push(if value > 0.0 { b"inf" } else { b"-inf" });
        } else if value == 0.0 {
            self.push(if value.is_sign_negative() { b"-0" } else { b"0" });
        } else if value.abs() <= PLAIN_INTEGER_MAX && value.trunc() == value {
            self.push(itoa::Buffer::new().format(value as i64).as_bytes());
        } else {
            self.shortest(value);
        }
        std::str::from_utf8(&self.text[..self.len]).expect("only ASCII is pushed")
    }

    fn push(&mut self, bytes: &[u8]) {
        self.text[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_zeros(&mut self, count: usize) {
        self.push(&b"00000000"[..count]);
    }

    /// Plain notation while it needs few padding zeros, else exponential. Where exactly the line is drawn was observed on
    /// Redis 8.0 (`ZADD` and `ZSCORE`): up to 6 decimals, or an exponent above -4; large numbers up to 7 trailing zeros.
    fn shortest(&mut self, value: f64) {
        if value < 0.0 {
            self.push(b"-");
        }
        let mut digits = [0; 20];
        let (count, scale) = significant(value.abs(), &mut digits);
        let digits = &digits[..count];
        let exponent = scale + count as i32 - 1;
        if (0..=7).contains(&scale) {
            self.push(digits);
            self.push_zeros(scale as usize);
        } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
            self.decimal(digits, scale);
        } else {
            self.exponential(digits, exponent);
        }
    }

    fn decimal(&mut self, digits: &[u8], scale: i32) {
        let decimals = scale.unsigned_abs() as usize;
        match digits.len().checked_sub(decimals) {
            Some(whole) if whole > 0 => {
                self.push(&digits[..whole]);
                self.push(b".");
                self.push(&digits[whole..]);
            }
            _ => {
                self.push(b"0.");
                self.push_zeros(decimals - digits.len());
                self.push(digits);
            }
        }
    }

    fn exponential(&mut self, digits: &[u8], exponent: i32) {
        self.push(&digits[..1]);
        if digits.len() > 1 {
            self.push(b".");
            self.push(&digits[1..]);
        }
        self.push(if exponent < 0 { b"e-" } else { b"e+" });
        self.push(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
    }
}

/// The significant digits of a positive `value`: how many there are, and the power of ten of the last one.
fn significant(value: f64, digits: &mut [u8; 20]) -> (usize, i32) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mut scale: i32 = exponent.parse().expect("ryu writes exponents as integers");
    let (mut count, mut in_fraction) = (0, false);
    for byte in mantissa.bytes() {
        if byte == b'.' {
            in_fraction = true;
            continue;
        }
        scale -= i32::from(in_fraction);
        if count > 0 || byte != b'0' {
            digits[count] = byte;
            count += 1;
        }
    }
    while digits[count - 1] == b'0' {
        count -= 1;
        scale += 1;
    }
    (count, scale)
}
