//! Kinds of settings: how their values are read from words and printed.
//!
//! Forms and error texts are those of CONFIG SET and redis.conf: <https://redis.io/docs/latest/commands/config-set/>

use std::fmt::Write;
use std::path::PathBuf;

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A whole number within bounds, both included.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A whole number up to this one, or `auto`, which is kept as -1.
    IntOrAuto {
        /// Largest.
        max: i64,
    },
    /// A frequency: any non-negative number, held within 1 and 500.
    Hertz,
    /// File permission bits, octal.
    Octal,
    /// Bytes, with an optional unit (`1k` = 1000, `1kb` = 1024, ...).
    Memory {
        /// Fewest bytes.
        min: u64,
        /// Most bytes.
        max: u64,
    },
    /// Bytes, or a share of `maxmemory` (`10%`).
    MemoryOrPercent,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words.
    Flags(&'static [&'static str]),
    /// Any text; empty for none.
    Text,
    /// A file name without path; holds the reason to refuse a path.
    FileName(&'static str),
    /// An existing folder.
    Folder,
    /// Words (addresses).
    Words,
    /// Pairs of seconds and changes.
    Save,
    /// Class, hard limit, soft limit, seconds, several times.
    OutputLimits,
    /// Three scores between -2000 and 2000.
    OomScores,
    /// Classes of keyspace events, a letter each.
    KeyspaceEvents,
    /// Numbers between 0 and 100.
    Percentiles,
    /// Host and port, or `no one`.
    ReplicaOf,
}

/// Limits of one client class of `client-output-buffer-limit`; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes above which a client is closed at once.
    pub hard_bytes: u64,
    /// Bytes above which a client is closed after `soft_seconds`.
    pub soft_bytes: u64,
    /// Seconds above `soft_bytes` before the client is closed.
    pub soft_seconds: u64,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of `Kind::Bool`.
    Bool(bool),
    /// Of `Kind::Int`, `Kind::Hertz` and `Kind::Octal`.
    Int(i64),
    /// Of `Kind::Memory`, and of `Kind::MemoryOrPercent` given in bytes.
    Bytes(u64),
    /// Of `Kind::MemoryOrPercent` given as a share.
    Percent(u8),
    /// Of `Kind::Choice`.
    Choice(&'static str),
    /// Of the kinds that are one text.
    Text(String),
    /// Of `Kind::Words` and `Kind::Flags`.
    Words(Vec<String>),
    /// Of `Kind::Save` and `Kind::OomScores` (the latter as pairs of score and 0).
    Pairs(Vec<(i64, i64)>),
    /// Of `Kind::OutputLimits`: normal, replica, pubsub.
    Limits([OutputLimit; 3]),
    /// Of `Kind::Percentiles`.
    Numbers(Vec<f64>),
}

/// Letters of keyspace event classes, in the order CONFIG GET prints them (`A` stands for the first nine and `d`).
const EVENT_CLASSES: &str = "g$lshzxetd";
const BAD_INTEGER: &str = "argument couldn't be parsed into an integer";
const WRONG_COUNT: &str = "wrong number of arguments";

impl Kind {
    /// Whether a value is several words: CONFIG SET then splits its one argument at blanks.
    pub fn is_list(&self) -> bool {
        matches!(
            self,
            Kind::Flags(_)
                | Kind::Words
                | Kind::Save
                | Kind::OutputLimits
                | Kind::OomScores
                | Kind::Percentiles
                | Kind::ReplicaOf
        )
    }

    /// Whether each line of a file adds to the value rather than replacing it.
    pub fn accumulates(&self) -> bool {
        matches!(self, Kind::Save | Kind::OutputLimits)
    }

