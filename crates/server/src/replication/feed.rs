//! A replica of this server, as its connection's task feeds it: first a snapshot, unless it can do without, then the
//! backlog from its cursor on. Nothing is copied per replica but what the next write takes.

use super::backlog::Backlog;
use crate::client::Client;
use crate::net::output::Output;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use redoubt_replication::{Cursor, History, Peer, Standing};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use std::time::Duration;

/// Bytes of the backlog taken for one write.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of a snapshot that may wait for one replica; whoever makes the snapshot waits then.
const SNAPSHOT_BYTES_AHEAD: usize = 4 * 1024 * 1024;

const WAITS: u8 = 0;
const BULK: u8 = 1;
const ONLINE: u8 = 2;

/// What a look for something to send brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refill {
    /// The output has more.
    More,
    /// There is nothing now; the task is woken when there is.
    Nothing,
    /// The connection must end.
    Close,
}

struct Inner {
    /// Parts of the snapshot, and of what goes before it.
    chunks: VecDeque<Bytes>,
    chunk_bytes: usize,
    cursor: Option<Cursor>,
    standing: Standing,
    /// The snapshot is made into a file first.
    spooled: bool,
    /// A mark ends the snapshot.
    marked: bool,
    /// All of the snapshot has been put into `chunks`.
    complete: bool,
    /// The stream may follow. After a snapshot that ends with a mark, not before the replica has confirmed it: old ones
    /// find the mark only where it ends what they have read.
    flows: bool,
    /// It must not be fed any more.
    gone: bool,
    /// When something last went out, milliseconds of replication's clock.
    moved_ms: u64,
    /// Since when it is behind its soft limit.
    soft_ms: Option<u64>,
}

/// See the module's text.
pub(crate) struct Feed {
    pub(crate) client: Arc<Client>,
    pub(crate) peer: Peer,
    backlog: Arc<Backlog>,
    phase: AtomicU8,
    /// Its task has found nothing, and is to be woken.
    idle: AtomicBool,
    inner: Mutex<Inner>,
    room: Condvar,
}

impl Feed {
    pub(crate) fn new(client: Arc<Client>, peer: Peer, backlog: Arc<Backlog>, now_ms: u64) -> Feed {
        let standing = Standing { heard_ms: now_ms, ..Standing::default() };
        let inner = Inner {
            chunks: VecDeque::new(),
            chunk_bytes: 0,
            cursor: None,
            standing,
            spooled: false,
            marked: false,
            complete: false,
            flows: false,
            gone: false,
            moved_ms: now_ms,
            soft_ms: None,
        };
        Feed {
            client,
            peer,
            backlog,
            phase: AtomicU8::new(WAITS),
            idle: AtomicBool::new(false),
            inner: Mutex::new(inner),
            room: Condvar::new(),
        }
    }

    /// Address it is reached on.
    pub(crate) fn ip(&self) -> &str {
        match &self.peer.ip {
            Some(ip) => ip,
            None => self.client.addr.rsplit_once(':').map_or("", |(ip, _)| ip.trim_matches(['[', ']'])),
        }
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        match self.peer.port {
            0 => self.client.addr.clone(),
            port => format!("{}:{port}", self.ip()),
        }
    }

