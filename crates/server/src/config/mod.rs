//! Configuration: the values of all settings, CONFIG GET and SET on them, files, the command line.
//!
//! `Config` is plain data: reading a file and CONFIG SET change it, `Config::values` copies out what the engine reads,
//! typed. Acting on a change is the server's part: `set` answers with what changed, `undo` takes it back.

mod docs;
mod file;
mod ha;
mod replication;
mod rewrite;
mod table;
mod typed;
mod value;

#[cfg(test)]
mod reference_test;
#[cfg(test)]
mod tests;

pub use docs::docs_table;
pub use file::{FileError, LoadError, Place, Reader, Rename, split_words};
pub use ha::{HaValues, Routing, host_and_port, join_host_port};
pub use replication::ReplicationValues;
pub use rewrite::RewriteError;
pub use table::{Change, Effect, GROUPS, Group, SETTINGS, Scope, Setting};
pub use typed::{Allow, LogFormat, LogLevel, OutputLimits, SnapshotValues, Values};
pub use value::{Kind, OutputLimit, Value, os_reason};

use std::path::{Path, PathBuf};

/// The value of every setting.
#[derive(Clone, Debug)]
pub struct Config {
    values: Vec<Value>,
    /// Where the configuration was read from, if it was a file: CONFIG REWRITE writes there.
    file: Option<PathBuf>,
    renames: Vec<Rename>,
}

/// Why CONFIG SET refused; the text is the reply's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No setting has this name.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// A value that does not fit, or a setting that may not change.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Refused {
        /// The setting, as the client called it.
        name: String,
        /// Redis's reason.
        reason: String,
    },
}

impl ConfigError {
    /// A refusal, for values that turn out not to work when the server applies them (an address it cannot bind).
    pub fn refused(name: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::Refused { name: name.into(), reason: reason.into() }
    }
}

/// What one CONFIG SET changed. Settings that were given the value they had are not in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    before: Vec<(usize, Value)>,
}

impl Changed {
    /// Names of the settings that changed, in the order given.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.before.iter().map(|(index, _)| SETTINGS[*index].name)
    }

    /// Whether the setting called `name` (today's name) changed.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|changed| changed == name)
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty()
    }
}

impl Default for Config {
    fn default() -> Config {
        let values = SETTINGS.iter().map(|setting| default_value(setting)).collect();
        Config { values, file: None, renames: Vec::new() }
    }
}

/// The value of a setting nobody configured.
fn default_value(setting: &Setting) -> Value {
    match (setting.kind, setting.default) {
        (_, "cores") => {
            Value::Int(std::thread::available_parallelism().map_or(1, |cores| cores.get().min(128) as i64))
        }
        // Not checked or resolved here: printing does it, and a folder that is gone fails where it is used.
        // `replicaof` without value is no line a file may hold.
        (Kind::Folder | Kind::ReplicaOf, path) => Value::Text(path.into()),
        (kind, text) => {
            let words: Vec<&str> =
                if kind.is_list() { text.split_whitespace().collect() } else { vec![text] };
            kind.parse(&words, None).expect("a test parses every default")
        }
    }
}

/// How CONFIG GET calls the setting `name` if `pattern` asks for it.
fn shown_as(pattern: &[u8], name: &str, hidden: bool) -> Option<String> {
    if pattern.eq_ignore_ascii_case(name.as_bytes()) {
        return Some(String::from_utf8_lossy(pattern).into_owned());
    }
    let fits = !hidden && redoubt_store::glob::matches_nocase(pattern, name.as_bytes());
    fits.then(|| name.to_owned())
}

impl Config {
    /// Defaults.
    pub fn new() -> Config {
        Config::default()
    }

    /// The file it was read from.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Commands to rename (`rename-command`), in order; an empty new name removes the command.
    pub fn renames(&self) -> &[Rename] {
        &self.renames
    }

    /// Sets one setting as a line of a configuration file would: settings fixed at the start are allowed.
    /// For programs that embed the server. The error is the reason.
    pub fn with(mut self, name: &str, value: &str) -> Result<Config, ConfigError> {
        let (index, name) = table::find(name).ok_or_else(|| ConfigError::Unknown(name.into()))?;
        self.values[index] =
            self.parse_text(index, value).map_err(|reason| ConfigError::refused(name, reason))?;
        Ok(self)
    }

