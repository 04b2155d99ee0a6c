//! Settings: network.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Network", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("bind", Kind::Words, "* -::*").of_node(),
    Setting::new("port", int(0, 65535), "6379").of_node(),
    Setting::new("unixsocket", Kind::Text, "").at_start(),
    Setting::new("unixsocketperm", Kind::Octal, "0").at_start(),
    Setting::new("protected-mode", Kind::Bool, "yes").of_node(),
    Setting::new("tcp-backlog", int(0, I32), "511").at_start(),
    Setting::new("tcp-keepalive", int(0, I32), "300"),
    Setting::new("timeout", int(0, I32), "0"),
    Setting::new("bind-source-addr", Kind::Text, "")
        .no_effect("the system chooses the address of connections to other servers"),
    Setting::new("socket-mark-id", int(0, 4_294_967_295), "0")
        .at_start()
        .no_effect("marks are a matter of the host's firewall; the server sets none"),
    Setting::new("max-new-connections-per-cycle", int(1, 1000), "10")
        .no_effect("a worker accepts between requests, not in cycles"),
    Setting::new("max-new-tls-connections-per-cycle", int(1, 1000), "1").no_effect(TLS),
];
