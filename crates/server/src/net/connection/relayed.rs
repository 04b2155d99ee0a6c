//! A connection whose client is carried to the primary: what its task does beside its own work.
//!
//! Commands that need the primary go there, as many as come. Any other runs here when nothing is under way any more, so
//! that replies keep their order and the state of the connection has one owner: the session.

use super::{Connection, Request};
use crate::client::flag;
use crate::config::Routing;
use crate::dispatch::Flow;
use crate::dispatch::blocking::DEMOTED;
use crate::forward::{
    Course, Happened, NOT_PRIMARY, Nature, Need, Received, Relay, exec_request, may_share, need,
    unblock_request,
};
use crate::ha::Route;
use crate::shared::unix_ms;
use redoubt_commands::spec::{Flags, Run, ServerOp};
use redoubt_commands::table::Command;
use redoubt_resp::{Reply, RequestParser, Status};
use smallvec::SmallVec;
use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use tokio::time::Instant;

/// Bytes of requests under way beyond which no more are taken over.
const UNDER_WAY_BYTES_MAX: usize = 1024 * 1024;

/// The answer to EXEC where the queue holds what only the client's own node can run.
const BOUND: &str = "EXECABORT Transaction discarded because of: cannot be carried to the primary: ";

impl Connection {
    /// From now on the client is relayed. False if that is not possible.
    pub(super) fn enter_relay(&mut self) -> bool {
        if self.relay.is_none() {
            if self.session.has_watches() {
                self.session.lose_watches();
            }
            self.relay = Relay::new(&self.shared);
        }
        self.relay.is_some()
    }

    fn serves(&self) -> bool {
        self.shared.ha.as_ref().is_some_and(|ha| ha.gate.is_serving())
    }

    /// Whether so much is under way that nothing more is carried to the primary.
    pub(super) fn is_choked(&self) -> bool {
        self.relay.as_ref().is_some_and(|relay| relay.machine.unanswered() >= UNDER_WAY_BYTES_MAX)
    }

    /// Whether something the client sent before it ended is still to be carried to the primary.
    pub(super) fn has_rest(&self) -> bool {
        let waits = |relay: &Relay| !relay.machine.is_idle() && !relay.machine.may_block();
        let has_input = !self.input.is_empty() || !self.ahead.is_empty();
        has_input && self.relay.as_deref().is_some_and(waits)
    }

    /// Notes that the client sends nothing more; whether it is still to be answered. Who waits in a blocking command is not
    /// waited for: what it would be given would be lost.
    pub(super) fn drains(&mut self) -> bool {
        self.draining = true;
        self.relay.as_ref().is_some_and(|relay| !relay.machine.is_idle() && !relay.machine.may_block())
    }

    /// Does what the deployment's state asks for. False when the connection must end.
    pub(super) fn steer(&mut self) -> bool {
        let serving = self.serves();
        loop {
            let Some(relay) = &mut self.relay else { return true };
            if relay.is_settled(serving) {
                return true;
            }
            let now = Instant::now();
            match relay.course(serving, now) {
                Course::Keep => {
                    relay.adjust(&self.session);
                    if !relay.is_moving() {
                        return true;
                    }
                }
                Course::Leave => {
                    if !self.leave_upstream() {
                        return false;
                    }
                }
                Course::Connect(endpoint) => {
                    relay.connect(endpoint, now, &self.session, &mut self.trunks.borrow_mut());
                }
                Course::Fail(why) => self.fail(why),
                Course::Home => self.go_home(),
            }
        }
    }

    /// Answers all that waits with an error.
    fn fail(&mut self, why: &str) {
        let Some(relay) = &mut self.relay else { return };
        let text = if why.starts_with("CLUSTERDOWN") { why.to_owned() } else { format!("CLUSTERDOWN {why}") };
        relay.figures().failed.fetch_add(1, Relaxed);
        relay.machine.fail(&text, &mut self.output);
        self.end_special(false);
    }

    /// The connection to the primary is gone. False when the client's must go with it.
    fn leave_upstream(&mut self) -> bool {
        let Some(relay) = &mut self.relay else { return true };
        let Some(unknown) = relay.machine.lost(&mut self.output) else { return false };
        relay.figures().unknown.fetch_add(unknown as u64, Relaxed);
        relay.hang_up();
        self.forget_watches();
        true
    }

