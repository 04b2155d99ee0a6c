//! The file under the database. It has its space in advance, so that a disk that others fill does not keep a node from
//! voting; where there is none all the same, writing waits until there is.

use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The file owns this much from the start: many times what a small deployment's log and snapshot take.
const RESERVE_BYTES: u64 = 2 << 20;
/// Between two attempts while there is no space.
const RETRY: Duration = Duration::from_millis(100);

/// Whether there is space, and whether to wait for it.
#[derive(Debug, Default)]
pub(in crate::raft) struct Room {
    /// Whoever writes may wait: nothing is open for others to see before, and nobody waits for it after.
    waits: AtomicBool,
    lacking: AtomicBool,
}

impl Room {
    /// From now on writing waits for space, or no longer.
    pub(in crate::raft) fn wait(&self, on: bool) {
        self.waits.store(on, Relaxed);
    }

    /// Whether a write waits for space now.
    pub(in crate::raft) fn is_lacking(&self) -> bool {
        self.lacking.load(Relaxed)
    }

    fn write(&self, write: impl Fn() -> io::Result<()>) -> io::Result<()> {
        loop {
            match write() {
                Err(error) if lacks_space(&error) && self.waits.load(Relaxed) => {
                    if !self.lacking.swap(true, Relaxed) {
                        tracing::error!("The Raft log cannot be written, and waits until it can: {error}");
                    }
                    std::thread::sleep(RETRY);
                }
                outcome => {
                    if self.lacking.swap(false, Relaxed) && outcome.is_ok() {
                        tracing::warn!("The Raft log can be written again.");
                    }
                    return outcome;
                }
            }
        }
    }
}

/// Whether the same write may succeed later, as nothing came of this one.
fn lacks_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Patient<B> {
    inner: B,
    /// Where space can be had in advance.
    file: Option<Mutex<File>>,
    room: Arc<Room>,
}

impl Patient<FileBackend> {
    /// On an existing file.
    pub(super) fn open(path: &Path, room: &Arc<Room>) -> io::Result<Patient<FileBackend>> {
        let file = File::options().read(true).write(true).open(path)?;
        let len = file.metadata()?.len();
        if len == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
        }
        let second = file.try_clone()?;
        let inner = FileBackend::new(file).map_err(super::disk::other)?;
        let patient = Patient { inner, file: Some(Mutex::new(second)), room: Arc::clone(room) };
        if let Err(error) = patient.reserve(len) {
            tracing::warn!("{}: there is no space to have in advance: {error}", path.display());
        }
        Ok(patient)
    }
}

#[cfg(test)]
impl<B: StorageBackend> Patient<B> {
    /// On something that is no file.
    pub(super) fn on(inner: B, room: &Arc<Room>) -> Patient<B> {
        Patient { inner, file: None, room: Arc::clone(room) }
    }
}

impl<B: StorageBackend> Patient<B> {
    /// Has the system set aside what the file takes at this length, and something more.
    fn reserve(&self, len: u64) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        match set_aside(&file.lock(), len.max(RESERVE_BYTES)) {
            Err(error) if !lacks_space(&error) => Ok(()),
            outcome => outcome,
        }
    }
}

#[cfg(target_os = "linux")]
fn set_aside(file: &File, len: u64) -> io::Result<()> {
    // The length stays what the database has set.
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len).map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn set_aside(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

impl<B: StorageBackend> StorageBackend for Patient<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len < self.inner.len()? {
            self.inner.set_len(len)?;
            // What was given back may be another's by now: then it is waited for when it is needed.
            let _ = self.reserve(len);
            return Ok(());
        }
        self.room.write(|| self.reserve(len).and_then(|()| self.inner.set_len(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room.write(|| self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
