//! Settings: process.
//!
//! Meaning of each: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>

use super::*;

pub(super) const GROUP: Group = Group { title: "Process", rows: ROWS };

const ROWS: &[Setting] = &[
    Setting::new("daemonize", Kind::Bool, "no").at_start(),
    Setting::new("pidfile", Kind::Text, "").at_start(),
    Setting::new("supervised", Kind::Choice(&["upstart", "systemd", "auto", "no"]), "no").at_start(),
    Setting::new("dir", Kind::Folder, ".").protected().of_data(),
    Setting::new("databases", int(1, I32), "16").at_start(),
    Setting::new("io-threads", int(1, 128), "cores").at_start(),
    Setting::new("io-threads-do-reads", Kind::Bool, "no")
        .at_start()
        .no_effect("every worker reads, executes and writes for its own connections"),
    Setting::new("hz", Kind::Hertz, "10").of_node(),
    Setting::new("dynamic-hz", Kind::Bool, "yes"),
    Setting::new("shutdown-timeout", int(0, I32), "10"),
    Setting::new("shutdown-on-sigint", Kind::Flags(SHUTDOWN_FLAGS), "default"),
    Setting::new("shutdown-on-sigterm", Kind::Flags(SHUTDOWN_FLAGS), "default"),
    Setting::new("oom-score-adj", Kind::Choice(&["no", "yes", "relative", "absolute"]), "no")
        .no_effect("the score is left to the service manager or container"),
    Setting::new("oom-score-adj-values", Kind::OomScores, "0 200 800")
        .no_effect("the score is left to the service manager or container"),
    Setting::new("set-proc-title", Kind::Bool, "yes").at_start().no_effect(TITLE),
    Setting::new("proc-title-template", Kind::Text, "{title} {listen-addr} {server-mode}").no_effect(TITLE),
    Setting::new("server-cpulist", Kind::Text, "")
        .aliases(&["server_cpulist"])
        .at_start()
        .no_effect(CPU_LISTS),
    Setting::new("bio-cpulist", Kind::Text, "").aliases(&["bio_cpulist"]).at_start().no_effect(CPU_LISTS),
    Setting::new("aof-rewrite-cpulist", Kind::Text, "")
        .aliases(&["aof_rewrite_cpulist"])
        .at_start()
        .no_effect(CPU_LISTS),
    Setting::new("bgsave-cpulist", Kind::Text, "")
        .aliases(&["bgsave_cpulist"])
        .at_start()
        .no_effect(CPU_LISTS),
    Setting::new("crash-log-enabled", Kind::Bool, "yes")
        .no_effect("a panic closes the client it happened for and is always logged"),
    Setting::new("crash-memcheck-enabled", Kind::Bool, "yes").no_effect("no memory test runs after a crash"),
    Setting::new("ignore-warnings", Kind::Text, "").no_effect("no start-up check stops the server"),
    Setting::new("enable-module-command", Kind::Choice(&["no", "yes", "local"]), "no")
        .at_start()
        .no_effect("modules are not supported"),
    Setting::new("watchdog-period", int(0, I32), "0").hidden().no_effect("there is no software watchdog"),
];
