//! Expected replies as conversation files write them: parsing and matching.

use crate::reply::Reply;
use crate::words;
use anyhow::{Context, Result, bail};

/// One expected reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// `?`: any reply.
    Any,
    /// `-?`: any error.
    AnyError,
    /// `(closed)`: the server closes the connection instead of answering.
    Closed,
    /// `+text`
    Status(String),
    /// `-text`, exact.
    Error(String),
    /// `(integer) 5`
    Int(i64),
    /// `"bulk"`
    Bulk(Vec<u8>),
    /// `(nil)`: a null of any kind.
    Nil,
    /// `(double) 1.5`
    Double(f64),
    /// `(true)` and `(false)`
    Bool(bool),
    /// `(big) 123`
    Big(String),
    /// `(verbatim) "text"`
    Verbatim(Vec<u8>),
    /// `*2`
    Array(Vec<Expected>),
    /// `%1`: keys and values in turn.
    Map(Vec<Expected>),
    /// `~2`
    Set(Vec<Expected>),
    /// `^2`: a push message.
    Push(Vec<Expected>),
    /// `~~ 2`: these elements in any order.
    Unordered(Vec<Expected>),
    /// `%% 1`: these pairs in any order; keys and values in turn.
    UnorderedPairs(Vec<Expected>),
}

/// Parses one value from the lines of an expectation, all of which it must take.
///
/// # Errors
/// When a line is not in the notation, or counts and indentation disagree.
pub fn parse(lines: &[String]) -> Result<Expected> {
    let mut next = 0;
    let value = parse_value(lines, &mut next, 0)?;
    if next < lines.len() {
        bail!("{:?} is beyond the expected value", lines[next]);
    }
    Ok(value)
}

/// The value as a file writes it.
pub fn render(value: &Expected) -> String {
    let mut lines = Vec::new();
    render_lines(value, 0, &mut lines);
    lines.join("\n")
}

fn render_lines(value: &Expected, indent: usize, lines: &mut Vec<String>) {
    let (text, elements): (String, &[Expected]) = match value {
        Expected::Any => ("?".into(), &[]),
        Expected::AnyError => ("-?".into(), &[]),
        Expected::Closed => ("(closed)".into(), &[]),
        Expected::Status(text) => (format!("+{text}"), &[]),
        Expected::Error(text) => (format!("-{text}"), &[]),
        Expected::Int(value) => (format!("(integer) {value}"), &[]),
        Expected::Bulk(bytes) => (words::quote(bytes), &[]),
        Expected::Nil => ("(nil)".into(), &[]),
        Expected::Double(value) => (format!("(double) {value}"), &[]),
        Expected::Bool(value) => (format!("({value})"), &[]),
        Expected::Big(digits) => (format!("(big) {digits}"), &[]),
        Expected::Verbatim(bytes) => (format!("(verbatim) {}", words::quote(bytes)), &[]),
        Expected::Array(list) => (format!("*{}", list.len()), list),
        Expected::Map(list) => (format!("%{}", list.len() / 2), list),
        Expected::Set(list) => (format!("~{}", list.len()), list),
        Expected::Push(list) => (format!("^{}", list.len()), list),
        Expected::Unordered(list) => (format!("~~ {}", list.len()), list),
        Expected::UnorderedPairs(list) => (format!("%% {}", list.len() / 2), list),
    };
    lines.push(format!("{:indent$}{text}", ""));
    for element in elements {
        render_lines(element, indent + 2, lines);
    }
}

fn parse_value(lines: &[String], next: &mut usize, indent: usize) -> Result<Expected> {
    let line = lines.get(*next).context("an element is missing")?;
    let Some(text) = line.strip_prefix(&" ".repeat(indent)).filter(|text| !text.starts_with(' ')) else {
        bail!("{line:?} should be indented by {indent}");
    };
    *next += 1;
    for (mark, per_element, build) in AGGREGATES {
        if let Some(count) = text.strip_prefix(mark).and_then(|rest| rest.trim().parse::<usize>().ok()) {
            let elements = (0..count * per_element).map(|_| parse_value(lines, next, indent + 2));
            return Ok(build(elements.collect::<Result<_>>()?));
        }
    }
    parse_scalar(text.trim_end())
}

