//! Reading a whole file, record by record.

use super::input::{Input, Result};
use super::read_value::ValueReader;
use super::{VERSION_MAX, mark};
use crate::error::{Error, ErrorKind};
use redoubt_store::{EncodingLimits, Value};
use std::io::Read;

/// The first version with a checksum at the end.
const CHECKSUM_FROM: u32 = 5;
/// The longest key.
const KEY_MAX: u64 = 512 << 20;

/// A part of a file.
#[derive(Debug)]
pub enum Record {
    /// Something about the file: a name and a value.
    Aux(Vec<u8>, Vec<u8>),
    /// The keys that follow are of this database.
    Select(u64),
    /// The database is about to get so many keys, and so many with an expiry. Nobody has checked it.
    #[expect(missing_docs, reason = "said above")]
    Resize { keys: u64, expires: u64 },
    /// A library of functions, as FUNCTION LOAD takes it.
    Function(Vec<u8>),
    /// A key and its value.
    Key(Box<KeyRecord>),
    /// The end, the checksum being right or absent.
    End,
}

/// A key and what is known of it.
#[derive(Debug)]
pub struct KeyRecord {
    /// Its database.
    pub db: u64,
    /// Its name.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Value,
    /// When it expires, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Seconds since it was used.
    pub idle_s: Option<u64>,
    /// How often it is used, as OBJECT FREQ has it.
    pub frequency: Option<u8>,
}

/// Reads a file as a sequence of records: the last one is `End` or an error.
pub struct Reader<R> {
    pub(super) input: Input<R>,
    limits: EncodingLimits,
    version: u32,
    pub(super) db: u64,
    verify: bool,
    pub(super) done: bool,
    empty: u64,
    /// Keys of the buffer were handed out whose bytes were not.
    pub(super) unsent: bool,
    /// Names of such keys that are written otherwise than they are.
    pub(super) written: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning of a file. Values get the encodings that `limits` say.
    ///
    /// # Errors
    /// When it is not an RDB file of a known version.
    pub fn new(inner: R, limits: EncodingLimits) -> Result<Reader<R>> {
        let mut input = Input::new(inner);
        let magic: [u8; 5] = input.array()?;
        if &magic != b"REDIS" {
            return Err(Error { offset: 0, kind: ErrorKind::Magic });
        }
        let digits: [u8; 4] = input.array()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(Error { offset: 5, kind: ErrorKind::Magic });
        }
        let version = digits.iter().fold(0, |version, digit| version * 10 + u32::from(digit - b'0'));
        if !(1..=VERSION_MAX).contains(&version) {
            return Err(Error { offset: 5, kind: ErrorKind::Version(version) });
        }
        Ok(Reader {
            input,
            limits,
            version,
            db: 0,
            verify: true,
            done: false,
            empty: 0,
            unsent: false,
            written: Vec::new(),
        })
    }

    /// Whether the checksum at the end must be right (`rdbchecksum`).
    pub fn verify_checksum(&mut self, verify: bool) {
        self.verify = verify;
    }

    /// The version of the format.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Bytes of the file that were read.
    pub fn position(&self) -> u64 {
        self.input.position()
    }

    /// Keys that were left out because their collections have no elements.
    pub fn empty_keys(&self) -> u64 {
        self.empty
    }

    pub(super) fn record(&mut self) -> Result<Record> {
        let (mut expire_ms, mut idle_s, mut frequency) = (None, None, None);
        loop {
            match self.input.byte()? {
                mark::EXPIRE_MS => expire_ms = Some(self.input.millis()?),
                mark::EXPIRE_S => {
                    expire_ms = Some(i64::from(i32::from_le_bytes(self.input.array()?)) * 1000);
                }
                mark::IDLE => idle_s = Some(self.input.length()?),
                mark::FREQUENCY => frequency = Some(self.input.byte()?),
                mark::AUX => return Ok(Record::Aux(self.input.string()?, self.input.string()?)),
                mark::SELECT => {
                    self.db = self.input.length()?;
                    return Ok(Record::Select(self.db));
                }
                mark::RESIZE => {
                    let (keys, expires) = (self.input.length()?, self.input.length()?);
                    return Ok(Record::Resize { keys, expires });
                }
                mark::SLOT_INFO => {
                    // A slot and how many keys it has: of use for nothing here.
                    for _ in 0..3 {
                        self.input.length()?;
                    }
                }
                mark::FUNCTION => return Ok(Record::Function(self.input.string()?)),
                mark::MODULE_AUX => self.skip_module()?,
                mark::END => return self.end(),
                kind => {
                    let Some((key, value)) = self.key(kind)? else {
                        (expire_ms, idle_s, frequency) = (None, None, None);
                        continue;
                    };
                    let db = self.db;
                    let record = KeyRecord { db, key, value, expire_ms, idle_s, frequency };
                    return Ok(Record::Key(Box::new(record)));
                }
            }
        }
    }

    /// A key and its value; `None` where that is an empty collection, which no key may have.
    fn key(&mut self, kind: u8) -> Result<Option<(Vec<u8>, Value)>> {
        if kind >= mark::SLOT_INFO {
            return self.input.fail(ErrorKind::UnknownType(kind));
        }
        let key = self.input.string()?;
        if key.len() as u64 > KEY_MAX {
            return self.input.fail(ErrorKind::TooLong(key.len() as u64));
        }
        match (ValueReader { input: &mut self.input, limits: &self.limits }).value(kind) {
            Ok(value) => Ok(Some((key, value))),
            Err(Error { kind: ErrorKind::Empty, .. }) => {
                self.empty += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Passes over what a module keeps beside keys.
    fn skip_module(&mut self) -> Result<()> {
        // Its id, and a number written as modules write theirs: when it wants to be told.
        self.input.length()?;
        loop {
            match self.input.length()? {
                0 => return Ok(()),
                1 | 2 => drop(self.input.length()?),
                3 => drop(self.input.array::<4>()?),
                4 => drop(self.input.array::<8>()?),
                5 => drop(self.input.string()?),
                _ => return self.input.corrupt("unknown data of a module"),
            }
        }
    }

    fn end(&mut self) -> Result<Record> {
        if self.version >= CHECKSUM_FROM {
            let computed = self.input.checksum();
            let stored = u64::from_le_bytes(self.input.array()?);
            if self.verify && stored != 0 && stored != computed {
                return self.input.fail(ErrorKind::Checksum { stored, computed });
            }
        }
        Ok(Record::End)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        if self.done {
            return None;
        }
        let record = self.record();
        self.done = matches!(record, Err(_) | Ok(Record::End));
        Some(record)
    }
}
