//! Keyspace events. <https://redis.io/docs/latest/develop/use/keyspace-notifications/>

/// Class of an event, as the letters of `notify-keyspace-events` name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `g`: DEL, EXPIRE, RENAME...
    Generic,
    /// `$`
    String,
    /// `l`
    List,
    /// `s`
    Set,
    /// `h`
    Hash,
    /// `z`
    SortedSet,
    /// `x`
    Expired,
    /// `e`
    Evicted,
    /// `t`
    Stream,
    /// `m`
    KeyMiss,
    /// `n`
    New,
}

/// Something that happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Database.
    pub db: usize,
    /// Class.
    pub class: Class,
    /// Name ("lpush").
    pub name: &'static str,
    /// Key.
    pub key: Box<[u8]>,
}
