//! Who writes the append-only file: takes what has gathered, writes it in one go, and syncs as `appendfsync` says. A thread
//! of its own does that, and workers do it for themselves where it takes no sync (`write_through`). When the disk refuses,
//! nothing is lost and nothing ends: writes are refused, and the thread tries again until it succeeds.

use crate::aof::Policy;
use crate::aof::queue::{Batch, Queue};
use crate::aof::ticket::Ticket;
use crate::config::os_reason;
use crate::log::Hold;
use crate::shared::Shared;
use parking_lot::Mutex;
use redoubt_persistence::aof::Directory;
use redoubt_persistence::disk::{File, Syncer};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long what no worker writes by itself waits for more to be written with.
const GATHER: Duration = Duration::from_millis(2);
/// Time between attempts while the disk refuses.
const RETRY: Duration = Duration::from_millis(200);
/// `everysec`.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Memory kept for the next batch, bytes.
const SPARE_BYTES: usize = 4 << 20;

/// A sync beside the writer: it began at `started` and covers the file's first `upto` bytes.
struct Running {
    started: Instant,
    upto: u64,
    /// Run and offset of the log there.
    end: (u64, u64),
    outcome: Receiver<io::Result<()>>,
}

/// What the thread that syncs is asked for.
struct Job {
    file: Box<dyn Syncer>,
    done: Sender<io::Result<()>>,
}

/// See the module's text.
pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    directory: Arc<Mutex<Directory>>,
    file: Box<dyn File>,
    /// Bytes of the file that are whole commands.
    size: u64,
    /// Bytes of it that are safe.
    synced: u64,
    /// Run and offset of the log after what was written last.
    end: (u64, u64),
    hold: Arc<Hold>,
    last_sync: Instant,
    running: Option<Running>,
    /// Hands files to the thread that syncs.
    syncs: Sender<Job>,
    /// The batch that is not done with: not written, or with `always` not synced.
    pending: Option<Batch>,
    written: bool,
    /// There is more in the file than `size` says.
    torn: bool,
    /// Why the last attempt failed, for the log to say it once.
    failing: Option<String>,
    /// A sync beside the writer failed, and none has succeeded since.
    sync_failed: Option<String>,
    spare: Vec<u8>,
}

