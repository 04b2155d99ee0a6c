//! What other connections have for one: pushed messages, lines of MONITOR and the reply of a parked call, in the order
//! they came, until the connection's own task takes them all at once.

use crate::log::Held;
use crate::net::output::Output;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

/// Messages of up to this size are copied to each receiver, which is quicker than sharing them; bytes.
const COPIED_BYTES_MAX: usize = 512;
/// Memory for the first message, and hopefully some more, bytes.
const FIRST_BYTES: usize = 1024;
/// Memory an empty inbox keeps, bytes.
const KEPT_BYTES: usize = 16 * 1024;

/// A message in its RESP2 form, encoded once for all receivers. RESP3 differs in the first byte only, and only when
/// the message is an array.
#[derive(Default)]
pub struct Message {
    frame: Vec<u8>,
    /// Large messages: copies made once per protocol version and shared by the receivers.
    shared: [Option<Bytes>; 2],
}

impl Message {
    /// Encodes another message in the same memory.
    pub fn encode(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.frame.clear();
        self.shared = [None, None];
        write(&mut self.frame);
        debug_assert!(!self.frame.is_empty());
    }

    /// Its size on the wire, bytes.
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Whether nothing was encoded yet.
    pub fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }

    fn first(&self, resp3: bool) -> u8 {
        match self.frame[0] {
            b'*' if resp3 => b'>',
            other => other,
        }
    }

    fn append_to(&self, out: &mut Vec<u8>, resp3: bool) {
        if out.capacity() == 0 {
            out.reserve(FIRST_BYTES.max(self.frame.len()));
        }
        let at = out.len();
        out.extend_from_slice(&self.frame);
        out[at] = self.first(resp3);
    }

    fn shared(&mut self, resp3: bool) -> Bytes {
        let first = self.first(resp3);
        let frame = &self.frame;
        let made = self.shared[usize::from(resp3)].get_or_insert_with(|| {
            let mut copy = frame.clone();
            copy[0] = first;
            Bytes::from(copy)
        });
        Bytes::clone(made)
    }
}

#[derive(Default)]
struct Inner {
    frames: Vec<u8>,
    /// Large messages, and the positions in `frames` they stand before.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
    /// The receiver speaks RESP3.
    resp3: bool,
    /// What must be released before any of it may leave.
    hold: Held,
    /// The reply of the parked call is among it.
    served: bool,
    /// More came than the output limit allows: the connection must go.
    overflown: bool,
}

/// See the module's text.
#[derive(Default)]
pub struct Inbox {
    /// Something is in it, and somebody has undertaken to wake the task.
    filled: AtomicBool,
    inner: Mutex<Inner>,
}

/// What a look into the inbox brought beside frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The reply of the parked call is among the frames.
    pub served: bool,
    /// The limit was exceeded: close the connection.
    pub overflown: bool,
}

impl Inbox {
    /// Adds a message. True if the caller must wake the connection's task, once it has nothing more for it.
    /// `unsent` bytes wait in the connection's output already; beyond `limit` bytes (0: none) in all, everything is
    /// thrown away and the connection will be closed. `hold`: what it must wait for.
    #[inline]
    pub fn push(&self, message: &mut Message, unsent: usize, limit: usize, hold: Held) -> bool {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.overflown {
            return false;
        }
        let size = message.len();
        if limit != 0 && unsent + inner.frames.len() + inner.shared_bytes + size > limit {
            *inner = Inner { overflown: true, resp3: inner.resp3, served: inner.served, ..Inner::default() };
        } else if size <= COPIED_BYTES_MAX {
            message.append_to(&mut inner.frames, inner.resp3);
        } else {
            inner.shared.push((inner.frames.len(), message.shared(inner.resp3)));
            inner.shared_bytes += size;
        }
        inner.hold = inner.hold.and(hold);
        !self.filled.swap(true, Release)
    }

    /// Adds the reply of the parked call. Otherwise as `push`.
    pub fn serve(&self, frames: &[u8], hold: Held) -> bool {
        let mut inner = self.inner.lock();
        inner.frames.extend_from_slice(frames);
        inner.served = true;
        inner.hold = inner.hold.and(hold);
        !self.filled.swap(true, Release)
    }

    /// Whether there is something to take.
    #[inline]
    pub fn is_filled(&self) -> bool {
        self.filled.load(Acquire)
    }

    /// Bytes that wait in it.
    pub fn waiting_bytes(&self) -> usize {
        let inner = self.inner.lock();
        inner.frames.len() + inner.shared_bytes
    }

    /// Memory it takes, bytes.
    pub fn memory(&self) -> usize {
        let inner = self.inner.lock();
        inner.frames.capacity() + inner.shared_bytes
    }

    /// Moves everything to the output. Shared messages stay shared; they end what `Output::buffer` holds.
    pub(crate) fn take(&self, output: &mut Output) -> Taken {
        self.drain(output, |output, bytes| output.append_shared(bytes))
    }

    /// As `take`, for the middle of a batch: what `Output::buffer` holds stays where it is.
    pub(crate) fn copy(&self, output: &mut Output) -> Taken {
        self.drain(output, |output, bytes| output.buffer.extend_from_slice(&bytes))
    }

