//! Expiry of fields: how calls give it, and what setting it does. Times and texts are those of redis 8.0.

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_store::{Class, Key};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Latest expiry of a field, Unix ms.
const LATEST_MS: i64 = (1 << 46) - 1;

/// How a call gives a time.
#[derive(Clone, Copy)]
pub(super) struct Unit {
    /// Milliseconds per unit.
    factor: i64,
    /// Counted from now.
    relative: bool,
}

impl Unit {
    /// Seconds from now.
    pub(super) const SECONDS: Unit = Unit { factor: 1000, relative: true };
    /// Milliseconds from now.
    pub(super) const MILLISECONDS: Unit = Unit { factor: 1, relative: true };
    /// Unix seconds.
    pub(super) const AT_SECONDS: Unit = Unit { factor: 1000, relative: false };
    /// Unix milliseconds.
    pub(super) const AT_MILLISECONDS: Unit = Unit { factor: 1, relative: false };

    /// The unit that an option word names.
    pub(super) fn named(word: &[u8]) -> Option<Unit> {
        const NAMES: [(&[u8], Unit); 4] = [
            (b"EX", Unit::SECONDS),
            (b"PX", Unit::MILLISECONDS),
            (b"EXAT", Unit::AT_SECONDS),
            (b"PXAT", Unit::AT_MILLISECONDS),
        ];
        NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, unit)| *unit)
    }

    /// Reads a time as Unix ms.
    pub(super) fn read(
        self,
        ctx: &Context<'_>,
        args: &Args<'_>,
        at: usize,
        command: &'static str,
    ) -> Result<i64, CommandError> {
        let value = args.int(at)?;
        if value < 0 {
            return Err(CommandError::text("ERR invalid expire time, must be >= 0"));
        }
        let base = if self.relative { ctx.now_ms() } else { 0 };
        let time = value.checked_mul(self.factor).and_then(|time| time.checked_add(base));
        time.filter(|time| *time <= LATEST_MS).ok_or(CommandError::InvalidExpire(command))
    }
}

/// The word FIELDS must stand here.
pub(super) const NO_FIELDS: CommandError =
    CommandError::text("ERR Mandatory argument FIELDS is missing or not at the right position");
const BAD_COUNT: CommandError = CommandError::text("ERR Number of fields must be a positive integer");

/// The fields of `FIELDS count field [field ...]`, which begins at `at` and ends the call.
pub(super) fn fields<'a>(
    args: &Args<'a>,
    at: usize,
    command: &'static str,
) -> Result<&'a [&'a [u8]], CommandError> {
    fields_or(args, at, command, BAD_COUNT)
}

/// As `fields`, with the error for a bad count.
pub(super) fn fields_or<'a>(
    args: &Args<'a>,
    at: usize,
    command: &'static str,
    bad_count: CommandError,
) -> Result<&'a [&'a [u8]], CommandError> {
    if at >= args.len() || !args.is(at, "FIELDS") {
        return Err(NO_FIELDS);
    }
    if at + 1 >= args.len() {
        return Err(CommandError::WrongArity(Cow::Borrowed(command)));
    }
    let Some(count) = args.int(at + 1).ok().filter(|count| *count > 0) else { return Err(bad_count) };
    let fields = args.rest(at + 2);
    if usize::try_from(count) != Ok(fields.len()) {
        return Err(CommandError::text("ERR The `numfields` parameter must match the number of arguments"));
    }
    Ok(fields)
}

/// What became of a field whose expiry was to change, as HEXPIRE answers it.
pub(super) mod code {
    /// No such field.
    pub(crate) const MISSING: i64 = -2;
    /// HPERSIST: it had no expiry.
    pub(crate) const WITHOUT: i64 = -1;
    /// A condition did not hold.
    pub(crate) const REFUSED: i64 = 0;
    /// Changed.
    pub(crate) const CHANGED: i64 = 1;
    /// The time is past: removed.
    pub(crate) const REMOVED: i64 = 2;
}

/// Lets the fields expire at `at`, those whose expiry `allows` it; removes them when that is past. Calls `answer` with
/// a code for each field.
///
/// As in Redis a field that is due but still there counts as there, and gets its time extended.
pub(super) fn expire(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    fields: &[&[u8]],
    at: i64,
    allows: impl Fn(Option<i64>) -> bool,
    mut answer: impl FnMut(i64),
) -> Result<(), CommandError> {
    let past = at <= ctx.judged_ms();
    let Some(hash) = ctx.hash_mut(key)? else {
        fields.iter().for_each(|_| answer(code::MISSING));
        return Ok(());
    };
    hash.make_timed();
    let mut changed: SmallVec<[&[u8]; 8]> = SmallVec::new();
    for field in fields {
        let code = match hash.change_expiry(field, at, past, &allows) {
            None => code::MISSING,
            Some(false) => code::REFUSED,
            Some(true) if past => code::REMOVED,
            Some(true) => code::CHANGED,
        };
        if code > 0 {
            changed.push(field);
        }
        answer(code);
    }
    let empty = hash.is_empty();
    if changed.is_empty() {
        return Ok(());
    }
    if past {
        removed(ctx, key, &changed, empty);
    } else {
        ctx.txn.fields_expire(key);
        ctx.txn.changed_times(key, Class::Hash, "hexpire", changed.len());
        let mut digits = itoa::Buffer::new();
        fields_effect(ctx, &[b"HPEXPIREAT", key.bytes, digits.format(at).as_bytes()], &changed);
    }
    Ok(())
}

/// Takes the expiry off the fields that have one, which counts as one change. Calls `answer` with a code for each field
/// and returns how many had one.
pub(super) fn persist(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    fields: &[&[u8]],
    mut answer: impl FnMut(i64),
) -> Result<usize, CommandError> {
    let now_ms = ctx.judged_ms();
    let Some(hash) = ctx.hash_mut(key)? else {
        fields.iter().for_each(|_| answer(code::MISSING));
        return Ok(0);
    };
    let mut changed: SmallVec<[&[u8]; 8]> = SmallVec::new();
    for field in fields {
        answer(match hash.expiry_of(field) {
            None => code::MISSING,
            Some(None) => code::WITHOUT,
            Some(Some(at)) if at <= now_ms => code::MISSING,
            Some(Some(_)) => {
                hash.set_expiry(field, None);
                changed.push(field);
                code::CHANGED
            }
        });
    }
    if !changed.is_empty() {
        ctx.txn.changed(key, Class::Hash, "hpersist");
        fields_effect(ctx, &[b"HPERSIST", key.bytes], &changed);
    }
    Ok(changed.len())
}

/// Tells that fields were removed, and removes the key if they were the last.
pub(super) fn removed(ctx: &mut Context<'_>, key: &Key<'_>, fields: &[&[u8]], empty: bool) {
    ctx.txn.changed_times(key, Class::Hash, "hdel", fields.len());
    if ctx.txn.effects.is_enabled() {
        let words: Vec<&[u8]> = [&[b"HDEL", key.bytes], fields].concat();
        ctx.txn.effect(&words);
    }
    if empty {
        ctx.txn.remove(key);
        ctx.txn.event(key, Class::Generic, "del");
    }
}

/// Logs `head FIELDS count tail...`; the tail is as many fields as the count.
fn fields_effect(ctx: &mut Context<'_>, head: &[&[u8]], fields: &[&[u8]]) {
    if ctx.txn.effects.is_enabled() {
        let mut digits = itoa::Buffer::new();
        let count = digits.format(fields.len()).as_bytes();
        ctx.txn.effect(&[head, &[b"FIELDS", count], fields].concat());
    }
}
