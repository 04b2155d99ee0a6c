//! CLIENT and its subcommands: <https://redis.io/docs/latest/commands/client/>

use crate::client::{Client, Mail, flag};
use crate::dispatch::{ReplyMode, Scope, Session, Step};
use crate::ops::Outcome;
use redoubt_commands::spec::ServerOp;
use redoubt_commands::{Args, CommandError, Context, introspect, table};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The only user until there are ACL rules.
const USER: &[u8] = b"default";
const BAD_TIMEOUT: CommandError = CommandError::text("ERR timeout is not an integer or out of range");

const NO_PAUSE: CommandError =
    CommandError::text("ERR A Sentinel's clients are not paused: ask at the data port");

impl Session {
    pub(super) fn client_op(
        &mut self,
        ctx: &mut Context<'_>,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome {
        match op {
            ServerOp::ClientCapa => self.client_capa(args, scope),
            ServerOp::ClientId => self.reply(scope).int(self.client.id as i64),
            ServerOp::ClientInfo => {
                let line = describe(&self.client, ctx.now_ms()) + "\n";
                self.reply(scope).verbatim("txt", line.as_bytes());
            }
            ServerOp::ClientList => self.client_list(ctx, args, scope)?,
            ServerOp::ClientKill => return self.client_kill(ctx, args, scope),
            ServerOp::ClientGetname => self.client_getname(scope),
            ServerOp::ClientSetname => {
                self.set_name(args.get(2))?;
                self.reply(scope).ok();
            }
            ServerOp::ClientSetinfo => self.client_setinfo(args, scope)?,
            ServerOp::ClientNoEvict => self.client_flag(flag::NO_EVICT, args, scope)?,
            ServerOp::ClientNoTouch => {
                self.client_flag(flag::NO_TOUCH, args, scope)?;
                ctx.txn.clock.touch = !self.client.has(flag::NO_TOUCH);
            }
            ServerOp::ClientReply => self.client_reply(args, scope)?,
            ServerOp::ClientPause | ServerOp::ClientUnpause if self.is_sentinel => return Err(NO_PAUSE),
            ServerOp::ClientPause => self.client_pause(ctx, args, scope)?,
            ServerOp::ClientUnpause => {
                self.shared.pause.until_ms.store(0, Relaxed);
                self.shared.renew();
                self.wake_paused();
                self.reply(scope).ok();
            }
            ServerOp::ClientUnblock => self.client_unblock(args, scope)?,
            _ => introspect::help("client", &mut self.reply(scope)),
        }
        Ok(Step::Done)
    }

    /// What the client understands. What this server does not know is accepted, as in Valkey.
    fn client_capa(&self, args: &Args<'_>, scope: &mut Scope<'_>) {
        if args.rest(2).iter().any(|word| word.eq_ignore_ascii_case(b"redirect")) {
            self.client.set(flag::CAPA_REDIRECT, true);
        }
        self.reply(scope).ok();
    }

    fn client_getname(&self, scope: &mut Scope<'_>) {
        let name = self.client.name.lock();
        let mut reply = self.reply(scope);
        if name.is_empty() { reply.null() } else { reply.bulk(&name) }
    }

    fn client_list(
        &self,
        ctx: &Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let chosen = if args.len() == 2 {
            self.clients_where(|_| true)
        } else if args.len() == 4 && args.is(2, "TYPE") {
            let class = Class::parse(args.get(3))?;
            self.clients_where(|client| class.includes(client))
        } else if args.len() > 3 && args.is(2, "ID") {
            let id = |at: usize| args.int(at).map_err(|_| CommandError::text("ERR Invalid client ID"));
            let ids: Vec<i64> = (3..args.len()).map(id).collect::<Result<_, _>>()?;
            ids.iter().filter_map(|id| self.fellow(*id)).collect()
        } else {
            return Err(CommandError::Syntax);
        };
        let mut text = String::new();
        for client in chosen {
            text.push_str(&describe(&client, ctx.now_ms()));
            text.push('\n');
        }
        self.reply(scope).verbatim("txt", text.as_bytes());
        Ok(())
    }

