//! Periodic work: active expiry, memory figures, `maxmemory-clients`. On the control thread, in slices that never hold a lock for long.

use crate::shared::{Shared, unix_ms};
use redoubt_store::Txn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Keys one partition may lose before its lock is let go.
const EXPIRE_SLICE: usize = 256;
/// Share of the time that active expiry may take, as in Redis: 25% at effort 1, 2% more for each further step.
const EXPIRE_SHARE: f64 = 0.25;

/// Runs until the server stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let values = shared.values();
        let period = Duration::from_millis(1000 / u64::from(values.hz.max(1)));
        shared.memory.recalibrate();
        crate::eviction::evict_clients(&shared, values.maxmemory_clients);
        shared.rates.sample(Instant::now(), || shared.totals());
        if shared.active_expire.load(Relaxed) {
            let share = EXPIRE_SHARE + 0.02 * f64::from(values.active_expire_effort - 1);
            expire_cycle(&shared, period.mul_f64(share)).await;
        }
        tokio::time::sleep(period).await;
    }
}

/// Removes due keys, partition by partition, within the time given.
async fn expire_cycle(shared: &Arc<Shared>, budget: Duration) {
    let started = Instant::now();
    let mut rng = fastrand::Rng::new();
    let first = rng.usize(0..shared.keyspace.partitions());
    for step in 0..shared.keyspace.partitions() {
        let partition = (first + step) % shared.keyspace.partitions();
        while expire_slice(shared, partition, rng.fork()) {
            if started.elapsed() > budget {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// One slice of one partition. True if more is left.
fn expire_slice(shared: &Shared, partition: usize, rng: fastrand::Rng) -> bool {
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), rng);
    txn.effects.enable(shared.log.is_active());
    txn.acquire_one(partition);
    let (_, more) = txn.expire_partition(partition, EXPIRE_SLICE);
    if !txn.effects.is_empty() {
        let end = shared.log.append(&txn.effects);
        txn.set_log_offset(end);
    }
    let mut delivery = crate::pubsub::Delivery::default();
    if !txn.events.is_empty() {
        let hold = if shared.log.holds_replies() { shared.log.end() } else { 0 };
        shared.hub.notify(&mut delivery, &txn.events, hold);
    }
    crate::dispatch::blocking::post_rechecks(&mut txn);
    txn.release();
    delivery.wake_all();
    let counters = std::mem::take(&mut txn.counters);
    shared.stats.add(shared.stats.background(), &counters);
    for garbage in txn.garbage.drain(..) {
        let _ = shared.garbage.send(garbage);
    }
    more
}
