//! What a relayed client has asked for and has not been answered: which bytes go to the primary, which of its replies go to
//! the client, and what becomes of requests when the primary is lost. No sockets, no clock.
//!
//! A request is in the queue until it is answered. Requests behind one another in the queue were all meant for the same
//! state of the connection (database, protocol): whatever changes that waits until the queue is empty. So the queue can
//! be sent again, from its front, to whoever leads next.
//!
//! No request is sent twice that could have been executed and changes anything: when the primary is lost, such requests
//! are answered with an error. What was not sent to its end was not executed; reads are repeated; and a node that
//! answers [`NOT_PRIMARY`] has executed neither that request nor any after it.

#[cfg(test)]
mod tests;

use super::scan::{Broken, Scanner};
use crate::net::output::{self, Output};
use redoubt_resp::Reply;
use std::collections::VecDeque;

/// What a node answers on a connection of a relay when it is not the serving primary. Nothing was executed, nor will
/// anything be that follows on the connection.
pub(crate) const NOT_PRIMARY: &str = "NOTPRIMARY not executed: this node is not the primary";
/// The same as the answer to EXEC.
const NOT_PRIMARY_EXEC: &str = "EXECABORT Transaction discarded because of: ";
/// The answer to a request whose outcome nobody knows.
const UNKNOWN: &str = "ERR the primary was lost before it answered: the outcome of this command is unknown";
/// The same for a command that may have been waiting.
const UNKNOWN_BLOCKED: &str =
    "UNBLOCKED the primary was lost while this command waited: whether it was served is unknown";
/// A reply that is larger goes to the client as it comes; smaller ones in one piece, bytes. A reply that went in part
/// cannot be replaced by an error: if the primary is lost then, the client's connection ends.
const WHOLE_BYTES_MAX: usize = 256 * 1024;
/// So often reads are repeated until one is answered: a request that ends the connection it comes on would go on for ever.
const REPEATS_MAX: u32 = 3;
/// Answered requests up to this size may stay in front of the queue, bytes.
const ANSWERED_BYTES_KEPT: usize = 64 * 1024;

/// What matters about a request beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nature {
    /// Replies that come before the one that answers it, and go to nobody.
    pub(crate) skips: usize,
    /// The client wants no reply.
    pub(crate) muted: bool,
    /// It changes nothing: executing it twice is executing it later.
    pub(crate) reads: bool,
    /// It may wait for a key.
    pub(crate) blocks: bool,
}

struct Entry {
    len: usize,
    nature: Nature,
    /// It will be answered with this error when its turn comes; its bytes are gone.
    fate: Option<&'static str>,
}

/// What came of bytes received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// They were replies.
    Fine,
    /// The node does not lead: everything in the queue is for another.
    NotPrimary,
    /// The node did not accept what the connection begins with, and said this.
    Refused(String),
    /// They make no sense: the connection is of no further use.
    Broken,
}

/// The connection to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Away,
    /// This many replies to what it begins with are awaited.
    Setup(usize),
    Ready,
}

enum Answer {
    Pass,
    Swallow,
    Stop(Received),
}

/// See the module's text.
pub(crate) struct Machine {
    /// Requests, from `front` on.
    queue: Vec<u8>,
    front: usize,
    /// What stands before was given to the connection.
    sent: usize,
    entries: VecDeque<Entry>,
    phase: Phase,
    /// What the connection begins with, or what changes its state; goes before the queue.
    setup: Vec<u8>,
    setup_sent: usize,
    /// Goes behind the queue, and is not answered.
    word: Vec<u8>,
    word_sent: usize,
    scanner: Scanner,
    /// Where the reply being read begins in the buffer.
    frame: usize,
    /// Replies skipped for the first request.
    skipped: usize,
    /// Part of the reply being read has gone to the client.
    passing: bool,
    /// The last reply was a list that is one.
    listed: bool,
    /// How often connections were lost, with requests on them, since the last reply.
    losses: u32,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine {
            queue: Vec::new(),
            front: 0,
            sent: 0,
            entries: VecDeque::new(),
            phase: Phase::Away,
            setup: Vec::new(),
            setup_sent: 0,
            word: Vec::new(),
            word_sent: 0,
            scanner: Scanner::default(),
            frame: 0,
            skipped: 0,
            passing: false,
            listed: false,
            losses: 0,
        }
    }
}

