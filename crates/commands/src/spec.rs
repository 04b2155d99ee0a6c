//! The shape of a command's row: everything the server knows about a command stands in one `CommandSpec`.

use crate::args::Args;
use crate::context::Context;
use crate::error::CommandError;
use redoubt_resp::Reply;

/// A data command's handler: reads arguments, works on the transaction in `Context`, writes one reply.
///
/// On `Err` whatever it wrote to the reply is discarded and the error is sent instead.
pub type Handler = fn(&mut Context<'_>, &Args<'_>, &mut Reply<'_>) -> Result<(), CommandError>;

/// Who runs the command.
#[derive(Clone, Copy)]
pub enum Run {
    /// A pure handler over the transaction.
    Data(Handler),
    /// An operation that needs the runtime (clients, configuration, transactions); see `ServerOp`.
    Server(ServerOp),
    /// A container: only its subcommands run. Called bare it fails on arity.
    Container,
}

/// Operations the `server` crate implements, matched there without a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the command of the same name")]
pub enum ServerOp {
    // connection
    Auth,
    ClientCapa,
    ClientGetname,
    ClientHelp,
    ClientId,
    ClientInfo,
    ClientKill,
    ClientList,
    ClientNoEvict,
    ClientNoTouch,
    ClientPause,
    ClientReply,
    ClientSetinfo,
    ClientSetname,
    ClientUnblock,
    ClientUnpause,
    Echo,
    Hello,
    Ping,
    Quit,
    Readonly,
    Readwrite,
    Reset,
    Select,
    // deployments
    ClusterFailover,
    ClusterForget,
    ClusterHelp,
    ClusterMyid,
    // transactions
    Discard,
    Exec,
    Multi,
    Unwatch,
    Watch,
    // pub/sub
    Pubsub(PubsubOp),
    // failover
    Sentinel(SentinelOp),
    // replication
    Failover,
    Psync,
    Replconf,
    Replicaof,
    Role,
    Sync,
    Wait,
    Waitaof,
    // server
    Bgrewriteaof,
    Command,
    CommandCount,
    CommandDocs,
    CommandGetkeys,
    CommandGetkeysandflags,
    CommandHelp,
    CommandInfo,
    CommandList,
    ConfigGet,
    ConfigHelp,
    ConfigResetstat,
    ConfigRewrite,
    ConfigSet,
    Debug,
    Info,
    LatencyDoctor,
    LatencyGraph,
    LatencyHelp,
    LatencyHistogram,
    LatencyHistory,
    LatencyLatest,
    LatencyReset,
    Lolwut,
    MemoryDoctor,
    MemoryHelp,
    MemoryMallocStats,
    MemoryPurge,
    MemoryStats,
    Monitor,
    Bgsave,
    Lastsave,
    Save,
    Shutdown,
    SlowlogGet,
    SlowlogHelp,
    SlowlogLen,
    SlowlogReset,
    Time,
}

/// Operations on channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the command or the subcommand of PUBSUB of the same name")]
pub enum PubsubOp {
    Channels,
    Help,
    Numpat,
    Numsub,
    Psubscribe,
    Publish,
    Punsubscribe,
    Shardchannels,
    Shardnumsub,
    Spublish,
    Ssubscribe,
    Subscribe,
    Sunsubscribe,
    Unsubscribe,
}

/// Operations of a Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the subcommand of SENTINEL of the same name")]
pub enum SentinelOp {
    Ckquorum,
    Config,
    Debug,
    Failover,
    Flushconfig,
    GetMasterAddrByName,
    Help,
    InfoCache,
    IsMasterDownByAddr,
    Master,
    Masters,
    Monitor,
    Myid,
    PendingScripts,
    Remove,
    Replicas,
    Reset,
    Sentinels,
    Set,
    SimulateFailure,
}

/// Set of command flags, named as `COMMAND` prints them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(pub u32);

/// Set of ACL categories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Categories(pub u32);

macro_rules! bits {
    ($type:ident, $table:ident: $($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        #[allow(missing_docs, reason = "each is the published name beside it")]
        impl $type {
            pub const NONE: $type = $type(0);
            $($(#[$doc])* pub const $name: $type = $type(1 << $bit);)*
            /// The union of both sets.
            pub const fn with(self, other: $type) -> $type { $type(self.0 | other.0) }
            /// Whether every member of `other` is in the set.
            pub const fn has(self, other: $type) -> bool { self.0 & other.0 == other.0 }
            /// Whether any member of `other` is in the set.
            pub const fn any(self, other: $type) -> bool { self.0 & other.0 != 0 }
            /// Names of the members, in the table's order.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                $table.iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| *name)
            }
        }
        /// Members and the names `COMMAND` prints for them.
        pub const $table: &[($type, &str)] = &[$(($type::$name, $text)),*];
    };
}

bits! { Flags, FLAG_NAMES:
    WRITE = 0, "write";
    READONLY = 1, "readonly";
    DENYOOM = 2, "denyoom";
    MODULE = 3, "module";
    ADMIN = 4, "admin";
    PUBSUB = 5, "pubsub";
    NOSCRIPT = 6, "noscript";
    BLOCKING = 7, "blocking";
    LOADING = 8, "loading";
    STALE = 9, "stale";
    SKIP_MONITOR = 10, "skip_monitor";
    SKIP_SLOWLOG = 11, "skip_slowlog";
    ASKING = 12, "asking";
    FAST = 13, "fast";
    NO_AUTH = 14, "no_auth";
    NO_MANDATORY_KEYS = 16, "no_mandatory_keys";
    PROTECTED = 17, "protected";
    NO_ASYNC_LOADING = 18, "no_async_loading";
    NO_MULTI = 19, "no_multi";
    MOVABLEKEYS = 20, "movablekeys";
    ALLOW_BUSY = 21, "allow_busy";
    TOUCHES_ARBITRARY_KEYS = 22, "TOUCHES_ARBITRARY_KEYS";
}

/// Flags of ours that `COMMAND` does not print: how the dispatcher treats a row.
pub mod internal {
    use super::Flags;
    /// Part of what a Sentinel's port answers to.
    pub const SENTINEL: Flags = Flags(1 << 26);
    /// Of Sentinels only: a server without failover does not know it. It runs whatever state the data are in.
    pub const ONLY_SENTINEL: Flags = Flags(1 << 27);
    /// Of deployments: neither a server without failover nor a Sentinel's port knows it.
    pub const ONLY_DEPLOYMENT: Flags = Flags(1 << 25);
    /// Runs holding every partition (FLUSHALL, KEYS, SCAN, SORT with patterns...).
    pub const ALL_PARTITIONS: Flags = Flags(1 << 28);
    /// Counts as a write for CLIENT PAUSE WRITE, although it changes no key (PUBLISH) or is a read (PFCOUNT). Redis keeps
    /// it out of what COMMAND prints.
    pub const MAY_REPLICATE: Flags = Flags(1 << 29);
    /// With `ALL_PARTITIONS`: outside a transaction its handler takes the partitions itself, one after the other (SCAN).
    pub const WALKS: Flags = Flags(1 << 30);
}

bits! { Categories, CATEGORY_NAMES:
    KEYSPACE = 0, "keyspace";
    READ = 1, "read";
    WRITE = 2, "write";
    SET = 3, "set";
    SORTEDSET = 4, "sortedset";
    LIST = 5, "list";
    HASH = 6, "hash";
    STRING = 7, "string";
    BITMAP = 8, "bitmap";
    HYPERLOGLOG = 9, "hyperloglog";
    GEO = 10, "geo";
    STREAM = 11, "stream";
    PUBSUB = 12, "pubsub";
    ADMIN = 13, "admin";
    FAST = 14, "fast";
    SLOW = 15, "slow";
    BLOCKING = 16, "blocking";
    DANGEROUS = 17, "dangerous";
    CONNECTION = 18, "connection";
    TRANSACTION = 19, "transaction";
    SCRIPTING = 20, "scripting";
}

/// What a successful write leaves in the replication log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagate {
    /// Nothing: reads and connection commands.
    Never,
    /// The arguments as received, when the command changed something.
    Verbatim,
    /// What the handler emitted through `Context::effect`.
    Effects,
}

/// Access a key spec declares; `COMMAND` prints the set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyFlags(pub u16);

bits! { KeyFlags, KEY_FLAG_NAMES:
    RO = 0, "RO";
    RW = 1, "RW";
    OW = 2, "OW";
    RM = 3, "RM";
    ACCESS = 4, "access";
    UPDATE = 5, "update";
    INSERT = 6, "insert";
    DELETE = 7, "delete";
    NOT_KEY = 8, "not_key";
    INCOMPLETE = 9, "incomplete";
    VARIABLE_FLAGS = 10, "variable_flags";
}

/// Where a group of keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginSearch {
    /// At this argument (0 is the command name).
    Index(i32),
    /// After the keyword, searched from argument `start_from` (negative: from the end, backwards).
    Keyword {
        /// Token to look for, any case.
        keyword: &'static str,
        /// First argument looked at.
        start_from: i32,
    },
    /// Cannot be told from the arguments.
    Unknown,
}

/// How the keys of a group follow each other, relative to where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindKeys {
    /// From the beginning up to `last` (negative counts from the last argument), every `step`; `limit` > 1 stops
    /// after 1/limit of the remaining arguments.
    Range {
        /// Last key, relative to the beginning, or from the end when negative.
        last: i32,
        /// Distance between keys.
        step: i32,
        /// Fraction of the rest that is keys: 0 and 1 mean all.
        limit: i32,
    },
    /// A count at `index`, then keys from `first`.
    Keynum {
        /// Position of the count, relative to the beginning.
        index: i32,
        /// Position of the first key, relative to the beginning.
        first: i32,
        /// Distance between keys.
        step: i32,
    },
    /// Cannot be told from the arguments.
    Unknown,
}

