//! Settings: encodings.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Encodings", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("list-max-listpack-size", int(-I32 - 1, I32), "-2").aliases(&["list-max-ziplist-size"]),
    Setting::new("list-compress-depth", int(0, I32), "0")
        .no_effect("inner parts of a list are not compressed"),
    Setting::new("hash-max-listpack-entries", int(0, i64::MAX), "512").aliases(&["hash-max-ziplist-entries"]),
    Setting::new("hash-max-listpack-value", memory(0, I64), "64").aliases(&["hash-max-ziplist-value"]),
    Setting::new("set-max-intset-entries", int(0, i64::MAX), "512"),
    Setting::new("set-max-listpack-entries", int(0, i64::MAX), "128"),
    Setting::new("set-max-listpack-value", int(0, i64::MAX), "64"),
    Setting::new("zset-max-listpack-entries", int(0, i64::MAX), "128").aliases(&["zset-max-ziplist-entries"]),
    Setting::new("zset-max-listpack-value", memory(0, I64), "64").aliases(&["zset-max-ziplist-value"]),
    Setting::new("hll-sparse-max-bytes", memory(0, I64), "3000"),
    Setting::new("stream-node-max-bytes", memory(0, I64), "4096"),
    Setting::new("stream-node-max-entries", int(0, i64::MAX), "100"),
    Setting::new("locale-collate", Kind::Text, "")
        .no_effect("SORT ALPHA compares bytes, whatever the locale"),
    Setting::new("sanitize-dump-payload", Kind::Choice(&["no", "yes", "clients"]), "no")
        .no_effect("a payload is always checked in full"),
];
