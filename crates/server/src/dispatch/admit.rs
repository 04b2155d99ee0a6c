//! Whether a command may run now: checks in Redis's order, each small and named.

use crate::client::flag;
use crate::dispatch::transaction::Multi;
use crate::dispatch::{Scope, Session};
use crate::replication::gate;
use redoubt_commands::spec::{Flags, PubsubOp, Run, ServerOp, internal};
use redoubt_commands::table::Command;
use redoubt_commands::{Args, CommandError, Context};
use std::sync::atomic::Ordering::Relaxed;

/// What to do with an admitted command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Run,
    /// Into the open MULTI.
    Queue,
    /// Not before the pause is over.
    Wait,
    /// The primary has to run it.
    Elsewhere,
}

const NOAUTH: CommandError = CommandError::text("NOAUTH Authentication required.");
const OOM: CommandError = CommandError::text("OOM command not allowed when used memory > 'maxmemory'.");
pub(crate) const LOADING: CommandError = CommandError::text("LOADING Redis is loading the dataset in memory");
const READ_ONLY: CommandError = CommandError::text("READONLY You can't write against a read only replica.");
const NO_REPLICAS: CommandError = CommandError::text("NOREPLICAS Not enough good replicas to write.");
const NO_MULTI: CommandError = CommandError::text("ERR Command not allowed inside a transaction");

impl Session {
    #[inline]
    pub(super) fn admit(
        &mut self,
        ctx: &mut Context<'_>,
        command: &'static Command,
        args: &Args<'_>,
        scope: &Scope<'_>,
    ) -> Result<Admission, CommandError> {
        if self.applies.is_some() {
            return self.admit_applied(command, args);
        }
        let flags = command.spec.flags;
        if !self.is_authenticated() && !flags.has(Flags::NO_AUTH) {
            return Err(NOAUTH);
        }
        if self.is_sentinel {
            return self.admit_sentinel(command);
        }
        if self.multi.is_some() && flags.has(Flags::NO_MULTI) {
            return Err(NO_MULTI);
        }
        if let Some(admission) = self.admit_away(command, scope)? {
            return Ok(admission);
        }
        if self.shared.memory.limit.load(Relaxed) != 0 {
            self.admit_memory(ctx, command, scope)?;
        }
        if self.shared.refusal.is_on() {
            self.admit_while_refusing(command)?;
        }
        let gate = self.shared.replication.gate();
        if gate != 0 {
            self.admit_gated(ctx, command, gate)?;
            if gate & gate::HA != 0 && self.waits_for_handover(command)? {
                return Ok(Admission::Wait);
            }
        }
        if self.restricted {
            self.admit_restricted(command)?;
        }
        if self.shared.loading.is_on() && self.needs_load(command) {
            return Err(LOADING);
        }
        if self.shared.pause.until_ms.load(Relaxed) != 0 && self.is_paused(command) {
            return Ok(Admission::Wait);
        }
        let queues = self.multi.is_some() && !controls_transaction(command, args);
        Ok(if queues { Admission::Queue } else { Admission::Run })
    }

    /// What state the data are in is nothing to a Sentinel.
    #[cold]
    fn admit_sentinel(&self, command: &Command) -> Result<Admission, CommandError> {
        if self.restricted {
            self.admit_restricted(command)?;
        }
        Ok(Admission::Run)
    }

    /// Whether it writes keys: a transaction does if one of its commands does.
    pub(crate) fn changes_keys(&self, command: &Command) -> bool {
        command.spec.is_write() || self.executes(command, |multi| multi.changes)
    }

    /// What a replica, or a primary with too few of them, refuses.
    #[cold]
    fn admit_gated(&self, ctx: &mut Context<'_>, command: &Command, gate: u32) -> Result<(), CommandError> {
        let writes = self.changes_keys(command);
        if gate & gate::FEW_REPLICAS != 0 && writes {
            return Err(NO_REPLICAS);
        }
        if gate & gate::READ_ONLY != 0 && writes {
            return Err(READ_ONLY);
        }
        if gate & gate::OWN_WRITES != 0 {
            // As in Redis: what a write finds expired goes, whoever wrote it.
            ctx.txn.keep_expired = !writes || self.shared.pause.is_on();
        }
        if gate & gate::STALE != 0
            && (!runs_stale(command) || self.executes(command, |multi| multi.needs_link))
        {
            return Err(CommandError::text(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            ));
        }
        if gate & gate::LOADING != 0 && self.needs_load(command) {
            return Err(LOADING);
        }
        Ok(())
    }

    /// Whether the command is EXEC, and something is queued of which this is true.
    fn executes(&self, command: &Command, queued: impl FnOnce(&Multi) -> bool) -> bool {
        matches!(command.spec.run, Run::Server(ServerOp::Exec)) && self.multi.as_ref().is_some_and(queued)
    }

    /// Whether it, or something that it executes, needs the data to be loaded.
    fn needs_load(&self, command: &Command) -> bool {
        !runs_while_loading(command) || self.executes(command, |multi| multi.needs_load)
    }

    /// Whether it may write, or is EXEC and something queued may.
    fn may_write_now(&self, command: &Command) -> bool {
        Session::may_write(command) || self.executes(command, |multi| multi.writes)
    }

