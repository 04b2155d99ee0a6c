//! Snapshots without a copy of the data: the cut.
//!
//! A cut is begun while all partitions are held, and saves every key as it was then. Every entry carries a phase, one
//! bit; outside a cut all carry that of the keyspace. Beginning a cut turns the keyspace's phase over, so that every
//! entry is *pending* at once; what is made from then on has the new phase. A pending entry is saved, and takes on the
//! new phase, when the walk comes by or when somebody is about to change it or to take it away, whichever is first.
//! So there is no position to compare with, no list of keys, and nothing is saved twice or too late.
//!
//! Strings are copied by the walk, and saved when the lock is let go: making bytes of them, which may be to compress them,
//! takes longer than copying.
//!
//! A very big value is saved in parts by the walk, the lock being let go between two. Nothing of it changes meanwhile:
//! whoever wants to change it leaves a copy of it to the cut, which is quicker than saving it. The copy is built as the
//! value is, so that the walk goes on in it where it was.
//!
//! A big value that goes away while it is pending becomes an orphan: it belongs to the cut then, and the walk saves
//! and drops it when nobody waits. The same holds for the tables of a flushed database.
#![allow(unsafe_code)]

mod copied;
mod walk;

pub use walk::{CutBudget, CutWalk};

use crate::entry::{Entry, PHASE};
use crate::table::Detached;
use crate::txn::Txn;
use crate::value::ValueRef;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A key as it was at the cut.
#[derive(Clone, Copy, Debug)]
pub struct CutKey<'a> {
    /// Its database.
    pub db: usize,
    /// Its name.
    pub key: &'a [u8],
    /// Its value.
    pub value: ValueRef<'a>,
    /// When it expires, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// When it was last used, or how often it is: for `AccessClock::idle_seconds` or `frequency`. Accesses since the
    /// cut may count.
    pub access: u32,
}

/// Takes what a cut saves.
pub trait CutSink: Send + Sync {
    /// Takes one key; each comes once, in no order. Called on the thread that walks and on those that write, mostly
    /// under the lock of the key's partition: it must be quick and wait for nothing. Returns the bytes it made of it.
    fn save(&self, key: &CutKey<'_>) -> usize;

    /// Collections with as many elements are saved in parts. None are unless this says so.
    fn parts_from(&self) -> usize {
        usize::MAX
    }

    /// Takes the first or the next part of a key that is saved in parts. Returns whether there is more. The key stays as
    /// it is from the first part to the last, though it may be another copy of it. Others may be saved between two parts,
    /// but not in parts.
    fn save_part(&self, key: &CutKey<'_>, first: bool) -> bool {
        debug_assert!(first, "no part was left");
        self.save(key);
        false
    }
}

/// The cuts of a keyspace, of which at most one runs.
#[derive(Default)]
pub(crate) struct Cuts {
    /// The phase of entries that are not pending; changes only while all partitions are held.
    phase: AtomicU32,
    running: RwLock<Option<Arc<Running>>>,
}

/// A cut that has begun.
struct Running {
    sink: Arc<dyn CutSink>,
    /// Which database each one was at the cut: SWAPDB exchanges them.
    origins: Box<[AtomicU32]>,
    orphans: Mutex<Vec<Orphan>>,
    /// The key of which the beginning is saved, and not yet the end.
    part: Mutex<Option<Part>>,
    /// Nobody wants the rest: entries only take on the new phase.
    cancelled: AtomicBool,
    saved: AtomicU64,
}

/// An entry in a table or among the orphans.
struct Part(Entry);

// SAFETY: an entry is looked at under its partition's lock, or when nothing else refers to it.
unsafe impl Send for Part {}

/// What left the keyspace before it was saved.
struct Orphan {
    /// Its database at the cut.
    db: usize,
    what: Gone,
}

enum Gone {
    Entry(Owned),
    Tables(Vec<Detached>),
}

/// An entry that is in no table: dropped with this.
struct Owned(Entry);

// SAFETY: nothing else refers to the entry, and values are Send.
unsafe impl Send for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the entry is in no table, and whoever looked at it borrowed this.
        unsafe { self.0.free() };
    }
}

