//! What must be true of a history, and of what is there in the end.

use crate::clock;
use crate::history::{Ack, History, Kind, Outcome, Record, Sample};
use crate::link::Link;
use anyhow::{Result, bail};
use redoubt_sim::linear::{self, Op};
use redoubt_tests::Reply;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// So many of a kind are told.
const TOLD: usize = 5;

/// The data in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Final {
    registers: BTreeMap<u32, u32>,
    sets: BTreeMap<u32, BTreeSet<u32>>,
    counters: BTreeMap<u32, u32>,
    lists: BTreeMap<u32, Vec<u32>>,
    /// When it was read.
    read: (u64, u64),
}

impl Final {
    /// Reads what a history has left at a server.
    ///
    /// # Errors
    /// When the server does not answer, or with an error.
    pub fn read(address: SocketAddr, history: &History) -> Result<Final> {
        Final::through(Link::connect(address, PATIENCE)?, history)
    }

    /// As `read`, of a replica's own data.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_local(address: SocketAddr, history: &History) -> Result<Final> {
        let mut link = Link::connect(address, PATIENCE)?;
        // Who does not know it has no other data than its own.
        link.call(&["READONLY"], PATIENCE)?;
        Final::through(link, history)
    }

    fn through(mut link: Link, history: &History) -> Result<Final> {
        let mut keys: BTreeSet<(Kind, u32)> = BTreeSet::new();
        for record in &history.records {
            let kind = if record.kind == Kind::Get { Kind::Set } else { record.kind };
            keys.insert((kind, record.key));
        }
        let mut data = Final { read: (clock::now(), 0), ..Final::default() };
        for (kind, key) in keys {
            let name = |name| format!("{}:{name}:{key}", history.tag);
            match kind {
                Kind::Set | Kind::Get => {
                    data.registers.insert(key, number(&ask(&mut link, &["GET", &name("reg")])?)?);
                }
                Kind::Count => {
                    data.counters.insert(key, number(&ask(&mut link, &["GET", &name("count")])?)?);
                }
                Kind::Add => {
                    data.sets.insert(key, numbers(&ask(&mut link, &["SMEMBERS", &name("set")])?)?);
                }
                Kind::Append => {
                    data.lists.insert(key, numbers(&ask(&mut link, &["LRANGE", &name("list"), "0", "-1"])?)?);
                }
            }
        }
        data.read.1 = clock::now();
        Ok(data)
    }

    /// Whether two servers have the same data.
    pub fn agrees(&self, other: &Final) -> bool {
        Final { read: other.read, ..self.clone() } == *other
    }
}

fn ask(link: &mut Link, words: &[&str]) -> Result<Reply> {
    match link.call(words, PATIENCE)? {
        Reply::Error(text) => bail!("{} was answered with {text}", words.join(" ")),
        reply => Ok(reply),
    }
}

fn number(reply: &Reply) -> Result<u32> {
    if reply.is_nil() { Ok(0) } else { Ok(reply.text().parse()?) }
}

fn numbers<C: FromIterator<u32>>(reply: &Reply) -> Result<C> {
    reply.list().iter().map(number).collect()
}

/// What is wrong with a history; nothing, if all promises were kept.
pub fn check(history: &History, data: &Final) -> Vec<String> {
    let mut wrong = lost(history, data);
    wrong.extend(counted(history, data));
    wrong.extend(appended(history, data));
    wrong.extend(linear::violation(&operations(history, data)).map(|why| format!("not linearizable: {why}")));
    wrong.extend(overlap(&history.acks).map(|(_, why)| why));
    wrong.extend(claims(&history.samples));
    wrong
}

/// How many acknowledged writes are not there.
pub fn count_lost(history: &History, data: &Final) -> usize {
    let acked = history.records.iter().filter(|record| record.outcome == Outcome::Acked);
    acked.filter(|record| is_missing(record, data)).count()
}

fn is_missing(record: &Record, data: &Final) -> bool {
    match record.kind {
        Kind::Add => data.sets.get(&record.key).is_none_or(|set| !set.contains(&record.value)),
        Kind::Append => data.lists.get(&record.key).is_none_or(|list| !list.contains(&record.value)),
        _ => false,
    }
}

