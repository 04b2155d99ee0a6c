//! Settings: clients and protocol.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Clients and protocol", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("maxclients", int(1, 4_294_967_295), "10000"),
    Setting::new("client-query-buffer-limit", memory(1_048_576, I64), "1073741824"),
    Setting::new(
        "client-output-buffer-limit",
        Kind::OutputLimits,
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    ),
    Setting::new("proto-max-bulk-len", memory(1_048_576, I64), "536870912"),
    Setting::new("maxmemory-clients", Kind::MemoryOrPercent, "0"),
    Setting::new("tracking-table-max-keys", int(0, i64::MAX), "1000000")
        .no_effect("client tracking is not there yet"),
];
