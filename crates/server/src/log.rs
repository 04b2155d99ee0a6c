//! The replication log: effects of every transaction in commit order, one byte offset for all.
//!
//! Consumers (append-only file, replicas) read it through `Consumer`. Whoever must have the bytes before a reply may leave
//! has a `Hold` (`hold`); replies wait for all of them.

mod hold;

pub(crate) use hold::Released;
pub use hold::{Held, Hold};

use crate::client::Client;
use hold::Holds;
use parking_lot::Mutex;
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

    /// From now on it is told everything, from `offset` of this run of the log on.
    fn attached(&self, _run: u64, _offset: u64) {}

    /// The log goes on at another offset, with other data. What is released from here on is of run `run`.
    fn restarted(&self, _run: u64) {}

    /// Whether it wants what this server does by itself while the log is another server's stream.
    fn takes_asides(&self) -> bool {
        false
    }

    /// `frames` were done here and are no part of the stream, which is at `offset`. They begin and end at the database
    /// the stream is at.
    fn aside(&self, _offset: u64, _frames: &[u8]) {}
}

#[derive(Default)]
struct Inner {
    attached: Vec<Arc<dyn Consumer>>,
    /// Database the last frame was for.
    db: Option<usize>,
    /// Somebody begins to read here, and must be told the database.
    fresh: bool,
    /// What is appended is the stream of another server, which this one follows.
    foreign: bool,
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
        if several {
            frame(&mut self.scratch, &[b"MULTI"]);
        }
        for (db, command) in effects.frames() {
            if self.db != Some(db) || self.fresh {
                select(&mut self.scratch, db);
                (self.db, self.fresh) = (Some(db), false);
            }
            self.scratch.extend_from_slice(command);
        }
        if several {
            frame(&mut self.scratch, &[b"EXEC"]);
        }
        self.attached.iter().for_each(|consumer| consumer.append(start, &self.scratch));
        self.scratch.len()
    }

    /// Tells what was done here to those who want it although the stream is another's: it gets no offset.
    #[cold]
    fn tell_aside(&mut self, offset: u64, effects: &Effects) {
        let mut frames = Vec::new();
        let mut at = self.db.filter(|_| !self.fresh);
        let several = effects.len() > 1;
        if several {
            frame(&mut frames, &[b"MULTI"]);
        }
        for (db, command) in effects.frames() {
            if at != Some(db) {
                select(&mut frames, db);
                at = Some(db);
            }
            frames.extend_from_slice(command);
        }
        if several {
            frame(&mut frames, &[b"EXEC"]);
        }
        // Whoever is told the database with the next command need not be told it now.
        if !self.fresh && at != self.db {
            select(&mut frames, self.db.unwrap_or(0));
        }
        self.attached.iter().for_each(|consumer| consumer.aside(offset, &frames));
    }
}

/// See the module's text.
#[derive(Default)]
pub struct Log {
    active: AtomicBool,
    /// Offset after the last byte appended.
    end: AtomicU64,
    inner: Mutex<Inner>,
    holds: Arc<Holds>,
}

