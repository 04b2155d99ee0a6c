//! LCS: the longest common subsequence of two strings. <https://redis.io/docs/latest/commands/lcs/>

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Key, Str, ValueRef};
use std::ops::Range;

/// What LCS was asked for.
#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    match_len_min: usize,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut cursor = args.cursor(3);
        while !cursor.is_done() {
            if cursor.token("IDX") {
                options.idx = true;
            } else if cursor.token("LEN") {
                options.len = true;
            } else if cursor.token("WITHMATCHLEN") {
                options.with_match_len = true;
            } else if cursor.remaining() > 1 && cursor.token("MINMATCHLEN") {
                options.match_len_min = usize::try_from(cursor.int()?).unwrap_or(0);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.idx && options.len { Err(CommandError::LcsIndexesAndLength) } else { Ok(options) }
    }
}

/// A run of equal bytes in both strings.
struct Match {
    a: Range<usize>,
    b: Range<usize>,
}

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN].
pub fn lcs(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (first, second) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    for key in [&first, &second] {
        ctx.txn.get(key);
    }
    let (mut first_digits, mut second_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (a, b) = (text(ctx, &first)?, text(ctx, &second)?);
    let (a, b) = (a.as_bytes(&mut first_digits), b.as_bytes(&mut second_digits));
    let options = Options::parse(args)?;
    let lengths = Lengths::compute(a, b, ctx.settings.bulk_len_max)?;
    let total = lengths.at(a.len(), b.len());
    if options.len {
        reply.int(i64::from(total));
        return Ok(());
    }
    let matches = lengths.trace(a, b);
    if options.idx {
        reply_matches(reply, &options, &matches, total);
    } else {
        let common: Vec<u8> = matches.iter().rev().flat_map(|found| &a[found.a.clone()]).copied().collect();
        reply.bulk(&common);
    }
    Ok(())
}

/// The string at a key already looked up; empty if missing.
fn text<'c>(ctx: &'c Context<'_>, key: &Key<'_>) -> Result<Str<'c>, CommandError> {
    match ctx.txn.view(key) {
        None => Ok(Str::Bytes(b"")),
        Some(ValueRef::Str(string)) => Ok(string),
        Some(_) => Err(CommandError::LcsNotStrings),
    }
}

fn reply_matches(reply: &mut Reply<'_>, options: &Options, matches: &[Match], total: u32) {
    reply.map(2);
    reply.bulk(b"matches");
    let shown = || matches.iter().filter(|found| found.a.len() >= options.match_len_min);
    reply.array(shown().count());
    for found in shown() {
        reply.array(2 + usize::from(options.with_match_len));
        for range in [&found.a, &found.b] {
            reply.array(2);
            reply.int(range.start as i64);
            reply.int(range.end as i64 - 1);
        }
        if options.with_match_len {
            reply.int(found.a.len() as i64);
        }
    }
    reply.bulk(b"len");
    reply.int(i64::from(total));
}

/// Lengths of the longest common subsequence of every pair of prefixes.
struct Lengths {
    cells: Vec<u32>,
    width: usize,
}

impl Lengths {
    fn compute(a: &[u8], b: &[u8], bytes_max: usize) -> Result<Lengths, CommandError> {
        let width = b.len() + 1;
        let cells = (a.len() + 1)
            .checked_mul(width)
            .filter(|cells| cells.checked_mul(size_of::<u32>()).is_some_and(|bytes| bytes <= bytes_max))
            .ok_or(CommandError::LcsTooLarge)?;
        let mut lengths = Lengths { cells: vec![0; cells], width };
        for (i, x) in a.iter().enumerate() {
            let (above, row) = lengths.cells[i * width..(i + 2) * width].split_at_mut(width);
            for (j, y) in b.iter().enumerate() {
                row[j + 1] = if x == y { above[j] + 1 } else { above[j + 1].max(row[j]) };
            }
        }
        Ok(lengths)
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// The runs of one longest common subsequence, last one first. Of two equally long ways it takes the one that
    /// gives up a byte of `b`, as Redis does.
    fn trace(&self, a: &[u8], b: &[u8]) -> Vec<Match> {
        let mut matches: Vec<Match> = Vec::new();
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                match matches.last_mut() {
                    Some(run) if run.a.start == i && run.b.start == j => {
                        run.a.start -= 1;
                        run.b.start -= 1;
                    }
                    _ => matches.push(Match { a: i - 1..i, b: j - 1..j }),
                }
                i -= 1;
                j -= 1;
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        matches
    }
}
