//! Output of one connection: one buffer, sent in one write, whose tail may have to wait for the log.
//!
//! Large messages that many connections receive are not copied: they stand in front of the buffer, shared.

use crate::log::{Held, Released};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;

/// Buffers up to this size are kept between uses, bytes.
const KEPT_BYTES: usize = 64 * 1024;
/// Larger ones are kept up to this, bytes, as long as they are filled to a quarter each time.
const KEPT_BUSY_BYTES: usize = 1024 * 1024;

/// Empties a buffer. A large one is given back unless its connection goes on filling it: growing it anew each time costs
/// more than using it.
#[inline]
pub(crate) fn empty<T>(buffer: &mut Vec<T>) {
    let busy = buffer.len() >= buffer.capacity() / 4 && buffer.capacity() <= KEPT_BUSY_BYTES / size_of::<T>();
    buffer.clear();
    if !busy {
        buffer.shrink_to(KEPT_BYTES / size_of::<T>());
    }
}

/// See the module's text.
#[derive(Default)]
pub(crate) struct Output {
    /// What goes out before `buffer`. Usually empty.
    front: VecDeque<Bytes>,
    /// Unsent bytes, from `sent` on.
    pub(crate) buffer: Vec<u8>,
    /// Bytes of `buffer` already written to the socket; 0 while there is a `front`.
    sent: usize,
    /// Place of the next byte to be sent in all that the connection ever sends.
    next: u64,
    /// Bytes of `front`.
    front_bytes: usize,
    /// Places from which on bytes wait for the log.
    holds: VecDeque<(u64, Held)>,
}

impl Output {
    /// Unsent bytes.
    pub(crate) fn pending(&self) -> usize {
        self.front_bytes + self.buffer.len() - self.sent
    }

    /// Memory it takes, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.front_bytes + self.buffer.capacity()
    }

    /// What is written from `position` of `buffer` on waits until the log has released this.
    pub(crate) fn hold(&mut self, position: usize, held: Held) {
        let place = self.next + (self.front_bytes + position - self.sent) as u64;
        if !self.holds.back().is_some_and(|(_, last)| last.covers(held)) {
            self.holds.push_back((place, held));
        }
    }

    /// The place after everything in it.
    pub(crate) fn end(&self) -> u64 {
        self.next + self.pending() as u64
    }

    /// Takes back what was written since the end was there. False if some of it may have gone.
    pub(crate) fn revoke(&mut self, end: u64) -> bool {
        let extra = (self.end() - end) as usize;
        if extra > self.buffer.len() - self.sent {
            return false;
        }
        self.buffer.truncate(self.buffer.len() - extra);
        while self.holds.pop_back_if(|(place, _)| *place >= end).is_some() {}
        true
    }

    /// Appends frames, leaving `frames` with memory to be used again.
    pub(crate) fn append(&mut self, frames: &mut Vec<u8>) {
        if self.buffer.is_empty() {
            std::mem::swap(&mut self.buffer, frames);
        } else {
            self.buffer.extend_from_slice(frames);
        }
    }

    /// Forgets everything, keeping some memory.
    pub(crate) fn discard(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.shrink_to(KEPT_BYTES);
        *self = Output { buffer, ..Output::default() };
    }

    /// Gives the memory back, if nothing is left to be sent: what comes next brings its own.
    pub(crate) fn give_back(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }

    /// Appends without copying. Positions in `buffer` noted before are void.
    pub(crate) fn append_shared(&mut self, bytes: Bytes) {
        if self.buffer.len() > self.sent {
            let mut before = Bytes::from(std::mem::take(&mut self.buffer));
            let before = before.split_off(self.sent);
            self.front_bytes += before.len();
            self.front.push_back(before);
        }
        self.buffer.clear();
        self.sent = 0;
        self.front_bytes += bytes.len();
        self.front.push_back(bytes);
    }

    /// Whether what is to be sent lies in several places: then `parts` has them, `sendable` only the first.
    #[inline]
    pub(crate) fn is_split(&self) -> bool {
        !self.front.is_empty()
    }

    /// Bytes that may be sent now.
    pub(crate) fn sendable(&mut self, released: Released) -> &[u8] {
        let free = self.free(released);
        let first: &[u8] = match self.front.front() {
            Some(bytes) => bytes,
            None => &self.buffer[self.sent..],
        };
        &first[..free.min(first.len())]
    }

    /// Fills `parts` with what may be sent now, in order; returns how many it filled.
    pub(crate) fn parts<'p>(&'p mut self, released: Released, parts: &mut [IoSlice<'p>]) -> usize {
        let mut free = self.free(released);
        let all = self.front.iter().map(|bytes| &**bytes).chain([&self.buffer[self.sent..]]);
        let mut filled = 0;
        for (bytes, part) in all.zip(parts) {
            let size = free.min(bytes.len());
            if size == 0 {
                break;
            }
            *part = IoSlice::new(&bytes[..size]);
            free -= size;
            filled += 1;
        }
        filled
    }

    /// How many of the next bytes the log does not hold back.
    fn free(&mut self, released: Released) -> usize {
        while self.holds.front().is_some_and(|(_, held)| released.frees(*held)) {
            self.holds.pop_front();
        }
        self.holds.front().map_or(usize::MAX, |(place, _)| {
            usize::try_from(place.saturating_sub(self.next)).unwrap_or(usize::MAX)
        })
    }

    /// What the first held byte waits for.
    #[inline]
    pub(crate) fn waits_for(&self) -> Option<Held> {
        self.holds.front().map(|(_, held)| *held)
    }

    /// Notes that `n` more bytes went out.
    pub(crate) fn advance(&mut self, n: usize) {
        self.next += n as u64;
        self.sent += self.advance_front(n);
        if self.sent == self.buffer.len() {
            empty(&mut self.buffer);
        } else if self.sent >= KEPT_BYTES && self.sent * 2 >= self.buffer.len() {
            self.buffer.drain(..self.sent);
        } else {
            return;
        }
        self.sent = 0;
    }
}

