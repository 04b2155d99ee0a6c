//! How long clients wait when a primary fails or hands over, and what they lose: a table.

mod acks;
mod measure;

use crate::deployment::Options;
use anyhow::Result;
use measure::{Bench, Row};
use std::path::PathBuf;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server.
    pub program: Option<PathBuf>,
    /// Faults of each kind. Rolling restarts and long pauses are a fifth as many.
    pub rounds: usize,
}

/// Measures and prints Markdown.
///
/// # Errors
/// When a deployment does not come back, or a promise was broken.
pub fn run(settings: &Settings) -> Result<()> {
    let options = Options { program: settings.program.clone(), ..Options::default() };
    let cuttable = rustix::process::geteuid().is_root();
    let few = settings.rounds.div_ceil(5);
    let mut rows = Vec::new();
    {
        let mut bench = Bench::start(&Options { cuttable, ..options.clone() })?;
        rows.push(bench.measure("kill -9 of the primary", settings.rounds, Bench::kill)?);
        let silence = if bench.can_cut() {
            "silence of the primary (packets vanish)"
        } else {
            "SIGSTOP of the primary"
        };
        rows.push(bench.measure(silence, settings.rounds, Bench::silence)?);
        rows.push(bench.measure("SIGSTOP of the primary for 10 s", few, Bench::suspend)?);
        rows.push(bench.measure("SIGTERM of the primary", settings.rounds, Bench::terminate)?);
        rows.push(bench.measure("rolling restart of all", few, Bench::roll)?);
    }
    println!("{}", Row::HEAD);
    for row in &rows {
        println!("{row}");
    }
    println!();
    acks::run(&options)
}
