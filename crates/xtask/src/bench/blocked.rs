//! Blocked clients: how soon one of many is woken, and what it costs to register many and let their time run out.

use super::link::{Link, encode};
use super::options::Options;
use super::report::{Table, median, row};
use super::server::{Contender, Running};
use super::speed::knows;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Clients that wait, each for a key of its own, while one after the other is woken.
const WAITING: usize = 1000;
/// Numbers of clients whose time runs out together. What one costs must not depend on it.
const TIMED_OUT: [usize; 2] = [1000, 10_000];
/// How long the server may take to park all clients.
const PARK_TIMEOUT: Duration = Duration::from_secs(30);

/// A blocking call on the key of a number, and the call that wakes it.
struct Waking {
    name: &'static str,
    command: &'static str,
    wait: fn(usize) -> Vec<String>,
    wake: fn(usize) -> Vec<String>,
}

const WAKINGS: &[Waking] = &[
    Waking {
        name: "BLPOP",
        command: "blpop",
        wait: |number| words(&["BLPOP", &format!("queue:{number}"), "0"]),
        wake: |number| words(&["RPUSH", &format!("queue:{number}"), "x"]),
    },
    Waking {
        name: "BZPOPMIN",
        command: "bzpopmin",
        wait: |number| words(&["BZPOPMIN", &format!("sorted:{number}"), "0"]),
        wake: |number| words(&["ZADD", &format!("sorted:{number}"), "1", "x"]),
    },
    Waking {
        name: "XREAD",
        command: "xread",
        wait: |number| words(&["XREAD", "BLOCK", "0", "STREAMS", &format!("stream:{number}"), "$"]),
        wake: |number| words(&["XADD", &format!("stream:{number}"), "*", "f", "v"]),
    },
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

/// Measures and prints the table.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    let servers = contenders.iter().map(Contender::start).collect::<Result<Vec<_>>>()?;
    println!("Blocked clients, median of {}:\n", options.repeats);
    let mut table = Table::new(&["test"], &servers.iter().map(|server| server.name).collect::<Vec<_>>());
    for waking in WAKINGS {
        if !knows(&servers[0], waking.command)? {
            eprintln!("{} is skipped: ours does not know it", waking.name);
            continue;
        }
        let mut medians: Vec<(Vec<f64>, Vec<f64>)> = servers.iter().map(|_| Default::default()).collect();
        for _ in 0..options.repeats {
            for (server, (middle, late)) in servers.iter().zip(&mut medians) {
                eprintln!("waking {WAITING} clients from {}: {}", waking.name, server.name);
                let mut times = wake(server, waking)?;
                times.sort_by(f64::total_cmp);
                middle.push(median(&times));
                late.push(times[times.len() * 99 / 100]);
            }
        }
        let values: Vec<(f64, f64)> =
            medians.iter().map(|(middle, late)| (median(middle), median(late))).collect();
        let cells =
            row(&values, |times| times.0, |(middle, late)| format!("{middle:.0} us, p99 {late:.0} us"));
        table.row(&[format!("{} woken, {WAITING} blocked", waking.name)], &cells);
    }
    for count in TIMED_OUT {
        let mut costs: Vec<Vec<f64>> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.repeats {
            for (server, costs) in servers.iter().zip(&mut costs) {
                eprintln!("{count} clients whose time runs out: {}", server.name);
                costs.push(time_out(server, count)?);
            }
        }
        let values: Vec<f64> = costs.iter().map(|costs| median(costs)).collect();
        let cells = row(&values, |cost| *cost, |cost| format!("{cost:.1} us CPU each"));
        table.row(&[format!("BLPOP of {count} clients, timed out")], &cells);
    }
    println!("{table}");
    Ok(())
}

/// Microseconds from the sending of each waking call to the reply of the client it wakes.
fn wake(server: &Running, waking: &Waking) -> Result<Vec<f64>> {
    let mut waker = Link::open(server.port)?;
    let mut waiting = (0..WAITING).map(|_| Link::open(server.port)).collect::<Result<Vec<_>>>()?;
    for (number, link) in waiting.iter_mut().enumerate() {
        link.send(&encoded(&(waking.wait)(number)))?;
    }
    wait_parked(&mut waker, WAITING)?;
    let mut bulks = Vec::new();
    let mut times = Vec::new();
    for step in 0..WAITING {
        // Not in the order they came.
        let number = step * 387 % WAITING;
        let call = encoded(&(waking.wake)(number));
        let started = Instant::now();
        waker.send(&call)?;
        waiting[number].reply(&mut bulks)?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
        waker.reply(&mut bulks)?;
    }
    Ok(times)
}

/// Server CPU per client, microseconds, from sending a call that waits for a second to its reply.
fn time_out(server: &Running, count: usize) -> Result<f64> {
    let mut clients = (0..count).map(|_| Link::open(server.port)).collect::<Result<Vec<_>>>()?;
    let before = server.cpu_us()?;
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&encoded(&words(&["BLPOP", &format!("nothing:{number}"), "1"])))?;
    }
    let mut bulks = Vec::new();
    clients.iter_mut().try_for_each(|client| client.reply(&mut bulks))?;
    Ok((server.cpu_us()? - before) / count as f64)
}

fn encoded(call: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, &call.iter().map(String::as_str).collect::<Vec<_>>());
    bytes
}

fn wait_parked(link: &mut Link, count: usize) -> Result<()> {
    let deadline = Instant::now() + PARK_TIMEOUT;
    let wanted = format!("blocked_clients:{count}");
    while !link.call(&["INFO", "clients"])?.lines().any(|line| line.trim() == wanted) {
        if Instant::now() > deadline {
            bail!("the server does not count {count} blocked clients");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
