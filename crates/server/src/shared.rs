//! What all threads of a server share.

use crate::client::Client;
use crate::config::{Config, Values};
use crate::log::Log;
use crate::memory::Memory;
use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use redoubt_persistence::disk::Folder;
use redoubt_store::{EvictionPolicy, Garbage, Keyspace};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// CLIENT PAUSE as it stands.
#[derive(Debug, Default)]
pub struct Pause {
    /// Unix ms at which it ends; 0 = no pause.
    pub until_ms: AtomicI64,
    /// Only writes wait.
    pub writes_only: AtomicBool,
}

impl Pause {
    /// Whether it lasts. One that is over is forgotten, so that nobody reads the clock for it again.
    #[inline]
    pub fn is_on(&self) -> bool {
        let until = self.until_ms.load(Relaxed);
        until != 0 && (until > unix_ms() || self.end(until))
    }

    /// Holds writes back until the pause is ended.
    pub(crate) fn hold_writes(&self) {
        self.writes_only.store(true, Relaxed);
        // A year: more than anybody waits, and no overflow for those who compute with it.
        self.until_ms.store(unix_ms() + 365 * 24 * 3600 * 1000, Relaxed);
    }

    /// Always false: the pause that ended at `until` is none any more.
    #[cold]
    fn end(&self, until: i64) -> bool {
        // A new pause that began meanwhile stays; the next look finds it.
        let _ = self.until_ms.compare_exchange(until, 0, Relaxed, Relaxed);
        false
    }
}

/// Values dropped by the background thread.
#[derive(Debug, Default)]
pub struct LazyFreed {
    /// Objects waiting for it.
    pub pending: AtomicU64,
    /// Objects it has dropped.
    pub done: AtomicU64,
}

impl LazyFreed {
    /// Drops it.
    pub fn free(&self, garbage: Garbage) {
        let objects = garbage.objects();
        drop(garbage);
        self.pending.fetch_sub(objects, Relaxed);
        self.done.fetch_add(objects, Relaxed);
    }
}

/// See the module's text.
pub struct Shared {
    /// The data.
    pub keyspace: Keyspace,
    /// The configuration; `values` is its typed copy.
    pub config: RwLock<Config>,
    values: RwLock<Arc<Values>>,
    /// Rises with every `renew`.
    pub generation: AtomicU64,
    /// Effects in commit order.
    pub log: Log,
    /// Where files go, if not to the file system.
    disk: OnceLock<Arc<dyn Folder>>,
    /// Effects on the disk.
    pub aof: crate::aof::Aof,
    /// Why writes are refused, if they are.
    pub refusal: crate::refusal::Refusal,
    /// Whether data is being loaded.
    pub loading: crate::load::Loading,
    /// Connections by id.
    pub clients: DashMap<u64, Arc<Client>>,
    /// Number of connections, those being set up included.
    pub connected: AtomicUsize,
    next_client: AtomicU64,
    next_order: AtomicU64,
    /// CLIENT PAUSE.
    pub pause: Pause,
    /// Memory figures.
    pub memory: Memory,
    /// Values waiting to be dropped by the background thread.
    garbage: std::sync::mpsc::Sender<Garbage>,
    /// How many there are and were.
    pub lazy_freed: Arc<LazyFreed>,
    /// Average time to live of the keys that expire, milliseconds, by database; an estimate from samples.
    pub average_ttl: Box<[AtomicI64]>,
    /// Operations and bytes per second of the last moments.
    pub rates: crate::info::Rates,
    /// Snapshots of the data.
    pub snapshots: crate::snapshot::Snapshots,
    /// Statistics.
    pub stats: crate::stats::Stats,
    /// SLOWLOG.
    pub slowlog: crate::slowlog::SlowLog,
    /// LATENCY.
    pub latency: crate::latency::LatencyMonitor,
    /// 40 hex digits, new for every start (`run_id`).
    pub run_id: String,
    /// When the server started.
    pub started: SystemTime,
    /// Tells the control thread to stop.
    pub stop: tokio::sync::watch::Sender<bool>,
    /// Active expiry may be switched off by DEBUG.
    pub active_expire: AtomicBool,
    /// Workers, to be asked whether they are between two batches.
    pub(crate) barriers: Mutex<Vec<tokio::sync::mpsc::UnboundedSender<tokio::sync::oneshot::Sender<()>>>>,
    /// Backlog, replicas, the link to a primary.
    pub replication: crate::replication::Replication,
    /// Reaches the control thread for new listening sockets, once it runs.
    pub(crate) reopen: Mutex<Option<tokio::sync::mpsc::UnboundedSender<crate::net::listener::Reopen>>>,
    /// Port that is really listened on.
    pub port: AtomicUsize,
    /// Clients relayed to the primary.
    pub forward: crate::forward::Figures,
    /// Failover, where it is switched on.
    pub ha: Option<crate::ha::Ha>,
    /// What its Sentinel API remembers.
    pub sentinel: Option<crate::sentinel::Sentinel>,
    /// Channels and their subscribers, MONITOR.
    pub hub: crate::pubsub::Hub,
    /// Commands by their configured names, when `rename-command` changed some.
    pub renamed: Option<crate::dispatch::renames::Renames>,
}

