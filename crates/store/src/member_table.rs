//! Hash table of members behind one pointer each, for large hashes, sets and sorted sets.
//!
//! A bucket is one cache line: seven tags of seven hash bits, seven pointers, and a count of members that had to
//! move on to a following bucket. Lookups touch one line, then the member. The number of buckets is a power of two and
//! a member is found from its home bucket, so a scan cursor that counts in reversed bits, as Redis's SCAN does
//! (<https://redis.io/docs/latest/commands/scan/>), survives growth and shrinking between calls.
//!
//! A large table is resized in steps: the old buckets are emptied a few at a time by the changes that follow.

use crate::alloc_size::alloc_size;
use crate::table::{NOW, SOON, prefetch};
use smallvec::SmallVec;
use std::hash::BuildHasher;
use std::ptr;
use std::sync::LazyLock;

/// Slots of a bucket.
const SLOTS: usize = 7;
/// Members per bucket, on average, above which the table doubles.
const LOAD_MAX: usize = 6;
/// Buckets of a table that is left whose members move with each change.
const STEP: usize = 2;
/// Tables of up to this many buckets are resized in one go.
const AT_ONCE: usize = 512;
/// Byte of a bucket's `meta` that counts members which passed it by; 255 means "many" and stays.
const PASSED: usize = 7;
/// Bit of a tag that marks a member whose home is an earlier bucket.
const FOREIGN: u8 = 0x80;
const ONES: u64 = 0x0001_0101_0101_0101;

/// What a `MemberTable` holds.
pub trait Member {
    /// The bytes it is found by. They must not change while it is in a table.
    fn key(&self) -> &[u8];
    /// Where the memory of `key` begins, for a prefetch. Nothing is read there.
    fn key_address(&self) -> *const u8;
    /// Bytes on the heap.
    fn mem_usage(&self) -> usize;
}

impl Member for crate::thin::ThinBytes {
    #[inline]
    fn key(&self) -> &[u8] {
        self
    }
    #[inline]
    fn key_address(&self) -> *const u8 {
        self.address()
    }
    fn mem_usage(&self) -> usize {
        crate::thin::ThinBytes::mem_usage(self)
    }
}

/// Hash of a member's key, seeded once per process so that clients cannot choose colliding members.
#[inline]
pub fn member_hash(key: &[u8]) -> u64 {
    static SEED: LazyLock<foldhash::quality::RandomState> = LazyLock::new(Default::default);
    SEED.hash_one(key)
}

#[derive(Clone)]
#[repr(C, align(64))]
struct Bucket<T> {
    /// A tag per slot, 0 when it is free; then the `PASSED` count.
    meta: [u8; 8],
    slots: [Option<T>; SLOTS],
}

impl<T> Default for Bucket<T> {
    fn default() -> Bucket<T> {
        Bucket { meta: [0; 8], slots: [const { None }; SLOTS] }
    }
}

impl<T> Bucket<T> {
    /// Slots whose tag may be `tag`, as one set bit per byte. Never misses one; may report too many.
    #[inline]
    fn candidates(&self, tag: u8) -> u64 {
        let tags = u64::from_le_bytes(self.meta) & (ONES * 0x7F);
        let differing = tags ^ (ONES * u64::from(tag));
        differing.wrapping_sub(ONES) & !differing & (ONES << 7)
    }

    #[inline]
    fn free_slot(&self) -> Option<usize> {
        let free = self.candidates(0);
        (free != 0).then(|| free.trailing_zeros() as usize / 8)
    }
}

#[inline]
fn tag_of(hash: u64) -> u8 {
    ((hash >> 57) as u8).max(1)
}

/// Buckets, a power of two of them or none.
struct Buckets<T: Member> {
    all: Vec<Bucket<T>>,
}

impl<T: Member + Clone> Clone for Buckets<T> {
    fn clone(&self) -> Buckets<T> {
        Buckets { all: self.in_order().cloned().collect() }
    }
}

impl<T: Member> Buckets<T> {
    fn new(count: usize) -> Buckets<T> {
        let mut all = Vec::with_capacity(count);
        all.resize_with(count, Bucket::default);
        Buckets { all }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.all.len().wrapping_sub(1)
    }

    /// Bucket and slot of the member with these bytes.
    #[inline]
    fn find(&self, key: &[u8], hash: u64) -> Option<(usize, usize)> {
        self.find_where(hash, |member| member.key() == key)
    }

