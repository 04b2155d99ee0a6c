//! Snapshots while the server goes on: a thread walks a cut (`redoubt_store::CutWalk`) and hands what it saves to one or
//! more targets: a file, the base of an append-only file, replicas.

mod file;
mod run;
mod saves;
mod shutdown;
mod sink;

pub(crate) use saves::emptied;
pub use saves::{Saves, save, save_in_background};
pub(crate) use shutdown::abort;
pub use shutdown::{Errand, Shutdown, shut_down};

use crate::shared::{Shared, unix_ms};
use parking_lot::{Condvar, Mutex};
use redoubt_persistence::rdb;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a snapshot is written as.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// An RDB file, whole.
    Rdb(rdb::Options),
    /// An RDB file that old versions read too, if nothing in the data needs a newer one: version 12 if fields of hashes
    /// expire, else 10.
    Portable,
    /// The commands that make the data.
    Commands,
}

/// What a snapshot is for; INFO and the commands that begin one tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A file that was asked for: BGSAVE, SAVE, `save` rules, SHUTDOWN.
    Save,
    /// The base of an append-only file.
    Rewrite,
    /// A replica's first copy, or anything else.
    Copy,
}

/// Why a snapshot failed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The target could not be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A key does not fit the format.
    #[error("{0}")]
    Format(String),
}

/// A snapshot is running already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy(pub Purpose);

/// Names and values of the fields that describe a file.
pub type Aux = Vec<(String, String)>;

/// Who gets the bytes of a snapshot. All calls but those of `Snapshots::start` come from the snapshot's thread.
pub trait Target: Send {
    /// What it is for.
    fn purpose(&self) -> Purpose {
        Purpose::Copy
    }

    /// The cut is made: the snapshot is the data after all effects before `offset` of the log, and none after. Called
    /// while all partitions are held: it must only take note.
    fn cut(&mut self, offset: u64);

    /// The next bytes. It may wait; after an error only `end` is called.
    ///
    /// # Errors
    /// When it cannot take them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// All was written, or will not be.
    fn end(self: Box<Self>, outcome: Result<(), SnapshotError>);
}

/// One snapshot among all of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The snapshot that runs.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// What for.
    pub purpose: Purpose,
    /// Since when.
    pub started: Instant,
    /// Keys that are saved, and keys there were.
    pub keys: (u64, u64),
    /// Bytes saved and not written yet, now and at most.
    pub staged: (u64, u64),
}

#[derive(Default)]
struct State {
    running: Option<(Purpose, Instant)>,
    begun: u64,
    cut: u64,
    ended: u64,
}

/// What is asked of a snapshot.
struct Job {
    format: Format,
    aux: Box<dyn FnOnce(u64) -> Aux + Send>,
    targets: Vec<Box<dyn Target>>,
}

/// The snapshots of a server, of which one at a time runs.
#[derive(Default)]
pub struct Snapshots {
    state: Mutex<State>,
    changed: Condvar,
    cancelled: AtomicBool,
    keys_saved: AtomicU64,
    keys_total: AtomicU64,
    staged: AtomicU64,
    staged_peak: AtomicU64,
    /// Those to the file `dbfilename`.
    pub saves: Saves,
    /// The end of the server, if it has begun.
    shutdown: shutdown::State,
}

