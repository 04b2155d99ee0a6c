//! Rows of the commands on hashes whose fields expire. Arity, flags and keys as in redis 8.0.

use crate::families::hash;
use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run};

const FIELDS: Arg = Arg::block(
    "fields",
    &[Arg::new("numfields", ArgKind::Integer), Arg::new("field", ArgKind::String).multiple()],
)
.token("FIELDS");
const CONDITION: Arg = Arg::one_of(
    "condition",
    &[
        Arg::pure_token("nx", "NX"),
        Arg::pure_token("xx", "XX"),
        Arg::pure_token("gt", "GT"),
        Arg::pure_token("lt", "LT"),
    ],
)
.optional();
const SECONDS: Arg = Arg::new("seconds", ArgKind::Integer).token("EX");
const MILLISECONDS: Arg = Arg::new("milliseconds", ArgKind::Integer).token("PX");
const AT_SECONDS: Arg = Arg::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT");
const AT_MILLISECONDS: Arg = Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT");
const UPDATES: &[KeySpec] = &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)];
const READS: &[KeySpec] = &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)];

/// Commands on the expiry of fields, by name.
pub const HASH_FIELDS: &[CommandSpec] = &[
    CommandSpec {
        name: "hexpire",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::HASH,
        keys: UPDATES,
        propagate: Propagate::Effects,
        run: Run::Data(hash::hexpire),
        doc: Doc::new("Lets fields expire after a number of seconds.", "7.4.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), Arg::new("seconds", ArgKind::Integer), CONDITION, FIELDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hexpireat",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::HASH,
        keys: UPDATES,
        propagate: Propagate::Effects,
        run: Run::Data(hash::hexpireat),
        doc: Doc::new("Lets fields expire at a Unix time in seconds.", "7.4.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), Arg::new("unix-time-seconds", ArgKind::UnixTime), CONDITION, FIELDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hexpiretime",
        arity: -5,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: READS,
        run: Run::Data(hash::hexpiretime),
        doc: Doc::new("Answers when fields expire, in Unix seconds.", "7.4.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), FIELDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hgetdel",
        arity: -5,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(hash::hgetdel),
        doc: Doc::new("Answers the values of fields and removes them.", "8.0.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), FIELDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hgetex",
        arity: -5,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::HASH,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(hash::hgetex),
        doc: Doc::new(
            "Answers the values of fields and changes their expiry.",
            "8.0.0",
            "O(N), N = fields given",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::one_of(
                "expiration",
                &[SECONDS, MILLISECONDS, AT_SECONDS, AT_MILLISECONDS, Arg::pure_token("persist", "PERSIST")],
            )
            .optional(),
            FIELDS,
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hpersist",
        arity: -5,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::HASH,
        keys: UPDATES,
        propagate: Propagate::Effects,
        run: Run::Data(hash::hpersist),
        doc: Doc::new("Takes the expiry off fields.", "7.4.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), FIELDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hpexpire",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::HASH,
        keys: UPDATES,
        propagate: Propagate::Effects,
        run: Run::Data(hash::hpexpire),
        doc: Doc::new(
            "Lets fields expire after a number of milliseconds.",
            "7.4.0",
            "O(N), N = fields given",
        )
        .args(&[Arg::key("key", 0), Arg::new("milliseconds", ArgKind::Integer), CONDITION, FIELDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hpexpireat",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::HASH,
        keys: UPDATES,
        propagate: Propagate::Effects,
        run: Run::Data(hash::hpexpireat),
        doc: Doc::new(
            "Lets fields expire at a Unix time in milliseconds.",
            "7.4.0",
            "O(N), N = fields given",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("unix-time-milliseconds", ArgKind::UnixTime),
            CONDITION,
            FIELDS,
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hpexpiretime",
        arity: -5,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: READS,
        run: Run::Data(hash::hpexpiretime),
        doc: Doc::new("Answers when fields expire, in Unix milliseconds.", "7.4.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), FIELDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hpttl",
        arity: -5,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: READS,
        run: Run::Data(hash::hpttl),
        doc: Doc::new("Answers in how many milliseconds fields expire.", "7.4.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), FIELDS]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "hsetex",
        arity: -6,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::HASH,
        keys: UPDATES,
        propagate: Propagate::Effects,
        run: Run::Data(hash::hsetex),
        doc: Doc::new("Sets fields together with their expiry.", "8.0.0", "O(N), N = fields given").args(&[
            Arg::key("key", 0),
            Arg::one_of("condition", &[Arg::pure_token("fnx", "FNX"), Arg::pure_token("fxx", "FXX")])
                .optional(),
            Arg::one_of(
                "expiration",
                &[SECONDS, MILLISECONDS, AT_SECONDS, AT_MILLISECONDS, Arg::pure_token("keepttl", "KEEPTTL")],
            )
            .optional(),
            Arg::block(
                "fields",
                &[
                    Arg::new("numfields", ArgKind::Integer),
                    Arg::block(
                        "data",
                        &[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)],
                    )
                    .multiple(),
                ],
            )
            .token("FIELDS"),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "httl",
        arity: -5,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::HASH,
        keys: READS,
        run: Run::Data(hash::httl),
        doc: Doc::new("Answers in how many seconds fields expire.", "7.4.0", "O(N), N = fields given")
            .args(&[Arg::key("key", 0), FIELDS]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
];
