//! What the searching commands ask for.

use super::code::Point;
use super::shape::{Extent, Shape};
use super::{point, unit};
use crate::args::{Args, Cursor};
use crate::context::Context;
use crate::error::CommandError;
use crate::number::parse_f64;
use redoubt_store::{Key, SortedSet};

/// Which command is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Search,
    SearchStore,
    Radius,
    RadiusReadOnly,
    RadiusByMember,
    RadiusByMemberReadOnly,
}

impl Kind {
    fn is_search(self) -> bool {
        matches!(self, Kind::Search | Kind::SearchStore)
    }

    /// Whether STORE and STOREDIST are options.
    fn may_store(self) -> bool {
        matches!(self, Kind::Radius | Kind::RadiusByMember)
    }

    /// Position of the key that is searched.
    pub(super) fn source(self) -> usize {
        if self == Kind::SearchStore { 2 } else { 1 }
    }
}

/// Order of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As found.
    None,
    Ascending,
    Descending,
}

/// A search.
#[derive(Debug)]
pub(super) struct Query<'a> {
    /// Nothing when the key is missing.
    pub(super) shape: Option<Shape>,
    /// Meters of the unit distances are answered in.
    pub(super) meters: f64,
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_point: bool,
    pub(super) order: Order,
    /// Most points answered, 0 for all.
    pub(super) count: usize,
    /// The first `count` points found will do.
    pub(super) any: bool,
    /// Where the result goes, if not to the client.
    pub(super) destination: Option<&'a [u8]>,
    pub(super) store_distance: bool,
}

/// What is known of the shape while words are read.
#[derive(Default)]
struct Parts {
    centre: Option<Point>,
    from_member: bool,
    from_point: bool,
    extent: Option<Extent>,
    by_radius: bool,
    by_box: bool,
}

fn measure(word: &[u8], error: &'static str) -> Result<f64, CommandError> {
    parse_f64(word).ok_or(CommandError::text(error))
}

/// Radius and unit.
fn circle(radius: &[u8], unit_word: &[u8]) -> Result<(Extent, f64), CommandError> {
    let radius = measure(radius, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(CommandError::text("ERR radius cannot be negative"));
    }
    let meters = unit(unit_word)?;
    Ok((Extent::Circle(radius * meters), meters))
}

/// Width, height and unit.
fn rectangle(width: &[u8], height: &[u8], unit_word: &[u8]) -> Result<(Extent, f64), CommandError> {
    let width = measure(width, "ERR need numeric width")?;
    let height = measure(height, "ERR need numeric height")?;
    if width < 0.0 || height < 0.0 {
        return Err(CommandError::text("ERR height or width cannot be negative"));
    }
    let meters = unit(unit_word)?;
    Ok((Extent::Box(width * meters, height * meters), meters))
}

/// Place of a member; nothing is asked of it when the key is missing.
fn place(set: Option<&SortedSet>, member: &[u8]) -> Result<Option<Point>, CommandError> {
    let Some(set) = set else { return Ok(None) };
    match set.score(member) {
        Some(score) => Ok(Some(Point::of_score(score))),
        None => Err(CommandError::text("ERR could not decode requested zset member")),
    }
}