/// Unix time in milliseconds.
#[inline]
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

impl Shared {
    /// State of a server that has not opened its sockets.
    pub fn new(config: Config, garbage: std::sync::mpsc::Sender<Garbage>, workers: usize) -> Shared {
        let values = config.values();
        let mut rng = fastrand::Rng::new();
        let run_id = (0..40).map(|_| char::from(b"0123456789abcdef"[rng.usize(0..16)])).collect();
        let databases = values.databases;
        let ha = values.ha.enabled.then(|| crate::ha::Ha::new(&values.ha));
        let renamed = crate::dispatch::renames::Renames::new(config.renames());
        Shared {
            keyspace: Keyspace::new(values.databases, PARTITIONS, rng.u64(..)),
            values: RwLock::new(Arc::new(values)),
            config: RwLock::new(config),
            generation: AtomicU64::new(1),
            log: Log::default(),
            disk: OnceLock::new(),
            aof: crate::aof::Aof::default(),
            refusal: crate::refusal::Refusal::default(),
            loading: crate::load::Loading::default(),
            clients: DashMap::new(),
            connected: AtomicUsize::new(0),
            next_client: AtomicU64::new(1),
            next_order: AtomicU64::new(1),
            pause: Pause::default(),
            memory: Memory::default(),
            garbage,
            lazy_freed: Arc::default(),
            average_ttl: (0..databases).map(|_| AtomicI64::new(0)).collect(),
            rates: crate::info::Rates::default(),
            snapshots: crate::snapshot::Snapshots::default(),
            stats: crate::stats::Stats::new(workers),
            slowlog: crate::slowlog::SlowLog::default(),
            latency: crate::latency::LatencyMonitor::default(),
            run_id,
            started: SystemTime::now(),
            stop: tokio::sync::watch::Sender::new(false),
            active_expire: AtomicBool::new(true),
            barriers: Mutex::default(),
            replication: crate::replication::Replication::new(),
            reopen: Mutex::new(None),
            port: AtomicUsize::new(0),
            sentinel: ha.is_some().then(crate::sentinel::Sentinel::default),
            forward: crate::forward::Figures::default(),
            ha,
            hub: crate::pubsub::Hub::default(),
            renamed,
        }
    }

    /// The settings as they are now.
    pub fn values(&self) -> Arc<Values> {
        Arc::clone(&self.values.read())
    }

    /// Publishes the settings after the configuration changed.
    pub fn publish(&self, config: &Config) {
        let values = config.values();
        self.keyspace.set_events(crate::pubsub::Hub::event_classes(&values));
        self.hub.configure(&values);
        self.sentinel.iter().for_each(|sentinel| sentinel.hub.configure(&values));
        self.memory.limit.store(values.maxmemory, Relaxed);
        self.aof.configure(self, &values);
        self.replication.configure(&values);
        self.snapshots.saves.judge_writes(self, &values);
        *self.values.write() = Arc::new(values);
        self.renew();
    }

