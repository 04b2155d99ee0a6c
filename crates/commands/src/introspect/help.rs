//! The HELP subcommands of all containers, read from the table.

use crate::spec::{Arg, ArgKind};
use crate::table::lookup;
use redoubt_resp::Reply;

/// Lists the subcommands of a container: for each its arguments, then what it does.
///
/// # Panics
/// If there is no such container.
pub fn help(container: &str, reply: &mut Reply<'_>) {
    let command = lookup(container.as_bytes()).expect("HELP belongs to a container of the table");
    let subcommands = command.spec.subcommands;
    let upper = command.spec.name.to_ascii_uppercase();
    reply.array(1 + 2 * subcommands.len());
    reply.simple(&format!("{upper} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for row in subcommands {
        let mut usage = row.name.to_ascii_uppercase();
        for arg in row.doc.args {
            usage.push(' ');
            usage.push_str(&describe(arg));
        }
        reply.simple(&usage);
        reply.simple(&format!("    {}", row.doc.summary));
    }
}

/// An argument in the usual notation: `<value>`, `[optional]`, `one|other`, `repeated ...`.
fn describe(arg: &Arg) -> String {
    let inner = match arg.kind {
        ArgKind::PureToken => String::new(),
        ArgKind::OneOf => arg.args.iter().map(describe).collect::<Vec<_>>().join("|"),
        ArgKind::Block => arg.args.iter().map(describe).collect::<Vec<_>>().join(" "),
        _ => format!("<{}>", if arg.display.is_empty() { arg.name } else { arg.display }),
    };
    let mut text = match (arg.token, inner.as_str()) {
        (token, "") => token.to_owned(),
        ("", inner) => inner.to_owned(),
        (token, inner) => format!("{token} {inner}"),
    };
    if arg.multiple {
        let repeated = if arg.multiple_token { &text } else { &inner };
        text = format!("{text} [{repeated} ...]");
    }
    if arg.optional { format!("[{text}]") } else { text }
}
