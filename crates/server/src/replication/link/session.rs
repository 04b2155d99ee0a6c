//! One connection to the primary, from the handshake to its end.

use super::{Phase, State, load};
use crate::aof::Policy;
use crate::apply::{Applier, ApplyError, Origin, Relay};
use crate::client::{Client, flag};
use crate::config::Values;
use crate::log::frame;
use crate::shared::{Shared, unix_ms};
use redoubt_replication::{Failure, Handshake, Identity, Member, Outcome, Resume};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Bytes asked for in one read.
const READ_BYTES: usize = 256 * 1024;
/// Time between two acknowledgements that nobody asked for.
const ACK: Duration = Duration::from_secs(1);
/// Bytes that may wait for the append-only file before the stream does too; it goes on from half of that.
const BEHIND_BYTES_MAX: u64 = 64 << 20;
/// Time between two looks at what waits for the append-only file then.
const DISK_PAUSE: Duration = Duration::from_millis(10);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Handshake(#[from] Failure),
    #[error("{0}")]
    Stream(#[from] ApplyError),
    #[error("a full sync is needed")]
    ResyncNeeded,
    #[error("the snapshot: {0}")]
    Snapshot(#[from] redoubt_persistence::Error),
    #[error("{0}")]
    Other(String),
}

/// The socket and what was read from it.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    pub(super) input: Vec<u8>,
    scratch: Box<[u8]>,
    timeout: Duration,
    heard: Instant,
    /// Nothing is read until the disk has caught up.
    waits_for_disk: bool,
    bytes_read: u64,
    /// Bytes that have come over all links.
    traffic: Arc<AtomicU64>,
}

/// The link in the list of clients, as long as it lives.
struct Listed<'s> {
    shared: &'s Shared,
    client: Arc<Client>,
}

impl<'s> Listed<'s> {
    fn new(shared: &'s Shared, stream: &TcpStream) -> io::Result<Listed<'s>> {
        let (peer, local) = (stream.peer_addr()?.to_string(), stream.local_addr()?.to_string());
        let client = Client::new(shared.next_client_id(), peer, local, stream.as_raw_fd(), unix_ms());
        client.set(flag::PRIMARY, true);
        let client = Arc::new(client);
        shared.clients.insert(client.id, Arc::clone(&client));
        Ok(Listed { shared, client })
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        if self.shared.clients.remove(&self.client.id).is_some() {
            self.shared.stats.closed(&self.client);
        }
    }
}

/// Runs a session until it ends, one way or another.
pub(super) fn run(shared: &Arc<Shared>, state: &Arc<State>) -> Result<(), SessionError> {
    let values = shared.values();
    state.set_phase(Phase::Connecting);
    tracing::info!("Connecting to MASTER {}:{}", state.host, state.port);
    let mut wire = Wire::connect(state, &values, &shared.replication.read)?;
    if !state.adopt(&wire.stream)? {
        return Ok(());
    }
    state.set_phase(Phase::Handshake);
    let replication = &shared.replication;
    let member = replication.deployment.follower();
    let unasked = |why: &str| {
        member.iter().for_each(|member| replication.need_resync(state, member, why));
        SessionError::ResyncNeeded
    };
    let outcome = match wire.shake_hands(shared, state, &values, member) {
        Err(SessionError::Handshake(Failure::ResyncNeeded(why))) => return Err(unasked(&why)),
        outcome => outcome?,
    };
    match outcome {
        Outcome::Partial { id } => {
            shared.log.set_db(state.db.load(Relaxed));
            replication.go_on(shared, &values, id);
        }
        _ if member.is_some() && !replication.deployment.is_void() => {
            return Err(unasked("the primary wants to send everything"));
        }
        Outcome::Full { id, offset } => load::take_over(shared, state, &mut wire, Some((id, offset)))?,
        Outcome::FullWithoutOffset => load::take_over(shared, state, &mut wire, None)?,
    }
    if state.is_over() {
        return Ok(());
    }
    state.set_phase(Phase::Connected);
    replication.link_found(shared);
    replication.moved();
    wire.follow(shared, state, member.is_some())
}

impl Wire {
    fn connect(state: &State, values: &Values, traffic: &Arc<AtomicU64>) -> io::Result<Wire> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (state.host.as_str(), state.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, values.replication.repl_timeout) {
                Ok(stream) => return Wire::new(stream, state, values, Arc::clone(traffic)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn new(stream: TcpStream, state: &State, values: &Values, traffic: Arc<AtomicU64>) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(values.replication.repl_timeout))?;
        if let Some(interval) = values.tcp_keepalive {
            let keepalive =
                TcpKeepalive::new().with_time(interval).with_interval(interval / 3 + Duration::from_secs(1));
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        }
        state.heard_ms.store(unix_ms(), Relaxed);
        let (input, scratch) = (Vec::new(), vec![0; READ_BYTES].into_boxed_slice());
        Ok(Wire {
            stream,
            input,
            scratch,
            timeout: values.replication.repl_timeout,
            heard: Instant::now(),
            waits_for_disk: false,
            bytes_read: 0,
            traffic,
        })
    }