    /// Bucket and slot of the member with this hash that `is` accepts.
    #[inline]
    fn find_where(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<(usize, usize)> {
        let mask = self.mask();
        let tag = tag_of(hash);
        let mut at = hash as usize & mask;
        for _ in 0..self.all.len() {
            let bucket = &self.all[at];
            let mut candidates = bucket.candidates(tag);
            while candidates != 0 {
                let slot = candidates.trailing_zeros() as usize / 8;
                if bucket.slots[slot].as_ref().is_some_and(&is) {
                    return Some((at, slot));
                }
                candidates &= candidates - 1;
            }
            if bucket.meta[PASSED] == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
        None
    }

    #[inline]
    fn get(&self, key: &[u8], hash: u64) -> Option<&T> {
        let (at, slot) = self.find(key, hash)?;
        self.all[at].slots[slot].as_ref()
    }

    fn get_mut(&mut self, key: &[u8], hash: u64) -> Option<&mut T> {
        let (at, slot) = self.find(key, hash)?;
        self.all[at].slots[slot].as_mut()
    }

    /// Puts a member that is not there into the first free slot from its home on. There is one: the load is bounded.
    #[inline]
    fn place(&mut self, hash: u64, member: T) {
        let mask = self.mask();
        let home = hash as usize & mask;
        let mut at = home;
        loop {
            let bucket = &mut self.all[at];
            if let Some(slot) = bucket.free_slot() {
                let foreign = if at == home { 0 } else { FOREIGN };
                bucket.meta[slot] = tag_of(hash) | foreign;
                bucket.slots[slot] = Some(member);
                return;
            }
            bucket.meta[PASSED] = bucket.meta[PASSED].saturating_add(1);
            at = (at + 1) & mask;
        }
    }

    fn take(&mut self, hash: u64, is: impl Fn(&T) -> bool) -> Option<T> {
        let (at, slot) = self.find_where(hash, is)?;
        let member = self.all[at].slots[slot].take();
        self.all[at].meta[slot] = 0;
        let mask = self.mask();
        let mut passed = hash as usize & mask;
        while passed != at {
            let count = &mut self.all[passed].meta[PASSED];
            *count -= u8::from(*count != u8::MAX);
            passed = (passed + 1) & mask;
        }
        member
    }

    /// Visits the members whose home is the bucket of `cursor`.
    fn visit_home(&self, cursor: u64, visit: &mut impl FnMut(&T)) {
        let mask = self.mask();
        let home = cursor as usize & mask;
        let mut at = home;
        for _ in 0..self.all.len() {
            let bucket = &self.all[at];
            for (member, &tag) in bucket.slots.iter().zip(&bucket.meta) {
                let Some(member) = member else { continue };
                let at_home = if at == home {
                    tag & FOREIGN == 0
                } else {
                    tag & FOREIGN != 0 && member_hash(member.key()) as usize & mask == home
                };
                if at_home {
                    visit(member);
                }
            }
            if bucket.meta[PASSED] == 0 {
                break;
            }
            at = (at + 1) & mask;
        }
    }

    fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.in_order().flat_map(|bucket| bucket.slots.iter().flatten())
    }

    /// All buckets. The processor is asked for the members of a bucket while those of the one before it are used: one by
    /// one they would be waited for.
    fn in_order(&self) -> impl Iterator<Item = &Bucket<T>> + Clone {
        self.all.iter().enumerate().map(|(at, bucket)| {
            let next = self.all.get(at + 1).into_iter();
            next.flat_map(|next| next.slots.iter().flatten())
                .for_each(|member| prefetch::<NOW>(member.key_address()));
            bucket
        })
    }
}

/// What is left of a table that is being resized: its members move on a few buckets at a time.
#[derive(Clone)]
struct Leaving<T: Member> {
    buckets: Buckets<T>,
    /// Buckets before this one are empty. Their `PASSED` counts stand, so that lookups still walk past them.
    next: usize,
}

/// Members found by their bytes. Empty tables take no memory.
#[derive(Clone)]
pub struct MemberTable<T: Member> {
    main: Buckets<T>,
    leaving: Option<Box<Leaving<T>>>,
    len: usize,
}

impl<T: Member> Default for MemberTable<T> {
    fn default() -> MemberTable<T> {
        MemberTable { main: Buckets { all: Vec::new() }, leaving: None, len: 0 }
    }
}

impl<T: Member> MemberTable<T> {
    /// An empty table.
    pub fn new() -> MemberTable<T> {
        MemberTable::default()
    }

