//! A connection to the primary that many clients of one worker share, as long as they send nothing that needs a
//! connection of its own: requests of all that are at hand go in one write, their replies come in one read.
//!
//! A client's [`Machine`](super::Machine) does not know the difference: it has a [`Berth`] in place of a socket.

use super::relay::Happened;
use super::scan::Scanner;
use super::sharing::{Seat, Sharing};
use super::state::{Commands, State};
use crate::ha::Endpoint;
use crate::net::connection::poll_fill;
use crate::shared::Shared;
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Bytes asked for in one read.
const READ_BYTES: usize = 64 * 1024;
/// Reads before others get their turn.
const READS_PER_TURN: usize = 8;

/// The shared connections of a worker.
#[derive(Default)]
pub(crate) struct Trunks(Vec<Weak<Trunk>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It is being made, or has not taken what it begins with.
    Coming,
    Ready,
    Lost,
}

struct Trunk {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    state: State,
    phase: Cell<Phase>,
    /// Nobody else is to use it.
    retired: Cell<bool>,
    sharing: RefCell<Sharing>,
    seats: RefCell<Vec<Rc<Seat>>>,
    /// Of the task that reads and writes.
    waker: RefCell<Option<Waker>>,
}

/// A client's place on a shared connection. Dropped, it leaves: replies to what it has sent go to nobody.
pub(super) struct Berth {
    trunk: Rc<Trunk>,
    seat: Rc<Seat>,
    /// It was told that the connection is there.
    told: bool,
}

impl Trunks {
    /// A place on a connection to this node, of this state.
    pub(super) fn board(&mut self, shared: &Arc<Shared>, endpoint: &Endpoint, state: State) -> Berth {
        self.0.retain(|trunk| trunk.strong_count() > 0);
        let fits =
            |trunk: &Rc<Trunk>| !trunk.retired.get() && trunk.endpoint == *endpoint && trunk.state == state;
        let found = self.0.iter().filter_map(Weak::upgrade).find(fits);
        let trunk = found.unwrap_or_else(|| {
            let trunk = Trunk::begin(shared, endpoint.clone(), state);
            self.0.push(Rc::downgrade(&trunk));
            trunk
        });
        let seat = Rc::new(Seat::default());
        let mut seats = trunk.seats.borrow_mut();
        seat.index.set(seats.len());
        seats.push(Rc::clone(&seat));
        drop(seats);
        Berth { trunk, seat, told: false }
    }
}

impl Trunk {
    /// Begins to make one.
    fn begin(shared: &Arc<Shared>, endpoint: Endpoint, state: State) -> Rc<Trunk> {
        let trunk = Rc::new(Trunk {
            shared: Arc::clone(shared),
            endpoint,
            state,
            phase: Cell::new(Phase::Coming),
            retired: Cell::new(false),
            sharing: RefCell::default(),
            seats: RefCell::default(),
            waker: RefCell::default(),
        });
        tokio::task::spawn_local(Rc::clone(&trunk).run());
        trunk
    }

    async fn run(self: Rc<Trunk>) {
        tokio::select! {
            biased;
            () = std::future::poll_fn(|cx| self.poll_deserted(cx)) => {}
            outcome = self.serve() => if let Err(error) = outcome {
                tracing::debug!("no connection to {}:{}: {error}", self.endpoint.host, self.endpoint.port);
            },
        }
        self.retired.set(true);
        self.phase.set(Phase::Lost);
        self.sharing.borrow_mut().lost();
        self.wake_all();
    }

    /// Until the connection is lost.
    async fn serve(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect((self.endpoint.host.as_str(), self.endpoint.port)).await?;
        stream.set_nodelay(true)?;
        let mut buf = self.greet(&mut stream).await?;
        self.phase.set(Phase::Ready);
        self.wake_all();
        std::future::poll_fn(|cx| self.poll(cx, &mut stream, &mut buf)).await
    }

    /// Says who is speaking, and waits until that is taken. What came beyond it.
    async fn greet(&self, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let Commands { bytes, count, .. } = self.state.greeting(&self.shared);
        stream.write_all(&bytes).await?;
        let mut buf = Vec::with_capacity(READ_BYTES);
        let mut scanner = Scanner::default();
        let (mut from, mut left) = (0, count);
        while left > 0 {
            match scanner.next(&buf).map_err(|_| io::ErrorKind::InvalidData)? {
                Some(end) if buf[from] == b'-' => {
                    let why = String::from_utf8_lossy(&buf[from + 1..end]).trim_end().to_owned();
                    return Err(io::Error::other(why));
                }
                Some(end) => (from, left) = (end, left - 1),
                None if stream.read_buf(&mut buf).await? == 0 => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                None => {}
            }
        }
        buf.drain(..from);
        Ok(buf)
    }

    /// Ready when nobody uses it any more.
    fn poll_deserted(&self, cx: &Context<'_>) -> Poll<()> {
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        if self.seats.borrow().is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Writes what there is and reads what comes.
    fn poll(&self, cx: &mut Context<'_>, stream: &mut TcpStream, buf: &mut Vec<u8>) -> Poll<io::Result<()>> {
        let mut sharing = self.sharing.borrow_mut();
        for _ in 0..READS_PER_TURN {
            while let bytes @ [_, ..] = sharing.unsent() {
                match Pin::new(&mut *stream).poll_write(cx, bytes) {
                    Poll::Ready(written) => sharing.wrote(written?),
                    Poll::Pending => break,
                }
            }
            buf.reserve(READ_BYTES);
            match poll_fill(buf, |buf| Pin::new(&mut *stream).poll_read(cx, buf))? {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(_) => sharing.received(buf).map_err(|_| io::ErrorKind::InvalidData)?,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn wake_all(&self) {
        self.seats.borrow().iter().for_each(|seat| seat.wake());
    }
}

impl Berth {
    /// The state its connection has.
    pub(super) fn state(&self) -> &State {
        &self.trunk.state
    }

    /// Waits for the connection, or for replies, which it takes only if there is `room`.
    pub(super) fn poll(&mut self, cx: &Context<'_>, room: bool, replies: &mut Vec<u8>) -> Poll<Happened> {
        let phase = self.trunk.phase.get();
        if phase == Phase::Ready && !std::mem::replace(&mut self.told, true) {
            return Poll::Ready(Happened::Connected);
        }
        if self.seat.has_replies() {
            if room {
                self.seat.take_replies(replies);
                return Poll::Ready(Happened::Read);
            }
        } else if phase == Phase::Lost {
            return Poll::Ready(Happened::Lost);
        }
        self.seat.register(cx);
        Poll::Pending
    }

    /// Sends requests, which `replies` replies will answer.
    pub(super) fn push(&self, requests: &[u8], replies: usize) {
        let mut sharing = self.trunk.sharing.borrow_mut();
        let wakes = sharing.unsent().is_empty();
        sharing.push(&self.seat, requests, replies);
        if wakes {
            self.trunk.wake();
        }
    }

    /// Bytes of its requests that were never written, once the connection is lost.
    pub(super) fn unwritten(&self) -> usize {
        self.seat.unwritten()
    }

    /// The node does not take requests on this connection any more.
    pub(super) fn retire(&self) {
        self.trunk.retired.set(true);
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        self.seat.leave();
        let mut seats = self.trunk.seats.borrow_mut();
        let at = self.seat.index.get();
        seats.swap_remove(at);
        if let Some(moved) = seats.get(at) {
            moved.index.set(at);
        }
        if seats.is_empty() {
            self.retire();
            self.trunk.wake();
        }
    }
}
