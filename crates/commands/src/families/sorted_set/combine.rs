//! ZUNION, ZINTER, ZDIFF, their storing forms, and ZINTERCARD. Inputs may be plain sets, whose members score 1.

use super::{Done, open_members, store, write_member};
use crate::args::{Args, Cursor};
use crate::context::Context;
use crate::error::CommandError;
use hashbrown::HashMap;
use redoubt_resp::Reply;
use redoubt_store::packed::PackedValue;
use redoubt_store::{Key, Set, SortedSet, ValueRef};

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Union,
    Inter,
    Diff,
}

/// How scores of the same member become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinities of both signs cancel: a NaN never becomes a score.
            Aggregate::Sum => zero_if_nan(a + b),
            Aggregate::Min => a.min(b),
            Aggregate::Max => a.max(b),
        }
    }
}

fn zero_if_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// A set or sorted set to combine, or nothing.
#[derive(Clone, Copy)]
enum Source<'s> {
    Missing,
    Plain(&'s Set),
    Scored(&'s SortedSet),
}

impl<'s> Source<'s> {
    fn len(self) -> usize {
        match self {
            Source::Missing => 0,
            Source::Plain(set) => set.len(),
            Source::Scored(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Missing => None,
            Source::Plain(set) => set.contains(member).then_some(1.0),
            Source::Scored(set) => set.score(member),
        }
    }

    /// Calls `each` for members and scores until it answers false.
    fn visit(self, mut each: impl FnMut(&[u8], f64) -> bool) {
        let mut buffer = itoa::Buffer::new();
        match self {
            Source::Missing => {}
            Source::Plain(set) => {
                set.iter().all(|member| each(member.as_bytes(&mut buffer), 1.0));
            }
            Source::Scored(set) => {
                set.iter().all(|(member, score)| each(member.as_bytes(&mut buffer), score));
            }
        }
    }
}

/// What a call asks for.
struct Query<'a> {
    how: How,
    keys: Vec<Key<'a>>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    scores: bool,
    /// ZINTERCARD stops here; 0 never.
    limit: usize,
}

/// Which options a command knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Answers,
    Stores,
    Counts,
}

impl<'a> Query<'a> {
    /// Reads `numkeys key [key ...] [options]`; looks the keys up before the options, as Redis does.
    fn parse(
        how: How,
        kind: Kind,
        command: &str,
        ctx: &mut Context<'_>,
        mut words: Cursor<'a>,
    ) -> Result<Query<'a>, CommandError> {
        let count = words.int()?;
        if count < 1 {
            return Err(CommandError::owned(format!(
                "ERR at least 1 input key is needed for '{command}' command"
            )));
        }
        let keys = words.take(usize::try_from(count).unwrap_or(usize::MAX))?;
        let keys: Vec<Key<'a>> = keys.iter().map(|key| ctx.key(key)).collect();
        for key in &keys {
            if !matches!(ctx.txn.get(key), None | Some(ValueRef::Set(_) | ValueRef::SortedSet(_))) {
                return Err(CommandError::WrongType);
            }
        }
        let weights = vec![1.0; keys.len()];
        let mut query = Query { how, keys, weights, aggregate: Aggregate::Sum, scores: false, limit: 0 };
        while !words.is_done() {
            query.option(kind, &mut words)?;
        }
        Ok(query)
    }

    fn option(&mut self, kind: Kind, words: &mut Cursor<'a>) -> Done {
        let combines = self.how != How::Diff && kind != Kind::Counts;
        if combines && words.remaining() > self.keys.len() && words.token("weights") {
            for weight in &mut self.weights {
                *weight =
                    words.double().map_err(|_| CommandError::text("ERR weight value is not a float"))?;
            }
        } else if combines && words.remaining() > 1 && words.token("aggregate") {
            self.aggregate = if words.token("sum") {
                Aggregate::Sum
            } else if words.token("min") {
                Aggregate::Min
            } else if words.token("max") {
                Aggregate::Max
            } else {
                return Err(CommandError::Syntax);
            };
        } else if kind == Kind::Answers && words.token("withscores") {
            self.scores = true;
        } else if kind == Kind::Counts && words.remaining() > 1 && words.token("limit") {
            self.limit = words
                .int()
                .ok()
                .and_then(|limit| usize::try_from(limit).ok())
                .ok_or(CommandError::text("ERR LIMIT can't be negative"))?;
        } else {
            return Err(CommandError::Syntax);
        }
        Ok(())
    }

    fn sources<'s>(&self, ctx: &'s Context<'_>) -> Vec<(Source<'s>, f64)> {
        let source = |key: &Key<'_>| match ctx.txn.view(key) {
            Some(ValueRef::Set(set)) => Source::Plain(set),
            Some(ValueRef::SortedSet(set)) => Source::Scored(set),
            _ => Source::Missing,
        };
        self.keys.iter().map(source).zip(self.weights.iter().copied()).collect()
    }

    /// The members of the result, in order.
    fn run(&self, ctx: &Context<'_>) -> Vec<(Vec<u8>, f64)> {
        let mut sources = self.sources(ctx);
        let mut result = match self.how {
            How::Diff => difference(&sources),
            How::Inter => {
                sources.sort_by_key(|(source, _)| source.len());
                let mut found = Vec::new();
                intersect(&sources, self.aggregate, |member, score| {
                    found.push((member.to_vec(), score));
                    true
                });
                found
            }
            How::Union => {
                sources.sort_by_key(|(source, _)| source.len());
                union(&sources, self.aggregate)
            }
        };
        result.sort_unstable_by(|a, b| a.1.compare_score(b.1).then_with(|| a.0.cmp(&b.0)));
        result
    }
}

