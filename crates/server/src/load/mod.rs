//! Getting the data back when the server starts. Sockets are open meanwhile: commands on data are answered -LOADING.

mod append;
mod error;
mod progress;
mod rdb;
mod reload;
mod workers;

pub use error::LoadError;
pub use progress::{Loading, Progress};
pub use rdb::{Loaded, Options, load};
pub(crate) use reload::{Reload, load_append_only, reload};

use crate::shared::Shared;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Loads what the settings name. A file that does not exist is an empty server.
///
/// # Errors
/// When the data is there but cannot be had, all of it.
pub(crate) fn at_start(shared: &Arc<Shared>) -> Result<(), LoadError> {
    // The append-only file is the newer one of the two, whatever it holds.
    if shared.values().appendonly {
        let (directory, origin) = append::load(shared)?;
        shared.replication.restore_applied(shared, &origin);
        crate::aof::start(shared, directory).map_err(|error| LoadError::Append(error.to_string()))?;
    } else {
        let verify = shared.values().load.rdbchecksum;
        match snapshot(shared, &Options { verify, ..Options::default() }) {
            Ok(loaded) => adopt(shared, loaded),
            Err(LoadError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    shared.loading.end();
    if let Some(ha) = &shared.ha {
        ha.loaded();
    }
    shared.memory.recalibrate();
    Ok(())
}

/// Loads `dbfilename`.
fn snapshot(shared: &Arc<Shared>, options: &Options) -> Result<Loaded, LoadError> {
    let values = shared.values();
    let folder = shared.folder();
    let path = values.dir.join(&values.load.dbfilename);
    let name = path.display().to_string();
    let failed = |error: io::Error| LoadError::Io { file: name.clone(), error };
    let source = folder.read(&values.load.dbfilename).map_err(failed)?;
    let size = folder.len(&values.load.dbfilename).map_err(failed)?;
    let started = Instant::now();
    shared.loading.begin(size);
    let (loaded, _) = load(shared, source, &name, options)?;
    loaded.tell();
    tracing::info!("DB loaded from disk: {:.3} seconds", started.elapsed().as_secs_f64());
    Ok(loaded)
}

/// Takes over what the file says beside its keys.
fn adopt(shared: &Arc<Shared>, loaded: Loaded) {
    let replica = !shared.values().replication.replicaof.is_empty();
    let mut origin = crate::replication::Origin::default();
    loaded.aux.iter().for_each(|(name, value)| origin.note(name, value));
    shared.replication.restore(shared, &origin, replica);
    shared.loading.keep(loaded);
}
