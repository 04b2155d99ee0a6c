//! Throughput and server CPU per request of `redis-benchmark`'s tests.

use super::LOAD_CORE;
use super::link::Link;
use super::options::Options;
use super::report::{Table, median, row};
use super::server::{Contender, Running};
use crate::process::output;
use anyhow::{Context, Result};
use std::process::Command;

/// Connections of the load generator.
const CONNECTIONS: &str = "50";
/// No run begins with more than this many bytes of values per server.
const PREFILL_BYTES_MAX: u64 = 1 << 30;
/// Elements of the list that the LRANGE tests read.
const LIST_LENGTH: u64 = 1000;

/// One test of redis-benchmark's default run.
struct Test {
    /// Its name after `-t`.
    name: &'static str,
    /// The command it needs.
    command: &'static str,
    /// A command line that stands for it, where `-t` would do more than the test.
    line: &'static [&'static str],
    /// Requests relative to the usual number.
    weight: f64,
    /// The test whose work this one undoes: it goes before each repeat, unmeasured.
    after: Option<&'static str>,
}

const fn test(name: &'static str, command: &'static str) -> Test {
    Test { name, command, line: &[], weight: 1.0, after: None }
}

/// Each repeat takes from what as many pushes left, as in a default run, and not from what the repeats before have emptied.
const fn pop(name: &'static str, after: &'static str) -> Test {
    Test { name, command: name, line: &[], weight: 1.0, after: Some(after) }
}

/// `-t lrange_*` fills the list first, which would count.
const fn range(name: &'static str, last: &'static [&'static str], weight: f64) -> Test {
    Test { name, command: "lrange", line: last, weight, after: None }
}

/// In redis-benchmark's order.
const TESTS: &[Test] = &[
    test("ping_inline", "ping"),
    test("ping_mbulk", "ping"),
    test("set", "set"),
    test("get", "get"),
    test("incr", "incr"),
    test("lpush", "lpush"),
    test("rpush", "rpush"),
    pop("lpop", "lpush"),
    pop("rpop", "rpush"),
    test("sadd", "sadd"),
    test("hset", "hset"),
    pop("spop", "sadd"),
    test("zadd", "zadd"),
    pop("zpopmin", "zadd"),
    range("lrange_100", &["lrange", "range", "0", "99"], 0.2),
    range("lrange_300", &["lrange", "range", "0", "299"], 0.1),
    range("lrange_500", &["lrange", "range", "0", "499"], 0.05),
    range("lrange_600", &["lrange", "range", "0", "599"], 0.05),
    test("mset", "mset"),
];

/// Measurements of one server: requests per second and CPU microseconds per request, one entry per repeat.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) rate: Vec<f64>,
    pub(super) cpu_us: Vec<f64>,
}

/// Measures and prints one table per value size.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    for &size in &options.sizes {
        let keys = options.keys.min(PREFILL_BYTES_MAX / size.max(1));
        let servers = contenders.iter().map(Contender::start).collect::<Result<Vec<_>>>()?;
        for server in &servers {
            eprintln!("filling {} with {keys} keys of {size} bytes", server.name);
            prefill(server, keys, size)?;
        }
        println!(
            "Values of {size} bytes, {keys} keys, {CONNECTIONS} connections, median of {}:\n",
            options.repeats
        );
        let mut table =
            Table::new(&["test", "-P"], &servers.iter().map(|server| server.name).collect::<Vec<_>>());
        for &pipeline in &options.pipelines {
            for test in TESTS.iter().filter(|test| chosen(options, test, size)) {
                if !knows(&servers[0], test.command)? {
                    eprintln!("{} is skipped: ours does not know {}", test.name, test.command);
                    continue;
                }
                let samples = measure(options, &servers, test, pipeline, size, keys)?;
                table.row(&[test.name.to_string(), pipeline.to_string()], &cells(&samples));
            }
        }
        println!("{table}");
    }
    Ok(())
}