/// One group of keys in a command's arguments.
/// Rules: <https://redis.io/docs/latest/develop/reference/key-specs/>
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Access the command makes to these keys.
    pub flags: KeyFlags,
    /// Where the group begins.
    pub begin: BeginSearch,
    /// How it goes on.
    pub find: FindKeys,
    /// Remark printed by COMMAND INFO, or "".
    pub notes: &'static str,
}

impl KeySpec {
    /// Keys from argument `first` to `last` (relative to `first`; negative from the end) every `step`.
    pub const fn range(flags: KeyFlags, first: i32, last: i32, step: i32) -> KeySpec {
        KeySpec {
            flags,
            begin: BeginSearch::Index(first),
            find: FindKeys::Range { last, step, limit: 0 },
            notes: "",
        }
    }
    /// Keys that cannot be told from the arguments, and why.
    pub const fn unknown(flags: KeyFlags, notes: &'static str) -> KeySpec {
        KeySpec { flags, begin: BeginSearch::Unknown, find: FindKeys::Unknown, notes }
    }
    /// With a remark.
    pub const fn notes(mut self, notes: &'static str) -> KeySpec {
        self.notes = notes;
        self
    }
    /// A key count at argument `at`, the keys right after it.
    pub const fn keynum(flags: KeyFlags, at: i32) -> KeySpec {
        KeySpec {
            flags,
            begin: BeginSearch::Index(at),
            find: FindKeys::Keynum { index: 0, first: 1, step: 1 },
            notes: "",
        }
    }
}

