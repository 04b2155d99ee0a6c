//! Request parser: finds the words of requests inside the read buffer, without copying and without allocating per request.
//!
//! Format: <https://redis.io/docs/latest/develop/reference/protocol-spec/#sending-commands-to-a-redis-server>

use crate::inline;

/// Place of one word of a request: absolute position in the read buffer and length, both in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Position of the first byte.
    pub start: usize,
    /// Number of bytes.
    pub len: usize,
}

impl Span {
    /// The bytes of the word, in the buffer it was found in.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.start..self.start + self.len]
    }
}

/// What a client may send.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`: longest word, bytes.
    pub bulk_len_max: usize,
    /// Most words in a request.
    pub multibulk_len_max: usize,
    /// Longest line (inline request, count) whose end has not come yet, bytes.
    pub inline_len_max: usize,
    /// Whether the client may run commands. If not, a request has at most 10 words of at most 16384 bytes.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bulk_len_max: 512 * 1024 * 1024,
            multibulk_len_max: i32::MAX as usize,
            inline_len_max: 64 * 1024,
            authenticated: true,
        }
    }
}

/// Most words in a request before authentication.
const UNAUTHENTICATED_WORDS_MAX: usize = 10;
/// Longest word before authentication, bytes.
const UNAUTHENTICATED_BULK_MAX: usize = 16 * 1024;
/// From this length on a word is worth a buffer reserved in one step, bytes.
const BIG_BULK: usize = 32 * 1024;
/// Spans kept allocated between requests that arrive in pieces.
const PARTIAL_SPANS_KEPT: usize = 1024;

/// What `RequestParser::parse` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The request goes on beyond the end of the buffer.
    Incomplete,
    /// One request was read and its words appended to `spans`. An empty request (`*0`, a blank line) has none.
    Complete {
        /// Position after the request.
        end: usize,
    },
}

/// A request no valid client sends. The connection answers `-ERR ` and this text, and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of words is no number, or too large.
    #[error("Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// The length of a word is no number, negative or too large.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// Something else than a word inside a request; holds its first byte.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.0))]
    ExpectedBulk(u8),
    /// A word count without an end.
    #[error("Protocol error: too big mbulk count string")]
    TooBigMultibulkCount,
    /// A word length without an end.
    #[error("Protocol error: too big bulk count string")]
    TooBigBulkCount,
    /// An inline request without an end.
    #[error("Protocol error: too big inline request")]
    TooBigInline,
    /// An inline request whose quotes do not match.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// Too many words before authentication.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulk,
    /// Too long a word before authentication.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulk,
}

/// Reads requests from a buffer that grows at its end and is cut at its front.
///
/// The parser keeps its place inside a request that has arrived in part, so that each byte is looked at once however
/// the request was cut into reads. The caller may discard bytes before `consumed` and must then say so with `rebase`.
/// After an error the parser is of no further use.
#[derive(Debug, Default)]
pub struct RequestParser {
    /// Start of the request being read.
    start: usize,
    /// Next byte to read, when inside a request (`words_left` > 0).
    at: usize,
    /// Words the request still lacks; 0 between requests.
    words_left: usize,
    /// Length of the word at `at` once its length line was read.
    bulk: Option<usize>,
    /// No line end stands before this position in the line being read.
    scanned: usize,
    /// Words of the request being read, positions relative to `start`. Only when it arrived in pieces.
    partial: Vec<Span>,
}

/// A number from a count line and the position after the line.
type Count = (i64, usize);

impl RequestParser {
    /// A parser that stands at position 0.
    pub fn new() -> RequestParser {
        RequestParser::default()
    }

