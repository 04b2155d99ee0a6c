//! `cargo xtask docs`: the pages that are written from tables.

use crate::process::root;
use anyhow::{Context, Result, bail};
use redoubt_commands::spec::{Arg, ArgKind};
use redoubt_commands::{Command, table};
use std::fmt::Write;
use std::fs;

const COMMANDS_HEAD: &str = "\
# Commands

Written by `cargo xtask docs` from the command table. Every other command answers as an unknown one.

";

/// Writes the pages; with `--check` only says which are not up to date.
///
/// # Errors
/// When a page cannot be written, or with `--check` is old.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => write(),
        [check] if check == "--check" => check_pages(),
        _ => bail!("usage: cargo xtask docs [--check]"),
    }
}

/// Path below the top folder, and text.
fn pages() -> [(&'static str, String); 2] {
    [("docs/commands.md", commands()), ("docs/config.md", redoubt_server::config::docs_table())]
}

fn write() -> Result<()> {
    for (name, text) in pages() {
        fs::write(root().join(name), text).with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}

fn check_pages() -> Result<()> {
    let is_old =
        |(name, text): &(&str, String)| fs::read_to_string(root().join(name)).ok().as_ref() != Some(text);
    let old: Vec<&str> = pages().iter().filter(|page| is_old(page)).map(|(name, _)| *name).collect();
    if !old.is_empty() {
        bail!("{} not up to date: run `cargo xtask docs`", old.join(" and "));
    }
    Ok(())
}

fn commands() -> String {
    let mut page = COMMANDS_HEAD.to_string();
    let mut groups: Vec<&str> = table().commands().iter().map(|command| command.group).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let _ = writeln!(page, "## {group}\n\n| Command | What it does | Since Redis |\n|---|---|---|");
        for command in table().commands().iter().filter(|command| command.group == group) {
            rows(&mut page, command);
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn rows(page: &mut String, command: &Command) {
    if command.subcommands.is_empty() {
        let name = command.full_name.replace('|', " ").to_uppercase();
        let arguments: String = command.spec.doc.args.iter().map(|arg| format!(" {}", syntax(arg))).collect();
        let call = format!("{name}{arguments}").replace('|', "\\|");
        let _ = writeln!(page, "| `{call}` | {} | {} |", command.spec.doc.summary, command.spec.doc.since);
    }
    command.subcommands.iter().for_each(|subcommand| rows(page, subcommand));
}

/// An argument as manuals write it: `[EX seconds]`, `key [key ...]`.
fn syntax(arg: &Arg) -> String {
    let inner = match arg.kind {
        ArgKind::PureToken => String::new(),
        ArgKind::OneOf => arg.args.iter().map(syntax).collect::<Vec<_>>().join(" | "),
        ArgKind::Block => arg.args.iter().map(syntax).collect::<Vec<_>>().join(" "),
        _ => if arg.display.is_empty() { arg.name } else { arg.display }.to_string(),
    };
    let is_group = arg.kind == ArgKind::OneOf && !arg.optional;
    let inner = if is_group { format!("<{inner}>") } else { inner };
    let once = match (arg.token, inner.as_str()) {
        ("", inner) => inner.to_string(),
        (token, "") => token.to_string(),
        (token, inner) => format!("{token} {inner}"),
    };
    let text = match (arg.multiple, arg.multiple_token) {
        (false, _) => once,
        (true, false) => format!("{once} [{inner} ...]"),
        (true, true) => format!("{once} [{once} ...]"),
    };
    if arg.optional { format!("[{text}]") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_up_to_date() {
        check_pages().unwrap();
    }

    #[test]
    fn syntax_reads_like_a_manual() {
        const CHOICE: &[Arg] = &[Arg::pure_token("nx", "NX"), Arg::new("n", ArgKind::Integer).token("EX")];
        assert_eq!(syntax(&Arg::key("key", 0).multiple()), "key [key ...]");
        assert_eq!(syntax(&Arg::one_of("choice", CHOICE).optional()), "[NX | EX n]");
        assert_eq!(syntax(&Arg::one_of("choice", CHOICE)), "<NX | EX n>");
    }
}
