//! Values of every type and encoding, and a description that two equal values share.

#![allow(dead_code, reason = "each test uses a part")]

use redoubt_persistence::rdb::{KeyInfo, KeyRecord, Options, Reader, Record, Writer};
use redoubt_store::types::stream::Pending;
use redoubt_store::{EncodingLimits, Hash, List, Set, SortedSet, Stream, StreamId, Value, ValueRef};

pub(crate) fn limits() -> EncodingLimits {
    EncodingLimits::default()
}

/// What a value holds and how, as text.
pub(crate) fn describe(value: ValueRef<'_>) -> String {
    let text = |bytes: Vec<u8>| bytes.escape_ascii().to_string();
    match value {
        ValueRef::Str(string) => format!("{string:?}"),
        ValueRef::List(list) => {
            let elements: Vec<String> = list.iter().map(|value| text(value.to_vec())).collect();
            format!("{} {elements:?}", list.encoding())
        }
        ValueRef::Set(set) => {
            let mut members: Vec<String> = set.iter().map(|value| text(value.to_vec())).collect();
            members.sort();
            format!("{} {members:?}", set.encoding())
        }
        ValueRef::SortedSet(zset) => {
            let members: Vec<(String, f64)> =
                zset.iter().map(|(value, score)| (text(value.to_vec()), score)).collect();
            format!("{} {members:?}", zset.encoding())
        }
        ValueRef::Hash(hash) => {
            let mut fields: Vec<(String, String, Option<i64>)> = hash
                .timed_fields()
                .map(|(field, value, at)| (text(field.to_vec()), text(value.to_vec()), at))
                .collect();
            fields.sort();
            format!("{} {fields:?}", hash.encoding())
        }
        ValueRef::Stream(stream) => describe_stream(stream),
    }
}

fn describe_stream(stream: &Stream) -> String {
    let mut out = format!(
        "{} {:?} {:?} {} {} {:?}\n",
        stream.len(),
        stream.last_id(),
        stream.max_deleted_id(),
        stream.entries_added(),
        stream.blocks(),
        stream.first_id()
    );
    for entry in stream.iter() {
        let fields: Vec<_> =
            entry.fields.clone().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        out += &format!("{:?} {fields:?}\n", entry.id);
    }
    for group in stream.groups() {
        out += &format!("{:?} {:?} {:?}\n", group.name(), group.last_id(), group.entries_read());
        for (id, pending) in group.pending_from(StreamId::MIN) {
            let name = group.consumer(pending.consumer()).name();
            out += &format!("{id:?} {name:?} {} {}\n", pending.delivered_ms, pending.deliveries);
        }
        for consumer in group.consumers() {
            let pending: Vec<_> = consumer.pending_from(StreamId::MIN).collect();
            let times = (consumer.seen_ms, consumer.active_ms);
            out += &format!("{:?} {times:?} {pending:?}\n", consumer.name());
        }
    }
    out
}

pub(crate) fn list(elements: &[Vec<u8>]) -> Value {
    let mut list = List::new();
    elements.iter().for_each(|text| list.push_back(text, &limits()));
    Value::List(list)
}

pub(crate) fn set(members: &[Vec<u8>]) -> Value {
    let mut set = Set::new();
    for member in members {
        set.insert(member, &limits());
    }
    Value::Set(set)
}

pub(crate) fn zset(members: &[(Vec<u8>, f64)]) -> Value {
    let mut zset = SortedSet::new();
    for (member, score) in members {
        zset.insert(member, *score, &limits());
    }
    Value::SortedSet(zset)
}

pub(crate) fn hash(fields: &[(Vec<u8>, Vec<u8>, Option<i64>)]) -> Value {
    let mut hash = Hash::new();
    for (field, value, at) in fields {
        hash.insert(field, value, &limits());
        if at.is_some() {
            hash.set_expiry(field, *at);
        }
    }
    Value::Hash(hash)
}

/// Entries by the distance of their ids, with as many fields; each third is deleted again if told so.
pub(crate) fn stream(steps: &[(u64, u64, u8)], delete: bool, grouped: bool) -> Value {
    let mut stream = Stream::new();
    let (mut id, mut ids) = (StreamId::new(5, 5), Vec::new());
    for (at, (ms, seq, fields)) in steps.iter().enumerate() {
        id = match *ms {
            0 => StreamId::new(id.ms, id.seq + 1 + seq),
            ms => StreamId::new(id.ms + ms, *seq),
        };
        let pairs: Vec<Vec<u8>> = (0..=*fields % 4)
            .flat_map(|field| [format!("f{field}").into_bytes(), format!("{}", at * 1000).into_bytes()])
            .collect();
        let pairs: Vec<&[u8]> = pairs.iter().map(Vec::as_slice).collect();
        assert!(stream.add(id, &pairs, &limits()));
        ids.push(id);
    }
    if grouped {
        stream.create_group(b"g", StreamId::MIN, Some(0));
        stream.create_group(b"idle", StreamId::new(7, 0), None);
        let group = stream.group_mut(b"g").expect("just made");
        let (a, _) = group.create_consumer(b"a", 1000);
        let (b, _) = group.create_consumer(b"b", 2000);
        group.create_consumer(b"never", 3000);
        group.consumer_mut(a).active_ms = Some(1001);
        for (at, id) in ids.iter().enumerate() {
            let mut pending = Pending::new(4000 + at as i64);
            pending.deliveries = at as u64 + 1;
            group.assign(*id, if at % 2 == 0 { a } else { b }, pending);
        }
    }
    if delete {
        for id in ids.iter().step_by(3) {
            stream.delete(*id);
        }
    }
    Value::Stream(stream)
}

