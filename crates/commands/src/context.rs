//! What a handler may see: the transaction over its keys, the time, the settings, a source of randomness.

use crate::error::CommandError;
use redoubt_store::{Hash, Key, List, Set, SortedSet, Str, StrMut, Stream, Txn, ValueRef};

/// Settings that change how data commands behave. Copied out of the configuration when it changes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `proto-max-bulk-len`, bytes: no string grows beyond it.
    pub bulk_len_max: usize,
    /// `hash-max-listpack-entries`, `hash-max-listpack-value` and their kin.
    pub encoding: redoubt_store::EncodingLimits,
    /// `hll-sparse-max-bytes`.
    pub hll_sparse_bytes_max: usize,
    /// `lazyfree-lazy-user-del`: DEL behaves like UNLINK.
    pub lazy_user_del: bool,
    /// `lazyfree-lazy-user-flush`.
    pub lazy_user_flush: bool,
    /// `maxmemory-policy` is an LFU policy: OBJECT FREQ answers, OBJECT IDLETIME does not.
    pub lfu: bool,
    /// Hard limit of `client-output-buffer-limit normal`, bytes; 0 = none. A reply that outgrows it ends the connection,
    /// so there is no use in finishing it.
    pub reply_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            bulk_len_max: 512 * 1024 * 1024,
            encoding: redoubt_store::EncodingLimits::default(),
            hll_sparse_bytes_max: 3000,
            lazy_user_del: false,
            lazy_user_flush: false,
            lfu: false,
            reply_bytes_max: 0,
        }
    }
}

/// When a parked call gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Never.
    Forever,
    /// At this Unix time in milliseconds.
    At(i64),
}

/// How a call is to be parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Park {
    /// When it gives up.
    pub deadline: Deadline,
    /// What runs later instead of the call as it came, where some of its words meant "as of now".
    pub words: Option<Vec<Box<[u8]>>>,
    /// Runs again, to answer an error, also when a stream it names goes away.
    pub needs_keys: bool,
}

/// Everything a handler works with. Lives for one call.
pub struct Context<'t> {
    /// The open transaction. It holds the partitions of every key the row's key specs name.
    pub txn: Txn<'t>,
    /// Encoding thresholds and limits.
    pub settings: &'t Settings,
    /// Randomness of this worker (SRANDMEMBER, SPOP...).
    pub rng: &'t mut fastrand::Rng,
    /// False inside MULTI and scripts: a blocking command then answers as if its timeout had passed.
    pub may_block: bool,
    /// Set by `block`: park the call until a key of it changes.
    pub parked: Option<Park>,
}

impl Context<'_> {
    /// Unix time in milliseconds, the same for the whole call.
    pub fn now_ms(&self) -> i64 {
        self.txn.now_ms()
    }

    /// Unix ms by which expiries are judged. Whoever asks whether something has expired asks by this time; not the same
    /// as `now_ms` where a file or a primary's stream is applied.
    #[inline]
    pub fn judged_ms(&self) -> i64 {
        self.txn.judged_ms()
    }

    /// Hash and slot of a key.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.txn.key(bytes)
    }

    /// Parks the call: nothing was written to the reply; the handler runs again when one of its keys is signalled,
    /// and the client gets the row's timeout reply at `deadline`.
    pub fn block(&mut self, deadline: Deadline) {
        self.parked = Some(Park { deadline, words: None, needs_keys: false });
    }

    /// As `block`, with `words` to run later instead of the call as it came. With `needs_keys` the handler runs again
    /// also when a stream it names goes away.
    pub fn block_as(&mut self, deadline: Deadline, words: Option<Vec<Box<[u8]>>>, needs_keys: bool) {
        self.parked = Some(Park { deadline, words, needs_keys });
    }

    /// The string at `key`, or wrong type. Counts as a read access.
    #[inline]
    pub fn string(&mut self, key: &Key<'_>) -> Result<Option<Str<'_>>, CommandError> {
        match self.txn.get(key) {
            None => Ok(None),
            Some(ValueRef::Str(string)) => Ok(Some(string)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The string at `key` for change, or wrong type.
    pub fn string_mut(&mut self, key: &Key<'_>) -> Result<Option<StrMut<'_>>, CommandError> {
        match self.txn.get_mut(key) {
            None => Ok(None),
            Some(value) => value.into_str().map(Some).ok_or(CommandError::WrongType),
        }
    }
}

/// Typed access for one collection type: read, change, create, and a view that can be held beside others.
macro_rules! typed {
    ($type:ident, $variant:ident, $read:ident, $change:ident, $create:ident, $view:ident) => {
        impl Context<'_> {
            /// The value at the key for reading, or wrong type. Counts as a read access.
            pub fn $read(&mut self, key: &Key<'_>) -> Result<Option<&$type>, CommandError> {
                match self.txn.get(key) {
                    None => Ok(None),
                    Some(ValueRef::$variant(value)) => Ok(Some(value)),
                    Some(_) => Err(CommandError::WrongType),
                }
            }
            /// The value at the key for change, or wrong type. Call `changed` afterwards if it did.
            pub fn $change(&mut self, key: &Key<'_>) -> Result<Option<&mut $type>, CommandError> {
                match self.txn.get_mut(key) {
                    None => Ok(None),
                    Some(redoubt_store::ValueMut::$variant(value)) => Ok(Some(value)),
                    Some(_) => Err(CommandError::WrongType),
                }
            }
            /// The value at the key, created empty if missing, or wrong type. The caller must fill it.
            pub fn $create(&mut self, key: &Key<'_>) -> Result<&mut $type, CommandError> {
                match self.txn.get_or_insert(key, || redoubt_store::Value::$variant($type::new())) {
                    redoubt_store::ValueMut::$variant(value) => Ok(value),
                    _ => Err(CommandError::WrongType),
                }
            }
            /// The value at a key already looked up in this call (expiry done, access counted): borrows the context
            /// shared, so that several can be held at once.
            pub fn $view(&self, key: &Key<'_>) -> Result<Option<&$type>, CommandError> {
                match self.txn.view(key) {
                    None => Ok(None),
                    Some(ValueRef::$variant(value)) => Ok(Some(value)),
                    Some(_) => Err(CommandError::WrongType),
                }
            }
        }
    };
}

typed!(List, List, list, list_mut, list_or_create, list_view);
typed!(Hash, Hash, hash, hash_mut, hash_or_create, hash_view);
typed!(Set, Set, set, set_mut, set_or_create, set_view);
typed!(SortedSet, SortedSet, sorted_set, sorted_set_mut, sorted_set_or_create, sorted_set_view);
typed!(Stream, Stream, stream, stream_mut, stream_or_create, stream_view);