type Build = fn(Vec<Expected>) -> Expected;

/// Mark, values per counted element, constructor. Longer marks come first.
const AGGREGATES: &[(&str, usize, Build)] = &[
    ("~~", 1, Expected::Unordered),
    ("%%", 2, Expected::UnorderedPairs),
    ("*", 1, Expected::Array),
    ("%", 2, Expected::Map),
    ("~", 1, Expected::Set),
    ("^", 1, Expected::Push),
];

fn parse_scalar(text: &str) -> Result<Expected> {
    let quoted = |text: &str| words::quoted(text.as_bytes()).filter(|(_, used)| *used == text.len());
    Ok(match text {
        "?" => Expected::Any,
        "-?" => Expected::AnyError,
        "(closed)" => Expected::Closed,
        "(nil)" => Expected::Nil,
        "(true)" => Expected::Bool(true),
        "(false)" => Expected::Bool(false),
        _ => {
            if let Some(status) = text.strip_prefix('+') {
                Expected::Status(status.into())
            } else if let Some(error) = text.strip_prefix('-') {
                Expected::Error(error.into())
            } else if let Some(number) = text.strip_prefix("(integer) ") {
                Expected::Int(number.parse().with_context(|| format!("integer {number:?}"))?)
            } else if let Some(number) = text.strip_prefix("(double) ") {
                Expected::Double(number.parse().with_context(|| format!("double {number:?}"))?)
            } else if let Some(number) = text.strip_prefix("(big) ") {
                Expected::Big(number.into())
            } else if let Some(rest) = text.strip_prefix("(verbatim) ") {
                Expected::Verbatim(quoted(rest).with_context(|| format!("string {rest}"))?.0)
            } else if text.starts_with('"') {
                Expected::Bulk(quoted(text).with_context(|| format!("string {text}"))?.0)
            } else {
                bail!("{text:?} is not an expected reply")
            }
        }
    })
}

