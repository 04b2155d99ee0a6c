//! Commands on bitmaps. <https://redis.io/docs/latest/develop/data-types/bitmaps/>

mod field;
mod operation;

pub use field::{bitfield, bitfield_ro};
pub use operation::bitop;

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::number;
use redoubt_resp::Reply;
use redoubt_store::types::bitmap;
use redoubt_store::{Class, Key, Str, Value};
use std::ops::RangeInclusive;

/// Reads a bit offset: not negative, and within a string of `proto-max-bulk-len` bytes.
fn offset(ctx: &Context<'_>, text: &[u8], unit: i64) -> Result<usize, CommandError> {
    number::parse_i64(text)
        .and_then(|value| value.checked_mul(unit))
        .and_then(|value| usize::try_from(value).ok())
        .filter(|value| value / 8 < ctx.settings.bulk_len_max)
        .ok_or(CommandError::BadBitOffset)
}

/// Changes the string at a key, made if missing and grown with zeros to at least `len` bytes; `change` is told
/// whether either happened.
fn change<T>(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    len: usize,
    change: impl FnOnce(&mut [u8], bool) -> T,
) -> Result<T, CommandError> {
    let missing = ctx.string_mut(key)?.is_none();
    if missing {
        ctx.txn.insert(key, Value::Raw(vec![0; len]), None);
    }
    let mut string = ctx.string_mut(key)?.expect("found or made above");
    let bytes = string.make_raw();
    let short = bytes.len() < len;
    if short {
        bytes.resize(len, 0);
    }
    Ok(change(bytes, missing || short))
}

/// SETBIT key offset value. <https://redis.io/docs/latest/commands/setbit/>
pub fn setbit(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let offset = offset(ctx, args.get(2), 1)?;
    let on = match args.get(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(CommandError::BadBit),
    };
    let key = ctx.key(args.get(1));
    let (before, grown) = change(ctx, &key, offset / 8 + 1, |bytes, grown| {
        let before = bitmap::get_bit(bytes, offset);
        bitmap::set_bit(bytes, offset, on);
        (before, grown)
    })?;
    if grown || before != on {
        ctx.txn.changed(&key, Class::String, "setbit");
    }
    reply.int(i64::from(before));
    Ok(())
}

/// GETBIT key offset. <https://redis.io/docs/latest/commands/getbit/>
pub fn getbit(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let offset = offset(ctx, args.get(2), 1)?;
    let key = ctx.key(args.get(1));
    let mut digits = itoa::Buffer::new();
    let string = ctx.string(&key)?.unwrap_or(Str::Bytes(b""));
    reply.int(i64::from(bitmap::get_bit(string.as_bytes(&mut digits), offset)));
    Ok(())
}

/// A range as the client wrote it.
#[derive(Clone, Copy)]
struct Span {
    start: i64,
    /// The last position, if one was given.
    end: Option<i64>,
    /// Positions are bits, not bytes.
    bits: bool,
}

/// Which argument of a range is read first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    EndFirst,
    UnitFirst,
}

impl Span {
    /// Reads `[start [end [BYTE|BIT]]]` from argument `first` on.
    fn parse(args: &Args<'_>, first: usize, order: Order) -> Result<Span, CommandError> {
        let given = args.len() - first;
        if given > 3 {
            return Err(CommandError::Syntax);
        }
        let start = if given > 0 { args.int(first)? } else { 0 };
        let end = if given > 1 { Some(args.int(first + 1)) } else { None };
        let bits = given == 3 && args.is(first + 2, "BIT");
        let unknown_unit = given == 3 && !bits && !args.is(first + 2, "BYTE");
        match end {
            // Of two mistakes BITPOS reports the unit, BITCOUNT the end.
            Some(Err(error)) if order == Order::EndFirst || !unknown_unit => Err(error),
            _ if unknown_unit => Err(CommandError::Syntax),
            end => Ok(Span { start, end: end.transpose()?, bits }),
        }
    }

    /// First and last bit within a string of `len` bytes, negative positions counted from the end; none if empty.
    fn bits(self, len: usize) -> Option<RangeInclusive<usize>> {
        let (total, unit) = if self.bits { (len * 8, 1) } else { (len, 8) };
        let total = total as i64;
        let from_end = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
        let (start, end) = (from_end(self.start), from_end(self.end.unwrap_or(-1)).min(total - 1));
        (start <= end).then(|| start as usize * unit..=end as usize * unit + unit - 1)
    }
}

/// BITCOUNT key [start end [BYTE|BIT]]. <https://redis.io/docs/latest/commands/bitcount/>
pub fn bitcount(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.len() == 3 {
        return Err(CommandError::Syntax);
    }
    let span = Span::parse(args, 2, Order::EndFirst)?;
    let key = ctx.key(args.get(1));
    let mut digits = itoa::Buffer::new();
    let string = ctx.string(&key)?.unwrap_or(Str::Bytes(b""));
    let bytes = string.as_bytes(&mut digits);
    let backwards = span.end.is_some_and(|end| span.start < 0 && end < 0 && span.start > end);
    let count = match span.bits(bytes.len()).filter(|_| !backwards) {
        Some(bits) => bitmap::count_ones_between(bytes, *bits.start(), *bits.end()),
        None => 0,
    };
    reply.int(count as i64);
    Ok(())
}

/// BITPOS key bit [start [end [BYTE|BIT]]]. <https://redis.io/docs/latest/commands/bitpos/>
pub fn bitpos(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let bit = match args.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::BadBitArgument),
    };
    let span = Span::parse(args, 3, Order::UnitFirst)?;
    let key = ctx.key(args.get(1));
    let mut digits = itoa::Buffer::new();
    let Some(string) = ctx.string(&key)? else {
        reply.int(if bit { -1 } else { 0 });
        return Ok(());
    };
    let bytes = string.as_bytes(&mut digits);
    let position = match span.bits(bytes.len()) {
        None => -1,
        Some(bits) => match bitmap::find_bit(bytes, bit, *bits.start(), *bits.end()) {
            Some(position) => position as i64,
            // Without an end the string counts as followed by zeros.
            None if !bit && span.end.is_none() => bytes.len() as i64 * 8,
            None => -1,
        },
    };
    reply.int(position);
    Ok(())
}
