//! Command templates: one line describes all calls of a command that random sequences make.
//!
//! `SET {k} {v} [(NX|XX)] [(EX 100|KEEPTTL)]`: words as they are, `{k}` one of a class of words, `(a|b c)` one of
//! several parts, `[a]` a part or nothing, and a `+` behind any of these for one to three of it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

/// Words of a call.
pub type Call = Vec<Vec<u8>>;

/// Commands that pick at random when a word is missing, or whose arity differs between versions.
const FIXED_LENGTH: &[&[u8]] =
    &[b"SPOP", b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER", b"ZRANK", b"ZREVRANK", b"BITCOUNT", b"BITPOS"];

/// Calls of all templates, now and then with a word too many or too few.
///
/// # Panics
/// When a template is malformed.
pub fn calls(templates: &[&str]) -> BoxedStrategy<Call> {
    let well_formed = Union::new(templates.iter().map(|template| call(template))).boxed();
    let short = well_formed.clone().prop_map(|mut call| {
        if !FIXED_LENGTH.contains(&call[0].as_slice()) {
            call.truncate(call.len().max(2) - 1);
        }
        call
    });
    let long = (well_formed.clone(), word_class("v")).prop_map(|(mut call, word)| {
        if !FIXED_LENGTH.contains(&call[0].as_slice()) {
            call.push(word);
        }
        call
    });
    prop_oneof![60 => well_formed, 1 => short, 1 => long].boxed()
}

/// Calls of one template.
///
/// # Panics
/// When it is malformed.
pub fn call(template: &str) -> BoxedStrategy<Call> {
    let mut rest = template;
    let strategy = sequence(&mut rest);
    assert!(rest.is_empty(), "template {template:?} goes wrong at {rest:?}");
    strategy
}

/// Parts up to a closing mark or the end.
fn sequence(rest: &mut &str) -> BoxedStrategy<Call> {
    let mut parts: BoxedStrategy<Call> = Just(Vec::new()).boxed();
    loop {
        *rest = rest.trim_start();
        let Some(next) = rest.chars().next().filter(|next| !matches!(next, ')' | ']' | '|')) else {
            return parts;
        };
        let part = match next {
            '(' => alternatives(rest),
            '[' => optional(rest),
            '{' => class(rest),
            _ => literal(rest),
        };
        let part =
            if take(rest, '+') { vec(part, 1..4).prop_map(|list| list.concat()).boxed() } else { part };
        let joined = (parts, part).prop_map(|(mut call, words)| {
            call.extend(words);
            call
        });
        parts = joined.boxed();
    }
}

fn alternatives(rest: &mut &str) -> BoxedStrategy<Call> {
    let mut options = Vec::new();
    while take(rest, if options.is_empty() { '(' } else { '|' }) {
        options.push(sequence(rest));
    }
    assert!(take(rest, ')'), "a template's ( is not closed before {rest:?}");
    Union::new(options).boxed()
}

fn optional(rest: &mut &str) -> BoxedStrategy<Call> {
    take(rest, '[');
    let part = sequence(rest);
    assert!(take(rest, ']'), "a template's [ is not closed before {rest:?}");
    proptest::option::of(part).prop_map(Option::unwrap_or_default).boxed()
}

fn class(rest: &mut &str) -> BoxedStrategy<Call> {
    let (name, after) = rest[1..].split_once('}').expect("a template's { is closed");
    *rest = after;
    word_class(name).prop_map(|word| vec![word]).boxed()
}

fn literal(rest: &mut &str) -> BoxedStrategy<Call> {
    let end = rest.find([' ', '+', ')', ']', '|', '(', '[', '{']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    Just(vec![word.as_bytes().to_vec()]).boxed()
}

fn take(rest: &mut &str, mark: char) -> bool {
    match rest.strip_prefix(mark) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// Few keys, members and values, so that calls meet each other; numbers at the edges.
fn word_class(name: &str) -> BoxedStrategy<Vec<u8>> {
    match name {
        "lon" => return coordinate(180.0, &["180", "-180", "0", "179.9999999", "181", "x"]),
        "lat" => {
            return coordinate(85.05112878, &["85.05112878", "-85.05112878", "0", "85.06", "80", "-66.1"]);
        }
        "r" => return radius(),
        _ => {}
    }
    // Fractions that are exact: 7.0 prints all digits of others, later versions the shortest form.
    let words: &[&str] = match name {
        "k" => &["a", "b", "c", "d"],
        "d" => &["\0ours:a", "\0ours:b", "\0ours:c", "\0theirs:a", "\0theirs:b", "\0theirs:c"],
        "m" => &["1", "2", "3", "x", "y", "zz", "", "-7", "a-member-longer-than-sixteen"],
        "v" => &[
            "",
            "1",
            "-5",
            "10",
            "3.5",
            "abc",
            "hello world",
            "9223372036854775807",
            "a value of more than 16",
        ],
        "i" => &["0", "1", "2", "3", "-1", "-2", "-3", "5", "-100", "100"],
        "z" => &["0", "1", "2", "5"],
        "c" => &["1", "2", "3", "10"],
        "n" => &[
            "0",
            "1",
            "-1",
            "42",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "x",
            "01",
        ],
        "f" => &["0", "1.5", "-0.5", "3", "1e3", "inf", "-inf", "nan", "x", "0.30000000000000004"],
        "s" => &["0", "1", "1", "2", "-1.5", "3", "inf", "-inf", "100000", "0.5"],
        "b" => &["-inf", "+inf", "0", "1", "(1", "2", "(2", "-1.5", "(inf", "x"],
        "l" => &["-", "+", "[x", "(x", "[1", "(1", "[", "[zz", "x"],
        "p" => &["*", "?", "[a-c]", "a*", "*b", "[^a]", "\\a", "nokey"],
        "cg" => &["g", "h"],
        "id" => &["1-1", "1-2", "2", "2-1", "3-0", "3-1", "5", "5-1", "5-2", "7-0", "8-1", "9-1", "x", "0"],
        "auto" => &["0-*", "1-*", "2-*", "3-*", "5-*", "7-*", "8-*", "9-*", "9-*", "9-*"],
        "from" => &["-", "-", "-", "1-1", "(1-1", "2", "(3", "5-1", "(x", "+"],
        "to" => &["+", "+", "+", "7", "(9-1", "5", "(3", "8-1", "x", "-"],
        "o" => &["0", "1", "2", "7", "8", "9", "15", "31", "63", "100", "-1", "4294967296"],
        "bit" => &["0", "1", "1", "2"],
        "t" => &["u8", "i8", "u4", "i5", "u63", "i64", "u1", "u64", "i65"],
        "st" => &["u8", "i8", "u4", "i5", "u16", "i32", "u1", "i65"],
        "e" => &["100", "1000000", "0", "-1", "9223372036854775807", "x"],
        "ms" => &["9999999999000", "99999999999000", "1", "-5", "0"],
        "g" => &["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"],
        "u" => &["m", "km", "km", "KM", "ft", "mi", "mi", "x"],
        "he" => &["100", "1000000", "0", "-1", "9223372036854775807", "x"],
        "hat" => &["9999999999", "9999999998", "70368744177", "70368744178", "1", "0"],
        "hms" => &["9999999999000", "9999999998001", "70368744177663", "70368744177664", "1", "-5"],
        "at" => &["9999999999", "99999999999", "1", "-5", "0"],
        other => panic!("no class {other} of words"),
    };
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    select(words).boxed()
}

/// Degrees: mostly within a small region, else anywhere, now and then at the edges.
fn coordinate(most: f64, edges: &'static [&'static str]) -> BoxedStrategy<Vec<u8>> {
    let near = (0.0..most / 30.0).prop_map(move |offset: f64| most / 5.0 + offset);
    prop_oneof![
        6 => near.prop_map(|degrees: f64| degrees.to_string().into_bytes()),
        3 => (-most..most).prop_map(|degrees: f64| degrees.to_string().into_bytes()),
        1 => select(edges).prop_map(|edge| edge.as_bytes().to_vec()),
    ]
    .boxed()
}

/// Lengths of every magnitude that fits the earth.
fn radius() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        9 => (0.0..7.4f64).prop_map(|exponent| format!("{:.3}", 10f64.powf(exponent)).into_bytes()),
        1 => select(&["0", "-1", "x", "1e300"][..]).prop_map(|text| text.as_bytes().to_vec()),
    ]
    .boxed()
}
