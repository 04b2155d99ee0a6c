//! The backlog: the last bytes of the stream in blocks, shared by all replicas, each with a place of its own in it.

use std::collections::VecDeque;

/// Size of a block, bytes. What is dropped is dropped in blocks.
const BLOCK_BYTES: usize = 64 * 1024;

/// The place of one replica in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(usize);

/// The bytes after a cursor are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the replica is behind the beginning of the backlog")]
pub struct Overrun;

/// See the module's text.
///
/// It keeps at least the last `size` bytes, and besides whatever a cursor has not read yet: a slow replica is bounded by
/// its output limit, not by the size of the backlog.
#[derive(Debug)]
pub struct Ring {
    blocks: VecDeque<Vec<u8>>,
    /// Offset of the first byte of the first block.
    first: u64,
    /// Offset after the last byte.
    end: u64,
    /// `repl-backlog-size`, bytes.
    size: u64,
    /// By cursor; none: not in use.
    cursors: Vec<Option<u64>>,
}

impl Ring {
    /// An empty ring whose first byte will be the one at offset `start`.
    pub fn new(start: u64, size: u64) -> Ring {
        Ring { blocks: VecDeque::new(), first: start, end: start, size, cursors: Vec::new() }
    }

    /// Offset of the oldest byte it still has.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Offset after the newest byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes it holds.
    pub fn len(&self) -> u64 {
        self.end - self.first
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }

    /// `repl-backlog-size`, bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Changes `repl-backlog-size`.
    pub fn resize(&mut self, size: u64) {
        self.size = size;
        self.trim();
    }

    /// Memory it takes, bytes.
    pub fn memory(&self) -> usize {
        self.blocks.iter().map(Vec::capacity).sum()
    }

    /// Appends to the stream.
    pub fn append(&mut self, mut bytes: &[u8]) {
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.blocks.back().map_or(0, |block| BLOCK_BYTES - block.len());
            if room == 0 {
                self.trim();
                self.blocks.push_back(Vec::with_capacity(BLOCK_BYTES));
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(block) = self.blocks.back_mut() {
                block.extend_from_slice(now);
            }
            bytes = later;
        }
    }

    /// Forgets everything; the next byte is the one at offset `start`. Cursors are behind or ahead of it then.
    pub fn restart(&mut self, start: u64) {
        self.blocks.clear();
        (self.first, self.end) = (start, start);
    }

