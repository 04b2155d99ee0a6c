//! Options of SET and GETEX.

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::number;

/// How an expiry was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// EX: seconds from now.
    Seconds,
    /// PX: milliseconds from now.
    Milliseconds,
    /// EXAT: Unix seconds.
    AtSeconds,
    /// PXAT: Unix milliseconds.
    AtMilliseconds,
}

impl Unit {
    /// Whether the expiry is a point in time, not a distance.
    pub(super) fn is_absolute(self) -> bool {
        matches!(self, Unit::AtSeconds | Unit::AtMilliseconds)
    }

    /// Reads an expiry as Unix milliseconds; "ERR invalid expire time in '...' command" unless it is positive and
    /// fits 64 bits.
    pub(super) fn deadline(
        self,
        ctx: &Context<'_>,
        text: &[u8],
        command: &'static str,
    ) -> Result<i64, CommandError> {
        let value = number::parse_i64(text).ok_or(CommandError::NotAnInteger)?;
        let factor = if matches!(self, Unit::Seconds | Unit::AtSeconds) { 1000 } else { 1 };
        let base = if self.is_absolute() { 0 } else { ctx.now_ms() };
        let at = value.checked_mul(factor).and_then(|ms| ms.checked_add(base));
        at.filter(|_| value > 0).ok_or(CommandError::InvalidExpire(command))
    }
}

/// What becomes of the expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime<'a> {
    /// Nothing was said.
    Default,
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    /// An expiry, its number not read yet.
    Expire(Unit, &'a [u8]),
}

/// Which command the options belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Set,
    Getex,
}

/// The options of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    /// NX: only if missing.
    pub(super) if_missing: bool,
    /// XX: only if present.
    pub(super) if_present: bool,
    /// GET: answer the old value.
    pub(super) get: bool,
    /// Expiry.
    pub(super) lifetime: Lifetime<'a>,
}

impl<'a> Options<'a> {
    /// Reads the words from `first` on. An option may be repeated, the last one counts; two that exclude each other
    /// are a syntax error.
    pub(super) fn parse(
        args: &Args<'a>,
        first: usize,
        dialect: Dialect,
    ) -> Result<Options<'a>, CommandError> {
        let mut options =
            Options { if_missing: false, if_present: false, get: false, lifetime: Lifetime::Default };
        let mut cursor = args.cursor(first);
        while !cursor.is_done() {
            if dialect == Dialect::Set && cursor.token("NX") {
                options.if_missing = true;
            } else if dialect == Dialect::Set && cursor.token("XX") {
                options.if_present = true;
            } else if dialect == Dialect::Set && cursor.token("GET") {
                options.get = true;
            } else if dialect == Dialect::Set && cursor.token("KEEPTTL") {
                options.choose(Lifetime::Keep)?;
            } else if dialect == Dialect::Getex && cursor.token("PERSIST") {
                options.choose(Lifetime::Persist)?;
            } else {
                let unit = unit(cursor.word()?).ok_or(CommandError::Syntax)?;
                options.choose(Lifetime::Expire(unit, cursor.word()?))?;
            }
        }
        if options.if_missing && options.if_present {
            return Err(CommandError::Syntax);
        }
        Ok(options)
    }

    fn choose(&mut self, lifetime: Lifetime<'a>) -> Result<(), CommandError> {
        let again = match (self.lifetime, lifetime) {
            (Lifetime::Default, _) => true,
            (Lifetime::Expire(before, _), Lifetime::Expire(now, _)) => before == now,
            (before, now) => before == now,
        };
        self.lifetime = lifetime;
        if again { Ok(()) } else { Err(CommandError::Syntax) }
    }
}

fn unit(word: &[u8]) -> Option<Unit> {
    const UNITS: [(&[u8], Unit); 4] = [
        (b"EX", Unit::Seconds),
        (b"PX", Unit::Milliseconds),
        (b"EXAT", Unit::AtSeconds),
        (b"PXAT", Unit::AtMilliseconds),
    ];
    UNITS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, unit)| *unit)
}
