//! Finds the keys in a call's arguments by the key specs of its row.
//!
//! Rules: <https://redis.io/docs/latest/develop/reference/key-specs/>

use crate::args::Args;
use crate::number;
use crate::spec::{BeginSearch, CommandSpec, FindKeys, KeyFlags, KeySpec};
use smallvec::SmallVec;

/// A key in a call, and what the command does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAt {
    /// Position among the words of the call.
    pub index: usize,
    /// Access the command makes to it.
    pub flags: KeyFlags,
}

/// Keys of one call, in the order the row declares them.
pub type KeyList = SmallVec<[KeyAt; 4]>;

/// The arguments contradict the row's key specs (a key count that is no number or exceeds the words).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKeys;

/// Appends the keys of a call to `keys`. On failure the keys found so far stay appended, so that the caller may
/// lock them and let the handler give its own error. The arity was checked before.
pub fn keys_of(spec: &CommandSpec, args: &Args<'_>, keys: &mut KeyList) -> Result<(), BadKeys> {
    let mut outcome = Ok(());
    for group in spec.keys {
        if let Err(bad) = group_keys(group, args, keys) {
            outcome = Err(bad);
        }
    }
    match spec.name {
        "sort" => sort_store(args, keys),
        "georadius" => radius_store(args, 6, keys),
        "georadiusbymember" => radius_store(args, 5, keys),
        "set" => set_flags(args, keys),
        "bitfield" => bitfield_flags(args, keys),
        _ => {}
    }
    outcome
}

fn group_keys(group: &KeySpec, args: &Args<'_>, keys: &mut KeyList) -> Result<(), BadKeys> {
    let Some(begin) = begin(group.begin, args) else {
        return Ok(());
    };
    let mut add = |index: usize| keys.push(KeyAt { index, flags: group.flags });
    match group.find {
        FindKeys::Range { last, step, limit } => {
            let last = range_end(begin, last, limit, args.len());
            if last >= args.len() {
                return Err(BadKeys);
            }
            (begin..=last).step_by(step as usize).for_each(&mut add);
        }
        FindKeys::Keynum { index, first, step } => {
            let count = args.words().get(begin + index as usize).and_then(|word| number::parse_i64(word));
            let count = count.and_then(|count| usize::try_from(count).ok()).ok_or(BadKeys)?;
            let first = begin + first as usize;
            let room = args.len().saturating_sub(first).div_ceil(step as usize);
            (0..count.min(room)).for_each(|key| add(first + key * step as usize));
            if count > room {
                return Err(BadKeys);
            }
        }
        FindKeys::Unknown => {}
    }
    Ok(())
}

/// Where a group begins, or nothing when the call does not have it.
fn begin(begin: BeginSearch, args: &Args<'_>) -> Option<usize> {
    match begin {
        BeginSearch::Index(at) => ((at as usize) < args.len()).then_some(at as usize),
        BeginSearch::Keyword { keyword, start_from } => {
            let is_keyword = |at: &usize| args.is(*at, keyword);
            let at = if start_from >= 0 {
                (start_from as usize..args.len()).find(is_keyword)
            } else {
                (1..=args.len().saturating_sub(start_from.unsigned_abs() as usize)).rev().find(is_keyword)
            };
            at.map(|at| at + 1)
        }
        BeginSearch::Unknown => None,
    }
}

/// Position of the last key of a range; past the end when the words do not suffice.
fn range_end(begin: usize, last: i32, limit: i32, argc: usize) -> usize {
    if last >= 0 {
        return begin + last as usize;
    }
    let from_end = last.unsigned_abs() as usize;
    if limit <= 1 {
        return argc.saturating_sub(from_end);
    }
    begin + (argc - begin) / limit as usize - from_end
}

/// GEORADIUS's destination: the word after the last STORE or STOREDIST among the options, which is not always the
/// first that key specs find.
fn radius_store(args: &Args<'_>, options: usize, keys: &mut KeyList) {
    keys.truncate(1);
    let mut at = options;
    while at + 1 < args.len() {
        if args.is(at, "STORE") || args.is(at, "STOREDIST") {
            keys.truncate(1);
            keys.push(KeyAt { index: at + 1, flags: KeyFlags::OW.with(KeyFlags::UPDATE) });
            at += 1;
        } else if args.is(at, "COUNT") {
            at += 1;
        }
        at += 1;
    }
}

