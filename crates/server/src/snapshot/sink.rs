//! Where saved keys are gathered as bytes, until the snapshot's thread takes them.

use super::Format;
use parking_lot::Mutex;
use redoubt_persistence::{Error, PartPlace, aof, rdb};
use redoubt_store::{AccessClock, CutKey, CutSink};

/// Elements from which on a value is saved in parts; a string from 256 KB on.
const PARTS_FROM: usize = 2048;

/// Which access facts are written beside a key.
#[derive(Clone, Copy)]
pub(super) enum Facts {
    /// None: eviction does not go by them.
    None,
    /// Seconds since it was used.
    Idle(AccessClock),
    /// How often it is used.
    Frequency(AccessClock),
}

/// Bytes in the order they will be written.
#[derive(Default)]
struct Stage {
    /// Database of the last key.
    db: Option<usize>,
    bytes: Vec<u8>,
}

/// A key that is saved in parts, which must follow each other: what else is saved waits meanwhile.
#[derive(Default)]
struct Parts {
    open: bool,
    bytes: Vec<u8>,
    /// Where the next part of the key begins.
    place: PartPlace,
}

/// A writer of keys. They are kept between keys because they own tables for compression.
enum Encoder {
    Rdb(Box<rdb::Writer<Vec<u8>>>),
    Commands,
}

/// See the module's text.
pub(super) struct Sink {
    format: Format,
    facts: Facts,
    /// As many as threads save at the same time.
    encoders: Mutex<Vec<Encoder>>,
    /// Locked before the stage where both are.
    parts: Mutex<Parts>,
    stage: Mutex<Stage>,
    failure: Mutex<Option<String>>,
}

impl Sink {
    pub(super) fn new(format: Format, facts: Facts) -> Sink {
        Sink {
            format,
            facts,
            encoders: Mutex::default(),
            parts: Mutex::default(),
            stage: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// Bytes that wait, and those of them that may be written.
    pub(super) fn len(&self) -> (usize, usize) {
        let parts = self.parts.lock();
        let stage = self.stage.lock().bytes.len();
        (parts.bytes.len() + stage, parts.bytes.len() + if parts.open { 0 } else { stage })
    }

    /// Exchanges what may be written for `spare`, which is empty.
    pub(super) fn swap(&self, spare: &mut Vec<u8>) {
        let mut parts = self.parts.lock();
        if parts.open {
            std::mem::swap(&mut parts.bytes, spare);
            return;
        }
        let mut stage = self.stage.lock();
        if parts.bytes.is_empty() {
            std::mem::swap(&mut stage.bytes, spare);
        } else {
            std::mem::swap(&mut parts.bytes, spare);
            spare.append(&mut stage.bytes);
        }
    }

    /// Appends the first or the next part of a key. Returns whether there is more.
    fn append_part(&self, key: &CutKey<'_>, first: bool) -> Result<bool, Error> {
        let mut encoder = self.encoder()?;
        let mut parts = self.parts.lock();
        let Parts { bytes, place, open } = &mut *parts;
        if first {
            // What is saved by now stands before, and what comes from now on stands after, perhaps in another database.
            let mut stage = self.stage.lock();
            bytes.append(&mut stage.bytes);
            stage.db = None;
            *place = PartPlace::default();
            match encoder {
                Encoder::Rdb(_) => rdb::write_select(bytes, key.db as u64),
                Encoder::Commands => aof::write_select(bytes, key.db),
            }
        }
        let written = match &mut encoder {
            Encoder::Rdb(writer) => {
                let written = writer.key_part(key.key, key.value, self.info(key), place);
                writer.take_into(bytes);
                written
            }
            Encoder::Commands => Ok(aof::write_key_part(bytes, key.key, key.value, key.expire_ms, place)),
        };
        *open = matches!(written, Ok(true));
        self.encoders.lock().push(encoder);
        written
    }

    fn fail(&self, key: &CutKey<'_>, error: &Error) {
        let text = format!("the key {} does not fit the format: {error}", key.key.escape_ascii());
        self.failure.lock().get_or_insert(text);
    }

    /// Why a key could not be saved, if one could not.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    fn encoder(&self) -> Result<Encoder, Error> {
        if let Some(encoder) = self.encoders.lock().pop() {
            return Ok(encoder);
        }
        match self.format {
            Format::Rdb(options) => Ok(Encoder::Rdb(Box::new(rdb::Writer::records(options)?))),
            Format::Commands => Ok(Encoder::Commands),
            Format::Portable => unreachable!("the cut has settled it"),
        }
    }

    fn info(&self, key: &CutKey<'_>) -> rdb::KeyInfo {
        let mut info = rdb::KeyInfo { expire_ms: key.expire_ms, ..rdb::KeyInfo::default() };
        match &self.facts {
            Facts::None => {}
            Facts::Idle(clock) => info.idle_s = Some(u64::from(clock.idle_seconds(key.access))),
            Facts::Frequency(clock) => info.frequency = Some(clock.frequency(key.access) as u8),
        }
        info
    }

    /// Appends a key. The bytes of the value are made before the stage is locked.
    fn append(&self, encoder: &mut Encoder, key: &CutKey<'_>) -> Result<usize, Error> {
        match encoder {
            Encoder::Rdb(writer) => {
                let written = writer.key(key.key, key.value, self.info(key));
                if let Err(error) = written {
                    writer.discard();
                    return Err(error);
                }
                let mut stage = self.stage.lock();
                let before = stage.bytes.len();
                if stage.db.replace(key.db) != Some(key.db) {
                    rdb::write_select(&mut stage.bytes, key.db as u64);
                }
                writer.take_into(&mut stage.bytes);
                Ok(stage.bytes.len() - before)
            }
            Encoder::Commands => {
                let mut bytes = Vec::new();
                aof::write_key(&mut bytes, key.key, key.value, key.expire_ms);
                let mut stage = self.stage.lock();
                if stage.db.replace(key.db) != Some(key.db) {
                    aof::write_select(&mut stage.bytes, key.db);
                }
                stage.bytes.extend_from_slice(&bytes);
                Ok(bytes.len())
            }
        }
    }
}

impl CutSink for Sink {
    fn save(&self, key: &CutKey<'_>) -> usize {
        let saved = || {
            let mut encoder = self.encoder()?;
            let appended = self.append(&mut encoder, key);
            self.encoders.lock().push(encoder);
            appended
        };
        match saved() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.fail(key, &error);
                0
            }
        }
    }

    fn parts_from(&self) -> usize {
        PARTS_FROM
    }

    fn save_part(&self, key: &CutKey<'_>, first: bool) -> bool {
        self.append_part(key, first).unwrap_or_else(|error| {
            self.fail(key, &error);
            false
        })
    }
}
