//! How long requests of clients take that share one worker, with slow commands or long pipelines beside them and without.
//!
//! All connections are driven by one thread, each of them in a closed loop: the next batch is sent when the last one is
//! answered whole. `DEBUG SLEEP` is the slow command, which takes every server as long.

use super::link::{Link, encode};
use super::options::Options;
use super::report::{Table, median, row};
use super::server::{Contender, Running};
use anyhow::{Context, Result, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Connections that read one key again and again.
const READERS: usize = 20;
/// How long each case is watched.
const WATCHED: Duration = Duration::from_secs(2);
/// What a reader asks for.
const READ: Call = Call { words: &["GET", "key"], reply: "$5\r\nvalue\r\n" };
const SLEEP: Call = Call { words: &["DEBUG", "SLEEP", "0.001"], reply: "+OK\r\n" };
/// What is beside the readers, and the requests in flight of each of them.
const CASES: [(Beside, u64); 8] = [
    (Beside::sleepers("nothing", 0), 1),
    (Beside::sleepers("nothing", 0), 16),
    (Beside::sleepers("1 of 1 ms", 1), 1),
    (Beside::sleepers("1 of 1 ms", 1), 16),
    (Beside::sleepers("5 of 1 ms", 5), 1),
    (Beside::sleepers("5 of 1 ms", 5), 16),
    (Beside { name: "5 of 16 GETs", count: 5, call: READ, pipeline: 16 }, 1),
    (Beside { name: "5 of 256 GETs", count: 5, call: READ, pipeline: 256 }, 1),
];

/// A command and the reply to it.
#[derive(Clone, Copy)]
struct Call {
    words: &'static [&'static str],
    reply: &'static str,
}

/// Connections beside the readers, in closed loops too.
#[derive(Clone, Copy)]
struct Beside {
    name: &'static str,
    count: usize,
    call: Call,
    pipeline: u64,
}

impl Beside {
    const fn sleepers(name: &'static str, count: usize) -> Beside {
        Beside { name, count, call: SLEEP, pipeline: 1 }
    }
}

/// A connection in a closed loop.
struct Looper {
    stream: TcpStream,
    batch: Vec<u8>,
    /// Bytes of the replies to a batch.
    length: usize,
    received: usize,
    sent: Instant,
    /// Microseconds of each batch.
    times: Vec<f64>,
}

impl Looper {
    fn open(server: &Running, call: Call, pipeline: u64) -> Result<Looper> {
        let stream = std::net::TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port)))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut batch = Vec::new();
        (0..pipeline).for_each(|_| encode(&mut batch, call.words));
        Ok(Looper {
            stream: TcpStream::from_std(stream),
            batch,
            length: call.reply.len() * pipeline as usize,
            received: 0,
            sent: Instant::now(),
            times: Vec::new(),
        })
    }

    fn send(&mut self) -> Result<()> {
        self.sent = Instant::now();
        // A batch is less than a socket takes.
        self.stream.write_all(&self.batch).context("a batch is not taken")
    }

    /// Takes what has come, and sends the next batch if that was all.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(read @ 1..) => self.received += read,
                Ok(_) => anyhow::bail!("the server closed a connection"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            ensure!(self.received <= self.length, "replies longer than expected");
            if self.received == self.length {
                self.received = 0;
                self.times.push(self.sent.elapsed().as_secs_f64() * 1e6);
                self.send()?;
            }
        }
    }
}

/// Measures and prints the table.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    let servers = contenders
        .iter()
        .map(|contender| contender.start_on(super::SERVER_CORE, &["--enable-debug-command", "yes"]))
        .collect::<Result<Vec<_>>>()?;
    println!(
        "GET over {READERS} connections on one core, us until a batch is answered: median, p99; median of {}:\n",
        options.repeats
    );
    let names: Vec<_> = servers.iter().map(|server| server.name).collect();
    let mut table = Table::new(&["beside them", "-P"], &names);
    for (beside, pipeline) in CASES {
        let mut figures: Vec<(Vec<f64>, Vec<f64>)> = servers.iter().map(|_| Default::default()).collect();
        for _ in 0..options.repeats {
            for (server, (middle, late)) in servers.iter().zip(&mut figures) {
                eprintln!("latency at -P {pipeline} beside {}: {}", beside.name, server.name);
                let mut times = watch(server, beside, pipeline)?;
                times.sort_by(f64::total_cmp);
                middle.push(median(&times));
                late.push(times[times.len() * 99 / 100]);
            }
        }
        let values: Vec<_> = figures.iter().map(|(middle, late)| (median(middle), median(late))).collect();
        let cells = row(&values, |times| times.0, |(middle, late)| format!("{middle:.0}, {late:.0}"));
        table.row(&[beside.name.to_string(), pipeline.to_string()], &cells);
    }
    println!("{table}");
    Ok(())
}

/// The times of the readers' batches.
fn watch(server: &Running, beside: Beside, pipeline: u64) -> Result<Vec<f64>> {
    Link::open(server.port)?.call(&["SET", "key", "value"])?;
    let readers = (0..READERS).map(|_| Looper::open(server, READ, pipeline));
    let others = (0..beside.count).map(|_| Looper::open(server, beside.call, beside.pipeline));
    let mut loopers = readers.chain(others).collect::<Result<Vec<_>>>()?;
    let mut poll = Poll::new()?;
    for (number, looper) in loopers.iter_mut().enumerate() {
        poll.registry().register(&mut looper.stream, Token(number), Interest::READABLE)?;
        looper.send()?;
    }
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 1 << 16];
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        poll.poll(&mut events, Some(WATCHED))?;
        for event in &events {
            loopers[event.token().0].receive(&mut buffer)?;
        }
    }
    let times: Vec<f64> = loopers.drain(..).take(READERS).flat_map(|looper| looper.times).collect();
    ensure!(!times.is_empty(), "no batch was answered in {WATCHED:?}");
    Ok(times)
}
