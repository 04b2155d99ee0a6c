//! One connection's task: read what is there, run it, write what came of it.

mod relayed;

use crate::client::{Client, Mail, flag};
use crate::dispatch::{Flow, Place, Session};
use crate::forward::{Happened, Relay, Trunks};
use crate::log::Held;
use crate::net::ahead::Ahead;
use crate::net::output::{self, Output};
use crate::net::socket::Socket;
use crate::net::turn::give_way;
use crate::replication::Refill;
use crate::shared::{Shared, unix_ms};
use crate::worker::{Local, recycled};
use redoubt_resp::{Limits, ProtocolError, Reply, RequestParser, Span, Status};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep};

/// Bytes asked for in one read, at first.
const READ_BYTES: usize = 16 * 1024;
/// Bytes asked for in one read of a connection whose reads keep filling what they are given.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Requests parsed ahead, so that their memory can be fetched while others run.
pub(crate) const BATCH: usize = 32;
/// Output beyond which no further request of the client runs before some of it was taken, bytes.
const OUTPUT_PAUSE_BYTES: usize = 1024 * 1024;
/// Bytes read of such a client meanwhile. If it goes on sending its requests run all the same, as in Redis, and what its
/// replies may take is for `client-output-buffer-limit` and `maxmemory-clients` to say.
const AHEAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Output that is worth a write although more requests are at hand, bytes.
pub(crate) const FLUSH_BYTES: usize = 64 * 1024;
/// Most parts of the output sent in one write.
const PARTS_MAX: usize = 64;
/// Bytes a replica is sent before others get their turn: of a snapshot there are always more at hand.
const FEED_BYTES: usize = 256 * 1024;
/// Batches one connection runs before others get their turn.
const BATCHES_PER_TURN: usize = 32;

/// Why the task was woken.
enum Event {
    Read,
    Closed,
    Mail,
    Written,
    Timer,
    /// Of the connection to the primary.
    Upstream(Happened),
}

/// See the module's text.
pub(crate) struct Connection {
    socket: Socket,
    shared: Arc<Shared>,
    client: Arc<Client>,
    local: Rc<RefCell<Local>>,
    /// The worker's shared connections to the primary.
    trunks: Rc<RefCell<Trunks>>,
    session: Session,
    parser: RequestParser,
    /// How far what waits behind a parked call was looked through, if it was.
    scout: Option<Box<RequestParser>>,
    input: Vec<u8>,
    /// What comes after `input`.
    ahead: Ahead,
    /// Bytes asked for in the next read.
    read_bytes: usize,
    spans: Vec<Span>,
    batch: Vec<Request>,
    output: Output,
    /// Wakes at the deadline of a parked call, the end of a pause or of the idle time.
    timer: Option<Pin<Box<Sleep>>>,
    /// No further request is read: close once the output is out.
    closing: bool,
    /// When the connection must end, unless its output falls below the soft limit before.
    soft_until: Option<Instant>,
    /// What the log was asked to wake this task for last.
    waits_for: Option<Held>,
    /// The client is carried to the primary.
    relay: Option<Box<Relay>>,
    /// The client has sent its last byte, and not everything has run yet.
    ended: bool,
    /// The client sends nothing more, and is still to be answered.
    draining: bool,
}

/// A parsed request: where its words stand in `spans`.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    first: usize,
    count: usize,
    /// Position after it.
    end: usize,
}

impl Connection {
    pub(crate) fn new(
        socket: Socket,
        shared: Arc<Shared>,
        client: Arc<Client>,
        local: Rc<RefCell<Local>>,
        trunks: Rc<RefCell<Trunks>>,
    ) -> Connection {
        let session = Session::new(Arc::clone(&shared), Arc::clone(&client));
        let connection = Connection {
            socket,
            shared,
            client,
            local,
            trunks,
            session,
            parser: RequestParser::new(),
            scout: None,
            input: Vec::new(),
            ahead: Ahead::default(),
            read_bytes: READ_BYTES,
            spans: Vec::new(),
            batch: Vec::new(),
            output: Output::default(),
            timer: None,
            closing: false,
            soft_until: None,
            waits_for: None,
            relay: None,
            ended: false,
            draining: false,
        };
        connection.publish();
        connection
    }

