//! Reads choices from the fuzzer's bytes; when they are used up, every choice is the first.

/// See the module's text.
pub struct Input<'a> {
    left: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Input<'a> {
        Input { left: data }
    }

    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        *first
    }

    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A text of one of the shapes that are stored in different ways.
    pub fn text(&mut self) -> Vec<u8> {
        let number = self.byte();
        let edges = [i64::MIN, i64::MAX, -1, 4095, 4096, -4097, 32767, 32768, 8_388_608, 2_147_483_648];
        match number {
            0..=99 => number.to_string().into_bytes(),
            100..=109 => edges[usize::from(number) - 100].to_string().into_bytes(),
            110..=119 => format!("0{number}").into_bytes(),
            120..=139 => format!("-{}", self.short()).into_bytes(),
            140..=199 => format!("member{number}").into_bytes(),
            200..=219 => vec![number; usize::from(self.byte())],
            220..=229 => vec![number; usize::from(self.short())],
            230..=239 => Vec::new(),
            _ => {
                let len = usize::from(number) % 8;
                (0..len).map(|_| self.byte()).collect()
            }
        }
    }

    /// A score; never a NaN.
    pub fn score(&mut self) -> f64 {
        match self.byte() {
            0 => f64::INFINITY,
            1 => f64::NEG_INFINITY,
            2 => -0.0,
            byte => f64::from(i16::from(byte as i8)) / 4.0,
        }
    }

    /// A key. Half of them lie in one slot; the numbers of the others reach far enough to make tables grow.
    pub fn key(&mut self) -> Vec<u8> {
        match self.byte() {
            byte @ 0..=127 => format!("{{x}}{}", byte % 8).into_bytes(),
            byte @ 128..=199 => format!("k{}", byte % 8).into_bytes(),
            byte @ 200..=219 => vec![byte; 300],
            _ => format!("{{x}}{}", self.short() % 2048).into_bytes(),
        }
    }
}
