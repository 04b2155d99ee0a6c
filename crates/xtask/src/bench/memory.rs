//! Bytes per element of six shapes.

use super::link::Link;
use super::options::Options;
use super::report::{Table, cell};
use super::server::{Contender, Running};
use anyhow::Result;

/// A way to hold elements of 16 bytes: its name and the call that adds the element of a number.
type Shape = (&'static str, fn(u64) -> Vec<String>);

const SHAPES: &[Shape] = &[
    ("string 16/16", |number| words(&["SET", &key(number), &value(number)])),
    ("string 16/16 with TTL", |number| words(&["SET", &key(number), &value(number), "EX", "1000000"])),
    ("hash 16/16", |number| words(&["HSET", "hash", &key(number), &value(number)])),
    ("set 16", |number| words(&["SADD", "set", &key(number)])),
    ("sorted set 16", |number| words(&["ZADD", "zset", &number.to_string(), &key(number)])),
    ("list 16", |number| words(&["RPUSH", "list", &value(number)])),
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

fn key(number: u64) -> String {
    format!("key:{number:012}")
}

fn value(number: u64) -> String {
    format!("val:{number:012}")
}

/// Growth per element, bytes.
struct Growth {
    resident: f64,
    used: f64,
}

/// Measures and prints the table. Each shape has a server of its own.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    println!("Bytes per element, {} elements: resident memory / `used_memory`\n", options.keys);
    let mut table =
        Table::new(&["shape"], &contenders.iter().map(|contender| contender.name).collect::<Vec<_>>());
    for (name, call) in SHAPES {
        let mut growths = Vec::new();
        for contender in contenders {
            eprintln!("{name}: {}", contender.name);
            growths.push(measure(&contender.start()?, options.keys, *call)?);
        }
        let text = |(index, growth): (usize, &Growth)| {
            let ratio = if index == 0 { None } else { Some(growths[0].resident / growth.resident) };
            cell(&format!("{:.1} / {:.1}", growth.resident, growth.used), ratio)
        };
        let cells: Vec<String> = growths.iter().enumerate().map(text).collect();
        table.row(&[(*name).to_string()], &cells);
    }
    println!("{table}");
    Ok(())
}

fn measure(server: &Running, count: u64, call: fn(u64) -> Vec<String>) -> Result<Growth> {
    // What is needed once, whatever the number of elements: pages of the program, counters of the command.
    let mut link = Link::open(server.port)?;
    link.fill(count / 1000, call)?;
    link.call(&["FLUSHALL"])?;
    let (resident, used) = (server.resident_bytes()?, server.used_bytes()?);
    link.fill(count, call)?;
    Ok(Growth {
        resident: (server.resident_bytes()? - resident) / count as f64,
        used: (server.used_bytes()? - used) / count as f64,
    })
}