    /// Reads a value from the words of a line. `before` is the value so far, for kinds that change only a part of it.
    /// The error is Redis's reason.
    pub fn parse(&self, words: &[&str], before: Option<&Value>) -> Result<Value, String> {
        if self.is_list() {
            return self.parse_list(words, before);
        }
        let [word] = words else { return Err(WRONG_COUNT.into()) };
        match *self {
            Kind::Bool => match word.to_ascii_lowercase().as_str() {
                "yes" => Ok(Value::Bool(true)),
                "no" => Ok(Value::Bool(false)),
                _ => Err("argument must be 'yes' or 'no'".into()),
            },
            Kind::Int { min, max } => {
                let number = integer(word).ok_or(BAD_INTEGER)?;
                within(number, min, max).map(Value::Int)
            }
            Kind::IntOrAuto { .. } if word.eq_ignore_ascii_case("auto") => Ok(Value::Int(-1)),
            Kind::IntOrAuto { max } => {
                let number = integer(word).ok_or(BAD_INTEGER)?;
                within(number, 0, max).map(Value::Int)
            }
            Kind::Hertz => {
                let number = within(integer(word).ok_or(BAD_INTEGER)?, 0, i64::from(i32::MAX))?;
                Ok(Value::Int(number.clamp(1, 500)))
            }
            Kind::Octal => match i64::from_str_radix(word, 8) {
                Ok(number) if !word.starts_with('+') => within(number, 0, 0o777).map(Value::Int),
                _ => Err("argument couldn't be parsed as an octal number".into()),
            },
            Kind::Memory { min, max } => {
                let bytes = memory(word).ok_or("argument must be a memory value")?;
                within(bytes, min, max).map(Value::Bytes)
            }
            Kind::MemoryOrPercent => memory_or_percent(word),
            Kind::Choice(words) => one_of(words, word).map(Value::Choice),
            Kind::KeyspaceEvents => keyspace_events(word).map(Value::Text),
            Kind::FileName(reason) if word.contains('/') => Err(reason.into()),
            Kind::Folder => folder(word),
            _ => Ok(Value::Text((*word).into())),
        }
    }

    fn parse_list(&self, words: &[&str], before: Option<&Value>) -> Result<Value, String> {
        // One word may hold them all ("--save '3600 1 60 1000'"), as in CONFIG SET.
        let split: Vec<&str> = match words {
            [one] => one.split(' ').filter(|word| !word.is_empty()).collect(),
            several => several.to_vec(),
        };
        if words.is_empty() && !matches!(self, Kind::Save | Kind::Words | Kind::Percentiles | Kind::Flags(_))
        {
            return Err(WRONG_COUNT.into());
        }
        match *self {
            Kind::Flags(known) => flags(known, &split),
            Kind::Save => save(&split, before),
            Kind::OutputLimits => output_limits(&split, before),
            Kind::OomScores => oom_scores(&split),
            Kind::Percentiles => percentiles(&split),
            Kind::ReplicaOf => replica_of(&split),
            _ => Ok(Value::Words(split.into_iter().map(String::from).collect())),
        }
    }

    /// How the value is printed in the documentation.
    pub fn describe(&self) -> String {
        match self {
            Kind::Bool => "yes, no".into(),
            Kind::Int { min, max } if *max >= i64::from(i32::MAX) => format!("number from {min}"),
            Kind::Int { min, max } => format!("number, {min} to {max}"),
            Kind::IntOrAuto { .. } => "number from 0, auto".into(),
            Kind::Hertz => "number, 1 to 500".into(),
            Kind::Octal => "octal".into(),
            Kind::Memory { .. } => "bytes".into(),
            Kind::MemoryOrPercent => "bytes or share".into(),
            Kind::Choice(words) => words.join(", "),
            Kind::Flags(words) => format!("some of {}", words.join(", ")),
            Kind::Text => "text".into(),
            Kind::FileName(_) => "file name".into(),
            Kind::Folder => "folder".into(),
            Kind::Words => "words".into(),
            Kind::Save => "pairs of seconds and changes".into(),
            Kind::OutputLimits => "class, hard, soft, seconds".into(),
            Kind::OomScores => "three numbers".into(),
            Kind::KeyspaceEvents => "letters of KEAg$lshzxetdmn".into(),
            Kind::Percentiles => "numbers from 0 to 100".into(),
            Kind::ReplicaOf => "host and port".into(),
        }
    }
}

impl Value {
    /// The text CONFIG GET prints for a setting of kind `kind`.
    pub fn print(&self, kind: &Kind) -> String {
        match self {
            Value::Bool(value) => if *value { "yes" } else { "no" }.into(),
            Value::Int(value) if *kind == Kind::Octal => format!("{value:o}"),
            Value::Int(-1) if matches!(kind, Kind::IntOrAuto { .. }) => "auto".into(),
            Value::Int(value) => value.to_string(),
            Value::Bytes(value) => value.to_string(),
            Value::Percent(value) => format!("{value}%"),
            Value::Choice(word) => (*word).into(),
            Value::Text(text) if *kind == Kind::Folder => absolute(text),
            Value::Text(text) => text.clone(),
            Value::Words(words) => words.join(" "),
            Value::Pairs(pairs) if *kind == Kind::OomScores => join(pairs.iter().map(|(score, _)| score)),
            Value::Pairs(pairs) => {
                join(pairs.iter().map(|(seconds, changes)| format!("{seconds} {changes}")))
            }
            Value::Limits(limits) => join(limit_lines(limits).iter()),
            Value::Numbers(numbers) => join(numbers.iter()),
        }
    }

