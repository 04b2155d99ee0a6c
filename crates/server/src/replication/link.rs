//! This server as a replica: a thread that keeps the link to the primary, takes over its snapshot and runs its stream.

mod load;
mod session;

pub(super) use load::restart_append_only;

use super::deployment::while_all_held;
use super::{Replication, gate, new_id};
use crate::client::{Mail, flag};
use crate::config::Values;
use crate::info::Page;
use crate::shared::{Shared, unix_ms};
use parking_lot::{Condvar, Mutex};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release,
};
use std::time::Duration;

/// Times between two attempts to reach the primary: the first, and the longest. Each failure doubles it, and a stream that
/// was followed sets it back.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MOST: Duration = Duration::from_secs(1);

/// What the link is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between attempts.
    Connect,
    Connecting,
    Handshake,
    Sync,
    Connected,
}

/// A primary being followed. The thread holds one reference, `Replication` the other.
pub(crate) struct Link {
    state: Arc<State>,
}

/// What the thread shares with the rest of the server.
pub(crate) struct State {
    pub(crate) host: String,
    pub(crate) port: u16,
    phase: AtomicU8,
    stopped: AtomicBool,
    /// Nothing is asked for, and nothing acknowledged.
    rests: AtomicBool,
    /// The socket, to be shut from outside.
    socket: Mutex<Option<TcpStream>>,
    wake: Condvar,
    /// Held while the primary's data are being changed here: whoever has it, and has stopped the link, knows that
    /// nothing more of it will be applied.
    pub(crate) busy: Mutex<()>,
    /// Unix ms at which the primary was last heard; 0: never.
    pub(crate) heard_ms: AtomicI64,
    /// Unix ms since which there is no link.
    down_ms: AtomicI64,
    /// Bytes of the stream read, in offsets.
    pub(crate) read: AtomicU64,
    /// Database the stream is at.
    pub(crate) db: AtomicUsize,
    /// Size of the snapshot, -1 where unknown, and bytes of it read.
    pub(crate) sync_total: AtomicI64,
    pub(crate) sync_read: AtomicU64,
    /// The primary wants to hear where we are.
    pub(crate) ack_wanted: AtomicBool,
}

impl State {
    fn phase(&self) -> Phase {
        match self.phase.load(Acquire) {
            0 => Phase::Connect,
            1 => Phase::Connecting,
            2 => Phase::Handshake,
            3 => Phase::Sync,
            _ => Phase::Connected,
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        let before = self.phase.swap(phase as u8, Release);
        if before == Phase::Connected as u8 && phase != Phase::Connected {
            self.down_ms.store(unix_ms(), Relaxed);
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Acquire)
    }

    /// Has the thread use this socket. False if it is to stop.
    pub(crate) fn adopt(&self, stream: &TcpStream) -> std::io::Result<bool> {
        let mut socket = self.socket.lock();
        *socket = Some(stream.try_clone()?);
        Ok(!self.is_over())
    }

    /// Ends the thread, soon. On return nothing more of the primary's will be applied.
    fn stop(&self) {
        let socket = self.socket.lock();
        self.stopped.store(true, Release);
        if let Some(socket) = &*socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.wake.notify_all();
        drop(socket);
        drop(self.busy.lock());
    }

    /// Whether the session is to end: the thread stops, or does nothing for a while.
    pub(crate) fn is_over(&self) -> bool {
        self.stopped.load(Acquire) || self.rests.load(Acquire)
    }

    /// Ends the session; on return nothing more of it is applied or acknowledged. The next one waits for `resume`.
    pub(crate) fn rest(&self) {
        let socket = self.socket.lock();
        self.rests.store(true, Release);
        if let Some(socket) = &*socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(socket);
        drop(self.busy.lock());
    }

    fn resume(&self) {
        let _socket = self.socket.lock();
        self.rests.store(false, Release);
        self.wake.notify_all();
    }

    /// Sleeps, unless it is to stop; while it rests, for as long as that takes.
    fn pause(&self, time: Duration) {
        let mut socket = self.socket.lock();
        *socket = None;
        if !self.is_stopped() && !self.rests.load(Acquire) {
            self.wake.wait_for(&mut socket, time);
        }
        while !self.is_stopped() && self.rests.load(Acquire) {
            self.wake.wait(&mut socket);
        }
    }
}

impl super::Replication {
    /// Does this work while nothing of a primary is applied, and the role stays as it is.
    pub(crate) fn while_still<T>(&self, work: impl FnOnce() -> T) -> T {
        let _change = self.change.lock();
        let state = self.link.lock().as_ref().map(|link| Arc::clone(&link.state));
        let _busy = state.as_ref().map(|state| state.busy.lock());
        work()
    }
}

impl Link {
    /// Begins to follow.
    fn start(shared: &Arc<Shared>, host: String, port: u16, db: usize) -> std::io::Result<Link> {
        let state = Arc::new(State {
            host,
            port,
            phase: AtomicU8::new(Phase::Connect as u8),
            stopped: AtomicBool::new(false),
            rests: AtomicBool::new(false),
            socket: Mutex::default(),
            wake: Condvar::new(),
            busy: Mutex::new(()),
            heard_ms: AtomicI64::new(0),
            down_ms: AtomicI64::new(unix_ms()),
            read: AtomicU64::new(shared.log.end()),
            db: AtomicUsize::new(db),
            sync_total: AtomicI64::new(-1),
            sync_read: AtomicU64::new(0),
            ack_wanted: AtomicBool::new(false),
        });
        let (shared, own) = (Arc::downgrade(shared), Arc::clone(&state));
        std::thread::Builder::new().name("replica-link".into()).spawn(move || {
            let mut retry = RETRY_FIRST;
            if let Some(shared) = shared.upgrade() {
                shared.replication.take_foreign(&shared, &own);
            }
            while !own.is_stopped() {
                let Some(shared) = shared.upgrade() else { return };
                if *shared.stop.borrow() {
                    return;
                }
                let outcome = session::run(&shared, &own);
                if own.phase() == Phase::Connected {
                    retry = RETRY_FIRST;
                }
                own.set_phase(Phase::Connect);
                shared.replication.link_lost(&shared, &own);
                if let Err(error) = outcome
                    && !own.is_over()
                {
                    tracing::warn!("link to primary {}:{}: {error}", own.host, own.port);
                }
                drop(shared);
                own.pause(retry);
                retry = (retry * 2).min(RETRY_MOST);
            }
        })?;
        Ok(Link { state })
    }

