//! The log of the group, and the snapshot that stands for its beginning.

use super::group::Group;
use redoubt_ha::entry::Entry;
use redoubt_ha::topology::Topology;
use std::rc::Rc;
use std::sync::Arc;

/// What a log entry is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Noop,
    Group(Group),
    Entry(Entry),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) term: u64,
    pub(crate) kind: Kind,
}

/// What the entries before an index have come to.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// How many entries it stands for, and the term of the last.
    pub(crate) index: usize,
    pub(crate) term: u64,
    pub(crate) group: Rc<Group>,
    pub(crate) facts: Arc<Topology>,
}

/// Indices count all entries there ever were; those before `base` are gone.
#[derive(Debug, Default)]
pub(crate) struct Log {
    base: usize,
    base_term: u64,
    entries: Vec<Rc<Logged>>,
}

impl Log {
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.base + self.entries.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Rc<Logged>> {
        self.entries.get(index.checked_sub(self.base)?)
    }

    /// The term of the entry before this index; nothing if it is not known here.
    pub(crate) fn term_before(&self, index: usize) -> Option<u64> {
        if index == self.base {
            return Some(self.base_term);
        }
        self.get(index.checked_sub(1)?).map(|logged| logged.term)
    }

    pub(crate) fn last_term(&self) -> u64 {
        self.term_before(self.len()).unwrap_or(0)
    }

    pub(crate) fn push(&mut self, logged: Logged) {
        self.entries.push(Rc::new(logged));
    }

    pub(crate) fn take(&mut self, logged: Rc<Logged>) {
        self.entries.push(logged);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.entries.truncate(len.saturating_sub(self.base));
    }

    /// Up to so many entries from this index on.
    pub(crate) fn from(&self, index: usize, most: usize) -> Vec<Rc<Logged>> {
        let start = index.saturating_sub(self.base);
        self.entries[start..].iter().take(most).cloned().collect()
    }

    /// The newest group before this index, and where it stands, if an entry here says so.
    pub(crate) fn group_before(&self, index: usize) -> Option<(Rc<Group>, usize)> {
        let entries = self.entries[..index.saturating_sub(self.base).min(self.entries.len())].iter();
        entries.enumerate().rev().find_map(|(at, logged)| match &logged.kind {
            Kind::Group(group) => Some((Rc::new(group.clone()), self.base + at)),
            _ => None,
        })
    }

    /// Forgets what is before this index.
    pub(crate) fn compact(&mut self, index: usize) {
        if index > self.base && index <= self.len() {
            self.base_term = self.term_before(index).unwrap_or(self.base_term);
            self.entries.drain(..index - self.base);
            self.base = index;
        }
    }

    /// Begins anew after a snapshot.
    pub(crate) fn begin_at(&mut self, index: usize, term: u64) {
        *self = Log { base: index, base_term: term, entries: Vec::new() };
    }
}
