//! The thread of one snapshot: makes the cut, walks it, writes.

use super::sink::{Facts, Sink};
use super::{Aux, Format, Job, SnapshotError, Target};
use crate::shared::{Shared, unix_ms};
use crate::version::REDIS_VERSION;
use redoubt_persistence::rdb;
use redoubt_store::{AccessClock, CutBudget, CutSink, CutWalk, EvictionPolicy, Txn};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time one step of the walk should take: as long as that, a partition may be held.
const STEP: Duration = Duration::from_micros(200);
/// Rest after a step. Who rests often is rarely put off in the middle of a step, with a partition held; and writers have
/// the cores to themselves meanwhile.
const REST: Duration = Duration::from_micros(80);
/// Time between two lines in the log.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Keys of the first step, and the most and least of any.
const STEP_KEYS: usize = 64;
const STEP_KEYS_RANGE: std::ops::RangeInclusive<usize> = 8..=4096;
/// Keys of a step, and the longest sleep, while saving is slowed down.
const DELAYED_KEYS: usize = 8;
const DELAY_SLICE: Duration = Duration::from_millis(10);
/// Bytes of one step.
const STEP_BYTES: usize = 256 * 1024;
/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 128 * 1024;
/// A buffer that grew beyond this is not kept.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// Keys, and keys with an expiry, of a database.
struct Size {
    db: usize,
    keys: usize,
    expires: usize,
}

/// Runs a snapshot to its end.
pub(super) fn run(shared: &Shared, job: Job) {
    let Job { format, aux, mut targets } = job;
    let facts = facts(shared);
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::new());
    txn.acquire(shared.keyspace.all_partitions());
    let held = Instant::now();
    let format = settled(format, &txn);
    let sink = Arc::new(Sink::new(format, facts));
    let walk = txn.begin_cut(Arc::clone(&sink) as Arc<dyn CutSink>);
    let walk = walk.expect("one snapshot runs at a time, and only snapshots begin cuts");
    let offset = shared.log.end();
    targets.iter_mut().for_each(|target| target.cut(offset));
    let aux = aux(offset);
    let sizes = sizes(&txn);
    txn.release();
    shared.note_latency("snapshot-cut", held);
    shared.snapshots.note_cut(walk.keys());
    let mut writing = Writing { shared, sink: &sink, targets, trailer: None, spare: Vec::new(), delayed: 0 };
    let outcome = writing.file(walk, format, &aux, &sizes);
    writing.end(outcome);
}

/// The format that the data ask for. Only the newest version can hold expiries of hash fields: without them the data
/// would not be the same.
fn settled(format: Format, txn: &Txn<'_>) -> Format {
    let timed = || (0..txn.keyspace().databases()).any(|db| txn.expiring_hashes(db) > 0);
    let version = |options, version| Format::Rdb(rdb::Options { version, ..options });
    match format {
        Format::Portable if !timed() => version(rdb::Options::default(), rdb::VERSION_MIN_WRITTEN),
        Format::Portable => version(rdb::Options::default(), rdb::VERSION_MAX),
        Format::Rdb(options) if timed() => version(options, rdb::VERSION_MAX),
        other => other,
    }
}

fn sizes(txn: &Txn<'_>) -> Vec<Size> {
    let databases = 0..txn.keyspace().databases();
    let sizes = databases.map(|db| Size { db, keys: txn.len(db), expires: txn.expires(db) });
    sizes.filter(|size| size.keys > 0).collect()
}

fn facts(shared: &Shared) -> Facts {
    use EvictionPolicy::{AllkeysLfu, AllkeysLru, VolatileLfu, VolatileLru};
    let values = shared.values();
    let mut clock = AccessClock::new(unix_ms());
    clock.lfu = values.commands.lfu;
    clock.decay_minutes = values.lfu_decay_time;
    match Shared::eviction_policy(&values) {
        AllkeysLru | VolatileLru => Facts::Idle(clock),
        AllkeysLfu | VolatileLfu => Facts::Frequency(clock),
        _ => Facts::None,
    }
}

/// What is going on.
struct Writing<'s> {
    shared: &'s Shared,
    sink: &'s Sink,
    /// Those that have not failed.
    targets: Vec<Box<dyn Target>>,
    trailer: Option<rdb::Trailer>,
    /// Exchanged for the sink's buffer.
    spare: Vec<u8>,
    /// Keys that `rdb-key-save-delay` has slowed down.
    delayed: u64,
}

