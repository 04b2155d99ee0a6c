//! `cargo xtask sim`: builds and runs the simulator.

use crate::process::{cargo, run as run_program};
use anyhow::Result;

/// Hands its arguments to the simulator.
///
/// # Errors
/// When a seed fails.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    run_program(cargo().args(["run", "--quiet", "--package", "redoubt-sim", "--"]).args(arguments))
}