    /// What was watched on the node that was left: a transaction that is still to run there must not run elsewhere.
    fn forget_watches(&mut self) {
        let watched = self.session.away.watches;
        self.session.lose_watches();
        let Some(relay) = &mut self.relay else { return };
        let runs = relay.special.as_ref().is_some_and(|special| special.transaction.is_some());
        if watched && runs && !relay.machine.is_idle() {
            let muted = relay.special.as_ref().is_some_and(|special| special.muted);
            relay.machine.take_back(&mut self.output);
            if !muted {
                Reply::new(&mut self.output.buffer, self.session.resp3).null_array();
            }
        }
        if relay.machine.is_idle() {
            self.end_special(false);
        }
    }

    /// This node is the primary: what has not been answered is executed here.
    fn go_home(&mut self) {
        let Some(mut relay) = self.relay.take() else { return };
        self.client.set(flag::BLOCKED, false);
        let mut requests = relay.machine.take_back(&mut self.output);
        if let Some(special) = relay.special.take().filter(|_| !requests.is_empty()) {
            if let Some(multi) = special.transaction {
                self.session.put_multi(multi);
                requests = exec_request(self.shared.renamed.as_ref());
            }
            if special.muted {
                self.session.mute_next();
            }
        }
        self.session.lose_watches();
        requests.append(&mut self.input);
        self.input = requests;
        self.parser = RequestParser::new();
    }

    /// The request that had to be answered first is: `succeeded` if it was a transaction that ran.
    fn end_special(&mut self, succeeded: bool) {
        let Some(relay) = &mut self.relay else { return };
        let Some(special) = relay.special.take() else { return };
        if let Some(multi) = special.transaction {
            let db = multi.selects.filter(|_| succeeded);
            relay.note_transaction(db);
            self.session.unwatch_all();
            if let Some(db) = db {
                self.session.select(db);
            }
        }
    }

    /// Something happened to the connection to the primary. False when the client's must end.
    pub(super) fn on_upstream(&mut self, happened: Happened) -> bool {
        let Some(relay) = &mut self.relay else { return true };
        match happened {
            Happened::Wrote => true,
            Happened::Connected => {
                relay.greet(&self.session);
                true
            }
            Happened::Lost => {
                relay.rest(Instant::now());
                self.leave_upstream()
            }
            Happened::Read => {
                let goes_on = self.take_replies();
                // Before the reply is written: who has it may be unblocked no more.
                self.show_blocked();
                goes_on
            }
        }
    }

    fn take_replies(&mut self) -> bool {
        let Some(relay) = &mut self.relay else { return true };
        let mut replies = std::mem::take(&mut relay.replies);
        let before = self.output.pending();
        let received = relay.machine.received(&mut replies, &mut self.output);
        relay.replies = replies;
        if self.output.pending() != before {
            relay.note_progress();
        }
        match received {
            Received::Fine => {}
            Received::NotPrimary => {
                relay.note_refusal(Instant::now());
                relay.rest(Instant::now());
                relay.machine.refused();
                relay.hang_up();
                self.forget_watches();
                return true;
            }
            Received::Refused(why) => {
                tracing::debug!("the primary does not serve a relay: {why}");
                relay.rest(Instant::now());
                return self.leave_upstream();
            }
            Received::Broken => return self.leave_upstream(),
        }
        if relay.special.is_some() && relay.machine.is_idle() {
            let succeeded = relay.machine.has_succeeded();
            self.end_special(succeeded);
        }
        !self.session.listens || self.read_inbox()
    }

    /// One attempt to write to the primary; what does not fit stays for `poll_event`.
    pub(super) async fn push_upstream(&mut self) -> bool {
        let happened = poll_fn(|cx| match &mut self.relay {
            Some(relay) => Poll::Ready(relay.poll_write(cx)),
            None => Poll::Ready(Poll::Pending),
        });
        match happened.await {
            Poll::Ready(Happened::Lost) => self.on_upstream(Happened::Lost) && self.steer(),
            _ => !self.relay.as_ref().is_some_and(|relay| relay.is_moving()) || self.steer(),
        }
    }

