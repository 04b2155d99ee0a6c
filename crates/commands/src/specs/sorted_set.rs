//! Rows of the commands on sorted sets.

use crate::families::sorted_set;
use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Propagate, Run};

/// Commands on sorted sets, by name.
pub const SORTED_SET: &[CommandSpec] = &[
    CommandSpec {
        name: "bzmpop",
        arity: -5,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::keynum(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 2)],
        propagate: Propagate::Effects,
        run: Run::Data(sorted_set::bzmpop),
        doc: Doc::new("Takes members by score off the first sorted set that has any, waiting for one to arrive.", "7.0.0", "O(K+M*log(N)), K = keys, M = members taken, N = members of the set").args(&[Arg::new("timeout", ArgKind::Double), Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 0).multiple(), Arg::one_of("where", &[Arg::pure_token("min", "MIN"), Arg::pure_token("max", "MAX")]), Arg::new("count", ArgKind::Integer).token("COUNT").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "bzpopmax",
        arity: -3,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, -2, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(sorted_set::bzpopmax),
        doc: Doc::new("Takes the member of highest score off the first sorted set that has any, waiting for one to arrive.", "5.0.0", "O(log(N)), N = members of the set").history(&[("6.0.0", "fractions of a second as timeout")]).args(&[Arg::key("key", 0).multiple(), Arg::new("timeout", ArgKind::Double)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "bzpopmin",
        arity: -3,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, -2, 1)],
        propagate: Propagate::Effects,
        run: Run::Data(sorted_set::bzpopmin),
        doc: Doc::new("Takes the member of lowest score off the first sorted set that has any, waiting for one to arrive.", "5.0.0", "O(log(N)), N = members of the set").history(&[("6.0.0", "fractions of a second as timeout")]).args(&[Arg::key("key", 0).multiple(), Arg::new("timeout", ArgKind::Double)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zadd",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::UPDATE), 1, 0, 1)],
        element: 3,
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zadd),
        doc: Doc::new("Adds members to a sorted set, made if missing, or changes their scores.", "1.2.0", "O(log(N)) per member, N = members of the set").history(&[("2.4.0", "takes several members"), ("3.0.2", "options `XX`, `NX`, `CH` and `INCR`"), ("6.2.0", "options `GT` and `LT`")]).args(&[Arg::key("key", 0), Arg::one_of("condition", &[Arg::pure_token("nx", "NX"), Arg::pure_token("xx", "XX")]).optional().since("3.0.2"), Arg::one_of("comparison", &[Arg::pure_token("gt", "GT"), Arg::pure_token("lt", "LT")]).optional().since("6.2.0"), Arg::pure_token("change", "CH").optional().since("3.0.2"), Arg::pure_token("increment", "INCR").optional().since("3.0.2"), Arg::block("data", &[Arg::new("score", ArgKind::Double), Arg::new("member", ArgKind::String)]).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zcard",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO, 1, 0, 1)],
        run: Run::Data(sorted_set::zcard),
        doc: Doc::new("Counts the members of a sorted set.", "1.2.0", "O(1)").args(&[Arg::key("key", 0)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zcount",
        arity: 4,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zcount),
        doc: Doc::new("Counts the members with scores in a range.", "2.0.0", "O(log(N)), N = members of the set").args(&[Arg::key("key", 0), Arg::new("min", ArgKind::Double), Arg::new("max", ArgKind::Double)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zdiff",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::keynum(KeyFlags::RO.with(KeyFlags::ACCESS), 1)],
        run: Run::Data(sorted_set::zdiff),
        doc: Doc::new("Answers the members of the first sorted set that no other has.", "6.2.0", "O(L+(N-K)*log(N)), L = members of all sets, N = of the first, K = of the outcome").args(&[Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 0).multiple(), Arg::pure_token("withscores", "WITHSCORES").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zdiffstore",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1), KeySpec::keynum(KeyFlags::RO.with(KeyFlags::ACCESS), 2)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zdiffstore),
        doc: Doc::new("Stores the members of the first sorted set that no other has.", "6.2.0", "O(L+(N-K)*log(N)), L = members of all sets, N = of the first, K = of the outcome").args(&[Arg::key("destination", 0), Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 1).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zincrby",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE), 1, 0, 1)],
        element: 3,
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zincrby),
        doc: Doc::new("Adds to a member's score, which counts as 0 when missing.", "1.2.0", "O(log(N)), N = members of the set").args(&[Arg::key("key", 0), Arg::new("increment", ArgKind::Integer), Arg::new("member", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zinter",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::keynum(KeyFlags::RO.with(KeyFlags::ACCESS), 1)],
        run: Run::Data(sorted_set::zinter),
        doc: Doc::new("Answers the members all sorted sets have.", "6.2.0", "O(N*K+M*log(M)), N = members of the smallest set, K = sets, M = members of the outcome").args(&[Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 0).multiple(), Arg::new("weight", ArgKind::Integer).token("WEIGHTS").optional().multiple(), Arg::one_of("aggregate", &[Arg::pure_token("sum", "SUM"), Arg::pure_token("min", "MIN"), Arg::pure_token("max", "MAX")]).token("AGGREGATE").optional(), Arg::pure_token("withscores", "WITHSCORES").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zintercard",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::keynum(KeyFlags::RO.with(KeyFlags::ACCESS), 1)],
        run: Run::Data(sorted_set::zintercard),
        doc: Doc::new("Counts the members all sorted sets have.", "7.0.0", "O(N*K), N = members of the smallest set, K = sets").args(&[Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 0).multiple(), Arg::new("limit", ArgKind::Integer).token("LIMIT").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zinterstore",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1), KeySpec::keynum(KeyFlags::RO.with(KeyFlags::ACCESS), 2)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zinterstore),
        doc: Doc::new("Stores the members all sorted sets have.", "2.0.0", "O(N*K+M*log(M)), N = members of the smallest set, K = sets, M = members of the outcome").args(&[Arg::key("destination", 0), Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 1).multiple(), Arg::new("weight", ArgKind::Integer).token("WEIGHTS").optional().multiple(), Arg::one_of("aggregate", &[Arg::pure_token("sum", "SUM"), Arg::pure_token("min", "MIN"), Arg::pure_token("max", "MAX")]).token("AGGREGATE").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zlexcount",
        arity: 4,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zlexcount),
        doc: Doc::new("Counts the members between two strings, all scores being equal.", "2.8.9", "O(log(N)), N = members of the set").args(&[Arg::key("key", 0), Arg::new("min", ArgKind::String), Arg::new("max", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zmpop",
        arity: -4,
        flags: Flags::WRITE.with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::keynum(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1)],
        propagate: Propagate::Effects,
        run: Run::Data(sorted_set::zmpop),
        doc: Doc::new("Takes members by score off the first sorted set that has any.", "7.0.0", "O(K+M*log(N)), K = keys, M = members taken, N = members of the set").args(&[Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 0).multiple(), Arg::one_of("where", &[Arg::pure_token("min", "MIN"), Arg::pure_token("max", "MAX")]), Arg::new("count", ArgKind::Integer).token("COUNT").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zmscore",
        arity: -3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        element: 2,
        run: Run::Data(sorted_set::zmscore),
        doc: Doc::new("Answers the scores of several members.", "6.2.0", "O(N), N = members given").args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zpopmax",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zpopmax),
        doc: Doc::new("Takes the members of highest score out of a sorted set.", "5.0.0", "O(M*log(N)), M = members taken, N = members of the set").args(&[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zpopmin",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zpopmin),
        doc: Doc::new("Takes the members of lowest score out of a sorted set.", "5.0.0", "O(M*log(N)), M = members taken, N = members of the set").args(&[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrandmember",
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zrandmember),
        doc: Doc::new("Picks members of a sorted set at random.", "6.2.0", "O(N), N = members picked").args(&[Arg::key("key", 0), Arg::block("options", &[Arg::new("count", ArgKind::Integer), Arg::pure_token("withscores", "WITHSCORES").optional()]).optional()]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrange",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zrange),
        doc: Doc::new("Answers a range of members by index, score or string.", "1.2.0", "O(log(N)+M), N = members of the set, M = members answered").history(&[("6.2.0", "options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`")]).args(&[Arg::key("key", 0), Arg::new("start", ArgKind::String), Arg::new("stop", ArgKind::String), Arg::one_of("sortby", &[Arg::pure_token("byscore", "BYSCORE"), Arg::pure_token("bylex", "BYLEX")]).optional().since("6.2.0"), Arg::pure_token("rev", "REV").optional().since("6.2.0"), Arg::block("limit", &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)]).token("LIMIT").optional().since("6.2.0"), Arg::pure_token("withscores", "WITHSCORES").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zrangebylex),
        doc: Doc::new("Answers the members between two strings, all scores being equal.", "2.8.9", "O(log(N)+M), N = members of the set, M = members walked over").deprecated("6.2.0", "`ZRANGE` with `BYLEX`").args(&[Arg::key("key", 0), Arg::new("min", ArgKind::String), Arg::new("max", ArgKind::String), Arg::block("limit", &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)]).token("LIMIT").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zrangebyscore),
        doc: Doc::new("Answers the members with scores in a range.", "1.0.5", "O(log(N)+M), N = members of the set, M = members walked over").deprecated("6.2.0", "`ZRANGE` with `BYSCORE`").history(&[("2.0.0", "option `WITHSCORES`")]).args(&[Arg::key("key", 0), Arg::new("min", ArgKind::Double), Arg::new("max", ArgKind::Double), Arg::pure_token("withscores", "WITHSCORES").optional().since("2.0.0"), Arg::block("limit", &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)]).token("LIMIT").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrangestore",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1), KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 2, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zrangestore),
        doc: Doc::new("Stores a range of members in another key.", "6.2.0", "O(log(N)+M), N = members of the set, M = members stored").args(&[Arg::key("dst", 0), Arg::key("src", 1), Arg::new("min", ArgKind::String), Arg::new("max", ArgKind::String), Arg::one_of("sortby", &[Arg::pure_token("byscore", "BYSCORE"), Arg::pure_token("bylex", "BYLEX")]).optional(), Arg::pure_token("rev", "REV").optional(), Arg::block("limit", &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)]).token("LIMIT").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrank",
        arity: -3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        element: 2,
        run: Run::Data(sorted_set::zrank),
        doc: Doc::new("Answers the position of a member, lowest score first.", "2.0.0", "O(log(N)), N = members of the set").history(&[("7.2.0", "option `WITHSCORE`")]).args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String), Arg::pure_token("withscore", "WITHSCORE").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrem",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::DELETE), 1, 0, 1)],
        element: 2,
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zrem),
        doc: Doc::new("Removes members, and the sorted set with its last one.", "1.2.0", "O(M*log(N)), M = members given, N = members of the set").history(&[("2.4.0", "takes several members")]).args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String).multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zremrangebylex",
        arity: 4,
        flags: Flags::WRITE,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zremrangebylex),
        doc: Doc::new("Removes the members between two strings, all scores being equal.", "2.8.9", "O(log(N)+M), N = members of the set, M = members removed").args(&[Arg::key("key", 0), Arg::new("min", ArgKind::String), Arg::new("max", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zremrangebyrank",
        arity: 4,
        flags: Flags::WRITE,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zremrangebyrank),
        doc: Doc::new("Removes the members between two positions.", "2.0.0", "O(log(N)+M), N = members of the set, M = members removed").args(&[Arg::key("key", 0), Arg::new("start", ArgKind::Integer), Arg::new("stop", ArgKind::Integer)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zremrangebyscore",
        arity: 4,
        flags: Flags::WRITE,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RW.with(KeyFlags::DELETE), 1, 0, 1)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zremrangebyscore),
        doc: Doc::new("Removes the members with scores in a range.", "1.2.0", "O(log(N)+M), N = members of the set, M = members removed").args(&[Arg::key("key", 0), Arg::new("min", ArgKind::Double), Arg::new("max", ArgKind::Double)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrevrange",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zrevrange),
        doc: Doc::new("Answers the members between two positions, highest score first.", "1.2.0", "O(log(N)+M), N = members of the set, M = members answered").deprecated("6.2.0", "`ZRANGE` with `REV`").args(&[Arg::key("key", 0), Arg::new("start", ArgKind::Integer), Arg::new("stop", ArgKind::Integer), Arg::pure_token("withscores", "WITHSCORES").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrevrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zrevrangebylex),
        doc: Doc::new("Answers the members between two strings backwards, all scores being equal.", "2.8.9", "O(log(N)+M), N = members of the set, M = members walked over").deprecated("6.2.0", "`ZRANGE` with `REV` and `BYLEX`").args(&[Arg::key("key", 0), Arg::new("max", ArgKind::String), Arg::new("min", ArgKind::String), Arg::block("limit", &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)]).token("LIMIT").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrevrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zrevrangebyscore),
        doc: Doc::new("Answers the members with scores in a range, highest first.", "2.2.0", "O(log(N)+M), N = members of the set, M = members walked over").deprecated("6.2.0", "`ZRANGE` with `REV` and `BYSCORE`").history(&[("2.1.6", "limits can be exclusive")]).args(&[Arg::key("key", 0), Arg::new("max", ArgKind::Double), Arg::new("min", ArgKind::Double), Arg::pure_token("withscores", "WITHSCORES").optional(), Arg::block("limit", &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)]).token("LIMIT").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zrevrank",
        arity: -3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        element: 2,
        run: Run::Data(sorted_set::zrevrank),
        doc: Doc::new("Answers the position of a member, highest score first.", "2.0.0", "O(log(N)), N = members of the set").history(&[("7.2.0", "option `WITHSCORE`")]).args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String), Arg::pure_token("withscore", "WITHSCORE").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zscan",
        arity: -3,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        run: Run::Data(sorted_set::zscan),
        doc: Doc::new("Walks over the members of a sorted set, a few per call.", "2.8.0", "O(1) per call, O(N) for the whole walk, N = members").args(&[Arg::key("key", 0), Arg::new("cursor", ArgKind::Integer), Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(), Arg::new("count", ArgKind::Integer).token("COUNT").optional()]),
        tips: &["nondeterministic_output"],
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zscore",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::RO.with(KeyFlags::ACCESS), 1, 0, 1)],
        element: 2,
        run: Run::Data(sorted_set::zscore),
        doc: Doc::new("Answers the score of a member.", "1.2.0", "O(1)").args(&[Arg::key("key", 0), Arg::new("member", ArgKind::String)]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zunion",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::keynum(KeyFlags::RO.with(KeyFlags::ACCESS), 1)],
        run: Run::Data(sorted_set::zunion),
        doc: Doc::new("Answers the members any of the sorted sets has.", "6.2.0", "O(N+M*log(M)), N = members of all sets, M = members of the outcome").args(&[Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 0).multiple(), Arg::new("weight", ArgKind::Integer).token("WEIGHTS").optional().multiple(), Arg::one_of("aggregate", &[Arg::pure_token("sum", "SUM"), Arg::pure_token("min", "MIN"), Arg::pure_token("max", "MAX")]).token("AGGREGATE").optional(), Arg::pure_token("withscores", "WITHSCORES").optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "zunionstore",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::range(KeyFlags::OW.with(KeyFlags::UPDATE), 1, 0, 1), KeySpec::keynum(KeyFlags::RO.with(KeyFlags::ACCESS), 2)],
        propagate: Propagate::Verbatim,
        run: Run::Data(sorted_set::zunionstore),
        doc: Doc::new("Stores the members any of the sorted sets has.", "2.0.0", "O(N+M*log(M)), N = members of all sets, M = members of the outcome").args(&[Arg::key("destination", 0), Arg::new("numkeys", ArgKind::Integer), Arg::key("key", 1).multiple(), Arg::new("weight", ArgKind::Integer).token("WEIGHTS").optional().multiple(), Arg::one_of("aggregate", &[Arg::pure_token("sum", "SUM"), Arg::pure_token("min", "MIN"), Arg::pure_token("max", "MAX")]).token("AGGREGATE").optional()]),
        ..CommandSpec::EMPTY
    },
];