impl Writer {
    /// A writer at the end of `file`, of which `size` bytes are there.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn new(
        shared: &Arc<Shared>,
        queue: &Arc<Queue>,
        directory: &Arc<Mutex<Directory>>,
        hold: &Arc<Hold>,
        file: Box<dyn File>,
        size: u64,
    ) -> io::Result<Writer> {
        let (syncs, jobs) = channel::<Job>();
        std::thread::Builder::new().name("aof-sync".into()).spawn(move || {
            for job in jobs {
                // The writer may have gone.
                let _ = job.done.send(job.file.sync());
            }
        })?;
        Ok(Writer {
            shared: Arc::clone(shared),
            queue: Arc::clone(queue),
            directory: Arc::clone(directory),
            file,
            size,
            // What an earlier process wrote is not known to be safe.
            synced: 0,
            end: (0, 0),
            hold: Arc::clone(hold),
            last_sync: Instant::now(),
            running: None,
            syncs,
            pending: None,
            written: false,
            torn: false,
            failing: None,
            sync_failed: None,
            spare: Vec::new(),
        })
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When there is none to be had.
    pub(super) fn spawn(self) -> io::Result<(Arc<Mutex<Writer>>, std::thread::JoinHandle<()>)> {
        let queue = Arc::clone(&self.queue);
        let writer = Arc::new(Mutex::new(self));
        let shared = Arc::clone(&writer);
        let thread = std::thread::Builder::new().name("aof".into()).spawn(move || {
            while !turn(&shared, &queue) {}
            shared.lock().end();
        })?;
        Ok((writer, thread))
    }

    /// Makes the file safe, if the disk does not refuse. The queue is closed and empty then.
    fn end(&mut self) {
        let ended = self.advance().and_then(|()| self.file.sync());
        if let Err(error) = ended {
            let lost = self.queue.len() + self.pending.as_ref().map_or(0, |batch| batch.bytes.len());
            let reason = os_reason(&error);
            tracing::error!("the append-only file was not completed, {lost} bytes are lost: {reason}");
        }
        self.shared.refusal.set_append(None);
        self.shared.aof.figures.pending_bytes.store(0, Relaxed);
    }

    /// Writes what has gathered, for a worker whose replies wait for it. False if that is the thread's to do: it takes a
    /// sync or another file, or the disk is busy with a sync or has refused.
    pub(super) fn write_through(&mut self) -> bool {
        let is_quick = self.policy() != Policy::Always && self.running.is_none();
        if !is_quick || self.failing.is_some() || self.pending.is_some() {
            return false;
        }
        let Ok(batch) = self.queue.take_open(&mut self.spare) else { return false };
        let outcome = batch.map_or(Ok(()), |batch| self.begin(batch));
        self.report(&outcome);
        outcome.is_ok()
    }

    fn policy(&self) -> Policy {
        self.shared.aof.policy()
    }

    /// When there is something to do even if nothing comes.
    fn due(&self) -> Option<Instant> {
        match self.policy() {
            _ if self.running.is_some() => Some(Instant::now() + Duration::from_millis(100)),
            Policy::Everysec if self.size > self.synced || self.sync_failed.is_some() => {
                Some((self.last_sync + SYNC_EVERY).max(Instant::now() + Duration::from_millis(10)))
            }
            _ => None,
        }
    }

    /// Writes what has gathered, batch by batch.
    fn drain(&mut self) -> io::Result<()> {
        self.advance()?;
        loop {
            // What is taken is never counted by nobody.
            self.shared.aof.figures.pending_bytes.store(self.queue.len() as u64, Relaxed);
            let Some(batch) = self.queue.take(&mut self.spare) else { break };
            self.begin(batch)?;
            if self.policy() == Policy::Everysec {
                self.sync_beside()?;
            }
        }
        if self.policy() == Policy::Everysec {
            self.sync_beside()?;
        }
        Ok(())
    }

    fn begin(&mut self, batch: Batch) -> io::Result<()> {
        self.shared.aof.figures.pending_bytes.store(batch.bytes.len() as u64, Relaxed);
        self.pending = Some(batch);
        self.written = false;
        self.advance()
    }

    /// Goes on with the pending batch, and tells since when while a deployment's replies wait for it: disks may hang.
    fn advance(&mut self) -> io::Result<()> {
        let always = self.policy() == Policy::Always;
        *self.shared.aof.figures.writing.lock() = always.then(Instant::now);
        let outcome = self.go_on(always);
        *self.shared.aof.figures.writing.lock() = None;
        outcome
    }

    /// After an error all of the batch is done again, from where the file is sure to be right.
    fn go_on(&mut self, always: bool) -> io::Result<()> {
        if always && self.size > self.synced && self.pending.is_none() {
            // `always` begins with what other policies left.
            self.sync()?;
            self.hold.release_of(self.end.0, self.end.1);
        }
        let Some(batch) = self.pending.take() else { return Ok(()) };
        let outcome = self.finish(&batch, always);
        if outcome.is_err() {
            self.pending = Some(batch);
            return outcome;
        }
        self.shared.aof.figures.pending_bytes.store(0, Relaxed);
        self.end = (batch.run, batch.end);
        self.hold.release_of(batch.run, batch.end);
        if always {
            *self.shared.aof.figures.synced.lock() = self.end;
            self.shared.replication.synced();
        }
        if let Some(ticket) = &batch.then {
            self.rotate(ticket);
        }
        if batch.bytes.capacity() <= SPARE_BYTES {
            self.spare = batch.bytes;
        }
        Ok(())
    }

    fn finish(&mut self, batch: &Batch, always: bool) -> io::Result<()> {
        if self.torn {
            self.file.truncate(self.size)?;
            self.torn = false;
        }
        if !self.written {
            self.write(&batch.bytes)?;
            self.written = true;
        }
        if always && self.size > self.synced && !self.shared.aof.spares_sync(&self.shared) {
            let before = self.size - batch.bytes.len() as u64;
            let started = Instant::now();
            let synced = self.sync();
            self.shared.note_latency("aof-fsync-always", started);
            if let Err(error) = synced {
                // Nobody knows what became of the bytes: they are written again.
                self.size = before;
                self.torn = true;
                self.written = false;
                return Err(error);
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let started = Instant::now();
        let written = self.file.write_all(bytes);
        let shared = &self.shared;
        shared.note_latency("aof-write", started);
        let meanwhile = if self.running.is_some() {
            "aof-write-pending-fsync"
        } else if shared.snapshots.running().is_some() {
            "aof-write-active-child"
        } else {
            "aof-write-alone"
        };
        shared.note_latency(meanwhile, started);
        if let Err(error) = written {
            // No half command stays at the end, even if this process ends now.
            self.torn = self.file.truncate(self.size).is_err();
            return Err(error);
        }
        self.size += bytes.len() as u64;
        self.shared.aof.figures.last_bytes.store(self.size, Relaxed);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.directory.lock().settle()?;
        self.synced = self.size;
        self.last_sync = Instant::now();
        Ok(())
    }

    /// `everysec`: has the other thread sync, and looks what became of it.
    fn sync_beside(&mut self) -> io::Result<()> {
        let figures = &self.shared.aof.figures;
        if let Some(running) = &self.running {
            match running.outcome.try_recv() {
                Ok(Ok(())) => {
                    self.synced = self.synced.max(running.upto);
                    *figures.synced.lock() = running.end;
                    self.shared.replication.synced();
                    self.running = None;
                    figures.syncing.store(false, Relaxed);
                    if self.sync_failed.take().is_some() {
                        // The system may have dropped what it could not write; a rewrite does not need it.
                        self.shared.aof.schedule_rewrite();
                    }
                }
                Ok(Err(error)) => {
                    self.running = None;
                    figures.syncing.store(false, Relaxed);
                    self.sync_failed = Some(os_reason(&error));
                }
                Err(_) => {
                    if running.started.elapsed() > 2 * SYNC_EVERY && self.last_sync.elapsed() > SYNC_EVERY {
                        figures.delayed_syncs.fetch_add(1, Relaxed);
                        self.last_sync = Instant::now();
                    }
                    return Ok(());
                }
            }
        }
        let unsafe_bytes = self.size > self.synced || self.sync_failed.is_some();
        if !unsafe_bytes && std::mem::replace(&mut *figures.synced.lock(), self.end) < self.end {
            // What the last file had was synced when this one began; and not all of the log is in a file.
            self.shared.replication.synced();
        }
        if !unsafe_bytes || self.last_sync.elapsed() < SYNC_EVERY || self.shared.aof.spares_sync(&self.shared)
        {
            return Ok(());
        }
        self.directory.lock().settle()?;
        let (done, outcome) = channel();
        if self.syncs.send(Job { file: self.file.syncer()?, done }).is_ok() {
            self.last_sync = Instant::now();
            figures.syncing.store(true, Relaxed);
            self.running = Some(Running { started: self.last_sync, upto: self.size, end: self.end, outcome });
        }
        Ok(())
    }

    /// Goes on in the next file, unless the rewrite that wanted it is over.
    fn rotate(&mut self, ticket: &Ticket) {
        let rotated = ticket.settle(|| {
            // The file before must not lack its end when this one is there.
            self.sync()?;
            self.directory.lock().begin_incremental()
        });
        let Some(file) = rotated else { return };
        let figures = &self.shared.aof.figures;
        figures.older_bytes.fetch_add(self.size, Relaxed);
        figures.last_bytes.store(0, Relaxed);
        self.file = file;
        self.size = 0;
        self.synced = 0;
        self.running = None;
        figures.syncing.store(false, Relaxed);
    }

    /// Refuses writes while the disk does, and says so once.
    fn report(&mut self, outcome: &io::Result<()>) {
        let reason = outcome.as_ref().err().map(os_reason);
        match (&reason, &self.failing) {
            (Some(reason), before) if before.as_ref() != Some(reason) => {
                tracing::error!("Error writing to the AOF file: {reason}");
            }
            (None, Some(_)) => tracing::warn!("AOF write error looks solved, the server can write again."),
            _ => {}
        }
        self.failing = reason;
        let reason = self.failing.as_ref().or(self.sync_failed.as_ref());
        if reason.is_some() || self.shared.refusal.append_fails() {
            self.shared.refusal.set_append(reason.map(String::as_str));
        }
    }
}

/// One round of the thread: waits, takes, writes, syncs. True once nothing is left to do, or nothing can be done.
fn turn(writer: &Mutex<Writer>, queue: &Queue) -> bool {
    let (failing, due, always) = {
        let writer = writer.lock();
        (writer.failing.is_some(), writer.due(), writer.policy() == Policy::Always)
    };
    if failing {
        queue.pause(Instant::now() + RETRY);
    } else {
        queue.wait(due);
    }
    if !always {
        queue.gather(GATHER);
    }
    let closed = queue.is_closed();
    let mut writer = writer.lock();
    let outcome = writer.drain();
    writer.report(&outcome);
    closed && (outcome.is_err() || queue.len() == 0)
}