    /// The lines of a configuration file that give this value, without the setting's name; words are quoted where needed.
    pub fn lines(&self, kind: &Kind) -> Vec<String> {
        match self {
            Value::Bytes(bytes) => vec![with_unit(*bytes)],
            Value::Text(text) if *kind == Kind::ReplicaOf => {
                vec![if text.is_empty() { "no one".into() } else { text.clone() }]
            }
            Value::Text(text) if *kind == Kind::Folder => vec![quote(&absolute(text))],
            Value::Text(text) => vec![quote(text)],
            Value::Words(words) if words.is_empty() => vec!["\"\"".into()],
            Value::Words(words) => vec![join(words.iter().map(|word| quote(word)))],
            Value::Numbers(numbers) if numbers.is_empty() => vec!["\"\"".into()],
            Value::Pairs(pairs) if pairs.is_empty() => vec!["\"\"".into()],
            Value::Pairs(pairs) if *kind == Kind::Save => {
                pairs.iter().map(|(seconds, changes)| format!("{seconds} {changes}")).collect()
            }
            Value::Limits(limits) => {
                limit_lines(limits).iter().map(|line| line.replacen("slave", "replica", 1)).collect()
            }
            _ => vec![self.print(kind)],
        }
    }
}

fn within<T: PartialOrd + std::fmt::Display>(value: T, min: T, max: T) -> Result<T, String> {
    if value < min || value > max {
        return Err(format!("argument must be between {min} and {max} inclusive"));
    }
    Ok(value)
}

/// Digits with an optional minus: no plus, no blanks, no leading zeros.
fn integer(word: &str) -> Option<i64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let plain = digits == "0" && word != "-0" || digits.starts_with(|first: char| matches!(first, '1'..='9'));
    if plain { word.parse().ok() } else { None }
}

