//! RESP2 and RESP3 wire format: the request parser and the reply writer. Knows nothing of commands or sockets.

mod double;
mod inline;
mod parser;
mod reply;

pub use double::DoubleBuffer;
pub use parser::{Limits, ProtocolError, RequestParser, Span, Status};
pub use reply::{Open, Reply};
