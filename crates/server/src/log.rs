//! The replication log: effects of every transaction in commit order, one byte offset for all.
//!
//! Consumers (append-only file, replicas) read it through `Consumer`. One that must have the bytes before a reply may
//! leave sets `holds_replies`; replies then wait until `release` has passed their offset.

use crate::client::Client;
use parking_lot::{Mutex, MutexGuard};
use redoubt_store::Effects;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Release};

/// Receives the log in order. Called under the log's lock: it must only queue.
pub trait Consumer: Send + Sync {
    /// `frames` (RESP arrays, SELECT where the database changes) were appended at byte `offset`.
    fn append(&self, offset: u64, frames: &[u8]);

    /// What follows is for the database that `frames` select. Told to those who begin to read a stream that is another
    /// server's, in which nothing can be put: it has no offsets.
    fn begin(&self, _frames: &[u8]) {}
}

/// A consumer and whether replies wait for it.
struct Attached {
    consumer: Arc<dyn Consumer>,
    holds: bool,
}

#[derive(Default)]
struct Inner {
    attached: Vec<Attached>,
    /// Database the last frame was for.
    db: Option<usize>,
    /// Somebody begins to read here, and must be told the database.
    fresh: bool,
    scratch: Vec<u8>,
    /// Epochs whose records are in the log, the last ones: the offset after the record, and the epoch.
    epochs: Vec<(u64, u64)>,
}

impl Inner {
    fn note_epoch(&mut self, end: u64, epoch: u64) {
        const KEPT: usize = 4;
        if self.epochs.len() == KEPT {
            self.epochs.remove(0);
        }
        self.epochs.push((end, epoch));
    }

    /// Appends commands that need SELECT, MULTI and EXEC around them. Returns how many bytes that makes.
    fn compose_and_append(&mut self, start: u64, effects: &Effects) -> usize {
        self.scratch.clear();
        let several = effects.len() > 1;
        for (index, (db, command)) in effects.frames().enumerate() {
            if self.db != Some(db) || self.fresh {
                select(&mut self.scratch, db);
                (self.db, self.fresh) = (Some(db), false);
            }
            if several && index == 0 {
                frame(&mut self.scratch, &[b"MULTI"]);
            }
            self.scratch.extend_from_slice(command);
        }
        if several {
            frame(&mut self.scratch, &[b"EXEC"]);
        }
        self.attached.iter().for_each(|attached| attached.consumer.append(start, &self.scratch));
        self.scratch.len()
    }
}

/// See the module's text.
#[derive(Default)]
pub struct Log {
    active: AtomicBool,
    holds: AtomicBool,
    /// Offset after the last byte appended.
    end: AtomicU64,
    /// Replies up to this offset may leave.
    released: AtomicU64,
    inner: Mutex<Inner>,
    waiting: Mutex<Vec<(u64, Arc<Client>)>>,
}

