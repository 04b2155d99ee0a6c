//! State of one connection as commands see it.

use crate::apply::{Fault, Origin};
use crate::client::{Client, flag};
use crate::config::Values;
use crate::dispatch::Scope;
use crate::dispatch::blocking::ParkedCall;
use crate::dispatch::transaction::{Multi, Watched};
use crate::forward::Away;
use crate::net::output::Output;
use crate::pubsub::{Delivery, Subscriptions};
use crate::replication::{Feed, Waiting};
use crate::shared::{Shared, unix_ms};
use crate::slowlog::{SlowLog, without_secrets};
use crate::snapshot::Errand;
use redoubt_commands::Args;
use redoubt_commands::spec::Flags;
use redoubt_commands::table::{self, Audience, Command, Index};
use redoubt_replication::Peer;
use redoubt_store::{Counters, Txn};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// From here on a command may interest the latency monitor, whose unit is the millisecond.
const SLOWEST_UNWATCHED_NANOS: u64 = 1_000_000;

/// Duration from which a command interests the slow log or the latency monitor, nanoseconds.
#[inline]
pub(super) fn noted_nanos(values: &Values) -> u64 {
    match u64::try_from(values.slowlog_log_slower_than) {
        Ok(micros) => micros.saturating_mul(1000).min(SLOWEST_UNWATCHED_NANOS),
        Err(_) => SLOWEST_UNWATCHED_NANOS,
    }
}

/// How a connection goes on after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// With the next request.
    Continue,
    /// With the next request, once what there is to send was given to the socket.
    Flush,
    /// Not before a parked call was answered or a pause is over.
    Wait,
    /// With the next request, which the primary has to execute.
    Elsewhere,
    /// Not at all: close once the output is out.
    Close,
    /// Not at all, and nothing of the output may leave: what it tells of may not stand.
    Lost,
}