impl<'a> Query<'a> {
    /// Reads a call. The key is looked up first: words are judged by what it holds.
    pub(super) fn parse(
        kind: Kind,
        ctx: &mut Context<'_>,
        key: &Key<'_>,
        args: &Args<'a>,
    ) -> Result<Query<'a>, CommandError> {
        let set = ctx.sorted_set(key)?;
        let mut query = Query {
            shape: None,
            meters: 1.0,
            with_distance: false,
            with_hash: false,
            with_point: false,
            order: Order::None,
            count: 0,
            any: false,
            destination: (kind == Kind::SearchStore).then(|| args.get(1)),
            store_distance: false,
        };
        let mut parts = Parts::default();
        let mut words = query.leading(kind, args, set, &mut parts)?;
        while !words.is_done() {
            let known = query.option(kind, &mut words)?
                || kind.is_search() && query.part(set, &mut words, &mut parts)?;
            if !known {
                return Err(CommandError::Syntax);
            }
        }
        query.check(kind, args, &parts)?;
        query.shape = parts.centre.zip(parts.extent).map(|(centre, extent)| Shape::new(centre, extent));
        Ok(query)
    }

    /// The words in fixed places; the options follow.
    fn leading(
        &mut self,
        kind: Kind,
        args: &Args<'a>,
        set: Option<&SortedSet>,
        parts: &mut Parts,
    ) -> Result<Cursor<'a>, CommandError> {
        let first = match kind {
            Kind::Search | Kind::SearchStore => return Ok(args.cursor(kind.source() + 1)),
            Kind::Radius | Kind::RadiusReadOnly => {
                parts.centre = Some(point(args.get(2), args.get(3))?);
                4
            }
            Kind::RadiusByMember | Kind::RadiusByMemberReadOnly => {
                parts.centre = place(set, args.get(2))?;
                if set.is_none() {
                    // As in Redis the distance is not looked at then.
                    return Ok(args.cursor(5));
                }
                3
            }
        };
        let (extent, meters) = circle(args.get(first), args.get(first + 1))?;
        (parts.extent, self.meters) = (Some(extent), meters);
        Ok(args.cursor(first + 2))
    }

    /// Takes an option that does not tell the shape. False if the next word is none.
    fn option(&mut self, kind: Kind, words: &mut Cursor<'a>) -> Result<bool, CommandError> {
        if words.token("withdist") {
            self.with_distance = true;
        } else if words.token("withhash") {
            self.with_hash = true;
        } else if words.token("withcoord") {
            self.with_point = true;
        } else if words.token("any") {
            self.any = true;
        } else if words.token("asc") {
            self.order = Order::Ascending;
        } else if words.token("desc") {
            self.order = Order::Descending;
        } else if words.remaining() > 1 && words.token("count") {
            let count = words.int()?;
            if count <= 0 {
                return Err(CommandError::text("ERR COUNT must be > 0"));
            }
            self.count = usize::try_from(count).unwrap_or(usize::MAX);
        } else if kind.may_store() && words.remaining() > 1 && words.token("store") {
            (self.destination, self.store_distance) = (Some(words.word()?), false);
        } else if kind.may_store() && words.remaining() > 1 && words.token("storedist") {
            (self.destination, self.store_distance) = (Some(words.word()?), true);
        } else if kind == Kind::SearchStore && words.token("storedist") {
            self.store_distance = true;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes an option that tells centre or extent. False if the next word is none.
    fn part(
        &mut self,
        set: Option<&SortedSet>,
        words: &mut Cursor<'a>,
        parts: &mut Parts,
    ) -> Result<bool, CommandError> {
        let left = words.remaining();
        if left > 1 && !parts.from_point && words.token("frommember") {
            parts.centre = place(set, words.word()?)?;
            parts.from_member = true;
        } else if left > 2 && !parts.from_member && words.token("fromlonlat") {
            parts.centre = Some(point(words.word()?, words.word()?)?);
            parts.from_point = true;
        } else if left > 2 && !parts.by_box && words.token("byradius") {
            let (extent, meters) = circle(words.word()?, words.word()?)?;
            (parts.extent, self.meters) = (Some(extent), meters);
            parts.by_radius = true;
        } else if left > 3 && !parts.by_radius && words.token("bybox") {
            let (extent, meters) = rectangle(words.word()?, words.word()?, words.word()?)?;
            (parts.extent, self.meters) = (Some(extent), meters);
            parts.by_box = true;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Options that do not go together, and those that must be there.
    fn check(&mut self, kind: Kind, args: &Args<'_>, parts: &Parts) -> Result<(), CommandError> {
        let name = || String::from_utf8_lossy(args.get(0));
        if self.destination.is_some() && (self.with_distance || self.with_hash || self.with_point) {
            let what = if kind == Kind::SearchStore { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(CommandError::owned(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if kind.is_search() && !parts.from_member && !parts.from_point {
            return Err(CommandError::owned(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {}",
                name()
            )));
        }
        if kind.is_search() && parts.extent.is_none() {
            return Err(CommandError::owned(format!(
                "ERR exactly one of BYRADIUS and BYBOX can be specified for {}",
                name()
            )));
        }
        if self.any && self.count == 0 {
            return Err(CommandError::text("ERR the ANY argument requires COUNT argument"));
        }
        // A count without an order means the nearest.
        if self.count > 0 && self.order == Order::None && !self.any {
            self.order = Order::Ascending;
        }
        Ok(())
    }
}
