//! The snapshot on the wire: `$<length>` or `$EOF:<mark>`, then its bytes, then the mark in the second case.

use memchr::memmem;

/// Longest header line that makes sense, bytes.
const LINE_MAX: usize = 1024;
/// Length of the mark.
pub(crate) const MARK_BYTES: usize = 40;

/// What stands at the front of the input where a snapshot is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// Not all of it yet. This many bytes of the input were keep-alive line breaks and can be dropped.
    Incomplete {
        /// Bytes to drop.
        skip: usize,
    },
    /// A snapshot follows after this many bytes.
    Begins {
        /// Length of the header.
        skip: usize,
        /// What follows.
        payload: Payload,
    },
    /// The primary gave up; its words.
    Refused(String),
    /// No header of a snapshot.
    Malformed,
}

/// A snapshot being received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// This many bytes are left.
    Sized(u64),
    /// It ends before this mark.
    Marked([u8; MARK_BYTES]),
}

/// What part of the input belongs to the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Bytes at the front that certainly do.
    pub free: usize,
    /// The snapshot ends after them, and this many bytes of mark follow.
    pub end: Option<usize>,
}

/// Reads the header at the front of `input`. Line breaks before it only say that the primary is still at work.
pub fn header(input: &[u8]) -> Header {
    let skip = input.iter().take_while(|byte| **byte == b'\n').count();
    let rest = &input[skip..];
    let Some(newline) = memchr::memchr(b'\n', rest) else {
        return if rest.len() > LINE_MAX { Header::Malformed } else { Header::Incomplete { skip } };
    };
    let line = rest[..newline].strip_suffix(b"\r").unwrap_or(&rest[..newline]);
    let payload = match line {
        [b'-', words @ ..] => return Header::Refused(String::from_utf8_lossy(words).into_owned()),
        [b'$', b'E', b'O', b'F', b':', mark @ ..] => mark.try_into().ok().map(Payload::Marked),
        [b'$', digits @ ..] => number(digits).map(Payload::Sized),
        _ => None,
    };
    match payload {
        Some(payload) => Header::Begins { skip: skip + newline + 1, payload },
        None => Header::Malformed,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if all { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

impl Payload {
    /// Looks at what has come and was not taken yet. Bytes that may be the beginning of the mark are not free.
    pub fn scan(&self, input: &[u8]) -> Scan {
        match self {
            Payload::Sized(left) => match usize::try_from(*left) {
                Ok(left) if left <= input.len() => Scan { free: left, end: Some(0) },
                _ => Scan { free: input.len(), end: None },
            },
            Payload::Marked(mark) => match memmem::find(input, mark) {
                Some(at) => Scan { free: at, end: Some(MARK_BYTES) },
                None => Scan { free: input.len().saturating_sub(MARK_BYTES - 1), end: None },
            },
        }
    }

    /// Notes that `n` free bytes were taken.
    pub fn advance(&mut self, n: usize) {
        if let Payload::Sized(left) = self {
            *left = left.saturating_sub(n as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: &[u8; 40] = b"0123456789abcdef0123456789abcdef01234567";

    /// Feeds `wire` in pieces cut at these places; returns the snapshot and what came after it.
    fn receive(wire: &[u8], cuts: &[usize]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut buffer, mut taken) = (Vec::new(), Vec::new());
        let mut payload: Option<Payload> = None;
        let mut done = false;
        let mut from = 0;
        for to in cuts.iter().copied().chain([wire.len()]) {
            buffer.extend_from_slice(&wire[from..to]);
            from = to;
            if done {
                continue;
            }
            if payload.is_none() {
                match header(&buffer) {
                    Header::Incomplete { skip } => drop(buffer.drain(..skip)),
                    Header::Begins { skip, payload: found } => {
                        buffer.drain(..skip);
                        payload = Some(found);
                    }
                    Header::Refused(_) | Header::Malformed => return None,
                }
            }
            if let Some(payload) = &mut payload {
                let scan = payload.scan(&buffer);
                payload.advance(scan.free);
                taken.extend(buffer.drain(..scan.free));
                if let Some(mark) = scan.end {
                    buffer.drain(..mark);
                    done = true;
                }
            }
        }
        done.then_some((taken, buffer))
    }

    fn wires(body: &[u8]) -> [Vec<u8>; 2] {
        let sized = [format!("\n\n${}\r\n", body.len()).as_bytes(), body, b"*1\r\n"].concat();
        let marked = [b"\n$EOF:", &MARK[..], b"\r\n", body, MARK, b"*1\r\n"].concat();
        [sized, marked]
    }

    #[test]
    fn a_snapshot_is_found_wherever_the_input_is_cut() {
        // Beginnings of the mark inside the snapshot are no end.
        let body = [b"REDIS0011\r\n", &MARK[..39], b"x", &MARK[..10], &MARK[..20]].concat();
        for wire in wires(&body) {
            for cut in 0..=wire.len() {
                assert_eq!(receive(&wire, &[cut]), Some((body.clone(), b"*1\r\n".to_vec())), "{cut}");
            }
            let all: Vec<usize> = (0..wire.len()).collect();
            assert_eq!(receive(&wire, &all), Some((body.clone(), b"*1\r\n".to_vec())));
        }
    }

    proptest! {
        #[test]
        fn any_body_and_any_cuts(body in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'0'), Just(b'1')], 0..300), mut cuts in proptest::collection::vec(0..300usize, 0..10)) {
            for wire in wires(&body) {
                cuts.iter_mut().for_each(|cut| *cut = (*cut).min(wire.len()));
                cuts.sort_unstable();
                prop_assert_eq!(receive(&wire, &cuts), Some((body.clone(), b"*1\r\n".to_vec())));
            }
        }
    }

    #[test]
    fn what_is_no_snapshot() {
        assert_eq!(header(b"-ERR no\r\n"), Header::Refused("ERR no".into()));
        for wrong in [&b"+OK\r\n"[..], b"$\r\n", b"$-1\r\n", b"$1x\r\n", b"$EOF:short\r\n", b"\r\n"] {
            assert_eq!(header(wrong), Header::Malformed, "{wrong:?}");
        }
        assert_eq!(header(&[b'x'; 2000]), Header::Malformed);
        assert_eq!(header(b"\n\n$12"), Header::Incomplete { skip: 2 });
        assert_eq!(header(b"$0\r\n"), Header::Begins { skip: 4, payload: Payload::Sized(0) });
        assert_eq!(Payload::Sized(0).scan(b""), Scan { free: 0, end: Some(0) });
    }
}