    /// Parses what has been read and sends it on its way, or runs it here. False when nothing more can be done now.
    pub(super) fn relay_batch(&mut self) -> bool {
        let Some(relay) = &self.relay else { return true };
        let idle = relay.machine.is_idle();
        let full = relay.special.is_some() || relay.machine.unanswered() >= UNDER_WAY_BYTES_MAX;
        if full || (!idle && (self.serves() || self.is_quoted_line())) {
            return false;
        }
        let as_it_came = self.is_quoted_line().then(|| self.input.clone());
        let failed = self.parse_batch().err();
        let (run, shares) = self.plain_run();
        if !run.is_empty() {
            self.carry_run(&run, shares);
            return true;
        }
        if self.batch.is_empty() && failed.is_none() {
            // Blank lines, or part of a request.
            let blank = self.parser.consumed();
            self.discard(blank, true);
            return false;
        }
        if !idle {
            // Nothing was changed by looking at it.
            self.parser = RequestParser::new();
            return false;
        }
        if let Some(error) = failed.filter(|_| self.batch.is_empty()) {
            self.shared.stats.protocol_error(&self.client, &error);
            Reply::new(&mut self.output.buffer, false).error(&format!("ERR {error}"));
            self.closing = true;
            return false;
        }
        self.run_special(as_it_came)
    }

    /// The requests at the front of the batch that go to the primary as they are, and whether they may go there on a
    /// connection that others share.
    fn plain_run(&self) -> (SmallVec<[(usize, Nature); super::BATCH]>, bool) {
        let mut run = SmallVec::new();
        let mut shares = true;
        let routing = self.local.borrow().values.ha.route;
        if !self.session.carries_freely(routing) {
            return (run, shares);
        }
        let mut at = 0;
        for request in &self.batch {
            // Inline requests go as the words they are made of.
            if self.input[at] != b'*' {
                break;
            }
            let Some(command) = self.command_of(*request) else { break };
            let Some(nature) = plain_nature(command) else { break };
            shares &= may_share(command);
            run.push((request.end - at, nature));
            at = request.end;
        }
        (run, shares)
    }

