//! Keys as the commands that make them: the base of an append-only file that is no snapshot.

use crate::place::{BYTES, ELEMENTS, PartPlace, StreamPlace};
use crate::rdb::score_text;
use redoubt_store::packed::PackedValue;
use redoubt_store::types::stream::{Group, Pending};
use redoubt_store::{Hash, List, SortedSet, Stream, StreamId, ValueRef};

/// Elements that one command adds: none must keep its server busy for long.
const ELEMENTS_MAX: usize = 64;
/// Bytes of a long string that are copied at once.
const TEXT_AT_ONCE: usize = 256 * 1024;

/// Selects a database.
pub fn write_select(out: &mut Vec<u8>, db: usize) {
    Call::new(out, 2).word(b"SELECT").number(db as i64);
}

/// Writes the commands that make this key.
pub fn write_key(out: &mut Vec<u8>, key: &[u8], value: ValueRef<'_>, expire_ms: Option<i64>) {
    let mut place = PartPlace::default();
    while write_key_part(out, key, value, expire_ms, &mut place) {}
}

/// Writes the part of them that begins at `place`, and moves that on. Returns whether there is more. The value must be the
/// same from the first part to the last, and nothing else may be written between two. A part is some 64 KB, but not less
/// than an element.
pub fn write_key_part(
    out: &mut Vec<u8>,
    key: &[u8],
    value: ValueRef<'_>,
    expire_ms: Option<i64>,
    place: &mut PartPlace,
) -> bool {
    let end = out.len() + BYTES as usize;
    let more = match value {
        ValueRef::Str(text) => {
            let mut buffer = itoa::Buffer::new();
            write_text(out, key, text.as_bytes(&mut buffer), place)
        }
        ValueRef::List(list) => write_list(out, key, list, place, end),
        ValueRef::Set(set) => {
            let mut batch = Batch::new(b"SADD", key, 1);
            let mut cursor = place.at;
            loop {
                cursor = set.scan(cursor, ELEMENTS_MAX, |member| {
                    batch.add(out, |call| {
                        call.value(member);
                    })
                });
                if cursor == 0 || out.len() >= end {
                    break;
                }
            }
            batch.end(out);
            place.go(cursor)
        }
        ValueRef::SortedSet(zset) => write_zset(out, key, zset, place, end),
        ValueRef::Hash(hash) => write_hash(out, key, hash, place, end),
        ValueRef::Stream(stream) => write_stream(out, key, stream, place, end),
    };
    if let Some(at) = expire_ms.filter(|_| !more) {
        Call::new(out, 3).word(b"PEXPIREAT").word(key).number(at);
    }
    more
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

/// Elements of a key, added by as few commands as may be.
struct Batch<'k> {
    name: &'k [u8],
    key: &'k [u8],
    /// Words of an element.
    words: usize,
    count: usize,
    gathered: Vec<u8>,
}

impl<'k> Batch<'k> {
    fn new(name: &'k [u8], key: &'k [u8], words: usize) -> Batch<'k> {
        Batch { name, key, words, count: 0, gathered: Vec::new() }
    }

    /// Adds an element, which `write` has the words of.
    fn add(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Call<'_>)) {
        write(&mut Call(&mut self.gathered));
        self.count += 1;
        if self.count == ELEMENTS_MAX {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            Call::new(out, 2 + self.count * self.words).word(self.name).word(self.key);
            out.append(&mut self.gathered);
            self.count = 0;
        }
    }
}

/// One command, however long: its end comes with the last part.
fn write_text(out: &mut Vec<u8>, key: &[u8], text: &[u8], place: &mut PartPlace) -> bool {
    let from = place.at as usize;
    if !std::mem::replace(&mut place.begun, true) {
        Call::new(out, 3).word(b"SET").word(key);
        head(out, b'$', text.len());
    }
    let upto = text.len().min(from + TEXT_AT_ONCE);
    out.extend_from_slice(&text[from..upto]);
    place.at = upto as u64;
    if upto == text.len() {
        out.extend_from_slice(b"\r\n");
    }
    upto < text.len()
}

fn write_list(out: &mut Vec<u8>, key: &[u8], list: &List, place: &mut PartPlace, end: usize) -> bool {
    let mut batch = Batch::new(b"RPUSH", key, 1);
    let mut nodes = list.nodes().skip(place.at as usize);
    for node in nodes.by_ref() {
        node.iter().for_each(|value| {
            batch.add(out, |call| {
                call.value(value);
            })
        });
        place.at += 1;
        if out.len() >= end {
            break;
        }
    }
    batch.end(out);
    nodes.next().is_some()
}

