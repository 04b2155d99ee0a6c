//! Replication beside the peers: what a replica costs under load, what a full sync costs, and what becomes of a cut.
//!
//! Both ends are the same program. A section is a function that prints one table; `run` lists them.

use super::link::{Link, encode};
use super::options::Options;
use super::persistence::{CORES, Folder, Stop, key, probe, value, watch};
use super::report::{Table, cell, median};
use super::server::{Contender, Running};
use super::{LOAD_CORE, SERVER_CORE, proxy::Proxy};
use crate::process::output;
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Requests of the load, before `--scale`.
const REQUESTS: f64 = 3_000_000.0;
/// Keys of a full sync, before `--scale`: with their names and values about 1 GB.
const FULL_KEYS: f64 = 8_000_000.0;
/// How long the link is cut.
const CUT: Duration = Duration::from_secs(2);
/// How long a replica may take to catch up.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Measures and prints the tables.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    under_load(options, contenders)?;
    full_syncs(options, contenders)?;
    cuts(contenders)
}

/// Figures by contender, of which the tables show medians.
struct Figures<'c> {
    names: Vec<&'c str>,
    runs: Vec<Vec<Vec<f64>>>,
}

impl<'c> Figures<'c> {
    fn collect(
        repeats: usize,
        contenders: &'c [Contender],
        what: &str,
        measure: impl Fn(&Contender) -> Result<Vec<f64>>,
    ) -> Result<Figures<'c>> {
        let mut runs = vec![Vec::new(); contenders.len()];
        for repeat in 0..repeats {
            for (contender, runs) in contenders.iter().zip(&mut runs) {
                eprintln!("{what} {}: {}", repeat + 1, contender.name);
                runs.push(measure(contender)?);
            }
        }
        Ok(Figures { names: contenders.iter().map(|contender| contender.name).collect(), runs })
    }

    /// Prints a row for each name and unit; those that are `compared` show what ours is relative to the others.
    fn print(&self, rows: &[(&str, &str, bool)]) {
        let mut table = Table::new(&["", ""], &self.names);
        for (index, (name, unit, compared)) in rows.iter().enumerate() {
            let middle =
                |runs: &Vec<Vec<f64>>| median(&runs.iter().map(|run| run[index]).collect::<Vec<_>>());
            let all: Vec<f64> = self.runs.iter().map(middle).collect();
            let cells = all.iter().enumerate().map(|(index, value)| {
                cell(&format!("{value:.2}"), (*compared && index > 0 && *value > 0.0).then(|| all[0] / value))
            });
            table.row(&[(*name).to_owned(), (*unit).to_owned()], &cells.collect::<Vec<_>>());
        }
        println!("{table}");
    }
}

fn under_load(options: &Options, contenders: &[Contender]) -> Result<()> {
    let requests = (REQUESTS * options.scale).max(1000.0) as u64;
    println!(
        "One replica, {requests} SET of random ones of {} keys at `-P 16`, 50 connections; the primary on a core of its \
         own. The lag is the time until the replica has what the primary had, asked every {} ms.\n",
        options.keys,
        LOOK_EVERY.as_millis()
    );
    let figures = Figures::collect(options.repeats, contenders, "load", |contender| {
        load(contender, requests, options.keys)
    })?;
    figures.print(&[
        ("CPU of the primary", "us per SET", true),
        ("the same without a replica", "us per SET", true),
        ("CPU of the replica", "us per SET", true),
        ("SET", "k/s", false),
        ("lag, median", "ms", false),
        ("lag, longest", "ms", false),
    ]);
    Ok(())
}