impl Machine {
    /// Whether everything is answered.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of requests that are not answered.
    #[inline]
    pub(crate) fn unanswered(&self) -> usize {
        self.queue.len() - self.front
    }

    /// Whether the last reply was a list: that of a transaction that ran.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.listed
    }

    /// Whether a request is under way that may wait for a key.
    pub(crate) fn may_block(&self) -> bool {
        self.entries.iter().any(|entry| entry.nature.blocks)
    }

    /// Whether the primary has a request now that may wait for a key.
    #[inline]
    pub(crate) fn is_blocked(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.nature.blocks && self.front + entry.len <= self.sent)
    }

    /// Says this to the primary, behind what has been sent, if it has a request that waits.
    pub(crate) fn interrupt(&mut self, word: Vec<u8>) {
        if self.is_blocked() && self.word.is_empty() {
            self.word = word;
        }
    }

    /// Memory it takes, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.queue.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Whether any byte of a request that is not answered has been sent.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.sent > self.front
    }

    /// Whether the connection has taken everything it begins with.
    pub(crate) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether part of a reply has gone to the client: nothing may come between.
    #[inline]
    pub(crate) fn is_within_reply(&self) -> bool {
        self.passing
    }

    /// Takes whole requests from the front of `input`: the lengths and natures of all of them. Copies nothing where
    /// that is all there is.
    pub(crate) fn carry_run(&mut self, input: &mut Vec<u8>, requests: &[(usize, Nature)]) {
        let end = requests.iter().map(|(len, _)| len).sum();
        if self.queue.is_empty() && end == input.len() {
            std::mem::swap(&mut self.queue, input);
        } else {
            self.queue.extend_from_slice(&input[..end]);
            input.drain(..end);
        }
        let entry = |(len, nature): &(usize, Nature)| Entry { len: *len, nature: *nature, fate: None };
        self.entries.extend(requests.iter().map(entry));
    }

    /// Takes one request.
    pub(crate) fn carry(&mut self, request: &[u8], nature: Nature) {
        self.queue.extend_from_slice(request);
        self.entries.push_back(Entry { len: request.len(), nature, fate: None });
    }

    /// There is a connection, which begins with `setup`, answered by `replies` replies.
    pub(crate) fn attach(&mut self, setup: Vec<u8>, replies: usize) {
        debug_assert!(!self.is_in_flight(), "there was another connection");
        self.phase = Phase::Ready;
        self.scanner = Scanner::default();
        self.frame = 0;
        self.begin(setup, replies);
    }

    /// Changes the connection's state before anything else is sent. Nothing is in flight.
    pub(crate) fn begin(&mut self, setup: Vec<u8>, replies: usize) {
        debug_assert!(self.phase == Phase::Ready && !self.is_in_flight());
        self.setup = setup;
        self.setup_sent = 0;
        if replies > 0 {
            self.phase = Phase::Setup(replies);
        }
    }

    /// What is to be written next. Requests only if `may_send`.
    #[inline]
    pub(crate) fn unsent(&self, may_send: bool) -> &[u8] {
        if self.setup_sent < self.setup.len() {
            &self.setup[self.setup_sent..]
        } else if !self.word.is_empty() && self.is_words_turn() {
            &self.word[self.word_sent..]
        } else if self.phase == Phase::Ready && may_send {
            &self.queue[self.sent..]
        } else {
            &[]
        }
    }

    /// Between two requests.
    fn is_words_turn(&self) -> bool {
        self.phase == Phase::Ready && (self.word_sent > 0 || self.sent == self.queue.len())
    }

    /// `n` bytes of what is unsent were written.
    #[inline]
    pub(crate) fn wrote(&mut self, n: usize) {
        if self.setup_sent < self.setup.len() {
            self.setup_sent += n;
            if self.setup_sent == self.setup.len() {
                // It may hold a password.
                self.setup = Vec::new();
                self.setup_sent = 0;
            }
        } else if !self.word.is_empty() && self.is_words_turn() {
            self.word_sent += n;
            if self.word_sent == self.word.len() {
                self.forget_word();
            }
        } else {
            self.sent += n;
        }
    }

    /// How many replies will answer what is unsent; that is whole requests.
    pub(crate) fn unsent_replies(&self) -> usize {
        let mut left = self.queue.len() - self.sent;
        let unsent = self.entries.iter().rev().filter(|entry| entry.fate.is_none()).map_while(|entry| {
            left = left.checked_sub(entry.len)?;
            Some(1 + entry.nature.skips)
        });
        unsent.sum()
    }

    /// The last `n` bytes that were given to the connection never left, and will not.
    pub(crate) fn unwrote(&mut self, n: usize) {
        self.sent = self.sent.saturating_sub(n).max(self.front);
    }

    /// Takes what the primary has sent: replies go to `out`, the rest of `buf` stays for next time.
    pub(crate) fn received(&mut self, buf: &mut Vec<u8>, out: &mut Output) -> Received {
        // What stands before has been dealt with.
        let mut from = 0;
        let outcome = loop {
            let end = match self.scanner.next(buf) {
                Ok(Some(end)) => end,
                Ok(None) => break Received::Fine,
                Err(Broken) => break Received::Broken,
            };
            match self.answer(&buf[self.frame..end]) {
                Answer::Pass => {}
                Answer::Swallow => {
                    out.buffer.extend_from_slice(&buf[from..self.frame]);
                    from = end;
                }
                Answer::Stop(why) => break why,
            }
            self.frame = end;
            self.passing = false;
            if self.entries.front().is_some_and(|entry| entry.fate.is_some()) {
                out.buffer.extend_from_slice(&buf[from..end]);
                from = end;
                self.meet_fates(out);
            }
        };
        self.pass(buf, from, out);
        outcome
    }

    /// Hands on what stands between `from` and the reply being read, and of that what is too large to be kept.
    fn pass(&mut self, buf: &mut Vec<u8>, from: usize, out: &mut Output) {
        let large = buf.len() - self.frame >= WHOLE_BYTES_MAX && self.may_pass(buf[self.frame]);
        self.passing |= large;
        let upto = if self.passing { self.scanner.at() } else { self.frame };
        if from == 0 && upto == buf.len() {
            out.append(buf);
            buf.clear();
        } else {
            out.buffer.extend_from_slice(&buf[from..upto]);
            buf.drain(..upto);
        }
        self.scanner.rebase(upto);
        self.frame = 0;
    }

    /// Whether the reply that begins with this byte may go to the client before it is complete.
    fn may_pass(&self, first: u8) -> bool {
        let wanted =
            |entry: &Entry| entry.fate.is_none() && !entry.nature.muted && self.skipped == entry.nature.skips;
        self.phase == Phase::Ready
            && !matches!(first, b'-' | b'>')
            && self.entries.front().is_some_and(wanted)
    }

    /// What becomes of a complete reply.
    #[inline]
    fn answer(&mut self, frame: &[u8]) -> Answer {
        if !self.passing && frame[0] == b'>' {
            return Answer::Pass;
        }
        if let Phase::Setup(left) = self.phase {
            if frame[0] == b'-' {
                return Answer::Stop(Received::Refused(line(frame)));
            }
            self.phase = if left > 1 { Phase::Setup(left - 1) } else { Phase::Ready };
            return Answer::Swallow;
        }
        let Some(first) = self.entries.front() else { return Answer::Stop(Received::Broken) };
        if self.front + first.len > self.sent {
            return Answer::Stop(Received::Broken);
        }
        if !self.passing && frame[0] == b'-' && is_refusal(frame) {
            return Answer::Stop(Received::NotPrimary);
        }
        if self.skipped < first.nature.skips {
            self.skipped += 1;
            return Answer::Swallow;
        }
        let muted = first.nature.muted;
        self.listed = self.passing || (frame[0] == b'*' && !frame.starts_with(b"*-1"));
        self.answered();
        if muted { Answer::Swallow } else { Answer::Pass }
    }

    /// The first request is answered.
    #[inline]
    fn answered(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        if self.word_sent == 0 && !self.word.is_empty() {
            // It was about this request.
            self.forget_word();
        }
        self.front += entry.len;
        self.skipped = 0;
        self.losses = 0;
        if self.front == self.queue.len() {
            output::empty(&mut self.queue);
        } else if self.front >= ANSWERED_BYTES_KEPT && self.front * 2 >= self.queue.len() {
            self.queue.drain(..self.front);
        } else {
            return;
        }
        self.sent -= self.front;
        self.front = 0;
    }

    /// The connection is gone. Answers requests whose outcome is unknown; the others stay. How many were answered so, or
    /// nothing if the client's connection must end because it has part of a reply.
    pub(crate) fn lost(&mut self, out: &mut Output) -> Option<usize> {
        self.phase = Phase::Away;
        self.setup = Vec::new();
        self.setup_sent = 0;
        if self.passing {
            return None;
        }
        self.losses += u32::from(self.is_in_flight());
        let repeats = self.losses <= REPEATS_MAX;
        let mut unknown = 0;
        let mut kept = Vec::new();
        let mut at = self.front;
        for entry in &mut self.entries {
            let end = at + entry.len;
            if end <= self.sent && !(entry.nature.reads && repeats) && entry.fate.is_none() {
                entry.fate = Some(if entry.nature.blocks { UNKNOWN_BLOCKED } else { UNKNOWN });
                entry.len = 0;
                unknown += 1;
            } else {
                kept.extend_from_slice(&self.queue[at..end]);
            }
            at = end;
        }
        self.queue = kept;
        self.rewind(0);
        self.meet_fates(out);
        Some(unknown)
    }

    /// The node executes nothing of the queue. Everything is to be sent to another.
    pub(crate) fn refused(&mut self) {
        self.phase = Phase::Away;
        self.rewind(self.front);
    }

    fn forget_word(&mut self) {
        self.word = Vec::new();
        self.word_sent = 0;
    }

    fn rewind(&mut self, front: usize) {
        self.forget_word();
        self.front = front;
        self.sent = front;
        self.skipped = 0;
    }

    /// Answers requests that come first and have no hope.
    fn meet_fates(&mut self, out: &mut Output) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.fate.is_some()) {
            if let Some(text) = entry.fate.filter(|_| !entry.nature.muted) {
                Reply::new(&mut out.buffer, false).error(text);
            }
        }
    }

    /// Answers everything with an error. There is no connection.
    pub(crate) fn fail(&mut self, text: &str, out: &mut Output) {
        for entry in self.entries.drain(..).filter(|entry| !entry.nature.muted) {
            Reply::new(&mut out.buffer, false).error(entry.fate.unwrap_or(text));
        }
        output::empty(&mut self.queue);
        self.rewind(0);
    }

    /// Gives back the requests, to be executed here. There is no connection.
    pub(crate) fn take_back(&mut self, out: &mut Output) -> Vec<u8> {
        // Reads that are to be repeated before an error go with it: their answers could not come in order.
        let doomed = self.entries.iter().rposition(|entry| entry.fate.is_some()).map_or(0, |last| last + 1);
        for entry in self.entries.drain(..doomed) {
            self.front += entry.len;
            if !entry.nature.muted {
                Reply::new(&mut out.buffer, false).error(entry.fate.unwrap_or(UNKNOWN));
            }
        }
        self.entries.clear();
        let mut requests = std::mem::take(&mut self.queue);
        requests.drain(..self.front);
        self.rewind(0);
        requests
    }
}

/// An error's text.
fn line(frame: &[u8]) -> String {
    String::from_utf8_lossy(&frame[1..]).trim_end().to_owned()
}

#[cold]
fn is_refusal(frame: &[u8]) -> bool {
    let text = &frame[1..frame.len() - 2];
    text.strip_prefix(NOT_PRIMARY_EXEC.as_bytes()).unwrap_or(text) == NOT_PRIMARY.as_bytes()
}
