//! Beginning and ending rewrites: on BGREWRITEAOF, when the files have grown, when the log is switched on.

use super::base::{Base, Plan};
use super::queue::Queue;
use super::ticket::Ticket;
use super::writer::Writer;
use super::{Appender, Running};
use crate::config::os_reason;
use crate::log::Consumer;
use crate::shared::{Shared, unix_ms};
use crate::snapshot::{self, Format, Purpose};
use parking_lot::Mutex;
use redoubt_persistence::aof::{Directory, annotate_time};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// From this many failures in a row on, the next attempt waits.
const FAILURES_LIMIT: u64 = 3;
/// The longest such wait, minutes; the first is one minute, and each is twice the one before.
const WAIT_MINUTES_MAX: i64 = 60;

/// Why a rewrite did not begin.
pub(crate) enum NotBegun {
    /// Another snapshot runs.
    Busy(Purpose),
    /// It cannot be; the log says why.
    Failed,
}

/// Begins a rewrite.
///
/// # Errors
/// When another snapshot runs, or when its file cannot be created.
pub(crate) fn begin(shared: &Arc<Shared>) -> Result<snapshot::Ticket, NotBegun> {
    // Until it has ended, the folder may change.
    if let Some(running) = shared.snapshots.running() {
        return Err(NotBegun::Busy(running.purpose));
    }
    shared.aof.scheduled.store(false, Relaxed);
    let values = shared.values();
    let mut state = shared.aof.running.lock();
    let begun = prepare(shared, &mut state).and_then(|(directory, plan)| {
        let mut open = directory.lock();
        let name = open.temporary_base();
        let file = open.make_folder().and_then(|folder| folder.create(&name));
        drop(open);
        let file = file.and_then(|mut file| {
            if values.aof_timestamp_enabled && !values.aof_use_rdb_preamble {
                // What follows is of now, whenever it was written.
                let mut stamp = Vec::new();
                annotate_time(&mut stamp, unix_ms() / 1000);
                file.write_all(&stamp)?;
            }
            Ok(file)
        });
        file.map(|file| (directory, plan, file)).map_err(|error| format!("{name}: {}", os_reason(&error)))
    });
    let (directory, plan, file) = match begun {
        Ok(begun) => begun,
        Err(reason) => {
            tracing::error!("Can't begin to rewrite the append-only file: {reason}");
            abandon(shared, &mut state);
            failed(shared);
            return Err(NotBegun::Failed);
        }
    };
    let rdb = values.aof_use_rdb_preamble;
    let base = Base {
        shared: Arc::clone(shared),
        directory,
        file,
        plan,
        rdb,
        sync_often: values.aof_rewrite_incremental_fsync,
        unsynced: 0,
    };
    let format = if rdb { Format::Rdb(values.snapshot.options()) } else { Format::Commands };
    let of_cut = Arc::clone(shared);
    let aux = move |offset| {
        let mut aux = vec![("aof-base".to_owned(), "1".to_owned())];
        aux.extend(of_cut.replication.describe_base(&of_cut, offset));
        aux
    };
    shared.aof.figures.rewrite_started_ms.store(unix_ms(), Relaxed);
    match shared.snapshots.start(shared, format, aux, vec![Box::new(base)]) {
        Ok(ticket) => {
            tracing::info!("Background append only file rewriting started");
            Ok(ticket)
        }
        Err(busy) => {
            shared.aof.figures.rewrite_started_ms.store(0, Relaxed);
            abandon(shared, &mut state);
            Err(NotBegun::Busy(busy.0))
        }
    }
}

/// The folder, and what is to follow the base file.
fn prepare(
    shared: &Arc<Shared>,
    state: &mut Option<Running>,
) -> Result<(Arc<Mutex<Directory>>, Plan), String> {
    if let Some(Running { directory, appender: Some(appender), .. }) = state {
        let queue = Arc::clone(&appender.queue);
        return Ok((Arc::clone(directory), Plan::Next { queue, ticket: Arc::new(Ticket::default()) }));
    }
    let values = shared.values();
    let directory = Directory::open(shared.folder(), &values.appendfilename, &values.appenddirname)
        .map_err(|error| error.to_string())?;
    let directory = Arc::new(Mutex::new(directory));
    let Some(running) = state else { return Ok((directory, Plan::Alone)) };
    let file = directory.lock().begin_apart().map_err(|error| os_reason(&error))?;
    let queue = Arc::new(Queue::default());
    queue.timestamps.store(values.aof_timestamp_enabled, Relaxed);
    shared.replication.stream_for_files().into_iter().for_each(|stream| queue.set_stream(stream));
    let hold = Arc::new(shared.log.local_hold());
    let writer = Writer::new(shared, &queue, &directory, &hold, file, 0).and_then(Writer::spawn);
    let (writer, thread) = writer.map_err(|error| os_reason(&error))?;
    let consumer: Arc<dyn Consumer> = Arc::clone(&queue) as _;
    let plan = Plan::First(Arc::clone(&consumer));
    running.directory = Arc::clone(&directory);
    running.appender = Some(Appender { queue, consumer, hold, writer, thread });
    Ok((directory, plan))
}

