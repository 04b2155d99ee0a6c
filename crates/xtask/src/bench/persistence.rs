//! Persistence beside the peers: what saving costs while clients write.
//!
//! A section is a function that prints one table; `run` lists them.

use super::link::{Link, encode};
use super::options::Options;
use super::report::{Table, cell};
use super::server::{Contender, Running};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Both cores: a fork needs one of its own, and so does a thread.
pub(super) const CORES: &str = "0,1";
/// Bytes of a value.
pub(super) const VALUE_BYTES: usize = 100;
/// Connections that write, requests in flight on each, and requests of all of them per second.
const WRITERS: usize = 4;
const PIPELINE: u64 = 16;
const WRITES_PER_SECOND: f64 = 100_000.0;
/// Between two calls of the client whose waiting is measured.
const PROBE_EVERY: Duration = Duration::from_micros(200);
/// How long it is measured before the save.
const BEFORE: Duration = Duration::from_secs(3);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Measures and prints the tables.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    bgsave_under_load(options, contenders)?;
    super::loading::run(options, contenders)?;
    super::big_saves::run(options, &contenders[0])
}

/// A folder for a server's files, removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("redoubt-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What one save cost.
struct Save {
    seconds: f64,
    /// Memory before, and at most during the save, bytes.
    memory: (f64, f64),
    /// Longest wait of a client before and during the save, milliseconds.
    stall: (f64, f64),
    /// Calls that the writers got answers to per second, during the save.
    writes: f64,
}

fn bgsave_under_load(options: &Options, contenders: &[Contender]) -> Result<()> {
    println!(
        "BGSAVE of {} keys with values of {VALUE_BYTES} bytes, while {WRITERS} connections SET random ones of them \
         ({WRITES_PER_SECOND} per second at `-P {PIPELINE}`) and another one reads one at a time; both cores. Memory is \
         that of the server and its children, pages they share counted once (PSS).\n",
        options.keys
    );
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let mut runs: Vec<Vec<Save>> = contenders.iter().map(|_| Vec::new()).collect();
    for repeat in 0..options.repeats {
        for (contender, runs) in contenders.iter().zip(&mut runs) {
            eprintln!("bgsave {}: {}", repeat + 1, contender.name);
            runs.push(save_under_load(options, contender)?);
        }
    }
    let middle =
        |runs: &[Save], of: fn(&Save) -> f64| super::report::median(&runs.iter().map(of).collect::<Vec<_>>());
    let mut table = Table::new(&["", ""], &names);
    let mut row = |name: &str, unit: &str, of: fn(&Save) -> f64, compared: bool| {
        let all: Vec<f64> = runs.iter().map(|runs| middle(runs, of)).collect();
        let cells = all.iter().enumerate().map(|(index, value)| {
            cell(&format!("{value:.2}"), (compared && index > 0).then(|| all[0] / value))
        });
        table.row(&[name.to_owned(), unit.to_owned()], &cells.collect::<Vec<_>>());
    };
    row("time of the save", "s", |save| save.seconds, true);
    row("memory before", "MB", |save| save.memory.0 / 1e6, true);
    row("growth at most", "%", |save| (save.memory.1 / save.memory.0 - 1.0) * 100.0, false);
    row("longest wait before", "ms", |save| save.stall.0, false);
    row("longest wait meanwhile", "ms", |save| save.stall.1, false);
    row("SET meanwhile", "k/s", |save| save.writes / 1e3, false);
    println!("{table}");
    Ok(())
}

