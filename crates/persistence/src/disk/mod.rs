//! The little of a file system that persistence needs, as traits: the server implements them over `std::fs`, tests over
//! `faults`, which loses what a crash may lose.
//!
//! What a crash leaves: the bytes a file had at its last `sync`, perhaps with some of what was written since; the names a
//! folder had at its last `sync`, perhaps with some of the changes since. So a file that must appear whole is written
//! under a temporary name, synced, renamed, and its folder is synced. `replace` does that for small files.

pub mod faults;

use std::io::{Read, Result, Seek, Write};
use std::sync::Arc;

/// A file open for writing at its end.
pub trait File: Write + Send {
    /// Returns when all that was written will outlive a crash of the machine.
    ///
    /// # Errors
    /// When the system does not say so. What was written since the last success may then be lost, even if a later call
    /// succeeds.
    fn sync(&mut self) -> Result<()>;

    /// Cuts it to its first `len` bytes; what is written next follows those.
    ///
    /// # Errors
    /// The system's.
    fn truncate(&mut self, len: u64) -> Result<()>;

    /// A second handle, for a thread that syncs while this one writes.
    ///
    /// # Errors
    /// When the system gives none.
    fn syncer(&self) -> Result<Box<dyn Syncer>>;
}

/// Syncs a file that another thread writes.
pub trait Syncer: Send {
    /// As `File::sync`, for what was written before the call.
    ///
    /// # Errors
    /// As `File::sync`.
    fn sync(&self) -> Result<()>;
}

/// A file open for reading.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// A folder. Names are single components; nothing here leaves the folder but `subfolder` and `move_into`.
///
/// Errors are those of the system: `NotFound`, `StorageFull`, `PermissionDenied` and so on.
#[allow(clippy::missing_errors_doc, reason = "said above, for all")]
pub trait Folder: Send + Sync {
    /// A new file, or an old one emptied.
    fn create(&self, name: &str) -> Result<Box<dyn File>>;

    /// Opens a file, creating it if it is missing, to write at its end, wherever that is at the time of a write.
    fn append(&self, name: &str) -> Result<Box<dyn File>>;

    /// Opens a file for reading.
    fn read(&self, name: &str) -> Result<Box<dyn Source>>;

    /// Renames a file, replacing another of that name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Moves a file into a subfolder, under the same name.
    fn move_into(&self, name: &str, subfolder: &str) -> Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> Result<()>;

    /// Cuts a file to its first `len` bytes. As with a write, only a `sync` of the file makes it last.
    fn truncate(&self, name: &str, len: u64) -> Result<()>;

    /// Bytes of a file.
    fn len(&self, name: &str) -> Result<u64>;

    /// Names of all files and folders in it, in no order.
    fn names(&self) -> Result<Vec<String>>;

    /// Whether there is a file or a folder of that name.
    fn exists(&self, name: &str) -> Result<bool> {
        Ok(self.names()?.iter().any(|known| known == name))
    }

    /// Returns when all changes of names in this folder will outlive a crash of the machine.
    fn sync(&self) -> Result<()>;

    /// A folder in it; `NotFound` if it is missing.
    fn subfolder(&self, name: &str) -> Result<Arc<dyn Folder>>;

    /// A folder in it, created if it is missing. A `sync` of this folder makes it last.
    fn make_subfolder(&self, name: &str) -> Result<Arc<dyn Folder>>;
}

/// Puts `bytes` under `name` so that after a crash either the old file is there or the new one, whole. `temporary` is
/// the name it has meanwhile.
///
/// # Errors
/// As the system's. The old file is then still there, unless the last step failed, of which nobody knows.
pub fn replace(folder: &dyn Folder, name: &str, temporary: &str, bytes: &[u8]) -> Result<()> {
    let written = folder.create(temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync()
    });
    let renamed = written.and_then(|()| folder.rename(temporary, name));
    if let Err(error) = renamed {
        // Only tidiness: whoever opens the folder next removes leftovers too.
        let _ = folder.remove(temporary);
        return Err(error);
    }
    folder.sync()
}
