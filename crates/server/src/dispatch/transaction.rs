//! MULTI, EXEC, DISCARD, WATCH, UNWATCH. <https://redis.io/docs/latest/develop/interact/transactions/>

use crate::client::flag;
use crate::dispatch::admit::{runs_stale, runs_while_loading};
use crate::dispatch::{Scope, Session, Step};
use crate::forward::{Need, need};
use crate::pubsub::Subscriptions;
use redoubt_commands::spec::{Flags, Propagate, PubsubOp, Run, ServerOp};
use redoubt_commands::table::Command;
use redoubt_commands::{Args, CommandError, Context};
use redoubt_store::{PartitionSet, Txn, WatchMark};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Relaxed};

/// A command waiting for EXEC.
struct Queued {
    command: &'static Command,
    words: Vec<Box<[u8]>>,
}

/// An open MULTI.
#[derive(Default)]
pub(crate) struct Multi {
    queue: Vec<Queued>,
    /// Memory of what is queued, bytes.
    memory: usize,
    /// A command was refused: EXEC will fail.
    doomed: bool,
    /// Some queued command writes.
    pub(crate) writes: bool,
    /// Some queued command changes keys.
    pub(crate) changes: bool,
    /// Some queued command only reads keys.
    pub(crate) reads: bool,
    /// Some queued command needs memory.
    pub(crate) needs_memory: bool,
    /// Some queued command does not run on a replica whose data are stale.
    pub(crate) needs_link: bool,
    /// Some queued command does not run while data are being loaded.
    pub(crate) needs_load: bool,
    /// What the queued commands need of the primary.
    pub(crate) need: Need,
    /// The database it selects last.
    pub(crate) selects: Option<usize>,
    /// A queued command that only the client's own node can run.
    pub(crate) bound: Option<&'static str>,
}

impl Multi {
    /// Memory of what is queued, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Whether EXEC will fail.
    pub(crate) fn is_doomed(&self) -> bool {
        self.doomed
    }

    /// Shows the words of each queued command; returns how many there are.
    pub(crate) fn each(&self, mut show: impl FnMut(&[&[u8]])) -> usize {
        for queued in &self.queue {
            let words: Vec<&[u8]> = queued.words.iter().map(|word| &**word).collect();
            show(&words);
        }
        self.queue.len()
    }

    /// Notes what matters about a command if another node is to run it.
    fn note(&mut self, command: &'static Command, args: &Args<'_>) {
        use ServerOp::{Echo, Info, Lolwut, Ping, Pubsub, Select, Time, Unwatch, Wait, Waitaof};
        self.need = self.need.max(need(command));
        match command.spec.run {
            Run::Server(Select) => self.selects = args.int(1).ok().and_then(|db| usize::try_from(db).ok()),
            Run::Data(_) | Run::Server(Echo | Info | Lolwut | Ping | Time | Unwatch | Wait | Waitaof) => {}
            Run::Server(Pubsub(PubsubOp::Publish | PubsubOp::Spublish)) => {}
            Run::Server(_) | Run::Container => self.bound = Some(command.full_name),
        }
    }
}

/// WATCHed keys of a connection.
#[derive(Default)]
pub(crate) struct Watched {
    mark: WatchMark,
    keys: Vec<(usize, Box<[u8]>)>,
    /// Memory of the names, here and where they are watched, bytes.
    memory: usize,
}

const EXECABORT: CommandError =
    CommandError::text("EXECABORT Transaction discarded because of previous errors.");

impl Session {
    /// A command was refused while MULTI is open.
    pub(super) fn doom_transaction(&mut self) {
        if let Some(multi) = &mut self.multi {
            multi.doomed = true;
        }
    }

