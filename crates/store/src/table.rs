//! Hash table of one slot: 64-byte buckets of seven tags and seven entry pointers, overflow chained.
//!
//! A bucket's first word holds seven one-byte tags (0 = free) and, in its top byte, whether the last pointer leads to
//! a further bucket. Everything a prefetch may look at without the partition's lock is atomic, and arrays are freed
//! through epochs, so such a look may be stale but never wild. All methods but `prefetch_*` need the lock.
#![allow(unsafe_code)]

use crate::entry::Entry;
use crossbeam_epoch::{self as epoch};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

const WAYS: usize = 7;
/// Entries per bucket at which the array doubles: above this, chains grow common.
const GROW_LOAD: usize = 6;
/// How far into an entry a look-up reads for keys of ordinary length, bytes.
const ENTRY_REACH: usize = 40;
const CHAINED: u64 = 1 << 56;
const TAGS: u64 = 0x00ff_ffff_ffff_ffff;
const LOW_BITS: u64 = 0x0001_0101_0101_0101;

#[repr(C, align(64))]
struct Bucket {
    tags: AtomicU64,
    ways: [AtomicU64; WAYS],
}

/// Where an entry stands: its bucket and way. Valid until the table is next changed.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    bucket: *const Bucket,
    way: usize,
}

/// See the module's text.
pub(crate) struct Table {
    /// Address of the array (64-byte aligned) with log2 of its length in the low six bits; 0 = no array.
    word: AtomicU64,
    len: Cell<u32>,
    expires: Cell<u32>,
}

/// A table's array, detached: freed entry by entry by whoever takes it.
pub(crate) struct Detached {
    word: u64,
}

// SAFETY: a detached array is reachable only through this handle; entries are Send (their values are).
unsafe impl Send for Detached {}

#[inline]
fn tag_of(hash: u64) -> u64 {
    (hash >> 57) | 0x80
}

/// Bits 7, 15, ... set for the ways whose tag equals `tag`; a false match above a true one is possible.
#[inline]
fn match_tags(tags: u64, tag: u64) -> u64 {
    let x = (tags ^ (tag * LOW_BITS)) & TAGS;
    x.wrapping_sub(LOW_BITS) & !x & (LOW_BITS << 7)
}

#[inline]
fn free_ways(tags: u64) -> u64 {
    // A used tag has its top bit set.
    !tags & (LOW_BITS << 7)
}

/// Whether two keys are the same. Most are short: two words that overlap are compared without a call.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && match b.len() {
            4..=7 => ends::<4>(a) == ends::<4>(b),
            8..=16 => ends::<8>(a) == ends::<8>(b),
            17..=32 => ends::<16>(a) == ends::<16>(b),
            _ => a == b,
        }
}

/// The first and the last `N` bytes.
#[inline]
fn ends<const N: usize>(key: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    key.first_chunk().zip(key.last_chunk())
}

fn array_layout(log2: u32) -> Layout {
    Layout::array::<Bucket>(1 << log2).expect("a bucket array is far below isize::MAX")
}

fn new_array(log2: u32) -> u64 {
    let layout = array_layout(log2);
    // SAFETY: the layout is not empty; all-zero bytes are valid buckets.
    let array = unsafe { alloc_zeroed(layout) };
    if array.is_null() {
        handle_alloc_error(layout);
    }
    array.expose_provenance() as u64 | u64::from(log2)
}

/// # Safety
/// `word` names a live array.
#[inline]
unsafe fn array_of(word: u64) -> (*const Bucket, u64) {
    let address = (word & !63) as usize;
    (ptr::with_exposed_provenance(address), (1u64 << (word & 63)) - 1)
}

/// # Safety
/// `bucket` is live.
#[inline]
unsafe fn next_in_chain(bucket: &Bucket) -> Option<&'static Bucket> {
    if bucket.tags.load(Acquire) & CHAINED == 0 {
        return None;
    }
    let address = bucket.ways[WAYS - 1].load(Acquire) as usize;
    // SAFETY: CHAINED says that the last way is the address of a live bucket (freed through epochs).
    Some(unsafe { &*ptr::with_exposed_provenance(address) })
}

impl Bucket {
    /// Mask of the ways in use as entries.
    #[inline]
    fn entry_ways(&self) -> u64 {
        let tags = self.tags.load(Relaxed);
        tags & (LOW_BITS << 7) & if tags & CHAINED != 0 { !(0x80 << 48) } else { !0 }
    }

    #[inline]
    fn entry(&self, way: usize) -> Entry {
        // SAFETY: callers pass ways in use; under the lock their entries are live.
        unsafe { Entry::from_bits(self.ways[way].load(Relaxed)) }
    }

