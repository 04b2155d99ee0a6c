//! Settings: failover built in. They are Redoubt's own; docs/failover.md explains them together.

use super::*;

pub(super) const GROUP: Group = Group { title: "High availability", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("ha-enabled", Kind::Bool, "no").at_start(),
    Setting::new("ha-peers", Kind::Text, "").at_start(),
    Setting::new("ha-bootstrap-expect", int(1, 1000), "3").at_start(),
    Setting::new("ha-name", Kind::Text, "mymaster").at_start(),
    Setting::new("ha-port", int(0, 65535), "0").at_start(),
    Setting::new("ha-sentinel-port", int(0, 65535), "26379").at_start(),
    Setting::new("ha-sentinel-auth", Kind::Bool, "yes"),
    Setting::new("ha-acks", Kind::Choice(&["in-sync", "local"]), "in-sync"),
    Setting::new("ha-node-timeout", int(100, 600_000), "500").at_start(),
    Setting::new("ha-replica-timeout", int(0, 600_000), "0").at_start(),
    Setting::new("ha-stall-timeout", int(0, 3_600_000), "0").at_start(),
    Setting::new("ha-forget-timeout", int(0, i64::MAX), "0").at_start(),
    Setting::new("ha-route", Kind::Choice(&["forward", "redirect", "off"]), "forward"),
    Setting::new("ha-announce-clients", Kind::Text, "").at_start(),
    Setting::new("ha-announce-peers", Kind::Text, "").at_start(),
    Setting::new("ha-zone", Kind::Text, "").at_start(),
];
