//! Settings: logging and monitoring.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Logging and monitoring", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("loglevel", Kind::Choice(&["debug", "verbose", "notice", "warning"]), "notice").of_node(),
    Setting::new("logfile", Kind::Text, "").at_start(),
    Setting::new("log-format", Kind::Choice(&["text", "json"]), "text").at_start(),
    Setting::new("syslog-enabled", Kind::Bool, "no").at_start(),
    Setting::new("syslog-ident", Kind::Text, "redis").at_start(),
    Setting::new(
        "syslog-facility",
        Kind::Choice(&[
            "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
        ]),
        "local0",
    )
    .at_start(),
    Setting::new("always-show-logo", Kind::Bool, "no").at_start(),
    Setting::new("hide-user-data-from-log", Kind::Bool, "no").no_effect("user data is never logged"),
    Setting::new("slowlog-log-slower-than", int(-1, i64::MAX), "10000"),
    Setting::new("slowlog-max-len", int(0, i64::MAX), "128"),
    Setting::new("latency-monitor-threshold", int(0, i64::MAX), "0"),
    Setting::new("latency-tracking", Kind::Bool, "yes"),
    Setting::new("latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9"),
    Setting::new("notify-keyspace-events", Kind::KeyspaceEvents, ""),
];