    /// Reads one request of `buf` from where the parser stands. Inline requests are decoded in place, which is why `buf`
    /// is mutable; bytes of other requests are not touched.
    ///
    /// # Errors
    /// On malformed or oversized requests; `spans` is then as it was.
    #[inline]
    pub fn parse(
        &mut self,
        buf: &mut [u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Status, ProtocolError> {
        if self.words_left != 0 {
            return self.resume(buf, spans, limits);
        }
        match buf.get(self.start) {
            None => Ok(Status::Incomplete),
            Some(b'*') => self.multibulk(buf, spans, limits),
            Some(_) => self.inline(buf, spans, limits),
        }
    }

    /// Position of the request being read: everything before it may be discarded once its requests were executed.
    #[inline]
    pub fn consumed(&self) -> usize {
        self.start
    }

    /// Memory it takes for the words of a request that arrives in pieces, bytes.
    pub fn memory(&self) -> usize {
        self.partial.capacity() * size_of::<Span>()
    }

    /// Whether part of a request was read and its rest is awaited.
    pub fn is_inside_request(&self) -> bool {
        self.words_left != 0
    }

    /// Tells that the first `n` bytes of the buffer, `n <= consumed()`, were discarded.
    #[inline]
    pub fn rebase(&mut self, n: usize) {
        debug_assert!(n <= self.start, "discarded bytes of a request that is still being read");
        self.start -= n;
        self.at = self.at.saturating_sub(n);
        self.scanned = self.scanned.saturating_sub(n);
    }

    /// Buffer length at which the big word (32 KiB or more) being received will be complete, so that the caller reserves
    /// once. None for small ones.
    pub fn wanted(&self) -> Option<usize> {
        self.bulk.filter(|len| *len >= BIG_BULK).map(|len| self.at + len + 2)
    }

    #[inline]
    fn complete(&mut self, end: usize) -> Result<Status, ProtocolError> {
        self.start = end;
        self.scanned = end;
        Ok(Status::Complete { end })
    }

    #[inline]
    fn multibulk(
        &mut self,
        buf: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Status, ProtocolError> {
        let (count, next) = match short_count(buf, self.start) {
            Some(count) => count,
            None => match self.word_count(buf, limits)? {
                Some(count) => count,
                None => return Ok(Status::Incomplete),
            },
        };
        if count <= 0 {
            return self.complete(next);
        }
        let count = count as usize;
        if count > UNAUTHENTICATED_WORDS_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulk);
        }
        self.at = next;
        self.words_left = count;
        let mark = spans.len();
        match self.words(buf, spans, 0, limits) {
            Ok(()) if self.words_left == 0 => self.complete(self.at),
            Ok(()) => {
                self.partial.extend(spans.drain(mark..).map(|s| Span { start: s.start - self.start, ..s }));
                Ok(Status::Incomplete)
            }
            Err(error) => {
                spans.truncate(mark);
                Err(error)
            }
        }
    }

    /// Goes on with a request of which a part was read before.
    #[cold]
    fn resume(
        &mut self,
        buf: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Status, ProtocolError> {
        let mut partial = std::mem::take(&mut self.partial);
        let read = self.words(buf, &mut partial, self.start, limits);
        if read.is_ok() && self.words_left == 0 {
            spans.extend(partial.drain(..).map(|s| Span { start: s.start + self.start, ..s }));
            partial.shrink_to(PARTIAL_SPANS_KEPT);
            self.partial = partial;
            return self.complete(self.at);
        }
        self.partial = partial;
        read.map(|()| Status::Incomplete)
    }

    /// Reads words until the request or the buffer ends. Positions are stored less `origin`.
    #[inline]
    fn words(
        &mut self,
        buf: &[u8],
        spans: &mut Vec<Span>,
        origin: usize,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        while self.words_left != 0 {
            let len = match self.bulk.take() {
                Some(len) => len,
                None => match self.bulk_len(buf, limits)? {
                    Some(len) => len,
                    None => return Ok(()),
                },
            };
            // As Redis does, two bytes are skipped after the word whatever they are.
            if buf.len() - self.at < len + 2 {
                self.bulk = Some(len);
                return Ok(());
            }
            spans.push(Span { start: self.at - origin, len });
            self.at += len + 2;
            self.words_left -= 1;
        }
        Ok(())
    }

    /// Reads the length line at `at` and steps over it.
    #[inline]
    fn bulk_len(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let (len, next) = match short_count(buf, self.at) {
            Some(count) if buf[self.at] == b'$' => count,
            _ => match self.long_bulk_len(buf, limits)? {
                Some(count) => count,
                None => return Ok(None),
            },
        };
        if len as usize > UNAUTHENTICATED_BULK_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulk);
        }
        self.at = next;
        Ok(Some(len as usize))
    }

