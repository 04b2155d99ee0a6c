//! XDEL, XDELEX and XACKDEL.

use super::options::references_and_ids;
use super::{Outcome, id};
use crate::args::Args;
use crate::context::Context;
use redoubt_resp::Reply;
use redoubt_store::types::stream::References;
use redoubt_store::{Class, Key, Stream, StreamId};

/// What became of an entry, as XDELEX and XACKDEL answer it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// There was none, or nothing was pending.
    Missing = -1,
    Deleted = 1,
    /// A group still needs it.
    Needed = 2,
}

/// XDEL key id [id ...]
pub(crate) fn xdel(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let Some(stream) = ctx.stream_mut(&key)? else {
        reply.int(0);
        return Ok(());
    };
    // All ids are checked before any is deleted.
    let ids = args.rest(2).iter().map(|word| id::parse(word, 0)).collect::<Result<Vec<_>, _>>()?;
    let deleted = ids.into_iter().filter(|id| stream.delete(*id)).count();
    reply.int(deleted as i64);
    tell(ctx, &key, deleted);
    Ok(())
}

fn tell(ctx: &mut Context<'_>, key: &Key<'_>, deleted: usize) {
    if deleted > 0 {
        ctx.txn.changed(key, Class::Stream, "xdel");
        ctx.txn.counters.dirty += deleted as u64 - 1;
    }
}

/// Deletes an entry as far as the references to it allow.
fn delete(stream: &mut Stream, id: StreamId, references: References) -> Fate {
    match references {
        References::Acked if stream.contains(id) && stream.is_needed(id) => return Fate::Needed,
        // References to an entry that is gone already go too.
        References::Delete => stream.forget(id),
        References::Acked | References::Keep => {}
    }
    if stream.delete(id) { Fate::Deleted } else { Fate::Missing }
}

/// XDELEX key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]
pub(crate) fn xdelex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (references, ids) = references_and_ids(args.cursor(2))?;
    let key = ctx.key(args.get(1));
    reply.array(ids.len());
    let Some(stream) = ctx.stream_mut(&key)? else {
        ids.iter().for_each(|_| reply.int(Fate::Missing as i64));
        return Ok(());
    };
    let pending = pending(stream);
    let mut deleted = 0;
    for id in ids {
        let fate = delete(stream, id, references);
        deleted += usize::from(fate == Fate::Deleted);
        reply.int(fate as i64);
    }
    let forgotten = self::pending(stream) != pending;
    tell(ctx, &key, deleted);
    ctx.txn.counters.dirty += u64::from(forgotten && deleted == 0);
    Ok(())
}

fn pending(stream: &Stream) -> usize {
    stream.groups().map(|group| group.pending_len()).sum()
}

/// XACKDEL key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]
pub(crate) fn xackdel(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (references, ids) = references_and_ids(args.cursor(3))?;
    let key = ctx.key(args.get(1));
    reply.array(ids.len());
    let stream = ctx.stream_mut(&key)?.filter(|stream| stream.group(args.get(2)).is_some());
    let Some(stream) = stream else {
        ids.iter().for_each(|_| reply.int(Fate::Missing as i64));
        return Ok(());
    };
    let (mut acknowledged, mut deleted) = (0, 0);
    for id in ids {
        let was_pending = stream.group_mut(args.get(2)).is_some_and(|group| group.acknowledge(id));
        if !was_pending {
            if references == References::Delete && !stream.contains(id) {
                stream.forget(id);
            }
            reply.int(Fate::Missing as i64);
            continue;
        }
        acknowledged += 1;
        match delete(stream, id, references) {
            Fate::Needed => reply.int(Fate::Needed as i64),
            // An entry that was gone before is acknowledged all the same.
            fate @ (Fate::Deleted | Fate::Missing) => {
                deleted += usize::from(fate == Fate::Deleted);
                reply.int(Fate::Deleted as i64);
            }
        }
    }
    tell(ctx, &key, deleted);
    ctx.txn.counters.dirty += acknowledged - deleted as u64;
    Ok(())
}
