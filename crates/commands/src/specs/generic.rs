//! Rows of the commands on keys of any type.

use crate::families::generic;
use crate::spec::{
    Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run, internal,
};

/// Commands on keys of any type, by name.
pub const GENERIC: &[CommandSpec] = &[
    CommandSpec {
        name: "copy",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::KEYSPACE,
        keys: &[
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1),
            KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 2, 0, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::copy),
        doc: Doc::new("Copies a value to another key.", "6.2.0", "O(1) for strings, else O(N), N = elements")
            .args(&[
                Arg::key("source", 0),
                Arg::key("destination", 1),
                Arg::new("destination-db", ArgKind::Integer).token("DB").optional(),
                Arg::pure_token("replace", "REPLACE").optional(),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "del",
        arity: -2,
        flags: Flags::WRITE,
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RM.with(KeyFlags::DELETE), 1, -1, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::del),
        doc: Doc::new(
            "Removes keys.",
            "1.0.0",
            "O(N), N = keys, plus their elements where they are collections",
        )
        .args(&[Arg::key("key", 0).multiple()]),
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "dump",
        arity: 2,
        flags: Flags::READONLY,
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(generic::dump),
        doc: Doc::new("Answers a key's value as bytes for RESTORE.", "2.6.0", "O(N), N = elements and bytes")
            .args(&[Arg::key("key", 0)]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "exists",
        arity: -2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
        run: Run::Data(generic::exists),
        doc: Doc::new("Counts how many of the keys exist.", "1.0.0", "O(N), N = keys")
            .history(&[("3.0.3", "takes several keys")])
            .args(&[Arg::key("key", 0).multiple()]),
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "expire",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(generic::expire),
        doc: Doc::new("Lets a key live for so many seconds more.", "1.0.0", "O(1)")
            .history(&[("7.0.0", "options `NX`, `XX`, `GT` and `LT`")])
            .args(&[
                Arg::key("key", 0),
                Arg::new("seconds", ArgKind::Integer),
                Arg::one_of(
                    "condition",
                    &[
                        Arg::pure_token("nx", "NX"),
                        Arg::pure_token("xx", "XX"),
                        Arg::pure_token("gt", "GT"),
                        Arg::pure_token("lt", "LT"),
                    ],
                )
                .optional()
                .since("7.0.0"),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "expireat",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(generic::expireat),
        doc: Doc::new("Lets a key live up to a Unix time in seconds.", "1.2.0", "O(1)")
            .history(&[("7.0.0", "options `NX`, `XX`, `GT` and `LT`")])
            .args(&[
                Arg::key("key", 0),
                Arg::new("unix-time-seconds", ArgKind::UnixTime),
                Arg::one_of(
                    "condition",
                    &[
                        Arg::pure_token("nx", "NX"),
                        Arg::pure_token("xx", "XX"),
                        Arg::pure_token("gt", "GT"),
                        Arg::pure_token("lt", "LT"),
                    ],
                )
                .optional()
                .since("7.0.0"),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "expiretime",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(generic::expiretime),
        doc: Doc::new("Answers the Unix time in seconds at which a key expires.", "7.0.0", "O(1)")
            .args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "keys",
        arity: 2,
        flags: Flags::READONLY.with(internal::ALL_PARTITIONS),
        categories: Categories::KEYSPACE.with(Categories::DANGEROUS),
        run: Run::Data(generic::keys),
        doc: Doc::new(
            "Lists the keys whose names match a pattern.",
            "1.0.0",
            "O(N), N = keys in the database",
        )
        .args(&[Arg::new("pattern", ArgKind::Pattern)]),
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "move",
        arity: 3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::move_key),
        doc: Doc::new("Takes a key to another database.", "1.0.0", "O(1)")
            .args(&[Arg::key("key", 0), Arg::new("db", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "object",
        arity: -2,
        run: Run::Container,
        doc: Doc::new("Groups the commands that look inside stored values.", "2.2.3", "By subcommand"),
        subcommands: &[
            CommandSpec {
                name: "encoding",
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::KEYSPACE,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                run: Run::Data(generic::object_encoding),
                doc: Doc::new("Names the layout a value is stored in.", "2.2.3", "O(1)")
                    .args(&[Arg::key("key", 0)]),
                tips: &["nondeterministic_output"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "freq",
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::KEYSPACE,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                run: Run::Data(generic::object_freq),
                doc: Doc::new(
                    "Answers how often a key is used, on the logarithmic scale of LFU.",
                    "4.0.0",
                    "O(1)",
                )
                .args(&[Arg::key("key", 0)]),
                tips: &["nondeterministic_output"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE),
                categories: Categories::KEYSPACE,
                run: Run::Data(generic::object_help),
                doc: Doc::new("Lists the OBJECT subcommands.", "6.2.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "idletime",
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::KEYSPACE,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                run: Run::Data(generic::object_idletime),
                doc: Doc::new("Answers for how many seconds a key was not used.", "2.2.3", "O(1)")
                    .args(&[Arg::key("key", 0)]),
                tips: &["nondeterministic_output"],
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "refcount",
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::KEYSPACE,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                run: Run::Data(generic::object_refcount),
                doc: Doc::new("Answers how many references a value has.", "2.2.3", "O(1)")
                    .args(&[Arg::key("key", 0)]),
                tips: &["nondeterministic_output"],
                ..CommandSpec::EMPTY
            },
        ],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "persist",
        arity: 2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::persist),
        doc: Doc::new("Takes the expiry off a key.", "2.2.0", "O(1)").args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pexpire",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(generic::pexpire),
        doc: Doc::new("Lets a key live for so many milliseconds more.", "2.6.0", "O(1)")
            .history(&[("7.0.0", "options `NX`, `XX`, `GT` and `LT`")])
            .args(&[
                Arg::key("key", 0),
                Arg::new("milliseconds", ArgKind::Integer),
                Arg::one_of(
                    "condition",
                    &[
                        Arg::pure_token("nx", "NX"),
                        Arg::pure_token("xx", "XX"),
                        Arg::pure_token("gt", "GT"),
                        Arg::pure_token("lt", "LT"),
                    ],
                )
                .optional()
                .since("7.0.0"),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pexpireat",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(generic::pexpireat),
        doc: Doc::new("Lets a key live up to a Unix time in milliseconds.", "2.6.0", "O(1)")
            .history(&[("7.0.0", "options `NX`, `XX`, `GT` and `LT`")])
            .args(&[
                Arg::key("key", 0),
                Arg::new("unix-time-milliseconds", ArgKind::UnixTime),
                Arg::one_of(
                    "condition",
                    &[
                        Arg::pure_token("nx", "NX"),
                        Arg::pure_token("xx", "XX"),
                        Arg::pure_token("gt", "GT"),
                        Arg::pure_token("lt", "LT"),
                    ],
                )
                .optional()
                .since("7.0.0"),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pexpiretime",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(generic::pexpiretime),
        doc: Doc::new("Answers the Unix time in milliseconds at which a key expires.", "7.0.0", "O(1)")
            .args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pttl",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(generic::pttl),
        doc: Doc::new("Answers how many milliseconds a key has left.", "2.6.0", "O(1)")
            .history(&[("2.8.0", "tells a missing key (-2) from one without expiry")])
            .args(&[Arg::key("key", 0)]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "randomkey",
        arity: 1,
        flags: Flags::READONLY.with(internal::ALL_PARTITIONS),
        categories: Categories::KEYSPACE,
        run: Run::Data(generic::randomkey),
        doc: Doc::new("Picks a key at random.", "1.0.0", "O(1)"),
        tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "rename",
        arity: 3,
        flags: Flags::WRITE,
        categories: Categories::KEYSPACE,
        keys: &[
            KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1),
            KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 2, 0, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::rename),
        doc: Doc::new("Gives a key another name, replacing what had it.", "1.0.0", "O(1)")
            .args(&[Arg::key("key", 0), Arg::key("newkey", 1)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "renamenx",
        arity: 3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[
            KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1),
            KeySpec::range(KeyFlags::OW.with(KeyFlags::INSERT), 2, 0, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::renamenx),
        doc: Doc::new("Gives a key another name unless that is taken.", "1.0.0", "O(1)")
            .history(&[("3.2.0", "equal names are no error any more")])
            .args(&[Arg::key("key", 0), Arg::key("newkey", 1)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec { name: "restore", ..RESTORE },
    CommandSpec {
        name: "scan",
        arity: -2,
        flags: Flags::READONLY.with(internal::ALL_PARTITIONS).with(internal::WALKS),
        categories: Categories::KEYSPACE,
        run: Run::Data(generic::scan),
        doc: Doc::new(
            "Walks over the keys of the database, a few per call.",
            "2.8.0",
            "O(1) per call, O(N) for the whole walk, N = keys",
        )
        .history(&[("6.0.0", "filter `TYPE`")])
        .args(&[
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
            Arg::new("type", ArgKind::String).token("TYPE").optional().since("6.0.0"),
        ]),
        tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sort",
        arity: -2,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS).with(internal::ALL_PARTITIONS),
        categories: Categories::SET
            .with(Categories::SORTEDSET)
            .with(Categories::LIST)
            .with(Categories::DANGEROUS),
        keys: &[
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1),
            KeySpec::unknown(
                KeyFlags::RO.with(KeyFlags::ACCESS),
                "Keys named by BY and GET patterns depend on the elements sorted",
            ),
            KeySpec::unknown(
                KeyFlags::OW.with(KeyFlags::UPDATE),
                "The STORE option may stand anywhere among the options",
            ),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::sort),
        doc: Doc::new(
            "Sorts the elements of a list, set or sorted set; may store the outcome.",
            "1.0.0",
            "O(N+M*log(M)), N = elements, M = elements answered",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("by-pattern", ArgKind::Pattern).of_keys(1).token("BY").optional().display("pattern"),
            Arg::block("limit", &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)])
                .token("LIMIT")
                .optional(),
            Arg::new("get-pattern", ArgKind::Pattern)
                .of_keys(1)
                .token("GET")
                .optional()
                .multiple_token()
                .display("pattern"),
            Arg::one_of("order", &[Arg::pure_token("asc", "ASC"), Arg::pure_token("desc", "DESC")])
                .optional(),
            Arg::pure_token("sorting", "ALPHA").optional(),
            Arg::key("destination", 2).token("STORE").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sort_ro",
        arity: -2,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS).with(internal::ALL_PARTITIONS),
        categories: Categories::SET
            .with(Categories::SORTEDSET)
            .with(Categories::LIST)
            .with(Categories::DANGEROUS),
        keys: &[
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1),
            KeySpec::unknown(
                KeyFlags::RO.with(KeyFlags::ACCESS),
                "Keys named by BY and GET patterns depend on the elements sorted",
            ),
        ],
        run: Run::Data(generic::sort_ro),
        doc: Doc::new(
            "Sorts the elements of a list, set or sorted set.",
            "7.0.0",
            "O(N+M*log(M)), N = elements, M = elements answered",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("by-pattern", ArgKind::Pattern).of_keys(1).token("BY").optional().display("pattern"),
            Arg::block("limit", &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)])
                .token("LIMIT")
                .optional(),
            Arg::new("get-pattern", ArgKind::Pattern)
                .of_keys(1)
                .token("GET")
                .optional()
                .multiple_token()
                .display("pattern"),
            Arg::one_of("order", &[Arg::pure_token("asc", "ASC"), Arg::pure_token("desc", "DESC")])
                .optional(),
            Arg::pure_token("sorting", "ALPHA").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "touch",
        arity: -2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
        run: Run::Data(generic::touch),
        doc: Doc::new("Marks keys as used just now and counts those that exist.", "3.2.1", "O(N), N = keys")
            .args(&[Arg::key("key", 0).multiple()]),
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "ttl",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(generic::ttl),
        doc: Doc::new("Answers how many seconds a key has left.", "1.0.0", "O(1)")
            .history(&[("2.8.0", "tells a missing key (-2) from one without expiry")])
            .args(&[Arg::key("key", 0)]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "type",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        run: Run::Data(generic::type_of),
        doc: Doc::new("Names the type of a key's value.", "1.0.0", "O(1)").args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "unlink",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RM.with(KeyFlags::DELETE), 1, -1, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(generic::unlink),
        doc: Doc::new(
            "Removes keys and frees their memory in the background.",
            "4.0.0",
            "O(1) per key; the freeing is O(N), N = elements",
        )
        .args(&[Arg::key("key", 0).multiple()]),
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..CommandSpec::EMPTY
    },
];

pub(super) const RESTORE_ARGS: &[Arg] = &[
    Arg::key("key", 0),
    Arg::new("ttl", ArgKind::Integer),
    Arg::new("serialized-value", ArgKind::String),
    Arg::pure_token("replace", "REPLACE").optional().since("3.0.0"),
    Arg::pure_token("absttl", "ABSTTL").optional().since("5.0.0"),
    Arg::new("seconds", ArgKind::Integer).token("IDLETIME").optional().since("5.0.0"),
    Arg::new("frequency", ArgKind::Integer).token("FREQ").optional().since("5.0.0"),
];

/// The row of RESTORE, and of the name a cluster moves keys by.
pub(super) const RESTORE: CommandSpec = CommandSpec {
    name: "restore",
    arity: -4,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    categories: Categories::KEYSPACE.with(Categories::DANGEROUS),
    keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1)],
    propagate: Propagate::Effects,
    run: Run::Data(generic::restore),
    doc: Doc::new(
        "Makes a key of the bytes that DUMP answered.",
        "2.6.0",
        "O(N), N = elements and bytes; O(N*log(N)) for sorted sets",
    )
    .history(&[
        ("3.0.0", "option `REPLACE`"),
        ("5.0.0", "option `ABSTTL`"),
        ("5.0.0", "options `IDLETIME` and `FREQ`"),
    ])
    .args(RESTORE_ARGS),
    ..CommandSpec::EMPTY
};
