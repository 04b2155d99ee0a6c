//! The part of DEBUG that tests use, and LOLWUT.
//!
//! Subcommands and replies: the output of `DEBUG HELP` of redis-server.

use crate::config::Allow;
use crate::digest::Digest;
use crate::dispatch::{Scope, Session, Step};
use crate::load::{self, Reload};
use crate::ops::Outcome;
use crate::version::REDIS_VERSION;
use redoubt_commands::{Args, CommandError, Context};
use redoubt_resp::Reply;
use redoubt_store::{Expiry, Str, ValueRef};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const REFUSED: CommandError = CommandError::text(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local \
     connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);
const NOT_IN_TRANSACTION: CommandError =
    CommandError::text("ERR DEBUG RELOAD and DEBUG LOADAOF are not possible inside a transaction");
const RELOAD_OPTIONS: CommandError =
    CommandError::text("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");

const HELP: &[&str] = &[
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DIGEST",
    "    Answers a digest of the whole data set; equal data has equal digests.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Answers a digest of each value.",
    "ERROR <text>",
    "    Answers with this text as an error.",
    "LOADAOF",
    "    Writes what the append-only file lacks, removes all data, and loads the append-only file.",
    "LOG <message>",
    "    Writes the message to the log.",
    "OBJECT <key>",
    "    Shows how the value of the key is held.",
    "PANIC",
    "    Ends the process as a fatal mistake would.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Creates <count> strings named <prefix>:<number>, unless they exist.",
    "PROTOCOL <type>",
    "    Answers with a value of the type: string, integer, double, bignum, null, array, set, map, attrib, push,",
    "    verbatim, true, false.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Accepted for tests written for Redis; without effect.",
    "RELOAD [option ...]",
    "    Saves, removes all data, and loads what was saved. Options:",
    "    MERGE: keys of the file replace those that are there.",
    "    NOFLUSH: what is there is not removed; without MERGE no key may be in both.",
    "    NOSAVE: loads the file as it is.",
    "SEGFAULT",
    "    Ends the process as a fatal mistake would.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Turns the search for expired keys in the background off and on.",
    "SLEEP <seconds>",
    "    Keeps all data locked for this time. Decimals are allowed.",
    "HELP",
    "    Print this help.",
];

impl Session {
    pub(super) fn debug(&mut self, ctx: &mut Context<'_>, args: &Args<'_>, scope: &mut Scope<'_>) -> Outcome {
        let allowed = match scope.values.enable_debug_command {
            Allow::Yes => true,
            Allow::Local => self.is_local(),
            Allow::No => false,
        };
        if !allowed {
            return Err(REFUSED);
        }
        if let Some(step) = self.debug_errand(ctx, args, scope)? {
            return Ok(step);
        }
        // Inside a transaction everything is held already.
        if ctx.txn.held().is_empty() {
            ctx.txn.acquire(self.shared.keyspace.all_partitions());
        }
        let in_transaction = !ctx.may_block;
        let outcome = self.debug_subcommand(ctx, args, scope);
        if !in_transaction {
            ctx.txn.release();
        }
        outcome.map(|()| Step::Done)
    }

