//! Byte string behind one pointer: `[length, 7 bits per byte][bytes]` in a single allocation. Tables of members hold
//! these, so an element costs 8 bytes in the table and one byte more than its text on the heap.
//!
//! The only module of its kind with `unsafe`: allocation, and the slice made from the pointer.
#![allow(unsafe_code)]

use crate::alloc_size::alloc_size;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Longest length prefix: 64 bits in groups of seven.
const PREFIX_MAX: usize = 10;

/// An immutable byte string of any length. The handle is one non-null pointer, so `Option<ThinBytes>` is too.
pub struct ThinBytes {
    /// Start of an allocation made by `from_parts`, owned.
    ptr: NonNull<u8>,
}

// SAFETY: the allocation is owned by the handle, holds plain bytes and is never written after construction except
// through `&mut self`.
unsafe impl Send for ThinBytes {}
// SAFETY: as above; shared handles only read.
unsafe impl Sync for ThinBytes {}

impl ThinBytes {
    /// A copy of `bytes`.
    #[inline]
    pub fn new(bytes: &[u8]) -> ThinBytes {
        ThinBytes::from_parts(&[bytes])
    }

    /// The parts one after the other.
    pub fn from_parts(parts: &[&[u8]]) -> ThinBytes {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let (prefix, prefix_len) = encode(len);
        let layout = layout(prefix_len + len);
        // SAFETY: the layout has a size of at least 1, the length prefix.
        let Some(ptr) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let mut at = 0;
        for part in std::iter::once(&&prefix[..prefix_len]).chain(parts) {
            // SAFETY: the allocation has room for the prefix and all parts, written one after the other; it is fresh,
            // so no part overlaps it.
            unsafe { ptr.as_ptr().add(at).copy_from_nonoverlapping(part.as_ptr(), part.len()) };
            at += part.len();
        }
        ThinBytes { ptr }
    }

    /// Where the allocation begins, for a prefetch.
    #[inline]
    pub(crate) fn address(&self) -> *const u8 {
        self.ptr.as_ptr()
    }

    /// Length of the text, and of the prefix before it.
    #[inline]
    fn lengths(&self) -> (usize, usize) {
        // SAFETY: the allocation begins with a length prefix that `encode` wrote; it ends at the first byte without
        // the top bit, so no byte behind it is read.
        let first = unsafe { *self.ptr.as_ptr() };
        if first < 0x80 {
            return (usize::from(first), 1);
        }
        let mut len = usize::from(first & 0x7F);
        for at in 1..PREFIX_MAX {
            // SAFETY: as above: the byte before had its top bit set.
            let byte = unsafe { *self.ptr.as_ptr().add(at) };
            len |= usize::from(byte & 0x7F) << (7 * at);
            if byte < 0x80 {
                return (len, at + 1);
            }
        }
        unreachable!("a length prefix has at most {PREFIX_MAX} bytes")
    }

    /// Bytes on the heap.
    pub fn mem_usage(&self) -> usize {
        let (len, prefix) = self.lengths();
        alloc_size(len + prefix)
    }
}

fn layout(size: usize) -> Layout {
    Layout::array::<u8>(size).expect("a byte string never exceeds isize::MAX: its parts are in memory")
}

#[inline]
fn encode(mut len: usize) -> ([u8; PREFIX_MAX], usize) {
    let mut prefix = [0u8; PREFIX_MAX];
    let mut used = 0;
    while len >= 0x80 {
        prefix[used] = len as u8 | 0x80;
        len >>= 7;
        used += 1;
    }
    prefix[used] = len as u8;
    (prefix, used + 1)
}

impl std::ops::Deref for ThinBytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        let (len, prefix) = self.lengths();
        // SAFETY: `from_parts` wrote `len` bytes behind the prefix; they live as long as the handle is borrowed.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr().add(prefix), len) }
    }
}

impl std::ops::DerefMut for ThinBytes {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let (len, prefix) = self.lengths();
        // SAFETY: as in `deref`, and the handle is borrowed for change.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr().add(prefix), len) }
    }
}

impl Drop for ThinBytes {
    #[inline]
    fn drop(&mut self) {
        let (len, prefix) = self.lengths();
        // SAFETY: allocated by `from_parts` with this layout, and not used after.
        unsafe { dealloc(self.ptr.as_ptr(), layout(len + prefix)) };
    }
}

impl Clone for ThinBytes {
    fn clone(&self) -> ThinBytes {
        ThinBytes::new(self)
    }
}

impl std::fmt::Debug for ThinBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::ThinBytes;

    #[test]
    fn lengths_around_every_prefix_size_read_back() {
        for len in [0, 1, 127, 128, 129, 16_383, 16_384, 100_000] {
            let text: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let thin = ThinBytes::new(&text);
            assert_eq!(*thin, *text);
            assert_eq!(*thin.clone(), *text);
        }
    }

    #[test]
    fn parts_follow_each_other_and_can_be_changed() {
        let mut thin = ThinBytes::from_parts(&[b"ab", b"", b"cde"]);
        assert_eq!(&*thin, b"abcde");
        thin[1] = b'x';
        assert_eq!(&*thin, b"axcde");
    }

    #[test]
    fn an_optional_handle_is_one_pointer() {
        assert_eq!(size_of::<Option<ThinBytes>>(), size_of::<usize>());
    }
}
