//! A rewrite's base file: what a cut says is written beside the folder's files, and then takes their place.

use super::queue::Queue;
use super::rewrite;
use super::ticket::Ticket;
use crate::config::os_reason;
use crate::log::Consumer;
use crate::shared::Shared;
use crate::snapshot::{Purpose, SnapshotError, Target};
use parking_lot::Mutex;
use redoubt_persistence::aof::Directory;
use redoubt_persistence::disk::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Bytes between two syncs while a file grows, so that the last one is short (`aof-rewrite-incremental-fsync`).
const SYNC_BYTES: u64 = 4 << 20;

/// What follows the base file.
pub(super) enum Plan {
    /// The incremental file that the writer begins at the cut.
    Next {
        /// Where the file before ends.
        queue: Arc<Queue>,
        /// Asks for it.
        ticket: Arc<Ticket>,
    },
    /// The first file of a log that begins at the cut.
    First(Arc<dyn Consumer>),
    /// Nothing: changes are not written.
    Alone,
}

/// See the module's text.
pub(super) struct Base {
    pub(super) shared: Arc<Shared>,
    pub(super) directory: Arc<Mutex<Directory>>,
    pub(super) file: Box<dyn File>,
    pub(super) plan: Plan,
    /// Whether it is a snapshot rather than commands.
    pub(super) rdb: bool,
    pub(super) sync_often: bool,
    pub(super) unsynced: u64,
}

impl Target for Base {
    fn purpose(&self) -> Purpose {
        Purpose::Rewrite
    }

    fn cut(&mut self, offset: u64) {
        match &self.plan {
            Plan::Next { queue, ticket } => {
                queue.seal(offset, Arc::clone(ticket));
                // The next file may be the first that somebody reads.
                self.shared.log.reselect();
            }
            Plan::First(consumer) => {
                self.shared.log.attach(Arc::clone(consumer), None);
            }
            Plan::Alone => {}
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.unsynced += bytes.len() as u64;
        if self.sync_often && self.unsynced >= SYNC_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, outcome: Result<(), SnapshotError>) {
        let outcome = outcome.map_err(|error| match error {
            SnapshotError::Io(error) => os_reason(&error),
            other => other.to_string(),
        });
        let outcome = outcome.and_then(|()| self.join());
        if outcome.is_err() {
            if let Plan::Next { ticket, .. } = &self.plan {
                ticket.drop_it();
            }
            let directory = self.directory.lock();
            // It may be what could not be created.
            let _ = directory.folder().and_then(|folder| folder.remove(&directory.temporary_base()));
        }
        rewrite::ended(&self.shared, matches!(self.plan, Plan::First(_)), outcome);
    }
}

impl Base {
    /// Puts the finished file in its place.
    fn join(&mut self) -> Result<(), String> {
        let said = |error: io::Error| os_reason(&error);
        self.file.sync().map_err(said)?;
        let shared = &self.shared;
        if let Plan::Next { ticket, .. } = &self.plan {
            ticket.wait(|| shared.refusal.append_fails() || !shared.aof.is_on())?;
        }
        let mut directory = self.directory.lock();
        tracing::info!("Successfully created the temporary AOF base file {}", directory.temporary_base());
        let (apart, kept) = match self.plan {
            Plan::Next { .. } => (false, 1),
            Plan::First(_) => (true, 1),
            Plan::Alone => (false, 0),
        };
        let started = Instant::now();
        let files = directory.finish_rewrite(self.rdb, apart, kept);
        shared.note_latency("aof-rename", started);
        let files = files.map_err(said)?;
        tracing::info!("Successfully renamed the temporary AOF base file into {}", files.base);
        if let Some(name) = files.incremental {
            tracing::info!("Successfully renamed the temporary AOF incr file into {name}");
        }
        let base =
            directory.manifest().base.as_ref().map_or(Ok(0), |base| directory.len(base)).map_err(said)?;
        let figures = &shared.aof.figures;
        figures.older_bytes.store(base, Relaxed);
        figures.base_bytes.store(figures.size(), Relaxed);
        if !shared.values().aof_disable_auto_gc {
            super::remove_history(&mut directory);
        }
        Ok(())
    }
}
