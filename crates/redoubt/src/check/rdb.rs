//! Checking RDB files.

use super::{Console, tells_version};
use redoubt_server::persistence::rdb::{KeyRecord, Reader, Record};
use redoubt_server::persistence::{Error, ErrorKind};
use redoubt_server::store::{EncodingLimits, Value};
use std::fs::File;
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a file has.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    keys: u64,
    expires: u64,
    expired: u64,
    /// Keys by type.
    types: Vec<(&'static str, u64)>,
    functions: u64,
    empty: u64,
}

impl Statistics {
    fn count(&mut self, record: &KeyRecord, now_ms: i64) {
        self.keys += 1;
        if let Some(at) = record.expire_ms {
            self.expires += 1;
            self.expired += u64::from(at < now_ms);
        }
        let name = type_name(&record.value);
        match self.types.iter_mut().find(|(found, _)| *found == name) {
            Some((_, count)) => *count += 1,
            None => self.types.push((name, 1)),
        }
    }

    fn tell(&self, console: &mut Console<'_>) {
        console.say(format_args!("[info] {} keys read", self.keys));
        console.say(format_args!("[info] {} expires", self.expires));
        console.say(format_args!("[info] {} already expired", self.expired));
        for (name, count) in &self.types {
            console.say(format_args!("[info] {count} of type {name}"));
        }
        if self.functions > 0 {
            console.say(format_args!("[info] {} libraries of functions", self.functions));
        }
        if self.empty > 0 {
            console.say(format_args!("[info] {} empty keys, which are left out", self.empty));
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Int(_) | Value::Bytes(_) | Value::Raw(_) => "string",
        Value::List(_) => "list",
        Value::Hash(_) => "hash",
        Value::Set(_) => "set",
        Value::SortedSet(_) => "zset",
        Value::Stream(_) => "stream",
    }
}

/// Runs the check; whether the file is good.
pub(super) fn run(name: &str, args: &[String], console: &mut Console<'_>) -> bool {
    if tells_version(name, args, console) {
        return true;
    }
    let [path] = args else {
        eprintln!("Usage: {name} <rdb-file-name>");
        return false;
    };
    console.say(format_args!("[offset 0] Checking RDB file {path}"));
    match File::open(path) {
        Ok(file) => check(file, console).is_some(),
        Err(error) => {
            eprintln!("Cannot open file {path}: {}", redoubt_server::config::os_reason(&error));
            false
        }
    }
}

/// Checks what `source` has and says what it finds. The number of bytes if they are good, and what was read beyond.
pub(super) fn check<R: Read>(source: R, console: &mut Console<'_>) -> Option<(u64, Vec<u8>, R)> {
    let mut statistics = Statistics::default();
    let mut last = None;
    let outcome = Reader::new(source, EncodingLimits::default())
        .and_then(|mut reader| read(&mut reader, &mut statistics, &mut last, console).map(|()| reader));
    match outcome {
        Ok(reader) => {
            let offset = Reader::position(&reader);
            console.say(format_args!("[offset {offset}] Checksum OK"));
            console.say(format_args!("[offset {offset}] \\o/ RDB looks OK! \\o/"));
            statistics.empty = reader.empty_keys();
            statistics.tell(console);
            let (rest, source) = reader.into_rest();
            Some((offset, rest, source))
        }
        Err(Error { offset, kind }) => {
            console.say("--- RDB ERROR DETECTED ---");
            console.say(match kind {
                ErrorKind::Truncated => format!("[offset {offset}] Unexpected EOF reading RDB file"),
                ErrorKind::Checksum { .. } => format!("[offset {offset}] RDB CRC error: {kind}"),
                kind => format!("[offset {offset}] {kind}"),
            });
            if let Some(key) = last {
                console.say(format_args!("[additional info] The last good key is '{key}'"));
            }
            statistics.tell(console);
            None
        }
    }
}

fn read<R: Read>(
    reader: &mut Reader<R>,
    statistics: &mut Statistics,
    last: &mut Option<String>,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    while let Some(record) = reader.next() {
        let record = record?;
        let offset = Reader::position(reader);
        match record {
            Record::Aux(name, value) => {
                let (name, value) = (name.escape_ascii(), value.escape_ascii());
                console.say(format_args!("[offset {offset}] AUX FIELD {name} = '{value}'"));
            }
            Record::Select(db) => console.say(format_args!("[offset {offset}] Selecting DB ID {db}")),
            Record::Function(_) => statistics.functions += 1,
            Record::Key(record) => {
                statistics.count(&record, now_ms);
                *last = Some(record.key.escape_ascii().to_string());
            }
            Record::Resize { .. } | Record::End => {}
        }
    }
    Ok(())
}
