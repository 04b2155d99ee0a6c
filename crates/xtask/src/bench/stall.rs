//! What a slow command costs others: PING on another worker, and the control thread.
//!
//! The control thread is asked by connecting beyond `maxclients`: it answers those connections itself.

use super::link::Link;
use super::options::Options;
use super::report::Table;
use super::server::{Contender, Running};
use anyhow::{Context, Result};
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Connections the server accepts.
const CLIENTS: usize = 8;
/// How long the idle server is watched for comparison.
const IDLE: Duration = Duration::from_secs(1);
/// A PING that takes this long while its neighbour sleeps is on the sleeper's worker.
const SAME_WORKER: Duration = Duration::from_millis(200);

/// Latencies of one prober.
struct Latencies(Vec<Duration>);

impl Latencies {
    fn collect(stop: &AtomicBool, mut probe: impl FnMut() -> Result<()>) -> Result<Latencies> {
        let mut all = Vec::new();
        while !stop.load(Relaxed) {
            let start = Instant::now();
            probe()?;
            all.push(start.elapsed());
        }
        all.sort_unstable();
        Ok(Latencies(all))
    }

    fn cell(&self) -> String {
        let ms = |at: usize| self.0.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3);
        let last = self.0.len().saturating_sub(1);
        format!("{:.2} / {:.2} ({} probes)", ms(self.0.len() / 2), ms(last), self.0.len())
    }
}

/// Measures and prints the table, of ours only: the peers have one thread for commands.
pub(super) fn run(options: &Options, ours: &Contender) -> Result<()> {
    let clients = CLIENTS.to_string();
    let server = ours
        .start_on("0,1", &["--io-threads", "2", "--maxclients", &clients, "--enable-debug-command", "yes"])?;
    Link::open(server.port)?
        .fill(options.keys, |number| vec!["SET".into(), format!("key:{number:012}"), "value".into()])?;
    println!("Milliseconds, median / longest, {} keys, 2 workers on 2 cores:\n", options.keys);
    let mut table = Table::new(&["meanwhile", "took, ms"], &["PING on another worker", "control thread"]);
    let mut slow = Link::open(server.port)?;
    let mut ping = on_another_worker(&server, &mut slow)?;
    let cases: [(&str, &[&str]); 3] =
        [("nothing", &[]), ("KEYS *", &["KEYS", "*"]), ("DEBUG SLEEP 1", &["DEBUG", "SLEEP", "1"])];
    for (name, call) in cases {
        eprintln!("stall: {name}");
        let start = Instant::now();
        let (pings, control) = watched(&server, &mut ping, || match call {
            [] => {
                std::thread::sleep(IDLE);
                Ok(())
            }
            words => slow.call_whole(words),
        })?;
        let took = format!("{:.0}", start.elapsed().as_secs_f64() * 1e3);
        table.row(&[name.to_string(), took], &[pings.cell(), control.cell()]);
    }
    println!("{table}");
    Ok(())
}

/// Probes both while `work` runs.
fn watched(
    server: &Running,
    ping: &mut Link,
    work: impl FnOnce() -> Result<()>,
) -> Result<(Latencies, Latencies)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pings = scope.spawn(|| Latencies::collect(&stop, || ping.call(&["PING"]).map(drop)));
        let control = scope.spawn(|| Latencies::collect(&stop, || refused(server.port)));
        let worked = work();
        stop.store(true, Relaxed);
        let pings = pings.join().expect("the prober does not panic")?;
        let control = control.join().expect("the prober does not panic")?;
        worked.map(|()| (pings, control))
    })
}

/// Connects beyond `maxclients` and waits for the refusal.
fn refused(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    anyhow::ensure!(text.contains("max number of clients"), "not refused: {text:?}");
    Ok(())
}

/// Opens connections until the server has its `maxclients`, and returns one that another worker serves.
fn on_another_worker(server: &Running, slow: &mut Link) -> Result<Link> {
    let mut links = Vec::new();
    while let Ok(mut link) = Link::open(server.port) {
        if link.call(&["PING"]).is_err() {
            break;
        }
        links.push(link);
    }
    let mut found = None;
    std::thread::scope(|scope| -> Result<()> {
        let sleeper = scope.spawn(|| slow.call_whole(&["DEBUG", "SLEEP", "1"]));
        std::thread::sleep(SAME_WORKER);
        for mut link in links.drain(..) {
            let start = Instant::now();
            link.call(&["PING"])?;
            if start.elapsed() < SAME_WORKER && found.is_none() {
                found = Some(link);
            } else {
                // Kept open to the end: the server must stay full.
                std::mem::forget(link);
            }
        }
        sleeper.join().expect("the sleeper does not panic")
    })?;
    found.context("all connections are on one worker")
}
