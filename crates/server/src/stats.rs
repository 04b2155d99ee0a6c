//! Counters of the whole server. Each worker writes its own, without contention; readers add them up.

use crate::client::Client;
use crate::histogram::{Distribution, Histogram};
use dashmap::DashMap;
use parking_lot::Mutex;
use redoubt_commands::table;
use redoubt_resp::ProtocolError;
use redoubt_store::Counters;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Error codes told apart: a client could make up codes without end (scripts may answer any).
const ERROR_CODES_MAX: usize = 128;
/// Where errors of further codes are counted.
const ERRORS_OVERFLOW: &str = "ERRORSTATS_OVERFLOW";

/// Counts of one command on one worker, on one cache line: each call writes there.
#[repr(align(64))]
#[derive(Default)]
pub struct CommandStats {
    /// Times it ran.
    pub calls: AtomicU64,
    /// Clock ticks it took (`quanta`'s raw clock).
    pub ticks: AtomicU64,
    /// Times it was refused before it ran.
    pub rejected: AtomicU64,
    /// Times it ran and answered with an error.
    pub failed: AtomicU64,
    /// How long it took, from the first call on.
    times: OnceLock<Histogram>,
}

/// Counts of one worker, alone on its cache lines.
#[repr(align(128))]
#[derive(Default)]
struct Worker {
    commands: Vec<CommandStats>,
    hits: AtomicU64,
    misses: AtomicU64,
    expired: AtomicU64,
    expired_fields: AtomicU64,
    evicted: AtomicU64,
    dirty: AtomicU64,
}

/// See the module's text.
pub struct Stats {
    workers: Vec<Worker>,
    /// Error replies by code ("ERR", "WRONGTYPE").
    pub errors: DashMap<String, u64>,
    /// `total_connections_received`.
    pub connections: AtomicU64,
    /// `rejected_connections`.
    pub rejected_connections: AtomicU64,
    /// `client_query_buffer_limit_disconnections`.
    pub query_buffer_disconnections: AtomicU64,
    /// `client_output_buffer_limit_disconnections`.
    pub output_buffer_disconnections: AtomicU64,
    /// `evicted_clients`.
    pub evicted_clients: AtomicU64,
    /// Malformed requests.
    pub protocol_errors: AtomicU64,
    /// Errors that commands of the primary's stream were answered with.
    pub stream_errors: AtomicU64,
    /// Panics caught.
    pub panics: AtomicU64,
    /// `blocked_clients`.
    pub blocked: AtomicI64,
    /// Bytes read from and written to clients that are gone.
    net_in: AtomicU64,
    net_out: AtomicU64,
    /// Histograms as they were at the last reset, by command; each has one writer, so they cannot be cleared.
    times_before: Mutex<Vec<Distribution>>,
}

