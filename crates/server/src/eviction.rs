//! Making room when `maxmemory` or `maxmemory-clients` is exceeded. <https://redis.io/docs/latest/develop/reference/eviction/>

use crate::client::flag;
use crate::config::Values;
use crate::pubsub::Delivery;
use crate::shared::Shared;
use redoubt_store::{Candidate, EvictionPolicy, Garbage, Txn};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

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
    txn.lazy = values.lazy();
    let started = shared.start_latency(values);
    let db = txn.db();
    let mut fruitless = 0;
    let mut removed = 0;
    while shared.memory.is_over() && fruitless < FRUITLESS_ROUNDS_MAX && removed < REMOVALS_MAX {
        let evicted = evict_one(shared, txn, policy, values);
        fruitless = if evicted { 0 } else { fruitless + 1 };
        removed += usize::from(evicted);
        // What is dropped elsewhere gives its memory back later, and counts as given back now.
        let dropped = txn.garbage.iter().map(Garbage::memory).sum::<usize>() as i64;
        txn.garbage.drain(..).for_each(|garbage| shared.free_lazily(garbage));
        shared.memory.report();
        shared.memory.credit(dropped);
    }
    shared.stats.evicted(worker, removed as u64);
    txn.set_db(db);
    shared.note_latency("eviction-cycle", started);
}

/// Closes the clients that take the most memory until all together take no more than `limit` bytes (0: no limit), save
/// those with CLIENT NO-EVICT.
pub(crate) fn evict_clients(shared: &Shared, limit: u64) {
    if limit == 0 {
        return;
    }
    let mut used = 0;
    let mut clients = Vec::new();
    for client in &shared.clients {
        // What links take has limits of its own.
        if client.has(flag::PRIMARY) || client.has(flag::REPLICA) {
            continue;
        }
        let bytes = client.memory_bytes() as u64;
        used += bytes;
        if !client.has(flag::NO_EVICT) {
            clients.push((bytes, Arc::clone(client.value())));
        }
    }
    clients.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    for (bytes, client) in clients {
        if used <= limit {
            return;
        }
        tracing::warn!(
            "closing client {} {}: it takes {bytes} bytes, maxmemory-clients",
            client.id,
            client.addr
        );
        shared.kill(&client);
        shared.stats.evicted_clients.fetch_add(1, Relaxed);
        used -= bytes;
    }
}

/// Samples one partition of every database and evicts the best candidate.
fn evict_one(shared: &Shared, txn: &mut Txn<'_>, policy: EvictionPolicy, values: &Values) -> bool {
    let partition = txn.rng.usize(0..shared.keyspace.partitions());
    txn.acquire_one(partition);
    txn.effects.enable(shared.log.is_active() && !shared.replication.follows());
    let mut candidates: Vec<Candidate> = Vec::new();
    for db in 0..shared.keyspace.databases() {
        txn.sample(db, policy, values.maxmemory_samples, &mut candidates);
    }
    let best = candidates.into_iter().max_by_key(|candidate| candidate.score);
    let started = shared.start_latency(values);
    let evicted = best.is_some_and(|candidate| {
        txn.set_db(candidate.db);
        txn.evict(&candidate.key)
    });
    shared.note_latency("eviction-del", started);
    if !txn.effects.is_empty() {
        let end = shared.log.append(&txn.effects);
        txn.effects.clear();
        txn.set_log_offset(end);
    }
    let mut delivery = Delivery::default();
    if !txn.events.is_empty() {
        let hold = shared.log.held_if_any(shared.log.end());
        shared.hub.notify(&mut delivery, &txn.events, hold);
        txn.events.clear();
    }
    crate::dispatch::blocking::post_rechecks(txn);
    txn.release();
    delivery.wake_all();
    evicted
}
