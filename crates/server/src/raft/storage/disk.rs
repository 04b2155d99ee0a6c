//! The thread that writes. A slow disk must not hold up heartbeats, which share the control thread with Raft, so every
//! write goes to this thread and is answered when it is on the disk. What has queued up meanwhile is written as one
//! transaction.

use super::super::types::Types;
use super::file::Room;
use openraft::storage::IOFlushed;
use parking_lot::Mutex;
use redb::{Database, Durability, TableDefinition, WriteTransaction};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Entries of the log by index.
pub(super) const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");
/// Everything else by name.
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

pub(super) const VOTE: &str = "vote";
pub(super) const COMMITTED: &str = "committed";
pub(super) const PURGED: &str = "purged";
pub(super) const SNAPSHOT_META: &str = "snapshot-meta";
pub(super) const SNAPSHOT: &str = "snapshot";
pub(super) const IDENTITY: &str = "identity";

/// How many writes may share one transaction.
const BATCH_MAX: usize = 256;

/// How long a write that nobody waits for may stay in memory.
const LAZY: Duration = Duration::from_millis(50);

/// One change of what is on the disk.
#[derive(Debug)]
pub(super) enum Write {
    /// Sets values of [`META`].
    Put(Vec<(&'static str, Vec<u8>)>),
    /// The same, but nobody depends on it: it may be written a little later.
    PutLazily(&'static str, Vec<u8>),
    /// Adds entries at the end of the log.
    Append(Vec<(u64, Vec<u8>)>),
    /// Removes the entries from this index on.
    TruncateFrom(u64),
    /// Removes the entries up to this index, included, and notes the last one's id.
    PurgeTo(u64, Vec<u8>),
}

/// Whom to tell when a write is on the disk, or failed.
pub(super) enum Done {
    /// For lazy writes.
    Nobody,
    Caller(oneshot::Sender<io::Result<()>>),
    Flushed(IOFlushed<Types>),
}

impl Done {
    fn tell(self, result: io::Result<()>) {
        match self {
            Done::Nobody => {}
            // Whoever gave up waiting does not need to know.
            Done::Caller(caller) => drop(caller.send(result)),
            Done::Flushed(flushed) => flushed.io_completed(result),
        }
    }
}

pub(super) enum Job {
    Write(Write, Done),
    /// Writes what came before, closes the file and ends.
    Stop,
}

/// The way to the thread. When the last clone is dropped it ends as if it was stopped.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    jobs: Sender<Job>,
}

impl Disk {
    pub(super) fn start(database: Database, room: Arc<Room>) -> io::Result<(Disk, DiskEnd)> {
        let (jobs, queue) = channel();
        room.wait(true);
        let thread =
            std::thread::Builder::new().name("raft-disk".into()).spawn(move || run(&database, &queue))?;
        let end = DiskEnd { jobs: jobs.clone(), thread: Mutex::new(Some(thread)), room };
        Ok((Disk { jobs }, end))
    }

    /// Queues a write. Writes are done in the order of these calls.
    pub(super) fn queue(&self, write: Write, done: Done) {
        if let Err(SendError(Job::Write(_, done))) = self.jobs.send(Job::Write(write, done)) {
            done.tell(Err(ended()));
        }
    }

    /// Queues a write and waits until it is on the disk.
    pub(super) async fn write(&self, write: Write) -> io::Result<()> {
        let (done, outcome) = oneshot::channel();
        self.queue(write, Done::Caller(done));
        outcome.await.map_err(|_| ended())?
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that writes has ended")
}

/// The end of the thread, for who started it.
#[derive(Debug)]
pub(in crate::raft) struct DiskEnd {
    pub(super) jobs: Sender<Job>,
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
    room: Arc<Room>,
}

impl DiskEnd {
    /// Whether writes wait for space on the disk.
    pub(in crate::raft) fn lacks_space(&self) -> bool {
        self.room.is_lacking()
    }

    /// What waits for space fails from now on.
    pub(in crate::raft) fn give_up(&self) {
        self.room.wait(false);
    }

    /// Returns when everything queued is written and the file is closed.
    pub(in crate::raft) async fn stop(&self) {
        self.give_up();
        // It may have ended.
        let _ = self.jobs.send(Job::Stop);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic of the thread was logged.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

fn run(database: &Database, queue: &Receiver<Job>) {
    let mut writes: Vec<Write> = Vec::new();
    // After an error nothing is written any more: what the disk holds is not known.
    let mut failure: Option<(io::ErrorKind, String)> = None;
    loop {
        // What is left over here is lazy.
        let first = match writes.is_empty() {
            true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => queue.recv_timeout(LAZY),
        };
        let mut ended = matches!(first, Err(RecvTimeoutError::Disconnected));
        let is_time = first.is_err();
        let mut waiting = Vec::new();
        for job in first.into_iter().chain(queue.try_iter().take(BATCH_MAX)) {
            match job {
                Job::Write(write, done) if !ended => {
                    writes.push(write);
                    waiting.push(done);
                }
                Job::Write(_, done) => done.tell(Err(self::ended())),
                Job::Stop => ended = true,
            }
        }
        let is_lazy = writes.iter().all(|write| matches!(write, Write::PutLazily(..)));
        if is_lazy && !is_time && !ended && writes.len() < BATCH_MAX {
            continue;
        }
        if failure.is_none() && !writes.is_empty() {
            failure = commit(database, &writes).err().map(|error| (error.kind(), error.to_string()));
            if let Some((_, text)) = &failure {
                tracing::error!("The Raft log could not be written, this node takes no further part: {text}");
            }
        }
        writes.clear();
        for done in waiting {
            done.tell(match &failure {
                None => Ok(()),
                Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            });
        }
        if ended {
            return;
        }
    }
}

fn commit(database: &Database, writes: &[Write]) -> io::Result<()> {
    let mut transaction = database.begin_write().map_err(other)?;
    transaction.set_durability(Durability::Immediate).map_err(other)?;
    transaction.set_two_phase_commit(true);
    for write in writes {
        perform(&transaction, write).map_err(other)?;
    }
    transaction.commit().map_err(other)
}

fn perform(transaction: &WriteTransaction, write: &Write) -> Result<(), redb::Error> {
    match write {
        Write::Put(values) => {
            let mut meta = transaction.open_table(META)?;
            for (name, value) in values {
                meta.insert(name, value.as_slice())?;
            }
        }
        Write::PutLazily(name, value) => {
            transaction.open_table(META)?.insert(name, value.as_slice())?;
        }
        Write::Append(entries) => {
            let mut log = transaction.open_table(LOG)?;
            for (index, entry) in entries {
                log.insert(index, entry.as_slice())?;
            }
        }
        Write::TruncateFrom(index) => {
            transaction.open_table(LOG)?.retain_in(*index.., |_, _| false)?;
        }
        Write::PurgeTo(index, id) => {
            transaction.open_table(LOG)?.retain_in(..=*index, |_, _| false)?;
            transaction.open_table(META)?.insert(PURGED, id.as_slice())?;
        }
    }
    Ok(())
}

/// An error of redb's as one of the disk's, with its kind where it has one.
pub(super) fn other<E: Into<redb::Error>>(error: E) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
