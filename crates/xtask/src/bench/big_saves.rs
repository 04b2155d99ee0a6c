//! What saving one big key costs others, and whoever changes it.

use super::link::Link;
use super::options::Options;
use super::persistence::{CORES, Folder, LOOK_EVERY, Stop, key, probe};
use super::report::{Table, median};
use super::server::Contender;
use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Elements of one call that fills a collection.
const AT_ONCE: u64 = 1000;
/// Keys that others read meanwhile.
const SMALL: u64 = 1000;
/// Bytes of a long string for every element of a collection.
const TEXT_BYTES: u64 = 256;
/// Longest string.
const TEXT_BYTES_MAX: u64 = 500 << 20;

/// One kind of big key.
struct Shape {
    name: &'static str,
    /// Settings of the server.
    settings: &'static [&'static str],
    /// How it is saved.
    save: &'static str,
    fill: fn(&mut Link, u64) -> Result<()>,
    /// A call that changes it.
    change: &'static [&'static str],
}

const RDB: &[&str] = &["--rdb-version", "12"];
const COMMANDS: &[&str] = &["--aof-use-rdb-preamble", "no"];
const SHAPES: &[Shape] = &[
    Shape {
        name: "list",
        settings: RDB,
        save: "BGSAVE",
        fill: |link, n| fill(link, n, "RPUSH", 1),
        change: &["LPOP", "big"],
    },
    Shape {
        name: "set",
        settings: RDB,
        save: "BGSAVE",
        fill: |link, n| fill(link, n, "SADD", 1),
        change: &["SPOP", "big"],
    },
    Shape {
        name: "sorted set",
        settings: RDB,
        save: "BGSAVE",
        fill: |link, n| fill(link, n, "ZADD", 2),
        change: &["ZPOPMIN", "big"],
    },
    Shape {
        name: "hash",
        settings: RDB,
        save: "BGSAVE",
        fill: |link, n| fill(link, n, "HSET", 2),
        change: &["HSET", "big", "new", "x"],
    },
    Shape {
        name: "hash with expiries",
        settings: RDB,
        save: "BGSAVE",
        fill: timed,
        change: &["HSET", "big", "new", "x"],
    },
    Shape {
        name: "stream",
        settings: RDB,
        save: "BGSAVE",
        fill: stream,
        change: &["XADD", "big", "*", "a", "b"],
    },
    Shape { name: "string", settings: RDB, save: "BGSAVE", fill: text, change: &["APPEND", "big", "x"] },
    Shape {
        name: "hash, as commands",
        settings: COMMANDS,
        save: "BGREWRITEAOF",
        fill: |link, n| fill(link, n, "HSET", 2),
        change: &["HSET", "big", "new", "x"],
    },
];

/// Milliseconds.
#[derive(Clone, Copy, Default)]
struct Waits {
    /// Of a client that reads other keys, while nothing is saved and while the big key is.
    before: f64,
    others: f64,
    /// Of the call that changes the big key as soon as saving has begun.
    change: f64,
}

/// Measures and prints the table.
pub(super) fn run(options: &Options, ours: &Contender) -> Result<()> {
    let elements = ((options.keys as f64 * options.scale) as u64).max(10_000);
    println!(
        "Saving one key of {elements} elements (a string of {} bytes): the longest wait, in milliseconds, of a client that \
         reads other keys, and that of a call which changes the big key right after the save began; median of {}.\n",
        text_bytes(elements),
        options.repeats
    );
    let mut table = Table::new(&["key"], &["nothing is saved", "others meanwhile", "who changes it"]);
    for shape in SHAPES {
        let mut runs = Vec::new();
        for repeat in 0..options.repeats {
            eprintln!("big {}: {}", shape.name, repeat + 1);
            runs.push(measure(ours, shape, elements)?);
        }
        let middle =
            |of: fn(&Waits) -> f64| format!("{:.2}", median(&runs.iter().map(of).collect::<Vec<_>>()));
        let cells = [middle(|one| one.before), middle(|one| one.others), middle(|one| one.change)];
        table.row(&[shape.name.to_owned()], &cells);
    }
    println!("{table}");
    Ok(())
}

