//! Loading the append-only file: its base, which is an RDB file or commands, then its increments in order.

use super::LoadError;
use super::rdb::{self, Loaded, Options};
use crate::apply::{self, Applier};
use crate::replication::Origin;
use crate::shared::Shared;
use redoubt_persistence::aof::{CommandReader, Directory, Entry, Kind};
use redoubt_persistence::disk::Source;
use redoubt_persistence::{Error, ErrorKind};
use std::io::{self, Cursor, Read, Seek};
use std::sync::Arc;
use std::time::Instant;

/// How RDB files begin.
const RDB_MAGIC: &[u8] = b"REDIS";

/// Looks at the folder of the append-only file and loads what is there. A single file of versions before 7 is moved into
/// it first. Returns the folder, and where in which stream the data are, as far as the files say so.
///
/// # Errors
/// When something of it cannot be loaded.
pub(super) fn load(shared: &Arc<Shared>) -> Result<(Directory, Origin), LoadError> {
    let values = shared.values();
    let failed = |error: &dyn std::fmt::Display| LoadError::Append(error.to_string());
    let mut directory = Directory::open(shared.folder(), &values.appendfilename, &values.appenddirname)
        .map_err(|error| failed(&error))?;
    if directory.upgrade().map_err(|error| failed(&error))? {
        tracing::info!(
            "Successfully migrated an old-style AOF into the AOF directory ({}).",
            directory.folder_name()
        );
    }
    if directory.is_empty() {
        return Ok((directory, Origin::default()));
    }
    let started = Instant::now();
    let entries: Vec<Entry> = directory.manifest().files().cloned().collect();
    let mut files = Vec::new();
    for entry in entries {
        let missing = |error: io::Error| LoadError::Io { file: path(&directory, &entry), error };
        let size = directory.len(&entry).map_err(missing)?;
        files.push((entry, size));
    }
    shared.loading.begin(files.iter().map(|(_, size)| size).sum());
    let (mut before, last, mut traced) = (0, files.len() - 1, Origin::default());
    for (number, (entry, size)) in files.iter().enumerate() {
        File { shared, directory: &directory, entry, size: *size, before, last: number == last }
            .load(&mut traced)?;
        before += size;
    }
    tracing::info!("DB loaded from append only file: {:.3} seconds", started.elapsed().as_secs_f64());
    traced.said(shared.replication.take_said());
    Ok((directory, traced))
}

fn path(directory: &Directory, entry: &Entry) -> String {
    format!("{}/{}", directory.folder_name(), entry.name)
}

/// One of the files.
struct File<'f> {
    shared: &'f Arc<Shared>,
    directory: &'f Directory,
    entry: &'f Entry,
    size: u64,
    /// Bytes of the files before it.
    before: u64,
    /// None follows.
    last: bool,
}

impl File<'_> {
    fn name(&self) -> String {
        path(self.directory, self.entry)
    }

    fn io(&self, error: io::Error) -> LoadError {
        LoadError::Io { file: self.name(), error }
    }

    /// Loads it; notes in `traced` where in which stream its end stands, as far as it says so.
    fn load(&self, traced: &mut Origin) -> Result<(), LoadError> {
        let started = Instant::now();
        let mut source = self.directory.read(self.entry).map_err(|error| self.io(error))?;
        let mut magic = Vec::new();
        (&mut source).take(RDB_MAGIC.len() as u64).read_to_end(&mut magic).map_err(|error| self.io(error))?;
        source.rewind().map_err(|error| self.io(error))?;
        if magic == RDB_MAGIC {
            self.snapshot(source, traced)?;
        } else {
            self.commands(source, 0, traced)?;
        }
        let what = if self.entry.kind == Kind::Base { "base" } else { "incr" };
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!("DB loaded from {what} file {}: {seconds:.3} seconds", self.entry.name);
        Ok(())
    }

    /// An RDB file, behind which commands may follow.
    fn snapshot(&self, source: Box<dyn Source>, traced: &mut Origin) -> Result<(), LoadError> {
        let options = Options {
            verify: self.shared.values().load.rdbchecksum,
            // Commands that follow were written by who knew the keys.
            keep_expired: true,
            replace: false,
            before: self.before,
        };
        let (loaded, source) = rdb::load(self.shared, source, &self.name(), &options)?;
        loaded.tell();
        loaded.aux.iter().for_each(|(name, value)| traced.note(name, value));
        let Loaded { bytes, .. } = loaded;
        let rest = loaded.rest.clone();
        self.shared.loading.keep(loaded);
        self.commands(Cursor::new(rest).chain(source), bytes, traced)
    }

    /// Commands from byte `offset` of the file on.
    fn commands(&self, source: impl Read, offset: u64, traced: &mut Origin) -> Result<(), LoadError> {
        let mut reader = CommandReader::new(source, offset, self.size);
        let mut applier = Applier::new(self.shared, apply::Origin::Loading);
        let mut buffer = Vec::new();
        loop {
            let before = applier.position();
            let chunk = match reader.next_chunk() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(()),
                Err(Error { kind: ErrorKind::Truncated, offset }) => {
                    // Of a transaction that never ends nothing was done.
                    traced.pass(reader.intact() as i64 - reader.position() as i64);
                    return self.truncated(offset, reader.intact());
                }
                Err(error) => return Err(LoadError::Format { file: self.name(), error }),
            };
            let (offset, place) = (chunk.offset, chunk.place);
            buffer.clear();
            buffer.extend_from_slice(chunk.bytes);
            applier.feed(&mut buffer).map_err(|error| LoadError::Command {
                file: self.name(),
                reason: error.kind,
                offset: offset + (error.offset - before),
            })?;
            if let Some(place) = place {
                traced.go_on(&place.stream, place.offset);
            }
            traced.pass((applier.position() - before) as i64);
            traced.db = applier.db();
            self.shared.loading.advance(self.before + reader.position());
            if *self.shared.stop.borrow() {
                return Err(LoadError::Stopped);
            }
        }
    }

    /// The file lacks its end; `intact` is where it may be cut.
    fn truncated(&self, offset: u64, intact: u64) -> Result<(), LoadError> {
        if !self.last || !self.shared.values().load.aof_load_truncated {
            return Err(LoadError::Truncated { file: self.name(), offset });
        }
        tracing::warn!("!!! Warning: short read while loading the AOF file {}!!!", self.name());
        tracing::warn!("AOF {} loaded anyway because aof-load-truncated is enabled", self.name());
        tracing::warn!("Truncating the AOF {} from {} to {intact} bytes", self.name(), self.size);
        self.directory.truncate(self.entry, intact).map_err(|error| self.io(error))
    }
}
