//! Commands on sorted sets. <https://redis.io/docs/latest/commands/?group=sorted-set>

mod add;
mod bounds;
mod combine;
mod pop;
mod range;
mod read;
mod remove;

pub(crate) use add::{Options as AddOptions, add_scored};
pub use add::{zadd, zincrby};
pub use combine::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};
pub use pop::{bzmpop, bzpopmax, bzpopmin, zmpop, zpopmax, zpopmin};
pub use range::{
    zrange, zrangebylex, zrangebyscore, zrangestore, zrevrange, zrevrangebylex, zrevrangebyscore,
};
pub use read::{zcard, zcount, zlexcount, zmscore, zrandmember, zrank, zrevrank, zscan, zscore};
pub use remove::{zrem, zremrangebylex, zremrangebyrank, zremrangebyscore};

use super::members::bulk;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::packed::PackedValue;
use redoubt_store::{Class, Key, SortedSet, Value};

type Done = Result<(), CommandError>;

/// Removes a key whose last member went.
fn drop_empty(ctx: &mut Context<'_>, key: &Key<'_>) {
    if ctx.txn.remove_if_empty(key) {
        ctx.txn.changed_too(key, Class::Generic, "del");
    }
}

/// Puts a result at `key`, or removes the key when there is none; answers the number of members.
pub(crate) fn store(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    result: SortedSet,
    event: &'static str,
    reply: &mut Reply<'_>,
) {
    reply.int(result.len() as i64);
    if !result.is_empty() {
        ctx.txn.insert(key, Value::SortedSet(result), None);
        ctx.txn.changed(key, Class::SortedSet, event);
    } else if ctx.txn.remove(key) {
        ctx.txn.changed(key, Class::Generic, "del");
    }
}

/// Header of a list of `len` members: with scores RESP3 nests pairs, RESP2 is flat.
fn open_members(reply: &mut Reply<'_>, len: usize, scores: bool) {
    reply.array(if scores && !reply.is_resp3() { len * 2 } else { len });
}

/// One member of a list begun by `open_members`.
fn write_member(reply: &mut Reply<'_>, member: PackedValue<'_>, score: f64, scores: bool) {
    if scores && reply.is_resp3() {
        reply.array(2);
    }
    bulk(reply, member);
    if scores {
        reply.double(score);
    }
}
