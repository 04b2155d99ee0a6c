//! Templates of each family of commands. Left out: replies that depend on the server or on chance.

/// Commands a family's sequences are made of.
pub const FAMILIES: &[(&str, &[&[&str]])] = &[
    ("string", &[STRING, OTHERS]),
    ("bitmap", &[BITMAP, OTHERS]),
    ("hyperloglog", &[HYPERLOGLOG, OTHERS]),
    ("generic", &[GENERIC, MIXED, OTHERS]),
    ("list", &[LIST, OTHERS]),
    ("hash", &[HASH, OTHERS]),
    ("set", &[SET, OTHERS]),
    ("sorted_set", &[SORTED_SET, SORTED_SET_ALGEBRA, OTHERS]),
    ("lex", &[LEX, OTHERS]),
    ("expiry", &[EXPIRY, MIXED, OTHERS]),
    ("sort", &[SORT, LIST, OTHERS]),
    ("mixed", &[STRING, LIST, HASH, SET, SORTED_SET, GENERIC, EXPIRY]),
    ("multi", &[MULTI, MULTI, MIXED, GENERIC]),
    ("geo", &[GEO, GEO_ADD, GEO_STORED, OTHERS]),
    ("pubsub", &[PUBSUB, MULTI]),
    ("dump", &[DUMP, MIXED, LIST, SET, SORTED_SET, OTHERS]),
];

/// What 7.0 lacks or prints otherwise: compared with redis 8.0 only.
pub const NEWER: &[(&str, &[&[&str]])] = &[
    ("newer", &[ENCODINGS, MIXED, GENERIC]),
    ("hash_fields", &[HASH_FIELDS, HASH_FIELDS, HASH, OTHERS]),
    // 7.0 counts otherwise what groups have read.
    ("stream", &[STREAM, STREAM, GROUPS, OTHERS]),
    ("dump_newer", &[DUMP, DUMP, ENCODINGS, HASH_FIELDS, STREAM, GROUPS, MIXED]),
];

/// Keys of other types and of none, for every family.
const OTHERS: &[&str] = &["SET {k} {v}", "RPUSH {k} {m}", "DEL {k}+", "TYPE {k}"];

const MIXED: &[&str] = &[
    "SET {k} {v}",
    "RPUSH {k} {m}+",
    "HSET {k} {m} {v}",
    "SADD {k} {m}+",
    "ZADD {k} {s} {m}",
    "INCR {k}",
    "APPEND {k} {v}",
    "LPOP {k}",
    "HDEL {k} {m}",
    "SREM {k} {m}",
    "ZREM {k} {m}",
];

const STRING: &[&str] = &[
    "SET {k} {v} [(NX|XX)] [GET] [(EX {e}|PX {e}|EXAT {at}|PXAT {ms}|KEEPTTL)]",
    "GET {k}",
    "GETSET {k} {v}",
    "GETDEL {k}",
    "GETEX {k} [(EX {e}|PXAT {ms}|PERSIST)]",
    "SETNX {k} {v}",
    "SETEX {k} {e} {v}",
    "PSETEX {k} {e} {v}",
    "MSET ({k} {v})+",
    "MSETNX ({k} {v})+",
    "MGET {k}+",
    "APPEND {k} {v}",
    "STRLEN {k}",
    "GETRANGE {k} {i} {i}",
    "SUBSTR {k} {i} {i}",
    "SETRANGE {k} {i} {v}",
    "INCR {k}",
    "DECR {k}",
    "INCRBY {k} {n}",
    "DECRBY {k} {n}",
    "INCRBYFLOAT {k} {f}",
    "LCS {k} {k} [(LEN|IDX)] [MINMATCHLEN {i}] [WITHMATCHLEN]",
];