    /// What another thread does while the client waits; `None` for everything else.
    fn debug_errand(
        &mut self,
        ctx: &Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<Option<Step>, CommandError> {
        if let Some(outcome) = self.errand_done() {
            outcome?;
            self.reply(scope).ok();
            return Ok(Some(Step::Done));
        }
        let word = args.get(1).to_ascii_lowercase();
        let how = match (word.as_slice(), args.len()) {
            (b"reload", _) => Some(reload_options(args.rest(2))?),
            (b"loadaof", 2) => None,
            _ => return Ok(None),
        };
        if !ctx.may_block {
            return Err(NOT_IN_TRANSACTION);
        }
        let shared = Arc::clone(&self.shared);
        Ok(Some(self.wait_for("debug", move || match how {
            Some(how) => load::reload(&shared, how),
            None => load::load_append_only(&shared),
        })))
    }

    fn debug_subcommand(
        &mut self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let word = args.get(1).to_ascii_lowercase();
        match (word.as_slice(), args.len()) {
            (b"help", 2) => help(&mut self.reply(scope)),
            (b"digest", 2) => self.debug_digest(ctx, scope),
            (b"digest-value", 2..) => self.debug_digest_value(ctx, args, scope),
            (b"error", 3) => self.reply(scope).error(&String::from_utf8_lossy(args.get(2))),
            (b"log", 3) => {
                tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.get(2)));
                self.reply(scope).ok();
            }
            (b"object", 3..) => self.debug_object(ctx, args, scope)?,
            (b"panic" | b"segfault", 2) => {
                tracing::error!("a client asked for a crash with DEBUG");
                std::process::abort();
            }
            (b"populate", 3..=5) => self.debug_populate(ctx, args, scope)?,
            (b"protocol", 3) => protocol(args.get(2), &mut self.reply(scope))?,
            (b"quicklist-packed-threshold", 3) => self.reply(scope).ok(),
            (b"set-active-expire", 3) => {
                // Anything that is not a number counts as 0, as atoi() in Redis reads it.
                self.shared.active_expire.store(args.int(2).is_ok_and(|on| on != 0), Relaxed);
                self.reply(scope).ok();
            }
            (b"sleep", 3) => {
                std::thread::sleep(seconds(args.get(2)));
                self.reply(scope).ok();
            }
            _ => {
                let word = String::from_utf8_lossy(args.get(1));
                return Err(CommandError::owned(format!(
                    "ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."
                )));
            }
        }
        Ok(())
    }

    fn debug_digest(&self, ctx: &mut Context<'_>, scope: &mut Scope<'_>) {
        let before = ctx.txn.db();
        let mut sum = Digest::default();
        for db in 0..self.shared.keyspace.databases() {
            ctx.txn.set_db(db);
            ctx.txn.for_each(|key, value, expire| sum.add_key(db, key, value, expire.is_some()));
        }
        ctx.txn.set_db(before);
        self.reply(scope).simple(&sum.hex());
    }

    fn debug_digest_value(&self, ctx: &mut Context<'_>, args: &Args<'_>, scope: &mut Scope<'_>) {
        let mut reply = self.reply(scope);
        reply.array(args.len() - 2);
        for key in args.rest(2) {
            let key = ctx.key(key);
            let digest = ctx.txn.peek(&key).map_or(Digest::default(), Digest::of_value);
            reply.simple(&digest.hex());
        }
    }

    fn debug_object(
        &self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let key = ctx.key(args.get(2));
        let address = ctx.txn.peek(&key).map(address).ok_or(CommandError::NoSuchKey)?;
        let encoding = ctx.txn.encoding(&key).unwrap_or_default();
        let bytes = ctx.txn.memory_usage(&key).unwrap_or_default();
        let idle = ctx.txn.access_of(&key).map_or(0, |access| access.idle_seconds);
        let lru = (ctx.now_ms() / 1000 - i64::from(idle)) & 0xff_ffff;
        self.reply(scope).simple(&format!(
            "Value at:0x{address:x} refcount:1 encoding:{encoding} serializedlength:{bytes} lru:{lru} lru_seconds_idle:{idle}"
        ));
        Ok(())
    }

    fn debug_populate(
        &self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let not_negative = |at: usize| usize::try_from(args.int(at)?).map_err(|_| CommandError::NotPositive);
        let count = not_negative(2)?;
        let prefix = if args.len() > 3 { args.get(3) } else { b"key" };
        let size = if args.len() > 4 { Some(not_negative(4)?) } else { None };
        if size.unwrap_or(0) > ctx.settings.bulk_len_max {
            return Err(CommandError::text("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
        }
        for number in 0..count {
            let name = [prefix, format!(":{number}").as_bytes()].concat();
            let key = ctx.key(&name);
            if ctx.txn.contains(&key) {
                continue;
            }
            let mut value = format!("value:{number}").into_bytes();
            if let Some(size) = size {
                value.resize(size, 0);
            }
            ctx.txn.set_string(&key, &value, Expiry::Clear);
        }
        self.reply(scope).ok();
        Ok(())
    }

    pub(super) fn lolwut(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if args.len() >= 3 && args.is(1, "VERSION") {
            args.int(2)?;
        }
        let text = format!("{}\nRedis ver. {REDIS_VERSION}\n", ramparts(&mut fastrand::Rng::new()));
        self.reply(scope).verbatim("txt", text.as_bytes());
        Ok(())
    }
}

fn reload_options(words: &[&[u8]]) -> Result<Reload, CommandError> {
    let mut how = Reload { save: true, flush: true, merge: false };
    for word in words {
        match word.to_ascii_lowercase().as_slice() {
            b"merge" => how.merge = true,
            b"noflush" => how.flush = false,
            b"nosave" => how.save = false,
            _ => return Err(RELOAD_OPTIONS),
        }
    }
    Ok(how)
}

fn help(reply: &mut Reply<'_>) {
    reply.array(HELP.len());
    HELP.iter().for_each(|line| reply.simple(line));
}

/// Where the value, or its larger part, stands in memory.
fn address(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Str(Str::Int(_)) => 0,
        ValueRef::Str(Str::Bytes(bytes)) => bytes.as_ptr() as usize,
        ValueRef::List(value) => std::ptr::from_ref(value) as usize,
        ValueRef::Hash(value) => std::ptr::from_ref(value) as usize,
        ValueRef::Set(value) => std::ptr::from_ref(value) as usize,
        ValueRef::SortedSet(value) => std::ptr::from_ref(value) as usize,
        ValueRef::Stream(value) => std::ptr::from_ref(value) as usize,
    }
}

