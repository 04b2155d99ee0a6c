//! Checking append-only files: one, or all that a manifest names; and cutting off what a crash has left half written.

use super::{Console, rdb, tells_version};
use redoubt_server::config::os_reason;
use redoubt_server::persistence::aof::{CommandReader, Manifest};
use redoubt_server::persistence::{Error, ErrorKind};
use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

/// Bytes of a manifest that are read.
const MANIFEST_MAX: u64 = 64 << 20;

/// What is to be done beside looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Look,
    /// Cut off what is damaged; without asking if so.
    Fix {
        unasked: bool,
    },
    /// Cut off what was written after this time, Unix seconds.
    TruncateTo(i64),
}

/// Runs the check; whether the files are good, in the end.
pub(super) fn run(name: &str, args: &[String], console: &mut Console<'_>) -> bool {
    if tells_version(name, args, console) {
        return true;
    }
    let asked = match args {
        [file] => Some((Action::Look, file)),
        [fix, file] if fix == "--fix" => Some((Action::Fix { unasked: false }, file)),
        [fix, yes, file] if fix == "--fix" && yes == "--yes" => Some((Action::Fix { unasked: true }, file)),
        [truncate, at, file] if truncate == "--truncate-to-timestamp" => {
            at.parse().ok().map(|at| (Action::TruncateTo(at), file))
        }
        _ => None,
    };
    let Some((action, file)) = asked.filter(|(_, file)| !file.starts_with("--")) else {
        eprintln!(
            "Usage: {name} [--fix [--yes]|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>"
        );
        return false;
    };
    let path = PathBuf::from(file);
    let checked = match manifest_of(&path) {
        Ok(Some(manifest)) => check_all(&path, &manifest, action, console),
        Ok(None) => check_alone(&path, action, console),
        Err(error) => Err(error),
    };
    checked.inspect_err(|error| eprintln!("{error}")).is_ok()
}

/// What says that the files are not good; it is for the operator.
type Checked = Result<(), String>;

fn cannot_open(path: &Path) -> impl Fn(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("Cannot open file {path}: {}", os_reason(&error))
}

/// The manifest in a file; `None` if the file is something else.
fn manifest_of(path: &Path) -> Result<Option<Manifest>, String> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(cannot_open(path))?;
    file.take(MANIFEST_MAX).read_to_end(&mut text).map_err(cannot_open(path))?;
    let named = path.extension().is_some_and(|extension| extension == "manifest");
    let looks = text.starts_with(b"file ") || text.starts_with(b"seq ") || text.starts_with(b"type ");
    if !named && !looks {
        return Ok(None);
    }
    match Manifest::parse(&text) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) => Err(format!("Invalid AOF manifest file format: {}: {error}", path.display())),
    }
}

fn check_alone(path: &Path, action: Action, console: &mut Console<'_>) -> Checked {
    console.say("Start checking Old-Style AOF");
    let empty = One { path, shown: path.display().to_string(), last: true }.check(action, console)?;
    let state = if empty { "empty" } else { "valid" };
    console.say(format_args!("AOF {} is {state}", path.display()));
    Ok(())
}

fn check_all(path: &Path, manifest: &Manifest, action: Action, console: &mut Console<'_>) -> Checked {
    console.say("Start checking Multi Part AOF");
    let folder = path.parent().unwrap_or(Path::new(""));
    let last = manifest.files().last().map(|entry| entry.name.clone());
    let check = |name: &str, what: &str, console: &mut Console<'_>| {
        let file = folder.join(name);
        let one = One { path: &file, shown: name.to_owned(), last: last.as_deref() == Some(name) };
        let empty = one.check(action, console)?;
        console.say(format_args!("{what} AOF {name} is {}", if empty { "empty" } else { "valid" }));
        Ok::<(), String>(())
    };
    if let Some(base) = &manifest.base {
        let rdb = File::open(folder.join(&base.name)).is_ok_and(begins_as_rdb);
        let form = if rdb { "RDB" } else { "AOF" };
        console.say(format_args!("Start to check BASE AOF ({form} format)."));
        check(&base.name, "BASE", console)?;
    }
    if !manifest.incremental.is_empty() {
        console.say("Start to check INCR files.");
        for entry in &manifest.incremental {
            check(&entry.name, "INCR", console)?;
        }
    }
    console.say("All AOF files and manifest are valid");
    Ok(())
}

fn begins_as_rdb(file: File) -> bool {
    let mut magic = Vec::new();
    file.take(5).read_to_end(&mut magic).is_ok() && magic == b"REDIS"
}

/// One of the files.
struct One<'o> {
    path: &'o Path,
    /// How messages call it.
    shown: String,
    /// No file follows: only this one may be cut.
    last: bool,
}

/// What a look at a file found.
struct Look {
    size: u64,
    /// Place after the last whole command outside of MULTI.
    intact: u64,
    /// The line there.
    line: u64,
    damage: Option<Error>,
    /// Place of the first annotation of a later time than asked for.
    later: Option<u64>,
}

