//! Memory in use, for `maxmemory` and INFO.
//!
//! jemalloc counts allocated and freed bytes per thread at no cost; each worker publishes the difference since its last
//! report, so that the sum is exact up to what workers did since.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Bytes in use and the limit.
#[derive(Debug, Default)]
pub struct Memory {
    used: AtomicI64,
    peak: AtomicI64,
    startup: AtomicU64,
    /// `maxmemory`, bytes; 0 = none.
    pub limit: AtomicU64,
    /// When `maxmemory` came to be exceeded, in `micros`; 0 = it is not.
    exceeded_since: AtomicU64,
    /// How long it was exceeded before, microseconds.
    exceeded: AtomicU64,
}

thread_local! {
    /// What this thread had allocated less freed when it last reported.
    static REPORTED: Cell<i64> = const { Cell::new(0) };
}

/// Microseconds of a clock that never goes back, and never says 0.
fn micros() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_micros() as u64 + 1
}

/// Bytes this thread has allocated less those it freed.
fn thread_balance() -> i64 {
    use tikv_jemalloc_ctl::thread;
    thread_local! {
        static POINTERS: Option<(thread::ThreadLocal<u64>, thread::ThreadLocal<u64>)> =
            thread::allocatedp::read().ok().zip(thread::deallocatedp::read().ok());
    }
    POINTERS.with(|pointers| match pointers {
        Some((allocated, freed)) => allocated.get() as i64 - freed.get() as i64,
        None => 0,
    })
}

impl Memory {
    /// Publishes what this thread allocated and freed since its last report.
    pub fn report(&self) {
        let now = thread_balance();
        let delta = now - REPORTED.replace(now);
        if delta != 0 {
            let used = self.used.fetch_add(delta, Relaxed) + delta;
            self.peak.fetch_max(used, Relaxed);
        }
    }

    /// As `report`, where there is a limit that somebody could find exceeded without.
    #[inline]
    pub fn report_if_limited(&self) {
        if self.limit.load(Relaxed) != 0 {
            self.report();
        }
    }

    /// Counts bytes as given back that another thread is about to give back. That thread does not report, so nothing is
    /// counted twice; the next calibration replaces the sum anyway.
    pub fn credit(&self, bytes: i64) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// Notes that the server is ready: what is in use now is not data.
    pub fn mark_startup(&self) {
        self.startup.store(self.used(), Relaxed);
    }

    /// Bytes in use when the server was ready.
    pub fn startup(&self) -> u64 {
        self.startup.load(Relaxed)
    }

    /// Bytes in use, as reported.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed).max(0) as u64
    }

    /// Most bytes ever in use.
    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed).max(0) as u64
    }

    /// Replaces the sum by the allocator's own figure: threads that never report are in it too.
    pub fn recalibrate(&self) {
        if tikv_jemalloc_ctl::epoch::advance().is_ok()
            && let Ok(allocated) = tikv_jemalloc_ctl::stats::allocated::read()
        {
            self.used.store(allocated as i64, Relaxed);
            self.peak.fetch_max(allocated as i64, Relaxed);
        }
    }

    /// Whether more is in use than `maxmemory` allows.
    #[inline]
    pub fn is_over(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        limit != 0 && self.used() > limit
    }

    /// Notes whether more is in use than `maxmemory` allows, once what may be evicted was.
    #[inline]
    pub fn note_exceeded(&self, is_over: bool) {
        if is_over != (self.exceeded_since.load(Relaxed) != 0) {
            self.turn_exceeded(is_over);
        }
    }

    #[cold]
    fn turn_exceeded(&self, is_over: bool) {
        if is_over {
            // Another worker may have noted it a moment ago.
            let _ = self.exceeded_since.compare_exchange(0, micros(), Relaxed, Relaxed);
            return;
        }
        let since = self.exceeded_since.swap(0, Relaxed);
        if since != 0 {
            self.exceeded.fetch_add(micros().saturating_sub(since), Relaxed);
        }
    }

    /// How long `maxmemory` was exceeded (in all, up to now this time), microseconds.
    pub fn exceeded_micros(&self) -> (u64, u64) {
        let now = match self.exceeded_since.load(Relaxed) {
            0 => 0,
            since => micros().saturating_sub(since),
        };
        (self.exceeded.load(Relaxed) + now, now)
    }

    /// Forgets how long it was exceeded (CONFIG RESETSTAT).
    pub fn reset_exceeded(&self) {
        self.exceeded.store(0, Relaxed);
        self.exceeded_since.store(0, Relaxed);
    }
}

/// Has the allocator give pages without data back to the system (MEMORY PURGE). Without jemalloc nothing happens.
pub fn purge() {
    let arenas = tikv_jemalloc_ctl::arenas::narenas::read().unwrap_or(0);
    for arena in 0..arenas {
        for kind in ["dirty", "muzzy"] {
            let name = format!("arena.{arena}.{kind}_decay_ms\0");
            // A decay time of 0 purges at once; then the time that held before holds again.
            // SAFETY: this control has the C type ssize_t, and the name ends with a zero byte.
            #[allow(unsafe_code)]
            let before = unsafe { tikv_jemalloc_ctl::raw::update::<isize>(name.as_bytes(), 0) };
            if let Ok(before) = before {
                // SAFETY: as above.
                #[allow(unsafe_code)]
                let _ = unsafe { tikv_jemalloc_ctl::raw::write::<isize>(name.as_bytes(), before) };
            }
        }
    }
}
