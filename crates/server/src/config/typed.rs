//! The settings the engine reads, typed. Copied out at the start and after a change: no request looks a setting up.

use super::Config;
use super::ha::HaValues;
use super::replication::ReplicationValues;
use super::value::{OutputLimit, Value};
use redoubt_commands::Settings;
use redoubt_persistence::rdb;
use redoubt_store::{EncodingLimits, Lazy};
use std::path::PathBuf;
use std::time::Duration;

/// Who may use a guarded feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Connections over loopback or a unix socket.
    Local,
}

/// Least important messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Much.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// What an operator must know.
    Warning,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line each.
    Text,
    /// One JSON object per line.
    Json,
}

/// `client-output-buffer-limit` by client class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients with subscriptions.
    pub pubsub: OutputLimit,
}

/// Settings of loading files.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as for `Values`")]
pub struct LoadValues {
    pub dbfilename: String,
    pub rdbchecksum: bool,
    pub aof_load_truncated: bool,
    /// Microseconds per key; negative: one for so many keys.
    pub key_load_delay: i64,
}

/// Settings of snapshots.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as for `Values`")]
pub struct SnapshotValues {
    /// Rules: seconds, and changes within them.
    pub save: Vec<(i64, u64)>,
    pub dbfilename: String,
    pub rdbcompression: bool,
    pub rdbchecksum: bool,
    pub rdb_version: u32,
    pub rdb_save_incremental_fsync: bool,
    pub stop_writes_on_bgsave_error: bool,
    pub rdb_key_save_delay: i64,
}

impl SnapshotValues {
    /// How RDB files are written.
    pub fn options(&self) -> rdb::Options {
        rdb::Options { version: self.rdb_version, compress: self.rdbcompression, checksum: self.rdbchecksum }
    }
}

/// A copy of every setting the engine reads, at one moment.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "the fields have the names of the settings; docs/config.md says what each means"
)]
pub struct Values {
    pub bind: Vec<String>,
    pub port: u16,
    pub unixsocket: Option<PathBuf>,
    /// `None`: as the umask leaves it.
    pub unixsocketperm: Option<u32>,
    pub protected_mode: bool,
    pub tcp_backlog: i32,
    /// `None`: no keepalive probes.
    pub tcp_keepalive: Option<Duration>,
    /// `None`: idle clients stay.
    pub timeout: Option<Duration>,
    pub maxclients: usize,
    pub client_query_buffer_limit: usize,
    pub client_output_buffer_limit: OutputLimits,
    pub proto_max_bulk_len: usize,
    /// Bytes all clients may take together; 0: no limit.
    pub maxmemory_clients: u64,
    /// Bytes; 0: no limit.
    pub maxmemory: u64,
    pub maxmemory_policy: &'static str,
    pub maxmemory_samples: usize,
    pub lfu_log_factor: u32,
    /// Minutes.
    pub lfu_decay_time: u32,
    pub active_expire_effort: u32,
    /// Which removals are lazy.
    pub lazyfree: Lazy,
    pub jemalloc_bg_thread: bool,
    pub disable_thp: bool,
    pub daemonize: bool,
    pub pidfile: Option<PathBuf>,
    pub supervised: &'static str,
    pub dir: PathBuf,
    pub load: LoadValues,
    pub databases: usize,
    pub io_threads: usize,
    pub hz: u32,
    pub shutdown_timeout: Duration,
    pub shutdown_on_sigint: Vec<String>,
    pub shutdown_on_sigterm: Vec<String>,
    pub loglevel: LogLevel,
    pub logfile: Option<PathBuf>,
    pub log_format: LogFormat,
    pub syslog_enabled: bool,
    pub syslog_ident: String,
    pub syslog_facility: &'static str,
    pub always_show_logo: bool,
    /// Microseconds; negative: nothing is kept.
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: usize,
    /// Milliseconds; 0: off.
    pub latency_monitor_threshold: u64,
    pub latency_tracking: bool,
    pub latency_tracking_info_percentiles: Vec<f64>,
    /// Classes as CONFIG GET prints them ("AKE"); empty: none.
    pub notify_keyspace_events: String,
    pub snapshot: SnapshotValues,
    pub appendonly: bool,
    pub appendfilename: String,
    pub appenddirname: String,
    pub appendfsync: &'static str,
    pub no_appendfsync_on_rewrite: bool,
    /// Percent; 0: never.
    pub auto_aof_rewrite_percentage: u64,
    /// Bytes.
    pub auto_aof_rewrite_min_size: u64,
    pub aof_use_rdb_preamble: bool,
    pub aof_rewrite_incremental_fsync: bool,
    pub aof_timestamp_enabled: bool,
    pub aof_disable_auto_gc: bool,
    /// Empty: none.
    pub requirepass: String,
    pub replication: ReplicationValues,
    pub ha: HaValues,
    pub enable_debug_command: Allow,
    pub enable_protected_configs: Allow,
    /// Those that data commands read.
    pub commands: Settings,
}

