//! Taking apart the flat encodings that RDB holds as strings: listpack, ziplist, zipmap, intset. Every bound is checked.

use redoubt_store::packed::PackedValue;

/// Says what is wrong.
type Flat<T> = Result<T, &'static str>;

/// The last byte of all but the intset.
const END: u8 = 0xFF;

/// Takes `len` bytes off the front.
fn take<'a>(data: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (part, rest) = data.split_at_checked(len)?;
    *data = rest;
    Some(part)
}

fn take_byte(data: &mut &[u8]) -> Option<u8> {
    Some(take(data, 1)?[0])
}

/// An unsigned integer of `width` bytes, the lowest first.
fn take_little(data: &mut &[u8], width: usize) -> Option<u64> {
    Some(take(data, width)?.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte)))
}

/// As `take_little`, signed.
fn take_signed(data: &mut &[u8], width: usize) -> Option<i64> {
    let unused = 64 - 8 * width as u32;
    take_little(data, width).map(|bits| ((bits << unused) as i64) >> unused)
}

fn take_int<'a>(data: &mut &'a [u8], width: usize) -> Option<PackedValue<'a>> {
    take_signed(data, width).map(PackedValue::Int)
}

fn take_text<'a>(data: &mut &'a [u8], len: usize) -> Option<PackedValue<'a>> {
    take(data, len).map(PackedValue::Bytes)
}

/// The elements of a listpack.
pub(super) fn listpack(blob: &[u8]) -> Flat<Vec<PackedValue<'_>>> {
    let mut data = blob;
    let head = take_little(&mut data, 4).zip(take_little(&mut data, 2));
    let (total, count) = head.ok_or("a listpack without its head")?;
    if total != blob.len() as u64 {
        return Err("a listpack of another length than it says");
    }
    let mut values = Vec::new();
    while data.first().is_some_and(|byte| *byte != END) {
        values.push(listpack_entry(&mut data).ok_or("an element of a listpack is damaged")?);
    }
    if data != [END] {
        return Err("a listpack without its end");
    }
    if count != u64::from(u16::MAX) && count != values.len() as u64 {
        return Err("a listpack of another number of elements than it says");
    }
    Ok(values)
}

fn listpack_entry<'a>(data: &mut &'a [u8]) -> Option<PackedValue<'a>> {
    let before = data.len();
    let tag = take_byte(data)?;
    let value = match tag {
        0..=0x7F => PackedValue::Int(tag.into()),
        0x80..=0xBF => take_text(data, usize::from(tag & 0x3F))?,
        0xC0..=0xDF => {
            let bits = u16::from(tag & 0x1F) << 8 | u16::from(take_byte(data)?);
            // Sign extension of 13 bits.
            PackedValue::Int(i64::from(((bits << 3) as i16) >> 3))
        }
        0xE0..=0xEF => {
            let len = usize::from(tag & 0x0F) << 8 | usize::from(take_byte(data)?);
            take_text(data, len)?
        }
        0xF0 => {
            let len = take_little(data, 4)?;
            take_text(data, len as usize)?
        }
        0xF1 => take_int(data, 2)?,
        0xF2 => take_int(data, 3)?,
        0xF3 => take_int(data, 4)?,
        0xF4 => take_int(data, 8)?,
        _ => return None,
    };
    let size = before - data.len();
    skip_back_length(data, size)?;
    Some(value)
}

/// Takes the length behind an element, which must be `size`: groups of seven bits, the highest first, all but the first
/// marked. The greatest length of two groups or more (16383, 2097151...) takes one more than it needs.
fn skip_back_length(data: &mut &[u8], size: usize) -> Option<()> {
    let groups = if size < 128 { 1 } else { (size + 1).ilog2() / 7 + 1 };
    let stored = take(data, groups as usize)?;
    let right = stored.iter().enumerate().all(|(at, &byte)| {
        let group = (size >> (7 * (groups as usize - 1 - at)) & 0x7F) as u8;
        byte == if at == 0 { group } else { group | 0x80 }
    });
    right.then_some(())
}

