//! Writing a whole file, record by record.

use super::output::Output;
use super::write_value::{kind_of, write_value};
use super::{VERSION_DEFAULT, VERSION_MAX, VERSION_MIN_WRITTEN, mark};
use crate::error::{Error, ErrorKind};
use crc_fast::{CrcAlgorithm, Digest};
use redoubt_store::ValueRef;
use std::io::Write;

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Version of the format, 10 to 12. Expiries of hash fields are in it from 12 on.
    pub version: u32,
    /// Whether strings above 20 bytes are compressed where that makes them shorter.
    pub compress: bool,
    /// Whether there is a checksum at the end.
    pub checksum: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { version: VERSION_DEFAULT, compress: true, checksum: true }
    }
}

/// What is known of a key beside its value.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyInfo {
    /// When it expires, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Seconds since it was used, where eviction goes by that.
    pub idle_s: Option<u64>,
    /// How often it is used, where eviction goes by that.
    pub frequency: Option<u8>,
}

/// Writes a file. Without `finish` it is not complete.
pub struct Writer<W> {
    output: Output<W>,
    version: u32,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be written, or not in this version.
    pub fn new(inner: W, options: Options) -> Result<Writer<W>, Error> {
        let Options { version, compress, checksum } = options;
        if !(VERSION_MIN_WRITTEN..=VERSION_MAX).contains(&version) {
            return Err(Error { offset: 0, kind: ErrorKind::Version(version) });
        }
        let mut output = Output::new(inner, checksum, compress);
        output.raw(format!("REDIS{version:04}").as_bytes())?;
        Ok(Writer { output, version })
    }

    /// Bytes written so far, those still gathered included.
    pub fn position(&self) -> u64 {
        self.output.position()
    }

    /// Something about the file.
    ///
    /// # Errors
    /// When it cannot be written; so for all that follow.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        self.output.byte(mark::AUX);
        self.output.string(name)?;
        self.output.string(value)
    }

    /// A library of functions.
    ///
    /// # Errors
    /// As `aux`.
    pub fn function(&mut self, library: &[u8]) -> Result<(), Error> {
        self.output.byte(mark::FUNCTION);
        self.output.string(library)
    }

    /// The keys that follow are of this database.
    ///
    /// # Errors
    /// As `aux`.
    pub fn select(&mut self, db: u64) -> Result<(), Error> {
        self.output.byte(mark::SELECT);
        self.output.length(db);
        self.output.raw(&[])
    }

    /// How many keys the database has, and how many with an expiry.
    ///
    /// # Errors
    /// As `aux`.
    pub fn resize(&mut self, keys: u64, expires: u64) -> Result<(), Error> {
        self.output.byte(mark::RESIZE);
        self.output.length(keys);
        self.output.length(expires);
        self.output.raw(&[])
    }

    /// A key and its value.
    ///
    /// # Errors
    /// As `aux`.
    pub fn key(&mut self, key: &[u8], value: ValueRef<'_>, info: KeyInfo) -> Result<(), Error> {
        let kind = kind_of(value, self.version);
        self.head(key, kind, info)?;
        write_value(&mut self.output, kind, value)
    }

    pub(super) fn version(&self) -> u32 {
        self.version
    }

    pub(super) fn output(&mut self) -> &mut Output<W> {
        &mut self.output
    }

    /// What stands before a value.
    pub(super) fn head(&mut self, key: &[u8], kind: u8, info: KeyInfo) -> Result<(), Error> {
        if let Some(at) = info.expire_ms {
            self.output.byte(mark::EXPIRE_MS);
            self.output.millis(at);
        }
        if let Some(seconds) = info.idle_s {
            self.output.byte(mark::IDLE);
            self.output.length(seconds);
        }
        if let Some(frequency) = info.frequency {
            self.output.raw(&[mark::FREQUENCY, frequency])?;
        }
        self.output.byte(kind);
        self.output.string(key)
    }

    /// Ends the file and gives back where it went.
    ///
    /// # Errors
    /// As `aux`.
    pub fn finish(mut self) -> Result<W, Error> {
        self.output.byte(mark::END);
        self.output.finish()
    }
}

/// Parts of a file, for whoever joins them: a beginning and any number of records of other writers, in any order as long
/// as each `select` comes before its keys, then a `Trailer`.
impl Writer<Vec<u8>> {
    /// A writer of records, without a beginning.
    ///
    /// # Errors
    /// When there is no such version.
    pub fn records(options: Options) -> Result<Writer<Vec<u8>>, Error> {
        let mut writer = Writer::beginning(options)?;
        writer.output.parts().1.clear();
        Ok(writer)
    }

    /// A writer whose first part is the beginning of a file.
    ///
    /// # Errors
    /// When there is no such version.
    pub fn beginning(options: Options) -> Result<Writer<Vec<u8>>, Error> {
        Writer::new(Vec::new(), Options { checksum: false, ..options })
    }

    /// Moves what was written to the end of `out`.
    pub fn take_into(&mut self, out: &mut Vec<u8>) {
        let (handed_on, gathered) = self.output.parts();
        out.append(handed_on);
        out.append(gathered);
    }

    /// Forgets what was written and not taken, after an error in the middle of a record.
    pub fn discard(&mut self) {
        let (handed_on, gathered) = self.output.parts();
        handed_on.clear();
        gathered.clear();
    }
}

/// Says, between records written in parts, which database the keys that follow are of.
pub fn write_select(out: &mut Vec<u8>, db: u64) {
    let mut output = Output::new(Vec::new(), false, false);
    output.byte(mark::SELECT);
    output.length(db);
    out.append(output.parts().1);
}

/// The end of a file that was written in parts. It must see all of them, in order.
pub struct Trailer(Option<Digest>);

impl Trailer {
    /// Of a file with a checksum or without.
    pub fn new(checksum: bool) -> Trailer {
        Trailer(checksum.then(|| Digest::new(CrcAlgorithm::Crc64Redis)))
    }

    /// The next part.
    pub fn part(&mut self, bytes: &[u8]) {
        if let Some(digest) = &mut self.0 {
            digest.update(bytes);
        }
    }

    /// The last part.
    pub fn end(mut self) -> Vec<u8> {
        let mut out = vec![mark::END];
        self.part(&out);
        let sum = self.0.map_or(0, |digest| digest.finalize());
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }
}