fn lost(history: &History, data: &Final) -> Vec<String> {
    let adds = history.records.iter().filter(|record| record.kind == Kind::Add);
    let (missing, other): (Vec<&Record>, Vec<&Record>) = adds.partition(|record| is_missing(record, data));
    let mut wrong = few("acknowledged and lost", missing, Outcome::Acked);
    wrong.extend(few("refused, and there", other, Outcome::Refused));
    wrong
}

/// The first of those with the outcome, in words.
fn few(what: &str, records: Vec<&Record>, outcome: Outcome) -> Vec<String> {
    let matching: Vec<&Record> = records.into_iter().filter(|record| record.outcome == outcome).collect();
    if matching.is_empty() {
        return Vec::new();
    }
    let told: Vec<String> = matching.iter().take(TOLD).map(|record| format!("  {record:?}")).collect();
    vec![format!("{} {what}:\n{}", matching.len(), told.join("\n"))]
}

/// Counters never give a number twice, nor a smaller one later.
fn counted(history: &History, data: &Final) -> Vec<String> {
    let mut wrong = Vec::new();
    for (&key, &end) in &data.counters {
        let all = history.records.iter().filter(|record| (record.kind, record.key) == (Kind::Count, key));
        let (acked, others): (Vec<&Record>, Vec<&Record>) =
            all.partition(|record| record.outcome == Outcome::Acked);
        let open = others.iter().filter(|record| record.outcome == Outcome::Unknown).count();
        let highest = acked.iter().map(|record| record.value).max().unwrap_or(0);
        if end < highest || end as usize > acked.len() + open {
            wrong.push(format!(
                "counter {key} is {end} in the end; {highest} was the highest acknowledged of {}, {open} are open",
                acked.len()
            ));
        }
        wrong.extend(out_of_order(acked).map(|why| format!("counter {key}: {why}")));
    }
    wrong
}

/// Two replies whose numbers contradict the order of time.
fn out_of_order(mut acked: Vec<&Record>) -> Option<String> {
    acked.sort_by_key(|record| record.value);
    // From the highest number down: nobody with a higher one may have been over before this one began.
    let mut earliest: Option<&Record> = None;
    for record in acked.iter().rev() {
        if let Some(later) = earliest
            && (later.value == record.value || later.returned < record.invoked)
        {
            return Some(format!("out of order:\n  {later:?}\n  {record:?}"));
        }
        if earliest.is_none_or(|later| record.returned < later.returned) {
            earliest = Some(record);
        }
    }
    let twice = acked.windows(2).find(|pair| pair[0].value == pair[1].value)?;
    Some(format!("given twice:\n  {:?}\n  {:?}", twice[0], twice[1]))
}

/// A writer's list holds what it appended, in that order, each once.
fn appended(history: &History, data: &Final) -> Vec<String> {
    let mut wrong = Vec::new();
    for (&key, list) in &data.lists {
        let places: BTreeMap<u32, usize> =
            list.iter().enumerate().map(|(place, value)| (*value, place)).collect();
        if places.len() != list.len() {
            wrong.push(format!("list {key} holds something twice"));
        }
        let mut last = None;
        for record in history.records.iter().filter(|record| (record.kind, record.key) == (Kind::Append, key))
        {
            let place = places.get(&record.value).copied();
            match (record.outcome, place) {
                (Outcome::Acked, None) => wrong.push(format!("acknowledged and lost: {record:?}")),
                (Outcome::Refused, Some(_)) => wrong.push(format!("refused, and there: {record:?}")),
                (Outcome::Acked, Some(place)) if last.is_some_and(|last| last > place) => {
                    wrong.push(format!("out of order in its list: {record:?}"));
                }
                _ => {}
            }
            // What is unknown may have come at any time.
            if record.outcome == Outcome::Acked {
                last = place.or(last);
            }
        }
    }
    wrong.truncate(TOLD);
    wrong
}

