//! Finds where replies end, in bytes that come in pieces: RESP2 and RESP3, pushes and nested aggregates included.
//!
//! Nothing is decoded, no byte is looked at twice, and nesting costs no stack: a reply is over when none of the values it
//! announced is missing.

/// Longest line (a count, a simple string, an error, a number), bytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes no server sends: the connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// See the module's text. Positions are those of the caller's buffer, which grows at its end; [`Scanner::rebase`] tells
/// that it was cut at its front.
#[derive(Clone, Debug, Default)]
pub(super) struct Scanner {
    /// Everything before was looked at.
    at: usize,
    /// Values that the reply being read still lacks; 0 between replies.
    missing: u64,
    /// Bytes left of the string being passed, its line end included.
    skip: usize,
    /// Bytes after `at` that hold no line end.
    line: usize,
}

impl Scanner {
    /// Position after the reply that was being read, if all of it is there.
    ///
    /// # Errors
    /// If this is not RESP.
    #[inline]
    pub(super) fn next(&mut self, buf: &[u8]) -> Result<Option<usize>, Broken> {
        if self.at >= buf.len() {
            return Ok(None);
        }
        if self.missing == 0 {
            self.missing = 1;
        }
        loop {
            if self.skip > 0 {
                let step = self.skip.min(buf.len() - self.at);
                self.at += step;
                self.skip -= step;
                if self.skip > 0 {
                    return Ok(None);
                }
                self.missing -= 1;
            } else if !self.line(buf)? {
                return Ok(None);
            }
            if self.missing == 0 {
                return Ok(Some(self.at));
            }
        }
    }

    /// Reads a line. False if its end is not there.
    #[inline]
    fn line(&mut self, buf: &[u8]) -> Result<bool, Broken> {
        let rest = &buf[self.at..];
        let Some(end) = memchr::memchr(b'\n', &rest[self.line..]) else {
            self.line = rest.len();
            return if rest.len() > LINE_BYTES_MAX { Err(Broken) } else { Ok(false) };
        };
        let end = self.line + end;
        self.at += end + 1;
        self.line = 0;
        let [kind, value @ .., b'\r'] = &rest[..end] else { return Err(Broken) };
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => self.missing -= 1,
            b'$' | b'!' | b'=' => match count(value)? {
                Some(len) => self.skip = usize::try_from(len).map_err(|_| Broken)?.saturating_add(2),
                None => self.missing -= 1,
            },
            b'*' | b'~' | b'>' => self.announce(count(value)?.unwrap_or(0), 1)?,
            b'%' => self.announce(count(value)?.unwrap_or(0).saturating_mul(2), 1)?,
            // Attributes stand before a value and are none.
            b'|' => self.announce(count(value)?.unwrap_or(0).saturating_mul(2), 0)?,
            _ => return Err(Broken),
        }
        Ok(true)
    }

    /// `more` values follow, in place of `one`.
    fn announce(&mut self, more: u64, one: u64) -> Result<(), Broken> {
        self.missing = (self.missing - one).checked_add(more).ok_or(Broken)?;
        Ok(())
    }

    /// The first `n` bytes of the buffer are gone; all of them have been looked at, or belong to a string being passed.
    pub(super) fn rebase(&mut self, n: usize) {
        debug_assert!(n <= self.at + self.line);
        self.at -= n.min(self.at);
    }

    /// Position of the next byte to look at.
    pub(super) fn at(&self) -> usize {
        self.at
    }
}

/// The number of a count line; none for -1, which announces nothing.
#[inline]
fn count(digits: &[u8]) -> Result<Option<u64>, Broken> {
    if digits == b"-1" {
        return Ok(None);
    }
    if digits.is_empty() || digits.len() > 19 {
        return Err(Broken);
    }
    let add = |sum: u64, digit: &u8| match digit {
        b'0'..=b'9' => Ok(sum * 10 + u64::from(digit - b'0')),
        _ => Err(Broken),
    };
    digits.iter().try_fold(0, add).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A reply, as text.
    fn reply() -> impl Strategy<Value = Vec<u8>> {
        let scalar = prop_oneof![
            "[a-z ]{0,9}".prop_map(|text| format!("+{text}\r\n").into_bytes()),
            "[A-Z ]{0,9}".prop_map(|text| format!("-{text}\r\n").into_bytes()),
            any::<i64>().prop_map(|value| format!(":{value}\r\n").into_bytes()),
            Just(b"_\r\n".to_vec()),
            Just(b"$-1\r\n".to_vec()),
            Just(b"*-1\r\n".to_vec()),
            Just(b"#t\r\n".to_vec()),
            Just(b",1.5\r\n".to_vec()),
            Just(b"(123456789012345678901234567890\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| [
                format!("${}\r\n", bytes.len()).as_bytes(),
                &bytes,
                b"\r\n"
            ]
            .concat()),
            "[a-z\r\n]{0,9}".prop_map(|text| format!("=%d\r\ntxt:{text}\r\n").into_bytes()).prop_map(
                |bytes| {
                    let len = bytes.len() - 7;
                    [format!("={len}\r\n").as_bytes(), &bytes[5..]].concat()
                }
            ),
        ];
        scalar.prop_recursive(4, 40, 6, |inner| {
            (prop::collection::vec(inner, 0..6), 0..5u8).prop_map(|(parts, kind)| {
                let (mark, len) = match kind {
                    0 => (b'*', parts.len()),
                    1 => (b'~', parts.len()),
                    2 => (b'>', parts.len()),
                    3 => (b'%', parts.len() / 2),
                    _ => (b'|', parts.len() / 2),
                };
                let taken = if kind >= 3 { len * 2 } else { len };
                let mut all = [&[mark][..], format!("{len}\r\n").as_bytes()].concat();
                parts[..taken].iter().for_each(|part| all.extend_from_slice(part));
                if kind > 3 {
                    all.extend_from_slice(b"+value\r\n");
                }
                all
            })
        })
    }

    proptest! {
        #[test]
        fn replies_end_where_they_end_however_they_come(
            replies in prop::collection::vec(reply(), 1..8),
            cuts in prop::collection::vec(1..30usize, 1..20),
            keep in any::<bool>(),
        ) {
            let all = replies.concat();
            let mut expected: Vec<usize> = Vec::new();
            for reply in &replies {
                expected.push(expected.last().unwrap_or(&0) + reply.len());
            }
            let (mut scanner, mut buf, mut gone, mut found) = (Scanner::default(), Vec::new(), 0, Vec::new());
            let (mut rest, mut cut) = (&all[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*cut.next().unwrap()));
                rest = after;
                buf.extend_from_slice(piece);
                while let Some(end) = scanner.next(&buf).unwrap() {
                    found.push(gone + end);
                }
                if !keep {
                    let done = scanner.at();
                    buf.drain(..done);
                    scanner.rebase(done);
                    gone += done;
                }
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn anything_else_is_refused_or_awaited(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut scanner = Scanner::default();
            while let Ok(Some(_)) = scanner.next(&bytes) {}
        }
    }

    #[test]
    fn what_is_not_resp_is_broken() {
        for text in
            ["hello\r\n", "$x\r\n", "*99999999999999999999\r\n", "+no carriage return\n", "\n", "$\r\n"]
        {
            assert_eq!(Scanner::default().next(text.as_bytes()), Err(Broken), "{text:?}");
        }
        let deep = b"*1\r\n".repeat(1_000_000);
        assert_eq!(Scanner::default().next(&deep), Ok(None));
    }
}
