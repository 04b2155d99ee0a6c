//! Settings: persistence.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Persistence", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("save", Kind::Save, "3600 1 300 100 60 10000"),
    Setting::new("dbfilename", Kind::FileName("dbfilename can't be a path, just a filename"), "dump.rdb")
        .protected(),
    Setting::new("rdbcompression", Kind::Bool, "yes"),
    Setting::new("rdbchecksum", Kind::Bool, "yes").at_start(),
    // The version of the files written: 10 for Redis 7.0, 11 for 7.2, 12 for 7.4. Where hash fields expire it is 12,
    // which alone can say so.
    Setting::new("rdb-version", int(10, 12), "11"),
    Setting::new("rdb-del-sync-files", Kind::Bool, "no")
        .no_effect("snapshots go from the data to replicas, and from there into the data: no files are left"),
    Setting::new("rdb-save-incremental-fsync", Kind::Bool, "yes"),
    Setting::new("stop-writes-on-bgsave-error", Kind::Bool, "yes"),
    Setting::new("appendonly", Kind::Bool, "no").of_data(),
    Setting::new(
        "appendfilename",
        Kind::FileName("appendfilename can't be a path, just a filename"),
        "appendonly.aof",
    )
    .at_start(),
    Setting::new(
        "appenddirname",
        Kind::FileName("appenddirname can't be a path, just a dirname"),
        "appendonlydir",
    )
    .at_start(),
    Setting::new("appendfsync", Kind::Choice(&["everysec", "always", "no"]), "everysec"),
    Setting::new("no-appendfsync-on-rewrite", Kind::Bool, "no"),
    Setting::new("auto-aof-rewrite-percentage", int(0, I32), "100"),
    Setting::new("auto-aof-rewrite-min-size", memory(0, I64), "67108864"),
    Setting::new("aof-load-truncated", Kind::Bool, "yes"),
    Setting::new("aof-use-rdb-preamble", Kind::Bool, "yes"),
    Setting::new("aof-rewrite-incremental-fsync", Kind::Bool, "yes"),
    Setting::new("aof-timestamp-enabled", Kind::Bool, "no"),
    Setting::new("aof-disable-auto-gc", Kind::Bool, "no"),
    Setting::new("key-load-delay", int(-I32 - 1, I32), "0").hidden(),
    Setting::new("rdb-key-save-delay", int(-I32 - 1, I32), "0").hidden(),
    Setting::new("loading-process-events-interval-bytes", memory(1_024, I64), "2097152")
        .hidden()
        .no_effect("clients are served by other threads than those that load"),
];
