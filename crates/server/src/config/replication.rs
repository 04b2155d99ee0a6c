//! The settings of replication, typed.

use super::Config;
use std::time::Duration;

/// A part of `Values`.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "the fields have the names of the settings; docs/config.md says what each means"
)]
pub struct ReplicationValues {
    /// "host port"; empty: a primary.
    pub replicaof: String,
    /// Empty: the default user.
    pub masteruser: String,
    /// Empty: none.
    pub masterauth: String,
    pub replica_read_only: bool,
    pub replica_serve_stale_data: bool,
    pub replica_priority: u32,
    pub replica_announced: bool,
    /// Empty: the address the primary sees.
    pub replica_announce_ip: String,
    /// 0: the port listened on.
    pub replica_announce_port: u16,
    pub replica_lazy_flush: bool,
    pub replica_ignore_maxmemory: bool,
    /// `auto` is 0: in a deployment the control plane sees to it.
    pub min_replicas_to_write: usize,
    /// Seconds.
    pub min_replicas_max_lag: u64,
    pub repl_backlog_size: u64,
    /// `None`: the backlog stays.
    pub repl_backlog_ttl: Option<Duration>,
    pub repl_timeout: Duration,
    pub repl_ping_replica_period: Duration,
    pub repl_diskless_sync: bool,
    /// `None`: at once.
    pub repl_diskless_sync_delay: Option<Duration>,
    pub repl_diskless_sync_max_replicas: usize,
}

impl Config {
    /// The nodes of a deployment have one password, unless told otherwise.
    fn masterauth(&self) -> String {
        let given = self.text("masterauth");
        if given.is_empty() && self.flag("ha-enabled") { self.text("requirepass") } else { given }
    }

    /// Those of replication.
    pub(super) fn replication(&self) -> ReplicationValues {
        ReplicationValues {
            replicaof: self.text("replicaof"),
            masteruser: self.text("masteruser"),
            masterauth: self.masterauth(),
            replica_read_only: self.flag("replica-read-only"),
            replica_serve_stale_data: self.flag("replica-serve-stale-data"),
            replica_priority: self.number("replica-priority"),
            replica_announced: self.flag("replica-announced"),
            replica_announce_ip: self.text("replica-announce-ip"),
            replica_announce_port: self.number("replica-announce-port"),
            replica_lazy_flush: self.flag("replica-lazy-flush"),
            replica_ignore_maxmemory: self.flag("replica-ignore-maxmemory"),
            min_replicas_to_write: usize::try_from(self.integer("min-replicas-to-write")).unwrap_or(0),
            min_replicas_max_lag: self.number("min-replicas-max-lag"),
            repl_backlog_size: self.bytes("repl-backlog-size") as u64,
            repl_backlog_ttl: self.seconds("repl-backlog-ttl"),
            repl_timeout: self.seconds("repl-timeout").unwrap_or_default(),
            repl_ping_replica_period: self.seconds("repl-ping-replica-period").unwrap_or_default(),
            repl_diskless_sync: self.flag("repl-diskless-sync"),
            repl_diskless_sync_delay: self.seconds("repl-diskless-sync-delay"),
            repl_diskless_sync_max_replicas: self.number("repl-diskless-sync-max-replicas"),
        }
    }
}