    /// Whether the other is a client of what this one is a client of: the server, or its Sentinel.
    fn is_fellow(&self, other: &Client) -> bool {
        self.is_sentinel == other.has(flag::SENTINEL)
    }

    /// The client of this number.
    fn fellow(&self, id: i64) -> Option<Arc<Client>> {
        let client = self.shared.clients.get(&(id as u64)).map(|entry| Arc::clone(entry.value()));
        client.filter(|client| self.is_fellow(client))
    }

    /// Clients that `fits` says yes to, by id.
    fn clients_where(&self, fits: impl Fn(&Client) -> bool) -> Vec<Arc<Client>> {
        let all = self.shared.clients.iter().filter(|entry| self.is_fellow(entry.value()));
        let mut chosen: Vec<Arc<Client>> =
            all.filter(|entry| fits(entry.value())).map(|entry| Arc::clone(entry.value())).collect();
        chosen.sort_unstable_by_key(|client| client.id);
        chosen
    }

    fn client_kill(&self, ctx: &Context<'_>, args: &Args<'_>, scope: &mut Scope<'_>) -> Outcome {
        let old_form = args.len() == 3;
        let filter = if old_form { KillFilter::at_address(args.get(2)) } else { KillFilter::parse(args)? };
        let own = self.client.id;
        let now = ctx.now_ms();
        let victims =
            self.clients_where(|client| filter.fits(client, now) && !(filter.skip_me && client.id == own));
        let mut step = Step::Done;
        for client in &victims {
            if client.id == own {
                step = Step::Close;
            } else {
                self.shared.kill(client);
            }
        }
        match (old_form, victims.len()) {
            (true, 0) => return Err(CommandError::text("ERR No such client")),
            (true, _) => self.reply(scope).ok(),
            (false, count) => self.reply(scope).int(count as i64),
        }
        Ok(step)
    }

    fn client_setinfo(&self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        let (option, value) = (args.get(2), args.get(3));
        let place = if args.is(2, "LIB-NAME") {
            &self.client.lib_name
        } else if args.is(2, "LIB-VER") {
            &self.client.lib_version
        } else {
            let option = String::from_utf8_lossy(option);
            return Err(CommandError::owned(format!("ERR Unrecognized option '{option}'")));
        };
        if !value.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
            let option = String::from_utf8_lossy(option);
            return Err(CommandError::owned(format!(
                "ERR {option} cannot contain spaces, newlines or special characters."
            )));
        }
        *place.lock() = value.to_vec();
        self.reply(scope).ok();
        Ok(())
    }

    fn client_flag(&self, flag: u32, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        self.client.set(flag, on_off(args.get(2))?);
        self.reply(scope).ok();
        Ok(())
    }

    /// The reply is written in any case: the mode decides afterwards whether it stays.
    fn client_reply(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if args.is(2, "SKIP") {
            if self.reply_mode != ReplyMode::Off {
                self.reply_mode = ReplyMode::SkipThis;
            }
        } else {
            self.reply_mode = if on_off(args.get(2))? { ReplyMode::On } else { ReplyMode::Off };
        }
        self.reply(scope).ok();
        Ok(())
    }

    /// A pause that is in force is only ever made longer and stricter.
    fn client_pause(
        &self,
        ctx: &Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let writes_only = match args.len() {
            3 => false,
            4 if args.is(3, "WRITE") => true,
            4 if args.is(3, "ALL") => false,
            4 => return Err(CommandError::text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
            _ => return Err(CommandError::Syntax),
        };
        let timeout = args.int(2).map_err(|_| BAD_TIMEOUT)?;
        if timeout < 0 {
            return Err(CommandError::NegativeTimeout);
        }
        let now = ctx.now_ms();
        let until = now.checked_add(timeout).ok_or(CommandError::text("ERR timeout is out of range"))?;
        let pause = &self.shared.pause;
        let before = pause.until_ms.load(Relaxed);
        let in_force = before > now;
        pause.writes_only.store(writes_only && (!in_force || pause.writes_only.load(Relaxed)), Relaxed);
        pause.until_ms.store(until.max(before), Relaxed);
        self.shared.renew();
        self.reply(scope).ok();
        Ok(())
    }

    /// Has every connection look again whether it may go on.
    fn wake_paused(&self) {
        self.shared.clients.iter().for_each(|client| client.mailbox.wake());
    }

    fn client_unblock(&self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        let with_error = match args.len() {
            3 => false,
            4 if args.is(3, "TIMEOUT") => false,
            4 if args.is(3, "ERROR") => true,
            4 => {
                return Err(CommandError::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
            }
            _ => return Err(CommandError::Syntax),
        };
        let id = args.int(2)?;
        let blocked = self.fellow(id).filter(|client| client.has(flag::BLOCKED));
        self.reply(scope).int(i64::from(blocked.is_some()));
        if let Some(client) = blocked {
            client.mailbox.post(Mail::Unblock { with_error });
        }
        Ok(())
    }
}

fn on_off(word: &[u8]) -> Result<bool, CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

/// What CLIENT LIST and KILL call a type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Normal,
    /// With subscriptions.
    Pubsub,
    /// Fed from here.
    Replica,
    /// The link to a primary.
    Primary,
}