impl Cuts {
    /// What a new entry's stamp holds beside its clock.
    #[inline]
    pub(crate) fn phase(&self) -> u32 {
        self.phase.load(Relaxed)
    }

    fn running(&self) -> Option<Arc<Running>> {
        self.running.read().clone()
    }

    /// Saves a pending entry of the database `db` (as it is numbered now), and takes its being pending from it.
    #[cold]
    fn save(&self, db: usize, entry: Entry) {
        let running = self.running.read();
        let running = running.as_ref().expect("entries are pending only while a cut runs");
        let db = running.origin(db);
        if running.is_big(entry) {
            running.keep_copy(db, entry, self.phase());
        } else {
            running.save(db, entry, self.phase());
        }
    }
}

fn cut_key<'a>(db: usize, entry: Entry) -> CutKey<'a> {
    let (value, expire_ms, access) = (entry.view(), entry.expire_ms(), entry.clock());
    CutKey { db, key: entry.key(), value, expire_ms, access }
}

impl Running {
    fn origin(&self, db: usize) -> usize {
        self.origins[db].load(Relaxed) as usize
    }

    /// The number that a database of the cut has now. Some partition must be held: exchanging takes all.
    fn now(&self, db: usize) -> usize {
        let now = self.origins.iter().position(|origin| origin.load(Relaxed) as usize == db);
        now.expect("exchanging keeps every database")
    }

    /// Saves a pending entry and gives it the new phase; returns the bytes that made.
    fn save(&self, db: usize, entry: Entry, phase: u32) -> usize {
        let mut bytes = 0;
        let begun = self.is_big(entry) && self.take_part(entry);
        if !self.cancelled.load(Relaxed) {
            let key = cut_key(db, entry);
            if begun {
                while self.sink.save_part(&key, false) {}
            } else {
                bytes = self.sink.save(&key);
            }
            self.saved.fetch_add(1, Relaxed);
        }
        entry.set_phase(phase);
        bytes
    }

    /// Saves strings that are not pending any more, under no lock.
    fn save_copied(&self, db: usize, copied: &mut copied::Copied) {
        if !self.cancelled.load(Relaxed) {
            copied.each(|key| {
                self.sink.save(&CutKey { db, ..key });
            });
            self.saved.fetch_add(copied.len() as u64, Relaxed);
        }
        copied.clear();
    }

    /// Whether it is saved in parts.
    fn is_big(&self, entry: Entry) -> bool {
        entry.elements() >= self.sink.parts_from()
    }

    /// Whether the beginning of this entry is saved. The rest is the caller's to save then.
    fn take_part(&self, entry: Entry) -> bool {
        self.part.lock().take_if(|part| part.0 == entry).is_some()
    }

    /// Whether another key than this is half saved.
    fn is_busy_with_another(&self, entry: Entry) -> bool {
        // Of a cancelled cut nobody takes the rest.
        !self.cancelled.load(Relaxed) && self.part.lock().as_ref().is_some_and(|part| part.0 != entry)
    }

    /// Saves the first or the next part of a big entry that is pending. False once all of it is saved.
    fn save_part(&self, db: usize, entry: Entry, phase: u32) -> bool {
        let first = !self.take_part(entry);
        if !self.cancelled.load(Relaxed) {
            if self.sink.save_part(&cut_key(db, entry), first) {
                *self.part.lock() = Some(Part(entry));
                return true;
            }
            self.saved.fetch_add(1, Relaxed);
        }
        entry.set_phase(phase);
        false
    }

    /// Leaves a copy of an entry, which is about to change, to the walk.
    fn keep_copy(&self, db: usize, entry: Entry, phase: u32) {
        if !self.cancelled.load(Relaxed) {
            let copy = Owned(entry.copy());
            if let Some(part) = self.part.lock().as_mut().filter(|part| part.0 == entry) {
                part.0 = copy.0;
            }
            self.orphans.lock().push(Orphan { db, what: Gone::Entry(copy) });
        }
        entry.set_phase(phase);
    }

