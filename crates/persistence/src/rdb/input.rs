//! Reading what all types are made of: numbers, lengths, strings, doubles.

use crate::error::{Error, ErrorKind};
use crate::lzf;
use crc_fast::{CrcAlgorithm, Digest};
use redoubt_store::number::{parse_f64, parse_i64};
use redoubt_store::types::stream::StreamId;
use std::io::{self, Read};

/// Bytes read at a time, and the most that a string grows by before its bytes are there.
const CHUNK: usize = 64 * 1024;
/// Most bytes of keys that are handed out together.
const BLOCK: usize = 1024 * 1024;
/// The longest string, compressed or not: beyond it are only mistakes.
const STRING_MAX: u64 = u32::MAX as u64;

/// A result with the place of the error.
pub(super) type Result<T> = std::result::Result<T, Error>;

/// A length, or the way a string is written.
enum Length {
    Plain(u64),
    Special(u8),
}

/// A string: its bytes, or the integer it was written as.
pub(super) enum Text {
    Int(i64),
    Bytes(Vec<u8>),
}

impl Text {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self {
            Text::Int(value) => itoa::Buffer::new().format(value).as_bytes().to_vec(),
            Text::Bytes(bytes) => bytes,
        }
    }
}

/// Buffered input that knows where it is and what the checksum is so far.
pub(super) struct Input<R> {
    inner: R,
    buf: Vec<u8>,
    /// The next byte, in `buf`.
    at: usize,
    /// Everything of `buf` before this is in the checksum.
    hashed: usize,
    /// Bytes of the input before `buf`.
    before: u64,
    digest: Digest,
}

impl Input<io::Empty> {
    /// A part of an input that stands at `offset` of it.
    pub(super) fn within(bytes: &[u8], offset: u64) -> Input<io::Empty> {
        Input { buf: bytes.to_vec(), before: offset, ..Input::new(io::empty()) }
    }
}

