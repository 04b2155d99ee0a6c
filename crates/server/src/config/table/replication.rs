//! Settings: replication.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Replication", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("replicaof", Kind::ReplicaOf, "").aliases(&["slaveof"]).at_start(),
    Setting::new("masteruser", Kind::Text, "").secret(),
    Setting::new("masterauth", Kind::Text, "").secret(),
    Setting::new("replica-read-only", Kind::Bool, "yes").aliases(&["slave-read-only"]),
    Setting::new("replica-serve-stale-data", Kind::Bool, "yes").aliases(&["slave-serve-stale-data"]),
    Setting::new("replica-priority", int(0, I32), "100").aliases(&["slave-priority"]).of_node(),
    Setting::new("replica-announced", Kind::Bool, "yes").of_node(),
    Setting::new("replica-announce-ip", Kind::Text, "").aliases(&["slave-announce-ip"]).of_node(),
    Setting::new("replica-announce-port", int(0, 65535), "0").aliases(&["slave-announce-port"]).of_node(),
    Setting::new("replica-lazy-flush", Kind::Bool, "no").aliases(&["slave-lazy-flush"]),
    Setting::new("replica-ignore-maxmemory", Kind::Bool, "yes").aliases(&["slave-ignore-maxmemory"]),
    Setting::new("replica-ignore-disk-write-errors", Kind::Bool, "no")
        .no_effect("a replica goes on applying the stream, whatever its disk does"),
    Setting::new("replica-full-sync-buffer-limit", memory(0, I64), "0")
        .no_effect("while a snapshot is loaded, the stream waits at the primary"),
    Setting::new("min-replicas-to-write", Kind::IntOrAuto { max: I32 }, "0")
        .aliases(&["min-slaves-to-write"]),
    Setting::new("min-replicas-max-lag", int(0, I32), "10").aliases(&["min-slaves-max-lag"]),
    Setting::new("repl-backlog-size", Kind::Memory { min: 1, max: I64 }, "1048576"),
    Setting::new("repl-backlog-ttl", int(0, i64::MAX), "3600"),
    Setting::new("repl-timeout", int(1, I32), "60"),
    Setting::new("repl-ping-replica-period", int(1, I32), "10").aliases(&["repl-ping-slave-period"]),
    Setting::new("repl-disable-tcp-nodelay", Kind::Bool, "no")
        .no_effect("the stream is always sent at once, in as few writes as there are turns"),
    Setting::new("repl-diskless-sync", Kind::Bool, "yes"),
    Setting::new("repl-diskless-sync-delay", int(0, I32), "5"),
    Setting::new("repl-diskless-sync-max-replicas", int(0, I32), "0"),
    Setting::new("repl-diskless-load", Kind::Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled")
        .no_effect("a replica always parses the snapshot as it comes, into the emptied keyspace"),
    Setting::new(
        "propagation-error-behavior",
        Kind::Choice(&["ignore", "panic", "panic-on-replicas"]),
        "ignore",
    )
    .no_effect("errors in the stream are logged and counted"),
];
