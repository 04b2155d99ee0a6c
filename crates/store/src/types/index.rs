//! Hash index from bytes to 32-bit ids that grows by small steps: extendible hashing over segments of at most 2 KiB.
//!
//! A bucket is one cache line: 12 one-byte tags, 12 ids, and how many entries passed it by because it was full. A
//! look-up reads the home bucket and goes on only past buckets that were passed by; removal leaves no tombstones.
//! No insert moves more than one segment, so a large collection never stalls to rehash.

use crate::table::prefetch;
use std::ptr;

/// Entries of a bucket.
const BUCKET_LEN: usize = 12;
/// Entries per bucket of a segment, on average, before it grows.
const FILL_MAX: usize = 10;
/// A segment of this many buckets splits in two rather than growing.
const SEGMENT_BUCKETS_MAX: usize = 32;
/// Two segments are made by the next bit of the hash up to this many; beyond, a segment grows instead.
const DEPTH_MAX: u8 = 28;

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket {
    /// 0 is empty.
    tags: [u8; BUCKET_LEN],
    passed: u32,
    ids: [u32; BUCKET_LEN],
}

#[derive(Clone)]
struct Segment {
    buckets: Box<[Bucket]>,
    len: u32,
    /// Leading bits of the hash that all its entries share.
    depth: u8,
}

/// The index. It stores no bytes: comparisons and hashes of entries come from the caller.
#[derive(Clone)]
pub(crate) struct Index {
    /// Segment number for each value of the leading `depth` bits of a hash.
    directory: Vec<u32>,
    segments: Vec<Segment>,
    depth: u8,
}

#[inline]
fn tag_of(hash: u64) -> u8 {
    // Bits used neither for the segment (from the top) nor for the bucket (from the bottom).
    ((hash >> 24) as u8).max(1)
}

impl Segment {
    fn new(buckets: usize, depth: u8) -> Segment {
        Segment { buckets: vec![Bucket::default(); buckets].into_boxed_slice(), len: 0, depth }
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// Bucket and place in it of the entry that `is` accepts.
    #[inline]
    fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<(usize, usize)> {
        let tag = tag_of(hash);
        let mut at = self.home(hash);
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            for place in 0..BUCKET_LEN {
                if bucket.tags[place] == tag && is(bucket.ids[place]) {
                    return Some((at, place));
                }
            }
            if bucket.passed == 0 {
                return None;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
        None
    }

    /// Adds an entry; there is room (`FILL_MAX` is below the size of a bucket).
    fn insert(&mut self, hash: u64, id: u32) {
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(place) = bucket.tags.iter().position(|&tag| tag == 0) {
                bucket.tags[place] = tag_of(hash);
                bucket.ids[place] = id;
                self.len += 1;
                return;
            }
            bucket.passed += 1;
            at = (at + 1) & (self.buckets.len() - 1);
        }
    }

    fn remove(&mut self, hash: u64, id: u32) {
        let Some((at, place)) = self.find(hash, |other| other == id) else { return };
        self.buckets[at].tags[place] = 0;
        self.len -= 1;
        let mut passed = self.home(hash);
        while passed != at {
            self.buckets[passed].passed -= 1;
            passed = (passed + 1) & (self.buckets.len() - 1);
        }
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        self.buckets.iter().flat_map(|bucket| {
            bucket.tags.iter().zip(bucket.ids).filter(|(tag, _)| **tag != 0).map(|(_, id)| id)
        })
    }

    fn resized(&self, buckets: usize, hash_of: impl Fn(u32) -> u64) -> Segment {
        let mut segment = Segment::new(buckets, self.depth);
        for id in self.ids() {
            segment.insert(hash_of(id), id);
        }
        segment
    }
}

impl Index {
    /// An empty index.
    pub(crate) fn new() -> Index {
        Index { directory: vec![0], segments: vec![Segment::new(1, 0)], depth: 0 }
    }

    #[inline]
    fn slot(&self, hash: u64) -> usize {
        // Two shifts: a depth of 0 would shift by all 64 bits.
        ((hash >> 1) >> (63 - self.depth)) as usize
    }

