//! A file in parts for several threads: keys whose values are still as in the file, in blocks, and the other records.

use super::input::Input;
use super::read_file::{Reader, Record};
use super::read_value::ValueReader;
use super::split::{Stop, plain, split};
use crate::error::Error;
use redoubt_store::{EncodingLimits, Value};
use std::io::Read;
use std::ops::Range;

/// A part of a file.
#[derive(Debug)]
pub enum Part {
    /// Anything but a key; or a key that was read on the way, because it is long.
    Record(Record),
    /// A key of the block that will follow, which its number finds.
    Key(RawKey),
    /// The bytes of the keys since the block before.
    Block(Block),
}

/// Bytes of a file.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    /// Where they stand in the file.
    offset: u64,
    /// Keys that are written otherwise than they are.
    written: Vec<u8>,
}

/// A key, and its value as it stands in a block.
#[derive(Clone, Debug)]
pub struct RawKey {
    /// Its database.
    pub db: u64,
    /// When it expires, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Seconds since it was used.
    pub idle_s: Option<u64>,
    /// How often it is used, as OBJECT FREQ has it.
    pub frequency: Option<u8>,
    kind: u8,
    /// In `Block::bytes`, or in `Block::written`.
    key: Range<u32>,
    decoded: bool,
    value: Range<u32>,
}

/// A value as it was found.
#[derive(Debug)]
pub enum RawValue<'b> {
    /// A string, with digits where it is a number.
    Text(&'b [u8]),
    /// Anything else.
    Value(Value),
}

fn range(span: &Range<u32>) -> Range<usize> {
    span.start as usize..span.end as usize
}

fn narrow(span: Range<usize>) -> Range<u32> {
    // A block is far smaller than 4 GiB.
    span.start as u32..span.end as u32
}

impl RawKey {
    /// Its name.
    pub fn name<'b>(&self, block: &'b Block) -> &'b [u8] {
        let bytes = if self.decoded { &block.written } else { &block.bytes };
        &bytes[range(&self.key)]
    }

    /// Where the value begins in the file.
    pub fn offset(&self, block: &Block) -> u64 {
        block.offset + u64::from(self.value.start)
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// When it is damaged, or of a type that is not known; `ErrorKind::Empty` where a collection has no elements.
    pub fn value<'b>(&self, block: &'b Block, limits: &EncodingLimits) -> Result<RawValue<'b>, Error> {
        let bytes = &block.bytes[range(&self.value)];
        if self.kind == super::kind::STRING
            && let Some(text) = plain(bytes)
        {
            return Ok(RawValue::Text(text));
        }
        let mut input = Input::within(bytes, self.offset(block));
        ValueReader { input: &mut input, limits }.value(self.kind).map(RawValue::Value)
    }
}

impl<R: Read> Reader<R> {
    /// The next part. After `Record::End` or an error there is none.
    ///
    /// # Errors
    /// When the file is damaged. Values of keys are not looked into.
    pub fn next_part(&mut self) -> Option<Result<Part, Error>> {
        if self.done {
            return None;
        }
        let part = self.part();
        self.done = matches!(part, Err(_) | Ok(Part::Record(Record::End)));
        Some(part)
    }

    /// Name of the key found last; the block it is in has yet to come.
    pub fn name_of(&self, key: &RawKey) -> &[u8] {
        let bytes = if key.decoded { &self.written } else { self.input.buffered() };
        &bytes[range(&key.key)]
    }

    fn part(&mut self) -> Result<Part, Error> {
        loop {
            match split(self.input.buffered(), self.input.at()) {
                Ok(spans) => {
                    let (key, decoded) = match self.key_span(spans.key) {
                        // What stands before a mistake goes before it.
                        Err(_) if self.unsent => return Ok(Part::Block(self.block())),
                        named => named?,
                    };
                    self.input.take_to(spans.value.end);
                    self.unsent = true;
                    return Ok(Part::Key(RawKey {
                        db: self.db,
                        expire_ms: spans.expire_ms,
                        idle_s: spans.idle_s,
                        frequency: spans.frequency,
                        kind: spans.kind,
                        key,
                        decoded,
                        value: narrow(spans.value),
                    }));
                }
                // What keys refer to goes before anything moves.
                Err(_) if self.unsent => return Ok(Part::Block(self.block())),
                Err(Stop::Short) if self.input.refill()? => {}
                // At the end of the file, or of what a block can be; or no key.
                Err(_) => return self.record().map(Part::Record),
            }
        }
    }

    /// Where a key's name stands, and whether it is among those decoded.
    fn key_span(&mut self, span: Range<usize>) -> Result<(Range<u32>, bool), Error> {
        let string = &self.input.buffered()[span.clone()];
        match plain(string) {
            Some(name) => Ok((narrow(span.end - name.len()..span.end), false)),
            None => {
                let offset = self.input.position() + (span.start - self.input.at()) as u64;
                let name = Input::within(string, offset).string()?;
                let start = self.written.len();
                self.written.extend_from_slice(&name);
                Ok((narrow(start..self.written.len()), true))
            }
        }
    }

    fn block(&mut self) -> Block {
        self.unsent = false;
        let (bytes, offset) = self.input.hand_over();
        Block { bytes, offset, written: std::mem::take(&mut self.written) }
    }

    /// What was read beyond the end of the file's last record, and the input it came from.
    pub fn into_rest(self) -> (Vec<u8>, R) {
        self.input.into_rest()
    }
}
