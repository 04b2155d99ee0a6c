//! Versions as clients and logs see them.

/// The Redis version this server is compatible with: what INFO and HELLO say, because clients gate features on it.
pub const REDIS_VERSION: &str = "7.4.2";

/// The version of Redoubt itself.
pub const REDOUBT_VERSION: &str = env!("CARGO_PKG_VERSION");
