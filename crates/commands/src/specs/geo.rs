//! Rows of the commands on places.

use crate::families::geo;
use crate::spec::{
    Arg, ArgKind, BeginSearch, Categories, CommandSpec, Doc, FindKeys, Flags, KeyFlags, KeySpec, Propagate,
    Run,
};

const UNIT: Arg = Arg::one_of(
    "unit",
    &[
        Arg::pure_token("m", "M"),
        Arg::pure_token("km", "KM"),
        Arg::pure_token("ft", "FT"),
        Arg::pure_token("mi", "MI"),
    ],
);
const ORDER: Arg =
    Arg::one_of("order", &[Arg::pure_token("asc", "ASC"), Arg::pure_token("desc", "DESC")]).optional();
const COUNT: Arg = Arg::block(
    "count-block",
    &[Arg::new("count", ArgKind::Integer).token("COUNT"), Arg::pure_token("any", "ANY").optional()],
)
.optional();
const LONGITUDE: Arg = Arg::new("longitude", ArgKind::Double);
const LATITUDE: Arg = Arg::new("latitude", ArgKind::Double);
const RADIUS: Arg = Arg::new("radius", ArgKind::Double);
const MEMBER: Arg = Arg::new("member", ArgKind::String);
const WITH_COORD: Arg = Arg::pure_token("withcoord", "WITHCOORD").optional();
const WITH_DIST: Arg = Arg::pure_token("withdist", "WITHDIST").optional();
const WITH_HASH: Arg = Arg::pure_token("withhash", "WITHHASH").optional();
const STORE: Arg = Arg::one_of(
    "store",
    &[Arg::key("storekey", 1).token("STORE"), Arg::key("storedistkey", 2).token("STOREDIST")],
)
.optional();
const FROM: Arg = Arg::one_of(
    "from",
    &[MEMBER.token("FROMMEMBER"), Arg::block("fromlonlat", &[LONGITUDE, LATITUDE]).token("FROMLONLAT")],
);
const BY: Arg = Arg::one_of(
    "by",
    &[
        Arg::block("circle", &[RADIUS.token("BYRADIUS"), UNIT]),
        Arg::block(
            "box",
            &[Arg::new("width", ArgKind::Double).token("BYBOX"), Arg::new("height", ArgKind::Double), UNIT],
        ),
    ],
);
const READS: KeySpec = KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1);
const SEARCH_COMPLEXITY: &str =
    "O(N+log(M)), N = members in the cells around the shape, M = members inside it";

/// The key after a word that may stand from `start_from` on.
const fn stored(keyword: &'static str, start_from: i32) -> KeySpec {
    KeySpec {
        flags: KeyFlags::OW.with(KeyFlags::UPDATE),
        begin: BeginSearch::Keyword { keyword, start_from },
        find: FindKeys::Range { last: 0, step: 1, limit: 0 },
        notes: "",
    }
}

