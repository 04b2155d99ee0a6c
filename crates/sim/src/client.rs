//! Clients: each has one request under way, to the node it believes to be the primary, and writes values that nobody else
//! writes.

use crate::data::{Ask, KEYS, Reply};
use crate::linear::Op;
use fastrand::Rng;

/// A request under way.
#[derive(Debug, Clone, Copy)]
struct Open {
    op: u64,
    ask: Ask,
    invoked: u64,
}

#[derive(Debug)]
pub(crate) struct Client {
    target: usize,
    open: Option<Open>,
    next_op: u64,
    /// Writes acknowledged since the count was last taken.
    pub(crate) writes: u64,
}

/// How long a client waits for an answer, in microseconds.
pub(crate) const PATIENCE: u64 = 400_000;

impl Client {
    pub(crate) fn new(target: usize) -> Client {
        Client { target, open: None, next_op: 0, writes: 0 }
    }

    /// The next request: where to, its number, and what it asks.
    pub(crate) fn invoke(&mut self, now: u64, values: &mut u32, rng: &mut Rng) -> (usize, u64, Ask) {
        let key = rng.u8(0..KEYS as u8);
        let ask = if rng.bool() {
            *values += 1;
            Ask::Write(key, *values)
        } else {
            Ask::Read(key)
        };
        self.next_op += 1;
        self.open = Some(Open { op: self.next_op, ask, invoked: now });
        (self.target, self.next_op, ask)
    }

    /// A write that is still under way may have happened.
    pub(crate) fn unfinished(&self) -> Option<Op> {
        let Open { ask: Ask::Write(key, value), invoked, .. } = self.open? else { return None };
        Some(Op { key: u32::from(key), write: true, value, invoked, returned: None })
    }

    /// Takes an answer; says what goes into the history, and whether the request is over.
    pub(crate) fn answered(
        &mut self,
        now: u64,
        op: u64,
        reply: Reply,
        machines: usize,
        rng: &mut Rng,
    ) -> (Option<Op>, bool) {
        let Some(open) = self.open.filter(|open| open.op == op) else { return (None, false) };
        self.open = None;
        let (key, write, value) = match open.ask {
            Ask::Read(key) => (key, false, 0),
            Ask::Write(key, value) => (key, true, value),
        };
        let known = Op { key: u32::from(key), write, value, invoked: open.invoked, returned: Some(now) };
        if matches!(reply, Reply::Refused | Reply::Closed) {
            self.target = rng.usize(0..machines);
        }
        let entry = match reply {
            Reply::Done(value) => {
                self.writes += u64::from(write);
                Some(Op { value, ..known })
            }
            Reply::Refused => None,
            // It may be lost, and what was read with it.
            Reply::AtOnce(_) => {
                self.writes += u64::from(write);
                write.then_some(Op { returned: None, ..known })
            }
            // A write may still happen; a read without an answer says nothing.
            Reply::Closed => write.then_some(Op { returned: None, ..known }),
        };
        (entry, true)
    }
}
