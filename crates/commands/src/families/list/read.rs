//! Commands that read a list.

use super::{part, write};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::packed::{Needle, PackedValue};

type Outcome = Result<(), CommandError>;

/// LLEN key
pub(crate) fn llen(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let len = ctx.list(&key)?.map_or(0, |list| list.len());
    reply.int(len as i64);
    Ok(())
}

/// LINDEX key index
pub(crate) fn lindex(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args.get(1));
    let Some(list) = ctx.list(&key)? else {
        reply.null();
        return Ok(());
    };
    match list.get(args.int(2)?) {
        Some(value) => write(reply, value),
        None => reply.null(),
    }
    Ok(())
}

/// LRANGE key start stop
pub(crate) fn lrange(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let key = ctx.key(args.get(1));
    let Some(list) = ctx.list(&key)? else {
        reply.array(0);
        return Ok(());
    };
    let (start, count) = part(start, stop, list.len());
    reply.array(count);
    list.range(start, count).for_each(|value| write(reply, value));
    Ok(())
}

/// Options of LPOS: <https://redis.io/docs/latest/commands/lpos/>
struct Search {
    /// Which match is the first to answer; negative from the end.
    rank: i64,
    /// Matches to answer, 0 for all; none for a single one outside an array.
    count: Option<usize>,
    /// Comparisons to make, 0 for all.
    maxlen: usize,
}

impl Search {
    fn parse(args: &Args<'_>) -> Result<Search, CommandError> {
        let mut search = Search { rank: 1, count: None, maxlen: 0 };
        let mut cursor = args.cursor(3);
        let size = |word: &[u8], error: &'static str| {
            let value = crate::number::parse_i64(word).and_then(|value| usize::try_from(value).ok());
            value.ok_or(CommandError::text(error))
        };
        while !cursor.is_done() {
            if cursor.remaining() == 1 {
                return Err(CommandError::Syntax);
            }
            if cursor.token("rank") {
                search.rank = rank(cursor.int()?)?;
            } else if cursor.token("count") {
                search.count = Some(size(cursor.word()?, "ERR COUNT can't be negative")?);
            } else if cursor.token("maxlen") {
                search.maxlen = size(cursor.word()?, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    /// Positions found, in the order of the search.
    fn run<'a>(
        &self,
        values: impl Iterator<Item = PackedValue<'a>>,
        needle: Needle<'a>,
    ) -> impl Iterator<Item = usize> {
        let maxlen = if self.maxlen == 0 { usize::MAX } else { self.maxlen };
        let most = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count,
        };
        let matches = values.take(maxlen).enumerate().filter(move |(_, value)| needle.matches(*value));
        let skipped = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        matches.skip(skipped).take(most).map(|(at, _)| at)
    }
}

fn rank(rank: i64) -> Result<i64, CommandError> {
    match rank {
        0 => Err(CommandError::text(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
             or use negative to start from the end of the list",
        )),
        i64::MIN => Err(CommandError::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )),
        _ => Ok(rank),
    }
}

/// LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]
pub(crate) fn lpos(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let search = Search::parse(args)?;
    let key = ctx.key(args.get(1));
    let Some(list) = ctx.list(&key)? else {
        match search.count {
            Some(_) => reply.array(0),
            None => reply.null(),
        }
        return Ok(());
    };
    let needle = Needle::new(args.get(2));
    let found: Vec<usize> = if search.rank > 0 {
        search.run(list.iter(), needle).collect()
    } else {
        let last = list.len().saturating_sub(1);
        search.run(list.iter().rev(), needle).map(|at| last - at).collect()
    };
    match (search.count, found.first()) {
        (Some(_), _) => {
            reply.array(found.len());
            found.iter().for_each(|at| reply.int(*at as i64));
        }
        (None, Some(at)) => reply.int(*at as i64),
        (None, None) => reply.null(),
    }
    Ok(())
}
