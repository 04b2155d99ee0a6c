//! What the log hands to the append-only file, until the writer takes it. A commit only copies its bytes in here.
//!
//! It has no limit: whoever commits holds partitions and must not wait for a disk. If the disk is too slow,
//! `aof_buffer_length` of INFO shows what has gathered. A primary refuses writes while its disk does; a replica's link stops
//! reading while too much has gathered.

use crate::aof::ticket::Ticket;
use crate::log::Consumer;
use crate::shared::unix_ms;
use parking_lot::{Condvar, Mutex};
use redoubt_persistence::aof::{annotate_place, annotate_time};
use redoubt_replication::ReplId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a primary tells its replicas between commands: nothing that makes data.
const NOT_DATA: [&[u8]; 2] =
    [b"*1\r\n$4\r\nPING\r\n", b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"];

/// Whole commands, to be written in one go.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    /// Run of the log they end in, and its offset after them.
    pub(super) run: u64,
    pub(super) end: u64,
    /// The log has got further, by what is not written.
    pub(super) passed: bool,
    /// What comes after them belongs to the next file.
    pub(super) then: Option<Arc<Ticket>>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.then.is_none() && !self.passed
    }
}

#[derive(Default)]
struct Inner {
    current: Batch,
    /// Batches before it that end a file.
    sealed: VecDeque<Batch>,
    closed: bool,
    nudged: bool,
    /// Replies wait for what is there.
    hurried: bool,
    /// Second of the last annotation.
    annotated: i64,
    /// The stream that the log is part of, if the file is to say so.
    stream: Option<ReplId>,
    /// Where in that stream the next command stands, if what is in the file says so.
    expected: Option<u64>,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    hurry: Condvar,
    /// `aof-timestamp-enabled`.
    pub(super) timestamps: AtomicBool,
}

impl Consumer for Queue {
    fn append(&self, offset: u64, frames: &[u8]) {
        let mut inner = self.inner.lock();
        if NOT_DATA.contains(&frames) {
            inner.current.end = offset + frames.len() as u64;
            inner.current.passed = true;
            self.filled.notify_one();
            return;
        }
        if self.timestamps.load(Relaxed) {
            inner.annotate();
        }
        inner.note_place(offset, frames.len());
        inner.current.bytes.extend_from_slice(frames);
        inner.current.end = offset + frames.len() as u64;
        // Costs nothing unless the writer waits.
        self.filled.notify_one();
    }

    fn begin(&self, frames: &[u8]) {
        let mut inner = self.inner.lock();
        inner.current.bytes.extend_from_slice(frames);
        inner.expected = None;
    }

    /// What came before is in the files, and is safe once they are synced: somebody may wait to hear that.
    fn attached(&self, run: u64, offset: u64) {
        let mut inner = self.inner.lock();
        (inner.current.run, inner.current.end, inner.current.passed) = (run, offset, true);
        self.filled.notify_one();
    }

    fn takes_asides(&self) -> bool {
        true
    }

    fn aside(&self, offset: u64, frames: &[u8]) {
        let mut inner = self.inner.lock();
        if self.timestamps.load(Relaxed) {
            inner.annotate();
        }
        inner.current.bytes.extend_from_slice(frames);
        inner.current.end = offset;
        inner.expected = None;
        self.filled.notify_one();
    }

    fn restarted(&self, run: u64) {
        let mut inner = self.inner.lock();
        (inner.current.run, inner.current.end) = (run, 0);
        inner.expected = None;
    }
}

impl Inner {
    /// Says from when the next command is, where a new second has begun.
    #[cold]
    fn annotate(&mut self) {
        let second = unix_ms() / 1000;
        if second != self.annotated {
            self.annotated = second;
            annotate_time(&mut self.current.bytes, second);
        }
    }
}

