//! Commands that move elements between lists or pop from the first list that has any, and their blocking forms.
//!
//! A blocking form runs as the plain one when there is data; what it did is logged as the plain form.

use super::{End, pop_many, removed, write};
use crate::args::{Args, Cursor};
use crate::context::Context;
use crate::error::CommandError;
use crate::families::blocking;
use redoubt_resp::Reply;
use redoubt_store::Class;
use smallvec::SmallVec;

type Outcome = Result<(), CommandError>;

/// LMOVE source destination LEFT | RIGHT LEFT | RIGHT
pub(crate) fn lmove(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (from, to) = (End::parse(args.get(3))?, End::parse(args.get(4))?);
    if !transfer(ctx, args, from, to, reply)? {
        reply.null();
    }
    Ok(())
}

/// RPOPLPUSH source destination
pub(crate) fn rpoplpush(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if !transfer(ctx, args, End::Right, End::Left, reply)? {
        reply.null();
    }
    Ok(())
}

/// BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout
pub(crate) fn blmove(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (from, to) = (End::parse(args.get(3))?, End::parse(args.get(4))?);
    let deadline = blocking::deadline(args.get(5), ctx.now_ms())?;
    if transfer(ctx, args, from, to, reply)? {
        ctx.txn.effect(&[b"LMOVE", args.get(1), args.get(2), from.word(), to.word()]);
    } else if !blocking::park(ctx, deadline) {
        reply.null();
    }
    Ok(())
}

/// BRPOPLPUSH source destination timeout
pub(crate) fn brpoplpush(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let deadline = blocking::deadline(args.get(3), ctx.now_ms())?;
    if transfer(ctx, args, End::Right, End::Left, reply)? {
        ctx.txn.effect(&[b"RPOPLPUSH", args.get(1), args.get(2)]);
    } else if !blocking::park(ctx, deadline) {
        reply.null();
    }
    Ok(())
}

/// Moves an element from the list named by argument 1 to the one named by argument 2 and answers it. False, and no
/// answer, if the source is missing.
fn transfer(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    from: End,
    to: End,
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    let (source, target) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    let limits = &ctx.settings.encoding;
    if ctx.list_mut(&source)?.is_none() {
        return Ok(false);
    }
    ctx.list_mut(&target)?;
    let Some(list) = ctx.list_mut(&source)? else { return Ok(false) };
    let Some(value) = from.peek(list) else { return Ok(false) };
    let element: SmallVec<[u8; 128]> = SmallVec::from_slice(value.as_bytes(&mut itoa::Buffer::new()));
    if source.bytes == target.bytes {
        if from != to {
            list.rotate(from == End::Left, limits);
        }
    } else {
        from.remove(list, 1, limits);
        to.extend(ctx.list_or_create(&target)?, &[&element], limits);
    }
    reply.bulk(&element);
    // One change, of two keys.
    ctx.txn.changed_too(&target, Class::List, to.push_event());
    ctx.txn.signal(&target);
    removed(ctx, &source, from.pop_event(), 1);
    Ok(true)
}

/// LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count]
pub(crate) fn lmpop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let request = MultiPop::parse(args.cursor(1))?;
    if !request.run(ctx, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// BLMPOP timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]
pub(crate) fn blmpop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let deadline = blocking::deadline(args.get(1), ctx.now_ms())?;
    let request = MultiPop::parse(args.cursor(2))?;
    if !request.run(ctx, reply)? && !blocking::park(ctx, deadline) {
        reply.null_array();
    }
    Ok(())
}

/// What LMPOP and BLMPOP ask for.
struct MultiPop<'a> {
    keys: &'a [&'a [u8]],
    end: End,
    count: usize,
}

impl<'a> MultiPop<'a> {
    fn parse(mut words: Cursor<'a>) -> Result<MultiPop<'a>, CommandError> {
        let at_least_one = |word: &[u8], error: &'static str| {
            let value = crate::number::parse_i64(word).and_then(|value| usize::try_from(value).ok());
            value.filter(|value| *value > 0).ok_or(CommandError::text(error))
        };
        let keys = at_least_one(words.word()?, "ERR numkeys should be greater than 0")?;
        let keys = words.take(keys)?;
        let end = End::parse(words.word()?)?;
        let mut count = None;
        while !words.is_done() {
            if count.is_some() || !words.token("count") {
                return Err(CommandError::Syntax);
            }
            count = Some(at_least_one(words.word()?, "ERR count should be greater than 0")?);
        }
        Ok(MultiPop { keys, end, count: count.unwrap_or(1) })
    }

    /// Pops from the first list that exists and answers key and elements; false if there is none.
    fn run(&self, ctx: &mut Context<'_>, reply: &mut Reply<'_>) -> Result<bool, CommandError> {
        let limits = &ctx.settings.encoding;
        for word in self.keys {
            let key = ctx.key(word);
            let Some(list) = ctx.list_mut(&key)? else { continue };
            reply.array(2);
            reply.bulk(word);
            let popped = pop_many(list, self.end, self.count, limits, reply);
            removed(ctx, &key, self.end.pop_event(), popped);
            let mut digits = itoa::Buffer::new();
            let count = digits.format(popped).as_bytes();
            ctx.txn.effect(&[self.end.pop_command(), key.bytes, count]);
            return Ok(true);
        }
        Ok(false)
    }
}

/// BLPOP key [key ...] timeout
pub(crate) fn blpop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    blocking_pop(ctx, args, reply, End::Left)
}

/// BRPOP key [key ...] timeout
pub(crate) fn brpop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    blocking_pop(ctx, args, reply, End::Right)
}

fn blocking_pop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>, end: End) -> Outcome {
    let last = args.len() - 1;
    let deadline = blocking::deadline(args.get(last), ctx.now_ms())?;
    let limits = &ctx.settings.encoding;
    for word in &args.words()[1..last] {
        let key = ctx.key(word);
        let Some(list) = ctx.list_mut(&key)? else { continue };
        let Some(value) = end.peek(list) else { continue };
        reply.array(2);
        reply.bulk(word);
        write(reply, value);
        end.remove(list, 1, limits);
        removed(ctx, &key, end.pop_event(), 1);
        ctx.txn.effect(&[end.pop_command(), word]);
        return Ok(());
    }
    if !blocking::park(ctx, deadline) {
        reply.null_array();
    }
    Ok(())
}