    #[cold]
    fn long_bulk_len(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<Count>, ProtocolError> {
        let Some(line_end) = self.line_end(buf, self.at, limits, ProtocolError::TooBigBulkCount)? else {
            return Ok(None);
        };
        if buf[self.at] != b'$' {
            return Err(ProtocolError::ExpectedBulk(buf[self.at]));
        }
        let len = parse_count(&buf[self.at + 1..line_end]).ok_or(ProtocolError::InvalidBulkLength)?;
        if len < 0 || len as u64 > limits.bulk_len_max as u64 {
            return Err(ProtocolError::InvalidBulkLength);
        }
        Ok(Some((len, line_end + 2)))
    }

    #[cold]
    fn word_count(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<Count>, ProtocolError> {
        let Some(line_end) = self.line_end(buf, self.start, limits, ProtocolError::TooBigMultibulkCount)?
        else {
            return Ok(None);
        };
        let count =
            parse_count(&buf[self.start + 1..line_end]).ok_or(ProtocolError::InvalidMultibulkLength)?;
        if count > 0 && count as u64 > limits.multibulk_len_max as u64 {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        Ok(Some((count, line_end + 2)))
    }

    /// Position of the CR that ends the line at `from`, if the byte after it has come too.
    fn line_end(
        &mut self,
        buf: &[u8],
        from: usize,
        limits: &Limits,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let searched = self.scanned.max(from);
        match memchr::memchr(b'\r', &buf[searched..]) {
            Some(offset) => {
                self.scanned = searched + offset;
                Ok((self.scanned + 1 < buf.len()).then_some(self.scanned))
            }
            None if buf.len() - from > limits.inline_len_max => Err(too_big),
            None => {
                self.scanned = buf.len();
                Ok(None)
            }
        }
    }

    #[cold]
    fn inline(
        &mut self,
        buf: &mut [u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Status, ProtocolError> {
        let searched = self.scanned.max(self.start);
        let Some(offset) = memchr::memchr(b'\n', &buf[searched..]) else {
            self.scanned = buf.len();
            let too_big = buf.len() - self.start > limits.inline_len_max;
            return if too_big { Err(ProtocolError::TooBigInline) } else { Ok(Status::Incomplete) };
        };
        let newline = searched + offset;
        let has_cr = newline > self.start && buf[newline - 1] == b'\r';
        let mark = spans.len();
        if !inline::split(buf, self.start, newline - usize::from(has_cr), spans) {
            spans.truncate(mark);
            return Err(ProtocolError::UnbalancedQuotes);
        }
        self.complete(newline + 1)
    }
}

/// Reads a count of one to three digits after the type byte at `at`, the usual case, without searching the line's end.
/// None where the general way must decide. The limits of the general way are all above 999, except those of unauthenticated clients.
#[inline]
fn short_count(buf: &[u8], at: usize) -> Option<Count> {
    let line: &[u8; 6] = buf.get(at..)?.first_chunk()?;
    let digit = |index: usize| line[index].wrapping_sub(b'0');
    let (a, b, c) = (digit(1), digit(2), digit(3));
    if a > 9 {
        return None;
    }
    if line[2] == b'\r' {
        return Some((i64::from(a), at + 4));
    }
    if a == 0 || b > 9 {
        return None;
    }
    if line[3] == b'\r' {
        return Some((i64::from(a) * 10 + i64::from(b), at + 5));
    }
    if c > 9 || line[4] != b'\r' {
        return None;
    }
    Some((i64::from(a) * 100 + i64::from(b) * 10 + i64::from(c), at + 6))
}

/// A signed integer written the one canonical way: no plus, no leading zeros, no blanks, no minus zero.
fn parse_count(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        _ => {}
    }
    digits.iter().try_fold(0i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        let digit = i64::from(digit);
        value.checked_mul(10)?.checked_add(if negative { -digit } else { digit })
    })
}
