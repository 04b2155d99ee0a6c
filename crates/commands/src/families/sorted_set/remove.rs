//! ZREM and the removals by range.

use super::{Done, bounds, drop_empty};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Class, SortedSet};
use std::ops::Range;

/// ZREM key member [member ...]
pub fn zrem(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    remove(ctx, args, "zrem", reply, |set| {
        args.rest(2).iter().filter(|member| set.remove(member).is_some()).count()
    })
}

fn remove(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    event: &'static str,
    reply: &mut Reply<'_>,
    take_out: impl FnOnce(&mut SortedSet) -> usize,
) -> Done {
    let key = ctx.key(args.get(1));
    let removed = ctx.sorted_set_mut(&key)?.map_or(0, take_out);
    if removed > 0 {
        ctx.txn.changed_times(&key, Class::SortedSet, event, removed);
        drop_empty(ctx, &key);
    }
    reply.int(removed as i64);
    Ok(())
}

fn remove_range(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    event: &'static str,
    reply: &mut Reply<'_>,
    ranks: impl FnOnce(&SortedSet) -> Range<usize>,
) -> Result<(), CommandError> {
    remove(ctx, args, event, reply, |set| {
        let ranks = ranks(set);
        set.remove_ranks(ranks)
    })
}

/// ZREMRANGEBYRANK key start stop
pub fn zremrangebyrank(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let positions = bounds::positions(args.get(2), args.get(3))?;
    remove_range(ctx, args, "zremrangebyrank", reply, |set| bounds::ranks(positions, set.len()))
}

/// ZREMRANGEBYSCORE key min max
pub fn zremrangebyscore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let range = bounds::score_range(args.get(2), args.get(3))?;
    remove_range(ctx, args, "zremrangebyscore", reply, |set| set.score_ranks(&range))
}

/// ZREMRANGEBYLEX key min max
pub fn zremrangebylex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let range = bounds::lex_range(args.get(2), args.get(3))?;
    remove_range(ctx, args, "zremrangebylex", reply, |set| set.lex_ranks(&range))
}
