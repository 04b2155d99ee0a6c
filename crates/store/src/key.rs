//! A key with its hash and its slot.

use std::hash::{BuildHasher, Hasher};

/// Number of hash slots. <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>
pub const SLOTS: usize = 16384;

/// A key as look-ups need it: computed once per call.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Keyed hash of all bytes.
    pub hash: u64,
    /// Hash slot, below `SLOTS`.
    pub slot: u16,
}

/// Hashes keys with a secret seed, so that nobody outside can make them collide.
#[derive(Clone)]
pub(crate) struct KeyHasher {
    state: foldhash::quality::FixedState,
}

impl KeyHasher {
    pub(crate) fn new(seed: u64) -> KeyHasher {
        KeyHasher { state: foldhash::quality::FixedState::with_seed(seed) }
    }

    #[inline]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }

    #[inline(always)]
    pub(crate) fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.hash(bytes), slot: slot_of(bytes) }
    }
}

/// Hash slot of a key: CRC16 (XMODEM) of its hash tag, or of all of it, modulo 16384.
#[inline]
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) & (SLOTS as u16 - 1)
}

/// CRC tables for eight bytes at a time: `CRC[k][b]` is the CRC of byte `b` followed by `k` zero bytes.
static CRC: [[u16; 256]; 8] = {
    let mut tables = [[0u16; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut table = 0;
        while table < 8 {
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
                bit += 1;
            }
            tables[table][byte] = crc;
            table += 1;
        }
        byte += 1;
    }
    tables
};

/// CRC16 (XMODEM: polynomial 0x1021, initial value 0). The `crc16` crate's byte-wise loop was 5% of a pipelined GET;
/// it is the oracle of this one's test.
#[inline]
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    let (words, rest) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in words {
        let high = usize::from(a ^ (crc >> 8) as u8);
        let low = usize::from(b ^ crc as u8);
        crc = CRC[7][high]
            ^ CRC[6][low]
            ^ CRC[5][usize::from(*c)]
            ^ CRC[4][usize::from(*d)]
            ^ CRC[3][usize::from(*e)]
            ^ CRC[2][usize::from(*f)]
            ^ CRC[1][usize::from(*g)]
            ^ CRC[0][usize::from(*h)];
    }
    let (half, rest) = rest.as_chunks::<4>();
    if let [[a, b, c, d]] = half {
        let high = usize::from(a ^ (crc >> 8) as u8);
        let low = usize::from(b ^ crc as u8);
        crc = CRC[3][high] ^ CRC[2][low] ^ CRC[1][usize::from(*c)] ^ CRC[0][usize::from(*d)];
    }
    for byte in rest {
        crc = (crc << 8) ^ CRC[0][usize::from((crc >> 8) as u8 ^ byte)];
    }
    crc
}

/// The part between the first `{` and the next `}` if it is not empty, else the whole key.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let (words, rest) = key.as_chunks::<8>();
    let opens = words.iter().any(|word| has_open(u64::from_le_bytes(*word))) || rest.contains(&b'{');
    if opens { inner_tag(key) } else { key }
}

/// Whether one of the eight bytes is `{`: most keys have none, and it must not take a look at each byte to say so.
#[inline]
fn has_open(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let zero_where_open = word ^ (ONES * b'{' as u64);
    zero_where_open.wrapping_sub(ONES) & !zero_where_open & (ONES * 0x80) != 0
}

#[cold]
fn inner_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    match memchr::memchr(b'}', &key[open + 1..]) {
        None | Some(0) => key,
        Some(len) => &key[open + 1..open + 1 + len],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slots_are_those_of_the_crc16_crate(key in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'{'), Just(b'}')], 0..64)) {
            let expected = crc16::State::<crc16::XMODEM>::calculate(hash_tag(&key)) % SLOTS as u16;
            prop_assert_eq!(slot_of(&key), expected);
        }
    }

    #[test]
    fn hash_tags_follow_the_cluster_specification() {
        for (key, tag) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("", ""),
        ] {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
        assert_eq!(slot_of(b"123456789"), 0x31c3 % SLOTS as u16);
    }
}
