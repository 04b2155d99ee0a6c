//! Developer commands, called as `cargo xtask <command>`.

mod bench;
mod docs;
mod e2e;
mod peers;
mod process;
mod sim;
mod test;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [cargo test arguments]   everything CI checks: build, tidy, unit, conversation, client and doc tests
  tidy                          the house rules a compiler does not check
  sim [--seed N] [--minutes M] [--threads T] [--without RULE]
                                the simulator of whole deployments: a seed with its trace, or as many as fit
  torture [--minutes M] [--seed N] [--release | --server PATH]
                                random faults on real deployments under load, with a checked history
  docs [--check]                writes docs/commands.md and docs/config.md from the tables, or says if they are old
  peers [folder]                puts valkey 9 and redis 8 into target/peers, for comparisons (Debian)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not returned from main: the backtrace that would be printed hides the list of offences.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("{USAGE}{}", bench::USAGE);
    };
    match command.as_str() {
        "test" => test::run(rest),
        "bench" => bench::run(rest),
        "sim" => sim::run(rest),
        "torture" => e2e::torture(rest),
        "docs" => docs::run(rest),
        "tidy" => tidy::run(),
        "peers" => peers::run(rest),
        // The server of `bench --floor`.
        "floor" => bench::floor::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}{}", bench::USAGE);
            Ok(())
        }
        _ => bail!("unknown command {command}\n{USAGE}{}", bench::USAGE),
    }
}
