//! The description of a command that COMMAND and COMMAND INFO print.

use crate::spec::{BeginSearch, CATEGORY_NAMES, FindKeys, KeySpec};
use crate::table::Command;
use redoubt_resp::Reply;

/// Writes one command, its subcommands inside.
pub(super) fn write(command: &Command, reply: &mut Reply<'_>) {
    let spec = command.spec;
    reply.array(10);
    reply.bulk(command.full_name.as_bytes());
    reply.int(i64::from(spec.arity));
    status_set(spec.flags.names(), reply);
    reply.int(i64::from(command.range.first));
    reply.int(i64::from(command.range.last));
    reply.int(i64::from(command.range.step));
    write_categories(command, reply);
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(spec.keys.len());
    spec.keys.iter().for_each(|key| write_key_spec(key, reply));
    reply.set(command.subcommands.len());
    command.subcommands.iter().for_each(|sub| write(sub, reply));
}

/// Writes names as a set of statuses.
pub(super) fn status_set(names: impl Iterator<Item = &'static str>, reply: &mut Reply<'_>) {
    let open = reply.open();
    let mut len = 0;
    for name in names {
        reply.simple(name);
        len += 1;
    }
    reply.close_set(open, len);
}

fn write_categories(command: &Command, reply: &mut Reply<'_>) {
    let members = CATEGORY_NAMES.iter().filter(|(category, _)| command.categories.has(*category));
    reply.set(members.clone().count());
    for (_, name) in members {
        reply.simple(&format!("@{name}"));
    }
}

fn write_key_spec(key: &KeySpec, reply: &mut Reply<'_>) {
    reply.map(if key.notes.is_empty() { 3 } else { 4 });
    if !key.notes.is_empty() {
        reply.bulk(b"notes");
        reply.bulk(key.notes.as_bytes());
    }
    reply.bulk(b"flags");
    status_set(key.flags.names(), reply);
    reply.bulk(b"begin_search");
    match key.begin {
        BeginSearch::Index(at) => write_search("index", &[("index", at)], reply),
        BeginSearch::Unknown => write_search("unknown", &[], reply),
        BeginSearch::Keyword { keyword, start_from } => {
            write_kind("keyword", reply);
            reply.map(2);
            reply.bulk(b"keyword");
            reply.bulk(keyword.as_bytes());
            write_number("startfrom", start_from, reply);
        }
    }
    reply.bulk(b"find_keys");
    match key.find {
        FindKeys::Range { last, step, limit } => {
            write_search("range", &[("lastkey", last), ("keystep", step), ("limit", limit)], reply);
        }
        FindKeys::Keynum { index, first, step } => {
            write_search("keynum", &[("keynumidx", index), ("firstkey", first), ("keystep", step)], reply);
        }
        FindKeys::Unknown => write_search("unknown", &[], reply),
    }
}

fn write_search(kind: &str, numbers: &[(&str, i32)], reply: &mut Reply<'_>) {
    write_kind(kind, reply);
    reply.map(numbers.len());
    numbers.iter().for_each(|(name, value)| write_number(name, *value, reply));
}

fn write_kind(kind: &str, reply: &mut Reply<'_>) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
}

fn write_number(name: &str, value: i32, reply: &mut Reply<'_>) {
    reply.bulk(name.as_bytes());
    reply.int(i64::from(value));
}