    /// Whether a write has to wait for the end of a handover. On a primary with too few copies it is refused.
    #[cold]
    fn waits_for_handover(&mut self, command: &Command) -> Result<bool, CommandError> {
        let Some(ha) = &self.shared.ha else { return Ok(false) };
        let writes = self.may_write_now(command);
        let changes = self.changes_keys(command);
        if !ha.gate.is_serving() {
            let touches = writes
                || command.spec.flags.has(Flags::READONLY)
                || self.executes(command, |multi| multi.reads);
            // Whoever has just been fenced executes nothing, whatever replication knows of that yet.
            return match ha.view().role {
                _ if !touches => Ok(false),
                // Messages of its clients are for its own subscribers, as on a replica of Redis.
                crate::ha::Role::Replica { .. } if !changes => Ok(false),
                crate::ha::Role::Replica { .. } => Err(READ_ONLY),
                _ => Err(CommandError::text(
                    "CLUSTERDOWN This node does not serve: the deployment has no primary yet",
                )),
            };
        }
        if !writes {
            return Ok(false);
        }
        if changes && ha.gate.refuses_writes() {
            return Err(NO_REPLICAS);
        }
        self.held = ha.gate.holds_writes();
        Ok(self.held)
    }

    /// Commands of a stream were admitted where they first ran.
    #[cold]
    fn admit_applied(&self, command: &Command, args: &Args<'_>) -> Result<Admission, CommandError> {
        match &self.multi {
            Some(_) if command.spec.flags.has(Flags::NO_MULTI) => Err(NO_MULTI),
            Some(_) if !controls_transaction(command, args) => Ok(Admission::Queue),
            _ => Ok(Admission::Run),
        }
    }

    /// While the disk does not take what is written: no writes. PING is refused too, as in Redis, for whoever asks by it
    /// whether all is well.
    #[cold]
    fn admit_while_refusing(&self, command: &Command) -> Result<(), CommandError> {
        let writes = match command.spec.run {
            Run::Server(ServerOp::Exec) => self.executes(command, |multi| multi.writes),
            Run::Server(ServerOp::Ping) => true,
            _ => command.spec.flags.has(Flags::WRITE),
        };
        match self.shared.refusal.error() {
            Some(error) if writes => Err(error),
            _ => Ok(()),
        }
    }

    /// A connection with subscriptions may do little else, unless pushes can be told from replies; one that monitors
    /// must not touch keys.
    #[cold]
    fn admit_restricted(&self, command: &Command) -> Result<(), CommandError> {
        use PubsubOp::{Psubscribe, Punsubscribe, Ssubscribe, Subscribe, Sunsubscribe, Unsubscribe};
        use ServerOp::{Ping, Pubsub, Quit, Reset};
        let listening = match command.spec.run {
            Run::Server(Ping | Quit | Reset) => true,
            Run::Server(Pubsub(op)) => {
                matches!(op, Psubscribe | Punsubscribe | Ssubscribe | Subscribe | Sunsubscribe | Unsubscribe)
            }
            _ => false,
        };
        if self.subscriptions.is_some() && !self.resp3 && !listening {
            return Err(CommandError::owned(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                command.full_name
            )));
        }
        let touches = Flags::WRITE.with(Flags::READONLY).with(internal::MAY_REPLICATE);
        if (self.client.has(flag::MONITOR) || self.is_replica()) && command.spec.flags.any(touches) {
            return Err(CommandError::text("ERR Replica can't interact with the keyspace"));
        }
        Ok(())
    }

    /// Over `maxmemory`: evict, and refuse what needs memory if that was not enough.
    fn admit_memory(
        &mut self,
        ctx: &mut Context<'_>,
        command: &'static Command,
        scope: &Scope<'_>,
    ) -> Result<(), CommandError> {
        let memory = &self.shared.memory;
        memory.report();
        if !memory.is_over() {
            memory.note_exceeded(false);
            return Ok(());
        }
        // While clients are paused the data stays as it is, whatever the limit says.
        if self.shared.pause.is_on() {
            return Ok(());
        }
        // A replica has what its primary has.
        if self.shared.replication.follows() && scope.values.replication.replica_ignore_maxmemory {
            return Ok(());
        }
        ctx.txn.release();
        crate::eviction::make_room(&self.shared, &mut ctx.txn, scope.values, scope.worker);
        let is_over = self.shared.memory.is_over();
        self.shared.memory.note_exceeded(is_over);
        let needs =
            command.spec.flags.has(Flags::DENYOOM) || self.executes(command, |multi| multi.needs_memory);
        if needs && is_over { Err(OOM) } else { Ok(()) }
    }

    /// Whether CLIENT PAUSE holds this command back; remembers until when.
    fn is_paused(&mut self, command: &Command) -> bool {
        let pause = &self.shared.pause;
        if !pause.is_on() {
            return false;
        }
        let until = pause.until_ms.load(Relaxed);
        let writes = self.may_write_now(command);
        // A pause of everything holds CLIENT UNPAUSE back too, as in Redis.
        let waits = !pause.writes_only.load(Relaxed) || writes;
        if waits {
            self.pause(Some(until));
            self.client.last_command.store(command.id + 1, Relaxed);
        }
        waits
    }
}

/// Whether it runs while data are being loaded.
pub(super) fn runs_while_loading(command: &Command) -> bool {
    command.spec.flags.any(Flags::LOADING.with(internal::ONLY_SENTINEL))
}

/// Whether it runs on a replica whose data are stale and not to be served.
pub(super) fn runs_stale(command: &Command) -> bool {
    command.spec.flags.any(Flags::STALE.with(internal::ONLY_SENTINEL))
}

/// Commands that act at once although a MULTI is open.
fn controls_transaction(command: &Command, _args: &Args<'_>) -> bool {
    use ServerOp::{Discard, Exec, Multi, Quit, Reset, Watch};
    matches!(command.spec.run, Run::Server(Multi | Exec | Discard | Watch | Quit | Reset))
}