    #[inline]
    fn segment_mut(&mut self, hash: u64) -> &mut Segment {
        let slot = self.slot(hash);
        &mut self.segments[self.directory[slot] as usize]
    }

    /// Asks the processor for the bucket that a look-up of `hash` reads first.
    #[inline]
    pub(crate) fn prefetch<const WHEN: bool>(&self, hash: u64) {
        let segment = &self.segments[self.directory[self.slot(hash)] as usize];
        prefetch::<WHEN>(ptr::from_ref(&segment.buckets[segment.home(hash)]).cast());
    }

    /// The id that a look-up of `hash` compares first, if its bucket has one.
    #[inline]
    pub(crate) fn candidate(&self, hash: u64) -> Option<u32> {
        let segment = &self.segments[self.directory[self.slot(hash)] as usize];
        let bucket = &segment.buckets[segment.home(hash)];
        let place = bucket.tags.iter().position(|&tag| tag == tag_of(hash))?;
        Some(bucket.ids[place])
    }

    /// The id with this hash that `is` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl FnMut(u32) -> bool) -> Option<u32> {
        let segment = &self.segments[self.directory[self.slot(hash)] as usize];
        segment.find(hash, is).map(|(at, place)| segment.buckets[at].ids[place])
    }

    /// Adds an id that is not there. `hash_of` gives the hash of any id in the index.
    pub(crate) fn insert(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) {
        loop {
            let depth_used = self.segment_mut(hash).depth;
            let segment = self.segment_mut(hash);
            let buckets = segment.buckets.len();
            if (segment.len as usize) < buckets * FILL_MAX {
                return segment.insert(hash, id);
            }
            if buckets < SEGMENT_BUCKETS_MAX || depth_used >= DEPTH_MAX {
                *segment = segment.resized(buckets * 2, &hash_of);
            } else {
                self.split(hash, &hash_of);
            }
        }
    }

    /// Splits the segment of `hash` by the next bit.
    fn split(&mut self, hash: u64, hash_of: impl Fn(u32) -> u64) {
        let number = self.directory[self.slot(hash)];
        let old = &self.segments[number as usize];
        let depth = old.depth + 1;
        let mut halves = [Segment::new(SEGMENT_BUCKETS_MAX, depth), Segment::new(SEGMENT_BUCKETS_MAX, depth)];
        for id in old.ids() {
            let hash = hash_of(id);
            halves[(hash >> (64 - depth)) as usize & 1].insert(hash, id);
        }
        if depth > self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment, segment]).collect();
            self.depth = depth;
        }
        let added = self.segments.len() as u32;
        let [low, high] = halves;
        self.segments[number as usize] = low;
        self.segments.push(high);
        // The slots of a segment are neighbours; those with the new bit set are the upper half of them.
        let span = 1usize << (self.depth - depth);
        let first = (self.slot(hash) / (2 * span)) * 2 * span;
        self.directory[first + span..first + 2 * span].fill(added);
    }

    /// Takes an id out.
    pub(crate) fn remove(&mut self, hash: u64, id: u32) {
        self.segment_mut(hash).remove(hash, id);
    }

    /// Puts another id in the place of `old`.
    pub(crate) fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let segment = self.segment_mut(hash);
        if let Some((at, place)) = segment.find(hash, |other| other == old) {
            segment.buckets[at].ids[place] = new;
        }
    }

    /// Halves the segment of `hash` if it is nearly empty.
    pub(crate) fn shrink(&mut self, hash: u64, hash_of: impl Fn(u32) -> u64) {
        let segment = self.segment_mut(hash);
        let buckets = segment.buckets.len();
        if buckets > 1 && (segment.len as usize) < buckets * FILL_MAX / 8 {
            *segment = segment.resized(buckets / 2, hash_of);
        }
    }

    /// Bytes allocated.
    pub(crate) fn mem_usage(&self) -> usize {
        let buckets: usize = self.segments.iter().map(|s| size_of_val(&*s.buckets)).sum();
        buckets + self.segments.capacity() * size_of::<Segment>() + self.directory.capacity() * 4
    }
}