/// Takes down what was begun for a first file; that is tried again.
fn abandon(shared: &Shared, state: &mut Option<Running>) {
    if let Some(running) = state.as_mut().filter(|running| running.awaits_base) {
        shared.aof.scheduled.store(true, Relaxed);
        if let Some(appender) = running.appender.take() {
            appender.end(shared);
            // What cannot be removed now is removed at the next start.
            let _ = running.directory.lock().remove_apart();
        }
    }
}

/// A rewrite is over. `first`: the log has waited for it to begin.
pub(super) fn ended(shared: &Shared, first: bool, outcome: Result<(), String>) {
    let figures = &shared.aof.figures;
    let seconds = (unix_ms() - figures.rewrite_started_ms.swap(0, Relaxed)) / 1000;
    figures.last_rewrite_seconds.store(seconds, Relaxed);
    let mut state = shared.aof.running.lock();
    match outcome {
        Ok(()) => {
            tracing::info!("Background AOF rewrite finished successfully");
            figures.rewrites.fetch_add(1, Relaxed);
            figures.failures.store(0, Relaxed);
            figures.last_rewrite_failed.store(false, Relaxed);
            if let Some(running) = state.as_mut().filter(|_| first) {
                running.awaits_base = false;
                if let Some(appender) = &running.appender {
                    shared.log.switch(&appender.hold, shared.aof.policy().holds(shared));
                    appender.queue.nudge();
                }
                // What is synced is safe from now on.
                shared.replication.synced();
            }
        }
        Err(reason) => {
            if state.is_none() && first || *shared.stop.borrow() {
                tracing::info!("The AOF rewrite was given up");
            } else {
                tracing::warn!("Background AOF rewrite terminated with error: {reason}");
                failed(shared);
            }
            if first {
                abandon(shared, &mut state);
            }
        }
    }
}

fn failed(shared: &Shared) {
    let figures = &shared.aof.figures;
    figures.last_rewrite_failed.store(true, Relaxed);
    let failures = figures.failures.fetch_add(1, Relaxed) + 1;
    if failures >= FAILURES_LIMIT {
        let doubled = 1i64 << (failures - FAILURES_LIMIT).min(10);
        let minutes = doubled.min(WAIT_MINUTES_MAX);
        shared.aof.not_before_ms.store(unix_ms() + minutes * 60_000, Relaxed);
        tracing::warn!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {minutes} minutes"
        );
    }
}

/// Begins what is due. Called ten times a second or so.
pub(crate) fn look(shared: &Arc<Shared>) {
    let aof = &shared.aof;
    let limited =
        aof.figures.failures.load(Relaxed) >= FAILURES_LIMIT && unix_ms() < aof.not_before_ms.load(Relaxed);
    if limited || shared.snapshots.running().is_some() {
        return;
    }
    if aof.scheduled.load(Relaxed) {
        // It says in the log why it does not.
        let _ = begin(shared);
        return;
    }
    let values = shared.values();
    let size = aof.figures.size();
    if values.auto_aof_rewrite_percentage == 0 || size <= values.auto_aof_rewrite_min_size || !aof.is_on() {
        return;
    }
    let base = aof.figures.base_bytes.load(Relaxed).max(1);
    let growth = (u128::from(size) * 100 / u128::from(base)).saturating_sub(100);
    if growth >= u128::from(values.auto_aof_rewrite_percentage) {
        tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
        let _ = begin(shared);
    }
}

/// Switches the log on (CONFIG SET appendonly yes): a rewrite begins, from whose cut on changes are written. If another
/// snapshot runs, the rewrite begins after it.
///
/// # Errors
/// When it cannot begin; everything is as before then.
pub(crate) fn enable(shared: &Arc<Shared>) -> Result<(), ()> {
    let values = shared.values();
    let directory = Directory::open(shared.folder(), &values.appendfilename, &values.appenddirname)
        .map_err(|error| tracing::error!("Can't open the append-only file: {error}"))?;
    let directory = Arc::new(Mutex::new(directory));
    *shared.aof.running.lock() = Some(Running { directory, appender: None, awaits_base: true });
    match begin(shared) {
        Ok(_) => Ok(()),
        Err(NotBegun::Busy(_)) => {
            tracing::info!(
                "AOF was enabled but there is already another background operation. The rewrite begins after it"
            );
            shared.aof.schedule_rewrite();
            Ok(())
        }
        Err(NotBegun::Failed) => {
            *shared.aof.running.lock() = None;
            shared.aof.scheduled.store(false, Relaxed);
            Err(())
        }
    }
}

/// Switches the log off. What was committed is in the file when this returns.
pub(crate) fn disable(shared: &Shared) {
    shared.aof.stop(shared);
    shared.aof.scheduled.store(false, Relaxed);
    if shared.snapshots.running().is_some_and(|running| running.purpose == Purpose::Rewrite) {
        shared.snapshots.cancel();
    }
}
