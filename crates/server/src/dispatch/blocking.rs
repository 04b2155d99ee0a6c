//! Parked calls: blocking commands that wait for a key.
//!
//! A call is parked under the locks of its keys. Whoever later signals one of them runs it there and then, under the
//! same locks, before anybody else can touch the key: clients are served in the order in which they were parked.

use crate::client::{Client, Mail, flag};
use crate::dispatch::{Place, Scope, Session};
use crate::net::output::Output;
use crate::replication::gate;
use crate::worker::Local;
use redoubt_commands::keys::{KeyList, keys_of};
use redoubt_commands::table::Command;
use redoubt_commands::{Args, Context, Deadline, Park};
use redoubt_store::{PartitionSet, Txn, ValueRef, Waiter};
use std::any::Any;
use std::sync::atomic::{AtomicU8, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, OnceLock};

/// The answer to a blocked client whose server has become a replica.
pub(crate) const DEMOTED: &str =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

const WAITING: u8 = 0;
const SERVING: u8 = 1;
const ENDED: u8 = 2;

/// A blocking call that found nothing yet.
pub struct ParkedCall {
    client: Arc<Client>,
    pub(super) command: &'static Command,
    words: Vec<Box<[u8]>>,
    db: usize,
    resp3: bool,
    /// Place in the queues of its keys.
    order: u64,
    deadline: Deadline,
    /// Runs again also when a stream it names goes away.
    needs_keys: bool,
    state: AtomicU8,
    /// The error it was served with.
    failed: OnceLock<String>,
}

impl Waiter for ParkedCall {}

impl ParkedCall {
    /// Claims the call for one outcome; false if another was quicker.
    fn claim(&self, to: u8) -> bool {
        self.state.compare_exchange(WAITING, to, AcqRel, Acquire).is_ok()
    }

    /// Unix ms at which it gives up.
    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        match self.deadline {
            Deadline::Forever => None,
            Deadline::At(ms) => Some(ms),
        }
    }

    pub(super) fn with_args<T>(&self, run: impl FnOnce(&Args<'_>) -> T) -> T {
        let words: Vec<&[u8]> = self.words.iter().map(|word| &**word).collect();
        run(&Args::new(&words))
    }

    /// Whether it runs again also when a stream it names goes away.
    pub(crate) fn needs_keys(&self) -> bool {
        self.needs_keys
    }

    /// Database and name of the keys it waits for.
    pub(crate) fn named_keys(&self) -> impl Iterator<Item = (usize, Box<[u8]>)> {
        self.keys().into_iter().map(|key| (self.db, Box::from(key)))
    }

    /// The keys it waits for.
    fn keys(&self) -> Vec<&[u8]> {
        let mut keys = KeyList::new();
        // The handler has accepted the arguments, so the key specs fit them.
        let _ = self.with_args(|args| keys_of(self.command.spec, args, &mut keys));
        keys.iter().map(|key| &*self.words[key.index]).collect()
    }

    /// Takes the call out of the queues of its keys; their partitions are held.
    fn unpark(&self, txn: &mut Txn<'_>) {
        let before = txn.set_db(self.db);
        for bytes in self.keys() {
            let key = txn.key(bytes);
            txn.unpark(&key, self.order);
        }
        txn.set_db(before);
    }
}

/// Group of the commands that work on a value, as the command table names it.
fn group_of(value: &ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::SortedSet(_) => "sorted-set",
        other => other.type_name(),
    }
}

impl Session {
    /// Parks a call whose handler asked for it; the partitions of its keys are held.
    pub(super) fn park(
        &mut self,
        ctx: &mut Context<'_>,
        command: &'static Command,
        args: &Args<'_>,
        park: Park,
    ) {
        let call = Arc::new(ParkedCall {
            client: Arc::clone(&self.client),
            command,
            words: park.words.unwrap_or_else(|| args.words().iter().map(|word| Box::from(*word)).collect()),
            db: self.db,
            resp3: self.resp3,
            order: self.shared.next_order(),
            deadline: park.deadline,
            needs_keys: park.needs_keys,
            state: AtomicU8::new(WAITING),
            failed: OnceLock::new(),
        });
        for bytes in call.keys() {
            let key = ctx.txn.key(bytes);
            ctx.txn.park(&key, call.order, Arc::clone(&call) as Arc<dyn Waiter>);
        }
        self.client.set(flag::BLOCKED, true);
        self.shared.stats.parked(1);
        *self.client.parked.lock() = Some(Arc::clone(&call));
        self.parked = Some(call);
    }

