//! Any bytes as an RDB file: an error or records, and what was read can be written and read again.
//!
//! The first byte chooses: a whole file, or a single value (type and body), which gets deeper.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_persistence::rdb::{KeyInfo, Options, Reader, Record, Writer};
use redoubt_store::EncodingLimits;

/// The keys of a file, each with its value written again.
fn keys(file: &[u8]) -> Vec<Vec<u8>> {
    let Ok(mut reader) = Reader::new(file, EncodingLimits::default()) else { return Vec::new() };
    reader.verify_checksum(false);
    let mut files = Vec::new();
    for record in reader {
        if let Ok(Record::Key(key)) = record {
            let options = Options { version: 12, ..Options::default() };
            let mut writer = Writer::new(Vec::new(), options).expect("a known version");
            writer.key(&key.key, key.value.as_ref(), KeyInfo::default()).expect("written to memory");
            files.push(writer.finish().expect("written to memory"));
        }
    }
    files
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    let file = match mode % 2 {
        0 => rest.to_vec(),
        _ => {
            let Some((kind, body)) = rest.split_first() else { return };
            [b"REDIS0012".as_slice(), &[*kind], b"\x01k", body].concat()
        }
    };
    for written in keys(&file) {
        assert_eq!(keys(&written).len(), 1, "what was written is read");
    }
});
