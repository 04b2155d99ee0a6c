//! Faults under load, one after the other, and what each cost.

use crate::checker::{self, Final};
use crate::clock;
use crate::deployment::{Deployment, Options, PATIENCE};
use crate::history::{History, Outcome, Record};
use crate::load::{Aim, Load, LoadOptions};
use crate::network::Place;
use anyhow::{Context, Result};
use std::fmt;
use std::time::Duration;

/// Writers.
const CLIENTS: usize = 8;
/// Before a fault, and after all is well again.
const CALM: Duration = Duration::from_millis(700);

/// A node was about to end or not yet back; what its own clients saw then is no fault of the deployment.
#[derive(Clone, Copy, Debug)]
struct Away {
    node: usize,
    from: u64,
    to: u64,
}

/// What one fault cost.
#[derive(Clone, Debug, Default)]
struct Cost {
    gap: u64,
    lost: usize,
    /// Two primaries acknowledging, nanoseconds.
    overlap: u64,
    errors: usize,
}

/// What faults of one kind cost.
#[derive(Clone, Debug)]
pub(super) struct Row {
    name: String,
    costs: Vec<Cost>,
}

impl Row {
    pub(super) const HEAD: &'static str = "\
| fault | rounds | writes resume after, median | worst | acknowledged writes lost | two primaries acknowledging | \
errors at clients of nodes that stayed |\n|---|---|---|---|---|---|---|";
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gaps: Vec<u64> = self.costs.iter().map(|cost| cost.gap).collect();
        gaps.sort_unstable();
        let sum = |of: fn(&Cost) -> usize| self.costs.iter().map(of).sum::<usize>();
        let overlap = self.costs.iter().map(|cost| cost.overlap).max().unwrap_or(0);
        write!(
            f,
            "| {} | {} | {:.0} ms | {:.0} ms | {} | {:.0} ms | {} |",
            self.name,
            gaps.len(),
            clock::ms(gaps[gaps.len() / 2]),
            clock::ms(gaps[gaps.len() - 1]),
            sum(|cost| cost.lost),
            clock::ms(overlap),
            sum(|cost| cost.errors)
        )
    }
}

/// A deployment that faults are measured on.
pub(super) struct Bench {
    deployment: Deployment,
    away: Vec<Away>,
}

impl Bench {
    pub(super) fn start(options: &Options) -> Result<Bench> {
        let deployment = match Deployment::start(options)? {
            Some(deployment) => deployment,
            None => {
                Deployment::start(&Options { cuttable: false, ..options.clone() })?.context("loopback")?
            }
        };
        Ok(Bench { deployment, away: Vec::new() })
    }

    pub(super) fn can_cut(&self) -> bool {
        self.deployment.network.can_cut()
    }

    /// Lets the fault happen so many times. `strike` returns when the deployment has everybody again.
    pub(super) fn measure(
        &mut self,
        name: &str,
        rounds: usize,
        strike: fn(&mut Bench, usize) -> Result<()>,
    ) -> Result<Row> {
        let mut costs = Vec::new();
        for round in 0..rounds {
            let cost = self.once(strike).with_context(|| format!("{name}, round {round}"))?;
            eprintln!("{name}: {:.0} ms, {} lost, {} errors", clock::ms(cost.gap), cost.lost, cost.errors);
            costs.push(cost);
        }
        Ok(Row { name: name.into(), costs })
    }

    fn once(&mut self, strike: fn(&mut Bench, usize) -> Result<()>) -> Result<Cost> {
        let primary = self.deployment.wait_ready()?;
        // Half of the clients are plain ones, through any node.
        let clients = [Aim::Primary, Aim::Any].repeat(CLIENTS / 2);
        let options = LoadOptions { clients, plain: true, ..LoadOptions::default() };
        let load = Load::start(&self.deployment.addresses(), &options);
        self.away.clear();
        let struck = load.wait_acked(100, PATIENCE).and_then(|()| {
            std::thread::sleep(CALM);
            let from = clock::now();
            strike(self, primary)?;
            self.deployment.wait_ready()?;
            std::thread::sleep(CALM);
            Ok(from)
        });
        let history = load.finish();
        let from = match struck {
            Ok(from) => from,
            Err(error) => return self.fail(&history, error),
        };
        let now_primary = self.deployment.wait_ready()?;
        let data = Final::read(self.deployment.nodes[now_primary].address, &history)?;
        let wrong = checker::check(&history, &data);
        if !wrong.is_empty() {
            eprintln!("{}", wrong.join("\n"));
            self.keep(&history)?;
        }
        let errors = history.records.iter().filter(|record| self.is_an_error(record)).inspect(|record| {
            eprintln!("  {record:?}");
        });
        Ok(Cost {
            errors: errors.count(),
            gap: history.longest_gap(from, clock::now()),
            lost: checker::count_lost(&history, &data),
            overlap: checker::overlap(&history.acks).map_or(0, |(time, _)| time),
        })
    }

    fn fail<T>(&mut self, history: &History, error: anyhow::Error) -> Result<T> {
        self.keep(history)?;
        Err(error)
    }

    fn keep(&mut self, history: &History) -> Result<()> {
        self.deployment.keep = true;
        history.save(&self.deployment.dir.join("history.txt"))
    }

    /// Whether a plain client of a node that was there all the time had no good answer.
    fn is_an_error(&self, record: &Record) -> bool {
        let given_up = record.note.as_deref() == Some("given up");
        let of_away = self.away.iter().any(|away| {
            away.node == usize::from(record.node) && record.returned >= away.from && record.invoked <= away.to
        });
        let is_plain = record.worker % 2 == 1 && usize::from(record.worker) < CLIENTS;
        record.outcome != Outcome::Acked && is_plain && !given_up && !of_away
    }

    pub(super) fn kill(&mut self, node: usize) -> Result<()> {
        let from = clock::now();
        self.deployment.kill(node)?;
        self.come_back(node, from, |bench| bench.deployment.start_node(node))
    }

    pub(super) fn silence(&mut self, node: usize) -> Result<()> {
        let from = clock::now();
        if !self.can_cut() {
            self.deployment.nodes[node].stop()?;
            return self.come_back(node, from, |bench| bench.deployment.nodes[node].cont());
        }
        self.deployment.network.isolate(&[Place::Node(node)])?;
        self.come_back(node, from, |bench| bench.deployment.network.heal())
    }

    pub(super) fn suspend(&mut self, node: usize) -> Result<()> {
        let from = clock::now();
        self.deployment.nodes[node].stop()?;
        std::thread::sleep(Duration::from_secs(10));
        self.come_back(node, from, |bench| bench.deployment.nodes[node].cont())
    }

    pub(super) fn terminate(&mut self, node: usize) -> Result<()> {
        let from = clock::now();
        self.deployment.nodes[node].term()?;
        self.deployment.nodes[node].wait_exit(PATIENCE)?;
        self.come_back(node, from, |bench| bench.deployment.start_node(node))
    }

    pub(super) fn roll(&mut self, _primary: usize) -> Result<()> {
        for node in 0..self.deployment.nodes.len() {
            self.terminate(node)?;
        }
        Ok(())
    }

    /// Waits until another leads, undoes the fault and waits until all is well.
    fn come_back(
        &mut self,
        node: usize,
        from: u64,
        undo: impl FnOnce(&mut Bench) -> Result<()>,
    ) -> Result<()> {
        self.deployment.wait_other_primary(node)?;
        std::thread::sleep(CALM);
        undo(self)?;
        self.deployment.wait_ready()?;
        self.away.push(Away { node, from, to: clock::now() });
        Ok(())
    }
}