/// Seconds with decimals; what is not a number is 0, as strtod() in Redis reads it. At most an hour.
fn seconds(word: &[u8]) -> Duration {
    let seconds = Args::new(&[word]).double(0).unwrap_or(0.0);
    Duration::from_secs_f64(if seconds > 0.0 { seconds.min(3600.0) } else { 0.0 })
}

#[expect(clippy::approx_constant, reason = "the number Redis answers, which is not pi")]
fn protocol(kind: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let resp3 = reply.is_resp3();
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        b"double" => reply.double(3.141),
        b"bignum" if resp3 => reply.raw(b"(1234567999999999999999999999999999999\r\n"),
        b"bignum" => reply.bulk(b"1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|n| reply.int(n));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|n| reply.int(n));
        }
        b"map" => {
            reply.map(3);
            for n in 0..3 {
                reply.int(n);
                reply.boolean(n == 1);
            }
        }
        b"attrib" => {
            if resp3 {
                reply.raw(b"|1\r\n");
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if !resp3 => {
            return Err(CommandError::text("ERR RESP2 is not supported by this command"));
        }
        b"push" => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
        }
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => {
            return Err(CommandError::text(
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

/// A wall with towers of random height.
fn ramparts(rng: &mut fastrand::Rng) -> String {
    const TOWERS: usize = 9;
    const ROWS: usize = 6;
    let heights: [usize; TOWERS] = std::array::from_fn(|_| rng.usize(2..=ROWS));
    let mut art = String::new();
    for row in (0..=ROWS).rev() {
        for height in heights {
            art.push_str(match row {
                0 => "#######",
                _ if row == height => "#_#_#  ",
                1 if row < height => "|   |##",
                _ if row < height => "|   |  ",
                _ => "       ",
            });
        }
        art.truncate(art.trim_end_matches(' ').len());
        art.push('\n');
    }
    art
}
