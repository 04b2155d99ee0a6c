//! What clients did and what came of it.

use anyhow::Result;
use std::io::Write;
use std::path::Path;

/// What was asked. Values are unique in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SET of a register.
    Set,
    /// GET of a register.
    Get,
    /// SADD of a member.
    Add,
    /// INCR; the value is the reply.
    Count,
    /// RPUSH to the writer's own list.
    Append,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Acked,
    /// An error that says that it was not done.
    Refused,
    /// No answer, or one that says that nobody knows.
    Unknown,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose.
    pub worker: u16,
    /// The node it was sent to.
    pub node: u8,
    /// What.
    pub kind: Kind,
    /// Of which key.
    pub key: u32,
    /// Written, or read; 0: nothing was there.
    pub value: u32,
    /// Before it was sent; see [`crate::clock`].
    pub invoked: u64,
    /// After the answer came, or was given up.
    pub returned: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// What was said, unless it was done.
    pub note: Option<Box<str>>,
}

impl Record {
    /// Whether it is a write that was acknowledged.
    pub fn is_acked_write(&self) -> bool {
        self.kind != Kind::Get && self.outcome == Outcome::Acked
    }
}

/// A write that one node is known to have acknowledged as the primary of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Its id.
    pub node: String,
    /// The epoch.
    pub epoch: u64,
    /// Before it was sent.
    pub invoked: u64,
    /// After the reply came.
    pub returned: u64,
}

/// What a node said of itself, at some moment between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its id.
    pub node: String,
    /// Which life of it.
    pub incarnation: u64,
    /// The newest epoch it knew; 0: none.
    pub epoch: u64,
    /// Who leads in it.
    pub primary: String,
    /// Whether it said that it serves, with a lease that lasts.
    pub serves: bool,
    /// Before it was asked.
    pub asked: u64,
    /// After it answered.
    pub answered: u64,
}

/// Everything that was noted.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Begins the names of its keys.
    pub tag: String,
    /// Of all clients, by writer.
    pub records: Vec<Record>,
    /// Of the probes.
    pub acks: Vec<Ack>,
    /// Of the watch.
    pub samples: Vec<Sample>,
}

impl History {
    /// Acknowledged writes.
    pub fn acked(&self) -> usize {
        self.records.iter().filter(|record| record.is_acked_write()).count()
    }

    /// The longest time without an acknowledged write between two moments, nanoseconds. A gap that began before the first or
    /// goes on after the second counts as a whole.
    pub fn longest_gap(&self, from: u64, to: u64) -> u64 {
        let mut acks: Vec<u64> = self
            .records
            .iter()
            .filter(|record| record.is_acked_write())
            .map(|record| record.returned)
            .collect();
        acks.sort_unstable();
        let touching = acks.windows(2).filter(|pair| pair[1] >= from && pair[0] <= to);
        touching.map(|pair| pair[1] - pair[0]).max().unwrap_or(u64::MAX)
    }

    /// Writes everything, a line each, in order of time.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for record in &self.records {
            let Record { worker, node, kind, key, value, invoked, returned, outcome, note } = record;
            let note = note.as_deref().unwrap_or("");
            let line =
                format!("{invoked} {returned} w{worker} n{node} {kind:?} {key} {value} {outcome:?} {note}");
            lines.push((*invoked, line));
        }
        let acks =
            self.acks.iter().map(|ack| (ack.invoked, format!("{} {} {ack:?}", ack.invoked, ack.returned)));
        lines.extend(acks);
        let samples = self.samples.iter();
        lines.extend(samples.map(|said| (said.asked, format!("{} {} {said:?}", said.asked, said.answered))));
        lines.sort();
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for (_, line) in lines {
            writeln!(file, "{line}")?;
        }
        file.flush()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps() {
        let record = |returned| Record {
            worker: 0,
            node: 0,
            kind: Kind::Set,
            key: 0,
            value: 1,
            invoked: returned - 1,
            returned,
            outcome: Outcome::Acked,
            note: None,
        };
        let records = [10, 20, 100, 110, 300].map(record).into();
        let history = History { records, ..History::default() };
        assert_eq!(history.longest_gap(15, 16), 10);
        assert_eq!(history.longest_gap(15, 50), 80);
        assert_eq!(history.longest_gap(50, 60), 80);
        assert_eq!(history.longest_gap(0, 1000), 190);
        assert_eq!(history.longest_gap(400, 1000), u64::MAX, "no writes at all");
    }
}
