//! Rows of the commands on hashes.

use crate::families::hash;
use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run};

/// Commands on hashes, by name.
pub const HASH: &[CommandSpec] = &[
    CommandSpec {
        name: "hdel",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::DELETE), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Verbatim,
        run: Run::Data(hash::hdel),
        doc: Doc::new("Removes fields, and the hash with its last one.", "2.0.0", "O(N), N = fields given")
            .history(&[("2.4.0", "takes several fields")])
            .args(&[Arg::key("key", 0), Arg::new("field", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hexists",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        element: 2,
        run: Run::Data(hash::hexists),
        doc: Doc::new("Tells whether a hash has a field.", "2.0.0", "O(1)")
            .args(&[Arg::key("key", 0), Arg::new("field", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hget",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        element: 2,
        run: Run::Data(hash::hget),
        doc: Doc::new("Answers the value of a field.", "2.0.0", "O(1)")
            .args(&[Arg::key("key", 0), Arg::new("field", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hgetall",
        arity: 2,
        flags: Flags::READONLY,
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(hash::hgetall),
        doc: Doc::new("Answers all fields and their values.", "2.0.0", "O(N), N = fields of the hash")
            .args(&[Arg::key("key", 0)]),
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hincrby",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Verbatim,
        run: Run::Data(hash::hincrby),
        doc: Doc::new("Adds an integer to a field, which counts as 0 when missing.", "2.0.0", "O(1)").args(
            &[
                Arg::key("key", 0),
                Arg::new("field", ArgKind::String),
                Arg::new("increment", ArgKind::Integer),
            ],
        ),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hincrbyfloat",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Effects,
        run: Run::Data(hash::hincrbyfloat),
        doc: Doc::new(
            "Adds a floating-point number to a field, which counts as 0 when missing.",
            "2.6.0",
            "O(1)",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("field", ArgKind::String),
            Arg::new("increment", ArgKind::Double),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hkeys",
        arity: 2,
        flags: Flags::READONLY,
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(hash::hkeys),
        doc: Doc::new("Lists the fields of a hash.", "2.0.0", "O(N), N = fields of the hash")
            .args(&[Arg::key("key", 0)]),
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hlen",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        run: Run::Data(hash::hlen),
        doc: Doc::new("Counts the fields of a hash.", "2.0.0", "O(1)").args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hmget",
        arity: -3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        element: 2,
        run: Run::Data(hash::hmget),
        doc: Doc::new("Answers the values of several fields.", "2.0.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), Arg::new("field", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hmset",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Verbatim,
        run: Run::Data(hash::hmset),
        doc: Doc::new("Sets several fields.", "2.0.0", "O(N), N = fields given")
            .deprecated("4.0.0", "`HSET` with multiple field-value pairs")
            .args(&[
                Arg::key("key", 0),
                Arg::block("data", &[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)])
                    .multiple(),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hrandfield",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(hash::hrandfield),
        doc: Doc::new("Picks fields of a hash at random.", "6.2.0", "O(N), N = fields answered").args(&[
            Arg::key("key", 0),
            Arg::block(
                "options",
                &[
                    Arg::new("count", ArgKind::Integer),
                    Arg::pure_token("withvalues", "WITHVALUES").optional(),
                ],
            )
            .optional(),
        ]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hscan",
        arity: -3,
        flags: Flags::READONLY,
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(hash::hscan),
        doc: Doc::new(
            "Walks over the fields of a hash, a few per call.",
            "2.8.0",
            "O(1) per call, O(N) for the whole walk, N = fields",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
            Arg::pure_token("novalues", "NOVALUES").optional(),
        ]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hset",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Verbatim,
        run: Run::Data(hash::hset),
        doc: Doc::new("Sets fields and counts the new ones.", "2.0.0", "O(N), N = fields given")
            .history(&[("4.0.0", "takes several fields")])
            .args(&[
                Arg::key("key", 0),
                Arg::block("data", &[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)])
                    .multiple(),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hsetnx",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Verbatim,
        run: Run::Data(hash::hsetnx),
        doc: Doc::new("Sets a field unless the hash has it.", "2.0.0", "O(1)").args(&[
            Arg::key("key", 0),
            Arg::new("field", ArgKind::String),
            Arg::new("value", ArgKind::String),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hstrlen",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        element: 2,
        run: Run::Data(hash::hstrlen),
        doc: Doc::new("Answers the length of a field's value.", "3.2.0", "O(1)")
            .args(&[Arg::key("key", 0), Arg::new("field", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hvals",
        arity: 2,
        flags: Flags::READONLY,
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(hash::hvals),
        doc: Doc::new("Lists the values of a hash.", "2.0.0", "O(N), N = fields of the hash")
            .args(&[Arg::key("key", 0)]),
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::EMPTY
    },
];