    /// Asks for nothing, and acknowledges nothing, until `resume`.
    pub(super) fn rest(&self) {
        self.state.rest();
    }

    /// Asks again.
    pub(super) fn resume(&self) {
        self.state.resume();
    }

    /// Whether the stream is being followed.
    pub(crate) fn is_up(&self) -> bool {
        self.state.phase() == Phase::Connected
    }

    /// Whether it is this primary.
    fn is_to(&self, host: &str, port: u16) -> bool {
        self.state.host.eq_ignore_ascii_case(host) && self.state.port == port
    }

    /// The fields of INFO between `role` and `connected_slaves`.
    pub(crate) fn print(&self, shared: &Shared, values: &Values, page: &mut Page) {
        let state = &self.state;
        let phase = state.phase();
        let ago = |ms: i64| if ms == 0 { -1 } else { (unix_ms() - ms) / 1000 };
        page.field("master_host", &state.host);
        page.field("master_port", state.port);
        page.field("master_link_status", if phase == Phase::Connected { "up" } else { "down" });
        let heard = if phase == Phase::Connected { ago(state.heard_ms.load(Relaxed)) } else { -1 };
        page.field("master_last_io_seconds_ago", heard);
        page.field("master_sync_in_progress", u8::from(phase == Phase::Sync));
        page.field("slave_read_repl_offset", state.read.load(Relaxed).max(shared.log.end()));
        page.field("slave_repl_offset", shared.log.end());
        if phase == Phase::Sync {
            let (total, read) = (state.sync_total.load(Relaxed), state.sync_read.load(Relaxed) as i64);
            page.field("master_sync_total_bytes", total.max(0));
            page.field("master_sync_read_bytes", read);
            page.field("master_sync_left_bytes", if total < 0 { -1 } else { total - read });
            let percent = if total > 0 { read as f64 / total as f64 * 100.0 } else { 0.0 };
            page.field("master_sync_perc", format_args!("{percent:.2}"));
            page.field("master_sync_last_io_seconds_ago", ago(state.heard_ms.load(Relaxed)));
        }
        if phase != Phase::Connected {
            page.field("master_link_down_since_seconds", ago(state.down_ms.load(Relaxed)));
        }
        page.field("slave_priority", values.replication.replica_priority);
        page.field("slave_read_only", u8::from(values.replication.replica_read_only));
        page.field("replica_announced", u8::from(values.replication.replica_announced));
    }

    /// Host, port and state as ROLE answers them.
    pub(crate) fn role(&self) -> (&str, u16, &'static str) {
        let state = match self.state.phase() {
            Phase::Connect => "connect",
            Phase::Connecting => "connecting",
            Phase::Handshake => "handshake",
            Phase::Sync => "sync",
            Phase::Connected => "connected",
        };
        (&self.state.host, self.state.port, state)
    }
}

/// What became of REPLICAOF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// The role or the primary is another now.
    Changed,
    /// It is this primary's replica already.
    Same,
}

impl Replication {
    /// Follows a primary from now on. Writes that were admitted before may still end: the link waits for them, so that the
    /// new primary sees how far we are.
    pub(crate) fn follow(&self, shared: &Arc<Shared>, host: &str, port: u16) -> std::io::Result<Follow> {
        if self.link.lock().as_ref().is_some_and(|link| link.is_to(host, port)) {
            return Ok(Follow::Same);
        }
        self.begin_to_follow(&shared.values());
        self.follow_settled(shared, host, port)
    }

    pub(super) fn begin_to_follow(&self, values: &Values) {
        self.follows.store(true, Release);
        self.set_replica_gates(values);
        self.set_gate(gate::FEW_REPLICAS, false);
    }

