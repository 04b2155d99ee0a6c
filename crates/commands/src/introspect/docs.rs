//! The documentation of a command that COMMAND DOCS prints.

use super::info::status_set;
use crate::spec::{Arg, ArgKind};
use crate::table::Command;
use redoubt_resp::Reply;

/// A map whose fields are left out when they are empty; counts the pairs it wrote.
struct Fields<'r, 'o> {
    reply: &'r mut Reply<'o>,
    pairs: usize,
}

impl<'o> Fields<'_, 'o> {
    /// Begins a field; its value follows.
    fn name(&mut self, name: &str) -> &mut Reply<'o> {
        self.pairs += 1;
        self.reply.bulk(name.as_bytes());
        self.reply
    }

    /// A text field, unless it is empty.
    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.name(name).bulk(value.as_bytes());
        }
    }

    /// A set of statuses, unless it is empty.
    fn flags(&mut self, name: &str, flags: &[(bool, &'static str)]) {
        if flags.iter().any(|(set, _)| *set) {
            let names = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name);
            status_set(names, self.name(name));
        }
    }
}

fn map(reply: &mut Reply<'_>, write: impl FnOnce(&mut Fields<'_, '_>)) {
    let open = reply.open();
    let mut fields = Fields { reply, pairs: 0 };
    write(&mut fields);
    let pairs = fields.pairs;
    reply.close_map(open, pairs);
}

/// Writes the command's full name and its documentation.
pub(super) fn write(command: &Command, reply: &mut Reply<'_>) {
    let doc = &command.spec.doc;
    reply.bulk(command.full_name.as_bytes());
    map(reply, |fields| {
        fields.text("summary", doc.summary);
        fields.text("since", doc.since);
        fields.text("group", command.group);
        fields.text("complexity", doc.complexity);
        let flags = [(!doc.deprecated_since.is_empty(), "deprecated"), (doc.system, "syscmd")];
        fields.flags("doc_flags", &flags);
        fields.text("deprecated_since", doc.deprecated_since);
        fields.text("replaced_by", doc.replaced_by);
        if !doc.history.is_empty() {
            let reply = fields.name("history");
            reply.set(doc.history.len());
            for (version, change) in doc.history {
                reply.array(2);
                reply.bulk(version.as_bytes());
                reply.bulk(change.as_bytes());
            }
        }
        write_args(doc.args, fields);
        if !command.subcommands.is_empty() {
            let reply = fields.name("subcommands");
            reply.map(command.subcommands.len());
            command.subcommands.iter().for_each(|sub| write(sub, reply));
        }
    });
}

fn write_args(args: &[Arg], fields: &mut Fields<'_, '_>) {
    if args.is_empty() {
        return;
    }
    let reply = fields.name("arguments");
    reply.array(args.len());
    args.iter().for_each(|arg| map(reply, |fields| write_arg(arg, fields)));
}

fn write_arg(arg: &Arg, fields: &mut Fields<'_, '_>) {
    fields.text("name", arg.name);
    fields.text("type", kind_name(arg.kind));
    if !matches!(arg.kind, ArgKind::OneOf | ArgKind::Block) {
        fields.text("display_text", if arg.display.is_empty() { arg.name } else { arg.display });
    }
    if let Some(spec) = arg.key_spec {
        fields.name("key_spec_index").int(i64::from(spec));
    }
    fields.text("token", arg.token);
    fields.text("since", arg.since);
    let flags =
        [(arg.optional, "optional"), (arg.multiple, "multiple"), (arg.multiple_token, "multiple_token")];
    fields.flags("flags", &flags);
    write_args(arg.args, fields);
}

fn kind_name(kind: ArgKind) -> &'static str {
    match kind {
        ArgKind::String => "string",
        ArgKind::Integer => "integer",
        ArgKind::Double => "double",
        ArgKind::Key => "key",
        ArgKind::Pattern => "pattern",
        ArgKind::UnixTime => "unix-time",
        ArgKind::PureToken => "pure-token",
        ArgKind::OneOf => "oneof",
        ArgKind::Block => "block",
    }
}