impl Values {
    /// Which removals are lazy.
    pub fn lazy(&self) -> Lazy {
        self.lazyfree
    }
}

impl Config {
    /// A typed copy of what the engine reads.
    pub fn values(&self) -> Values {
        Values {
            bind: self.words("bind"),
            port: self.number("port"),
            unixsocket: self.path("unixsocket"),
            unixsocketperm: Some(self.number("unixsocketperm")).filter(|mode| *mode != 0),
            protected_mode: self.flag("protected-mode"),
            tcp_backlog: self.number("tcp-backlog"),
            tcp_keepalive: self.seconds("tcp-keepalive"),
            timeout: self.seconds("timeout"),
            maxclients: self.number("maxclients"),
            client_query_buffer_limit: self.bytes("client-query-buffer-limit"),
            client_output_buffer_limit: self.output_limits(),
            proto_max_bulk_len: self.bytes("proto-max-bulk-len"),
            maxmemory_clients: self.share("maxmemory-clients", self.bytes("maxmemory") as u64),
            maxmemory: self.bytes("maxmemory") as u64,
            maxmemory_policy: self.choice("maxmemory-policy"),
            maxmemory_samples: self.number("maxmemory-samples"),
            lfu_log_factor: self.number("lfu-log-factor"),
            lfu_decay_time: self.number("lfu-decay-time"),
            active_expire_effort: self.number("active-expire-effort"),
            lazyfree: self.lazyfree(),
            jemalloc_bg_thread: self.flag("jemalloc-bg-thread"),
            disable_thp: self.flag("disable-thp"),
            daemonize: self.flag("daemonize"),
            pidfile: self.path("pidfile"),
            supervised: self.choice("supervised"),
            dir: self.path("dir").unwrap_or_else(|| PathBuf::from(".")),
            load: self.load_values(),
            databases: self.number("databases"),
            io_threads: self.number("io-threads"),
            hz: self.number("hz"),
            shutdown_timeout: self.seconds("shutdown-timeout").unwrap_or_default(),
            shutdown_on_sigint: self.words("shutdown-on-sigint"),
            shutdown_on_sigterm: self.words("shutdown-on-sigterm"),
            loglevel: self.log_level(),
            logfile: self.path("logfile"),
            log_format: if self.choice("log-format") == "json" { LogFormat::Json } else { LogFormat::Text },
            syslog_enabled: self.flag("syslog-enabled"),
            syslog_ident: self.text("syslog-ident"),
            syslog_facility: self.choice("syslog-facility"),
            always_show_logo: self.flag("always-show-logo"),
            slowlog_log_slower_than: self.integer("slowlog-log-slower-than"),
            slowlog_max_len: self.number("slowlog-max-len"),
            latency_monitor_threshold: self.number("latency-monitor-threshold"),
            latency_tracking: self.flag("latency-tracking"),
            latency_tracking_info_percentiles: self.percentiles(),
            notify_keyspace_events: self.text("notify-keyspace-events"),
            snapshot: self.snapshot_values(),
            appendonly: self.flag("appendonly"),
            appendfilename: self.text("appendfilename"),
            appenddirname: self.text("appenddirname"),
            appendfsync: self.choice("appendfsync"),
            no_appendfsync_on_rewrite: self.flag("no-appendfsync-on-rewrite"),
            auto_aof_rewrite_percentage: self.number("auto-aof-rewrite-percentage"),
            auto_aof_rewrite_min_size: self.bytes("auto-aof-rewrite-min-size") as u64,
            aof_use_rdb_preamble: self.flag("aof-use-rdb-preamble"),
            aof_rewrite_incremental_fsync: self.flag("aof-rewrite-incremental-fsync"),
            aof_timestamp_enabled: self.flag("aof-timestamp-enabled"),
            aof_disable_auto_gc: self.flag("aof-disable-auto-gc"),
            requirepass: self.text("requirepass"),
            replication: self.replication(),
            ha: self.ha(),
            enable_debug_command: self.allow("enable-debug-command"),
            enable_protected_configs: self.allow("enable-protected-configs"),
            commands: self.command_settings(),
        }
    }

    fn lazyfree(&self) -> Lazy {
        Lazy {
            expire: self.flag("lazyfree-lazy-expire"),
            evict: self.flag("lazyfree-lazy-eviction"),
            overwrite: self.flag("lazyfree-lazy-server-del"),
        }
    }