/// Commands on places, by name.
pub const GEO: &[CommandSpec] = &[
    CommandSpec {
        name: "geoadd",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::GEO,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(geo::geoadd),
        doc: Doc::new(
            "Adds members with their places.",
            "3.2.0",
            "O(log(N)) for each member, N = members of the sorted set",
        )
        .history(&[("6.2.0", "knows NX, XX and CH")])
        .args(&[
            Arg::key("key", 0),
            Arg::one_of("condition", &[Arg::pure_token("nx", "NX"), Arg::pure_token("xx", "XX")])
                .optional()
                .since("6.2.0"),
            Arg::pure_token("change", "CH").optional().since("6.2.0"),
            Arg::block("data", &[LONGITUDE, LATITUDE, MEMBER]).multiple(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "geodist",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::GEO,
        keys: &[READS],
        run: Run::Data(geo::geodist),
        doc: Doc::new("Answers the distance of two members.", "3.2.0", "O(1)").args(&[
            Arg::key("key", 0),
            Arg::new("member1", ArgKind::String),
            Arg::new("member2", ArgKind::String),
            UNIT.optional(),
        ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "geohash",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::GEO,
        keys: &[READS],
        run: Run::Data(geo::geohash),
        doc: Doc::new("Answers the places of members as geohashes.", "3.2.0", "O(N), N = members given")
            .args(&[Arg::key("key", 0), MEMBER.optional().multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "geopos",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::GEO,
        keys: &[READS],
        run: Run::Data(geo::geopos),
        doc: Doc::new("Answers longitude and latitude of members.", "3.2.0", "O(N), N = members given")
            .args(&[Arg::key("key", 0), MEMBER.optional().multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "georadius",
        arity: -6,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        categories: Categories::GEO,
        keys: &[READS, stored("STORE", 6), stored("STOREDIST", 6)],
        propagate: Propagate::Verbatim,
        run: Run::Data(geo::georadius),
        doc: Doc::new("Finds the members within a distance of a place.", "3.2.0", SEARCH_COMPLEXITY)
            .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")
            .history(&[("6.2.0", "knows ANY"), ("7.0.0", "takes units in upper case")])
            .args(&[
                Arg::key("key", 0),
                LONGITUDE,
                LATITUDE,
                RADIUS,
                UNIT,
                WITH_COORD,
                WITH_DIST,
                WITH_HASH,
                COUNT,
                ORDER,
                STORE,
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "georadius_ro",
        arity: -6,
        flags: Flags::READONLY,
        categories: Categories::GEO,
        keys: &[READS],
        run: Run::Data(geo::georadius_ro),
        doc: Doc::new("GEORADIUS without STORE.", "3.2.10", SEARCH_COMPLEXITY)
            .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")
            .history(&[("6.2.0", "knows ANY"), ("7.0.0", "takes units in upper case")])
            .args(&[
                Arg::key("key", 0),
                LONGITUDE,
                LATITUDE,
                RADIUS,
                UNIT,
                WITH_COORD,
                WITH_DIST,
                WITH_HASH,
                COUNT,
                ORDER,
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "georadiusbymember",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        categories: Categories::GEO,
        keys: &[READS, stored("STORE", 5), stored("STOREDIST", 5)],
        propagate: Propagate::Verbatim,
        run: Run::Data(geo::georadiusbymember),
        doc: Doc::new("Finds the members within a distance of a member.", "3.2.0", SEARCH_COMPLEXITY)
            .deprecated(
                "6.2.0",
                "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
            )
            .history(&[("6.2.0", "knows ANY"), ("7.0.0", "takes units in upper case")])
            .args(&[
                Arg::key("key", 0),
                MEMBER,
                RADIUS,
                UNIT,
                WITH_COORD,
                WITH_DIST,
                WITH_HASH,
                COUNT,
                ORDER,
                STORE,
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "georadiusbymember_ro",
        arity: -5,
        flags: Flags::READONLY,
        categories: Categories::GEO,
        keys: &[READS],
        run: Run::Data(geo::georadiusbymember_ro),
        doc: Doc::new("GEORADIUSBYMEMBER without STORE.", "3.2.10", SEARCH_COMPLEXITY)
            .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")
            .history(&[("6.2.0", "knows ANY"), ("7.0.0", "takes units in upper case")])
            .args(&[
                Arg::key("key", 0),
                MEMBER,
                RADIUS,
                UNIT,
                WITH_COORD,
                WITH_DIST,
                WITH_HASH,
                COUNT,
                ORDER,
            ]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "geosearch",
        arity: -7,
        flags: Flags::READONLY,
        categories: Categories::GEO,
        keys: &[READS],
        run: Run::Data(geo::geosearch),
        doc: Doc::new("Finds the members inside a circle or a box.", "6.2.0", SEARCH_COMPLEXITY)
            .history(&[("7.0.0", "takes units in upper case")])
            .args(&[Arg::key("key", 0), FROM, BY, ORDER, COUNT, WITH_COORD, WITH_DIST, WITH_HASH]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "geosearchstore",
        arity: -8,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::GEO,
        keys: &[
            KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1),
            KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 2, 0, 1),
        ],
        propagate: Propagate::Verbatim,
        run: Run::Data(geo::geosearchstore),
        doc: Doc::new(
            "Stores the members inside a circle or a box in another key.",
            "6.2.0",
            SEARCH_COMPLEXITY,
        )
        .history(&[("7.0.0", "takes units in upper case")])
        .args(&[
            Arg::key("destination", 0),
            Arg::key("source", 1),
            FROM,
            BY,
            ORDER,
            COUNT,
            Arg::pure_token("storedist", "STOREDIST").optional(),
        ]),
        ..CommandSpec::EMPTY
    },
];
