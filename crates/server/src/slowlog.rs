//! The log of slow calls behind SLOWLOG: <https://redis.io/docs/latest/commands/slowlog-get/>

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Arguments kept of a call; of a longer one the last says how many more there were.
const ARGS_MAX: usize = 32;
/// Bytes kept of an argument.
const ARG_LEN_MAX: usize = 128;

/// One slow call.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique and rising while the server runs; a reset does not restart it.
    pub id: u64,
    /// Unix time in seconds at which it was logged.
    pub time: i64,
    /// How long it ran, microseconds.
    pub micros: u64,
    /// Its words, shortened.
    pub args: Vec<Vec<u8>>,
    /// Address of the client.
    pub addr: String,
    /// Name of the client, empty if it has none.
    pub name: Vec<u8>,
}

#[derive(Default)]
struct Ring {
    /// Newest first.
    entries: VecDeque<Arc<Entry>>,
    next_id: u64,
}

/// The newest slow calls.
#[derive(Default)]
pub struct SlowLog {
    ring: Mutex<Ring>,
}

impl SlowLog {
    /// Whether a call that took `micros` belongs here at this `slowlog-log-slower-than`; negative means never.
    #[inline]
    pub fn is_slow(slower_than: i64, micros: u64) -> bool {
        slower_than >= 0 && micros >= slower_than as u64
    }

    /// Logs a call, and forgets the oldest ones beyond `len_max` (`slowlog-max-len`).
    pub fn push(&self, time: i64, micros: u64, args: &[&[u8]], addr: &str, name: &[u8], len_max: usize) {
        if len_max == 0 {
            return;
        }
        let (args, addr, name) = (shorten(args), addr.to_owned(), name.to_vec());
        let mut ring = self.ring.lock();
        let id = ring.next_id;
        ring.next_id += 1;
        ring.entries.push_front(Arc::new(Entry { id, time, micros, args, addr, name }));
        ring.entries.truncate(len_max);
    }

    /// The newest `count` entries, newest first.
    pub fn newest(&self, count: usize) -> Vec<Arc<Entry>> {
        self.ring.lock().entries.iter().take(count).cloned().collect()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.ring.lock().entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all entries.
    pub fn reset(&self) {
        self.ring.lock().entries.clear();
    }
}

fn shorten(args: &[&[u8]]) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let mut short: Vec<Vec<u8>> = args[..kept].iter().map(|arg| shorten_arg(arg)).collect();
    if kept < args.len() {
        short.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    short
}

fn shorten_arg(arg: &[u8]) -> Vec<u8> {
    match arg.len().checked_sub(ARG_LEN_MAX) {
        None | Some(0) => arg.to_vec(),
        Some(more) => [&arg[..ARG_LEN_MAX], format!("... ({more} more bytes)").as_bytes()].concat(),
    }
}

/// Settings whose values are not logged.
const SECRET_SETTINGS: [&[u8]; 4] =
    [b"requirepass", b"masterauth", b"tls-key-file-pass", b"tls-client-key-file-pass"];

/// The words of a call with passwords blotted out; `full_name` as in the command table ("config|set").
pub fn without_secrets<'a>(full_name: &str, words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    const REDACTED: &[u8] = b"(redacted)";
    let mut shown = words.to_vec();
    match full_name {
        "auth" => shown[1..].fill(REDACTED),
        "hello" => {
            if let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case(b"auth")) {
                shown.iter_mut().skip(at + 1).take(2).for_each(|word| *word = REDACTED);
            }
        }
        "config|set" => {
            for (at, name) in words.iter().enumerate().skip(2).step_by(2) {
                let secret = SECRET_SETTINGS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
                if let Some(value) = shown.get_mut(at + 1).filter(|_| secret) {
                    *value = REDACTED;
                }
            }
        }
        _ => {}
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest() {
        let log = SlowLog::default();
        for n in 0..5 {
            log.push(1000, n, &[b"get", b"k"], "127.0.0.1:1", b"", 3);
        }
        let ids: Vec<u64> = log.newest(10).iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [4, 3, 2]);
        assert_eq!((log.len(), log.newest(1).len()), (3, 1));
        log.reset();
        assert!(log.is_empty());
        log.push(1000, 9, &[b"get"], "", b"", 0);
        log.push(1000, 9, &[b"get"], "", b"", 3);
        assert_eq!(log.newest(1)[0].id, 5);
    }

    #[test]
    fn long_calls_are_shortened() {
        let long = [b'x'; 130];
        let mut args: Vec<&[u8]> = vec![&long];
        args.resize(40, b"a");
        let short = shorten(&args);
        assert_eq!(short.len(), 32);
        assert_eq!(short[0], ["x".repeat(128).as_str(), "... (2 more bytes)"].concat().as_bytes());
        assert_eq!(short[31], b"... (9 more arguments)");
        assert_eq!(shorten(&args[1..33]).len(), 32);
        assert_eq!(shorten(&args[1..33])[31], b"a");
    }

    #[test]
    fn threshold() {
        assert!(!SlowLog::is_slow(-1, u64::MAX));
        assert!(SlowLog::is_slow(0, 0));
        assert!(SlowLog::is_slow(10, 10) && !SlowLog::is_slow(10, 9));
    }

    #[test]
    fn passwords_are_not_logged() {
        let shown = |name: &str, line: &'static str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let shown = without_secrets(name, &words);
            shown.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown("auth", "AUTH user secret"), "AUTH (redacted) (redacted)");
        assert_eq!(
            shown("hello", "HELLO 3 auth u p SETNAME n"),
            "HELLO 3 auth (redacted) (redacted) SETNAME n"
        );
        assert_eq!(
            shown("config|set", "CONFIG SET hz 5 RequirePass x"),
            "CONFIG SET hz 5 RequirePass (redacted)"
        );
        assert_eq!(shown("get", "GET requirepass"), "GET requirepass");
    }
}
