//! What is written is read again, in every version.

mod common;

use common::{all, describe, file, hash, info, keys, limits, list, set, stream, zset};
use proptest::prelude::*;
use redoubt_persistence::rdb::{Options, Reader, Record, Trailer, Writer, dump, restore, write_select};
use redoubt_persistence::{ErrorKind, PartPlace};
use redoubt_store::{Stream, StreamId, Value};

fn options() -> impl Iterator<Item = Options> {
    (10..=12)
        .flat_map(|version| [true, false].map(|compress| Options { version, compress, checksum: compress }))
}

#[test]
fn every_type_in_every_version() {
    let values = all();
    for options in options() {
        let file = file(&values, options);
        let read = keys(&file);
        assert_eq!(read.len(), values.len());
        for (at, (record, (key, value))) in read.iter().zip(&values).enumerate() {
            assert_eq!(record.key, key.as_bytes());
            assert_eq!(record.db, 3);
            let info = info(at);
            let known = (record.expire_ms, record.idle_s, record.frequency);
            assert_eq!(known, (info.expire_ms, info.idle_s, info.frequency));
            let lossy = options.version < 12 && key.ends_with("timed");
            // Before version 11 nobody knows when a consumer was active.
            let lossy = lossy || options.version < 11 && *key == "gaps";
            if !lossy {
                assert_eq!(describe(record.value.as_ref()), describe(value.as_ref()), "{key} {options:?}");
            }
        }
    }
}

#[test]
fn records_come_in_order() {
    let file = file(&[], Options::default());
    let mut reader = Reader::new(&file[..], limits()).expect("begins");
    assert_eq!(reader.version(), 11);
    let mut next = || format!("{:?}", reader.next().expect("more").expect("right"));
    assert!(next().starts_with("Aux"));
    assert!(next().starts_with("Function"));
    assert_eq!(next(), "Select(3)");
    assert_eq!(next(), "Resize { keys: 0, expires: 1 }");
    assert_eq!(next(), "End");
    assert!(reader.next().is_none());
    assert_eq!(reader.position(), file.len() as u64);
}

#[test]
fn empty_collections_are_left_out() {
    let values = [("a", list(&[])), ("b", Value::Int(1)), ("c", hash(&[])), ("d", set(&[]))];
    let file = file(&values, Options::default());
    let mut reader = Reader::new(&file[..], limits()).expect("begins");
    let keys: Vec<_> = (&mut reader).filter(|record| matches!(record, Ok(Record::Key(_)))).collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(reader.empty_keys(), 3);
}

#[test]
fn modules_are_skipped_or_refused() {
    // Data beside keys: id, when, then one of each kind.
    let mut file =
        b"REDIS0009\xF7\x81\x40\x8B\x45\xC5\x14\x9A\x7C\x01\x02\x01\x01\x05\x03abcd\x05\x02hi\x00".to_vec();
    file.extend_from_slice(b"\x00\x01k\x01v");
    let end = [b"\xFF".as_slice(), &[0; 8]].concat();
    assert_eq!(keys(&[&file[..], &end].concat()).len(), 1);
    file.extend_from_slice(b"\x07\x01m\x81\x40\x8B\x45\xC5\x14\x9A\x7C\x01");
    let last = Reader::new(&file[..], limits()).expect("begins").last().expect("some");
    let error = last.expect_err("a module's value");
    assert!(matches!(&error.kind, ErrorKind::Module(name) if name.len() == 9), "{error}");
}

