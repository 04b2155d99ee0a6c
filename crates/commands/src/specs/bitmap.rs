//! Rows of the commands on bitmaps.

use crate::families::bitmap;
use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run};

/// Commands on bitmaps, by name.
pub const BITMAP: &[CommandSpec] = &[
    CommandSpec {
        name: "bitcount",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::BITMAP,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(bitmap::bitcount),
        doc: Doc::new(
            "Counts the bits that are one, over the whole string or a part of it.",
            "2.6.0",
            "O(N), N = bytes looked at",
        )
        .history(&[("7.0.0", "the range can be given in bits")])
        .args(&[
            Arg::key("key", 0),
            Arg::block(
                "range",
                &[
                    Arg::new("start", ArgKind::Integer),
                    Arg::new("end", ArgKind::Integer),
                    Arg::one_of("unit", &[Arg::pure_token("byte", "BYTE"), Arg::pure_token("bit", "BIT")])
                        .optional()
                        .since("7.0.0"),
                ],
            )
            .optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "bitfield",
        arity: -2,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::BITMAP,
        keys: &[KeySpec::range(
            KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE).with(KeyFlags::VARIABLE_FLAGS),
            1,
            0,
            1,
        )
        .notes("The access depends on the operations")],
        propagate: Propagate::Verbatim,
        run: Run::Data(bitmap::bitfield),
        doc: Doc::new(
            "Reads, writes and increments integers of any width packed into a string.",
            "3.2.0",
            "O(1) per operation",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::one_of(
                "operation",
                &[
                    Arg::block(
                        "get-block",
                        &[Arg::new("encoding", ArgKind::String), Arg::new("offset", ArgKind::Integer)],
                    )
                    .token("GET"),
                    Arg::block(
                        "write",
                        &[
                            Arg::one_of(
                                "overflow-block",
                                &[
                                    Arg::pure_token("wrap", "WRAP"),
                                    Arg::pure_token("sat", "SAT"),
                                    Arg::pure_token("fail", "FAIL"),
                                ],
                            )
                            .token("OVERFLOW")
                            .optional(),
                            Arg::one_of(
                                "write-operation",
                                &[
                                    Arg::block(
                                        "set-block",
                                        &[
                                            Arg::new("encoding", ArgKind::String),
                                            Arg::new("offset", ArgKind::Integer),
                                            Arg::new("value", ArgKind::Integer),
                                        ],
                                    )
                                    .token("SET"),
                                    Arg::block(
                                        "incrby-block",
                                        &[
                                            Arg::new("encoding", ArgKind::String),
                                            Arg::new("offset", ArgKind::Integer),
                                            Arg::new("increment", ArgKind::Integer),
                                        ],
                                    )
                                    .token("INCRBY"),
                                ],
                            ),
                        ],
                    ),
                ],
            )
            .optional()
            .multiple(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "bitfield_ro",
        arity: -2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::BITMAP,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(bitmap::bitfield_ro),
        doc: Doc::new("Reads integers of any width packed into a string.", "6.0.0", "O(1) per operation")
            .args(&[
                Arg::key("key", 0),
                Arg::block(
                    "get-block",
                    &[Arg::new("encoding", ArgKind::String), Arg::new("offset", ArgKind::Integer)],
                )
                .token("GET")
                .optional()
                .multiple_token(),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "bitop",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::BITMAP,
        keys: &[
            KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 2, 0, 1),
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 3, -1, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(bitmap::bitop),
        doc: Doc::new(
            "Combines strings bit by bit and stores the outcome.",
            "2.6.0",
            "O(N), N = length of the longest input",
        )
        .args(&[
            Arg::one_of(
                "operation",
                &[
                    Arg::pure_token("and", "AND"),
                    Arg::pure_token("or", "OR"),
                    Arg::pure_token("xor", "XOR"),
                    Arg::pure_token("not", "NOT"),
                ],
            ),
            Arg::key("destkey", 0),
            Arg::key("key", 1).multiple(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "bitpos",
        arity: -3,
        flags: Flags::READONLY,
        categories: Categories::BITMAP,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(bitmap::bitpos),
        doc: Doc::new("Finds the first bit with the wanted value.", "2.8.7", "O(N), N = bytes looked at")
            .history(&[("7.0.0", "the range can be given in bits")])
            .args(&[
                Arg::key("key", 0),
                Arg::new("bit", ArgKind::Integer),
                Arg::block(
                    "range",
                    &[
                        Arg::new("start", ArgKind::Integer),
                        Arg::block(
                            "end-unit-block",
                            &[
                                Arg::new("end", ArgKind::Integer),
                                Arg::one_of(
                                    "unit",
                                    &[Arg::pure_token("byte", "BYTE"), Arg::pure_token("bit", "BIT")],
                                )
                                .optional()
                                .since("7.0.0"),
                            ],
                        )
                        .optional(),
                    ],
                )
                .optional(),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "getbit",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::BITMAP,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(bitmap::getbit),
        doc: Doc::new("Reads one bit.", "2.2.0", "O(1)")
            .args(&[Arg::key("key", 0), Arg::new("offset", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "setbit",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::BITMAP,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(bitmap::setbit),
        doc: Doc::new(
            "Writes one bit, growing the string as needed, and answers the old one.",
            "2.2.0",
            "O(1)",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("offset", ArgKind::Integer),
            Arg::new("value", ArgKind::Integer),
        ]),
        ..CommandSpec::EMPTY
    },
];
