//! From parsed words to replies: look up, admit, route, execute, commit.
//!
//! A batch first touches the memory its keys will need (three prefetch passes, each a step further along slot, bucket
//! and entry), then runs its requests one by one.

pub(crate) mod admit;
pub(crate) mod blocking;
mod commit;
pub(crate) mod renames;
mod session;
mod transaction;

pub(crate) use admit::{Admission, LOADING};
pub(crate) use session::{Flow, Place, ReplyMode, Session};
pub(crate) use transaction::Multi;

use crate::apply::Passage;
use crate::net::connection::FLUSH_BYTES;
use crate::net::output::Output;
use crate::worker::{Local, recycled};
use redoubt_commands::keys::{KeyList, keys_of};
use redoubt_commands::spec::{Flags, Propagate, Run, ServerOp, internal};
use redoubt_commands::table::{self, Command};
use redoubt_commands::{Args, CommandError, Context};
use redoubt_resp::Reply;
use redoubt_store::{Key, Lookahead, PartitionSet, Txn};
use smallvec::SmallVec;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Requests between the last prefetch for a key and its look-up.
const LOOK_UP_LAG: usize = 2;

/// A request of the batch with what was found out before anything runs.
pub(crate) struct Plan<'a> {
    args: Args<'a>,
    command: Option<&'static Command>,
    /// The key of a single-key command.
    key: Option<Key<'a>>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It ran.
    Done,
    /// It ran, and the connection must close once the reply is out.
    Close,
    /// It is parked: the reply comes later, nothing else may run before.
    Parked,
    /// It may not run yet: try it again later.
    NotYet,
    /// The primary has to run it.
    Elsewhere,
}

impl Session {
    /// Runs a batch. Returns how many of its requests are done with, and how to go on.
    pub(crate) fn run(
        &mut self,
        local: &mut Local,
        words: &[&[u8]],
        ranges: &[(usize, usize)],
        output: &mut Output,
    ) -> (usize, Flow) {
        self.run_from(local, words, ranges, output, None)
    }

    /// As `run`, for requests that may be part of a stream.
    pub(crate) fn run_from(
        &mut self,
        local: &mut Local,
        words: &[&[u8]],
        ranges: &[(usize, usize)],
        output: &mut Output,
        source: Option<&mut dyn Passage>,
    ) -> (usize, Flow) {
        local.refresh(&self.shared);
        let (values, generation) = (Arc::clone(&local.values), local.generation);
        let shared = Arc::clone(&self.shared);
        // A single request would only wait for what it asks for.
        let ahead = (ranges.len() > 1).then(|| shared.keyspace.lookahead(self.db));
        let mut plans = recycled(std::mem::take(&mut local.plans));
        self.plan(words, ranges, ahead.as_ref(), &mut plans);
        let tenure = shared.ha.as_ref().filter(|_| self.applies.is_none()).map(|ha| ha.gate.tenure());
        let mut ctx = Context {
            txn: Txn::new(&shared.keyspace, crate::shared::unix_ms(), local.rng.fork()),
            settings: &values.commands,
            rng: &mut local.rng,
            may_block: self.applies.is_none(),
            parked: None,
        };
        self.prepare(&mut ctx.txn, &values);
        let mut scope = Scope::new(&values, local.index, &local.clock, output);
        scope.source = source.map(|source| source as &mut dyn Passage);
        let mut started = scope.clock.raw();
        let mut hand = Hand { since: started, millisecond: local.millisecond };
        let mut outcome = (plans.len(), Flow::Continue);
        for (index, plan) in plans.iter().enumerate() {
            hand.follow(started, &mut ctx.txn);
            self.fetch(&mut ctx.txn, &plans, index, ahead.as_ref());
            let step = self.run_one(&mut ctx, plan, &mut scope);
            started = self.account(&plan.args, started, &scope);
            if self.listens {
                let place = scope.place();
                self.take_inbox(scope.output, place);
            }
            if scope.source.is_some() {
                self.pass_on(&mut ctx, &mut scope, step);
            }
            // What a request has set holds for the next one.
            let goes_on =
                scope.output.pending() < FLUSH_BYTES && shared.generation.load(Relaxed) == generation;
            match step {
                // Nobody takes the replies of a stream.
                Step::Done if goes_on || index + 1 == plans.len() || self.applies.is_some() => continue,
                Step::Done => outcome = (index + 1, Flow::Flush),
                Step::Close => outcome = (plans.len(), Flow::Close),
                Step::Parked => outcome = (index + 1, Flow::Wait),
                Step::NotYet => outcome = (index, Flow::Wait),
                Step::Elsewhere => outcome = (index, Flow::Elsewhere),
            }
            break;
        }
        if outcome.0 > 0 {
            self.away.held = None;
        }
        ctx.txn.release();
        self.settle(&mut ctx.txn, scope.worker, outcome.0);
        local.plans = recycled(plans);
        // Only now: what was executed after the lease had ended must not be told. What concerns no data needs no lease.
        if self.touched.replace(false)
            && tenure.zip(shared.ha.as_ref()).is_some_and(|(tenure, ha)| !ha.gate.is_sound(tenure))
        {
            outcome.1 = Flow::Lost;
        }
        outcome
    }

