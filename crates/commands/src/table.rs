//! The command table: finds a command by name and holds what follows from its row, computed once.

use crate::args::Args;
use crate::error::CommandError;
use crate::spec::{BeginSearch, Categories, CommandSpec, FindKeys, Flags, Propagate, internal};
use crate::specs;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Rows that belong together, and the group COMMAND DOCS prints for them.
pub struct Family {
    /// Published name of the group.
    pub group: &'static str,
    /// The rows, sorted by name.
    pub rows: &'static [CommandSpec],
}

/// Every family the server answers to.
const FAMILIES: &[Family] = &[
    Family { group: "bitmap", rows: specs::bitmap::BITMAP },
    Family { group: "cluster", rows: specs::cluster::CLUSTER },
    Family { group: "connection", rows: specs::connection::CONNECTION },
    Family { group: "generic", rows: specs::generic::GENERIC },
    Family { group: "generic", rows: specs::replication::WAITING },
    Family { group: "geo", rows: specs::geo::GEO },
    Family { group: "hash", rows: specs::hash::HASH },
    Family { group: "hash", rows: specs::hash_fields::HASH_FIELDS },
    Family { group: "hyperloglog", rows: specs::hyperloglog::HYPERLOGLOG },
    Family { group: "list", rows: specs::list::LIST },
    Family { group: "pubsub", rows: specs::pubsub::PUBSUB },
    Family { group: "sentinel", rows: specs::sentinel::SENTINEL },
    Family { group: "server", rows: specs::replication::REPLICATION },
    Family { group: "server", rows: specs::server::SERVER },
    Family { group: "server", rows: specs::server_keys::SERVER_KEYS },
    Family { group: "set", rows: specs::set::SET },
    Family { group: "sorted-set", rows: specs::sorted_set::SORTED_SET },
    Family { group: "stream", rows: specs::stream::STREAM },
    Family { group: "string", rows: specs::string::STRING },
    Family { group: "transactions", rows: specs::transaction::TRANSACTION },
];

const _: () = {
    let mut family = 0;
    while family < FAMILIES.len() {
        check_rows(FAMILIES[family].rows, true);
        family += 1;
    }
};

/// Fails the build when a row forgets something that could not be noticed in a test of its handler.
const fn check_rows(rows: &[CommandSpec], top: bool) {
    let mut at = 0;
    while at < rows.len() {
        let row = &rows[at];
        assert!(!row.name.is_empty(), "a row has no name");
        assert!(row.arity != 0, "a row has no arity");
        assert!(!row.doc.summary.is_empty(), "a row has no summary");
        assert!(!row.doc.since.is_empty(), "a row does not say since when it is there");
        let replicated = !matches!(row.propagate, Propagate::Never);
        assert!(
            row.is_write() == replicated,
            "a row writes without a propagation rule, or the other way round"
        );
        let keyless = row.keys.is_empty() && !row.flags.has(internal::ALL_PARTITIONS);
        assert!(!(row.is_write() && keyless), "a row writes without keys and does not hold all partitions");
        assert!(top || row.subcommands.is_empty(), "subcommands have no subcommands");
        let container = matches!(row.run, crate::spec::Run::Container);
        assert!(!(container && row.subcommands.is_empty()), "a container has no subcommands");
        check_rows(row.subcommands, false);
        at += 1;
    }
}

/// First key, last key and step of the keys that lie in one arithmetic row, as `COMMAND` prints them; all 0 when
/// there is no such row. A negative `last` counts from the last argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// Position of the first key.
    pub first: i32,
    /// Position of the last key.
    pub last: i32,
    /// Distance between keys.
    pub step: i32,
}

/// A command of the table: its row, and what follows from it.
pub struct Command {
    /// The row.
    pub spec: &'static CommandSpec,
    /// Position among all commands and subcommands, for arrays of statistics; below `Table::len`.
    pub id: usize,
    /// Name as `COMMAND` prints it ("client|setname").
    pub full_name: &'static str,
    /// Published name of its group ("sorted-set").
    pub group: &'static str,
    /// The container it belongs to.
    pub parent: Option<&'static CommandSpec>,
    /// All its ACL categories.
    pub categories: Categories,
    /// Position of its only key when it always has exactly one, else 0.
    pub single_key: usize,
    /// The keys as an arithmetic row.
    pub range: KeyRange,
    /// Its subcommands, sorted by name.
    pub subcommands: Vec<Command>,
}

