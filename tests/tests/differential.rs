//! Random command sequences on ours and on the reference, compared reply by reply and by the final keyspace.
//!
//! `REDOUBT_CASES` sets how many sequences each family runs, `REDOUBT_SEED` where the generator starts (a number).

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use redoubt_tests::random::compare;
use redoubt_tests::random::families::{FAMILIES, NEWER};
use redoubt_tests::random::template;
use redoubt_tests::server::{Kind, Server};
use redoubt_tests::words;
use std::cell::RefCell;

/// Sequences per family when `REDOUBT_CASES` does not say.
const CASES: u32 = 150;
/// How long a failing sequence may be shrunk, milliseconds: each try waits when a server does not answer.
const SHRINK_MS_MAX: u32 = 60_000;
/// Calls per sequence.
const CALLS_MAX: usize = 40;

/// Small limits, so that short sequences cross from one encoding to the next.
const LIMITS: &[(&str, &str)] = &[
    ("hash-max-listpack-entries", "4"),
    ("hash-max-listpack-value", "16"),
    ("list-max-listpack-size", "4"),
    ("set-max-intset-entries", "4"),
    ("zset-max-listpack-entries", "4"),
    ("zset-max-listpack-value", "16"),
    ("stream-node-max-entries", "4"),
];
/// Those that 7.0 does not know.
const NEWER_LIMITS: &[(&str, &str)] = &[("set-max-listpack-entries", "4"), ("set-max-listpack-value", "16")];

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn start(kind: Kind) -> Option<Server> {
    let newer: &[(&str, &str)] = if kind == Kind::Redis7 { &[] } else { NEWER_LIMITS };
    Server::start(kind, &[LIMITS, newer].concat())
}

fn check(name: &str, templates: &[&[&str]], reference: Kind) {
    let Some(reference_server) = start(reference) else { return };
    let our_server = start(Kind::Ours).expect("ours exists or its absence has failed the test");
    let clients = RefCell::new((our_server.client(), reference_server.client()));
    let sequences = vec(template::calls(&templates.concat()), 1..=CALLS_MAX);

    let seed = number("REDOUBT_SEED", 1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let cases = number("REDOUBT_CASES", u64::from(CASES)) as u32;
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 3000,
        max_shrink_time: SHRINK_MS_MAX,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));

    let result = runner.run(&sequences, |calls| {
        let (ours, reference) = &mut *clients.borrow_mut();
        match compare::difference(ours, reference, &calls) {
            Ok(None) => Ok(()),
            Ok(Some(text)) => Err(TestCaseError::fail(text)),
            Err(error) => {
                // A connection that lost its place would fail every shorter sequence too.
                (*ours, *reference) = (our_server.client(), reference_server.client());
                let lines: Vec<String> =
                    calls.iter().map(|call| format!("> {}", words::join(call))).collect();
                let text = format!("{}\n# {error:#}", lines.join("\n"));
                eprintln!("{text}\n");
                Err(TestCaseError::fail(text))
            }
        }
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => {
            panic!("{name}, seed {seed}: ours differs:\n{}\n{}", reason.message(), our_server.log())
        }
        Err(TestError::Abort(reason)) => panic!("{name}, seed {seed}: {}", reason.message()),
    }
}

fn family(name: &str) {
    let templates =
        FAMILIES.iter().find(|(family, _)| *family == name).expect("the family is in the table").1;
    check(name, templates, Kind::Redis7);
}

macro_rules! families {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() { family(stringify!($name)); })*

        #[test]
        fn every_family_has_a_test() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(FAMILIES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), tested);
        }
    };
}

families! { string bitmap hyperloglog generic list hash set sorted_set lex expiry sort mixed multi geo pubsub dump }

/// Encodings, and commands younger than 7.0.
fn newer_family(name: &str) {
    let templates = NEWER.iter().find(|(family, _)| *family == name).expect("the family is in the table").1;
    check(name, templates, Kind::Redis8);
}

macro_rules! newer_families {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() { newer_family(stringify!($name)); })*

        #[test]
        fn every_newer_family_has_a_test() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(NEWER.iter().map(|(name, _)| *name).collect::<Vec<_>>(), tested);
        }
    };
}

newer_families! { newer hash_fields stream dump_newer }
