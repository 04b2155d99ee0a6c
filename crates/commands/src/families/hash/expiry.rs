//! HEXPIRE and its kin, HTTL and its kin, HPERSIST: expiry of single fields.

use super::lifetime::{self, Unit, code};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;

type Outcome = Result<(), CommandError>;

/// HEXPIRE key seconds [NX | XX | GT | LT] FIELDS count field [field ...]
pub(crate) fn hexpire(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire(ctx, args, reply, "hexpire", Unit::SECONDS)
}

/// HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS count field [field ...]
pub(crate) fn hpexpire(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire(ctx, args, reply, "hpexpire", Unit::MILLISECONDS)
}

/// HEXPIREAT key unix-seconds [NX | XX | GT | LT] FIELDS count field [field ...]
pub(crate) fn hexpireat(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire(ctx, args, reply, "hexpireat", Unit::AT_SECONDS)
}

/// HPEXPIREAT key unix-milliseconds [NX | XX | GT | LT] FIELDS count field [field ...]
pub(crate) fn hpexpireat(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire(ctx, args, reply, "hpexpireat", Unit::AT_MILLISECONDS)
}

/// When an expiry may be set, by the one there is; none counts as never.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    IfNone,
    IfSome,
    IfLater,
    IfSooner,
}

impl Condition {
    fn named(word: &[u8]) -> Option<Condition> {
        const NAMES: [(&[u8], Condition); 4] = [
            (b"NX", Condition::IfNone),
            (b"XX", Condition::IfSome),
            (b"GT", Condition::IfLater),
            (b"LT", Condition::IfSooner),
        ];
        NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, condition)| *condition)
    }

    fn holds(self, before: Option<i64>, at: i64) -> bool {
        match self {
            Condition::Always => true,
            Condition::IfNone => before.is_none(),
            Condition::IfSome => before.is_some(),
            Condition::IfLater => before.is_some_and(|before| at > before),
            Condition::IfSooner => before.is_none_or(|before| at < before),
        }
    }
}

fn expire(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    command: &'static str,
    unit: Unit,
) -> Outcome {
    let key = ctx.key(args.get(1));
    let (at, condition, fields) = match parse(ctx, args, command, unit) {
        Ok(parsed) => parsed,
        Err(error) => {
            // As in Redis a wrong type comes before wrong arguments.
            ctx.hash_mut(&key)?;
            return Err(error);
        }
    };
    reply.array(fields.len());
    let allows = |before| condition.holds(before, at);
    lifetime::expire(ctx, &key, fields, at, allows, |code| reply.int(code))
}

/// Time, condition and fields.
fn parse<'a>(
    ctx: &Context<'_>,
    args: &Args<'a>,
    command: &'static str,
    unit: Unit,
) -> Result<(i64, Condition, &'a [&'a [u8]]), CommandError> {
    const BAD_COUNT: CommandError = CommandError::text("ERR Parameter `numFields` should be greater than 0");
    let at = unit.read(ctx, args, 2, command)?;
    let condition = Condition::named(args.get(3));
    let first = if condition.is_some() { 4 } else { 3 };
    let fields = lifetime::fields_or(args, first, command, BAD_COUNT)?;
    Ok((at, condition.unwrap_or(Condition::Always), fields))
}

/// HTTL key FIELDS count field [field ...]: seconds left, rounded up; -1 without expiry, -2 without field.
pub(crate) fn httl(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let now_ms = ctx.now_ms();
    answer_expiries(ctx, args, reply, "httl", |at| to_seconds(at - now_ms))
}

/// HPTTL key FIELDS count field [field ...]: milliseconds left.
pub(crate) fn hpttl(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let now_ms = ctx.now_ms();
    answer_expiries(ctx, args, reply, "hpttl", |at| at - now_ms)
}

/// HEXPIRETIME key FIELDS count field [field ...]: Unix time in seconds, rounded up.
pub(crate) fn hexpiretime(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    answer_expiries(ctx, args, reply, "hexpiretime", to_seconds)
}

/// HPEXPIRETIME key FIELDS count field [field ...]: Unix time in milliseconds.
pub(crate) fn hpexpiretime(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    answer_expiries(ctx, args, reply, "hpexpiretime", |at| at)
}

/// Milliseconds as seconds, rounded up.
fn to_seconds(ms: i64) -> i64 {
    (ms + 999) / 1000
}

fn answer_expiries(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    command: &'static str,
    show: impl Fn(i64) -> i64,
) -> Outcome {
    let (now_ms, key) = (ctx.judged_ms(), ctx.key(args.get(1)));
    let hash = ctx.hash(&key)?;
    let fields = lifetime::fields(args, 2, command)?;
    reply.array(fields.len());
    for field in fields {
        reply.int(match hash.and_then(|hash| hash.expiry_of(field)) {
            None => code::MISSING,
            Some(None) => code::WITHOUT,
            Some(Some(at)) if at <= now_ms => code::MISSING,
            Some(Some(at)) => show(at),
        });
    }
    Ok(())
}

/// HPERSIST key FIELDS count field [field ...]
pub(crate) fn hpersist(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    ctx.hash_mut(&key)?;
    let fields = lifetime::fields(args, 2, "hpersist")?;
    reply.array(fields.len());
    lifetime::persist(ctx, &key, fields, |code| reply.int(code))?;
    Ok(())
}
