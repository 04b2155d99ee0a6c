//! Rows of the commands on connections.

use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, Run, ServerOp, internal};

/// Commands on connections, by name.
pub const CONNECTION: &[CommandSpec] = &[
    CommandSpec {
        name: "auth",
        arity: -2,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(Flags::NO_AUTH)
            .with(Flags::ALLOW_BUSY)
            .with(internal::SENTINEL),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Auth),
        doc: Doc::new("Proves who the connection belongs to.", "1.0.0", "O(N), N = passwords of the user")
            .history(&[("6.0.0", "takes a user name too")])
            .args(&[
                Arg::new("username", ArgKind::String).optional().since("6.0.0"),
                Arg::new("password", ArgKind::String),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "client",
        arity: -2,
        flags: internal::SENTINEL,
        run: Run::Container,
        doc: Doc::new("Groups the commands about client connections.", "2.4.0", "By subcommand"),
        subcommands: &[
            CommandSpec {
                name: "capa",
                arity: -3,
                flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE).with(Flags::ALLOW_BUSY),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientCapa),
                doc: Doc::new("Tells what the client understands: `redirect`.", "8.0.0", "O(1)")
                    .args(&[Arg::new("capability", ArgKind::String).multiple()]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "getname",
                arity: 2,
                flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientGetname),
                doc: Doc::new("Answers the name given to this connection.", "2.6.9", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientHelp),
                doc: Doc::new("Lists the CLIENT subcommands.", "5.0.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "id",
                arity: 2,
                flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientId),
                doc: Doc::new("Answers this connection's number.", "5.0.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "info",
                arity: 2,
                flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientInfo),
                doc: Doc::new("Describes this connection.", "6.2.0", "O(1)"),
                tips: &["nondeterministic_output"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "kill",
                arity: -3,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientKill),
                doc: Doc::new(
                    "Closes connections chosen by address, number or other properties.",
                    "2.4.0",
                    "O(N), N = connections",
                )
                .history(&[
                    ("2.8.12", "chooses by properties rather than by address only"),
                    ("2.8.12", "by `ID`"),
                    ("3.2.0", "type `master`"),
                    ("5.0.0", "type `replica`, of which `slave` is the old name"),
                    ("6.2.0", "by `LADDR`"),
                    ("7.4.0", "by `MAXAGE`"),
                ])
                .args(&[Arg::one_of(
                    "filter",
                    &[
                        Arg::new("old-format", ArgKind::String).display("ip:port"),
                        Arg::one_of(
                            "new-format",
                            &[
                                Arg::new("client-id", ArgKind::Integer)
                                    .token("ID")
                                    .optional()
                                    .since("2.8.12"),
                                Arg::one_of(
                                    "client-type",
                                    &[
                                        Arg::pure_token("normal", "NORMAL"),
                                        Arg::pure_token("master", "MASTER").since("3.2.0"),
                                        Arg::pure_token("slave", "SLAVE"),
                                        Arg::pure_token("replica", "REPLICA").since("5.0.0"),
                                        Arg::pure_token("pubsub", "PUBSUB"),
                                    ],
                                )
                                .token("TYPE")
                                .optional()
                                .since("2.8.12"),
                                Arg::new("username", ArgKind::String).token("USER").optional(),
                                Arg::new("addr", ArgKind::String).token("ADDR").optional().display("ip:port"),
                                Arg::new("laddr", ArgKind::String)
                                    .token("LADDR")
                                    .optional()
                                    .since("6.2.0")
                                    .display("ip:port"),
                                Arg::one_of(
                                    "skipme",
                                    &[Arg::pure_token("yes", "YES"), Arg::pure_token("no", "NO")],
                                )
                                .token("SKIPME")
                                .optional(),
                                Arg::new("maxage", ArgKind::Integer)
                                    .token("MAXAGE")
                                    .optional()
                                    .since("7.4.0"),
                            ],
                        )
                        .multiple(),
                    ],
                )]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "list",
                arity: -2,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientList),
                doc: Doc::new(
                    "Describes the open connections, a line each.",
                    "2.4.0",
                    "O(N), N = connections",
                )
                .history(&[
                    ("2.8.12", "prints `id`"),
                    ("5.0.0", "filter `TYPE`"),
                    ("6.0.0", "prints `user`"),
                    ("6.2.0", "filter `ID`, prints `argv-mem`, `tot-mem`, `laddr` and `redir`"),
                    ("7.0.0", "prints `resp`, `multi-mem`, `rbs` and `rbp`"),
                    ("7.0.3", "prints `ssub`"),
                    ("7.2.0", "prints `lib-name` and `lib-ver`"),
                    ("7.4.0", "prints `watch`"),
                ])
                .args(&[
                    Arg::one_of(
                        "client-type",
                        &[
                            Arg::pure_token("normal", "NORMAL"),
                            Arg::pure_token("master", "MASTER"),
                            Arg::pure_token("replica", "REPLICA"),
                            Arg::pure_token("pubsub", "PUBSUB"),
                        ],
                    )
                    .token("TYPE")
                    .optional()
                    .since("5.0.0"),
                    Arg::new("client-id", ArgKind::Integer).token("ID").optional().multiple().since("6.2.0"),
                ]),
                tips: &["nondeterministic_output"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "no-evict",
                arity: 3,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientNoEvict),
                doc: Doc::new(
                    "Spares this connection, or not, when connections are closed to free memory.",
                    "7.0.0",
                    "O(1)",
                )
                .args(&[Arg::one_of(
                    "enabled",
                    &[Arg::pure_token("on", "ON"), Arg::pure_token("off", "OFF")],
                )]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "no-touch",
                arity: 3,
                flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientNoTouch),
                doc: Doc::new(
                    "Makes this connection's commands leave the access times of keys alone, or not.",
                    "7.2.0",
                    "O(1)",
                )
                .args(&[Arg::one_of(
                    "enabled",
                    &[Arg::pure_token("on", "ON"), Arg::pure_token("off", "OFF")],
                )]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "pause",
                arity: -3,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientPause),
                doc: Doc::new("Holds back the commands of all connections for a while.", "3.0.0", "O(1)")
                    .history(&[("6.2.0", "mode `WRITE` holds back writes only")])
                    .args(&[
                        Arg::new("timeout", ArgKind::Integer),
                        Arg::one_of(
                            "mode",
                            &[Arg::pure_token("write", "WRITE"), Arg::pure_token("all", "ALL")],
                        )
                        .optional()
                        .since("6.2.0"),
                    ]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "reply",
                arity: 3,
                flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientReply),
                doc: Doc::new(
                    "Switches the replies to this connection on or off, or skips the next.",
                    "3.2.0",
                    "O(1)",
                )
                .args(&[Arg::one_of(
                    "action",
                    &[
                        Arg::pure_token("on", "ON"),
                        Arg::pure_token("off", "OFF"),
                        Arg::pure_token("skip", "SKIP"),
                    ],
                )]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "setinfo",
                arity: 4,
                flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientSetinfo),
                doc: Doc::new("Notes the name or version of the client library.", "7.2.0", "O(1)").args(&[
                    Arg::one_of(
                        "attr",
                        &[
                            Arg::new("libname", ArgKind::String).token("LIB-NAME"),
                            Arg::new("libver", ArgKind::String).token("LIB-VER"),
                        ],
                    ),
                ]),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "setname",
                arity: 3,
                flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientSetname),
                doc: Doc::new("Gives this connection a name.", "2.6.9", "O(1)")
                    .args(&[Arg::new("connection-name", ArgKind::String)]),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "unblock",
                arity: -3,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientUnblock),
                doc: Doc::new(
                    "Wakes a connection that waits in a blocking command.",
                    "5.0.0",
                    "O(log(N)), N = connections",
                )
                .args(&[
                    Arg::new("client-id", ArgKind::Integer),
                    Arg::one_of(
                        "unblock-type",
                        &[Arg::pure_token("timeout", "TIMEOUT"), Arg::pure_token("error", "ERROR")],
                    )
                    .optional(),
                ]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "unpause",
                arity: 2,
                flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
                categories: Categories::CONNECTION,
                run: Run::Server(ServerOp::ClientUnpause),
                doc: Doc::new("Ends a pause early.", "6.2.0", "O(N), N = paused connections"),
                ..CommandSpec::EMPTY
            },
        ],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "echo",
        arity: 2,
        flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Echo),
        doc: Doc::new("Answers its argument.", "1.0.0", "O(1)").args(&[Arg::new("message", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hello",
        arity: -1,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(Flags::NO_AUTH)
            .with(Flags::ALLOW_BUSY)
            .with(internal::SENTINEL),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Hello),
        doc: Doc::new(
            "Chooses the protocol version; may log in and name the connection too.",
            "6.0.0",
            "O(1)",
        )
        .history(&[("6.2.0", "without a version it only describes the connection")])
        .args(&[Arg::block(
            "arguments",
            &[
                Arg::new("protover", ArgKind::Integer),
                Arg::block(
                    "auth",
                    &[Arg::new("username", ArgKind::String), Arg::new("password", ArgKind::String)],
                )
                .token("AUTH")
                .optional(),
                Arg::new("clientname", ArgKind::String).token("SETNAME").optional(),
            ],
        )
        .optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "ping",
        arity: -1,
        flags: Flags::FAST.with(internal::SENTINEL),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Ping),
        doc: Doc::new("Answers PONG, or its argument.", "1.0.0", "O(1)").args(&[Arg::new(
            "message",
            ArgKind::String,
        )
        .optional()]),
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "quit",
        arity: -1,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(Flags::NO_AUTH)
            .with(Flags::ALLOW_BUSY)
            .with(internal::SENTINEL),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Quit),
        doc: Doc::new("Closes the connection.", "1.0.0", "O(1)")
            .deprecated("7.2.0", "closing the connection"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "reset",
        arity: 1,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(Flags::NO_AUTH)
            .with(Flags::ALLOW_BUSY),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Reset),
        doc: Doc::new("Brings the connection back to its state when new.", "6.2.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "select",
        arity: 2,
        flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Select),
        doc: Doc::new("Chooses the database for what follows.", "1.0.0", "O(1)")
            .args(&[Arg::new("index", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
];
