//! How far a stream has been applied, and who is told its bytes.

use crate::dispatch::{Scope, Session, Step};
use redoubt_commands::Context;

/// Receives the bytes of a stream, in order and without a gap, each when what it says has been done.
///
/// This is what appends a primary's stream to the log of its replica: the bytes are the primary's, so the offsets are
/// too. A transaction comes as one piece, so a cut of the data lies before or after it.
pub trait Relay: Send {
    /// `bytes` are complete requests and have been applied; the database selected after them is `db`. The partitions
    /// they touched are still held. Returns the end of the log after them. Must only queue.
    fn applied(&mut self, bytes: &[u8], db: usize) -> u64;
}

/// The requests of a batch on their way.
pub(crate) trait Passage {
    /// Everything up to the running request, and with it, has been applied. Returns the end of the log, if that moved.
    fn applied(&mut self, db: usize) -> Option<u64>;
    /// The running request is done with.
    fn done(&mut self);
}

impl Session {
    /// A request has been applied, and its partitions are held.
    #[cold]
    pub(crate) fn hand_on(&self, ctx: &mut Context<'_>, scope: &mut Scope<'_>) {
        if let Some(source) = &mut scope.source
            && let Some(end) = source.applied(self.db)
        {
            ctx.txn.set_log_offset(end);
        }
    }

    /// A request of a stream is done with. One that touched no data has not been handed on yet.
    #[cold]
    pub(crate) fn pass_on(&self, ctx: &mut Context<'_>, scope: &mut Scope<'_>, step: Step) {
        if step != Step::Done {
            return;
        }
        if self.multi.is_none() {
            self.hand_on(ctx, scope);
        }
        if let Some(source) = &mut scope.source {
            source.done();
        }
    }
}

/// Counts the requests that ran.
#[derive(Default)]
pub(super) struct Count {
    pub(super) ran: usize,
}

impl Passage for Count {
    fn applied(&mut self, _db: usize) -> Option<u64> {
        None
    }

    fn done(&mut self) {
        self.ran += 1;
    }
}

/// The bytes of a batch.
pub(super) struct Bytes<'b> {
    bytes: &'b [u8],
    /// Positions after each request.
    ends: &'b [usize],
    /// The request that runs.
    running: usize,
    /// Bytes handed on, withheld ones included.
    handed: usize,
    withheld: &'b mut Vec<u8>,
    relay: Option<&'b mut dyn Relay>,
}

impl<'b> Bytes<'b> {
    pub(super) fn new(
        bytes: &'b [u8],
        ends: &'b [usize],
        withheld: &'b mut Vec<u8>,
        relay: Option<&'b mut (dyn Relay + 'static)>,
    ) -> Bytes<'b> {
        let relay = relay.map(|relay| relay as &mut dyn Relay);
        Bytes { bytes, ends, running: 0, handed: 0, withheld, relay }
    }

    /// Bytes of the requests that ran.
    pub(super) fn ran(&self) -> usize {
        self.running.checked_sub(1).map_or(0, |last| self.ends[last])
    }

    /// The batch is over: hands on what is left, or keeps it until its transaction is complete.
    pub(super) fn finish(mut self, db: usize, in_transaction: bool) {
        if !in_transaction {
            self.hand_on(self.bytes.len(), db);
        } else if self.relay.is_some() {
            self.withheld.extend_from_slice(&self.bytes[self.handed..]);
        }
    }

    fn hand_on(&mut self, end: usize, db: usize) -> Option<u64> {
        let bytes = &self.bytes[self.handed.min(end)..end];
        let relay = self.relay.as_deref_mut().filter(|_| !bytes.is_empty())?;
        self.handed = end;
        if self.withheld.is_empty() {
            return Some(relay.applied(bytes, db));
        }
        self.withheld.extend_from_slice(bytes);
        let end = relay.applied(self.withheld, db);
        self.withheld.clear();
        self.withheld.shrink_to(64 * 1024);
        Some(end)
    }
}

impl Passage for Bytes<'_> {
    fn applied(&mut self, db: usize) -> Option<u64> {
        self.hand_on(self.ends[self.running], db)
    }

    fn done(&mut self) {
        self.running += 1;
    }
}