/// Where a call is counted.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) worker: usize,
    pub(crate) values: &'p Values,
    pub(crate) clock: &'p quanta::Clock,
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
    /// How long the parked call ran before it was parked, in ticks of the workers' clock.
    pub(super) spent: u64,
    /// The command that ran and is not accounted for yet.
    pub(crate) ran: Option<&'static Command>,
    /// Unix ms at which a pause that stopped this client ends.
    pub(crate) paused_until: Option<i64>,
    /// A write of this client waits for the end of a handover.
    pub(crate) held: bool,
    /// Work of another thread that this client's command waits for.
    pub(crate) errand: Option<Arc<Errand>>,
    pub(crate) subscriptions: Option<Subscriptions>,
    /// Others may send to it at any time: subscriptions or MONITOR.
    pub(crate) listens: bool,
    /// Not every command may run: subscriptions in RESP2, or MONITOR.
    pub(crate) restricted: bool,
    /// The client talks to a Sentinel, not to a server.
    pub(crate) is_sentinel: bool,
    /// The commands that are there for the client.
    pub(crate) seen: &'static Index,
    /// What the client said with REPLCONF.
    pub(crate) peer: Box<Peer>,
    /// The client is a replica, fed from here.
    pub(crate) feed: Option<Arc<Feed>>,
    /// The call of WAIT it is parked in.
    pub(crate) waiting: Option<Waiting>,
    /// End of the log after the last of its writes.
    pub(crate) written: Cell<u64>,
    /// A command on data has run in this batch.
    pub(crate) touched: Cell<bool>,
    /// Its calls come from a stream of commands, not from a client.
    pub(crate) applies: Option<Origin>,
    /// What went wrong first in that stream, since it was last asked.
    pub(crate) fault: Option<Fault>,
    /// Errors that commands of that stream were answered with.
    pub(crate) faults: u64,
    /// What it knows of other nodes.
    pub(crate) away: Away,
    /// Whom the running batch has sent something to.
    pub(crate) delivery: RefCell<Delivery>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Client>) -> Session {
        let is_sentinel = client.has(flag::SENTINEL);
        let authenticated = {
            let values = shared.values();
            values.requirepass.is_empty() || (is_sentinel && !values.ha.sentinel_auth)
        };
        let audience = match shared.ha {
            _ if is_sentinel => Audience::Sentinel,
            Some(_) => Audience::Deployment,
            None => Audience::Server,
        };
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
            spent: 0,
            ran: None,
            paused_until: None,
            held: false,
            errand: None,
            subscriptions: None,
            listens: false,
            restricted: false,
            is_sentinel,
            seen: table::table().seen_by(audience),
            peer: Box::default(),
            feed: None,
            waiting: None,
            written: Cell::new(0),
            touched: Cell::new(false),
            applies: None,
            fault: None,
            faults: 0,
            away: Away::default(),
            delivery: RefCell::default(),
        }
    }

    /// Gets the transaction of a batch ready for this client.
    pub(crate) fn prepare(&mut self, txn: &mut Txn<'_>, values: &Values) {
        txn.set_db(self.db);
        txn.clock.lfu = values.commands.lfu;
        txn.clock.log_factor = values.lfu_log_factor;
        txn.clock.decay_minutes = values.lfu_decay_time;
        txn.clock.touch = !self.client.has(flag::NO_TOUCH);
        self.record(txn);
        txn.lazy = values.lazy();
        // A replica's data expire when its primary says so.
        let follows = self.shared.replication.follows();
        txn.keep_expired = follows || self.shared.pause.is_on();
        if self.applies.is_some() {
            txn.judge_nothing();
        } else if follows {
            txn.own_expiries = self.shared.replication.is_writable_replica().then(Vec::new);
        }
    }

    /// Has what follows recorded, if anybody reads the log. Asked for again with every lock: whoever attaches to the log
    /// and then takes all locks, to see the data at that moment, misses nothing of what is done afterwards.
    #[inline]
    pub(crate) fn record(&self, txn: &mut Txn<'_>) {
        txn.effects.enable(self.applies.is_none() && self.shared.log.is_active());
    }

    /// Wakes whom the batch sent something to, hands its counts to the statistics and its garbage to the background
    /// thread.
    pub(crate) fn settle(&self, txn: &mut Txn<'_>, worker: usize, commands: usize) {
        self.delivery.borrow_mut().wake_all();
        if self.shared.replication.is_active() {
            self.shared.replication.wake();
        }
        self.tally(txn, worker);
        if std::mem::take(&mut txn.counters.emptied) > 0 {
            self.shared.replication.own_keys.clear();
            // The replies leave only when the file is empty too.
            crate::snapshot::emptied(&self.shared);
        }
        if let Some(expiries) = txn.own_expiries.take() {
            self.shared.replication.own_keys.note(expiries);
        }
        txn.garbage.drain(..).for_each(|garbage| self.shared.free_lazily(garbage));
        // The replies leave only when this has returned.
        txn.garbage_of_caller.clear();
        self.client.active_ms.store(txn.now_ms(), Relaxed);
        self.client.commands.store(self.client.commands.load(Relaxed) + commands as u64, Relaxed);
        self.shared.memory.report_if_limited();
    }

    /// Hands what the transaction has counted to the statistics, but for how often it has emptied everything.
    #[inline]
    pub(crate) fn tally(&self, txn: &mut Txn<'_>, worker: usize) {
        let Counters { hits, misses, expired, expired_fields, dirty, emptied } = txn.counters;
        if hits | misses | expired | expired_fields | dirty == 0 {
            return;
        }
        if self.applies != Some(Origin::Loading) {
            self.shared.stats.add(worker, &txn.counters);
        }
        txn.counters = Counters { emptied, ..Counters::default() };
    }

    /// Counts the command that ran, if one did (`ran`); returns the time at which the next one starts.
    #[inline(always)]
    pub(crate) fn account(&mut self, args: &Args<'_>, started: u64, scope: &Scope<'_>) -> u64 {
        let now = scope.clock.raw();
        let Some(command) = self.ran.take() else { return now };
        // What was done before this server started is not what it did.
        if self.applies == Some(Origin::Loading) {
            return now;
        }
        self.client.last_command.store(command.id + 1, Relaxed);
        if self.shared.hub.is_monitored() {
            self.show(command, args);
        }
        if self.parked.is_some() {
            // Counted when it ends.
            self.spent = now.saturating_sub(started);
            return now;
        }
        let nanos = scope.clock.delta_as_nanos(started, now);
        let counted = scope.values.latency_tracking.then_some(nanos);
        self.shared.stats.ran(scope.worker, command.id, now.saturating_sub(started), counted);
        if nanos >= scope.noted_nanos {
            self.note_slow(command, args, nanos);
        }
        now
    }

    /// Counts a parked call that has ended, with an error if `failed`. The time it waited is not counted.
    pub(super) fn account_parked(&self, call: &ParkedCall, failed: Option<&str>, place: Place<'_>) {
        let Place { worker, values, clock } = place;
        let (stats, id) = (&self.shared.stats, call.command.id);
        let nanos = clock.delta_as_nanos(0, self.spent);
        stats.ran(worker, id, self.spent, values.latency_tracking.then_some(nanos));
        if let Some(text) = failed {
            stats.failed(worker, id, text);
        }
        if nanos >= noted_nanos(values) {
            call.with_args(|args| self.note_slow(call.command, args, nanos));
        }
    }

    /// Shows a command to the clients that monitor.
    #[cold]
    fn show(&self, command: &'static Command, args: &Args<'_>) {
        if !self.is_sentinel {
            let mut delivery = self.delivery.borrow_mut();
            self.shared.hub.show(&mut delivery, &self.client, self.db, command, args.words());
        }
    }

    /// Enters a slow command into the slow log and the latency monitor, as far as they want it.
    #[cold]
    fn note_slow(&self, command: &Command, args: &Args<'_>, nanos: u64) {
        // As they are now: what slow means may be what it has set.
        let values = self.shared.values();
        let now = unix_ms() / 1000;
        let fast = command.spec.flags.has(Flags::FAST);
        let event = if fast { "fast-command" } else { "command" };
        self.shared.latency.record(event, nanos / 1_000_000, values.latency_monitor_threshold, now);
        let logged = !command.spec.flags.has(Flags::SKIP_SLOWLOG);
        if logged && SlowLog::is_slow(values.slowlog_log_slower_than, nanos / 1000) {
            let name = self.client.name.lock().clone();
            let len_max = values.slowlog_max_len;
            let words = without_secrets(command.full_name, args.words());
            self.shared.slowlog.push(now, nanos / 1000, &words, &self.client.addr, &name, len_max);
        }
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

    /// Switches the protocol version. What others sent before is in the old one, and goes out first.
    pub(crate) fn set_resp3(&mut self, resp3: bool, output: &mut Output) {
        self.client.inbox.switch(output, resp3);
        self.resp3 = resp3;
        self.listen();
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

    /// Its next command is not answered: it was to be so before it had to be run anew.
    pub(crate) fn mute_next(&mut self) {
        if self.reply_mode == ReplyMode::On {
            self.reply_mode = ReplyMode::SkipNext;
        }
    }

    /// Whether the client wants no reply to its next command.
    pub(crate) fn mutes(&self) -> bool {
        self.reply_mode != ReplyMode::On
    }

    /// Whether requests must wait: for a parked call or for the end of a pause.
    pub(crate) fn is_waiting(&mut self) -> bool {
        if let Some(until) = self.paused_until
            && (until <= unix_ms() || self.shared.pause.until_ms.load(Relaxed) == 0)
        {
            self.pause(None);
        }
        self.held = self.held && self.shared.ha.as_ref().is_some_and(|ha| ha.gate.holds_writes());
        let errand = self.errand.as_ref().is_some_and(|errand| errand.outcome().is_none());
        let sought = self.away.waits_until().is_some_and(|until| until > unix_ms());
        sought
            || self.held
            || self.parked.is_some()
            || self.waiting.is_some()
            || self.paused_until.is_some()
            || errand
    }

    /// Whether a request could be told to wait and be tried again.
    pub(crate) fn may_wait(&self) -> bool {
        self.shared.pause.until_ms.load(Relaxed) != 0 || self.shared.ha.is_some()
    }

    /// Notes until when a pause holds the client up, if it does. Meanwhile it counts as blocked, as in Redis,
    /// but CLIENT UNBLOCK does nothing for it.
    pub(super) fn pause(&mut self, until: Option<i64>) {
        self.show_held(self.paused_until.is_some(), until.is_some());
        self.paused_until = until;
    }

    /// Notes the work that the client waits for, if it does.
    pub(crate) fn send_for(&mut self, errand: Option<Arc<Errand>>) {
        self.show_held(self.errand.is_some(), errand.is_some());
        self.errand = errand;
    }

    fn show_held(&self, was: bool, is: bool) {
        if was != is {
            self.client.set(flag::HELD, is);
            self.shared.stats.parked(if is { 1 } else { -1 });
        }
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// Unix ms at which the session has something to do by itself.
    pub(crate) fn wakes_at(&self) -> Option<i64> {
        match (&self.parked, &self.waiting) {
            (Some(call), _) => call.deadline_ms(),
            (None, Some(waiting)) => waiting.deadline_ms,
            (None, None) => self.paused_until.into_iter().chain(self.away.waits_until()).min(),
        }
    }

    /// Puts what others have sent into the output, in the middle of a batch.
    pub(crate) fn take_inbox(&mut self, output: &mut Output, place: Place<'_>) {
        if !self.client.inbox.is_filled() {
            return;
        }
        let taken = self.client.inbox.copy(output);
        if taken.served {
            self.served(place);
        }
        if taken.overflown {
            // Its task closes the connection.
            self.client.mailbox.wake();
        }
    }

    /// Back to the state of a new connection (RESET).
    pub(crate) fn reset(&mut self, output: &mut Output) {
        self.leave_channels();
        self.unwatch_all();
        self.multi = None;
        self.client.set(flag::MULTI, false);
        self.client.multi.store(-1, Relaxed);
        self.select(0);
        self.set_resp3(false, output);
        self.reply_mode = ReplyMode::On;
        self.client.name.lock().clear();
        self.client.set(flag::NO_EVICT, false);
        self.client.set(flag::NO_TOUCH, false);
        self.away = Away { relays: self.away.relays, refused: self.away.refused, ..Away::default() };
        self.authenticated = self.shared.values().requirepass.is_empty();
    }

    /// The connection ends: take every trace of it out of the keyspace.
    pub(crate) fn close(mut self) {
        self.abandon_parked();
        self.pause(None);
        self.send_for(None);
        self.end_wait();
        if let Some(feed) = self.feed.take() {
            self.shared.replication.leave(&self.shared, &feed);
        }
        self.leave_channels();
        self.unwatch_all();
        if self.away.relays {
            self.shared.forward.serves.fetch_sub(1, Relaxed);
        }
    }
}
