//! Asks every node all the time what it is. Clients learn from it who the primary is; the checker, what nodes claimed.

use crate::clock;
use crate::facts::Facts;
use crate::history::Sample;
use crate::link::Link;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two questions to a node.
const PERIOD: Duration = Duration::from_millis(8);
const TIMEOUT: Duration = Duration::from_millis(250);

/// What is known at this moment.
#[derive(Debug, Default)]
pub struct Known {
    /// The newest epoch in which a node said that it serves, times 256, and the number of that node, plus 1.
    primary: AtomicU64,
    /// Acknowledged writes of all writers.
    pub acked: AtomicU64,
    /// When the last of them came.
    pub last_ack: AtomicU64,
    /// Whether all threads are to end.
    pub ended: AtomicBool,
}

impl Known {
    /// The node that serves in the newest epoch.
    pub fn primary(&self) -> Option<usize> {
        (self.primary.load(SeqCst) as usize & 0xff).checked_sub(1)
    }

    /// Whether the threads are to end.
    pub fn has_ended(&self) -> bool {
        self.ended.load(SeqCst)
    }

    /// A write was acknowledged.
    pub fn on_ack(&self, at: u64) {
        self.acked.fetch_add(1, SeqCst);
        self.last_ack.fetch_max(at, SeqCst);
    }
}

/// Begins to watch; a thread for each node, which returns what it heard.
pub fn start(addresses: &[SocketAddr], known: &Arc<Known>) -> Vec<JoinHandle<Vec<Sample>>> {
    let watch = |(number, &address): (usize, &SocketAddr)| {
        let known = Arc::clone(known);
        std::thread::spawn(move || watch(number, address, &known))
    };
    addresses.iter().enumerate().map(watch).collect()
}

fn watch(number: usize, address: SocketAddr, known: &Known) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut link: Option<Link> = None;
    while !known.has_ended() {
        std::thread::sleep(PERIOD);
        let Some(open) = link.as_mut() else {
            link = Link::connect(address, TIMEOUT).ok();
            continue;
        };
        let asked = clock::now();
        let said = open.call_unless(&["INFO", "ha"], TIMEOUT, || known.has_ended());
        let Ok(facts) = said.and_then(|reply| Facts::read(&reply)) else {
            link = None;
            continue;
        };
        if facts.is_serving() {
            known.primary.fetch_max(facts.epoch() << 8 | (number as u64 + 1), SeqCst);
        }
        note(&mut samples, sample(&facts, asked));
    }
    samples
}

fn sample(facts: &Facts, asked: u64) -> Sample {
    Sample {
        node: facts.node().into(),
        incarnation: facts.number("ha_incarnation"),
        epoch: facts.epoch(),
        primary: facts.get("ha_primary").into(),
        serves: facts.is_serving() && facts.number("ha_lease_left_ms") > 0,
        asked,
        answered: clock::now(),
    }
}

/// Of equal ones in a row the first and the last stay.
fn note(samples: &mut Vec<Sample>, new: Sample) {
    let is_same = |old: &Sample| Sample { asked: new.asked, answered: new.answered, ..old.clone() } == new;
    if let [.., before, last] = samples.as_mut_slice()
        && is_same(before)
        && is_same(last)
    {
        *last = new;
        return;
    }
    samples.push(new);
}
