//! Settings: replication.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Replication", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("replicaof", Kind::ReplicaOf, "").aliases(&["slaveof"]).at_start().no_effect(REPLICATION),
    Setting::new("masteruser", Kind::Text, "").secret().no_effect(REPLICATION),
    Setting::new("masterauth", Kind::Text, "").secret().no_effect(REPLICATION),
    Setting::new("replica-read-only", Kind::Bool, "yes").aliases(&["slave-read-only"]).no_effect(REPLICATION),
    Setting::new("replica-serve-stale-data", Kind::Bool, "yes")
        .aliases(&["slave-serve-stale-data"])
        .no_effect(REPLICATION),
    Setting::new("replica-priority", int(0, I32), "100").aliases(&["slave-priority"]).no_effect(REPLICATION),
    Setting::new("replica-announced", Kind::Bool, "yes").no_effect(REPLICATION),
    Setting::new("replica-announce-ip", Kind::Text, "")
        .aliases(&["slave-announce-ip"])
        .no_effect(REPLICATION),
    Setting::new("replica-announce-port", int(0, 65535), "0")
        .aliases(&["slave-announce-port"])
        .no_effect(REPLICATION),
    Setting::new("replica-lazy-flush", Kind::Bool, "no")
        .aliases(&["slave-lazy-flush"])
        .no_effect(REPLICATION),
    Setting::new("replica-ignore-maxmemory", Kind::Bool, "yes")
        .aliases(&["slave-ignore-maxmemory"])
        .no_effect(REPLICATION),
    Setting::new("replica-ignore-disk-write-errors", Kind::Bool, "no").no_effect(REPLICATION),
    Setting::new("replica-full-sync-buffer-limit", memory(0, I64), "0").no_effect(REPLICATION),
    Setting::new("min-replicas-to-write", int(0, I32), "0")
        .aliases(&["min-slaves-to-write"])
        .no_effect(REPLICATION),
    Setting::new("min-replicas-max-lag", int(0, I32), "10")
        .aliases(&["min-slaves-max-lag"])
        .no_effect(REPLICATION),
    Setting::new("repl-backlog-size", Kind::Memory { min: 1, max: I64 }, "1048576").no_effect(REPLICATION),
    Setting::new("repl-backlog-ttl", int(0, i64::MAX), "3600").no_effect(REPLICATION),
    Setting::new("repl-timeout", int(1, I32), "60").no_effect(REPLICATION),
    Setting::new("repl-ping-replica-period", int(1, I32), "10")
        .aliases(&["repl-ping-slave-period"])
        .no_effect(REPLICATION),
    Setting::new("repl-disable-tcp-nodelay", Kind::Bool, "no").no_effect(REPLICATION),
    Setting::new("repl-diskless-sync", Kind::Bool, "yes").no_effect(REPLICATION),
    Setting::new("repl-diskless-sync-delay", int(0, I32), "5").no_effect(REPLICATION),
    Setting::new("repl-diskless-sync-max-replicas", int(0, I32), "0").no_effect(REPLICATION),
    Setting::new("repl-diskless-load", Kind::Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled")
        .no_effect(REPLICATION),
    Setting::new(
        "propagation-error-behavior",
        Kind::Choice(&["ignore", "panic", "panic-on-replicas"]),
        "ignore",
    )
    .no_effect(REPLICATION),
];