fn operations(history: &History, data: &Final) -> Vec<Op> {
    let mut operations = Vec::new();
    for record in &history.records {
        let write = match (record.kind, record.outcome) {
            (_, Outcome::Refused) | (Kind::Get, Outcome::Unknown) => continue,
            (Kind::Set, _) => true,
            (Kind::Get, _) => false,
            _ => continue,
        };
        let returned = (record.outcome == Outcome::Acked).then_some(record.returned);
        operations.push(Op {
            key: record.key,
            write,
            value: record.value,
            invoked: record.invoked,
            returned,
        });
    }
    for (&key, &value) in &data.registers {
        let (invoked, returned) = (data.read.0, Some(data.read.1));
        operations.push(Op { key, write: false, value, invoked, returned });
    }
    operations
}

/// Whether a node acknowledged what was sent after another had acknowledged in a later epoch: for how long, nanoseconds,
/// and how it was.
pub fn overlap(acks: &[Ack]) -> Option<(u64, String)> {
    let mut epochs: BTreeMap<u64, Vec<&Ack>> = BTreeMap::new();
    for ack in acks {
        epochs.entry(ack.epoch).or_default().push(ack);
    }
    if let Some((epoch, _)) = epochs.iter().find(|(_, acks)| acks.iter().any(|ack| ack.node != acks[0].node))
    {
        return Some((u64::MAX, format!("two nodes acknowledged in epoch {epoch}")));
    }
    let mut first_later: Option<&Ack> = None;
    let mut worst: Option<(u64, String)> = None;
    for acks in epochs.values().rev() {
        let last = acks.iter().max_by_key(|ack| ack.invoked).expect("an epoch has acks");
        if let Some(later) = first_later.filter(|later| later.returned < last.invoked) {
            let time = last.invoked - later.returned;
            if worst.as_ref().is_none_or(|(longest, _)| time > *longest) {
                let why = format!(
                    "two primaries acknowledge, for {:.3} ms:\n  {last:?}\n  {later:?}",
                    clock::ms(time)
                );
                worst = Some((time, why));
            }
        }
        let first = acks.iter().min_by_key(|ack| ack.returned).expect("an epoch has acks");
        if first_later.is_none_or(|later| first.returned < later.returned) {
            first_later = Some(first);
        }
    }
    worst
}

