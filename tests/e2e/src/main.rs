//! `cargo xtask torture` and `cargo xtask bench --failover-only` call it.

use redoubt_e2e::{failover, torture};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: redoubt-e2e torture [--minutes M] [--seed N] [--faults N] [--server PATH]
       redoubt-e2e failover [--rounds N] [--server PATH]
";

fn main() -> ExitCode {
    let Some(run) = command(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

type Run = Box<dyn FnOnce() -> anyhow::Result<()>>;

fn command(mut arguments: impl Iterator<Item = String>) -> Option<Run> {
    let name = arguments.next()?;
    let mut faults = torture::Settings {
        time: Duration::from_secs(60),
        seed: fastrand::u64(..1 << 32),
        program: None,
        faults: 6,
    };
    let mut rounds = 20;
    while let Some(option) = arguments.next() {
        let value = arguments.next()?;
        match option.as_str() {
            "--minutes" => {
                faults.time = Duration::try_from_secs_f64(value.parse::<f64>().ok()? * 60.0).ok()?
            }
            "--seed" => faults.seed = value.parse().ok()?,
            "--faults" => faults.faults = value.parse().ok()?,
            "--rounds" => rounds = value.parse().ok().filter(|rounds| *rounds > 0)?,
            // Servers run in folders of their own.
            "--server" => faults.program = Some(std::fs::canonicalize(value).ok()?),
            _ => return None,
        }
    }
    match name.as_str() {
        "torture" => Some(Box::new(move || torture::run(&faults))),
        "failover" => {
            let settings = failover::Settings { program: faults.program, rounds };
            Some(Box::new(move || failover::run(&settings)))
        }
        _ => None,
    }
}
