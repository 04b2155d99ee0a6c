//! What a client has sent while it does not take its replies. Many libraries send a whole pipeline before they read: if they
//! were not read from meanwhile, neither side would ever go on.

use std::collections::VecDeque;

/// Bytes of one piece.
const PIECE_BYTES: usize = 16 * 1024;
/// Space worth a read, bytes.
const SPACE_MIN: usize = 1024;

/// See the module's text.
#[derive(Default)]
pub(crate) struct Ahead {
    pieces: VecDeque<Vec<u8>>,
    len: usize,
}

impl Ahead {
    /// Bytes in it.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory it takes, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.pieces.iter().map(Vec::capacity).sum::<usize>() + self.pieces.capacity() * size_of::<Vec<u8>>()
    }

    /// Has `fill` append to it, which says by how much; nothing: it could not.
    pub(crate) fn fill<E>(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<usize, E>,
    ) -> Result<usize, E> {
        if self.pieces.back().is_none_or(|piece| piece.capacity() - piece.len() < SPACE_MIN) {
            self.pieces.push_back(Vec::with_capacity(PIECE_BYTES));
        }
        let filled = self.pieces.back_mut().map_or(Ok(0), fill);
        self.len += filled.as_ref().map_or(0, |bytes| *bytes);
        self.give_back();
        filled
    }

    /// Nothing keeps no memory.
    fn give_back(&mut self) {
        if self.is_empty() {
            self.pieces = VecDeque::new();
        }
    }

    /// Moves its first piece behind what is in `input`. False if there is none.
    pub(crate) fn take(&mut self, input: &mut Vec<u8>) -> bool {
        if self.is_empty() {
            return false;
        }
        let Some(piece) = self.pieces.pop_front() else { return false };
        self.len -= piece.len();
        if input.is_empty() {
            *input = piece;
        } else {
            input.extend_from_slice(&piece);
        }
        self.give_back();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_out_as_it_went_in() {
        let (mut ahead, mut expected, mut input) = (Ahead::default(), Vec::new(), Vec::new());
        assert!(!ahead.take(&mut input));
        assert_eq!(ahead.fill(|_| Err::<usize, ()>(())), Err(()));
        assert_eq!(ahead.memory(), 0);
        for number in 0..2000u32 {
            let bytes = vec![number as u8; number as usize % 97];
            expected.extend_from_slice(&bytes);
            let added = ahead.fill(|piece| {
                piece.extend_from_slice(&bytes);
                Ok::<usize, ()>(bytes.len())
            });
            assert_eq!(added, Ok(bytes.len()));
            if number % 500 == 499 {
                assert!(ahead.take(&mut input));
            }
        }
        assert_eq!(ahead.fill(|_| Err::<usize, ()>(())), Err(()));
        assert_eq!(input.len() + ahead.len(), expected.len());
        assert!(ahead.memory() >= ahead.len());
        while ahead.take(&mut input) {}
        assert!(ahead.is_empty() && input == expected);
        assert_eq!(ahead.memory(), 0);
    }
}
