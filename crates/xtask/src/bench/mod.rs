//! `cargo xtask bench`: speed and memory of ours and the peers, side by side on the same core in one run.
//!
//! All servers run at the same time, pinned to one core; only the one being measured gets requests. `redis-benchmark`
//! runs on another core. Repeats are interleaved, so that a slow minute of the machine hits all alike; the tables
//! hold medians.

mod append;
mod big_saves;
mod blocked;
pub(crate) mod floor;
mod forward;
mod latency;
mod link;
mod loading;
mod memory;
mod options;
mod persistence;
mod proxy;
mod push;
mod replication;
mod report;
mod server;
mod speed;
mod stall;

use crate::process::{cargo, find_program, output, run as run_program, target_dir};
use anyhow::{Context, Result};
use options::Options;
use server::Contender;
use std::path::PathBuf;
use std::process::Command;

pub(crate) use options::USAGE;

/// Core the servers run on.
const SERVER_CORE: &str = "0";
/// Core the load generator runs on.
const LOAD_CORE: &str = "1";

/// Runs what the arguments choose and prints Markdown tables.
///
/// # Errors
/// When a program is missing or a server fails.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    for program in ["taskset", "redis-benchmark"] {
        find_program(program)
            .with_context(|| format!("{program} is not in PATH (packages util-linux, redis-tools)"))?;
    }
    let contenders = contenders(&options)?;
    println!("`cargo xtask bench {}`\n", arguments.join(" "));
    for contender in &contenders {
        println!("- {}: {}", contender.name, contender.version()?);
    }
    println!();
    if options.speed {
        let mut contenders = contenders.clone();
        if options.floor {
            contenders.push(floor::contender()?);
        }
        speed::run(&options, &contenders)?;
    }
    if options.memory {
        memory::run(&options, &contenders)?;
    }
    if options.stall {
        stall::run(&options, &contenders[0])?;
    }
    if options.persistence {
        persistence::run(&options, &contenders)?;
        append::run(&options, &contenders)?;
    }
    if options.forward {
        forward::run(&options, &contenders[0])?;
    }
    if options.failover {
        let ours = contenders[0].program.to_str().context("a path that is text")?;
        crate::e2e::failover(ours, options.rounds)?;
    }
    if options.replication {
        replication::run(&options, &contenders)?;
    }
    if options.push || options.blocked || options.latency {
        // Here the load comes from this process.
        let own = std::process::id().to_string();
        output(Command::new("taskset").args(["-cp", LOAD_CORE, &own]))?;
    }
    if options.latency {
        latency::run(&options, &contenders)?;
    }
    if options.push {
        push::run(&options, &contenders)?;
    }
    if options.blocked {
        blocked::run(&options, &contenders)?;
    }
    Ok(())
}

/// Ours first, then the peers that are there.
fn contenders(options: &Options) -> Result<Vec<Contender>> {
    let ours = match &options.server {
        Some(path) => path.clone(),
        None => {
            run_program(cargo().args([
                "build",
                "--release",
                "--package",
                "redoubt",
                "--bin",
                "redoubt-server",
            ]))?;
            target_dir().join("release/redoubt-server")
        }
    };
    let mut contenders = vec![Contender::new("redoubt", ours)];
    let folder = std::env::var_os("REDOUBT_PEERS").map_or_else(|| target_dir().join("peers"), PathBuf::from);
    let peers = [
        ("redis7", find_program("redis-server")),
        ("redis8", Some(folder.join("redis8/redis-server"))),
        ("valkey9", Some(folder.join("valkey9/valkey-server"))),
    ];
    for (name, program) in peers {
        if options
            .peers
            .as_ref()
            .is_some_and(|chosen| !chosen.iter().any(|peer| peer.eq_ignore_ascii_case(name)))
        {
            continue;
        }
        match program.filter(|path| path.exists()) {
            Some(program) => contenders.push(Contender::new(name, program)),
            None => eprintln!("{name} is not on this machine: `cargo xtask peers` gets redis8 and valkey9"),
        }
    }
    for path in options.peers.iter().flatten().filter(|peer| peer.contains('/')) {
        contenders.push(Contender::new("other build", std::path::absolute(path)?));
    }
    Ok(contenders)
}
