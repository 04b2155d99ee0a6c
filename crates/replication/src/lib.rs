//! The replication protocol without sockets, files and clocks: what bytes mean, what to send and what to decide.
//!
//! Offsets count the bytes of the stream from 0: an offset is the number of bytes before a place. On the wire PSYNC and
//! `second_repl_offset` name the next byte wanted, counted from 1; the functions that read and write those say so.
//!
//! Protocol: <https://redis.io/docs/latest/operate/oss_and_stack/management/replication/>

mod acks;
mod bulk;
mod handshake;
mod history;
mod member;
mod peer;
mod ring;

pub use acks::{Standing, all_reached, good_replicas, reached};
pub use bulk::{Header, Payload, Scan, header};
pub use handshake::{Failure, Handshake, Identity, Outcome, Resume};
pub use history::{History, ReplId, Start};
pub use member::{Member, RESYNC, Stranger};
pub use peer::{Ask, Peer, PeerError};
pub use ring::{Cursor, Overrun, Ring};
