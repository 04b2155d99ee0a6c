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

impl Class {
    /// All classes and their letters.
    pub const LETTERS: [(char, Class); 11] = [
        ('g', Class::Generic),
        ('$', Class::String),
        ('l', Class::List),
        ('s', Class::Set),
        ('h', Class::Hash),
        ('z', Class::SortedSet),
        ('x', Class::Expired),
        ('e', Class::Evicted),
        ('t', Class::Stream),
        ('m', Class::KeyMiss),
        ('n', Class::New),
    ];

    /// The class as a set of one, for `Keyspace::set_events`.
    #[inline]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
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
