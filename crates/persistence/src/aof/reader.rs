//! Reading files of commands: finds where whole commands end, drops annotations, and tells a file that merely ends too
//! early from one that is damaged.

use crate::error::{Error, ErrorKind};
use std::io::Read;

/// Bytes of commands handed out at once, roughly.
const CHUNK: usize = 256 * 1024;
/// Longest line of a count or an annotation.
const LINE_MAX: usize = 1024;
/// A length beyond this is no length but damage.
const WORD_MAX: u64 = 1 << 40;

type Result<T> = std::result::Result<T, Error>;

/// Commands that follow each other; none where a file ends with the annotation of a place.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Whole commands as RESP arrays, nothing else.
    pub bytes: &'a [u8],
    /// How many.
    pub commands: usize,
    /// Place of the first byte in the file; of the annotation, if one stands before it.
    pub offset: u64,
    /// What the annotation before it says, Unix seconds. A chunk never reaches beyond the next one.
    pub timestamp: Option<i64>,
    /// Where an annotation before it says that it stands in a replication stream.
    pub place: Option<Place>,
}

/// A place in a replication stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Id of the stream.
    pub stream: [u8; 40],
    /// Bytes of it before the place.
    pub offset: u64,
}

impl Place {
    fn parse(line: &str) -> Option<Place> {
        let (stream, offset) = line.strip_prefix(super::PLACE)?.split_once(':')?;
        Some(Place { stream: stream.as_bytes().try_into().ok()?, offset: offset.parse().ok()? })
    }
}

/// Hands out a file of commands in chunks.
///
/// A file whose end is missing yields `ErrorKind::Truncated` where it ends; `intact` then says where it may be cut. So
/// does one that ends in zeros, as file systems leave it that note a file's new length before its contents.
pub struct CommandReader<R> {
    inner: R,
    size: u64,
    buf: Vec<u8>,
    /// Handed out already: bytes of `buf` before this.
    at: usize,
    /// Place of `buf[0]` in the file.
    base: u64,
    intact: u64,
    in_multi: bool,
    timestamp: Option<(u64, i64)>,
    place: Option<Place>,
    /// Found behind what was handed out last.
    failed: Option<Error>,
}

/// What stands at the place looked at.
enum Found {
    Command,
    Annotation,
    /// The end, or an annotation after commands.
    Border,
}

/// How far a scan came.
enum Scan {
    /// A command or an annotation ends here.
    End(usize),
    /// So many bytes are needed.
    More(usize),
    /// It would end beyond the end of the file.
    Beyond,
}

impl<R: Read> CommandReader<R> {
    /// Reads from `inner`, which stands at byte `offset` of a file of `size` bytes.
    pub fn new(inner: R, offset: u64, size: u64) -> CommandReader<R> {
        CommandReader {
            inner,
            size,
            buf: Vec::new(),
            at: 0,
            base: offset,
            intact: offset,
            in_multi: false,
            timestamp: None,
            place: None,
            failed: None,
        }
    }

    /// Bytes of the file that were handed out or passed over.
    pub fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Place after the last whole command outside of MULTI, or after the last EXEC: where a file that lacks its end may
    /// be cut. Of the chunks handed out, later commands belong to a MULTI that never ends.
    pub fn intact(&self) -> u64 {
        self.intact
    }

