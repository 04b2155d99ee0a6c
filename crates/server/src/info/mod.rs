//! INFO: facts about the server, in sections of `name:value` lines.
//!
//! Fields and their meaning: <https://redis.io/docs/latest/commands/info/>. A field the reference prints is absent here
//! only where there is nothing true to say; the sections' files name those.

mod activity;
mod memory;
mod node;
mod rates;
mod sentinel;

pub(crate) use memory::{Allocator, ratio, resident_bytes};
pub use rates::{PerSecond, Rates, Totals};

use crate::config::Values;
use crate::shared::Shared;
use std::fmt::{Display, Write};

/// Keys of one database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyCount {
    /// All.
    pub(crate) keys: usize,
    /// Those that expire.
    pub(crate) expires: usize,
    /// Hashes with fields that expire.
    pub(crate) expiring_hashes: usize,
}

/// Everything a section may read.
pub(crate) struct Facts<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) values: &'a Values,
    /// By database; read before, because it needs the keyspace's locks.
    pub(crate) keys: Vec<KeyCount>,
    /// For the time commands took.
    pub(crate) clock: &'a quanta::Clock,
    /// Asked of a Sentinel.
    pub(crate) sentinel: bool,
}

impl Facts<'_> {
    /// The channels of whom is asked.
    fn hub(&self) -> &crate::pubsub::Hub {
        match &self.shared.sentinel {
            Some(sentinel) if self.sentinel => &sentinel.hub,
            _ => &self.shared.hub,
        }
    }
}

/// Text of sections.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// One line.
    pub(crate) fn field(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.text, "{name}:{value}\r\n");
    }

    /// The same number for several names.
    fn same(&mut self, names: &[&str], value: impl Display + Copy) {
        names.iter().for_each(|name| self.field(name, value));
    }

    /// A heading, after an empty line if something is above.
    fn heading(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\r\n");
        }
        let _ = write!(self.text, "# {title}\r\n");
    }
}

struct Section {
    title: &'static str,
    /// Printed by INFO without arguments.
    by_default: bool,
    /// Printed by INFO ALL. Modules are in EVERYTHING only.
    in_all: bool,
    whose: Whose,
    print: fn(&Facts<'_>, &mut Page),
}

/// Who has a section.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Servers.
    Servers,
    /// Servers and Sentinels.
    All,
    /// Sentinels, and servers that have failover built in.
    Sentinels,
}

const fn section(title: &'static str, print: fn(&Facts<'_>, &mut Page)) -> Section {
    Section { title, by_default: true, in_all: true, whose: Whose::Servers, print }
}

const SECTIONS: &[Section] = &[
    Section { whose: Whose::All, ..section("Server", node::server) },
    Section { whose: Whose::All, ..section("Clients", activity::clients) },
    section("Memory", memory::memory),
    section("Persistence", node::persistence),
    Section { whose: Whose::All, ..section("Stats", activity::stats) },
    section("Replication", node::replication),
    // Scripts look for the one `role` in what INFO prints by itself.
    Section { by_default: false, ..section("Ha", node::ha) },
    Section { whose: Whose::All, ..section("CPU", node::cpu) },
    // There are no modules, so the section is a heading.
    Section { in_all: false, ..section("Modules", |_, _| {}) },
    Section { by_default: false, ..section("Commandstats", activity::command_stats) },
    section("Errorstats", activity::error_stats),
    Section { by_default: false, ..section("Latencystats", activity::latency_stats) },
    section("Cluster", node::cluster),
    section("Keyspace", node::keyspace),
    Section { whose: Whose::Sentinels, ..section("Sentinel", sentinel::sentinel) },
];

/// Whether `words` (the arguments of INFO) ask for a section.
fn is_wanted(section: &Section, words: &[&[u8]]) -> bool {
    if words.is_empty() {
        return section.by_default;
    }
    words.iter().any(|word| {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        is("everything")
            || (is("all") && section.in_all)
            || (is("default") && section.by_default)
            || is(section.title)
    })
}

/// The text of the sections that `words` ask for; unknown names ask for nothing.
pub(crate) fn report(facts: &Facts<'_>, words: &[&[u8]]) -> String {
    let mut page = Page::default();
    let has = |section: &&Section| match section.whose {
        Whose::Servers => !facts.sentinel,
        Whose::All => true,
        Whose::Sentinels => facts.shared.ha.is_some(),
    };
    for section in SECTIONS.iter().filter(has).filter(|section| is_wanted(section, words)) {
        page.heading(section.title);
        (section.print)(facts, &mut page);
    }
    page.text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(words: &[&[u8]]) -> Vec<&'static str> {
        SECTIONS.iter().filter(|section| is_wanted(section, words)).map(|section| section.title).collect()
    }

    #[test]
    fn sections_by_name_and_by_group() {
        assert_eq!(titles(&[b"MEMORY", b"cpu", b"nothing"]), ["Memory", "CPU"]);
        assert!(!titles(&[]).contains(&"Commandstats"));
        assert_eq!(titles(&[]), titles(&[b"default"]));
        assert_eq!(titles(&[b"everything"]).len(), SECTIONS.len());
        assert_eq!(titles(&[b"all"]).len(), SECTIONS.len() - 1);
        assert_eq!(titles(&[b"default", b"commandstats"]).len(), titles(&[]).len() + 1);
    }

    #[test]
    fn a_page_has_headings_apart() {
        let mut page = Page::default();
        page.heading("A");
        page.field("x", 1);
        page.heading("B");
        assert_eq!(page.text, "# A\r\nx:1\r\n\r\n# B\r\n");
    }
}
