//! Settings: cluster.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Cluster", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("cluster-enabled", Kind::Bool, "no").at_start().no_effect(CLUSTER),
    Setting::new("cluster-config-file", Kind::Text, "nodes.conf").at_start().no_effect(CLUSTER),
    Setting::new("cluster-port", int(0, 65535), "0").at_start().no_effect(CLUSTER),
    Setting::new("cluster-node-timeout", int(0, i64::MAX), "15000").no_effect(CLUSTER),
    Setting::new("cluster-migration-barrier", int(0, I32), "1").no_effect(CLUSTER),
    Setting::new("cluster-require-full-coverage", Kind::Bool, "yes").no_effect(CLUSTER),
    Setting::new("cluster-allow-reads-when-down", Kind::Bool, "no").no_effect(CLUSTER),
    Setting::new("cluster-allow-pubsubshard-when-down", Kind::Bool, "yes").no_effect(CLUSTER),
    Setting::new("cluster-allow-replica-migration", Kind::Bool, "yes").no_effect(CLUSTER),
    Setting::new("cluster-replica-no-failover", Kind::Bool, "no")
        .aliases(&["cluster-slave-no-failover"])
        .no_effect(CLUSTER),
    Setting::new("cluster-replica-validity-factor", int(0, I32), "10")
        .aliases(&["cluster-slave-validity-factor"])
        .no_effect(CLUSTER),
    Setting::new("cluster-link-sendbuf-limit", memory(0, u64::MAX), "0").no_effect(CLUSTER),
    Setting::new("cluster-announce-ip", Kind::Text, "").no_effect(CLUSTER),
    Setting::new("cluster-announce-port", int(0, 65535), "0").no_effect(CLUSTER),
    Setting::new("cluster-announce-bus-port", int(0, 65535), "0").no_effect(CLUSTER),
    Setting::new("cluster-announce-tls-port", int(0, 65535), "0").no_effect(CLUSTER),
    Setting::new("cluster-announce-hostname", Kind::Text, "").no_effect(CLUSTER),
    Setting::new("cluster-announce-human-nodename", Kind::Text, "").no_effect(CLUSTER),
    Setting::new(
        "cluster-preferred-endpoint-type",
        Kind::Choice(&["ip", "hostname", "unknown-endpoint"]),
        "ip",
    )
    .no_effect(CLUSTER),
    Setting::new("cluster-compatibility-sample-ratio", int(0, 100), "0").no_effect(CLUSTER),
];
