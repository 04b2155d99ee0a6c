//! ZPOPMIN, ZPOPMAX, ZMPOP and their blocking forms.

use super::{Done, drop_empty};
use crate::args::{Args, Cursor};
use crate::context::{Context, Deadline};
use crate::error::CommandError;
use crate::families::members::positive_count;
use crate::number::parse_f64;
use redoubt_resp::Reply;
use redoubt_store::{Class, Key};

/// Which end members are taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    fn command(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }

    /// Reads `MIN` or `MAX`.
    fn parse(cursor: &mut Cursor<'_>) -> Result<End, CommandError> {
        if cursor.token("min") {
            Ok(End::Min)
        } else if cursor.token("max") {
            Ok(End::Max)
        } else {
            Err(CommandError::Syntax)
        }
    }
}

/// Takes up to `count` members off one end.
fn take(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    end: End,
    count: usize,
) -> Result<Vec<(Vec<u8>, f64)>, CommandError> {
    let Some(set) = ctx.sorted_set_mut(key)? else { return Ok(Vec::new()) };
    let popped: Vec<_> = std::iter::from_fn(|| set.pop(end == End::Max)).take(count).collect();
    if !popped.is_empty() {
        ctx.txn.changed_times(key, Class::SortedSet, end.command(), popped.len());
        drop_empty(ctx, key);
    }
    Ok(popped)
}

/// ZPOPMIN key [count]
pub fn zpopmin(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    pop(End::Min, ctx, args, reply)
}

/// ZPOPMAX key [count]
pub fn zpopmax(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    pop(End::Max, ctx, args, reply)
}

fn pop(end: End, ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let given = args.len() == 3;
    let count = if given { positive_count(args.get(2))? } else { 1 };
    let key = ctx.key(args.get(1));
    let popped = take(ctx, &key, end, count)?;
    // Pairs only where RESP3 meets an explicit count: <https://redis.io/docs/latest/commands/zpopmin/>
    let nested = given && reply.is_resp3();
    reply.array(if nested { popped.len() } else { popped.len() * 2 });
    for (member, score) in &popped {
        if nested {
            reply.array(2);
        }
        reply.bulk(member);
        reply.double(*score);
    }
    Ok(())
}

/// The first key that holds a non-empty sorted set. Another type on the way is an error.
fn first_filled<'k>(ctx: &mut Context<'_>, words: &[&'k [u8]]) -> Result<Option<Key<'k>>, CommandError> {
    for word in words {
        let key = ctx.key(word);
        if ctx.sorted_set_mut(&key)?.is_some_and(|set| !set.is_empty()) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Arguments of ZMPOP from numkeys on.
struct Multi<'a> {
    keys: &'a [&'a [u8]],
    end: End,
    count: usize,
}

impl<'a> Multi<'a> {
    /// Reads `numkeys key [key ...] <MIN | MAX> [COUNT count]`.
    fn parse(mut cursor: Cursor<'a>) -> Result<Multi<'a>, CommandError> {
        let keys = at_least_one(cursor.word()?, "ERR numkeys should be greater than 0")?;
        let keys = cursor.take(keys)?;
        let end = End::parse(&mut cursor)?;
        let mut count = None;
        while !cursor.is_done() {
            if count.is_some() || cursor.remaining() < 2 || !cursor.token("count") {
                return Err(CommandError::Syntax);
            }
            count = Some(at_least_one(cursor.word()?, "ERR count should be greater than 0")?);
        }
        Ok(Multi { keys, end, count: count.unwrap_or(1) })
    }

    /// Pops from the first key that has members; false if none has.
    fn run(&self, ctx: &mut Context<'_>, reply: &mut Reply<'_>) -> Result<bool, CommandError> {
        let Some(key) = first_filled(ctx, self.keys)? else { return Ok(false) };
        let popped = take(ctx, &key, self.end, self.count)?;
        let mut buffer = itoa::Buffer::new();
        let count = buffer.format(popped.len()).as_bytes();
        ctx.txn.effect(&[self.end.command().as_bytes(), key.bytes, count]);
        reply.array(2);
        reply.bulk(key.bytes);
        reply.array(popped.len());
        for (member, score) in &popped {
            reply.array(2);
            reply.bulk(member);
            reply.double(*score);
        }
        Ok(true)
    }
}

fn at_least_one(word: &[u8], text: &'static str) -> Result<usize, CommandError> {
    positive_count(word).ok().filter(|&count| count > 0).ok_or(CommandError::text(text))
}

/// ZMPOP numkeys key [key ...] <MIN | MAX> [COUNT count]
pub fn zmpop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let multi = Multi::parse(args.cursor(1))?;
    if !multi.run(ctx, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// BZMPOP timeout numkeys key [key ...] <MIN | MAX> [COUNT count]
pub fn bzmpop(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let deadline = parse_timeout(ctx, args.get(1))?;
    let multi = Multi::parse(args.cursor(2))?;
    if !multi.run(ctx, reply)? {
        wait(ctx, deadline, reply);
    }
    Ok(())
}

/// BZPOPMIN key [key ...] timeout
pub fn bzpopmin(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    blocking_pop(End::Min, ctx, args, reply)
}

/// BZPOPMAX key [key ...] timeout
pub fn bzpopmax(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    blocking_pop(End::Max, ctx, args, reply)
}

fn blocking_pop(end: End, ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let last = args.len() - 1;
    let deadline = parse_timeout(ctx, args.get(last))?;
    let Some(key) = first_filled(ctx, &args.words()[1..last])? else {
        wait(ctx, deadline, reply);
        return Ok(());
    };
    let popped = take(ctx, &key, end, 1)?;
    ctx.txn.effect(&[end.command().as_bytes(), key.bytes]);
    for (member, score) in &popped {
        reply.array(3);
        reply.bulk(key.bytes);
        reply.bulk(member);
        reply.double(*score);
    }
    Ok(())
}

/// Parks the call, or answers at once where it may not block.
fn wait(ctx: &mut Context<'_>, deadline: Deadline, reply: &mut Reply<'_>) {
    if ctx.may_block {
        ctx.block(deadline);
    } else {
        reply.null_array();
    }
}

/// Seconds with a fraction, 0 for ever. <https://redis.io/docs/latest/commands/bzpopmin/>
fn parse_timeout(ctx: &Context<'_>, word: &[u8]) -> Result<Deadline, CommandError> {
    let seconds = parse_f64(word).ok_or(CommandError::BadTimeout)?;
    let milliseconds = (seconds * 1000.0).ceil();
    let too_long = CommandError::text("ERR timeout is out of range");
    if milliseconds < 0.0 {
        return Err(CommandError::NegativeTimeout);
    }
    if milliseconds == 0.0 {
        return Ok(Deadline::Forever);
    }
    if milliseconds >= i64::MAX as f64 {
        return Err(too_long);
    }
    ctx.now_ms().checked_add(milliseconds as i64).map(Deadline::At).ok_or(too_long)
}