impl Class {
    fn parse(word: &[u8]) -> Result<Class, CommandError> {
        match word.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Class::Normal),
            b"pubsub" => Ok(Class::Pubsub),
            b"replica" | b"slave" => Ok(Class::Replica),
            b"master" => Ok(Class::Primary),
            _ => {
                let word = String::from_utf8_lossy(word);
                Err(CommandError::owned(format!("ERR Unknown client type '{word}'")))
            }
        }
    }

    fn includes(self, client: &Client) -> bool {
        let class = if client.has(flag::PRIMARY) {
            Class::Primary
        } else if client.has(flag::REPLICA) {
            Class::Replica
        } else if client.has(flag::PUBSUB) {
            Class::Pubsub
        } else {
            Class::Normal
        };
        self == class
    }
}

/// Whom CLIENT KILL closes: all conditions must hold.
#[derive(Default)]
struct KillFilter<'a> {
    id: Option<u64>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    class: Option<Class>,
    max_age_seconds: Option<i64>,
    skip_me: bool,
}

impl<'a> KillFilter<'a> {
    /// The old form: by address, the own connection too.
    fn at_address(addr: &'a [u8]) -> KillFilter<'a> {
        KillFilter { addr: Some(addr), ..KillFilter::default() }
    }

    fn parse(args: &Args<'a>) -> Result<KillFilter<'a>, CommandError> {
        let mut filter = KillFilter { skip_me: true, ..KillFilter::default() };
        let mut cursor = args.cursor(2);
        while cursor.remaining() >= 2 {
            let (option, value) = (cursor.word()?, cursor.word()?);
            match option.to_ascii_lowercase().as_slice() {
                b"id" => filter.id = Some(positive_id(value)?),
                b"type" => filter.class = Some(Class::parse(value)?),
                b"addr" => filter.addr = Some(value),
                b"laddr" => filter.laddr = Some(value),
                b"user" if value != USER => {
                    let user = String::from_utf8_lossy(value);
                    return Err(CommandError::owned(format!("ERR No such user '{user}'")));
                }
                b"user" => {}
                b"skipme" => filter.skip_me = yes_no(value)?,
                b"maxage" => filter.max_age_seconds = Some(max_age(value)?),
                _ => return Err(CommandError::Syntax),
            }
        }
        if cursor.is_done() { Ok(filter) } else { Err(CommandError::Syntax) }
    }

    fn fits(&self, client: &Client, now_ms: i64) -> bool {
        self.id.is_none_or(|id| client.id == id)
            && self.addr.is_none_or(|addr| client.addr.as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| client.laddr.as_bytes() == laddr)
            && self.class.is_none_or(|class| class.includes(client))
            && self.max_age_seconds.is_none_or(|age| (now_ms - client.created_ms) / 1000 >= age)
    }
}

fn yes_no(word: &[u8]) -> Result<bool, CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

fn positive_id(word: &[u8]) -> Result<u64, CommandError> {
    match Args::new(&[word]).int(0) {
        Ok(id) if id > 0 => Ok(id as u64),
        _ => Err(CommandError::text("ERR client-id should be greater than 0")),
    }
}

fn max_age(word: &[u8]) -> Result<i64, CommandError> {
    let age = Args::new(&[word])
        .int(0)
        .map_err(|_| CommandError::text("ERR maxage is not an integer or out of range"))?;
    if age > 0 { Ok(age) } else { Err(CommandError::text("ERR maxage should be greater than 0")) }
}

/// Flags as CLIENT LIST prints them.
fn flags(client: &Client) -> String {
    const LETTERS: [(u32, char); 12] = [
        (flag::PRIMARY, 'M'),
        (flag::REPLICA, 'S'),
        (flag::MONITOR, 'O'),
        (flag::PUBSUB, 'P'),
        (flag::MULTI, 'x'),
        (flag::BLOCKED, 'b'),
        (flag::HELD, 'b'),
        (flag::DIRTY, 'd'),
        (flag::CLOSING, 'c'),
        (flag::UNIX, 'U'),
        (flag::NO_EVICT, 'e'),
        (flag::NO_TOUCH, 'T'),
    ];
    let letters: String =
        LETTERS.iter().filter(|(flag, _)| client.has(*flag)).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "N".to_owned() } else { letters }
}

/// A client's line in CLIENT LIST, without the line's end: <https://redis.io/docs/latest/commands/client-list/>
fn describe(client: &Client, now_ms: i64) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let command = match client.last_command.load(Relaxed) {
        0 => "NULL",
        id => table::table().by_id(id - 1).full_name,
    };
    let pending = client.output_bytes.load(Relaxed) + client.inbox.waiting_bytes();
    let [channels, patterns, shards] = &client.subscriptions;
    let mut line = String::with_capacity(400);
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} watch={}",
        client.id,
        client.addr,
        client.laddr,
        client.fd,
        text(&client.name.lock()),
        (now_ms - client.created_ms).max(0) / 1000,
        (now_ms - client.active_ms.load(Relaxed)).max(0) / 1000,
        flags(client),
        client.db.load(Relaxed),
        channels.load(Relaxed),
        patterns.load(Relaxed),
        shards.load(Relaxed),
        client.multi.load(Relaxed),
        client.watch.load(Relaxed),
    );
    let _ = write!(
        line,
        " qbuf={} qbuf-free={} argv-mem=0 multi-mem={} rbs={pending} rbp={pending} obl={pending} oll=0 omem={pending} tot-mem={} events={} cmd={command} user={} redir=-1 resp={} lib-name={} lib-ver={}",
        client.query_bytes.load(Relaxed),
        client.query_room.load(Relaxed),
        client.multi_memory.load(Relaxed),
        client.memory_bytes(),
        if pending > 0 { "rw" } else { "r" },
        if client.has(flag::PRIMARY) { "(superuser)" } else { "default" },
        client.resp.load(Relaxed),
        text(&client.lib_name.lock()),
        text(&client.lib_version.lock()),
    );
    let _ = write!(
        line,
        " tot-net-in={} tot-net-out={} tot-cmds={}",
        client.net_in.load(Relaxed),
        client.net_out.load(Relaxed),
        client.commands.load(Relaxed),
    );
    line
}
