//! RESP2 and RESP3 wire format: the request parser and the reply writer. Knows nothing of commands or sockets.

mod inline;
mod parser;
mod reply;

pub use parser::{Limits, ProtocolError, RequestParser, Span, Status};
pub use reply::{DoubleBuffer, Open, Reply};
