//! What COMMAND says of each command agrees with the reference, but for the differences reviewed in
//! `command_table.txt`.

use redoubt_tests::{Kind, Reply, Server};
use std::collections::{BTreeMap, BTreeSet};

/// The reviewed differences: a heading `[reference]`, then lines as `differences` prints them.
const REVIEWED: &str = include_str!("command_table.txt");

/// Facts of one command by name: arity, flags, keys...
type Facts = BTreeMap<&'static str, String>;

#[test]
fn rows_agree_with_the_reference() {
    let ours = read(&Server::ours(&[]));
    for kind in [Kind::Redis7, Kind::Redis8] {
        let Some(server) = Server::start(kind, &[]) else { continue };
        let found = differences(&ours, &read(&server));
        let reviewed = reviewed(kind);
        let news: Vec<_> = found.difference(&reviewed).map(String::as_str).collect();
        let gone: Vec<_> = reviewed.difference(&found).map(String::as_str).collect();
        assert!(
            news.is_empty() && gone.is_empty(),
            "{}: not in tests/tests/command_table.txt:\n{}\nin it, but equal now:\n{}",
            kind.name(),
            news.join("\n"),
            gone.join("\n")
        );
    }
}

fn read(server: &Server) -> BTreeMap<String, Facts> {
    let mut commands = BTreeMap::new();
    for command in server.client().call(&["COMMAND"]).list() {
        add(&command, &mut commands);
    }
    commands
}

fn add(command: &Reply, commands: &mut BTreeMap<String, Facts>) {
    let fields = command.list();
    let range: Vec<String> = fields[3..6].iter().map(show).collect();
    let facts = Facts::from([
        ("arity", show(&fields[1])),
        ("flags", show_set(&fields[2])),
        ("range", range.join(" ")),
        ("categories", show_set(&fields[6])),
        ("tips", show_set(&fields[7])),
        ("keys", fields[8].list().iter().map(show_key_spec).collect::<Vec<_>>().join(", ")),
    ]);
    commands.insert(fields[0].text().to_lowercase(), facts);
    fields[9].list().iter().for_each(|sub| add(sub, commands));
}

/// A key spec on one line; its notes are prose and left out.
fn show_key_spec(spec: &Reply) -> String {
    let fields = spec.list();
    let pairs = fields.chunks(2).filter(|pair| pair[0].text() != "notes");
    let shown = pairs.map(|pair| match pair[0].text().as_str() {
        "flags" => show_set(&pair[1]),
        _ => show(&pair[1]),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn show(reply: &Reply) -> String {
    match reply.elements() {
        Some(elements) => format!("({})", elements.iter().map(show).collect::<Vec<_>>().join(" ")),
        None => match reply {
            Reply::Int(value) => value.to_string(),
            other => other.text(),
        },
    }
}

fn show_set(reply: &Reply) -> String {
    let members: BTreeSet<String> = reply.list().iter().map(show).collect();
    members.into_iter().collect::<Vec<_>>().join(" ")
}

/// Lines "command fact: reference | ours", for commands both know, and "command: only ours".
fn differences(ours: &BTreeMap<String, Facts>, reference: &BTreeMap<String, Facts>) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (name, facts) in ours {
        let Some(theirs) = reference.get(name) else {
            lines.insert(format!("{name}: only ours"));
            continue;
        };
        for (fact, value) in facts.iter().filter(|(fact, value)| theirs[*fact] != **value) {
            lines.insert(format!("{name} {fact}: {} | {value}", theirs[fact]));
        }
    }
    lines
}

fn reviewed(kind: Kind) -> BTreeSet<String> {
    let heading = format!("[{}]", kind.name());
    let section = REVIEWED.lines().skip_while(|line| *line != heading).skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}
