//! `read_rows_do_not_write`: a row without the write flag leaves no trace.

use super::bench::{Bench, Ran};
use super::scripts::{self, Step};
use redoubt_commands::spec::{CommandSpec, KeyFlags};
use redoubt_commands::{Settings, find};

/// Runs a call after everything that is due has expired, and checks that a read changed nothing.
fn check(bench: &mut Bench, db: usize, words: &super::bench::Words) -> Result<(), String> {
    bench.expire();
    let names: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let reads = find(&redoubt_commands::Args::new(&names))
        .is_ok_and(|command| !command.spec.is_write() && !admits_writing(command.spec));
    let before = if reads { Some(bench.dump(bench.now_ms)) } else { None };
    let Some(ran) = bench.run(db, words) else { return Ok(()) };
    let Some(before) = before else { return Ok(()) };
    let complaints = complaints(&ran);
    let changed = super::bench::differences(&before, &bench.dump(bench.now_ms));
    if complaints.is_empty() && changed.is_empty() {
        return Ok(());
    }
    Err(format!("{} {} {}", scripts::shown(words), complaints.join(", "), changed.join("\n")))
}

fn complaints(ran: &Ran) -> Vec<&'static str> {
    let faults = [
        (!ran.effects.is_empty(), "leaves effects"),
        (ran.dirty > 0, "counts changes"),
        (ran.touched, "takes something for change"),
        (ran.left_overs, "removes something or signals somebody"),
        (ran.touches.iter().any(|touch| touch.write), "writes a key"),
    ];
    faults.into_iter().filter(|(found, _)| *found).map(|(_, what)| what).collect()
}

/// Whether the row itself says that the command changes the value's bytes all the same (PFCOUNT stores the number it
/// computed).
fn admits_writing(spec: &CommandSpec) -> bool {
    spec.keys.iter().any(|key| key.flags.has(KeyFlags::RW))
}

#[test]
fn read_rows_do_not_write_in_random_sequences() {
    scripts::random(|steps| {
        let mut bench = Bench::new(1, 1_700_000_000_000, &Settings::default());
        for step in steps {
            match step {
                Step::Wait(ms) => bench.now_ms += ms,
                Step::Call(words) => check(&mut bench, 0, words)?,
            }
        }
        Ok(())
    });
}

#[test]
fn read_rows_do_not_write_in_conversations() {
    for conversation in scripts::conversations() {
        let mut bench = Bench::new(1, 1_700_000_000_000, &scripts::settings(&conversation));
        for (db, words) in scripts::calls(&conversation) {
            if let Err(error) = check(&mut bench, db, &words) {
                panic!("{}: {error}", conversation.path.display());
            }
        }
    }
}
