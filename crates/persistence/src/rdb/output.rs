//! Writing what all types are made of: numbers, lengths, strings.

use crate::error::{Error, ErrorKind};
use crate::lzf::Compressor;
use crc_fast::{CrcAlgorithm, Digest};
use redoubt_store::number::parse_i64;
use redoubt_store::packed::{Packed, PackedValue};
use redoubt_store::types::stream::StreamId;
use std::io::Write;

/// Bytes gathered before they are handed on.
const CHUNK: usize = 64 * 1024;
/// Strings up to here are not worth compressing.
const COMPRESSED_FROM: usize = 21;
/// Strings up to here may be integers of 32 bits.
const INT_LEN_MAX: usize = 11;
/// Head and end mark of a listpack.
const LISTPACK_HEAD: usize = 6;

/// Output that gathers bytes and knows their checksum.
pub(super) struct Output<W> {
    inner: W,
    buf: Vec<u8>,
    /// Bytes handed on.
    before: u64,
    digest: Option<Digest>,
    compressor: Option<Compressor>,
    scratch: Vec<u8>,
}

impl<W: Write> Output<W> {
    pub(super) fn new(inner: W, checksum: bool, compress: bool) -> Output<W> {
        Output {
            inner,
            buf: Vec::new(),
            before: 0,
            digest: checksum.then(|| Digest::new(CrcAlgorithm::Crc64Redis)),
            compressor: compress.then(Compressor::new),
            scratch: Vec::new(),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.before + self.buf.len() as u64
    }

    /// Hands on what was gathered.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if let Some(digest) = &mut self.digest {
            digest.update(&self.buf);
        }
        let result = self.inner.write_all(&self.buf);
        result.map_err(|error| Error { offset: self.before, kind: ErrorKind::Io(error) })?;
        self.before += self.buf.len() as u64;
        self.buf.clear();
        Ok(())
    }

    /// Writes the checksum of everything so far (0 without one) and gives back where it went.
    pub(super) fn finish(mut self) -> Result<W, Error> {
        self.flush()?;
        let sum = self.digest.take().map_or(0, |digest| digest.finalize());
        self.buf.extend_from_slice(&sum.to_le_bytes());
        self.flush()?;
        let flushed = self.inner.flush();
        flushed.map_err(|error| Error { offset: self.before, kind: ErrorKind::Io(error) })?;
        Ok(self.inner)
    }

    /// Gives back where it went, without a checksum.
    pub(super) fn into_inner(mut self) -> Result<W, Error> {
        self.flush()?;
        Ok(self.inner)
    }

    /// Where it goes, and what has not gone there yet.
    pub(super) fn parts(&mut self) -> (&mut W, &mut Vec<u8>) {
        (&mut self.inner, &mut self.buf)
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.buf.push(byte);
    }

    /// Bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buf.extend_from_slice(bytes);
        if self.buf.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    pub(super) fn length(&mut self, value: u64) {
        match value {
            0..=0x3F => self.buf.push(value as u8),
            0x40..=0x3FFF => self.buf.extend_from_slice(&[0x40 | (value >> 8) as u8, value as u8]),
            0x4000..=0xFFFF_FFFF => {
                self.buf.push(0x80);
                self.buf.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.buf.push(0x81);
                self.buf.extend_from_slice(&value.to_be_bytes());
            }
        }
    }

    /// An integer of up to 32 bits as a string, or false.
    fn short_int(&mut self, value: i64) -> bool {
        if let Ok(value) = i8::try_from(value) {
            self.buf.extend_from_slice(&[0xC0, value as u8]);
        } else if let Ok(value) = i16::try_from(value) {
            self.buf.push(0xC1);
            self.buf.extend_from_slice(&value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.buf.push(0xC2);
            self.buf.extend_from_slice(&value.to_le_bytes());
        } else {
            return false;
        }
        true
    }

    /// An integer as a string.
    pub(super) fn int_string(&mut self, value: i64) -> Result<(), Error> {
        if self.short_int(value) {
            return Ok(());
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value).as_bytes();
        self.length(digits.len() as u64);
        self.raw(digits)
    }

    pub(super) fn string(&mut self, text: &[u8]) -> Result<(), Error> {
        if text.len() <= INT_LEN_MAX
            && let Some(value) = parse_i64(text)
            && self.short_int(value)
        {
            return Ok(());
        }
        if text.len() >= COMPRESSED_FROM && self.compressed(text)? {
            return Ok(());
        }
        self.length(text.len() as u64);
        self.raw(text)
    }

    /// Compresses a piece of a string, and adds it to the pieces before it. False if nothing is to be compressed.
    pub(super) fn compress_piece(&mut self, piece: &[u8], pieces: &mut Vec<u8>) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        // A piece that refers to nothing outside itself goes with any others.
        let compressed = compressor.compress(piece, usize::MAX, &mut self.scratch);
        pieces.extend_from_slice(&self.scratch);
        compressed
    }

    /// What stands before a compressed string.
    pub(super) fn compressed_head(&mut self, compressed: usize, len: usize) {
        self.buf.push(0xC3);
        self.length(compressed as u64);
        self.length(len as u64);
    }

    fn compressed(&mut self, text: &[u8]) -> Result<bool, Error> {
        let Some(compressor) = &mut self.compressor else { return Ok(false) };
        let mut out = std::mem::take(&mut self.scratch);
        let small = compressor.compress(text, text.len() - 4, &mut out);
        if small {
            self.compressed_head(out.len(), text.len());
            self.raw(&out)?;
        }
        self.scratch = out;
        Ok(small)
    }

    pub(super) fn value(&mut self, value: PackedValue<'_>) -> Result<(), Error> {
        match value {
            PackedValue::Int(value) => self.int_string(value),
            PackedValue::Bytes(text) => self.string(text),
        }
    }

    pub(super) fn listpack(&mut self, packed: &Packed) -> Result<(), Error> {
        let body = packed.as_encoded();
        let total = LISTPACK_HEAD + body.len() + 1;
        let Ok(total) = u32::try_from(total) else {
            return Err(Error { offset: self.position(), kind: ErrorKind::TooLong(total as u64) });
        };
        let mut bytes = Vec::with_capacity(total as usize);
        bytes.extend_from_slice(&total.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(packed.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(body);
        bytes.push(0xFF);
        self.string(&bytes)
    }

    pub(super) fn id(&mut self, id: StreamId) {
        self.length(id.ms);
        self.length(id.seq);
    }

    pub(super) fn fixed_id(&mut self, id: StreamId) {
        self.buf.extend_from_slice(&id.ms.to_be_bytes());
        self.buf.extend_from_slice(&id.seq.to_be_bytes());
    }

    pub(super) fn millis(&mut self, at: i64) {
        self.buf.extend_from_slice(&at.to_le_bytes());
    }
}
