//! RESP2 and RESP3 wire format: the request parser and the reply writer. Knows nothing of commands or sockets.

mod reply;

pub use reply::{DoubleBuffer, Open, Reply};
