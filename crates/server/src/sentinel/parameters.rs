//! Parameters of a Sentinel: what SENTINEL CONFIG, SET and DEBUG answer. All of them follow from settings of the
//! deployment, so none is set by the names it has here.

use super::Sentinels;
use super::describe::millis;
use crate::config::Values;
use std::net::IpAddr;

/// What SENTINEL CONFIG GET answers: names, values and the setting that decides each, in Sentinel's order.
pub(crate) fn config(
    sentinels: &Sentinels<'_>,
    values: &Values,
) -> [(&'static str, String, &'static str); 6] {
    let me = sentinels.view.endpoint(sentinels.view.me.node);
    let host = me.map(|me| me.host).unwrap_or_default();
    let is_name = !host.is_empty() && host.parse::<IpAddr>().is_err();
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    [
        // Names are taken wherever an address is.
        ("resolve-hostnames", yes_or_no(true), "ha-peers"),
        ("announce-hostnames", yes_or_no(is_name), "ha-announce-clients"),
        ("announce-ip", host, "ha-announce-clients"),
        ("announce-port", values.ha.sentinel_port.to_string(), "ha-sentinel-port"),
        // Nodes prove who they are to each other by the deployment's secret.
        ("sentinel-user", String::new(), "masteruser"),
        ("sentinel-pass", String::new(), "masterauth"),
    ]
}

/// What SENTINEL DEBUG answers: those of its durations that there are here, milliseconds.
pub(crate) fn durations(sentinels: &Sentinels<'_>) -> [(&'static str, u64); 7] {
    let timing = &sentinels.view.timing;
    // Everything a node tells others is in its heartbeats.
    let heartbeat = millis(timing.heartbeat);
    [
        ("INFO-PERIOD", heartbeat),
        ("PING-PERIOD", heartbeat),
        ("ASK-PERIOD", heartbeat),
        ("PUBLISH-PERIOD", heartbeat),
        ("DEFAULT-DOWN-AFTER", millis(timing.lease)),
        ("DEFAULT-FAILOVER-TIMEOUT", millis(timing.handover)),
        ("ELECTION-TIMEOUT", millis(timing.election_max)),
    ]
}