impl Output {
    /// Drops what was sent of `front`; the rest of the `n` bytes belongs to `buffer`.
    fn advance_front(&mut self, mut n: usize) -> usize {
        while let Some(first) = self.front.front_mut() {
            let step = n.min(first.len());
            self.front_bytes -= step;
            n -= step;
            if step < first.len() {
                let _ = first.split_to(step);
                break;
            }
            self.front.pop_front();
        }
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("tests write text")
    }

    fn held(offset: u64) -> Held {
        Held::sample(offset)
    }

    fn released(offset: u64) -> Released {
        Released::sample(offset)
    }

    #[test]
    fn a_large_buffer_is_kept_while_it_is_filled() {
        let mut buffer = vec![0u8; 300 * 1024];
        empty(&mut buffer);
        assert!(buffer.capacity() >= 300 * 1024);
        buffer.extend_from_slice(&[0; 100 * 1024]);
        empty(&mut buffer);
        assert!(buffer.capacity() >= 300 * 1024);
        buffer.push(0);
        empty(&mut buffer);
        assert!(buffer.capacity() <= KEPT_BYTES);
        let mut huge = vec![0u8; KEPT_BUSY_BYTES + 1];
        empty(&mut huge);
        assert!(huge.capacity() <= KEPT_BYTES);
    }

    #[test]
    fn held_replies_leave_in_order_when_the_log_gets_there() {
        let mut output = Output::default();
        output.buffer.extend_from_slice(b"free|");
        output.hold(5, held(10));
        output.buffer.extend_from_slice(b"ten|");
        output.hold(9, held(10));
        output.buffer.extend_from_slice(b"also ten|");
        output.hold(18, held(30));
        output.buffer.extend_from_slice(b"thirty");
        assert_eq!(text(output.sendable(released(9))), "free|");
        output.advance(5);
        assert_eq!(text(output.sendable(released(9))), "");
        assert_eq!(output.waits_for(), Some(held(10)));
        assert_eq!(text(output.sendable(released(10))), "ten|also ten|");
        output.advance(4);
        assert_eq!(text(output.sendable(released(29))), "also ten|");
        output.advance(9);
        assert_eq!(text(output.sendable(released(30))), "thirty");
        output.advance(6);
        assert_eq!(output.pending(), 0);
        assert_eq!(output.waits_for(), None);
    }

    #[test]
    fn what_was_just_written_can_be_taken_back() {
        let mut output = Output::default();
        output.buffer.extend_from_slice(b"one|");
        output.advance(2);
        output.hold(2, Held::sample(10));
        let end = output.end();
        output.buffer.extend_from_slice(b"two|");
        output.hold(4, Held::sample(20));
        output.buffer.extend_from_slice(b"three|");
        assert!(output.revoke(end));
        assert_eq!(text(output.sendable(released(10))), "e|");
        assert!(output.revoke(output.end()) && output.waits_for().is_none());
        assert!(!output.revoke(0));
    }

    #[test]
    fn shared_parts_keep_their_places_and_the_holds() {
        let mut output = Output::default();
        output.buffer.extend_from_slice(b"first|");
        output.advance(2);
        output.hold(6, held(10));
        output.append_shared(Bytes::from_static(b"shared|"));
        output.buffer.extend_from_slice(b"tail");
        output.hold(4, held(20));
        output.buffer.extend_from_slice(b"|end");
        assert_eq!(output.pending(), 19);
        assert_eq!(text(output.sendable(released(0))), "rst|");
        output.advance(4);
        assert_eq!(text(output.sendable(released(9))), "");
        assert_eq!(text(output.sendable(released(10))), "shared|");
        output.advance(3);
        assert_eq!(text(output.sendable(released(10))), "red|");
        output.advance(4);
        assert_eq!(text(output.sendable(released(10))), "tail");
        output.advance(4);
        assert_eq!(text(output.sendable(released(19))), "");
        assert_eq!(text(output.sendable(released(20))), "|end");
        output.advance(4);
        assert_eq!(output.pending(), 0);
    }

    #[test]
    fn parts_are_sent_together_as_far_as_they_may() {
        let mut output = Output::default();
        output.buffer.extend_from_slice(b"a");
        output.append_shared(Bytes::from_static(b"bb"));
        output.append_shared(Bytes::from_static(b"ccc"));
        output.buffer.extend_from_slice(b"dddd");
        output.hold(1, held(10));
        let sent = |output: &mut Output, offset: u64, most: usize| {
            let mut parts = [IoSlice::new(&[]); 8];
            let filled = output.parts(released(offset), &mut parts[..most]);
            parts[..filled].iter().map(|part| text(part).to_owned()).collect::<Vec<_>>()
        };
        assert!(output.is_split());
        assert_eq!(sent(&mut output, 0, 8), ["a", "bb", "ccc", "d"]);
        assert_eq!(sent(&mut output, 0, 2), ["a", "bb"]);
        assert_eq!(sent(&mut output, 10, 8), ["a", "bb", "ccc", "dddd"]);
        output.advance(5);
        assert_eq!(sent(&mut output, 10, 8), ["c", "dddd"]);
        output.advance(3);
        assert!(!output.is_split());
        assert_eq!(text(output.sendable(released(10))), "dd");
        output.advance(2);
        assert_eq!(output.pending(), 0);
    }
}