    fn put(&self, way: usize, tag: u64, entry: Entry) {
        self.ways[way].store(entry.to_bits(), Release);
        let tags = self.tags.load(Relaxed) & !(0xff << (8 * way));
        self.tags.store(tags | (tag << (8 * way)), Release);
    }
}

impl Place {
    #[inline]
    fn bucket(&self) -> &Bucket {
        // SAFETY: a Place is used before the table changes, under the lock: its bucket is live.
        unsafe { &*self.bucket }
    }

    #[inline]
    pub(crate) fn entry(&self) -> Entry {
        self.bucket().entry(self.way)
    }

    /// Puts another entry (of the same key) in this place and returns the old one.
    pub(crate) fn replace(&self, entry: Entry) -> Entry {
        let old = self.entry();
        self.bucket().ways[self.way].store(entry.to_bits(), Release);
        old
    }
}

impl Table {
    pub(crate) const fn new() -> Table {
        Table { word: AtomicU64::new(0), len: Cell::new(0), expires: Cell::new(0) }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.get() as usize
    }

    /// Entries with an expiry; the keyspace keeps it right through `add_expires`.
    pub(crate) fn expires(&self) -> usize {
        self.expires.get() as usize
    }

    pub(crate) fn add_expires(&self, delta: i32) {
        self.expires.set(self.expires.get().wrapping_add_signed(delta));
    }

    /// Asks the processor for the bucket a scan begins with.
    pub(crate) fn prefetch_first(&self) {
        prefetch::<NOW>(ptr::without_provenance((self.word.load(Relaxed) & !63) as usize));
    }

