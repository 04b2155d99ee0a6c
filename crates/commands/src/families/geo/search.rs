//! GEOSEARCH, GEOSEARCHSTORE and the older GEORADIUS commands.

use super::code::Point;
use super::options::{Kind, Order, Query};
use super::shape::Shape;
use super::{Done, write_distance, write_point};
use crate::args::Args;
use crate::context::Context;
use crate::families::members::bulk;
use crate::families::sorted_set::store;
use redoubt_resp::Reply;
use redoubt_store::{MemberRef, SortedSet};

/// GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit
/// [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
pub fn geosearch(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    run(Kind::Search, ctx, args, reply)
}

/// GEOSEARCHSTORE destination source, then as GEOSEARCH, with STOREDIST.
pub fn geosearchstore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    run(Kind::SearchStore, ctx, args, reply)
}

/// GEORADIUS key longitude latitude radius unit, options as GEOSEARCH, [STORE key | STOREDIST key]
pub fn georadius(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    run(Kind::Radius, ctx, args, reply)
}

/// GEORADIUS_RO: as GEORADIUS without STORE.
pub fn georadius_ro(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    run(Kind::RadiusReadOnly, ctx, args, reply)
}

/// GEORADIUSBYMEMBER key member radius unit, options as GEORADIUS.
pub fn georadiusbymember(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    run(Kind::RadiusByMember, ctx, args, reply)
}

/// GEORADIUSBYMEMBER_RO: as GEORADIUSBYMEMBER without STORE.
pub fn georadiusbymember_ro(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    run(Kind::RadiusByMemberReadOnly, ctx, args, reply)
}

/// A member inside the shape.
struct Found<'s> {
    member: MemberRef<'s>,
    score: f64,
    /// From the centre, meters.
    distance: f64,
}

/// The members inside the shape, cell by cell, in ascending order of score within each; no more than `limit` if that
/// is not 0.
fn find<'s>(set: &'s SortedSet, shape: &Shape, limit: usize) -> Vec<Found<'s>> {
    let mut found = Vec::new();
    let walks = set.by_score();
    for cell in shape.cells() {
        let (low, high) = cell.scores();
        for (member, score) in walks.from(low) {
            if score >= high {
                break;
            }
            if let Some(distance) = shape.distance_within(Point::of_score(score)) {
                found.push(Found { member, score, distance });
                if found.len() == limit {
                    return found;
                }
            }
        }
    }
    found
}

/// Brings the result into its order and to its length.
fn arrange(found: &mut Vec<Found<'_>>, query: &Query<'_>) {
    let wanted = if query.count == 0 { found.len() } else { query.count.min(found.len()) };
    match query.order {
        Order::None => {}
        Order::Ascending => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
        Order::Descending => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
    }
    found.truncate(wanted);
}

fn run(kind: Kind, ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Done {
    let key = ctx.key(args.get(kind.source()));
    let query = Query::parse(kind, ctx, &key, args)?;
    let set = ctx.sorted_set_view(&key)?;
    let mut found = match (set, &query.shape) {
        (Some(set), Some(shape)) => find(set, shape, if query.any { query.count } else { 0 }),
        _ => Vec::new(),
    };
    arrange(&mut found, &query);
    let Some(destination) = query.destination else {
        answer(&found, &query, reply);
        return Ok(());
    };
    let result = to_set(&found, &query, ctx);
    let destination = ctx.key(destination);
    let event = if kind == Kind::SearchStore { "geosearchstore" } else { "georadiusstore" };
    // Redis counts the members here.
    ctx.txn.counters.dirty += result.len().saturating_sub(1) as u64;
    store(ctx, &destination, result, event, reply);
    Ok(())
}

fn answer(found: &[Found<'_>], query: &Query<'_>, reply: &mut Reply<'_>) {
    let extras =
        usize::from(query.with_distance) + usize::from(query.with_hash) + usize::from(query.with_point);
    reply.array(found.len());
    for one in found {
        if extras > 0 {
            reply.array(extras + 1);
        }
        bulk(reply, one.member.get());
        if query.with_distance {
            write_distance(reply, one.distance / query.meters);
        }
        if query.with_hash {
            reply.int(one.score as i64);
        }
        if query.with_point {
            write_point(reply, Point::of_score(one.score));
        }
    }
}

/// The result as a sorted set, by score or by distance.
fn to_set(found: &[Found<'_>], query: &Query<'_>, ctx: &Context<'_>) -> SortedSet {
    let limits = &ctx.settings.encoding;
    let mut result = SortedSet::new();
    let longest = found.iter().map(|one| one.member.get().len()).max().unwrap_or(0);
    result.prepare(found.len(), longest, limits);
    let mut digits = itoa::Buffer::new();
    for one in found {
        let score = if query.store_distance { one.distance / query.meters } else { one.score };
        result.insert(one.member.get().as_bytes(&mut digits), score, limits);
    }
    result
}