    /// An empty table with room for `members`.
    pub fn with_capacity(members: usize) -> MemberTable<T> {
        let mut table = MemberTable::new();
        table.reserve(members);
        table
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no members.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes room for `extra` more members.
    pub fn reserve(&mut self, extra: usize) {
        let wanted = self.len.saturating_add(extra);
        if wanted > self.main.all.len() * LOAD_MAX {
            self.resize(wanted.div_ceil(LOAD_MAX));
        }
    }

    /// The member with these bytes.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&T> {
        let hash = member_hash(key);
        let found = self.main.get(key, hash);
        match &self.leaving {
            Some(leaving) if found.is_none() => leaving.buckets.get(key, hash),
            _ => found,
        }
    }

    /// Moves the members of a few buckets on, if the table is on its way to another size. Changes do so by themselves;
    /// with the reads of whoever owns the table calling this, one that is used at all gets there.
    #[inline]
    pub fn settle(&mut self) {
        self.migrate(STEP);
    }

    /// Whether no members are on their way to a table of another size.
    pub fn is_settled(&self) -> bool {
        self.leaving.is_none()
    }

    /// The member with these bytes, for a change that keeps them.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut T> {
        self.migrate(STEP);
        self.find_mut(key, member_hash(key))
    }

    #[inline]
    fn find_mut(&mut self, key: &[u8], hash: u64) -> Option<&mut T> {
        let found = self.main.get_mut(key, hash);
        match &mut self.leaving {
            Some(leaving) if found.is_none() => leaving.buckets.get_mut(key, hash),
            _ => found,
        }
    }

    /// Asks the processor for the memory that finding these members takes, one step for all of them after the other.
    pub fn look_ahead(&self, members: &[&[u8]]) {
        if self.main.all.is_empty() {
            return;
        }
        let hashes: SmallVec<[u64; 32]> = members.iter().map(|member| member_hash(member)).collect();
        let home = |hash: &u64| &self.main.all[*hash as usize & self.main.mask()];
        hashes.iter().for_each(|hash| prefetch::<SOON>(ptr::from_ref(home(hash)).cast()));
        for hash in &hashes {
            let bucket = home(hash);
            let candidates = bucket.candidates(tag_of(*hash));
            let member = (candidates != 0).then(|| candidates.trailing_zeros() as usize / 8);
            if let Some(member) = member.and_then(|slot| bucket.slots[slot].as_ref()) {
                prefetch::<SOON>(member.key_address());
            }
        }
    }

    /// Whether a member has these bytes.
    #[inline]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Adds the member that `make` builds, unless one with these bytes is there. Returns whether it was added.
    #[inline]
    pub fn insert_with(&mut self, key: &[u8], make: impl FnOnce() -> T) -> bool {
        let hash = member_hash(key);
        self.migrate(STEP);
        if self.find_mut(key, hash).is_some() {
            return false;
        }
        self.insert_new(hash, make());
        true
    }

    /// Adds `member`; returns the one with the same bytes that it replaces.
    pub fn insert(&mut self, member: T) -> Option<T> {
        let hash = member_hash(member.key());
        self.migrate(STEP);
        if let Some(there) = self.find_mut(member.key(), hash) {
            return Some(std::mem::replace(there, member));
        }
        self.insert_new(hash, member);
        None
    }

    #[inline]
    fn insert_new(&mut self, hash: u64, member: T) {
        if self.len >= self.main.all.len() * LOAD_MAX {
            self.resize((self.main.all.len() * 2).max(1));
        }
        self.main.place(hash, member);
        self.len += 1;
    }

    /// Removes the member with these bytes.
    pub fn remove(&mut self, key: &[u8]) -> Option<T> {
        self.remove_where(member_hash(key), |member| member.key() == key)
    }

    /// Removes the member whose bytes have this hash and that `is` accepts. At most one may be.
    pub fn remove_where(&mut self, hash: u64, is: impl Fn(&T) -> bool) -> Option<T> {
        self.migrate(STEP);
        let mut member = self.main.take(hash, &is);
        if member.is_none()
            && let Some(leaving) = &mut self.leaving
        {
            member = leaving.buckets.take(hash, &is);
        }
        let member = member?;
        self.len -= 1;
        if self.len == 0 {
            self.clear();
        } else if self.len < self.main.all.len() * LOAD_MAX / 8 {
            self.resize(self.len.div_ceil(LOAD_MAX / 2));
        }
        Some(member)
    }

    /// Removes all members.
    pub fn clear(&mut self) {
        *self = MemberTable::default();
    }

    /// Begins to move all members to a table of at least `buckets` buckets; small tables move at once.
    #[cold]
    fn resize(&mut self, buckets: usize) {
        self.migrate(usize::MAX);
        let buckets = Buckets::new(buckets.next_power_of_two());
        let left = std::mem::replace(&mut self.main, buckets);
        if left.all.is_empty() {
            return;
        }
        let at_once = left.all.len() <= AT_ONCE;
        self.leaving = Some(Box::new(Leaving { buckets: left, next: 0 }));
        if at_once {
            self.migrate(usize::MAX);
        }
    }

