//! Commands that a node which is not the serving primary must not answer by itself.

use super::NOT_PRIMARY;
use crate::client::flag;
use crate::config::{Routing, join_host_port};
use crate::dispatch::{Admission, Multi, Scope, Session};
use crate::ha::Route;
use crate::shared::unix_ms;
use redoubt_commands::CommandError;
use redoubt_commands::spec::{Categories, Flags, Run, ServerOp, internal};
use redoubt_commands::table::Command;
use std::sync::atomic::Ordering::Relaxed;

/// Until a change of the view wakes a waiting command, it looks again after this many milliseconds.
const LOOK_AGAIN_MS: i64 = 20;

const READONLY: CommandError = CommandError::text("READONLY You can't write against a read only replica.");
const LATE: CommandError = CommandError::text("CLUSTERDOWN no primary could be reached in time");

/// What a command needs of the primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Nothing: any node answers for itself.
    #[default]
    Nothing,
    /// Its data, unchanged.
    Read,
    /// The primary itself.
    Primary,
}

/// What a command needs: by its flags, so that commands to come are treated rightly.
pub(crate) fn need(command: &Command) -> Need {
    let flags = command.spec.flags;
    let of_primary =
        matches!(command.spec.run, Run::Server(ServerOp::Wait | ServerOp::Waitaof | ServerOp::Watch));
    if of_primary || flags.has(Flags::WRITE) {
        Need::Primary
    } else if flags.has(Flags::READONLY) {
        Need::Read
    } else if flags.has(internal::MAY_REPLICATE) || command.categories.has(Categories::SCRIPTING) {
        Need::Primary
    } else {
        Need::Nothing
    }
}

/// Whether a command may go on a connection that others share: it waits for nothing, is about this connection in no way,
/// and belongs to the data of everyday.
pub(crate) fn may_share(command: &Command) -> bool {
    !command.spec.flags.has(Flags::BLOCKING) && !command.categories.has(Categories::DANGEROUS)
}

/// What a session knows of other nodes.
#[derive(Default)]
pub(crate) struct Away {
    /// What the client proved itself with: another node will ask, too.
    pub(crate) credentials: Option<(Vec<u8>, Vec<u8>)>,
    /// Keys are watched on the primary.
    pub(crate) watches: bool,
    /// Keys were watched on a node that is not asked any more: EXEC must not run.
    pub(crate) watches_lost: bool,
    /// READONLY: what only reads is answered here.
    pub(crate) reads_here: bool,
    /// Another node relays a client on this connection.
    pub(crate) relays: bool,
    /// That node was told that this one is not the primary: nothing that follows may be executed.
    pub(crate) refused: bool,
    /// A command waits until it is known where it belongs.
    pub(crate) held: Option<Held>,
}

/// A command that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Unix ms at which it is refused.
    until: i64,
    /// Unix ms at which it is tried again.
    pub(crate) again: i64,
}

impl Away {
    /// Unix ms until which a command waits.
    pub(crate) fn waits_until(&self) -> Option<i64> {
        self.held.map(|held| held.again)
    }

    /// Something has changed: a waiting command is tried again.
    pub(crate) fn look_again(&mut self) {
        if let Some(held) = &mut self.held {
            held.again = 0;
        }
    }
}

impl Session {
    /// What becomes of a command where this node is not the serving primary; nothing: it goes on as ever.
    #[inline]
    pub(crate) fn admit_away(
        &mut self,
        command: &'static Command,
        scope: &Scope<'_>,
    ) -> Result<Option<Admission>, CommandError> {
        match &self.shared.ha {
            Some(ha) if !ha.gate.is_serving() || self.away.refused => self.admit_not_serving(command, scope),
            _ => Ok(None),
        }
    }

