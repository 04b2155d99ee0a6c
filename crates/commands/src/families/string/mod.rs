//! Commands on strings. <https://redis.io/docs/latest/develop/data-types/strings/>

mod basic;
mod incr;
mod lcs;
mod options;
mod range;
mod set;

pub use basic::{get, getdel, getex, getset, mget, mset, msetnx};
pub use incr::{decr, decrby, incr, incrby, incrbyfloat};
pub use lcs::lcs;
pub use range::{append, getrange, setrange, strlen, substr};
pub use set::{psetex, set, setex, setnx};

use redoubt_resp::Reply;
use redoubt_store::Str;

/// Writes a string as a bulk.
#[inline]
pub(crate) fn reply_str(reply: &mut Reply<'_>, string: Str<'_>) {
    match string {
        Str::Int(value) => reply.bulk_int(value),
        Str::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Writes a string as a bulk, or null if there is none.
#[inline]
pub(crate) fn reply_opt(reply: &mut Reply<'_>, string: Option<Str<'_>>) {
    match string {
        Some(string) => reply_str(reply, string),
        None => reply.null(),
    }
}
