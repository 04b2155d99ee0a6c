//! Replication ids: whose stream an offset belongs to, and whether a replica can go on from where it was.

use std::fmt;

/// Name of one history of the data: 40 characters, hexadecimal by custom.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplId([u8; 40]);

impl ReplId {
    /// The id as it stands on the wire; none if it has not 40 printable characters.
    pub fn parse(text: &[u8]) -> Option<ReplId> {
        let id: [u8; 40] = text.try_into().ok()?;
        id.iter().all(|byte| byte.is_ascii_graphic()).then_some(ReplId(id))
    }

    /// An id from 40 random digits, each below 16.
    pub fn from_digits(mut digit: impl FnMut() -> u8) -> ReplId {
        ReplId(std::array::from_fn(|_| b"0123456789abcdef"[usize::from(digit() & 15)]))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ids are ASCII")
    }
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the second id prints when there is none.
const NO_ID: &str = "0000000000000000000000000000000000000000";

/// The ids under which a node's stream is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    id: ReplId,
    /// The id before a promotion, and how many bytes of its stream are ours too.
    second: Option<(ReplId, u64)>,
}

/// How a replica that asks with PSYNC is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The stream from this offset on.
    Partial(u64),
    /// A snapshot first; holds why.
    Full(&'static str),
}

impl History {
    /// A history that nobody shares yet.
    pub fn new(id: ReplId) -> History {
        History { id, second: None }
    }

    /// The current id.
    pub fn id(&self) -> &ReplId {
        &self.id
    }

    /// The id before, as INFO prints it.
    pub fn second_id(&self) -> &str {
        self.second.as_ref().map_or(NO_ID, |(id, _)| id.as_str())
    }

    /// `second_repl_offset`: the first byte, counted from 1, that the id before does not cover; -1 without one.
    pub fn second_offset(&self) -> i64 {
        self.second.map_or(-1, |(_, shared)| shared as i64 + 1)
    }

    /// This node stops following and goes its own way from offset `end`: replicas of its old primary may stay.
    pub fn branch(&mut self, id: ReplId, end: u64) {
        self.second = Some((self.id, end));
        self.id = id;
    }

    /// The primary goes on under another id (`+CONTINUE <id>`): replicas of ours that know the old one may stay.
    pub fn rename(&mut self, id: ReplId, end: u64) {
        if self.id != id {
            self.branch(id, end);
        }
    }

    /// Other data from now on: nobody can go on from where it was.
    pub fn restart(&mut self, id: ReplId) {
        *self = History::new(id);
    }

    /// Decides about `PSYNC id wanted`, `wanted` being the next byte counted from 1. `kept` is the range of offsets
    /// whose bytes are still there; none: nothing is kept.
    pub fn start(&self, id: &[u8], wanted: i64, kept: Option<(u64, u64)>) -> Start {
        let known = ReplId::parse(id);
        let ours = known == Some(self.id);
        let shared = self.second.is_some_and(|(second, _)| known == Some(second));
        if !ours && !shared {
            return Start::Full(if id == b"?" {
                "the replica asks for it"
            } else {
                "another replication id"
            });
        }
        if !ours && wanted > self.second_offset() {
            return Start::Full(
                "the replica went on under the old replication id beyond the point of branching",
            );
        }
        let offset = u64::try_from(wanted - 1).ok();
        match offset.zip(kept) {
            Some((offset, (first, end))) if (first..=end).contains(&offset) => Start::Partial(offset),
            Some((offset, (first, _))) if offset < first => Start::Full("the backlog begins later"),
            Some(_) => Start::Full("the replica is ahead"),
            None => Start::Full("there is no backlog"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: u8) -> ReplId {
        ReplId::from_digits(|| digit)
    }

    #[test]
    fn ids_are_forty_printable_characters() {
        assert_eq!(ReplId::parse(&[b'a'; 40]).map(|id| id.as_str().len()), Some(40));
        assert_eq!(ReplId::parse(&[b'a'; 39]), None);
        assert_eq!(ReplId::parse(&[b' '; 40]), None);
        assert_eq!(id(15).as_str(), "f".repeat(40));
    }

    #[test]
    fn a_replica_goes_on_where_the_backlog_has_its_bytes() {
        let history = History::new(id(1));
        let ask = |offset| history.start(id(1).as_str().as_bytes(), offset, Some((100, 200)));
        assert_eq!(ask(101), Start::Partial(100));
        assert_eq!(ask(201), Start::Partial(200));
        assert!(matches!(ask(100), Start::Full(_)));
        assert!(matches!(ask(202), Start::Full(_)));
        assert!(matches!(ask(0), Start::Full(_)));
        assert!(matches!(ask(i64::MIN + 1), Start::Full(_)));
        assert!(matches!(history.start(b"?", -1, Some((0, 200))), Start::Full(_)));
        assert!(matches!(history.start(id(1).as_str().as_bytes(), 1, None), Start::Full(_)));
    }

    #[test]
    fn the_second_id_covers_what_was_shared() {
        let mut history = History::new(id(1));
        assert_eq!((history.second_id(), history.second_offset()), (NO_ID, -1));
        history.branch(id(2), 150);
        assert_eq!((history.second_id(), history.second_offset()), (id(1).as_str(), 151));
        let ask = |id: ReplId, offset| history.start(id.as_str().as_bytes(), offset, Some((100, 200)));
        assert_eq!(ask(id(1), 151), Start::Partial(150));
        assert!(matches!(ask(id(1), 152), Start::Full(_)));
        assert_eq!(ask(id(2), 201), Start::Partial(200));
        let mut renamed = history;
        renamed.rename(id(2), 190);
        assert_eq!(renamed, history);
        renamed.rename(id(3), 190);
        assert_eq!((renamed.id(), renamed.second_offset()), (&id(3), 191));
        renamed.restart(id(4));
        assert_eq!(renamed, History::new(id(4)));
    }
}
