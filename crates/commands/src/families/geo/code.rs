//! Geohashes: a point as interleaved bits of latitude and longitude, and back; distances.
//!
//! The ranges, the earth's radius and the order of operations are those of Redis, so that results are equal to the
//! last digit (<https://redis.io/docs/latest/commands/geoadd/>).

/// Longitudes that can be held are within this, degrees.
pub(super) const LONGITUDE_MAX: f64 = 180.0;
/// Latitudes that can be held are within this: where the web's Mercator projection ends.
pub(super) const LATITUDE_MAX: f64 = 85.05112878;
/// Bits per coordinate of a stored point.
pub(super) const STEP_MAX: u32 = 26;
/// The earth's radius, meters.
pub(super) const EARTH_RADIUS: f64 = 6372797.560856;

const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;

/// Degrees as radians.
#[inline]
pub(super) fn radians(degrees: f64) -> f64 {
    degrees * RADIANS_PER_DEGREE
}

/// Radians as degrees.
pub(super) fn degrees(radians: f64) -> f64 {
    radians / RADIANS_PER_DEGREE
}

/// A place on earth, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Point {
    /// Whether it can be held.
    pub(super) fn is_valid(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// The score it is stored under.
    pub(super) fn score(self) -> f64 {
        Code::of(self, LATITUDE_MAX, STEP_MAX).bits as f64
    }

    /// The place a score stands for: the middle of its cell.
    #[inline]
    pub(super) fn of_score(score: f64) -> Point {
        let area = Code { bits: score as u64, step: STEP_MAX }.area();
        let longitude = (area.west + area.east) / 2.0;
        let latitude = (area.south + area.north) / 2.0;
        Point {
            longitude: longitude.clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }
}

/// Leading bits of a geohash: `step` bits per coordinate, latitude in the even ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u64,
    pub(super) step: u32,
}

/// A rectangle of the map, degrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) west: f64,
    pub(super) east: f64,
    pub(super) south: f64,
    pub(super) north: f64,
}

const EVEN: u64 = 0x5555_5555_5555_5555;
const ODD: u64 = !EVEN;

/// Moves the 32 bits of a number to the even ones of 64.
#[inline]
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & EVEN
}

/// The even bits, moved together.
#[inline]
fn gather(bits: u64) -> u32 {
    let mut bits = bits & EVEN;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

impl Code {
    /// The cell of a point in a map of latitudes up to `latitude_max`.
    pub(super) fn of(point: Point, latitude_max: f64, step: u32) -> Code {
        let cells = (1u64 << step) as f64;
        let latitude = (point.latitude + latitude_max) / (latitude_max + latitude_max) * cells;
        let longitude = (point.longitude + LONGITUDE_MAX) / (LONGITUDE_MAX + LONGITUDE_MAX) * cells;
        Code { bits: spread(latitude as u32) | spread(longitude as u32) << 1, step }
    }

    /// What the cell covers.
    #[inline]
    pub(super) fn area(self) -> Area {
        let cells = (1u64 << self.step) as f64;
        let latitude = |cell: f64| -LATITUDE_MAX + cell / cells * (LATITUDE_MAX + LATITUDE_MAX);
        let longitude = |cell: f64| -LONGITUDE_MAX + cell / cells * (LONGITUDE_MAX + LONGITUDE_MAX);
        let (row, column) = (f64::from(gather(self.bits)), f64::from(gather(self.bits >> 1)));
        Area {
            west: longitude(column),
            east: longitude(column + 1.0),
            south: latitude(row),
            north: latitude(row + 1.0),
        }
    }

    /// The cell so many columns east and rows north (each -1, 0 or 1), around the world if need be.
    pub(super) fn neighbour(self, east: i32, north: i32) -> Code {
        let shift = 64 - self.step * 2;
        let (even, odd) = (EVEN >> shift, ODD >> shift);
        // Adding to one coordinate while the bits of the other are all set carries across them.
        let moved = |own: u64, other: u64, by: i32| match by {
            0 => self.bits & own,
            1 => (self.bits & own).wrapping_add(other + 1) & (own >> shift),
            _ => (self.bits & own | other).wrapping_sub(other + 1) & (own >> shift),
        };
        Code { bits: moved(ODD, even, east) | moved(EVEN, odd, north), step: self.step }
    }

    /// Lowest score of the cell, and the lowest beyond it.
    pub(super) fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEP_MAX - self.step);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// Distance of two latitudes on one meridian, meters.
pub(super) fn latitude_distance(a: f64, b: f64) -> f64 {
    EARTH_RADIUS * (radians(b) - radians(a)).abs()
}

/// Distances from one point, whose trigonometry is done once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    longitude: f64,
    latitude: f64,
    cosine: f64,
}

