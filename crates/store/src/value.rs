//! Values as the rest of the server sees them: owned, borrowed for reading, borrowed for change.

use crate::entry::{Collection, EMBED_BYTES_MAX, Entry, Payload, Str};
use crate::table::Place;
use crate::types::{hash::Hash, list::List, set::Set, sorted_set::SortedSet, stream::Stream};
use std::marker::PhantomData;

/// A value outside the keyspace.
#[derive(Clone, Debug)]
pub enum Value {
    /// An integer string.
    Int(i64),
    /// A string.
    Bytes(Vec<u8>),
    /// A string that was changed in place (OBJECT ENCODING says raw whatever its length).
    Raw(Vec<u8>),
    /// A list.
    List(List),
    /// A hash.
    Hash(Hash),
    /// A set.
    Set(Set),
    /// A sorted set.
    SortedSet(SortedSet),
    /// A stream.
    Stream(Stream),
}

/// A value for reading.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the types of values")]
pub enum ValueRef<'a> {
    Str(Str<'a>),
    List(&'a List),
    Hash(&'a Hash),
    Set(&'a Set),
    SortedSet(&'a SortedSet),
    Stream(&'a Stream),
}

/// A value for change.
#[expect(missing_docs, reason = "the types of values")]
pub enum ValueMut<'a> {
    Str(StrMut<'a>),
    List(&'a mut List),
    Hash(&'a mut Hash),
    Set(&'a mut Set),
    SortedSet(&'a mut SortedSet),
    Stream(&'a mut Stream),
}

impl<'a> ValueMut<'a> {
    /// The string, if it is one.
    pub fn into_str(self) -> Option<StrMut<'a>> {
        match self {
            ValueMut::Str(string) => Some(string),
            _ => None,
        }
    }
}

impl ValueRef<'_> {
    /// Name that TYPE answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            ValueRef::Str(_) => "string",
            ValueRef::List(_) => "list",
            ValueRef::Hash(_) => "hash",
            ValueRef::Set(_) => "set",
            ValueRef::SortedSet(_) => "zset",
            ValueRef::Stream(_) => "stream",
        }
    }
}

impl Value {
    /// The value for reading.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Int(value) => ValueRef::Str(Str::Int(*value)),
            Value::Bytes(bytes) | Value::Raw(bytes) => ValueRef::Str(Str::Bytes(bytes)),
            Value::List(list) => ValueRef::List(list),
            Value::Hash(hash) => ValueRef::Hash(hash),
            Value::Set(set) => ValueRef::Set(set),
            Value::SortedSet(zset) => ValueRef::SortedSet(zset),
            Value::Stream(stream) => ValueRef::Stream(stream),
        }
    }

    pub(crate) fn payload(&mut self) -> Payload<'_> {
        match self {
            Value::Int(value) => Payload::Int(*value),
            Value::Raw(bytes) => Payload::Raw(std::mem::take(bytes)),
            Value::Bytes(bytes) => match bytes.len() {
                0..=EMBED_BYTES_MAX => Payload::Embedded(bytes),
                _ => Payload::Raw(std::mem::take(bytes)),
            },
            Value::List(list) => Payload::Collection(Collection::List(std::mem::take(list))),
            Value::Hash(hash) => Payload::Collection(Collection::Hash(std::mem::take(hash))),
            Value::Set(set) => Payload::Collection(Collection::Set(std::mem::take(set))),
            Value::SortedSet(zset) => Payload::Collection(Collection::SortedSet(std::mem::take(zset))),
            Value::Stream(stream) => Payload::Collection(Collection::Stream(std::mem::take(stream))),
        }
    }

    pub(crate) fn from_payload(payload: Payload<'_>) -> Value {
        match payload {
            Payload::Int(value) => Value::Int(value),
            Payload::Embedded(bytes) => Value::Bytes(bytes.to_vec()),
            Payload::Raw(bytes) => Value::Raw(bytes),
            Payload::Collection(Collection::List(list)) => Value::List(list),
            Payload::Collection(Collection::Hash(hash)) => Value::Hash(hash),
            Payload::Collection(Collection::Set(set)) => Value::Set(set),
            Payload::Collection(Collection::SortedSet(zset)) => Value::SortedSet(zset),
            Payload::Collection(Collection::Stream(stream)) => Value::Stream(stream),
        }
    }
}

/// A string being changed where it is.
pub struct StrMut<'a> {
    place: Place,
    /// Borrows the transaction: while it lives, nothing else can move or free the entry.
    borrow: PhantomData<&'a mut ()>,
}

#[allow(unsafe_code)]
impl StrMut<'_> {
    /// The caller has checked that the entry at `place` is a string.
    pub(crate) fn new(place: Place) -> Self {
        StrMut { place, borrow: PhantomData }
    }

    /// The string as it is.
    pub fn get(&self) -> Str<'_> {
        self.place.entry().as_str().expect("only strings are wrapped")
    }

    /// Makes it the integer `value`.
    #[inline]
    pub fn set_int(&mut self, value: i64) {
        if !self.place.entry().overwrite_int(value) {
            self.replace(Payload::Int(value));
        }
    }

    /// Makes it `bytes`, stored as an integer when they are one.
    pub fn set_bytes(&mut self, bytes: &[u8]) {
        match crate::number::parse_i64(bytes) {
            Some(value) => self.set_int(value),
            None if bytes.len() > EMBED_BYTES_MAX => self.replace(Payload::Raw(bytes.to_vec())),
            None if self.place.entry().overwrite_embedded(bytes) => {}
            None => self.replace(Payload::Embedded(bytes)),
        }
    }

    /// The text as a buffer that may grow. OBJECT ENCODING says raw from then on.
    pub fn make_raw(&mut self) -> &mut Vec<u8> {
        // SAFETY: `borrow` makes this the only reference into the entry.
        if unsafe { self.place.entry().raw_mut() }.is_none() {
            let text = self.get().to_vec();
            self.replace(Payload::Raw(text));
        }
        // SAFETY: as above.
        unsafe { self.place.entry().raw_mut() }.expect("made raw above")
    }

    fn replace(&mut self, payload: Payload<'_>) {
        let old = self.place.entry();
        let new = Entry::new(old.key(), payload, old.expire_ms(), old.stamp());
        let old = self.place.replace(new);
        // SAFETY: `old` is out of the table, and no reference into it lives.
        unsafe { old.free() };
    }
}