impl Writing<'_> {
    /// Writes everything. Whoever is in `targets` afterwards has to be told the outcome.
    fn file(
        &mut self,
        walk: CutWalk<'_>,
        format: Format,
        aux: &Aux,
        sizes: &[Size],
    ) -> Result<(), SnapshotError> {
        if let Format::Rdb(options) = format {
            self.trailer = Some(rdb::Trailer::new(options.checksum));
            let head = self.head(options, aux, sizes);
            self.write(&head.map_err(|error| SnapshotError::Format(error.to_string()))?)?;
        }
        self.walk(walk)?;
        if let Some(reason) = self.sink.failure() {
            return Err(SnapshotError::Format(reason));
        }
        if let Some(trailer) = self.trailer.take() {
            self.write(&trailer.end())?;
        } else {
            self.write(&crate::replication::place_as_commands(aux))?;
        }
        Ok(())
    }

    /// The beginning of a file: what it is, and how many keys it has.
    fn head(
        &self,
        options: rdb::Options,
        aux: &Aux,
        sizes: &[Size],
    ) -> Result<Vec<u8>, redoubt_persistence::Error> {
        let mut writer = rdb::Writer::beginning(options)?;
        let own = [
            ("redis-ver", REDIS_VERSION.to_owned()),
            ("redis-bits", usize::BITS.to_string()),
            ("ctime", (unix_ms() / 1000).to_string()),
            ("used-mem", self.shared.memory.used().to_string()),
        ];
        for (name, value) in &own {
            writer.aux(name.as_bytes(), value.as_bytes())?;
        }
        for (name, value) in aux {
            writer.aux(name.as_bytes(), value.as_bytes())?;
        }
        for library in self.shared.loading.functions() {
            writer.function(&library)?;
        }
        for size in sizes {
            writer.select(size.db as u64)?;
            writer.resize(size.keys as u64, size.expires as u64)?;
        }
        let mut head = Vec::new();
        writer.take_into(&mut head);
        Ok(head)
    }

    /// Walks to the end of the cut, writing whenever enough is gathered: what writers had to save must not pile up.
    fn walk(&mut self, mut walk: CutWalk<'_>) -> Result<(), SnapshotError> {
        let (mut keys, mut told) = (STEP_KEYS, Instant::now());
        let slow = self.shared.values().snapshot.rdb_key_save_delay != 0;
        loop {
            if slow {
                keys = DELAYED_KEYS;
                self.delay(walk.saved());
            }
            let started = Instant::now();
            let more = walk.step(CutBudget { keys, bytes: STEP_BYTES });
            keys = match started.elapsed() {
                took if took > STEP => keys / 2,
                took if took < STEP / 2 => keys * 2,
                _ => keys,
            }
            .clamp(*STEP_KEYS_RANGE.start(), *STEP_KEYS_RANGE.end());
            let (staged, ready) = self.sink.len();
            self.shared.snapshots.note_progress(walk.saved(), staged);
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tracing::info!("Snapshot: {} of {} keys are saved", walk.saved(), walk.keys());
            }
            let written = if ready >= WRITE_BYTES || !more { self.drain() } else { Ok(()) };
            if !more {
                return written;
            }
            if self.shared.snapshots.is_cancelled() || written.is_err() {
                if *self.shared.stop.borrow() {
                    // The process ends: nobody will look at what is pending.
                    std::mem::forget(walk);
                }
                return written.and(Err(SnapshotError::Cancelled));
            }
            // At the end of the server nobody else has anything to do.
            if !self.shared.snapshots.is_ending() {
                std::thread::sleep(REST);
            }
        }
    }

    /// `rdb-key-save-delay`: microseconds per key saved, or one for so many keys where it is negative. For tests.
    fn delay(&mut self, saved: u64) {
        let count = saved - std::mem::replace(&mut self.delayed, saved);
        let shared = self.shared;
        let wanted = |delay: i64| match delay {
            0.. => delay as u64 * count,
            _ => count / delay.unsigned_abs(),
        };
        let started = Instant::now();
        // It can be taken back, too.
        let left = || {
            let wanted = Duration::from_micros(wanted(shared.values().snapshot.rdb_key_save_delay));
            wanted.saturating_sub(started.elapsed())
        };
        while !left().is_zero() && !shared.snapshots.is_cancelled() {
            std::thread::sleep(left().min(DELAY_SLICE));
        }
    }

    /// Writes all that is gathered.
    fn drain(&mut self) -> Result<(), SnapshotError> {
        let mut bytes = std::mem::take(&mut self.spare);
        self.sink.swap(&mut bytes);
        let written = self.write(&bytes);
        bytes.clear();
        if bytes.capacity() <= KEPT_BYTES {
            self.spare = bytes;
        }
        written
    }

    /// Hands bytes to every target; those that fail are told and dropped. An error when none is left.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        if let Some(trailer) = &mut self.trailer {
            trailer.part(bytes);
        }
        let mut at = 0;
        while at < self.targets.len() {
            match self.targets[at].write(bytes) {
                Ok(()) => at += 1,
                Err(error) => self.targets.swap_remove(at).end(Err(error.into())),
            }
        }
        if self.targets.is_empty() { Err(SnapshotError::Cancelled) } else { Ok(()) }
    }

    fn end(self, outcome: Result<(), SnapshotError>) {
        for target in self.targets {
            target.end(match &outcome {
                Ok(()) => Ok(()),
                Err(SnapshotError::Format(reason)) => Err(SnapshotError::Format(reason.clone())),
                Err(_) => Err(SnapshotError::Cancelled),
            });
        }
    }
}