    /// A new cursor at an offset.
    pub fn open(&mut self, offset: u64) -> Cursor {
        let free = self.cursors.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.cursors.push(None);
            self.cursors.len() - 1
        });
        self.cursors[index] = Some(offset);
        Cursor(index)
    }

    /// Gives a cursor up.
    pub fn close(&mut self, cursor: Cursor) {
        self.cursors[cursor.0] = None;
        self.trim();
    }

    /// The offset a cursor stands at.
    pub fn place(&self, cursor: Cursor) -> u64 {
        self.cursors[cursor.0].unwrap_or(self.end)
    }

    /// Bytes between a cursor and the end.
    pub fn lag(&self, cursor: Cursor) -> u64 {
        self.end.saturating_sub(self.place(cursor))
    }

    /// Copies up to `most` bytes after the cursor to `out` and moves it there. Returns how many.
    ///
    /// # Errors
    /// When the next byte is not in the ring any more.
    pub fn read(&mut self, cursor: Cursor, out: &mut Vec<u8>, most: usize) -> Result<usize, Overrun> {
        let from = self.place(cursor);
        if from < self.first || from > self.end {
            return Err(Overrun);
        }
        let wanted = most.min((self.end - from) as usize);
        let mut left = wanted;
        let mut skip = (from - self.first) as usize;
        let full = skip / BLOCK_BYTES;
        skip %= BLOCK_BYTES;
        for block in self.blocks.iter().skip(full) {
            let part = &block[skip..block.len().min(skip + left)];
            out.extend_from_slice(part);
            left -= part.len();
            skip = 0;
            if left == 0 {
                break;
            }
        }
        self.cursors[cursor.0] = Some(from + wanted as u64);
        self.trim();
        Ok(wanted)
    }

    /// Drops blocks that neither the size nor a cursor keeps.
    fn trim(&mut self) {
        while let Some(block) = self.blocks.front() {
            let after = self.first + block.len() as u64;
            let needed = |place: &u64| *place < after;
            if self.end.saturating_sub(after) < self.size || self.cursors.iter().flatten().any(needed) {
                break;
            }
            self.blocks.pop_front();
            self.first = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Open(usize),
        Close(usize),
        Read(usize, usize),
        Resize(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..200_000usize).prop_map(Step::Append),
            1 => (0..300_000usize).prop_map(Step::Open),
            1 => (0..4usize).prop_map(Step::Close),
            4 => (0..4usize, 0..150_000usize).prop_map(|(cursor, most)| Step::Read(cursor, most)),
            1 => (1..200_000u64).prop_map(Step::Resize),
        ];
        proptest::collection::vec(step, 1..40)
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_whole_stream(start in 0..1000u64, size in 1..200_000u64, steps in steps()) {
            let mut ring = Ring::new(start, size);
            let mut stream: Vec<u8> = Vec::new();
            let mut open: Vec<(Cursor, u64)> = Vec::new();
            let mut assured = 0;
            for step in steps {
                match step {
                    Step::Append(count) => {
                        let bytes: Vec<u8> = (0..count).map(|at| (stream.len() + at) as u8 ^ ((stream.len() + at) >> 8) as u8).collect();
                        ring.append(&bytes);
                        stream.extend(bytes);
                        assured = ring.size().min(assured + count as u64);
                    }
                    Step::Open(back) => {
                        let offset = ring.end().saturating_sub(back as u64).max(ring.first());
                        open.push((ring.open(offset), offset));
                    }
                    Step::Close(which) if which < open.len() => ring.close(open.remove(which).0),
                    Step::Read(which, most) if which < open.len() => {
                        let (cursor, place) = &mut open[which];
                        let mut out = Vec::new();
                        let read = ring.read(*cursor, &mut out, most);
                        let from = (*place - start) as usize;
                        let expected = &stream[from..stream.len().min(from + most)];
                        prop_assert_eq!(read, Ok(expected.len()));
                        prop_assert!(out == expected);
                        *place += expected.len() as u64;
                        prop_assert_eq!(ring.place(*cursor), *place);
                    }
                    Step::Resize(size) => {
                        ring.resize(size);
                        assured = assured.min(size);
                    }
                    Step::Close(_) | Step::Read(..) => {}
                }
                prop_assert_eq!(ring.end(), start + stream.len() as u64);
                let kept = open.iter().map(|(_, place)| *place).min().unwrap_or(ring.end());
                prop_assert!(ring.first() <= kept);
                prop_assert!(ring.len() >= assured);
                let needed = ring.size().max(ring.end() - kept);
                prop_assert!(ring.memory() as u64 <= needed + 3 * BLOCK_BYTES as u64 + 200_000);
            }
        }
    }

    #[test]
    fn a_cursor_from_before_a_restart_is_overrun() {
        let mut ring = Ring::new(0, 100);
        ring.append(b"abcdef");
        let cursor = ring.open(2);
        ring.restart(1000);
        assert_eq!(ring.read(cursor, &mut Vec::new(), 10), Err(Overrun));
        ring.restart(1);
        assert_eq!(ring.read(cursor, &mut Vec::new(), 10), Err(Overrun));
        ring.append(b"xyz");
        let mut out = Vec::new();
        assert_eq!(ring.read(cursor, &mut out, 10), Ok(2));
        assert_eq!(out, b"yz");
    }

    #[test]
    fn a_cursor_that_was_closed_keeps_nothing() {
        let mut ring = Ring::new(0, 1);
        let cursor = ring.open(0);
        ring.append(&vec![7; 10 * BLOCK_BYTES]);
        assert_eq!((ring.first(), ring.lag(cursor)), (0, 10 * BLOCK_BYTES as u64));
        ring.close(cursor);
        assert_eq!(ring.len(), BLOCK_BYTES as u64);
        assert_eq!(ring.open(ring.end()), cursor);
    }
}
