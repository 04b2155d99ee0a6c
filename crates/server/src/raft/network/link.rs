//! One way to another node: connects when it is needed, matches answers with questions, notices silence.

use super::super::codec::{self, Kind};
use super::handshake::HandshakeError;
use super::wire::{self, Frame, Patience, Request, Response, WireError};
use super::{Net, Peer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;

/// Frames waiting to be written; more are refused.
const QUEUE: usize = 128;

/// Whom to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// This node, wherever it is now; nobody else.
    Node(u64),
    /// Whoever is there.
    Address(String),
}

/// What must not wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    Main,
    Bulk,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::raft) enum CallError {
    /// There is no connection.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// It was sent, or perhaps not, and nothing came back.
    #[error("no answer in {0:?}")]
    Timeout(Duration),
    /// It was sent, or perhaps not, and the connection broke.
    #[error("the connection broke")]
    Broken,
    /// It cannot be sent.
    #[error("{0}")]
    Encoding(String),
}

type Waiting = HashMap<u64, oneshot::Sender<Response>>;

/// A connection that stands.
#[derive(Debug, Clone)]
struct Live {
    out: mpsc::Sender<Vec<u8>>,
    /// Nothing once the connection is over.
    waiting: Arc<Mutex<Option<Waiting>>>,
    heard: Arc<Mutex<Instant>>,
    close: Arc<Notify>,
}

#[derive(Debug, Clone)]
enum State {
    Up(Live),
    /// The number counts tries.
    Down(u64, String),
}

/// One way to a node.
#[derive(Debug)]
pub(super) struct Link {
    state: watch::Receiver<State>,
    demand: Arc<Notify>,
    ids: AtomicU64,
    used: Mutex<Instant>,
    silence: Duration,
}

/// Takes a question off the list when nobody waits for the answer any more.
struct Waiter<'a>(&'a Live, u64);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.0.waiting.lock().as_mut() {
            waiting.remove(&self.1);
        }
    }
}

impl Link {
    pub(super) fn start(net: &Arc<Net>, way: Way, lane: Lane) -> Arc<Link> {
        let (tell, state) = watch::channel(State::Down(0, "not tried yet".into()));
        let demand = Arc::new(Notify::new());
        let silence = net.times.silence;
        let link = Link { state, demand, ids: AtomicU64::new(0), used: Mutex::new(Instant::now()), silence };
        let link = Arc::new(link);
        let task = keep(Arc::downgrade(net), way, lane, Arc::clone(&link.demand), tell);
        let mut stop = net.stop.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
        link
    }

    pub(super) fn unused_for(&self) -> Duration {
        self.used.lock().elapsed()
    }

    async fn live(&self) -> Result<Live, CallError> {
        let mut state = self.state.clone();
        let tried = match &*state.borrow_and_update() {
            State::Up(live) => return Ok(live.clone()),
            State::Down(tried, _) => *tried,
        };
        self.demand.notify_one();
        loop {
            if state.changed().await.is_err() {
                return Err(CallError::Unreachable("this node is ending".into()));
            }
            match &*state.borrow_and_update() {
                State::Up(live) => return Ok(live.clone()),
                State::Down(now, why) if *now > tried => return Err(CallError::Unreachable(why.clone())),
                State::Down(..) => {}
            }
        }
    }

    /// Asks, and waits for the answer up to `limit`. May be dropped at any time.
    pub(super) async fn call(&self, request: Request, limit: Duration) -> Result<Response, CallError> {
        *self.used.lock() = Instant::now();
        match timeout(limit, self.call_unlimited(request)).await {
            Ok(result) => result,
            Err(_) => {
                if let State::Up(live) = &*self.state.borrow()
                    && live.heard.lock().elapsed() > self.silence
                {
                    live.close.notify_one();
                }
                Err(CallError::Timeout(limit))
            }
        }
    }

    async fn call_unlimited(&self, request: Request) -> Result<Response, CallError> {
        let id = self.ids.fetch_add(1, Relaxed);
        let bytes = codec::encode(Kind::Frame, &Frame::Request { id, request })
            .map_err(|error| CallError::Encoding(error.to_string()))?;
        let live = self.live().await?;
        let (tell, answer) = oneshot::channel();
        live.waiting.lock().as_mut().ok_or(CallError::Broken)?.insert(id, tell);
        let _waiter = Waiter(&live, id);
        live.out.send(bytes).await.map_err(|_| CallError::Broken)?;
        answer.await.map_err(|_| CallError::Broken)
    }