/// Epochs grow, have one primary each, and nobody has a lease once another has one in a later epoch.
fn claims(samples: &[Sample]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut newest: BTreeMap<(&str, u64), u64> = BTreeMap::new();
    let mut primaries: BTreeMap<u64, &str> = BTreeMap::new();
    let mut ordered: Vec<&Sample> = samples.iter().filter(|sample| sample.epoch > 0).collect();
    ordered.sort_by_key(|sample| sample.asked);
    for sample in &ordered {
        let newest = newest.entry((&sample.node, sample.incarnation)).or_default();
        if sample.epoch < *newest {
            wrong.push(format!("an epoch went back from {newest}: {sample:?}"));
        }
        *newest = sample.epoch.max(*newest);
        let primary = primaries.entry(sample.epoch).or_insert(&sample.primary);
        if *primary != sample.primary {
            wrong.push(format!("epoch {} has the primaries {primary} and {}", sample.epoch, sample.primary));
        }
    }
    let serving = ordered.iter().filter(|sample| sample.serves);
    let leases = serving.map(|sample| Ack {
        node: sample.node.clone(),
        epoch: sample.epoch,
        invoked: sample.asked,
        returned: sample.answered,
    });
    wrong.extend(overlap(&leases.collect::<Vec<_>>()).map(|(_, why)| format!("two leases: {why}")));
    wrong.truncate(TOLD);
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: Kind, value: u32, times: (u64, u64), outcome: Outcome) -> Record {
        let (invoked, returned) = times;
        Record { worker: 0, node: 0, kind, key: 0, value, invoked, returned, outcome, note: None }
    }

    fn history(records: Vec<Record>) -> History {
        History { records, ..History::default() }
    }

    fn wrong(records: Vec<Record>, data: &Final) -> String {
        check(&history(records), data).join("; ")
    }

    #[test]
    fn what_is_lost_is_found() {
        let data = Final { sets: [(0, [1, 3].into())].into(), ..Final::default() };
        let add = |value, outcome| record(Kind::Add, value, (1, 2), outcome);
        assert_eq!(
            wrong(vec![add(1, Outcome::Acked), add(2, Outcome::Unknown), add(3, Outcome::Unknown)], &data),
            ""
        );
        assert!(wrong(vec![add(2, Outcome::Acked)], &data).contains("acknowledged and lost"));
        assert!(wrong(vec![add(3, Outcome::Refused)], &data).contains("refused, and there"));
        assert_eq!(count_lost(&history(vec![add(1, Outcome::Acked), add(2, Outcome::Acked)]), &data), 1);
    }

    #[test]
    fn counters_go_up() {
        let count = |value, times, outcome| record(Kind::Count, value, times, outcome);
        let end = |value| Final { counters: [(0, value)].into(), ..Final::default() };
        let (one, two) = (count(1, (1, 2), Outcome::Acked), count(2, (3, 4), Outcome::Acked));
        let open = count(0, (5, 6), Outcome::Unknown);
        assert_eq!(wrong(vec![one.clone(), two.clone()], &end(2)), "");
        assert_eq!(wrong(vec![one.clone(), two.clone(), open], &end(3)), "");
        assert!(wrong(vec![one.clone(), two.clone()], &end(3)).contains("in the end"));
        assert!(wrong(vec![one.clone(), two.clone()], &end(1)).contains("in the end"));
        assert!(wrong(vec![one.clone(), one.clone()], &end(2)).contains("out of order"));
        let back = count(1, (5, 6), Outcome::Acked);
        assert!(wrong(vec![two, back], &end(2)).contains("out of order"));
    }

    #[test]
    fn lists_keep_their_order() {
        let append = |value, outcome| record(Kind::Append, value, (1, 2), outcome);
        let end = |list: &[u32]| Final { lists: [(0, list.to_vec())].into(), ..Final::default() };
        let both = vec![append(1, Outcome::Acked), append(2, Outcome::Acked)];
        assert_eq!(wrong(both.clone(), &end(&[1, 2])), "");
        assert!(wrong(both.clone(), &end(&[2, 1])).contains("out of order"));
        assert!(wrong(both.clone(), &end(&[1])).contains("lost"));
        assert!(wrong(both, &end(&[1, 2, 2])).contains("twice"));
        assert!(wrong(vec![append(1, Outcome::Refused)], &end(&[1])).contains("refused"));
    }

    #[test]
    fn registers_are_judged() {
        let set = |value, times| record(Kind::Set, value, times, Outcome::Acked);
        let data = Final { registers: [(0, 1)].into(), read: (9, 10), ..Final::default() };
        assert_eq!(wrong(vec![set(1, (1, 2))], &data), "");
        assert!(wrong(vec![set(1, (1, 2)), set(2, (3, 4))], &data).contains("linearizable"));
    }

    #[test]
    fn two_primaries_are_found() {
        let ack = |node: &str, epoch, invoked, returned| Ack { node: node.into(), epoch, invoked, returned };
        assert_eq!(overlap(&[ack("a", 1, 1, 2), ack("b", 2, 3, 4), ack("a", 3, 5, 6)]), None);
        assert_eq!(overlap(&[ack("a", 1, 1, 9), ack("b", 2, 3, 4)]), None, "it may have come before");
        let (time, why) = overlap(&[ack("a", 1, 1, 2), ack("b", 2, 3, 4), ack("a", 1, 7, 8)]).unwrap();
        assert!(time == 3 && why.contains("two primaries"));
        assert!(overlap(&[ack("a", 1, 1, 2), ack("b", 1, 3, 4)]).is_some());
    }

    #[test]
    fn claims_are_judged() {
        let said = |node: &str, epoch, primary: &str, serves, asked| Sample {
            node: node.into(),
            incarnation: 1,
            epoch,
            primary: primary.into(),
            serves,
            asked,
            answered: asked + 1,
        };
        let fine = [said("a", 1, "a", true, 1), said("b", 2, "b", true, 3), said("a", 1, "a", false, 5)];
        assert!(claims(&fine).is_empty());
        assert_eq!(claims(&[said("a", 2, "a", true, 1), said("a", 1, "a", false, 3)]).len(), 1);
        assert_eq!(claims(&[said("a", 2, "a", true, 1), said("b", 2, "b", false, 3)]).len(), 1);
        assert_eq!(claims(&[said("b", 2, "b", true, 1), said("a", 1, "a", true, 3)]).len(), 1);
    }
}
