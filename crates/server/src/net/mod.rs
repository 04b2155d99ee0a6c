//! Sockets: listening, and one task per connection.

pub(crate) mod ahead;
pub(crate) mod connection;
pub(crate) mod listener;
pub(crate) mod output;
pub(crate) mod socket;
pub(crate) mod turn;
