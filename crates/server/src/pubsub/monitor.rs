//! MONITOR: every call that runs, as a line to each monitor.

use super::{Delivery, Hub};
use crate::client::{Client, flag};
use crate::log::Held;
use crate::slowlog::without_secrets;
use redoubt_commands::spec::Flags;
use redoubt_commands::table::Command;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

/// Commands that monitors do not see: those that ask not to be shown, and those of administrators.
const UNSEEN: Flags = Flags::SKIP_MONITOR.with(Flags::ADMIN);

impl Hub {
    /// Whether anybody monitors. All that a call costs while nobody does.
    #[inline]
    pub(crate) fn is_monitored(&self) -> bool {
        self.monitored.load(Relaxed)
    }

    /// Begins to show all calls to a client that does not see them yet.
    pub(crate) fn add_monitor(&self, client: &Arc<Client>) {
        let mut monitors = self.monitors.0.write();
        monitors.push(Arc::clone(client));
        self.monitored.store(true, Relaxed);
    }

    /// Stops showing calls to the client.
    pub(crate) fn remove_monitor(&self, client: &Client) {
        let mut monitors = self.monitors.0.write();
        monitors.retain(|monitor| monitor.id != client.id);
        self.monitored.store(!monitors.is_empty(), Relaxed);
    }

    /// Shows a call that ran.
    #[cold]
    pub(crate) fn show(
        &self,
        delivery: &mut Delivery,
        client: &Client,
        db: usize,
        command: &Command,
        words: &[&[u8]],
    ) {
        if command.spec.flags.any(UNSEEN) {
            return;
        }
        let words = without_secrets(command.full_name, words);
        delivery.message.encode(|line| write_line(line, client, db, &words));
        let limit = self.monitor_bytes_max.load(Relaxed);
        self.monitors.0.read().iter().for_each(|monitor| delivery.give(monitor, limit, Held::default()));
    }
}

/// `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`
fn write_line(line: &mut Vec<u8>, client: &Client, db: usize, words: &[&[u8]]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (now.as_secs(), now.subsec_micros());
    let address = match client.addr.strip_suffix(":0").filter(|_| client.has(flag::UNIX)) {
        Some(path) => format!("unix:{path}"),
        None => client.addr.clone(),
    };
    // Writing to a vector does not fail.
    let _ = write!(line, "+{seconds}.{micros:06} [{db} {address}]");
    for word in words {
        line.push(b' ');
        quote(line, word);
    }
    line.extend_from_slice(b"\r\n");
}

/// A word in double quotes, with escapes for what is not printable ASCII.
fn quote(line: &mut Vec<u8>, word: &[u8]) {
    line.push(b'"');
    for byte in word {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', *byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            7 => line.extend_from_slice(b"\\a"),
            8 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(*byte),
            other => {
                let _ = write!(line, "\\x{other:02x}");
            }
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        let mut line = Vec::new();
        quote(&mut line, b"a \"b\"\\\n\r\t\x07\x08\x00\xff");
        assert_eq!(line, br#""a \"b\"\\\n\r\t\a\b\x00\xff""#);
    }

    #[test]
    fn a_line_names_time_database_and_address() {
        let client = Client::new(1, "/tmp/s:0".into(), "/tmp/s:0".into(), 5, 0);
        client.set(flag::UNIX, true);
        let mut line = Vec::new();
        write_line(&mut line, &client, 3, &[b"GET", b"k"]);
        let text = String::from_utf8(line).expect("text");
        assert!(text.starts_with('+') && text.ends_with(" [3 unix:/tmp/s] \"GET\" \"k\"\r\n"), "{text}");
        assert_eq!(text.find(' ').and_then(|end| text[..end].find('.').map(|dot| end - dot)), Some(7));
    }
}
