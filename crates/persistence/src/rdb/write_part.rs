//! Writing big values a part at a time.

use super::kind;
use super::output::Output;
use super::write_file::{KeyInfo, Writer};
use super::write_value::{kind_of, write_node, write_value};
use crate::error::Error;
use redoubt_store::ValueRef;

/// Nodes of a list in a part: a node is a few kilobytes, unless its one element is big.
const NODES: usize = 32;
/// Elements of a part of any other type.
const ELEMENTS: usize = 1024;

impl Writer<Vec<u8>> {
    /// Writes a part of a key: what begins at `from`, first at 0. Returns where the next part begins, `None` after the
    /// last. The value must not change between the first and the last. Nothing else may be written between two parts,
    /// but another writer of records may write them. Streams and hashes with expiries are one part.
    ///
    /// # Errors
    /// As `key`.
    pub fn key_part(
        &mut self,
        key: &[u8],
        value: ValueRef<'_>,
        info: KeyInfo,
        from: u64,
    ) -> Result<Option<u64>, Error> {
        let kind = kind_of(value, self.version());
        let len = match (kind, value) {
            (kind::LIST_OF_LISTPACKS, ValueRef::List(list)) => list.nodes().count(),
            (kind::SET, ValueRef::Set(set)) => set.len(),
            (kind::ZSET, ValueRef::SortedSet(zset)) => zset.len(),
            (kind::HASH, ValueRef::Hash(hash)) => hash.len(),
            _ => {
                self.head(key, kind, info)?;
                write_value(self.output(), kind, value)?;
                return Ok(None);
            }
        };
        if from == 0 {
            self.head(key, kind, info)?;
            self.output().length(len as u64);
        }
        write_part(self.output(), value, from)
    }
}

fn write_part(out: &mut Output<Vec<u8>>, value: ValueRef<'_>, from: u64) -> Result<Option<u64>, Error> {
    let mut failed = None;
    let mut note = |result: Result<(), Error>| {
        if let Err(error) = result {
            failed.get_or_insert(error);
        }
    };
    let next = match value {
        ValueRef::List(list) => {
            let at = from as usize;
            list.nodes().skip(at).take(NODES).for_each(|node| note(write_node(out, node)));
            if at + NODES < list.nodes().count() { from + NODES as u64 } else { 0 }
        }
        ValueRef::Set(set) => set.scan(from, ELEMENTS, |member| note(out.value(member))),
        ValueRef::SortedSet(zset) => {
            // From the highest down, as a whole one is written.
            let end = zset.len() - (from as usize).min(zset.len());
            let start = end.saturating_sub(ELEMENTS);
            for (member, score) in zset.range(start..end, true) {
                note(out.value(member).and_then(|()| out.raw(&score.to_le_bytes())));
            }
            if start == 0 { 0 } else { from + ELEMENTS as u64 }
        }
        ValueRef::Hash(hash) => {
            let (mut cursor, mut seen) = (from, 0);
            loop {
                cursor = hash.scan(cursor, i64::MIN, |field, value| {
                    seen += 1;
                    note(out.value(field).and_then(|()| out.value(value)));
                });
                if cursor == 0 || seen >= ELEMENTS {
                    break cursor;
                }
            }
        }
        ValueRef::Str(_) | ValueRef::Stream(_) => 0,
    };
    match failed {
        Some(error) => Err(error),
        None => Ok((next != 0).then_some(next)),
    }
}
