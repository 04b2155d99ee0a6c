//! The settings of failover, typed.

use super::Config;
use redoubt_ha::{Span, Timing};

/// What a node that is not the primary does with a client's command (`ha-route`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// It carries the client to the primary.
    Forward,
    /// It answers -REDIRECT to those who understand it.
    Redirect,
    /// It answers as a replica of Redis does.
    Off,
}

/// A part of `Values`.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "the fields have the names of the settings; docs/config.md says what each means"
)]
pub struct HaValues {
    pub enabled: bool,
    /// Host and client port of nodes to meet: a list, or one name that has the addresses of all.
    pub peers: Vec<(String, u16)>,
    pub bootstrap_expect: usize,
    pub name: String,
    /// 0: the client port and 10000.
    pub port: u16,
    /// 0: no port of its own for the Sentinel API.
    pub sentinel_port: u16,
    /// The Sentinel port asks for the server's password.
    pub sentinel_auth: bool,
    /// Everything that follows from `ha-node-timeout` and the other timeouts.
    pub timing: Timing,
    pub route: Routing,
    /// `host:port`; empty: found out.
    pub announce_clients: String,
    /// `host:port`; empty: found out.
    pub announce_peers: String,
    pub zone: String,
}

impl Config {
    /// Those of failover.
    pub(super) fn ha(&self) -> HaValues {
        HaValues {
            enabled: self.flag("ha-enabled"),
            peers: peers(&self.text("ha-peers")),
            bootstrap_expect: self.number("ha-bootstrap-expect"),
            name: self.text("ha-name"),
            port: self.number("ha-port"),
            sentinel_port: self.number("ha-sentinel-port"),
            sentinel_auth: self.flag("ha-sentinel-auth"),
            timing: self.timing(),
            route: match self.choice("ha-route") {
                "forward" => Routing::Forward,
                "redirect" => Routing::Redirect,
                _ => Routing::Off,
            },
            announce_clients: self.text("ha-announce-clients"),
            announce_peers: self.text("ha-announce-peers"),
            zone: self.text("ha-zone"),
        }
    }

    fn timing(&self) -> Timing {
        let millis =
            |name: &str| Some(self.number::<u64>(name)).filter(|millis| *millis != 0).map(Span::millis);
        let mut timing = Timing::new(millis("ha-node-timeout").unwrap_or_default());
        timing.replica_timeout = millis("ha-replica-timeout").unwrap_or(timing.replica_timeout);
        timing.stall_timeout = millis("ha-stall-timeout").unwrap_or(timing.stall_timeout);
        timing.forget_timeout = millis("ha-forget-timeout");
        timing
    }
}

/// Splits `host:port,host:port,...`, with spaces or commas. Without a port it is 6379; IPv6 addresses stand in brackets
/// where they have one.
fn peers(text: &str) -> Vec<(String, u16)> {
    let words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    words.map(|word| host_and_port(word).unwrap_or_else(|| (bare(word).to_owned(), DEFAULT_PORT))).collect()
}

const DEFAULT_PORT: u16 = 6379;

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// Takes `host:port` apart; brackets around the host go. Nothing if there is no port.
#[must_use]
pub fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let is_part_of_address = host.contains(':') && !host.ends_with(']');
    let port = port.parse().ok().filter(|_| !is_part_of_address)?;
    Some((bare(host).to_owned(), port))
}

/// Puts `host:port` together, with brackets where the host has colons.
#[must_use]
pub fn join_host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_lists_or_one_name() {
        let owned = |list: &[(&str, u16)]| {
            list.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect::<Vec<_>>()
        };
        assert_eq!(peers("a:1,b:2 c"), owned(&[("a", 1), ("b", 2), ("c", 6379)]));
        assert_eq!(peers("redoubt.default.svc"), owned(&[("redoubt.default.svc", 6379)]));
        assert_eq!(
            peers("[::1]:7000, fe80::1,[fe80::2]"),
            owned(&[("::1", 7000), ("fe80::1", 6379), ("fe80::2", 6379)])
        );
        assert!(peers("").is_empty());
    }

    #[test]
    fn addresses_go_together_and_apart() {
        for (host, port) in [("a", 1), ("::1", 6379), ("10.0.0.1", 65535)] {
            assert_eq!(host_and_port(&join_host_port(host, port)), Some((host.to_owned(), port)));
        }
        assert_eq!(host_and_port("a"), None);
        assert_eq!(host_and_port("a:x"), None);
        assert_eq!(host_and_port("fe80::1"), None);
    }

    #[test]
    fn timeouts_follow_from_one_unless_set() {
        let config = Config::new().with("ha-node-timeout", "200").unwrap();
        assert_eq!(config.ha().timing, Timing::new(Span::millis(200)));
        let config = config.with("ha-stall-timeout", "700").unwrap();
        assert_eq!(config.ha().timing.stall_timeout, Span::millis(700));
        assert_eq!(config.ha().timing.lease, Span::millis(180));
    }
}