impl Inner {
    fn take_current(&mut self, spare: &mut Vec<u8>) -> Option<Batch> {
        if self.current.is_empty() {
            return None;
        }
        let mut bytes = std::mem::take(spare);
        bytes.clear();
        let next = Batch { bytes, run: self.current.run, ..Batch::default() };
        Some(std::mem::replace(&mut self.current, next))
    }

    /// Says where in the stream the next command stands, where that does not follow from what comes before it in the
    /// file: not all of the log is written, and not all that is written is of the log.
    #[inline]
    fn note_place(&mut self, offset: u64, len: usize) {
        let Some(stream) = &self.stream else { return };
        if self.expected != Some(offset) {
            annotate_place(&mut self.current.bytes, stream.as_str(), offset);
        }
        self.expected = Some(offset + len as u64);
    }
}

impl Queue {
    /// What is appended from now on is part of this stream.
    pub(super) fn set_stream(&self, stream: ReplId) {
        let mut inner = self.inner.lock();
        inner.expected = inner.expected.filter(|_| inner.stream == Some(stream));
        inner.stream = Some(stream);
    }

    /// What is appended from now on belongs to the next file. Called where nothing can be appended: all partitions are
    /// held.
    pub(super) fn seal(&self, end: u64, ticket: Arc<Ticket>) {
        let mut inner = self.inner.lock();
        let next = Batch { run: inner.current.run, ..Batch::default() };
        let mut batch = std::mem::replace(&mut inner.current, next);
        batch.end = end;
        batch.then = Some(ticket);
        inner.sealed.push_back(batch);
        (inner.annotated, inner.expected) = (0, None);
        self.filled.notify_one();
    }

    /// Nothing will be appended any more.
    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
        self.filled.notify_one();
        self.hurry.notify_one();
    }

    /// Has the writer's thread write what is there without waiting for more.
    pub(super) fn hurry(&self) {
        self.inner.lock().hurried = true;
        self.hurry.notify_one();
    }

    /// Waits for more to come, unless somebody is in a hurry. What comes meanwhile wakes nobody.
    pub(super) fn gather(&self, time: Duration) {
        let mut inner = self.inner.lock();
        let until = Instant::now() + time;
        while !inner.hurried && !inner.closed && !self.hurry.wait_until(&mut inner, until).timed_out() {}
        inner.hurried = false;
    }

    /// Has the writer look at what it should do: the policy has changed.
    pub(super) fn nudge(&self) {
        self.inner.lock().nudged = true;
        self.filled.notify_one();
    }

    /// Whether it was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Waits until there is something to write, or it is closed or nudged, or `until` has come.
    pub(super) fn wait(&self, until: Option<Instant>) {
        let mut inner = self.inner.lock();
        while inner.current.is_empty() && inner.sealed.is_empty() && !inner.closed && !inner.nudged {
            match until {
                None => self.filled.wait(&mut inner),
                Some(until) if self.filled.wait_until(&mut inner, until).timed_out() => break,
                Some(_) => {}
            }
        }
        inner.nudged = false;
    }

    /// Waits until `until`, or until it is closed.
    pub(super) fn pause(&self, until: Instant) {
        let mut inner = self.inner.lock();
        while !inner.closed && !self.filled.wait_until(&mut inner, until).timed_out() {}
    }

    /// Takes what there is; `spare` is emptied and used for what comes.
    pub(super) fn take(&self, spare: &mut Vec<u8>) -> Option<Batch> {
        let mut inner = self.inner.lock();
        inner.sealed.pop_front().or_else(|| inner.take_current(spare))
    }

    /// As `take`, unless the next file has to be begun: `Err` then.
    pub(super) fn take_open(&self, spare: &mut Vec<u8>) -> Result<Option<Batch>, ()> {
        let mut inner = self.inner.lock();
        if !inner.sealed.is_empty() {
            return Err(());
        }
        Ok(inner.take_current(spare))
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        let inner = self.inner.lock();
        inner.current.bytes.len() + inner.sealed.iter().map(|batch| batch.bytes.len()).sum::<usize>()
    }
}
