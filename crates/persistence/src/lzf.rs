//! LZF, as in liblzf: <http://oldhome.schmorp.de/marc/liblzf.html>.
//!
//! A control byte below 32 is followed by that many literals and one more. Any other has a length in its upper three bits
//! (7: one more byte is added) and with the byte that follows a distance in its lower thirteen; two is added to the
//! length, one to the distance.

const LITERALS_MAX: usize = 32;
const COPY_MAX: usize = 264;
const DISTANCE_MAX: usize = 1 << 13;
const HASH_BITS: u32 = 14;

/// Compresses one text after the other. Its table is kept: clearing it would cost more than compressing a short text.
#[derive(Debug)]
pub(crate) struct Compressor {
    /// Where three bytes of a hash were seen last, counted over all texts from `base` on.
    seen: Vec<u32>,
    base: u32,
}

impl Compressor {
    pub(crate) fn new() -> Compressor {
        Compressor { seen: Vec::new(), base: 1 }
    }

    /// Compresses `text` into `out`. False if that takes more than `most` bytes.
    pub(crate) fn compress(&mut self, text: &[u8], most: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        let Ok(len) = u32::try_from(text.len()) else { return false };
        if self.seen.is_empty() {
            self.seen.resize(1 << HASH_BITS, 0);
        }
        let Some(next_base) = self.base.checked_add(len) else {
            self.seen.fill(0);
            self.base = 1;
            return len < u32::MAX && self.compress(text, most, out);
        };
        let (mut at, mut literals) = (0, 0);
        while at + 2 < text.len() {
            let Some((from, len)) = self.find(text, at) else {
                at += 1;
                continue;
            };
            push_literals(&text[literals..at], out);
            push_copy(at - from, len, out);
            at += len;
            literals = at;
            if out.len() > most {
                break;
            }
        }
        push_literals(&text[literals..], out);
        self.base = next_base;
        out.len() <= most
    }

    /// Notes the three bytes at `at`, and finds where what follows was seen before, and how much of it.
    #[inline]
    fn find(&mut self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        let three = u32::from_be_bytes([0, text[at], text[at + 1], text[at + 2]]);
        let slot = (three.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize;
        let before = std::mem::replace(&mut self.seen[slot], self.base + at as u32);
        let from = before.checked_sub(self.base)? as usize;
        if at - from > DISTANCE_MAX || text[from..from + 3] != text[at..at + 3] {
            return None;
        }
        let most = COPY_MAX.min(text.len() - at);
        let more = text[from + 3..].iter().zip(&text[at + 3..at + most]);
        Some((from, 3 + more.take_while(|(a, b)| a == b).count()))
    }
}

fn push_literals(text: &[u8], out: &mut Vec<u8>) {
    for run in text.chunks(LITERALS_MAX) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
}

fn push_copy(distance: usize, len: usize, out: &mut Vec<u8>) {
    let (distance, len) = (distance - 1, len - 2);
    let high = (distance >> 8) as u8;
    if len < 7 {
        out.push((len as u8) << 5 | high);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (len - 7) as u8]);
    }
    out.push(distance as u8);
}

/// The text of `len` bytes that `data` stands for. Memory is taken as the text grows, not because `len` says so.
pub(crate) fn decompress(mut data: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(len.min(data.len().saturating_mul(4)));
    while let Some((&control, rest)) = data.split_first() {
        data = rest;
        if usize::from(control) < LITERALS_MAX {
            let (run, rest) = data.split_at_checked(usize::from(control) + 1)?;
            out.extend_from_slice(run);
            data = rest;
        } else {
            let mut copied = usize::from(control >> 5) + 2;
            if control >> 5 == 7 {
                let (&more, rest) = data.split_first()?;
                copied += usize::from(more);
                data = rest;
            }
            let (&low, rest) = data.split_first()?;
            data = rest;
            let distance = (usize::from(control & 0x1F) << 8 | usize::from(low)) + 1;
            let from = out.len().checked_sub(distance)?;
            if distance >= copied {
                out.extend_from_within(from..from + copied);
            } else {
                // The copy overlaps what it makes.
                (from..from + copied).for_each(|at| out.push(out[at]));
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(0u8..3, 0..3000),
            (any::<u8>(), 0usize..20_000).prop_map(|(byte, len)| vec![byte; len]),
            (prop::collection::vec(any::<u8>(), 1..9000), 1usize..4).prop_map(|(part, n)| part.repeat(n)),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_the_library(texts in prop::collection::vec(text(), 1..6)) {
            let (mut compressor, mut out) = (Compressor::new(), Vec::new());
            for text in texts {
                if compressor.compress(&text, text.len() * 2 + 2, &mut out) {
                    prop_assert_eq!(decompress(&out, text.len()), Some(text.clone()));
                    if !text.is_empty() {
                        prop_assert_eq!(lzf::decompress(&out, text.len()).expect("readable"), text.clone());
                    }
                }
                if let Ok(theirs) = lzf::compress(&text) {
                    prop_assert_eq!(decompress(&theirs, text.len()), Some(text));
                }
            }
        }

        #[test]
        fn any_input_is_survived(data in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..100_000) {
            if let Some(out) = decompress(&data, len) {
                prop_assert_eq!(out.len(), len);
            }
        }
    }

    #[test]
    fn the_table_outlives_its_range() {
        let (mut compressor, mut out) = (Compressor::new(), Vec::new());
        compressor.base = u32::MAX - 50;
        for _ in 0..3 {
            assert!(compressor.compress(&[7; 40], 20, &mut out));
            assert_eq!(decompress(&out, 40), Some(vec![7; 40]));
        }
    }
}