/// The elements of a ziplist.
pub(super) fn ziplist(blob: &[u8]) -> Flat<Vec<PackedValue<'_>>> {
    let mut data = blob;
    let total = take_little(&mut data, 4);
    let tail = take_little(&mut data, 4);
    let (Some(total), Some(_), Some(count)) = (total, tail, take_little(&mut data, 2)) else {
        return Err("a ziplist without its head");
    };
    if total != blob.len() as u64 {
        return Err("a ziplist of another length than it says");
    }
    let (mut values, mut previous) = (Vec::new(), 0);
    while data.first().is_some_and(|byte| *byte != END) {
        let before = data.len();
        values.push(ziplist_entry(&mut data, previous).ok_or("an element of a ziplist is damaged")?);
        previous = before - data.len();
    }
    if data != [END] {
        return Err("a ziplist without its end");
    }
    if count != u64::from(u16::MAX) && count != values.len() as u64 {
        return Err("a ziplist of another number of elements than it says");
    }
    Ok(values)
}

fn ziplist_entry<'a>(data: &mut &'a [u8], previous: usize) -> Option<PackedValue<'a>> {
    let stored = match take_byte(data)? {
        0xFE => take_little(data, 4)?,
        short => short.into(),
    };
    if stored != previous as u64 {
        return None;
    }
    let tag = take_byte(data)?;
    match tag {
        0..=0x3F => take_text(data, tag.into()),
        0x40..=0x7F => {
            let len = usize::from(tag & 0x3F) << 8 | usize::from(take_byte(data)?);
            take_text(data, len)
        }
        0x80 => {
            let len = take(data, 4)?.iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
            take_text(data, len)
        }
        0xC0 => take_int(data, 2),
        0xD0 => take_int(data, 4),
        0xE0 => take_int(data, 8),
        0xF0 => take_int(data, 3),
        0xFE => take_int(data, 1),
        0xF1..=0xFD => Some(PackedValue::Int(i64::from(tag & 0x0F) - 1)),
        _ => None,
    }
}

/// Names and values of a zipmap, in turn.
pub(super) fn zipmap(blob: &[u8]) -> Flat<Vec<PackedValue<'_>>> {
    let mut data = blob;
    let count = take_byte(&mut data).ok_or("a zipmap without its head")?;
    let mut values = Vec::new();
    while data.first().is_some_and(|byte| *byte != END) {
        let (name, value) = zipmap_pair(&mut data).ok_or("a pair of a zipmap is damaged")?;
        values.extend([PackedValue::Bytes(name), PackedValue::Bytes(value)]);
    }
    if data != [END] {
        return Err("a zipmap without its end");
    }
    if count < 0xFE && usize::from(count) != values.len() / 2 {
        return Err("a zipmap of another number of pairs than it says");
    }
    Ok(values)
}

fn zipmap_pair<'a>(data: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let len = zipmap_length(data)?;
    let name = take(data, len)?;
    let len = zipmap_length(data)?;
    // Bytes that a longer value once took follow.
    let unused = take_byte(data)?;
    let value = take(data, len)?;
    take(data, unused.into())?;
    Some((name, value))
}

fn zipmap_length(data: &mut &[u8]) -> Option<usize> {
    match take_byte(data)? {
        0xFF => None,
        0xFE => take_little(data, 4).map(|len| len as usize),
        len => Some(len.into()),
    }
}

/// The members of an intset, ascending.
pub(super) fn intset(blob: &[u8]) -> Flat<Vec<i64>> {
    let mut data = blob;
    let head = take_little(&mut data, 4).zip(take_little(&mut data, 4));
    let (width, count) = head.ok_or("an intset without its head")?;
    if !matches!(width, 2 | 4 | 8) || width * count != data.len() as u64 {
        return Err("an intset of another length than it says");
    }
    let members: Option<Vec<i64>> = (0..count).map(|_| take_signed(&mut data, width as usize)).collect();
    let members = members.ok_or("an intset that ends early")?;
    if members.is_sorted_by(|a, b| a < b) { Ok(members) } else { Err("an intset out of order") }
}

#[cfg(test)]
#[path = "compact_tests.rs"]
mod tests;
