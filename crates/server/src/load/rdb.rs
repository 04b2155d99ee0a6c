//! Loading an RDB file: this thread reads it and finds where keys end, others decode their values and insert them.

use super::error::LoadError;
use super::workers::{Found, Insert, Placed, Pool};
use crate::shared::{Shared, unix_ms};
use redoubt_persistence::rdb::{KeyRecord, Part, RawKey, Reader, Record};
use redoubt_persistence::{Error, ErrorKind};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// How a file is loaded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The checksum must be right (`rdbchecksum`).
    pub verify: bool,
    /// Keys that have expired are kept: on a replica, or where commands follow that know of them.
    pub keep_expired: bool,
    /// Keys that are there already are replaced; they are a mistake of the file otherwise.
    pub replace: bool,
    /// Bytes of other files that were loaded before.
    pub before: u64,
}

/// What a file had.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Keys that are there now.
    pub keys: u64,
    /// Keys that had expired.
    pub expired: u64,
    /// Keys whose collections had no elements; they were left out.
    pub empty: u64,
    /// Fields that describe the file.
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// Libraries of functions.
    pub functions: Vec<Vec<u8>>,
    /// Bytes that were read of it.
    pub bytes: u64,
    /// Bytes that were read beyond its end.
    pub rest: Vec<u8>,
}

impl Loaded {
    /// Says in the log what was loaded.
    pub fn tell(&self) {
        if self.empty > 0 {
            tracing::info!(
                "Done loading RDB, keys loaded: {}, keys expired: {}, empty keys skipped: {}.",
                self.keys,
                self.expired,
                self.empty
            );
        } else {
            tracing::info!("Done loading RDB, keys loaded: {}, keys expired: {}.", self.keys, self.expired);
        }
    }
}

/// Loads what `source` has into the keyspace; `name` stands in errors. Returns the source too, for what follows.
///
/// # Errors
/// When the file cannot be read to its end. Part of it is loaded then.
pub fn load<R: Read>(
    shared: &Arc<Shared>,
    source: R,
    name: &str,
    options: &Options,
) -> Result<(Loaded, R), LoadError> {
    let values = shared.values();
    let bad = |error| LoadError::File { file: name.to_owned(), error };
    let mut reader = Reader::new(source, values.commands.encoding).map_err(bad)?;
    reader.verify_checksum(options.verify);
    let insert = Insert {
        shared,
        values: &values,
        now_ms: if options.keep_expired { i64::MIN } else { unix_ms() },
        replace: options.replace,
    };
    let mut loaded = Loaded::default();
    let outcome = std::thread::scope(|scope| {
        let mut pool = Pool::start(scope, &insert, values.io_threads).map_err(Failed::Load)?;
        let read = Reading {
            shared,
            options,
            pool: &mut pool,
            loaded: &mut loaded,
            delay: Delay::of(values.load.key_load_delay),
        };
        let outcome = read.all(&mut reader);
        // What was handed out before an error may be wrong too, and stands before it.
        let found = pool.finish();
        loaded.keys += found.keys;
        loaded.expired += found.expired;
        loaded.empty += found.empty;
        match (found.failed, outcome) {
            (Some(error), _) => Err(Failed::At(error)),
            (None, outcome) => outcome,
        }
    });
    match outcome {
        Ok(()) => {}
        Err(Failed::Load(error)) => return Err(error),
        Err(Failed::At(failure)) => return Err(failure.named(name, shared.keyspace.databases())),
    }
    loaded.empty += reader.empty_keys();
    loaded.bytes = Reader::position(&reader);
    let (rest, source) = reader.into_rest();
    loaded.rest = rest;
    Ok((loaded, source))
}

/// What is wrong with a file, and where.
#[derive(Debug)]
pub(super) enum Failure {
    File(Error),
    Database { db: u64, offset: u64 },
    Duplicate { key: Vec<u8>, db: u64, offset: u64 },
}

impl Failure {
    pub(super) fn offset(&self) -> u64 {
        match self {
            Failure::File(error) => error.offset,
            Failure::Database { offset, .. } | Failure::Duplicate { offset, .. } => *offset,
        }
    }

    fn named(self, file: &str, databases: usize) -> LoadError {
        let file = file.to_owned();
        match self {
            Failure::File(error) => LoadError::File { file, error },
            Failure::Database { db, offset } => LoadError::Database { file, db, databases, offset },
            Failure::Duplicate { key, db, offset } => {
                LoadError::Duplicate { file, key: key.escape_ascii().to_string(), db, offset }
            }
        }
    }
}

