//! Rows of the commands on strings.

use crate::families::string;
use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run};

/// Commands on strings, by name.
pub const STRING: &[CommandSpec] = &[
    CommandSpec {
        name: "append",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::append),
        doc: Doc::new("Adds to the end of a string, made if missing.", "2.0.0", "O(1) amortized")
            .args(&[Arg::key("key", 0), Arg::new("value", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "decr",
        arity: 2,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::decr),
        doc: Doc::new("Takes 1 from the integer at a key, which counts as 0 when missing.", "1.0.0", "O(1)")
            .args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "decrby",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::decrby),
        doc: Doc::new(
            "Takes an amount from the integer at a key, which counts as 0 when missing.",
            "1.0.0",
            "O(1)",
        )
        .args(&[Arg::key("key", 0), Arg::new("decrement", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "get",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(string::get),
        doc: Doc::new("Answers the string at a key.", "1.0.0", "O(1)").args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "getdel",
        arity: 2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(string::getdel),
        doc: Doc::new("Answers the string at a key and removes the key.", "6.2.0", "O(1)")
            .args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "getex",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)
            .notes("Without options it only reads")],
        propagate: Propagate::Effects,
        run: Run::Data(string::getex),
        doc: Doc::new("Answers the string at a key and changes when it expires.", "6.2.0", "O(1)").args(&[
            Arg::key("key", 0),
            Arg::one_of(
                "expiration",
                &[
                    Arg::new("seconds", ArgKind::Integer).token("EX"),
                    Arg::new("milliseconds", ArgKind::Integer).token("PX"),
                    Arg::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT"),
                    Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT"),
                    Arg::pure_token("persist", "PERSIST"),
                ],
            )
            .optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "getrange",
        arity: 4,
        flags: Flags::READONLY,
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(string::getrange),
        doc: Doc::new("Answers a part of a string.", "2.4.0", "O(N), N = bytes answered").args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgKind::Integer),
            Arg::new("end", ArgKind::Integer),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "getset",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(string::getset),
        doc: Doc::new("Sets a key and answers the string it held.", "1.0.0", "O(1)")
            .deprecated("6.2.0", "`SET` with `GET`")
            .args(&[Arg::key("key", 0), Arg::new("value", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "incr",
        arity: 2,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::incr),
        doc: Doc::new("Adds 1 to the integer at a key, which counts as 0 when missing.", "1.0.0", "O(1)")
            .args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "incrby",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::incrby),
        doc: Doc::new(
            "Adds an amount to the integer at a key, which counts as 0 when missing.",
            "1.0.0",
            "O(1)",
        )
        .args(&[Arg::key("key", 0), Arg::new("increment", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "incrbyfloat",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(string::incrbyfloat),
        doc: Doc::new(
            "Adds a floating-point number to the one at a key, which counts as 0 when missing.",
            "2.6.0",
            "O(1)",
        )
        .args(&[Arg::key("key", 0), Arg::new("increment", ArgKind::Double)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lcs",
        arity: -3,
        flags: Flags::READONLY,
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 1, 1)],
        run: Run::Data(string::lcs),
        doc: Doc::new(
            "Finds the longest common subsequence of two strings.",
            "7.0.0",
            "O(N*M), N and M = the lengths",
        )
        .args(&[
            Arg::key("key1", 0),
            Arg::key("key2", 0),
            Arg::pure_token("len", "LEN").optional(),
            Arg::pure_token("idx", "IDX").optional(),
            Arg::new("min-match-len", ArgKind::Integer).token("MINMATCHLEN").optional(),
            Arg::pure_token("withmatchlen", "WITHMATCHLEN").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "mget",
        arity: -2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, -1, 1)],
        run: Run::Data(string::mget),
        doc: Doc::new("Answers the strings at several keys.", "1.0.0", "O(N), N = keys")
            .args(&[Arg::key("key", 0).multiple()]),
        tips: &["request_policy:multi_shard"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "mset",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, -1, 2)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::mset),
        doc: Doc::new("Sets several keys.", "1.0.1", "O(N), N = keys").args(&[Arg::block(
            "data",
            &[Arg::key("key", 0), Arg::new("value", ArgKind::String)],
        )
        .multiple()]),
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "msetnx",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::INSERT), 1, -1, 2)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::msetnx),
        doc: Doc::new("Sets several keys if none of them exists.", "1.0.1", "O(N), N = keys").args(&[
            Arg::block("data", &[Arg::key("key", 0), Arg::new("value", ArgKind::String)]).multiple(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "psetex",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(string::psetex),
        doc: Doc::new("Sets a key that lives for so many milliseconds.", "2.6.0", "O(1)")
            .deprecated("2.6.12", "`SET` with `PX`")
            .args(&[
                Arg::key("key", 0),
                Arg::new("milliseconds", ArgKind::Integer),
                Arg::new("value", ArgKind::String),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "set",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::STRING,
        keys: &[KeySpec::range(
            KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE).with(KeyFlags::VARIABLE_FLAGS),
            1,
            0,
            1,
        )
        .notes("Reads and writes the key when GET is given")],
        propagate: Propagate::Effects,
        run: Run::Data(string::set),
        doc: Doc::new("Sets a key to a string, whatever it held before.", "1.0.0", "O(1)")
            .history(&[
                ("2.6.12", "options `EX`, `PX`, `NX` and `XX`"),
                ("6.0.0", "option `KEEPTTL`"),
                ("6.2.0", "options `GET`, `EXAT` and `PXAT`"),
                ("7.0.0", "`NX` and `GET` go together"),
            ])
            .args(&[
                Arg::key("key", 0),
                Arg::new("value", ArgKind::String),
                Arg::one_of("condition", &[Arg::pure_token("nx", "NX"), Arg::pure_token("xx", "XX")])
                    .optional()
                    .since("2.6.12"),
                Arg::pure_token("get", "GET").optional().since("6.2.0"),
                Arg::one_of(
                    "expiration",
                    &[
                        Arg::new("seconds", ArgKind::Integer).token("EX").since("2.6.12"),
                        Arg::new("milliseconds", ArgKind::Integer).token("PX").since("2.6.12"),
                        Arg::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT").since("6.2.0"),
                        Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT").since("6.2.0"),
                        Arg::pure_token("keepttl", "KEEPTTL").since("6.0.0"),
                    ],
                )
                .optional(),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "setex",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(string::setex),
        doc: Doc::new("Sets a key that lives for so many seconds.", "2.0.0", "O(1)")
            .deprecated("2.6.12", "`SET` with `EX`")
            .args(&[
                Arg::key("key", 0),
                Arg::new("seconds", ArgKind::Integer),
                Arg::new("value", ArgKind::String),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "setnx",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::INSERT), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::setnx),
        doc: Doc::new("Sets a key unless it exists.", "1.0.0", "O(1)")
            .deprecated("2.6.12", "`SET` with `NX`")
            .args(&[Arg::key("key", 0), Arg::new("value", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "setrange",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(string::setrange),
        doc: Doc::new(
            "Overwrites a part of a string, growing it as needed.",
            "2.2.0",
            "O(N), N = bytes written",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("offset", ArgKind::Integer),
            Arg::new("value", ArgKind::String),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "strlen",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        run: Run::Data(string::strlen),
        doc: Doc::new("Answers the length of a string.", "2.2.0", "O(1)").args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "substr",
        arity: 4,
        flags: Flags::READONLY,
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(string::substr),
        doc: Doc::new("Answers a part of a string.", "1.0.0", "O(N), N = bytes answered")
            .deprecated("2.0.0", "`GETRANGE`")
            .args(&[
                Arg::key("key", 0),
                Arg::new("start", ArgKind::Integer),
                Arg::new("end", ArgKind::Integer),
            ]),
        ..CommandSpec::EMPTY
    },
];