impl Command {
    /// The subcommand of this name, any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&Command> {
        self.subcommands.iter().find(|sub| sub.spec.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Fails unless a call of `argc` words fits the arity.
    #[inline]
    pub fn check_arity(&self, argc: usize) -> Result<(), CommandError> {
        if self.spec.arity_fits(argc) {
            return Ok(());
        }
        Err(CommandError::WrongArity(Cow::Borrowed(self.full_name)))
    }

    fn new(spec: &'static CommandSpec, group: &'static str, parent: Option<&'static CommandSpec>) -> Command {
        let full_name = match parent {
            None => spec.name,
            // Made once per process, with the table.
            Some(parent) => String::leak(format!("{}|{}", parent.name, spec.name)),
        };
        Command {
            spec,
            id: 0,
            full_name,
            group,
            parent,
            categories: categories(spec),
            single_key: single_key(spec),
            range: key_range(spec),
            subcommands: spec.subcommands.iter().map(|sub| Command::new(sub, group, Some(spec))).collect(),
        }
    }
}

/// The row's own categories and those its flags imply.
/// Rule: <https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/#command-categories>
fn categories(spec: &CommandSpec) -> Categories {
    let implied = [
        (Flags::WRITE, Categories::WRITE),
        (Flags::READONLY, Categories::READ),
        (Flags::ADMIN, Categories::ADMIN.with(Categories::DANGEROUS)),
        (Flags::PUBSUB, Categories::PUBSUB),
        (Flags::BLOCKING, Categories::BLOCKING),
        (Flags::FAST, Categories::FAST),
    ];
    let mut all = spec.categories;
    for (flag, category) in implied {
        if spec.flags.has(flag) {
            all = all.with(category);
        }
    }
    if all.has(Categories::FAST) { all } else { all.with(Categories::SLOW) }
}

fn single_key(spec: &CommandSpec) -> usize {
    match spec.keys {
        [key] => match (key.begin, key.find) {
            (BeginSearch::Index(at), FindKeys::Range { last: 0, .. }) => at as usize,
            _ => 0,
        },
        _ => 0,
    }
}

/// Joins adjacent groups of keys that begin at fixed positions, as far as they form one row.
fn key_range(spec: &CommandSpec) -> KeyRange {
    let mut range = KeyRange::default();
    for key in spec.keys {
        let (BeginSearch::Index(at), FindKeys::Range { last, step, .. }) = (key.begin, key.find) else {
            continue;
        };
        let last = if last < 0 { last } else { at + last };
        if range == KeyRange::default() {
            range = KeyRange { first: at, last, step };
        } else if step == 1 && range.step == 1 && range.last == at - 1 {
            range.last = last;
        } else {
            break;
        }
    }
    range
}

/// A slot of the name index: the folded name, and its command.
#[derive(Clone, Copy)]
struct Slot {
    name: Folded,
    command: Option<&'static Command>,
}

/// A name of up to 16 bytes in lower case, in two words that overlap, and its length.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Folded {
    head: u64,
    tail: u64,
    len: u64,
}

/// Longest name that `Folded` can hold.
const FOLDED_LEN_MAX: usize = 16;

impl Folded {
    #[inline]
    fn new(name: &[u8]) -> Option<Folded> {
        let len = name.len();
        let (head, tail) = match len {
            8..=FOLDED_LEN_MAX => (word8(name, 0), word8(name, len - 8)),
            4..=7 => (word4(name, 0), word4(name, len - 4)),
            1..=3 => {
                let bytes = [name[0], name[len / 2], name[len - 1]];
                (u64::from_le_bytes([bytes[0], bytes[1], bytes[2], 0, 0, 0, 0, 0]), 0)
            }
            _ => return None,
        };
        Some(Folded { head: lower(head), tail: lower(tail), len: len as u64 })
    }

