//! Ends of ranges as commands spell them.

use crate::error::CommandError;
use crate::number::{parse_f64, parse_i64};
use redoubt_store::types::sorted_set::{LexBound, LexRange, ScoreRange};
use std::ops::Range;

/// `min max` as scores, each `(` for exclusive. <https://redis.io/docs/latest/commands/zrangebyscore/>
pub(super) fn score_range(min: &[u8], max: &[u8]) -> Result<ScoreRange, CommandError> {
    let (min, min_exclusive) = score_bound(min)?;
    let (max, max_exclusive) = score_bound(max)?;
    Ok(ScoreRange { min, max, min_exclusive, max_exclusive })
}

fn score_bound(word: &[u8]) -> Result<(f64, bool), CommandError> {
    let (number, exclusive) = match word {
        [b'(', number @ ..] => (number, true),
        _ => (word, false),
    };
    let value = parse_f64(number).ok_or(CommandError::text("ERR min or max is not a float"))?;
    Ok((value, exclusive))
}

/// `min max` as members: `-`, `+`, `[member`, `(member`. <https://redis.io/docs/latest/commands/zrangebylex/>
pub(super) fn lex_range<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, CommandError> {
    Ok(LexRange { min: lex_bound(min)?, max: lex_bound(max)? })
}

fn lex_bound(word: &[u8]) -> Result<LexBound<'_>, CommandError> {
    match word {
        b"-" => Ok(LexBound::Least),
        b"+" => Ok(LexBound::Greatest),
        [b'[', member @ ..] => Ok(LexBound::Inclusive(member)),
        [b'(', member @ ..] => Ok(LexBound::Exclusive(member)),
        _ => Err(CommandError::text("ERR min or max not valid string range item")),
    }
}

/// `start stop` as positions, negative ones from the end.
pub(super) fn positions(start: &[u8], stop: &[u8]) -> Result<(i64, i64), CommandError> {
    let start = parse_i64(start).ok_or(CommandError::NotAnInteger)?;
    let stop = parse_i64(stop).ok_or(CommandError::NotAnInteger)?;
    Ok((start, stop))
}

/// Ranks of the positions `start..=stop` of `len` members.
pub(super) fn ranks((start, stop): (i64, i64), len: usize) -> Range<usize> {
    let place = |position: i64| {
        if position < 0 { position.saturating_add(len as i64) } else { position }
    };
    let start = place(start).max(0) as usize;
    let end = place(stop).saturating_add(1).clamp(0, len as i64) as usize;
    if start >= end { 0..0 } else { start..end }
}

/// The same distance from the other end.
pub(super) fn mirror(ranks: Range<usize>, len: usize) -> Range<usize> {
    if ranks.is_empty() { 0..0 } else { len - ranks.end..len - ranks.start }
}