    /// Ends every batch with the request that it is at: what batches go by from their beginning on has changed.
    pub(crate) fn renew(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    /// The folder that snapshots and the append-only file's folder are in: `dir`.
    pub fn folder(&self) -> Arc<dyn Folder> {
        match self.disk.get() {
            Some(disk) => Arc::clone(disk),
            None => Arc::new(crate::disk::DiskFolder::new(&self.values().dir)),
        }
    }

    /// Has files go to another disk than the file system. Before anything uses it.
    pub(crate) fn use_disk(&self, disk: Arc<dyn Folder>) {
        let _ = self.disk.set(disk);
    }

    /// Ends a pause: all who wait for its end go on.
    pub(crate) fn end_pause(&self) {
        self.pause.until_ms.store(0, Relaxed);
        for client in &self.clients {
            client.mailbox.wake();
        }
    }

    /// Closes a connection from outside. It is in no list from now on, although its own task has yet to see that.
    pub fn kill(&self, client: &Client) {
        client.mailbox.post(crate::client::Mail::Kill);
        if client.has(crate::client::flag::PRIMARY) {
            self.replication.cut_link();
        }
        if self.clients.remove(&client.id).is_some() {
            self.stats.closed(client);
        }
    }

    /// Where the client listens: a Sentinel's channels are not those of the server.
    pub(crate) fn hub_of(&self, client: &Client) -> &crate::pubsub::Hub {
        match &self.sentinel {
            Some(sentinel) if client.has(crate::client::flag::SENTINEL) => &sentinel.hub,
            _ => &self.hub,
        }
    }

    /// Takes over the value that a setting came to by another way than CONFIG SET.
    pub(crate) fn note(&self, name: &str, value: &str) {
        let mut config = self.config.write();
        config.note(name, value);
        self.publish(&config);
    }

    /// Commands run and bytes moved since the start.
    pub fn totals(&self) -> crate::info::Totals {
        let (gone_in, gone_out) = self.stats.closed_bytes();
        let (net_in, net_out) = self.live_bytes();
        let (repl_in, repl_out) = self.replication.traffic();
        crate::info::Totals {
            commands: self.stats.commands_processed(),
            net_in: gone_in.wrapping_add(net_in),
            net_out: gone_out.wrapping_add(net_out),
            repl_in,
            repl_out,
        }
    }

    /// Bytes (read from, written to) the clients that are there.
    fn live_bytes(&self) -> (u64, u64) {
        let (mut net_in, mut net_out) = (0, 0);
        for client in &self.clients {
            net_in += client.net_in.load(Relaxed);
            net_out += client.net_out.load(Relaxed);
        }
        (net_in, net_out)
    }

    /// Whether data are being loaded, from the disk or from a primary.
    pub fn is_loading(&self) -> bool {
        self.loading.is_on() || self.replication.is_taking_over()
    }

    /// CONFIG RESETSTAT.
    pub fn reset_stats(&self) {
        let (net_in, net_out) = self.live_bytes();
        self.stats.reset(net_in, net_out);
        self.replication.reset_counts();
        self.lazy_freed.done.store(0, Relaxed);
        self.memory.reset_exceeded();
    }

    /// Has the background thread drop it.
    pub fn free_lazily(&self, garbage: Garbage) {
        self.lazy_freed.pending.fetch_add(garbage.objects(), Relaxed);
        if let Err(rejected) = self.garbage.send(garbage) {
            // Without the background thread (the server stops) it is dropped here.
            self.lazy_freed.free(rejected.0);
        }
    }

    /// Offset up to which the log is safe in our append-only file; none without such a file.
    pub fn fsynced_offset(&self) -> Option<u64> {
        self.aof.synced_offset(self.log.run())
    }

    /// Returns once every worker has been between two batches of requests: whatever a flag that was set before let
    /// through has ended.
    pub(crate) async fn quiesce(&self) {
        for worker in self.ask_workers() {
            // A worker that is gone runs nothing any more.
            let _ = worker.await;
        }
    }

    /// As `quiesce`, on a thread that is no worker and runs no tasks.
    pub(crate) fn quiesce_blocking(&self) {
        for worker in self.ask_workers() {
            let _ = worker.blocking_recv();
        }
    }

    /// Asks every worker to answer when it is between two batches of requests.
    pub(crate) fn ask_workers(&self) -> Vec<tokio::sync::oneshot::Receiver<()>> {
        let ask = |worker: &tokio::sync::mpsc::UnboundedSender<_>| {
            let (done, waits) = tokio::sync::oneshot::channel();
            worker.send(done).ok().map(|()| waits)
        };
        self.barriers.lock().iter().filter_map(ask).collect()
    }

    /// The time, if the latency monitor is on and wants to be told how long something takes.
    pub(crate) fn start_latency(&self, values: &Values) -> Option<std::time::Instant> {
        (values.latency_monitor_threshold > 0).then(std::time::Instant::now)
    }

    /// Tells the latency monitor of something that began at `started`, if that is known, and is over now.
    pub(crate) fn note_latency(&self, event: &'static str, started: impl Into<Option<std::time::Instant>>) {
        let Some(started) = started.into() else { return };
        let threshold = self.values().latency_monitor_threshold;
        self.latency.record(event, started.elapsed().as_millis() as u64, threshold, unix_ms() / 1000);
    }

    /// A new client id.
    pub fn next_client_id(&self) -> u64 {
        self.next_client.fetch_add(1, Relaxed)
    }

    /// A new place in the queues of parked clients.
    pub fn next_order(&self) -> u64 {
        self.next_order.fetch_add(1, Relaxed)
    }

    /// `maxmemory-policy`.
    pub fn eviction_policy(values: &Values) -> EvictionPolicy {
        match values.maxmemory_policy {
            "allkeys-lru" => EvictionPolicy::AllkeysLru,
            "allkeys-lfu" => EvictionPolicy::AllkeysLfu,
            "allkeys-random" => EvictionPolicy::AllkeysRandom,
            "volatile-lru" => EvictionPolicy::VolatileLru,
            "volatile-lfu" => EvictionPolicy::VolatileLfu,
            "volatile-random" => EvictionPolicy::VolatileRandom,
            "volatile-ttl" => EvictionPolicy::VolatileTtl,
            _ => EvictionPolicy::NoEviction,
        }
    }

    /// Asks the server to end. Returns at once.
    pub fn request_stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Locks over the keyspace; see docs/decisions/0003-partitions.md.
const PARTITIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_is_over_is_forgotten() {
        let pause = Pause::default();
        assert!(!pause.is_on());
        pause.until_ms.store(unix_ms() + 60_000, Relaxed);
        assert!(pause.is_on());
        pause.until_ms.store(unix_ms() - 1, Relaxed);
        assert!(!pause.is_on());
        assert_eq!(pause.until_ms.load(Relaxed), 0);
    }
}