    /// Those that data commands read. Also part of `values`.
    pub fn command_settings(&self) -> Settings {
        Settings {
            bulk_len_max: self.bytes("proto-max-bulk-len"),
            encoding: EncodingLimits {
                list_listpack_size: self.number("list-max-listpack-size"),
                hash_listpack_entries: self.number("hash-max-listpack-entries"),
                hash_listpack_value: self.bytes("hash-max-listpack-value"),
                set_intset_entries: self.number("set-max-intset-entries"),
                set_listpack_entries: self.number("set-max-listpack-entries"),
                set_listpack_value: self.number("set-max-listpack-value"),
                zset_listpack_entries: self.number("zset-max-listpack-entries"),
                zset_listpack_value: self.bytes("zset-max-listpack-value"),
                stream_node_bytes: self.bytes("stream-node-max-bytes"),
                stream_node_entries: self.number("stream-node-max-entries"),
            },
            hll_sparse_bytes_max: self.bytes("hll-sparse-max-bytes"),
            lazy_user_del: self.flag("lazyfree-lazy-user-del"),
            lazy_user_flush: self.flag("lazyfree-lazy-user-flush"),
            lfu: self.choice("maxmemory-policy").ends_with("-lfu"),
            reply_bytes_max: self.output_limits().normal.hard_bytes as usize,
        }
    }

    /// The log level alone, for changing it while running.
    pub fn log_level(&self) -> LogLevel {
        match self.choice("loglevel") {
            "debug" => LogLevel::Debug,
            "verbose" => LogLevel::Verbose,
            "warning" => LogLevel::Warning,
            _ => LogLevel::Notice,
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Value::Bool(true))
    }

    pub(super) fn integer(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Int(number) => *number,
            other => unreachable!("{name} is no number but {other:?}"),
        }
    }

    /// A number whose bounds in the table fit `T`.
    pub(super) fn number<T: TryFrom<i64>>(&self, name: &str) -> T {
        T::try_from(self.integer(name)).ok().expect("bounds in the table fit the type")
    }

    pub(super) fn bytes(&self, name: &str) -> usize {
        match self.value(name) {
            Value::Bytes(bytes) => *bytes as usize,
            other => unreachable!("{name} is no size but {other:?}"),
        }
    }

    /// Bytes, or a share of `whole`.
    fn share(&self, name: &str, whole: u64) -> u64 {
        match self.value(name) {
            Value::Bytes(bytes) => *bytes,
            Value::Percent(percent) => (u128::from(whole) * u128::from(*percent) / 100) as u64,
            other => unreachable!("{name} is no size but {other:?}"),
        }
    }

    pub(super) fn seconds(&self, name: &str) -> Option<Duration> {
        Some(self.number(name)).filter(|seconds| *seconds != 0).map(Duration::from_secs)
    }

    pub(super) fn choice(&self, name: &str) -> &'static str {
        match self.value(name) {
            Value::Choice(word) => word,
            other => unreachable!("{name} is no choice but {other:?}"),
        }
    }

    pub(super) fn text(&self, name: &str) -> String {
        match self.value(name) {
            Value::Text(text) => text.clone(),
            other => unreachable!("{name} is no text but {other:?}"),
        }
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    pub(super) fn words(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Value::Words(words) => words.clone(),
            other => unreachable!("{name} is no list but {other:?}"),
        }
    }

    fn load_values(&self) -> LoadValues {
        LoadValues {
            dbfilename: self.text("dbfilename"),
            rdbchecksum: self.flag("rdbchecksum"),
            aof_load_truncated: self.flag("aof-load-truncated"),
            key_load_delay: self.integer("key-load-delay"),
        }
    }

    fn snapshot_values(&self) -> SnapshotValues {
        SnapshotValues {
            save: self.save_rules(),
            dbfilename: self.text("dbfilename"),
            rdbcompression: self.flag("rdbcompression"),
            rdbchecksum: self.flag("rdbchecksum"),
            rdb_version: self.number("rdb-version"),
            rdb_save_incremental_fsync: self.flag("rdb-save-incremental-fsync"),
            stop_writes_on_bgsave_error: self.flag("stop-writes-on-bgsave-error"),
            rdb_key_save_delay: self.integer("rdb-key-save-delay"),
        }
    }

    fn save_rules(&self) -> Vec<(i64, u64)> {
        match self.value("save") {
            Value::Pairs(pairs) => {
                pairs.iter().map(|(seconds, changes)| (*seconds, (*changes).max(0) as u64)).collect()
            }
            other => unreachable!("save rules are {other:?}"),
        }
    }

    fn percentiles(&self) -> Vec<f64> {
        match self.value("latency-tracking-info-percentiles") {
            Value::Numbers(numbers) => numbers.clone(),
            other => unreachable!("percentiles are {other:?}"),
        }
    }

    fn output_limits(&self) -> OutputLimits {
        match self.value("client-output-buffer-limit") {
            Value::Limits([normal, replica, pubsub]) => {
                OutputLimits { normal: *normal, replica: *replica, pubsub: *pubsub }
            }
            other => unreachable!("client-output-buffer-limit is {other:?}"),
        }
    }

    fn allow(&self, name: &str) -> Allow {
        match self.choice(name) {
            "yes" => Allow::Yes,
            "local" => Allow::Local,
            _ => Allow::No,
        }
    }
}
