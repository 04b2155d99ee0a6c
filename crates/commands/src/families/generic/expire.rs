//! EXPIRE and its kin, TTL and its kin, EXPIRETIME, PEXPIRETIME, PERSIST.

use super::look_up;
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Class, Key, Lazy};

/// How a command gives a time.
#[derive(Clone, Copy)]
struct Unit {
    /// The command, for its error.
    command: &'static str,
    /// Milliseconds per unit.
    factor: i64,
    /// Counted from now.
    relative: bool,
}

/// EXPIRE key seconds [NX|XX|GT|LT]. <https://redis.io/docs/latest/commands/expire/>
pub fn expire(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_expiry(ctx, args, reply, Unit { command: "expire", factor: 1000, relative: true })
}

/// PEXPIRE key milliseconds [NX|XX|GT|LT]. <https://redis.io/docs/latest/commands/pexpire/>
pub fn pexpire(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_expiry(ctx, args, reply, Unit { command: "pexpire", factor: 1, relative: true })
}

/// EXPIREAT key unix-seconds [NX|XX|GT|LT]. <https://redis.io/docs/latest/commands/expireat/>
pub fn expireat(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_expiry(ctx, args, reply, Unit { command: "expireat", factor: 1000, relative: false })
}

/// PEXPIREAT key unix-milliseconds [NX|XX|GT|LT]. <https://redis.io/docs/latest/commands/pexpireat/>
pub fn pexpireat(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_expiry(ctx, args, reply, Unit { command: "pexpireat", factor: 1, relative: false })
}

/// When an expiry may be set, by the one there is.
#[derive(Default)]
struct Condition {
    /// Only if there is none.
    nx: bool,
    /// Only if there is one.
    xx: bool,
    /// Only later; none counts as never.
    gt: bool,
    /// Only sooner; none counts as never.
    lt: bool,
}

impl Condition {
    fn parse(args: &Args<'_>) -> Result<Condition, CommandError> {
        let mut condition = Condition::default();
        for word in args.rest(3) {
            let flag = match word.to_ascii_uppercase().as_slice() {
                b"NX" => &mut condition.nx,
                b"XX" => &mut condition.xx,
                b"GT" => &mut condition.gt,
                b"LT" => &mut condition.lt,
                _ => {
                    let word = String::from_utf8_lossy(word);
                    return Err(CommandError::owned(format!("ERR Unsupported option {word}")));
                }
            };
            *flag = true;
        }
        if condition.nx && (condition.xx || condition.gt || condition.lt) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(CommandError::text(text));
        }
        if condition.gt && condition.lt {
            return Err(CommandError::text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    fn holds(&self, before: Option<i64>, at: i64) -> bool {
        !(self.nx && before.is_some()
            || self.xx && before.is_none()
            || self.gt && before.is_none_or(|before| at <= before)
            || self.lt && before.is_some_and(|before| at >= before))
    }
}

fn set_expiry(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    unit: Unit,
) -> Result<(), CommandError> {
    let condition = Condition::parse(args)?;
    let base = if unit.relative { ctx.now_ms() } else { 0 };
    let at = args.int(2)?.checked_mul(unit.factor).and_then(|time| time.checked_add(base));
    let at = at.ok_or(CommandError::InvalidExpire(unit.command))?;
    let key = ctx.key(args.get(1));
    let allowed =
        ctx.txn.touch(&key) && ctx.txn.expire_at(&key).is_some_and(|before| condition.holds(before, at));
    if allowed {
        apply(ctx, &key, at);
    }
    reply.int(i64::from(allowed));
    Ok(())
}

/// Sets the expiry; a time already past removes the key at once.
fn apply(ctx: &mut Context<'_>, key: &Key<'_>, at: i64) {
    if at <= ctx.judged_ms() {
        ctx.txn.unlink_key(key);
        ctx.txn.changed(key, Class::Generic, "del");
        ctx.txn.effect(&[Lazy::removal(ctx.txn.lazy.expire), key.bytes]);
    } else {
        ctx.txn.set_expire(key, Some(at));
        ctx.txn.changed(key, Class::Generic, "expire");
        ctx.txn.effect(&[b"PEXPIREAT", key.bytes, itoa::Buffer::new().format(at).as_bytes()]);
    }
}

/// TTL key: seconds left, rounded; -1 without expiry, -2 without key.
/// <https://redis.io/docs/latest/commands/ttl/>
pub fn ttl(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now = ctx.now_ms();
    answer_expiry(ctx, args, reply, |at| to_seconds(at - now));
    Ok(())
}

/// PTTL key: milliseconds left; -1 without expiry, -2 without key. <https://redis.io/docs/latest/commands/pttl/>
pub fn pttl(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now = ctx.now_ms();
    answer_expiry(ctx, args, reply, |at| at - now);
    Ok(())
}

/// EXPIRETIME key: Unix time in seconds, rounded; -1 without expiry, -2 without key.
/// <https://redis.io/docs/latest/commands/expiretime/>
pub fn expiretime(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer_expiry(ctx, args, reply, to_seconds);
    Ok(())
}

/// PEXPIRETIME key: Unix time in milliseconds; -1 without expiry, -2 without key.
/// <https://redis.io/docs/latest/commands/pexpiretime/>
pub fn pexpiretime(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    answer_expiry(ctx, args, reply, |at| at);
    Ok(())
}

/// Milliseconds as seconds, to the nearest.
fn to_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

fn answer_expiry(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    show: impl FnOnce(i64) -> i64,
) {
    let key = ctx.key(args.get(1));
    look_up(ctx, &key);
    match ctx.txn.expire_at(&key) {
        None => reply.int(-2),
        Some(None) => reply.int(-1),
        Some(Some(at)) => reply.int(show(at)),
    }
}

/// PERSIST key: 1 when there was an expiry to take off. <https://redis.io/docs/latest/commands/persist/>
pub fn persist(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    let had = ctx.txn.touch(&key) && ctx.txn.expire_at(&key).flatten().is_some();
    if had {
        ctx.txn.set_expire(&key, None);
        ctx.txn.changed(&key, Class::Generic, "persist");
    }
    reply.int(i64::from(had));
    Ok(())
}
