//! List commands: <https://redis.io/docs/latest/commands/?group=list>

mod edit;
mod moves;
mod read;

pub(crate) use edit::{linsert, lpop, lpush, lpushx, lrem, lset, ltrim, rpop, rpush, rpushx};
pub(crate) use moves::{blmove, blmpop, blpop, brpop, brpoplpush, lmove, lmpop, rpoplpush};
pub(crate) use read::{lindex, llen, lpos, lrange};

use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::packed::PackedValue;
use redoubt_store::{Class, EncodingLimits, Key, List};

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

impl End {
    /// LEFT or RIGHT, any case.
    fn parse(word: &[u8]) -> Result<End, CommandError> {
        if word.eq_ignore_ascii_case(b"left") {
            Ok(End::Left)
        } else if word.eq_ignore_ascii_case(b"right") {
            Ok(End::Right)
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn word(self) -> &'static [u8] {
        match self {
            End::Left => b"LEFT",
            End::Right => b"RIGHT",
        }
    }

    /// The command that pops here.
    fn pop_command(self) -> &'static [u8] {
        match self {
            End::Left => b"LPOP",
            End::Right => b"RPOP",
        }
    }

    fn push_event(self) -> &'static str {
        match self {
            End::Left => "lpush",
            End::Right => "rpush",
        }
    }

    fn pop_event(self) -> &'static str {
        match self {
            End::Left => "lpop",
            End::Right => "rpop",
        }
    }

    fn peek(self, list: &List) -> Option<PackedValue<'_>> {
        match self {
            End::Left => list.front(),
            End::Right => list.back(),
        }
    }

    fn remove(self, list: &mut List, count: usize, limits: &EncodingLimits) {
        match self {
            End::Left => list.remove_front(count, limits),
            End::Right => list.remove_back(count, limits),
        }
    }

    fn extend(self, list: &mut List, texts: &[&[u8]], limits: &EncodingLimits) {
        match self {
            End::Left => list.extend_front(texts, limits),
            End::Right => list.extend_back(texts, limits),
        }
    }
}

/// Writes an element.
#[inline]
fn write(reply: &mut Reply<'_>, value: PackedValue<'_>) {
    match value {
        PackedValue::Int(value) => reply.bulk_int(value),
        PackedValue::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Writes up to `count` elements from one end as an array, and removes them.
fn pop_many(
    list: &mut List,
    end: End,
    count: usize,
    limits: &EncodingLimits,
    reply: &mut Reply<'_>,
) -> usize {
    let count = count.min(list.len());
    reply.array(count);
    match end {
        End::Left => list.range(0, count).for_each(|value| write(reply, value)),
        End::Right => list.range(list.len() - count, count).rev().for_each(|value| write(reply, value)),
    }
    end.remove(list, count, limits);
    count
}

/// Tells that `count` elements were removed under `event`; a list left empty goes, key and all.
fn removed(ctx: &mut Context<'_>, key: &Key<'_>, event: &'static str, count: usize) {
    ctx.txn.changed_times(key, Class::List, event, count);
    if ctx.txn.remove_if_empty(key) {
        ctx.txn.event(key, Class::Generic, "del");
    }
}

/// First position and number of elements of the part from `start` to `stop`, both inclusive and counted from the end
/// when negative.
fn part(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let start = from_end(start).max(0);
    let stop = from_end(stop).min(len - 1);
    if start > stop { (0, 0) } else { (start as usize, (stop - start + 1) as usize) }
}

#[cfg(test)]
mod tests;
