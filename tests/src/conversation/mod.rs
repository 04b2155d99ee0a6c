//! Conversation files: calls and the replies they must get. CONTRIBUTING.md describes the format for writers.

mod run;

pub use run::{Outcome, run};

use crate::{notation, words};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// A parsed file.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Where it is.
    pub path: PathBuf,
    /// `@both`: run in RESP2 and in RESP3.
    pub both: bool,
    /// `@ours`: not run against the reference.
    pub ours_only: bool,
    /// `@needs 8.0`: the reference is redis 8.0.
    pub needs_8: bool,
    /// `@config name value`: options the server is started with.
    pub config: Vec<(String, String)>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub struct Step {
    /// Line of the file, from 1.
    pub line: usize,
    /// The line itself.
    pub text: String,
    /// What to do.
    pub action: Action,
}

/// Kinds of steps.
#[derive(Clone, Debug)]
pub enum Action {
    /// `@client name`: goes on with this connection, opening it if it is new.
    Client(String),
    /// `@resp 3`: switches the connection with HELLO.
    Resp(u8),
    /// `> words`: sends, then reads.
    Call(Vec<Vec<u8>>, Expectation),
    /// `>! words`: sends without reading.
    Send(Vec<Vec<u8>>),
    /// `<`: reads a reply that is still to come.
    Read(Expectation),
}

/// An expected reply and where it stands.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// None where the file says nothing yet, to be filled by a rewrite.
    pub value: Option<notation::Expected>,
    /// Index of its first line in the file.
    pub first: usize,
    /// Number of its lines.
    pub count: usize,
}

/// Reads and parses a file.
///
/// # Errors
/// With file and line, when it is not a conversation.
pub fn load(path: &Path) -> Result<Conversation> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    parse(path, &text)
}

/// Parses the text of a file.
///
/// # Errors
/// With file and line, when it is not a conversation.
pub fn parse(path: &Path, text: &str) -> Result<Conversation> {
    let lines: Vec<String> = text.lines().map(str::to_string).collect();
    let mut conversation = Conversation {
        path: path.into(),
        both: false,
        ours_only: false,
        needs_8: false,
        config: Vec::new(),
        steps: Vec::new(),
    };
    let mut at = 0;
    while at < lines.len() {
        let used = parse_line(&mut conversation, &lines, at)
            .with_context(|| format!("{}:{}: {}", path.display(), at + 1, lines[at]))?;
        at += used;
    }
    Ok(conversation)
}

/// All `*.txt` below a folder, sorted.
///
/// # Errors
/// When a folder cannot be read.
pub fn find(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(find(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The folder of the conversation files.
pub fn cases_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// Takes the step that begins at a line; the number of lines it took.
fn parse_line(conversation: &mut Conversation, lines: &[String], at: usize) -> Result<usize> {
    let line = lines[at].trim_end();
    let mut used = 1;
    let action = if line.is_empty() || line.starts_with('#') {
        return Ok(1);
    } else if let Some(directive) = line.strip_prefix('@') {
        match parse_directive(conversation, directive)? {
            Some(action) => action,
            None => return Ok(1),
        }
    } else if let Some(call) = line.strip_prefix(">!") {
        Action::Send(split(call)?)
    } else if let Some(call) = line.strip_prefix('>') {
        let expectation = parse_expectation(lines, at + 1, "")?;
        used += expectation.count;
        Action::Call(split(call)?, expectation)
    } else if let Some(inline) = line.strip_prefix('<') {
        let expectation = parse_expectation(lines, at + 1, inline.trim_start())?;
        used += expectation.count;
        Action::Read(expectation)
    } else {
        bail!("neither a call, a reply to one, a directive nor a comment");
    };
    conversation.steps.push(Step { line: at + 1, text: line.into(), action });
    Ok(used)
}

fn parse_directive(conversation: &mut Conversation, directive: &str) -> Result<Option<Action>> {
    let (name, value) = directive.split_once(' ').unwrap_or((directive, ""));
    let header = matches!(name, "both" | "ours" | "needs" | "config");
    if header && !conversation.steps.is_empty() {
        bail!("@{name} belongs before the first call");
    }
    match (name, value) {
        ("both", "") => conversation.both = true,
        ("ours", "") => conversation.ours_only = true,
        ("needs", "8.0") => conversation.needs_8 = true,
        ("config", _) => {
            let (name, value) = value.split_once(' ').unwrap_or((value, ""));
            conversation.config.push((name.into(), value.into()));
        }
        ("client", name) if !name.is_empty() => return Ok(Some(Action::Client(name.into()))),
        ("resp", "2" | "3") if conversation.both => bail!("@resp does not go with @both"),
        ("resp", "2") => return Ok(Some(Action::Resp(2))),
        ("resp", "3") => return Ok(Some(Action::Resp(3))),
        _ => bail!("unknown directive"),
    }
    Ok(None)
}

/// The expectation whose first line is `inline`, if that is not empty, and whose other lines begin at `first`.
fn parse_expectation(lines: &[String], first: usize, inline: &str) -> Result<Expectation> {
    let ends = |line: &&String| line.trim().is_empty() || line.starts_with(['#', '@', '>', '<']);
    let count = lines[first..].iter().take_while(|line| !ends(line)).count();
    let mut block: Vec<String> = lines[first..first + count].to_vec();
    if !inline.is_empty() {
        block.insert(0, inline.into());
    }
    let value = if block.is_empty() { None } else { Some(notation::parse(&block)?) };
    Ok(Expectation { value, first, count })
}

fn split(call: &str) -> Result<Vec<Vec<u8>>> {
    let words = words::split(call).context("a quote is not closed")?;
    if words.is_empty() {
        bail!("a call needs a command");
    }
    Ok(words)
}