    /// The next commands, `None` at the end. Chunks end anywhere between commands, within MULTI and EXEC too.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or lacks its end. All commands before that place were handed out.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut end = self.at;
        let mut commands = 0;
        while end - self.at < CHUNK {
            match self.scan(&mut end) {
                Ok(Found::Command) => commands += 1,
                Ok(Found::Annotation) => {}
                Ok(Found::Border) => break,
                Err(error) if commands == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        if commands == 0 && self.place.is_none() {
            return Ok(None);
        }
        let from = std::mem::replace(&mut self.at, end);
        let offset = self.base + from as u64;
        let timestamp = self.timestamp.take();
        let (offset, timestamp) = timestamp.map_or((offset, None), |(at, seconds)| (at, Some(seconds)));
        let place = self.place.take();
        Ok(Some(Chunk { bytes: &self.buf[from..end], commands, offset, timestamp, place }))
    }

    /// Moves `end` over one command; over an annotation only when nothing is gathered before it, and then `self.at` with
    /// it.
    fn scan(&mut self, end: &mut usize) -> Result<Found> {
        loop {
            let rest = &self.buf[*end..];
            let annotation = rest.first() == Some(&b'#');
            if annotation && *end != self.at {
                return Ok(Found::Border);
            }
            let left = self.size.saturating_sub(self.base + *end as u64);
            let scanned = match rest.first() {
                None => Ok(Scan::More(1)),
                Some(b'#') => scan_annotation(rest),
                Some(_) => scan_command(rest, left),
            };
            match scanned {
                Ok(Scan::End(len)) if annotation => {
                    self.note_annotation(*end, len);
                    *end += len;
                    self.at = *end;
                    self.settle(*end);
                    return Ok(Found::Annotation);
                }
                Ok(Scan::End(len)) => {
                    self.note_command(*end, len);
                    *end += len;
                    self.settle(*end);
                    return Ok(Found::Command);
                }
                Ok(Scan::More(wanted)) => {
                    if self.fill(end, wanted)? {
                        continue;
                    }
                    if self.buf.len() == *end && !self.in_multi {
                        return Ok(Found::Border);
                    }
                    return Err(self.truncated());
                }
                Ok(Scan::Beyond) => return Err(self.truncated()),
                Err((at, reason)) => return Err(self.damage(*end + at, reason)?),
            }
        }
    }

    fn truncated(&self) -> Error {
        let offset = self.size.max(self.base + self.buf.len() as u64);
        Error { offset, kind: ErrorKind::Truncated }
    }

    /// Whether the commands seen so far may be the last ones.
    fn settle(&mut self, end: usize) {
        if !self.in_multi {
            self.intact = self.base + end as u64;
        }
    }

    fn note_command(&mut self, from: usize, len: usize) {
        // `*1\r\n$5\r\nMULTI\r\n`: the only two words that say where a file may be cut.
        let command = &self.buf[from..from + len];
        if command.eq_ignore_ascii_case(b"*1\r\n$5\r\nmulti\r\n") {
            self.in_multi = true;
        } else if command.eq_ignore_ascii_case(b"*1\r\n$4\r\nexec\r\n") {
            self.in_multi = false;
        }
    }

    fn note_annotation(&mut self, from: usize, len: usize) {
        let line = std::str::from_utf8(&self.buf[from..from + len]).unwrap_or_default();
        let seconds = line.trim_end().strip_prefix("#TS:").and_then(|text| text.parse().ok());
        if let Some(seconds) = seconds {
            self.timestamp = Some((self.base + from as u64, seconds));
        } else if let Some(place) = Place::parse(line.trim_end()) {
            self.place = Some(place);
        }
    }

    /// Reads on until the buffer has `wanted` bytes from `end` on, dropping what was handed out. `false`: at the end.
    fn fill(&mut self, end: &mut usize, wanted: usize) -> Result<bool> {
        if self.at > 0 {
            self.buf.drain(..self.at);
            self.base += self.at as u64;
            *end -= self.at;
            self.at = 0;
        }
        let before = self.buf.len();
        // Twice as much each time, or a command of very many words would be looked at very often.
        let goal = (*end + wanted).max(before + CHUNK.max(before)) - before;
        let read = (&mut self.inner).take(goal as u64).read_to_end(&mut self.buf);
        let offset = self.base + self.buf.len() as u64;
        let count = read.map_err(|error| Error { offset, kind: ErrorKind::Io(error) })?;
        Ok(count > 0)
    }

    /// The error for something that is not a command: zeros up to the end are a missing end.
    fn damage(&mut self, at: usize, reason: &'static str) -> Result<Error> {
        let offset = self.base + at as u64;
        let mut zeros = self.buf[at..].iter().all(|byte| *byte == 0);
        let mut page = [0; 4096];
        while zeros {
            let count =
                self.inner.read(&mut page).map_err(|error| Error { offset, kind: ErrorKind::Io(error) })?;
            if count == 0 {
                return Ok(Error { offset, kind: ErrorKind::Truncated });
            }
            zeros = page[..count].iter().all(|byte| *byte == 0);
        }
        Ok(Error { offset, kind: ErrorKind::Corrupt(reason) })
    }
}

/// Where and why a scan found damage.
type Damage = (usize, &'static str);

fn scan_annotation(buf: &[u8]) -> std::result::Result<Scan, Damage> {
    match buf.iter().take(LINE_MAX).position(|byte| *byte == b'\n') {
        Some(end) => Ok(Scan::End(end + 1)),
        None if buf.len() >= LINE_MAX => Err((0, "annotation without end")),
        None => Ok(Scan::More(buf.len() + 1)),
    }
}

/// Looks for the end of the command at the beginning of `buf`, of which `left` bytes are left in the file.
fn scan_command(buf: &[u8], left: u64) -> std::result::Result<Scan, Damage> {
    let mut at = 0;
    let Some(words) = scan_count(buf, &mut at, b'*', "a command does not begin with *")? else {
        return Ok(Scan::More(buf.len() + 1));
    };
    if words == 0 {
        return Err((0, "a command without words"));
    }
    for _ in 0..words {
        let Some(len) = scan_count(buf, &mut at, b'$', "a word does not begin with $")? else {
            return Ok(Scan::More(buf.len() + 1));
        };
        if len > WORD_MAX {
            return Err((at, "a word's length is too great"));
        }
        if len + 2 > left.saturating_sub(at as u64) {
            return Ok(Scan::Beyond);
        }
        let end = at + len as usize;
        if buf.len() < end + 2 {
            return Ok(Scan::More(end + 2));
        }
        if &buf[end..end + 2] != b"\r\n" {
            let first = if buf[end] == b'\r' { end + 1 } else { end };
            return Err((first, "a word does not end where its length says"));
        }
        at = end + 2;
    }
    Ok(Scan::End(at))
}

/// Reads `*12\r\n` or `$12\r\n` at `at` and moves behind it. `None`: there are too few bytes.
fn scan_count(
    buf: &[u8],
    at: &mut usize,
    mark: u8,
    reason: &'static str,
) -> std::result::Result<Option<u64>, Damage> {
    let rest = &buf[*at..];
    let Some(first) = rest.first() else { return Ok(None) };
    if *first != mark {
        return Err((*at, reason));
    }
    let mut number = 0u64;
    for (index, byte) in rest.iter().enumerate().skip(1) {
        match byte {
            b'0'..=b'9' if index < 20 => number = number.saturating_mul(10) + u64::from(byte - b'0'),
            b'\r' if index > 1 => {
                return match rest.get(index + 1) {
                    None => Ok(None),
                    Some(b'\n') => {
                        *at += index + 2;
                        Ok(Some(number))
                    }
                    Some(_) => Err((*at + index + 1, "a line does not end with CR and LF")),
                };
            }
            _ => return Err((*at + index, "a count is no number")),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn command(words: &[&[u8]]) -> Vec<u8> {
        let mut out = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    /// What was handed out, the timestamps, where the file may be cut, and the error.
    fn read(bytes: &[u8]) -> (Vec<u8>, Vec<i64>, u64, Option<Error>) {
        let mut reader = CommandReader::new(bytes, 0, bytes.len() as u64);
        let (mut out, mut times) = (Vec::new(), Vec::new());
        loop {
            match reader.next_chunk() {
                Ok(Some(chunk)) => {
                    out.extend_from_slice(chunk.bytes);
                    times.extend(chunk.timestamp);
                }
                Ok(None) => return (out, times, reader.intact(), None),
                Err(error) => return (out, times, reader.intact(), Some(error)),
            }
        }
    }

    #[test]
    fn annotations_part_chunks() {
        let set = command(&[b"SET", b"k", b"v"]);
        let file = [b"#TS:12\r\n", &set[..], &set, b"# other\r\n#TS:13\r\n", &set].concat();
        let mut reader = CommandReader::new(&file[..], 100, 100 + file.len() as u64);
        let chunk = reader.next_chunk().expect("a good file").expect("commands");
        assert_eq!((chunk.commands, chunk.offset, chunk.timestamp), (2, 100, Some(12)));
        let chunk = reader.next_chunk().expect("a good file").expect("commands");
        assert_eq!((chunk.commands, chunk.bytes, chunk.timestamp), (1, &set[..], Some(13)));
        assert!(reader.next_chunk().expect("a good file").is_none());
        assert_eq!(reader.intact(), 100 + file.len() as u64);
    }

    #[test]
    fn places_in_a_stream_are_found() {
        let set = command(&[b"SET", b"k", b"v"]);
        let mut file = set.clone();
        crate::aof::annotate_place(&mut file, &"ab".repeat(20), 77);
        crate::aof::annotate_time(&mut file, 5);
        file.extend_from_slice(&set);
        file.extend_from_slice(b"#redoubt-place:short:1\r\n#redoubt-place:x\r\n");
        file.extend_from_slice(&set);
        crate::aof::annotate_place(&mut file, &"ab".repeat(20), 99);
        let mut reader = CommandReader::new(&file[..], 0, file.len() as u64);
        let mut places = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("a good file") {
            places.push((chunk.place.map(|place| (place.stream, place.offset)), chunk.timestamp));
        }
        let stream: [u8; 40] = "ab".repeat(20).as_bytes().try_into().expect("forty bytes");
        let expected =
            [(None, None), (Some((stream, 77)), Some(5)), (None, None), (Some((stream, 99)), None)];
        assert_eq!(places, expected);
        assert_eq!(reader.intact(), file.len() as u64);
    }

    #[test]
    fn a_multi_without_exec_may_be_cut_off() {
        let before = [command(&[b"MULTI"]), command(&[b"DEL", b"k"]), command(&[b"EXEC"])].concat();
        let file = [&before[..], &command(&[b"multi"]), &command(&[b"DEL", b"k"])].concat();
        let (_, _, intact, error) = read(&file);
        assert_eq!(intact, before.len() as u64);
        assert!(matches!(error, Some(Error { kind: ErrorKind::Truncated, .. })));
    }

    #[test]
    fn damage_is_told_from_a_missing_end() {
        let good = command(&[b"SET", b"k", b"v"]);
        let end = good.len() as u64;
        for tail in [
            "\0\0\0",
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\nabc",
            "*",
            "*2\r\n$900000000\r\nx",
            "*1\r\n$1\r\n\0\0\0",
        ] {
            let (out, _, intact, error) = read(&[&good[..], tail.as_bytes()].concat());
            assert_eq!((&out, intact), (&good, end));
            assert!(matches!(error, Some(Error { kind: ErrorKind::Truncated, .. })), "{tail:?} {error:?}");
        }
        for (tail, at) in
            [("x", 0), ("*0\r\n", 0), ("*1\r\n$1\r\nxy\r\n", 9), ("\0\0*", 0), ("*a", 1), ("*1\r\n:1", 4)]
        {
            let (out, _, intact, error) = read(&[&good[..], tail.as_bytes()].concat());
            assert_eq!((&out, intact), (&good, end));
            let error = error.expect("damage");
            assert!(matches!(error.kind, ErrorKind::Corrupt(_)), "{tail:?} {error:?}");
            assert_eq!(error.offset, end + at, "{tail:?}");
        }
    }

    proptest! {
        /// Wherever a file is cut, the whole commands before that come out, and the rest is a missing end.
        #[test]
        fn a_cut_file(
            commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..4), 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut file = Vec::new();
            let mut ends = vec![0];
            for words in &commands {
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                file.extend(command(&words));
                ends.push(file.len());
            }
            let cut = cut.index(file.len() + 1);
            let whole = *ends.iter().rev().find(|end| **end <= cut).expect("0 is one");
            let (out, _, intact, error) = read(&file[..cut]);
            prop_assert_eq!(&out, &file[..whole]);
            prop_assert_eq!(intact, whole as u64);
            prop_assert_eq!(error.is_none(), cut == whole);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop::sample::select(b"*$#19\r\n\0a".to_vec()), 0..60)) {
            let (out, _, intact, error) = read(&bytes);
            prop_assert!(out.len() as u64 <= intact || error.is_some());
        }
    }

    #[test]
    fn a_large_file_comes_in_chunks() {
        let value = vec![b'x'; 3 << 20];
        let mut file = Vec::new();
        for _ in 0..3 {
            file.extend(command(&[b"SET", b"k", &value]));
            (0..20_000).for_each(|_| file.extend(command(&[b"INCR", b"k"])));
        }
        assert_eq!(read(&file).0, file);
    }
}
