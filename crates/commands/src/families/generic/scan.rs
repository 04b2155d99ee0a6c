//! KEYS, SCAN, RANDOMKEY: walks over a database.

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use crate::families::scan;
use redoubt_resp::Reply;
use redoubt_store::glob;

/// KEYS pattern. <https://redis.io/docs/latest/commands/keys/>
pub fn keys(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let pattern = args.get(1);
    let everything = pattern == b"*";
    let open = reply.open();
    let mut len = 0;
    ctx.txn.for_each(|key, _, _| {
        if everything || glob::matches(pattern, key) {
            reply.bulk(key);
            len += 1;
        }
    });
    reply.close_array(open, len);
    Ok(())
}

/// SCAN cursor [MATCH pattern] [COUNT n] [TYPE name]: the next cursor, 0 at the end, and some keys. A key that is
/// there from the first call to the last is answered at least once.
/// <https://redis.io/docs/latest/commands/scan/>
pub fn scan(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let cursor = scan::cursor(args.get(1))?;
    let options = Options::parse(args)?;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let next = ctx.txn.scan(cursor, options.count, |key, value| {
        let typed = options.kind.is_none_or(|kind| value.type_name().as_bytes().eq_ignore_ascii_case(kind));
        if typed && options.pattern.is_none_or(|pattern| glob::matches(pattern, key)) {
            found.push(key.into());
        }
    });
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    reply.array(found.len());
    found.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

struct Options<'a> {
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    count: usize,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Options<'a>, CommandError> {
        let mut options = Options { pattern: None, kind: None, count: 10 };
        let mut cursor = args.cursor(2);
        while !cursor.is_done() {
            if cursor.token("MATCH") {
                options.pattern = Some(cursor.word()?);
            } else if cursor.token("TYPE") {
                options.kind = Some(cursor.word()?);
            } else if cursor.token("COUNT") {
                options.count = match cursor.int()? {
                    count @ 1.. => count as usize,
                    _ => return Err(CommandError::Syntax),
                };
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// RANDOMKEY: a key, null in an empty database. <https://redis.io/docs/latest/commands/randomkey/>
pub fn randomkey(ctx: &mut Context<'_>, _args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match ctx.txn.random_key() {
        Some(key) => reply.bulk(&key),
        None => reply.null(),
    }
    Ok(())
}
