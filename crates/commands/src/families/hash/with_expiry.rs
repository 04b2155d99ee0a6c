//! HGETDEL, HGETEX, HSETEX: fields read or set together with their expiry.

use super::edit::{change, insert_pairs};
use super::lifetime::{self, Unit};
use super::write;
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Class, EncodingLimits, Hash, Key, ValueRef};
use smallvec::SmallVec;
use std::borrow::Cow;

type Outcome = Result<(), CommandError>;

/// Takes those of the fields out that are due; wrong type if the key holds no hash.
fn expire_due(ctx: &mut Context<'_>, key: &Key<'_>, fields: &[&[u8]]) -> Outcome {
    let now_ms = ctx.judged_ms();
    if ctx.hash_mut(key)?.is_some_and(|hash| hash.has_due(now_ms)) {
        ctx.txn.expire_fields(key, fields);
    }
    Ok(())
}

/// HGETDEL key FIELDS count field [field ...]
pub(crate) fn hgetdel(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    ctx.hash_mut(&key)?;
    let fields = lifetime::fields(args, 2, "hgetdel")?;
    expire_due(ctx, &key, fields)?;
    take(ctx, &key, fields, reply)
}

/// Answers the values of the fields and removes them.
fn take(ctx: &mut Context<'_>, key: &Key<'_>, fields: &[&[u8]], reply: &mut Reply<'_>) -> Outcome {
    let now_ms = ctx.judged_ms();
    reply.array(fields.len());
    let Some(hash) = ctx.hash_mut(key)? else {
        fields.iter().for_each(|_| reply.null());
        return Ok(());
    };
    let mut gone: SmallVec<[&[u8]; 8]> = SmallVec::new();
    for field in fields {
        // A field named twice is gone the second time.
        match hash.get(field, now_ms) {
            Some(value) => write(reply, value),
            None => {
                reply.null();
                continue;
            }
        }
        hash.remove(field);
        gone.push(field);
    }
    let empty = hash.is_empty();
    if !gone.is_empty() {
        lifetime::removed(ctx, key, &gone, empty);
    }
    Ok(())
}

/// What HGETEX does to the expiry.
enum Change {
    Nothing,
    Persist,
    At(i64),
}

/// HGETEX key [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | PERSIST]
/// FIELDS count field [field ...]
pub(crate) fn hgetex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (now_ms, key) = (ctx.judged_ms(), ctx.key(args.get(1)));
    ctx.hash_mut(&key)?;
    let (change, first) = match Unit::named(args.get(2)) {
        Some(unit) => (Change::At(unit.read(ctx, args, 3, "hgetex")?), 4),
        None if args.is(2, "PERSIST") => (Change::Persist, 3),
        None => (Change::Nothing, 2),
    };
    let fields = lifetime::fields(args, first, "hgetex")?;
    expire_due(ctx, &key, fields)?;
    // As in Redis the option alone changes the encoding.
    if !matches!(change, Change::Nothing)
        && let Some(hash) = ctx.hash_mut(&key)?
    {
        hash.make_timed();
    }
    if matches!(change, Change::At(at) if at <= now_ms) {
        return take(ctx, &key, fields, reply);
    }
    let hash = ctx.hash_mut(&key)?;
    reply.array(fields.len());
    for field in fields {
        match hash.as_deref().and_then(|hash| hash.get(field, now_ms)) {
            Some(value) => write(reply, value),
            None => reply.null(),
        }
    }
    match change {
        Change::Nothing => Ok(()),
        Change::Persist => {
            let fields = lifetime::persist(ctx, &key, fields, |_| ())?;
            // Counted by field here, in Redis too.
            ctx.txn.counters.dirty += fields.saturating_sub(1) as u64;
            Ok(())
        }
        Change::At(at) => lifetime::expire(ctx, &key, fields, at, |_| true, |_| ()),
    }
}

/// Options of HSETEX.
#[derive(Default)]
struct Setting {
    only_new: bool,
    only_existing: bool,
    keep: bool,
    at: Option<i64>,
}

