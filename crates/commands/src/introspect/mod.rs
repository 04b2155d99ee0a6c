//! COMMAND and its subcommands: what the server says about the commands that whoever asks can see, all of it read from
//! the table.
//!
//! Shapes: <https://redis.io/docs/latest/commands/command/>

mod docs;
mod help;
mod info;

use crate::args::Args;
use crate::error::CommandError;
use crate::keys::{KeyList, keys_of};
use crate::spec::{CATEGORY_NAMES, Categories, Flags};
use crate::table::{Command, Index};
use redoubt_resp::Reply;
use redoubt_store::glob;

pub use help::help;

/// COMMAND: describes every command.
pub fn command(seen: &Index, _args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let commands = seen.commands();
    reply.array(commands.len());
    commands.iter().for_each(|command| info::write(command, reply));
    Ok(())
}

/// COMMAND COUNT: the number of commands, subcommands not counted.
pub fn count(seen: &Index, _args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.int(seen.commands().len() as i64);
    Ok(())
}

/// COMMAND INFO: describes the named commands, with a null for each unknown one; without names, all.
pub fn info(seen: &Index, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let names = args.rest(2);
    if names.is_empty() {
        return command(seen, args, reply);
    }
    reply.array(names.len());
    for name in names {
        match seen.lookup_full(name) {
            Some(command) => info::write(command, reply),
            None => reply.null(),
        }
    }
    Ok(())
}

/// COMMAND DOCS: documentation of the named commands, leaving out unknown ones; without names, of all.
pub fn docs(seen: &Index, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let names = args.rest(2);
    let open = reply.open();
    let mut pairs = 0;
    let mut write = |command: &Command| {
        docs::write(command, reply);
        pairs += 1;
    };
    if names.is_empty() {
        seen.commands().iter().copied().for_each(&mut write);
    } else {
        names.iter().filter_map(|name| seen.lookup_full(name)).for_each(&mut write);
    }
    reply.close_map(open, pairs);
    Ok(())
}

/// What COMMAND LIST filters by.
enum Filter<'a> {
    Everything,
    /// Commands of a module; none are known.
    Nothing,
    Category(Categories),
    Pattern(&'a [u8]),
}

impl Filter<'_> {
    fn accepts(&self, command: &Command) -> bool {
        match self {
            Filter::Everything => true,
            Filter::Nothing => false,
            Filter::Category(category) => command.categories.has(*category),
            Filter::Pattern(pattern) => glob::matches_nocase(pattern, command.full_name.as_bytes()),
        }
    }
}

/// COMMAND LIST: names of the commands and subcommands that pass the filter.
pub fn list(seen: &Index, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let filter = parse_filter(args)?;
    let open = reply.open();
    let mut len = 0;
    for command in seen.all().filter(|command| filter.accepts(command)) {
        reply.bulk(command.full_name.as_bytes());
        len += 1;
    }
    reply.close_array(open, len);
    Ok(())
}

fn parse_filter<'a>(args: &Args<'a>) -> Result<Filter<'a>, CommandError> {
    if args.len() == 2 {
        return Ok(Filter::Everything);
    }
    if args.len() != 5 || !args.is(2, "FILTERBY") {
        return Err(CommandError::Syntax);
    }
    let wanted = args.get(4);
    if args.is(3, "MODULE") {
        Ok(Filter::Nothing)
    } else if args.is(3, "PATTERN") {
        Ok(Filter::Pattern(wanted))
    } else if args.is(3, "ACLCAT") {
        let known = CATEGORY_NAMES.iter().find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(wanted));
        Ok(known.map_or(Filter::Nothing, |(category, _)| Filter::Category(*category)))
    } else {
        Err(CommandError::Syntax)
    }
}

/// COMMAND GETKEYS: the keys of the call that follows.
pub fn getkeys(seen: &Index, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (call, keys) = parse_call(seen, args)?;
    reply.array(keys.len());
    keys.iter().for_each(|key| reply.bulk(call.get(key.index)));
    Ok(())
}