impl Log {
    /// Whether anyone listens: if not, nothing is recorded.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Acquire)
    }

    /// Whether replies wait for `release`.
    #[inline]
    pub fn holds_replies(&self) -> bool {
        self.holds.load(Acquire)
    }

    /// Adds a consumer. It sees what is appended from now on, which begins at the offset returned.
    pub fn attach(&self, consumer: Arc<dyn Consumer>, holds_replies: bool) -> u64 {
        let mut inner = self.inner.lock();
        inner.attached.push(Attached { consumer, holds: holds_replies });
        inner.fresh = true;
        if holds_replies && !self.holds.load(Acquire) {
            self.released.store(self.end.load(Acquire), Release);
            self.holds.store(true, Release);
        }
        self.active.store(true, Release);
        self.end()
    }

    /// Removes a consumer; replies that only it held are let go.
    pub fn detach(&self, consumer: &Arc<dyn Consumer>) {
        let mut inner = self.inner.lock();
        inner.attached.retain(|attached| !Arc::ptr_eq(&attached.consumer, consumer));
        self.active.store(!inner.attached.is_empty(), Release);
        self.hold_as_needed(inner);
    }

    /// Changes whether replies wait for a consumer. Those that only it held are let go; from what is appended from now
    /// on others wait.
    pub fn set_holds(&self, consumer: &Arc<dyn Consumer>, holds: bool) {
        let mut inner = self.inner.lock();
        let attached = inner.attached.iter_mut().filter(|attached| Arc::ptr_eq(&attached.consumer, consumer));
        attached.for_each(|attached| attached.holds = holds);
        self.hold_as_needed(inner);
    }

    fn hold_as_needed(&self, inner: MutexGuard<'_, Inner>) {
        let holds = inner.attached.iter().any(|attached| attached.holds);
        if holds && !self.holds.load(Acquire) {
            self.released.store(self.end.load(Acquire), Release);
        }
        self.holds.store(holds, Release);
        drop(inner);
        if !holds {
            self.release(self.end());
        }
    }

    /// Has the next frame begin with SELECT, as it must where somebody begins to read.
    pub fn reselect(&self) {
        self.inner.lock().fresh = true;
    }

    /// Appends the effects of one commit, wrapped in MULTI/EXEC when there are several. Returns the offset after them.
    /// The caller holds the partitions they touch, which makes per-key order equal log order.
    pub fn append(&self, effects: &Effects) -> u64 {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let start = self.end.load(Acquire);
        let mut commands = effects.frames();
        let len = match (effects.len(), commands.next()) {
            (1, Some((db, frame))) if inner.db == Some(db) && !inner.fresh => {
                inner.attached.iter().for_each(|attached| attached.consumer.append(start, frame));
                frame.len()
            }
            _ => inner.compose_and_append(start, effects),
        };
        let end = start + len as u64;
        self.end.store(end, Release);
        end
    }

    /// Appends frames as they are: a command of no database (PING), or the bytes of the stream this server follows, which
    /// is at database `db` after them. Returns the offset after them.
    pub fn append_frames(&self, frames: &[u8], db: Option<usize>) -> u64 {
        self.append_frames_to(&mut self.inner.lock(), frames, db)
    }

    fn append_frames_to(&self, inner: &mut Inner, frames: &[u8], db: Option<usize>) -> u64 {
        if let Some(after) = db {
            let before = inner.db.replace(after).unwrap_or(0);
            if std::mem::take(&mut inner.fresh) {
                let mut frames = Vec::new();
                select(&mut frames, before);
                inner.attached.iter().for_each(|attached| attached.consumer.begin(&frames));
            }
        }
        let start = self.end.load(Acquire);
        for attached in &inner.attached {
            attached.consumer.append(start, frames);
        }
        let end = start + frames.len() as u64;
        self.end.store(end, Release);
        end
    }

    /// As `append_frames`, for a record that says the epoch all that follows was written in.
    pub fn append_epoch(&self, frames: &[u8], db: Option<usize>, epoch: u64) -> u64 {
        let mut inner = self.inner.lock();
        let end = self.append_frames_to(&mut inner, frames, db);
        inner.note_epoch(end, epoch);
        end
    }

    /// The epoch of the last record, 0 if none says one, and the offset after it.
    pub fn position(&self) -> (u64, u64) {
        let inner = self.inner.lock();
        (inner.epochs.last().map_or(0, |(_, epoch)| *epoch), self.end())
    }

    /// The epoch of the last record before `offset`, which is not far from the end.
    pub fn epoch_at(&self, offset: u64) -> u64 {
        let inner = self.inner.lock();
        inner.epochs.iter().rev().find(|(end, _)| *end <= offset).map_or(0, |(_, epoch)| *epoch)
    }

    /// The next byte is the one at `offset`: the data became another's, whose stream is at that place. Nothing of what
    /// was held before tells of the data any more.
    pub fn restart(&self, offset: u64) {
        let mut inner = self.inner.lock();
        (inner.db, inner.fresh) = (None, true);
        self.end.store(offset, Release);
        self.released.store(offset, Release);
        drop(inner);
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.iter().for_each(|(_, client)| client.mailbox.wake());
    }

    /// The stream that follows is at this database.
    pub fn set_db(&self, db: usize) {
        self.inner.lock().db = Some(db);
    }

    /// Offset after the last byte, and the database that the stream is at there, if it was told.
    pub fn place(&self) -> (u64, Option<usize>) {
        let inner = self.inner.lock();
        (self.end(), inner.db)
    }

    /// Offset after the last byte.
    pub fn end(&self) -> u64 {
        self.end.load(Acquire)
    }

    /// Offset up to which replies may leave.
    #[inline]
    pub fn released(&self) -> u64 {
        self.released.load(Acquire)
    }

    /// Lets replies up to `offset` leave and wakes the connections that waited for it.
    pub fn release(&self, offset: u64) {
        self.released.fetch_max(offset, Release);
        let mut waiting = self.waiting.lock();
        waiting.retain(|(needed, client)| {
            let ready = *needed <= offset;
            if ready {
                client.mailbox.wake();
            }
            !ready
        });
    }

    /// Wakes the client once `offset` is released; at once if it already is.
    pub fn wake_at(&self, offset: u64, client: &Arc<Client>) {
        self.waiting.lock().push((offset, Arc::clone(client)));
        // `release` may have passed between the caller's look and the push.
        if self.released() >= offset || !self.holds_replies() {
            client.mailbox.wake();
        }
    }
}

fn select(out: &mut Vec<u8>, db: usize) {
    frame(out, &[b"SELECT", itoa::Buffer::new().format(db).as_bytes()]);
}

/// Appends a command as a RESP array.
pub(crate) fn frame(out: &mut Vec<u8>, words: &[&[u8]]) {
    let mut reply = redoubt_resp::Reply::new(out, false);
    reply.array(words.len());
    words.iter().for_each(|word| reply.bulk(word));
}
