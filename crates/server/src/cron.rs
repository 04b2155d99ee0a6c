//! Periodic work: active expiry, memory figures, `maxmemory-clients`. On a thread of its own, since it waits for
//! partitions that a slow command may hold for long; it holds none for long itself.

use crate::client::Mail;
use crate::config::Values;
use crate::shared::{Shared, unix_ms};
use redoubt_store::Txn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Keys of a database that are looked at for its average time to live.
const TTL_SAMPLES: usize = 20;
/// Keys one partition may lose before its lock is let go.
const EXPIRE_SLICE: usize = 256;
/// Share of the time that active expiry may take, as in Redis: 25% at effort 1, 2% more for each further step.
const EXPIRE_SHARE: f64 = 0.25;

/// Time without a request after which a connection is idle, milliseconds.
const IDLE_MS: i64 = 1000;
/// Memory that only a connection with work to do may keep for its buffers, bytes.
const BUSY_BYTES: usize = 40 * 1024;

/// Starts the thread. It ends with the server.
pub(crate) fn start(shared: Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("cron".into()).spawn(move || {
        runtime.block_on(async {
            let mut stop = shared.stop.subscribe();
            tokio::select! {
                () = run(Arc::clone(&shared)) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    })
}

async fn run(shared: Arc<Shared>) {
    let mut shrunk = Instant::now();
    loop {
        let values = shared.values();
        let period = Duration::from_millis(1000 / u64::from(values.hz.max(1)));
        shared.memory.recalibrate();
        crate::process::grown_to(shared.memory.used());
        crate::aof::rewrite::look(&shared);
        if !shared.memory.is_over() {
            // Nobody may ask for a while.
            shared.memory.note_exceeded(false);
        }
        crate::eviction::evict_clients(&shared, values.maxmemory_clients);
        if shrunk.elapsed().as_millis() as i64 >= IDLE_MS {
            shrunk = Instant::now();
            shrink_idle(&shared);
        }
        shared.snapshots.saves.look(&shared, &values);
        shared.rates.sample(Instant::now(), || shared.totals());
        // While clients are paused the data stays as it is; while it is loaded it comes to be.
        let idle = shared.pause.is_on() || shared.loading.is_on();
        if shared.active_expire.load(Relaxed) && !idle {
            let share = EXPIRE_SHARE + 0.02 * f64::from(values.active_expire_effort - 1);
            let budget = period.mul_f64(share);
            if shared.replication.follows() {
                expire_own(&shared, &values, budget).await;
            } else {
                sample_ttls(&shared);
                expire_cycle(&shared, &values, budget).await;
            }
        }
        tokio::time::sleep(period).await;
    }
}

/// Has connections that were busy once, and are not now, give back what their buffers take.
fn shrink_idle(shared: &Shared) {
    let before = unix_ms() - IDLE_MS;
    for client in &shared.clients {
        if client.memory.load(Relaxed) > BUSY_BYTES && client.active_ms.load(Relaxed) < before {
            client.mailbox.post(Mail::Shrink);
        }
    }
}

/// Updates the average time to live of each database from a few of its keys, weighting old and new as Redis does.
fn sample_ttls(shared: &Shared) {
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::new());
    let databases = shared.keyspace.databases();
    let mut missing: Vec<usize> = (0..databases).collect();
    let first = txn.rng.usize(0..shared.keyspace.partitions());
    for step in 0..shared.keyspace.partitions() {
        txn.acquire_one((first + step) % shared.keyspace.partitions());
        missing.retain(|db| {
            let (count, sum) = txn.sample_ttl(*db, TTL_SAMPLES);
            if count > 0 {
                let before = shared.average_ttl[*db].load(Relaxed);
                let now = sum / count;
                let average = if before == 0 { now } else { before / 50 * 49 + now / 50 };
                shared.average_ttl[*db].store(average, Relaxed);
            }
            count == 0
        });
        txn.release();
    }
    missing.into_iter().for_each(|db| shared.average_ttl[db].store(0, Relaxed));
}

/// Removes due keys, partition by partition, within the time given.
async fn expire_cycle(shared: &Arc<Shared>, values: &Values, budget: Duration) {
    let started = Instant::now();
    let mut rng = fastrand::Rng::new();
    let first = rng.usize(0..shared.keyspace.partitions());
    for step in 0..shared.keyspace.partitions() {
        let partition = (first + step) % shared.keyspace.partitions();
        while expire_slice(shared, values, partition, rng.fork()) {
            if started.elapsed() > budget {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// One slice of one partition. True if more is left.
fn expire_slice(shared: &Shared, values: &Values, partition: usize, rng: fastrand::Rng) -> bool {
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), rng);
    txn.lazy = values.lazy();
    txn.acquire_one(partition);
    if shared.replication.follows() {
        return false;
    }
    txn.effects.enable(shared.log.is_active());
    // In Redis the whole cycle holds clients up, here a slice of it those of one partition.
    let started = shared.start_latency(values);
    let (_, more) = txn.expire_partition(partition, EXPIRE_SLICE);
    settle(shared, txn);
    shared.note_latency("expire-cycle", started);
    more
}

/// Removes keys that a replica's own clients have given an expiry, and that are due, within the time given. Of what its
/// primary wrote nothing expires but by the primary.
async fn expire_own(shared: &Arc<Shared>, values: &Values, budget: Duration) {
    let started = Instant::now();
    let own = &shared.replication.own_keys;
    while let Some((db, name)) = own.take_due(unix_ms()) {
        if let Some(later) = expire_own_key(shared, values, db, &name) {
            own.add(db, name, later);
        }
        if started.elapsed() > budget {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Removes the key if it is due. Its expiry if it is not.
fn expire_own_key(shared: &Shared, values: &Values, db: usize, name: &[u8]) -> Option<i64> {
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::new());
    txn.lazy = values.lazy();
    txn.set_db(db);
    let key = txn.key(name);
    txn.acquire_one(shared.keyspace.partition_of(key.slot));
    // Whoever leads looks after all keys; what is being taken over is not ours.
    if !shared.replication.follows() || shared.replication.is_taking_over() {
        return None;
    }
    txn.effects.enable(shared.log.is_active());
    let later = txn.expire_at(&key).flatten();
    settle(shared, txn);
    later
}

/// Tells what has expired, lets the partition go, and has what is left dropped.
fn settle(shared: &Shared, mut txn: Txn<'_>) {
    if !txn.effects.is_empty() {
        let end = shared.log.append(&txn.effects);
        txn.set_log_offset(end);
    }
    let mut delivery = crate::pubsub::Delivery::default();
    if !txn.events.is_empty() {
        let hold = shared.log.held_if_any(shared.log.end());
        shared.hub.notify(&mut delivery, &txn.events, hold);
    }
    crate::dispatch::blocking::post_rechecks(&mut txn);
    txn.release();
    delivery.wake_all();
    shared.replication.wake();
    let counters = std::mem::take(&mut txn.counters);
    shared.stats.add(shared.stats.background(), &counters);
    txn.garbage.drain(..).for_each(|garbage| shared.free_lazily(garbage));
}
