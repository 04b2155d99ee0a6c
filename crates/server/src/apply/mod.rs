//! Commands that no client sent: those of an append-only file, and the stream of a primary. They take the way of any
//! request, on the caller's thread, but nobody asks whether they may run, nobody gets the replies, nothing of them is
//! recorded, and no expiry is judged by this server's clock.

mod fault;
mod passage;
#[cfg(test)]
mod tests;

pub use fault::{ApplyError, ApplyErrorKind, Fault};
pub(crate) use passage::Passage;
pub use passage::Relay;

use crate::client::Client;
use crate::dispatch::{Flow, ReplyMode, Session};
use crate::net::connection::BATCH;
use crate::net::output::{self, Output};
use crate::shared::{Shared, unix_ms};
use crate::worker::{Local, recycled};
use passage::Bytes;
use redoubt_resp::{Limits, RequestParser, Span, Status};
use smallvec::SmallVec;
use std::sync::Arc;

/// Longest word of a stream, bytes: whoever wrote it has checked its lengths against settings of its own.
const WORD_BYTES_MAX: usize = 1 << 40;

/// Where commands come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From a file, before the server serves its data. What they do is not counted as this server's doing, and a command
    /// that cannot be run at all ends it.
    Loading,
    /// From the primary of this replica. What a command answers with an error is reported, and the stream goes on.
    Primary,
}

/// A request of the batch: its words in `spans` and the position after it.
struct Request {
    from: usize,
    to: usize,
    end: usize,
}

/// Runs a stream of commands. One at a time writes the statistics' slot for streams.
pub struct Applier {
    session: Session,
    local: Local,
    output: Output,
    parser: RequestParser,
    spans: Vec<Span>,
    batch: Vec<Request>,
    /// Bytes of the stream before the buffer that `feed` is given.
    position: u64,
    /// Bytes of a transaction whose EXEC has not come.
    withheld: Vec<u8>,
    relay: Option<Box<dyn Relay>>,
}

impl Applier {
    /// One that begins on database 0.
    pub fn new(shared: &Arc<Shared>, origin: Origin) -> Applier {
        let client = Client::new(shared.next_client_id(), String::new(), String::new(), -1, unix_ms());
        Applier::of_client(shared, origin, Arc::new(client))
    }

    /// One whose commands see this client.
    pub fn of_client(shared: &Arc<Shared>, origin: Origin, client: Arc<Client>) -> Applier {
        let mut session = Session::new(Arc::clone(shared), client);
        session.applies = Some(origin);
        session.reply_mode = ReplyMode::Off;
        let local = Local::new(shared.stats.stream(), shared);
        Applier {
            session,
            local,
            output: Output::default(),
            parser: RequestParser::new(),
            spans: Vec::new(),
            batch: Vec::with_capacity(BATCH),
            position: 0,
            withheld: Vec::new(),
            relay: None,
        }
    }

    /// Has every byte of the stream told to `relay` once it is applied.
    pub fn relay_to(&mut self, relay: Box<dyn Relay>) {
        self.relay = Some(relay);
    }

    /// Goes on with this database. False if there is none of that number.
    pub fn select(&mut self, db: usize) -> bool {
        let exists = db < self.session.shared.keyspace.databases();
        if exists {
            self.session.select(db);
        }
        exists
    }

    /// The database that the next command is for.
    pub fn db(&self) -> usize {
        self.session.db
    }

    /// Whether a MULTI waits for its EXEC.
    pub fn in_transaction(&self) -> bool {
        self.session.multi.is_some()
    }

    /// Bytes of the stream that `feed` took.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Errors that commands were answered with.
    pub fn faults(&self) -> u64 {
        self.session.faults
    }

    /// The first of them since this was last asked.
    pub fn take_fault(&mut self) -> Option<Fault> {
        self.session.fault.take()
    }

    /// The connection that commands see.
    pub fn client(&self) -> &Arc<Client> {
        &self.session.client
    }

    /// Runs all complete requests of the buffer and takes them off it; the rest of one stays. Returns how many bytes
    /// went.
    ///
    /// # Errors
    /// When what follows is no request, or none that can be run. What stood before it was run. The stream is over then.
    pub fn feed(&mut self, buffer: &mut Vec<u8>) -> Result<usize, ApplyError> {
        let outcome = self.run_all(buffer);
        let consumed = self.parser.consumed();
        buffer.drain(..consumed);
        self.parser.rebase(consumed);
        self.position += consumed as u64;
        outcome.map(|()| consumed)
    }