    /// Reads what there is, waiting for it no longer than `wait`. False if nothing came.
    ///
    /// # Errors
    /// Also when the primary was silent for `repl-timeout`.
    pub(super) fn fill(&mut self, state: &State, wait: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match self.stream.read(&mut self.scratch) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the primary closed the connection")),
            Ok(count) => {
                self.input.extend_from_slice(&self.scratch[..count]);
                self.heard = Instant::now();
                self.bytes_read += count as u64;
                self.traffic.fetch_add(count as u64, Relaxed);
                state.heard_ms.store(unix_ms(), Relaxed);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                if self.heard.elapsed() > self.timeout {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the primary is silent"));
                }
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn shake_hands(
        &mut self,
        shared: &Shared,
        state: &State,
        values: &Values,
        member: Option<Member>,
    ) -> Result<Outcome, SessionError> {
        let mut out = Vec::new();
        let resume = shared.replication.resume(shared);
        let takes_over = shared.replication.failover.takes_over();
        let mut handshake = Handshake::new(identity(shared, values, member), resume, takes_over, &mut out);
        loop {
            self.stream.write_all(&out)?;
            out.clear();
            self.fill(state, ACK)?;
            let (read, outcome) = handshake.feed(&self.input, &mut out).inspect_err(|failure| {
                if matches!(failure, Failure::Refused { .. }) {
                    shared.replication.failover.refuse();
                }
            })?;
            self.input.drain(..read);
            if let Some(outcome) = outcome {
                self.stream.write_all(&out)?;
                tracing::info!("MASTER <-> REPLICA sync: {outcome:?}");
                return Ok(outcome);
            }
        }
    }

    /// Runs the primary's stream. A member acknowledges each piece at once: clients wait for that.
    fn follow(
        &mut self,
        shared: &Arc<Shared>,
        state: &Arc<State>,
        is_member: bool,
    ) -> Result<(), SessionError> {
        let listed = Listed::new(shared, &self.stream)?;
        let client = &listed.client;
        let mut applier = Applier::of_client(shared, Origin::Primary, Arc::clone(client));
        if !applier.select(state.db.load(Relaxed)) {
            return Err(SessionError::Other("the primary has more databases".into()));
        }
        applier.relay_to(Box::new(Handover { shared: Arc::clone(shared), state: Arc::clone(state) }));
        let mut ack_at = Instant::now();
        while !state.is_over() {
            if !self.input.is_empty() {
                let _busy = state.busy.lock();
                if state.is_over() {
                    break;
                }
                if let Err(error) = applier.feed(&mut self.input) {
                    shared.replication.distrust();
                    return Err(error.into());
                }
                shared.replication.moved();
                if is_member {
                    ack_at = Instant::now();
                }
            }
            client.net_in.store(self.bytes_read, Relaxed);
            client.query_bytes.store(self.input.len(), Relaxed);
            state.read.store(shared.log.end() + self.input.len() as u64, Relaxed);
            if state.ack_wanted.swap(false, AcqRel) || ack_at <= Instant::now() {
                self.acknowledge(shared, state, is_member)?;
                ack_at = Instant::now() + ACK;
            }
            let wait = ack_at.saturating_duration_since(Instant::now());
            self.look_at_disk(shared.aof.waiting_bytes());
            if self.waits_for_disk {
                std::thread::sleep(wait.min(DISK_PAUSE));
            } else {
                self.fill(state, wait)?;
            }
        }
        Ok(())
    }

    /// Decides whether the disk has to catch up, whose file lacks so many bytes, before more is read: what comes would only
    /// gather in memory. The primary keeps it as long as its buffer may grow, and sees from what is acknowledged how far
    /// behind this is.
    fn look_at_disk(&mut self, lacks: u64) {
        if self.waits_for_disk {
            // It is not the primary that is silent.
            self.heard = Instant::now();
            if lacks <= BEHIND_BYTES_MAX / 2 {
                self.waits_for_disk = false;
                tracing::info!("the disk catches up: the primary's stream goes on");
            }
        } else if lacks > BEHIND_BYTES_MAX {
            self.waits_for_disk = true;
            tracing::warn!(
                "the append-only file lacks {lacks} bytes: the primary's stream waits for the disk"
            );
        }
    }

    /// Says how far we are. A member whose disk has to have everything says how far that is.
    fn acknowledge(&mut self, shared: &Shared, state: &State, is_member: bool) -> io::Result<()> {
        let (replication, mut reached) = (&shared.replication, shared.log.end());
        let needs_disk = is_member && shared.aof.policy() == Policy::Always;
        if needs_disk {
            replication.await_sync(shared, reached, ACK, || state.is_over());
        }
        let on_disk = shared.fsynced_offset();
        if needs_disk && let Some(on_disk) = on_disk {
            reached = reached.min(on_disk);
        }
        let (mut applied, mut synced) = (itoa::Buffer::new(), itoa::Buffer::new());
        let applied = applied.format(reached).as_bytes();
        let mut out = Vec::new();
        // Whoever ends the session relies on it that nothing is said afterwards.
        let _busy = state.busy.lock();
        if state.is_over() {
            return Ok(());
        }
        match on_disk {
            Some(offset) => {
                let synced = synced.format(offset).as_bytes();
                frame(&mut out, &[b"REPLCONF", b"ACK", applied, b"FACK", synced]);
            }
            None => frame(&mut out, &[b"REPLCONF", b"ACK", applied]),
        }
        self.stream.write_all(&out)
    }
}

/// Appends the primary's stream to our log, as it is.
struct Handover {
    shared: Arc<Shared>,
    state: Arc<State>,
}

impl Relay for Handover {
    fn applied(&mut self, bytes: &[u8], db: usize) -> u64 {
        self.state.db.store(db, Relaxed);
        let log = &self.shared.log;
        match self.shared.replication.deployment.take_said() {
            Some(epoch) => log.append_epoch(bytes, Some(db), epoch),
            None => log.append_frames(bytes, Some(db)),
        }
    }
}

fn identity(shared: &Shared, values: &Values, member: Option<Member>) -> Identity {
    let some = |text: &str| Some(text.as_bytes().to_vec()).filter(|text| !text.is_empty());
    let port = match values.replication.replica_announce_port {
        0 => shared.port.load(Relaxed) as u16,
        port => port,
    };
    Identity {
        user: some(&values.replication.masteruser),
        password: some(&values.replication.masterauth),
        port,
        ip: Some(values.replication.replica_announce_ip.clone()).filter(|ip| !ip.is_empty()),
        member,
    }
}

impl crate::replication::Replication {
    /// Where a session could go on.
    fn resume(&self, shared: &Shared) -> Resume {
        if self.deployment.is_void() {
            return Resume::Nothing;
        }
        Resume::From { id: *self.history.lock().id(), offset: shared.log.end() }
    }

    /// The primary goes on where we were.
    fn go_on(&self, shared: &Shared, values: &Values, id: Option<redoubt_replication::ReplId>) {
        self.open_backlog(shared, values);
        if let Some(id) = id {
            let mut history = self.history.lock();
            if id != *history.id() {
                history.rename(id, shared.log.end());
                drop(history);
                self.name_stream(shared);
                // They learn the new id by coming again.
                self.drop_feeds(shared);
            }
        }
    }

    /// The stream is being followed again.
    fn link_found(&self, shared: &Shared) {
        self.refresh_stale(&shared.values());
    }

    /// What we have is not what the primary has: it has to be fetched anew.
    pub(super) fn distrust(&self) {
        self.history.lock().restart(super::new_id());
    }
}
