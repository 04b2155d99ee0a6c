//! Writing values of every type but streams, in the encodings that Redis chooses.

use super::output::Output;
use super::{NODE_PACKED, NODE_PLAIN, PLAIN_FROM, kind};
use crate::error::Error;
use redoubt_store::packed::Packed;
use redoubt_store::{Hash, List, Set, SortedSet, Str, ValueRef};
use std::io::Write;

/// Integers up to here are exact as doubles.
const INT_SCORE_MAX: f64 = 9_007_199_254_740_992.0;
/// Version that added hashes with expiries.
const TIMED_FROM: u32 = 12;
/// Version that added sets as listpacks and the last form of streams.
const NEW_STREAM_FROM: u32 = 11;

/// The type that a value is written as.
pub(super) fn kind_of(value: ValueRef<'_>, version: u32) -> u8 {
    match value {
        ValueRef::Str(_) => kind::STRING,
        ValueRef::List(_) => kind::LIST_OF_LISTPACKS,
        ValueRef::Set(set) => match set.encoding() {
            "intset" => kind::SET_INTSET,
            "listpack" if version >= NEW_STREAM_FROM => kind::SET_LISTPACK,
            _ => kind::SET,
        },
        ValueRef::SortedSet(zset) if zset.encoding() == "listpack" => kind::ZSET_LISTPACK,
        ValueRef::SortedSet(_) => kind::ZSET,
        ValueRef::Hash(hash) => match hash.encoding() {
            "listpackex" if version >= TIMED_FROM => kind::HASH_TIMED_LISTPACK,
            _ if hash.is_compact() => kind::HASH_LISTPACK,
            _ if hash.next_expiry().is_some() && version >= TIMED_FROM => kind::HASH_TIMED,
            _ => kind::HASH,
        },
        ValueRef::Stream(_) if version >= NEW_STREAM_FROM => kind::STREAM_3,
        ValueRef::Stream(_) => kind::STREAM_2,
    }
}

/// Writes a value as a type that `kind_of` chose.
pub(super) fn write_value<W: Write>(out: &mut Output<W>, kind: u8, value: ValueRef<'_>) -> Result<(), Error> {
    match value {
        ValueRef::Str(Str::Int(value)) => out.int_string(value),
        ValueRef::Str(Str::Bytes(text)) => out.string(text),
        ValueRef::List(list) => write_list(out, list),
        ValueRef::Set(set) => write_set(out, kind, set),
        ValueRef::SortedSet(zset) => write_zset(out, kind, zset),
        ValueRef::Hash(hash) => write_hash(out, kind, hash),
        ValueRef::Stream(stream) => super::write_stream::write_stream(out, kind, stream),
    }
}

fn write_list<W: Write>(out: &mut Output<W>, list: &List) -> Result<(), Error> {
    out.length(list.nodes().count() as u64);
    list.nodes().try_for_each(|node| write_node(out, node))
}

pub(super) fn write_node<W: Write>(out: &mut Output<W>, node: &Packed) -> Result<(), Error> {
    match node.get(0) {
        Some(value) if node.len() == 1 && node.byte_len() >= PLAIN_FROM => {
            out.length(NODE_PLAIN);
            out.value(value)
        }
        _ => {
            out.length(NODE_PACKED);
            out.listpack(node)
        }
    }
}

fn write_set<W: Write>(out: &mut Output<W>, kind: u8, set: &Set) -> Result<(), Error> {
    let mut buffer = itoa::Buffer::new();
    match kind {
        kind::SET_INTSET => out.string(&intset(set)),
        kind::SET_LISTPACK => {
            let mut packed = Packed::new();
            set.iter().for_each(|member| packed.push_back(member.as_bytes(&mut buffer)));
            out.listpack(&packed)
        }
        _ => {
            out.length(set.len() as u64);
            set.iter().try_for_each(|member| out.value(member))
        }
    }
}

fn intset(set: &Set) -> Vec<u8> {
    let fits = |value: i64, width: u32| value >= -1 << (8 * width - 1) && value < 1 << (8 * width - 1);
    let members: Vec<i64> = set.iter().filter_map(|member| member.as_int()).collect();
    let width = [2, 4].into_iter().find(|width| members.iter().all(|value| fits(*value, *width)));
    let width = width.unwrap_or(8);
    let mut out = width.to_le_bytes().to_vec();
    out.extend_from_slice(&(members.len() as u32).to_le_bytes());
    members.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()[..width as usize]));
    out
}

fn write_zset<W: Write>(out: &mut Output<W>, kind: u8, zset: &SortedSet) -> Result<(), Error> {
    if kind == kind::ZSET_LISTPACK {
        let (mut packed, mut buffer) = (Packed::new(), itoa::Buffer::new());
        for (member, score) in zset.iter() {
            packed.push_back(member.as_bytes(&mut buffer));
            if score.fract() == 0.0 && score.abs() <= INT_SCORE_MAX {
                packed.push_back(buffer.format(score as i64).as_bytes());
            } else {
                packed.push_back(score_text(score).as_bytes());
            }
        }
        return out.listpack(&packed);
    }
    out.length(zset.len() as u64);
    // From the highest down: redis-server adds each at the front then.
    for (member, score) in zset.range(0..zset.len(), true) {
        out.value(member)?;
        out.raw(&score.to_le_bytes())?;
    }
    Ok(())
}

/// The shortest text that reads back as this score.
pub(crate) fn score_text(score: f64) -> String {
    if score.is_infinite() || (1e-5..1e17).contains(&score.abs()) {
        score.to_string()
    } else {
        format!("{score:e}")
    }
}

fn write_hash<W: Write>(out: &mut Output<W>, kind: u8, hash: &Hash) -> Result<(), Error> {
    match (kind, hash.as_packed()) {
        (kind::HASH_LISTPACK, Some(packed)) => out.listpack(packed),
        (kind::HASH_LISTPACK, None) => out.listpack(&flat_hash(hash, false)),
        (kind::HASH_TIMED_LISTPACK, _) => {
            out.millis(hash.next_expiry().unwrap_or(0));
            out.listpack(&flat_hash(hash, true))
        }
        _ => {
            let least = hash.next_expiry().unwrap_or(0);
            if kind == kind::HASH_TIMED {
                out.millis(least);
            }
            out.length(hash.len() as u64);
            for (field, value, expiry) in hash.timed_fields() {
                if kind == kind::HASH_TIMED {
                    out.length(expiry.map_or(0, |at| at.abs_diff(least) + 1));
                }
                out.value(field)?;
                out.value(value)?;
            }
            Ok(())
        }
    }
}

/// Fields and values, and expiries (0 is none) if asked for.
fn flat_hash(hash: &Hash, expiries: bool) -> Packed {
    let (mut packed, mut buffer) = (Packed::new(), itoa::Buffer::new());
    for (field, value, expiry) in hash.timed_fields() {
        packed.push_back(field.as_bytes(&mut buffer));
        packed.push_back(value.as_bytes(&mut buffer));
        if expiries {
            packed.push_back(buffer.format(expiry.unwrap_or(0)).as_bytes());
        }
    }
    packed
}