/// Type of an argument in the tree that COMMAND DOCS prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the published names")]
pub enum ArgKind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

/// An argument of a command, for COMMAND DOCS.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Name of the value.
    pub name: &'static str,
    /// Type of the value.
    pub kind: ArgKind,
    /// Literal that precedes the value, or "".
    pub token: &'static str,
    /// Which key spec the argument belongs to.
    pub key_spec: Option<u8>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// The token is repeated with each value.
    pub multiple_token: bool,
    /// Version it came with, or "" when as old as the command.
    pub since: &'static str,
    /// Name shown to a person where it differs from `name`, or "".
    pub display: &'static str,
    /// Members of a `OneOf` or `Block`.
    pub args: &'static [Arg],
}

impl Arg {
    /// A required argument without token.
    pub const fn new(name: &'static str, kind: ArgKind) -> Arg {
        Arg {
            name,
            kind,
            token: "",
            key_spec: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            since: "",
            display: "",
            args: &[],
        }
    }
    /// A key that belongs to key spec `spec`.
    pub const fn key(name: &'static str, spec: u8) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Key);
        arg.key_spec = Some(spec);
        arg
    }
    /// A bare literal.
    pub const fn pure_token(name: &'static str, token: &'static str) -> Arg {
        Arg::new(name, ArgKind::PureToken).token(token)
    }
    /// One of the alternatives.
    pub const fn one_of(name: &'static str, args: &'static [Arg]) -> Arg {
        let mut arg = Arg::new(name, ArgKind::OneOf);
        arg.args = args;
        arg
    }
    /// Arguments that come together.
    pub const fn block(name: &'static str, args: &'static [Arg]) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Block);
        arg.args = args;
        arg
    }
    /// Preceded by this literal.
    pub const fn token(mut self, token: &'static str) -> Arg {
        self.token = token;
        self
    }
    /// Belongs to key spec `spec`, without being a key itself (a pattern of keys).
    pub const fn of_keys(mut self, spec: u8) -> Arg {
        self.key_spec = Some(spec);
        self
    }
    /// May be left out.
    pub const fn optional(mut self) -> Arg {
        self.optional = true;
        self
    }
    /// May be repeated.
    pub const fn multiple(mut self) -> Arg {
        self.multiple = true;
        self
    }
    /// Repeated together with its token.
    pub const fn multiple_token(mut self) -> Arg {
        self.multiple = true;
        self.multiple_token = true;
        self
    }
    /// Came with this version.
    pub const fn since(mut self, version: &'static str) -> Arg {
        self.since = version;
        self
    }
    /// Shown to a person under this name.
    pub const fn display(mut self, text: &'static str) -> Arg {
        self.display = text;
        self
    }
}

