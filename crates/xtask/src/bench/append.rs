//! What the append-only file costs: SET with it, by `appendfsync`.

use super::SERVER_CORE;
use super::options::Options;
use super::report::Table;
use super::server::Contender;
use super::speed;
use anyhow::Result;
use std::path::PathBuf;
use std::time::Duration;

/// Commands sent at once.
const PIPELINE: u64 = 16;
/// Bytes of a value.
const VALUE_BYTES: u64 = 100;
/// Requests of one run, by policy: with `always` each batch waits for the disk.
const RUNS: &[(&str, f64)] = &[("everysec", 1_000_000.0), ("no", 1_000_000.0), ("always", 100_000.0)];

/// Longer than a server gathers what it writes.
const REST: Duration = Duration::from_millis(50);

/// A folder for one server, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(server: &str, policy: &str) -> Result<Folder> {
        let name = format!("redoubt-bench-aof-{server}-{policy}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left to the system's tidying if this fails.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Measures and prints one table.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    println!(
        "SET at -P {PIPELINE} with `appendonly yes`, values of {VALUE_BYTES} bytes, {} keys, median of {}; CPU is that of \
         all threads:\n",
        options.keys, options.repeats
    );
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let mut table = Table::new(&["appendfsync"], &names);
    for (policy, requests) in RUNS {
        let requests = (requests * options.scale).max(1000.0) as u64;
        let samples = measure(options, contenders, policy, requests)?;
        table.row(&[(*policy).to_owned()], &speed::cells(&samples));
    }
    println!("{table}");
    Ok(())
}

fn measure(
    options: &Options,
    contenders: &[Contender],
    policy: &str,
    requests: u64,
) -> Result<Vec<speed::Samples>> {
    let mut started = Vec::new();
    for contender in contenders {
        let folder = Folder::new(contender.name, policy)?;
        let path = folder.0.display().to_string();
        let settings = [
            "--appendonly",
            "yes",
            "--appendfsync",
            policy,
            "--auto-aof-rewrite-percentage",
            "0",
            "--dir",
            &path,
        ];
        started.push((contender.start_on(SERVER_CORE, &settings)?, folder));
    }
    let mut samples: Vec<speed::Samples> = started.iter().map(|_| speed::Samples::default()).collect();
    for repeat in 0..options.repeats {
        for ((server, _), samples) in started.iter().zip(&mut samples) {
            eprintln!("appendfsync {policy}: {} {}/{}", server.name, repeat + 1, options.repeats);
            let before = server.cpu_us()?;
            samples.rate.push(speed::set(server, PIPELINE, VALUE_BYTES, options.keys, requests)?);
            // What is still being written belongs to the run.
            std::thread::sleep(REST);
            samples.cpu_us.push((server.cpu_us()? - before) / requests as f64);
        }
    }
    Ok(samples)
}
