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

    #[inline]
    pub(crate) fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.hash(bytes), slot: slot_of(bytes) }
    }
}

/// Hash slot of a key: CRC16 (XMODEM) of its hash tag, or of all of it, modulo 16384.
#[inline]
pub fn slot_of(key: &[u8]) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(hash_tag(key)) & (SLOTS as u16 - 1)
}

/// The part between the first `{` and the next `}` if it is not empty, else the whole key.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&b| b == b'{') else { return key };
    match key[open + 1..].iter().position(|&b| b == b'}') {
        None | Some(0) => key,
        Some(len) => &key[open + 1..open + 1 + len],
    }
}