    /// An orphan to be saved: the one that was begun, if one was.
    fn take_orphan(&self) -> Option<Orphan> {
        let part = self.part.lock();
        let begun = |orphan: &Orphan| matches!((&orphan.what, &*part), (Gone::Entry(owned), Some(part)) if owned.0 == part.0);
        let mut orphans = self.orphans.lock();
        match orphans.iter().position(begun) {
            Some(at) => Some(orphans.swap_remove(at)),
            None => orphans.pop(),
        }
    }

    fn adopt(&self, db: usize, what: Gone) {
        self.orphans.lock().push(Orphan { db: self.origin(db), what });
    }
}

// SAFETY note for the rest of the file: as in `txn`.
impl<'k> Txn<'k> {
    /// Begins a cut: `sink` will get every key as it is now. None if one is running. All partitions must be held. Keys
    /// are saved while the result's `step` is called, and when they are about to change.
    pub fn begin_cut(&mut self, sink: Arc<dyn CutSink>) -> Option<CutWalk<'k>> {
        self.assert_all_held();
        let cuts = &self.space.cuts;
        let mut slot = cuts.running.write();
        if slot.is_some() {
            return None;
        }
        let databases = self.space.databases();
        let running = Arc::new(Running {
            sink,
            origins: (0..databases as u32).map(AtomicU32::new).collect(),
            orphans: Mutex::default(),
            part: Mutex::default(),
            cancelled: AtomicBool::new(false),
            saved: AtomicU64::new(0),
        });
        *slot = Some(Arc::clone(&running));
        cuts.phase.store(cuts.phase() ^ PHASE, Relaxed);
        let keys = (0..databases).map(|db| self.len(db) as u64).sum();
        Some(CutWalk::new(self.space, running, keys))
    }

    /// Whether a cut has yet to save this entry.
    #[inline]
    pub(crate) fn is_pending(&self, entry: Entry) -> bool {
        entry.phase() != self.space.cuts.phase()
    }

    /// To be called before an entry of the current database changes.
    #[inline]
    pub(crate) fn preserve(&self, entry: Entry) {
        if self.is_pending(entry) {
            self.space.cuts.save(self.db, entry);
        }
    }

    /// As `preserve`, for whoever changes light values only.
    #[inline]
    pub(crate) fn preserve_light(&self, entry: Entry) {
        if self.is_pending(entry) && !entry.is_heavy() {
            self.space.cuts.save(self.db, entry);
        }
    }

    /// Sees to it that a pending entry is saved although it has left its table. True if the cut keeps it for that,
    /// and will free it.
    ///
    /// # Safety
    /// The entry is in no table and nothing refers to it.
    #[cold]
    pub(crate) unsafe fn hand_to_cut(&self, entry: Entry) -> bool {
        let heavy = entry.is_heavy();
        if heavy {
            let running = self.space.cuts.running().expect("entries are pending only while a cut runs");
            running.adopt(self.db, Gone::Entry(Owned(entry)));
        } else {
            self.preserve(entry);
        }
        heavy
    }

    /// Gives the tables of a flushed database to the running cut, or back if none runs.
    pub(crate) fn hand_tables_to_cut(&self, db: usize, tables: Vec<Detached>) -> Option<Vec<Detached>> {
        match self.space.cuts.running() {
            Some(running) => running.adopt(db, Gone::Tables(tables)),
            None => return Some(tables),
        }
        None
    }

    /// Two databases are about to be exchanged. All partitions are held.
    pub(crate) fn swap_in_cut(&self, a: usize, b: usize) {
        if let Some(running) = self.space.cuts.running() {
            let (first, second) = (&running.origins[a], &running.origins[b]);
            let before = first.load(Relaxed);
            first.store(second.load(Relaxed), Relaxed);
            second.store(before, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
