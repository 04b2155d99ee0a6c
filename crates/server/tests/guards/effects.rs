//! `effects_reproduce_state`: what a write leaves in the log makes the same data on a replica whose clock and seed are
//! others.

use super::bench::{Bench, Ran, Words, differences};
use super::scripts::{self, Step};
use redoubt_commands::Settings;

/// Unix ms at which the primaries' clocks start.
const NOW_MS: i64 = 1_700_000_000_000;
/// How far a replica's clock is off: nothing expires there but by the log.
const OFF_MS: i64 = 3_600_000;

/// Two keyspaces, of which one follows the other's log.
struct Pair {
    primary: Bench,
    replica: Bench,
}

impl Pair {
    fn new(settings: &Settings) -> Pair {
        let primary = Bench::new(1, NOW_MS, settings);
        Pair { primary, replica: Bench::follower(99, NOW_MS + OFF_MS, settings) }
    }

    fn follow(&mut self, effects: &[(usize, Words)]) {
        effects.iter().for_each(|(db, words)| self.replica.apply(*db, words));
    }

    fn call(&mut self, db: usize, words: &Words) -> Option<Ran> {
        let ran = self.primary.run(db, words)?;
        self.follow(&ran.effects);
        Some(ran)
    }

    /// Where they differ.
    fn check(&self) -> Result<(), String> {
        let now = self.primary.now_ms;
        let differences = differences(&self.primary.dump(now), &self.replica.dump(now));
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
    }
}

#[test]
fn effects_reproduce_state_of_random_sequences() {
    scripts::random(|steps| {
        let mut pair = Pair::new(&small());
        let mut told = String::new();
        for step in steps {
            match step {
                Step::Wait(ms) => {
                    pair.primary.now_ms += ms;
                    pair.replica.now_ms += ms;
                    told += &format!("wait {ms}\n");
                }
                Step::Call(words) => {
                    told += &format!("> {}\n", scripts::shown(words));
                    pair.call(0, words);
                }
            }
        }
        pair.check().map_err(|error| format!("\n{told}{error}"))
    });
}

/// Small limits, so that short sequences cross from one encoding to the next.
fn small() -> Settings {
    let mut config = redoubt_server::config::Config::new();
    let limits = [
        ("hash-max-listpack-entries", "4"),
        ("list-max-listpack-size", "4"),
        ("set-max-intset-entries", "4"),
        ("set-max-listpack-entries", "4"),
        ("zset-max-listpack-entries", "4"),
        ("stream-node-max-entries", "4"),
        ("lazyfree-lazy-user-del", "yes"),
    ];
    for (name, value) in limits {
        config = config.with(name, value).expect("valid settings");
    }
    config.command_settings()
}

#[test]
fn effects_reproduce_state_of_conversations() {
    for conversation in scripts::conversations() {
        let mut pair = Pair::new(&scripts::settings(&conversation));
        for (db, words) in scripts::calls(&conversation) {
            pair.call(db, &words);
            if let Err(error) = pair.check() {
                panic!("{}: after {}:\n{error}", conversation.path.display(), scripts::shown(&words));
            }
            pair.primary.now_ms += 1;
            pair.replica.now_ms += 1;
        }
    }
}
