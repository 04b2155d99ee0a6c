//! Rows of the commands on replication.

use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, Run, ServerOp, internal};

const DANGEROUS: Categories = Categories::DANGEROUS;
const TARGET: &[Arg] = &[Arg::one_of(
    "args",
    &[
        Arg::block("host-port", &[Arg::new("host", ArgKind::String), Arg::new("port", ArgKind::Integer)]),
        Arg::block("no-one", &[Arg::pure_token("no", "NO"), Arg::pure_token("one", "ONE")]),
    ],
)];
const FOLLOWS: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::STALE).with(Flags::NO_ASYNC_LOADING);

/// Commands on replication, by name.
pub const REPLICATION: &[CommandSpec] = &[
    CommandSpec {
        name: "failover",
        arity: -1,
        flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::STALE),
        categories: DANGEROUS,
        run: Run::Server(ServerOp::Failover),
        doc: Doc::new("Hands this server's role over to one of its replicas.", "6.2.0", "O(1)").args(&[
            Arg::block(
                "target",
                &[
                    Arg::new("host", ArgKind::String),
                    Arg::new("port", ArgKind::Integer),
                    Arg::pure_token("force", "FORCE").optional(),
                ],
            )
            .token("TO")
            .optional(),
            Arg::pure_token("abort", "ABORT").optional(),
            Arg::new("milliseconds", ArgKind::Integer).token("TIMEOUT").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "psync",
        arity: -3,
        flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_ASYNC_LOADING).with(Flags::NO_MULTI),
        categories: DANGEROUS,
        run: Run::Server(ServerOp::Psync),
        doc: Doc::new("Makes the connection a replica's, which has a part of the stream.", "2.8.0", "")
            .args(&[Arg::new("replicationid", ArgKind::String), Arg::new("offset", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "replconf",
        arity: -1,
        flags: Flags::ADMIN
            .with(Flags::NOSCRIPT)
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::ALLOW_BUSY),
        categories: DANGEROUS,
        run: Run::Server(ServerOp::Replconf),
        doc: Doc::new("Tells about the replica at the other end of the connection.", "3.0.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "replicaof",
        arity: 3,
        flags: FOLLOWS,
        categories: DANGEROUS,
        run: Run::Server(ServerOp::Replicaof),
        doc: Doc::new("Makes this server the replica of another, or of none.", "5.0.0", "O(1)").args(TARGET),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "role",
        arity: 1,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(internal::SENTINEL),
        categories: Categories::ADMIN.with(DANGEROUS),
        run: Run::Server(ServerOp::Role),
        doc: Doc::new("Tells whether this server is a primary or a replica, and of whom.", "2.8.12", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "slaveof",
        arity: 3,
        flags: FOLLOWS,
        categories: DANGEROUS,
        run: Run::Server(ServerOp::Replicaof),
        doc: Doc::new("Makes this server the replica of another, or of none.", "1.0.0", "O(1)")
            .deprecated("5.0.0", "`REPLICAOF`")
            .args(TARGET),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sync",
        arity: 1,
        flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_ASYNC_LOADING).with(Flags::NO_MULTI),
        categories: DANGEROUS,
        run: Run::Server(ServerOp::Sync),
        doc: Doc::new("Makes the connection a replica's, beginning with a snapshot.", "1.0.0", ""),
        ..CommandSpec::EMPTY
    },
];

/// Commands that wait for replicas, by name.
pub const WAITING: &[CommandSpec] = &[
    CommandSpec {
        name: "wait",
        arity: 3,
        flags: Flags::BLOCKING,
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Wait),
        doc: Doc::new("Waits until so many replicas have what this connection has written.", "3.0.0", "O(1)")
            .args(&[Arg::new("numreplicas", ArgKind::Integer), Arg::new("timeout", ArgKind::Integer)]),
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "waitaof",
        arity: 4,
        flags: Flags::BLOCKING,
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Waitaof),
        doc: Doc::new(
            "Waits until what this connection has written is in append-only files, here and at replicas.",
            "7.2.0",
            "O(1)",
        )
        .args(&[
            Arg::new("numlocal", ArgKind::Integer),
            Arg::new("numreplicas", ArgKind::Integer),
            Arg::new("timeout", ArgKind::Integer),
        ]),
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        ..CommandSpec::EMPTY
    },
];
