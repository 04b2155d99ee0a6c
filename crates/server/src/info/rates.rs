//! Rates over the last moments: operations and bytes per second, from samples the control thread takes.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time between samples; more frequent calls are ignored.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Samples a rate is averaged over.
const SAMPLES: usize = 16;

/// Running totals at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Commands processed.
    pub commands: u64,
    /// Bytes read from clients and the primary.
    pub net_in: u64,
    /// Bytes written to clients.
    pub net_out: u64,
    /// Of those read, from the primary.
    pub repl_in: u64,
    /// Of those written, to replicas.
    pub repl_out: u64,
}

/// Averages per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerSecond {
    /// Commands.
    pub commands: f64,
    /// Bytes read.
    pub net_in: f64,
    /// Bytes written.
    pub net_out: f64,
    /// Bytes read from the primary.
    pub repl_in: f64,
    /// Bytes written to replicas.
    pub repl_out: f64,
}

/// Samples of the last 1.6 seconds.
#[derive(Debug, Default)]
pub struct Rates {
    samples: Mutex<VecDeque<(Instant, Totals)>>,
}

impl Rates {
    /// Notes the totals at `now`. They are asked for only when a sample is due.
    pub fn sample(&self, now: Instant, totals: impl FnOnce() -> Totals) {
        let mut samples = self.samples.lock();
        if samples.back().is_some_and(|(last, _)| now.saturating_duration_since(*last) < SAMPLE_EVERY) {
            return;
        }
        if samples.len() > SAMPLES {
            samples.pop_front();
        }
        samples.push_back((now, totals()));
    }

    /// Averages over the samples kept; totals that went back (CONFIG RESETSTAT) count as nothing.
    pub fn per_second(&self) -> PerSecond {
        let samples = self.samples.lock();
        let (Some((first, from)), Some((last, to))) = (samples.front(), samples.back()) else {
            return PerSecond::default();
        };
        let seconds = last.saturating_duration_since(*first).as_secs_f64();
        if seconds == 0.0 {
            return PerSecond::default();
        }
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        PerSecond {
            commands: rate(from.commands, to.commands),
            net_in: rate(from.net_in, to.net_in),
            net_out: rate(from.net_out, to.net_out),
            repl_in: rate(from.repl_in, to.repl_in),
            repl_out: rate(from.repl_out, to.repl_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_over_the_window() {
        let rates = Rates::default();
        assert_eq!(rates.per_second(), PerSecond::default());
        let start = Instant::now();
        for step in 0..100u64 {
            let totals = Totals { commands: step * 10, net_in: step, ..Totals::default() };
            rates.sample(start + SAMPLE_EVERY * step as u32, || totals);
            rates.sample(start + SAMPLE_EVERY * step as u32, || unreachable!("too early"));
        }
        assert!((rates.per_second().commands - 100.0).abs() < 1e-6);
        assert!((rates.per_second().net_in - 10.0).abs() < 1e-6);
        rates.sample(start + SAMPLE_EVERY * 100, Totals::default);
        assert_eq!(rates.per_second().commands, 0.0);
    }
}
