//! Options that several stream commands share: trimming, references, lists of ids.

use super::id;
use crate::args::Cursor;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_store::StreamId;
use redoubt_store::types::stream::{References, Trim, TrimTo};

/// Most entries an approximate trim removes where LIMIT does not say, whatever the size of blocks.
const LIMIT_MAX: u64 = 1_000_000;
/// The same when blocks have no limit of entries.
const LIMIT_OF_UNBOUNDED: u64 = 10_000;

/// Trimming options of XADD and XTRIM as they are read.
#[derive(Default)]
pub(super) struct TrimOptions {
    to: Option<TrimTo>,
    approximate: bool,
    limit: Option<u64>,
    references: Option<References>,
}

impl TrimOptions {
    /// Takes the next option if it is one of trimming.
    pub(super) fn take(&mut self, words: &mut Cursor<'_>) -> Result<bool, CommandError> {
        if words.remaining() < 2 {
            return self.take_references(words);
        }
        if words.token("maxlen") {
            self.approximate = operator(words);
            let max = u64::try_from(words.int()?)
                .map_err(|_| CommandError::text("ERR The MAXLEN argument must be >= 0."))?;
            self.set(TrimTo::MaxLen(max))?;
        } else if words.token("minid") {
            self.approximate = operator(words);
            let id = id::parse(words.word()?, 0)?;
            self.set(TrimTo::MinId(id))?;
        } else if words.token("limit") {
            let limit = u64::try_from(words.int()?)
                .map_err(|_| CommandError::text("ERR The LIMIT argument must be >= 0."))?;
            self.limit = Some(limit);
        } else {
            return self.take_references(words);
        }
        Ok(true)
    }

    fn take_references(&mut self, words: &mut Cursor<'_>) -> Result<bool, CommandError> {
        let found = take_references(words);
        if found.is_some() && self.references.is_some() {
            return Err(CommandError::Syntax);
        }
        self.references = self.references.or(found);
        Ok(found.is_some())
    }

    fn set(&mut self, to: TrimTo) -> Result<(), CommandError> {
        if self.to.replace(to).is_some() {
            return Err(CommandError::text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        Ok(())
    }

    /// What to do, once all options are read.
    pub(super) fn finish(self, ctx: &Context<'_>) -> Result<Option<Trim>, CommandError> {
        let Some(to) = self.to else {
            return match self.limit {
                None | Some(0) => Ok(None),
                Some(_) => Err(CommandError::text(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
            };
        };
        if self.limit.is_some() && !self.approximate {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        let of_blocks = match ctx.settings.encoding.stream_node_entries as u64 {
            0 => LIMIT_OF_UNBOUNDED,
            entries => entries.saturating_mul(100).min(LIMIT_MAX),
        };
        let limit = match self.limit {
            None if self.approximate => of_blocks,
            limit => limit.unwrap_or(0),
        };
        let references = self.references.unwrap_or_default();
        Ok(Some(Trim { to, approximate: self.approximate, limit, references }))
    }
}

/// Takes `=` or `~` if a threshold follows; whether trimming is approximate.
fn operator(words: &mut Cursor<'_>) -> bool {
    if words.remaining() < 2 {
        return false;
    }
    words.token("~") || {
        words.token("=");
        false
    }
}

/// Takes KEEPREF, DELREF or ACKED.
fn take_references(words: &mut Cursor<'_>) -> Option<References> {
    if words.token("keepref") {
        Some(References::Keep)
    } else if words.token("delref") {
        Some(References::Delete)
    } else if words.token("acked") {
        Some(References::Acked)
    } else {
        None
    }
}

/// Reads `[KEEPREF | DELREF | ACKED] IDS numids id [id ...]`, in any order.
pub(super) fn references_and_ids(mut words: Cursor<'_>) -> Result<(References, Vec<StreamId>), CommandError> {
    let (mut references, mut ids) = (None, None);
    while !words.is_done() {
        if let Some(found) = take_references(&mut words) {
            if references.replace(found).is_some() {
                return Err(CommandError::Syntax);
            }
        } else if ids.is_none() && words.token("ids") {
            let count = usize::try_from(words.int()?).ok().filter(|count| *count > 0);
            let count = count.ok_or(CommandError::text("ERR Number of IDs must be a positive integer"))?;
            let listed = words.take(count).map_err(|_| {
                CommandError::text("ERR The `numids` parameter must match the number of arguments")
            })?;
            ids = Some(listed.iter().map(|word| id::parse(word, 0)).collect::<Result<Vec<_>, _>>()?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((references.unwrap_or_default(), ids.ok_or(CommandError::Syntax)?))
}
