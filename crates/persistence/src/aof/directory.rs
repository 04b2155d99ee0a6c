//! The folder of the append-only file: which files it has, and the steps that change them, each safe at every crash.
//!
//! The order within every step: new files are written and synced, their names are synced, then a manifest that names
//! them replaces the old one, and only when that will last are files removed that it does not name.

use super::manifest::{Entry, Kind, Manifest, ManifestError};
use crate::disk::{File, Folder, Source};
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

/// Longest manifest that is read, bytes.
const MANIFEST_MAX: u64 = 64 << 20;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The system did not read or write; the text says what.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// The manifest breaks a rule.
    #[error("{file}: {error}")]
    #[expect(missing_docs, reason = "the message says it")]
    Manifest {
        file: String,
        #[source]
        error: ManifestError,
    },
}

/// What a finished rewrite changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The new base file.
    pub base: String,
    /// The incremental file's name, where it had a temporary one before.
    pub incremental: Option<String>,
}

/// See the module's text.
pub struct Directory {
    root: Arc<dyn Folder>,
    folder: Option<Arc<dyn Folder>>,
    file_name: String,
    folder_name: String,
    manifest: Manifest,
    /// The manifest in force may be lost in a crash: the folders are not synced. So at the beginning, when an earlier
    /// process may have left them so.
    unsettled: bool,
}

impl Directory {
    /// Looks at the folder `folder_name` in `root` (`appenddirname`, `appendfilename`). Changes nothing.
    ///
    /// # Errors
    /// When the manifest cannot be read or understood.
    pub fn open(
        root: Arc<dyn Folder>,
        file_name: &str,
        folder_name: &str,
    ) -> Result<Directory, DirectoryError> {
        let folder = match root.subfolder(folder_name) {
            Ok(folder) => Some(folder),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(DirectoryError::Io(format!("can't open {folder_name}"), error)),
        };
        let mut directory = Directory {
            root,
            folder,
            file_name: file_name.into(),
            folder_name: folder_name.into(),
            manifest: Manifest::default(),
            unsettled: true,
        };
        directory.read_manifest()?;
        Ok(directory)
    }

    fn read_manifest(&mut self) -> Result<(), DirectoryError> {
        let file = self.manifest_name();
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut text = Vec::new();
        let read = folder.read(&file).and_then(|source| source.take(MANIFEST_MAX).read_to_end(&mut text));
        match read {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(DirectoryError::Io(format!("can't read {file}"), error)),
            Ok(_) => {}
        }
        self.manifest = Manifest::parse(&text).map_err(|error| DirectoryError::Manifest { file, error })?;
        Ok(())
    }

    /// Takes over the single file of versions before 7: moves it into the folder as its base file. `true`: it did. A
    /// crash on the way is made good by the next call.
    ///
    /// # Errors
    /// When the system does not do it.
    pub fn upgrade(&mut self) -> Result<bool, DirectoryError> {
        let old = self.file_name.clone();
        let said = |error| DirectoryError::Io(format!("can't migrate the old append-only file {old}"), error);
        if !self.root.exists(&self.file_name).map_err(said)? {
            return Ok(false);
        }
        let only = self.manifest.base.as_ref().is_some_and(|base| base.name == self.file_name)
            && self.manifest.incremental.is_empty();
        let moved = match &self.folder {
            Some(folder) => folder.exists(&self.file_name).map_err(said)?,
            None => false,
        };
        if !self.manifest.is_empty() && (!only || moved) {
            return Ok(false);
        }
        let folder = self.make_folder().map_err(said)?;
        let base = Entry { name: self.file_name.clone(), seq: 1, kind: Kind::Base };
        self.put(Manifest { base: Some(base), ..Manifest::default() }).map_err(said)?;
        self.settle().map_err(said)?;
        self.root.move_into(&self.file_name, &self.folder_name).map_err(said)?;
        self.root.sync().and_then(|()| folder.sync()).map_err(said)?;
        Ok(true)
    }