/// Sizes other than the first matter to the tests that carry values.
fn chosen(options: &Options, test: &Test, size: u64) -> bool {
    let wanted = options.only.as_ref().is_none_or(|only| only.iter().any(|name| name == test.name));
    wanted && (size == options.sizes[0] || matches!(test.name, "set" | "get"))
}

/// Repeats, each of them over all servers in turn.
fn measure(
    options: &Options,
    servers: &[Running],
    test: &Test,
    pipeline: u64,
    size: u64,
    keys: u64,
) -> Result<Vec<Samples>> {
    let base = match pipeline {
        0..=3 => 200_000.0,
        4..=31 => 1_000_000.0,
        _ => 2_000_000.0,
    };
    let large = if size > 4096 { 0.1 } else { 1.0 };
    let requests = (base * large * test.weight * options.scale).max(1000.0) as u64;
    let mut samples: Vec<Samples> = servers.iter().map(|_| Samples::default()).collect();
    for repeat in 0..options.repeats {
        for (server, samples) in servers.iter().zip(&mut samples) {
            eprintln!(
                "{} -P {pipeline} -d {size}: {} {}/{}",
                test.name,
                server.name,
                repeat + 1,
                options.repeats
            );
            if let Some(name) = test.after {
                load(server, &self::test(name, name), pipeline, size, keys, requests)?;
            }
            let before = server.cpu_us()?;
            let rate = load(server, test, pipeline, size, keys, requests)?;
            samples.rate.push(rate);
            samples.cpu_us.push((server.cpu_us()? - before) / requests as f64);
        }
    }
    Ok(samples)
}

/// SET alone, once; requests per second.
pub(super) fn set(server: &Running, pipeline: u64, size: u64, keys: u64, requests: u64) -> Result<f64> {
    load(server, &test("set", "set"), pipeline, size, keys, requests)
}

/// Runs redis-benchmark once; requests per second.
fn load(server: &Running, test: &Test, pipeline: u64, size: u64, keys: u64, requests: u64) -> Result<f64> {
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE, "redis-benchmark", "--csv", "-c", CONNECTIONS]);
    for (name, value) in
        [("-p", u64::from(server.port)), ("-n", requests), ("-r", keys), ("-P", pipeline), ("-d", size)]
    {
        command.arg(name).arg(value.to_string());
    }
    if test.line.is_empty() {
        command.args(["-t", test.name]);
    } else {
        command.args(test.line);
    }
    let csv = output(&mut command)?;
    let line = csv.lines().next_back().context("redis-benchmark printed nothing")?;
    // "test","rps",...: test names hold no quotes, but may hold commas.
    let rate = line.split("\",\"").nth(1).with_context(|| format!("redis-benchmark printed {line}"))?;
    rate.parse().with_context(|| format!("redis-benchmark printed {line}"))
}

/// The keys that SET, GET and INCR meet, so that they work on a full keyspace from the first request.
fn prefill(server: &Running, keys: u64, size: u64) -> Result<()> {
    let mut link = Link::open(server.port)?;
    let value = "x".repeat(size as usize);
    link.fill(keys, |number| vec!["SET".into(), format!("key:{number:012}"), value.clone()])?;
    link.fill(keys, |number| vec!["SET".into(), format!("counter:{number:012}"), "0".into()])?;
    let element = "x".repeat(16);
    link.fill(LIST_LENGTH, |_| vec!["RPUSH".into(), "range".into(), element.clone()])
}

/// Called bare, a known command answers or complains about its arguments.
pub(super) fn knows(server: &Running, command: &str) -> Result<bool> {
    let answer = Link::open(server.port)?.call(&[command]);
    Ok(answer.map_or_else(|error| !error.to_string().contains("unknown command"), |_| true))
}

pub(super) fn cells(samples: &[Samples]) -> Vec<String> {
    let cpu = |samples: &Samples| median(&samples.cpu_us);
    row(samples, cpu, |samples| {
        format!("{:.0}k/s {:.3} us", median(&samples.rate) / 1000.0, median(&samples.cpu_us))
    })
}
