//! redis.conf: lines of words, quotes, includes; and the same from the command line.
//!
//! Format: <https://redis.io/docs/latest/operate/oss_and_stack/management/config-file/>

use super::Config;
use super::table::{self, SETTINGS};
use super::value::{Kind, os_reason};
use std::path::{Path, PathBuf};

/// One `rename-command` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The command's name.
    pub from: String,
    /// Its new name; empty: the command is gone.
    pub to: String,
}

/// A line the configuration cannot be read past.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}\n>>> '{line}'\n{reason}")]
pub struct FileError {
    /// Where the line is.
    pub place: Place,
    /// The line, without blanks around it.
    pub line: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Where a line of configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, and the line in it from 1.
    File(PathBuf, usize),
    /// Standard input, and the line in it from 1.
    Stdin(usize),
    /// An option of the command line.
    CommandLine,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::File(path, line) => {
                write!(f, "Reading the configuration file, at line {line} of {}", path.display())
            }
            Place::Stdin(line) => {
                write!(f, "Reading the configuration file, at line {line} of the standard input")
            }
            Place::CommandLine => f.write_str("Reading the options of the command line"),
        }
    }
}

/// Includes within includes before a loop is assumed.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Reads configuration line by line into a `Config`.
pub struct Reader<'c> {
    config: &'c mut Config,
    /// Settings given since the reader began: the first line of one that accumulates replaces its default.
    seen: Vec<bool>,
    depth: usize,
}

impl Config {
    /// A reader that changes this configuration; the lines it reads belong together.
    pub fn reader(&mut self) -> Reader<'_> {
        let seen = vec![false; SETTINGS.len()];
        Reader { config: self, seen, depth: 0 }
    }

    /// Defaults, changed by the file at `path`, which CONFIG REWRITE will write.
    pub fn from_file(path: &Path) -> Result<Config, LoadError> {
        let mut config = Config::new();
        config.reader().file(path)?;
        config.file = Some(std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
        Ok(config)
    }

    /// Names the file CONFIG REWRITE writes.
    pub fn set_file(&mut self, path: PathBuf) {
        self.file = Some(path);
    }
}

/// Why a configuration file could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file itself cannot be read.
    #[error("Fatal error, can't open config file '{}': {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A line is wrong.
    #[error(transparent)]
    Line(#[from] FileError),
}