fn write_zset(out: &mut Vec<u8>, key: &[u8], zset: &SortedSet, place: &mut PartPlace, end: usize) -> bool {
    let mut batch = Batch::new(b"ZADD", key, 2);
    let from = place.at as usize;
    for (member, score) in zset.range(from..zset.len().min(from + ELEMENTS), false) {
        batch.add(out, |call| {
            call.word(score_text(score).as_bytes()).value(member);
        });
        place.at += 1;
        if out.len() >= end {
            break;
        }
    }
    batch.end(out);
    (place.at as usize) < zset.len()
}

fn write_hash(out: &mut Vec<u8>, key: &[u8], hash: &Hash, place: &mut PartPlace, end: usize) -> bool {
    let mut batch = Batch::new(b"HSET", key, 2);
    // Fields must be there before they can expire.
    let (mut expiries, mut cursor) = (Vec::new(), place.at);
    loop {
        cursor = hash.scan_timed(cursor, |field, value, expiry| {
            batch.add(out, |call| {
                call.value(field).value(value);
            });
            if let Some(at) = expiry {
                let mut call = Call::new(&mut expiries, 6);
                call.word(b"HPEXPIREAT").word(key).number(at).word(b"FIELDS").number(1).value(field);
            }
        });
        if cursor == 0 || out.len() >= end {
            break;
        }
    }
    batch.end(out);
    out.append(&mut expiries);
    place.go(cursor)
}

fn write_stream(out: &mut Vec<u8>, key: &[u8], stream: &Stream, place: &mut PartPlace, end: usize) -> bool {
    let nth = |at: usize| stream.groups().nth(at).expect("the stream does not change meanwhile");
    while out.len() < end {
        place.stream = match place.stream {
            StreamPlace::Entries(from) => write_entries(out, key, stream, from),
            StreamPlace::Summary => {
                write_summary(out, key, stream);
                StreamPlace::Group(0)
            }
            StreamPlace::Group(at) if at == stream.groups().len() => StreamPlace::End,
            StreamPlace::Group(at) => {
                write_group(out, key, nth(at));
                StreamPlace::Consumer(at, 0)
            }
            StreamPlace::Consumer(at, number) => {
                let mut consumers = nth(at).consumers().skip(number);
                for consumer in consumers.by_ref().take(ELEMENTS) {
                    let mut call = Call::new(out, 5);
                    call.word(b"XGROUP").word(b"CREATECONSUMER").word(key);
                    call.word(nth(at).name()).word(consumer.name());
                }
                match consumers.next() {
                    Some(_) => StreamPlace::Consumer(at, number + ELEMENTS),
                    None => StreamPlace::Pending(at, StreamId::MIN),
                }
            }
            StreamPlace::Pending(at, from) => {
                let mut pending = nth(at).pending_from(from);
                pending.by_ref().take(ELEMENTS_MAX).for_each(|one| write_pending(out, key, nth(at), one));
                match pending.next() {
                    Some((next, _)) => StreamPlace::Pending(at, next),
                    None => StreamPlace::Group(at + 1),
                }
            }
            StreamPlace::Owned(..) | StreamPlace::End => return false,
        };
    }
    true
}

fn write_entries(out: &mut Vec<u8>, key: &[u8], stream: &Stream, from: StreamId) -> StreamPlace {
    let mut entries = stream.range(from, StreamId::MAX);
    for entry in entries.by_ref().take(ELEMENTS_MAX) {
        let mut call = Call::new(out, 3 + 2 * entry.fields.len());
        call.word(b"XADD").word(key).id(entry.id);
        entry.fields.for_each(|(name, value)| {
            call.value(name).value(value);
        });
    }
    entries.next().map_or(StreamPlace::Summary, |entry| StreamPlace::Entries(entry.id))
}

fn write_summary(out: &mut Vec<u8>, key: &[u8], stream: &Stream) {
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
}

fn write_pending(out: &mut Vec<u8>, key: &[u8], group: &Group, (id, pending): (StreamId, &Pending)) {
    let consumer = group.consumer(pending.consumer()).name();
    let mut call = Call::new(out, 12);
    call.word(b"XCLAIM").word(key).word(group.name()).word(consumer).number(0).id(id);
    call.word(b"TIME").number(pending.delivered_ms).word(b"RETRYCOUNT").count(pending.deliveries);
    call.word(b"JUSTID").word(b"FORCE");
}

fn write_group(out: &mut Vec<u8>, key: &[u8], group: &Group) {
    let mut call = Call::new(out, 7);
    call.word(b"XGROUP").word(b"CREATE").word(key).word(group.name()).id(group.last_id());
    call.word(b"ENTRIESREAD");
    match group.entries_read() {
        Some(count) => call.count(count),
        None => call.number(-1),
    };
}
