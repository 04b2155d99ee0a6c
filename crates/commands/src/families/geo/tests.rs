//! Texts of numbers, and searches against a look at every member.

use super::code::{Point, distance};
use super::*;
use crate::testing::Bench;
use std::collections::BTreeSet;

fn distance_text(distance: f64) -> String {
    let mut out = Vec::new();
    write_distance(&mut Reply::new(&mut out, false), distance);
    String::from_utf8(out).unwrap().split("\r\n").nth(1).unwrap().to_owned()
}

#[test]
fn distances_have_four_decimals_rounded_exactly() {
    let mut rng = fastrand::Rng::with_seed(5);
    let near_ties = (0..1000).map(|n| f64::from(n) / 8.0 + 0.00005);
    let random = (0..100_000).map(|n| rng.f64() * 10f64.powi(n % 9));
    for value in near_ties.chain(random).chain([0.0, 0.00005, 166274.1516, 1e9, 1e15, 1e300]) {
        assert_eq!(distance_text(value), format!("{value:.4}"));
    }
}

#[test]
fn coordinates_have_up_to_17_decimals() {
    for (value, text) in [
        (13.361389338970184, "$20|13.36138933897018433|"),
        (0.5, "$3|0.5|"),
        (-180.0, "$4|-180|"),
        (0.0, "$1|0|"),
    ] {
        let mut out = Vec::new();
        write_coordinate(&mut Reply::new(&mut out, false), value);
        assert_eq!(String::from_utf8(out).unwrap().replace("\r\n", "|"), text);
    }
}

/// Words of a reply that are members.
fn members(reply: &str) -> BTreeSet<String> {
    reply.split('|').filter(|word| word.starts_with('p')).map(str::to_owned).collect()
}

#[test]
fn a_search_finds_what_a_look_at_every_member_finds() {
    let bench = Bench::new();
    let mut rng = fastrand::Rng::with_seed(6);
    let mut points = Vec::new();
    for number in 0..400 {
        let (longitude, latitude) = (rng.f64() * 40.0 - 20.0, rng.f64() * 120.0 - 60.0);
        bench.run(&format!("GEOADD g {longitude} {latitude} p{number}"));
        let stored = Point::of_score(Point { longitude, latitude }.score());
        points.push((format!("p{number}"), stored));
    }
    for _ in 0..300 {
        let centre = Point { longitude: rng.f64() * 40.0 - 20.0, latitude: rng.f64() * 100.0 - 50.0 };
        let radius = rng.f64() * 2000.0;
        let Point { longitude, latitude } = centre;
        let reply = bench.run(&format!("GEOSEARCH g FROMLONLAT {longitude} {latitude} BYRADIUS {radius} km"));
        let near = |point: &Point| distance(centre, *point) <= radius * 1000.0;
        let expected: BTreeSet<String> =
            points.iter().filter(|(_, point)| near(point)).map(|(name, _)| name.clone()).collect();
        assert_eq!(members(&reply), expected, "{centre:?} {radius}");
        let few = bench
            .run(&format!("GEOSEARCH g FROMLONLAT {longitude} {latitude} BYRADIUS {radius} km COUNT 3 ANY"));
        assert_eq!(members(&few).len(), expected.len().min(3));
    }
}
