//! What INFO says of the append-only file.

use crate::shared::unix_ms;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// See the module's text. Sizes are bytes, times seconds.
#[derive(Debug)]
pub struct Figures {
    /// Files before the one that is written.
    pub(super) older_bytes: AtomicU64,
    /// The file that is written.
    pub(super) last_bytes: AtomicU64,
    /// All files when the last rewrite ended, or at the start.
    pub(super) base_bytes: AtomicU64,
    /// What the writer has taken from the queue and not yet done with.
    pub(super) pending_bytes: AtomicU64,
    /// Since when the writer is at what replies wait for, with `always`.
    pub(super) writing: Mutex<Option<Instant>>,
    /// Run and offset of the log up to which everything is safe.
    pub(super) synced: Mutex<(u64, u64)>,
    /// A sync runs beside the writer.
    pub(super) syncing: AtomicBool,
    /// Syncs that were put off because the one before took too long.
    pub(super) delayed_syncs: AtomicU64,
    /// Rewrites that were begun.
    pub(super) rewrites: AtomicU64,
    /// Rewrites that failed since the last success.
    pub(super) failures: AtomicU64,
    /// How the last one ended.
    pub(super) last_rewrite_failed: AtomicBool,
    /// How long it took; -1: there was none.
    pub(super) last_rewrite_seconds: AtomicI64,
    /// Unix ms at which the one that runs began; 0: none runs.
    pub(super) rewrite_started_ms: AtomicI64,
}

impl Default for Figures {
    fn default() -> Figures {
        Figures {
            older_bytes: AtomicU64::new(0),
            last_bytes: AtomicU64::new(0),
            base_bytes: AtomicU64::new(0),
            pending_bytes: AtomicU64::new(0),
            writing: Mutex::default(),
            synced: Mutex::default(),
            syncing: AtomicBool::new(false),
            delayed_syncs: AtomicU64::new(0),
            rewrites: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            last_rewrite_failed: AtomicBool::new(false),
            last_rewrite_seconds: AtomicI64::new(-1),
            rewrite_started_ms: AtomicI64::new(0),
        }
    }
}

/// The figures at one moment.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields of `Figures` say it")]
pub struct State {
    pub bytes: u64,
    pub base_bytes: u64,
    pub syncing: bool,
    pub delayed_syncs: u64,
    pub rewrites: u64,
    pub failures: u64,
    pub last_rewrite_failed: bool,
    pub last_rewrite_seconds: i64,
    /// Since the running rewrite began; -1: none runs.
    pub rewrite_seconds: i64,
}

impl Figures {
    /// All files that count.
    pub fn size(&self) -> u64 {
        self.older_bytes.load(Relaxed) + self.last_bytes.load(Relaxed)
    }

    /// Offset of this run of the log up to which everything is safe.
    pub fn synced_offset(&self, run: u64) -> u64 {
        let (of_run, offset) = *self.synced.lock();
        if of_run == run { offset } else { 0 }
    }

    /// All of them.
    pub fn state(&self) -> State {
        let started = self.rewrite_started_ms.load(Relaxed);
        State {
            bytes: self.size(),
            base_bytes: self.base_bytes.load(Relaxed),
            syncing: self.syncing.load(Relaxed),
            delayed_syncs: self.delayed_syncs.load(Relaxed),
            rewrites: self.rewrites.load(Relaxed),
            failures: self.failures.load(Relaxed),
            last_rewrite_failed: self.last_rewrite_failed.load(Relaxed),
            last_rewrite_seconds: self.last_rewrite_seconds.load(Relaxed),
            rewrite_seconds: if started == 0 { -1 } else { (unix_ms() - started) / 1000 },
        }
    }
}