enum Failed {
    Load(LoadError),
    At(Failure),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::At(Failure::File(error))
    }
}

/// `key-load-delay`: microseconds per key, or one for so many keys where it is negative. For tests.
struct Delay {
    micros: u64,
    every: u64,
    keys: u64,
}

impl Delay {
    fn of(setting: i64) -> Delay {
        match setting {
            0.. => Delay { micros: setting as u64, every: 1, keys: 0 },
            _ => Delay { micros: 1, every: setting.unsigned_abs(), keys: 0 },
        }
    }

    #[inline]
    fn key(&mut self) {
        if self.micros > 0 {
            self.keys += 1;
            if self.keys.is_multiple_of(self.every) {
                std::thread::sleep(Duration::from_micros(self.micros));
            }
        }
    }
}

/// The reading thread's part.
struct Reading<'r, 'p> {
    shared: &'r Arc<Shared>,
    options: &'r Options,
    pool: &'r mut Pool<'p>,
    loaded: &'r mut Loaded,
    delay: Delay,
}

impl Reading<'_, '_> {
    fn all<R: Read>(mut self, reader: &mut Reader<R>) -> Result<(), Failed> {
        let (mut seen, options) = (0u32, self.options);
        while let Some(part) = reader.next_part() {
            match part? {
                Part::Key(raw) => {
                    self.raw_key(reader, raw)?;
                    self.delay.key();
                    if self.delay.micros == 0 {
                        continue;
                    }
                    seen += 1;
                    if !seen.is_multiple_of(64) {
                        continue;
                    }
                }
                Part::Block(block) => self.pool.send(block),
                Part::Record(Record::End) => return Ok(()),
                Part::Record(record) => self.record(record, Reader::position(reader))?,
            }
            self.shared.loading.advance(options.before + Reader::position(reader));
            if self.pool.has_failed() {
                return Ok(());
            }
            if *self.shared.stop.borrow() {
                return Err(Failed::Load(LoadError::Stopped));
            }
        }
        Ok(())
    }

    fn raw_key<R: Read>(&mut self, reader: &Reader<R>, raw: RawKey) -> Result<(), Failed> {
        self.check_database(raw.db, Reader::position(reader))?;
        let key = self.shared.keyspace.key(reader.name_of(&raw));
        let (hash, slot) = (key.hash, key.slot);
        self.pool.add(Placed { raw, hash, slot });
        Ok(())
    }

    fn check_database(&self, db: u64, offset: u64) -> Result<(), Failed> {
        if db < self.shared.keyspace.databases() as u64 {
            return Ok(());
        }
        Err(Failed::At(Failure::Database { db, offset }))
    }

    fn record(&mut self, record: Record, offset: u64) -> Result<(), Failed> {
        match record {
            Record::Aux(name, value) => self.aux(name, value),
            // Said before keys that may never come: a database without keys is no mistake.
            Record::Select(_) | Record::Resize { .. } | Record::End => {}
            Record::Function(code) => self.loaded.functions.push(code),
            Record::Key(record) => {
                let KeyRecord { db, .. } = *record;
                self.check_database(db, offset)?;
                self.delay.key();
                match self.pool.insert.record(*record, offset).map_err(Failed::At)? {
                    Found::Loaded => self.loaded.keys += 1,
                    Found::Expired => self.loaded.expired += 1,
                }
            }
        }
        Ok(())
    }

    fn aux(&mut self, name: Vec<u8>, value: Vec<u8>) {
        let text = String::from_utf8_lossy(&value);
        match name.as_slice() {
            b"redis-ver" => tracing::info!("Loading RDB produced by version {text}"),
            b"redoubt-ver" => tracing::info!("Loading RDB produced by Redoubt {text}"),
            b"ctime" => {
                let age = text.parse().map_or(0, |at: i64| (unix_ms() / 1000 - at).max(0));
                tracing::info!("RDB age {age} seconds");
            }
            b"used-mem" => {
                let bytes: u64 = text.parse().unwrap_or(0);
                self.shared.loading.set_used_mem(bytes);
                tracing::info!("RDB memory usage when created {:.2} Mb", bytes as f64 / (1 << 20) as f64);
            }
            b"aof-base" if value == b"1" => tracing::info!("RDB is base AOF"),
            _ => {}
        }
        self.loaded.aux.push((name, value));
    }
}

/// Whether the value was an empty collection, which no key has.
pub(super) fn is_empty(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Empty)
}
