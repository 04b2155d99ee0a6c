//! The backlog as a consumer of the log.

use crate::log::Consumer;
use parking_lot::Mutex;
use redoubt_replication::{Cursor, Overrun, Ring};

/// The ring that replicas are fed from, while there is one.
///
/// Its lock is taken under the log's: whoever holds it must not append.
#[derive(Default)]
pub(crate) struct Backlog {
    ring: Mutex<Option<Ring>>,
}

impl Consumer for Backlog {
    fn append(&self, offset: u64, frames: &[u8]) {
        // What is appended between attaching and opening is kept from here on.
        let mut ring = self.ring.lock();
        let ring = ring.get_or_insert_with(|| Ring::new(offset, u64::MAX));
        if ring.end() != offset {
            ring.restart(offset);
        }
        ring.append(frames);
    }
}

impl Backlog {
    /// Begins at an offset, unless it has begun already.
    pub(crate) fn open(&self, start: u64, size: u64) {
        self.ring.lock().get_or_insert_with(|| Ring::new(start, size)).resize(size);
    }

    /// Forgets everything.
    pub(crate) fn close(&self) {
        *self.ring.lock() = None;
    }

    /// Forgets everything and goes on at another offset. Replicas that were fed from it find that out.
    pub(crate) fn restart(&self, start: u64) {
        if let Some(ring) = &mut *self.ring.lock() {
            ring.restart(start);
        }
    }

    /// Changes `repl-backlog-size`.
    pub(crate) fn resize(&self, size: u64) {
        if let Some(ring) = &mut *self.ring.lock() {
            ring.resize(size);
        }
    }

    /// Offsets of the first byte and after the last one.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        self.ring.lock().as_ref().map(|ring| (ring.first(), ring.end()))
    }

    /// Memory it takes, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.ring.lock().as_ref().map_or(0, Ring::memory)
    }

    /// A cursor at an offset, if the bytes after it are there.
    pub(crate) fn cursor(&self, offset: u64) -> Option<Cursor> {
        let mut ring = self.ring.lock();
        let ring = ring.as_mut().filter(|ring| (ring.first()..=ring.end()).contains(&offset))?;
        Some(ring.open(offset))
    }

    /// Gives a cursor up.
    pub(crate) fn release(&self, cursor: Cursor) {
        if let Some(ring) = &mut *self.ring.lock() {
            ring.close(cursor);
        }
    }

    /// See `Ring::read`.
    pub(crate) fn read(&self, cursor: Cursor, out: &mut Vec<u8>, most: usize) -> Result<usize, Overrun> {
        self.ring.lock().as_mut().ok_or(Overrun)?.read(cursor, out, most)
    }

    /// Bytes between a cursor and the end.
    pub(crate) fn lag(&self, cursor: Cursor) -> u64 {
        self.ring.lock().as_ref().map_or(0, |ring| ring.lag(cursor))
    }
}
