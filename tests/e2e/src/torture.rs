//! Random faults at random times, round after round: each round is a deployment of its own, and one seed.

use crate::checker::{self, Final};
use crate::deployment::{DISK_MEGABYTES, Deployment, Options, PATIENCE};
use crate::disk::SmallDisk;
use crate::link::Link;
use crate::load::{Load, LoadOptions};
use crate::network::Place;
use anyhow::{Context, Result, bail};
use fastrand::Rng;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For how long; at least one round.
    pub time: Duration,
    /// The first round's seed; every further one has the next.
    pub seed: u64,
    /// The server.
    pub program: Option<PathBuf>,
    /// Faults of a round.
    pub faults: usize,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill(usize),
    /// Killed, and its disk is lost.
    Lose(usize),
    KillMajority(usize),
    KillAll,
    Terminate(usize),
    Suspend(usize),
    /// Cut off from everybody.
    Silence(usize),
    /// Cut off from the other nodes; clients reach it.
    Part(usize),
    /// Half the clients' world: this node and the clients on one side.
    PartWithClients(usize),
    /// What the first says does not reach the second.
    Deafen(usize, usize),
    /// FAILOVER, asked of any node.
    HandOver(usize),
    /// Its disk is full.
    Fill(usize),
    /// Its disk hangs.
    Freeze(usize),
    /// Killed and forgotten: it comes back as another.
    Forget(usize),
    /// A command holds all its data, for less or more time than data threads may hang, milliseconds.
    Hang(usize, u64),
}

impl Fault {
    /// Whether a copy may be gone for good.
    fn costs_a_copy(self, durable: bool) -> bool {
        match self {
            Fault::Lose(_) | Fault::Forget(_) => true,
            Fault::Kill(_) | Fault::Terminate(_) => !durable,
            _ => false,
        }
    }

    fn choose(rng: &mut Rng, primary: usize, deployment: &Deployment, durable: bool) -> Fault {
        let count = deployment.nodes.len();
        let node = if rng.u8(0..10) < 6 { primary } else { rng.usize(0..count) };
        let other = (node + rng.usize(1..count)) % count;
        let crashes = [Fault::Kill(node), Fault::Lose(node), Fault::Terminate(node), Fault::Suspend(node)];
        let mut faults =
            [&crashes[..], &[Fault::Suspend(node), Fault::HandOver(rng.usize(0..count))]].concat();
        if durable {
            faults.extend([Fault::KillMajority(node), Fault::KillAll, Fault::Kill(node)]);
        }
        faults.extend([Fault::Hang(node, rng.u64(200..6000)), Fault::Forget(node)]);
        if !deployment.disks.is_empty() {
            faults.extend([Fault::Fill(node), Fault::Fill(node), Fault::Freeze(node)]);
        }
        if deployment.network.can_cut() {
            faults.extend([Fault::Silence(node), Fault::Part(node), Fault::PartWithClients(node)]);
            faults.extend([Fault::Deafen(node, other), Fault::Deafen(other, node)]);
        }
        faults[rng.usize(0..faults.len())]
    }
}

/// Runs rounds until one fails or the time is over.
///
/// # Errors
/// At the first violation: what was violated, and where logs and history are.
pub fn run(settings: &Settings) -> Result<()> {
    let end = Instant::now() + settings.time;
    let mut seed = settings.seed;
    loop {
        let begun = Instant::now();
        let done = round(settings, seed).with_context(|| format!("seed {seed}"))?;
        println!("seed {seed}: {done} ({:.1} s)", begun.elapsed().as_secs_f64());
        seed += 1;
        if Instant::now() > end {
            println!("{} rounds, nothing was violated", seed - settings.seed);
            return Ok(());
        }
    }
}

