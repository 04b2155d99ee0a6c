//! Settings: security.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Security", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("requirepass", Kind::Text, "").secret(),
    Setting::new("enable-protected-configs", Kind::Choice(&["no", "yes", "local"]), "no").at_start(),
    Setting::new("enable-debug-command", Kind::Choice(&["no", "yes", "local"]), "no").at_start(),
    Setting::new("aclfile", Kind::Text, "").at_start().no_effect(ACL),
    Setting::new("acllog-max-len", int(0, i64::MAX), "128").no_effect(ACL),
    Setting::new("acl-pubsub-default", Kind::Choice(&["allchannels", "resetchannels"]), "resetchannels")
        .no_effect(ACL),
];
