//! Runs every conversation file against the server under test and against the reference, one test each.
//!
//! `REDOUBT_BLESS=1` writes the reference's replies into the files where they differ from what is expected there.

use libtest_mimic::{Arguments, Failed, Trial};
use redoubt_tests::conversation::{self, Conversation};
use redoubt_tests::server::Kind;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let bless = std::env::var_os("REDOUBT_BLESS").is_some_and(|value| value == "1");
    let root = conversation::cases_dir();
    let files = conversation::find(&root).expect("tests/cases can be read");
    let trials = files.iter().flat_map(|path| trials(&root, path, bless)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(root: &Path, path: &Path, bless: bool) -> Vec<Trial> {
    let name =
        path.strip_prefix(root).unwrap_or(path).with_extension("").display().to_string().replace('/', "::");
    let file = match conversation::load(path) {
        Ok(file) => file,
        Err(error) => return vec![Trial::test(name, move || Err(Failed::from(format!("{error:#}"))))],
    };
    let mut trials = Vec::new();
    if !bless {
        let ours = file.clone();
        trials.push(Trial::test(format!("{name}::ours"), move || check(&ours, Kind::Ours)));
    }
    if !file.ours_only {
        let kind = if file.needs_8 { Kind::Redis8 } else { Kind::Redis7 };
        let trial = Trial::test(format!("{name}::reference"), move || {
            if bless { rewrite(&file, kind) } else { check(&file, kind) }
        });
        trials.push(trial.with_ignored_flag(kind.program().is_none()));
    }
    trials
}

fn check(file: &Conversation, kind: Kind) -> Result<(), Failed> {
    let versions: &[bool] = if file.both { &[false, true] } else { &[false] };
    let mut failures = Vec::new();
    for &resp3 in versions {
        let outcome =
            conversation::run(file, kind, resp3).map_err(|error| Failed::from(format!("{error:#}")))?;
        failures.extend(outcome.unwrap_or_default().failures);
    }
    if failures.is_empty() { Ok(()) } else { Err(Failed::from(failures.join("\n"))) }
}

/// Puts the reference's replies in place of expectations it does not meet, then checks the result.
fn rewrite(file: &Conversation, kind: Kind) -> Result<(), Failed> {
    let error = |error: anyhow::Error| Failed::from(format!("{error:#}"));
    let outcome = conversation::run(file, kind, false).map_err(error)?.unwrap_or_default();
    let text = fs::read_to_string(&file.path)?;
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    for (first, count, reply) in outcome.rewrites.into_iter().rev() {
        lines.splice(first..first + count, reply.lines().map(str::to_string));
    }
    fs::write(&file.path, lines.join("\n") + "\n")?;
    check(&conversation::load(&file.path).map_err(error)?, kind)
}