    /// The manifest in force.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether there is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.manifest.is_empty()
    }

    /// Its name in the server's folder.
    pub fn folder_name(&self) -> &str {
        &self.folder_name
    }

    /// The manifest's name in it.
    pub fn manifest_name(&self) -> String {
        format!("{}.manifest", self.file_name)
    }

    /// Opens one of its files.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, entry: &Entry) -> io::Result<Box<dyn Source>> {
        self.folder()?.read(&entry.name)
    }

    /// Bytes of one of its files.
    ///
    /// # Errors
    /// The system's.
    pub fn len(&self, entry: &Entry) -> io::Result<u64> {
        self.folder()?.len(&entry.name)
    }

    /// Bytes of all files that count.
    ///
    /// # Errors
    /// The system's; `NotFound` when the manifest names a file that is missing.
    pub fn total_len(&self) -> io::Result<u64> {
        self.manifest.files().map(|entry| self.len(entry)).sum()
    }

    /// Cuts a file whose end is damaged.
    ///
    /// # Errors
    /// The system's.
    pub fn truncate(&self, entry: &Entry, len: u64) -> io::Result<()> {
        let folder = self.folder()?;
        folder.truncate(&entry.name, len)?;
        folder.append(&entry.name)?.sync()
    }

    /// The folder itself.
    ///
    /// # Errors
    /// `NotFound` while there is none.
    pub fn folder(&self) -> io::Result<&Arc<dyn Folder>> {
        self.folder.as_ref().ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// The folder, made if it is missing.
    ///
    /// # Errors
    /// The system's.
    pub fn make_folder(&mut self) -> io::Result<Arc<dyn Folder>> {
        if let Some(folder) = &self.folder {
            return Ok(Arc::clone(folder));
        }
        let folder = self.root.make_subfolder(&self.folder_name)?;
        self.root.sync()?;
        self.folder = Some(Arc::clone(&folder));
        Ok(folder)
    }

    /// Opens the last incremental file, beginning the first one if there is none. Also its length and whether it is new.
    ///
    /// # Errors
    /// The system's; nothing is changed then that matters.
    pub fn open_last(&mut self) -> io::Result<(Box<dyn File>, u64, bool)> {
        if let Some(last) = self.manifest.incremental.last() {
            let folder = self.folder()?;
            let len = folder.len(&last.name)?;
            return Ok((folder.append(&last.name)?, len, false));
        }
        Ok((self.begin_incremental()?, 0, true))
    }

    /// Begins the next incremental file: from now on the manifest names it as the last one. What the one before holds
    /// must be synced by then.
    ///
    /// # Errors
    /// The system's; the file before is then still the last one. `settle` must succeed before what is written to the new
    /// one counts as safe.
    pub fn begin_incremental(&mut self) -> io::Result<Box<dyn File>> {
        let folder = self.make_folder()?;
        let seq = self.next_incremental_seq()?;
        let entry = Entry { name: self.incremental_name(seq), seq, kind: Kind::Incremental };
        let file = folder.create(&entry.name)?;
        let mut manifest = self.manifest.clone();
        manifest.incremental.push(entry.clone());
        let outcome = folder.sync().and_then(|()| self.put(manifest));
        if let Err(error) = outcome {
            // No manifest names it.
            let _ = folder.remove(&entry.name);
            return Err(error);
        }
        Ok(file)
    }

    /// Begins an incremental file that no manifest names until a base file fits it: `finish_rewrite` then takes it in.
    ///
    /// # Errors
    /// The system's.
    pub fn begin_apart(&mut self) -> io::Result<Box<dyn File>> {
        let name = self.apart_name();
        self.make_folder()?.create(&name)
    }

    /// Name a base file has until it is finished. It is written in the folder, and synced, by who rewrites.
    pub fn temporary_base(&self) -> String {
        format!("temp-rewriteaof-bg-{}.aof", std::process::id())
    }

    /// Makes the finished temporary base file the base, and what it replaces history. `rdb`: it is a snapshot, not
    /// commands. `apart`: the incremental file of `begin_apart` follows it, and no other; otherwise the last `kept`
    /// incremental files follow it.
    ///
    /// # Errors
    /// The system's; the files are then as before.
    pub fn finish_rewrite(&mut self, rdb: bool, apart: bool, kept: usize) -> io::Result<Rewritten> {
        let folder = Arc::clone(self.folder()?);
        let mut manifest = self.manifest.clone();
        let seq = self.next_base_seq()?;
        let format = if rdb { "rdb" } else { "aof" };
        let base = format!("{}.{seq}.base.{format}", self.file_name);
        manifest.retire_base();
        manifest.base = Some(Entry { name: base.clone(), seq, kind: Kind::Base });
        let mut incremental = None;
        if apart {
            manifest.retire_incremental(0);
            let seq = self.next_incremental_seq()?;
            let name = self.incremental_name(seq);
            manifest.incremental.push(Entry { name: name.clone(), seq, kind: Kind::Incremental });
            incremental = Some(name);
        } else {
            manifest.retire_incremental(kept);
        }
        let mut renamed = folder.rename(&self.temporary_base(), &base);
        if let Some(name) = &incremental {
            renamed = renamed.and_then(|()| folder.rename(&self.apart_name(), name));
        }
        if let Err(error) = renamed.and_then(|()| folder.sync()).and_then(|()| self.put(manifest)) {
            let _ = folder.remove(&base);
            if let Some(name) = &incremental {
                // The file is still written to; a later attempt takes it in.
                let _ = folder.rename(name, &self.apart_name());
            }
            return Err(error);
        }
        Ok(Rewritten { base, incremental })
    }

    /// Removes the files of the history. Returns their names.
    ///
    /// # Errors
    /// The system's; what is left is tried again the next time.
    pub fn remove_history(&mut self) -> io::Result<Vec<String>> {
        if self.manifest.history.is_empty() {
            return Ok(Vec::new());
        }
        // While the manifest in force may still be lost, the one before needs them.
        self.settle()?;
        let folder = Arc::clone(self.folder()?);
        let names: Vec<String> = self.manifest.history.iter().map(|entry| entry.name.clone()).collect();
        for name in &names {
            match folder.remove(name) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Or a crash could bring back a file that no manifest names any more.
        folder.sync()?;
        self.put(Manifest { history: Vec::new(), ..self.manifest.clone() })?;
        Ok(names)
    }

    /// Removes what an interrupted step has left: temporary files, and files that were begun and that no manifest came to
    /// name. Returns the names.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_leftovers(&mut self) -> io::Result<Vec<String>> {
        let Some(folder) = self.folder.clone() else { return Ok(Vec::new()) };
        let known = [self.apart_name(), format!("temp-{}", self.manifest_name())];
        let mut removed = Vec::new();
        for name in folder.names()? {
            let base = name.starts_with("temp-rewriteaof-") && name.ends_with(".aof");
            if base || known.contains(&name) || self.is_orphan(&name) {
                // No manifest that a crash could bring back may name it.
                self.settle()?;
                folder.remove(&name)?;
                removed.push(name);
            }
        }
        Ok(removed)
    }

    /// Removes the file of `begin_apart`, which nobody will take in any more.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_apart(&self) -> io::Result<()> {
        match self.folder()?.remove(&self.apart_name()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether this is a file with a number beyond those of the manifest: the step that began it was not completed.
    /// Without a manifest nobody knows what the files are.
    fn is_orphan(&self, name: &str) -> bool {
        let beyond = |ending: &str, last: u64| self.seq_of(name, ending).is_some_and(|seq| seq > last);
        let named = |entry: &Entry| entry.name == name;
        !self.is_empty()
            && !self.manifest.files().chain(&self.manifest.history).any(named)
            && (beyond(".incr.aof", self.manifest.incremental_seq())
                || beyond(".base.rdb", self.manifest.base_seq())
                || beyond(".base.aof", self.manifest.base_seq()))
    }

    /// Returns once the manifest in force will outlive a crash.
    ///
    /// # Errors
    /// The system's.
    pub fn settle(&mut self) -> io::Result<()> {
        if self.unsettled {
            self.folder()?.sync()?;
            self.root.sync()?;
            self.unsettled = false;
        }
        Ok(())
    }

    /// Puts a manifest in force. An error means that the one before still is; after success `settle` says when the new
    /// one is there to stay.
    fn put(&mut self, manifest: Manifest) -> io::Result<()> {
        let folder = Arc::clone(self.folder()?);
        let (name, text) = (self.manifest_name(), manifest.to_text());
        let temporary = format!("temp-{name}");
        let written = folder.create(&temporary).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync()
        });
        if let Err(error) = written.and_then(|()| folder.rename(&temporary, &name)) {
            let _ = folder.remove(&temporary);
            return Err(error);
        }
        self.manifest = manifest;
        self.unsettled = true;
        // Whoever depends on it calls `settle` again.
        let _ = self.settle();
        Ok(())
    }

    fn incremental_name(&self, seq: u64) -> String {
        format!("{}.{seq}.incr.aof", self.file_name)
    }

    fn apart_name(&self) -> String {
        format!("temp-{}.incr", self.file_name)
    }

    /// The next number, also beyond files that were retired or that nobody names.
    fn next_incremental_seq(&self) -> io::Result<u64> {
        self.next_seq(self.manifest.incremental_seq(), ".incr.aof")
    }

    fn next_base_seq(&self) -> io::Result<u64> {
        Ok(self
            .next_seq(self.manifest.base_seq(), ".base.rdb")?
            .max(self.next_seq(self.manifest.base_seq(), ".base.aof")?))
    }

    fn next_seq(&self, last: u64, ending: &str) -> io::Result<u64> {
        let names = self.folder()?.names()?;
        let listed = self.manifest.history.iter().map(|entry| entry.name.as_str());
        let taken = names.iter().map(String::as_str).chain(listed);
        let numbers = taken.filter_map(|name| self.seq_of(name, ending));
        Ok(numbers.max().unwrap_or(0).max(last) + 1)
    }

    /// The number in the name of one of its files.
    fn seq_of(&self, name: &str, ending: &str) -> Option<u64> {
        let number = name.strip_prefix(&self.file_name)?.strip_prefix('.')?.strip_suffix(ending)?;
        number.parse::<u64>().ok().filter(|seq| *seq < u64::MAX)
    }
}
