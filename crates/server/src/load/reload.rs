//! Loading while the server runs, for DEBUG RELOAD and DEBUG LOADAOF: the data goes away and comes back from a file.
//! Commands on data are answered -LOADING meanwhile, and nothing of a primary's stream is applied.

use super::{LoadError, Options, append, snapshot};
use crate::shared::{Shared, unix_ms};
use crate::snapshot::Busy;
use redoubt_commands::CommandError;
use redoubt_persistence::aof::Directory;
use redoubt_store::{Garbage, Signal, Txn};
use std::sync::Arc;
use std::time::Duration;

const NOT_SAVED: CommandError = CommandError::text("ERR");
const NOT_LOADED: CommandError =
    CommandError::text("ERR Error trying to load the RDB dump, check server logs.");
const NOT_APPLIED: CommandError =
    CommandError::text("ERR Error trying to load the AOF files, check server logs.");

/// How often it is looked whether the append-only file is written.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What DEBUG RELOAD does before it loads `dbfilename`, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reload {
    /// The data is saved first.
    pub(crate) save: bool,
    /// The data is removed.
    pub(crate) flush: bool,
    /// Keys that are there may also be in the file, which replaces them.
    pub(crate) merge: bool,
}

/// Keeps commands on data out while it lives.
struct Alone<'s>(&'s Shared);

impl<'s> Alone<'s> {
    fn begin(shared: &'s Shared) -> Alone<'s> {
        shared.loading.begin(0);
        let alone = Alone(shared);
        // What was admitted before is done now.
        shared.quiesce_blocking();
        alone
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.loading.end();
        self.0.memory.recalibrate();
    }
}

fn said(error: &LoadError) {
    tracing::error!("{error}");
}

/// Reloads `dbfilename`. Not to be called by a worker.
///
/// # Errors
/// When the data could not be saved, and nothing has changed then, or not be loaded: part of it may be there.
pub(crate) fn reload(shared: &Arc<Shared>, how: Reload) -> Result<(), CommandError> {
    let _alone = Alone::begin(shared);
    shared.replication.while_still(|| {
        if how.save {
            save(shared)?;
        }
        let values = shared.values();
        if !shared.folder().exists(&values.load.dbfilename).is_ok_and(|exists| exists) {
            tracing::error!("there is no file {} to load", values.load.dbfilename);
            return Err(NOT_LOADED);
        }
        let options = Options {
            verify: values.load.rdbchecksum,
            keep_expired: shared.replication.follows(),
            replace: how.merge,
            before: 0,
        };
        let loaded = in_place_of(shared, how.flush, || snapshot(shared, &options));
        let loaded = loaded.map_err(|error| {
            said(&error);
            NOT_LOADED
        })?;
        shared.loading.keep(loaded);
        tracing::warn!("DB reloaded by DEBUG RELOAD");
        Ok(())
    })
}

/// Loads the append-only file as a start does. Not to be called by a worker.
///
/// # Errors
/// When there is none, and nothing has changed then, or when not all of it can be loaded.
pub(crate) fn load_append_only(shared: &Arc<Shared>) -> Result<(), CommandError> {
    let _alone = Alone::begin(shared);
    shared.replication.while_still(|| {
        while shared.aof.waiting_bytes() > 0 && !shared.refusal.append_fails() {
            std::thread::sleep(LOOK_EVERY);
        }
        let values = shared.values();
        let found = Directory::open(shared.folder(), &values.appendfilename, &values.appenddirname);
        let empty = match &found {
            Ok(directory) => directory.is_empty().then(|| "there is no append-only file".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = empty {
            tracing::error!("{reason}");
            return Err(NOT_APPLIED);
        }
        let loaded = in_place_of(shared, true, || append::load(shared).map(drop));
        loaded.map_err(|error| {
            said(&error);
            NOT_APPLIED
        })?;
        tracing::warn!("Append Only File loaded by DEBUG LOADAOF");
        Ok(())
    })
}

fn save(shared: &Arc<Shared>) -> Result<(), CommandError> {
    loop {
        match crate::snapshot::save(shared) {
            Ok(()) => return Ok(()),
            Err(Some(Busy(_))) => shared.snapshots.wait_for_running(),
            Err(None) => return Err(NOT_SAVED),
        }
    }
}

/// Loads while no snapshot is taken of what is half there. Clients that wait for keys look again afterwards only.
fn in_place_of<T>(
    shared: &Shared,
    flush: bool,
    load: impl FnOnce() -> Result<T, LoadError>,
) -> Result<T, LoadError> {
    let reserved = shared.snapshots.reserve();
    let signals = if flush { empty(shared) } else { Vec::new() };
    let loaded = load();
    drop(reserved);
    if !signals.is_empty() {
        let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::new());
        txn.acquire(shared.keyspace.all_partitions());
        txn.signalled = signals;
        crate::dispatch::blocking::post_rechecks(&mut txn);
    }
    loaded
}

/// Removes all data. Returns who is to be told.
fn empty(shared: &Shared) -> Vec<Signal> {
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::new());
    txn.acquire(shared.keyspace.all_partitions());
    for db in 0..shared.keyspace.databases() {
        txn.flush(db);
    }
    let signals = std::mem::take(&mut txn.signalled);
    txn.release();
    let garbage: Vec<Garbage> = txn.garbage.drain(..).collect();
    garbage.into_iter().for_each(|garbage| shared.free_lazily(garbage));
    signals
}
