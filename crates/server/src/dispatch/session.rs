//! State of one connection as commands see it.

use crate::client::{Client, flag};
use crate::config::Values;
use crate::dispatch::Scope;
use crate::dispatch::blocking::ParkedCall;
use crate::dispatch::transaction::{Multi, Watched};
use crate::shared::{Shared, unix_ms};
use redoubt_commands::table::Command;
use redoubt_store::Txn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How a connection goes on after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// With the next request.
    Continue,
    /// Not before a parked call was answered or a pause is over.
    Wait,
    /// Not at all: close once the output is out.
    Close,
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplyMode {
    #[default]
    On,
    /// Nothing is answered.
    Off,
    /// The command that asked for it is not answered.
    SkipThis,
    /// The next command is not answered.
    SkipNext,
}

/// See the module's text.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Arc<Client>,
    pub(crate) db: usize,
    pub(crate) resp3: bool,
    authenticated: bool,
    pub(crate) reply_mode: ReplyMode,
    pub(crate) multi: Option<Multi>,
    pub(crate) watched: Watched,
    pub(crate) parked: Option<Arc<ParkedCall>>,
    /// Unix ms at which a pause that stopped this client ends.
    pub(crate) paused_until: Option<i64>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Client>) -> Session {
        let authenticated = shared.values().requirepass.is_empty();
        Session {
            shared,
            client,
            db: 0,
            resp3: false,
            authenticated,
            reply_mode: ReplyMode::On,
            multi: None,
            watched: Watched::default(),
            parked: None,
            paused_until: None,
        }
    }

    /// Gets the transaction of a batch ready for this client.
    pub(crate) fn prepare(&self, txn: &mut Txn<'_>, values: &Values) {
        txn.set_db(self.db);
        txn.clock.lfu = values.commands.lfu;
        txn.clock.log_factor = values.lfu_log_factor;
        txn.clock.decay_minutes = values.lfu_decay_time;
        txn.clock.touch = !self.client.has(flag::NO_TOUCH);
        txn.effects.enable(self.shared.log.is_active());
    }

    /// Hands the batch's counts to the statistics and its garbage to the background thread.
    pub(crate) fn settle(&self, txn: &mut Txn<'_>, worker: usize, now_ms: i64, commands: usize) {
        self.shared.stats.add(worker, &std::mem::take(&mut txn.counters));
        for garbage in txn.garbage.drain(..) {
            // Without the background thread (the server stops) it is dropped here.
            let _ = self.shared.garbage.send(garbage);
        }
        self.client.active_ms.store(now_ms, Relaxed);
        self.client.commands.store(self.client.commands.load(Relaxed) + commands as u64, Relaxed);
        if self.shared.memory.limit.load(Relaxed) != 0 {
            self.shared.memory.report();
        }
    }

    /// Counts a command that ran; returns the time at which the next one starts.
    #[inline]
    pub(crate) fn account(&self, command: Option<&Command>, started: u64, scope: &Scope<'_>) -> u64 {
        let now = scope.clock.raw();
        if let Some(command) = command {
            self.client.last_command.store(command.id + 1, Relaxed);
            let ticks = now.saturating_sub(started);
            self.shared.stats.ran(scope.worker, command.id, ticks);
            if scope.values.latency_tracking {
                self.shared.stats.took(scope.worker, command.id, scope.clock.delta_as_nanos(0, ticks));
            }
        }
        now
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    pub(crate) fn set_authenticated(&mut self, on: bool) {
        self.authenticated = on;
    }

    /// Selects a database that exists.
    pub(crate) fn select(&mut self, db: usize) {
        self.db = db;
        self.client.db.store(db, Relaxed);
    }

    pub(crate) fn set_resp3(&mut self, resp3: bool) {
        self.resp3 = resp3;
        self.client.resp.store(if resp3 { 3 } else { 2 }, Relaxed);
    }

    /// Whether the reply of the command that just ran is to be dropped; steps CLIENT REPLY on.
    pub(crate) fn mutes_reply(&mut self) -> bool {
        match self.reply_mode {
            ReplyMode::On => false,
            ReplyMode::Off => true,
            ReplyMode::SkipThis => {
                self.reply_mode = ReplyMode::SkipNext;
                true
            }
            ReplyMode::SkipNext => {
                self.reply_mode = ReplyMode::On;
                true
            }
        }
    }

    /// Whether requests must wait: for a parked call or for the end of a pause.
    pub(crate) fn is_waiting(&mut self) -> bool {
        if let Some(until) = self.paused_until
            && (until <= unix_ms() || self.shared.pause.until_ms.load(Relaxed) == 0)
        {
            self.paused_until = None;
        }
        self.parked.is_some() || self.paused_until.is_some()
    }

    /// Whether a request could be told to wait and be tried again.
    pub(crate) fn may_wait(&self) -> bool {
        self.shared.pause.until_ms.load(Relaxed) != 0
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// Unix ms at which the session has something to do by itself.
    pub(crate) fn wakes_at(&self) -> Option<i64> {
        match &self.parked {
            Some(call) => call.deadline_ms(),
            None => self.paused_until,
        }
    }

    /// Back to the state of a new connection (RESET).
    pub(crate) fn reset(&mut self) {
        self.unwatch_all();
        self.multi = None;
        self.client.set(flag::MULTI, false);
        self.client.multi.store(-1, Relaxed);
        self.select(0);
        self.set_resp3(false);
        self.reply_mode = ReplyMode::On;
        self.client.name.lock().clear();
        self.client.set(flag::NO_EVICT, false);
        self.client.set(flag::NO_TOUCH, false);
        self.authenticated = self.shared.values().requirepass.is_empty();
    }

    /// The connection ends: take every trace of it out of the keyspace.
    pub(crate) fn close(mut self) {
        self.abandon_parked();
        self.unwatch_all();
    }
}
