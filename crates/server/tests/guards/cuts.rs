//! `cuts_hold_still`: a snapshot that begins before a call holds what was there before it, whatever the call does.

use super::bench::{Bench, Dump, differences, dump};
use super::scripts::{self, Step};
use redoubt_commands::Settings;
use redoubt_server::digest::Digest;
use redoubt_store::{CutBudget, CutKey, CutSink, CutWalk, Keyspace, Txn};
use std::sync::{Arc, Mutex, PoisonError};

const NOW_MS: i64 = 1_700_000_000_000;
/// Calls that a cut of a random sequence lasts.
const CALLS: usize = 4;

#[derive(Default)]
struct Saved(Mutex<Dump>);

impl CutSink for Saved {
    fn save(&self, key: &CutKey<'_>) -> usize {
        let digest = Digest::of_value(key.value).hex();
        let mut saved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = saved.insert((key.db, key.key.to_vec()), (key.value.type_name(), digest, key.expire_ms));
        assert!(before.is_none(), "{} was saved twice", key.key.escape_ascii());
        1
    }
}

/// A cut that runs, and what it must save.
struct Cut<'k> {
    walk: CutWalk<'k>,
    saved: Arc<Saved>,
    expected: Dump,
}

impl<'k> Cut<'k> {
    fn begin(space: &'k Keyspace) -> Cut<'k> {
        // What has expired and is still there is saved too.
        let expected = dump(space, i64::MIN);
        let saved = Arc::new(Saved::default());
        let mut txn = Txn::new(space, NOW_MS, fastrand::Rng::with_seed(0));
        txn.acquire(space.all_partitions());
        let walk = txn.begin_cut(Arc::clone(&saved) as Arc<dyn CutSink>).expect("none runs");
        Cut { walk, saved, expected }
    }

    fn end(mut self) -> Result<(), String> {
        while self.walk.step(CutBudget { keys: 100, bytes: 100 }) {}
        let saved = self.saved.0.lock().unwrap_or_else(PoisonError::into_inner);
        let differences = differences(&saved, &self.expected);
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
    }
}

#[test]
fn cuts_hold_still_in_conversations() {
    for conversation in scripts::conversations() {
        let mut bench = Bench::new(1, NOW_MS, &scripts::settings(&conversation));
        let space = Arc::clone(&bench.space);
        for (db, words) in scripts::calls(&conversation) {
            let cut = Cut::begin(&space);
            bench.run(db, &words);
            if let Err(error) = cut.end() {
                panic!("{}: during {}:\n{error}", conversation.path.display(), scripts::shown(&words));
            }
            bench.now_ms += 1;
        }
    }
}

#[test]
fn cuts_hold_still_in_random_sequences() {
    scripts::random(|steps| {
        let mut bench = Bench::new(1, NOW_MS, &Settings::default());
        let space = Arc::clone(&bench.space);
        let mut told = String::new();
        let mut cut = Cut::begin(&space);
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Wait(ms) => {
                    bench.now_ms += ms;
                    bench.expire();
                    told += &format!("wait {ms}\n");
                }
                Step::Call(words) => {
                    told += &format!("> {}\n", scripts::shown(words));
                    bench.run(0, words);
                }
            }
            cut.walk.step(CutBudget { keys: 1, bytes: 1 });
            if at % CALLS == CALLS - 1 {
                cut.end().map_err(|error| format!("\n{told}{error}"))?;
                told += "a cut begins\n";
                cut = Cut::begin(&space);
            }
        }
        cut.end().map_err(|error| format!("\n{told}{error}"))
    });
}
