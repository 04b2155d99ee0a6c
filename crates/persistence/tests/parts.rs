//! A file read in parts says the same as one read record by record, whole or damaged.

mod common;

use common::{files, limits};
use redoubt_persistence::rdb::{Block, KeyRecord, Part, RawKey, RawValue, Reader, Record, dump};
use redoubt_persistence::{Error, ErrorKind};
use redoubt_store::{Expiry, Keyspace, Txn, Value};
use std::io::Read;

/// Gives a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = self.1.min(out.len());
        self.0.read(&mut out[..len])
    }
}

fn dumped(value: Value) -> Vec<u8> {
    let space = Keyspace::new(1, 1, 1);
    let mut txn = Txn::new(&space, 0, fastrand::Rng::with_seed(1));
    txn.acquire(space.all_partitions());
    let key = txn.key(b"k");
    txn.insert(&key, value, None);
    dump(txn.view(&key).expect("inserted")).expect("not too long")
}

fn text(text: &[u8]) -> Value {
    let space = Keyspace::new(1, 1, 1);
    let mut txn = Txn::new(&space, 0, fastrand::Rng::with_seed(1));
    txn.acquire(space.all_partitions());
    let key = txn.key(b"k");
    txn.set_string(&key, text, Expiry::Clear);
    txn.take(&key).expect("inserted").0
}

fn key_line(record: KeyRecord) -> String {
    let KeyRecord { db, key, value, expire_ms, idle_s, frequency } = record;
    format!("{db} {key:?} {expire_ms:?} {idle_s:?} {frequency:?} {:?}", dumped(value))
}

fn line(record: Record) -> String {
    match record {
        Record::Key(record) => key_line(*record),
        other => format!("{other:?}"),
    }
}

fn by_record(file: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let outcome = Reader::new(file, limits())
        .and_then(|mut reader| reader.try_for_each(|record| record.map(|record| lines.push(line(record)))));
    lines.extend(outcome.err().map(|error| error.to_string()));
    lines
}

/// Keys with the names they had when they were found.
type Found = Vec<(RawKey, Vec<u8>)>;

fn decode(keys: &mut Found, block: &Block, lines: &mut Vec<String>) -> Result<(), Error> {
    for (raw, name) in keys.drain(..) {
        assert_eq!(raw.name(block).escape_ascii().to_string(), name.escape_ascii().to_string());
        let value = match raw.value(block, &limits()) {
            Ok(RawValue::Text(bytes)) => text(bytes),
            Ok(RawValue::Value(value)) => value,
            Err(Error { kind: ErrorKind::Empty, .. }) => continue,
            Err(error) => return Err(error),
        };
        lines.push(key_line(KeyRecord {
            db: raw.db,
            key: name,
            value,
            expire_ms: raw.expire_ms,
            idle_s: raw.idle_s,
            frequency: raw.frequency,
        }));
    }
    Ok(())
}

fn by_part(file: &[u8], step: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let outcome = Reader::new(Trickle(file, step), limits()).and_then(|mut reader| {
        let mut keys = Found::new();
        while let Some(part) = reader.next_part() {
            match part? {
                Part::Record(record) => {
                    assert!(keys.is_empty(), "a record between keys and their block");
                    lines.push(line(record));
                }
                Part::Key(raw) => {
                    let name = reader.name_of(&raw).to_vec();
                    keys.push((raw, name));
                }
                Part::Block(block) => decode(&mut keys, &block, &mut lines)?,
            }
        }
        Ok(())
    });
    lines.extend(outcome.err().map(|error| error.to_string()));
    lines
}

#[test]
fn whole_files() {
    for file in files() {
        let expected = by_record(&file);
        assert_eq!(expected.last().map(String::as_str), Some("End"));
        for step in [1 << 20, 5000, 777] {
            assert_eq!(by_part(&file, step), expected);
        }
    }
}

#[test]
fn damaged_files() {
    let mut rng = fastrand::Rng::with_seed(3);
    for file in files() {
        for round in 0..300 {
            let mut damaged = file.clone();
            if round % 3 == 0 {
                damaged.truncate(rng.usize(..file.len()));
            } else {
                let at = rng.usize(9..damaged.len());
                damaged[at] = rng.u8(..);
            }
            assert_eq!(by_part(&damaged, 1 << 20), by_record(&damaged));
        }
    }
}

#[test]
fn what_follows_the_file_is_left() {
    let mut bytes = files().remove(0);
    bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let mut reader = Reader::new(&bytes[..], limits()).expect("a file");
    while let Some(part) = reader.next_part() {
        part.expect("a good file");
    }
    let (mut rest, mut input) = reader.into_rest();
    input.read_to_end(&mut rest).expect("bytes");
    assert_eq!(rest, b"*1\r\n$4\r\nPING\r\n");
}