/// Bytes with an optional unit: `b`, `k` and `kb` and so on to `g`, in either case.
fn memory(word: &str) -> Option<u64> {
    let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// The largest unit that prints `bytes` without loss.
fn with_unit(bytes: u64) -> String {
    for (unit, factor) in [("gb", 1u64 << 30), ("mb", 1 << 20), ("kb", 1 << 10)] {
        if bytes != 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

fn memory_or_percent(word: &str) -> Result<Value, String> {
    if let Some(bytes) = memory(word) {
        return Ok(Value::Bytes(bytes));
    }
    let percent = word.strip_suffix('%').and_then(integer).filter(|percent| *percent >= 0);
    match percent {
        None => Err("argument must be a memory or percent value".into()),
        Some(percent) if percent > 100 => Err("percentage argument must be less or equal to 100".into()),
        Some(percent) => Ok(Value::Percent(percent as u8)),
    }
}

fn one_of(known: &'static [&'static str], word: &str) -> Result<&'static str, String> {
    let found = known.iter().copied().find(|choice| choice.eq_ignore_ascii_case(word));
    found.ok_or_else(|| unknown(known))
}

fn unknown(known: &[&str]) -> String {
    format!("argument(s) must be one of the following: {}", known.join(", "))
}

/// Flags, in the order of `known`.
fn flags(known: &'static [&'static str], words: &[&str]) -> Result<Value, String> {
    let chosen = words.iter().map(|word| one_of(known, word)).collect::<Result<Vec<_>, _>>()?;
    if chosen.is_empty() {
        return Err(unknown(known));
    }
    if chosen.contains(&"save") && chosen.contains(&"nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    let set = known.iter().filter(|flag| **flag != "default" && chosen.contains(*flag));
    let mut flags: Vec<String> = set.map(ToString::to_string).collect();
    if flags.is_empty() {
        flags.push("default".into());
    }
    Ok(Value::Words(flags))
}

fn folder(word: &str) -> Result<Value, String> {
    let path = absolute(word);
    match std::fs::metadata(&path) {
        Err(error) => Err(os_reason(&error)),
        Ok(found) if !found.is_dir() => Err("Not a directory".into()),
        Ok(_) => Ok(Value::Text(path)),
    }
}

/// The text of a system error, without Rust's "(os error 2)".
pub fn os_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

/// A path from the root, links resolved where it exists.
fn absolute(path: &str) -> String {
    let found = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    found.unwrap_or_else(|_| PathBuf::from(path)).to_string_lossy().into_owned()
}

fn save(words: &[&str], before: Option<&Value>) -> Result<Value, String> {
    const BAD: &str = "Invalid save parameters";
    let mut pairs = match before {
        Some(Value::Pairs(pairs)) if !words.is_empty() => pairs.clone(),
        _ => Vec::new(),
    };
    if !words.len().is_multiple_of(2) {
        return Err(BAD.into());
    }
    for pair in words.chunks_exact(2) {
        let seconds = integer(pair[0]).filter(|seconds| *seconds >= 1).ok_or(BAD)?;
        let changes = integer(pair[1]).filter(|changes| *changes >= 0).ok_or(BAD)?;
        pairs.push((seconds, changes));
    }
    Ok(Value::Pairs(pairs))
}

fn output_limits(words: &[&str], before: Option<&Value>) -> Result<Value, String> {
    const BAD: &str = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    let mut limits = match before {
        Some(Value::Limits(limits)) => *limits,
        _ => [OutputLimit::default(); 3],
    };
    if words.is_empty() || !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for class in words.chunks_exact(4) {
        let index = match class[0].to_ascii_lowercase().as_str() {
            "normal" => 0,
            "slave" | "replica" => 1,
            "pubsub" => 2,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let seconds = integer(class[3]).and_then(|seconds| u64::try_from(seconds).ok());
        limits[index] = OutputLimit {
            hard_bytes: memory(class[1]).ok_or(BAD)?,
            soft_bytes: memory(class[2]).ok_or(BAD)?,
            soft_seconds: seconds.ok_or(BAD)?,
        };
    }
    Ok(Value::Limits(limits))
}

fn limit_lines(limits: &[OutputLimit; 3]) -> [String; 3] {
    let line = |class: &str, limit: &OutputLimit| {
        format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
    };
    [line("normal", &limits[0]), line("slave", &limits[1]), line("pubsub", &limits[2])]
}

fn oom_scores(words: &[&str]) -> Result<Value, String> {
    if words.len() != 3 {
        return Err(WRONG_COUNT.into());
    }
    let score =
        |word: &&str| integer(word).filter(|score| (-2000..=2000).contains(score)).map(|score| (score, 0));
    let scores: Option<Vec<(i64, i64)>> = words.iter().map(score).collect();
    scores
        .map(Value::Pairs)
        .ok_or_else(|| "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into())
}

/// Checks the letters and puts them in the order the reference prints them.
fn keyspace_events(word: &str) -> Result<String, String> {
    if let Some(_unknown) = word.chars().find(|c| !"AKEmn".contains(*c) && !EVENT_CLASSES.contains(*c)) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let has = |class: char| word.contains(class) || (word.contains('A') && EVENT_CLASSES.contains(class));
    let mut text: String = EVENT_CLASSES.chars().filter(|class| has(*class)).collect();
    if text == EVENT_CLASSES {
        text = "A".into();
    }
    text.extend("KEmn".chars().filter(|class| has(*class)));
    Ok(text)
}

fn percentiles(words: &[&str]) -> Result<Value, String> {
    let mut numbers = Vec::with_capacity(words.len());
    for word in words {
        let number: f64 = word.parse().map_err(|_| "Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&number) {
            return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into());
        }
        numbers.push(number);
    }
    Ok(Value::Numbers(numbers))
}

fn replica_of(words: &[&str]) -> Result<Value, String> {
    match words {
        [] => Ok(Value::Text(String::new())),
        [no, one] if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") => {
            Ok(Value::Text(String::new()))
        }
        [host, port] => match integer(port) {
            Some(0..=65535) => Ok(Value::Text(format!("{host} {port}"))),
            _ => Err("Invalid master port".into()),
        },
        _ => Err(WRONG_COUNT.into()),
    }
}

fn join<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    let mut text = String::new();
    for item in items {
        let blank = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{blank}{item}");
    }
    text
}

/// A word as a configuration file holds it: in double quotes if it is empty or has a blank, quote or control character.
pub(super) fn quote(word: &str) -> String {
    let plain = !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#'));
    if plain {
        return word.to_string();
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_ascii_control() => {
                let _ = write!(text, "\\x{:02x}", c as u32);
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