fn round(settings: &Settings, seed: u64) -> Result<String> {
    let mut rng = Rng::with_seed(seed);
    let count = if rng.u8(0..4) == 0 { 5 } else { 3 };
    let is_root = rustix::process::geteuid().is_root();
    let options = Options {
        program: settings.program.clone(),
        nodes: count,
        founders: count,
        durable: rng.bool(),
        cuttable: is_root,
        disk: is_root.then_some(DISK_MEGABYTES),
        settings: Vec::new(),
    };
    // Shorter than the default, so that there is time for it.
    let mut options = options.with("enable-debug-command", "yes").with("ha-stall-timeout", "2500");
    let everysec = !options.durable && rng.bool();
    if everysec {
        options = options.with("appendonly", "yes").with("appendfsync", "everysec");
    }
    println!(
        "seed {seed}: {} nodes, {}",
        options.nodes,
        match options.durable {
            true => "on disk",
            false if everysec => "on disk every second",
            false => "in memory",
        }
    );
    let deployment = match Deployment::start(&options)? {
        Some(deployment) => Some(deployment),
        None => Deployment::start(&Options { cuttable: false, disk: None, ..options.clone() })?,
    };
    let mut round = Round { deployment: deployment.context("a deployment")?, rng, durable: options.durable };
    let load = Load::start(&round.deployment.addresses(), &LoadOptions::default());
    let struck = round.strike(settings.faults);
    let healed = struck.and_then(|()| round.heal());
    let history = load.finish();
    let file = round.deployment.dir.join("history.txt");
    let judged = healed.and_then(|()| round.judge(&history));
    if let Err(error) = judged {
        round.deployment.keep = true;
        history.save(&file)?;
        return Err(error.context(format!("history in {}", file.display())));
    }
    let failed = history.records.iter().filter(|record| record.note.is_some()).count();
    Ok(format!("{} writes acknowledged, {failed} requests failed", history.acked()))
}

struct Round {
    deployment: Deployment,
    rng: Rng,
    durable: bool,
}

