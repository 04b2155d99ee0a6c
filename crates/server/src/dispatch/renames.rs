//! `rename-command`: the table as this server's configuration names it.

use crate::config::Rename;
use hashbrown::HashMap;
use redoubt_commands::table::{self, Command, Index};

/// Names that differ from the table's: to a command, or to none when it was removed.
pub struct Renames {
    names: HashMap<Vec<u8>, Option<&'static Command>, foldhash::fast::RandomState>,
}

impl Renames {
    /// `None` when nothing was renamed. The configuration has checked the names.
    pub fn new(renames: &[Rename]) -> Option<Renames> {
        if renames.is_empty() {
            return None;
        }
        let mut names: HashMap<_, Option<&'static Command>, _> = HashMap::default();
        for rename in renames {
            let command = names
                .insert(rename.from.to_ascii_lowercase().into_bytes(), None)
                .unwrap_or_else(|| table::lookup(rename.from.as_bytes()));
            if !rename.to.is_empty() {
                names.insert(rename.to.to_ascii_lowercase().into_bytes(), command);
            }
        }
        Some(Renames { names })
    }

    /// The name that a command of the table answers to; nothing if it was removed.
    pub fn name_of(&self, name: &'static [u8]) -> Option<&[u8]> {
        if !self.names.contains_key(&name.to_ascii_lowercase()) {
            return Some(name);
        }
        let is_it = |command: &Command| command.spec.name.as_bytes().eq_ignore_ascii_case(name);
        self.names.iter().find(|(_, command)| command.is_some_and(is_it)).map(|(name, _)| name.as_slice())
    }

    /// The command that answers to this name, if it is among those seen.
    pub fn lookup(&self, name: &[u8], seen: &Index) -> Option<&'static Command> {
        match self.names.get(&name.to_ascii_lowercase()) {
            Some(renamed) => renamed.filter(|command| seen.lookup(command.spec.name.as_bytes()).is_some()),
            None => seen.lookup(name),
        }
    }
}