fn load(contender: &Contender, requests: u64, keys: u64) -> Result<Vec<f64>> {
    let folder = Folder::new("replicas")?;
    let primary = start(contender, SERVER_CORE, &folder, &[])?;
    let benchmark = || {
        let (port, count, keys) = (primary.port.to_string(), requests.to_string(), keys.to_string());
        let args = ["-p", &port, "-t", "set", "-n", &count, "-r", &keys, "-P", "16", "-c", "50", "-q"];
        output(Command::new("taskset").args(["-c", LOAD_CORE, "redis-benchmark"]).args(args))
    };
    let per_call = |before: f64, after: f64| (after - before) / requests as f64;
    let before = primary.cpu_us()?;
    benchmark()?;
    let alone = per_call(before, primary.cpu_us()?);
    let replica = start(contender, LOAD_CORE, &folder, &["--repl-diskless-sync-delay", "0"])?;
    follow(&replica, primary.port)?;
    await_equal(&primary, &replica)?;
    let (on_primary, on_replica) = (primary.cpu_us()?, replica.cpu_us()?);
    let stop = AtomicBool::new(false);
    let (seconds, lags) = std::thread::scope(|scope| -> Result<(f64, Vec<f64>)> {
        let _stop = Stop(&stop);
        let lags = scope.spawn(|| lags(&primary, &replica, &stop));
        let started = Instant::now();
        benchmark()?;
        let seconds = started.elapsed().as_secs_f64();
        stop.store(true, Relaxed);
        Ok((seconds, lags.join().expect("the prober does not panic")?))
    })?;
    await_equal(&primary, &replica)?;
    Ok(vec![
        per_call(on_primary, primary.cpu_us()?),
        alone,
        per_call(on_replica, replica.cpu_us()?),
        requests as f64 / seconds / 1e3,
        median(&lags),
        lags.iter().copied().fold(0.0, f64::max),
    ])
}

/// How long the replica took each time to get where the primary was, milliseconds.
fn lags(primary: &Running, replica: &Running, stop: &AtomicBool) -> Result<Vec<f64>> {
    let (mut here, mut there) = (Link::open(primary.port)?, Link::open(replica.port)?);
    let mut lags = Vec::new();
    while !stop.load(Relaxed) {
        let wanted = offset(&mut here)?;
        let asked = Instant::now();
        while offset(&mut there)? < wanted {
            std::thread::sleep(LOOK_EVERY / 4);
        }
        lags.push(asked.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(lags)
}

fn full_syncs(options: &Options, contenders: &[Contender]) -> Result<()> {
    let keys = (FULL_KEYS * options.scale).max(1000.0) as u64;
    println!(
        "Full sync of {keys} keys with values of 100 bytes to one replica, and to three that join at once, with the default \
         settings, while a client reads one key at a time; both cores. Memory is PSS, children included.\n"
    );
    let figures = Figures::collect(options.repeats, contenders, "full sync", |contender| {
        let mut figures = full_sync(contender, keys, 1)?;
        figures.extend(full_sync(contender, keys, 3)?);
        Ok(figures)
    })?;
    let names = [
        ("time", "s", true),
        // One walk is to serve all. The reader's share is in it, and a forked child's is not.
        ("CPU of the primary", "s", false),
        ("growth at most", "%", false),
        ("longest wait before", "ms", false),
        ("longest wait meanwhile", "ms", false),
    ];
    let rows: Vec<(String, &str, bool)> = ["one replica", "three replicas"]
        .iter()
        .flat_map(|count| names.map(|(name, unit, compared)| (format!("{count}: {name}"), unit, compared)))
        .collect();
    let rows: Vec<(&str, &str, bool)> =
        rows.iter().map(|(name, unit, compared)| (name.as_str(), *unit, *compared)).collect();
    figures.print(&rows);
    Ok(())
}

fn full_sync(contender: &Contender, keys: u64, count: usize) -> Result<Vec<f64>> {
    let folder = Folder::new("replicas")?;
    let primary = start(contender, CORES, &folder, &[])?;
    Link::open(primary.port)?.fill(keys, |number| vec!["SET".into(), key(number), value(number)])?;
    let replicas = (0..count).map(|_| start(contender, CORES, &folder, &[])).collect::<Result<Vec<_>>>()?;
    let (stop, syncing) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let probe = scope.spawn(|| probe(primary.port, keys, &stop, &syncing));
        let watch = scope.spawn(|| watch(&primary, &stop, &syncing));
        std::thread::sleep(Duration::from_secs(1));
        let before = primary.cpu_us()?;
        syncing.store(true, Relaxed);
        let started = Instant::now();
        for replica in &replicas {
            follow(replica, primary.port)?;
        }
        for replica in &replicas {
            await_equal(&primary, replica)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let cpu = (primary.cpu_us()? - before) / 1e6;
        syncing.store(false, Relaxed);
        stop.store(true, Relaxed);
        let stall = probe.join().expect("the prober does not panic")?;
        let memory = watch.join().expect("the watcher does not panic")?;
        let expected = Link::open(primary.port)?.call(&["DBSIZE"])?;
        for replica in &replicas {
            let size = Link::open(replica.port)?.call(&["DBSIZE"])?;
            anyhow::ensure!(size == expected, "a replica has {size} keys in place of {expected}");
        }
        Ok(vec![seconds, cpu, (memory.1 / memory.0 - 1.0) * 100.0, stall.0, stall.1])
    })
}

/// What becomes of a replica whose link is cut, by how much is written meanwhile and how long the backlog is.
fn cuts(contenders: &[Contender]) -> Result<()> {
    println!(
        "A link that is cut for {} s while one connection writes values of 100 bytes at this pace: how the replica goes on, and \
         how long it takes from then on until it has everything.\n",
        CUT.as_secs()
    );
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let mut table = Table::new(&["SET per second", "repl-backlog-size"], &names);
    for (pace, backlog) in [(2_000, "1mb"), (20_000, "16mb"), (50_000, "64mb")] {
        let mut cells = Vec::new();
        for contender in contenders {
            eprintln!("cut: {}, {pace} per second", contender.name);
            let (way, seconds) = cut(contender, pace, backlog)?;
            cells.push(format!("{way}, {:.0} ms", seconds * 1e3));
        }
        table.row(&[pace.to_string(), backlog.to_owned()], &cells);
    }
    println!("{table}");
    Ok(())
}

fn cut(contender: &Contender, pace: u64, backlog: &str) -> Result<(&'static str, f64)> {
    let settings = ["--repl-diskless-sync-delay", "0", "--repl-backlog-size", backlog];
    let folder = Folder::new("replicas")?;
    let primary = start(contender, CORES, &folder, &settings)?;
    let replica = start(contender, CORES, &folder, &settings)?;
    let proxy = Proxy::new(primary.port)?;
    follow(&replica, proxy.port)?;
    await_equal(&primary, &replica)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let writer = scope.spawn(|| write_at(primary.port, pace, &stop));
        std::thread::sleep(Duration::from_secs(1));
        let mut here = Link::open(primary.port)?;
        let fulls = number(&mut here, "stats", "sync_full")?;
        proxy.cut(CUT);
        let (started, mut there) = (Instant::now(), Link::open(replica.port)?);
        while !there.call(&["INFO", "replication"])?.contains("master_link_status:up")
            || offset(&mut there)? + 100_000 < offset(&mut here)?
        {
            anyhow::ensure!(started.elapsed() < PATIENCE, "the link does not come back");
            std::thread::sleep(LOOK_EVERY);
        }
        let seconds = started.elapsed().as_secs_f64();
        stop.store(true, Relaxed);
        writer.join().expect("the writer does not panic")?;
        await_equal(&primary, &replica)?;
        let again = number(&mut here, "stats", "sync_full")? > fulls;
        Ok((if again { "full" } else { "partial" }, seconds))
    })
}