    /// Puts a command into the open MULTI.
    pub(super) fn queue(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Step {
        let Some(multi) = &mut self.multi else { unreachable!("only queued inside MULTI") };
        // Nothing of a doomed transaction will ever run.
        if !multi.doomed {
            multi.writes |= Session::may_write(command);
            multi.changes |= command.spec.is_write();
            multi.reads |= command.spec.flags.has(Flags::READONLY);
            multi.needs_memory |= command.spec.flags.has(Flags::DENYOOM);
            multi.needs_link |= !runs_stale(command);
            multi.needs_load |= !runs_while_loading(command);
            multi.note(command, args);
            let words: Vec<Box<[u8]>> = args.words().iter().map(|word| Box::from(*word)).collect();
            let lengths = words.iter().map(|word| size_of::<Box<[u8]>>() + word.len());
            multi.memory += size_of::<Queued>() + lengths.sum::<usize>();
            multi.queue.push(Queued { command, words });
            self.client.multi.store(multi.queue.len() as i64, Relaxed);
        }
        self.reply(scope).simple("QUEUED");
        Step::Done
    }

    pub(crate) fn multi(&mut self, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if self.multi.is_some() {
            return Err(CommandError::text("ERR MULTI calls can not be nested"));
        }
        self.multi = Some(Multi::default());
        self.client.set(flag::MULTI, true);
        self.client.multi.store(0, Relaxed);
        self.reply(scope).ok();
        Ok(())
    }

    pub(crate) fn discard(&mut self, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if self.multi.is_none() {
            return Err(CommandError::text("ERR DISCARD without MULTI"));
        }
        self.end_multi();
        self.unwatch_all();
        self.reply(scope).ok();
        Ok(())
    }

    fn end_multi(&mut self) -> Option<Multi> {
        self.client.set(flag::MULTI, false);
        self.client.multi.store(-1, Relaxed);
        self.multi.take()
    }

    /// Forgets the queue and the watched keys.
    pub(crate) fn abandon_multi(&mut self) {
        self.end_multi();
        self.unwatch_all();
    }

    /// Runs the queue as one transaction over all its keys, unless a WATCHed key has changed.
    pub(crate) fn exec(
        &mut self,
        ctx: &mut Context<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<Step, CommandError> {
        let Some(multi) = self.end_multi() else {
            return Err(CommandError::text("ERR EXEC without MULTI"));
        };
        if multi.doomed {
            self.unwatch_all();
            return Err(EXECABORT);
        }
        if std::mem::take(&mut self.away.watches_lost) {
            // As if a WATCHed key had changed: nobody knows whether one has.
            self.unwatch_all();
            self.reply(scope).null_array();
            return Ok(Step::Done);
        }
        let position = scope.output.buffer.len();
        let partitions = self.partitions_of_queue(&multi);
        ctx.txn.acquire(partitions);
        self.record(&mut ctx.txn);
        // Looking at the WATCHed keys expires those that are due, which marks them like any change.
        let changed = self.watched_changed(&mut ctx.txn);
        self.release_watches(&mut ctx.txn);
        if changed {
            self.reply(scope).null_array();
            self.commit(ctx, scope, position);
            return Ok(Step::Done);
        }
        self.reply(scope).array(multi.queue.len());
        let may_block = std::mem::replace(&mut ctx.may_block, false);
        let exec = self.ran;
        let step = self.run_queue(ctx, &multi, scope);
        self.ran = exec;
        ctx.may_block = may_block;
        self.commit(ctx, scope, position);
        ctx.txn.set_db(self.db);
        Ok(step)
    }

    fn run_queue(&mut self, ctx: &mut Context<'_>, multi: &Multi, scope: &mut Scope<'_>) -> Step {
        let mut step = Step::Done;
        for queued in &multi.queue {
            let words: Vec<&[u8]> = queued.words.iter().map(|word| &**word).collect();
            let args = Args::new(&words);
            let started = scope.clock.raw();
            match queued.command.spec.run {
                Run::Data(_) => {
                    ctx.txn.set_db(self.db);
                    let dirty = ctx.txn.counters.dirty;
                    match self.call(ctx, queued.command, &args, self.resp3, &mut scope.output.buffer) {
                        Ok(Some(text)) => drop(self.failed(scope, queued.command, &args, &text)),
                        Ok(None) => {}
                        Err(()) => return Step::Close,
                    }
                    let verbatim = queued.command.spec.propagate == Propagate::Verbatim;
                    if verbatim && ctx.txn.counters.dirty != dirty {
                        ctx.txn.effect(args.words());
                    }
                }
                Run::Server(op) => {
                    if self.run_op(ctx, op, queued.command, &args, scope) == Step::Close {
                        step = Step::Close;
                    }
                }
                Run::Container => unreachable!("containers are not queued"),
            }
            self.ran = Some(queued.command);
            self.account(&args, started, scope);
        }
        step
    }

    fn partitions_of_queue(&self, multi: &Multi) -> PartitionSet {
        let mut all = PartitionSet::EMPTY;
        for queued in &multi.queue {
            if matches!(queued.command.spec.run, Run::Data(_)) {
                let words: Vec<&[u8]> = queued.words.iter().map(|word| &**word).collect();
                all.extend(&self.partitions_of(queued.command, &Args::new(&words)));
            }
        }
        all.extend(&self.watched_partitions());
        all
    }

    fn watched_partitions(&self) -> PartitionSet {
        let mut partitions = PartitionSet::EMPTY;
        for (_, key) in &self.watched.keys {
            partitions.insert(self.shared.keyspace.partition_of(redoubt_store::slot_of(key)));
        }
        partitions
    }

    fn watched_changed(&self, txn: &mut Txn<'_>) -> bool {
        for (db, bytes) in &self.watched.keys {
            let before = txn.set_db(*db);
            let key = txn.key(bytes);
            txn.contains(&key);
            txn.set_db(before);
        }
        self.watched.mark.load(Acquire)
    }

    pub(crate) fn watch(
        &mut self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        if self.multi.is_some() {
            return Err(CommandError::text("ERR WATCH inside MULTI is not allowed"));
        }
        for bytes in args.rest(1) {
            if self.watched.keys.iter().any(|(db, key)| *db == self.db && **key == **bytes) {
                continue;
            }
            let key = ctx.txn.key(bytes);
            ctx.txn.acquire_one(self.shared.keyspace.partition_of(key.slot));
            self.record(&mut ctx.txn);
            ctx.txn.watch(&key, &self.watched.mark);
            self.publish(ctx);
            ctx.txn.release();
            self.watched.keys.push((self.db, Box::from(*bytes)));
            self.watched.memory += 2 * (size_of::<(usize, Box<[u8]>)>() + bytes.len());
        }
        self.client.watch.store(self.watched.keys.len(), Relaxed);
        self.reply(scope).ok();
        Ok(())
    }

    /// Memory of what the client has queued, watches and listens to: of queued commands, and of all, bytes.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let queued = self.multi.as_ref().map_or(0, Multi::memory);
        let listened = self.subscriptions.as_ref().map_or(0, Subscriptions::memory);
        (queued, queued + self.watched.memory + listened)
    }

    /// Whether keys are watched here.
    pub(crate) fn has_watches(&self) -> bool {
        !self.watched.keys.is_empty()
    }

    /// Takes the open MULTI out, to be run elsewhere.
    pub(crate) fn take_multi(&mut self) -> Option<Multi> {
        self.end_multi()
    }

    /// Puts an open MULTI back.
    pub(crate) fn put_multi(&mut self, multi: Multi) {
        self.client.set(flag::MULTI, true);
        self.client.multi.store(multi.queue.len() as i64, Relaxed);
        self.multi = Some(multi);
    }

    /// Forgets all WATCHed keys. Nothing may be held.
    pub(crate) fn unwatch_all(&mut self) {
        self.away.watches = false;
        self.away.watches_lost = false;
        if self.watched.keys.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let mut txn = Txn::new(&shared.keyspace, crate::shared::unix_ms(), fastrand::Rng::with_seed(0));
        txn.acquire(self.watched_partitions());
        self.release_watches(&mut txn);
    }

    /// Forgets all WATCHed keys, whose partitions are held.
    fn release_watches(&mut self, txn: &mut Txn<'_>) {
        let before = txn.db();
        for (db, bytes) in self.watched.keys.drain(..) {
            txn.set_db(db);
            let key = txn.key(&bytes);
            txn.unwatch(&key, &self.watched.mark);
        }
        self.watched.memory = 0;
        txn.set_db(before);
        // A fresh mark: a late writer may still hold the old one.
        self.watched.mark = Arc::new(AtomicBool::new(false));
        self.client.watch.store(0, Relaxed);
    }
}
