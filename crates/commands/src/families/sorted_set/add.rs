//! ZADD and ZINCRBY.

use super::Done;
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::number::parse_f64;
use redoubt_resp::Reply;
use redoubt_store::{Class, EncodingLimits, SortedSet};

/// Conditions and ways of ZADD. <https://redis.io/docs/latest/commands/zadd/>
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) only_new: bool,
    pub(crate) only_existing: bool,
    only_greater: bool,
    only_less: bool,
    pub(crate) count_changes: bool,
    increment: bool,
}

impl Options {
    /// Reads the options from word 2 on; also the position of the first score.
    fn parse(args: &Args<'_>) -> Result<(Options, usize), CommandError> {
        let mut options = Options::default();
        let mut at = 2;
        while at < args.len() {
            let flag = match args.get(at).to_ascii_lowercase().as_slice() {
                b"nx" => &mut options.only_new,
                b"xx" => &mut options.only_existing,
                b"gt" => &mut options.only_greater,
                b"lt" => &mut options.only_less,
                b"ch" => &mut options.count_changes,
                b"incr" => &mut options.increment,
                _ => break,
            };
            *flag = true;
            at += 1;
        }
        let words = args.len() - at;
        if words == 0 || !words.is_multiple_of(2) {
            return Err(CommandError::Syntax);
        }
        options.check(words / 2)?;
        Ok((options, at))
    }

    fn check(&self, pairs: usize) -> Done {
        let text = if self.only_new && self.only_existing {
            "ERR XX and NX options at the same time are not compatible"
        } else if (self.only_greater && (self.only_new || self.only_less))
            || (self.only_less && self.only_new)
        {
            "ERR GT, LT, and/or NX options at the same time are not compatible"
        } else if self.increment && pairs > 1 {
            "ERR INCR option supports a single increment-element pair"
        } else {
            return Ok(());
        };
        Err(CommandError::text(text))
    }
}

/// What became of one pair.
enum Outcome {
    /// A condition of the options did not hold.
    Refused,
    Added(f64),
    Changed(f64),
    Same(f64),
}

impl Options {
    fn apply(
        &self,
        set: &mut SortedSet,
        member: &[u8],
        score: f64,
        limits: &EncodingLimits,
    ) -> Result<Outcome, CommandError> {
        let Some(before) = set.score(member) else {
            if self.only_existing {
                return Ok(Outcome::Refused);
            }
            set.insert(member, score, limits);
            return Ok(Outcome::Added(score));
        };
        if self.only_new {
            return Ok(Outcome::Refused);
        }
        let after = if self.increment { before + score } else { score };
        if after.is_nan() {
            return Err(CommandError::text("ERR resulting score is not a number (NaN)"));
        }
        if (self.only_less && after >= before) || (self.only_greater && after <= before) {
            return Ok(Outcome::Refused);
        }
        if after == before {
            return Ok(Outcome::Same(after));
        }
        set.insert(member, after, limits);
        Ok(Outcome::Changed(after))
    }
}

/// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]
pub fn zadd(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let (options, first) = Options::parse(args)?;
    add(ctx, args.get(1), options, args.rest(first), reply)
}

/// ZINCRBY key increment member
pub fn zincrby(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let options = Options { increment: true, ..Options::default() };
    add(ctx, args.get(1), options, args.rest(2), reply)
}

fn add(ctx: &mut Context<'_>, key: &[u8], options: Options, pairs: &[&[u8]], reply: &mut Reply<'_>) -> Done {
    // Every score is proved before the first pair is applied.
    let scored =
        pairs.chunks_exact(2).map(|pair| Ok((parse_f64(pair[0]).ok_or(CommandError::NotAFloat)?, pair[1])));
    let scored = scored.collect::<Result<smallvec::SmallVec<[(f64, &[u8]); 8]>, CommandError>>()?;
    add_scored(ctx, key, options, &scored, reply)
}

/// Adds members, at least one, with their scores.
pub(crate) fn add_scored(
    ctx: &mut Context<'_>,
    key: &[u8],
    options: Options,
    scored: &[(f64, &[u8])],
    reply: &mut Reply<'_>,
) -> Done {
    let key = ctx.key(key);
    let limits = &ctx.settings.encoding;
    if ctx.sorted_set_mut(&key)?.is_none() && options.only_existing {
        if options.increment {
            reply.null()
        } else {
            reply.int(0)
        }
        return Ok(());
    }
    let set = ctx.sorted_set_or_create(&key)?;
    set.prepare(scored.len(), scored[0].1.len(), limits);
    let (mut added, mut changed, mut last) = (0, 0, None);
    for &(score, member) in scored {
        match options.apply(set, member, score, limits)? {
            Outcome::Refused => last = None,
            Outcome::Added(score) => (added, last) = (added + 1, Some(score)),
            Outcome::Changed(score) => (changed, last) = (changed + 1, Some(score)),
            Outcome::Same(score) => last = Some(score),
        }
    }
    if added + changed > 0 {
        let event = if options.increment { "zincr" } else { "zadd" };
        ctx.txn.changed_times(&key, Class::SortedSet, event, (added + changed) as usize);
    }
    match last {
        _ if !options.increment => reply.int(added + if options.count_changes { changed } else { 0 }),
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(())
}