impl Snapshots {
    /// Begins a snapshot for these targets. `aux` is asked at the cut, with the log's offset there; for commands it is
    /// not used. Nothing of the targets was called if one is running.
    ///
    /// # Errors
    /// While another snapshot runs.
    pub fn start(
        &self,
        shared: &Arc<Shared>,
        format: Format,
        aux: impl FnOnce(u64) -> Aux + Send + 'static,
        targets: Vec<Box<dyn Target>>,
    ) -> Result<Ticket, Busy> {
        let purpose = targets.first().map_or(Purpose::Copy, |target| target.purpose());
        let ticket = {
            let mut state = self.state.lock();
            if let Some((purpose, _)) = state.running {
                return Err(Busy(purpose));
            }
            state.running = Some((purpose, Instant::now()));
            state.begun += 1;
            self.cancelled.store(false, Relaxed);
            self.staged_peak.store(0, Relaxed);
            Ticket(state.begun)
        };
        let job = Arc::new(Mutex::new(Some(Job { format, aux: Box::new(aux), targets })));
        let (theirs, of_thread) = (Arc::clone(shared), Arc::clone(&job));
        let spawned = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let _over = Over(&theirs.snapshots);
            if let Some(job) = of_thread.lock().take() {
                run::run(&theirs, job);
            }
        });
        if let Err(error) = spawned {
            tracing::error!("could not start a thread for a snapshot: {error}");
            let kind = error.kind();
            let targets = job.lock().take().map_or_else(Vec::new, |job| job.targets);
            targets.into_iter().for_each(|target| target.end(Err(io::Error::from(kind).into())));
            drop(Over(self));
        }
        Ok(ticket)
    }

    /// The snapshot that runs, if one does.
    pub fn running(&self) -> Option<Running> {
        let (purpose, started) = self.state.lock().running?;
        let keys = (self.keys_saved.load(Relaxed), self.keys_total.load(Relaxed));
        let staged = (self.staged.load(Relaxed), self.staged_peak.load(Relaxed));
        Some(Running { purpose, started, keys, staged })
    }

    /// Ends the running snapshot early; its targets get `Cancelled`.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Ends a running save early; other snapshots go on.
    fn cancel_save(&self) {
        let state = self.state.lock();
        if state.running.is_some_and(|(purpose, _)| purpose == Purpose::Save) {
            self.cancelled.store(true, Relaxed);
        }
    }

    /// Waits until none runs, and keeps others from beginning while the result lives.
    pub(crate) fn reserve(&self) -> impl Drop + '_ {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.running.is_some());
        state.running = Some((Purpose::Copy, Instant::now()));
        state.begun += 1;
        Over(self)
    }

    /// Waits until the cut of this snapshot is made: what is committed from then on is not in it. The caller must not
    /// hold a partition.
    pub fn wait_for_cut(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.cut < ticket.0 && state.ended < ticket.0);
    }

    /// Waits until this snapshot is over and another may begin.
    pub fn wait(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.ended < ticket.0);
    }

    /// Most bytes that were saved and not written yet, in the last snapshot.
    pub fn staged_peak(&self) -> u64 {
        self.staged_peak.load(Relaxed)
    }

    /// Waits until none runs, but no longer than this; whether none does.
    pub fn wait_until_idle(&self, within: Duration) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| state.running.is_some(), within);
        state.running.is_none()
    }

    /// Waits until what runs now is over.
    pub(crate) fn wait_for_running(&self) {
        let begun = Ticket(self.state.lock().begun);
        self.wait(begun);
    }

    /// Whether the server is about to end.
    fn is_ending(&self) -> bool {
        self.shutdown.is_running()
    }

    /// For how long, at most, replicas are still waited for before the server ends, milliseconds; none if they are not.
    pub(crate) fn shutdown_in_ms(&self) -> Option<i64> {
        Some((self.shutdown.waits_until_ms()? - unix_ms()).max(0))
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    fn note_cut(&self, keys: u64) {
        self.keys_total.store(keys, Relaxed);
        let mut state = self.state.lock();
        state.cut = state.begun;
        self.changed.notify_all();
    }

    fn note_progress(&self, saved: u64, staged: usize) {
        self.keys_saved.store(saved, Relaxed);
        self.staged.store(staged as u64, Relaxed);
        self.staged_peak.fetch_max(staged as u64, Relaxed);
    }
}

/// Says that the snapshot is over, even after a panic.
struct Over<'s>(&'s Snapshots);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let snapshots = self.0;
        snapshots.note_progress(0, 0);
        snapshots.keys_total.store(0, Relaxed);
        let mut state = snapshots.state.lock();
        state.running = None;
        state.ended = state.begun;
        snapshots.changed.notify_all();
    }
}
