//! Saving to the file `dbfilename`: what INFO says of it, `save` rules, what its failure means for writes.

use super::file::{Asker, FileTarget};
use super::{Busy, Format, Purpose, SnapshotError, Ticket};
use crate::config::Values;
use crate::shared::{Shared, unix_ms};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// Seconds before a save that failed is tried again.
const RETRY_SECONDS: i64 = 5;

/// See the module's text.
#[derive(Debug)]
pub struct Saves {
    /// Unix time of the last save that succeeded, seconds; at first, of the start.
    last: AtomicI64,
    failed: AtomicBool,
    /// Seconds the last background save took; -1: there was none.
    took: AtomicI64,
    /// Saves that were begun, and that succeeded.
    count: AtomicU64,
    successes: AtomicU64,
    /// Changes the last save has in it, of those counted since the start.
    saved_changes: AtomicU64,
    /// Unix time of the last attempt, seconds.
    tried: AtomicI64,
    /// A save is to begin when it can.
    scheduled: AtomicBool,
}

impl Default for Saves {
    fn default() -> Saves {
        Saves {
            last: AtomicI64::new(unix_ms() / 1000),
            failed: AtomicBool::new(false),
            took: AtomicI64::new(-1),
            count: AtomicU64::new(0),
            successes: AtomicU64::new(0),
            saved_changes: AtomicU64::new(0),
            tried: AtomicI64::new(0),
            scheduled: AtomicBool::new(false),
        }
    }
}

impl Saves {
    /// Unix time of the last save that succeeded, seconds; at first, of the start.
    pub fn last(&self) -> i64 {
        self.last.load(Relaxed)
    }

    /// Whether the last save failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    /// Seconds that the last background save took; -1: there was none.
    pub fn took_seconds(&self) -> i64 {
        self.took.load(Relaxed)
    }

    /// Saves that were begun.
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    fn succeeded(&self) -> u64 {
        self.successes.load(Relaxed)
    }

    /// Changes since the last save.
    pub fn changes(&self, shared: &Shared) -> u64 {
        shared.stats.dirty().saturating_sub(self.saved_changes.load(Relaxed))
    }

    /// Has a save begin as soon as nothing else runs.
    pub(crate) fn schedule(&self) {
        self.scheduled.store(true, Relaxed);
    }

    pub(super) fn ended(
        &self,
        shared: &Shared,
        asker: Asker,
        dirty: u64,
        seconds: u64,
        outcome: &Result<(), SnapshotError>,
    ) {
        let background = asker == Asker::Background;
        if background {
            self.took.store(seconds as i64, Relaxed);
        }
        match outcome {
            Ok(()) => {
                self.failed.store(false, Relaxed);
                self.last.store(unix_ms() / 1000, Relaxed);
                self.saved_changes.store(dirty, Relaxed);
                self.successes.fetch_add(1, Relaxed);
                if background {
                    tracing::info!("Background saving terminated with success");
                }
            }
            // Who cancels it knows.
            Err(SnapshotError::Cancelled) => {}
            Err(_) if background => {
                self.failed.store(true, Relaxed);
                tracing::warn!("Background saving error");
            }
            Err(_) => {}
        }
        self.judge_writes(shared, &shared.values());
    }

    /// Writes are refused while the last save has failed, where the settings say so.
    pub(crate) fn judge_writes(&self, shared: &Shared, values: &Values) {
        let refuses = values.snapshot.stop_writes_on_bgsave_error && !values.snapshot.save.is_empty();
        shared.refusal.set_snapshot(refuses && self.has_failed());
    }

    /// Begins a save if a rule or somebody wants one.
    pub(crate) fn look(&self, shared: &Arc<Shared>, values: &Values) {
        // What is half loaded must not take the place of the file it comes from.
        let unready = !shared.replication.is_whole(shared) || shared.snapshots.is_ending();
        if unready || shared.snapshots.running().is_some() {
            return;
        }
        let now = unix_ms() / 1000;
        if self.has_failed() && now - self.tried.load(Relaxed) <= RETRY_SECONDS {
            return;
        }
        let changes = self.changes(shared);
        let since = now - self.last();
        let due = values.snapshot.save.iter().find(|(seconds, least)| changes >= *least && since > *seconds);
        if let Some((seconds, least)) = due {
            tracing::info!("{least} changes in {seconds} seconds. Saving...");
        }
        if (due.is_some() || self.scheduled.load(Relaxed)) && save_in_background(shared).is_ok() {
            self.scheduled.store(false, Relaxed);
        }
    }
}

fn begin(shared: &Arc<Shared>, asker: Asker) -> Result<Ticket, Busy> {
    let values = shared.values();
    let options = values.snapshot.options();
    let target = Box::new(FileTarget::new(shared, asker));
    let of_cut = Arc::clone(shared);
    let aux = move |offset| {
        let mut aux = of_cut.replication.describe_saved(&of_cut, offset);
        aux.push(("aof-base".to_owned(), "0".to_owned()));
        aux
    };
    let ticket = shared.snapshots.start(shared, Format::Rdb(options), aux, vec![target])?;
    let saves = &shared.snapshots.saves;
    saves.count.fetch_add(u64::from(asker != Asker::Flush), Relaxed);
    saves.tried.store(unix_ms() / 1000, Relaxed);
    Ok(ticket)
}

/// Begins to save to the file.
///
/// # Errors
/// While another snapshot runs.
pub fn save_in_background(shared: &Arc<Shared>) -> Result<Ticket, Busy> {
    let ticket = begin(shared, Asker::Background)?;
    tracing::info!("Background saving started");
    Ok(ticket)
}

/// Everything was just removed at a client's wish (FLUSHALL). A save that runs would bring it back and is given up; where
/// there are `save` rules, the file is emptied too before this returns, unless another snapshot keeps it waiting. Not to
/// be called while partitions are held.
pub(crate) fn emptied(shared: &Arc<Shared>) {
    let snapshots = &shared.snapshots;
    // What is half loaded must not take the place of the file it comes from.
    if shared.loading.is_on() {
        return;
    }
    snapshots.cancel_save();
    while !shared.values().snapshot.save.is_empty() {
        match begin(shared, Asker::Flush) {
            Ok(ticket) => return snapshots.wait(ticket),
            Err(Busy(Purpose::Save)) => {
                snapshots.cancel_save();
                snapshots.wait_for_running();
            }
            Err(_) => return snapshots.saves.schedule(),
        }
    }
}

/// Saves to the file and returns when that is done. A snapshot for something else is waited for. The caller must not
/// hold a partition.
///
/// # Errors
/// While a save is running already, and when it failed, which has been logged.
pub fn save(shared: &Arc<Shared>) -> Result<(), Option<Busy>> {
    loop {
        let before = shared.snapshots.saves.succeeded();
        match begin(shared, Asker::Foreground) {
            Ok(ticket) => {
                shared.snapshots.wait(ticket);
                let saved = shared.snapshots.saves.succeeded() != before;
                return if saved { Ok(()) } else { Err(None) };
            }
            Err(Busy(Purpose::Save)) => return Err(Some(Busy(Purpose::Save))),
            Err(_) => shared.snapshots.wait_for_running(),
        }
    }
}
