//! What can be told of an entry: its value by type, a copy of it, its encoding, its memory.
#![allow(unsafe_code)]

use crate::entry::{Collection, Entry, Kind, Str};
use crate::value::{Value, ValueRef};

impl Collection {
    /// Whether dropping it is worth another thread's time.
    pub(crate) fn is_heavy(&self) -> bool {
        self.elements() > 64
    }

    /// Elements, those of a stream with what its groups wait for.
    fn elements(&self) -> usize {
        match self {
            Collection::List(list) => list.len(),
            Collection::Hash(hash) => hash.len(),
            Collection::Set(set) => set.len(),
            Collection::SortedSet(zset) => zset.len(),
            Collection::Stream(stream) => {
                let pending = stream.groups().map(|group| group.pending_len());
                stream.len() as usize + pending.sum::<usize>()
            }
        }
    }

    /// Goes on with moving members to a table of another size, if it has begun.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if let Collection::Hash(hash) = self {
            hash.settle();
        }
    }
}

impl Entry {
    /// Whether its value takes long to drop, copy or write.
    pub(crate) fn is_heavy(self) -> bool {
        match self.kind() {
            Kind::Int | Kind::Embedded => false,
            Kind::Raw => true,
            // SAFETY: read under the partition's lock, no mutable reference lives.
            Kind::Collection => unsafe { self.collection() }.is_some_and(Collection::is_heavy),
        }
    }

    /// Elements of a collection. A string with a buffer of its own counts as one for every so many bytes.
    pub(crate) fn elements(self) -> usize {
        const BYTES_EACH: usize = 128;
        match (self.kind(), self.as_str()) {
            (Kind::Raw, Some(text)) => text.len() / BYTES_EACH,
            // SAFETY: read under the partition's lock, no mutable reference lives.
            _ => unsafe { self.collection() }.map_or(0, Collection::elements),
        }
    }

    pub(crate) fn view<'a>(self) -> ValueRef<'a> {
        match self.as_str() {
            Some(string) => ValueRef::Str(string),
            // SAFETY: read under the partition's lock, no mutable reference lives.
            None => match unsafe { self.collection() }.expect("not a string, so a collection") {
                Collection::List(list) => ValueRef::List(list),
                Collection::Hash(hash) => ValueRef::Hash(hash),
                Collection::Set(set) => ValueRef::Set(set),
                Collection::SortedSet(zset) => ValueRef::SortedSet(zset),
                Collection::Stream(stream) => ValueRef::Stream(stream),
            },
        }
    }

    /// Another entry of the same contents.
    pub(crate) fn copy(self) -> Entry {
        Entry::new(self.key(), self.clone_value().payload(), self.expire_ms(), self.stamp())
    }

    pub(crate) fn clone_value(self) -> Value {
        // SAFETY: read under the partition's lock, no mutable reference lives.
        match unsafe { self.collection() } {
            Some(Collection::List(list)) => Value::List(list.clone()),
            Some(Collection::Hash(hash)) => Value::Hash(hash.clone()),
            Some(Collection::Set(set)) => Value::Set(set.clone()),
            Some(Collection::SortedSet(zset)) => Value::SortedSet(zset.clone()),
            Some(Collection::Stream(stream)) => Value::Stream(stream.clone()),
            None => match (self.as_str().expect("a string"), self.kind()) {
                (Str::Int(value), _) => Value::Int(value),
                (Str::Bytes(bytes), Kind::Raw) => Value::Raw(bytes.to_vec()),
                (Str::Bytes(bytes), _) => Value::Bytes(bytes.to_vec()),
            },
        }
    }

    pub(crate) fn encoding(self) -> &'static str {
        /// Longest string that Redis keeps beside its object header.
        const EMBSTR_BYTES_MAX: usize = 44;
        // SAFETY: read under the partition's lock, no mutable reference lives.
        match unsafe { self.collection() } {
            Some(Collection::List(list)) => list.encoding(),
            Some(Collection::Hash(hash)) => hash.encoding(),
            Some(Collection::Set(set)) => set.encoding(),
            Some(Collection::SortedSet(zset)) => zset.encoding(),
            Some(Collection::Stream(_)) => "stream",
            None => match (self.as_str().expect("a string"), self.kind()) {
                (Str::Int(_), _) => "int",
                (Str::Bytes(bytes), Kind::Embedded) if bytes.len() <= EMBSTR_BYTES_MAX => "embstr",
                _ => "raw",
            },
        }
    }

    pub(crate) fn memory_usage(self) -> usize {
        // SAFETY: read under the partition's lock, no mutable reference lives.
        let beside = match unsafe { self.collection() } {
            Some(Collection::List(list)) => list.mem_usage(),
            Some(Collection::Hash(hash)) => hash.mem_usage(),
            Some(Collection::Set(set)) => set.mem_usage(),
            Some(Collection::SortedSet(zset)) => zset.mem_usage(),
            Some(Collection::Stream(stream)) => stream.mem_usage(),
            None if self.kind() == Kind::Raw => self.as_str().map_or(0, |s| s.len()),
            None => 0,
        };
        self.size() + beside
    }
}