/// COMMAND GETKEYSANDFLAGS: the keys of the call that follows, each with the access made to it.
pub fn getkeysandflags(seen: &Index, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (call, keys) = parse_call(seen, args)?;
    reply.array(keys.len());
    for key in &keys {
        reply.array(2);
        reply.bulk(call.get(key.index));
        info::status_set(key.flags.names(), reply);
    }
    Ok(())
}

fn parse_call<'a>(seen: &Index, args: &Args<'a>) -> Result<(Args<'a>, KeyList), CommandError> {
    let call = Args::new(args.rest(2));
    let command = seen.find(&call).map_err(|_| CommandError::text("ERR Invalid command specified"))?;
    let spec = command.spec;
    if spec.keys.is_empty() {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    if !spec.arity_fits(call.len()) {
        return Err(CommandError::text("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = KeyList::new();
    let found = keys_of(spec, &call, &mut keys);
    if found.is_err() || (keys.is_empty() && !spec.flags.has(Flags::NO_MANDATORY_KEYS)) {
        return Err(CommandError::text("ERR Invalid arguments specified for command"));
    }
    Ok((call, keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Audience, table};

    type Writer = fn(&Index, &Args<'_>, &mut Reply<'_>) -> Result<(), CommandError>;

    fn run(writer: Writer, line: &str, resp3: bool) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mut out = Vec::new();
        match writer(table().seen_by(Audience::Server), &Args::new(&words), &mut Reply::new(&mut out, resp3))
        {
            Ok(()) => String::from_utf8(out).unwrap().replace("\r\n", " "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn info_has_the_published_shape() {
        let expected = "*1 *10 $5 watch :-2 ~5 +noscript +loading +stale +fast +allow_busy :1 :-1 :1 \
             ~2 +@fast +@transaction ~0 ~1 %3 $5 flags ~1 +RO $12 begin_search %2 $4 type $5 index $4 spec %1 \
             $5 index :1 $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :-1 $7 keystep :1 $5 limit :0 ~0 ";
        assert_eq!(run(info, "command info watch", true), expected);
        assert_eq!(run(info, "command info nosuch client|nosuch", false), "*2 $-1 $-1 ");
    }

    #[test]
    fn docs_leave_out_the_unknown() {
        let known = run(docs, "command docs echo nosuch", true);
        assert!(known.starts_with("%1 $4 echo %5 $7 summary "), "{known}");
        assert!(known.ends_with(
            "$9 arguments *1 %3 $4 name $7 message $4 type $6 string $12 display_text $7 message "
        ));
        assert_eq!(run(docs, "command docs nosuch", true), "%0 ");
    }

    #[test]
    fn list_filters() {
        let names = "*5 $7 discard $4 exec $5 multi $7 unwatch $5 watch ";
        assert_eq!(run(list, "command list filterby aclcat TRANSACTION", false), names);
        assert_eq!(run(list, "command list filterby aclcat none", false), "*0 ");
        assert_eq!(run(list, "command list filterby pattern CLIENT|GETN*", false), "*1 $14 client|getname ");
        assert_eq!(run(list, "command list filterby module x", false), "*0 ");
        assert_eq!(run(list, "command list filterby", false), "ERR syntax error");
    }

    #[test]
    fn getkeys_fails_as_the_reference_does() {
        let cases = [
            ("foo a", "ERR Invalid command specified"),
            ("client foo", "ERR Invalid command specified"),
            ("ping", "ERR The command has no key arguments"),
            ("watch", "ERR Invalid number of arguments specified for command"),
            ("watch a b", "*2 $1 a $1 b "),
        ];
        for (call, expected) in cases {
            assert_eq!(run(getkeys, &format!("command getkeys {call}"), false), expected);
        }
        assert_eq!(run(getkeysandflags, "command getkeysandflags watch a", true), "*1 *2 $1 a ~1 +RO ");
    }
}