    #[cold]
    fn admit_not_serving(
        &mut self,
        command: &'static Command,
        scope: &Scope<'_>,
    ) -> Result<Option<Admission>, CommandError> {
        let need = self.needs(command);
        let Some(ha) = self.shared.ha.as_ref().filter(|_| !self.restricted) else { return Ok(None) };
        let is_exec = matches!(command.spec.run, Run::Server(ServerOp::Exec));
        if is_exec && (self.away.watches_lost || self.multi.as_ref().is_some_and(Multi::is_doomed)) {
            // It executes nothing.
            return Ok(Some(Admission::Run));
        }
        if need == Need::Nothing || (need == Need::Read && self.away.reads_here) {
            return Ok(None);
        }
        let view = ha.view();
        let patience_ms = (view.timing.handover.0 / 1000) as i64;
        let queues = self.multi.is_some() && !is_exec;
        let route = view.route();
        match scope.values.ha.route {
            _ if self.away.relays && queues => Ok(Some(Admission::Queue)),
            _ if self.away.relays => self.admit_relayed(&route, patience_ms),
            Routing::Forward if queues => Ok(Some(Admission::Queue)),
            Routing::Forward => match route {
                Route::Down(why) => Err(down(why)),
                _ => Ok(Some(Admission::Elsewhere)),
            },
            Routing::Redirect if self.client.has(flag::CAPA_REDIRECT) => match route {
                Route::To(primary) => Err(CommandError::owned(format!(
                    "REDIRECT {}",
                    join_host_port(&primary.host, primary.port)
                ))),
                Route::Down(why) => Err(down(why)),
                Route::Local | Route::Wait => self.await_route(2 * patience_ms, LATE),
            },
            Routing::Redirect | Routing::Off => self.admit_as_replica(command),
        }
    }

    /// As a replica of Redis: it answers reads, and no writes.
    fn admit_as_replica(&self, command: &Command) -> Result<Option<Admission>, CommandError> {
        if self.changes_keys(command) { Err(READONLY) } else { Ok(None) }
    }

    /// On a connection of a relay: executed here or not at all.
    fn admit_relayed(&mut self, route: &Route, patience_ms: i64) -> Result<Option<Admission>, CommandError> {
        let refusal = CommandError::text(NOT_PRIMARY);
        let waits = matches!(route, Route::Local | Route::Wait) && !self.away.refused;
        let admitted = if waits { self.await_route(patience_ms, refusal) } else { Err(refusal) };
        self.away.refused |= admitted.is_err();
        admitted
    }

    /// Has the command wait until it is known where it belongs, but not longer than this.
    fn await_route(&mut self, limit_ms: i64, late: CommandError) -> Result<Option<Admission>, CommandError> {
        let now = unix_ms();
        let held = self.away.held.get_or_insert(Held { until: now + limit_ms, again: 0 });
        if now >= held.until {
            self.away.held = None;
            return Err(late);
        }
        held.again = now + LOOK_AGAIN_MS;
        Ok(Some(Admission::Wait))
    }

    /// What a command needs, now: a transaction needs what its commands need.
    fn needs(&self, command: &Command) -> Need {
        match (&self.multi, command.spec.run) {
            (multi, Run::Server(ServerOp::Exec)) => match multi {
                Some(_) if self.away.watches => Need::Primary,
                Some(multi) => multi.need,
                None => Need::Nothing,
            },
            // Refused where it stands.
            (Some(_), Run::Server(ServerOp::Watch)) => Need::Nothing,
            _ => need(command),
        }
    }

    /// Whether commands on data need not be looked at one by one before they are carried to the primary.
    pub(crate) fn carries_freely(&self, routing: Routing) -> bool {
        let is_plain = self.is_authenticated() && self.multi.is_none() && !self.restricted && !self.mutes();
        let is_away = self.shared.ha.as_ref().is_some_and(|ha| !ha.gate.is_serving());
        let is_routed = routing == Routing::Forward && !self.away.reads_here && !self.away.relays;
        is_plain && is_away && is_routed && self.shared.pause.until_ms.load(Relaxed) == 0
    }

    /// Keys that are watched, wherever, are not looked after any more.
    pub(crate) fn lose_watches(&mut self) {
        if self.away.watches || self.has_watches() {
            self.unwatch_all();
            self.away.watches_lost = true;
        }
    }
}

fn down(why: &str) -> CommandError {
    CommandError::owned(format!("CLUSTERDOWN {why}"))
}
