//! Settings: TLS.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "TLS", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("tls-port", int(0, 65535), "0").no_effect(TLS),
    Setting::new("tls-cert-file", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-key-file", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-key-file-pass", Kind::Text, "").secret().no_effect(TLS),
    Setting::new("tls-client-cert-file", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-client-key-file", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-client-key-file-pass", Kind::Text, "").secret().no_effect(TLS),
    Setting::new("tls-dh-params-file", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-ca-cert-file", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-ca-cert-dir", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-auth-clients", Kind::Choice(&["no", "yes", "optional"]), "yes").no_effect(TLS),
    Setting::new("tls-protocols", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-ciphers", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-ciphersuites", Kind::Text, "").no_effect(TLS),
    Setting::new("tls-prefer-server-ciphers", Kind::Bool, "no").no_effect(TLS),
    Setting::new("tls-session-caching", Kind::Bool, "yes").no_effect(TLS),
    Setting::new("tls-session-cache-size", int(0, I32), "20480").no_effect(TLS),
    Setting::new("tls-session-cache-timeout", int(0, I32), "300").no_effect(TLS),
    Setting::new("tls-replication", Kind::Bool, "no").no_effect(TLS),
    Setting::new("tls-cluster", Kind::Bool, "no").no_effect(TLS),
];