impl Origin {
    pub(super) fn new(point: Point) -> Origin {
        let latitude = radians(point.latitude);
        Origin { longitude: radians(point.longitude), latitude, cosine: latitude.cos() }
    }

    /// Distance to a point along the great circle, meters.
    #[inline]
    pub(super) fn distance(&self, point: Point) -> f64 {
        let v = ((radians(point.longitude) - self.longitude) / 2.0).sin();
        let latitude = radians(point.latitude);
        if v == 0.0 {
            return EARTH_RADIUS * (latitude - self.latitude).abs();
        }
        let u = ((latitude - self.latitude) / 2.0).sin();
        let a = u * u + self.cosine * latitude.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }
}

/// Distance of two points, meters.
pub(super) fn distance(from: Point, to: Point) -> f64 {
    Origin::new(from).distance(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(longitude: f64, latitude: f64) -> Point {
        Point { longitude, latitude }
    }

    #[test]
    fn scores_are_those_of_the_documentation() {
        assert_eq!(point(13.361389, 38.115556).score(), 3479099956230698.0);
        assert_eq!(point(15.087269, 37.502669).score(), 3479447370796909.0);
        let palermo = Point::of_score(3479099956230698.0);
        assert_eq!(palermo, point(13.361389338970184, 38.1155563954963));
        let far = distance(palermo, Point::of_score(3479447370796909.0));
        assert_eq!(format!("{far:.4}"), "166274.1516");
    }

    #[test]
    fn bits_spread_and_gather() {
        for number in [0, 1, 2, 0x3ff_ffff, 0x2aa_aaaa, 0xdead_beef, u32::MAX] {
            assert_eq!(gather(spread(number)), number);
            assert_eq!(spread(number) & ODD, 0);
        }
    }

    #[test]
    fn points_come_back_within_their_cell() {
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..10_000 {
            let longitude = (rng.f64() - 0.5) * 2.0 * LONGITUDE_MAX;
            let latitude = (rng.f64() - 0.5) * 2.0 * LATITUDE_MAX;
            let back = Point::of_score(point(longitude, latitude).score());
            assert!((back.longitude - longitude).abs() < 3e-6 && (back.latitude - latitude).abs() < 2e-6);
            assert_eq!(Point::of_score(back.score()), back);
        }
    }

    #[test]
    fn neighbours_surround_a_cell_and_the_world() {
        let cell = Code::of(point(10.0, 20.0), LATITUDE_MAX, 10);
        let area = cell.area();
        assert_eq!(cell.neighbour(1, 0).area().west, area.east);
        assert_eq!(cell.neighbour(-1, 0).area().east, area.west);
        assert_eq!(cell.neighbour(0, 1).area().south, area.north);
        assert_eq!(cell.neighbour(0, -1).area().north, area.south);
        assert_eq!(cell.neighbour(1, 1).neighbour(-1, -1), cell);
        let last = Code::of(point(179.99, 0.0), LATITUDE_MAX, 10);
        assert_eq!(last.neighbour(1, 0).area().west, -180.0);
    }
}
