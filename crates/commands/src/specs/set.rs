//! Rows of the commands on sets.

use crate::families::set;
use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run};

/// Commands on sets, by name.
pub const SET: &[CommandSpec] = &[
    CommandSpec {
        name: "sadd",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Verbatim,
        run: Run::Data(set::sadd),
        doc: Doc::new("Adds members to a set, made if missing.", "1.0.0", "O(N), N = members given")
            .history(&[("2.4.0", "takes several members")])
            .args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "scard",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        run: Run::Data(set::scard),
        doc: Doc::new("Counts the members of a set.", "1.0.0", "O(1)").args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sdiff",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, -1, 1)],
        run: Run::Data(set::sdiff),
        doc: Doc::new(
            "Answers the members of the first set that no other has.",
            "1.0.0",
            "O(N), N = members of all sets",
        )
        .args(&[Arg::key("key", 0).multiple()]),
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sdiffstore",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::SET,
        keys: &[
            KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1),
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 2, -1, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(set::sdiffstore),
        doc: Doc::new(
            "Stores the members of the first set that no other has.",
            "1.0.0",
            "O(N), N = members of all sets",
        )
        .args(&[Arg::key("destination", 0), Arg::key("key", 1).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sinter",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, -1, 1)],
        run: Run::Data(set::sinter),
        doc: Doc::new(
            "Answers the members all sets have.",
            "1.0.0",
            "O(N*M), N = members of the smallest set, M = sets",
        )
        .args(&[Arg::key("key", 0).multiple()]),
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sintercard",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        categories: Categories::SET,
        keys: &[KeySpec::keynum(KeyFlags::RO.with(KeyFlags::ACCESS), 1)],
        run: Run::Data(set::sintercard),
        doc: Doc::new(
            "Counts the members all sets have.",
            "7.0.0",
            "O(N*M), N = members of the smallest set, M = sets",
        )
        .args(&[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::key("key", 0).multiple(),
            Arg::new("limit", ArgKind::Integer).token("LIMIT").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sinterstore",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::SET,
        keys: &[
            KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1),
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 2, -1, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(set::sinterstore),
        doc: Doc::new(
            "Stores the members all sets have.",
            "1.0.0",
            "O(N*M), N = members of the smallest set, M = sets",
        )
        .args(&[Arg::key("destination", 0), Arg::key("key", 1).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sismember",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        element: 2,
        run: Run::Data(set::sismember),
        doc: Doc::new("Tells whether a set has a member.", "1.0.0", "O(1)")
            .args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "smembers",
        arity: 2,
        flags: Flags::READONLY,
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(set::smembers),
        doc: Doc::new("Answers the members of a set.", "1.0.0", "O(N), N = members of the set")
            .args(&[Arg::key("key", 0)]),
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "smismember",
        arity: -3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        element: 2,
        run: Run::Data(set::smismember),
        doc: Doc::new(
            "Tells for each of several members whether a set has it.",
            "6.2.0",
            "O(N), N = members given",
        )
        .args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "smove",
        arity: 4,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::SET,
        keys: &[
            KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1),
            KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 2, 0, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(set::smove),
        doc: Doc::new("Moves a member from one set to another.", "1.0.0", "O(1)").args(&[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::new("member", ArgKind::String),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "spop",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(set::spop),
        doc: Doc::new("Takes members out of a set at random.", "1.0.0", "O(N), N = members taken")
            .history(&[("3.2.0", "takes a count")])
            .args(&[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional().since("3.2.0")]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "srandmember",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(set::srandmember),
        doc: Doc::new("Picks members of a set at random.", "1.0.0", "O(N), N = members picked")
            .history(&[("2.6.0", "takes a count")])
            .args(&[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional().since("2.6.0")]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "srem",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::DELETE), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Verbatim,
        run: Run::Data(set::srem),
        doc: Doc::new("Removes members, and the set with its last one.", "1.0.0", "O(N), N = members given")
            .history(&[("2.4.0", "takes several members")])
            .args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sscan",
        arity: -3,
        flags: Flags::READONLY,
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(set::sscan),
        doc: Doc::new(
            "Walks over the members of a set, a few per call.",
            "2.8.0",
            "O(1) per call, O(N) for the whole walk, N = members",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sunion",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::SET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, -1, 1)],
        run: Run::Data(set::sunion),
        doc: Doc::new("Answers the members any of the sets has.", "1.0.0", "O(N), N = members of all sets")
            .args(&[Arg::key("key", 0).multiple()]),
        tips: &["nondeterministic_output_order"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sunionstore",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::SET,
        keys: &[
            KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1),
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 2, -1, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(set::sunionstore),
        doc: Doc::new("Stores the members any of the sets has.", "1.0.0", "O(N), N = members of all sets")
            .args(&[Arg::key("destination", 0), Arg::key("key", 1).multiple()]),
        ..CommandSpec::EMPTY
    },
];