    /// Serves the connection until it ends.
    pub(crate) async fn run(mut self) {
        loop {
            let event = poll_fn(|cx| self.poll_event(cx)).await;
            let goes_on = match event {
                Ok(Event::Read) | Ok(Event::Written) => self.work().await,
                Ok(Event::Upstream(happened)) => self.on_upstream(happened) && self.work().await,
                Ok(Event::Mail) => self.read_mail() && self.work().await,
                Ok(Event::Timer) => self.on_timer() && self.work().await,
                Ok(Event::Closed) => self.drains(),
                Err(_) => false,
            };
            let is_over = self.closing || (self.draining && !self.drains());
            if !goes_on || (is_over && self.output.pending() == 0) {
                break;
            }
        }
        self.session.close();
    }

    /// Waits for whatever comes first. Polls the socket last: on the busy path mail and timer are looked at cheaply.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if self.client.mailbox.poll(cx.waker()) {
            return Poll::Ready(Ok(Event::Mail));
        }
        if self.output.pending() > 0 {
            match self.poll_flush(cx) {
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(Event::Written)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(false)) | Poll::Pending => {}
            }
        }
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            return Poll::Ready(Ok(Event::Timer));
        }
        if self.closing {
            return Poll::Pending;
        }
        let takes_replies = !self.is_held_up();
        if let Some(relay) = &mut self.relay
            && let Poll::Ready(happened) = relay.poll(cx, takes_replies)
        {
            return Poll::Ready(Ok(Event::Upstream(happened)));
        }
        // The end is told once: whoever is told it again and again would let nobody else run.
        if self.draining {
            return Poll::Pending;
        }
        if self.ended {
            return if self.has_rest() { Poll::Pending } else { Poll::Ready(Ok(Event::Closed)) };
        }
        if !self.may_read() {
            return Poll::Pending;
        }
        self.poll_read(cx)
    }

    /// Whether nothing runs until the client has taken some of its replies. What it sent before it ended runs in any case.
    fn is_held_up(&self) -> bool {
        let has_ended = self.ended || self.draining;
        self.output.pending() >= OUTPUT_PAUSE_BYTES && self.ahead.len() < AHEAD_BYTES_MAX && !has_ended
    }

    /// Whether what comes cannot be run or carried on at once.
    fn is_behind(&self) -> bool {
        self.output.pending() >= OUTPUT_PAUSE_BYTES || self.is_choked()
    }

    fn may_read(&self) -> bool {
        self.ahead.len() < AHEAD_BYTES_MAX || !self.is_behind()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if self.is_behind() || !self.ahead.is_empty() {
            return self.poll_read_ahead(cx);
        }
        // For the end of a big word there is room since its beginning: more would make the buffer twice as large.
        let wanted = self.parser.wanted().map(|end| end.saturating_sub(self.input.len()));
        self.input.reserve(wanted.filter(|bytes| *bytes > 0).unwrap_or(self.read_bytes));
        let socket = &mut self.socket;
        let filled = match poll_fill(&mut self.input, |buf| socket.poll_read(cx, buf)) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Event::Closed)),
            Poll::Ready(Ok(filled)) => filled,
        };
        self.adapt_read(filled);
        self.count_read(filled);
        Poll::Ready(Ok(Event::Read))
    }

    #[cold]
    fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        let socket = &mut self.socket;
        let read = self.ahead.fill(|piece| match poll_fill(piece, |buf| socket.poll_read(cx, buf)) {
            Poll::Ready(Ok(filled)) => Ok(filled),
            Poll::Ready(Err(error)) => Err(Poll::Ready(Err(error))),
            Poll::Pending => Err(Poll::Pending),
        });
        match read {
            Ok(0) => {
                self.ended = true;
                Poll::Ready(Ok(Event::Read))
            }
            Ok(filled) => {
                self.count_read(filled);
                Poll::Ready(Ok(Event::Read))
            }
            Err(other) => other,
        }
    }

    #[inline]
    fn count_read(&self, bytes: usize) {
        self.client.net_in.store(self.client.net_in.load(Relaxed) + bytes as u64, Relaxed);
    }

    /// A read that was filled had more to give: large requests in a pipeline would be read, run and answered one by one.
    #[inline]
    fn adapt_read(&mut self, filled: usize) {
        if filled >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        } else if filled < self.read_bytes / 4 {
            self.read_bytes = (self.read_bytes / 2).max(READ_BYTES);
        }
    }

    /// Sends what may be sent. True if it made room.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut wrote = false;
        loop {
            let released = self.shared.log.released();
            let written = if self.output.is_split() {
                let mut parts = [IoSlice::new(&[]); PARTS_MAX];
                match self.output.parts(released, &mut parts) {
                    0 => break,
                    filled => self.socket.poll_write_parts(cx, &parts[..filled]),
                }
            } else {
                match self.output.sendable(released) {
                    [] => break,
                    bytes => self.socket.poll_write(cx, bytes),
                }
            };
            match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.output.advance(n);
                    if self.session.feed.is_some() {
                        self.shared.replication.has_written(n);
                    }
                    self.client.net_out.store(self.client.net_out.load(Relaxed) + n as u64, Relaxed);
                    wrote = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return if wrote { Poll::Ready(Ok(true)) } else { Poll::Pending },
            }
        }
        if let Some(held) = self.output.waits_for() {
            if self.shared.log.released().voids(held) {
                tracing::debug!("closing {}: what it waits for will not be", self.client.addr);
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            if self.waits_for != Some(held) {
                self.waits_for = Some(held);
                self.shared.log.wake_at(held, &self.client);
            }
        }
        self.soft_until = None;
        Poll::Ready(Ok(wrote))
    }

    /// Runs what has been read, then writes once. False when the connection must end at once.
    async fn work(&mut self) -> bool {
        if self.relay.is_some() && !self.steer() {
            return false;
        }
        if self.is_overdue() {
            give_way().await;
        }
        if !self.check_limits() {
            return false;
        }
        let mut held_up = false;
        let mut requests = 0;
        for turn in 0.. {
            if self.closing {
                break;
            }
            if self.session.is_waiting() {
                if self.is_blocked_relay() && self.take_unblock() {
                    continue;
                }
                break;
            }
            // `poll_event` writes then, and comes back for the requests that are left.
            held_up = self.is_held_up();
            if held_up {
                break;
            }
            if self.input.is_empty() && !self.ahead.take(&mut self.input) {
                break;
            }
            let goes_on = self.run_batch() || self.is_blocked_relay();
            requests += self.batch.len();
            let has_more =
                if goes_on { !self.input.is_empty() || !self.ahead.is_empty() } else { self.read_on() };
            if !has_more {
                break;
            }
            if self.output.pending() >= FLUSH_BYTES && (!self.check_limits() || !self.flush_now().await) {
                return false;
            }
            if turn % BATCHES_PER_TURN == BATCHES_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        if self.relay.is_some() && (!self.steer() || !self.push_upstream().await) {
            return false;
        }
        // Limits hold for what a batch produced, not for what the socket did not take at once. Written right here:
        // waiting for the next poll would cost a pass through the scheduler.
        if !held_up && self.output.pending() > 0 {
            if requests > 1 || self.local.borrow().turn.is_waited_for() {
                self.wait_for_turn().await;
            }
            if !self.check_limits() || !self.flush_now().await {
                return false;
            }
        }
        if self.session.listens {
            self.output.give_back();
        }
        if self.session.feed.is_some() && !self.feed().await {
            return false;
        }
        output::empty(&mut self.spans);
        self.publish();
        let within = self.check_limits();
        self.set_timer();
        within
    }

    /// Takes more of what was read ahead, where what is there lacks its end. False if there is none or it is not wanted.
    fn read_on(&mut self) -> bool {
        !self.is_choked() && self.ahead.take(&mut self.input)
    }

    /// Has others run what they have read, before the replies are written.
    async fn wait_for_turn(&self) {
        {
            let local = &mut *self.local.borrow_mut();
            local.turn.wait(&local.clock);
        }
        give_way().await;
        self.local.borrow_mut().turn.end_wait();
    }

    /// Whether replies to others have waited long enough for batches like this one.
    fn is_overdue(&self) -> bool {
        let local = self.local.borrow();
        local.turn.is_overdue(&local.clock)
    }

    /// Sends a replica what there is for it, as long as the socket takes it. False when the connection must end.
    async fn feed(&mut self) -> bool {
        let mut fed = 0;
        loop {
            if self.output.pending() > 0 {
                return true;
            }
            let Some(feed) = &self.session.feed else { return true };
            match feed.refill(&mut self.output, self.shared.replication.now_ms()) {
                Refill::More => {}
                Refill::Nothing => return true,
                Refill::Close => return false,
            }
            fed += self.output.pending();
            if !self.flush_now().await {
                return false;
            }
            if fed >= FEED_BYTES {
                fed = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// One attempt to write; what does not fit stays for `poll_event`.
    async fn flush_now(&mut self) -> bool {
        if self.output.waits_for().is_some() {
            self.shared.aof.write_through(&self.shared);
        }
        poll_fn(|cx| match self.poll_flush(cx) {
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Ready(true),
            Poll::Ready(Err(_)) => Poll::Ready(false),
        })
        .await
    }

    /// Parses and runs up to `BATCH` requests. False when nothing more can be done with what has been read.
    fn run_batch(&mut self) -> bool {
        if self.relay.is_some() {
            return self.relay_batch();
        }
        let start = self.parser.consumed();
        // A quoted line is decoded in place: if it has to wait it must be found as it came.
        let as_it_came = (self.session.may_wait() && self.is_quoted_line()).then(|| self.input.clone());
        let failed = self.parse_batch().err();
        let progressed = self.parser.consumed() > start;
        let parsed = self.batch.len();
        let (ran, flow) = self.execute();
        let waits = ran < parsed;
        if let Some(input) = as_it_came.filter(|_| waits) {
            self.input = input;
        }
        let end = match ran {
            0 if waits => start,
            _ if waits => self.batch[ran - 1].end,
            _ => self.parser.consumed(),
        };
        self.discard(end, !waits);
        if let Some(error) = failed.filter(|_| !waits && !self.closing) {
            self.shared.stats.protocol_error(&self.client, &error);
            Reply::new(&mut self.output.buffer, false).error(&format!("ERR {error}"));
            self.closing = true;
        }
        if flow == Flow::Elsewhere {
            return self.enter_relay();
        }
        progressed && (!waits || flow == Flow::Flush) && !self.closing
    }

    fn parse_batch(&mut self) -> Result<(), ProtocolError> {
        self.spans.clear();
        self.batch.clear();
        let limits = self.limits();
        // What a client may send changes with AUTH: until then, look again after each request.
        let most = if limits.authenticated { BATCH } else { 1 };
        while self.batch.len() < most {
            let quoted = self.is_quoted_line();
            if quoted && !self.batch.is_empty() {
                break;
            }
            let first = self.spans.len();
            match self.parser.parse(&mut self.input, &mut self.spans, &limits)? {
                Status::Incomplete => break,
                // A blank line or a call of no words asks for nothing.
                Status::Complete { .. } if self.spans.len() == first => {}
                Status::Complete { end } => {
                    self.batch.push(Request { first, count: self.spans.len() - first, end });
                }
            }
            if quoted {
                break;
            }
        }
        Ok(())
    }

    /// Whether an inline request comes next that has quotes. Such a line is decoded in place, so it has a batch of its
    /// own: after one that has to wait, the rest of a batch must be found as it came.
    fn is_quoted_line(&self) -> bool {
        let rest = &self.input[self.parser.consumed().min(self.input.len())..];
        if rest.first().is_none_or(|byte| *byte == b'*') {
            return false;
        }
        // Such lines are short: setting up a search would take longer than the search.
        rest.iter().find(|byte| matches!(byte, b'"' | b'\'' | b'\n')).is_some_and(|byte| *byte != b'\n')
    }

    fn limits(&self) -> Limits {
        let local = self.local.borrow();
        Limits {
            bulk_len_max: local.values.proto_max_bulk_len,
            authenticated: self.session.is_authenticated(),
            ..Limits::default()
        }
    }

    /// Runs the batch and returns how many of its requests ran, and how to go on: fewer when one has to wait or there is
    /// much to send.
    fn execute(&mut self) -> (usize, Flow) {
        if self.batch.is_empty() {
            return (0, Flow::Continue);
        }
        let mut local = self.local.borrow_mut();
        let mut words: Vec<&[u8]> = recycled(std::mem::take(&mut local.words));
        words.extend(self.spans.iter().map(|span| span.of(&self.input)));
        let ranges: smallvec::SmallVec<[(usize, usize); BATCH]> =
            self.batch.iter().map(|request| (request.first, request.first + request.count)).collect();
        let end = self.output.end();
        let (ran, flow) = self.session.run(&mut local, &words, &ranges, &mut self.output);
        output::empty(&mut words);
        local.words = recycled(words);
        drop(local);
        match flow {
            Flow::Continue | Flow::Wait | Flow::Flush | Flow::Elsewhere => {}
            Flow::Close => self.closing = true,
            Flow::Lost if self.takes_back(ran, end) => return (0, Flow::Flush),
            Flow::Lost => {
                tracing::debug!("closing {}: the lease ended while its commands ran", self.client.addr);
                self.output.discard();
                self.closing = true;
            }
        }
        (ran, flow)
    }

    /// Drops the bytes of requests that ran. Of a long pipeline not before they are half of it: moving the rest with every
    /// batch would cost more than to run them.
    fn discard(&mut self, end: usize, all: bool) {
        self.scout = None;
        let goes_on = all && self.batch.len() == BATCH && self.relay.is_none() && !self.session.is_waiting();
        if goes_on && end < self.input.len() / 2 {
            return;
        }
        if all {
            self.parser.rebase(end);
        } else {
            self.parser = RequestParser::new();
        }
        if end == self.input.len() {
            output::empty(&mut self.input);
        } else {
            self.input.drain(..end);
        }
    }

    /// False when the connection must end at once.
    fn read_mail(&mut self) -> bool {
        for mail in self.client.mailbox.take() {
            match mail {
                Mail::Kill => return false,
                Mail::Unblock { with_error } => {
                    if let Some(relay) = &mut self.relay {
                        relay.unblock(with_error);
                    }
                    let mut local = self.local.borrow_mut();
                    self.session.unblock(&mut local, with_error, &mut self.output);
                }
                Mail::Demoted if self.session.is_parked() || self.session.waiting.is_some() => {
                    self.session.demoted(&mut self.local.borrow_mut(), &mut self.output);
                    self.closing = true;
                }
                Mail::Demoted => {}
                Mail::Shrink => self.shrink(),
                Mail::Recheck => {
                    let mut local = self.local.borrow_mut();
                    if !self.session.recheck(&mut local, &mut self.output) {
                        return false;
                    }
                }
            }
        }
        self.closing |= self.session.look_at_wait(&mut self.output, false, None);
        self.session.away.look_again();
        self.move_parked();
        self.read_inbox()
    }

    /// Gives back what empty buffers take: a connection that was busy once would keep it for ever.
    fn shrink(&mut self) {
        self.read_bytes = READ_BYTES;
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        self.output.give_back();
    }

    /// Takes over what others have sent. False when it was too much.
    fn read_inbox(&mut self) -> bool {
        let is_within_reply = self.relay.as_ref().is_some_and(|relay| relay.machine.is_within_reply());
        if !self.client.inbox.is_filled() || is_within_reply {
            return true;
        }
        if self.closing {
            // The last reply has been written: what comes now would only put the end off.
            self.client.inbox.take(&mut Output::default());
            return true;
        }
        let taken = self.client.inbox.take(&mut self.output);
        if taken.served {
            let local = self.local.borrow();
            let place = Place { worker: local.index, values: &local.values, clock: &local.clock };
            self.session.served(place);
        }
        if taken.overflown {
            self.shared.stats.output_buffer_limit(&self.client);
        }
        !taken.overflown
    }

    /// False when the client was idle for too long.
    fn on_timer(&mut self) -> bool {
        if self.session.is_parked() || self.session.waiting.is_some() {
            let mut local = self.local.borrow_mut();
            return self.session.timed_out(&mut local, &mut self.output);
        }
        let limit = self.local.borrow().values.timeout;
        let idle = unix_ms() - self.client.active_ms.load(Relaxed);
        let exempt =
            self.session.is_waiting() || self.client.has(flag::PUBSUB) || self.client.has(flag::REPLICA);
        // Who relays a client knows better when that was idle for too long.
        let exempt = exempt || self.session.away.relays;
        let exempt = exempt || self.relay.as_ref().is_some_and(|relay| !relay.machine.is_idle());
        limit.is_none_or(|limit| exempt || idle < limit.as_millis() as i64)
    }

    fn set_timer(&mut self) {
        let now = Instant::now;
        let relay = self.relay.as_ref().filter(|relay| !relay.is_settled(false));
        let relay = relay.and_then(|relay| relay.wakes_at(now()));
        let wait = match self.session.wakes_at() {
            Some(at) => Some(now() + Duration::from_millis((at - unix_ms()).max(0) as u64)),
            None if self.session.is_waiting() => None,
            None => match self.local.borrow().values.timeout {
                Some(_)
                    if self.timer.is_some()
                        && self.soft_until.or(relay).is_none()
                        && self.relay.is_none() =>
                {
                    return;
                }
                limit => limit.map(|limit| now() + limit),
            },
        };
        let at = wait.into_iter().chain(self.soft_until).chain(relay).min();
        self.timer = at.map(|at| Box::pin(tokio::time::sleep_until(at)));
    }

    /// Shows the state of the buffers to CLIENT LIST.
    fn publish(&self) {
        let client = &self.client;
        client.query_bytes.store(self.input.len() + self.ahead.len(), Relaxed);
        client.query_room.store(self.input.capacity() - self.input.len(), Relaxed);
        client.output_bytes.store(self.output.pending(), Relaxed);
        let relay = self.relay.as_ref().map_or(0, |relay| relay.memory());
        let words = self.spans.capacity() * size_of::<Span>() + self.parser.memory();
        let read = self.input.capacity() + self.ahead.memory();
        let own = read + words + self.output.memory() + size_of::<Self>();
        let (queued, held) = self.session.memory();
        client.memory.store(own + relay + held, Relaxed);
        client.multi_memory.store(queued, Relaxed);
        client.set(flag::CLOSING, self.closing);
        self.show_blocked();
        // What was sent has been given back.
        self.shared.memory.report_if_limited();
    }

    /// Closes clients whose buffers outgrew their limits. False when it does.
    #[inline]
    fn check_limits(&mut self) -> bool {
        // No limit of input is that low.
        let is_idle = self.output.pending() == 0 && self.input.len() <= READ_BYTES;
        (is_idle && self.soft_until.is_none()) || self.check_buffers()
    }

    fn check_buffers(&mut self) -> bool {
        let (limit, query_limit) = {
            let mut local = self.local.borrow_mut();
            // Nothing may have run on this worker since the settings changed.
            local.refresh(&self.shared);
            let values = &local.values;
            (crate::pubsub::output_limit(values, &self.client), values.client_query_buffer_limit)
        };
        if self.input.len() > query_limit {
            self.shared.stats.query_buffer_limit(&self.client);
            return false;
        }
        // What another node relays belongs to many clients, each of whom has its limits there.
        let pending = if self.session.away.relays { 0 } else { self.output.pending() as u64 };
        let hard = limit.hard_bytes != 0 && pending > limit.hard_bytes;
        let soft = limit.soft_bytes != 0 && pending > limit.soft_bytes;
        let late = soft && {
            let patience = Duration::from_secs(limit.soft_seconds);
            *self.soft_until.get_or_insert_with(|| Instant::now() + patience) <= Instant::now()
        };
        if !soft {
            self.soft_until = None;
        }
        if hard || late {
            self.shared.stats.output_buffer_limit(&self.client);
        }
        !(hard || late)
    }
}

/// Reads into the spare capacity of a buffer; how many bytes.
pub(crate) fn poll_fill(
    buf: &mut Vec<u8>,
    read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<usize>> {
    let mut spare = ReadBuf::uninit(buf.spare_capacity_mut());
    let filled = match read(&mut spare) {
        Poll::Pending => return Poll::Pending,
        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => spare.filled().len(),
    };
    // SAFETY: the socket filled this many bytes of the spare capacity.
    #[allow(unsafe_code)]
    unsafe {
        buf.set_len(buf.len() + filled);
    }
    Poll::Ready(Ok(filled))
}