    /// Finds the commands and asks the processor for the memory of their keys, one step for all of them after the
    /// other: within a step the look-ups do not depend on each other, so the processor overlaps them.
    fn plan<'a>(
        &self,
        words: &'a [&'a [u8]],
        ranges: &[(usize, usize)],
        ahead: Option<&Lookahead<'_>>,
        plans: &mut Vec<Plan<'a>>,
    ) {
        for (from, to) in ranges {
            let plan = self.plan_one(&words[*from..*to], plans.last());
            if let Some((ahead, key)) = ahead.zip(plan.key.as_ref()) {
                ahead.slot(key);
            }
            plans.push(plan);
        }
        let Some(ahead) = ahead else { return };
        plans.iter().filter_map(|plan| plan.key.as_ref()).for_each(|key| ahead.bucket(key));
        plans.iter().filter_map(|plan| plan.key.as_ref()).for_each(|key| ahead.entry(key));
    }

    /// Asks for what the requests right behind the one at `index` will need.
    #[inline]
    fn fetch(&self, txn: &mut Txn<'_>, plans: &[Plan<'_>], index: usize, ahead: Option<&Lookahead<'_>>) {
        if let Some((ahead, key)) = ahead.zip(key_at(plans, index + LOOK_UP_LAG)) {
            ahead.entry_now(key);
        }
        if plans[index].command.is_some_and(|command| command.spec.element != 0) {
            self.look_ahead(txn, plans, index);
        }
    }

    /// Where a run of calls for elements of one collection begins, asks for the memory of all of them.
    fn look_ahead(&self, txn: &mut Txn<'_>, plans: &[Plan<'_>], index: usize) {
        let Some((command, key)) = plans[index].command.zip(plans[index].key) else { return };
        let joins = |plan: &Plan<'_>| plan.key.is_some_and(|other| other.hash == key.hash);
        if index > 0 && joins(&plans[index - 1]) {
            return;
        }
        let run = plans[index..].iter().take_while(|plan| joins(plan));
        let elements: SmallVec<[&[u8]; 32]> = run
            .filter_map(|plan| {
                let element = plan.command?.spec.element;
                (element > 0 && element < plan.args.len()).then(|| plan.args.get(element))
            })
            .collect();
        if elements.len() > 1 {
            self.acquire(txn, command, &plans[index].args, Some(&key));
            txn.look_ahead(&key, &elements);
        }
    }

    /// `before`: the request before it, whose command is often the same.
    #[inline]
    fn plan_one<'a>(&self, words: &'a [&'a [u8]], before: Option<&Plan<'_>>) -> Plan<'a> {
        let args = Args::new(words);
        let command = match before {
            Some(before) if before.args.get(0) == args.get(0) => before.command,
            _ => self.lookup(args.get(0)),
        };
        let key = match command {
            Some(command) if command.single_key > 0 && command.single_key < args.len() => {
                Some(self.shared.keyspace.key(args.get(command.single_key)))
            }
            _ => None,
        };
        Plan { args, command, key }
    }

    #[inline]
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<&'static Command> {
        match &self.shared.renamed {
            // Streams have the original names, and so have Sentinels.
            Some(renamed) if self.applies.is_none() && !self.is_sentinel => renamed.lookup(name, self.seen),
            _ => self.seen.lookup(name),
        }
    }

    /// Runs a request; its reply goes again when the client wants none.
    #[inline]
    fn run_one(&mut self, ctx: &mut Context<'_>, plan: &Plan<'_>, scope: &mut Scope<'_>) -> Step {
        let position = scope.output.buffer.len();
        let step = self.check_and_run(ctx, plan, scope);
        if self.mutes() {
            self.mute(plan, step, position, scope);
        }
        step
    }

    /// Takes back the reply that begins at `position` of the output, if the client wants none.
    #[cold]
    fn mute(&mut self, plan: &Plan<'_>, step: Step, position: usize, scope: &mut Scope<'_>) {
        // Confirmations of subscriptions are pushes, not replies.
        let pushes = Flags::PUBSUB.with(Flags::NOSCRIPT);
        let subscribes = plan.command.is_some_and(|command| command.spec.flags.has(pushes));
        if !matches!(step, Step::NotYet | Step::Elsewhere) && self.mutes_reply() && !subscribes {
            scope.output.buffer.truncate(position);
        }
    }

    /// Resolves subcommands, checks the arity and the rules of admission, then runs or queues.
    #[inline]
    fn check_and_run(&mut self, ctx: &mut Context<'_>, plan: &Plan<'_>, scope: &mut Scope<'_>) -> Step {
        let resolved = match plan.command {
            Some(command) if command.subcommands.is_empty() || plan.args.len() == 1 => Ok(command),
            Some(command) => command
                .subcommand(plan.args.get(1))
                .ok_or_else(|| table::unknown_subcommand(command, &plan.args)),
            None if is_http(plan.args.get(0)) => {
                tracing::warn!(
                    "closing a connection that sent an HTTP request, perhaps through somebody's browser"
                );
                return Step::Close;
            }
            None => Err(table::unknown_command(&plan.args)),
        };
        let command = match resolved {
            Ok(command) => command,
            Err(error) => return self.refuse(ctx, &error, None, &plan.args, scope),
        };
        if let Err(error) = command.check_arity(plan.args.len()) {
            return self.refuse(ctx, &error, Some(command), &plan.args, scope);
        }
        match self.admit(ctx, command, &plan.args, scope) {
            Ok(Admission::Run) => self.execute(ctx, command, plan, scope),
            Ok(Admission::Queue) => self.queue(command, &plan.args, scope),
            Ok(Admission::Wait) => Step::NotYet,
            Ok(Admission::Elsewhere) => Step::Elsewhere,
            Err(error) => self.refuse(ctx, &error, Some(command), &plan.args, scope),
        }
    }

    /// Answers with an error before the command ran; inside MULTI it dooms the EXEC. A refused EXEC ends the MULTI.
    #[cold]
    fn refuse(
        &mut self,
        ctx: &mut Context<'_>,
        error: &CommandError,
        command: Option<&Command>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Step {
        let mut text = error.to_string();
        if command.is_some_and(|command| matches!(command.spec.run, Run::Server(ServerOp::Exec))) {
            // Forgetting watched keys takes their partitions, which requests before this one may have left held.
            ctx.txn.release();
            self.abandon_multi();
            let why = text.strip_prefix("ERR ").unwrap_or(&text);
            text = format!("EXECABORT Transaction discarded because of: {why}");
        } else {
            self.doom_transaction();
        }
        self.shared.stats.rejected(scope.worker, command.map(|command| command.id), &text);
        if self.applies.is_some() {
            return self.fault(args, &text, true);
        }
        self.reply(scope).error(&text);
        Step::Done
    }

    /// A reply writer over the connection's output.
    pub(crate) fn reply<'o>(&self, scope: &'o mut Scope<'_>) -> Reply<'o> {
        Reply::new(&mut scope.output.buffer, self.resp3)
    }

    #[inline]
    fn execute(
        &mut self,
        ctx: &mut Context<'_>,
        command: &'static Command,
        plan: &Plan<'_>,
        scope: &mut Scope<'_>,
    ) -> Step {
        self.ran = Some(command);
        match command.spec.run {
            Run::Data(_) => {
                self.acquire(&mut ctx.txn, command, &plan.args, plan.key.as_ref());
                ctx.txn.prime(plan.key.as_ref());
                self.run_data(ctx, command, &plan.args, scope)
            }
            Run::Server(op) => {
                ctx.txn.release();
                self.run_op(ctx, op, command, &plan.args, scope)
            }
            Run::Container => {
                let error = CommandError::WrongArity(command.full_name.into());
                self.refuse(ctx, &error, Some(command), &plan.args, scope)
            }
        }
    }

    /// Locks the partitions of the call's keys, unless exactly one is needed and held already.
    #[inline]
    fn acquire(&self, txn: &mut Txn<'_>, command: &Command, args: &Args<'_>, key: Option<&Key<'_>>) {
        if let Some(key) = key {
            let partition = self.shared.keyspace.partition_of(key.slot);
            if !txn.holds_only(partition) {
                txn.release();
                txn.acquire_one(partition);
                self.record(txn);
            }
            return;
        }
        txn.release();
        if !command.spec.flags.has(internal::WALKS) {
            txn.acquire(self.partitions_of(command, args));
            self.record(txn);
        }
    }

    /// Partitions of all keys of a call.
    pub(crate) fn partitions_of(&self, command: &Command, args: &Args<'_>) -> PartitionSet {
        let space = &self.shared.keyspace;
        if command.spec.flags.has(internal::ALL_PARTITIONS) {
            return space.all_partitions();
        }
        let mut partitions = PartitionSet::EMPTY;
        let mut keys = KeyList::new();
        // Arguments that contradict the key specs make the handler answer with its own error.
        let _ = keys_of(command.spec, args, &mut keys);
        for key in keys {
            partitions.insert(space.partition_of(redoubt_store::slot_of(args.get(key.index))));
        }
        partitions
    }

    /// Runs a data command over the held partitions and commits it.
    #[inline]
    pub(crate) fn run_data(
        &mut self,
        ctx: &mut Context<'_>,
        command: &'static Command,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Step {
        let position = scope.output.buffer.len();
        let dirty = ctx.txn.counters.dirty;
        let failed = self.call(ctx, command, args, self.resp3, &mut scope.output.buffer);
        let Ok(failed) = failed else { return Step::Close };
        if let Some(text) = failed {
            self.failed(scope, command, args, &text);
        }
        if let Some(park) = ctx.parked.take() {
            self.park(ctx, command, args, park);
            self.commit(ctx, scope, position);
            return Step::Parked;
        }
        if command.spec.propagate == Propagate::Verbatim && ctx.txn.counters.dirty != dirty {
            ctx.txn.effect(args.words());
        }
        self.commit(ctx, scope, position);
        Step::Done
    }

    /// Calls the handler. Inner `Some`: the error it answered with. `Err`: it panicked, and the client must go.
    #[inline]
    pub(crate) fn call(
        &self,
        ctx: &mut Context<'_>,
        command: &'static Command,
        args: &Args<'_>,
        resp3: bool,
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, ()> {
        let Run::Data(handler) = command.spec.run else { unreachable!("only data commands are called") };
        self.touched.set(true);
        ctx.txn.begin_call();
        let position = out.len();
        let called = catch_unwind(AssertUnwindSafe(|| handler(ctx, args, &mut Reply::new(out, resp3))));
        if let Ok(Ok(())) = called {
            return Ok(None);
        }
        out.truncate(position);
        let Ok(Err(error)) = called else {
            self.panicked(ctx.txn.touched && command.spec.is_write(), command);
            return Err(());
        };
        let text = error.to_string();
        Reply::new(out, resp3).error(&text);
        Ok(Some(text))
    }

    /// A command answered with an error.
    #[cold]
    pub(crate) fn failed(
        &mut self,
        scope: &Scope<'_>,
        command: &Command,
        args: &Args<'_>,
        text: &str,
    ) -> Step {
        self.shared.stats.failed(scope.worker, command.id, text);
        match self.applies {
            None => Step::Done,
            // What follows a SELECT or an EXEC that failed is not what it was meant to be.
            Some(_) => self.fault(args, text, !matches!(command.spec.run, Run::Data(_))),
        }
    }

    /// A panic is our mistake. One that may have left data half-changed ends the process; any other only the client.
    #[cold]
    fn panicked(&self, half_changed: bool, command: &Command) {
        self.shared.stats.panic();
        tracing::error!(command = command.full_name, client = self.client.addr, "a command panicked");
        if half_changed {
            tracing::error!("the data may be inconsistent: stopping at once");
            std::process::abort();
        }
    }

    /// Whether a command may write, for CLIENT PAUSE WRITE.
    pub(crate) fn may_write(command: &Command) -> bool {
        command.spec.flags.any(Flags::WRITE.with(internal::MAY_REPLICATE))
    }
}

/// Keeps the time of a batch's transaction within a millisecond: requests may take long, and the next one must not find
/// what has expired meanwhile.
struct Hand {
    /// When the time was looked up last, in raw ticks.
    since: u64,
    millisecond: u64,
}

impl Hand {
    #[inline]
    fn follow(&mut self, now: u64, txn: &mut Txn<'_>) {
        if now.saturating_sub(self.since) >= self.millisecond {
            self.since = now;
            txn.set_now_ms(crate::shared::unix_ms());
        }
    }
}

/// What a batch's requests share beside the transaction.
pub(crate) struct Scope<'s> {
    pub(crate) values: &'s Arc<crate::config::Values>,
    pub(crate) worker: usize,
    pub(crate) clock: &'s quanta::Clock,
    pub(crate) output: &'s mut Output,
    /// The bytes of the requests, where they are handed on.
    pub(crate) source: Option<&'s mut dyn Passage>,
    /// Commands that take this long are looked at more closely, nanoseconds.
    noted_nanos: u64,
}

impl<'s> Scope<'s> {
    pub(crate) fn new(
        values: &'s Arc<crate::config::Values>,
        worker: usize,
        clock: &'s quanta::Clock,
        output: &'s mut Output,
    ) -> Scope<'s> {
        Scope { values, worker, clock, output, source: None, noted_nanos: session::noted_nanos(values) }
    }

    /// The settings have changed: whether what set them was slow is judged by those that hold now.
    pub(crate) fn settings_changed(&mut self, values: &crate::config::Values) {
        self.noted_nanos = session::noted_nanos(values);
    }

    /// Where what runs here is counted.
    pub(crate) fn place(&self) -> Place<'s> {
        Place { worker: self.worker, values: self.values, clock: self.clock }
    }
}

/// Whether a call begins as a header of an HTTP request does: a web page can make a browser send one here, with calls
/// in its body.
fn is_http(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"post") || word.eq_ignore_ascii_case(b"host:")
}

/// The key of the request at `index`, if there is one.
#[inline]
fn key_at<'p, 'a>(plans: &'p [Plan<'a>], index: usize) -> Option<&'p Key<'a>> {
    plans.get(index)?.key.as_ref()
}
