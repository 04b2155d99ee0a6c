//! Any bytes as a file: an error or records, and what was read can be written and read again, whole or in parts.
//!
//! The first byte chooses: an RDB file, a single value of one (type and body), which gets deeper, or an append-only file
//! and its manifest.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_persistence::aof::{CommandReader, Manifest};
use redoubt_persistence::rdb::{KeyInfo, Options, Part, RawKey, RawValue, Reader, Record, Trailer, Writer};
use redoubt_persistence::{Error, ErrorKind, PartPlace};
use redoubt_store::EncodingLimits;

const OPTIONS: Options = Options { version: 12, compress: true, checksum: true };

/// The keys of a file, each with its value written again, and how it ended.
fn keys(file: &[u8]) -> (Vec<Vec<u8>>, Result<(), Error>) {
    let mut files = Vec::new();
    let mut reader = match Reader::new(file, EncodingLimits::default()) {
        Ok(reader) => reader,
        Err(error) => return (files, Err(error)),
    };
    reader.verify_checksum(false);
    for record in reader {
        match record {
            Ok(Record::Key(key)) => {
                let mut writer = Writer::new(Vec::new(), OPTIONS).expect("a known version");
                writer.key(&key.key, key.value.as_ref(), KeyInfo::default()).expect("written to memory");
                let whole = writer.finish().expect("written to memory");
                in_parts(&key.key, &key.value);
                files.push(whole);
            }
            Ok(_) => {}
            Err(error) => return (files, Err(error)),
        }
    }
    (files, Ok(()))
}

/// A value written in parts is read again, whatever its size.
fn in_parts(key: &[u8], value: &redoubt_store::Value) {
    let (mut file, mut place) = (Vec::new(), PartPlace::default());
    let mut writer = Writer::beginning(OPTIONS).expect("a known version");
    while writer.key_part(key, value.as_ref(), KeyInfo::default(), &mut place).expect("written to memory") {}
    writer.take_into(&mut file);
    let mut trailer = Trailer::new(true);
    trailer.part(&file);
    file.extend(trailer.end());
    let mut reader = Reader::new(&file[..], EncodingLimits::default()).expect("it has its beginning");
    let count =
        reader.by_ref().filter(|record| matches!(record.as_ref().expect("whole"), Record::Key(_))).count();
    assert_eq!(count, 1, "what was written in parts is read");
}

/// As `keys`, by the reader that hands values out as they stand in the file: how many keys there are, and the end.
fn split(file: &[u8]) -> (usize, Result<(), Error>) {
    let (mut count, mut waiting) = (0, Vec::<RawKey>::new());
    let mut reader = match Reader::new(file, EncodingLimits::default()) {
        Ok(reader) => reader,
        Err(error) => return (0, Err(error)),
    };
    reader.verify_checksum(false);
    while let Some(part) = reader.next_part() {
        match part {
            Ok(Part::Record(Record::Key(_))) => count += 1,
            Ok(Part::Record(_)) => {}
            Ok(Part::Key(raw)) => waiting.push(raw),
            Ok(Part::Block(block)) => {
                for raw in waiting.drain(..) {
                    let _ = raw.name(&block);
                    match raw.value(&block, &EncodingLimits::default()) {
                        Ok(RawValue::Text(_) | RawValue::Value(_)) => count += 1,
                        Err(Error { kind: ErrorKind::Empty, .. }) => {}
                        Err(error) => return (count, Err(error)),
                    }
                }
            }
            Err(error) => return (count, Err(error)),
        }
    }
    (count, Ok(()))
}

/// What is handed out is a beginning of the file, and where it may be cut lies within it.
fn commands(file: &[u8]) {
    let mut reader = CommandReader::new(file, 0, file.len() as u64);
    let mut given = 0;
    while let Ok(Some(chunk)) = reader.next_chunk() {
        let at = chunk.offset as usize;
        assert!(at >= given, "in order");
        assert_eq!(&file[at..at + chunk.bytes.len()], chunk.bytes);
        given = at + chunk.bytes.len();
    }
    assert!(reader.intact() <= file.len() as u64 && reader.position() <= file.len() as u64);
    if let Ok(manifest) = Manifest::parse(file) {
        let text = manifest.to_text();
        match Manifest::parse(text.as_bytes()) {
            Ok(again) => assert_eq!(again.to_text(), text),
            // Quoted, a strange name is longer than a line may be; and nothing at all is no manifest.
            Err(error) => assert!(error.reason.contains("too long") || text.is_empty(), "{error}"),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    let file = match mode % 4 {
        0 => rest.to_vec(),
        1 | 2 => {
            let Some((kind, body)) = rest.split_first() else { return };
            [b"REDIS0012".as_slice(), &[*kind], b"\x01k", body].concat()
        }
        _ => return commands(rest),
    };
    let (written, outcome) = keys(&file);
    for written in &written {
        assert_eq!(keys(written).0.len(), 1, "what was written is read");
    }
    let (count, parts) = split(&file);
    assert_eq!(
        (count, parts.map_err(|error| error.to_string())),
        (written.len(), outcome.map_err(|error| error.to_string()))
    );
});
