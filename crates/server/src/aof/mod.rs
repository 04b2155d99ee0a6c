//! The append-only file: every change, in the log's order, on the disk.
//!
//! A commit copies its bytes into a queue (`queue`). Replies wait in the log until their bytes are in the file, so that the
//! end of the process loses nothing that was acknowledged: workers write for themselves, at the end of their turn
//! (`write_through`), and a thread writes what is left over and syncs (`writer`). Where failover is built in the other
//! copies outlive the process, and nobody waits. With `appendfsync always` replies wait until the bytes are safe, and the
//! thread does all of it; one sync serves everything that has gathered. A rewrite is a cut of the keyspace, written as the
//! next base file, while the next incremental file begins at the cut's offset (`rewrite`).

mod base;
mod figures;
mod queue;
pub(crate) mod rewrite;
mod start;
mod ticket;
mod writer;

pub use figures::Figures;
pub use start::start;

use crate::config::Values;
use crate::log::{Consumer, Hold};
use crate::shared::Shared;
use parking_lot::Mutex;
use queue::Queue;
use redoubt_persistence::aof::Directory;
use redoubt_replication::ReplId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use writer::Writer;

/// How long a worker waits to hear who writes.
const PATIENCE: Duration = Duration::from_micros(50);

/// `appendfsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Replies wait until their writes are safe.
    Always,
    /// A sync each second.
    Everysec,
    /// When the operating system likes.
    No,
}

impl Policy {
    fn of(values: &Values) -> Policy {
        match values.appendfsync {
            "always" => Policy::Always,
            "no" => Policy::No,
            _ => Policy::Everysec,
        }
    }

    /// Whether replies wait for the file: what is written, synced or not, outlives the process. So do the copies of a
    /// deployment, which therefore waits for no disk but with `always`.
    fn holds(self, shared: &Shared) -> bool {
        self == Policy::Always || shared.ha.is_none()
    }
}

/// Who takes what is committed.
struct Appender {
    queue: Arc<Queue>,
    consumer: Arc<dyn Consumer>,
    /// Replies wait for it.
    hold: Arc<Hold>,
    writer: Arc<Mutex<Writer>>,
    thread: JoinHandle<()>,
}

impl Appender {
    /// Ends it, when all it was given is written and synced, if the disk takes it.
    fn end(self, shared: &Shared) {
        shared.log.detach(&self.consumer);
        self.queue.close();
        // Without the writer nothing is released any more.
        shared.log.switch(&self.hold, false);
        // A panic in it has been logged.
        let _ = self.thread.join();
    }
}

/// The log is on.
struct Running {
    directory: Arc<Mutex<Directory>>,
    /// None while it waits for its first rewrite to begin.
    appender: Option<Appender>,
    /// It was switched on and has no base file that fits yet: what is in the folder is older.
    awaits_base: bool,
}

/// The state of the append-only file, part of `Shared`.
#[derive(Default)]
pub struct Aof {
    running: Mutex<Option<Running>>,
    policy: AtomicU8,
    spare_sync_on_rewrite: AtomicBool,
    /// A rewrite is to begin when it can.
    scheduled: AtomicBool,
    /// Unix ms before which none begins by itself.
    not_before_ms: AtomicI64,
    /// For INFO.
    pub figures: Figures,
}

impl Aof {
    /// `appendfsync` as it is now.
    pub fn policy(&self) -> Policy {
        [Policy::Always, Policy::Everysec, Policy::No][usize::from(self.policy.load(Relaxed))]
    }

    /// Whether changes are written to a file.
    pub fn is_on(&self) -> bool {
        self.running.lock().is_some()
    }

    /// Whether changes are written to a file that nothing is there for yet to be based on: by itself it is no data.
    pub fn awaits_base(&self) -> bool {
        self.running.lock().as_ref().is_some_and(|running| running.awaits_base)
    }

    /// Offset of this run of the log up to which the files have it safely; none while they are not written. Without a
    /// base file that fits nothing is safe.
    pub(crate) fn synced_offset(&self, run: u64) -> Option<u64> {
        let running = self.running.lock();
        let running = running.as_ref()?;
        Some(if running.awaits_base { 0 } else { self.figures.synced_offset(run) })
    }

