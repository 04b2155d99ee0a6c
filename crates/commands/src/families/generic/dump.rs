//! DUMP and RESTORE: a value as bytes.

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_persistence::{ErrorKind, rdb};
use redoubt_resp::Reply;
use redoubt_store::{Class, Key};

/// DUMP key: its value as RESTORE takes it, null without key. <https://redis.io/docs/latest/commands/dump/>
pub fn dump(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = ctx.key(args.get(1));
    match ctx.txn.get(&key) {
        None => reply.null(),
        Some(value) => {
            let payload = rdb::dump(value).map_err(|error| CommandError::owned(format!("ERR {error}")))?;
            reply.bulk(&payload);
        }
    }
    Ok(())
}

/// Options of RESTORE.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut cursor = args.cursor(4);
        while !cursor.is_done() {
            // Each excludes the other, and both want a number.
            let valued = cursor.remaining() > 1;
            if cursor.token("REPLACE") {
                options.replace = true;
            } else if cursor.token("ABSTTL") {
                options.absolute = true;
            } else if valued && options.frequency.is_none() && cursor.token("IDLETIME") {
                let text = "ERR Invalid IDLETIME value, must be >= 0";
                let seconds = u64::try_from(cursor.int()?).map_err(|_| CommandError::text(text))?;
                options.idle_seconds = Some(seconds);
            } else if valued && options.idle_seconds.is_none() && cursor.token("FREQ") {
                let text = "ERR Invalid FREQ value, must be >= 0 and <= 255";
                let frequency = u8::try_from(cursor.int()?).map_err(|_| CommandError::text(text))?;
                options.frequency = Some(frequency);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency].
/// <https://redis.io/docs/latest/commands/restore/>
pub fn restore(ctx: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args)?;
    let key = ctx.key(args.get(1));
    if !options.replace && ctx.txn.contains(&key) {
        return Err(CommandError::text("BUSYKEY Target key name already exists."));
    }
    let ttl = args.int(2)?;
    if ttl < 0 {
        return Err(CommandError::text("ERR Invalid TTL value, must be >= 0"));
    }
    let restored = rdb::restore(args.get(3), &ctx.settings.encoding);
    let value = restored.map_err(|error| {
        CommandError::text(match error.kind {
            // What is inside has its own errors, and an end that comes early among them.
            ErrorKind::Version(_) | ErrorKind::Checksum { .. } | ErrorKind::Frame => {
                "ERR DUMP payload version or checksum are wrong"
            }
            _ => "ERR Bad data format",
        })
    })?;
    let expire_ms = match (ttl, options.absolute) {
        (0, _) => None,
        (at, true) => Some(at),
        (ttl, false) => Some(ttl.saturating_add(ctx.now_ms())),
    };
    if expire_ms.is_some_and(|at| at <= ctx.judged_ms()) {
        forget(ctx, &key);
    } else {
        ctx.txn.unlink_key(&key);
        ctx.txn.insert(&key, value, expire_ms);
        ctx.txn.set_access(&key, options.idle_seconds, options.frequency);
        log(ctx, args, expire_ms, &options);
        ctx.txn.changed(&key, Class::Generic, "restore");
    }
    reply.ok();
    Ok(())
}

/// What is restored has expired already: what it would have replaced goes.
fn forget(ctx: &mut Context<'_>, key: &Key<'_>) {
    if ctx.txn.unlink_key(key) {
        ctx.txn.effect(&[b"DEL", key.bytes]);
        ctx.txn.changed(key, Class::Generic, "del");
    }
}

/// The call with an absolute expiry.
fn log(ctx: &mut Context<'_>, args: &Args<'_>, expire_ms: Option<i64>, options: &Options) {
    let (mut at, mut number) = (itoa::Buffer::new(), itoa::Buffer::new());
    let at = at.format(expire_ms.unwrap_or(0)).as_bytes();
    let mut words = vec![&b"RESTORE"[..], args.get(1), at, args.get(3), b"REPLACE", b"ABSTTL"];
    if let Some(seconds) = options.idle_seconds {
        words.extend([&b"IDLETIME"[..], number.format(seconds).as_bytes()]);
    } else if let Some(frequency) = options.frequency {
        words.extend([&b"FREQ"[..], number.format(frequency).as_bytes()]);
    }
    ctx.txn.effect(&words);
}
