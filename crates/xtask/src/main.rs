//! Developer commands, called as `cargo xtask <command>`.

mod peers;
mod process;
mod test;
mod tidy;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask <command>

  test [cargo test arguments]   everything CI checks: build, tidy, unit, conversation, client and doc tests
  tidy                          the house rules a compiler does not check
  peers [folder]                puts valkey 9 and redis 8 into target/peers, for comparisons (Debian)
";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else {
        bail!("{USAGE}");
    };
    match command.as_str() {
        "test" => test::run(rest),
        "tidy" => tidy::run(),
        "peers" => peers::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => bail!("unknown command {command}\n{USAGE}"),
    }
}
