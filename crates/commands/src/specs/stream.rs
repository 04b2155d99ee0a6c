//! Rows of the commands on streams.

use crate::families::stream;
use crate::spec::{
    Arg, ArgKind, BeginSearch, Categories, CommandSpec, Doc, FindKeys, Flags, KeyFlags, KeySpec, Propagate,
    Run,
};

const KEY: Arg = Arg::key("key", 0);
const GROUP: Arg = Arg::new("group", ArgKind::String);
const CONSUMER: Arg = Arg::new("consumer", ArgKind::String);
const ID: Arg = Arg::new("id", ArgKind::String);
const IDS: Arg = ID.multiple();
const COUNT: Arg = Arg::new("count", ArgKind::Integer).token("COUNT").optional();
const START: Arg = Arg::new("start", ArgKind::String);
const END: Arg = Arg::new("end", ArgKind::String);
const MIN_IDLE: Arg = Arg::new("min-idle-time", ArgKind::String);
const JUSTID: Arg = Arg::pure_token("justid", "JUSTID").optional();
const BLOCK: Arg = Arg::new("milliseconds", ArgKind::Integer).token("BLOCK").optional();

/// What becomes of references to entries that go.
const CONDITION: Arg = Arg::one_of(
    "condition",
    &[
        Arg::pure_token("keepref", "KEEPREF"),
        Arg::pure_token("delref", "DELREF"),
        Arg::pure_token("acked", "ACKED"),
    ],
)
.optional()
.since("8.2.0");

const COUNTED_IDS: Arg = Arg::block("ids", &[Arg::new("numids", ArgKind::Integer), IDS]).token("IDS");

const TRIM: Arg = Arg::block(
    "trim",
    &[
        Arg::one_of(
            "strategy",
            &[Arg::pure_token("maxlen", "MAXLEN"), Arg::pure_token("minid", "MINID").since("6.2.0")],
        ),
        Arg::one_of("operator", &[Arg::pure_token("equal", "="), Arg::pure_token("approximately", "~")])
            .optional(),
        Arg::new("threshold", ArgKind::String),
        Arg::new("count", ArgKind::Integer).token("LIMIT").optional().since("6.2.0"),
    ],
);

const STREAMS: Arg = Arg::block("streams", &[KEY.multiple(), IDS]).token("STREAMS");

const GROUP_ID: Arg = Arg::one_of("id-selector", &[ID, Arg::pure_token("new-id", "$")]);

const ENTRIES_READ: Arg =
    Arg::new("entriesread", ArgKind::Integer).display("entries-read").token("ENTRIESREAD").optional();

/// Keys after the word STREAMS, as many as ids after them.
const fn streams(start_from: i32) -> KeySpec {
    KeySpec {
        flags: KeyFlags::RO.with(KeyFlags::ACCESS),
        begin: BeginSearch::Keyword { keyword: "STREAMS", start_from },
        find: FindKeys::Range { last: -1, step: 1, limit: 2 },
        notes: "",
    }
}

const READ: KeyFlags = KeyFlags::RO.with(KeyFlags::ACCESS);
const UPDATE: KeyFlags = KeyFlags::RW.with(KeyFlags::UPDATE);
const INSERT: KeyFlags = KeyFlags::RW.with(KeyFlags::INSERT);
const DELETE: KeyFlags = KeyFlags::RW.with(KeyFlags::DELETE);