fn write_at(port: u16, pace: u64, stop: &AtomicBool) -> Result<()> {
    const TURNS: u64 = 100;
    let mut link = Link::open(port)?;
    let (mut next, mut number, mut bulks) = (Instant::now(), 0, Vec::new());
    while !stop.load(Relaxed) {
        let mut bytes = Vec::new();
        for _ in 0..pace / TURNS {
            number += 1;
            encode(&mut bytes, &["SET", &key(number % 100_000), &value(number)]);
        }
        link.send(&bytes)?;
        for _ in 0..pace / TURNS {
            link.reply(&mut bulks)?;
        }
        next += Duration::from_secs(1) / TURNS as u32;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Starts a server with files in a folder that goes with the measurement: replicas of Redis keep what they are sent.
fn start(contender: &Contender, cores: &str, folder: &Folder, settings: &[&str]) -> Result<Running> {
    let path = folder.path().display().to_string();
    let all: Vec<&str> = ["--dir", path.as_str()].iter().chain(settings).copied().collect();
    contender.start_on(cores, &all)
}

fn follow(replica: &Running, port: u16) -> Result<()> {
    Link::open(replica.port)?.call(&["REPLICAOF", "127.0.0.1", &port.to_string()]).map(drop)
}

/// Waits until the replica has everything.
fn await_equal(primary: &Running, replica: &Running) -> Result<()> {
    let (mut here, mut there) = (Link::open(primary.port)?, Link::open(replica.port)?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let up = there.call(&["INFO", "replication"])?.contains("master_link_status:up");
        if up && offset(&mut here)? <= offset(&mut there)? {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the replica of {} does not catch up", primary.name);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn offset(link: &mut Link) -> Result<u64> {
    number(link, "replication", "master_repl_offset")
}

fn number(link: &mut Link, section: &str, name: &str) -> Result<u64> {
    let info = link.call(&["INFO", section])?;
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.with_context(|| format!("no {name}"))?.trim().parse().context("a number")
}
