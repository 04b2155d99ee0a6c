//! Runs seeds until one fails or the time is over. `cargo xtask sim` calls it.

use redoubt_sim::{Rule, Rules, run};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask sim [--seed N] [--minutes M] [--threads T] [--without RULE]

  --seed N         where to begin; alone: runs this seed and prints what happens in it
  --minutes M      runs seeds from there on for so long
  --threads T      on so many threads; all cores if not given
  --without RULE   with a rule broken, by its name in crates/ha/src/rules.rs: something must be found
";

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);

struct Options {
    seed: Option<u64>,
    minutes: Option<f64>,
    threads: usize,
    rules: Rules,
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match options {
        Options { seed: Some(seed), minutes: None, rules, .. } => replay(seed, rules),
        Options { seed, minutes, threads, rules } => {
            let minutes = Duration::from_secs_f64(minutes.unwrap_or(1.0) * 60.0);
            search(seed.unwrap_or(0), minutes, threads, rules)
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options { seed: None, minutes: None, threads, rules: Rules::default() };
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--seed" => options.seed = Some(value.parse().ok()?),
            "--minutes" => options.minutes = Some(value.parse().ok().filter(|minutes| *minutes > 0.0)?),
            "--threads" => options.threads = value.parse().ok().filter(|threads| *threads > 0)?,
            "--without" => {
                let mut rules = Rule::DESIGN.into_iter().chain(Rule::MENDED);
                options.rules = Rules::without(rules.find(|rule| format!("{rule:?}") == value)?);
            }
            _ => return None,
        }
    }
    Some(options)
}

/// Prints everything that happens in one seed.
fn replay(seed: u64, rules: Rules) -> ExitCode {
    let outcome = run(seed, rules, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    match outcome.violation {
        Some(violation) => {
            println!("seed {seed} fails: {violation}");
            ExitCode::FAILURE
        }
        None => {
            println!(
                "seed {seed} passes: {} replies, {} epochs, well {:.1} s after the last fault",
                outcome.acknowledged,
                outcome.failovers,
                outcome.healed_after as f64 / 1e6
            );
            ExitCode::SUCCESS
        }
    }
}

/// Runs one seed after the other.
fn search(first: u64, time: Duration, threads: usize, rules: Rules) -> ExitCode {
    let (next, failed, over) = (AtomicU64::new(first), AtomicU64::new(u64::MAX), AtomicBool::new(false));
    let begun = Instant::now();
    let work = || {
        while !over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if run(seed, rules, false).violation.is_some() {
                failed.fetch_min(seed, Ordering::Relaxed);
                over.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
        let mut told = begun;
        while begun.elapsed() < time && !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                report(first, next.load(Ordering::Relaxed), begun);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    report(first, next.load(Ordering::Relaxed), begun);
    match failed.load(Ordering::Relaxed) {
        u64::MAX => ExitCode::SUCCESS,
        seed => replay(seed, rules),
    }
}

fn report(first: u64, next: u64, begun: Instant) {
    let (seeds, seconds) = (next - first, begun.elapsed().as_secs_f64());
    println!("seeds {first} to {next}: {seeds} in {seconds:.0} s, {:.0} per second", seeds as f64 / seconds);
}
