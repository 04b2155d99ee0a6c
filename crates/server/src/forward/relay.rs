//! A relayed client's connection to the primary: made when there is something to send, kept while its node leads.

use super::Figures;
use super::course::{Course, Facts, Limits, course};
use super::machine::{Machine, Nature};
use super::state::{Commands, State, encode};
use super::trunk::{Berth, Trunks};
use crate::dispatch::renames::Renames;
use crate::dispatch::{Multi, Session};
use crate::ha::{Endpoint, Route, View};
use crate::net::connection;
use crate::shared::Shared;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

/// Bytes asked for in one read, at first and at most.
const READ_BYTES: usize = 16 * 1024;
const READ_BYTES_MAX: usize = 256 * 1024;
/// Between two attempts at a connection, at first and at most.
const REST: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_millis(100);
/// Who has more than this under way, or in one reply, gets a connection of its own, bytes: nobody else is to wait for it.
const SHARED_BYTES_MAX: usize = 64 * 1024;
/// How often it is looked whether a primary is there, where no change of the view tells.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

enum Link {
    Connecting(Connecting),
    Up(TcpStream),
    /// One that others use, too.
    Shared(Berth),
}

struct Upstream {
    endpoint: Endpoint,
    link: Link,
    /// When it was begun, or was last told of a change of the client's state.
    since: Instant,
    state: State,
}

/// A request that must be answered before another goes.
pub(crate) struct Special {
    /// The transaction it ends: its commands are sent with it.
    pub(crate) transaction: Option<Multi>,
    /// The client wants no reply.
    pub(crate) muted: bool,
}

/// What happened to the connection to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// It is there.
    Connected,
    /// Bytes were read.
    Read,
    /// Bytes were written.
    Wrote,
    /// It is gone, or could not be made.
    Lost,
}

/// See the module's text.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    pub(crate) machine: Machine,
    upstream: Option<Upstream>,
    pub(crate) replies: Vec<u8>,
    read_bytes: usize,
    /// Whether a shared connection will do: nothing was sent that needs one of its own.
    shares: bool,
    /// The connection is not the right one: it is exchanged once nothing is under way.
    moves: bool,
    views: watch::Receiver<Arc<View>>,
    route: Route,
    limits: Limits,
    /// The request that must be answered first.
    pub(crate) special: Option<Special>,
    /// The client's state may differ from that of the connection.
    pub(crate) changed: bool,
    waits_since: Option<Instant>,
    strays_since: Option<Instant>,
    /// Since when nodes have refused requests, without a reply in between.
    refused_since: Option<Instant>,
    rests_until: Option<Instant>,
    rest: Duration,
}

impl Relay {
    /// For a client of a node whose failover is switched on.
    pub(crate) fn new(shared: &Arc<Shared>) -> Option<Box<Relay>> {
        let views = shared.ha.as_ref()?.watch();
        let limits = limits(&views.borrow());
        shared.forward.relayed.fetch_add(1, Relaxed);
        shared.forward.total.fetch_add(1, Relaxed);
        Some(Box::new(Relay {
            shared: Arc::clone(shared),
            machine: Machine::default(),
            upstream: None,
            replies: Vec::new(),
            read_bytes: READ_BYTES,
            shares: true,
            moves: false,
            views,
            route: Route::Wait,
            limits,
            special: None,
            changed: true,
            waits_since: None,
            strays_since: None,
            refused_since: None,
            rests_until: None,
            rest: REST,
        }))
    }

    /// The counts of all relays.
    pub(crate) fn figures(&self) -> &Figures {
        &self.shared.forward
    }