/// Increments stay small and fields of 64 bits are not incremented: there the reference's own overflow check overflows.
const BITMAP: &[&str] = &[
    "SETBIT {k} {o} {bit}",
    "SETBIT {k} {o} 1",
    "GETBIT {k} {o}",
    "BITCOUNT {k} [{i} {i} [(BYTE|BIT)]]",
    "BITPOS {k} {bit} [{i} [{i} [(BYTE|BIT)]]]",
    "BITPOS {k} {bit} {i} {i} (BYTE|BIT)",
    "BITOP (AND|OR|XOR) {k} {k}+",
    "BITOP NOT {k} {k}+",
    "BITFIELD {k} (GET {t} {o}|SET {t} {o} {i}|INCRBY {st} {o} {i}|OVERFLOW (WRAP|SAT|FAIL|x))+",
    "BITFIELD {k} INCRBY u8 (0|#1) {c} OVERFLOW SAT INCRBY i8 #2 100",
    "BITFIELD_RO {k} (GET {t} {o})+",
    "GET {k}",
    "STRLEN {k}",
];

const HYPERLOGLOG: &[&str] = &[
    "PFADD {k} {m}+",
    "PFADD {k}",
    "PFCOUNT {k}",
    "PFCOUNT {k}+",
    "PFMERGE {k} {k}+",
    "GET {k}",
    "STRLEN {k}",
    "APPEND {k} {v}",
];

const GENERIC: &[&str] = &[
    "DEL {k}+",
    "UNLINK {k}+",
    "EXISTS {k}+",
    "TOUCH {k}+",
    "TYPE {k}",
    "KEYS {p}",
    "RENAME {k} {k}",
    "RENAMENX {k} {k}",
    "COPY {k} {k} [REPLACE]",
    "COPY {k} {k} DB 0",
    "PERSIST {k}",
    "DBSIZE",
    "MOVE {k} {c}",
    "OBJECT REFCOUNT nokey",
    "OBJECT ENCODING nokey",
    "SCAN 0 [MATCH {p}] [COUNT {n}] [TYPE (string|list|set|zset|hash|x)]",
];

/// Payloads are what either server answers to DUMP: see `compare`.
const DUMP: &[&str] = &[
    "RESTORE {k} 0 {d}",
    "RESTORE {k} 0 {d} REPLACE",
    "RESTORE {k} 100000 {d} REPLACE",
    "RESTORE {k} {ms} {d} [REPLACE] ABSTTL",
    "RESTORE {k} 0 {d} ([REPLACE]|IDLETIME {n}|FREQ {n}|x)+",
    "RESTORE-ASKING {k} 0 {d} REPLACE",
    "RESTORE {k} {i} {v}",
    "EXISTS {k}",
];

const LIST: &[&str] = &[
    "LPUSH {k} {m}+",
    "RPUSH {k} {m}+",
    "RPUSH {k} {m}+ {m}+ {m}+",
    "LPUSHX {k} {m}+",
    "RPUSHX {k} {m}+",
    "LPOP {k} [{i}]",
    "RPOP {k} [{i}]",
    "LLEN {k}",
    "LRANGE {k} {i} {i}",
    "LINDEX {k} {i}",
    "LSET {k} {i} {v}",
    "LINSERT {k} (BEFORE|AFTER|x) {m} {v}",
    "LREM {k} {i} {m}",
    "LTRIM {k} {i} {i}",
    "LPOS {k} {m} [RANK {i}] [COUNT {i}] [MAXLEN {i}]",
    "LMOVE {k} {k} (LEFT|RIGHT) (LEFT|RIGHT)",
    "RPOPLPUSH {k} {k}",
    "LMPOP 1 {k} (LEFT|RIGHT) [COUNT {i}]",
    "LMPOP 2 {k} {k} (LEFT|RIGHT) [COUNT {c}]",
];

const HASH: &[&str] = &[
    "HSET {k} ({m} {v})+",
    "HSETNX {k} {m} {v}",
    "HMSET {k} ({m} {v})+",
    "HGET {k} {m}",
    "HMGET {k} {m}+",
    "HGETALL {k}",
    "HKEYS {k}",
    "HVALS {k}",
    "HLEN {k}",
    "HEXISTS {k} {m}",
    "HDEL {k} {m}+",
    "HSTRLEN {k} {m}",
    "HINCRBY {k} {m} {n}",
    "HINCRBYFLOAT {k} {m} {f}",
    "HRANDFIELD {k} 100 [WITHVALUES]",
    "HSCAN {k} 0 [MATCH {p}] COUNT 1000",
];

