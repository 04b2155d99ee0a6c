//! The manifest: which files count, and in which order.

use super::words;

/// Longest line, as in Redis.
const LINE_MAX: usize = 1024;

/// What a file is to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything up to some moment.
    Base,
    /// Commands from then on.
    Incremental,
    /// Of no use any more, to be removed.
    History,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Kind::Base => 'b',
            Kind::Incremental => 'i',
            Kind::History => 'h',
        }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the folder.
    pub name: String,
    /// Its number, counted apart for base and incremental files.
    pub seq: u64,
    /// What it is.
    pub kind: Kind,
}

/// The files of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The base file; a folder begun by a version without may have none.
    pub base: Option<Entry>,
    /// Incremental files, oldest first.
    pub incremental: Vec<Entry>,
    /// Files that a finished rewrite has replaced.
    pub history: Vec<Entry>,
}

/// What is wrong with a manifest; the reasons are Redis's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the manifest, '{text}': {reason}")]
pub struct ManifestError {
    /// Its number, from 1; 0: the file as a whole.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// At the first line that breaks a rule.
    pub fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        if text.is_empty() {
            let reason = "Found an empty AOF manifest";
            return Err(ManifestError { line: 0, text: String::new(), reason });
        }
        let body = text.strip_suffix(b"\n").unwrap_or(text);
        for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
            if line.first() == Some(&b'#') {
                continue;
            }
            let outcome = if line.len() + 2 > LINE_MAX {
                Err("The AOF manifest file contains too long line")
            } else {
                entry(line).and_then(|entry| manifest.add(entry))
            };
            outcome.map_err(|reason| {
                let text = String::from_utf8_lossy(line).trim().to_owned();
                ManifestError { line: index + 1, text, reason }
            })?;
        }
        Ok(manifest)
    }

    fn add(&mut self, entry: Entry) -> Result<(), &'static str> {
        match entry.kind {
            Kind::Base if self.base.is_some() => return Err("Found duplicate base file information"),
            Kind::Base => self.base = Some(entry),
            Kind::History => self.history.push(entry),
            Kind::Incremental if entry.seq <= self.incremental_seq() => {
                return Err("Found a non-monotonic sequence number");
            }
            Kind::Incremental => self.incremental.push(entry),
        }
        Ok(())
    }

    /// As the file holds it.
    pub fn to_text(&self) -> String {
        let entries = self.base.iter().chain(&self.history).chain(&self.incremental);
        let line = |entry: &Entry| {
            format!("file {} seq {} type {}\n", words::quote(&entry.name), entry.seq, entry.kind.letter())
        };
        entries.map(line).collect()
    }

    /// The files to read, in order.
    pub fn files(&self) -> impl Iterator<Item = &Entry> {
        self.base.iter().chain(&self.incremental)
    }

    /// Whether it names nothing to read.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incremental.is_empty()
    }

    /// Number of the base file; 0: there is none.
    pub fn base_seq(&self) -> u64 {
        self.base.as_ref().map_or(0, |entry| entry.seq)
    }

    /// Number of the last incremental file; 0: there is none.
    pub fn incremental_seq(&self) -> u64 {
        self.incremental.last().map_or(0, |entry| entry.seq)
    }

    /// Makes the base file history.
    pub(super) fn retire_base(&mut self) {
        self.history.extend(self.base.take().map(|entry| Entry { kind: Kind::History, ..entry }));
    }

    /// Makes all but the last `kept` incremental files history.
    pub(super) fn retire_incremental(&mut self, kept: usize) {
        let old = self.incremental.len() - kept.min(self.incremental.len());
        let old = self.incremental.drain(..old);
        self.history.extend(old.map(|entry| Entry { kind: Kind::History, ..entry }));
    }
}

/// Reads one line. Keys it does not know are those of newer versions.
fn entry(line: &[u8]) -> Result<Entry, &'static str> {
    const INVALID: &str = "Invalid AOF manifest file format";
    let line = std::str::from_utf8(line).map_err(|_| INVALID)?.trim();
    let words = words::split(line).ok_or(INVALID)?;
    if words.len() < 6 || !words.len().is_multiple_of(2) {
        return Err(INVALID);
    }
    let (mut name, mut seq, mut kind) = (None, None, None);
    for pair in words.chunks_exact(2) {
        match pair[0].to_ascii_lowercase().as_str() {
            "file" if pair[1].contains('/') => return Err("File can't be a path, just a filename"),
            "file" => name = Some(pair[1].clone()),
            "seq" => seq = pair[1].parse::<u64>().ok().filter(|seq| *seq > 0),
            "type" => kind = pair[1].chars().next(),
            _ => {}
        }
    }
    let (Some(name), Some(seq), Some(kind)) = (name, seq, kind) else { return Err(INVALID) };
    let kind = match kind {
        'b' => Kind::Base,
        'i' => Kind::Incremental,
        'h' => Kind::History,
        _ => return Err("Unknown AOF file type"),
    };
    Ok(Entry { name, seq, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_and_written() {
        let text = "file a.1.base.rdb seq 1 type b\nfile \"old one\" seq 1 type h\nfile a.1.incr.aof seq 1 type i\n\
                    file a.4.incr.aof seq 4 type i\n";
        let manifest = Manifest::parse(text.as_bytes()).expect("a good one");
        assert_eq!((manifest.base_seq(), manifest.incremental_seq(), manifest.history.len()), (1, 4, 1));
        assert_eq!(manifest.to_text(), text);
        let loose = "# a comment\n  type b seq 7 later 1 FILE 'x'  \r\n";
        assert_eq!(Manifest::parse(loose.as_bytes()).expect("a good one").to_text(), "file x seq 7 type b\n");
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let error = |text: &str| Manifest::parse(text.as_bytes()).map_err(|error| (error.line, error.reason));
        let good = "file a seq 1 type b\n";
        for (text, line, reason) in [
            (String::new(), 0, "Found an empty AOF manifest"),
            ("\n".into(), 1, "Invalid AOF manifest file format"),
            (format!("{good}\n"), 2, "Invalid AOF manifest file format"),
            ("file a seq 1\n".into(), 1, "Invalid AOF manifest file format"),
            ("file a seq x type b\n".into(), 1, "Invalid AOF manifest file format"),
            ("file a seq 1 type b more\n".into(), 1, "Invalid AOF manifest file format"),
            (format!("{good}file b seq 2 type b\n"), 2, "Found duplicate base file information"),
            ("file a seq 2 type i\nfile b seq 2 type i\n".into(), 2, "Found a non-monotonic sequence number"),
            ("file a/b seq 2 type i\n".into(), 1, "File can't be a path, just a filename"),
            ("file a seq 2 type x\n".into(), 1, "Unknown AOF file type"),
            (
                format!("file {} seq 2 type i\n", "a".repeat(1100)),
                1,
                "The AOF manifest file contains too long line",
            ),
        ] {
            assert_eq!(error(&text), Err((line, reason)), "{text:?}");
        }
    }
}
