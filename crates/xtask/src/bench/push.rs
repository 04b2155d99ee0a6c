//! Server CPU per request of what `redis-benchmark` has no test for: streams, geo, hash field expiry, publishing to
//! many subscribers.
//!
//! The load comes from this process, in rounds: every connection sends a batch, then every one reads its replies, and
//! every subscriber its messages. So no server is measured with messages still to be delivered.

use super::link::{Link, encode};
use super::options::Options;
use super::report::{Table, cell, median};
use super::server::{Contender, Running};
use super::speed::knows;
use anyhow::Result;
use std::time::Instant;

/// Connections that send.
const CONNECTIONS: usize = 50;
/// Streams, hashes: keys that requests spread over.
const KEYS: u64 = 1000;
/// Places in the geo set.
const PLACES: u64 = 10_000;

/// What the connections of a round do.
enum Shape {
    /// The call of a number.
    Calls(fn(u64) -> Vec<String>),
    /// XREADGROUP of one new entry, and its XACK.
    Group,
    /// PUBLISH to a channel with this many subscribers, beside as many subscriptions to other channels.
    Publish(usize, usize),
}

struct Workload {
    name: &'static str,
    /// The command it needs.
    command: &'static str,
    shape: Shape,
    /// Fills an empty server for that many requests.
    prepare: fn(&mut Link, u64) -> Result<()>,
    /// Requests relative to the usual number.
    weight: f64,
}

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "xadd",
        command: "xadd",
        shape: Shape::Calls(|number| words(&["XADD", &key("stream", number), "*", "field", "value"])),
        prepare: |_, _| Ok(()),
        weight: 1.0,
    },
    Workload {
        name: "xreadgroup+xack",
        command: "xreadgroup",
        shape: Shape::Group,
        prepare: |link, requests| {
            link.fill(requests / 2, |_| words(&["XADD", "stream", "*", "field", "value"]))?;
            link.call(&["XGROUP", "CREATE", "stream", "group", "0"]).map(drop)
        },
        weight: 1.0,
    },
    Workload {
        name: "geosearch",
        command: "geosearch",
        shape: Shape::Calls(|number| {
            let (longitude, latitude) = place(number * 7);
            words(&[
                "GEOSEARCH",
                "places",
                "FROMLONLAT",
                &longitude,
                &latitude,
                "BYRADIUS",
                "20",
                "km",
                "COUNT",
                "10",
                "ASC",
            ])
        }),
        prepare: |link, _| {
            link.fill(PLACES, |number| {
                let (longitude, latitude) = place(number);
                words(&["GEOADD", "places", &longitude, &latitude, &format!("place:{number:06}")])
            })
        },
        weight: 0.2,
    },
    Workload {
        name: "hexpire",
        command: "hexpire",
        shape: Shape::Calls(|number| {
            let field = format!("field:{:02}", number / KEYS % 50);
            words(&["HEXPIRE", &key("hash", number), "1000", "FIELDS", "1", &field])
        }),
        prepare: |link, _| {
            link.fill(KEYS * 50, |number| {
                let field = format!("field:{:02}", number / KEYS % 50);
                words(&["HSET", &key("hash", number), &field, "value"])
            })
        },
        weight: 1.0,
    },
    publish("publish_0", 0, 0, 1.0),
    publish("publish_1", 1, 0, 1.0),
    publish("publish_1_of_10001", 1, 10_000, 1.0),
    publish("publish_100", 100, 0, 0.2),
    publish("publish_1000", 1000, 0, 0.04),
];