#[test]
fn old_doubles_and_seconds() {
    let mut file =
        b"REDIS0003\xFE\x00\xFD\x00\x00\x00\x7F\x03\x01z\x03\x01a\x031.5\x01b\xFE\x01c\xFF".to_vec();
    file.push(0xFF);
    let keys = keys(&file);
    assert_eq!(keys[0].expire_ms, Some(0x7F00_0000 * 1000));
    assert_eq!(describe(keys[0].value.as_ref()), r#"listpack [("c", -inf), ("a", 1.5), ("b", inf)]"#);
}

#[test]
fn payloads() {
    for (key, value) in all() {
        let payload = dump(value.as_ref()).expect("dumped");
        let again = restore(&payload, &limits()).expect("restored");
        assert_eq!(describe(again.as_ref()), describe(value.as_ref()), "{key}");
        for at in (0..payload.len()).step_by(payload.len() / 50 + 1) {
            let mut other = payload.clone();
            other[at] ^= 1;
            assert!(restore(&other, &limits()).is_err());
            assert!(restore(&payload[..at], &limits()).is_err());
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..90),
        any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        (-300i64..300).prop_map(|value| value.to_string().into_bytes()),
        (any::<u8>(), 0usize..9000).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// Small sorted sets do not tell -0 from 0.
fn score() -> impl Strategy<Value = f64> {
    let any_score =
        any::<f64>().prop_filter("a number", |score| !score.is_nan()).prop_map(|score| score + 0.0);
    prop_oneof![any_score, (-9i8..9).prop_map(f64::from)]
}

fn value() -> impl Strategy<Value = Value> {
    let at = prop::option::weighted(0.3, 1i64..1 << 47);
    let steps = prop::collection::vec((0u64..4, 0u64..1 << 40, any::<u8>()), 0..300);
    prop_oneof![
        text().prop_map(Value::Bytes),
        prop::collection::vec(text(), 1..300).prop_map(|elements| list(&elements)),
        prop::collection::vec(text(), 1..200).prop_map(|members| set(&members)),
        prop::collection::vec(-40_000i64..40_000, 1..600).prop_map(|members| {
            set(&members.iter().map(|value| value.to_string().into_bytes()).collect::<Vec<_>>())
        }),
        prop::collection::vec((text(), score()), 1..200).prop_map(|members| zset(&members)),
        prop::collection::vec((text(), text(), at), 1..200).prop_map(|fields| hash(&fields)),
        (steps, any::<bool>(), any::<bool>())
            .prop_map(|(steps, delete, grouped)| stream(&steps, delete, grouped)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_value(values in prop::collection::vec(value(), 1..4)) {
        let named: Vec<(&str, Value)> = values.into_iter().map(|value| ("key", value)).collect();
        let file = file(&named, Options { version: 12, ..Options::default() });
        let read = keys(&file);
        prop_assert_eq!(read.len(), named.len());
        for (record, (_, value)) in read.iter().zip(&named) {
            let as_stored = match value {
                Value::Bytes(text) => redoubt_store::number::parse_i64(text).map(Value::Int),
                _ => None,
            };
            let value = as_stored.as_ref().unwrap_or(value);
            prop_assert_eq!(describe(record.value.as_ref()), describe(value.as_ref()));
        }
    }
}

#[test]
fn a_file_is_joined_from_parts() {
    let values = all();
    for options in options() {
        let mut file = Vec::new();
        let mut head = Writer::beginning(options).expect("begins");
        head.aux(b"ctime", b"1").expect("aux");
        head.take_into(&mut file);
        let mut writer = Writer::records(options).expect("begins");
        for (at, (key, value)) in values.iter().enumerate() {
            write_select(&mut file, at as u64);
            writer.key(key.as_bytes(), value.as_ref(), info(at)).expect("key");
            writer.take_into(&mut file);
        }
        let mut trailer = Trailer::new(options.checksum);
        file.chunks(1000).for_each(|part| trailer.part(part));
        file.extend(trailer.end());
        let read = keys(&file);
        assert_eq!(read.len(), values.len());
        assert!(read.iter().enumerate().all(|(at, record)| record.db == at as u64));
    }
}

/// With groups, one of which waits for much, and one whose consumers do not.
fn big_stream() -> Value {
    let (mut stream, limits) = (Stream::new(), limits());
    for at in 1..=9000u64 {
        let value = at.to_string();
        assert!(stream.add(StreamId::new(at / 3 + 1, at), &[b"name", value.as_bytes(), b"b", b"x"], &limits));
    }
    for (group, consumers) in [(b"first", 3), (b"other", 2500)] {
        stream.create_group(group, StreamId::MIN, Some(0));
        for number in 0..consumers {
            let name = format!("consumer{number}");
            let (id, _) = stream.group_mut(group).expect("made").create_consumer(name.as_bytes(), 77);
            if number != 1 {
                stream.deliver(group, id, if consumers == 3 { 4000 } else { 2 }, Some(1000 + number), |_| {});
            }
        }
    }
    Value::Stream(stream)
}

#[test]
fn big_values_are_written_in_parts() {
    let fields: Vec<_> = (0..30_000)
        .map(|at| (format!("field{at}").into_bytes(), format!("{at}").into_bytes(), None))
        .collect();
    let names: Vec<Vec<u8>> = fields.iter().map(|(name, _, _)| name.clone()).collect();
    let scored: Vec<_> = names.iter().enumerate().map(|(at, name)| (name.clone(), at as f64)).collect();
    let timed: Vec<_> = fields
        .iter()
        .enumerate()
        .map(|(at, (field, value, _))| {
            (field.clone(), value.clone(), (at % 3 == 1).then_some(5000 + at as i64))
        })
        .collect();
    let mut rng = fastrand::Rng::with_seed(1);
    let noise = Value::Raw((0..1_000_000).map(|_| rng.u8(..)).collect());
    let values = [
        ("list", list(&names)),
        ("set", set(&names)),
        ("zset", zset(&scored)),
        ("hash", hash(&fields)),
        ("timed", hash(&timed)),
        ("stream", big_stream()),
        ("text", Value::Raw(names.concat().repeat(3))),
        ("noise", noise),
        ("zeros", Value::Raw(vec![0; 50 << 20])),
    ];
    for (name, value) in values {
        let options = Options { version: 12, ..Options::default() };
        let (mut file, mut place, mut parts) = (Vec::new(), PartPlace::default(), 0);
        Writer::beginning(options).expect("begins").take_into(&mut file);
        // Each part may have a writer of its own.
        loop {
            let mut writer = Writer::records(options).expect("begins");
            let more = writer.key_part(name.as_bytes(), value.as_ref(), info(1), &mut place).expect("a part");
            let before = file.len();
            writer.take_into(&mut file);
            assert!(file.len() - before <= 300_000, "{name}: a part of {} bytes", file.len() - before);
            parts += 1;
            if !more {
                break;
            }
        }
        assert!(parts > 1, "{name}: {parts}");
        let mut trailer = Trailer::new(true);
        trailer.part(&file);
        file.extend(trailer.end());
        let read = keys(&file);
        assert_eq!(read[0].expire_ms, info(1).expire_ms);
        assert_eq!(describe(read[0].value.as_ref()), describe(value.as_ref()), "{name}");
    }
}
