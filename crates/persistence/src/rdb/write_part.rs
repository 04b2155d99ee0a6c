//! Writing big values a part at a time.

use super::output::Output;
use super::write_file::{KeyInfo, Writer};
use super::write_stream::write_stream_part;
use super::write_value::{kind_of, write_node, write_value};
use super::{KEPT_COMPRESSED_MAX, kind};
use crate::error::Error;
use crate::place::{BYTES, ELEMENTS, PartPlace, TextPlace};
use redoubt_store::{Hash, List, Str, ValueRef};

/// Bytes of a long string that are compressed in a part, and that are copied in one.
const COMPRESSED_AT_ONCE: usize = 64 * 1024;
const COPIED_AT_ONCE: usize = 256 * 1024;
/// Members of a set between two looks at how much was written.
const MEMBERS: usize = 16;

type Out = Output<Vec<u8>>;

impl Writer<Vec<u8>> {
    /// Writes the part of a key that begins at `place`, and moves that on. Returns whether there is more. The value must
    /// be the same from the first part to the last. Nothing else may be written between two parts, but another writer of
    /// records may write them. A part is some 64 KB, but not less than an element.
    ///
    /// # Errors
    /// As `key`.
    pub fn key_part(
        &mut self,
        key: &[u8],
        value: ValueRef<'_>,
        info: KeyInfo,
        place: &mut PartPlace,
    ) -> Result<bool, Error> {
        let kind = kind_of(value, self.version());
        let first = !std::mem::replace(&mut place.begun, true);
        if first {
            self.head(key, kind, info)?;
        }
        let out = self.output();
        match (kind, value) {
            (kind::STRING, ValueRef::Str(Str::Bytes(text))) => text_part(out, text, place),
            (kind::LIST_OF_LISTPACKS, ValueRef::List(list)) => list_part(out, list, first, place),
            (kind::SET, ValueRef::Set(set)) => {
                if first {
                    out.length(set.len() as u64);
                }
                scanned(out, place, |out, cursor, failed| {
                    set.scan(cursor, MEMBERS, |member| note(failed, out.value(member)))
                })
            }
            (kind::HASH, ValueRef::Hash(hash)) => {
                if first {
                    out.length(hash.len() as u64);
                }
                scanned(out, place, |out, cursor, failed| {
                    hash.scan(cursor, i64::MIN, |field, value| {
                        note(failed, out.value(field).and_then(|()| out.value(value)));
                    })
                })
            }
            (kind::HASH_TIMED, ValueRef::Hash(hash)) => timed_part(out, hash, first, place),
            (kind::ZSET, ValueRef::SortedSet(zset)) => {
                if first {
                    out.length(zset.len() as u64);
                }
                // From the highest down, as a whole one is written.
                let left = zset.len().saturating_sub(place.at as usize);
                let limit = out.position() + BYTES;
                for (member, score) in zset.range(left.saturating_sub(ELEMENTS)..left, true) {
                    out.value(member)?;
                    out.raw(&score.to_le_bytes())?;
                    place.at += 1;
                    if out.position() >= limit {
                        break;
                    }
                }
                Ok((place.at as usize) < zset.len())
            }
            (_, ValueRef::Stream(stream)) => write_stream_part(out, kind, stream, place),
            // Flat encodings, which settings keep small.
            _ => write_value(out, kind, value).map(|()| false),
        }
    }
}

fn note(failed: &mut Option<Error>, result: Result<(), Error>) {
    if let Err(error) = result {
        failed.get_or_insert(error);
    }
}

/// Calls `scan` with one cursor after the other until enough is written.
fn scanned(
    out: &mut Out,
    place: &mut PartPlace,
    mut scan: impl FnMut(&mut Out, u64, &mut Option<Error>) -> u64,
) -> Result<bool, Error> {
    let (mut failed, end) = (None, out.position() + BYTES);
    let (mut cursor, mut steps) = (place.at, 0);
    loop {
        cursor = scan(out, cursor, &mut failed);
        steps += 1;
        if cursor == 0 || steps == ELEMENTS || out.position() >= end {
            break;
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(place.go(cursor)),
    }
}

fn list_part(out: &mut Out, list: &List, first: bool, place: &mut PartPlace) -> Result<bool, Error> {
    let nodes = list.nodes().count() as u64;
    if first {
        out.length(nodes);
    }
    let end = out.position() + BYTES;
    for node in list.nodes().skip(place.at as usize) {
        write_node(out, node)?;
        place.at += 1;
        if out.position() >= end {
            break;
        }
    }
    Ok(place.at < nodes)
}

fn timed_part(out: &mut Out, hash: &Hash, first: bool, place: &mut PartPlace) -> Result<bool, Error> {
    let least = hash.next_expiry().unwrap_or(0);
    if first {
        out.millis(least);
        out.length(hash.len() as u64);
    }
    scanned(out, place, |out, cursor, failed| {
        hash.scan_timed(cursor, |field, value, expiry| {
            out.length(expiry.map_or(0, |at| at.abs_diff(least) + 1));
            note(failed, out.value(field).and_then(|()| out.value(value)));
        })
    })
}

/// A string is compressed piece by piece, and nothing of it is written before all of it is: it may not be worth it.
fn text_part(out: &mut Out, text: &[u8], place: &mut PartPlace) -> Result<bool, Error> {
    let from = place.at as usize;
    match &mut place.text {
        TextPlace::Compress(done) => {
            let piece = &text[from..text.len().min(from + COMPRESSED_AT_ONCE)];
            let upto = from + piece.len();
            let worth = out.compress_piece(piece, done)
                && done.len() <= KEPT_COMPRESSED_MAX
                && done.len() < upto - upto / 32;
            place.at = upto as u64;
            if !worth {
                out.length(text.len() as u64);
                (place.text, place.at) = (TextPlace::Plain, 0);
            } else if upto == text.len() {
                out.compressed_head(done.len(), text.len());
                let done = std::mem::take(done);
                place.text = TextPlace::Compressed(done, 0);
            }
            Ok(true)
        }
        TextPlace::Compressed(done, at) => {
            let upto = done.len().min(*at + COPIED_AT_ONCE);
            out.raw(&done[*at..upto])?;
            *at = upto;
            Ok(upto < done.len())
        }
        TextPlace::Plain => {
            let upto = text.len().min(from + COPIED_AT_ONCE);
            out.raw(&text[from..upto])?;
            place.at = upto as u64;
            Ok(upto < text.len())
        }
    }
}
