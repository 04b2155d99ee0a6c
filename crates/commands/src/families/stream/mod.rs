//! Stream commands: <https://redis.io/docs/latest/commands/?group=stream>

mod add;
mod claim;
mod consume;
mod delete;
mod group;
mod id;
mod info;
mod options;
mod pending;
mod read;

pub(crate) use add::{xadd, xtrim};
pub(crate) use claim::{xautoclaim, xclaim};
pub(crate) use consume::{xread, xreadgroup};
pub(crate) use delete::{xackdel, xdel, xdelex};
pub(crate) use group::{
    xack, xgroup_create, xgroup_createconsumer, xgroup_delconsumer, xgroup_destroy, xgroup_help, xgroup_setid,
};
pub(crate) use info::{xinfo_consumers, xinfo_groups, xinfo_help, xinfo_stream};
pub(crate) use pending::xpending;
pub(crate) use read::{xlen, xrange, xrevrange, xsetid};

use crate::context::Context;
use crate::error::CommandError;
use id::IdText;
use redoubt_resp::Reply;
use redoubt_store::packed::PackedValue;
use redoubt_store::types::stream::{Entry, Fields};
use redoubt_store::{Class, Key, StreamId};

type Outcome = Result<(), CommandError>;

/// Writes a name or value.
#[inline]
fn write(reply: &mut Reply<'_>, value: PackedValue<'_>) {
    match value {
        PackedValue::Int(value) => reply.bulk_int(value),
        PackedValue::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Writes an id.
#[inline]
fn write_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(&IdText::new(id));
}

/// Writes names and values in turn.
#[inline]
fn write_fields(reply: &mut Reply<'_>, fields: Fields<'_>) {
    reply.array(2 * fields.len());
    for (name, value) in fields {
        write(reply, name);
        write(reply, value);
    }
}

/// Writes an entry: its id, and its names and values.
#[inline]
fn write_entry(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply.array(2);
    write_id(reply, entry.id);
    write_fields(reply, entry.fields);
}

/// Tells that something beside the entries changed. As in Redis, who WATCHes the key does not hear of it.
fn noted(ctx: &mut Context<'_>, key: &Key<'_>, event: &'static str) {
    ctx.txn.counters.dirty += 1;
    ctx.txn.event(key, Class::Stream, event);
}

/// The group of a stream that must exist, or NOGROUP.
fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    CommandError::owned(format!("NOGROUP No such key '{key}' or consumer group '{group}'"))
}

/// Options of a subcommand that make no sense.
fn bad_subcommand(container: &str, word: &[u8]) -> CommandError {
    let word = String::from_utf8_lossy(&word[..word.len().min(128)]);
    CommandError::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}'. Try {container} HELP."
    ))
}

#[cfg(test)]
mod tests;
