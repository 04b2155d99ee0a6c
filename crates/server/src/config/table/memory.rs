//! Settings: memory, expiry and eviction.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Memory, expiry and eviction", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("maxmemory", memory(0, u64::MAX), "0"),
    Setting::new(
        "maxmemory-policy",
        Kind::Choice(&[
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "noeviction",
        ]),
        "noeviction",
    ),
    Setting::new("maxmemory-samples", int(1, I32), "5"),
    Setting::new("maxmemory-eviction-tenacity", int(0, 100), "10"),
    Setting::new("lfu-log-factor", int(0, I32), "10"),
    Setting::new("lfu-decay-time", int(0, I32), "1"),
    Setting::new("active-expire-effort", int(1, 10), "1"),
    Setting::new("lazyfree-lazy-eviction", Kind::Bool, "no"),
    Setting::new("lazyfree-lazy-expire", Kind::Bool, "no"),
    Setting::new("lazyfree-lazy-server-del", Kind::Bool, "no"),
    Setting::new("lazyfree-lazy-user-del", Kind::Bool, "no"),
    Setting::new("lazyfree-lazy-user-flush", Kind::Bool, "no"),
    Setting::new("activerehashing", Kind::Bool, "yes")
        .no_effect("tables are small (one per hash slot), so a resize never needs a background task"),
    Setting::new("activedefrag", Kind::Bool, "no").no_effect(DEFRAG),
    Setting::new("active-defrag-ignore-bytes", memory(1, I64), "104857600").no_effect(DEFRAG),
    Setting::new("active-defrag-threshold-lower", int(0, 1000), "10").no_effect(DEFRAG),
    Setting::new("active-defrag-threshold-upper", int(0, 1000), "100").no_effect(DEFRAG),
    Setting::new("active-defrag-cycle-min", int(1, 99), "1").no_effect(DEFRAG),
    Setting::new("active-defrag-cycle-max", int(1, 99), "25").no_effect(DEFRAG),
    Setting::new("active-defrag-max-scan-fields", int(1, i64::MAX), "1000").no_effect(DEFRAG),
    Setting::new("jemalloc-bg-thread", Kind::Bool, "yes"),
    Setting::new("disable-thp", Kind::Bool, "no").at_start(),
];
