//! The whole keyspace of a small server, read back by type.

use crate::client::Client;
use crate::reply::Reply;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Databases that sequences touch (MOVE goes up to 10).
const DATABASES: u32 = 11;
/// How far two servers' expiries of one key may lie apart.
const EXPIRY_TOLERANCE_MS: i64 = 5000;

/// A key's value, as text that is equal when the values are, and its expiry in Unix milliseconds or -1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    value: String,
    expires_ms: i64,
}

/// All keys of all databases.
pub type State = BTreeMap<(u32, Vec<u8>), Entry>;

/// Reads everything. Leaves the connection in database 0.
///
/// # Errors
/// When the server does not answer or a key has a type that is not known here.
pub fn read(client: &mut Client) -> Result<State> {
    let mut state = State::new();
    for database in 0..DATABASES {
        client.try_call(&["SELECT", &database.to_string()])?;
        for key in client.try_call(&["KEYS", "*"])?.list() {
            let Reply::Bulk(key) = key else { bail!("KEYS answered with {key}") };
            // A key may expire between the two calls.
            if let Some(entry) = read_key(client, &key)? {
                state.insert((database, key), entry);
            }
        }
    }
    client.try_call(&["SELECT", "0"])?;
    Ok(state)
}

fn read_key(client: &mut Client, key: &[u8]) -> Result<Option<Entry>> {
    let kind = client.try_call(&[b"TYPE", key])?.text();
    let (call, group): (&[&[u8]], usize) = match kind.as_str() {
        "none" => return Ok(None),
        "string" => (&[b"GET", key], 0),
        "list" => (&[b"LRANGE", key, b"0", b"-1"], 0),
        "set" => (&[b"SMEMBERS", key], 1),
        "hash" => (&[b"HGETALL", key], 2),
        "zset" => (&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"], 0),
        "stream" => (&[b"XRANGE", key, b"-", b"+"], 0),
        other => bail!("a key of type {other}"),
    };
    let reply = client.try_call(call)?;
    let mut value = format!("{kind} {reply}");
    if group > 0 {
        let list = reply.list();
        let mut groups: Vec<String> = list.chunks(group).map(|group| format!("{group:?}")).collect();
        groups.sort();
        value = format!("{kind} {groups:?}");
    } else if kind == "zset" {
        value = format!("{kind} {:?}", scores(&reply.list()));
    }
    if kind == "stream" {
        value += &format!(" {}", client.try_call::<&[u8]>(&[b"XINFO", b"GROUPS", key])?);
    }
    let expires_ms = client.try_call(&[b"PEXPIRETIME", key])?.int();
    // -2: it has expired between the calls.
    Ok((expires_ms != -2).then_some(Entry { value, expires_ms }))
}

/// Members and scores; scores as numbers, because versions print their last digits differently.
fn scores(list: &[Reply]) -> Vec<(String, f64)> {
    let score = |reply: &Reply| reply.text().parse().unwrap_or(f64::NAN);
    list.chunks_exact(2).map(|pair| (format!("{:?}", pair[0]), score(&pair[1]))).collect()
}

/// The first key two states disagree on, in words.
pub fn difference(ours: &State, reference: &State) -> Option<String> {
    let keys = ours.keys().chain(reference.keys());
    for key in keys {
        let (left, right) = (ours.get(key), reference.get(key));
        let same = match (left, right) {
            (Some(left), Some(right)) => {
                left.value == right.value && same_expiry(left.expires_ms, right.expires_ms)
            }
            // One was asked before it expired, the other after it had.
            (Some(entry), None) | (None, Some(entry)) => has_expired(entry),
            (None, None) => true,
        };
        if !same {
            let name = String::from_utf8_lossy(&key.1);
            return Some(format!("database {} key {name}: ours {left:?}, reference {right:?}", key.0));
        }
    }
    None
}

fn has_expired(entry: &Entry) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    entry.expires_ms > 0 && entry.expires_ms <= now.as_millis() as i64
}

fn same_expiry(left: i64, right: i64) -> bool {
    left == right || (left > 0 && right > 0 && (left - right).abs() < EXPIRY_TOLERANCE_MS)
}
