//! Access clocks: the 24 bits an entry keeps for LRU or LFU eviction.
//!
//! LRU: seconds, wrapping. LFU: minutes of the last decrement (16 bits) over a logarithmic counter (8 bits).
//! Rules: <https://redis.io/docs/latest/develop/reference/eviction/>

const LFU_INITIAL: u32 = 5;
const CLOCK_MASK: u32 = 0x00ff_ffff;

/// How accesses are noted and read; a copy per transaction.
#[derive(Clone, Copy, Debug)]
pub struct AccessClock {
    /// Seconds, 24 bits.
    lru: u32,
    /// Minutes, 16 bits.
    minutes: u32,
    /// Whether the policy is one of the LFU ones.
    pub lfu: bool,
    /// `lfu-log-factor`.
    pub log_factor: u32,
    /// `lfu-decay-time`, minutes.
    pub decay_minutes: u32,
    /// False under CLIENT NO-TOUCH.
    pub touch: bool,
}

impl AccessClock {
    /// A clock that reads `now_ms` (Unix milliseconds).
    pub fn new(now_ms: i64) -> AccessClock {
        let mut clock =
            AccessClock { lru: 0, minutes: 0, lfu: false, log_factor: 10, decay_minutes: 1, touch: true };
        clock.set(now_ms);
        clock
    }

    /// Moves to `now_ms`.
    #[inline]
    pub fn set(&mut self, now_ms: i64) {
        let seconds = (now_ms / 1000) as u64;
        self.lru = seconds as u32 & CLOCK_MASK;
        self.minutes = (seconds / 60) as u32 & 0xffff;
    }

    /// Bits of a new entry.
    #[inline]
    pub(crate) fn initial(&self) -> u32 {
        if self.lfu { self.minutes << 8 | LFU_INITIAL } else { self.lru }
    }

    /// Bits after an access.
    #[inline]
    pub(crate) fn accessed(&self, bits: u32, rng: &mut fastrand::Rng) -> u32 {
        if !self.touch {
            return bits;
        }
        if !self.lfu {
            return self.lru;
        }
        let counter = self.frequency(bits);
        let base = counter.saturating_sub(LFU_INITIAL);
        let grows = counter < 255 && rng.f64() < 1.0 / f64::from(base * self.log_factor + 1);
        self.minutes << 8 | (counter + u32::from(grows))
    }

    /// Bits of an entry that was last used so many seconds ago or has this LFU counter, whichever the policy looks at.
    pub(crate) fn known(&self, idle_seconds: Option<u64>, frequency: Option<u8>) -> Option<u32> {
        if self.lfu {
            return frequency.map(|frequency| self.minutes << 8 | u32::from(frequency));
        }
        // Half the range: beyond, the clock would seem to be ahead.
        let idle = idle_seconds?.min(u64::from(CLOCK_MASK / 2)) as u32;
        Some(self.lru.wrapping_sub(idle) & CLOCK_MASK)
    }

    /// LFU counter now, after decay.
    pub fn frequency(&self, bits: u32) -> u32 {
        let counter = bits & 0xff;
        if self.decay_minutes == 0 {
            return counter;
        }
        let elapsed = self.minutes.wrapping_sub(bits >> 8) & 0xffff;
        counter.saturating_sub(elapsed / self.decay_minutes)
    }

    /// Seconds since the last access.
    pub fn idle_seconds(&self, bits: u32) -> u32 {
        self.lru.wrapping_sub(bits) & CLOCK_MASK
    }
}
