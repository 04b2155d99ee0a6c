//! Values taken out of the keyspace and not dropped yet, so that dropping can happen elsewhere.

use crate::table::Detached;
use crate::value::Value;

/// See the module's text.
pub enum Garbage {
    /// One value.
    Value(Value),
    /// The tables of a flushed database.
    Tables(FlushedTables),
}

impl Garbage {
    /// Bytes on the heap, of a value; tables of a whole database are not measured.
    pub fn memory(&self) -> usize {
        match self {
            Garbage::Value(Value::List(list)) => list.mem_usage(),
            Garbage::Value(Value::Hash(hash)) => hash.mem_usage(),
            Garbage::Value(Value::Set(set)) => set.mem_usage(),
            Garbage::Value(Value::SortedSet(set)) => set.mem_usage(),
            Garbage::Value(Value::Stream(stream)) => stream.mem_usage(),
            Garbage::Value(_) | Garbage::Tables(_) => 0,
        }
    }

    /// Keys it is made of.
    pub fn objects(&self) -> u64 {
        match self {
            Garbage::Value(_) => 1,
            Garbage::Tables(tables) => tables.keys as u64,
        }
    }
}

/// Tables of a flushed database.
pub struct FlushedTables {
    /// Keys in them.
    pub(crate) keys: usize,
    #[expect(dead_code, reason = "held to be dropped")]
    pub(crate) tables: Vec<Detached>,
}

/// Which removals leave a large value to `Txn::garbage` instead of dropping it at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lazy {
    /// Those of expired keys (`lazyfree-lazy-expire`).
    pub expire: bool,
    /// Evictions (`lazyfree-lazy-eviction`).
    pub evict: bool,
    /// Values that others take the place of (`lazyfree-lazy-server-del`).
    pub overwrite: bool,
}

impl Lazy {
    /// The command that tells others of a removal, so that they take it as lightly.
    pub fn removal(lazy: bool) -> &'static [u8] {
        if lazy { b"UNLINK" } else { b"DEL" }
    }
}
