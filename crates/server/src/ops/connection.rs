//! PING, ECHO, SELECT, AUTH, HELLO, QUIT, RESET, UNWATCH, READONLY, READWRITE.

use crate::dispatch::{Scope, Session, Step};
use crate::ops::Outcome;
use crate::replication::Told;
use crate::version::REDIS_VERSION;
use redoubt_commands::{Args, CommandError, Context};

const WRONGPASS: CommandError =
    CommandError::text("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PASSWORD: CommandError = CommandError::text(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
);

/// Compares in a time that tells nothing about where the texts differ.
fn same_secret(given: &[u8], secret: &[u8]) -> bool {
    let length = given.len() ^ secret.len();
    let differing = given.iter().enumerate().fold(0u8, |differing, (at, byte)| {
        differing | (byte ^ secret.get(at % secret.len().max(1)).copied().unwrap_or(0))
    });
    length == 0 && differing == 0
}

impl Session {
    pub(super) fn ping(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if self.applies.is_some() && args.len() == 2 {
            self.note_record(args.get(1));
        }
        match args.len() {
            // A RESP2 client with subscriptions must be able to tell the answer from a message.
            1 | 2 if self.subscriptions.is_some() && !self.resp3 => {
                let mut reply = self.reply(scope);
                reply.array(2);
                reply.bulk(b"pong");
                reply.bulk(if args.len() == 2 { args.get(1) } else { b"" });
            }
            1 => self.reply(scope).simple("PONG"),
            2 => self.reply(scope).bulk(args.get(1)),
            _ => return Err(CommandError::WrongArity("ping".into())),
        }
        Ok(())
    }

    pub(super) fn echo(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        self.reply(scope).bulk(args.get(1));
        Ok(())
    }

    pub(super) fn select_db(
        &mut self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let db = args.int(1)?;
        let exists = usize::try_from(db).is_ok_and(|db| db < self.shared.keyspace.databases());
        if !exists {
            return Err(CommandError::text("ERR DB index is out of range"));
        }
        self.select(db as usize);
        ctx.txn.set_db(self.db);
        self.reply(scope).ok();
        Ok(())
    }

    pub(super) fn unwatch(&mut self, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        // Inside EXEC the watches are gone already.
        self.unwatch_all();
        self.reply(scope).ok();
        Ok(())
    }

    pub(super) fn auth(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        let (user, password) = match args.len() {
            2 if scope.values.requirepass.is_empty() => return Err(NO_PASSWORD),
            2 => (&b"default"[..], args.get(1)),
            3 => (args.get(1), args.get(2)),
            _ => return Err(CommandError::Syntax),
        };
        self.log_in(user, password, scope)?;
        self.reply(scope).ok();
        Ok(())
    }

    fn log_in(&mut self, user: &[u8], password: &[u8], scope: &Scope<'_>) -> Result<(), CommandError> {
        let secret = scope.values.requirepass.as_bytes();
        if user != b"default" || !(secret.is_empty() || same_secret(password, secret)) {
            return Err(WRONGPASS);
        }
        self.set_authenticated(true);
        if self.shared.ha.is_some() {
            self.away.credentials = Some((user.to_vec(), password.to_vec()));
        }
        Ok(())
    }

    pub(super) fn hello(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        let mut cursor = args.cursor(1);
        let mut version = if self.resp3 { 3 } else { 2 };
        if !cursor.is_done() {
            version = cursor
                .int()
                .map_err(|_| CommandError::text("ERR Protocol version is not an integer or out of range"))?;
            if !(2..=3).contains(&version) {
                return Err(CommandError::text("NOPROTO unsupported protocol version"));
            }
        }
        let mut credentials = None;
        let mut name = None;
        while let Some(word) = cursor.peek() {
            if cursor.remaining() >= 3 && cursor.token("AUTH") {
                credentials = Some((cursor.word()?, cursor.word()?));
            } else if cursor.remaining() >= 2 && cursor.token("SETNAME") {
                name = Some(cursor.word()?);
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(CommandError::owned(format!("ERR Syntax error in HELLO option '{word}'")));
            }
        }
        if let Some((user, password)) = credentials {
            self.log_in(user, password, scope)?;
        }
        if !self.is_authenticated() {
            return Err(CommandError::text(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
                 <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
                 the same time",
            ));
        }
        if let Some(name) = name {
            self.set_name(name)?;
        }
        self.set_resp3(version == 3, scope.output);
        self.greet(scope);
        Ok(())
    }

    fn greet(&self, scope: &mut Scope<'_>) {
        let id = self.client.id as i64;
        let (resp3, sentinel) = (self.resp3, self.is_sentinel);
        let role = if Told::of(&self.shared) == Told::Primary { "master" } else { "replica" };
        let mut reply = self.reply(scope);
        reply.map(if sentinel { 7 } else { 8 });
        reply.bulk(b"server");
        reply.bulk(b"redis");
        reply.bulk(b"version");
        reply.bulk(REDIS_VERSION.as_bytes());
        reply.bulk(b"proto");
        reply.int(if resp3 { 3 } else { 2 });
        reply.bulk(b"id");
        reply.int(id);
        reply.bulk(b"mode");
        reply.bulk(if sentinel { b"sentinel" } else { b"standalone" });
        if !sentinel {
            reply.bulk(b"role");
            reply.bulk(role.as_bytes());
        }
        reply.bulk(b"modules");
        reply.array(0);
        reply.bulk(b"server_name");
        reply.bulk(b"redoubt");
    }

    /// CLIENT SETNAME: printable ASCII without blanks; empty takes the name away.
    pub(crate) fn set_name(&mut self, name: &[u8]) -> Result<(), CommandError> {
        if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
            return Err(CommandError::text(
                "ERR Client names cannot contain spaces, newlines or special characters.",
            ));
        }
        *self.client.name.lock() = name.to_vec();
        Ok(())
    }

    /// READONLY and READWRITE: whether reads are answered by this node although it is not the primary.
    pub(super) fn read_here(&mut self, on: bool, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if self.shared.ha.is_none() {
            return Err(CommandError::text("ERR This instance has cluster support disabled"));
        }
        self.away.reads_here = on;
        self.reply(scope).ok();
        Ok(())
    }

    pub(super) fn quit(&mut self, scope: &mut Scope<'_>) -> Outcome {
        self.reply(scope).ok();
        Ok(Step::Close)
    }

    pub(super) fn reset_connection(
        &mut self,
        ctx: &mut Context<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        self.reset(scope.output);
        ctx.txn.set_db(0);
        ctx.txn.clock.touch = true;
        self.reply(scope).simple("RESET");
        Ok(())
    }
}
