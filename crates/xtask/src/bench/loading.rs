//! Loading `dump.rdb` beside the peers: from the start of the process to the first answer on data, and the CPU of that.

use super::link::Link;
use super::options::Options;
use super::persistence::{CORES, Folder, VALUE_BYTES, key, value};
use super::report::{Table, cell, median};
use super::server::Contender;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Longest that loading may take.
const WITHIN: Duration = Duration::from_secs(300);
const ASK_EVERY: Duration = Duration::from_millis(1);
/// Version of the format that all of them read.
const VERSION: &str = "10";
/// Elements of a big collection.
const ELEMENTS: u64 = 10_000;
/// The newest command that the collections need is of version 2.
const SHAPES: &[Shape] = &[
    Shape { name: "strings", head: "SET", elements: 1, words: |number| vec![value(number)] },
    Shape {
        name: "hashes",
        head: "HSET",
        elements: ELEMENTS,
        words: |number| vec![member(number), value(number)],
    },
    Shape { name: "sets", head: "SADD", elements: ELEMENTS, words: |number| vec![member(number)] },
    Shape {
        name: "sorted sets",
        head: "ZADD",
        elements: ELEMENTS,
        words: |number| vec![number.to_string(), member(number)],
    },
    Shape { name: "lists", head: "RPUSH", elements: ELEMENTS, words: |number| vec![value(number)] },
];

/// Keys of one kind.
struct Shape {
    name: &'static str,
    head: &'static str,
    /// Elements of a key.
    elements: u64,
    /// The words of an element.
    words: fn(u64) -> Vec<String>,
}

/// One load.
struct Load {
    seconds: f64,
    cpu_seconds: f64,
}

fn member(number: u64) -> String {
    format!("member:{number:010}")
}

/// Measures and prints the table.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    println!(
        "Loading the `dump.rdb` (version {VERSION}, saved by the first) of {} strings of {VALUE_BYTES} bytes, and of big \
         collections of {ELEMENTS} elements each, as many in all; from the start of the process to the answer to DBSIZE, \
         and the CPU of all threads; median of {}, both cores.\n",
        options.keys, options.repeats
    );
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let mut table = Table::new(&["data", ""], &names);
    for shape in SHAPES {
        let folder = Folder::new("loading")?;
        let path = folder.path().display().to_string();
        let keys = make(options, &contenders[0], shape, &path)?;
        let mut runs: Vec<Vec<Load>> = contenders.iter().map(|_| Vec::new()).collect();
        for repeat in 0..options.repeats {
            for (contender, runs) in contenders.iter().zip(&mut runs) {
                eprintln!("load {}: {} {}", shape.name, repeat + 1, contender.name);
                runs.push(load(contender, &path, keys)?);
            }
        }
        let mut row = |unit: &str, of: fn(&Load) -> f64| {
            let all: Vec<f64> =
                runs.iter().map(|runs| median(&runs.iter().map(of).collect::<Vec<_>>())).collect();
            let cells = all.iter().enumerate().map(|(index, value)| {
                cell(&format!("{value:.3}"), (index > 0 && *value > 0.0).then(|| all[0] / value))
            });
            table.row(&[shape.name.to_owned(), unit.to_owned()], &cells.collect::<Vec<_>>());
        };
        row("s", |load| load.seconds);
        row("s of CPU", |load| load.cpu_seconds);
    }
    println!("{table}");
    Ok(())
}

/// Has a server save the data; returns how many keys there are.
fn make(options: &Options, contender: &Contender, shape: &Shape, path: &str) -> Result<u64> {
    let server = contender.start_on(CORES, &["--dir", path, "--rdb-version", VERSION])?;
    let mut link = Link::open(server.port)?;
    let elements = ((options.keys as f64 * options.scale) as u64).max(shape.elements);
    let keys = elements / shape.elements;
    link.fill(keys, |number| {
        let mut words = vec![shape.head.to_owned(), key(number)];
        let first = number * shape.elements;
        (first..first + shape.elements).for_each(|number| words.extend((shape.words)(number)));
        words
    })?;
    link.call(&["SAVE"])?;
    Ok(keys)
}

/// Starts a server on the folder and waits until everything is there.
fn load(contender: &Contender, path: &str, keys: u64) -> Result<Load> {
    let started = Instant::now();
    let server = contender.begin(CORES, &["--dir", path])?;
    let found = loop {
        ensure!(started.elapsed() < WITHIN, "{} does not load it", contender.name);
        if let Ok(found) = Link::open(server.port).and_then(|mut link| link.call(&["DBSIZE"])) {
            break found;
        }
        std::thread::sleep(ASK_EVERY);
    };
    let seconds = started.elapsed().as_secs_f64();
    ensure!(found == format!(":{keys}"), "{} has {found} of {keys} keys", contender.name);
    Ok(Load { seconds, cpu_seconds: server.cpu_us()? / 1e6 })
}
