//! Threads that decode values and put them into the keyspace, each for partitions of its own.

use super::error::LoadError;
use super::rdb::{Failure, is_empty};
use crate::config::Values;
use crate::shared::Shared;
use redoubt_persistence::rdb::{Block, KeyRecord, RawKey, RawValue};
use redoubt_store::{Expiry, Key, Lookahead, Txn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

/// Blocks that wait for a thread before the reading one waits for it.
const BLOCKS_WAITING: usize = 4;
/// Keys whose memory is fetched ahead together.
const AHEAD: usize = 16;

/// A key of a block, and where it belongs.
pub(super) struct Placed {
    pub(super) raw: RawKey,
    pub(super) hash: u64,
    pub(super) slot: u16,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Loaded,
    Expired,
}

/// What the threads found.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) keys: u64,
    pub(super) expired: u64,
    pub(super) empty: u64,
    /// The first mistake of the file.
    pub(super) failed: Option<Failure>,
}

/// Puts keys into the keyspace.
pub(super) struct Insert<'i> {
    pub(super) shared: &'i Arc<Shared>,
    pub(super) values: &'i Values,
    /// What has expired by then is left out.
    pub(super) now_ms: i64,
    /// What is there already is replaced.
    pub(super) replace: bool,
}

impl<'i> Insert<'i> {
    fn txn(&self) -> Txn<'i> {
        let mut txn = Txn::new(&self.shared.keyspace, crate::shared::unix_ms(), fastrand::Rng::new());
        txn.clock.lfu = self.values.commands.lfu;
        txn.clock.log_factor = self.values.lfu_log_factor;
        txn.clock.decay_minutes = self.values.lfu_decay_time;
        txn.judge_nothing();
        txn
    }

    fn has_expired(&self, expire_ms: Option<i64>) -> bool {
        expire_ms.is_some_and(|at| at < self.now_ms)
    }

    /// A key that the reader has decoded itself.
    pub(super) fn record(&self, record: KeyRecord, offset: u64) -> Result<Found, Failure> {
        if self.has_expired(record.expire_ms) {
            return Ok(Found::Expired);
        }
        let mut txn = self.txn();
        let key = self.shared.keyspace.key(&record.key);
        txn.set_db(record.db as usize);
        txn.acquire_one(self.shared.keyspace.partition_of(key.slot));
        if !self.replace && txn.contains(&key) {
            return Err(Failure::Duplicate { key: record.key, db: record.db, offset });
        }
        txn.insert(&key, record.value, record.expire_ms);
        txn.set_access(&key, record.idle_s, record.frequency);
        Ok(Found::Loaded)
    }

    /// A key of a block.
    fn placed(&self, txn: &mut Txn<'_>, block: &Block, placed: &Placed) -> Result<Option<Found>, Failure> {
        let raw = &placed.raw;
        if self.has_expired(raw.expire_ms) {
            return Ok(Some(Found::Expired));
        }
        let key = Key { bytes: raw.name(block), hash: placed.hash, slot: placed.slot };
        let value = match raw.value(block, &self.values.commands.encoding) {
            Ok(value) => value,
            Err(error) if is_empty(&error) => return Ok(None),
            Err(error) => return Err(Failure::File(error)),
        };
        txn.set_db(raw.db as usize);
        txn.acquire_one(self.shared.keyspace.partition_of(placed.slot));
        if !self.replace && txn.contains(&key) {
            txn.release();
            let key = key.bytes.to_vec();
            return Err(Failure::Duplicate { key, db: raw.db, offset: raw.offset(block) });
        }
        match value {
            RawValue::Text(text) => {
                txn.set_string(&key, text, raw.expire_ms.map_or(Expiry::Clear, Expiry::At));
            }
            RawValue::Value(value) => txn.insert(&key, value, raw.expire_ms),
        }
        txn.set_access(&key, raw.idle_s, raw.frequency);
        txn.release();
        Ok(Some(Found::Loaded))
    }

    /// The keys of a block that belong to one thread.
    fn block(&self, block: &Block, keys: &[Placed], counts: &mut Counts) {
        let mut txn = self.txn();
        for keys in keys.chunk_by(|a, b| a.raw.db == b.raw.db) {
            let ahead = self.shared.keyspace.lookahead(keys[0].raw.db as usize);
            for keys in keys.chunks(AHEAD) {
                fetch(&ahead, keys);
                for placed in keys {
                    match self.placed(&mut txn, block, placed) {
                        Ok(Some(Found::Loaded)) => counts.keys += 1,
                        Ok(Some(Found::Expired)) => counts.expired += 1,
                        Ok(None) => counts.empty += 1,
                        Err(failure) => {
                            counts.failed.get_or_insert(failure);
                            return;
                        }
                    }
                }
            }
        }
        // Nobody is told of keys that were there before.
        txn.events.clear();
        txn.signalled.clear();
    }
}