const fn publish(name: &'static str, subscribers: usize, others: usize, weight: f64) -> Workload {
    Workload {
        name,
        command: "publish",
        shape: Shape::Publish(subscribers, others),
        prepare: |_, _| Ok(()),
        weight,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

fn key(name: &str, number: u64) -> String {
    format!("{name}:{:06}", number % KEYS)
}

/// Places on a grid of 100 by 100 within two degrees.
fn place(number: u64) -> (String, String) {
    let (column, row) = (number % 100, number / 100 % 100);
    (format!("{:.4}", 13.0 + column as f64 * 0.02), format!("{:.4}", 37.0 + row as f64 * 0.02))
}

/// Measurements of one server, one entry per repeat.
#[derive(Default)]
struct Samples {
    rate: Vec<f64>,
    cpu_us: Vec<f64>,
}

/// Measures and prints the table.
pub(super) fn run(options: &Options, contenders: &[Contender]) -> Result<()> {
    let servers = contenders.iter().map(Contender::start).collect::<Result<Vec<_>>>()?;
    println!(
        "Streams, geo, field expiry and push, {CONNECTIONS} connections, median of {}:\n",
        options.repeats
    );
    let mut table =
        Table::new(&["test", "-P"], &servers.iter().map(|server| server.name).collect::<Vec<_>>());
    for &pipeline in &options.pipelines {
        for workload in WORKLOADS.iter().filter(|workload| chosen(options, workload)) {
            let known = servers.iter().map(|server| knows(server, workload.command));
            let known = known.collect::<Result<Vec<bool>>>()?;
            if !known[0] {
                eprintln!("{} is skipped: ours does not know {}", workload.name, workload.command);
                continue;
            }
            let mut samples: Vec<Samples> = servers.iter().map(|_| Samples::default()).collect();
            for _ in 0..options.repeats {
                for ((server, samples), _) in
                    servers.iter().zip(&mut samples).zip(&known).filter(|(_, known)| **known)
                {
                    eprintln!("{} -P {pipeline}: {}", workload.name, server.name);
                    measure(workload, server, pipeline, options.scale, samples)?;
                }
            }
            table.row(&[workload.name.to_string(), pipeline.to_string()], &cells(&samples));
        }
    }
    println!("{table}");
    Ok(())
}

fn chosen(options: &Options, workload: &Workload) -> bool {
    options.only.as_ref().is_none_or(|only| only.iter().any(|name| name == workload.name))
}

fn measure(
    workload: &Workload,
    server: &Running,
    pipeline: u64,
    scale: f64,
    samples: &mut Samples,
) -> Result<()> {
    let base = if pipeline < 4 { 100_000.0 } else { 400_000.0 };
    let round = CONNECTIONS as u64 * pipeline * if matches!(workload.shape, Shape::Group) { 2 } else { 1 };
    let rounds = ((base * workload.weight * scale) as u64).div_ceil(round).max(3);
    let requests = rounds * round;
    let mut main = Link::open(server.port)?;
    main.call(&["FLUSHALL"])?;
    (workload.prepare)(&mut main, requests)?;
    let mut load = Load::open(server.port, workload, pipeline)?;
    let before = server.cpu_us()?;
    let started = Instant::now();
    for _ in 0..rounds {
        load.round()?;
    }
    samples.rate.push(requests as f64 / started.elapsed().as_secs_f64());
    samples.cpu_us.push((server.cpu_us()? - before) / requests as f64);
    Ok(())
}

/// The connections of one measurement.
struct Load<'w> {
    workload: &'w Workload,
    pipeline: u64,
    senders: Vec<Link>,
    subscribers: Vec<Link>,
    /// Subscribers of other channels.
    _others: Vec<Link>,
    /// Calls so far.
    number: u64,
    bytes: Vec<u8>,
    bulks: Vec<String>,
}

/// Channels a connection listens to where that is not the point.
const CHANNELS_EACH: usize = 100;
const CHANNEL: &str = "channel";
const MESSAGE: &str = "sixteen bytes of";

impl<'w> Load<'w> {
    fn open(port: u16, workload: &'w Workload, pipeline: u64) -> Result<Load<'w>> {
        let senders = (0..CONNECTIONS).map(|_| Link::open(port)).collect::<Result<_>>()?;
        let (count, others) = match workload.shape {
            Shape::Publish(count, others) => (count, others),
            _ => (0, 0),
        };
        let mut subscribers: Vec<Link> = (0..count).map(|_| Link::open(port)).collect::<Result<_>>()?;
        let mut bulks = Vec::new();
        for subscriber in &mut subscribers {
            subscribe(subscriber, CHANNEL, &mut bulks)?;
        }
        let mut elsewhere: Vec<Link> =
            (0..others.div_ceil(CHANNELS_EACH)).map(|_| Link::open(port)).collect::<Result<_>>()?;
        for number in 0..others {
            subscribe(&mut elsewhere[number / CHANNELS_EACH], &format!("other:{number}"), &mut bulks)?;
        }
        Ok(Load {
            workload,
            pipeline,
            senders,
            subscribers,
            _others: elsewhere,
            number: 0,
            bytes: Vec::new(),
            bulks,
        })
    }

    fn round(&mut self) -> Result<()> {
        match self.workload.shape {
            Shape::Calls(call) => self.exchange(|number, _| call(number)),
            Shape::Group => {
                self.exchange(|_, _| {
                    words(&["XREADGROUP", "GROUP", "group", "me", "COUNT", "1", "STREAMS", "stream", ">"])
                })?;
                // Stream, id, field, value of each reply.
                let ids: Vec<String> = self.bulks.iter().skip(1).step_by(4).cloned().collect();
                self.exchange(|_, place| words(&["XACK", "stream", "group", &ids[place]]))
            }
            Shape::Publish(..) => {
                self.exchange(|_, _| words(&["PUBLISH", CHANNEL, MESSAGE]))?;
                let mut frame = Vec::new();
                encode(&mut frame, &["message", CHANNEL, MESSAGE]);
                let sent = CONNECTIONS as u64 * self.pipeline * frame.len() as u64;
                self.subscribers.iter_mut().try_for_each(|subscriber| subscriber.skip(sent))
            }
        }
    }

    /// All connections send, then all read. `call` is given the number of the call, and its place in the round.
    fn exchange(&mut self, call: impl Fn(u64, usize) -> Vec<String>) -> Result<()> {
        self.bulks.clear();
        let mut place = 0;
        for sender in &mut self.senders {
            self.bytes.clear();
            for _ in 0..self.pipeline {
                let words = call(self.number, place);
                encode(&mut self.bytes, &words.iter().map(String::as_str).collect::<Vec<_>>());
                self.number += 1;
                place += 1;
            }
            sender.send(&self.bytes)?;
        }
        for sender in &mut self.senders {
            for _ in 0..self.pipeline {
                sender.reply(&mut self.bulks)?;
            }
        }
        Ok(())
    }
}

fn subscribe(link: &mut Link, channel: &str, bulks: &mut Vec<String>) -> Result<()> {
    let mut bytes = Vec::new();
    encode(&mut bytes, &["SUBSCRIBE", channel]);
    link.send(&bytes)?;
    link.reply(bulks)
}

fn cells(samples: &[Samples]) -> Vec<String> {
    let ours = median(&samples[0].cpu_us);
    let text = |(index, samples): (usize, &Samples)| {
        if samples.rate.is_empty() {
            return "-".to_string();
        }
        let (rate, cpu) = (median(&samples.rate), median(&samples.cpu_us));
        let ratio = if index == 0 { None } else { Some(ours / cpu) };
        cell(&format!("{:.0}k/s {cpu:.3} us", rate / 1000.0), ratio)
    };
    samples.iter().enumerate().map(text).collect()
}
