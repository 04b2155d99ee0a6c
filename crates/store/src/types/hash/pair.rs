//! Field and value of a hash table in one allocation, with room for an expiry where there is one.

use crate::member_table::Member;
use crate::packed::PackedValue;
use crate::thin::ThinBytes;

/// When a field expires, and a number that makes it differ from all others of that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    /// Unix time, milliseconds.
    pub(super) at: i64,
    pub(super) number: u32,
}

const TICKET_LEN: usize = 12;
/// Longest head: 64 bits in groups of seven.
const HEAD_MAX: usize = 10;

/// `[2 x length of the field, plus 1 if it expires; 7 bits per byte][ticket, if it expires][field][value]`.
#[derive(Clone)]
pub(super) struct Pair(ThinBytes);

impl Pair {
    pub(super) fn new(field: &[u8], value: &[u8]) -> Pair {
        Pair::with_ticket(field, value, None)
    }

    pub(super) fn with_ticket(field: &[u8], value: &[u8], ticket: Option<Ticket>) -> Pair {
        let mut head = [0u8; HEAD_MAX + TICKET_LEN];
        let mut used = 0;
        let mut number = field.len() << 1 | usize::from(ticket.is_some());
        while number >= 0x80 {
            head[used] = number as u8 | 0x80;
            number >>= 7;
            used += 1;
        }
        head[used] = number as u8;
        used += 1;
        if let Some(ticket) = ticket {
            head[used..used + 8].copy_from_slice(&ticket.at.to_le_bytes());
            head[used + 8..used + TICKET_LEN].copy_from_slice(&ticket.number.to_le_bytes());
            used += TICKET_LEN;
        }
        Pair(ThinBytes::from_parts(&[&head[..used], field, value]))
    }

    /// Length of the head without its ticket, the field's length, and whether there is a ticket.
    #[inline]
    fn head(&self) -> (usize, usize, bool) {
        let mut number = 0;
        for (at, &byte) in self.0.iter().enumerate() {
            number |= usize::from(byte & 0x7F) << (7 * at);
            if byte < 0x80 {
                return (at + 1, number >> 1, number & 1 == 1);
            }
        }
        (0, 0, false)
    }

    /// Where the field begins and ends.
    #[inline]
    fn bounds(&self) -> (usize, usize) {
        let (head, len, timed) = self.head();
        let start = head + if timed { TICKET_LEN } else { 0 };
        (start, start + len)
    }

    #[inline]
    pub(super) fn value(&self) -> &[u8] {
        &self.0[self.bounds().1..]
    }

    /// Changes the value; the ticket stays.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        let (_, end) = self.bounds();
        if self.0.len() - end == value.len() {
            self.0[end..].copy_from_slice(value);
        } else {
            *self = Pair::with_ticket(self.key(), value, self.ticket());
        }
    }

    #[inline]
    pub(super) fn ticket(&self) -> Option<Ticket> {
        let (head, _, timed) = self.head();
        if !timed {
            return None;
        }
        let (at, number) = self.0[head..head + TICKET_LEN].split_at(8);
        Some(Ticket {
            at: i64::from_le_bytes(at.try_into().ok()?),
            number: u32::from_le_bytes(number.try_into().ok()?),
        })
    }

    pub(super) fn set_ticket(&mut self, ticket: Option<Ticket>) {
        let (head, _, timed) = self.head();
        if let Some(ticket) = ticket
            && timed
        {
            self.0[head..head + 8].copy_from_slice(&ticket.at.to_le_bytes());
            self.0[head + 8..head + TICKET_LEN].copy_from_slice(&ticket.number.to_le_bytes());
            return;
        }
        *self = Pair::with_ticket(self.key(), self.value(), ticket);
    }

    #[inline]
    pub(super) fn parts(&self) -> (PackedValue<'_>, PackedValue<'_>) {
        (PackedValue::Bytes(self.key()), PackedValue::Bytes(self.value()))
    }
}

impl Member for Pair {
    #[inline]
    fn key(&self) -> &[u8] {
        let (start, end) = self.bounds();
        &self.0[start..end]
    }
    #[inline]
    fn key_address(&self) -> *const u8 {
        self.0.address()
    }
    fn mem_usage(&self) -> usize {
        self.0.mem_usage()
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.key().escape_ascii(), self.value().escape_ascii())
    }
}