/// SORT's destination: the word after the last STORE among the options.
fn sort_store(args: &Args<'_>, keys: &mut KeyList) {
    let mut destination = None;
    let mut at = 2;
    while at < args.len() {
        let skipped = if args.is(at, "LIMIT") {
            2
        } else if args.is(at, "GET") || args.is(at, "BY") {
            1
        } else if args.is(at, "STORE") && at + 1 < args.len() {
            destination = Some(at + 1);
            1
        } else {
            0
        };
        at += 1 + skipped;
    }
    keys.extend(destination.map(|index| KeyAt { index, flags: KeyFlags::OW.with(KeyFlags::UPDATE) }));
}

/// SET reads the key only when GET is among its options.
fn set_flags(args: &Args<'_>, keys: &mut KeyList) {
    let gets = (3..args.len()).any(|at| args.is(at, "GET"));
    let flags = if gets {
        KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE)
    } else {
        KeyFlags::OW.with(KeyFlags::UPDATE)
    };
    keys.iter_mut().for_each(|key| key.flags = flags);
}

/// BITFIELD only reads when all its operations are GET.
fn bitfield_flags(args: &Args<'_>, keys: &mut KeyList) {
    let mut reads_only = true;
    let mut at = 2;
    while at < args.len() {
        if args.is(at, "GET") && args.len() - at > 2 {
            at += 3;
        } else {
            reads_only = false;
            break;
        }
    }
    let flags = if reads_only {
        KeyFlags::RO.with(KeyFlags::ACCESS)
    } else {
        KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE)
    };
    keys.iter_mut().for_each(|key| key.flags = flags);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Run;

    fn keys(specs: &'static [KeySpec], line: &str) -> (Vec<usize>, bool) {
        let spec =
            CommandSpec { name: "x", arity: -1, keys: specs, run: Run::Container, ..CommandSpec::EMPTY };
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mut keys = KeyList::new();
        let outcome = keys_of(&spec, &Args::new(&words), &mut keys);
        (keys.iter().map(|key| key.index).collect(), outcome.is_ok())
    }

    #[test]
    fn ranges_step_and_stop_before_the_end() {
        const PAIRS: &[KeySpec] = &[KeySpec::range(KeyFlags::OW, 1, -1, 2)];
        assert_eq!(keys(PAIRS, "x a 1 b 2"), (vec![1, 3], true));
        const BLOCKING: &[KeySpec] = &[KeySpec::range(KeyFlags::RW, 1, -2, 1)];
        assert_eq!(keys(BLOCKING, "x a b 0"), (vec![1, 2], true));
        const TWO: &[KeySpec] = &[KeySpec::range(KeyFlags::RW, 1, 1, 1)];
        assert_eq!(keys(TWO, "x a"), (vec![], false));
    }

    #[test]
    fn counted_keys_are_found_as_far_as_they_go() {
        const COUNTED: &[KeySpec] =
            &[KeySpec::range(KeyFlags::OW, 1, 0, 1), KeySpec::keynum(KeyFlags::RO, 2)];
        assert_eq!(keys(COUNTED, "x d 2 a b w"), (vec![1, 3, 4], true));
        assert_eq!(keys(COUNTED, "x d 5 a b"), (vec![1, 3, 4], false));
        assert_eq!(keys(COUNTED, "x d 99999999999999999999 a"), (vec![1], false));
        assert_eq!(keys(COUNTED, "x d -1 a"), (vec![1], false));
        assert_eq!(keys(COUNTED, "x d 0 a"), (vec![1], true));
    }

    #[test]
    fn keywords_are_searched_from_either_end() {
        const fn after(start_from: i32) -> KeySpec {
            KeySpec {
                flags: KeyFlags::RO,
                begin: BeginSearch::Keyword { keyword: "KEYS", start_from },
                find: FindKeys::Range { last: -1, step: 1, limit: 2 },
                notes: "",
            }
        }
        const FORWARD: &[KeySpec] = &[after(1)];
        assert_eq!(keys(FORWARD, "x y keys a b 1 2"), (vec![3, 4], true));
        assert_eq!(keys(FORWARD, "x y z"), (vec![], true));
        const BACKWARD: &[KeySpec] = &[after(-1)];
        assert_eq!(keys(BACKWARD, "x keys y keys a 1"), (vec![4], true));
    }
}
