//! Parts of strings: APPEND, STRLEN, GETRANGE, SETRANGE.

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Class, Expiry, Str, Value};
use std::ops::Range;

/// "ERR string exceeds maximum allowed size (proto-max-bulk-len)" if `kept` and `added` bytes are too long together.
pub(crate) fn check_length(ctx: &Context<'_>, kept: usize, added: usize) -> Result<(), CommandError> {
    let len = kept.checked_add(added).filter(|len| *len <= ctx.settings.bulk_len_max);
    len.map(|_| ()).ok_or(CommandError::StringTooLong)
}

/// Positions from `start` to `end`, both included, negative ones counted from the end of `len`; none if empty.
pub(crate) fn clamp_range(start: i64, end: i64, len: u64) -> Option<Range<usize>> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let from_end = |at: i64| if at < 0 { (len + at).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    (start <= end).then(|| start as usize..end as usize + 1)
}

/// APPEND key value. <https://redis.io/docs/latest/commands/append/>
pub fn append(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    let added = args.get(2);
    let len = match ctx.string_mut(&key)?.map(|string| string.get().len()) {
        None => {
            ctx.txn.set_string(&key, added, Expiry::Clear);
            added.len()
        }
        Some(kept) => {
            check_length(ctx, kept, added.len())?;
            let mut string = ctx.string_mut(&key)?.expect("found above");
            string.make_raw().extend_from_slice(added);
            kept + added.len()
        }
    };
    ctx.txn.changed(&key, Class::String, "append");
    reply.int(len as i64);
    Ok(())
}

/// STRLEN key. <https://redis.io/docs/latest/commands/strlen/>
pub fn strlen(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    let len = ctx.string(&key)?.map_or(0, |string| string.len());
    reply.int(len as i64);
    Ok(())
}

/// GETRANGE key start end. <https://redis.io/docs/latest/commands/getrange/>
pub fn getrange(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let key = ctx.key(args.get(1));
    let mut buffer = itoa::Buffer::new();
    let string = ctx.string(&key)?.unwrap_or(Str::Bytes(b""));
    let bytes = string.as_bytes(&mut buffer);
    reply.bulk(clamp_range(start, end, bytes.len() as u64).map_or(b"", |range| &bytes[range]));
    Ok(())
}

/// SUBSTR key start end: the old name of GETRANGE. <https://redis.io/docs/latest/commands/substr/>
pub fn substr(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    getrange(ctx, args, reply)
}

/// SETRANGE key offset value. <https://redis.io/docs/latest/commands/setrange/>
pub fn setrange(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let offset = usize::try_from(args.int(2)?).map_err(|_| CommandError::OffsetOutOfRange)?;
    let patch = args.get(3);
    let key = ctx.key(args.get(1));
    let before = ctx.string_mut(&key)?.map(|string| string.get().len());
    if patch.is_empty() {
        reply.int(before.unwrap_or(0) as i64);
        return Ok(());
    }
    check_length(ctx, offset, patch.len())?;
    if before.is_none() {
        ctx.txn.insert(&key, Value::Raw(Vec::new()), None);
    }
    let mut string = ctx.string_mut(&key)?.expect("found or made above");
    let bytes = string.make_raw();
    let end = offset + patch.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(patch);
    let len = bytes.len();
    ctx.txn.changed(&key, Class::String, "setrange");
    reply.int(len as i64);
    Ok(())
}
