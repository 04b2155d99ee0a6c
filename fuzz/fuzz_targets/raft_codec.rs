//! Any bytes as an envelope of the Raft module, and as a body in a right envelope: an error, or a value that can be written
//! and read again. The first byte chooses.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redoubt_server::raft::codec::{self, HEADER, Kind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Every shape that entries, messages and snapshots are made of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Value {
    Unit,
    Number(u64),
    Text { text: String, flag: bool },
    Bytes(Vec<u8>),
    Set(Vec<BTreeSet<u64>>),
    Map(BTreeMap<u64, Option<(String, u16)>>),
    Pair(Result<u32, String>, Box<Option<[u8; 32]>>),
}

fn check(kind: Kind, bytes: &[u8]) {
    if let Ok(value) = codec::decode::<Value>(kind, bytes) {
        let again = codec::encode(kind, &value).expect("what was read is within the limit");
        assert_eq!(codec::decode::<Value>(kind, &again), Ok(value));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    let kind = Kind::ALL[usize::from(mode >> 1) % Kind::ALL.len()];
    if mode % 2 == 0 {
        check(kind, rest);
        if let Some(header) = rest.first_chunk::<HEADER>() {
            assert!(codec::body_length(kind, header).unwrap_or(0) <= kind.limit());
        }
    } else if let Ok(bytes) = codec::seal(kind, rest) {
        check(kind, &bytes);
    }
});
