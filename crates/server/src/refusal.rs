//! Why writes are refused: the disk does not take snapshots, or not the append-only file.

use parking_lot::Mutex;
use redoubt_commands::CommandError;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

const SNAPSHOT: u8 = 1;
const APPEND: u8 = 2;

/// See the module's text. Looked at by every command, so that is one load.
#[derive(Debug, Default)]
pub struct Refusal {
    reasons: AtomicU8,
    append: Mutex<String>,
}

impl Refusal {
    /// Whether there is a reason.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.reasons.load(Relaxed) != 0
    }

    /// Whether the append-only file cannot be written.
    #[inline]
    pub fn append_fails(&self) -> bool {
        self.reasons.load(Relaxed) & APPEND != 0
    }

    /// Says whether the last snapshot failed, where that forbids writes (`stop-writes-on-bgsave-error`).
    pub fn set_snapshot(&self, failed: bool) {
        self.set(SNAPSHOT, failed);
    }

    /// Says whether the append-only file can be written, and if not, the system's reason.
    pub fn set_append(&self, reason: Option<&str>) {
        if let Some(reason) = reason {
            *self.append.lock() = reason.to_owned();
        }
        self.set(APPEND, reason.is_some());
    }

    fn set(&self, bit: u8, on: bool) {
        if on {
            self.reasons.fetch_or(bit, Relaxed);
        } else {
            self.reasons.fetch_and(!bit, Relaxed);
        }
    }

    /// The answer to a write.
    #[cold]
    pub fn error(&self) -> Option<CommandError> {
        let reasons = self.reasons.load(Relaxed);
        if reasons & SNAPSHOT != 0 {
            return Some(CommandError::text(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 Commands that may modify the data set are disabled, because this instance is configured to report \
                 errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the \
                 Redis logs for details about the RDB error.",
            ));
        }
        let reason = || format!("MISCONF Errors writing to the AOF file: {}", self.append.lock());
        (reasons & APPEND != 0).then(|| CommandError::owned(reason()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_come_and_go() {
        let refusal = Refusal::default();
        assert!(!refusal.is_on() && refusal.error().is_none());
        refusal.set_append(Some("No space left on device"));
        let text = |refusal: &Refusal| refusal.error().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(text(&refusal), "MISCONF Errors writing to the AOF file: No space left on device");
        refusal.set_snapshot(true);
        assert!(text(&refusal).contains("RDB snapshots"));
        refusal.set_append(None);
        assert!(refusal.is_on() && !refusal.append_fails());
        refusal.set_snapshot(false);
        assert!(!refusal.is_on());
    }
}
