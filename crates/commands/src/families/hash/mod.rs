//! Hash commands: <https://redis.io/docs/latest/commands/?group=hash>

mod edit;
mod expiry;
mod lifetime;
mod random;
mod read;
mod with_expiry;

pub(crate) use edit::{hdel, hincrby, hincrbyfloat, hmset, hset, hsetnx};
pub(crate) use expiry::{
    hexpire, hexpireat, hexpiretime, hpersist, hpexpire, hpexpireat, hpexpiretime, hpttl, httl,
};
pub(crate) use random::hrandfield;
pub(crate) use read::{hexists, hget, hgetall, hkeys, hlen, hmget, hscan, hstrlen, hvals};
pub(crate) use with_expiry::{hgetdel, hgetex, hsetex};

use redoubt_resp::Reply;
use redoubt_store::packed::PackedValue;

/// Writes a field or value.
#[inline]
fn write(reply: &mut Reply<'_>, value: PackedValue<'_>) {
    match value {
        PackedValue::Int(value) => reply.bulk_int(value),
        PackedValue::Bytes(bytes) => reply.bulk(bytes),
    }
}

#[cfg(test)]
mod tests;
