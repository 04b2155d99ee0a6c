//! Reply writer: RESP2 and RESP3 frames appended to an output buffer.
//!
//! Format: <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use crate::double::DoubleBuffer;

/// Writes replies of one connection to its output buffer, in the protocol version the client chose.
///
/// Aggregates are written as a header followed by exactly that many elements; nothing is buffered or checked.
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    resp3: bool,
}

/// A header left open until its length is known; see `Reply::open`.
#[must_use = "an open aggregate has no header until it is closed"]
#[derive(Debug)]
pub struct Open {
    at: usize,
}

impl<'a> Reply<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>, resp3: bool) -> Reply<'a> {
        Reply { out, resp3 }
    }

    /// Whether the client speaks RESP3.
    pub fn is_resp3(&self) -> bool {
        self.resp3
    }

    /// Changes the version for what follows (HELLO).
    pub fn set_resp3(&mut self, resp3: bool) {
        self.resp3 = resp3;
    }

    /// Length of the output so far, for `truncate`.
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Takes back everything written since `position` was read.
    pub fn truncate(&mut self, position: usize) {
        self.out.truncate(position);
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A status line; `text` holds no CR or LF.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error line, the code first ("ERR ..."). Line breaks in `text` become blanks.
    pub fn error(&mut self, text: &str) {
        self.out.push(b'-');
        self.out.extend(text.bytes().map(|b| if b == b'\r' || b == b'\n' { b' ' } else { b }));
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        match value {
            0 => self.out.extend_from_slice(b":0\r\n"),
            1 => self.out.extend_from_slice(b":1\r\n"),
            _ => self.number(b':', value),
        }
    }

    /// A byte string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 24);
        self.number(b'$', bytes.len() as i64);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer as a byte string.
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// The null of a value: `$-1` in RESP2, `_` in RESP3.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The null of an aggregate: `*-1` in RESP2, `_` in RESP3.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// Header of an array of `len` elements.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.number(b'*', len as i64);
    }

    /// Header of a map of `pairs` pairs; a flat array in RESP2.
    pub fn map(&mut self, pairs: usize) {
        if self.resp3 {
            self.number(b'%', pairs as i64);
        } else {
            self.number(b'*', pairs as i64 * 2);
        }
    }

    /// Header of a set of `len` elements; an array in RESP2.
    pub fn set(&mut self, len: usize) {
        self.number(if self.resp3 { b'~' } else { b'*' }, len as i64);
    }

    /// Header of a push message of `len` elements; an array in RESP2.
    pub fn push(&mut self, len: usize) {
        self.number(if self.resp3 { b'>' } else { b'*' }, len as i64);
    }

    /// A double: `,` in RESP3, a byte string in RESP2, shortest form that reads back equal.
    pub fn double(&mut self, value: f64) {
        let mut buffer = DoubleBuffer::new();
        self.double_text(buffer.format(value));
    }

    /// A double given as text: `,` in RESP3, a byte string in RESP2.
    pub fn double_text(&mut self, text: &str) {
        if self.resp3 {
            self.line(b',', text.as_bytes());
        } else {
            self.bulk(text.as_bytes());
        }
    }

    /// A truth value: `#t`/`#f` in RESP3, 1/0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match (self.resp3, value) {
            (true, true) => self.out.extend_from_slice(b"#t\r\n"),
            (true, false) => self.out.extend_from_slice(b"#f\r\n"),
            (false, _) => self.int(i64::from(value)),
        }
    }

    /// Text with a format of three letters ("txt"): `=` in RESP3, a byte string in RESP2.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        debug_assert_eq!(format.len(), 3);
        if !self.resp3 {
            return self.bulk(text);
        }
        self.number(b'=', text.len() as i64 + 4);
        self.out.extend_from_slice(format.as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Already encoded frames, as they are.
    pub fn raw(&mut self, frames: &[u8]) {
        self.out.extend_from_slice(frames);
    }

    /// Begins an aggregate whose length is not known yet; elements follow, then one of the `close_` methods.
    pub fn open(&mut self) -> Open {
        Open { at: self.out.len() }
    }

    /// Makes what was written since `open` an array of `len` elements.
    pub fn close_array(&mut self, open: Open, len: usize) {
        self.insert_header(open, b'*', len);
    }

    /// Makes what was written since `open` a set of `len` elements.
    pub fn close_set(&mut self, open: Open, len: usize) {
        self.insert_header(open, if self.resp3 { b'~' } else { b'*' }, len);
    }

    /// Makes what was written since `open` a map of `pairs` pairs.
    pub fn close_map(&mut self, open: Open, pairs: usize) {
        if self.resp3 {
            self.insert_header(open, b'%', pairs);
        } else {
            self.insert_header(open, b'*', pairs * 2);
        }
    }

    fn insert_header(&mut self, open: Open, kind: u8, len: usize) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(len).as_bytes();
        let mut header = [0u8; 24];
        header[0] = kind;
        header[1..=digits.len()].copy_from_slice(digits);
        header[digits.len() + 1..digits.len() + 3].copy_from_slice(b"\r\n");
        self.out.splice(open.at..open.at, header[..digits.len() + 3].iter().copied());
    }

    #[inline]
    fn number(&mut self, kind: u8, value: i64) {
        // Arrays of constant length are appended by plain stores.
        match value {
            0..10 => self.out.extend_from_slice(&[kind, b'0' + value as u8, b'\r', b'\n']),
            10..100 => {
                let (tens, ones) = ((value / 10) as u8, (value % 10) as u8);
                self.out.extend_from_slice(&[kind, b'0' + tens, b'0' + ones, b'\r', b'\n']);
            }
            _ => self.long_number(kind, value),
        }
    }

    fn long_number(&mut self, kind: u8, value: i64) {
        let mut line = [0u8; 24];
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value).as_bytes();
        line[0] = kind;
        line[1..=digits.len()].copy_from_slice(digits);
        line[digits.len() + 1..digits.len() + 3].copy_from_slice(b"\r\n");
        // One append of a short stack buffer is cheaper than three of its parts.
        self.out.extend_from_slice(&line[..digits.len() + 3]);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }
}
