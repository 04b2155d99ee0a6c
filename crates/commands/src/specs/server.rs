//! Rows of the commands on the server itself.

use super::generic::{RESTORE, RESTORE_ARGS};
use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, Run, ServerOp, internal};

/// Commands on the server itself, by name.
pub const SERVER: &[CommandSpec] = &[
    CommandSpec {
        name: "bgrewriteaof",
        arity: 1,
        flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_ASYNC_LOADING),
        run: Run::Server(ServerOp::Bgrewriteaof),
        doc: Doc::new("Rewrites the append-only file in the background.", "1.0.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "bgsave",
        arity: -1,
        flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_ASYNC_LOADING),
        run: Run::Server(ServerOp::Bgsave),
        doc: Doc::new("Saves the data to a file while the server goes on.", "1.0.0", "O(1)")
            .history(&[("3.2.2", "option `SCHEDULE`")])
            .args(&[Arg::pure_token("schedule", "SCHEDULE").optional().since("3.2.2")]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "command",
        arity: -1,
        flags: Flags::LOADING.with(Flags::STALE).with(internal::SENTINEL),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Command),
        doc: Doc::new("Describes all commands.", "2.8.13", "O(N), N = commands of the server"),
        tips: &["nondeterministic_output_order"],
        subcommands: &[
            CommandSpec {
                name: "count",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::CommandCount),
                doc: Doc::new("Counts the commands of the server.", "2.8.13", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "docs",
                arity: -2,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::CommandDocs),
                doc: Doc::new(
                    "Explains commands: purpose, arguments, history.",
                    "7.0.0",
                    "O(N), N = commands asked for",
                )
                .args(&[Arg::new("command-name", ArgKind::String).optional().multiple()]),
                tips: &["nondeterministic_output_order"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "getkeys",
                arity: -3,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::CommandGetkeys),
                doc: Doc::new(
                    "Tells which words of a call are keys.",
                    "2.8.13",
                    "O(N), N = words of the call",
                )
                .args(&[
                    Arg::new("command", ArgKind::String),
                    Arg::new("arg", ArgKind::String).optional().multiple(),
                ]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "getkeysandflags",
                arity: -3,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::CommandGetkeysandflags),
                doc: Doc::new(
                    "Tells which words of a call are keys, and how they are used.",
                    "7.0.0",
                    "O(N), N = words of the call",
                )
                .args(&[
                    Arg::new("command", ArgKind::String),
                    Arg::new("arg", ArgKind::String).optional().multiple(),
                ]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::CommandHelp),
                doc: Doc::new("Lists the COMMAND subcommands.", "5.0.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "info",
                arity: -2,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::CommandInfo),
                doc: Doc::new(
                    "Describes the named commands, or all.",
                    "2.8.13",
                    "O(N), N = commands asked for",
                )
                .history(&[("7.0.0", "without names it describes all")])
                .args(&[Arg::new("command-name", ArgKind::String).optional().multiple()]),
                tips: &["nondeterministic_output_order"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "list",
                arity: -2,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::CommandList),
                doc: Doc::new(
                    "Lists the names of the commands, all or by a filter.",
                    "7.0.0",
                    "O(N), N = commands of the server",
                )
                .args(&[Arg::one_of(
                    "filterby",
                    &[
                        Arg::new("module-name", ArgKind::String).token("MODULE"),
                        Arg::new("category", ArgKind::String).token("ACLCAT"),
                        Arg::new("pattern", ArgKind::Pattern).token("PATTERN"),
                    ],
                )
                .token("FILTERBY")
                .optional()]),
                tips: &["nondeterministic_output_order"],
                ..CommandSpec::EMPTY
            },
        ],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "config",
        arity: -2,
        run: Run::Container,
        doc: Doc::new("Groups the commands about settings.", "2.0.0", "By subcommand"),
        subcommands: &[
            CommandSpec {
                name: "get",
                arity: -3,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::ConfigGet),
                doc: Doc::new("Answers the settings whose names match.", "2.0.0", "O(N), N = patterns given")
                    .history(&[("7.0.0", "takes several patterns")])
                    .args(&[Arg::new("parameter", ArgKind::String).multiple()]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE),
                run: Run::Server(ServerOp::ConfigHelp),
                doc: Doc::new("Lists the CONFIG subcommands.", "5.0.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "resetstat",
                arity: 2,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::ConfigResetstat),
                doc: Doc::new("Sets the statistics back to zero.", "2.0.0", "O(1)"),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "rewrite",
                arity: 2,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::ConfigRewrite),
                doc: Doc::new("Writes the settings in force to the configuration file.", "2.8.0", "O(1)"),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "set",
                arity: -4,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::ConfigSet),
                doc: Doc::new("Changes settings while the server runs.", "2.0.0", "O(N), N = settings given")
                    .history(&[("7.0.0", "takes several settings")])
                    .args(&[Arg::block(
                        "data",
                        &[Arg::new("parameter", ArgKind::String), Arg::new("value", ArgKind::String)],
                    )
                    .multiple()]),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                ..CommandSpec::EMPTY
            },
        ],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "debug",
        arity: -2,
        flags: Flags::ADMIN
            .with(Flags::NOSCRIPT)
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(internal::ALL_PARTITIONS),
        run: Run::Server(ServerOp::Debug),
        doc: Doc::new("Groups the commands for testing the server.", "1.0.0", "By subcommand").system(),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "info",
        arity: -1,
        // Counts keys; inside a transaction that needs its locks.
        flags: Flags::LOADING.with(Flags::STALE).with(internal::ALL_PARTITIONS).with(internal::SENTINEL),
        categories: Categories::DANGEROUS,
        run: Run::Server(ServerOp::Info),
        doc: Doc::new("Answers facts and statistics about the server.", "1.0.0", "O(1)")
            .history(&[("7.0.0", "takes several sections")])
            .args(&[Arg::new("section", ArgKind::String).optional().multiple()]),
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lastsave",
        arity: 1,
        flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        categories: Categories::ADMIN.with(Categories::DANGEROUS),
        run: Run::Server(ServerOp::Lastsave),
        doc: Doc::new("Tells when the data was last saved.", "1.0.0", "O(1)"),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "latency",
        arity: -2,
        run: Run::Container,
        doc: Doc::new("Groups the commands about slow moments of the server.", "2.8.13", "By subcommand"),
        subcommands: &[
            CommandSpec {
                name: "doctor",
                arity: 2,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::LatencyDoctor),
                doc: Doc::new("Explains in words what the latency events hint at.", "2.8.13", "O(1)"),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "graph",
                arity: 3,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::LatencyGraph),
                doc: Doc::new("Draws the samples of a latency event.", "2.8.13", "O(1)")
                    .args(&[Arg::new("event", ArgKind::String)]),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE),
                run: Run::Server(ServerOp::LatencyHelp),
                doc: Doc::new("Lists the LATENCY subcommands.", "2.8.13", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "histogram",
                arity: -2,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::LatencyHistogram),
                doc: Doc::new(
                    "Answers how long calls of commands took, as histograms.",
                    "7.0.0",
                    "O(N), N = commands with calls",
                )
                .args(&[Arg::new("command", ArgKind::String).optional().multiple()]),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "history",
                arity: 3,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::LatencyHistory),
                doc: Doc::new("Answers the samples of a latency event.", "2.8.13", "O(1)")
                    .args(&[Arg::new("event", ArgKind::String)]),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "latest",
                arity: 2,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::LatencyLatest),
                doc: Doc::new("Answers the newest sample of each latency event.", "2.8.13", "O(1)"),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "reset",
                arity: -2,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::LatencyReset),
                doc: Doc::new("Forgets the samples of latency events.", "2.8.13", "O(1)").args(&[Arg::new(
                    "event",
                    ArgKind::String,
                )
                .optional()
                .multiple()]),
                tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
                ..CommandSpec::EMPTY
            },
        ],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lolwut",
        arity: -1,
        flags: Flags::READONLY.with(Flags::FAST),
        run: Run::Server(ServerOp::Lolwut),
        doc: Doc::new("Shows a small piece of art and the version.", "5.0.0", "").args(&[Arg::new(
            "version",
            ArgKind::Integer,
        )
        .token("VERSION")
        .optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "monitor",
        arity: 1,
        flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
        run: Run::Server(ServerOp::Monitor),
        doc: Doc::new("Shows every call the server runs, as it runs.", "1.0.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "restore-asking",
        flags: RESTORE.flags.with(Flags::ASKING),
        doc: Doc::new(
            "RESTORE into a slot that is being imported, without a call of ASKING before.",
            "3.0.0",
            "as RESTORE",
        )
        .history(&[
            ("3.0.0", "option `REPLACE`"),
            ("5.0.0", "option `ABSTTL`"),
            ("5.0.0", "options `IDLETIME` and `FREQ`"),
        ])
        .args(RESTORE_ARGS)
        .system(),
        ..RESTORE
    },
    CommandSpec {
        name: "save",
        arity: 1,
        flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_ASYNC_LOADING).with(Flags::NO_MULTI),
        run: Run::Server(ServerOp::Save),
        doc: Doc::new("Saves the data to a file, and answers when that is done.", "1.0.0", "O(N), N = keys"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "shutdown",
        arity: -1,
        flags: Flags::ADMIN
            .with(Flags::NOSCRIPT)
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::NO_MULTI)
            .with(Flags::ALLOW_BUSY),
        run: Run::Server(ServerOp::Shutdown),
        doc: Doc::new(
            "Ends the server, saving the data or not.",
            "1.0.0",
            "O(N) when saving, N = keys; else O(1)",
        )
        .history(&[("7.0.0", "options `NOW`, `FORCE` and `ABORT`")])
        .args(&[
            Arg::one_of(
                "save-selector",
                &[Arg::pure_token("nosave", "NOSAVE"), Arg::pure_token("save", "SAVE")],
            )
            .optional(),
            Arg::pure_token("now", "NOW").optional().since("7.0.0"),
            Arg::pure_token("force", "FORCE").optional().since("7.0.0"),
            Arg::pure_token("abort", "ABORT").optional().since("7.0.0"),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "slowlog",
        arity: -2,
        run: Run::Container,
        doc: Doc::new("Groups the commands about the log of slow calls.", "2.2.12", "By subcommand"),
        subcommands: &[
            CommandSpec {
                name: "get",
                arity: -2,
                flags: Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::SlowlogGet),
                doc: Doc::new("Answers entries of the slow log.", "2.2.12", "O(N), N = entries answered")
                    .history(&[("4.0.0", "tells the client's address and name")])
                    .args(&[Arg::new("count", ArgKind::Integer).optional()]),
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE),
                run: Run::Server(ServerOp::SlowlogHelp),
                doc: Doc::new("Lists the SLOWLOG subcommands.", "6.2.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "len",
                arity: 2,
                flags: Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::SlowlogLen),
                doc: Doc::new("Counts the entries of the slow log.", "2.2.12", "O(1)"),
                tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "reset",
                arity: 2,
                flags: Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE),
                run: Run::Server(ServerOp::SlowlogReset),
                doc: Doc::new("Empties the slow log.", "2.2.12", "O(N), N = entries"),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                ..CommandSpec::EMPTY
            },
        ],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "time",
        arity: 1,
        flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        run: Run::Server(ServerOp::Time),
        doc: Doc::new("Answers the server's clock.", "2.6.0", "O(1)"),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
];