impl Reader<'_> {
    /// Reads a whole file.
    pub fn file(&mut self, path: &Path) -> Result<(), LoadError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let text = std::fs::read(&path)
            .map_err(|error| LoadError::Open { path: path.clone(), reason: os_reason(&error) })?;
        self.lines(&String::from_utf8_lossy(&text), |line| Place::File(path.clone(), line))?;
        Ok(())
    }

    /// Reads lines that came over standard input.
    pub fn stdin(&mut self, text: &str) -> Result<(), FileError> {
        self.lines(text, Place::Stdin)
    }

    /// Reads lines; `place` says where a line, counted from 1, stands.
    fn lines(&mut self, text: &str, place: impl Fn(usize) -> Place) -> Result<(), FileError> {
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_matches([' ', '\t', '\r', '\n']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |reason| FileError { place: place(at + 1), line: line.into(), reason };
            let Some(words) = split_words(line) else {
                return Err(fail("Unbalanced quotes in configuration line".into()));
            };
            if words.is_empty() {
                continue;
            }
            match self.words(&words) {
                Ok(()) => {}
                Err(Wrong::Reason(reason)) => return Err(fail(reason)),
                Err(Wrong::Nested(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads one option of the command line: a setting's name and its values.
    pub fn option(&mut self, words: &[String]) -> Result<(), FileError> {
        self.words(words).map_err(|wrong| match wrong {
            Wrong::Nested(error) => error,
            Wrong::Reason(reason) => {
                let values = words[1..].iter().map(|word| format!(" \"{word}\""));
                let line = words[..1].iter().cloned().chain(values).collect();
                FileError { place: Place::CommandLine, line, reason }
            }
        })
    }

    fn words(&mut self, words: &[String]) -> Result<(), Wrong> {
        const BAD: &str = "Bad directive or wrong number of arguments";
        let name = words[0].to_ascii_lowercase();
        let values: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        match (name.as_str(), values.as_slice()) {
            ("include", [pattern]) => self.include(pattern),
            ("rename-command", [from, to]) => {
                self.config.renames.push(Rename { from: (*from).into(), to: (*to).into() });
                Ok(())
            }
            ("user", _) => Err(Wrong::reason("users of access control lists are not supported yet")),
            ("loadmodule", _) => Err(Wrong::reason("modules are not supported")),
            ("sentinel", _) => {
                Err(Wrong::reason("this is no Sentinel: sentinel directives are not supported"))
            }
            (name, _) if table::IGNORED.contains(&name) => Ok(()),
            (name, values) => match table::find(name) {
                Some((index, _)) => self.setting(index, values),
                None => Err(Wrong::reason(BAD)),
            },
        }
    }

    fn setting(&mut self, index: usize, values: &[&str]) -> Result<(), Wrong> {
        let kind = SETTINGS[index].kind;
        let fresh = kind == Kind::Save && !self.seen[index];
        let before = (kind.accumulates() && !fresh).then(|| self.config.values[index].clone());
        let value = kind.parse(values, before.as_ref()).map_err(Wrong::Reason)?;
        self.config.values[index] = value;
        self.seen[index] = true;
        Ok(())
    }

    fn include(&mut self, pattern: &str) -> Result<(), Wrong> {
        if self.depth == INCLUDE_DEPTH_MAX {
            return Err(Wrong::reason("includes are nested too deeply"));
        }
        self.depth += 1;
        for path in expand(Path::new(pattern)) {
            self.file(&path).map_err(|error| match error {
                LoadError::Line(error) => Wrong::Nested(error),
                open @ LoadError::Open { .. } => Wrong::Reason(open.to_string()),
            })?;
        }
        self.depth -= 1;
        Ok(())
    }
}

/// What is wrong with a line: itself, or a line of a file it includes.
enum Wrong {
    Reason(String),
    Nested(FileError),
}

impl Wrong {
    fn reason(text: &str) -> Wrong {
        Wrong::Reason(text.into())
    }
}

/// The files a path with glob characters stands for, sorted; a path without them stands for itself, there or not.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let is_glob = |part: &std::ffi::OsStr| part.to_string_lossy().contains(['*', '?', '[']);
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str();
        if !is_glob(part) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        found = found.iter().flat_map(|folder| matching(folder, part.to_string_lossy().as_bytes())).collect();
    }
    if is_glob(pattern.as_os_str()) {
        found.retain(|path| path.exists());
    }
    found
}

/// Entries of `folder` whose name fits `pattern`, sorted; hidden ones only if the pattern begins with a dot.
fn matching(folder: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(listed).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name()).filter(|name| {
        let name = name.as_encoded_bytes();
        (pattern[0] == b'.' || name.first() != Some(&b'.')) && redoubt_store::glob::matches(pattern, name)
    });
    let mut found: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
    found.sort();
    found
}

/// The words of a line: blanks separate, `"..."` with escapes (`\n \r \t \b \a \xff \"`), `'...'` with `\'`.
/// `None` if a quote is not closed or something follows it directly.
pub fn split_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.as_bytes();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = one_word(rest)?;
        words.push(String::from_utf8_lossy(&word).into_owned());
        rest = after;
    }
}

fn one_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match rest.first() {
            None => return Some((word, rest)),
            Some(byte) if byte.is_ascii_whitespace() => return Some((word, rest)),
            Some(quote @ (b'"' | b'\'')) => {
                rest = quoted(&rest[1..], *quote, &mut word)?;
                let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
                return ends.then_some((word, rest));
            }
            Some(byte) => {
                word.push(*byte);
                rest = &rest[1..];
            }
        }
    }
}

/// Appends what stands before the closing `quote`; answers with what follows it.
fn quoted<'l>(mut rest: &'l [u8], quote: u8, word: &mut Vec<u8>) -> Option<&'l [u8]> {
    loop {
        match *rest {
            [] => return None,
            [byte, ..] if byte == quote => return Some(&rest[1..]),
            [b'\\', b'x', high, low, ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(high) << 4 | hex(low));
                rest = &rest[4..];
            }
            [b'\\', byte, ..] if quote == b'"' => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                rest = &rest[2..];
            }
            [b'\\', b'\'', ..] => {
                word.push(b'\'');
                rest = &rest[2..];
            }
            [byte, ..] => {
                word.push(byte);
                rest = &rest[1..];
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).expect("callers pass hexadecimal digits") as u8
}