    /// As `copy`; what comes from now on is in the other protocol version.
    pub(crate) fn switch(&self, output: &mut Output, resp3: bool) {
        let mut inner = self.inner.lock();
        Self::drain_inner(&mut inner, output, |output, bytes| output.buffer.extend_from_slice(&bytes));
        inner.resp3 = resp3;
    }

    fn drain(&self, output: &mut Output, shared: impl FnMut(&mut Output, Bytes)) -> Taken {
        let mut inner = self.inner.lock();
        self.filled.store(false, Release);
        Self::drain_inner(&mut inner, output, shared);
        Taken { served: std::mem::take(&mut inner.served), overflown: inner.overflown }
    }

    fn drain_inner(inner: &mut Inner, output: &mut Output, mut shared: impl FnMut(&mut Output, Bytes)) {
        if !inner.hold.is_nothing() {
            output.hold(output.buffer.len(), std::mem::take(&mut inner.hold));
        }
        if inner.shared.is_empty() {
            output.append(&mut inner.frames);
        } else {
            let mut from = 0;
            for (at, bytes) in inner.shared.drain(..) {
                output.buffer.extend_from_slice(&inner.frames[from..at]);
                shared(output, bytes);
                from = at;
            }
            output.buffer.extend_from_slice(&inner.frames[from..]);
            inner.shared_bytes = 0;
        }
        inner.frames.clear();
        inner.frames.shrink_to(KEPT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        let mut message = Message::default();
        message.encode(|frame| frame.extend_from_slice(text.as_bytes()));
        message
    }

    fn sent(output: &mut Output) -> String {
        let mut all = Vec::new();
        loop {
            let part = output.sendable(crate::log::Released::sample(u64::MAX)).to_vec();
            if part.is_empty() {
                return String::from_utf8(all).expect("tests write text");
            }
            output.advance(part.len());
            all.extend_from_slice(&part);
        }
    }

    #[test]
    fn only_the_first_asks_for_a_wake_up() {
        let (inbox, mut output) = (Inbox::default(), Output::default());
        assert!(inbox.push(&mut message("*1\r\n"), 0, 0, Held::default()));
        assert!(!inbox.push(&mut message("*2\r\n"), 0, 0, Held::default()));
        assert!(!inbox.serve(b":1\r\n", Held::default()));
        assert_eq!(inbox.take(&mut output), Taken { served: true, overflown: false });
        assert_eq!(sent(&mut output), "*1\r\n*2\r\n:1\r\n");
        assert!(inbox.push(&mut message("*3\r\n"), 0, 0, Held::default()));
    }

    #[test]
    fn arrays_become_pushes_and_lines_stay_lines() {
        let (inbox, mut output) = (Inbox::default(), Output::default());
        inbox.push(&mut message("*1\r\n"), 0, 0, Held::default());
        inbox.switch(&mut output, true);
        inbox.push(&mut message("*2\r\n"), 0, 0, Held::default());
        inbox.push(&mut message("+line\r\n"), 0, 0, Held::default());
        inbox.take(&mut output);
        assert_eq!(sent(&mut output), "*1\r\n>2\r\n+line\r\n");
    }

    #[test]
    fn large_messages_are_shared_and_keep_their_places() {
        let large = format!("*{}", "x".repeat(COPIED_BYTES_MAX));
        for in_batch in [false, true] {
            let (inbox, mut output) = (Inbox::default(), Output::default());
            output.buffer.extend_from_slice(b"before|");
            let mut big = message(&large);
            inbox.push(&mut message("a|"), 0, 0, Held::default());
            inbox.push(&mut big, 0, 0, Held::default());
            inbox.push(&mut message("b|"), 0, 0, Held::default());
            inbox.push(&mut big, 0, 0, Held::default());
            assert_eq!(inbox.waiting_bytes(), 2 * large.len() + 4);
            if in_batch {
                inbox.copy(&mut output)
            } else {
                inbox.take(&mut output)
            };
            output.buffer.extend_from_slice(b"after");
            assert_eq!(output.pending(), 2 * large.len() + 16);
            assert_eq!(sent(&mut output), format!("before|a|{large}b|{large}after"));
            assert_eq!(output.pending(), 0);
        }
    }

    #[test]
    fn beyond_the_limit_everything_goes() {
        let (inbox, mut output) = (Inbox::default(), Output::default());
        assert!(inbox.push(&mut message("12345"), 0, 10, Held::default()));
        assert!(!inbox.push(&mut message("1234"), 1, 10, Held::default()));
        assert!(!inbox.push(&mut message("1"), 1, 10, Held::default()));
        assert_eq!(inbox.waiting_bytes(), 0);
        assert!(inbox.take(&mut output).overflown);
        assert_eq!(output.pending(), 0);
    }

    #[test]
    fn what_waits_for_the_log_is_held() {
        let (inbox, mut output) = (Inbox::default(), Output::default());
        output.buffer.extend_from_slice(b"free|");
        inbox.push(&mut message("held"), 0, 0, Held::sample(7));
        inbox.take(&mut output);
        assert_eq!(output.sendable(crate::log::Released::sample(6)), b"free|");
        assert_eq!(output.sendable(crate::log::Released::sample(7)), b"free|held");
    }
}
