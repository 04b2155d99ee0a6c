//! `keys_match_access`: a handler looks at the keys its row's key specs name and at no others, and writes only those
//! the specs allow it to.
#![cfg(debug_assertions)]

use super::bench::{Bench, Ran, Words};
use super::scripts::{self, Step};
use redoubt_commands::spec::{KeyFlags, Run, internal};
use redoubt_commands::{Settings, table};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Key specs that let a command change the key.
const WRITES: KeyFlags = KeyFlags::RW.with(KeyFlags::OW).with(KeyFlags::RM);

fn check(ran: &Ran, words: &Words) -> Result<(), String> {
    if ran.command.spec.flags.has(internal::ALL_PARTITIONS) {
        return Ok(());
    }
    for touch in &ran.touches {
        let mut declared = ran.declared.iter().filter(|key| words[key.index] == *touch.key);
        let may_write = understated(ran) || declared.clone().any(|key| key.flags.any(WRITES));
        let fits = declared.next().is_some() && (!touch.write || may_write);
        if !fits {
            let what = if touch.write { "writes" } else { "reads" };
            let key = String::from_utf8_lossy(&touch.key);
            return Err(format!("{} {what} {key:?}, against its key specs", scripts::shown(words)));
        }
    }
    Ok(())
}

/// Whether the published key specs say less than the command does: XREADGROUP changes the group in the stream it reads.
fn understated(ran: &Ran) -> bool {
    ran.command.full_name == "xreadgroup"
}

/// Whether every key that the specs name was touched.
fn touches_all(ran: &Ran, words: &Words) -> bool {
    !ran.declared.is_empty()
        && ran.declared.iter().all(|key| ran.touches.iter().any(|touch| *touch.key == *words[key.index]))
}

#[test]
fn keys_match_access() {
    let complete = RefCell::new(BTreeSet::new());
    let run = |bench: &mut Bench, db, words: &Words| {
        // A read of a key whose time has passed removes it: that is nothing of the command's own.
        bench.expire();
        let Some(ran) = bench.run(db, words) else { return Ok(()) };
        if touches_all(&ran, words) {
            complete.borrow_mut().insert(ran.command.id);
        }
        check(&ran, words)
    };
    for conversation in scripts::conversations() {
        let mut bench = Bench::new(1, 1_700_000_000_000, &scripts::settings(&conversation));
        for (db, words) in scripts::calls(&conversation) {
            if let Err(error) = run(&mut bench, db, &words) {
                panic!("{}: {error}", conversation.path.display());
            }
        }
    }
    scripts::random(|steps| {
        let mut bench = Bench::new(1, 1_700_000_000_000, &Settings::default());
        for step in steps {
            match step {
                Step::Wait(ms) => bench.now_ms += ms,
                Step::Call(words) => run(&mut bench, 0, words)?,
            }
        }
        Ok(())
    });
    let complete = complete.into_inner();
    let with_keys = (0..table().len())
        .map(|id| table().by_id(id))
        .filter(|command| matches!(command.spec.run, Run::Data(_)) && !command.spec.keys.is_empty());
    let idle: Vec<&str> = with_keys
        .filter(|command| !complete.contains(&command.id))
        .map(|command| command.full_name)
        .collect();
    assert!(idle.is_empty(), "no call of {} touched all keys that its key specs name", idle.join(" "));
}