/// Commands on streams, by name.
pub const STREAM: &[CommandSpec] = &[
    CommandSpec {
        name: "xack",
        arity: -4,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(UPDATE, 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(stream::xack),
        doc: Doc::new("Takes entries off what is pending in a group.", "5.0.0", "O(1) for each id")
            .args(&[KEY, GROUP, IDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xackdel",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE).with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(stream::xackdel),
        doc: Doc::new(
            "Takes entries off what is pending in a group, and deletes them as far as other groups allow.",
            "8.2.0",
            "O(1) for each id and group",
        )
        .args(&[KEY, GROUP, CONDITION, COUNTED_IDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xadd",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(UPDATE, 1, 0, 1)
            .notes("The key is updated rather than inserted to, since the command may trim")],
        propagate: Propagate::Effects,
        run: Run::Data(stream::xadd),
        doc: Doc::new(
            "Appends an entry to a stream, made if missing, and trims it on demand.",
            "5.0.0",
            "O(1), and O(N) when trimming, N = entries removed",
        )
        .history(&[
            ("6.2.0", "takes `NOMKSTREAM`, `MINID` and `LIMIT`"),
            ("7.0.0", "takes ids of the form `<ms>-*`"),
            ("8.2.0", "takes `KEEPREF`, `DELREF` and `ACKED`"),
        ])
        .args(&[
            KEY,
            Arg::pure_token("nomkstream", "NOMKSTREAM").optional().since("6.2.0"),
            CONDITION,
            TRIM.optional(),
            Arg::one_of("id-selector", &[Arg::pure_token("auto-id", "*"), ID]),
            Arg::block("data", &[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)])
                .multiple(),
        ]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xautoclaim",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(DELETE, 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(stream::xautoclaim),
        doc: Doc::new(
            "Hands entries that were pending for long to another consumer, as many as are found in one step.",
            "6.2.0",
            "O(N), N = count",
        )
        .history(&[("7.0.0", "answers also which pending entries the stream has no more")])
        .args(&[KEY, GROUP, CONSUMER, MIN_IDLE, START, COUNT, JUSTID]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xclaim",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(UPDATE, 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(stream::xclaim),
        doc: Doc::new(
            "Hands pending entries to another consumer.",
            "5.0.0",
            "O(log N) for each id, N = pending entries of the group",
        )
        .args(&[
            KEY,
            GROUP,
            CONSUMER,
            MIN_IDLE,
            IDS,
            Arg::new("ms", ArgKind::Integer).token("IDLE").optional(),
            Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("TIME").optional(),
            Arg::new("count", ArgKind::Integer).token("RETRYCOUNT").optional(),
            Arg::pure_token("force", "FORCE").optional(),
            JUSTID,
            Arg::new("lastid", ArgKind::String).token("LASTID").optional(),
        ]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xdel",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(DELETE, 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(stream::xdel),
        doc: Doc::new("Deletes entries and answers how many there were.", "5.0.0", "O(1) for each id")
            .args(&[KEY, IDS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xdelex",
        arity: -5,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(DELETE, 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(stream::xdelex),
        doc: Doc::new(
            "Deletes entries with regard to the groups that refer to them.",
            "8.2.0",
            "O(1) for each id and group",
        )
        .args(&[KEY, CONDITION, COUNTED_IDS]),
        ..CommandSpec::EMPTY
    },
    XGROUP,
    XINFO,
    CommandSpec {
        name: "xlen",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        run: Run::Data(stream::xlen),
        doc: Doc::new("Answers the number of entries.", "5.0.0", "O(1)").args(&[KEY]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xpending",
        arity: -3,
        flags: Flags::READONLY,
        categories: Categories::STREAM,
        keys: &[KeySpec::range(READ, 1, 0, 1)],
        run: Run::Data(stream::xpending),
        doc: Doc::new(
            "Sums up or lists what a group has delivered and not seen acknowledged.",
            "5.0.0",
            "O(N), N = entries looked at; the summary O(M), M = consumers",
        )
        .history(&[("6.2.0", "takes `IDLE` and exclusive ends of the interval")])
        .args(&[
            KEY,
            GROUP,
            Arg::block(
                "filters",
                &[
                    Arg::new("min-idle-time", ArgKind::Integer).token("IDLE").optional().since("6.2.0"),
                    START,
                    END,
                    Arg::new("count", ArgKind::Integer),
                    CONSUMER.optional(),
                ],
            )
            .optional(),
        ]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xrange",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::STREAM,
        keys: &[KeySpec::range(READ, 1, 0, 1)],
        run: Run::Data(stream::xrange),
        doc: Doc::new("Answers the entries between two ids.", "5.0.0", "O(N), N = entries answered")
            .history(&[("6.2.0", "takes exclusive ends")])
            .args(&[KEY, START, END, COUNT]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xread",
        arity: -4,
        flags: Flags::READONLY.with(Flags::BLOCKING).with(Flags::MOVABLEKEYS),
        categories: Categories::STREAM,
        keys: &[streams(1)],
        run: Run::Data(stream::xread),
        doc: Doc::new(
            "Answers the entries of streams above an id each; waits for one if there is none, on demand.",
            "5.0.0",
            "O(N), N = entries answered",
        )
        .args(&[COUNT, BLOCK, STREAMS]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xreadgroup",
        arity: -7,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLEKEYS),
        categories: Categories::STREAM,
        keys: &[streams(4)],
        propagate: Propagate::Effects,
        run: Run::Data(stream::xreadgroup),
        doc: Doc::new(
            "Answers entries that a group has not delivered, or what is pending for a consumer; waits on demand.",
            "5.0.0",
            "O(N), N = entries answered",
        )
        .args(&[
            Arg::block("group-block", &[GROUP, CONSUMER]).token("GROUP"),
            COUNT,
            BLOCK,
            Arg::pure_token("noack", "NOACK").optional(),
            STREAMS,
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xrevrange",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::STREAM,
        keys: &[KeySpec::range(READ, 1, 0, 1)],
        run: Run::Data(stream::xrevrange),
        doc: Doc::new(
            "Answers the entries between two ids, newest first.",
            "5.0.0",
            "O(N), N = entries answered",
        )
        .history(&[("6.2.0", "takes exclusive ends")])
        .args(&[KEY, END, START, COUNT]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xsetid",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::STREAM,
        keys: &[KeySpec::range(UPDATE, 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(stream::xsetid),
        doc: Doc::new("Sets the id that new entries must be above; meant for replication.", "5.0.0", "O(1)")
            .history(&[("7.0.0", "takes `ENTRIESADDED` and `MAXDELETEDID`")])
            .args(&[
                KEY,
                Arg::new("last-id", ArgKind::String),
                Arg::new("entries-added", ArgKind::Integer).token("ENTRIESADDED").optional().since("7.0.0"),
                Arg::new("max-deleted-id", ArgKind::String).token("MAXDELETEDID").optional().since("7.0.0"),
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "xtrim",
        arity: -4,
        flags: Flags::WRITE,
        categories: Categories::STREAM,
        keys: &[KeySpec::range(DELETE, 1, 0, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(stream::xtrim),
        doc: Doc::new("Removes the oldest entries.", "5.0.0", "O(N), N = entries removed")
            .history(&[
                ("6.2.0", "takes `MINID` and `LIMIT`"),
                ("8.2.0", "takes `KEEPREF`, `DELREF` and `ACKED`"),
            ])
            .args(&[KEY, TRIM, CONDITION]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
];

const XGROUP: CommandSpec = CommandSpec {
    name: "xgroup",
    arity: -2,
    run: Run::Container,
    doc: Doc::new("Groups the commands that manage consumer groups.", "5.0.0", "By subcommand"),
    subcommands: &[
        CommandSpec {
            name: "create",
            arity: -5,
            flags: Flags::WRITE.with(Flags::DENYOOM),
            categories: Categories::STREAM,
            keys: &[KeySpec::range(INSERT, 2, 0, 1)],
            propagate: Propagate::Verbatim,
            run: Run::Data(stream::xgroup_create),
            doc: Doc::new("Makes a consumer group.", "5.0.0", "O(1)")
                .history(&[("7.0.0", "takes `ENTRIESREAD`")])
                .args(&[
                    KEY,
                    GROUP,
                    GROUP_ID,
                    Arg::pure_token("mkstream", "MKSTREAM").optional(),
                    ENTRIES_READ,
                ]),
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "createconsumer",
            arity: 5,
            flags: Flags::WRITE.with(Flags::DENYOOM),
            categories: Categories::STREAM,
            keys: &[KeySpec::range(INSERT, 2, 0, 1)],
            propagate: Propagate::Verbatim,
            run: Run::Data(stream::xgroup_createconsumer),
            doc: Doc::new("Makes a consumer of a group.", "6.2.0", "O(1)").args(&[KEY, GROUP, CONSUMER]),
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "delconsumer",
            arity: 5,
            flags: Flags::WRITE,
            categories: Categories::STREAM,
            keys: &[KeySpec::range(DELETE, 2, 0, 1)],
            propagate: Propagate::Verbatim,
            run: Run::Data(stream::xgroup_delconsumer),
            doc: Doc::new(
                "Removes a consumer with what is pending for it, and answers how much that was.",
                "5.0.0",
                "O(N), N = its pending entries",
            )
            .args(&[KEY, GROUP, CONSUMER]),
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "destroy",
            arity: 4,
            flags: Flags::WRITE,
            categories: Categories::STREAM,
            keys: &[KeySpec::range(DELETE, 2, 0, 1)],
            propagate: Propagate::Verbatim,
            run: Run::Data(stream::xgroup_destroy),
            doc: Doc::new("Removes a group.", "5.0.0", "O(N), N = its pending entries").args(&[KEY, GROUP]),
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "help",
            arity: 2,
            flags: Flags::LOADING.with(Flags::STALE),
            categories: Categories::STREAM,
            run: Run::Data(stream::xgroup_help),
            doc: Doc::new("Lists the XGROUP subcommands.", "5.0.0", "O(1)"),
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "setid",
            arity: -5,
            flags: Flags::WRITE,
            categories: Categories::STREAM,
            keys: &[KeySpec::range(UPDATE, 2, 0, 1)],
            propagate: Propagate::Verbatim,
            run: Run::Data(stream::xgroup_setid),
            doc: Doc::new("Sets what a group counts as delivered.", "5.0.0", "O(1)")
                .history(&[("7.0.0", "takes `ENTRIESREAD`")])
                .args(&[KEY, GROUP, GROUP_ID, ENTRIES_READ]),
            ..CommandSpec::EMPTY
        },
    ],
    ..CommandSpec::EMPTY
};

const XINFO: CommandSpec = CommandSpec {
    name: "xinfo",
    arity: -2,
    run: Run::Container,
    doc: Doc::new("Groups the commands that look inside streams.", "5.0.0", "By subcommand"),
    subcommands: &[
        CommandSpec {
            name: "consumers",
            arity: 4,
            flags: Flags::READONLY,
            categories: Categories::STREAM,
            keys: &[KeySpec::range(READ, 2, 0, 1)],
            run: Run::Data(stream::xinfo_consumers),
            doc: Doc::new("Lists the consumers of a group.", "5.0.0", "O(N), N = consumers")
                .history(&[("7.2.0", "answers `inactive`; `idle` is the time since the last attempt")])
                .args(&[KEY, GROUP]),
            tips: &["nondeterministic_output"],
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "groups",
            arity: 3,
            flags: Flags::READONLY,
            categories: Categories::STREAM,
            keys: &[KeySpec::range(READ, 2, 0, 1)],
            run: Run::Data(stream::xinfo_groups),
            doc: Doc::new("Lists the groups of a stream.", "5.0.0", "O(N), N = groups")
                .history(&[("7.0.0", "answers `entries-read` and `lag`")])
                .args(&[KEY]),
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "help",
            arity: 2,
            flags: Flags::LOADING.with(Flags::STALE),
            categories: Categories::STREAM,
            run: Run::Data(stream::xinfo_help),
            doc: Doc::new("Lists the XINFO subcommands.", "5.0.0", "O(1)"),
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "stream",
            arity: -3,
            flags: Flags::READONLY,
            categories: Categories::STREAM,
            keys: &[KeySpec::range(READ, 2, 0, 1)],
            run: Run::Data(stream::xinfo_stream),
            doc: Doc::new("Answers facts about a stream, or with FULL everything.", "5.0.0", "O(1)")
                .history(&[
                    ("6.0.0", "takes `FULL`"),
                    (
                        "7.0.0",
                        "answers `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` \
                         and `lag`",
                    ),
                    ("7.2.0", "answers `active-time`; `seen-time` is that of the last attempt"),
                ])
                .args(&[
                    KEY,
                    Arg::block("full-block", &[Arg::pure_token("full", "FULL"), COUNT]).optional(),
                ]),
            ..CommandSpec::EMPTY
        },
    ],
    ..CommandSpec::EMPTY
};
