//! What waiting for the in-sync replicas costs: throughput with `ha-acks in-sync` and with `local`.

use crate::deployment::{Deployment, Options};
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// Pairs of runs, interleaved.
const REPEATS: usize = 5;
const REQUESTS: usize = 1_000_000;

/// Measures and prints.
pub(super) fn run(options: &Options) -> Result<()> {
    let start = |acks| -> Result<Deployment> {
        Deployment::start(&options.clone().with("ha-acks", acks))?.context("a deployment on loopback")
    };
    let mut modes = [("local", start("local")?, Vec::new()), ("in-sync", start("in-sync")?, Vec::new())];
    for _ in 0..REPEATS {
        for (_, deployment, rates) in &mut modes {
            let primary = deployment.wait_ready()?;
            rates.push(rate(deployment.nodes[primary].address.port())?);
        }
    }
    println!("| `ha-acks` | SET, -P 16, 50 connections, median | worst | best |\n|---|---|---|---|");
    for (name, _, rates) in &mut modes {
        rates.sort_by(f64::total_cmp);
        println!(
            "| {name} | {:.0}/s | {:.0}/s | {:.0}/s |",
            rates[rates.len() / 2],
            rates[0],
            rates[rates.len() - 1]
        );
    }
    Ok(())
}

fn rate(port: u16) -> Result<f64> {
    let (port, requests) = (port.to_string(), REQUESTS.to_string());
    let arguments = ["-p", &port, "-n", &requests, "-P", "16", "-c", "50", "-r", "100000", "-d", "16"];
    let output = Command::new("redis-benchmark").args(arguments).args(["-t", "set", "--csv"]).output();
    let output = output.context("running redis-benchmark (package redis-tools)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "redis-benchmark: {text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find(|line| line.starts_with("\"SET\"")).context("no line of SET")?;
    let field = line.split(',').nth(1).context("no rate")?;
    Ok(field.trim_matches('"').parse()?)
}
