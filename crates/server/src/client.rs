//! What other threads may know of a connection, and how they reach it.

use crate::dispatch::blocking::ParkedCall;
use crate::pubsub::inbox::Inbox;
use atomic_waker::AtomicWaker;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::atomic::{Ordering::AcqRel, Ordering::Acquire, Ordering::Release};

/// A message to a connection's task.
pub enum Mail {
    /// Close the connection without another word.
    Kill,
    /// Give up the parked call: as if its timeout had passed, or with an error (CLIENT UNBLOCK).
    Unblock {
        /// `-UNBLOCKED` instead of the timeout's reply.
        with_error: bool,
    },
    /// The server has become a replica: give up the blocked call and close.
    Demoted,
    /// A stream that the parked call needs has gone: run it again.
    Recheck,
    /// Give back the memory of empty buffers: nothing has come for a while.
    Shrink,
}

/// Queue of messages to one connection's task.
#[derive(Default)]
pub struct Mailbox {
    waker: AtomicWaker,
    mail: Mutex<Vec<Mail>>,
    woken: AtomicBool,
}

impl Mailbox {
    /// Leaves a message.
    pub fn post(&self, mail: Mail) {
        self.mail.lock().push(mail);
        self.wake();
    }

    /// Makes the task look around.
    pub fn wake(&self) {
        self.woken.store(true, Release);
        self.waker.wake();
    }

    /// Called by the task: have `waker` called by the next `wake`. True if there was one since the last call.
    #[inline]
    pub fn poll(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.woken.load(Acquire) && self.woken.swap(false, AcqRel)
    }

    /// Takes the messages.
    pub fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut self.mail.lock())
    }
}

/// Client flags that CLIENT LIST shows, and the dispatcher obeys.
pub mod flag {
    /// Inside MULTI.
    pub const MULTI: u32 = 1;
    /// Parked in a blocking command.
    pub const BLOCKED: u32 = 1 << 1;
    /// A WATCHed key has changed: EXEC will fail.
    pub const DIRTY: u32 = 1 << 2;
    /// Closes once its output is written.
    pub const CLOSING: u32 = 1 << 3;
    /// CLIENT NO-EVICT.
    pub const NO_EVICT: u32 = 1 << 4;
    /// CLIENT NO-TOUCH.
    pub const NO_TOUCH: u32 = 1 << 5;
    /// Connected through a unix socket.
    pub const UNIX: u32 = 1 << 6;
    /// Listens to channels or patterns.
    pub const PUBSUB: u32 = 1 << 7;
    /// Shown every call (MONITOR).
    pub const MONITOR: u32 = 1 << 8;
    /// A replica.
    pub const REPLICA: u32 = 1 << 9;
    /// Came through the Sentinel port.
    pub const SENTINEL: u32 = 1 << 10;
    /// Understands -REDIRECT (CLIENT CAPA).
    pub const CAPA_REDIRECT: u32 = 1 << 11;
    /// The link to the primary.
    pub const PRIMARY: u32 = 1 << 12;
    /// Held up by CLIENT PAUSE, or by work of another thread (SHUTDOWN).
    pub const HELD: u32 = 1 << 13;
}

/// One connection, as the registry holds it. Counters are written by its own worker only.
pub struct Client {
    /// Unique, rising.
    pub id: u64,
    /// "ip:port", or the socket's path with ":0".
    pub addr: String,
    /// Local end.
    pub laddr: String,
    /// File descriptor, for CLIENT LIST.
    pub fd: i32,
    /// When it connected, Unix ms.
    pub created_ms: i64,
    /// Messages to its task.
    pub mailbox: Mailbox,
    /// What others have to send to it.
    pub inbox: Inbox,
    /// Channels, patterns and sharded channels it listens to.
    pub subscriptions: [AtomicUsize; 3],
    /// CLIENT SETNAME.
    pub name: Mutex<Vec<u8>>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Mutex<Vec<u8>>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_version: Mutex<Vec<u8>>,
    /// See `flag`.
    pub flags: AtomicU32,
    /// Last time it sent something, Unix ms.
    pub active_ms: AtomicI64,
    /// Selected database.
    pub db: AtomicUsize,
    /// Protocol version, 2 or 3.
    pub resp: AtomicU32,
    /// Id of the last command in the command table, plus one; 0 = none yet.
    pub last_command: AtomicUsize,
    /// Queued commands; -1 outside MULTI.
    pub multi: AtomicI64,
    /// WATCHed keys.
    pub watch: AtomicUsize,
    /// Unparsed bytes in the query buffer.
    pub query_bytes: AtomicUsize,
    /// Room left in the query buffer.
    pub query_room: AtomicUsize,
    /// Unsent bytes of output.
    pub output_bytes: AtomicUsize,
    /// Memory of its buffers and of what belongs to it elsewhere, bytes.
    pub memory: AtomicUsize,
    /// Of that, commands queued by MULTI.
    pub multi_memory: AtomicUsize,
    /// Bytes read from it.
    pub net_in: AtomicU64,
    /// Bytes written to it.
    pub net_out: AtomicU64,
    /// Commands it ran.
    pub commands: AtomicU64,
    /// The call it is parked in.
    pub parked: Mutex<Option<Arc<ParkedCall>>>,
}

impl Client {
    /// A new connection.
    pub fn new(id: u64, addr: String, laddr: String, fd: i32, now_ms: i64) -> Client {
        Client {
            id,
            addr,
            laddr,
            fd,
            created_ms: now_ms,
            mailbox: Mailbox::default(),
            inbox: Inbox::default(),
            subscriptions: Default::default(),
            name: Mutex::default(),
            lib_name: Mutex::default(),
            lib_version: Mutex::default(),
            flags: AtomicU32::new(0),
            active_ms: AtomicI64::new(now_ms),
            db: AtomicUsize::new(0),
            resp: AtomicU32::new(2),
            last_command: AtomicUsize::new(0),
            multi: AtomicI64::new(-1),
            watch: AtomicUsize::new(0),
            query_bytes: AtomicUsize::new(0),
            query_room: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            memory: AtomicUsize::new(0),
            multi_memory: AtomicUsize::new(0),
            net_in: AtomicU64::new(0),
            net_out: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            parked: Mutex::default(),
        }
    }

    /// Memory it takes, what others have sent to it included, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory.load(Relaxed) + self.inbox.memory()
    }

    /// Whether a flag is set.
    #[inline]
    pub fn has(&self, flag: u32) -> bool {
        self.flags.load(Relaxed) & flag != 0
    }

    /// Sets or clears a flag.
    pub fn set(&self, flag: u32, on: bool) {
        if on {
            self.flags.fetch_or(flag, Relaxed);
        } else {
            self.flags.fetch_and(!flag, Relaxed);
        }
    }
}
