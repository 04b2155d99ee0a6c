//! Rows of the commands on lists.

use crate::families::list;
use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run};

/// Commands on lists, by name.
pub const LIST: &[CommandSpec] = &[
    CommandSpec {
        name: "blmove",
        arity: 6,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::BLOCKING),
        categories: Categories::LIST,
        keys: &[
            KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1),
            KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 2, 0, 1),
        ],
        propagate: Propagate::Effects,
        run: Run::Data(list::blmove),
        doc: Doc::new(
            "Moves an element from one list to another, waiting for one to arrive.",
            "6.2.0",
            "O(1)",
        )
        .args(&[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::one_of("wherefrom", &[Arg::pure_token("left", "LEFT"), Arg::pure_token("right", "RIGHT")]),
            Arg::one_of("whereto", &[Arg::pure_token("left", "LEFT"), Arg::pure_token("right", "RIGHT")]),
            Arg::new("timeout", ArgKind::Double),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "blmpop",
        arity: -5,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLEKEYS),
        categories: Categories::LIST,
        keys: &[KeySpec::keynum(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 2)],
        propagate: Propagate::Effects,
        run: Run::Data(list::blmpop),
        doc: Doc::new(
            "Takes elements off the first list that has any, waiting for one to arrive.",
            "7.0.0",
            "O(N+M), N = keys, M = elements taken",
        )
        .args(&[
            Arg::new("timeout", ArgKind::Double),
            Arg::new("numkeys", ArgKind::Integer),
            Arg::key("key", 0).multiple(),
            Arg::one_of("where", &[Arg::pure_token("left", "LEFT"), Arg::pure_token("right", "RIGHT")]),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "blpop",
        arity: -3,
        flags: Flags::WRITE.with(Flags::BLOCKING),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, -2, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(list::blpop),
        doc: Doc::new(
            "Takes the first element off the first list that has any, waiting for one to arrive.",
            "2.0.0",
            "O(N), N = keys",
        )
        .history(&[("6.0.0", "fractions of a second as timeout")])
        .args(&[Arg::key("key", 0).multiple(), Arg::new("timeout", ArgKind::Double)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "brpop",
        arity: -3,
        flags: Flags::WRITE.with(Flags::BLOCKING),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, -2, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(list::brpop),
        doc: Doc::new(
            "Takes the last element off the first list that has any, waiting for one to arrive.",
            "2.0.0",
            "O(N), N = keys",
        )
        .history(&[("6.0.0", "fractions of a second as timeout")])
        .args(&[Arg::key("key", 0).multiple(), Arg::new("timeout", ArgKind::Double)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "brpoplpush",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::BLOCKING),
        categories: Categories::LIST,
        keys: &[
            KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1),
            KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 2, 0, 1),
        ],
        propagate: Propagate::Effects,
        run: Run::Data(list::brpoplpush),
        doc: Doc::new(
            "Moves the last element of a list to the front of another, waiting for one to arrive.",
            "2.2.0",
            "O(1)",
        )
        .deprecated("6.2.0", "`BLMOVE` with `RIGHT` and `LEFT`")
        .history(&[("6.0.0", "fractions of a second as timeout")])
        .args(&[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::new("timeout", ArgKind::Double),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lindex",
        arity: 3,
        flags: Flags::READONLY,
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(list::lindex),
        doc: Doc::new(
            "Answers the element at an index.",
            "1.0.0",
            "O(N), N = elements walked over; O(1) at both ends",
        )
        .args(&[Arg::key("key", 0), Arg::new("index", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "linsert",
        arity: 5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::linsert),
        doc: Doc::new(
            "Inserts an element beside another.",
            "2.2.0",
            "O(N), N = elements before the one looked for",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::one_of("where", &[Arg::pure_token("before", "BEFORE"), Arg::pure_token("after", "AFTER")]),
            Arg::new("pivot", ArgKind::String),
            Arg::new("element", ArgKind::String),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "llen",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        run: Run::Data(list::llen),
        doc: Doc::new("Counts the elements of a list.", "1.0.0", "O(1)").args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lmove",
        arity: 5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::LIST,
        keys: &[
            KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1),
            KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 2, 0, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::lmove),
        doc: Doc::new("Moves an element from an end of one list to an end of another.", "6.2.0", "O(1)")
            .args(&[
                Arg::key("source", 0),
                Arg::key("destination", 1),
                Arg::one_of(
                    "wherefrom",
                    &[Arg::pure_token("left", "LEFT"), Arg::pure_token("right", "RIGHT")],
                ),
                Arg::one_of("whereto", &[Arg::pure_token("left", "LEFT"), Arg::pure_token("right", "RIGHT")]),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lmpop",
        arity: -4,
        flags: Flags::WRITE.with(Flags::MOVABLEKEYS),
        categories: Categories::LIST,
        keys: &[KeySpec::keynum(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1)],
        propagate: Propagate::Effects,
        run: Run::Data(list::lmpop),
        doc: Doc::new(
            "Takes elements off the first list that has any.",
            "7.0.0",
            "O(N+M), N = keys, M = elements taken",
        )
        .args(&[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::key("key", 0).multiple(),
            Arg::one_of("where", &[Arg::pure_token("left", "LEFT"), Arg::pure_token("right", "RIGHT")]),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lpop",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::lpop),
        doc: Doc::new("Takes elements off the front of a list.", "1.0.0", "O(N), N = elements taken")
            .history(&[("6.2.0", "takes a count")])
            .args(&[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional().since("6.2.0")]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lpos",
        arity: -3,
        flags: Flags::READONLY,
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(list::lpos),
        doc: Doc::new("Finds the positions of an element.", "6.0.6", "O(N), N = elements looked at").args(&[
            Arg::key("key", 0),
            Arg::new("element", ArgKind::String),
            Arg::new("rank", ArgKind::Integer).token("RANK").optional(),
            Arg::new("num-matches", ArgKind::Integer).token("COUNT").optional(),
            Arg::new("len", ArgKind::Integer).token("MAXLEN").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lpush",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::lpush),
        doc: Doc::new(
            "Adds elements at the front of a list, made if missing.",
            "1.0.0",
            "O(N), N = elements added",
        )
        .history(&[("2.4.0", "takes several elements")])
        .args(&[Arg::key("key", 0), Arg::new("element", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lpushx",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::lpushx),
        doc: Doc::new(
            "Adds elements at the front of a list that exists.",
            "2.2.0",
            "O(N), N = elements added",
        )
        .history(&[("4.0.0", "takes several elements")])
        .args(&[Arg::key("key", 0), Arg::new("element", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lrange",
        arity: 4,
        flags: Flags::READONLY,
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(list::lrange),
        doc: Doc::new(
            "Answers the elements between two indexes.",
            "1.0.0",
            "O(S+N), S = distance to the first, N = elements answered",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgKind::Integer),
            Arg::new("stop", ArgKind::Integer),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lrem",
        arity: 4,
        flags: Flags::WRITE,
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::lrem),
        doc: Doc::new(
            "Removes elements equal to a value.",
            "1.0.0",
            "O(N+M), N = elements of the list, M = elements removed",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("count", ArgKind::Integer),
            Arg::new("element", ArgKind::String),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "lset",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::lset),
        doc: Doc::new(
            "Replaces the element at an index.",
            "1.0.0",
            "O(N), N = elements walked over; O(1) at both ends",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("index", ArgKind::Integer),
            Arg::new("element", ArgKind::String),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "ltrim",
        arity: 4,
        flags: Flags::WRITE,
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::ltrim),
        doc: Doc::new("Keeps only the elements between two indexes.", "1.0.0", "O(N), N = elements removed")
            .args(&[
                Arg::key("key", 0),
                Arg::new("start", ArgKind::Integer),
                Arg::new("stop", ArgKind::Integer),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "rpop",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::rpop),
        doc: Doc::new("Takes elements off the end of a list.", "1.0.0", "O(N), N = elements taken")
            .history(&[("6.2.0", "takes a count")])
            .args(&[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional().since("6.2.0")]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "rpoplpush",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::LIST,
        keys: &[
            KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1),
            KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 2, 0, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::rpoplpush),
        doc: Doc::new("Moves the last element of a list to the front of another.", "1.2.0", "O(1)")
            .deprecated("6.2.0", "`LMOVE` with `RIGHT` and `LEFT`")
            .args(&[Arg::key("source", 0), Arg::key("destination", 1)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "rpush",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::rpush),
        doc: Doc::new(
            "Adds elements at the end of a list, made if missing.",
            "1.0.0",
            "O(N), N = elements added",
        )
        .history(&[("2.4.0", "takes several elements")])
        .args(&[Arg::key("key", 0), Arg::new("element", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "rpushx",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::LIST,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::INSERT), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(list::rpushx),
        doc: Doc::new("Adds elements at the end of a list that exists.", "2.2.0", "O(N), N = elements added")
            .history(&[("4.0.0", "takes several elements")])
            .args(&[Arg::key("key", 0), Arg::new("element", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
];
