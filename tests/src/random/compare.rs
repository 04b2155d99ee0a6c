//! Runs one sequence on two servers and says where they differ.

use super::state;
use super::template::Call;
use crate::client::Client;
use crate::reply::Reply;
use crate::words;
use anyhow::{Context, Result};
use std::fmt::Write;

/// How far two servers' clocks readings of one expiry may lie apart, in the unit of the reply.
const TIME_TOLERANCE: i64 = 5000;

/// How replies of a command are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Exact,
    /// The same elements in any order.
    Unordered,
    /// The same pairs in any order; a flat array.
    Pairs,
    /// A cursor and elements: compared in any order, when both went through in one call.
    Scan,
    /// As `Scan`, with pairs.
    ScanPairs,
    /// Times that passed between two calls do not count.
    Time,
    /// Pending entries: the third of each four is a time that passed.
    Pending,
    /// What an EXEC answers: each reply by its own command's rule.
    Exec,
}

fn rule(call: &Call) -> Rule {
    let name = String::from_utf8_lossy(&call[0]).to_uppercase();
    let with = |word: &str| call.iter().any(|argument| argument.eq_ignore_ascii_case(word.as_bytes()));
    match name.as_str() {
        "SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "SPOP" | "SRANDMEMBER" | "HKEYS" | "HVALS" | "KEYS" => {
            Rule::Unordered
        }
        // Ties have no order of their own.
        "SORT" | "SORT_RO" if with("BY") => Rule::Unordered,
        "HGETALL" => Rule::Pairs,
        "HRANDFIELD" | "ZRANDMEMBER" if with("WITHVALUES") || with("WITHSCORES") => Rule::Pairs,
        "HRANDFIELD" | "ZRANDMEMBER" => Rule::Unordered,
        "SCAN" | "SSCAN" => Rule::Scan,
        "HSCAN" | "ZSCAN" => Rule::ScanPairs,
        "XPENDING" if call.len() > 3 => Rule::Pending,
        "TTL" | "PTTL" | "EXPIRETIME" | "PEXPIRETIME" => Rule::Time,
        "HTTL" | "HPTTL" | "HEXPIRETIME" | "HPEXPIRETIME" => Rule::Time,
        "EXEC" => Rule::Exec,
        _ => Rule::Exact,
    }
}

/// Runs the calls on both, each emptied before, and compares every reply and the keyspace at the end. None when they
/// agree, else the sequence as a conversation file with the differences as comments.
///
/// # Errors
/// When a server stops answering.
pub fn difference(ours: &mut Client, reference: &mut Client, calls: &[Call]) -> Result<Option<String>> {
    let (left, left_dirty) = replies(ours, calls)?;
    let (right, right_dirty) = replies(reference, calls)?;
    let mut queued: Vec<Rule> = Vec::new();
    let mut text = String::new();
    let mut differs = false;
    for ((call, left), right) in calls.iter().zip(&left).zip(&right) {
        let rule = rule(call);
        let same = if rule == Rule::Exec { same_exec(&queued, left, right) } else { same(rule, left, right) };
        match (left, call[0].to_ascii_uppercase().as_slice()) {
            (_, b"EXEC" | b"DISCARD") => queued.clear(),
            (Reply::Status(status), _) if status == b"QUEUED" => queued.push(rule),
            _ => {}
        }
        writeln!(text, "> {}\n{right}", words::join(call))?;
        if !same {
            differs = true;
            writeln!(text, "# ours: {}", left.to_string().replace('\n', "\n#       "))?;
            break;
        }
    }
    if differs {
        return Ok(Some(text));
    }
    if left_dirty != right_dirty {
        let differs = format!("# ours counts {left_dirty} changes, the reference {right_dirty}\n");
        return Ok(Some(text + &differs));
    }
    let (left, right) = (state::read(ours)?, state::read(reference)?);
    Ok(state::difference(&left, &right).map(|difference| format!("{text}# final state: {difference}\n")))
}

/// Empties all databases and sends all calls at once; one reply for each, and the number of changes the server counted.
fn replies(client: &mut Client, calls: &[Call]) -> Result<(Vec<Reply>, i64)> {
    for reset in [["DISCARD", ""], ["UNWATCH", ""], ["FLUSHALL", "SYNC"]] {
        let words: Vec<&str> = reset.into_iter().filter(|word| !word.is_empty()).collect();
        client.try_call(&words)?;
    }
    let before = changes(client)?;
    for call in calls {
        client.send(call)?;
    }
    let replies: Result<Vec<Reply>> = calls.iter().map(|_| client.read()).collect();
    let replies = replies?;
    client.try_call(&["DISCARD"])?;
    Ok((replies, changes(client)? - before))
}

/// `rdb_changes_since_last_save`.
fn changes(client: &mut Client) -> Result<i64> {
    let info = client.try_call(&["INFO", "persistence"])?.text();
    let line = info.lines().find_map(|line| line.strip_prefix("rdb_changes_since_last_save:"));
    line.context("INFO has no number of changes")?.trim().parse().context("a number")
}

fn same_exec(queued: &[Rule], left: &Reply, right: &Reply) -> bool {
    match (left, right) {
        (Reply::Array(left), Reply::Array(right))
            if left.len() == queued.len() && right.len() == queued.len() =>
        {
            queued.iter().zip(left.iter().zip(right)).all(|(rule, (left, right))| same(*rule, left, right))
        }
        _ => left == right,
    }
}

fn same(rule: Rule, left: &Reply, right: &Reply) -> bool {
    if left == right {
        return true;
    }
    match (rule, left, right) {
        (Rule::Unordered, Reply::Array(left), Reply::Array(right)) => same_groups(left, right, 1),
        (Rule::Pairs, Reply::Array(left), Reply::Array(right)) => same_groups(left, right, 2),
        (Rule::Scan | Rule::ScanPairs, Reply::Array(left), Reply::Array(right)) => {
            let size = if rule == Rule::Scan { 1 } else { 2 };
            match (left.as_slice(), right.as_slice()) {
                ([left_cursor, Reply::Array(left)], [right_cursor, Reply::Array(right)]) => {
                    let complete = |cursor: &Reply| *cursor == Reply::Bulk(b"0".to_vec());
                    !(complete(left_cursor) && complete(right_cursor)) || same_groups(left, right, size)
                }
                _ => false,
            }
        }
        (Rule::Time, Reply::Array(left), Reply::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(rule, left, right))
        }
        (Rule::Pending, Reply::Array(left), Reply::Array(right)) => {
            let timeless = |list: &[Reply]| list.iter().map(without_time).collect::<Vec<_>>();
            timeless(left) == timeless(right)
        }
        (Rule::Time, Reply::Int(left), Reply::Int(right)) => {
            *left > 0 && *right > 0 && left.abs_diff(*right) < TIME_TOLERANCE as u64
        }
        _ => false,
    }
}

/// A row of XPENDING without the time that passed since.
fn without_time(row: &Reply) -> Vec<Reply> {
    let fields = row.list().into_iter().enumerate();
    fields.filter(|(index, _)| *index != 2).map(|(_, field)| field).collect()
}

fn same_groups(left: &[Reply], right: &[Reply], size: usize) -> bool {
    let sorted = |list: &[Reply]| {
        let mut groups: Vec<String> = list.chunks(size).map(|group| format!("{group:?}")).collect();
        groups.sort();
        groups
    };
    left.len() == right.len() && sorted(left) == sorted(right)
}