    /// `state` in INFO.
    pub(crate) fn state(&self) -> &'static str {
        match self.phase.load(Acquire) {
            WAITS => "wait_bgsave",
            BULK => "send_bulk",
            _ => "online",
        }
    }

    /// Whether it has its snapshot.
    pub(crate) fn is_online(&self) -> bool {
        self.phase.load(Acquire) == ONLINE
    }

    pub(crate) fn standing(&self) -> Standing {
        self.inner.lock().standing
    }

    /// Goes on at an offset of the backlog. False if that is gone.
    pub(crate) fn resume(&self, offset: u64, history: &History) -> bool {
        let Some(cursor) = self.backlog.cursor(offset) else { return false };
        let mut inner = self.inner.lock();
        let answer =
            if self.peer.psync2 { format!("+CONTINUE {}\r\n", history.id()) } else { "+CONTINUE\r\n".into() };
        inner.push(Bytes::from(answer));
        inner.cursor = Some(cursor);
        (inner.complete, inner.flows) = (true, true);
        inner.standing.offset = offset;
        self.phase.store(ONLINE, Release);
        true
    }

    /// Its snapshot is of offset `offset`: the stream goes on from there.
    /// If it is `spooled`, nothing of it goes out before all is there.
    pub(crate) fn cut(&self, offset: u64, spooled: bool) {
        let mut inner = self.inner.lock();
        inner.cursor = self.backlog.cursor(offset);
        (inner.spooled, inner.marked) = (spooled, !spooled);
        drop(inner);
        self.phase.store(BULK, Release);
    }

    /// Puts a part of the snapshot into its queue; waits while that is full. False once nobody takes it any more.
    pub(crate) fn push(&self, chunk: Bytes) -> bool {
        let mut inner = self.inner.lock();
        while inner.chunk_bytes > SNAPSHOT_BYTES_AHEAD && !inner.gone {
            self.room.wait_for(&mut inner, Duration::from_secs(1));
        }
        if inner.gone {
            return false;
        }
        inner.push(chunk);
        drop(inner);
        self.client.mailbox.wake();
        true
    }

    /// Puts the header of a snapshot of known length into the queue. False if nobody takes it.
    pub(crate) fn push_header(&self, header: Bytes) -> bool {
        self.inner.lock().spooled = false;
        self.push(header)
    }

    /// The snapshot is complete, or will never be.
    pub(crate) fn finish(&self, well: bool) {
        let mut inner = self.inner.lock();
        inner.complete = true;
        inner.gone |= !well;
        drop(inner);
        self.client.mailbox.wake();
    }

    /// Shows the replica that its snapshot is being worked on, where it would hear nothing else.
    pub(crate) fn keep_alive(&self) {
        let mut inner = self.inner.lock();
        let quiet = inner.spooled || self.phase.load(Acquire) == WAITS;
        if !quiet || inner.complete || !inner.chunks.is_empty() {
            return;
        }
        inner.push(Bytes::from_static(b"\n"));
        drop(inner);
        self.client.mailbox.wake();
    }

    /// Puts what comes next into an empty output.
    pub(crate) fn refill(&self, output: &mut Output, now_ms: u64) -> Refill {
        let mut inner = self.inner.lock();
        if inner.gone {
            return Refill::Close;
        }
        if let Some(chunk) = inner.chunks.pop_front() {
            inner.chunk_bytes -= chunk.len();
            inner.moved_ms = now_ms;
            output.append_shared(chunk);
            self.room.notify_all();
            return Refill::More;
        }
        if inner.complete && self.phase.load(Acquire) == BULK {
            if self.peer.rdb_only {
                return Refill::Close;
            }
            inner.standing.heard_ms = now_ms;
            inner.flows |= !inner.marked;
            self.phase.store(ONLINE, Release);
            tracing::info!("Synchronization with replica {} succeeded", self.name());
        }
        if !(inner.flows && inner.complete) {
            return Refill::Nothing;
        }
        let Some(cursor) = inner.cursor else { return Refill::Close };
        // Said before looking: whoever appends after the look finds it.
        self.idle.store(true, Release);
        match self.backlog.read(cursor, &mut output.buffer, PIECE_BYTES) {
            Ok(0) => Refill::Nothing,
            Ok(_) => {
                self.idle.store(false, Release);
                inner.moved_ms = now_ms;
                Refill::More
            }
            Err(overrun) => {
                tracing::warn!("replica {}: {overrun}", self.name());
                Refill::Close
            }
        }
    }

    /// The backlog has grown.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.idle.load(Acquire) && self.idle.swap(false, AcqRel) {
            self.client.mailbox.wake();
        }
    }

    pub(crate) fn acknowledge(&self, offset: u64, on_disk: Option<u64>, now_ms: u64) {
        let mut inner = self.inner.lock();
        inner.standing.acknowledge(offset, on_disk, now_ms);
        inner.flows |= inner.complete && inner.chunks.is_empty();
    }

    /// It is not fed any more; its place in the backlog is given up.
    pub(crate) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.gone = true;
        if let Some(cursor) = inner.cursor.take() {
            self.backlog.release(cursor);
        }
        self.room.notify_all();
    }

    /// Bytes of the stream it has not taken yet.
    pub(crate) fn lag_bytes(&self) -> u64 {
        self.inner.lock().cursor.map_or(0, |cursor| self.backlog.lag(cursor))
    }

    /// Whether it has been behind a limit for too long. `soft` is bytes and milliseconds; 0 bytes: no limit.
    pub(crate) fn is_over(&self, hard: u64, soft: (u64, u64), now_ms: u64) -> bool {
        let lag = self.lag_bytes();
        let mut inner = self.inner.lock();
        if soft.0 == 0 || lag <= soft.0 {
            inner.soft_ms = None;
        }
        let late = soft.0 != 0 && lag > soft.0 && {
            let since = *inner.soft_ms.get_or_insert(now_ms);
            now_ms - since > soft.1
        };
        late || (hard != 0 && lag > hard)
    }

    /// Milliseconds since it gave a sign of life: an acknowledgement, or room for more of the snapshot.
    pub(crate) fn silent_ms(&self, now_ms: u64) -> u64 {
        let inner = self.inner.lock();
        let heard = match self.phase.load(Acquire) {
            ONLINE => inner.standing.heard_ms,
            _ if inner.chunks.is_empty() => now_ms,
            _ => inner.moved_ms,
        };
        now_ms.saturating_sub(heard)
    }
}

impl Inner {
    fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        self.chunk_bytes += chunk.len();
        self.chunks.push_back(chunk);
    }
}
