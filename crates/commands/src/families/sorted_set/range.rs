//! ZRANGE, its older forms, and ZRANGESTORE.

use super::{Done, bounds, open_members, store, write_member};
use crate::args::{Args, Cursor};
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::SortedSet;
use redoubt_store::types::sorted_set::{LexRange, ScoreRange};
use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What a command fixes; the rest is read from its options.
#[derive(Clone, Copy)]
struct Form {
    /// `None`: BYSCORE and BYLEX say.
    by: Option<By>,
    /// `None`: REV says.
    reverse: Option<bool>,
    /// ZRANGESTORE takes no WITHSCORES.
    stores: bool,
}

/// A parsed range: what, which way, and which part.
struct Query<'a> {
    bound: Bound<'a>,
    reverse: bool,
    scores: bool,
    /// Members skipped; negative skips all.
    offset: i64,
    /// Members answered; negative is all.
    limit: i64,
}

enum Bound<'a> {
    Rank((i64, i64)),
    Score(ScoreRange),
    Lex(LexRange<'a>),
}

impl<'a> Query<'a> {
    /// Reads `start stop [options]`.
    fn parse(mut words: Cursor<'a>, form: Form) -> Result<Query<'a>, CommandError> {
        let (start, stop) = (words.word()?, words.word()?);
        let (mut by, mut reverse) = (form.by, form.reverse);
        let (mut scores, mut offset, mut limit) = (false, 0, -1);
        while !words.is_done() {
            if !form.stores && words.token("withscores") {
                scores = true;
            } else if words.remaining() > 2 && words.token("limit") {
                (offset, limit) = (words.int()?, words.int()?);
            } else if reverse.is_none() && words.token("rev") {
                reverse = Some(true);
            } else if by.is_none() && words.token("bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && words.token("byscore") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if scores && by == By::Lex {
            return Err(CommandError::text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        // Reversed ranges are spelled with their upper end first.
        let (min, max) = if reverse { (stop, start) } else { (start, stop) };
        let bound = match by {
            By::Rank => Bound::Rank(bounds::positions(start, stop)?),
            By::Score => Bound::Score(bounds::score_range(min, max)?),
            By::Lex => Bound::Lex(bounds::lex_range(min, max)?),
        };
        let (offset, limit) = if by == By::Rank { (0, -1) } else { (offset, limit) };
        Ok(Query { bound, reverse, scores, offset, limit })
    }

    /// Ranks of the members asked for.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let ranks = match &self.bound {
            Bound::Rank(positions) if self.reverse => {
                bounds::mirror(bounds::ranks(*positions, set.len()), set.len())
            }
            Bound::Rank(positions) => bounds::ranks(*positions, set.len()),
            Bound::Score(range) => set.score_ranks(range),
            Bound::Lex(range) => set.lex_ranks(range),
        };
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let count = usize::try_from(self.limit).unwrap_or(usize::MAX).min(ranks.len() - skipped);
        if self.reverse {
            ranks.end - skipped - count..ranks.end - skipped
        } else {
            ranks.start + skipped..ranks.start + skipped + count
        }
    }
}

fn answer(form: Form, ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let query = Query::parse(args.cursor(2), form)?;
    let key = ctx.key(args.get(1));
    let Some(set) = ctx.sorted_set(&key)? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = query.ranks(set);
    open_members(reply, ranks.len(), query.scores);
    for (member, score) in set.range(ranks, query.reverse) {
        write_member(reply, member, score, query.scores);
    }
    Ok(())
}

const fn form(by: Option<By>, reverse: Option<bool>) -> Form {
    Form { by, reverse, stores: false }
}

/// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
pub fn zrange(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(form(None, None), ctx, args, reply)
}

/// ZREVRANGE key start stop [WITHSCORES]
pub fn zrevrange(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(form(Some(By::Rank), Some(true)), ctx, args, reply)
}

/// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
pub fn zrangebyscore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(form(Some(By::Score), Some(false)), ctx, args, reply)
}

/// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
pub fn zrevrangebyscore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(form(Some(By::Score), Some(true)), ctx, args, reply)
}

/// ZRANGEBYLEX key min max [LIMIT offset count]
pub fn zrangebylex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(form(Some(By::Lex), Some(false)), ctx, args, reply)
}

/// ZREVRANGEBYLEX key max min [LIMIT offset count]
pub fn zrevrangebylex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(form(Some(By::Lex), Some(true)), ctx, args, reply)
}

/// ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
pub fn zrangestore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let query = Query::parse(args.cursor(3), Form { by: None, reverse: None, stores: true })?;
    let (destination, source) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    let limits = &ctx.settings.encoding;
    let mut result = SortedSet::new();
    if let Some(set) = ctx.sorted_set(&source)? {
        let ranks = query.ranks(set);
        // As in Redis, and it can be seen: on its way through a listpack a score of -0 becomes 0.
        if matches!(query.bound, Bound::Rank(_)) {
            result.prepare(ranks.len(), 0, limits);
        }
        let mut buffer = itoa::Buffer::new();
        for (member, score) in set.range(ranks, false) {
            result.insert(member.as_bytes(&mut buffer), score, limits);
        }
    }
    store(ctx, &destination, result, "zrangestore", reply);
    Ok(())
}