/// Whether `reply` is as expected. `folded`: the expectation was written for RESP2 and the reply came in RESP3, so
/// maps and pairs count as flat arrays, sets as arrays, doubles and verbatim strings as strings, booleans as 0 and 1.
pub fn matches(expected: &Expected, reply: &Reply, folded: bool) -> bool {
    match (expected, reply) {
        (Expected::Any, _) => true,
        (Expected::AnyError, Reply::Error(_)) => true,
        (Expected::Status(a), Reply::Status(b)) => a.as_bytes() == b.as_slice(),
        (Expected::Error(a), Reply::Error(b)) => a == b,
        (Expected::Int(a), Reply::Int(b)) => a == b,
        (Expected::Int(a), Reply::Bool(b)) => folded && *a == i64::from(*b),
        (Expected::Bulk(a), Reply::Bulk(b)) => a == b,
        (Expected::Bulk(a), Reply::Verbatim(b) | Reply::Big(b)) => folded && a == b,
        (Expected::Bulk(a), Reply::Double(b)) => folded && is_number(a, *b),
        (Expected::Nil, Reply::Nil | Reply::NilArray) => true,
        (Expected::Double(a), Reply::Double(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Expected::Bool(a), Reply::Bool(b)) => a == b,
        (Expected::Big(a), Reply::Big(b)) => a.as_bytes() == b.as_slice(),
        (Expected::Verbatim(a), Reply::Verbatim(b)) => a == b,
        (Expected::Array(a), Reply::Array(b)) => {
            all(a, b, folded) || (folded && all(a, &unpaired(b), folded))
        }
        (Expected::Array(a), Reply::Set(b)) => folded && all(a, b, folded),
        (Expected::Array(a), Reply::Map(_)) => folded && all(a, &reply.list(), folded),
        (Expected::Map(a), Reply::Map(_)) => all(a, &reply.list(), folded),
        (Expected::Set(a), Reply::Set(b)) => all(a, b, folded),
        (Expected::Push(a), Reply::Push(b)) => all(a, b, folded),
        (Expected::Array(a), Reply::Push(b)) => folded && all(a, b, folded),
        (Expected::Unordered(a), Reply::Array(b)) => {
            in_any_order(a, b, 1, folded) || (folded && in_any_order(a, &unpaired(b), 1, folded))
        }
        (Expected::Unordered(a), Reply::Set(_) | Reply::Map(_)) => in_any_order(a, &reply.list(), 1, folded),
        (Expected::UnorderedPairs(a), Reply::Map(_)) => in_any_order(a, &reply.list(), 2, folded),
        (Expected::UnorderedPairs(a), Reply::Array(b)) => {
            in_any_order(a, b, 2, folded) || in_any_order(a, &unpaired(b), 2, folded)
        }
        _ => false,
    }
}

fn all(expected: &[Expected], replies: &[Reply], folded: bool) -> bool {
    expected.len() == replies.len() && expected.iter().zip(replies).all(|(e, r)| matches(e, r, folded))
}

/// The elements of the members when each member is a pair, as RESP3 writes scores and values; else the members.
fn unpaired(replies: &[Reply]) -> Vec<Reply> {
    let pair = |reply: &Reply| matches!(reply, Reply::Array(list) if list.len() == 2);
    if replies.iter().all(pair) { replies.iter().flat_map(Reply::list).collect() } else { replies.to_vec() }
}

/// Matches groups of `size` values in any order. Greedy: groups with wildcards pick last.
fn in_any_order(expected: &[Expected], replies: &[Reply], size: usize, folded: bool) -> bool {
    if expected.len() != replies.len() || !replies.len().is_multiple_of(size) {
        return false;
    }
    let mut left: Vec<&[Reply]> = replies.chunks(size).collect();
    let mut groups: Vec<&[Expected]> = expected.chunks(size).collect();
    groups.sort_by_key(|group| group.contains(&Expected::Any));
    groups.into_iter().all(|group| match left.iter().position(|replies| all(group, replies, folded)) {
        Some(found) => {
            left.swap_remove(found);
            true
        }
        None => false,
    })
}

fn is_number(text: &[u8], value: f64) -> bool {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .is_some_and(|number| number == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(text: &str) -> Expected {
        parse(&text.lines().map(str::to_string).collect::<Vec<_>>()).unwrap()
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.into())
    }

    #[test]
    fn nested_values_and_bad_indentation() {
        let lines = "*2\n  \"a\"\n  *1\n    (integer) -1";
        let reply = Reply::Array(vec![bulk("a"), Reply::Array(vec![Reply::Int(-1)])]);
        assert!(matches(&expected(lines), &reply, false));
        assert_eq!(reply.to_string(), lines);
        assert!(parse(&["*1".into(), "\"a\"".into()]).is_err());
        assert!(parse(&["*0".into(), "\"a\"".into()]).is_err());
    }

    #[test]
    fn any_order_and_pairs() {
        let reply = Reply::Array(vec![bulk("b"), bulk("2"), bulk("a"), bulk("1")]);
        assert!(matches(&expected("~~ 4\n  ?\n  \"2\"\n  \"b\"\n  \"a\""), &reply, false));
        assert!(matches(&expected("%% 2\n  \"a\"\n  \"1\"\n  \"b\"\n  \"2\""), &reply, false));
        assert!(!matches(&expected("%% 2\n  \"a\"\n  \"2\"\n  \"b\"\n  \"1\""), &reply, false));
    }

    #[test]
    fn resp3_folds_to_what_was_written_for_resp2() {
        let scores = Reply::Array(vec![
            Reply::Array(vec![bulk("a"), Reply::Double(1.5)]),
            Reply::Array(vec![bulk("b"), Reply::Double(f64::INFINITY)]),
        ]);
        let text = "*4\n  \"a\"\n  \"1.5\"\n  \"b\"\n  \"inf\"";
        assert!(matches(&expected(text), &scores, true));
        assert!(!matches(&expected(text), &scores, false));
    }
}