impl One<'_> {
    /// Checks it, and cuts it where that is asked for. Whether it is empty.
    fn check(&self, action: Action, console: &mut Console<'_>) -> Result<bool, String> {
        let opened = cannot_open(self.path);
        let file = File::open(self.path).map_err(&opened)?;
        let size = file.metadata().map_err(&opened)?.len();
        if size == 0 {
            return Ok(true);
        }
        let look = self.look(file, size, action, console)?;
        match action {
            Action::TruncateTo(at) if look.damage.is_none() || look.later.is_some() => {
                return self.truncate_to(&look, at, console).map(|()| false);
            }
            _ => {}
        }
        if let Some(error) = &look.damage {
            console.say(format_args!("0x{:>16x}: {}", error.offset, error.kind));
        }
        console.say(format_args!(
            "AOF analyzed: filename={}, size={size}, ok_up_to={}, ok_up_to_line={}, diff={}",
            self.shown,
            look.intact,
            look.line,
            size - look.intact
        ));
        if look.intact == size {
            return Ok(false);
        }
        match action {
            Action::Fix { unasked } => self.fix(&look, unasked, console).map(|()| false),
            _ => Err(format!("AOF {} is not valid. Use the --fix option to try fixing it.", self.shown)),
        }
    }

    /// Reads all of it.
    fn look(
        &self,
        mut file: File,
        size: u64,
        action: Action,
        console: &mut Console<'_>,
    ) -> Result<Look, String> {
        let again = file.try_clone().map_err(cannot_open(self.path))?;
        let snapshot = begins_as_rdb(again);
        file.rewind().map_err(cannot_open(self.path))?;
        if !snapshot {
            return Ok(look_at_commands(file, 0, size, action));
        }
        console.say(format_args!("[offset 0] Checking RDB file {}", self.shown));
        let Some((bytes, rest, file)) = rdb::check(file, console) else {
            return Err(format!(
                "RDB preamble of AOF file is not sane, aborting. {} cannot be repaired here.",
                self.shown
            ));
        };
        console.say("RDB preamble is OK, proceeding with AOF tail...");
        Ok(look_at_commands(Cursor::new(rest).chain(file), bytes, size, action))
    }

    fn truncate_to(&self, look: &Look, at: i64, console: &mut Console<'_>) -> Checked {
        let Some(place) = look.later else {
            console.say(format_args!("Truncate nothing in AOF {} to timestamp {at}", self.shown));
            return Ok(());
        };
        if place == 0 {
            let path = self.path.display();
            return Err(format!("AOF {path} has nothing before timestamp {at}, aborting..."));
        }
        if !self.last {
            return Err(format!(
                "Failed to truncate AOF {} to timestamp {at} to offset {place} because it is not the last file.",
                self.shown
            ));
        }
        self.cut(place)?;
        console.say(format_args!("Successfully truncated AOF {} to timestamp {at}", self.shown));
        Ok(())
    }

    fn fix(&self, look: &Look, unasked: bool, console: &mut Console<'_>) -> Checked {
        if !self.last {
            return Err(format!("Failed to truncate AOF {} because it is not the last file", self.shown));
        }
        let (size, intact) = (look.size, look.intact);
        console.say(format_args!(
            "This will shrink the AOF {} from {size} bytes, with {} bytes, to {intact} bytes",
            self.shown,
            size - intact
        ));
        if !unasked && !console.confirms() {
            return Err("Aborting...".into());
        }
        self.cut(intact)?;
        console.say(format_args!("Successfully truncated AOF {}", self.shown));
        Ok(())
    }

    fn cut(&self, len: u64) -> Checked {
        let cut = |file: File| file.set_len(len).and_then(|()| file.sync_all());
        let done = OpenOptions::new().write(true).open(self.path).and_then(cut);
        done.map_err(|error| format!("Failed to truncate AOF {}: {}", self.shown, os_reason(&error)))
    }
}

fn look_at_commands(source: impl Read, offset: u64, size: u64, action: Action) -> Look {
    let mut reader = CommandReader::new(source, offset, size);
    let mut look = Look { size, intact: offset, line: 1, damage: None, later: None };
    // Lines up to `intact`; those of a MULTI that is open do not count yet.
    let (mut lines, mut counted) = (1, offset);
    loop {
        let (place, timestamp, found) = match reader.next_chunk() {
            Ok(Some(chunk)) => {
                let found = memchr::memchr_iter(b'\n', chunk.bytes).count() as u64;
                (chunk.offset, chunk.timestamp, found)
            }
            Ok(None) => break,
            Err(error) => {
                look.damage = Some(error);
                break;
            }
        };
        if let Action::TruncateTo(at) = action
            && timestamp.is_some_and(|found| found > at)
        {
            look.later = Some(place);
            break;
        }
        lines += found + u64::from(timestamp.is_some());
        if reader.intact() > counted {
            (look.line, counted) = (lines, reader.intact());
        }
    }
    look.intact = reader.intact();
    if look.damage.is_none() && look.later.is_none() && look.intact < size {
        look.damage = Some(Error { offset: size, kind: ErrorKind::Truncated });
    }
    look
}