    /// Moves the members of up to `count` buckets on.
    #[inline]
    fn migrate(&mut self, count: usize) {
        if self.leaving.is_some() {
            self.migrate_some(count);
        }
    }

    #[cold]
    fn migrate_some(&mut self, count: usize) {
        let Some(leaving) = &mut self.leaving else { return };
        let end = leaving.next.saturating_add(count).min(leaving.buckets.all.len());
        for bucket in &mut leaving.buckets.all[leaving.next..end] {
            for member in bucket.slots.iter_mut().filter_map(Option::take) {
                self.main.place(member_hash(member.key()), member);
            }
            bucket.meta[..PASSED].fill(0);
        }
        leaving.next = end;
        if end == leaving.buckets.all.len() {
            self.leaving = None;
        }
    }

    /// All members, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        let leaving = self.leaving.iter().flat_map(|leaving| leaving.buckets.iter());
        leaving.chain(self.main.iter())
    }

    /// All members by value.
    pub fn into_members(self) -> impl Iterator<Item = T> {
        let leaving = self.leaving.into_iter().flat_map(|leaving| leaving.buckets.all);
        leaving.chain(self.main.all).flat_map(|bucket| bucket.slots).flatten()
    }

    /// Visits the members of one home bucket; begins at cursor 0 and is complete when it returns 0.
    ///
    /// Every member that is there from the first call to the last is visited at least once, however the table grows
    /// or shrinks between calls; a member may be visited more than once.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(&T)) -> u64 {
        if self.main.all.is_empty() {
            return 0;
        }
        let Some(leaving) = &self.leaving else {
            self.main.visit_home(cursor, &mut visit);
            return next_cursor(cursor, self.main.mask());
        };
        // A bucket of the smaller table and all those of the larger that it splits into or merges from: they follow
        // each other in cursor order.
        let (small, large) = if leaving.buckets.all.len() < self.main.all.len() {
            (&leaving.buckets, &self.main)
        } else {
            (&self.main, &leaving.buckets)
        };
        small.visit_home(cursor, &mut visit);
        let split = (small.mask() ^ large.mask()) as u64;
        let mut cursor = cursor;
        loop {
            large.visit_home(cursor, &mut visit);
            cursor = next_cursor(cursor, large.mask());
            if cursor & split == 0 {
                return cursor;
            }
        }
    }

    /// A member chosen with equal chances. The load is bounded from below, so few slots are tried.
    pub fn random(&self, rng: &mut fastrand::Rng) -> Option<&T> {
        if self.len == 0 {
            return None;
        }
        // Buckets that were left behind empty are not tried.
        let (leaving, skipped) = match &self.leaving {
            Some(leaving) => (leaving.buckets.all.as_slice(), leaving.next),
            None => (&[][..], 0),
        };
        let leaving = &leaving[skipped..];
        loop {
            let at = rng.usize(..(leaving.len() + self.main.all.len()) * SLOTS);
            let bucket = at / SLOTS;
            let bucket = leaving.get(bucket).unwrap_or_else(|| &self.main.all[bucket - leaving.len()]);
            if let Some(member) = &bucket.slots[at % SLOTS] {
                return Some(member);
            }
        }
    }

    /// Bytes on the heap: the buckets, and the members' share estimated from a sample of them.
    pub fn mem_usage(&self) -> usize {
        const SAMPLE: usize = 64;
        let sampled = self.len.min(SAMPLE);
        let members: usize = self.iter().take(SAMPLE).map(Member::mem_usage).sum();
        let average = if sampled == 0 { 0.0 } else { members as f64 / sampled as f64 };
        let buckets = |table: &Buckets<T>| alloc_size(table.all.capacity() * size_of::<Bucket<T>>());
        let leaving = self.leaving.as_ref().map_or(0, |leaving| buckets(&leaving.buckets));
        buckets(&self.main) + leaving + (average * self.len as f64) as usize
    }
}

/// Increments the bits under the mask, highest first: buckets that split or merge stay together in this order.
#[inline]
fn next_cursor(cursor: u64, mask: usize) -> u64 {
    (cursor | !(mask as u64)).reverse_bits().wrapping_add(1).reverse_bits()
}

impl<T: Member> Extend<T> for MemberTable<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, members: I) {
        for member in members {
            self.insert(member);
        }
    }
}

impl<T: std::fmt::Debug + Member> std::fmt::Debug for MemberTable<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
#[path = "member_table_tests.rs"]
mod tests;