fn texts(count: usize, len: usize) -> Vec<Vec<u8>> {
    (0..count).map(|at| format!("{at:0len$}x").into_bytes()).collect()
}

/// A value of every type in every encoding.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    let ints =
        |count: i64, by: i64| (0..count).map(|at| (at * by).to_string().into_bytes()).collect::<Vec<_>>();
    let at = |at: usize| (!at.is_multiple_of(3)).then_some(4_000_000_000_000 + 10 * at as i64);
    let fields = |count, timed: bool| {
        let names: Vec<Vec<u8>> = texts(count, 3);
        let pair = |(n, name): (usize, Vec<u8>)| (name, n.to_string().into_bytes(), at(n).filter(|_| timed));
        names.into_iter().enumerate().map(pair).collect::<Vec<_>>()
    };
    let scores = [0.0, -1.5, f64::INFINITY, f64::NEG_INFINITY, 1e300, 3.0, 1e-300, 17.25, 1e17, 123_456.789];
    let scored = |count| {
        let members: Vec<Vec<u8>> = texts(count, 2);
        members.into_iter().enumerate().map(|(n, name)| (name, scores[n % 10])).collect::<Vec<_>>()
    };
    let steps: Vec<(u64, u64, u8)> = (0..350).map(|n| (n % 5, n * 7 % 11, (n / 20) as u8)).collect();
    vec![
        ("int8", Value::Int(-7)),
        ("int16", Value::Int(-30_000)),
        ("int32", Value::Int(2_000_000_000)),
        ("int64", Value::Int(i64::MIN)),
        ("empty", Value::Bytes(Vec::new())),
        ("short", Value::Bytes(b"text".to_vec())),
        ("likeint", Value::Bytes(b"007".to_vec())),
        ("zip", Value::Bytes(b"abcdefg".repeat(3000))),
        ("raw", Value::Bytes((0..70_000u32).map(|n| (n.wrapping_mul(0x9E37_79B1) >> 24) as u8).collect())),
        ("list", list(&texts(10, 3))),
        ("longlist", list(&texts(3000, 9))),
        ("wide", list(&[vec![b'w'; 20_000], b"1".to_vec(), vec![b'v'; 16_378]])),
        ("ints16", set(&ints(10, -3))),
        ("ints32", set(&ints(10, 70_000))),
        ("ints64", set(&ints(10, 7_000_000_000_000))),
        ("set", set(&texts(20, 4))),
        ("bigset", set(&texts(400, 4))),
        ("zset", zset(&scored(10))),
        ("bigzset", zset(&scored(300))),
        ("hash", hash(&fields(10, false))),
        ("bighash", hash(&fields(300, false))),
        ("timed", hash(&fields(10, true))),
        ("bigtimed", hash(&fields(300, true))),
        ("stream", stream(&steps, false, false)),
        ("gaps", stream(&steps, true, true)),
        ("nostream", Value::Stream(Stream::new())),
    ]
}

/// A file of these values, each with another expiry, idle time or frequency.
pub(crate) fn file(values: &[(&str, Value)], options: Options) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), options).expect("begins");
    writer.aux(b"redis-ver", b"7.2.0").expect("aux");
    writer.function(b"#!lua name=lib\nsomething").expect("function");
    writer.select(3).expect("select");
    writer.resize(values.len() as u64, 1).expect("resize");
    for (at, (key, value)) in values.iter().enumerate() {
        writer.key(key.as_bytes(), value.as_ref(), info(at)).expect("key");
    }
    writer.finish().expect("finish")
}

pub(crate) fn info(at: usize) -> KeyInfo {
    KeyInfo {
        expire_ms: (at % 4 == 1).then_some(5_000_000_000_000 + at as i64),
        idle_s: (at % 4 == 2).then_some(at as u64 * 1000),
        frequency: (at % 4 == 3).then_some(at as u8),
    }
}

/// Files of every type; smaller ones, so that damage is spread over all of it.
pub(crate) fn files() -> Vec<Vec<u8>> {
    let options = |version, compress| Options { version, compress, checksum: true };
    let mut small = all();
    small.retain(|(key, _)| !matches!(*key, "raw" | "zip" | "wide" | "longlist"));
    vec![file(&small, options(12, true)), file(&small, options(10, false)), file(&all(), options(11, true))]
}

/// The keys of a file.
pub(crate) fn keys(file: &[u8]) -> Vec<KeyRecord> {
    let reader = Reader::new(file, limits()).expect("begins");
    reader
        .filter_map(|record| match record.expect("right") {
            Record::Key(key) => Some(*key),
            _ => None,
        })
        .collect()
}