    /// Sends a message, if there is a connection that takes it; otherwise it is lost, and a connection is made.
    pub(super) fn control(&self, bytes: Vec<u8>) {
        *self.used.lock() = Instant::now();
        match &*self.state.borrow() {
            State::Up(live) => match codec::encode(Kind::Frame, &Frame::Control(bytes)) {
                Ok(bytes) => drop(live.out.try_send(bytes)),
                Err(error) => tracing::warn!("A message to another node could not be sent: {error}"),
            },
            State::Down(..) => self.demand.notify_one(),
        }
    }
}

/// Connects whenever that is asked for, until the link is dropped.
async fn keep(net: Weak<Net>, way: Way, lane: Lane, demand: Arc<Notify>, state: watch::Sender<State>) {
    let mut tries = 0;
    loop {
        tokio::select! {
            () = demand.notified() => {}
            () = state.closed() => return,
        }
        let Some(net) = net.upgrade() else { return };
        tries += 1;
        match timeout(net.times.connect, connect(&net, &way)).await {
            Ok(Ok((stream, peer))) => {
                let why = tokio::select! {
                    why = run(&net, stream, peer, lane, &state) => why,
                    () = state.closed() => return,
                };
                state.send_replace(State::Down(tries, why.to_string()));
            }
            Ok(Err(error)) => {
                if error.is_refusal() {
                    let about = net.describe(&way);
                    net.complain(&about, &error);
                }
                state.send_replace(State::Down(tries, error.to_string()));
                tokio::time::sleep(net.times.pause).await;
            }
            Err(_) => {
                state.send_replace(State::Down(tries, format!("no connection in {:?}", net.times.connect)));
            }
        }
    }
}

impl Net {
    fn describe(&self, way: &Way) -> String {
        match way {
            Way::Node(node) => format!("{node:016x} at {}", self.address(*node).unwrap_or_default()),
            Way::Address(address) => address.clone(),
        }
    }
}

async fn connect(net: &Arc<Net>, way: &Way) -> Result<(TcpStream, Peer), HandshakeError> {
    let (address, target) = match way {
        Way::Node(node) => (net.address(*node), Some(*node)),
        Way::Address(address) => (Some(address.clone()), None),
    };
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "its address is not known");
    let address = address.ok_or_else(|| WireError::from(unknown()))?;
    let mut stream = TcpStream::connect(&address).await.map_err(WireError::from)?;
    stream.set_nodelay(true).map_err(WireError::from)?;
    let patience = Patience { silence: net.times.connect, frame: net.times.connect };
    let other = net.party(patience).map_err(WireError::from)?.call(&mut stream, target).await?;
    let peer = Peer::from(other);
    net.learn(peer.node, &peer.address, peer.incarnation);
    Ok((stream, peer))
}

/// A connection from its first to its last byte.
async fn run(
    net: &Net,
    stream: TcpStream,
    peer: Peer,
    lane: Lane,
    state: &watch::Sender<State>,
) -> WireError {
    let (reader, writer) = stream.into_split();
    let (out, queue) = mpsc::channel(QUEUE);
    let live = Live {
        out,
        waiting: Arc::new(Mutex::new(Some(Waiting::new()))),
        heard: Arc::new(Mutex::new(Instant::now())),
        close: Arc::new(Notify::new()),
    };
    tracing::debug!("Connected to Raft peer {:016x} at {} ({lane:?})", peer.node, peer.address);
    state.send_replace(State::Up(live.clone()));
    let why = tokio::select! {
        why = receive(net, reader, &live) => why,
        why = write(net, writer, queue) => why,
        () = live.close.notified() => WireError::Silent(net.times.silence),
    };
    // Dropping the questions tells those who wait.
    live.waiting.lock().take();
    tracing::debug!("The connection to Raft peer {:016x} at {} is over: {why}", peer.node, peer.address);
    why
}

async fn receive(net: &Net, reader: OwnedReadHalf, live: &Live) -> WireError {
    let mut reader = BufReader::new(reader);
    let patience = Patience { silence: net.times.idle, frame: net.times.frame };
    loop {
        match wire::read(&mut reader, Kind::Frame, patience).await {
            Ok(Frame::Response { id, response }) => {
                *live.heard.lock() = Instant::now();
                let waiter = live.waiting.lock().as_mut().and_then(|waiting| waiting.remove(&id));
                // Nobody, if it took too long.
                drop(waiter.map(|waiter| waiter.send(response)));
            }
            Ok(Frame::Request { .. } | Frame::Control(_)) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "a question where answers go");
                return error.into();
            }
            Err(error) => return error,
        }
    }
}

/// Writes what is queued until the queue's other end is gone or the connection is.
pub(super) async fn write(
    net: &Net,
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Vec<u8>>,
) -> WireError {
    while let Some(bytes) = queue.recv().await {
        match timeout(net.times.frame, writer.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return WireError::Slow(net.times.frame),
        }
    }
    WireError::Closed
}