impl Log {
    /// Whether anyone listens to what this server does by itself: if not, nothing is recorded.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Acquire)
    }

    /// Whether replies wait for somebody.
    #[inline]
    pub fn holds_replies(&self) -> bool {
        self.holds.any()
    }

    /// Adds a consumer. It sees what is appended from now on, which begins at the offset returned. `hold`, if given,
    /// begins there too.
    pub fn attach(&self, consumer: Arc<dyn Consumer>, hold: Option<&Hold>) -> u64 {
        let mut inner = self.inner.lock();
        consumer.attached(self.holds.run(), self.end());
        inner.attached.push(consumer);
        inner.fresh = true;
        if let Some(hold) = hold {
            self.holds.switch(hold, true, self.end());
        }
        self.note_listeners(&inner);
        self.end()
    }

    /// Draws the consequences of a change of who listens, or to what.
    fn note_listeners(&self, inner: &Inner) {
        let listens = |consumer: &Arc<dyn Consumer>| !inner.foreign || consumer.takes_asides();
        self.active.store(inner.attached.iter().any(listens), Release);
    }

    /// What is appended from now on is the stream of another server, or again our own. What this server does by itself
    /// while it is another's is told aside. All partitions are held, so that whatever is recorded is recorded as it is
    /// going to be told.
    pub(crate) fn set_foreign(&self, foreign: bool) {
        let mut inner = self.inner.lock();
        inner.foreign = foreign;
        inner.fresh = true;
        self.note_listeners(&inner);
    }

    /// Removes a consumer. A hold of its own goes its own way.
    pub fn detach(&self, consumer: &Arc<dyn Consumer>) {
        let mut inner = self.inner.lock();
        inner.attached.retain(|attached| !Arc::ptr_eq(attached, consumer));
        self.note_listeners(&inner);
    }

    /// A hold for copies of the data on other machines: replies wait for it, those of reads too, and it has released
    /// nothing yet, of what is in the log either. Dropping it lets go what waits for nobody else; to have that closed
    /// instead, say so with `void` first.
    pub fn hold(&self) -> Hold {
        let hold = self.holds.add(true);
        self.holds.switch(&hold, true, 0);
        hold
    }

    /// A hold for this machine's disk, switched off. While writes are refused because the disk does not take them, reads
    /// do not wait for it.
    pub fn local_hold(&self) -> Hold {
        self.holds.add(false)
    }

    /// Switches a hold on or off. What only it held is let go; what is appended from now on waits for it.
    pub fn switch(&self, hold: &Hold, on: bool) {
        let _inner = self.inner.lock();
        self.holds.switch(hold, on, self.end());
    }

    /// Nothing of what waits now will ever leave: the connections it is for are closed.
    pub fn void(&self) {
        self.holds.void();
    }

    /// Has the next frame begin with SELECT, as it must where somebody begins to read.
    pub fn reselect(&self) {
        self.inner.lock().fresh = true;
    }

    /// Appends the effects of one commit, wrapped in MULTI/EXEC when there are several; tells them aside if the log is
    /// another server's stream. Returns the offset after them.
    /// The caller holds the partitions they touch, which makes per-key order equal log order.
    pub fn append(&self, effects: &Effects) -> u64 {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let start = self.end.load(Acquire);
        if inner.foreign {
            inner.tell_aside(start, effects);
            return start;
        }
        let mut commands = effects.frames();
        let len = match (effects.len(), commands.next()) {
            (1, Some((db, frame))) if inner.db == Some(db) && !inner.fresh => {
                inner.attached.iter().for_each(|consumer| consumer.append(start, frame));
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

    /// As `append_frames`, for what a primary says to its replicas: nothing if the log is another's stream.
    pub(crate) fn append_word(&self, frames: &[u8]) {
        let mut inner = self.inner.lock();
        if !inner.foreign {
            self.append_frames_to(&mut inner, frames, None);
        }
    }

    fn append_frames_to(&self, inner: &mut Inner, frames: &[u8], db: Option<usize>) -> u64 {
        if let Some(after) = db {
            let before = inner.db.replace(after).unwrap_or(0);
            if std::mem::take(&mut inner.fresh) {
                let mut frames = Vec::new();
                select(&mut frames, before);
                inner.attached.iter().for_each(|consumer| consumer.begin(&frames));
            }
        }
        let start = self.end.load(Acquire);
        inner.attached.iter().for_each(|consumer| consumer.append(start, frames));
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

    /// The next byte is the one at `offset`, and what comes before it was written up to `epoch`: the data became another's,
    /// whose stream is at that place. What waits to tell of the data before never leaves, and what was handed to
    /// consumers before releases nothing any more. All partitions are held.
    pub fn restart(&self, offset: u64, epoch: u64) {
        let mut inner = self.inner.lock();
        (inner.db, inner.fresh) = (None, true);
        inner.epochs.clear();
        inner.note_epoch(offset, epoch);
        self.end.store(offset, Release);
        let run = self.holds.restart(offset);
        inner.attached.iter().for_each(|consumer| consumer.restarted(run));
    }

    /// What comes before `offset`, where the log was restarted, turned out to be written up to this epoch.
    pub fn set_epoch(&self, offset: u64, epoch: u64) {
        self.inner.lock().note_epoch(offset, epoch);
    }

    /// How often the log was restarted.
    pub fn run(&self) -> u64 {
        self.holds.run()
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

    /// What has been released.
    #[inline]
    pub(crate) fn released(&self) -> Released {
        self.holds.released()
    }

    /// What somebody must wait for who tells of what was written up to `offset`. Asked for while the partitions are held
    /// that were written to.
    pub(crate) fn held(&self, offset: u64) -> Held {
        self.holds.held(offset)
    }

    /// As `held`, where anybody holds; else nothing.
    pub(crate) fn held_if_any(&self, offset: u64) -> Held {
        if self.holds_replies() { self.held(offset) } else { Held::default() }
    }

    /// Wakes the client once this is released, or void; at once if it already is.
    pub(crate) fn wake_at(&self, held: Held, client: &Arc<Client>) {
        self.holds.wake_at(held, client);
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