#[inline]
fn add(counter: &AtomicU64, by: u64) {
    // One writer: a plain add would do, but relaxed atomics keep readers sound at the same price.
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Stats {
    /// Zeroes for `workers` workers (two more slots serve the background thread and the thread that applies a stream).
    pub fn new(workers: usize) -> Stats {
        let commands = || (0..table::table().len()).map(|_| CommandStats::default()).collect();
        Stats {
            workers: (0..workers + 2).map(|_| Worker { commands: commands(), ..Worker::default() }).collect(),
            errors: DashMap::new(),
            connections: AtomicU64::new(0),
            rejected_connections: AtomicU64::new(0),
            query_buffer_disconnections: AtomicU64::new(0),
            output_buffer_disconnections: AtomicU64::new(0),
            evicted_clients: AtomicU64::new(0),
            protocol_errors: AtomicU64::new(0),
            stream_errors: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            blocked: AtomicI64::new(0),
            net_in: AtomicU64::new(0),
            net_out: AtomicU64::new(0),
            times_before: Mutex::new(vec![Distribution::default(); table::table().len()]),
        }
    }

    /// Number of the slot for threads that are no workers.
    pub fn background(&self) -> usize {
        self.workers.len() - 1
    }

    /// Number of the slot for whoever applies a stream of commands.
    pub fn stream(&self) -> usize {
        self.workers.len() - 2
    }

    /// A command ran for `ticks`, which are `nanos`; those are counted only if they are given (`latency-tracking`).
    #[inline]
    pub fn ran(&self, worker: usize, command: usize, ticks: u64, nanos: Option<u64>) {
        let stats = &self.workers[worker].commands[command];
        add(&stats.calls, 1);
        add(&stats.ticks, ticks);
        if let Some(nanos) = nanos {
            stats.times.get_or_init(Histogram::default).record(nanos);
        }
    }

    /// How long a command took since the last reset.
    pub fn latency(&self, command: usize) -> Distribution {
        let mut times = self.latency_ever(command);
        times.subtract(&self.times_before.lock()[command]);
        times
    }

    fn latency_ever(&self, command: usize) -> Distribution {
        let mut times = Distribution::default();
        let histograms = self.workers.iter().filter_map(|worker| worker.commands[command].times.get());
        histograms.for_each(|histogram| histogram.add_to(&mut times));
        times
    }

    /// Forgets how long commands took.
    pub fn reset_latency(&self) {
        let mut before = self.times_before.lock();
        for (command, before) in before.iter_mut().enumerate() {
            *before = self.latency_ever(command);
        }
    }

    /// A client is gone: keeps its share of the totals.
    pub fn closed(&self, client: &Client) {
        self.net_in.fetch_add(client.net_in.load(Relaxed), Relaxed);
        self.net_out.fetch_add(client.net_out.load(Relaxed), Relaxed);
    }

    /// Bytes (read from, written to) clients that are gone; after a reset they may have wrapped around, to make up for
    /// what those that are there have counted before.
    pub fn closed_bytes(&self) -> (u64, u64) {
        (self.net_in.load(Relaxed), self.net_out.load(Relaxed))
    }

    /// A command was refused; `command` is known unless its name was not.
    pub fn rejected(&self, worker: usize, command: Option<usize>, text: &str) {
        if let Some(command) = command {
            add(&self.workers[worker].commands[command].rejected, 1);
        }
        self.error(text);
    }

    /// A command answered with an error.
    pub fn failed(&self, worker: usize, command: usize, text: &str) {
        add(&self.workers[worker].commands[command].failed, 1);
        self.error(text);
    }

    /// Counts an error by its code: the first word, or ERR if it has no other.
    #[cold]
    fn error(&self, text: &str) {
        let code = text.split_once(' ').map_or("ERR", |(code, _)| code);
        if let Some(mut count) = self.errors.get_mut(code) {
            *count += 1;
            return;
        }
        let code = if self.errors.len() < ERROR_CODES_MAX { code } else { ERRORS_OVERFLOW };
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }

    /// Adds a batch's counts.
    pub fn add(&self, worker: usize, counters: &Counters) {
        let stats = &self.workers[worker];
        add(&stats.hits, counters.hits);
        add(&stats.misses, counters.misses);
        if counters.dirty != 0 || counters.expired != 0 || counters.expired_fields != 0 {
            add(&stats.expired, counters.expired);
            add(&stats.expired_fields, counters.expired_fields);
            add(&stats.dirty, counters.dirty);
        }
    }

    /// Keys were evicted.
    pub fn evicted(&self, worker: usize, keys: u64) {
        add(&self.workers[worker].evicted, keys);
    }

    /// A connection was accepted.
    pub fn connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// A connection was turned away.
    pub fn rejected_connection(&self) {
        self.rejected_connections.fetch_add(1, Relaxed);
    }

    /// A client sent a malformed request.
    pub fn protocol_error(&self, client: &Client, error: &ProtocolError) {
        self.protocol_errors.fetch_add(1, Relaxed);
        tracing::debug!("protocol error from client {} {}: {error}", client.id, client.addr);
    }

    /// A client exceeded `client-query-buffer-limit`.
    pub fn query_buffer_limit(&self, client: &Client) {
        self.query_buffer_disconnections.fetch_add(1, Relaxed);
        tracing::warn!("closing client {} {}: query buffer limit reached", client.id, client.addr);
    }

    /// A client exceeded `client-output-buffer-limit`.
    pub fn output_buffer_limit(&self, client: &Client) {
        self.output_buffer_disconnections.fetch_add(1, Relaxed);
        tracing::warn!("closing client {} {}: output buffer limit reached", client.id, client.addr);
    }

    /// A panic was caught.
    pub fn panic(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    /// Clients parked (+1) or no longer (-1).
    pub fn parked(&self, delta: i64) {
        self.blocked.fetch_add(delta, Relaxed);
    }

    fn sum(&self, of: impl Fn(&Worker) -> u64) -> u64 {
        self.workers.iter().map(of).sum()
    }

    /// `keyspace_hits`.
    pub fn hits(&self) -> u64 {
        self.sum(|worker| worker.hits.load(Relaxed))
    }

    /// `keyspace_misses`.
    pub fn misses(&self) -> u64 {
        self.sum(|worker| worker.misses.load(Relaxed))
    }

    /// `expired_subkeys`.
    pub fn expired_fields(&self) -> u64 {
        self.sum(|worker| worker.expired_fields.load(Relaxed))
    }

    /// `expired_keys`.
    pub fn expired(&self) -> u64 {
        self.sum(|worker| worker.expired.load(Relaxed))
    }

    /// `evicted_keys`.
    pub fn evicted_keys(&self) -> u64 {
        self.sum(|worker| worker.evicted.load(Relaxed))
    }

    /// `rdb_changes_since_last_save`.
    pub fn dirty(&self) -> u64 {
        self.sum(|worker| worker.dirty.load(Relaxed))
    }

    /// (calls, ticks, rejected, failed) of a command.
    pub fn command(&self, id: usize) -> (u64, u64, u64, u64) {
        let of = |pick: fn(&CommandStats) -> &AtomicU64| {
            self.sum(|worker| pick(&worker.commands[id]).load(Relaxed))
        };
        (of(|c| &c.calls), of(|c| &c.ticks), of(|c| &c.rejected), of(|c| &c.failed))
    }

    /// `total_commands_processed`.
    pub fn commands_processed(&self) -> u64 {
        self.sum(|worker| worker.commands.iter().map(|command| command.calls.load(Relaxed)).sum())
    }

    /// CONFIG RESETSTAT. The clients that are there have counted so many bytes (read, written) until now.
    pub fn reset(&self, net_in: u64, net_out: u64) {
        for worker in &self.workers {
            for counter in
                [&worker.hits, &worker.misses, &worker.expired, &worker.expired_fields, &worker.evicted]
            {
                counter.store(0, Relaxed);
            }
            for command in &worker.commands {
                for counter in [&command.calls, &command.ticks, &command.rejected, &command.failed] {
                    counter.store(0, Relaxed);
                }
            }
        }
        self.errors.clear();
        self.reset_latency();
        for counter in [
            &self.connections,
            &self.rejected_connections,
            &self.query_buffer_disconnections,
            &self.output_buffer_disconnections,
            &self.evicted_clients,
            &self.protocol_errors,
            &self.stream_errors,
        ] {
            counter.store(0, Relaxed);
        }
        self.net_in.store(0u64.wrapping_sub(net_in), Relaxed);
        self.net_out.store(0u64.wrapping_sub(net_out), Relaxed);
    }
}