const SET: &[&str] = &[
    "SADD {k} {m}+",
    "SADD {k} {n}+",
    "SREM {k} {m}+",
    "SCARD {k}",
    "SISMEMBER {k} {m}",
    "SMISMEMBER {k} {m}+",
    "SMEMBERS {k}",
    "SMOVE {k} {k} {m}",
    "SPOP {k} 100",
    "SPOP {k} 0",
    "SRANDMEMBER {k} 100",
    "SINTER {k}+",
    "SUNION {k}+",
    "SDIFF {k}+",
    "SINTERSTORE {k} {k}+",
    "SUNIONSTORE {k} {k}+",
    "SDIFFSTORE {k} {k}+",
    "SINTERCARD {c} {k}+ [LIMIT {i}]",
    "SSCAN {k} 0 [MATCH {p}] COUNT 1000",
];

const SORTED_SET: &[&str] = &[
    "ZADD {k} [(NX|XX|GT|LT)] [CH] ({s} {m})+",
    "ZADD {k} [(NX|XX|GT|LT)] [CH] INCR {s} {m}",
    "ZADD {k} 0 {m} 0 {m} 0 {m}",
    "ZINCRBY {k} {s} {m}",
    "ZREM {k} {m}+",
    "ZCARD {k}",
    "ZSCORE {k} {m}",
    "ZMSCORE {k} {m}+",
    "ZRANK {k} {m}",
    "ZREVRANK {k} {m}",
    "ZCOUNT {k} {b} {b}",
    "ZRANGE {k} {i} {i} [REV] [WITHSCORES]",
    "ZRANGE {k} {b} {b} BYSCORE [REV] [LIMIT {z} {i}] [WITHSCORES]",
    "ZREVRANGE {k} {i} {i} [WITHSCORES]",
    "ZRANGEBYSCORE {k} {b} {b} [WITHSCORES] [LIMIT {z} {i}]",
    "ZREVRANGEBYSCORE {k} {b} {b} [WITHSCORES] [LIMIT {z} {i}]",
    "ZREMRANGEBYRANK {k} {i} {i}",
    "ZREMRANGEBYSCORE {k} {b} {b}",
    "ZPOPMIN {k} [{i}]",
    "ZPOPMAX {k} [{i}]",
    "ZRANDMEMBER {k} 100 [WITHSCORES]",
    "ZSCAN {k} 0 [MATCH {p}] COUNT 1000",
    "ZMPOP 1 {k} (MIN|MAX) [COUNT {i}]",
    "ZMPOP 2 {k} {k} (MIN|MAX) [COUNT {c}]",
];

/// Ids are given, or follow from what was given.
const STREAM: &[&str] = &[
    "XADD {k} {auto} ({m} {v})+",
    "XADD {k} {auto} a {m} b {v}",
    "XADD {k} {auto} a {m} b {v}",
    "XADD {k} {id} a {m} b {v}",
    "XADD {k} [NOMKSTREAM] (MAXLEN|MINID) [(=|~)] {c} [LIMIT {i}] {auto} a {m}",
    "XLEN {k}",
    "XRANGE {k} {from} {to} [COUNT {i}]",
    "XREVRANGE {k} {to} {from} [COUNT {i}]",
    "XDEL {k} {id}+",
    "XDEL {k} {id}+",
    "XTRIM {k} (MAXLEN|MINID) [(=|~)] {c} [LIMIT {i}]",
    "XREAD [COUNT {i}] STREAMS {k} ({id}|$|+)",
    "XREAD STREAMS {k} {k} {id} {id}",
    "XSETID {k} {id} [ENTRIESADDED {c}] [MAXDELETEDID {id}]",
    "COPY {k} {k} [REPLACE]",
    "RENAME {k} {k}",
];

