//! `redoubt-check-rdb` and `redoubt-check-aof`: whether files can be loaded, and where they are damaged. Words, order and
//! exit codes are those of redis-check-rdb and redis-check-aof, which scripts look for.

mod aof;
mod rdb;

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

/// A check by the name that the program was called by, or by its first argument; `None` if no check is asked for.
pub(crate) fn asked(program: &str, args: &[String]) -> Option<ExitCode> {
    let name =
        Path::new(program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is = |tool: &str| name == format!("redoubt-{tool}") || name == format!("redis-{tool}");
    let by_option = |tool: &str| args.first().is_some_and(|first| first.strip_prefix("--") == Some(tool));
    let (mut out, mut answers) = (std::io::stdout().lock(), std::io::stdin().lock());
    let mut console = Console { out: &mut out, answers: &mut answers };
    let good = match (is("check-rdb"), by_option("check-rdb"), is("check-aof"), by_option("check-aof")) {
        (true, ..) => rdb::run(&name, args, &mut console),
        (_, true, ..) => rdb::run(&format!("{name} --check-rdb"), &args[1..], &mut console),
        (_, _, true, _) => aof::run(&name, args, &mut console),
        (.., true) => aof::run(&format!("{name} --check-aof"), &args[1..], &mut console),
        _ => return None,
    };
    Some(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where a check writes to, and where it reads what it is answered.
pub(crate) struct Console<'c> {
    pub(crate) out: &'c mut dyn Write,
    pub(crate) answers: &'c mut dyn BufRead,
}

impl Console<'_> {
    /// A line. Nobody may be reading: that is no reason not to go on.
    fn say(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.out, "{line}");
    }

    /// Asks whether to go on.
    fn confirms(&mut self) -> bool {
        let _ = write!(self.out, "Continue? [y/N]: ");
        let _ = self.out.flush();
        let mut answer = String::new();
        let _ = self.answers.read_line(&mut answer);
        answer.get(..1).is_some_and(|first| first.eq_ignore_ascii_case("y"))
    }
}

/// Answers to "-v" and "--version"; false if the arguments are others.
fn tells_version(name: &str, args: &[String], console: &mut Console<'_>) -> bool {
    let asked = matches!(args, [one] if one == "-v" || one == "--version");
    if asked {
        console.say(format_args!("{name} {}", redoubt_server::version::REDOUBT_VERSION));
    }
    asked
}
