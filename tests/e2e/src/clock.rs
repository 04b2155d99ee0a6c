//! The one clock of a history: nanoseconds since its first use, monotonic, the same for all threads.

use std::sync::LazyLock;
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Now, in nanoseconds; never 0.
pub fn now() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// Milliseconds, for people.
pub fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
