//! A snapshot as a file: written under a temporary name, synced, renamed.

use super::{Purpose, SnapshotError, Target};
use crate::shared::Shared;
use redoubt_persistence::disk::{File, Folder};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Bytes between two syncs of a file that is synced as it is written (`rdb-save-incremental-fsync`).
const SYNC_BYTES: usize = 4 * 1024 * 1024;

/// Who asked for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// BGSAVE and `save` rules.
    Background,
    /// SAVE and SHUTDOWN: somebody waits.
    Foreground,
    /// FLUSHALL: the same, but it is not counted as a save.
    Flush,
}

/// The file of BGSAVE and its like.
pub(super) struct FileTarget {
    shared: Arc<Shared>,
    asker: Asker,
    folder: Arc<dyn Folder>,
    name: String,
    temporary: String,
    file: Option<Box<dyn File>>,
    /// Whether it is synced as it grows, and what has come since.
    incremental: bool,
    unsynced: usize,
    bytes: u64,
    started: Instant,
    /// Changes counted before the cut.
    dirty: u64,
}

impl FileTarget {
    pub(super) fn new(shared: &Arc<Shared>, asker: Asker) -> FileTarget {
        let values = shared.values();
        FileTarget {
            shared: Arc::clone(shared),
            asker,
            folder: shared.folder(),
            name: values.snapshot.dbfilename.clone(),
            temporary: format!("temp-{}.rdb", std::process::id()),
            file: None,
            incremental: values.snapshot.rdb_save_incremental_fsync,
            unsynced: 0,
            bytes: 0,
            started: Instant::now(),
            dirty: 0,
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.flush()?;
            file.sync()?;
        }
        self.folder.rename(&self.temporary, &self.name)?;
        self.folder.sync()
    }
}

impl Target for FileTarget {
    fn purpose(&self) -> Purpose {
        Purpose::Save
    }

    fn cut(&mut self, _offset: u64) {
        self.dirty = self.shared.stats.dirty();
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.folder.create(&self.temporary)?),
        };
        file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        self.unsynced += bytes.len();
        if self.incremental && self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            file.sync()?;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, outcome: Result<(), SnapshotError>) {
        let outcome = outcome.and_then(|()| Ok(self.finish()?));
        if let Err(error) = &outcome {
            drop(self.file.take());
            // Nothing was made if it could not be created.
            let started = Instant::now();
            let _ = self.folder.remove(&self.temporary);
            self.shared.note_latency("rdb-unlink-temp-file", started);
            match error {
                SnapshotError::Cancelled => tracing::warn!("Saving to {} was cancelled", self.name),
                error => tracing::error!("Saving to {} failed: {error}", self.name),
            }
        } else {
            let seconds = self.started.elapsed().as_secs_f64();
            tracing::info!("DB saved on disk: {} bytes in {seconds:.3} s", self.bytes);
        }
        let seconds = self.started.elapsed().as_secs();
        self.shared.snapshots.saves.ended(&self.shared, self.asker, self.dirty, seconds, &outcome);
    }
}