fn read_some(inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match inner.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl<R: Read> Input<R> {
    pub(super) fn new(inner: R) -> Input<R> {
        let digest = Digest::new(CrcAlgorithm::Crc64Redis);
        Input { inner, buf: Vec::new(), at: 0, hashed: 0, before: 0, digest }
    }

    /// What is in the buffer, taken or not.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buf
    }

    /// Position in the buffer of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Takes all of the buffer up to a position.
    pub(super) fn take_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Gives the buffer away, what was not taken of it being in the next as well. Returns its place in the input too.
    pub(super) fn hand_over(&mut self) -> (Vec<u8>, u64) {
        self.checksum();
        let mut next = Vec::with_capacity(BLOCK);
        next.extend_from_slice(&self.buf[self.at..]);
        let offset = self.before;
        self.before += self.at as u64;
        (self.at, self.hashed) = (0, 0);
        (std::mem::replace(&mut self.buf, next), offset)
    }

    /// Reads more behind what was not taken yet. False at the end of the input, or if the buffer is as large as it gets.
    pub(super) fn refill(&mut self) -> Result<bool> {
        self.checksum();
        self.before += self.at as u64;
        self.buf.drain(..self.at);
        (self.at, self.hashed) = (0, 0);
        let len = self.buf.len();
        if len >= BLOCK {
            return Ok(false);
        }
        self.buf.resize(BLOCK, 0);
        let read = read_some(&mut self.inner, &mut self.buf[len..]);
        self.buf.truncate(len + read.as_ref().unwrap_or(&0));
        match read {
            Ok(read) => Ok(read > 0),
            Err(error) => Err(Error { offset: self.before + len as u64, kind: error.into() }),
        }
    }

    /// What was read and not taken, and what it was read from.
    pub(super) fn into_rest(mut self) -> (Vec<u8>, R) {
        self.buf.drain(..self.at);
        (self.buf, self.inner)
    }

    /// Bytes taken so far.
    pub(super) fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    /// The checksum of everything taken so far.
    pub(super) fn checksum(&mut self) -> u64 {
        self.digest.update(&self.buf[self.hashed..self.at]);
        self.hashed = self.at;
        self.digest.finalize()
    }

    /// An error at this place.
    pub(super) fn fail<T>(&self, kind: ErrorKind) -> Result<T> {
        Err(Error { offset: self.position(), kind })
    }

    pub(super) fn corrupt<T>(&self, what: &'static str) -> Result<T> {
        self.fail(ErrorKind::Corrupt(what))
    }

    /// What is in the buffer; at least one byte.
    fn available(&mut self) -> Result<&[u8]> {
        if self.at == self.buf.len() {
            self.checksum();
            self.before += self.at as u64;
            (self.at, self.hashed) = (0, 0);
            self.buf.resize(CHUNK, 0);
            let read = read_some(&mut self.inner, &mut self.buf);
            self.buf.truncate(*read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return self.fail(ErrorKind::Truncated),
                Ok(_) => {}
                Err(error) => return self.fail(error.into()),
            }
        }
        Ok(&self.buf[self.at..])
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        let byte = self.available()?[0];
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        if let Some(whole) = self.buf.get(self.at..self.at + N) {
            out.copy_from_slice(whole);
            self.at += N;
            return Ok(out);
        }
        for byte in &mut out {
            *byte = self.byte()?;
        }
        Ok(out)
    }

    /// `len` bytes. Memory is taken as they arrive.
    pub(super) fn bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        if len > STRING_MAX {
            return self.fail(ErrorKind::TooLong(len));
        }
        let mut left = len as usize;
        let mut out = Vec::with_capacity(left.min(CHUNK));
        while left > 0 {
            let part = self.available()?;
            let part = &part[..part.len().min(left)];
            out.extend_from_slice(part);
            left -= part.len();
            self.at += part.len();
        }
        Ok(out)
    }

    /// `len` bytes, from the buffer if they are all there, else by way of `scratch`.
    #[inline]
    fn bytes_in<'b>(&'b mut self, len: u64, scratch: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        let at = self.at;
        if len <= (self.buf.len() - at) as u64 {
            self.at += len as usize;
            return Ok(&self.buf[at..self.at]);
        }
        *scratch = self.bytes(len)?;
        Ok(scratch)
    }

    /// A string, which is in `scratch` only if it must be: for those who look at many.
    #[inline]
    pub(super) fn string_in<'b>(&'b mut self, scratch: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        if let Length::Plain(len) = self.raw_length()? {
            return self.bytes_in(len, scratch);
        }
        // The one byte that was taken is still in the buffer.
        self.at -= 1;
        *scratch = self.string()?;
        Ok(scratch)
    }

    /// Elements, of so many that a file says there are, for which there may be room now: each takes `least` bytes at
    /// least, and what is not in memory yet is no reason to take more.
    pub(super) fn expected(&self, count: u64, least: usize) -> usize {
        ((self.buf.len() - self.at) / least).min(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn raw_length(&mut self) -> Result<Length> {
        let first = self.byte()?;
        Ok(match (first >> 6, first) {
            (0, _) => Length::Plain(first.into()),
            (1, _) => Length::Plain(u64::from(first & 0x3F) << 8 | u64::from(self.byte()?)),
            (3, _) => Length::Special(first & 0x3F),
            (_, 0x80) => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            (_, 0x81) => Length::Plain(u64::from_be_bytes(self.array()?)),
            _ => return self.corrupt("a length of unknown form"),
        })
    }

    /// A length or another number written as one.
    pub(super) fn length(&mut self) -> Result<u64> {
        match self.raw_length()? {
            Length::Plain(value) => Ok(value),
            Length::Special(_) => self.corrupt("a string where a length should be"),
        }
    }

    pub(super) fn text(&mut self) -> Result<Text> {
        Ok(match self.raw_length()? {
            Length::Plain(len) => Text::Bytes(self.bytes(len)?),
            Length::Special(0) => Text::Int(i8::from_le_bytes(self.array()?).into()),
            Length::Special(1) => Text::Int(i16::from_le_bytes(self.array()?).into()),
            Length::Special(2) => Text::Int(i32::from_le_bytes(self.array()?).into()),
            Length::Special(3) => Text::Bytes(self.compressed()?),
            Length::Special(_) => return self.corrupt("a string of unknown form"),
        })
    }

    fn compressed(&mut self) -> Result<Vec<u8>> {
        let offset = self.position();
        let (packed, len) = (self.length()?, self.length()?);
        if len > STRING_MAX {
            return self.fail(ErrorKind::TooLong(len));
        }
        let packed = self.bytes(packed)?;
        let kind = ErrorKind::Corrupt("a compressed string that cannot be restored");
        lzf::decompress(&packed, len as usize).ok_or(Error { offset, kind })
    }

    /// A string.
    pub(super) fn string(&mut self) -> Result<Vec<u8>> {
        Ok(self.text()?.into_bytes())
    }

    /// A score as text, as old sorted sets have it.
    pub(super) fn text_double(&mut self) -> Result<f64> {
        let text = match self.byte()? {
            253 => return self.corrupt("a score that is no number"),
            254 => return Ok(f64::INFINITY),
            255 => return Ok(f64::NEG_INFINITY),
            len => self.bytes(len.into())?,
        };
        match parse_f64(&text) {
            Some(score) => Ok(score),
            None => self.corrupt("a score that is no number"),
        }
    }

    pub(super) fn double(&mut self) -> Result<f64> {
        let score = f64::from_le_bytes(self.array()?);
        if score.is_nan() { self.corrupt("a score that is no number") } else { Ok(score) }
    }

    /// A time in milliseconds.
    pub(super) fn millis(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A stream id written as two numbers.
    pub(super) fn id(&mut self) -> Result<StreamId> {
        Ok(StreamId::new(self.length()?, self.length()?))
    }

    /// A stream id of sixteen bytes.
    pub(super) fn fixed_id(&mut self) -> Result<StreamId> {
        let ms = u64::from_be_bytes(self.array()?);
        Ok(StreamId::new(ms, u64::from_be_bytes(self.array()?)))
    }
}

/// A string as a value: digits that are an integer are one.
pub(super) fn as_number(text: &[u8]) -> Option<i64> {
    if text.len() <= 20 { parse_i64(text) } else { None }
}