/// Order of scores, in which 0 and -0 are equal.
trait ScoreOrder {
    fn compare_score(self, other: Self) -> std::cmp::Ordering;
}

impl ScoreOrder for f64 {
    fn compare_score(self, other: f64) -> std::cmp::Ordering {
        self.partial_cmp(&other).unwrap_or(std::cmp::Ordering::Equal)
    }
}

/// Calls `each` for the members all sources have, until it answers false. The smallest source comes first.
fn intersect(sources: &[(Source<'_>, f64)], aggregate: Aggregate, mut each: impl FnMut(&[u8], f64) -> bool) {
    let Some(((first, weight), others)) = sources.split_first() else { return };
    first.visit(|member, score| {
        let mut total = zero_if_nan(weight * score);
        for (other, weight) in others {
            let Some(score) = other.score(member) else { return true };
            // As in Redis only the first product is checked: a sum with a NaN becomes 0, an extreme ignores it.
            total = aggregate.join(total, weight * score);
        }
        each(member, total)
    });
}

fn union(sources: &[(Source<'_>, f64)], aggregate: Aggregate) -> Vec<(Vec<u8>, f64)> {
    let longest = sources.iter().map(|(source, _)| source.len()).max().unwrap_or(0);
    let mut totals: HashMap<Vec<u8>, f64, foldhash::quality::RandomState> =
        HashMap::with_capacity_and_hasher(longest, Default::default());
    for (source, weight) in sources {
        source.visit(|member, score| {
            let score = zero_if_nan(weight * score);
            totals
                .entry_ref(member)
                .and_modify(|total| *total = aggregate.join(*total, score))
                .or_insert(score);
            true
        });
    }
    totals.into_iter().collect()
}

fn difference(sources: &[(Source<'_>, f64)]) -> Vec<(Vec<u8>, f64)> {
    let mut left = Vec::new();
    let Some(((first, _), others)) = sources.split_first() else { return left };
    first.visit(|member, score| {
        if others.iter().all(|(other, _)| other.score(member).is_none()) {
            left.push((member.to_vec(), score));
        }
        true
    });
    left
}

fn answer(how: How, command: &str, ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let query = Query::parse(how, Kind::Answers, command, ctx, args.cursor(1))?;
    let result = query.run(ctx);
    open_members(reply, result.len(), query.scores);
    for (member, score) in &result {
        write_member(reply, PackedValue::Bytes(member), *score, query.scores);
    }
    Ok(())
}

fn answer_store(
    how: How,
    command: &'static str,
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let query = Query::parse(how, Kind::Stores, command, ctx, args.cursor(2))?;
    let limits = &ctx.settings.encoding;
    let members = query.run(ctx);
    let longest = members.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
    let mut result = SortedSet::new();
    // On its way through a listpack a score of -0 would become 0.
    result.prepare(members.len(), longest, limits);
    for (member, score) in members {
        result.insert(&member, score, limits);
    }
    let destination = ctx.key(args.get(1));
    store(ctx, &destination, result, command, reply);
    Ok(())
}

/// ZUNION numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]
pub fn zunion(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(How::Union, "zunion", ctx, args, reply)
}

/// ZINTER numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]
pub fn zinter(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(How::Inter, "zinter", ctx, args, reply)
}

/// ZDIFF numkeys key [key ...] [WITHSCORES]
pub fn zdiff(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer(How::Diff, "zdiff", ctx, args, reply)
}

/// ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE <SUM | MIN | MAX>]
pub fn zunionstore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer_store(How::Union, "zunionstore", ctx, args, reply)
}

/// ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE <SUM | MIN | MAX>]
pub fn zinterstore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer_store(How::Inter, "zinterstore", ctx, args, reply)
}

/// ZDIFFSTORE destination numkeys key [key ...]
pub fn zdiffstore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    answer_store(How::Diff, "zdiffstore", ctx, args, reply)
}

/// ZINTERCARD numkeys key [key ...] [LIMIT limit]
pub fn zintercard(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let query = Query::parse(How::Inter, Kind::Counts, "zintercard", ctx, args.cursor(1))?;
    let mut sources = query.sources(ctx);
    sources.sort_by_key(|(source, _)| source.len());
    let mut found = 0usize;
    intersect(&sources, query.aggregate, |_, _| {
        found += 1;
        found != query.limit
    });
    reply.int(found as i64);
    Ok(())
}
