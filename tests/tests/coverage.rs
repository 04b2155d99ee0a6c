//! Every command the server lists has a conversation file.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::{Client, Server, conversation, words};
use std::collections::BTreeSet;
use std::fs;

/// A command `name` is covered by `tests/cases/<group>/name.txt`, a subcommand `name|sub` by
/// `name-sub.txt` or by a call of it in `name.txt`. Further files of a command are called `name.topic.txt`.
#[test]
fn every_command_has_a_conversation() {
    let server = Server::ours(&[]);
    let covered = covered();
    let missing: Vec<String> =
        commands(&mut server.client()).into_iter().filter(|name| !covered.contains(name)).collect();
    assert!(missing.is_empty(), "commands without tests/cases/<group>/<command>.txt: {}", missing.join(" "));
}

/// Names of all commands and subcommands ("client|setname") the server knows.
fn commands(client: &mut Client) -> Vec<String> {
    let names: Vec<String> = client.line("COMMAND LIST").list().iter().map(|name| name.text()).collect();
    let mut all = Vec::new();
    for name in names.iter().filter(|name| !name.contains('|')) {
        let info = client.call(&["COMMAND", "INFO", name]).list()[0].list();
        let subcommands = info.get(9).map(|list| list.list()).unwrap_or_default();
        all.extend(subcommands.iter().map(|sub| sub.list()[0].text()));
        // A container is covered by its subcommands.
        if subcommands.is_empty() {
            all.push(name.clone());
        }
    }
    all
}

/// What the files cover, in the same spelling.
fn covered() -> BTreeSet<String> {
    let mut covered = BTreeSet::new();
    for path in conversation::find(&conversation::cases_dir()).unwrap() {
        let file = path.file_name().unwrap().to_str().unwrap();
        let stem = file.split('.').next().unwrap().to_lowercase();
        let text = fs::read_to_string(&path).unwrap();
        let calls =
            text.lines().filter_map(|line| words::split(line.strip_prefix('>')?.trim_start_matches('!')));
        for call in calls.filter(|call| call.len() > 1) {
            let word = |index: usize| String::from_utf8_lossy(&call[index]).to_lowercase();
            if word(0) == stem {
                covered.insert(format!("{}|{}", word(0), word(1)));
            }
        }
        covered.insert(stem.replacen('-', "|", 1));
        covered.insert(stem);
    }
    covered
}