/// Left out: what shows times, and consumers that were made by a call that failed.
const GROUPS: &[&str] = &[
    "XGROUP CREATE {k} {cg} ({id}|0|0|$) [MKSTREAM] [ENTRIESREAD {i}]",
    "XGROUP CREATE {k} {cg} 0 MKSTREAM",
    "XGROUP SETID {k} {cg} ({id}|$) [ENTRIESREAD {i}]",
    "XGROUP CREATECONSUMER {k} {cg} {cg}",
    "XGROUP DELCONSUMER {k} {cg} {cg}",
    "XGROUP DESTROY {k} {cg}",
    "XREADGROUP GROUP {cg} {cg} [COUNT {i}] [NOACK] STREAMS {k} >",
    "XREADGROUP GROUP {cg} {cg} STREAMS {k} >",
    "XREADGROUP GROUP {cg} {cg} [COUNT {i}] STREAMS {k} {id}",
    "XREADGROUP GROUP {cg} {cg} STREAMS {k} {k} > >",
    "XACK {k} {cg} {id}+",
    "XPENDING {k} {cg}",
    "XPENDING {k} {cg} [IDLE {z}] {from} {to} {i} [{cg}]",
    "XCLAIM {k} {cg} {cg} 0 {id}+ [RETRYCOUNT {i}] [FORCE] [JUSTID] [LASTID {id}]",
    "XAUTOCLAIM {k} {cg} {cg} 0 {from} [COUNT {i}] [JUSTID]",
    "XINFO GROUPS {k}",
    "XINFO GROUPS {k}",
];

/// Defined only where all scores are the same.
const LEX: &[&str] = &[
    "ZADD {k} 0 {m} [0 {m}] [0 {m}]",
    "ZREM {k} {m}",
    "ZRANGESTORE {k} {k} {l} {l} BYLEX [LIMIT {z} {i}]",
    "ZLEXCOUNT {k} {l} {l}",
    "ZRANGE {k} {l} {l} BYLEX [REV] [LIMIT {z} {i}]",
    "ZRANGEBYLEX {k} {l} {l} [LIMIT {z} {i}]",
    "ZREVRANGEBYLEX {k} {l} {l} [LIMIT {z} {i}]",
    "ZREMRANGEBYLEX {k} {l} {l}",
];

const SORTED_SET_ALGEBRA: &[&str] = &[
    "SADD {k} {m}+",
    "ZRANGESTORE {k} {k} {i} {i} [REV]",
    "ZRANGESTORE {k} {k} {b} {b} BYSCORE [LIMIT {z} {i}]",
    "ZUNIONSTORE {k} 2 {k} {k} [WEIGHTS {s} {s}] [AGGREGATE (SUM|MIN|MAX)]",
    "ZINTERSTORE {k} 2 {k} {k} [WEIGHTS {s} {s}] [AGGREGATE (SUM|MIN|MAX)]",
    "ZDIFFSTORE {k} {c} {k} {k}",
    "ZUNION 2 {k} {k} [WEIGHTS {s} {s}] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]",
    "ZINTER 2 {k} {k} [WEIGHTS {s} {s}] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]",
    "ZDIFF {c} {k} {k} [WITHSCORES]",
    "ZINTERCARD {c} {k} {k} [LIMIT {i}]",
];

const EXPIRY: &[&str] = &[
    "EXPIRE {k} {e} [(NX|XX|GT|LT)]",
    "PEXPIRE {k} {e} [(NX|XX|GT|LT)]",
    "EXPIREAT {k} {at} [(NX|XX|GT|LT)]",
    "PEXPIREAT {k} {ms} [(NX|XX|GT|LT)]",
    "TTL {k}",
    "PTTL {k}",
    "EXPIRETIME {k}",
    "PEXPIRETIME {k}",
    "PERSIST {k}",
    "SET {k} {v} [(EXAT {at}|PXAT {ms}|KEEPTTL)]",
    "GETEX {k} [(EXAT {at}|PERSIST)]",
    "RENAME {k} {k}",
    "COPY {k} {k} [REPLACE]",
    "GET {k}",
];