    /// Runs the calls that wait for the signalled keys, in order of arrival, until the keys hold nothing for them.
    pub(super) fn serve_parked(&self, ctx: &mut Context<'_>) {
        let before = ctx.txn.db();
        let may_block = std::mem::replace(&mut ctx.may_block, true);
        while !ctx.txn.signalled.is_empty() {
            let signal = ctx.txn.signalled.remove(0);
            ctx.txn.set_db(signal.db);
            let key = ctx.txn.key(&signal.key);
            let mut needed = PartitionSet::EMPTY;
            needed.insert(self.shared.keyspace.partition_of(key.slot));
            self.hold(&mut ctx.txn, &needed);
            let mut after = 0;
            loop {
                let group = ctx.txn.peek(&key).map(|value| group_of(&value));
                if group.is_none() && !signal.lost {
                    break;
                }
                let Some((order, waiter)) = ctx.txn.next_waiter(&key, after) else { break };
                after = order;
                // A key that came to hold another type is none the call waits for: it keeps its place, unless it
                // cannot do without what was there.
                if let Some(call) = (&*waiter as &dyn Any).downcast_ref::<ParkedCall>()
                    && (group == Some(call.command.group) || signal.lost && call.needs_keys)
                {
                    self.serve(ctx, call);
                }
                ctx.txn.set_db(signal.db);
            }
        }
        ctx.may_block = may_block;
        ctx.txn.set_db(before);
    }

    /// Tries to answer one parked call.
    fn serve(&self, ctx: &mut Context<'_>, call: &ParkedCall) {
        self.hold_keys(&mut ctx.txn, call);
        if self.is_refused(call) || !call.claim(SERVING) {
            return;
        }
        ctx.txn.set_db(call.db);
        // Served by what its primary writes or by its own clients: a replica does this by itself.
        let recorded = ctx.txn.effects.is_enabled();
        ctx.txn.effects.enable(self.shared.log.is_active());
        let mut frames = Vec::new();
        let called = call.with_args(|args| self.call(ctx, call.command, args, call.resp3, &mut frames));
        if ctx.parked.take().is_some() {
            // Nothing for it after all: it keeps its place.
            call.state.store(WAITING, Release);
            ctx.txn.effects.enable(recorded);
            return;
        }
        self.publish(ctx);
        ctx.txn.effects.enable(recorded);
        call.state.store(ENDED, Release);
        call.unpark(&mut ctx.txn);
        let Ok(failed) = called else {
            // Its client goes, as with any panic; the one whose write woke it has no part in it.
            return self.shared.kill(&call.client);
        };
        if let Some(text) = failed {
            let _ = call.failed.set(text);
        }
        let log = &self.shared.log;
        let hold = log.held_if_any(log.end());
        self.delivery.borrow_mut().serve(&call.client, &frames, hold);
    }

    /// Adds the partitions of the call's keys to those held.
    fn hold_keys(&self, txn: &mut Txn<'_>, call: &ParkedCall) {
        self.hold(txn, &call.with_args(|args| self.partitions_of(call.command, args)));
    }

    /// Adds partitions to those held. If one is taken, everything is released and taken anew in order: in that gap
    /// another command may come first, as if it had arrived before.
    fn hold(&self, txn: &mut Txn<'_>, needed: &PartitionSet) {
        if !txn.held().contains_all(needed) && !txn.try_extend(needed) {
            let mut all: PartitionSet = txn.held();
            all.extend(needed);
            txn.release();
            txn.acquire(all);
            self.record(txn);
        }
    }

    /// The reply of the parked call has arrived.
    pub(crate) fn served(&mut self, place: Place<'_>) {
        if let Some(call) = self.end_parked() {
            self.account_parked(&call, call.failed.get().map(String::as_str), place);
        }
    }

    fn end_parked(&mut self) -> Option<Arc<ParkedCall>> {
        let call = self.parked.take()?;
        *self.client.parked.lock() = None;
        self.client.set(flag::BLOCKED, false);
        self.shared.stats.parked(-1);
        Some(call)
    }

    /// The deadline of the parked call has passed: answer as the command does then. Always true: the connection stays.
    pub(crate) fn timed_out(&mut self, local: &mut Local, output: &mut Output) -> bool {
        let due = self.wakes_at().is_some_and(|at| at <= crate::shared::unix_ms());
        if due {
            self.give_up(local, None, output);
        }
        true
    }

    /// CLIENT UNBLOCK.
    pub(crate) fn unblock(&mut self, local: &mut Local, with_error: bool, output: &mut Output) {
        let error = with_error.then_some("UNBLOCKED client unblocked via CLIENT UNBLOCK");
        self.give_up(local, error, output);
    }

    /// The server has become a replica.
    pub(crate) fn demoted(&mut self, local: &mut Local, output: &mut Output) {
        self.give_up(local, Some(DEMOTED), output);
    }

    /// Whether the call waits for what a read-only replica does not do. Its client is told otherwise, soon.
    fn is_refused(&self, call: &ParkedCall) -> bool {
        call.command.spec.is_write() && self.shared.replication.gate() & gate::READ_ONLY != 0
    }

