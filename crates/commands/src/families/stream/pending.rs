//! XPENDING.

use super::id::{parse_end, parse_start};
use super::{Outcome, no_group, write_id};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::StreamId;
use redoubt_store::types::stream::{Group, Pending};

/// The second form: which pending entries to list.
struct Filter<'a> {
    idle_min_ms: i64,
    from: StreamId,
    to: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    fn parse(args: &Args<'a>) -> Result<Filter<'a>, CommandError> {
        if !(6..=9).contains(&args.len()) {
            return Err(CommandError::Syntax);
        }
        let (mut at, mut idle_min_ms) = (3, 0);
        if args.is(3, "idle") {
            idle_min_ms = args.int(4)?;
            if args.len() < 8 {
                return Err(CommandError::Syntax);
            }
            at = 5;
        }
        let count = args.int(at + 2)?.max(0) as usize;
        let (from, to) = (parse_start(args.get(at))?, parse_end(args.get(at + 1))?);
        Ok(Filter { idle_min_ms, from, to, count, consumer: args.words().get(at + 3).copied() })
    }
}

/// XPENDING key group [[IDLE min-idle-time] start end count [consumer]]
pub(crate) fn xpending(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let filter = if args.len() == 3 { None } else { Some(Filter::parse(args)?) };
    let now_ms = ctx.now_ms();
    let key = ctx.key(args.get(1));
    let group = ctx.stream(&key)?.and_then(|stream| stream.group(args.get(2)));
    let group = group.ok_or_else(|| no_group(args.get(1), args.get(2)))?;
    match filter {
        None => summary(group, reply),
        Some(filter) => list(group, &filter, now_ms, reply),
    }
    Ok(())
}

fn summary(group: &Group, reply: &mut Reply<'_>) {
    reply.array(4);
    reply.int(group.pending_len() as i64);
    let Some((first, last)) = group.pending_bounds() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    write_id(reply, first);
    write_id(reply, last);
    let consumers = || group.consumers().filter(|consumer| consumer.pending_len() > 0);
    reply.array(consumers().count());
    for consumer in consumers() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending_len() as i64);
    }
}

fn list(group: &Group, filter: &Filter<'_>, now_ms: i64, reply: &mut Reply<'_>) {
    let open = reply.open();
    let mut len = 0;
    let idle = |pending: &Pending| now_ms - pending.delivered_ms;
    let mut show = |id: StreamId, pending: &Pending| {
        if filter.idle_min_ms != 0 && idle(pending) < filter.idle_min_ms || len == filter.count {
            return len < filter.count;
        }
        reply.array(4);
        write_id(reply, id);
        reply.bulk(group.consumer(pending.consumer()).name());
        reply.int(idle(pending).max(0));
        reply.int(pending.deliveries as i64);
        len += 1;
        len < filter.count
    };
    match filter.consumer {
        None => {
            let mut all = group.pending_from(filter.from).take_while(|(id, _)| *id <= filter.to);
            while all.next().is_some_and(|(id, pending)| show(id, pending)) {}
        }
        Some(name) => {
            let consumer = group.find_consumer(name).map(|id| group.consumer(id));
            let ids = consumer.into_iter().flat_map(|consumer| consumer.pending_from(filter.from));
            let ids = ids.take_while(|id| *id <= filter.to);
            let mut own = ids.filter_map(|id| group.pending_at(id).map(|pending| (id, pending)));
            while own.next().is_some_and(|(id, pending)| show(id, pending)) {}
        }
    }
    reply.close_array(open, len);
}
