//! Keys as the commands that make them: the base of an append-only file that is no snapshot.

use crate::rdb::score_text;
use redoubt_store::packed::PackedValue;
use redoubt_store::types::stream::Group;
use redoubt_store::{Hash, Set, SortedSet, Stream, StreamId, ValueRef};

/// Elements that one command adds: none must keep its server busy for long.
const ELEMENTS_MAX: usize = 64;

/// Selects a database.
pub fn write_select(out: &mut Vec<u8>, db: usize) {
    Call::new(out, 2).word(b"SELECT").number(db as i64);
}

/// Writes the commands that make this key.
pub fn write_key(out: &mut Vec<u8>, key: &[u8], value: ValueRef<'_>, expire_ms: Option<i64>) {
    match value {
        ValueRef::Str(text) => {
            Call::new(out, 3).word(b"SET").word(key).word(text.as_bytes(&mut itoa::Buffer::new()));
        }
        ValueRef::List(list) => each(out, b"RPUSH", key, 1, list.len(), list.iter(), |call, value| {
            call.value(value);
        }),
        ValueRef::Set(set) => write_set(out, key, set),
        ValueRef::SortedSet(zset) => write_zset(out, key, zset),
        ValueRef::Hash(hash) => write_hash(out, key, hash),
        ValueRef::Stream(stream) => write_stream(out, key, stream),
    }
    if let Some(at) = expire_ms {
        Call::new(out, 3).word(b"PEXPIREAT").word(key).number(at);
    }
}

/// A command being written.
struct Call<'o>(&'o mut Vec<u8>);

impl<'o> Call<'o> {
    fn new(out: &'o mut Vec<u8>, words: usize) -> Call<'o> {
        head(out, b'*', words);
        Call(out)
    }

    fn word(&mut self, word: &[u8]) -> &mut Self {
        head(self.0, b'$', word.len());
        self.0.extend_from_slice(word);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    fn value(&mut self, value: PackedValue<'_>) -> &mut Self {
        self.word(value.as_bytes(&mut itoa::Buffer::new()))
    }

    fn number(&mut self, number: i64) -> &mut Self {
        self.word(itoa::Buffer::new().format(number).as_bytes())
    }

    fn count(&mut self, number: u64) -> &mut Self {
        self.word(itoa::Buffer::new().format(number).as_bytes())
    }

    fn id(&mut self, id: StreamId) -> &mut Self {
        self.word(format!("{}-{}", id.ms, id.seq).as_bytes())
    }
}

fn head(out: &mut Vec<u8>, mark: u8, number: usize) {
    out.push(mark);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Adds `len` elements of `words` words each, by as many commands as that takes.
fn each<T>(
    out: &mut Vec<u8>,
    name: &[u8],
    key: &[u8],
    words: usize,
    len: usize,
    elements: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Call<'_>, T),
) {
    for (at, element) in elements.enumerate() {
        if at % ELEMENTS_MAX == 0 {
            let count = (len - at).min(ELEMENTS_MAX);
            Call::new(out, 2 + count * words).word(name).word(key);
        }
        write(&mut Call(out), element);
    }
}

fn write_set(out: &mut Vec<u8>, key: &[u8], set: &Set) {
    each(out, b"SADD", key, 1, set.len(), set.iter(), |call, value| {
        call.value(value);
    });
}

fn write_zset(out: &mut Vec<u8>, key: &[u8], zset: &SortedSet) {
    each(out, b"ZADD", key, 2, zset.len(), zset.iter(), |call, (value, score)| {
        call.word(score_text(score).as_bytes()).value(value);
    });
}

fn write_hash(out: &mut Vec<u8>, key: &[u8], hash: &Hash) {
    each(out, b"HSET", key, 2, hash.len(), hash.timed_fields(), |call, (field, value, _)| {
        call.value(field).value(value);
    });
    for (field, _, at) in hash.timed_fields() {
        if let Some(at) = at {
            let mut call = Call::new(out, 6);
            call.word(b"HPEXPIREAT").word(key).number(at).word(b"FIELDS").number(1).value(field);
        }
    }
}

fn write_stream(out: &mut Vec<u8>, key: &[u8], stream: &Stream) {
    for entry in stream.iter() {
        let mut call = Call::new(out, 3 + 2 * entry.fields.len());
        call.word(b"XADD").word(key).id(entry.id);
        entry.fields.for_each(|(name, value)| {
            call.value(name).value(value);
        });
    }
    if stream.is_empty() {
        // An entry that is trimmed at once leaves an empty stream.
        let mut call = Call::new(out, 7);
        call.word(b"XADD").word(key).word(b"MAXLEN").number(0).id(StreamId::new(0, 1)).word(b"x").word(b"y");
    }
    Call::new(out, 7)
        .word(b"XSETID")
        .word(key)
        .id(stream.last_id())
        .word(b"ENTRIESADDED")
        .count(stream.entries_added())
        .word(b"MAXDELETEDID")
        .id(stream.max_deleted_id());
    stream.groups().for_each(|group| write_group(out, key, group));
}

fn write_group(out: &mut Vec<u8>, key: &[u8], group: &Group) {
    let mut call = Call::new(out, 7);
    call.word(b"XGROUP").word(b"CREATE").word(key).word(group.name()).id(group.last_id());
    call.word(b"ENTRIESREAD");
    match group.entries_read() {
        Some(count) => call.count(count),
        None => call.number(-1),
    };
    for consumer in group.consumers() {
        let mut call = Call::new(out, 5);
        call.word(b"XGROUP").word(b"CREATECONSUMER").word(key).word(group.name()).word(consumer.name());
    }
    for (id, pending) in group.pending_from(StreamId::MIN) {
        let consumer = group.consumer(pending.consumer()).name();
        let mut call = Call::new(out, 12);
        call.word(b"XCLAIM").word(key).word(group.name()).word(consumer).number(0).id(id);
        call.word(b"TIME").number(pending.delivered_ms).word(b"RETRYCOUNT").count(pending.deliveries);
        call.word(b"JUSTID").word(b"FORCE");
    }
}
