//! docs/config.md, made from the table of settings.

use super::table::{Change, Effect, GROUPS, Scope, Setting};
use std::fmt::Write;

const HEAD: &str = "\
# Configuration

<!-- Made by `cargo xtask docs` from crates/server/src/config/table; edit there. -->

`redoubt-server [file] [--name value ...]` reads a `redis.conf` (`-`: standard input), then the options of the command
line, which count more. Without either, the defaults below hold. A setting nobody knows, or a value that does not fit,
stops the start and names file and line. CONFIG SET changes settings while the server runs, CONFIG REWRITE brings the
file in line with them.

Files hold one setting per line: `name value`, `#` before comments, values with blanks in quotes (`\"...\"` with escapes
such as `\\n` and `\\x41`, or `'...'`). Sizes take units: `1k` = 1000, `1kb` = 1024, and so on with `m` and `g`. Also in files:

- `include path`: reads another file here; `*`, `?` and `[...]` in the path stand for all files that fit, in order of name.
- `rename-command NAME new-name`: the command answers to its new name only; `\"\"` removes it.
- `user` and `loadmodule` are refused.

Where failover is built in (`ha-enabled`), CONFIG SET on any node changes a setting of the whole deployment: the nodes agree
on it, all take it over, and it outlives restarts and counts more than their files. Settings marked *by node* stay that
node's own.

Every setting of Redis is known. Those marked *no effect* are accepted, kept and printed by CONFIG GET, so that existing
files work, but nothing here reads them.

";

/// The page: every setting with its values, default, when it may change, and what it does here, as Markdown.
pub fn docs_table() -> String {
    let mut page = String::from(HEAD);
    for group in GROUPS {
        let _ = writeln!(page, "## {}\n", group.title);
        page.push_str("| Setting | Values | Default | CONFIG SET | Effect |\n|---|---|---|---|---|\n");
        for setting in group.rows {
            row(&mut page, setting);
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn row(page: &mut String, setting: &Setting) {
    let aliases: String = setting.aliases.iter().map(|alias| format!("<br>also `{alias}`")).collect();
    let default = match setting.default {
        "" => "none".into(),
        "cores" => "the cores available".into(),
        text => format!("`{text}`"),
    };
    let change = match setting.change {
        Change::Runtime if setting.scope == Scope::Node => "yes, by node",
        Change::Runtime => "yes",
        Change::AtStart => "no",
        Change::Protected => "if `enable-protected-configs`",
    };
    let effect = match setting.effect {
        Effect::Applied => "applied".into(),
        Effect::NoEffect(why) => format!("*no effect*: {why}"),
    };
    let values = setting.kind.describe();
    let _ = writeln!(page, "| `{}`{aliases} | {values} | {default} | {change} | {effect} |", setting.name);
}
