//! Commands on keys of any type, on whole databases, and on what lies behind a value.

mod database;
mod dump;
mod expire;
mod keys;
mod object;
mod scan;
mod sort;

pub use database::{dbsize, flushall, flushdb, swapdb};
pub use dump::{dump, restore};
pub use expire::{expire, expireat, expiretime, persist, pexpire, pexpireat, pexpiretime, pttl, ttl};
pub use keys::{copy, del, exists, move_key, rename, renamenx, touch, type_of, unlink};
pub use object::{memory_usage, object_encoding, object_freq, object_help, object_idletime, object_refcount};
pub use scan::{keys, randomkey, scan};
pub use sort::{sort, sort_ro};

#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::error::CommandError;
use crate::number;
use redoubt_store::{Class, Key};

/// The word as the number of a database; the errors are those of any 32-bit integer.
fn db_number(word: &[u8]) -> Result<i32, CommandError> {
    let value = number::parse_i64(word).ok_or(CommandError::NotAnInteger)?;
    let text = "ERR value is out of range, value must between -2147483648 and 2147483647";
    i32::try_from(value).map_err(|_| CommandError::text(text))
}

/// The number as the index of a database that exists.
fn db_index(ctx: &Context<'_>, number: i32) -> Result<usize, CommandError> {
    let index = usize::try_from(number).ok().filter(|index| *index < ctx.txn.keyspace().databases());
    index.ok_or(CommandError::text("ERR DB index is out of range"))
}

/// Whether the key exists; counts a hit or a miss, but no access. A miss is an event.
fn look_up(ctx: &mut Context<'_>, key: &Key<'_>) -> bool {
    let found = look_up_silently(ctx, key);
    if !found {
        ctx.txn.event(key, Class::KeyMiss, "keymiss");
    }
    found
}

/// As `look_up`, without an event.
fn look_up_silently(ctx: &mut Context<'_>, key: &Key<'_>) -> bool {
    let found = ctx.txn.contains(key);
    if found {
        ctx.txn.counters.hits += 1;
    } else {
        ctx.txn.counters.misses += 1;
    }
    found
}
