//! Writes to each node directly and asks in the same breath who it is: so it is known which node acknowledged in which
//! epoch.

use crate::clock;
use crate::facts::Facts;
use crate::history::{Ack, Kind, Outcome, Record};
use crate::link::Link;
use crate::outcome;
use crate::watch::Known;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two writes to a node.
const PERIOD: Duration = Duration::from_millis(4);
/// Long, so that what a node that was stopped answers in the end is heard.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_millis(250);
/// The key of the set they write to.
pub const KEY: u32 = u32::MAX;

/// What probes found.
pub type Found = (Vec<Record>, Vec<Ack>);

/// Begins to probe, a thread for each node. Members added are numbers that `values` gives.
pub fn start(
    addresses: &[SocketAddr],
    tag: &str,
    known: &Arc<Known>,
    values: &Arc<AtomicU32>,
) -> Vec<JoinHandle<Found>> {
    let begin = |(node, &address): (usize, &SocketAddr)| {
        let probe = Probe {
            node,
            key: format!("{tag}:set:{KEY}"),
            known: Arc::clone(known),
            values: Arc::clone(values),
            before: None,
            found: Found::default(),
        };
        std::thread::spawn(move || probe.run(address))
    };
    addresses.iter().enumerate().map(begin).collect()
}

struct Probe {
    node: usize,
    key: String,
    known: Arc<Known>,
    values: Arc<AtomicU32>,
    /// Which primary of which epoch answered last on this connection.
    before: Option<(String, u64)>,
    found: Found,
}

impl Probe {
    fn run(mut self, address: SocketAddr) -> Found {
        let mut link = None;
        while !self.known.has_ended() {
            std::thread::sleep(PERIOD);
            let is_good = link.as_mut().is_some_and(|open| self.write(open));
            if !is_good {
                self.before = None;
                link = Link::connect(address, CONNECT).ok();
            }
        }
        self.found
    }

    /// False when the connection is of no further use.
    fn write(&mut self, link: &mut Link) -> bool {
        let value = self.values.fetch_add(1, Relaxed);
        let invoked = clock::now();
        let known = Arc::clone(&self.known);
        let sent =
            link.send(&["SADD", &self.key, &value.to_string()]).and_then(|()| link.send(&["INFO", "ha"]));
        let reply = sent.and_then(|()| link.read(TIMEOUT, || known.has_ended()));
        let returned = clock::now();
        let (outcome, note) = outcome::of(&reply);
        let (node, worker) = (self.node as u8, u16::MAX - self.node as u16);
        let record =
            Record { worker, node, kind: Kind::Add, key: KEY, value, invoked, returned, outcome, note };
        self.found.0.push(record);
        let facts = match reply {
            Ok(_) => link.read(TIMEOUT, || known.has_ended()).and_then(|reply| Facts::read(&reply)),
            Err(_) => return false,
        };
        let Ok(facts) = facts else { return false };
        let is_primary = facts.get("ha_role") == "primary";
        let after = is_primary.then(|| (facts.node().to_owned(), facts.epoch()));
        let before = std::mem::replace(&mut self.before, after);
        // The same before and after: so it was the same in between.
        if let (Outcome::Acked, Some((node, epoch))) = (outcome, &self.before)
            && before == self.before
        {
            self.found.1.push(Ack { node: node.clone(), epoch: *epoch, invoked, returned });
        }
        true
    }
}
