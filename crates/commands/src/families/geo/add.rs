//! GEOADD.

use super::{Done, point};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::families::sorted_set::{AddOptions, add_scored};
use redoubt_resp::Reply;
use smallvec::SmallVec;

/// GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]
pub fn geoadd(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let mut options = AddOptions::default();
    let mut first = 2;
    while first < args.len() {
        let flag = match args.get(first).to_ascii_lowercase().as_slice() {
            b"nx" => &mut options.only_new,
            b"xx" => &mut options.only_existing,
            b"ch" => &mut options.count_changes,
            _ => break,
        };
        *flag = true;
        first += 1;
    }
    let triples = args.rest(first);
    if triples.is_empty() || !triples.len().is_multiple_of(3) || options.only_new && options.only_existing {
        return Err(CommandError::Syntax);
    }
    let triples = triples.chunks_exact(3);
    let scored = triples.map(|triple| point(triple[0], triple[1]).map(|point| (point.score(), triple[2])));
    let scored: SmallVec<[(f64, &[u8]); 8]> = scored.collect::<Result<_, _>>()?;
    add_scored(ctx, args.get(1), options, &scored, reply)
}
