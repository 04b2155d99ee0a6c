//! Rows of the commands on whole databases, and on memory.

use crate::families::generic;
use crate::spec::{
    Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run, ServerOp, internal,
};

/// Commands on whole databases, and on memory, by name.
pub const SERVER_KEYS: &[CommandSpec] = &[
    CommandSpec {
        name: "dbsize",
        arity: 1,
        flags: Flags::READONLY.with(Flags::FAST).with(internal::ALL_PARTITIONS),
        categories: Categories::KEYSPACE,
        run: Run::Data(generic::dbsize),
        doc: Doc::new("Counts the keys of the database.", "1.0.0", "O(1)"),
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "flushall",
        arity: -1,
        flags: Flags::WRITE.with(internal::ALL_PARTITIONS),
        categories: Categories::KEYSPACE.with(Categories::DANGEROUS),
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::flushall),
        doc: Doc::new("Removes all keys of all databases.", "1.0.0", "O(N), N = keys")
            .history(&[("4.0.0", "option `ASYNC`"), ("6.2.0", "option `SYNC`")])
            .args(&[Arg::one_of(
                "flush-type",
                &[
                    Arg::pure_token("async", "ASYNC").since("4.0.0"),
                    Arg::pure_token("sync", "SYNC").since("6.2.0"),
                ],
            )
            .optional()]),
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "flushdb",
        arity: -1,
        flags: Flags::WRITE.with(internal::ALL_PARTITIONS),
        categories: Categories::KEYSPACE.with(Categories::DANGEROUS),
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::flushdb),
        doc: Doc::new("Removes all keys of the database.", "1.0.0", "O(N), N = keys of the database")
            .history(&[("4.0.0", "option `ASYNC`"), ("6.2.0", "option `SYNC`")])
            .args(&[Arg::one_of(
                "flush-type",
                &[
                    Arg::pure_token("async", "ASYNC").since("4.0.0"),
                    Arg::pure_token("sync", "SYNC").since("6.2.0"),
                ],
            )
            .optional()]),
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "memory",
        arity: -2,
        run: Run::Container,
        doc: Doc::new("Groups the commands about memory.", "4.0.0", "By subcommand"),
        subcommands: &[
            CommandSpec {
                name: "doctor",
                arity: 2,
                flags: internal::ALL_PARTITIONS,
                run: Run::Server(ServerOp::MemoryDoctor),
                doc: Doc::new("Explains in words what the use of memory hints at.", "4.0.0", "O(1)"),
                tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE),
                run: Run::Server(ServerOp::MemoryHelp),
                doc: Doc::new("Lists the MEMORY subcommands.", "4.0.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "malloc-stats",
                arity: 2,
                run: Run::Server(ServerOp::MemoryMallocStats),
                doc: Doc::new(
                    "Answers what the allocator tells about itself.",
                    "4.0.0",
                    "By the allocator; may be slow",
                ),
                tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "purge",
                arity: 2,
                run: Run::Server(ServerOp::MemoryPurge),
                doc: Doc::new(
                    "Asks the allocator to give memory back.",
                    "4.0.0",
                    "By the allocator; may be slow",
                ),
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "stats",
                arity: 2,
                flags: internal::ALL_PARTITIONS,
                run: Run::Server(ServerOp::MemoryStats),
                doc: Doc::new("Answers where memory goes.", "4.0.0", "O(1)"),
                tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "usage",
                arity: -3,
                flags: Flags::READONLY,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                run: Run::Data(generic::memory_usage),
                doc: Doc::new("Estimates the bytes a key and its value take.", "4.0.0", "O(N), N = samples")
                    .args(&[
                        Arg::key("key", 0),
                        Arg::new("count", ArgKind::Integer).token("SAMPLES").optional(),
                    ]),
                ..CommandSpec::EMPTY
            },
        ],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "swapdb",
        arity: 3,
        flags: Flags::WRITE.with(Flags::FAST).with(internal::ALL_PARTITIONS),
        categories: Categories::KEYSPACE.with(Categories::DANGEROUS),
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::swapdb),
        doc: Doc::new(
            "Exchanges the contents of two databases.",
            "4.0.0",
            "O(N), N = clients that watch or wait for keys of the two",
        )
        .args(&[Arg::new("index1", ArgKind::Integer), Arg::new("index2", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
];
