//! What a transaction leaves in the replication log: deterministic commands, in order, as they will stand there.

use smallvec::SmallVec;

/// Commands as RESP arrays, one after the other in one buffer. Empty and free of cost while nobody listens.
#[derive(Debug, Default)]
pub struct Effects {
    enabled: bool,
    /// Database of each command and where it ends.
    commands: SmallVec<[(usize, usize); 4]>,
    frames: Vec<u8>,
}

impl Effects {
    /// Whether effects are recorded.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Starts or stops recording.
    #[inline]
    pub fn enable(&mut self, on: bool) {
        self.enabled = on;
    }

    /// Number of recorded commands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether nothing is recorded.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Records a command on a database.
    #[inline]
    pub fn push(&mut self, db: usize, words: &[&[u8]]) {
        if self.enabled {
            self.record(db, words);
        }
    }

    fn record(&mut self, db: usize, words: &[&[u8]]) {
        let bytes: usize = words.iter().map(|word| word.len()).sum();
        // The count lines of words that are not long, and the line ends.
        self.frames.reserve(bytes + 8 * words.len() + 16);
        count(&mut self.frames, b'*', words.len());
        for word in words {
            count(&mut self.frames, b'$', word.len());
            self.frames.extend_from_slice(word);
            self.frames.extend_from_slice(b"\r\n");
        }
        self.commands.push((db, self.frames.len()));
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.frames.clear();
    }

    /// Database and frame of each command, in order.
    pub fn frames(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut from = 0;
        self.commands.iter().map(move |(db, end)| {
            let frame = &self.frames[from..*end];
            from = *end;
            (*db, frame)
        })
    }

    /// Database and words of each command, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
        self.frames().map(|(db, frame)| {
            let mut rest = frame;
            let count = number(&mut rest);
            let word = |_| {
                let len = number(&mut rest);
                let word = &rest[..len];
                rest = &rest[len + 2..];
                word
            };
            (db, (0..count).map(word).collect())
        })
    }
}

/// Appends `*12\r\n` or `$12\r\n`.
fn count(out: &mut Vec<u8>, mark: u8, number: usize) {
    if number < 10 {
        out.extend_from_slice(&[mark, b'0' + number as u8, b'\r', b'\n']);
        return;
    }
    out.push(mark);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Takes such a line off the front.
fn number(rest: &mut &[u8]) -> usize {
    let end = rest.iter().position(|byte| *byte == b'\r').expect("written by `count`");
    let number = rest[1..end].iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    *rest = &rest[end + 2..];
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_frames_and_words() {
        let mut effects = Effects::default();
        effects.push(0, &[b"GET"]);
        assert!(effects.is_empty());
        effects.enable(true);
        let long = [b'x'; 1234];
        effects.push(3, &[b"SET", b"k", b""]);
        effects.push(0, &[b"DEL", &long]);
        let words: Vec<_> = effects.iter().collect();
        assert_eq!(words, [(3, vec![&b"SET"[..], b"k", b""]), (0, vec![b"DEL", &long])]);
        let (db, frame) = effects.frames().next().expect("two");
        assert_eq!((db, frame), (3, &b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"[..]));
        assert_eq!((effects.len(), effects.frames().count()), (2, 2));
        effects.clear();
        assert!(effects.is_empty() && effects.iter().next().is_none());
    }
}