    #[inline]
    fn hash(self) -> u64 {
        let mixed = self.head ^ self.tail.rotate_left(29) ^ self.len;
        (mixed ^ (mixed >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

#[inline]
fn word8(name: &[u8], at: usize) -> u64 {
    name[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline]
fn word4(name: &[u8], at: usize) -> u64 {
    name[at..].first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
}

/// Lower-cases eight ASCII bytes at once; other bytes stay as they are.
#[inline]
fn lower(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    // The upper bit of each byte tells, after the additions, whether the lower seven exceed a limit.
    let sevens = word & (ONES * 0x7F);
    let from_a = sevens + ONES * (0x80 - b'A' as u64);
    let past_z = sevens + ONES * (0x7F - b'Z' as u64);
    let upper = (from_a ^ past_z) & !word & (ONES * 0x80);
    word | (upper >> 2)
}

/// Who asks: not everybody sees every command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Clients of a server by itself.
    #[default]
    Server,
    /// Clients of a server with failover built in. They see all commands.
    Deployment,
    /// Clients of the port that is a Sentinel's.
    Sentinel,
}

impl Audience {
    fn sees(self, command: &Command) -> bool {
        let flags = command.spec.flags;
        match self {
            Audience::Server => !flags.any(internal::ONLY_SENTINEL.with(internal::ONLY_DEPLOYMENT)),
            Audience::Deployment => true,
            Audience::Sentinel => flags.any(internal::SENTINEL.with(internal::ONLY_SENTINEL)),
        }
    }
}

/// The commands an audience sees, by name.
pub struct Index {
    commands: Vec<&'static Command>,
    slots: Vec<Slot>,
    shift: u32,
    /// Commands whose names are too long for the slots.
    long: Vec<&'static Command>,
}

impl Index {
    fn build(commands: &'static [Command], audience: Audience) -> Index {
        let commands: Vec<&'static Command> =
            commands.iter().filter(|command| audience.sees(command)).collect();
        let capacity = (commands.len() * 4).next_power_of_two();
        let mut index = Index {
            slots: vec![Slot { name: Folded::default(), command: None }; capacity],
            shift: 64 - capacity.trailing_zeros(),
            long: Vec::new(),
            commands: Vec::new(),
        };
        commands.iter().for_each(|command| index.add(command));
        index.commands = commands;
        index
    }

    fn add(&mut self, command: &'static Command) {
        let Some(name) = Folded::new(command.spec.name.as_bytes()) else {
            self.long.push(command);
            return;
        };
        let mut at = (name.hash() >> self.shift) as usize;
        while self.slots[at].command.is_some() {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Slot { name, command: Some(command) };
    }

    /// The command of this name, any case. Containers are found, subcommands are not.
    #[inline]
    pub fn lookup(&self, name: &[u8]) -> Option<&'static Command> {
        let Some(folded) = Folded::new(name) else {
            return self.lookup_long(name);
        };
        let mut at = (folded.hash() >> self.shift) as usize;
        loop {
            let slot = &self.slots[at];
            if slot.name == folded {
                return slot.command;
            }
            slot.command?;
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    #[cold]
    fn lookup_long(&self, name: &[u8]) -> Option<&'static Command> {
        self.long.iter().copied().find(|command| command.spec.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command or subcommand of a full name, any case ("client|setname").
    pub fn lookup_full(&self, name: &[u8]) -> Option<&'static Command> {
        match name.iter().position(|byte| *byte == b'|') {
            None => self.lookup(name),
            Some(bar) => self.lookup(&name[..bar])?.subcommand(&name[bar + 1..]),
        }
    }

    /// The command or subcommand a call names; fails with Redis's texts for unknown ones. The arity is not checked.
    #[inline]
    pub fn find(&self, args: &Args<'_>) -> Result<&'static Command, CommandError> {
        match self.lookup(args.get(0)) {
            None => Err(unknown_command(args)),
            Some(command) if command.subcommands.is_empty() || args.len() == 1 => Ok(command),
            Some(command) => command.subcommand(args.get(1)).ok_or_else(|| unknown_subcommand(command, args)),
        }
    }

    /// Commands, containers but not subcommands, sorted by name.
    pub fn commands(&self) -> &[&'static Command] {
        &self.commands
    }

    /// Commands, and after each its subcommands.
    pub fn all(&self) -> impl Iterator<Item = &'static Command> {
        self.commands.iter().flat_map(|command| [*command].into_iter().chain(&command.subcommands))
    }
}

/// All commands.
pub struct Table {
    by_id: Vec<&'static Command>,
    indexes: [Index; 3],
}

impl Table {
    fn build() -> Table {
        let rows = FAMILIES.iter().flat_map(|family| family.rows.iter().map(|row| (family.group, row)));
        let mut commands: Vec<Command> = rows.map(|(group, row)| Command::new(row, group, None)).collect();
        commands.sort_by_key(|command| command.spec.name);
        let mut next = 0;
        for command in &mut commands {
            command.id = next;
            next += 1;
            for sub in &mut command.subcommands {
                sub.id = next;
                next += 1;
            }
        }
        let commands: &'static [Command] = Vec::leak(commands);
        let audiences = [Audience::Server, Audience::Deployment, Audience::Sentinel];
        let indexes = audiences.map(|audience| Index::build(commands, audience));
        Table { by_id: indexes[Audience::Deployment as usize].all().collect(), indexes }
    }

    /// What an audience sees.
    #[inline]
    pub fn seen_by(&self, audience: Audience) -> &Index {
        &self.indexes[audience as usize]
    }

    /// The command of this name, any case, whoever sees it. Containers are found, subcommands are not.
    #[inline]
    pub fn lookup(&self, name: &[u8]) -> Option<&'static Command> {
        self.seen_by(Audience::Deployment).lookup(name)
    }

    /// The command or subcommand of a full name, any case ("client|setname"), whoever sees it.
    pub fn lookup_full(&self, name: &[u8]) -> Option<&'static Command> {
        self.seen_by(Audience::Deployment).lookup_full(name)
    }

    /// All commands, containers but not subcommands, sorted by name.
    pub fn commands(&self) -> &[&'static Command] {
        self.seen_by(Audience::Deployment).commands()
    }

    /// The command or subcommand with this id.
    pub fn by_id(&self, id: usize) -> &'static Command {
        self.by_id[id]
    }

    /// Number of commands and subcommands: one more than the highest id.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::build);

/// The table. Keep the reference where lookups are frequent.
#[inline]
pub fn table() -> &'static Table {
    &TABLE
}

/// The command of this name, any case, whoever sees it. Containers are found, subcommands are not.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    TABLE.lookup(name)
}

/// The command or subcommand a call names, whoever sees it; see [`Index::find`].
#[inline]
pub fn find(args: &Args<'_>) -> Result<&'static Command, CommandError> {
    TABLE.seen_by(Audience::Deployment).find(args)
}

/// Bytes of an unknown name that are repeated to the client, and of the arguments behind it.
const QUOTED_LEN_MAX: usize = 128;

/// Names the words it saw, so that a client that lost its framing can be told apart from a misspelling.
#[cold]
pub fn unknown_command(args: &Args<'_>) -> CommandError {
    let mut quoted = Vec::new();
    for word in args.rest(1) {
        if quoted.len() >= QUOTED_LEN_MAX {
            break;
        }
        let shown = printable(word, QUOTED_LEN_MAX - quoted.len());
        quoted.push(b'\'');
        quoted.extend_from_slice(shown);
        quoted.extend_from_slice(b"' ");
    }
    let name = String::from_utf8_lossy(printable(args.get(0), QUOTED_LEN_MAX));
    let quoted = String::from_utf8_lossy(&quoted);
    CommandError::owned(format!("ERR unknown command '{name}', with args beginning with: {quoted}"))
}

/// Names the subcommand a container does not have.
#[cold]
pub fn unknown_subcommand(command: &Command, args: &Args<'_>) -> CommandError {
    let word = String::from_utf8_lossy(printable(args.get(1), QUOTED_LEN_MAX));
    let container = command.spec.name.to_ascii_uppercase();
    CommandError::owned(format!("ERR unknown subcommand '{word}'. Try {container} HELP."))
}

/// The beginning of `word` up to `limit` bytes, ended by a NUL byte as in Redis.
fn printable(word: &[u8], limit: usize) -> &[u8] {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    &word[..end.min(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        for family in FAMILIES {
            assert!(family.rows.is_sorted_by(|a, b| a.name < b.name), "{}", family.group);
            for row in family.rows {
                assert!(row.subcommands.is_sorted_by(|a, b| a.name < b.name), "{}", row.name);
            }
        }
        assert!(table().commands().is_sorted_by(|a, b| a.spec.name < b.spec.name));
    }

    #[test]
    fn every_name_is_found_in_any_case() {
        for (id, command) in (0..table().len()).map(|id| (id, table().by_id(id))) {
            assert_eq!(command.id, id);
            let upper = command.full_name.to_ascii_uppercase();
            let found = table().lookup_full(upper.as_bytes()).expect("listed commands are found");
            assert_eq!(found.id, id, "{upper}");
        }
        for name in ["", "g", "pinG ", "pin\u{7}", "nosuchcommandhasthatname", "client|", "multi\0"] {
            assert!(lookup(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn not_everybody_sees_every_command() {
        let seen =
            |audience: Audience, name: &str| table().seen_by(audience).lookup(name.as_bytes()).is_some();
        for (name, expected) in [
            ("get", [true, true, false]),
            ("ping", [true, true, true]),
            ("sentinel", [false, true, true]),
            ("cluster", [false, true, false]),
        ] {
            let audiences = [Audience::Server, Audience::Deployment, Audience::Sentinel];
            assert_eq!(audiences.map(|audience| seen(audience, name)), expected, "{name}");
        }
        let all: usize = table().seen_by(Audience::Deployment).all().count();
        assert_eq!(all, table().len());
    }

    #[test]
    fn folding_touches_letters_only() {
        let all: Vec<u8> = (0..=255).collect();
        for chunk in all.chunks(8) {
            let expected: Vec<u8> = chunk.iter().map(u8::to_ascii_lowercase).collect();
            assert_eq!(lower(word8(chunk, 0)).to_le_bytes().as_slice(), expected);
        }
    }

    #[test]
    fn unknown_names_are_quoted_up_to_a_limit() {
        let long = [b'x'; 300];
        let words: [&[u8]; 4] = [b"foo", b"a\0b", &long, b"never"];
        let error = unknown_command(&Args::new(&words)).to_string();
        let cut = "x".repeat(124);
        assert_eq!(error, format!("ERR unknown command 'foo', with args beginning with: 'a' '{cut}' "));
        let words: [&[u8]; 2] = [b"client", b"Foo"];
        let error = find(&Args::new(&words)).err().expect("no such subcommand").to_string();
        assert_eq!(error, "ERR unknown subcommand 'Foo'. Try CLIENT HELP.");
    }
}
