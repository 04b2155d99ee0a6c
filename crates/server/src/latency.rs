//! The latency monitor behind LATENCY: spikes per event, their history, a chart and a diagnosis.
//!
//! Rules: <https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency-monitor/>

use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

/// Spikes kept per event.
const SAMPLES_MAX: usize = 160;
/// Columns and rows of the chart.
const GRAPH_COLUMNS: usize = 80;
const GRAPH_ROWS: usize = 4;
/// Steps within one row of the chart.
const GRAPH_STEPS: [char; 3] = ['_', 'o', '#'];

/// A spike: the worst of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Unix time in seconds.
    pub time: i64,
    /// Milliseconds.
    pub millis: u64,
}

/// Spikes of one event.
#[derive(Clone, Debug, Default)]
pub struct Series {
    samples: VecDeque<Sample>,
    /// Worst since the last reset, milliseconds.
    pub max: u64,
}

impl Series {
    fn add(&mut self, time: i64, millis: u64) {
        self.max = self.max.max(millis);
        if let Some(last) = self.samples.back_mut()
            && last.time == time
        {
            last.millis = last.millis.max(millis);
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { time, millis });
    }

    /// The spikes, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + '_ {
        self.samples.iter().copied()
    }

    /// The newest spike; a series has at least one.
    pub fn latest(&self) -> Sample {
        self.samples.back().copied().unwrap_or(Sample { time: 0, millis: 0 })
    }

    fn range(&self) -> (u64, u64) {
        let millis = || self.samples.iter().map(|sample| sample.millis);
        (millis().min().unwrap_or(0), millis().max().unwrap_or(0))
    }
}

/// Records spikes of named events ("command", "fast-command", "expire-cycle", "eviction-cycle"...).
#[derive(Default)]
pub struct LatencyMonitor {
    events: Mutex<BTreeMap<&'static str, Series>>,
}

impl LatencyMonitor {
    /// Records a duration if it reaches `threshold` (`latency-monitor-threshold`, milliseconds; 0 = monitor off).
    #[inline]
    pub fn record(&self, event: &'static str, millis: u64, threshold: u64, time: i64) {
        if threshold != 0 && millis >= threshold {
            self.add(event, millis, time);
        }
    }

    #[cold]
    fn add(&self, event: &'static str, millis: u64, time: i64) {
        self.events.lock().entry(event).or_default().add(time, millis);
    }

    /// All events and their spikes, sorted by name.
    pub fn all(&self) -> Vec<(&'static str, Series)> {
        self.events.lock().iter().map(|(event, series)| (*event, series.clone())).collect()
    }

    /// The spikes of an event.
    pub fn series(&self, event: &[u8]) -> Option<Series> {
        let event = std::str::from_utf8(event).ok()?;
        self.events.lock().get(event).cloned()
    }

    /// Forgets the named events, or all of them if none is named. Returns how many were forgotten.
    pub fn reset(&self, names: &[&[u8]]) -> usize {
        let mut events = self.events.lock();
        let before = events.len();
        events.retain(|event, _| !names.is_empty() && !names.contains(&event.as_bytes()));
        before - events.len()
    }
}

/// LATENCY GRAPH of one event: a title and a chart of its spikes with their age below.
pub fn graph(event: &str, series: &Series, now: i64) -> String {
    let (low, high) = series.range();
    let mut out = format!("{event} - high {high} ms, low {low} ms (all time high {} ms)\n", series.max);
    out.extend(std::iter::repeat_n('-', GRAPH_COLUMNS));
    out.push('\n');
    let samples: Vec<Sample> = series.samples().collect();
    for part in samples.chunks(GRAPH_COLUMNS) {
        chart(&mut out, part, low, high);
        ages(&mut out, part, now);
    }
    out
}

fn chart(out: &mut String, samples: &[Sample], low: u64, high: u64) {
    let top = GRAPH_ROWS * GRAPH_STEPS.len() - 1;
    let span = (high - low).max(1) as f64;
    let heights: Vec<usize> = samples
        .iter()
        .map(|sample| ((sample.millis - low) as f64 / span * top as f64).round() as usize)
        .collect();
    for row in (0..GRAPH_ROWS).rev() {
        out.extend(heights.iter().map(|height| match height.checked_sub(row * GRAPH_STEPS.len()) {
            None => ' ',
            Some(step) => GRAPH_STEPS.get(step).copied().unwrap_or('|'),
        }));
        out.push('\n');
    }
}

