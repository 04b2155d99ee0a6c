//! Geo commands: places as members of sorted sets. <https://redis.io/docs/latest/commands/?group=geo>

mod add;
mod code;
mod decimal;
mod options;
mod read;
mod search;
mod shape;

pub use add::geoadd;
pub use read::{geodist, geohash, geopos};
pub use search::{
    georadius, georadius_ro, georadiusbymember, georadiusbymember_ro, geosearch, geosearchstore,
};

use crate::error::CommandError;
use crate::number::parse_f64;
use code::Point;
use redoubt_resp::Reply;

type Done = Result<(), CommandError>;

/// Reads longitude and latitude.
fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point, CommandError> {
    let longitude = parse_f64(longitude).ok_or(CommandError::NotAFloat)?;
    let latitude = parse_f64(latitude).ok_or(CommandError::NotAFloat)?;
    let point = Point { longitude, latitude };
    if !point.is_valid() {
        let text = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
        return Err(CommandError::owned(text));
    }
    Ok(point)
}

/// Meters of a unit.
fn unit(word: &[u8]) -> Result<f64, CommandError> {
    const UNITS: [(&[u8], f64); 4] = [(b"m", 1.0), (b"km", 1000.0), (b"ft", 0.3048), (b"mi", 1609.34)];
    let unit = UNITS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    unit.map(|(_, meters)| *meters)
        .ok_or(CommandError::text("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// Answers a distance: four decimals.
fn write_distance(reply: &mut Reply<'_>, distance: f64) {
    const SCALE: f64 = 10_000.0;
    let scaled = distance * SCALE;
    let nearest = scaled.round();
    // Next to a tie the product's own rounding would decide: then, and for huge numbers, all digits are looked at.
    if scaled >= 1e12 || ((scaled - nearest).abs() - 0.5).abs() < 1e-3 {
        return reply.bulk(format!("{distance:.4}").as_bytes());
    }
    let (whole, decimals) = ((nearest / SCALE) as u64, nearest as u64 % SCALE as u64);
    let mut text = [b'0'; 32];
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(whole).as_bytes();
    text[..digits.len()].copy_from_slice(digits);
    text[digits.len()] = b'.';
    for (place, divisor) in [1000, 100, 10, 1].into_iter().enumerate() {
        text[digits.len() + 1 + place] = b'0' + (decimals / divisor % 10) as u8;
    }
    reply.bulk(&text[..digits.len() + 5]);
}

/// Answers a coordinate: up to 17 decimals, as many as are not zero.
fn write_coordinate(reply: &mut Reply<'_>, value: f64) {
    let mut text = [0; 32];
    let len = decimal::format(value, &mut text);
    reply.double_text(std::str::from_utf8(&text[..len]).expect("only ASCII is written"));
}

/// Answers longitude and latitude.
fn write_point(reply: &mut Reply<'_>, point: Point) {
    reply.array(2);
    write_coordinate(reply, point.longitude);
    write_coordinate(reply, point.latitude);
}

#[cfg(test)]
mod tests;