    /// Memory of its buffers, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.machine.memory() + self.replies.capacity() + size_of::<Relay>()
    }

    /// Whether there is nothing to decide: all goes to the primary.
    #[inline]
    pub(crate) fn is_settled(&self, serving: bool) -> bool {
        !serving
            && !self.changed
            && !self.moves
            && self.waits_since.is_none()
            && self.strays_since.is_none()
            && self.machine.is_ready()
            && !self.views.has_changed().unwrap_or(false)
    }

    /// What is to be done, by what is known of the deployment.
    pub(crate) fn course(&mut self, serving: bool, now: Instant) -> Course {
        if self.views.has_changed().unwrap_or(false) {
            self.rests_until = None;
        }
        if self.moves && !self.machine.is_in_flight() {
            self.machine.refused();
            self.hang_up();
        }
        let view = Arc::clone(&self.views.borrow_and_update());
        self.limits = limits(&view);
        self.route = match view.route() {
            _ if serving => Route::Local,
            // The gate opens in a moment.
            Route::Local => Route::Wait,
            route => route,
        };
        let leads = self.is_led();
        let is_ready = self.machine.is_ready();
        let unanswered = !self.machine.is_idle();
        self.note_waiting(unanswered && !(leads && is_ready), now);
        if leads || self.upstream.is_none() {
            self.strays_since = None;
        } else {
            self.strays_since.get_or_insert(now);
        }
        let since = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let connecting = self.upstream.as_ref().filter(|_| leads).map(|upstream| upstream.since);
        course(&Facts {
            route: &self.route,
            upstream: self.upstream.as_ref().map(|upstream| &upstream.endpoint),
            is_ready,
            in_flight: self.machine.is_in_flight(),
            unanswered,
            waited: since(connecting.or(self.waits_since)),
            strayed: since(self.strays_since),
            rests: self.rests_until.is_some_and(|until| until > now),
            limits: self.limits,
        })
    }

    fn note_waiting(&mut self, waits: bool, now: Instant) {
        if !waits {
            self.waits_since = None;
        } else if self.waits_since.is_none() {
            self.waits_since = Some(self.refused_since.unwrap_or(now));
            self.figures().waits.fetch_add(1, Relaxed);
        }
    }

    /// Whether the connection is to the primary, as far as is known.
    fn is_led(&self) -> bool {
        matches!((&self.route, &self.upstream), (Route::To(primary), Some(upstream)) if *primary == upstream.endpoint)
    }

    /// Begins to make a connection, or takes part in one.
    pub(crate) fn connect(
        &mut self,
        endpoint: Endpoint,
        now: Instant,
        session: &Session,
        trunks: &mut Trunks,
    ) {
        self.replies.clear();
        let common = if self.shares { State::of(session).common() } else { None };
        let link = match common {
            Some(state) => Link::Shared(trunks.board(&self.shared, &endpoint, state)),
            None => Link::Connecting(open(&endpoint)),
        };
        self.upstream = Some(Upstream { endpoint, link, since: now, state: State::default() });
    }

    /// The connection is made: says who is speaking.
    pub(crate) fn greet(&mut self, session: &Session) {
        let Some(upstream) = &mut self.upstream else { return };
        if matches!(upstream.link, Link::Shared(_)) {
            self.machine.attach(Vec::new(), 0);
            // The client's state may be another by now.
            self.changed = true;
            return;
        }
        upstream.state = State::of(session);
        let Commands { bytes, count, .. } = upstream.state.greeting(&self.shared);
        self.machine.attach(bytes, count);
        self.changed = false;
    }

    /// Gives the connection the client's state, before anything else is sent.
    pub(crate) fn adjust(&mut self, session: &Session) {
        let Some(upstream) = self.upstream.as_mut().filter(|_| self.changed && self.machine.is_ready())
        else {
            return;
        };
        if self.machine.is_in_flight() {
            return;
        }
        self.changed = false;
        let wanted = State::of(session);
        if let Link::Shared(berth) = &upstream.link {
            self.moves |= wanted.common().as_ref() != Some(berth.state());
            return;
        }
        let Commands { bytes, count, .. } = upstream.state.changes(&wanted, self.shared.renamed.as_ref());
        upstream.state = wanted;
        if count > 0 {
            upstream.since = Instant::now();
            self.machine.begin(bytes, count);
        }
    }

    /// Something is sent that needs a connection of its own.
    pub(crate) fn keep_apart(&mut self) {
        self.shares = false;
        self.moves |= matches!(&self.upstream, Some(Upstream { link: Link::Shared(_), .. }));
    }

    /// Whether the connection is to be exchanged.
    pub(crate) fn is_moving(&self) -> bool {
        self.moves && !self.machine.is_in_flight()
    }

    /// A transaction was executed: what it has changed of the connection's state.
    pub(crate) fn note_transaction(&mut self, db: Option<usize>) {
        if let Some(upstream) = &mut self.upstream {
            upstream.state.watches = false;
            upstream.state.db = db.unwrap_or(upstream.state.db);
        }
    }

    /// The client is to wait no longer (CLIENT UNBLOCK): has the primary told.
    pub(crate) fn unblock(&mut self, with_error: bool) {
        self.machine.interrupt(unblock_request(with_error, self.shared.renamed.as_ref()));
    }

    /// Closes the connection, if there is one. The machine has been told.
    pub(crate) fn hang_up(&mut self) {
        self.upstream = None;
        self.strays_since = None;
        self.replies.clear();
        self.changed = true;
        self.moves = false;
    }

    /// The node could not be reached, or refused: it is left alone for a moment.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.rests_until = Some(now + self.rest);
        self.rest = (self.rest * 2).min(REST_MAX);
    }

    /// A node said that it is not the primary.
    pub(crate) fn note_refusal(&mut self, now: Instant) {
        if let Some(Upstream { link: Link::Shared(berth), .. }) = &self.upstream {
            berth.retire();
        }
        self.refused_since.get_or_insert(now);
        self.figures().rerouted.fetch_add(1, Relaxed);
    }

    /// A request was answered.
    #[inline]
    pub(crate) fn note_progress(&mut self) {
        self.refused_since = None;
        self.rest = REST;
    }

    /// When there is something to decide although nothing happens.
    pub(crate) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        if self.machine.is_idle() && self.upstream.is_none() {
            return None;
        }
        let ends = |at: Option<Instant>, limit: Duration| at.map(|at| at + limit);
        let connecting =
            self.upstream.as_ref().filter(|_| !self.machine.is_ready()).map(|upstream| upstream.since);
        let looks =
            (self.waits_since.is_some() && !matches!(self.route, Route::To(_))).then(|| now + LOOK_AGAIN);
        let rests = self.rests_until.filter(|until| *until > now && self.upstream.is_none());
        let strays = self.strays_since.filter(|_| self.machine.is_in_flight());
        [
            rests,
            looks,
            ends(strays, self.limits.grace).filter(|at| *at > now),
            ends(self.waits_since, self.limits.patience),
            ends(connecting, self.limits.connect),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Waits for the connection. Reads only if there is `room` for replies.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, room: bool) -> Poll<Happened> {
        let Some(upstream) = &mut self.upstream else { return Poll::Pending };
        match &mut upstream.link {
            Link::Connecting(connecting) => {
                return match connecting.as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(stream)) => {
                        upstream.link = Link::Up(stream);
                        Poll::Ready(Happened::Connected)
                    }
                    Poll::Ready(Err(error)) => {
                        let Endpoint { host, port, .. } = &upstream.endpoint;
                        tracing::debug!("no connection to {host}:{port}: {error}");
                        Poll::Ready(Happened::Lost)
                    }
                };
            }
            Link::Shared(berth) => match berth.poll(cx, room, &mut self.replies) {
                Poll::Ready(happened) => return Poll::Ready(self.note_shared(happened)),
                Poll::Pending => return self.poll_write(cx),
            },
            Link::Up(_) => {}
        }
        if room && let Poll::Ready(happened) = self.poll_read(cx) {
            return Poll::Ready(happened);
        }
        self.poll_write(cx)
    }

    /// Something happened to the shared connection.
    fn note_shared(&mut self, happened: Happened) -> Happened {
        let Some(Upstream { link: Link::Shared(berth), .. }) = &self.upstream else { return happened };
        match happened {
            Happened::Lost => self.machine.unwrote(berth.unwritten()),
            Happened::Read if self.replies.len() >= SHARED_BYTES_MAX => self.keep_apart(),
            _ => {}
        }
        happened
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        let Some(Upstream { link: Link::Up(stream), .. }) = &mut self.upstream else { return Poll::Pending };
        self.replies.reserve(self.read_bytes);
        let read = connection::poll_fill(&mut self.replies, |buf| Pin::new(stream).poll_read(cx, buf));
        let filled = match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Happened::Lost),
            Poll::Ready(Ok(filled)) => filled,
        };
        if filled >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        } else if filled < self.read_bytes / 4 {
            self.read_bytes = (self.read_bytes / 2).max(READ_BYTES);
        }
        Poll::Ready(Happened::Read)
    }

    /// Writes what there is, as far as the socket takes it.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        let may_send = self.is_led() && !self.moves;
        let stream = match &mut self.upstream {
            Some(Upstream { link: Link::Up(stream), .. }) => stream,
            Some(Upstream { link: Link::Shared(_), .. }) => return self.push(may_send),
            _ => return Poll::Pending,
        };
        let mut wrote = false;
        loop {
            let bytes = self.machine.unsent(may_send);
            if bytes.is_empty() {
                break;
            }
            match Pin::new(&mut *stream).poll_write(cx, bytes) {
                Poll::Ready(Ok(n)) if n > 0 => self.machine.wrote(n),
                Poll::Pending => break,
                Poll::Ready(_) => return Poll::Ready(Happened::Lost),
            }
            wrote = true;
        }
        if wrote { Poll::Ready(Happened::Wrote) } else { Poll::Pending }
    }

    /// Hands all there is to the shared connection.
    fn push(&mut self, may_send: bool) -> Poll<Happened> {
        if self.machine.unsent(may_send).len() > SHARED_BYTES_MAX {
            self.keep_apart();
            return Poll::Ready(Happened::Wrote);
        }
        let bytes = self.machine.unsent(may_send);
        let Some(Upstream { link: Link::Shared(berth), .. }) = &self.upstream else { return Poll::Pending };
        if bytes.is_empty() {
            return Poll::Pending;
        }
        berth.push(bytes, self.machine.unsent_replies());
        self.machine.wrote(bytes.len());
        Poll::Ready(Happened::Wrote)
    }

    /// Takes over the transaction that EXEC ends, to be sent in one piece.
    pub(crate) fn carry_transaction(&mut self, transaction: Multi, nature: Nature) {
        self.keep_apart();
        let mut request = Commands::new(self.shared.renamed.as_ref());
        request.add(b"MULTI", &[]);
        let count = transaction.each(|words| encode(words, &mut request.bytes));
        request.add(b"EXEC", &[]);
        self.machine.carry(&request.bytes, Nature { skips: count + 1, ..nature });
        self.special = Some(Special { transaction: Some(transaction), muted: nature.muted });
    }

    /// Takes a request that must be answered before another goes.
    pub(crate) fn carry_special(&mut self, words: &[&[u8]], nature: Nature) {
        self.keep_apart();
        let mut request = Vec::new();
        encode(words, &mut request);
        self.machine.carry(&request, nature);
        self.special = Some(Special { transaction: None, muted: nature.muted });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.forward.relayed.fetch_sub(1, Relaxed);
    }
}

fn open(endpoint: &Endpoint) -> Connecting {
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    Box::pin(async move {
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    })
}

fn limits(view: &View) -> Limits {
    let time = |span: redoubt_ha::Span| Duration::from_micros(span.0);
    Limits {
        patience: 2 * time(view.timing.handover),
        grace: time(view.timing.reachable),
        connect: time(view.timing.node_timeout),
    }
}

/// What a node that relays a client says behind a command that waits, to have it wait no longer. It is not answered.
pub(crate) fn unblock_request(with_error: bool, renames: Option<&Renames>) -> Vec<u8> {
    let mut request = Commands::new(renames);
    request.add(b"REPLCONF", &[b"redoubt-unblock", if with_error { b"error" } else { b"timeout" }]);
    request.bytes
}

/// The request EXEC.
pub(crate) fn exec_request(renames: Option<&Renames>) -> Vec<u8> {
    let mut request = Commands::new(renames);
    request.add(b"EXEC", &[]);
    request.bytes
}