/// Ages of the spikes written downwards, one column each, after an empty line.
fn ages(out: &mut String, samples: &[Sample], now: i64) {
    let labels: Vec<String> = samples.iter().map(|sample| age((now - sample.time).max(0))).collect();
    let rows = labels.iter().map(String::len).max().unwrap_or(0);
    out.extend(std::iter::repeat_n(' ', labels.len()));
    out.push('\n');
    for row in 0..rows {
        out.extend(
            labels.iter().map(|label| label.as_bytes().get(row).map_or(' ', |byte| char::from(*byte))),
        );
        out.push('\n');
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// Settings that the diagnosis refers to.
#[derive(Clone, Copy, Debug)]
pub struct DoctorSettings {
    /// `latency-monitor-threshold`, milliseconds.
    pub threshold: u64,
    /// `slowlog-log-slower-than`, microseconds.
    pub slower_than: i64,
}

/// LATENCY DOCTOR: what was seen, and what may be done about it.
pub fn doctor(events: &[(&'static str, Series)], settings: DoctorSettings) -> String {
    if settings.threshold == 0 && events.is_empty() {
        return "The latency monitor is off, so there is nothing to diagnose. Turn it on with \
                \"CONFIG SET latency-monitor-threshold <milliseconds>\": events that take at least this long are then recorded.\n"
            .to_owned();
    }
    if events.is_empty() {
        return "No latency spike was recorded since the server started or the monitor was reset.\n"
            .to_owned();
    }
    let mut out = "Latency spikes were recorded for these events:\n\n".to_owned();
    for (number, (event, series)) in events.iter().enumerate() {
        let _ = writeln!(out, "{}. {event}: {}", number + 1, summary(series));
    }
    out.push_str("\nWhat may help:\n\n");
    for advice in advice(events, settings) {
        let _ = writeln!(out, "- {advice}");
    }
    out
}

fn summary(series: &Series) -> String {
    let count = series.samples().len().max(1) as u64;
    let average = series.samples().map(|sample| sample.millis).sum::<u64>() / count;
    let deviation = series.samples().map(|sample| sample.millis.abs_diff(average)).sum::<u64>() / count;
    let first = series.samples().next().map_or(0, |sample| sample.time);
    let period = (series.latest().time - first) as f64 / count as f64;
    format!(
        "{count} latency spikes (average {average}ms, mean deviation {deviation}ms, period {period:.2} sec). \
         Worst all time event {}ms.",
        series.max
    )
}

fn advice(events: &[(&'static str, Series)], settings: DoctorSettings) -> Vec<String> {
    let seen = |name: &str| events.iter().any(|(event, _)| *event == name);
    let mut advice = Vec::new();
    if seen("command") {
        let threshold = settings.threshold.saturating_mul(1000);
        if settings.slower_than < 0 || settings.slower_than as u64 > threshold {
            advice.push(format!(
                "The slow log does not show the calls that caused these spikes. Use \"CONFIG SET slowlog-log-slower-than {threshold}\"."
            ));
        }
        advice.push("Look into the slow log (SLOWLOG GET) for the calls that take longest, and replace those over whole keyspaces or large values by incremental ones (SCAN, HSCAN, ranges).".into());
    }
    if seen("fast-command") {
        advice.push("Commands that do little work were slow: the machine itself is likely to be short of CPU or memory. Look for stolen CPU time, swapping and other processes on the same cores.".into());
    }
    if seen("expire-cycle") {
        advice.push("Many keys expire at the same moment. Add a random part to their time to live.".into());
    }
    if seen("eviction-cycle") || seen("eviction-del") {
        advice.push(
            "Evictions take long. Raise maxmemory, write less at once, or keep single values smaller.".into(),
        );
    }
    if advice.is_empty() {
        advice.push("Compare the times of the spikes (LATENCY HISTORY) with those of other work on this machine, disk writes above all.".into());
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(samples: &[(i64, u64)]) -> LatencyMonitor {
        let monitor = LatencyMonitor::default();
        samples.iter().for_each(|(time, millis)| monitor.record("command", *millis, 1, *time));
        monitor
    }

    #[test]
    fn one_sample_per_second_the_worst() {
        let series = monitor(&[(1, 5), (1, 9), (1, 7), (2, 3)]).series(b"command").expect("recorded");
        let samples: Vec<Sample> = series.samples().collect();
        assert_eq!(samples, [Sample { time: 1, millis: 9 }, Sample { time: 2, millis: 3 }]);
        assert_eq!((series.max, series.latest().millis), (9, 3));
    }

    #[test]
    fn keeps_the_newest_samples_and_the_worst() {
        let all: Vec<(i64, u64)> = (0..200).map(|n| (n, 200 - n as u64)).collect();
        let series = monitor(&all).series(b"command").expect("recorded");
        assert_eq!((series.samples().len(), series.max), (SAMPLES_MAX, 200));
        assert_eq!(series.samples().next().map(|sample| sample.time), Some(40));
    }

    #[test]
    fn threshold_and_reset() {
        let monitor = LatencyMonitor::default();
        monitor.record("command", 100, 0, 1);
        monitor.record("command", 9, 10, 1);
        assert!(monitor.all().is_empty());
        monitor.record("command", 10, 10, 1);
        monitor.record("expire-cycle", 10, 10, 1);
        assert_eq!(monitor.reset(&[b"nosuch", b"command"]), 1);
        assert_eq!(monitor.all().len(), 1);
        assert_eq!(monitor.reset(&[]), 1);
        assert!(monitor.series(b"expire-cycle").is_none());
    }

    #[test]
    fn graph_rises_with_the_spikes() {
        let samples = [(13, 2), (14, 12), (15, 30), (16, 5), (17, 7), (19, 20)];
        let series = monitor(&samples).series(b"command").expect("recorded");
        let dashes = "-".repeat(80);
        let expected = [
            "command - high 30 ms, low 2 ms (all time high 30 ms)",
            dashes.as_str(),
            "  #   ",
            "  |  o",
            " o|  |",
            "_||o#|",
            "      ",
            "111197",
            "3210ss",
            "ssss  ",
            "",
        ];
        assert_eq!(graph("command", &series, 26).split('\n').collect::<Vec<_>>(), expected);
    }

    #[test]
    fn ages_have_units() {
        assert_eq!([age(59), age(60), age(3600), age(90000)], ["59s", "1m", "1h", "1d"]);
    }

    #[test]
    fn doctor_names_events_and_advice() {
        let settings = DoctorSettings { threshold: 0, slower_than: 10_000 };
        assert!(doctor(&[], settings).contains("off"));
        let settings = DoctorSettings { threshold: 1, ..settings };
        assert!(doctor(&[], settings).starts_with("No latency spike"));
        let text = doctor(&monitor(&[(1, 10), (3, 20)]).all(), settings);
        assert!(
            text.contains("1. command: 2 latency spikes (average 15ms, mean deviation 5ms, period 1.00 sec)")
        );
        assert!(text.contains("slowlog-log-slower-than 1000"));
    }
}
