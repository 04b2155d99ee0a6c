//! GEODIST, GEOHASH, GEOPOS.

use super::code::{Code, Point, STEP_MAX, distance};
use super::{Done, unit, write_distance, write_point};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;

/// GEODIST key member1 member2 [M | KM | FT | MI]
pub fn geodist(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let meters = match args.len() {
        4 => 1.0,
        5 => unit(args.get(4))?,
        _ => return Err(CommandError::Syntax),
    };
    let key = ctx.key(args.get(1));
    let set = ctx.sorted_set(&key)?;
    let place = |member| set.and_then(|set| set.score(member)).map(Point::of_score);
    match (place(args.get(2)), place(args.get(3))) {
        (Some(from), Some(to)) => write_distance(reply, distance(from, to) / meters),
        _ => reply.null(),
    }
    Ok(())
}

/// GEOHASH key [member ...]: the usual text, 11 characters. Latitudes there go up to 90 degrees.
pub fn geohash(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let key = ctx.key(args.get(1));
    let set = ctx.sorted_set(&key)?;
    reply.array(args.len() - 2);
    for member in args.rest(2) {
        let Some(score) = set.and_then(|set| set.score(member)) else {
            reply.null();
            continue;
        };
        let code = Code::of(Point::of_score(score), 90.0, STEP_MAX);
        // 52 bits make ten characters; the last one is always 0.
        let mut text = [ALPHABET[0]; 11];
        for (place, character) in text[..10].iter_mut().enumerate() {
            *character = ALPHABET[(code.bits >> (52 - (place + 1) * 5)) as usize & 0x1f];
        }
        reply.bulk(&text);
    }
    Ok(())
}

/// GEOPOS key [member ...]
pub fn geopos(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(1));
    let set = ctx.sorted_set(&key)?;
    reply.array(args.len() - 2);
    for member in args.rest(2) {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write_point(reply, Point::of_score(score)),
            None => reply.null_array(),
        }
    }
    Ok(())
}
