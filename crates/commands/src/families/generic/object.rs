//! OBJECT and MEMORY USAGE: what lies behind a value.

use super::look_up_silently;
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::introspect;
use redoubt_resp::Reply;
use redoubt_store::Access;

/// OBJECT ENCODING key: name of the layout, null without key.
/// <https://redis.io/docs/latest/commands/object-encoding/>
pub fn object_encoding(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = ctx.key(args.get(2));
    look_up_silently(ctx, &key);
    match ctx.txn.encoding(&key) {
        Some(name) => reply.bulk(name.as_bytes()),
        None => reply.null(),
    }
    Ok(())
}

/// OBJECT FREQ key: the LFU counter, null without key; fails under other policies.
/// <https://redis.io/docs/latest/commands/object-freq/>
pub fn object_freq(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let refusal = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
                   when switching between policies at runtime LRU and LFU data will take some time to adjust.";
    let allowed = ctx.settings.lfu;
    answer_access(ctx, args, reply, allowed, refusal, |access| access.frequency)
}

/// OBJECT IDLETIME key: seconds without access, null without key; fails under LFU policies.
/// <https://redis.io/docs/latest/commands/object-idletime/>
pub fn object_idletime(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let refusal = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
                   switching between policies at runtime LRU and LFU data will take some time to adjust.";
    let allowed = !ctx.settings.lfu;
    answer_access(ctx, args, reply, allowed, refusal, |access| access.idle_seconds)
}

fn answer_access(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    allowed: bool,
    refusal: &'static str,
    pick: fn(Access) -> u32,
) -> Result<(), CommandError> {
    let key = ctx.key(args.get(2));
    look_up_silently(ctx, &key);
    match ctx.txn.access_of(&key) {
        None => reply.null(),
        Some(_) if !allowed => return Err(CommandError::text(refusal)),
        Some(access) => reply.int(i64::from(pick(access))),
    }
    Ok(())
}

/// OBJECT REFCOUNT key: 1, since values are never shared; null without key.
/// <https://redis.io/docs/latest/commands/object-refcount/>
pub fn object_refcount(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = ctx.key(args.get(2));
    if look_up_silently(ctx, &key) {
        reply.int(1);
    } else {
        reply.null();
    }
    Ok(())
}

/// OBJECT HELP. <https://redis.io/docs/latest/commands/object-help/>
pub fn object_help(
    _ctx: &mut Context<'_>,
    _args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    introspect::help("object", reply);
    Ok(())
}

/// MEMORY USAGE key [SAMPLES count]: bytes, null without key. The values know their sizes, so nothing is sampled.
/// <https://redis.io/docs/latest/commands/memory-usage/>
pub fn memory_usage(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let mut cursor = args.cursor(3);
    while !cursor.is_done() {
        if !cursor.token("SAMPLES") || cursor.is_done() || cursor.int()? < 0 {
            return Err(CommandError::Syntax);
        }
    }
    let key = ctx.key(args.get(2));
    match ctx.txn.memory_usage(&key) {
        Some(bytes) => reply.int(bytes as i64),
        None => reply.null(),
    }
    Ok(())
}