impl Round {
    fn strike(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.pause(100, 1500);
            let primary = self.deployment.primary().unwrap_or(0);
            let fault = Fault::choose(&mut self.rng, primary, &self.deployment, self.durable);
            if fault.costs_a_copy(self.durable) {
                // With one copy fewer nothing may be lost, if all have everything.
                self.heal()?;
            }
            println!("  {fault:?} (primary {primary})");
            self.begin(fault)?;
            self.pause(50, 4000);
            // Some faults go on while the next begins.
            if fault.costs_a_copy(self.durable) || self.rng.u8(0..3) > 0 {
                self.end()?;
            }
        }
        Ok(())
    }

    fn pause(&mut self, min_ms: u64, max_ms: u64) {
        std::thread::sleep(Duration::from_millis(self.rng.u64(min_ms..max_ms)));
    }

    fn begin(&mut self, fault: Fault) -> Result<()> {
        let all = &mut self.deployment;
        let count = all.nodes.len();
        let others =
            |node: usize| (0..count).filter(|other| *other != node).map(Place::Node).collect::<Vec<_>>();
        match fault {
            Fault::Kill(node) => self.kill(&[node]),
            Fault::Lose(node) => self.kill(&[node]).and_then(|()| self.deployment.nodes[node].empty()),
            Fault::KillMajority(node) => {
                self.kill(&(0..=count / 2).map(|n| (node + n) % count).collect::<Vec<_>>())
            }
            Fault::KillAll => self.kill(&(0..count).collect::<Vec<_>>()),
            Fault::Terminate(node) if all.nodes[node].is_up() => {
                all.disks.iter().for_each(SmallDisk::thaw);
                all.nodes[node].term()?;
                all.nodes[node].wait_exit(PATIENCE).map(drop)
            }
            Fault::Suspend(node) if all.nodes[node].is_up() => all.nodes[node].stop(),
            Fault::Terminate(_) | Fault::Suspend(_) => Ok(()),
            Fault::Silence(node) => all.network.isolate(&[Place::Node(node)]),
            Fault::Part(node) => {
                let cut = |other| {
                    all.network.cut(Place::Node(node), other)?;
                    all.network.cut(other, Place::Node(node))
                };
                others(node).into_iter().try_for_each(cut)
            }
            Fault::PartWithClients(node) => all.network.isolate(&others(node)),
            Fault::Deafen(from, to) => all.network.cut(Place::Node(from), Place::Node(to)),
            Fault::Fill(node) | Fault::Freeze(node) => {
                // It may be frozen still, and that would hold up this process too.
                all.disks[node].thaw();
                if fault == Fault::Fill(node) { all.disks[node].fill() } else { all.disks[node].freeze() }
            }
            Fault::Forget(node) => self.forget(node),
            Fault::Hang(node, time) => {
                // Who cannot be reached hangs already, as it were.
                drop(all.hang(node, Duration::from_millis(time)));
                Ok(())
            }
            Fault::HandOver(node) => {
                // Refused where there is nobody to hand over to.
                let link = Link::connect(all.nodes[node].address, Duration::from_millis(200));
                let _ = link.and_then(|mut link| link.call(&["FAILOVER"], Duration::from_secs(1)));
                Ok(())
            }
        }
    }

    fn forget(&mut self, node: usize) -> Result<()> {
        let Some(facts) = self.deployment.facts(node) else { return Ok(()) };
        self.kill(&[node])?;
        self.deployment.until("a dead node is forgotten", PATIENCE, |all| {
            let asked = (0..all.nodes.len()).find(|other| all.nodes[*other].is_up())?;
            let limit = Duration::from_secs(1);
            let mut link = Link::connect(all.nodes[asked].address, limit).ok()?;
            let reply = link.call(&["CLUSTER", "FORGET", facts.node()], limit).ok()?;
            (!reply.is_error()).then_some(())
        })
    }

    fn kill(&mut self, nodes: &[usize]) -> Result<()> {
        for &node in nodes {
            if let Some(disk) = self.deployment.disks.get(node) {
                // Who waits for it does not end.
                disk.thaw();
            }
            if self.deployment.nodes[node].is_running() {
                self.deployment.kill(node)?;
            }
        }
        Ok(())
    }

    /// All faults are over. The dead start in any order, at some distance.
    fn end(&mut self) -> Result<()> {
        self.deployment.network.heal()?;
        self.deployment.disks.iter().for_each(SmallDisk::thaw);
        self.deployment.disks.iter().try_for_each(SmallDisk::clear)?;
        let mut order: Vec<usize> = (0..self.deployment.nodes.len()).collect();
        self.rng.shuffle(&mut order);
        for node in order {
            if self.deployment.nodes[node].stopped {
                self.deployment.nodes[node].cont()?;
            }
            if !self.deployment.nodes[node].is_running() {
                self.deployment.start_node(node)?;
                self.pause(0, 300);
            }
        }
        Ok(())
    }

    fn heal(&mut self) -> Result<()> {
        self.end()?;
        self.deployment.wait_ready().map(drop)
    }

    fn judge(&mut self, history: &crate::history::History) -> Result<()> {
        let wrong = judge(&mut self.deployment, history)?;
        if !wrong.is_empty() {
            bail!("violated:\n{}\n{}", wrong.join("\n"), self.deployment.state());
        }
        Ok(())
    }
}

/// Checks a history against what all nodes hold in the end. The deployment must be well.
///
/// # Errors
/// When nodes do not come to hold the same.
pub fn judge(deployment: &mut Deployment, history: &crate::history::History) -> Result<Vec<String>> {
    let primary = deployment.wait_ready()?;
    let data = Final::read(deployment.nodes[primary].address, history)?;
    let wrong = checker::check(history, &data);
    if !wrong.is_empty() {
        return Ok(wrong);
    }
    let there: Vec<usize> =
        (0..deployment.nodes.len()).filter(|node| deployment.nodes[*node].is_running()).collect();
    for node in there {
        deployment.until(&format!("node {node} has what the primary has"), PATIENCE, |all| {
            let held = Final::read_local(all.nodes[node].address, history).ok()?;
            held.agrees(&data).then_some(())
        })?;
    }
    Ok(wrong)
}
