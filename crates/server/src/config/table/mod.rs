//! The table of settings: one row each, in groups. Nothing else knows a setting's name, kind, default or effect.
//!
//! Names, kinds, bounds and defaults are those of the reference's `CONFIG GET *`; `log-format` is our own.

mod clients;
mod cluster;
mod encoding;
mod ha;
mod logging;
mod memory;
mod network;
mod persistence;
mod process;
mod replication;
mod scripting;
mod security;
mod tls;

use super::value::Kind;
use std::sync::LazyLock;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The name CONFIG GET prints and files use, lower case.
    pub name: &'static str,
    /// Older names of the same setting.
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// The value without configuration, as CONFIG SET would take it ("cores": as many as the machine offers).
    pub default: &'static str,
    /// When it may change.
    pub change: Change,
    /// Says where or how data are kept: it stays as it is while they are being loaded.
    pub of_data: bool,
    /// Holds a password: never logged.
    pub secret: bool,
    /// CONFIG GET prints it only when asked for by its full name (settings of test suites).
    pub hidden: bool,
    /// Whether anything reads it here.
    pub effect: Effect,
    /// Whose it is where failover is built in.
    pub scope: Scope,
}

/// Whom a setting that CONFIG SET changes belongs to, where failover is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One value for all nodes: changed on one, it is agreed on, reaches all and outlives restarts.
    Deployment,
    /// Each node has its own.
    Node,
}

/// When a setting may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By CONFIG SET.
    Runtime,
    /// By configuration file and command line only.
    AtStart,
    /// By CONFIG SET only if `enable-protected-configs` allows.
    Protected,
}

/// Whether a setting does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The server acts on it.
    Applied,
    /// Accepted, kept and printed, nothing more; holds why.
    NoEffect(&'static str),
}

/// Settings that belong together.
#[derive(Debug)]
pub struct Group {
    /// Heading in the documentation.
    pub title: &'static str,
    /// The rows, in the order CONFIG GET prints them.
    pub rows: &'static [Setting],
}

/// All groups, in the order of the documentation.
pub static GROUPS: &[Group] = &[
    network::GROUP,
    clients::GROUP,
    memory::GROUP,
    encoding::GROUP,
    process::GROUP,
    logging::GROUP,
    security::GROUP,
    scripting::GROUP,
    persistence::GROUP,
    replication::GROUP,
    ha::GROUP,
    cluster::GROUP,
    tls::GROUP,
];

/// Every setting; a setting's index here is its place in `Config`.
pub static SETTINGS: LazyLock<Vec<&'static Setting>> =
    LazyLock::new(|| GROUPS.iter().flat_map(|group| group.rows).collect());

/// Lines the reference accepts in a file and ignores.
pub(super) const IGNORED: &[&str] =
    &["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"];

impl Setting {
    const fn new(name: &'static str, kind: Kind, default: &'static str) -> Setting {
        let (change, effect) = (Change::Runtime, Effect::Applied);
        let scope = Scope::Deployment;
        let (of_data, secret, hidden) = (false, false, false);
        Setting { name, aliases: &[], kind, default, change, of_data, secret, hidden, effect, scope }
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Setting {
        self.aliases = aliases;
        self
    }

    const fn at_start(mut self) -> Setting {
        (self.change, self.scope) = (Change::AtStart, Scope::Node);
        self
    }

    const fn protected(mut self) -> Setting {
        (self.change, self.scope) = (Change::Protected, Scope::Node);
        self
    }

    const fn of_node(mut self) -> Setting {
        self.scope = Scope::Node;
        self
    }

    const fn of_data(mut self) -> Setting {
        self.of_data = true;
        self
    }

    const fn secret(mut self) -> Setting {
        self.secret = true;
        self
    }

    const fn hidden(mut self) -> Setting {
        self.hidden = true;
        self
    }

    const fn no_effect(mut self, why: &'static str) -> Setting {
        self.effect = Effect::NoEffect(why);
        self
    }

    /// Its name and its older names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// The index in `SETTINGS` of the setting called `name` (any case, old names too), and the name that matched.
pub(super) fn find(name: &str) -> Option<(usize, &'static str)> {
    SETTINGS.iter().enumerate().find_map(|(index, setting)| {
        setting.names().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (index, known))
    })
}

const I32: i64 = i32::MAX as i64;
const I64: u64 = i64::MAX as u64;

const SHUTDOWN_FLAGS: &[&str] = &["default", "save", "nosave", "now", "force"];

const CLUSTER: &str = "kept for cluster mode, which is not there yet";
const TLS: &str = "kept for TLS, which is not there yet";
const SCRIPTING: &str = "kept for scripting, which is not there yet";
const ACL: &str = "kept for access control lists, which are not there yet";
const DEFRAG: &str = "memory is not defragmented in the background";
const CPU_LISTS: &str = "threads are placed by the operating system; use taskset or a cpuset";
const TITLE: &str = "the process keeps its command line as title";

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

const fn memory(min: u64, max: u64) -> Kind {
    Kind::Memory { min, max }
}
