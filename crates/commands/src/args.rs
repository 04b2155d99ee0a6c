//! Arguments of one call: slices of the read buffer, and a cursor that parses them.

use crate::error::CommandError;
use crate::number;

/// The words of a call, the command name first. Borrowed from the connection's read buffer or an owned queue.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    words: &'a [&'a [u8]],
}

impl<'a> Args<'a> {
    /// Wraps the words of a call.
    #[inline]
    pub fn new(words: &'a [&'a [u8]]) -> Args<'a> {
        Args { words }
    }

    /// Number of words, the command name included (`argc`).
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a call has at least its name")]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// The word at `index`; the arity check of the row has proved it there, or the caller checked `len`.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.words[index]
    }

    /// All words.
    #[inline]
    pub fn words(&self) -> &'a [&'a [u8]] {
        self.words
    }

    /// The words from `index` on.
    #[inline]
    pub fn rest(&self, index: usize) -> &'a [&'a [u8]] {
        &self.words[index..]
    }

    /// A cursor whose next word is `index`.
    pub fn cursor(&self, index: usize) -> Cursor<'a> {
        Cursor { words: self.words, next: index }
    }

    /// The word at `index` as a 64-bit integer, or "ERR value is not an integer or out of range".
    #[inline]
    pub fn int(&self, index: usize) -> Result<i64, CommandError> {
        number::parse_i64(self.words[index]).ok_or(CommandError::NotAnInteger)
    }

    /// The word at `index` as a double, or "ERR value is not a valid float".
    pub fn double(&self, index: usize) -> Result<f64, CommandError> {
        number::parse_f64(self.words[index]).ok_or(CommandError::NotAFloat)
    }

    /// Whether the word at `index` is `token`, any case.
    pub fn is(&self, index: usize, token: &str) -> bool {
        self.words[index].eq_ignore_ascii_case(token.as_bytes())
    }
}

/// Reads optional arguments from left to right.
pub struct Cursor<'a> {
    words: &'a [&'a [u8]],
    next: usize,
}

impl<'a> Cursor<'a> {
    /// Words left.
    pub fn remaining(&self) -> usize {
        self.words.len().saturating_sub(self.next)
    }

    /// Whether all words were read.
    pub fn is_done(&self) -> bool {
        self.next >= self.words.len()
    }

    /// Index of the next word.
    pub fn position(&self) -> usize {
        self.next
    }

    /// The next word without taking it.
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.words.get(self.next).copied()
    }

    /// Takes the next word, or a syntax error.
    pub fn word(&mut self) -> Result<&'a [u8], CommandError> {
        let word = self.peek().ok_or(CommandError::Syntax)?;
        self.next += 1;
        Ok(word)
    }

    /// Takes the next word if it is `token`, any case.
    pub fn token(&mut self, token: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.eq_ignore_ascii_case(token.as_bytes()));
        self.next += usize::from(found);
        found
    }

    /// Takes the next word as an integer.
    pub fn int(&mut self) -> Result<i64, CommandError> {
        number::parse_i64(self.word()?).ok_or(CommandError::NotAnInteger)
    }

    /// Takes the next word as a double.
    pub fn double(&mut self) -> Result<f64, CommandError> {
        number::parse_f64(self.word()?).ok_or(CommandError::NotAFloat)
    }

    /// Takes `count` words.
    pub fn take(&mut self, count: usize) -> Result<&'a [&'a [u8]], CommandError> {
        if self.remaining() < count {
            return Err(CommandError::Syntax);
        }
        let taken = &self.words[self.next..self.next + count];
        self.next += count;
        Ok(taken)
    }
}
