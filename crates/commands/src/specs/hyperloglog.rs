//! Rows of the commands on HyperLogLog.

use crate::families::hyperloglog;
use crate::spec::{
    Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run, internal,
};

/// Commands on HyperLogLog, by name.
pub const HYPERLOGLOG: &[CommandSpec] = &[
    CommandSpec {
        name: "pfadd",
        arity: -2,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::HYPERLOGLOG,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(hyperloglog::pfadd),
        doc: Doc::new("Adds elements to a HyperLogLog, made if missing.", "2.8.9", "O(1) per element")
            .args(&[Arg::key("key", 0), Arg::new("element", ArgKind::String).optional().multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pfcount",
        arity: -2,
        flags: Flags::READONLY.with(internal::MAY_REPLICATE),
        categories: Categories::HYPERLOGLOG,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS), 1, -1, 1)
            .notes("It writes where it caches the estimate")],
        run: Run::Data(hyperloglog::pfcount),
        doc: Doc::new(
            "Estimates how many different elements were added to the HyperLogLogs.",
            "2.8.9",
            "O(1) for one key, O(N) for N keys with a large constant",
        )
        .args(&[Arg::key("key", 0).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pfdebug",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::ADMIN),
        categories: Categories::HYPERLOGLOG,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS), 2, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(hyperloglog::pfdebug),
        doc: Doc::new("Looks into a HyperLogLog.", "2.8.9", "N/A")
            .system()
            .args(&[Arg::new("subcommand", ArgKind::String), Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pfmerge",
        arity: -2,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::HYPERLOGLOG,
        keys: &[
            KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::INSERT), 1, 0, 1),
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 2, -1, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(hyperloglog::pfmerge),
        doc: Doc::new("Merges HyperLogLogs into one key.", "2.8.9", "O(N), N = keys, with a large constant")
            .args(&[Arg::key("destkey", 0), Arg::key("sourcekey", 1).optional().multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pfselftest",
        arity: 1,
        flags: Flags::ADMIN,
        categories: Categories::HYPERLOGLOG,
        run: Run::Data(hyperloglog::pfselftest),
        doc: Doc::new("Tests the HyperLogLog implementation.", "2.8.9", "N/A").system(),
        ..CommandSpec::EMPTY
    },
];