    /// Bytes that are not in the file yet.
    pub fn waiting_bytes(&self) -> u64 {
        let running = self.running.lock();
        let appender = running.as_ref().and_then(|running| running.appender.as_ref());
        let queued = appender.map_or(0, |appender| appender.queue.len());
        queued as u64 + self.figures.pending_bytes.load(Relaxed)
    }

    /// How long the disk has neither taken nor refused what replies wait for, with `always`.
    pub(crate) fn hung_for(&self) -> Duration {
        self.figures.writing.lock().map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Writes what has gathered, for a worker whose replies wait for that, if it can be done at once. Else the writer's
    /// thread does it: without delay, or with its own where the file is just being opened or closed.
    pub(crate) fn write_through(&self, shared: &Shared) {
        if self.policy() == Policy::Always || shared.ha.is_some() {
            return;
        }
        // Held for longer only while files are opened or closed.
        let Some(running) = self.running.try_lock_for(PATIENCE) else { return };
        let Some(Running { appender: Some(appender), .. }) = &*running else { return };
        let (queue, writer) = (Arc::clone(&appender.queue), Arc::clone(&appender.writer));
        drop(running);
        if !writer.try_lock().is_some_and(|mut writer| writer.write_through()) {
            queue.hurry();
        }
    }

    /// Whether a rewrite waits for something else to end.
    pub fn is_rewrite_scheduled(&self) -> bool {
        self.scheduled.load(Relaxed)
    }

    /// Has a rewrite begin when it can.
    pub(crate) fn schedule_rewrite(&self) {
        self.scheduled.store(true, Relaxed);
    }

    /// As `schedule_rewrite`, although earlier ones have failed.
    pub(crate) fn schedule_rewrite_at_once(&self) {
        self.figures.failures.store(0, Relaxed);
        self.schedule_rewrite();
    }

    /// Whether syncs are left out because a snapshot keeps the disk busy (`no-appendfsync-on-rewrite`).
    fn spares_sync(&self, shared: &Shared) -> bool {
        self.spare_sync_on_rewrite.load(Relaxed) && shared.snapshots.running().is_some()
    }

    /// Takes over changed settings.
    pub(crate) fn configure(&self, shared: &Shared, values: &Values) {
        let policy = Policy::of(values);
        self.policy.store(policy as u8, Relaxed);
        self.spare_sync_on_rewrite.store(values.no_appendfsync_on_rewrite, Relaxed);
        if let Some(Running { appender: Some(appender), awaits_base, .. }) = &*self.running.lock() {
            appender.queue.timestamps.store(values.aof_timestamp_enabled, Relaxed);
            // Without a base file nothing is safe that is synced.
            shared.log.switch(&appender.hold, policy.holds(shared) && !awaits_base);
            appender.queue.nudge();
        }
    }

    /// What is appended from now on is part of this stream, and the file says so.
    pub(crate) fn set_stream(&self, stream: ReplId) {
        if let Some(Running { appender: Some(appender), .. }) = &*self.running.lock() {
            appender.queue.set_stream(stream);
        }
    }

    /// Ends the writing: what was committed is written and synced when this returns, if the disk takes it.
    pub(crate) fn stop(&self, shared: &Shared) {
        let Some(Running { directory, appender: Some(appender), awaits_base }) = self.running.lock().take()
        else {
            return;
        };
        appender.end(shared);
        if awaits_base {
            // It fits no base file. What cannot be removed now is removed at the next start.
            let _ = directory.lock().remove_apart();
        }
    }
}

/// Removes the files that the last rewrites have replaced. What cannot be removed now is tried again after the next one.
fn remove_history(directory: &mut Directory) {
    match directory.remove_history() {
        Ok(names) => {
            for name in names {
                tracing::info!("Removed the history file {name}");
            }
        }
        Err(error) => tracing::warn!("history files of the append-only file could not be removed: {error}"),
    }
}
