//! Latency histogram of one command: 32 steps per power of two of nanoseconds, about 3 percent wide, up to one second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Steps per power of two.
const STEPS: u64 = 32;
/// Values below are counted exactly.
const EXACT: u64 = 2 * STEPS;
/// Powers of two above the exact part; the last one ends at 2^30 ns.
const OCTAVES: u64 = 24;
/// Number of counters.
const LEN: usize = (EXACT + OCTAVES * STEPS) as usize;
/// Longest time told apart from longer ones, nanoseconds.
const NANOS_MAX: u64 = (1 << 30) - 1;

/// Counts durations. Written by one thread, read by any.
pub struct Histogram {
    counts: Box<[AtomicU64]>,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: (0..LEN).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Histogram {
    /// Counts one duration. Only the owning thread may call this: it is a plain addition, not an atomic one.
    #[inline]
    pub fn record(&self, nanos: u64) {
        let count = &self.counts[index(nanos)];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// Adds the counts to `sum`.
    pub fn add_to(&self, sum: &mut Distribution) {
        sum.counts.resize(LEN, 0);
        for (total, count) in sum.counts.iter_mut().zip(&self.counts) {
            *total += count.load(Relaxed);
        }
    }
}

#[inline]
fn index(nanos: u64) -> usize {
    let nanos = nanos.min(NANOS_MAX);
    if nanos < EXACT {
        return nanos as usize;
    }
    let shift = u64::from(nanos.ilog2()) - u64::from(STEPS.ilog2());
    (EXACT + (shift - 1) * STEPS + (nanos >> shift) - STEPS) as usize
}

/// Largest duration counted at `index`.
fn highest(index: usize) -> u64 {
    let index = index as u64;
    if index < EXACT {
        return index;
    }
    let shift = (index - EXACT) / STEPS + 1;
    let step = (index - EXACT) % STEPS + STEPS;
    ((step + 1) << shift) - 1
}

/// Counts of one or several histograms, as they were at one moment.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    /// Empty, or one count per step.
    counts: Vec<u64>,
}

impl Distribution {
    /// Takes away what was counted up to an earlier moment.
    pub fn subtract(&mut self, earlier: &Distribution) {
        for (count, before) in self.counts.iter_mut().zip(&earlier.counts) {
            *count = count.saturating_sub(*before);
        }
    }

    /// Number of durations.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration in nanoseconds that `percentile` (0 to 100) of all do not exceed; 0 when there are none.
    pub fn percentile(&self, percentile: f64) -> u64 {
        let wanted = (percentile / 100.0 * self.total() as f64 + 0.5) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return highest(index);
            }
        }
        0
    }

    /// (bound in microseconds, durations up to it) for the powers of two that add to the count, as LATENCY HISTOGRAM prints
    /// them: <https://redis.io/docs/latest/commands/latency-histogram/>
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        let (mut rows, mut seen, mut at) = (Vec::new(), 0, 0);
        for power in 10.. {
            let before = seen;
            while at < self.counts.len() && highest(at) >> power == 0 {
                seen += self.counts[at];
                at += 1;
            }
            if seen > before {
                rows.push((bound_micros(power), seen));
            }
            if at >= self.counts.len() {
                return rows;
            }
        }
        rows
    }
}

/// Redis prints the upper end of its own step at the power of two (33 and 66, not 32 and 65).
fn bound_micros(power: u32) -> u64 {
    let bound = 1u64 << power;
    (bound | ((bound >> 7) - 1)) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_all_durations() {
        let mut last = 0;
        for nanos in (0..5000).chain((5000..2_000_000_000).step_by(99_991)) {
            let at = index(nanos);
            assert!(at == last || at == last + 1 || nanos > 5000, "{nanos}");
            last = at;
            let bound = highest(at);
            assert!(
                bound >= nanos.min(NANOS_MAX) && bound - nanos.min(bound) <= nanos / 32,
                "{nanos} {bound}"
            );
        }
        assert_eq!(last, LEN - 1);
    }

    #[test]
    fn cumulative_rows_and_percentiles() {
        let histogram = Histogram::default();
        let mut sum = Distribution::default();
        assert!(sum.cumulative().is_empty());
        assert_eq!(sum.percentile(50.0), 0);
        for micros in [1, 3, 3, 20, 50] {
            histogram.record(micros * 1000);
        }
        histogram.add_to(&mut sum);
        assert_eq!(sum.total(), 5);
        assert_eq!(sum.cumulative(), [(1, 1), (4, 3), (33, 4), (66, 5)]);
        assert_eq!(sum.percentile(50.0) / 100, 30);
        assert!((50_000..52_000).contains(&sum.percentile(99.9)));
        let earlier = sum.clone();
        histogram.record(5_000_000_000);
        let mut now = Distribution::default();
        histogram.add_to(&mut now);
        now.subtract(&earlier);
        assert_eq!(now.cumulative(), [(1_082_130, 1)]);
    }
}