    fn command_of(&self, request: Request) -> Option<&'static Command> {
        let word = |at: usize| self.spans[request.first + at].of(&self.input);
        let command = self.session.lookup(word(0))?;
        match command.subcommands.is_empty() {
            true => Some(command),
            false if request.count > 1 => command.subcommand(word(1)),
            false => None,
        }
    }

    fn carry_run(&mut self, run: &[(usize, Nature)], shares: bool) {
        let last = self.batch[run.len() - 1];
        let all = run.len() == self.batch.len();
        if let Some(command) = self.command_of(last) {
            self.client.last_command.store(command.id + 1, Relaxed);
        }
        let Some(relay) = &mut self.relay else { return };
        if !shares {
            relay.keep_apart();
        }
        relay.machine.carry_run(&mut self.input, run);
        if all {
            self.parser.rebase(last.end);
        } else {
            self.parser = RequestParser::new();
        }
        self.note_carried(run.len());
    }

    fn note_carried(&self, count: usize) {
        self.shared.forward.commands.fetch_add(count as u64, Relaxed);
        self.client.active_ms.store(unix_ms(), Relaxed);
        self.client.commands.store(self.client.commands.load(Relaxed) + count as u64, Relaxed);
    }

    /// Has the session decide about the first request; nothing is under way.
    fn run_special(&mut self, as_it_came: Option<Vec<u8>>) -> bool {
        self.batch.truncate(1);
        let request = self.batch[0];
        let (ran, flow) = self.execute();
        if flow == Flow::Elsewhere {
            self.carry_special(request);
        } else if ran == 0 {
            if let Some(input) = as_it_came {
                self.input = input;
            }
            self.parser = RequestParser::new();
            return false;
        }
        if let Some(relay) = &mut self.relay {
            relay.changed = true;
        }
        self.discard(request.end, false);
        !self.closing && flow != Flow::Wait
    }

    /// This node was fenced while the first `ran` requests of the batch ran, whose replies begin at `end`. If they only
    /// read, their replies are taken back: they run again, elsewhere.
    pub(super) fn takes_back(&mut self, ran: usize, end: u64) -> bool {
        let reads = |request: &Request| {
            self.command_of(*request).is_some_and(|command| {
                need(command) == Need::Read && !command.spec.flags.has(Flags::BLOCKING)
            })
        };
        let session = &self.session;
        let is_plain = session.multi.is_none() && !session.listens && !session.mutes() && !self.serves();
        is_plain && self.batch[..ran].iter().all(reads) && self.output.revoke(end)
    }

    /// Sends the first request of the batch on its way; no other goes before it is answered.
    fn carry_special(&mut self, request: Request) {
        let Some(command) = self.command_of(request) else { return };
        let Some(relay) = &mut self.relay else { return };
        let words: SmallVec<[&[u8]; 8]> = self.spans[request.first..request.first + request.count]
            .iter()
            .map(|span| span.of(&self.input))
            .collect();
        let muted = self.session.mutes_reply();
        let nature = Nature { muted, ..nature_of(command) };
        self.client.last_command.store(command.id + 1, Relaxed);
        match command.spec.run {
            Run::Server(ServerOp::Exec) => {
                let Some(multi) = self.session.take_multi() else { return };
                if let Some(name) = multi.bound {
                    self.session.unwatch_all();
                    if !muted {
                        Reply::new(&mut self.output.buffer, false).error(&format!("{BOUND}{name}"));
                    }
                    return;
                }
                relay.carry_transaction(multi, Nature { reads: false, blocks: false, ..nature });
            }
            run => {
                self.session.away.watches |= matches!(run, Run::Server(ServerOp::Watch));
                relay.carry_special(&words, nature);
            }
        }
        self.note_carried(1);
    }

    /// Shows whether the primary has the client wait, or this node does.
    pub(super) fn show_blocked(&self) {
        let Some(relay) = &self.relay else { return };
        let here = self.session.is_parked() || self.session.waiting.is_some();
        let blocked = here || relay.machine.is_blocked();
        if self.client.has(flag::BLOCKED) != blocked {
            self.client.set(flag::BLOCKED, blocked);
        }
    }

    /// Whether another node's client waits here, and there is more of what that node has said.
    pub(super) fn is_blocked_relay(&self) -> bool {
        let has_more = !self.input.is_empty() || !self.ahead.is_empty();
        self.session.away.relays && self.client.has(flag::BLOCKED) && has_more
    }

    /// Takes the word of the node that relays the client out of what waits behind a parked call: it is to be parked no
    /// longer. Whether there was one.
    pub(super) fn take_unblock(&mut self) -> bool {
        while self.ahead.take(&mut self.input) {}
        let renames = self.shared.renamed.as_ref();
        let words = [false, true].map(|with_error| unblock_request(with_error, renames));
        let limits = self.limits();
        let mut spans = Vec::new();
        let scout = self.scout.get_or_insert_default();
        let mut from = scout.consumed();
        while let Ok(Status::Complete { end }) = scout.parse(&mut self.input, &mut spans, &limits) {
            if let Some(with_error) = words.iter().position(|word| *word == self.input[from..end]) {
                self.input.drain(from..end);
                (self.parser, self.scout) = (RequestParser::new(), None);
                let mut local = self.local.borrow_mut();
                self.session.unblock(&mut local, with_error == 1, &mut self.output);
                return true;
            }
            from = end;
        }
        false
    }

    /// A call that waits for a key here, where nobody writes any more, is run again by the primary.
    pub(super) fn move_parked(&mut self) {
        if !self.session.is_parked() || self.serves() {
            return;
        }
        let Some(ha) = &self.shared.ha else { return };
        if !matches!(ha.view().route(), Route::To(_)) {
            return;
        }
        let routing = self.local.borrow().values.ha.route;
        let Some(words) = self.session.take_parked() else { return };
        let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
        let mut answer = |text: &str| Reply::new(&mut self.output.buffer, false).error(text);
        if self.session.away.relays {
            self.session.away.refused = true;
            answer(NOT_PRIMARY);
        } else if routing != Routing::Forward {
            answer(DEMOTED);
        } else if self.enter_relay()
            && let Some(relay) = &mut self.relay
        {
            relay.carry_special(&words, Nature { blocks: true, ..Nature::default() });
            self.note_carried(1);
        }
    }
}

/// The nature of a request that may go to the primary without a second look; WATCH changes the connection's state.
fn plain_nature(command: &'static Command) -> Option<Nature> {
    let is_watch = matches!(command.spec.run, Run::Server(ServerOp::Watch));
    (!is_watch && need(command) != Need::Nothing).then(|| nature_of(command))
}

fn nature_of(command: &Command) -> Nature {
    Nature {
        reads: need(command) == Need::Read,
        blocks: command.spec.flags.has(Flags::BLOCKING),
        ..Nature::default()
    }
}
