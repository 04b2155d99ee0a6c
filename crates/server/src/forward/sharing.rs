//! What the clients of a shared connection have sent on it, in order, and whose the replies are. No sockets.

use super::scan::{Broken, Scanner};
use crate::net::output;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

/// One client's end.
#[derive(Default)]
pub(super) struct Seat {
    /// Replies it has not taken.
    replies: RefCell<Vec<u8>>,
    waker: RefCell<Option<Waker>>,
    /// It takes no more.
    left: Cell<bool>,
    /// Bytes of its requests that were never written, once the connection is lost.
    unwritten: Cell<usize>,
    /// Its place among all seats.
    pub(super) index: Cell<usize>,
}

impl Seat {
    /// Has the client's task woken when something comes.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn has_replies(&self) -> bool {
        !self.replies.borrow().is_empty()
    }

    /// Appends the replies to `to`.
    pub(super) fn take_replies(&self, to: &mut Vec<u8>) {
        let mut replies = self.replies.borrow_mut();
        if to.is_empty() {
            std::mem::swap(&mut *replies, to);
        } else {
            to.append(&mut replies);
        }
    }

    /// Nobody takes what comes.
    pub(super) fn leave(&self) {
        self.left.set(true);
    }

    pub(super) fn unwritten(&self) -> usize {
        self.unwritten.get()
    }

    fn give(&self, bytes: &[u8]) {
        if !self.left.get() && !bytes.is_empty() {
            self.replies.borrow_mut().extend_from_slice(bytes);
            self.wake();
        }
    }
}

/// Requests of one client that are not all answered.
struct Load {
    seat: Rc<Seat>,
    replies: usize,
    bytes: usize,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Sharing {
    out: Vec<u8>,
    written: usize,
    loads: VecDeque<Load>,
    scanner: Scanner,
    /// Inside a frame, and whether that is a push, which answers nothing.
    frame: Option<bool>,
}

impl Sharing {
    /// Takes requests to be written, which `replies` replies will answer.
    pub(super) fn push(&mut self, seat: &Rc<Seat>, requests: &[u8], replies: usize) {
        self.out.extend_from_slice(requests);
        match self.loads.back_mut().filter(|load| Rc::ptr_eq(&load.seat, seat)) {
            Some(load) => (load.replies, load.bytes) = (load.replies + replies, load.bytes + requests.len()),
            None => self.loads.push_back(Load { seat: Rc::clone(seat), replies, bytes: requests.len() }),
        }
    }

    /// What is to be written next.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// `n` bytes of what is unsent were written.
    pub(super) fn wrote(&mut self, n: usize) {
        self.written += n;
        if self.written == self.out.len() {
            output::empty(&mut self.out);
            self.written = 0;
        }
    }

    /// Gives the replies in `buf` to those who wait for them; part of a line may stay.
    pub(super) fn received(&mut self, buf: &mut Vec<u8>) -> Result<(), Broken> {
        let mut from = 0;
        while self.scanner.at() < buf.len() {
            let Some(load) = self.loads.front_mut() else { return Err(Broken) };
            let is_push = *self.frame.get_or_insert(buf[self.scanner.at()] == b'>');
            let Some(end) = self.scanner.next(buf)? else { break };
            self.frame = None;
            load.replies -= usize::from(!is_push);
            if load.replies == 0 {
                load.seat.give(&buf[from..end]);
                from = end;
                self.loads.pop_front();
            }
        }
        let upto = self.scanner.at();
        if let Some(load) = self.loads.front() {
            load.seat.give(&buf[from..upto]);
        }
        if upto == buf.len() {
            buf.clear();
        } else {
            buf.drain(..upto);
        }
        self.scanner.rebase(upto);
        Ok(())
    }

    /// The connection is lost: tells seats what of theirs never left.
    pub(super) fn lost(&mut self) {
        let mut left = self.unsent().len();
        for load in self.loads.iter().rev() {
            let unwritten = left.min(load.bytes);
            load.seat.unwritten.set(load.seat.unwritten.get() + unwritten);
            left -= unwritten;
        }
        self.loads.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(seat: &Seat) -> Vec<u8> {
        let mut replies = Vec::new();
        seat.take_replies(&mut replies);
        replies
    }

    proptest! {
        /// Every client gets the replies to its own requests, in order, wherever reads and requests are cut.
        #[test]
        fn replies_go_to_those_who_asked(
            asks in prop::collection::vec((0..4usize, 1..4usize), 1..30),
            kinds in prop::collection::vec(0..5u8, 90),
            cuts in prop::collection::vec(1..40usize, 1..40),
            gone in prop::option::of(0..4usize),
        ) {
            let seats: Vec<Rc<Seat>> = (0..4).map(|_| Rc::default()).collect();
            let mut sharing = Sharing::default();
            let mut expected = vec![Vec::new(); 4];
            let mut stream = Vec::new();
            let mut number = 0;
            for (client, count) in &asks {
                for _ in 0..*count {
                    let reply = match kinds[number] {
                        0 => format!("+{number}\r\n"),
                        1 => format!("$5\r\n{number:05}\r\n"),
                        2 => format!("*2\r\n:{number}\r\n$-1\r\n"),
                        3 => format!(">1\r\n:{number}\r\n-ERR {number}\r\n"),
                        _ => format!("%1\r\n+a\r\n*1\r\n:{number}\r\n"),
                    };
                    number += 1;
                    stream.extend_from_slice(reply.as_bytes());
                    expected[*client].extend_from_slice(reply.as_bytes());
                }
                sharing.push(&seats[*client], b"ask", *count);
            }
            prop_assert_eq!(sharing.unsent().len(), 3 * asks.len());
            if let Some(gone) = gone {
                seats[gone].leave();
                expected[gone].clear();
            }
            let mut buf = Vec::new();
            let mut cuts = cuts.iter().cycle();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                buf.extend_from_slice(piece);
                sharing.received(&mut buf).unwrap();
                rest = more;
            }
            prop_assert!(buf.is_empty() && sharing.loads.is_empty());
            for (seat, expected) in seats.iter().zip(&expected) {
                prop_assert_eq!(&taken(seat), expected);
            }
        }
    }

    #[test]
    fn what_was_never_written_is_told() {
        let [first, second] = [Rc::<Seat>::default(), Rc::default()];
        let mut sharing = Sharing::default();
        sharing.push(&first, b"12345", 1);
        sharing.push(&second, b"123", 1);
        sharing.push(&first, b"12", 1);
        sharing.wrote(6);
        sharing.lost();
        assert_eq!((first.unwritten(), second.unwritten()), (2, 2));
    }

    #[test]
    fn replies_nobody_waits_for_break_it() {
        let mut sharing = Sharing::default();
        assert_eq!(sharing.received(&mut b"+OK\r\n".to_vec()), Err(Broken));
        let seat = Rc::<Seat>::default();
        sharing.push(&seat, b"x", 1);
        assert_eq!(sharing.received(&mut b"+OK\r\n+OK\r\n".to_vec()), Err(Broken));
        assert_eq!(taken(&seat), b"+OK\r\n");
    }
}