fn measure(ours: &Contender, shape: &Shape, elements: u64) -> Result<Waits> {
    let folder = Folder::new("big")?;
    let path = folder.path().display().to_string();
    let settings = [&["--dir", &path, "--io-threads", "2"], shape.settings].concat();
    let server = ours.start_on(CORES, &settings)?;
    let mut link = Link::open(server.port)?;
    link.fill(SMALL, |number| vec!["SET".into(), key(number), "value".into()])?;
    (shape.fill)(&mut link, elements)?;
    let mut waits = others(&server, shape, &mut link)?;
    // Once more, for whoever does not let it be.
    link.call(&[shape.save])?;
    let started = Instant::now();
    link.call_whole(shape.change)?;
    waits.change = started.elapsed().as_secs_f64() * 1e3;
    finish(&mut link)?;
    Ok(waits)
}

fn others(server: &super::server::Running, shape: &Shape, link: &mut Link) -> Result<Waits> {
    let (stop, saving) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let probe = scope.spawn(|| probe(server.port, SMALL, &stop, &saving));
        std::thread::sleep(std::time::Duration::from_secs(1));
        saving.store(true, Relaxed);
        link.call(&[shape.save])?;
        finish(link)?;
        stop.store(true, Relaxed);
        let (before, others) = probe.join().expect("the prober does not panic")?;
        Ok(Waits { before, others, change: 0.0 })
    })
}

/// Waits until nothing is saved any more.
fn finish(link: &mut Link) -> Result<()> {
    loop {
        let info = link.call(&["INFO", "persistence"])?;
        if !["rdb_bgsave_in_progress:1", "aof_rewrite_in_progress:1"].iter().any(|field| info.contains(field))
        {
            let good = ["rdb_last_bgsave_status:ok", "aof_last_bgrewrite_status:ok"];
            ensure!(good.iter().all(|field| info.contains(field)), "the save failed");
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn fill(link: &mut Link, elements: u64, head: &'static str, words: usize) -> Result<()> {
    link.fill(elements.div_ceil(AT_ONCE), |call| {
        let numbers = call * AT_ONCE..elements.min((call + 1) * AT_ONCE);
        let element = |number: u64| std::iter::repeat_n(format!("1{number:09}"), words);
        [head.to_owned(), "big".into()].into_iter().chain(numbers.flat_map(element)).collect()
    })
}

fn timed(link: &mut Link, elements: u64) -> Result<()> {
    fill(link, elements, "HSET", 2)?;
    link.fill(elements.div_ceil(AT_ONCE), |call| {
        let numbers = call * AT_ONCE..elements.min((call + 1) * AT_ONCE);
        let count = numbers.end - numbers.start;
        let head = [
            "HPEXPIREAT".to_owned(),
            "big".into(),
            "4000000000000".into(),
            "FIELDS".into(),
            count.to_string(),
        ];
        head.into_iter().chain(numbers.map(|number| format!("1{number:09}"))).collect()
    })
}

fn stream(link: &mut Link, elements: u64) -> Result<()> {
    link.fill(elements, |number| {
        ["XADD".to_owned(), "big".into(), "*".into(), "field".into(), number.to_string()].into()
    })
}

fn text_bytes(elements: u64) -> u64 {
    (elements * TEXT_BYTES).min(TEXT_BYTES_MAX)
}

fn text(link: &mut Link, elements: u64) -> Result<()> {
    // Half of it compresses.
    let piece = |number: u64| format!("{number:016x}{}", "x".repeat(16)).repeat(1 << 12);
    let bytes = piece(0).len() as u64;
    link.fill(text_bytes(elements).div_ceil(bytes), |number| {
        let odd = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        vec!["APPEND".into(), "big".into(), piece(odd)]
    })
}