impl Setting {
    /// Reads the options; also the position of FIELDS.
    fn parse(ctx: &Context<'_>, args: &Args<'_>) -> Result<(Setting, usize), CommandError> {
        let mut setting = Setting::default();
        let mut at = 2;
        while at < args.len() {
            if args.is(at, "FIELDS") {
                return Ok((setting, at));
            }
            let unit = Unit::named(args.get(at));
            if args.is(at, "FNX") || args.is(at, "FXX") {
                if setting.only_new || setting.only_existing {
                    return Err(CommandError::text("ERR Only one of FXX or FNX arguments can be specified"));
                }
                setting.only_new = args.is(at, "FNX");
                setting.only_existing = !setting.only_new;
            } else if unit.is_some() || args.is(at, "KEEPTTL") {
                if setting.keep || setting.at.is_some() {
                    return Err(CommandError::text(
                        "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                    ));
                }
                setting.keep = unit.is_none();
                if let Some(unit) = unit {
                    at += 1;
                    if at >= args.len() {
                        return Err(CommandError::WrongArity(Cow::Borrowed("hsetex")));
                    }
                    setting.at = Some(unit.read(ctx, args, at, "hsetex")?);
                }
            } else {
                let word = String::from_utf8_lossy(args.get(at));
                return Err(CommandError::owned(format!("ERR unknown argument: {word}")));
            }
            at += 1;
        }
        Err(CommandError::WrongArity(Cow::Borrowed("hsetex")))
    }

    /// Whether the fields there are admit it.
    fn allows(&self, ctx: &mut Context<'_>, key: &Key<'_>, fields: &[&[u8]]) -> Result<bool, CommandError> {
        if !self.only_new && !self.only_existing {
            return Ok(true);
        }
        expire_due(ctx, key, fields)?;
        let now_ms = ctx.judged_ms();
        let hash = ctx.hash_mut(key)?;
        let there = |field: &&[u8]| hash.as_deref().is_some_and(|hash| hash.contains(field, now_ms));
        Ok(fields.iter().all(|field| there(field) == self.only_existing))
    }

    /// Sets the pairs and their expiry.
    fn apply(&self, hash: &mut Hash, pairs: &[&[u8]], limits: &EncodingLimits) {
        if self.at.is_some() {
            hash.make_timed();
        }
        if !self.keep {
            insert_pairs(hash, pairs, limits);
        } else {
            hash.reserve(pairs.len() / 2, limits);
            for pair in pairs.chunks_exact(2) {
                hash.insert_keeping(pair[0], pair[1], limits);
            }
        }
        if self.at.is_some() {
            for field in pairs.iter().step_by(2) {
                hash.set_expiry(field, self.at);
            }
        }
    }

    /// Logs what was done, without the conditions.
    fn log(&self, ctx: &mut Context<'_>, key: &Key<'_>, pairs: &[&[u8]]) {
        if !ctx.txn.effects.is_enabled() {
            return;
        }
        let (mut at, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
        let fields: [&[u8]; 2] = [b"FIELDS", count.format(pairs.len() / 2).as_bytes()];
        match self.at {
            Some(time) => {
                let head: [&[u8]; 4] = [b"HSETEX", key.bytes, b"PXAT", at.format(time).as_bytes()];
                ctx.txn.effect(&[&head[..], &fields, pairs].concat());
            }
            None if self.keep => {
                let head: [&[u8]; 3] = [b"HSETEX", key.bytes, b"KEEPTTL"];
                ctx.txn.effect(&[&head[..], &fields, pairs].concat());
            }
            None => ctx.txn.effect(&[&[b"HSET", key.bytes], pairs].concat()),
        }
    }
}

/// The pairs of `FIELDS count field value [field value ...]`, which begins at `at` and ends the call.
fn pairs<'a>(args: &Args<'a>, at: usize) -> Result<&'a [&'a [u8]], CommandError> {
    const ARITY: CommandError = CommandError::WrongArity(Cow::Borrowed("hsetex"));
    if args.len() < at + 4 {
        return Err(ARITY);
    }
    let count = args.int(at + 1).ok().and_then(|count| i32::try_from(count).ok());
    let count = count.filter(|count| *count > 0).ok_or(CommandError::text("ERR invalid number of fields"))?;
    let pairs = args.rest(at + 2);
    if pairs.len() as u64 != 2 * count.unsigned_abs() as u64 { Err(ARITY) } else { Ok(pairs) }
}

/// HSETEX key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | KEEPTTL]
/// FIELDS count field value [field value ...]
pub(crate) fn hsetex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (setting, first) = Setting::parse(ctx, args)?;
    let pairs = pairs(args, first)?;
    let key = ctx.key(args.get(1));
    if !matches!(ctx.txn.peek(&key), None | Some(ValueRef::Hash(_))) {
        return Err(CommandError::WrongType);
    }
    let fields: SmallVec<[&[u8]; 8]> = pairs.iter().step_by(2).copied().collect();
    let allowed = setting.allows(ctx, &key, &fields)?;
    reply.int(i64::from(allowed));
    if !allowed {
        return Ok(());
    }
    let past = setting.at.is_some_and(|at| at <= ctx.judged_ms());
    let limits = &ctx.settings.encoding;
    let empty = change(ctx, &key, |hash: &mut Hash| {
        setting.apply(hash, pairs, limits);
        if past {
            for field in &fields {
                hash.remove(field);
            }
        }
        hash.is_empty()
    })?;
    if past {
        ctx.txn.changed_too(&key, Class::Hash, "hset");
        lifetime::removed(ctx, &key, &fields, empty);
        return Ok(());
    }
    ctx.txn.changed_times(&key, Class::Hash, "hset", fields.len());
    if setting.at.is_some() {
        ctx.txn.fields_expire(&key);
        ctx.txn.changed_too(&key, Class::Hash, "hexpire");
    }
    setting.log(ctx, &key, pairs);
    Ok(())
}
