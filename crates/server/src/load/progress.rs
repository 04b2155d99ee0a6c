//! Whether data is being loaded, how far that is, and what came of it.

use super::rdb::Loaded;
use crate::shared::unix_ms;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often the log tells how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// See the module's text. Looked at by every command, so that is one load.
#[derive(Debug, Default)]
pub struct Loading {
    on: AtomicBool,
    /// Unix seconds.
    started: AtomicI64,
    total: AtomicU64,
    loaded: AtomicU64,
    /// What the file says its data took in memory.
    used_mem: AtomicU64,
    keys_loaded: AtomicU64,
    keys_expired: AtomicU64,
    told: Mutex<Option<Instant>>,
    aux: Mutex<Vec<(Vec<u8>, Vec<u8>)>>,
    functions: Mutex<Vec<Vec<u8>>>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Unix seconds.
    pub started: i64,
    /// Bytes of the files.
    pub total: u64,
    /// Bytes that were read.
    pub loaded: u64,
    /// Bytes that the data took in memory when the file was written, if it says.
    pub used_mem: u64,
    /// Of a hundred.
    pub percent: f64,
    /// Seconds that are left, as it seems.
    pub eta: i64,
}

impl Loading {
    /// Whether commands on data must wait.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// From now on data is loaded: so many bytes.
    pub fn begin(&self, total: u64) {
        self.started.store(unix_ms() / 1000, Relaxed);
        self.total.store(total, Relaxed);
        self.loaded.store(0, Relaxed);
        self.used_mem.store(0, Relaxed);
        *self.told.lock() = Some(Instant::now());
        self.on.store(true, Relaxed);
    }

    /// The data is there.
    pub fn end(&self) {
        self.on.store(false, Relaxed);
    }

    /// So many bytes were read so far.
    pub fn advance(&self, loaded: u64) {
        self.loaded.store(loaded, Relaxed);
        let mut told = self.told.lock();
        if told.is_some_and(|told| told.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            let Progress { total, percent, eta, .. } = self.progress();
            tracing::info!("Loading: {percent:.2}% ({loaded} of {total} bytes), about {eta} seconds left");
        }
    }

    pub(super) fn set_used_mem(&self, bytes: u64) {
        self.used_mem.store(bytes, Relaxed);
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let (total, loaded) = (self.total.load(Relaxed), self.loaded.load(Relaxed));
        let started = self.started.load(Relaxed);
        let elapsed = (unix_ms() / 1000 - started).max(0);
        let left = total.saturating_sub(loaded) as f64;
        let eta = if elapsed == 0 { 1 } else { (elapsed as f64 * left / loaded.max(1) as f64) as i64 };
        Progress {
            started,
            total,
            loaded,
            used_mem: self.used_mem.load(Relaxed),
            percent: loaded as f64 / total.max(1) as f64 * 100.0,
            eta,
        }
    }

    /// Keeps what a file says beside its keys.
    pub fn keep(&self, loaded: Loaded) {
        self.keys_loaded.store(loaded.keys, Relaxed);
        self.keys_expired.store(loaded.expired, Relaxed);
        *self.aux.lock() = loaded.aux;
        *self.functions.lock() = loaded.functions;
    }

    /// Keys that were loaded last, and keys that had expired then.
    pub fn keys(&self) -> (u64, u64) {
        (self.keys_loaded.load(Relaxed), self.keys_expired.load(Relaxed))
    }

    /// The field of this name that describes the snapshot loaded last.
    pub fn aux(&self, name: &str) -> Option<Vec<u8>> {
        let aux = self.aux.lock();
        aux.iter().find(|(found, _)| found == name.as_bytes()).map(|(_, value)| value.clone())
    }

    /// Keeps the libraries of functions that a primary's snapshot has, in place of those before.
    pub fn keep_functions(&self, functions: Vec<Vec<u8>>) {
        *self.functions.lock() = functions;
    }

    /// Libraries of functions as the snapshot had them. They cannot run, but the next snapshot has them again.
    pub fn functions(&self) -> Vec<Vec<u8>> {
        self.functions.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_by_bytes() {
        let loading = Loading::default();
        assert!(!loading.is_on());
        loading.begin(1000);
        loading.started.store(unix_ms() / 1000 - 10, Relaxed);
        loading.advance(250);
        let progress = loading.progress();
        assert!(loading.is_on());
        assert_eq!((progress.loaded, progress.percent), (250, 25.0));
        assert!((30..=40).contains(&progress.eta), "{progress:?}");
        loading.end();
        assert!(!loading.is_on());
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let loading = Loading::default();
        loading.begin(0);
        let progress = loading.progress();
        assert_eq!((progress.percent, progress.eta), (0.0, 1));
    }
}