/// What COMMAND DOCS says.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// One sentence, our own words.
    pub summary: &'static str,
    /// First Redis version that has it.
    pub since: &'static str,
    /// Cost in O-notation.
    pub complexity: &'static str,
    /// Version that deprecated it, or "".
    pub deprecated_since: &'static str,
    /// What to use instead, or "".
    pub replaced_by: &'static str,
    /// For those who work on the server, not for its users.
    pub system: bool,
    /// (version, what changed) pairs, our own words.
    pub history: &'static [(&'static str, &'static str)],
    /// Argument tree.
    pub args: &'static [Arg],
}

impl Doc {
    /// A command that is neither deprecated nor changed since it came, without arguments.
    pub const fn new(summary: &'static str, since: &'static str, complexity: &'static str) -> Doc {
        Doc {
            summary,
            since,
            complexity,
            deprecated_since: "",
            replaced_by: "",
            system: false,
            history: &[],
            args: &[],
        }
    }
    /// Deprecated since a version in favour of something else.
    pub const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> Doc {
        self.deprecated_since = since;
        self.replaced_by = replaced_by;
        self
    }
    /// For those who work on the server.
    pub const fn system(mut self) -> Doc {
        self.system = true;
        self
    }
    /// With (version, what changed) pairs.
    pub const fn history(mut self, history: &'static [(&'static str, &'static str)]) -> Doc {
        self.history = history;
        self
    }
    /// With an argument tree.
    pub const fn args(mut self, args: &'static [Arg]) -> Doc {
        self.args = args;
        self
    }
}

/// A command's row: the only place its name stands.
#[derive(Clone, Copy)]
pub struct CommandSpec {
    /// Lower case. A subcommand's row holds only its own word ("setname").
    pub name: &'static str,
    /// As in `COMMAND`: words in a call, the name (and subcommand) included; negative is a minimum.
    pub arity: i16,
    /// Flags, `internal` ones included.
    pub flags: Flags,
    /// ACL categories beyond those that follow from flags (write, read, fast or slow, blocking, admin).
    pub categories: Categories,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Position of the first element (field, member) it looks for in the collection at its key; 0 is none. Only a hint:
    /// the memory of the elements that a pipeline names is fetched ahead.
    pub element: usize,
    /// What it leaves in the log.
    pub propagate: Propagate,
    /// Who runs it.
    pub run: Run,
    /// Documentation.
    pub doc: Doc,
    /// Client hints, as `COMMAND` prints them.
    pub tips: &'static [&'static str],
    /// Rows of a container.
    pub subcommands: &'static [CommandSpec],
}

impl CommandSpec {
    /// What a row has where it says nothing.
    pub const EMPTY: CommandSpec = CommandSpec {
        name: "",
        arity: 0,
        flags: Flags::NONE,
        categories: Categories::NONE,
        keys: &[],
        element: 0,
        propagate: Propagate::Never,
        run: Run::Container,
        doc: Doc::new("", "", ""),
        tips: &[],
        subcommands: &[],
    };
    /// Whether the row writes.
    pub const fn is_write(&self) -> bool {
        self.flags.has(Flags::WRITE)
    }
    /// Whether a call of `argc` words fits the arity.
    pub const fn arity_fits(&self, argc: usize) -> bool {
        if self.arity >= 0 { argc == self.arity as usize } else { argc >= (-self.arity) as usize }
    }
}