    /// Asks the processor for the bucket of `hash`. Needs no lock, but an epoch guard.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: u64, _guard: &epoch::Guard) {
        let word = self.word.load(Acquire);
        if word != 0 {
            // SAFETY: only an address is computed; nothing is read.
            let (array, mask) = unsafe { array_of(word) };
            prefetch::<SOON>(array.wrapping_add((hash & mask) as usize).cast());
        }
    }

    /// Asks the processor for the entry that probably belongs to `hash`. Needs no lock, but an epoch guard.
    #[inline]
    pub(crate) fn prefetch_entry<const WHEN: bool>(&self, hash: u64, _guard: &epoch::Guard) {
        let word = self.word.load(Acquire);
        if word == 0 {
            return;
        }
        // SAFETY: the guard keeps any array seen through `word` from being freed; its words are atomic.
        let bucket = unsafe {
            let (array, mask) = array_of(word);
            &*array.add((hash & mask) as usize)
        };
        let hit = match_tags(bucket.tags.load(Relaxed), tag_of(hash));
        if hit != 0 {
            let entry = bucket.ways[(hit.trailing_zeros() / 8) as usize].load(Relaxed);
            // Half of the entries of the commonest size lie across two cache lines: the key may be in the second.
            prefetch::<WHEN>(ptr::without_provenance(entry as usize));
            prefetch::<WHEN>(ptr::without_provenance(entry as usize + ENTRY_REACH));
        }
    }

    /// Finds a key.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Place> {
        let word = self.word.load(Relaxed);
        if word == 0 {
            return None;
        }
        let tag = tag_of(hash);
        // SAFETY: the lock is held: the array is this table's own and live.
        let mut bucket = unsafe {
            let (array, mask) = array_of(word);
            &*array.add((hash & mask) as usize)
        };
        loop {
            let mut hits = match_tags(bucket.tags.load(Relaxed), tag) & bucket.entry_ways();
            while hits != 0 {
                let way = (hits.trailing_zeros() / 8) as usize;
                if same(bucket.entry(way).key(), key) {
                    return Some(Place { bucket, way });
                }
                hits &= hits - 1;
            }
            // SAFETY: as above.
            bucket = unsafe { next_in_chain(bucket) }?;
        }
    }

    /// Adds an entry whose key is not in the table. `rehash` gives the hash of a key, for growing.
    pub(crate) fn insert(&self, hash: u64, entry: Entry, rehash: impl Fn(&[u8]) -> u64) {
        let word = self.word.load(Relaxed);
        if word == 0 {
            self.word.store(new_array(0), Release);
        } else {
            let buckets = 1usize << (word & 63);
            if self.len() >= buckets * GROW_LOAD {
                self.resize((word & 63) as u32 + 1, rehash);
            }
        }
        place_in(self.word.load(Relaxed), hash, entry);
        self.len.set(self.len.get() + 1);
    }

    /// Takes the entry out; the caller frees it. Gives memory back when the table has become sparse.
    pub(crate) fn remove(&self, place: Place, rehash: impl Fn(&[u8]) -> u64) -> Entry {
        let entry = place.entry();
        let bucket = place.bucket();
        bucket.tags.store(bucket.tags.load(Relaxed) & !(0xff << (8 * place.way)), Release);
        self.len.set(self.len.get() - 1);
        let word = self.word.load(Relaxed);
        let log2 = (word & 63) as u32;
        if self.len() == 0 {
            self.word.store(0, Release);
            retire(word);
        } else if log2 > 0 && self.len() < (1usize << log2) {
            self.resize(log2 - 1, rehash);
        }
        entry
    }

    fn resize(&self, log2: u32, rehash: impl Fn(&[u8]) -> u64) {
        let old = self.word.load(Relaxed);
        let new = new_array(log2);
        for_each_in(old, |entry| place_in(new, rehash(entry.key()), entry));
        self.word.store(new, Release);
        retire(old);
    }

    /// Detaches everything, leaving the table empty.
    pub(crate) fn take(&self) -> Detached {
        let word = self.word.swap(0, Release);
        self.len.set(0);
        self.expires.set(0);
        Detached { word }
    }

    /// Exchanges the contents of two tables.
    pub(crate) fn swap(&self, other: &Table) {
        let mine = self.word.load(Relaxed);
        self.word.store(other.word.load(Relaxed), Release);
        other.word.store(mine, Release);
        self.len.swap(&other.len);
        self.expires.swap(&other.expires);
    }

    /// Visits the entries at `cursor` and returns the next cursor, 0 at the end.
    ///
    /// Cursors count with reversed bits, as in Redis's dict: whatever stands in the table during a whole round is
    /// visited at least once, although it may grow or shrink between calls.
    pub(crate) fn scan(&self, cursor: u64, visit: &mut dyn FnMut(Entry)) -> u64 {
        let word = self.word.load(Relaxed);
        if word == 0 {
            return 0;
        }
        // SAFETY: the lock is held.
        let (array, mask) = unsafe { array_of(word) };
        let next = (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits();
        // SAFETY: masked indices.
        let (bucket, then) =
            unsafe { (&*array.add((cursor & mask) as usize), &*array.add((next & mask) as usize)) };
        if cursor == 0 {
            prefetch_entries(bucket);
        }
        prefetch_entries(then);
        visit_chain(bucket, visit);
        next
    }

    /// Visits every entry.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(Entry)) {
        for_each_in(self.word.load(Relaxed), &mut visit);
    }

    /// A random entry; buckets are drawn until one is not empty.
    pub(crate) fn random(&self, rng: &mut fastrand::Rng) -> Option<Entry> {
        if self.len() == 0 {
            return None;
        }
        // SAFETY: not empty, so there is an array, and the lock is held.
        let (array, mask) = unsafe { array_of(self.word.load(Relaxed)) };
        loop {
            // SAFETY: index within the array.
            let bucket = unsafe { &*array.add(rng.u64(0..=mask) as usize) };
            let mut count = 0;
            visit_chain(bucket, &mut |_| count += 1);
            if count > 0 {
                let mut left = rng.usize(0..count);
                let mut found = None;
                visit_chain(bucket, &mut |entry| {
                    if left == 0 {
                        found = found.or(Some(entry));
                    }
                    left = left.wrapping_sub(1);
                });
                return found;
            }
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl Detached {
    /// Visits the entries of one bucket; false where there is none of this number.
    pub(crate) fn visit_bucket(&self, number: u64, visit: &mut dyn FnMut(Entry)) -> bool {
        if self.word == 0 {
            return false;
        }
        // SAFETY: the array is this handle's own.
        let (array, mask) = unsafe { array_of(self.word) };
        if number > mask {
            return false;
        }
        // SAFETY: index and mask are of the array.
        unsafe { visit_in_order(array, mask, number, visit) };
        true
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        // SAFETY: the entries are in no table any more.
        for_each_in(self.word, |entry| unsafe { entry.free() });
        retire(self.word);
    }
}

fn place_in(word: u64, hash: u64, entry: Entry) {
    // SAFETY: the caller owns the array behind `word` and holds the lock.
    let mut bucket = unsafe {
        let (array, mask) = array_of(word);
        &*array.add((hash & mask) as usize)
    };
    loop {
        let tags = bucket.tags.load(Relaxed);
        let mut free = free_ways(tags);
        if tags & CHAINED != 0 {
            free &= !(0x80 << 48);
        }
        if free != 0 {
            return bucket.put((free.trailing_zeros() / 8) as usize, tag_of(hash), entry);
        }
        // SAFETY: as above.
        bucket = match unsafe { next_in_chain(bucket) } {
            Some(next) => next,
            None => chain(bucket),
        };
    }
}

/// Hangs a new bucket behind a full one; the last entry moves into it to make room for the link.
fn chain(bucket: &Bucket) -> &'static Bucket {
    let address = (new_array(0) & !63) as usize;
    // SAFETY: just allocated.
    let next: &'static Bucket = unsafe { &*ptr::with_exposed_provenance(address) };
    let tags = bucket.tags.load(Relaxed);
    let last_tag = (tags >> 48) & 0xff;
    next.put(0, last_tag, bucket.entry(WAYS - 1));
    bucket.ways[WAYS - 1].store(address as u64, Release);
    // The tag byte of the link stays a used one that matches no hash's first look-up more often than any other;
    // `entry_ways` masks it out.
    bucket.tags.store(tags | CHAINED, Release);
    next
}

/// Asks the processor for the entries of a bucket that is visited next: one by one they would be waited for.
fn prefetch_entries(bucket: &Bucket) {
    let mut ways = bucket.entry_ways();
    while ways != 0 {
        let entry = bucket.ways[(ways.trailing_zeros() / 8) as usize].load(Relaxed) as usize;
        prefetch::<NOW>(ptr::without_provenance(entry));
        prefetch::<NOW>(ptr::without_provenance(entry + ENTRY_REACH));
        ways &= ways - 1;
    }
}

fn visit_chain(first: &Bucket, visit: &mut dyn FnMut(Entry)) {
    let mut bucket = first;
    loop {
        let mut ways = bucket.entry_ways();
        while ways != 0 {
            visit(bucket.entry((ways.trailing_zeros() / 8) as usize));
            ways &= ways - 1;
        }
        // SAFETY: the lock is held.
        match unsafe { next_in_chain(bucket) } {
            Some(next) => bucket = next,
            None => return,
        }
    }
}

/// Visits the entries of bucket `index`, asking for those of the next.
///
/// # Safety
/// `array` is live and has `mask + 1` buckets, `index` is one of them.
unsafe fn visit_in_order(array: *const Bucket, mask: u64, index: u64, visit: &mut dyn FnMut(Entry)) {
    // SAFETY: the caller's promise.
    unsafe {
        if index < mask {
            prefetch_entries(&*array.add(index as usize + 1));
        }
        visit_chain(&*array.add(index as usize), visit);
    }
}

fn for_each_in(word: u64, mut visit: impl FnMut(Entry)) {
    if word == 0 {
        return;
    }
    // SAFETY: the caller owns the array behind `word`.
    let (array, mask) = unsafe { array_of(word) };
    for index in 0..=mask {
        // SAFETY: index and mask are of the array.
        unsafe { visit_in_order(array, mask, index, &mut visit) };
    }
}

/// Frees an array and its chained buckets once nobody can be prefetching through it.
fn retire(word: u64) {
    if word == 0 {
        return;
    }
    let guard = epoch::pin();
    // SAFETY: the word has been unpublished; readers that still see the array hold older guards.
    unsafe { guard.defer_unchecked(move || free_array(word)) };
}

/// # Safety
/// Nobody can reach the array any more.
unsafe fn free_array(word: u64) {
    // SAFETY: by the caller.
    unsafe {
        let (array, mask) = array_of(word);
        for index in 0..=mask {
            let mut link = next_in_chain(&*array.add(index as usize)).map(|b| b as *const Bucket);
            while let Some(bucket) = link {
                link = next_in_chain(&*bucket).map(|b| b as *const Bucket);
                dealloc(bucket.cast_mut().cast(), array_layout(0));
            }
        }
        dealloc(array.cast_mut().cast(), array_layout((word & 63) as u32));
    }
}

/// Of a prefetch: what it asks for is used at once. The nearest cache takes it, which has room for few requests under
/// way and drops further ones.
pub(crate) const NOW: bool = true;
/// Of a prefetch: what it asks for is used after others. The second cache takes it, which keeps many under way.
pub(crate) const SOON: bool = false;

/// Asks for the cache line at `address`, `NOW` or `SOON`; any address is fine.
#[inline]
pub(crate) fn prefetch<const WHEN: bool>(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        if WHEN == NOW {
            _mm_prefetch::<_MM_HINT_T0>(address.cast());
        } else {
            _mm_prefetch::<_MM_HINT_T1>(address.cast());
        }
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::same;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_the_same_if_all_bytes_are(key in proptest::collection::vec(any::<u8>(), 0..48), at: usize, flip in 1u8..) {
            let mut other = key.clone();
            prop_assert!(same(&key, &other));
            if let Some(len) = std::num::NonZeroUsize::new(key.len()) {
                other[at % len] ^= flip;
                prop_assert!(!same(&key, &other), "byte {}", at % len);
            }
            other.push(0);
            prop_assert!(!same(&key, &other));
        }
    }
}