    /// Names and texts of the settings that match any of the glob `patterns`, as CONFIG GET prints them: old names are
    /// entries of their own, each entry comes once, one that was asked for by its full name is called as it was there.
    /// Hidden settings match by their full name only.
    pub fn get<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (index, setting) in SETTINGS.iter().enumerate() {
            for name in setting.names() {
                let shown =
                    patterns.iter().find_map(|pattern| shown_as(pattern.as_ref(), name, setting.hidden));
                if let Some(shown) = shown {
                    found.push((shown, self.values[index].print(&setting.kind)));
                }
            }
        }
        found
    }

    /// Sets several settings at once, all or none, as CONFIG SET does. `local` says whether the client is connected over
    /// loopback or a unix socket, which `enable-protected-configs local` asks for.
    pub fn set(&mut self, pairs: &[(&str, &str)], local: bool) -> Result<Changed, ConfigError> {
        let mut targets: Vec<(usize, &'static str)> = Vec::with_capacity(pairs.len());
        for (name, _) in pairs {
            let (index, known) = table::find(name).ok_or_else(|| ConfigError::Unknown((*name).into()))?;
            let reason = match SETTINGS[index].change {
                Change::AtStart => Some("can't set immutable config"),
                Change::Protected if !self.protected_allowed(local) => Some("can't set protected config"),
                _ if targets.iter().any(|(other, _)| *other == index) => Some("duplicate parameter"),
                _ => None,
            };
            if let Some(reason) = reason {
                return Err(ConfigError::refused(name, reason));
            }
            targets.push((index, known));
        }
        let mut parsed = Vec::with_capacity(pairs.len());
        for ((index, name), (_, text)) in targets.into_iter().zip(pairs) {
            let value = self.parse_text(index, text).map_err(|reason| ConfigError::refused(name, reason))?;
            parsed.push((index, value));
        }
        let mut changed = Changed::default();
        for (index, value) in parsed {
            if self.values[index] != value {
                changed.before.push((index, std::mem::replace(&mut self.values[index], value)));
            }
        }
        Ok(changed)
    }

    /// Whether a setting says where or how data are kept: it stays as it is while they are being loaded.
    pub(crate) fn is_of_data(name: &str) -> bool {
        table::find(name).is_some_and(|(index, _)| SETTINGS[index].of_data)
    }

    /// Whether both names are of the same setting.
    pub(crate) fn is_same(one: &str, other: &str) -> bool {
        table::find(one).is_some_and(|(index, _)| table::find(other).is_some_and(|(found, _)| found == index))
    }

    /// The settings of these that belong to a whole deployment, by today's names and as CONFIG GET prints them once set.
    ///
    /// # Errors
    /// As `set` would fail.
    pub(crate) fn of_deployment(
        &self,
        pairs: &[(&str, &str)],
        local: bool,
    ) -> Result<Vec<(String, String)>, ConfigError> {
        let mut probe = self.clone();
        probe.set(pairs, local)?;
        let mut found = Vec::new();
        for (name, _) in pairs {
            let (index, _) = table::find(name).ok_or_else(|| ConfigError::Unknown((*name).into()))?;
            if SETTINGS[index].scope == Scope::Deployment {
                found.push((
                    SETTINGS[index].name.to_owned(),
                    probe.values[index].print(&SETTINGS[index].kind),
                ));
            }
        }
        Ok(found)
    }

    /// Takes over what the server came to by another way than CONFIG SET (REPLICAOF).
    pub(crate) fn note(&mut self, name: &str, text: &str) {
        if let Some((index, _)) = table::find(name)
            && let Ok(value) = self.parse_text(index, text)
        {
            self.values[index] = value;
        }
    }

    /// Takes back what one `set` changed (the server could not apply it).
    pub fn undo(&mut self, changed: Changed) {
        for (index, value) in changed.before {
            self.values[index] = value;
        }
    }

    /// The value of the setting called `name` (today's name).
    pub(crate) fn value(&self, name: &str) -> &Value {
        let (index, _) = table::find(name).expect("callers name settings of the table");
        &self.values[index]
    }

    /// CONFIG SET's reading: one text; kinds of several words are split at blanks, and give a whole new value but for
    /// the classes `client-output-buffer-limit` does not mention.
    fn parse_text(&self, index: usize, text: &str) -> Result<Value, String> {
        let kind = SETTINGS[index].kind;
        if !kind.is_list() {
            return kind.parse(&[text], None);
        }
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let before = (kind == Kind::OutputLimits).then(|| &self.values[index]);
        match (kind, words.is_empty()) {
            (Kind::OutputLimits, true) => kind.parse(&[""], before),
            _ => kind.parse(&words, before),
        }
    }

    /// Whether a client may change protected settings; `local`: it came over loopback or a unix socket.
    fn protected_allowed(&self, local: bool) -> bool {
        match self.value("enable-protected-configs") {
            Value::Choice("yes") => true,
            Value::Choice("local") => local,
            _ => false,
        }
    }
}