const SORT: &[&str] = &[
    "SORT {k} [LIMIT {z} {i}] [(ASC|DESC)] [ALPHA]",
    "SORT {k} ALPHA [(ASC|DESC)] STORE {k}",
    "SORT {k} BY w_* [(GET #|GET v_*)] [ALPHA]",
    "SORT_RO {k} ALPHA [GET #] [DESC]",
    "SADD {k} {m}+",
    "ZADD {k} {s} {m}",
    "MSET w_1 3 w_2 2 w_3 1 w_x b w_y a v_1 one v_x ex",
];

const MULTI: &[&str] =
    &["MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", "WATCH {k}+", "UNWATCH", "nosuch {k}", "GET"];

/// Without those that answer more than once or change what else a connection may do: conversations have them.
const PUBSUB: &[&str] = &[
    "PUBLISH {k} {v}",
    "SPUBLISH {k} {v}",
    "PUBSUB CHANNELS [{p}]",
    "PUBSUB SHARDCHANNELS [{p}]",
    "PUBSUB NUMSUB {k}+",
    "PUBSUB SHARDNUMSUB [{k}+]",
    "PUBSUB NUMPAT",
    "PING [{v}]",
];

const ENCODINGS: &[&str] = &[
    "OBJECT ENCODING {k}",
    "OBJECT ENCODING {k}",
    "RPUSH {k} {m}+ {m}+",
    "HSET {k} ({m} {v})+ ({m} {v})+",
    "SADD {k} {m}+ {m}+",
    "SADD {k} {n}+",
    "ZADD {k} ({s} {m})+ ({s} {m})+",
    "ZRANK {k} {m} WITHSCORE",
    "LPOP {k} {c}",
    "LTRIM {k} {i} {i}",
    "LSET {k} {i} {v}",
    "LINSERT {k} BEFORE {m} {v}",
    "SUNIONSTORE {k} {k}+",
    "SINTERSTORE {k} {k}+",
    "SDIFFSTORE {k} {k}+",
    "ZUNIONSTORE {k} 2 {k} {k}",
    "SMOVE {k} {k} {m}",
    "SETRANGE {k} {c} {v}",
    "INCRBYFLOAT {k} {s}",
    "ZADD {k} 0.1 {m} 1e21 {m} 0.30000000000000004 {m}",
    "ZINCRBY {k} 0.1 {m}",
    "ZRANGE {k} 0 -1 WITHSCORES",
    "ZSCORE {k} {m}",
    "ZRANGEBYSCORE {k} {b} {b} LIMIT {z} {i}",
    "BITCOUNT {k} {i}",
];

const GEO_ADD: &[&str] = &[
    "GEOADD {k} [(NX|XX)] [CH] ({lon} {lat} {g})+",
    "GEOADD {k} ({lon} {lat} {g})+ ({lon} {lat} {g})+",
    "GEOADD {k} ({lon} {lat} {g})+ ({lon} {lat} {g})+",
    "GEOADD a ({lon} {lat} {g})+ ({lon} {lat} {g})+",
];

