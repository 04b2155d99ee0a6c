//! What the guards run: the calls of conversation files, and random sequences.

use super::bench::Words;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use redoubt_commands::Settings;
use redoubt_tests::conversation::{self, Action, Conversation};
use redoubt_tests::random::families::{FAMILIES, NEWER};
use redoubt_tests::random::template;
use redoubt_tests::words;

/// Calls per random sequence.
const CALLS_MAX: usize = 30;
/// Sequences a guard runs when `REDOUBT_CASES` does not say.
const CASES: u32 = 300;

/// What the families' own sequences leave out because the reference picks otherwise: choices by chance, short times.
const CHANCE: &[&str] = &[
    "SPOP {k}",
    "SPOP {k} {c}",
    "SRANDMEMBER {k} {i}",
    "HRANDFIELD {k} {i}",
    "ZRANDMEMBER {k} {i}",
    "ZPOPMIN {k}",
    "BLPOP {k}+ 0",
    "BRPOP {k}+ 0",
    "BLMOVE {k} {k} LEFT RIGHT 0",
    "BRPOPLPUSH {k} {k} 0",
    "BLMPOP 0 2 {k} {k} RIGHT COUNT {c}",
    "BZPOPMIN {k}+ 0",
    "BZPOPMAX {k}+ 0",
    "BZMPOP 0 2 {k} {k} MAX COUNT {c}",
    "XADD {k} * {m} {v}",
    "XREADGROUP GROUP {cg} {cg} BLOCK 0 STREAMS {k} >",
    "XCLAIM {k} {cg} {cg} {c} {id} TIME {ms}",
    "XADD {k} MAXLEN ~ {c} (KEEPREF|DELREF|ACKED) {auto} {m} {v}",
    "XTRIM {k} (KEEPREF|DELREF|ACKED) (MAXLEN|MINID) [~] {c}",
    "XDELEX {k} (KEEPREF|DELREF|ACKED) IDS 2 {id} {id}",
    "XACKDEL {k} {cg} (KEEPREF|DELREF|ACKED) IDS 2 {id} {id}",
    "SET {k} {v} (EX 1|PX 700|EX 3) [GET]",
    "SETEX {k} 1 {v}",
    "PSETEX {k} 300 {v}",
    "GETEX {k} (EX 1|PX 900)",
    "EXPIRE {k} 1",
    "PEXPIRE {k} (100|1200)",
    "HPEXPIRE {k} (100|1200) FIELDS 2 {m} {m}",
    "HGETEX {k} PX 700 FIELDS 1 {m}",
    "HSETEX {k} [(FNX|FXX)] (PX 300|KEEPTTL) FIELDS 2 {m} {v} {m} {v}",
    "FLUSHDB [(SYNC|ASYNC)]",
    "SWAPDB 0 {c}",
    "MOVE {k} 1",
    "COPY {k} {k} DB 1 REPLACE",
    "RANDOMKEY",
    "SCAN 0",
];

/// One step of a random sequence.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A call on database 0.
    Call(Words),
    /// So many milliseconds pass.
    Wait(i64),
}

/// Runs `check` on random sequences of all families; panics with the shortest failing one.
pub(crate) fn random(check: impl Fn(&[Step]) -> Result<(), String>) {
    let mut templates: Vec<&str> =
        FAMILIES.iter().chain(NEWER).flat_map(|(_, lists)| lists.concat()).collect();
    // By themselves: queues, watches and their ends are the server's, not a handler's.
    let queues = ["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "nosuch"];
    templates.retain(|template| !queues.iter().any(|word| template.starts_with(word)));
    templates.sort_unstable();
    templates.dedup();
    // As often as all others together, so that times pass and choices are made.
    let calls = prop_oneof![3 => template::calls(&templates), 1 => template::calls(CHANCE)];
    let step = prop_oneof![9 => calls.prop_map(Step::Call), 1 => (1i64..1500).prop_map(Step::Wait)];

    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("REDOUBT_SEED").unwrap_or(1);
    let cases = number("REDOUBT_CASES").map_or(CASES, |cases| cases as u32);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 3000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&vec(step, 1..=CALLS_MAX), |steps| check(&steps).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("seed {seed}: {error}");
    }
}

/// All conversation files.
pub(crate) fn conversations() -> Vec<Conversation> {
    let files = conversation::find(&conversation::cases_dir()).expect("the cases can be read");
    files.iter().map(|path| conversation::load(path).expect("a conversation")).collect()
}

/// Settings of the handlers under a conversation's configuration.
pub(crate) fn settings(conversation: &Conversation) -> Settings {
    let mut config = redoubt_server::config::Config::new();
    for (name, value) in &conversation.config {
        config = config.with(name, value).expect("a conversation's settings are valid");
    }
    config.command_settings()
}

/// The calls of a conversation in the order of the file, each with the database its client has selected.
pub(crate) fn calls(conversation: &Conversation) -> Vec<(usize, Words)> {
    let mut databases = std::collections::BTreeMap::new();
    let mut client = "main".to_owned();
    let mut calls = Vec::new();
    for step in &conversation.steps {
        match &step.action {
            Action::Client(name) => client = name.clone(),
            Action::Call(words, _) | Action::Send(words) => {
                let db = databases.entry(client.clone()).or_insert(0);
                if words.len() == 2 && words[0].eq_ignore_ascii_case(b"select") {
                    let chosen = std::str::from_utf8(&words[1]).ok().and_then(|text| text.parse().ok());
                    *db = chosen.filter(|chosen| *chosen < 16).unwrap_or(*db);
                }
                calls.push((*db, words.clone()));
            }
            Action::Resp(_) | Action::Read(_) => {}
        }
    }
    calls
}

/// A call as a conversation file would have it.
pub(crate) fn shown(words: &Words) -> String {
    words::join(words)
}