    /// As `follow`, where new writes are refused already.
    pub(super) fn follow_settled(
        &self,
        shared: &Arc<Shared>,
        host: &str,
        port: u16,
    ) -> std::io::Result<Follow> {
        let _change = self.change.lock();
        let values = shared.values();
        self.begin_to_follow(&values);
        let db = self.end_link().unwrap_or_else(|| self.restored_db.swap(0, Relaxed));
        self.drop_feeds(shared);
        self.start_link(shared, host, port, db)?;
        Ok(Follow::Changed)
    }

    /// From here on the log is the stream of the link's primary, unless that is stopped meanwhile. Writes that were
    /// admitted before stand in it, and clients that were blocked before are closed.
    fn take_foreign(&self, shared: &Shared, state: &State) {
        shared.quiesce_blocking();
        let _busy = state.busy.lock();
        if state.is_stopped() {
            return;
        }
        // Expiry and eviction look at the role when they have a partition.
        while_all_held(shared, |_| shared.log.set_foreign(true));
        if shared.ha.is_none() {
            let blocked = shared.clients.iter().filter(|client| client.has(flag::BLOCKED));
            blocked.for_each(|client| client.mailbox.post(Mail::Demoted));
        }
    }

    /// From here on the log is ours, between two commands: nothing is written by itself that is not recorded.
    pub(super) fn own_log<T>(&self, shared: &Shared, begin: impl FnOnce() -> T) -> T {
        while_all_held(shared, |_| {
            let begun = begin();
            shared.log.set_foreign(false);
            begun
        })
    }

    /// Whether clients may not write on this server while it is a replica. In a deployment they never may.
    pub(super) fn is_read_only(&self, values: &Values) -> bool {
        values.replication.replica_read_only || self.is_watched()
    }

    /// Ends the link, if there is one; on return nothing more of it is applied. Returns the database its stream was at.
    pub(super) fn end_link(&self) -> Option<usize> {
        let link = self.link.lock().take()?;
        link.state.stop();
        Some(link.state.db.load(Relaxed))
    }

    /// Starts a link whose stream goes on at database `db`.
    pub(super) fn start_link(
        &self,
        shared: &Arc<Shared>,
        host: &str,
        port: u16,
        db: usize,
    ) -> std::io::Result<()> {
        *self.link.lock() = Some(Link::start(shared, host.to_owned(), port, db)?);
        self.refresh_stale(&shared.values());
        // Calls that wait for replicas cannot be answered by a replica.
        self.wake_waiting();
        Ok(())
    }

    /// Follows nobody from now on. False if it did not before.
    pub(crate) fn lead(&self, shared: &Arc<Shared>) -> bool {
        let _change = self.change.lock();
        if self.end_link().is_none() {
            return false;
        }
        // Replicas of ours that know the primary's id may stay where they are, and so may its other replicas.
        self.own_log(shared, || self.history.lock().branch(new_id(), shared.log.end()));
        self.follows.store(false, Release);
        for bit in [gate::READ_ONLY, gate::OWN_WRITES, gate::STALE, gate::LOADING] {
            self.set_gate(bit, false);
        }
        // They learn the new id by coming again.
        self.drop_feeds(shared);
        *self.lonely.lock() = Some(std::time::Instant::now());
        self.count_replicas(&shared.values());
        restart_append_only(shared);
        true
    }

    /// Whether this is the id of our stream.
    pub(crate) fn is_history(&self, id: &[u8]) -> bool {
        self.history.lock().id().as_str().as_bytes() == id
    }

    /// The thread's session is over.
    fn link_lost(&self, shared: &Shared, state: &State) {
        if !state.is_stopped() {
            self.refresh_stale(&shared.values());
        }
    }

    /// What `tell` makes of host, port and state, if this is a replica.
    pub(crate) fn link_role<T>(&self, tell: impl FnOnce((&str, u16, &'static str)) -> T) -> Option<T> {
        self.link.lock().as_ref().map(|link| tell(link.role()))
    }

    /// Whether this is a replica that has no link to its primary.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.link.lock().as_ref().is_some_and(|link| !link.is_up())
    }

    /// Whether there is no stream that replicas could be fed with: this is a replica that has no link to its primary, or
    /// whose role is not decided.
    pub(crate) fn has_no_stream(&self) -> bool {
        match &*self.link.lock() {
            Some(link) => !link.is_up(),
            None => self.follows(),
        }
    }

    /// Ends the session with the primary; the link begins another one.
    pub(crate) fn cut_link(&self) {
        if let Some(link) = &*self.link.lock()
            && let Some(socket) = &*link.state.socket.lock()
        {
            // The thread finds out by itself if this fails.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// The primary asks where we are.
    pub(crate) fn want_ack(&self) {
        if let Some(link) = &*self.link.lock() {
            link.state.ack_wanted.store(true, Release);
        }
    }

    /// The server ends: so does the link.
    pub(crate) fn end(&self) {
        if let Some(link) = &*self.link.lock() {
            link.state.stop();
        }
    }
}
