//! Where the next part of a key begins, for those who write big keys a part at a time.

use redoubt_store::StreamId;

/// Elements of a part, and bytes after which it ends before.
pub(crate) const ELEMENTS: usize = 1024;
pub(crate) const BYTES: u64 = 64 * 1024;

/// See the module's text. The default is the beginning.
#[derive(Debug, Default)]
pub struct PartPlace {
    /// A part was written.
    pub(crate) begun: bool,
    /// Element, node, byte or cursor, by type.
    pub(crate) at: u64,
    pub(crate) stream: StreamPlace,
    pub(crate) text: TextPlace,
}

/// A place in a stream: entries first, then group by group what is pending, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StreamPlace {
    /// From this id on.
    Entries(StreamId),
    /// What stands between the entries and the groups.
    Summary,
    /// Everything of the group of this number.
    Group(usize),
    /// The group's pending entries from this id on.
    Pending(usize, StreamId),
    /// The group's consumer of this number.
    Consumer(usize, usize),
    /// The consumer's entries from this id on.
    Owned(usize, usize, StreamId),
    End,
}

impl Default for StreamPlace {
    fn default() -> StreamPlace {
        StreamPlace::Entries(StreamId::MIN)
    }
}

/// How a long string is written.
#[derive(Debug)]
pub(crate) enum TextPlace {
    /// What is compressed by now: its length stands before it, so nothing is written yet.
    Compress(Vec<u8>),
    /// This much of what is compressed is written.
    Compressed(Vec<u8>, usize),
    /// As it is.
    Plain,
}

impl Default for TextPlace {
    fn default() -> TextPlace {
        TextPlace::Compress(Vec::new())
    }
}

impl PartPlace {
    /// Moves on: to `next`, or to the end if that is 0. Whether there is more.
    pub(crate) fn go(&mut self, next: u64) -> bool {
        self.at = next;
        next != 0
    }
}
