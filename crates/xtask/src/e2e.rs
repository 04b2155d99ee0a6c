//! `cargo xtask torture` and the failover part of `cargo xtask bench`: builds the server and the harness, and runs them.

use crate::process::{cargo, run as run_program, target_dir};
use anyhow::{Context, Result};

/// Hands its arguments to the harness. `--release` builds the server with optimisations, `--server PATH` takes that program.
///
/// # Errors
/// When something was violated.
pub(crate) fn torture(arguments: &[String]) -> Result<()> {
    let release = arguments.iter().any(|argument| argument == "--release");
    let rest: Vec<String> = arguments.iter().filter(|argument| *argument != "--release").cloned().collect();
    let server = match rest.iter().any(|argument| argument == "--server") {
        true => Vec::new(),
        false => vec!["--server".to_owned(), build(release)?],
    };
    harness("torture", &[server, rest].concat())
}

/// Measures failover, of this program.
pub(crate) fn failover(server: &str, rounds: usize) -> Result<()> {
    harness("failover", &["--server".into(), server.into(), "--rounds".into(), rounds.to_string()])
}

fn harness(command: &str, arguments: &[String]) -> Result<()> {
    let mut run = cargo();
    run.args(["run", "--quiet", "--package", "redoubt-e2e", "--", command]);
    run_program(run.args(arguments))
}

fn build(release: bool) -> Result<String> {
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    run_program(cargo().args(["build", "--package", "redoubt", "--bin", "redoubt-server"]).args(profile))?;
    let path = target_dir().join(if release { "release" } else { "debug" }).join("redoubt-server");
    path.into_os_string().into_string().ok().context("a path that is text")
}
