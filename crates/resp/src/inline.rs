//! Splitting of inline requests into words, with the quoting rules of redis-cli and redis.conf lines.

use crate::parser::Span;

/// Splits `buf[from..to]` into words, appended to `spans`. Quoted words are decoded in place: the decoded text is never
/// longer than its source. False if quotes do not match.
///
/// Words end at a blank. Double quotes know `\n \r \t \b \a \xHH` and a backslash before any other byte; single quotes
/// know `\'`. A closing quote must be followed by a blank or the end. A zero byte ends the line.
pub(crate) fn split(buf: &mut [u8], from: usize, to: usize, spans: &mut Vec<Span>) -> bool {
    let to = memchr::memchr(0, &buf[from..to]).map_or(to, |zero| from + zero);
    let mut splitter = Splitter { line: &mut buf[..to], read: from, write: from };
    while splitter.skip_blanks() {
        let start = splitter.read;
        splitter.write = start;
        if !splitter.word() {
            return false;
        }
        spans.push(Span { start, len: splitter.write - start });
    }
    true
}

/// Reads at `read` and writes decoded bytes at `write`, which never overtakes it.
struct Splitter<'a> {
    line: &'a mut [u8],
    read: usize,
    write: usize,
}

impl Splitter<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.line.get(self.read + ahead).copied()
    }

    fn skip_blanks(&mut self) -> bool {
        while self.peek(0).is_some_and(is_blank) {
            self.read += 1;
        }
        self.read < self.line.len()
    }

    /// Writes `byte` as the decoded form of the next `taken` bytes.
    fn emit(&mut self, byte: u8, taken: usize) {
        self.line[self.write] = byte;
        self.write += 1;
        self.read += taken;
    }

    fn word(&mut self) -> bool {
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => break,
                b'"' => return self.double_quoted(),
                b'\'' => return self.single_quoted(),
                _ => self.emit(byte, 1),
            }
        }
        true
    }

    fn double_quoted(&mut self) -> bool {
        self.read += 1;
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'\\', Some(b'x')) => match (self.hex(2), self.hex(3)) {
                    (Some(high), Some(low)) => self.emit(high * 16 + low, 4),
                    _ => self.emit(b'x', 2),
                },
                (b'\\', Some(escaped)) => self.emit(unescape(escaped), 2),
                (b'"', next) => return self.close_quote(next),
                _ => self.emit(byte, 1),
            }
        }
        false
    }

    fn single_quoted(&mut self) -> bool {
        self.read += 1;
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'\\', Some(b'\'')) => self.emit(b'\'', 2),
                (b'\'', next) => return self.close_quote(next),
                _ => self.emit(byte, 1),
            }
        }
        false
    }

    fn close_quote(&mut self, next: Option<u8>) -> bool {
        self.read += 1;
        next.is_none_or(is_blank)
    }

    fn hex(&self, ahead: usize) -> Option<u8> {
        self.peek(ahead).and_then(|byte| char::from(byte).to_digit(16)).map(|digit| digit as u8)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}
