//! Commands on HyperLogLogs. <https://redis.io/docs/latest/develop/data-types/probabilistic/hyperloglogs/>

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;
use redoubt_store::types::hyperloglog::{self, Corrupted, Registers};
use redoubt_store::{Class, Key, Str, Value};

impl From<Corrupted> for CommandError {
    fn from(_: Corrupted) -> CommandError {
        CommandError::HllCorrupted
    }
}

/// The bytes of a string that is a HyperLogLog.
fn check(string: Str<'_>) -> Result<&[u8], CommandError> {
    match string {
        Str::Bytes(bytes) if hyperloglog::is_valid(bytes) => Ok(bytes),
        _ => Err(CommandError::NotAnHll),
    }
}

/// Changes the HyperLogLog at a key; none if there is no key.
fn change<T>(
    ctx: &mut Context<'_>,
    key: &Key<'_>,
    change: impl FnOnce(&mut Vec<u8>) -> Result<T, CommandError>,
) -> Result<Option<T>, CommandError> {
    let Some(mut string) = ctx.string_mut(key)? else { return Ok(None) };
    check(string.get())?;
    change(string.make_raw()).map(Some)
}

/// PFADD key [element ...]. <https://redis.io/docs/latest/commands/pfadd/>
pub fn pfadd(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let sparse_max = ctx.settings.hll_sparse_bytes_max;
    let add_all = |value: &mut Vec<u8>| -> Result<usize, CommandError> {
        let mut grew = 0;
        for element in args.rest(2) {
            grew += usize::from(hyperloglog::add(value, element, sparse_max)?);
        }
        Ok(grew)
    };
    let key = ctx.key(args.get(1));
    let mut grew = change(ctx, &key, |value| {
        let grew = add_all(value)?;
        if grew > 0 {
            hyperloglog::invalidate(value);
        }
        Ok(grew)
    })?;
    if grew.is_none() {
        let mut value = hyperloglog::new();
        // Making the key counts as a change too.
        grew = Some(add_all(&mut value)? + 1);
        hyperloglog::invalidate(&mut value);
        ctx.txn.insert(&key, Value::Raw(value), None);
    }
    let grew = grew.unwrap_or(0);
    if grew > 0 {
        ctx.txn.changed_times(&key, Class::String, "pfadd", grew);
    }
    reply.int(i64::from(grew > 0));
    Ok(())
}

/// PFCOUNT key [key ...]. <https://redis.io/docs/latest/commands/pfcount/>
pub fn pfcount(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.len() > 2 {
        let mut union = Registers::default();
        for bytes in args.rest(1) {
            let key = ctx.key(bytes);
            if let Some(string) = ctx.string(&key)? {
                union.merge(check(string)?)?;
            }
        }
        reply.int(union.count() as i64);
        return Ok(());
    }
    let key = ctx.key(args.get(1));
    // The read access is counted; what follows may write the estimate into the value.
    ctx.string(&key)?;
    let counted = change(ctx, &key, |value| {
        if let Some(count) = hyperloglog::cached_count(value) {
            return Ok((count, false));
        }
        let count = hyperloglog::count(value)?;
        hyperloglog::cache_count(value, count);
        Ok((count, true))
    })?;
    let (count, cached) = counted.unwrap_or((0, false));
    if cached {
        // Not a write of the command table, yet the bytes differ now: replicas have to do the same.
        ctx.txn.modified(&key);
        ctx.txn.effect(args.words());
    }
    reply.int(count as i64);
    Ok(())
}

/// PFMERGE destkey [sourcekey ...]. <https://redis.io/docs/latest/commands/pfmerge/>
pub fn pfmerge(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let sparse_max = ctx.settings.hll_sparse_bytes_max;
    let mut union = Registers::default();
    let mut dense = false;
    for bytes in args.rest(1) {
        let key = ctx.key(bytes);
        if let Some(string) = ctx.string(&key)? {
            let value = check(string)?;
            dense |= hyperloglog::is_dense(value);
            union.merge(value)?;
        }
    }
    let store = |value: &mut Vec<u8>| {
        if dense {
            hyperloglog::to_dense(value)?;
        }
        Ok(union.store(value, sparse_max)?)
    };
    let key = ctx.key(args.get(1));
    if change(ctx, &key, store)?.is_none() {
        let mut value = hyperloglog::new();
        store(&mut value)?;
        ctx.txn.insert(&key, Value::Raw(value), None);
    }
    ctx.txn.changed(&key, Class::String, "pfadd");
    reply.ok();
    Ok(())
}

/// PFDEBUG ENCODING|DECODE|TODENSE|GETREG key: looks into a HyperLogLog.
pub fn pfdebug(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(2));
    match ctx.string_mut(&key)? {
        None => return Err(CommandError::HllNoSuchKey),
        Some(string) => check(string.get())?,
    };
    const SUBCOMMANDS: [&str; 4] = ["GETREG", "DECODE", "ENCODING", "TODENSE"];
    let Some(name) = SUBCOMMANDS.into_iter().find(|name| args.is(1, name)) else {
        let word = String::from_utf8_lossy(args.get(1));
        return Err(CommandError::owned(format!("ERR Unknown PFDEBUG subcommand '{word}'")));
    };
    let converted = change(ctx, &key, |value| {
        match name {
            "ENCODING" => reply.simple(if hyperloglog::is_dense(value) { "dense" } else { "sparse" }),
            "DECODE" if hyperloglog::is_dense(value) => return Err(CommandError::HllNotSparse),
            "DECODE" => reply.bulk(hyperloglog::decode(value).as_bytes()),
            _ => return Ok(hyperloglog::to_dense(value)?),
        }
        Ok(false)
    })?;
    let converted = converted == Some(true);
    if converted {
        ctx.txn.modified(&key);
    }
    match name {
        "TODENSE" => reply.int(i64::from(converted)),
        "GETREG" => reply_registers(ctx, &key, reply)?,
        _ => {}
    }
    Ok(())
}

fn reply_registers(ctx: &mut Context<'_>, key: &Key<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut registers = Registers::default();
    if let Some(string) = ctx.string(key)? {
        registers.merge(check(string)?)?;
    }
    reply.array(registers.as_slice().len());
    registers.as_slice().iter().for_each(|register| reply.int(i64::from(*register)));
    Ok(())
}

/// PFSELFTEST: estimates of known cardinalities, in both representations, must stay within four standard errors.
pub fn pfselftest(
    ctx: &mut Context<'_>,
    _args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    const ELEMENTS: u64 = 200_000;
    const ERROR_MAX: f64 = 4.0 * 1.04 / 128.0;
    let seed = ctx.rng.u64(..);
    let mut adaptive = hyperloglog::new();
    let mut dense = hyperloglog::new();
    hyperloglog::to_dense(&mut dense)?;
    let mut checkpoint = 1000;
    for number in 1..=ELEMENTS {
        let element = (seed ^ number).to_le_bytes();
        hyperloglog::add(&mut adaptive, &element, ctx.settings.hll_sparse_bytes_max)?;
        hyperloglog::add_dense(&mut dense, &element);
        if number == checkpoint {
            checkpoint *= 10;
            let estimate = hyperloglog::count(&dense)?;
            let error = (estimate as f64 - number as f64).abs() / number as f64;
            if error > ERROR_MAX || hyperloglog::count(&adaptive)? != estimate {
                return Err(CommandError::HllSelfTest);
            }
        }
    }
    reply.ok();
    Ok(())
}