    fn run_all(&mut self, buffer: &mut [u8]) -> Result<(), ApplyError> {
        loop {
            let start = self.parser.consumed();
            let failed = self.parse(buffer).err();
            let end = self.parser.consumed();
            self.run_batch(&buffer[start..end], start)?;
            if let Some(kind) = failed {
                return Err(ApplyError { offset: self.position + end as u64, kind });
            }
            if end == start {
                return Ok(());
            }
        }
    }

    /// Parses up to a batch of requests.
    fn parse(&mut self, buffer: &mut [u8]) -> Result<(), ApplyErrorKind> {
        self.spans.clear();
        self.batch.clear();
        let limits = Limits { bulk_len_max: WORD_BYTES_MAX, ..Limits::default() };
        while self.batch.len() < BATCH {
            let at = self.parser.consumed();
            // A primary sends blank lines to show that it is there; lines of words are what people type.
            match buffer.get(at) {
                None => break,
                Some(b'*' | b'\r' | b'\n') => {}
                Some(other) => return Err(ApplyErrorKind::NoRequest(*other)),
            }
            let from = self.spans.len();
            let status = self.parser.parse(buffer, &mut self.spans, &limits);
            match status.map_err(ApplyErrorKind::Malformed)? {
                Status::Incomplete => break,
                Status::Complete { .. } if self.spans.len() == from => {}
                Status::Complete { end } => {
                    self.batch.push(Request { from, to: self.spans.len(), end });
                }
            }
        }
        Ok(())
    }

    /// Runs the requests parsed, which are `bytes` and stand at `start` of the buffer.
    fn run_batch(&mut self, bytes: &[u8], start: usize) -> Result<(), ApplyError> {
        let mut words: Vec<&[u8]> = recycled(std::mem::take(&mut self.local.words));
        words.extend(self.spans.iter().map(|span| Span { start: span.start - start, ..*span }.of(bytes)));
        let ranges: SmallVec<[_; BATCH]> =
            self.batch.iter().map(|request| (request.from, request.to)).collect();
        let ends: SmallVec<[_; BATCH]> = self.batch.iter().map(|request| request.end - start).collect();
        let mut passage = Bytes::new(bytes, &ends, &mut self.withheld, self.relay.as_deref_mut());
        let mut flow = Flow::Continue;
        if !ranges.is_empty() {
            let source = Some(&mut passage as &mut dyn Passage);
            (_, flow) = self.session.run_from(&mut self.local, &words, &ranges, &mut self.output, source);
            self.output.discard();
        }
        let ran = passage.ran();
        if flow == Flow::Close {
            let kind = match self.session.fault.take() {
                Some(fault) if fault.refused => ApplyErrorKind::Refused(fault),
                _ => ApplyErrorKind::Ended,
            };
            return Err(ApplyError { offset: self.position + (start + ran) as u64, kind });
        }
        passage.finish(self.session.db, self.session.multi.is_some());
        output::empty(&mut words);
        self.local.words = recycled(words);
        output::empty(&mut self.spans);
        Ok(())
    }

    /// Runs requests that somebody else has read: ranges of `words`. For streams that nobody else is told.
    ///
    /// # Errors
    /// The number of the request that cannot be run, and why.
    pub fn run(&mut self, words: &[&[u8]], ranges: &[(usize, usize)]) -> Result<(), (usize, ApplyErrorKind)> {
        for (number, ranges) in ranges.chunks(BATCH).enumerate() {
            let mut count = passage::Count::default();
            let source = Some(&mut count as &mut dyn Passage);
            let (_, flow) = self.session.run_from(&mut self.local, words, ranges, &mut self.output, source);
            self.output.discard();
            if flow == Flow::Close {
                let kind = match self.session.fault.take() {
                    Some(fault) if fault.refused => ApplyErrorKind::Refused(fault),
                    _ => ApplyErrorKind::Ended,
                };
                return Err((number * BATCH + count.ran, kind));
            }
        }
        Ok(())
    }
}
