//! Settings: scripting.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Scripting", rows: ROWS };

const ROWS: &[Setting] = &[Setting::new("busy-reply-threshold", int(0, i64::MAX), "5000")
    .aliases(&["lua-time-limit"])
    .no_effect(SCRIPTING)];
