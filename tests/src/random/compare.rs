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
    let ((left, left_dirty), (right, right_dirty)) = if calls.iter().flatten().any(|word| is_payload(word)) {
        exchange(ours, reference, calls)?
    } else {
        (replies(ours, calls)?, replies(reference, calls)?)
    };
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
fn replies(client: &mut Client, calls: &[Call]) -> Result<Answers> {
    empty(client)?;
    let before = changes(client)?;
    for call in calls {
        client.send(call)?;
    }
    let replies: Result<Vec<Reply>> = calls.iter().map(|_| client.read()).collect();
    let replies = replies?;
    client.try_call(&["DISCARD"])?;
    Ok((replies, changes(client)? - before))
}

/// Replies, and the number of changes the server counted.
type Answers = (Vec<Reply>, i64);

fn empty(client: &mut Client) -> Result<()> {
    for reset in [["DISCARD", ""], ["UNWATCH", ""], ["FLUSHALL", "SYNC"]] {
        let words: Vec<&str> = reset.into_iter().filter(|word| !word.is_empty()).collect();
        client.try_call(&words)?;
    }
    Ok(())
}

/// Whether a word stands for what one of the servers answers to DUMP of a key: `ours:` or `theirs:` and the key.
fn is_payload(word: &[u8]) -> bool {
    word.first() == Some(&0)
}

/// As `replies` on both, call by call, so that what one server dumps is what both restore.
fn exchange(ours: &mut Client, reference: &mut Client, calls: &[Call]) -> Result<(Answers, Answers)> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    empty(ours)?;
    empty(reference)?;
    let before = (changes(ours)?, changes(reference)?);
    for call in calls {
        let call = lasting(call);
        let (mut to_ours, mut to_reference) = (call.clone(), call.clone());
        for at in (0..call.len()).filter(|at| is_payload(&call[*at])) {
            let [mine, theirs] = [dump(ours, &call[at])?, dump(reference, &call[at])?];
            let chosen = if call[at].starts_with(b"\0ours") { &mine } else { &theirs };
            // A server of before does not read what a later one writes.
            to_reference[at] =
                if version(chosen) > version(&theirs) { theirs.clone() } else { chosen.clone() };
            to_ours[at] = chosen.clone();
        }
        left.push(ours.try_call(&to_ours)?);
        right.push(reference.try_call(&to_reference)?);
    }
    let dirty = (changes(ours)? - before.0, changes(reference)? - before.1);
    Ok(((left, dirty.0), (right, dirty.1)))
}

/// The call with a time to live that outlasts the sequence, if it restores a key: one server's milliseconds are not the
/// other's.
fn lasting(call: &Call) -> Call {
    let mut call = call.clone();
    let restores = call[0].to_ascii_uppercase().starts_with(b"RESTORE");
    let is_absolute = call.iter().any(|word| word.eq_ignore_ascii_case(b"ABSTTL"));
    if restores && !is_absolute && call.get(2).is_some_and(|ttl| matches!(**ttl, [b'1'..=b'9', ..])) {
        call[2].extend_from_slice(b"00000");
    }
    call
}

/// What the server dumps of the key that the word names; nothing of value if there is none.
fn dump(client: &mut Client, word: &[u8]) -> Result<Vec<u8>> {
    let key = word.rsplit(|byte| *byte == b':').next().context("a key")?;
    Ok(match client.try_call(&[b"DUMP", key])? {
        Reply::Bulk(payload) => payload,
        _ => b"x".to_vec(),
    })
}

/// Version of the format of a payload.
fn version(payload: &[u8]) -> u16 {
    match payload {
        [.., low, high, _, _, _, _, _, _, _, _] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
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
