//! Circles and boxes: which cells of the map they reach, and which points they hold.
//!
//! Cells, and their order, are chosen as Redis chooses them: the cell of the centre, as large as the shape demands, and
//! those of its eight neighbours that the shape may reach.

use super::code::{
    Area, Code, EARTH_RADIUS, LATITUDE_MAX, Origin, Point, STEP_MAX, degrees, latitude_distance, radians,
};
use std::f64::consts::FRAC_PI_2;

/// Half the extent of the map, meters.
const MERCATOR_MAX: f64 = 20037726.37;
/// By how much a quick test errs on the safe side, relative and in radians: far above what rounding makes.
const MARGIN: f64 = 1e-9;

/// Extent of a shape, in meters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// A circle of this radius.
    Circle(f64),
    /// Width and height of a box.
    Box(f64, f64),
}

/// A shape around a centre.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    centre: Point,
    origin: Origin,
    extent: Extent,
    /// No point of the shape is further from the centre in latitude or longitude, radians.
    latitude_reach: f64,
    longitude_reach: f64,
}

/// Reach in longitude of a circle around a latitude; all of it when a pole may be within.
fn circle_reach(latitude: f64, angle: f64) -> f64 {
    if latitude.abs() + angle >= FRAC_PI_2 - MARGIN {
        return f64::INFINITY;
    }
    (angle.sin() / latitude.cos()).min(1.0).asin() * (1.0 + MARGIN) + MARGIN
}

/// Reach in longitude of a box: its width, measured at its latitude that is nearest to a pole.
fn box_reach(latitude: f64, half_height: f64, half_width: f64) -> f64 {
    let highest = latitude.abs() + half_height + MARGIN;
    if highest >= FRAC_PI_2 || half_width >= FRAC_PI_2 {
        return f64::INFINITY;
    }
    let sine = (half_width / 2.0).sin() / highest.cos();
    if sine >= 1.0 { f64::INFINITY } else { 2.0 * sine.asin() * (1.0 + MARGIN) + MARGIN }
}

impl Shape {
    /// A shape around a centre.
    pub(super) fn new(centre: Point, extent: Extent) -> Shape {
        let latitude = radians(centre.latitude);
        let (latitude_reach, longitude_reach) = match extent {
            Extent::Circle(radius) => {
                let angle = radius / EARTH_RADIUS;
                (angle, circle_reach(latitude, angle))
            }
            Extent::Box(width, height) => {
                let (width, height) = (width / 2.0 / EARTH_RADIUS, height / 2.0 / EARTH_RADIUS);
                (height, box_reach(latitude, height, width))
            }
        };
        Shape {
            centre,
            origin: Origin::new(centre),
            extent,
            latitude_reach: latitude_reach * (1.0 + MARGIN) + MARGIN,
            longitude_reach,
        }
    }

    /// Distance of a point from the centre in meters, if the shape holds it.
    #[inline]
    pub(super) fn distance_within(&self, point: Point) -> Option<f64> {
        if self.is_far(point) {
            return None;
        }
        self.exact_distance_within(point)
    }

    #[inline]
    fn exact_distance_within(&self, point: Point) -> Option<f64> {
        match self.extent {
            Extent::Circle(radius) => {
                Some(self.origin.distance(point)).filter(|distance| *distance <= radius)
            }
            Extent::Box(width, height) => {
                if latitude_distance(point.latitude, self.centre.latitude) > height / 2.0 {
                    return None;
                }
                let abreast = Point { longitude: self.centre.longitude, latitude: point.latitude };
                let aside = Origin::new(point).distance(abreast);
                (aside <= width / 2.0).then(|| self.origin.distance(point))
            }
        }
    }

    /// Whether a point is outside for sure, without trigonometry.
    #[inline]
    fn is_far(&self, point: Point) -> bool {
        if radians(point.latitude - self.centre.latitude).abs() > self.latitude_reach {
            return true;
        }
        let aside = (point.longitude - self.centre.longitude).abs();
        radians(aside.min(360.0 - aside)) > self.longitude_reach
    }

    /// The rectangle around the shape: as wide as on its side towards the pole.
    fn bounds(&self) -> Area {
        let Point { longitude, latitude } = self.centre;
        let (width, height) = match self.extent {
            Extent::Circle(radius) => (radius, radius),
            Extent::Box(width, height) => (width / 2.0, height / 2.0),
        };
        let rise = degrees(height / EARTH_RADIUS);
        let towards_pole = if latitude < 0.0 { latitude - rise } else { latitude + rise };
        let reach = degrees(width / EARTH_RADIUS / radians(towards_pole).cos());
        Area {
            west: longitude - reach,
            east: longitude + reach,
            south: latitude - rise,
            north: latitude + rise,
        }
    }

