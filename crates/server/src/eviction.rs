//! Making room when `maxmemory` is exceeded. <https://redis.io/docs/latest/develop/reference/eviction/>

use crate::config::Values;
use crate::pubsub::Delivery;
use crate::shared::Shared;
use redoubt_store::{Candidate, EvictionPolicy, Txn};

/// Rounds of sampling without a removal before giving up.
const FRUITLESS_ROUNDS_MAX: usize = 64;
/// Keys removed before another look at the clock of the others: bounds the stall of one command.
const REMOVALS_MAX: usize = 1024;

/// Evicts keys until memory is within its limit or nothing more may go. Nothing is held before or after.
pub(crate) fn make_room(shared: &Shared, txn: &mut Txn<'_>, values: &Values, worker: usize) {
    let policy = Shared::eviction_policy(values);
    if policy == EvictionPolicy::NoEviction {
        return;
    }
    let db = txn.db();
    let mut fruitless = 0;
    let mut removed = 0;
    while shared.memory.is_over() && fruitless < FRUITLESS_ROUNDS_MAX && removed < REMOVALS_MAX {
        let evicted = evict_one(shared, txn, policy, values.maxmemory_samples);
        fruitless = if evicted { 0 } else { fruitless + 1 };
        removed += usize::from(evicted);
        // Lazily freed values give their memory back only when dropped: do that before looking again.
        txn.garbage.clear();
        shared.memory.report();
    }
    shared.stats.evicted(worker, removed as u64);
    txn.set_db(db);
}

/// Samples one partition of every database and evicts the best candidate.
fn evict_one(shared: &Shared, txn: &mut Txn<'_>, policy: EvictionPolicy, samples: usize) -> bool {
    let partition = txn.rng.usize(0..shared.keyspace.partitions());
    txn.acquire_one(partition);
    let mut candidates: Vec<Candidate> = Vec::new();
    for db in 0..shared.keyspace.databases() {
        txn.sample(db, policy, samples, &mut candidates);
    }
    let best = candidates.into_iter().max_by_key(|candidate| candidate.score);
    let evicted = best.is_some_and(|candidate| {
        txn.set_db(candidate.db);
        txn.evict(&candidate.key)
    });
    if !txn.effects.is_empty() {
        let end = shared.log.append(&txn.effects);
        txn.effects.clear();
        txn.set_log_offset(end);
    }
    let mut delivery = Delivery::default();
    if !txn.events.is_empty() {
        let hold = if shared.log.holds_replies() { shared.log.end() } else { 0 };
        shared.hub.notify(&mut delivery, &txn.events, hold);
        txn.events.clear();
    }
    txn.release();
    delivery.wake_all();
    evicted
}