fn save_under_load(options: &Options, contender: &Contender) -> Result<Save> {
    let folder = Folder::new(contender.name)?;
    let path = folder.path().display().to_string();
    let threads: &[&str] = if contender.name == "redoubt" { &["--io-threads", "2"] } else { &[] };
    let settings: Vec<&str> = ["--dir", &path].iter().chain(threads).copied().collect();
    let server = contender.start_on(CORES, &settings)?;
    let keys = options.keys;
    Link::open(server.port)?.fill(keys, |number| vec!["SET".into(), key(number), value(number)])?;
    let (stop, saving) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let writers: Vec<_> = (0..WRITERS as u64)
            .map(|writer| {
                let (stop, saving, port) = (&stop, &saving, server.port);
                scope.spawn(move || write(port, keys, writer, stop, saving))
            })
            .collect();
        let probe = scope.spawn(|| probe(server.port, keys, &stop, &saving));
        let watch = scope.spawn(|| watch(&server, &stop, &saving));
        std::thread::sleep(BEFORE);
        let mut link = Link::open(server.port)?;
        saving.store(true, Relaxed);
        let started = Instant::now();
        link.call(&["BGSAVE"])?;
        while link.call(&["INFO", "persistence"])?.contains("rdb_bgsave_in_progress:1") {
            std::thread::sleep(LOOK_EVERY);
        }
        let seconds = started.elapsed().as_secs_f64();
        saving.store(false, Relaxed);
        stop.store(true, Relaxed);
        let stall = probe.join().expect("the prober does not panic")?;
        let memory = watch.join().expect("the watcher does not panic")?;
        let mut written = 0;
        for writer in writers {
            written += writer.join().expect("the writers do not panic")?;
        }
        let status = link.call(&["INFO", "persistence"])?;
        anyhow::ensure!(status.contains("rdb_last_bgsave_status:ok"), "the save failed");
        Ok(Save { seconds, memory, stall, writes: written as f64 / seconds })
    })
}

/// Tells the others to stop, however this ends.
pub(super) struct Stop<'s>(pub(super) &'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

pub(super) fn key(number: u64) -> String {
    format!("key:{number:012}")
}

/// Text that hardly compresses.
pub(super) fn value(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state % 75) as u8)
    };
    (0..VALUE_BYTES).map(next).collect()
}

/// Writes random keys at the pace given. The number of calls answered while saving.
fn write(port: u16, keys: u64, writer: u64, stop: &AtomicBool, saving: &AtomicBool) -> Result<u64> {
    let mut link = Link::open(port)?;
    let pace = Duration::from_secs_f64(WRITERS as f64 * PIPELINE as f64 / WRITES_PER_SECOND);
    let (mut next, mut state, mut answered) = (Instant::now(), writer + 1, 0);
    let (mut bytes, mut bulks) = (Vec::new(), Vec::new());
    while !stop.load(Relaxed) {
        bytes.clear();
        for _ in 0..PIPELINE {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            encode(&mut bytes, &["SET", &key((state >> 33) % keys), &value(state)]);
        }
        link.send(&bytes)?;
        for _ in 0..PIPELINE {
            link.reply(&mut bulks)?;
        }
        answered += if saving.load(Relaxed) { PIPELINE } else { 0 };
        next += pace;
        match next.checked_duration_since(Instant::now()) {
            Some(early) => std::thread::sleep(early),
            // Who fell behind does not catch up: the load is as steady as the server lets it be.
            None => next = Instant::now(),
        }
    }
    Ok(answered)
}

/// Reads a key at a time; the longest wait before and while saving, milliseconds.
pub(super) fn probe(port: u16, keys: u64, stop: &AtomicBool, saving: &AtomicBool) -> Result<(f64, f64)> {
    let mut link = Link::open(port)?;
    let (mut before, mut meanwhile, mut state) = (Duration::ZERO, Duration::ZERO, 7u64);
    while !stop.load(Relaxed) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let name = key((state >> 33) % keys);
        let started = Instant::now();
        link.call(&["GET", &name])?;
        let longest = if saving.load(Relaxed) { &mut meanwhile } else { &mut before };
        *longest = started.elapsed().max(*longest);
        std::thread::sleep(PROBE_EVERY);
    }
    Ok((before.as_secs_f64() * 1e3, meanwhile.as_secs_f64() * 1e3))
}

/// Memory before saving and at most meanwhile, bytes.
pub(super) fn watch(server: &Running, stop: &AtomicBool, saving: &AtomicBool) -> Result<(f64, f64)> {
    let (mut before, mut most) = (0.0, 0.0f64);
    while !stop.load(Relaxed) {
        let now = server.proportional_bytes()?;
        if saving.load(Relaxed) {
            most = most.max(now);
        } else {
            before = now;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    anyhow::ensure!(before > 0.0, "nothing was measured before the save");
    Ok((before, most.max(before)))
}