    /// Bits per coordinate of cells that are about as large as the shape.
    fn step(&self) -> u32 {
        let mut range = match self.extent {
            Extent::Circle(radius) => radius,
            Extent::Box(width, height) => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        if range == 0.0 {
            return STEP_MAX;
        }
        let mut step: i32 = 1;
        while range < MERCATOR_MAX {
            range *= 2.0;
            step += 1;
        }
        // Smaller, so that the neighbours reach far enough; and again where meridians draw together.
        step -= 2;
        let latitude = self.centre.latitude.abs();
        step -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        step.clamp(1, STEP_MAX as i32) as u32
    }

    /// The cells that together cover the shape, in the order they are searched. At most nine.
    pub(super) fn cells(&self) -> impl Iterator<Item = Code> {
        let bounds = self.bounds();
        let step = self.step();
        let mut centre = Code::of(self.centre, LATITUDE_MAX, step);
        if step > 1 && !neighbours_cover(centre, &bounds) {
            centre = Code::of(self.centre, LATITUDE_MAX, step - 1);
        }
        let area = centre.area();
        // In a map of few cells every neighbour counts.
        let skips = centre.step >= 2;
        let useless = move |(east, north): &(i32, i32)| {
            skips
                && (*north < 0 && area.south < bounds.south
                    || *north > 0 && area.north > bounds.north
                    || *east < 0 && area.west < bounds.west
                    || *east > 0 && area.east > bounds.east)
        };
        const ORDER: [(i32, i32); 9] =
            [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let mut before = None;
        ORDER
            .into_iter()
            .filter(move |place| !useless(place))
            .map(move |(east, north)| centre.neighbour(east, north))
            .enumerate()
            .filter(move |(index, cell)| {
                // In a map of few cells neighbours coincide. The centre is not remembered, as in Redis.
                let again = before == Some(*cell);
                if !again && *index > 0 {
                    before = Some(*cell);
                }
                !again
            })
            .map(|(_, cell)| cell)
    }
}

/// Whether a cell and its neighbours reach beyond the bounds on every side.
fn neighbours_cover(cell: Code, bounds: &Area) -> bool {
    cell.neighbour(0, 1).area().north >= bounds.north
        && cell.neighbour(0, -1).area().south <= bounds.south
        && cell.neighbour(1, 0).area().east >= bounds.east
        && cell.neighbour(-1, 0).area().west <= bounds.west
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quick test must never throw out what the exact one keeps.
    #[test]
    fn what_is_far_is_outside() {
        let mut rng = fastrand::Rng::with_seed(9);
        let mut random = |reach: f64| (rng.f64() - 0.5) * 2.0 * reach;
        for _ in 0..200_000 {
            let centre = Point { longitude: random(180.0), latitude: random(LATITUDE_MAX) };
            let near = random(1.0).abs().powi(6);
            let radius = random(20_100_000.0).abs() * near;
            let shape = match random(1.0) > 0.0 {
                true => Shape::new(centre, Extent::Circle(radius)),
                false => Shape::new(centre, Extent::Box(radius, random(20_000_000.0).abs() * near)),
            };
            let angle = degrees(radius / EARTH_RADIUS);
            let longitude = centre.longitude + random(1.2 * angle / radians(centre.latitude).cos());
            let latitude = centre.latitude + random(1.2 * angle);
            let point =
                Point { longitude: longitude.clamp(-180.0, 180.0), latitude: latitude.clamp(-85.0, 85.0) };
            let inside = shape.exact_distance_within(point).is_some();
            assert!(!(inside && shape.is_far(point)), "{shape:?} {point:?}");
        }
    }

    #[test]
    fn cells_hold_the_shape() {
        let mut rng = fastrand::Rng::with_seed(10);
        let mut random = |reach: f64| (rng.f64() - 0.5) * 2.0 * reach;
        for _ in 0..20_000 {
            let centre = Point { longitude: random(150.0), latitude: random(60.0) };
            let radius = random(1_000_000.0).abs();
            let shape = Shape::new(centre, Extent::Circle(radius));
            let angle = degrees(radius / EARTH_RADIUS);
            let point = Point {
                longitude: centre.longitude + random(angle),
                latitude: centre.latitude + random(angle),
            };
            if shape.distance_within(point).is_none() {
                continue;
            }
            let score = point.score();
            let found = shape.cells().any(|cell| {
                let (low, high) = cell.scores();
                (low..high).contains(&score)
            });
            assert!(found, "{shape:?} {point:?}");
        }
    }
}