const GEO: &[&str] = &[
    "GEOPOS {k} {g}+",
    "GEOHASH {k} {g}+",
    "GEODIST {k} {g} {g} [{u}]",
    "GEOSEARCH {k} FROMLONLAT {lon} {lat} BYRADIUS {r} {u} [(ASC|DESC)] [COUNT {i}] [WITHCOORD] [WITHDIST] [WITHHASH]",
    "GEOSEARCH {k} FROMMEMBER {g} BYRADIUS {r} {u} [COUNT {c} [ANY]] [WITHDIST]",
    "GEOSEARCH {k} (FROMMEMBER {g}|FROMLONLAT {lon} {lat}) BYBOX {r} {r} {u} [COUNT {c} ANY] [(ASC|DESC)] [WITHDIST]",
    "GEOSEARCH a FROMLONLAT {lon} {lat} BYRADIUS {r} km",
    "GEOSEARCH a FROMMEMBER {g} BYBOX {r} {r} km",
    "GEOSEARCH {k} (FROMMEMBER {g}|FROMLONLAT {lon} {lat}|ANY|ASC)+ (BYRADIUS {r} {u}|BYBOX {r} {r} {u})+",
    "GEOSEARCHSTORE {k} {k} (FROMMEMBER {g}|FROMLONLAT {lon} {lat}) (BYRADIUS {r} {u}|BYBOX {r} {r} {u}) [COUNT {i}] [WITHDIST]",
    "GEORADIUS {k} {lon} {lat} {r} {u} [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT {c} [ANY]] [(ASC|DESC)] [STORE {k}]",
    "GEORADIUS {k} {lon} {lat} {r} {u} (STORE {k}|STORE|COUNT {i})+",
    "GEORADIUS_RO {k} {lon} {lat} {r} {u} [WITHDIST] [COUNT {c}] [STORE {k}]",
    "GEORADIUSBYMEMBER {k} {g} {r} {u} [WITHCOORD] [WITHDIST] [COUNT {c} [ANY]] [STORE {k}]",
    "GEORADIUSBYMEMBER_RO {k} {g} {r} {u} [WITHHASH] [(ASC|DESC)]",
    "ZREM {k} {g}",
];

/// Distances as scores are compared in the final keyspace, as numbers: versions print them differently.
const GEO_STORED: &[&str] = &[
    "GEOSEARCHSTORE {k} {k} (FROMMEMBER {g}|FROMLONLAT {lon} {lat}) (BYRADIUS {r} {u}|BYBOX {r} {r} {u}) STOREDIST",
    "GEORADIUS {k} {lon} {lat} {r} {u} [COUNT {c}] STOREDIST {k}",
    "GEORADIUSBYMEMBER {k} {g} {r} {u} (STOREDIST {k}|STORE {k})+",
];

/// Relative times are not compared with each other: milliseconds may pass between two calls on one server only.
const HASH_FIELDS: &[&str] = &[
    "HEXPIRE {k} {he} [(NX|XX)] FIELDS 1 {m}",
    "HPEXPIRE {k} {he} [(NX|XX|x)] FIELDS 2 {m} {m}",
    "HEXPIREAT {k} {hat} [(NX|XX|GT|LT)] FIELDS 2 {m} {m}",
    "HPEXPIREAT {k} {hms} [(NX|XX|GT|LT)] FIELDS 3 {m} {m} {m}",
    "HPEXPIREAT {k} {hms} FIELDS {i} {m}+",
    "HTTL {k} FIELDS 2 {m} {m}",
    "HPTTL {k} FIELDS 2 {m} {m}",
    "HEXPIRETIME {k} FIELDS 3 {m} {m} {m}",
    "HPEXPIRETIME {k} FIELDS 3 {m} {m} {m}",
    "HPEXPIRETIME {k} FIELDS {c} {m}+",
    "HPERSIST {k} FIELDS 2 {m} {m}",
    "HGETDEL {k} FIELDS 2 {m} {m}",
    "HGETEX {k} FIELDS 1 {m}",
    "HGETEX {k} [(EX {he}|PX {he}|EXAT {hat}|PXAT {hms}|PERSIST|KEEPTTL)] FIELDS 2 {m} {m}",
    "HSETEX {k} [(FNX|FXX)] [(EX {he}|PX {he}|EXAT {hat}|PXAT {hms}|KEEPTTL)] FIELDS 1 {m} {v}",
    "HSETEX {k} [(FNX|FXX)] [(EX {he}|PX {he}|EXAT {hat}|PXAT {hms}|KEEPTTL|x)] FIELDS 2 {m} {v} {m} {v}",
    "HSETEX {k} (FNX|FXX|EX {he}|PXAT {hms}|KEEPTTL)+ FIELDS {c} {m} {v}",
    "HSET {k} ({m} {v})+",
    "HGETALL {k}",
    "OBJECT ENCODING {k}",
    "RENAME {k} {k}",
    "COPY {k} {k} [REPLACE]",
];
