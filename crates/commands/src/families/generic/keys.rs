//! DEL, UNLINK, EXISTS, TYPE, TOUCH, RENAME, RENAMENX, COPY, MOVE.

use super::{db_index, db_number, look_up};
use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::{Access, Class, Key, Value};

const SAME_OBJECT: CommandError = CommandError::text("ERR source and destination objects are the same");

/// DEL key...: answers how many existed. <https://redis.io/docs/latest/commands/del/>
pub fn del(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let lazy = ctx.settings.lazy_user_del;
    remove_all(ctx, args, reply, lazy);
    Ok(())
}

/// UNLINK key...: DEL whose large values are freed elsewhere. <https://redis.io/docs/latest/commands/unlink/>
pub fn unlink(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    remove_all(ctx, args, reply, true);
    Ok(())
}

fn remove_all(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>, lazy: bool) {
    let mut removed = 0;
    for word in args.rest(1) {
        let key = ctx.key(word);
        let existed = if lazy { ctx.txn.unlink_key(&key) } else { ctx.txn.remove(&key) };
        if existed {
            ctx.txn.changed(&key, Class::Generic, "del");
            removed += 1;
        }
    }
    reply.int(removed);
}

/// EXISTS key...: answers how many exist, counting repeated ones each time.
/// <https://redis.io/docs/latest/commands/exists/>
pub fn exists(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut found = 0;
    for word in args.rest(1) {
        let key = ctx.key(word);
        found += i64::from(look_up(ctx, &key));
    }
    reply.int(found);
    Ok(())
}

/// TYPE key: the type's name, "none" without key. <https://redis.io/docs/latest/commands/type/>
pub fn type_of(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    look_up(ctx, &key);
    reply.simple(ctx.txn.peek(&key).map_or("none", |value| value.type_name()));
    Ok(())
}

/// TOUCH key...: counts an access to each; answers how many exist.
/// <https://redis.io/docs/latest/commands/touch/>
pub fn touch(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut found = 0;
    // What CLIENT NO-TOUCH keeps other commands from doing, this one does all the same.
    let touches = std::mem::replace(&mut ctx.txn.clock.touch, true);
    for word in args.rest(1) {
        let key = ctx.key(word);
        found += i64::from(ctx.txn.get(&key).is_some());
    }
    ctx.txn.clock.touch = touches;
    reply.int(found);
    Ok(())
}

/// RENAME key newkey: replaces what had the new name. <https://redis.io/docs/latest/commands/rename/>
pub fn rename(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (from, to) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    if !ctx.txn.touch(&from) {
        return Err(CommandError::NoSuchKey);
    }
    if from.bytes != to.bytes {
        move_value(ctx, &from, &to);
    }
    reply.ok();
    Ok(())
}

/// RENAMENX key newkey: 0 when the new name is taken. <https://redis.io/docs/latest/commands/renamenx/>
pub fn renamenx(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (from, to) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    if !ctx.txn.touch(&from) {
        return Err(CommandError::NoSuchKey);
    }
    let free = from.bytes != to.bytes && !ctx.txn.contains(&to);
    if free {
        move_value(ctx, &from, &to);
    }
    reply.int(i64::from(free));
    Ok(())
}

fn move_value(ctx: &mut Context<'_>, from: &Key<'_>, to: &Key<'_>) {
    let access = ctx.txn.access_of(from).expect("the caller saw the key");
    let (value, expire_ms) = ctx.txn.take(from).expect("the caller saw the key");
    // The key that had the name is gone, the one that comes is new: so the events tell it.
    ctx.txn.unlink_key(to);
    insert_accessed(ctx, to, value, expire_ms, access);
    ctx.txn.changed(from, Class::Generic, "rename_from");
    ctx.txn.changed_too(to, Class::Generic, "rename_to");
}

/// Sets a value that keeps the access facts it had under another name.
fn insert_accessed(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    value: Value,
    expire_ms: Option<i64>,
    access: Access,
) {
    ctx.txn.insert(key, value, expire_ms);
    ctx.txn.set_access(key, Some(u64::from(access.idle_seconds)), u8::try_from(access.frequency).ok());
}

/// COPY source destination [DB n] [REPLACE]: 1 when copied. <https://redis.io/docs/latest/commands/copy/>
pub fn copy(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let home = ctx.txn.db();
    let (mut target, mut replace) = (home, false);
    let mut cursor = args.cursor(3);
    while !cursor.is_done() {
        if cursor.token("REPLACE") {
            replace = true;
        } else if cursor.token("DB") {
            target = db_index(ctx, db_number(cursor.word()?)?)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let (from, to) = (ctx.key(args.get(1)), ctx.key(args.get(2)));
    if target == home && from.bytes == to.bytes {
        return Err(SAME_OBJECT);
    }
    let copy = if look_up(ctx, &from) && ctx.txn.touch(&from) { ctx.txn.copy_of(&from) } else { None };
    let mut copied = false;
    if let Some((value, expire_ms)) = copy {
        ctx.txn.set_db(target);
        // A key that is replaced is gone, and its name is new.
        copied = replace || !ctx.txn.contains(&to);
        if copied {
            ctx.txn.unlink_key(&to);
            ctx.txn.insert(&to, value, expire_ms);
            ctx.txn.changed(&to, Class::Generic, "copy_to");
        }
        ctx.txn.set_db(home);
    }
    reply.int(i64::from(copied));
    Ok(())
}

/// MOVE key db: 0 without key or when the other database has it. <https://redis.io/docs/latest/commands/move/>
pub fn move_key(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let home = ctx.txn.db();
    let target = db_index(ctx, db_number(args.get(2))?)?;
    if target == home {
        return Err(SAME_OBJECT);
    }
    let key = ctx.key(args.get(1));
    let found = ctx.txn.touch(&key);
    ctx.txn.set_db(target);
    let taken = ctx.txn.contains(&key);
    ctx.txn.set_db(home);
    if !found || taken {
        reply.int(0);
        return Ok(());
    }
    let access = ctx.txn.access_of(&key).expect("found above");
    let (value, expire_ms) = ctx.txn.take(&key).expect("found above");
    ctx.txn.set_db(target);
    insert_accessed(ctx, &key, value, expire_ms, access);
    ctx.txn.set_db(home);
    ctx.txn.changed(&key, Class::Generic, "move_from");
    ctx.txn.set_db(target);
    ctx.txn.changed_too(&key, Class::Generic, "move_to");
    ctx.txn.set_db(home);
    reply.int(1);
    Ok(())
}
