//! Output of one connection: one buffer, sent in one write, whose tail may have to wait for the log.

use std::collections::VecDeque;

/// Buffers kept between replies are cut back to this, bytes.
const KEPT_BYTES: usize = 64 * 1024;

/// See the module's text. Positions are absolute: they count from the connection's first byte.
#[derive(Default)]
pub(crate) struct Output {
    /// Unsent bytes, from `sent` on.
    pub(crate) buffer: Vec<u8>,
    /// Bytes of `buffer` already written to the socket.
    sent: usize,
    /// Positions in `buffer` from which on bytes wait for a log offset; both rise.
    holds: VecDeque<(usize, u64)>,
}

impl Output {
    /// Unsent bytes.
    pub(crate) fn pending(&self) -> usize {
        self.buffer.len() - self.sent
    }

    /// What is written from `position` on waits until the log has released `offset`.
    pub(crate) fn hold(&mut self, position: usize, offset: u64) {
        match self.holds.back() {
            Some((_, last)) if *last >= offset => {}
            _ => self.holds.push_back((position, offset)),
        }
    }

    /// The bytes that may be sent now.
    pub(crate) fn sendable(&mut self, released: u64) -> &[u8] {
        while self.holds.front().is_some_and(|(_, offset)| *offset <= released) {
            self.holds.pop_front();
        }
        let end = self.holds.front().map_or(self.buffer.len(), |(position, _)| *position);
        &self.buffer[self.sent.min(end)..end]
    }

    /// The log offset that the first held byte waits for.
    pub(crate) fn waits_for(&self) -> Option<u64> {
        self.holds.front().map(|(_, offset)| *offset)
    }

    /// Notes that `n` more bytes went out.
    pub(crate) fn advance(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_BYTES);
        } else if self.sent >= KEPT_BYTES && self.sent * 2 >= self.buffer.len() {
            self.buffer.drain(..self.sent);
            for (position, _) in &mut self.holds {
                *position -= self.sent;
            }
        } else {
            return;
        }
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("tests write text")
    }

    #[test]
    fn held_replies_leave_in_order_when_the_log_gets_there() {
        let mut output = Output::default();
        output.buffer.extend_from_slice(b"free|");
        output.hold(5, 10);
        output.buffer.extend_from_slice(b"ten|");
        output.hold(9, 10);
        output.buffer.extend_from_slice(b"also ten|");
        output.hold(18, 30);
        output.buffer.extend_from_slice(b"thirty");
        assert_eq!(text(output.sendable(9)), "free|");
        output.advance(5);
        assert_eq!(text(output.sendable(9)), "");
        assert_eq!(output.waits_for(), Some(10));
        assert_eq!(text(output.sendable(10)), "ten|also ten|");
        output.advance(4);
        assert_eq!(text(output.sendable(29)), "also ten|");
        output.advance(9);
        assert_eq!(text(output.sendable(30)), "thirty");
        output.advance(6);
        assert_eq!(output.pending(), 0);
        assert_eq!(output.waits_for(), None);
    }
}
