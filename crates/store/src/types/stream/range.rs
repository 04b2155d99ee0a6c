//! Walks over a stream's entries, from either end.

use super::block::{Block, Fields};
use super::{Stream, StreamId};

/// An entry of a stream.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Its fields and values.
    pub fields: Fields<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn at(block: &'a Block, place: usize) -> Entry<'a> {
        let (id, fields) = block.entry(place);
        Entry { id, fields }
    }
}

/// Entries between two ids, oldest first.
#[derive(Clone)]
pub struct Range<'a> {
    stream: &'a Stream,
    block: Option<&'a Block>,
    place: usize,
    to: StreamId,
}

impl<'a> Range<'a> {
    pub(super) fn new(stream: &'a Stream, from: StreamId, to: StreamId) -> Range<'a> {
        let block = stream.block_of(from).or_else(|| stream.first_block());
        let place = block.map_or(0, |block| block.seek(from));
        Range { stream, block, place, to }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let mut block = self.block?;
        if self.place >= block.end_place() {
            self.block = self.stream.block_after(block.base());
            block = self.block?;
            self.place = block.first_place();
        }
        let entry = Entry::at(block, self.place);
        if entry.id > self.to {
            self.block = None;
            return None;
        }
        self.place = block.next_live(self.place);
        Some(entry)
    }
}

/// Entries between two ids, newest first.
#[derive(Clone)]
pub struct RevRange<'a> {
    stream: &'a Stream,
    block: Option<&'a Block>,
    /// Entries of the block before this place are still to come.
    place: usize,
    from: StreamId,
}

impl<'a> RevRange<'a> {
    pub(super) fn new(stream: &'a Stream, from: StreamId, to: StreamId) -> RevRange<'a> {
        let block = stream.block_of(to);
        let place = match (block, to.next()) {
            (Some(block), Some(above)) => block.seek(above),
            (Some(block), None) => block.end_place(),
            (None, _) => 0,
        };
        RevRange { stream, block, place, from }
    }
}

impl<'a> Iterator for RevRange<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let block = self.block?;
            let Some(place) = block.live_before(self.place) else {
                self.block = self.stream.block_before(block.base());
                self.place = self.block.map_or(0, |block| block.end_place());
                continue;
            };
            let entry = Entry::at(block, place);
            if entry.id < self.from {
                self.block = None;
                return None;
            }
            self.place = place;
            return Some(entry);
        }
    }
}