    /// Ends the parked call without an element, unless it is being served right now.
    fn give_up(&mut self, local: &mut Local, error: Option<&str>, output: &mut Output) {
        let Some(call) = self.parked.clone() else {
            self.look_at_wait(output, true, error);
            return;
        };
        if !call.claim(ENDED) {
            return;
        }
        self.with_parked(local, &call, output, |session, ctx, scope| {
            call.unpark(&mut ctx.txn);
            session.end_parked();
            session.account_parked(&call, error, scope.place());
            match error {
                Some(text) => session.reply(scope).error(text),
                // Also for commands that answer another null inside MULTI (BLMOVE).
                None => {
                    let position = scope.output.buffer.len();
                    session.reply(scope).null_array();
                    session.commit(ctx, scope, position);
                }
            }
        });
    }

    /// Takes the parked call back, to be run elsewhere: its words. Nothing if there is none, or if it is being served.
    pub(crate) fn take_parked(&mut self) -> Option<Vec<Box<[u8]>>> {
        let call = self.parked.clone()?;
        if !call.claim(ENDED) {
            return None;
        }
        self.end_parked();
        let shared = Arc::clone(&self.shared);
        let mut txn = Txn::new(&shared.keyspace, crate::shared::unix_ms(), fastrand::Rng::with_seed(0));
        txn.acquire(call.with_args(|args| self.partitions_of(call.command, args)));
        call.unpark(&mut txn);
        Some(call.words.clone())
    }

    /// A stream that the parked call needs has gone while nobody could run the call: run it now. False if it panicked:
    /// the connection must end.
    pub(crate) fn recheck(&mut self, local: &mut Local, output: &mut Output) -> bool {
        let Some(call) = self.parked.clone() else { return true };
        let mut goes_on = true;
        self.with_parked(local, &call, output, |session, ctx, scope| {
            if session.is_refused(&call) || !call.claim(SERVING) {
                return;
            }
            let position = scope.output.buffer.len();
            let out = &mut scope.output.buffer;
            let called = call.with_args(|args| session.call(ctx, call.command, args, call.resp3, out));
            goes_on = called.is_ok();
            if goes_on && ctx.parked.take().is_some() {
                call.state.store(WAITING, Release);
            } else {
                call.state.store(ENDED, Release);
                call.unpark(&mut ctx.txn);
                session.end_parked();
                session.account_parked(&call, called.ok().flatten().as_deref(), scope.place());
            }
            session.commit(ctx, scope, position);
        });
        goes_on
    }

    /// Does something about the parked call, holding the partitions of its keys.
    fn with_parked(
        &mut self,
        local: &mut Local,
        call: &ParkedCall,
        output: &mut Output,
        act: impl FnOnce(&mut Session, &mut Context<'_>, &mut Scope<'_>),
    ) {
        let (values, shared) = (Arc::clone(&local.values), Arc::clone(&self.shared));
        let (index, clock) = (local.index, local.clock.clone());
        let mut ctx = Context {
            txn: Txn::new(&shared.keyspace, crate::shared::unix_ms(), local.rng.fork()),
            settings: &values.commands,
            rng: &mut local.rng,
            may_block: true,
            parked: None,
        };
        self.prepare(&mut ctx.txn, &values);
        ctx.txn.set_db(call.db);
        ctx.txn.acquire(call.with_args(|args| self.partitions_of(call.command, args)));
        self.record(&mut ctx.txn);
        act(self, &mut ctx, &mut Scope::new(&values, index, &clock, output));
        ctx.txn.release();
        self.settle(&mut ctx.txn, index, 0);
    }

    /// The connection is gone: nobody may serve its call any more.
    pub(super) fn abandon_parked(&mut self) {
        let Some(call) = self.end_parked() else { return };
        if !call.claim(ENDED) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let mut txn = Txn::new(&shared.keyspace, crate::shared::unix_ms(), fastrand::Rng::with_seed(0));
        txn.acquire(call.with_args(|args| self.partitions_of(call.command, args)));
        call.unpark(&mut txn);
    }
}

/// Has the clients that need a stream which has just gone run their calls again, for where no session could: each does
/// it on its own. The partitions of the keys are held.
pub(crate) fn post_rechecks(txn: &mut Txn<'_>) {
    let before = txn.db();
    for signal in std::mem::take(&mut txn.signalled) {
        txn.set_db(signal.db);
        let key = txn.key(&signal.key);
        let mut after = 0;
        while let Some((order, waiter)) = txn.next_waiter(&key, after) {
            after = order;
            if let Some(call) = (&*waiter as &dyn Any).downcast_ref::<ParkedCall>()
                && call.needs_keys
            {
                call.client.mailbox.post(Mail::Recheck);
            }
        }
    }
    txn.set_db(before);
}