fn fetch(ahead: &Lookahead<'_>, keys: &[Placed]) {
    let key = |placed: &Placed| Key { bytes: &[], hash: placed.hash, slot: placed.slot };
    keys.iter().for_each(|placed| ahead.slot(&key(placed)));
    keys.iter().for_each(|placed| ahead.bucket(&key(placed)));
}

type Job = (Arc<Block>, Vec<Placed>);

struct Worker<'p> {
    jobs: SyncSender<Job>,
    /// Keys of the block that is being read.
    keys: Vec<Placed>,
    thread: ScopedJoinHandle<'p, Counts>,
}

/// The threads.
pub(super) struct Pool<'p> {
    pub(super) insert: &'p Insert<'p>,
    workers: Vec<Worker<'p>>,
    failed: Arc<AtomicBool>,
}

impl<'p> Pool<'p> {
    pub(super) fn start<'env>(
        scope: &'p Scope<'p, 'env>,
        insert: &'p Insert<'p>,
        threads: usize,
    ) -> Result<Pool<'p>, LoadError> {
        let failed = Arc::new(AtomicBool::new(false));
        let worker = |number: usize| {
            let (jobs, inbox) = sync_channel(BLOCKS_WAITING);
            let failed = Arc::clone(&failed);
            let thread = std::thread::Builder::new()
                .name(format!("load-{number}"))
                .spawn_scoped(scope, move || work(insert, &inbox, &failed))?;
            Ok(Worker { jobs, keys: Vec::new(), thread })
        };
        let workers = (0..threads).map(worker).collect::<Result<_, _>>().map_err(LoadError::Thread)?;
        Ok(Pool { insert, workers, failed })
    }

    /// A key of the block that will be sent next.
    pub(super) fn add(&mut self, placed: Placed) {
        let partition = self.insert.shared.keyspace.partition_of(placed.slot);
        let number = partition % self.workers.len();
        self.workers[number].keys.push(placed);
    }

    pub(super) fn send(&mut self, block: Block) {
        let block = Arc::new(block);
        for worker in &mut self.workers {
            let room = Vec::with_capacity(worker.keys.len() + worker.keys.len() / 8);
            let keys = std::mem::replace(&mut worker.keys, room);
            if !keys.is_empty() && worker.jobs.send((Arc::clone(&block), keys)).is_err() {
                // It panicked, which `finish` passes on.
                self.failed.store(true, Relaxed);
            }
        }
    }

    /// Whether a thread has found a mistake.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    /// Waits for the threads.
    pub(super) fn finish(self) -> Counts {
        let mut sum = Counts::default();
        let threads: Vec<_> = self.workers.into_iter().map(|worker| worker.thread).collect();
        for thread in threads {
            let counts = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sum.keys += counts.keys;
            sum.expired += counts.expired;
            sum.empty += counts.empty;
            let first = [sum.failed.take(), counts.failed].into_iter().flatten();
            sum.failed = first.min_by_key(Failure::offset);
        }
        sum
    }
}

fn work(insert: &Insert<'_>, inbox: &Receiver<Job>, failed: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    // After a mistake what is left is let go by: another thread may yet find one before it.
    for (block, keys) in inbox {
        if counts.failed.is_none() {
            insert.block(&block, &keys, &mut counts);
            insert.shared.memory.report();
        }
        if counts.failed.is_some() {
            failed.store(true, Relaxed);
        }
    }
    counts
}
