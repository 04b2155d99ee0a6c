//! Is a history of reads and writes of registers linearizable? Every write has its own value, so there is an exact answer
//! without a search (Gibbons and Korach, "Testing shared memories", 1997): the operations of one value form a cluster, a
//! cluster is a zone of time, and the zones must not collide.

use std::collections::BTreeMap;

/// The value of a register that was never written.
pub const UNWRITTEN: u32 = 0;

/// One operation of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// Which register.
    pub key: u32,
    /// Whether it writes.
    pub write: bool,
    /// Written or read.
    pub value: u32,
    /// When it began, on a clock that all clients share.
    pub invoked: u64,
    /// When the answer came; a write without one may have happened at any time since, or never.
    pub returned: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Cluster {
    /// When the write was invoked, if there was one.
    written: Option<u64>,
    reads: usize,
    acked: bool,
    first_return: u64,
    last_invocation: u64,
}

/// Why the history is impossible, or nothing if it is linearizable. Reads without an answer must not be in it.
#[must_use]
pub fn violation(history: &[Op]) -> Option<String> {
    let mut keys: BTreeMap<u32, Vec<&Op>> = BTreeMap::new();
    for op in history {
        keys.entry(op.key).or_default().push(op);
    }
    keys.into_iter().find_map(|(key, ops)| violation_of(&ops).map(|why| format!("key {key}: {why}")))
}

fn violation_of(ops: &[&Op]) -> Option<String> {
    let mut clusters: BTreeMap<u32, Cluster> = BTreeMap::new();
    let empty = Cluster { written: None, reads: 0, acked: false, first_return: u64::MAX, last_invocation: 0 };
    // The unwritten register was written before everything.
    let before = Cluster { written: Some(0), acked: true, first_return: 0, ..empty };
    clusters.insert(UNWRITTEN, before);
    for op in ops {
        let cluster = clusters.entry(op.value).or_insert(empty);
        cluster.first_return = cluster.first_return.min(op.returned.unwrap_or(u64::MAX));
        cluster.last_invocation = cluster.last_invocation.max(op.invoked);
        if op.write {
            cluster.written = Some(op.invoked);
            cluster.acked |= op.returned.is_some();
        } else {
            cluster.reads += 1;
        }
    }
    for op in ops.iter().filter(|op| !op.write) {
        match clusters[&op.value].written {
            None => return Some(format!("{} was read and never written", op.value)),
            Some(written) if op.returned.is_some_and(|returned| returned < written) => {
                return Some(format!("{} was read before it was written", op.value));
            }
            Some(_) => {}
        }
    }
    // A write that nobody saw and nobody acknowledged need not have happened.
    clusters.retain(|_, cluster| cluster.acked || cluster.reads > 0);
    collision(&clusters)
}

fn collision(clusters: &BTreeMap<u32, Cluster>) -> Option<String> {
    let is_forward = |cluster: &Cluster| cluster.first_return < cluster.last_invocation;
    let mut forward: Vec<(u64, u64, u32)> = clusters
        .iter()
        .filter(|(_, cluster)| is_forward(cluster))
        .map(|(value, cluster)| (cluster.first_return, cluster.last_invocation, *value))
        .collect();
    forward.sort_unstable();
    for pair in forward.windows(2) {
        let [(_, end, one), (start, _, other)] = [pair[0], pair[1]];
        if start < end {
            return Some(format!("{one} and {other} were both the latest value at {start}"));
        }
    }
    for (value, cluster) in clusters.iter().filter(|(_, cluster)| !is_forward(cluster)) {
        let (start, end) = (cluster.last_invocation, cluster.first_return);
        // They do not overlap: whoever began last before this one is the only one that may go on after it.
        let after = forward.partition_point(|(first, _, _)| *first < start);
        let around = after.checked_sub(1).map(|index| forward[index]).filter(|(_, last, _)| end < *last);
        if let Some((_, _, other)) = around {
            return Some(format!("{value} lived at {start} to {end}, while {other} was the latest value"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn op(write: bool, value: u32, invoked: u64, returned: u64) -> Op {
        Op { key: 0, write, value, invoked, returned: Some(returned) }
    }

    #[test]
    fn cases() {
        let w = |value, from, to| op(true, value, from, to);
        let r = |value, from, to| op(false, value, from, to);
        assert_eq!(violation(&[w(1, 1, 2), r(1, 3, 4), w(2, 5, 6), r(2, 7, 8)]), None);
        assert!(violation(&[w(1, 1, 2), w(2, 3, 4), r(1, 5, 6)]).is_some(), "a stale read");
        assert!(violation(&[w(1, 1, 2), r(0, 3, 4)]).is_some(), "a lost write");
        assert!(violation(&[r(7, 1, 2)]).is_some(), "out of nowhere");
        assert!(violation(&[r(1, 1, 2), w(1, 3, 4)]).is_some(), "out of the future");
        assert!(violation(&[w(1, 1, 9), r(1, 2, 3), r(0, 4, 5)]).is_some(), "back again");
        let unknown = Op { returned: None, ..w(2, 3, 0) };
        assert_eq!(violation(&[w(1, 1, 2), unknown, r(1, 4, 5), r(2, 6, 7), r(2, 8, 9)]), None);
        assert!(violation(&[w(1, 1, 2), unknown, r(2, 4, 5), r(1, 6, 7)]).is_some());
        assert_eq!(violation(&[w(1, 1, 2), unknown, r(1, 4, 5)]), None);
    }

    /// Tries every order.
    fn possible(ops: &[Op], done: u32, value: u32) -> bool {
        let open = (0..ops.len()).filter(|index| done & (1 << index) == 0);
        if open.clone().all(|index| ops[index].write && ops[index].returned.is_none()) {
            return true;
        }
        let earliest = open.clone().filter_map(|index| ops[index].returned).min().unwrap_or(u64::MAX);
        open.into_iter().filter(|&index| ops[index].invoked <= earliest).any(|index| {
            let next = done | (1 << index);
            if ops[index].write {
                possible(ops, next, ops[index].value)
            } else {
                ops[index].value == value && possible(ops, next, value)
            }
        })
    }

    fn histories() -> impl Strategy<Value = Vec<Op>> {
        // Distinct times: simultaneous ends would be a matter of taste.
        let op = (any::<bool>(), 0_u32..4, 1_u64..30, 1_u64..14, any::<bool>());
        proptest::collection::vec(op, 1..8).prop_map(|rows| {
            let mut next_write = 0;
            let mut ops = Vec::new();
            for (index, (write, value, start, length, answered)) in rows.into_iter().enumerate() {
                let invoked = start * 100 + index as u64 * 2;
                let value = if write {
                    next_write += 1;
                    next_write
                } else {
                    value
                };
                let returned = Some(invoked + length * 100 + 1).filter(|_| answered || !write);
                ops.push(Op { key: 0, write, value, invoked, returned });
            }
            ops
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn agrees_with_the_search(ops in histories()) {
            prop_assert_eq!(violation(&ops).is_none(), possible(&ops, 0, UNWRITTEN), "{:?}", ops);
        }
    }
}
