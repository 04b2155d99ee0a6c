//! One key with its value: a single allocation of header, optional expiry, payload, key and short value.
//!
//! Layout, in bytes: `meta u32 | key_len u32 | [expire_ms i64] | payload | key | [embedded value]`, where the payload is
//! an `i64`, the length of an embedded value (`u32`), a `Vec<u8>` or a `Collection`, by kind. `meta` is, from the lowest
//! bit: access clock (24), kind (3), phase (1, see `cut`), three free ones, whether there is an expiry.
#![allow(unsafe_code)]

use crate::types::{hash::Hash, list::List, set::Set, sorted_set::SortedSet, stream::Stream};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

/// Longest value stored inside the entry; longer ones get a buffer of their own.
pub(crate) const EMBED_BYTES_MAX: usize = 64 * 1024;

const CLOCK_MASK: u32 = 0x00ff_ffff;
const KIND_SHIFT: u32 = 24;
const KIND_MASK: u32 = 0x7 << KIND_SHIFT;
/// Which of two phases an entry is in: see `cut`.
pub(crate) const PHASE: u32 = 1 << 27;
const HAS_EXPIRE: u32 = 1 << 31;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Kind {
    Int = 0,
    Embedded = 1,
    Raw = 2,
    Collection = 3,
}

/// A value that is not a string.
#[derive(Clone, Debug)]
pub(crate) enum Collection {
    /// List.
    List(List),
    /// Hash.
    Hash(Hash),
    /// Set.
    Set(Set),
    /// Sorted set.
    SortedSet(SortedSet),
    /// Stream.
    Stream(Stream),
}

/// A string as stored: an integer or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Str<'a> {
    /// Canonical decimal text of this integer.
    Int(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

impl<'a> Str<'a> {
    /// The text; `buffer` receives the digits of an integer.
    #[inline]
    pub fn as_bytes<'b>(&self, buffer: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Str::Int(value) => buffer.format(value).as_bytes(),
            Str::Bytes(bytes) => bytes,
        }
    }

    /// Bytes of text.
    pub fn len(&self) -> usize {
        match self {
            Str::Int(value) => itoa::Buffer::new().format(*value).len(),
            Str::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        matches!(self, Str::Bytes([]))
    }

    /// The text as its own buffer.
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_bytes(&mut itoa::Buffer::new()).to_vec()
    }
}

/// Payload handed to a new entry.
pub(crate) enum Payload<'a> {
    Int(i64),
    Embedded(&'a [u8]),
    Raw(Vec<u8>),
    Collection(Collection),
}

/// Pointer to an entry. Copyable like any pointer: whoever removes it from its table frees it, once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(NonNull<u8>);

const fn align8(n: usize) -> usize {
    (n + 7) & !7
}

/// Size the allocator will really use for `n` bytes (jemalloc's classes: steps of 16 to 128, then four per doubling).
/// Asking for all of it costs nothing and lets values of nearly equal length be overwritten in place.
fn size_class(n: usize) -> usize {
    if n <= 128 {
        return (n + 15) & !15;
    }
    let step = n.next_power_of_two() / 8;
    n.div_ceil(step) * step
}

impl Entry {
    /// Allocates an entry. `stamp` is the access clock (24 bits) with the phase.
    pub(crate) fn new(key: &[u8], payload: Payload<'_>, expire_ms: Option<i64>, stamp: u32) -> Entry {
        let (kind, payload_len, tail) = match &payload {
            Payload::Int(_) => (Kind::Int, 8, 0),
            Payload::Embedded(bytes) => (Kind::Embedded, 4, bytes.len()),
            Payload::Raw(_) => (Kind::Raw, size_of::<Vec<u8>>(), 0),
            Payload::Collection(_) => (Kind::Collection, size_of::<Collection>(), 0),
        };
        let key_len = u32::try_from(key.len()).expect("a key is at most 512 MB");
        let payload_at = if expire_ms.is_some() { 16 } else { 8 };
        let size = size_class(payload_at + payload_len + key.len() + tail);
        let layout = Layout::from_size_align(size, 8).expect("an entry is far below isize::MAX");
        // SAFETY: `layout` has a non-zero size; every write below lies within `size` at an offset aligned for its type
        // (payloads of alignment 8 sit at 8 or 16, the u32 length too).
        unsafe {
            let base = alloc(layout);
            let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
            let flag = if expire_ms.is_some() { HAS_EXPIRE } else { 0 };
            let meta = (stamp & (CLOCK_MASK | PHASE)) | ((kind as u32) << KIND_SHIFT) | flag;
            base.cast::<u32>().write(meta);
            base.cast::<u32>().add(1).write(key_len);
            if let Some(at) = expire_ms {
                base.add(8).cast::<i64>().write(at);
            }
            let body = base.add(payload_at);
            let key_at = body.add(payload_len);
            ptr::copy_nonoverlapping(key.as_ptr(), key_at.as_ptr(), key.len());
            match payload {
                Payload::Int(value) => body.cast::<i64>().write(value),
                Payload::Embedded(bytes) => {
                    body.cast::<u32>().write(bytes.len() as u32);
                    ptr::copy_nonoverlapping(bytes.as_ptr(), key_at.add(key.len()).as_ptr(), bytes.len());
                }
                Payload::Raw(bytes) => body.cast::<Vec<u8>>().write(bytes),
                Payload::Collection(value) => body.cast::<Collection>().write(value),
            }
            Entry(base)
        }
    }

    /// # Safety
    /// `bits` came from `to_bits` of an entry that has not been freed.
    #[inline]
    pub(crate) unsafe fn from_bits(bits: u64) -> Entry {
        // SAFETY: by the caller; an entry's address is never null.
        unsafe { Entry(NonNull::new_unchecked(ptr::with_exposed_provenance_mut(bits as usize))) }
    }

    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    #[inline]
    fn meta(self) -> u32 {
        // SAFETY: an `Entry` in hand points to a live allocation (freed only by `free`, which consumes the last copy).
        unsafe { self.0.cast::<u32>().read() }
    }

    #[inline]
    fn set_meta(self, meta: u32) {
        // SAFETY: as in `meta`; the partition's lock makes this thread the only one to touch the entry.
        unsafe { self.0.cast::<u32>().write(meta) }
    }

    #[inline]
    fn key_len(self) -> usize {
        // SAFETY: as in `meta`.
        unsafe { self.0.cast::<u32>().add(1).read() as usize }
    }

    #[inline]
    pub(crate) fn kind(self) -> Kind {
        match (self.meta() & KIND_MASK) >> KIND_SHIFT {
            0 => Kind::Int,
            1 => Kind::Embedded,
            2 => Kind::Raw,
            _ => Kind::Collection,
        }
    }

    #[inline]
    fn payload_at(self) -> usize {
        if self.meta() & HAS_EXPIRE != 0 { 16 } else { 8 }
    }

    #[inline]
    fn payload(self) -> NonNull<u8> {
        // SAFETY: within the allocation by the layout above.
        unsafe { self.0.add(self.payload_at()) }
    }

    #[inline]
    fn payload_len(self) -> usize {
        match self.kind() {
            Kind::Int => 8,
            Kind::Embedded => 4,
            Kind::Raw => size_of::<Vec<u8>>(),
            Kind::Collection => size_of::<Collection>(),
        }
    }

    /// The key.
    #[inline]
    pub(crate) fn key<'a>(self) -> &'a [u8] {
        // SAFETY: the key's bytes follow the payload; the caller keeps the entry alive and unchanged while it looks
        // (the partition's lock is held for all of it).
        unsafe {
            let at = self.payload().add(self.payload_len());
            std::slice::from_raw_parts(at.as_ptr(), self.key_len())
        }
    }

    /// Expiry, Unix milliseconds.
    #[inline]
    pub(crate) fn expire_ms(self) -> Option<i64> {
        if self.meta() & HAS_EXPIRE == 0 {
            return None;
        }
        // SAFETY: the flag says that the field is there.
        Some(unsafe { self.0.add(8).cast::<i64>().read() })
    }

    /// Overwrites the expiry in place; false if the entry has no room for one.
    pub(crate) fn overwrite_expire(self, at: i64) -> bool {
        let has = self.meta() & HAS_EXPIRE != 0;
        if has {
            // SAFETY: the flag says that the field is there.
            unsafe { self.0.add(8).cast::<i64>().write(at) };
        }
        has
    }

    /// Access clock, 24 bits.
    #[inline]
    pub(crate) fn clock(self) -> u32 {
        self.meta() & CLOCK_MASK
    }

    #[inline]
    pub(crate) fn set_clock(self, clock: u32) {
        let meta = self.meta();
        if meta & CLOCK_MASK != clock {
            self.set_meta((meta & !CLOCK_MASK) | (clock & CLOCK_MASK));
        }
    }

    /// The phase it is in: `PHASE` or 0.
    #[inline]
    pub(crate) fn phase(self) -> u32 {
        self.meta() & PHASE
    }

    pub(crate) fn set_phase(self, phase: u32) {
        self.set_meta((self.meta() & !PHASE) | (phase & PHASE));
    }

    /// Access clock with the phase, as `new` takes it.
    pub(crate) fn stamp(self) -> u32 {
        self.meta() & (CLOCK_MASK | PHASE)
    }

    /// The string, if it is one.
    #[inline]
    pub(crate) fn as_str<'a>(self) -> Option<Str<'a>> {
        // SAFETY: each read is of the type that the kind says was written; lifetime as in `key`.
        unsafe {
            match self.kind() {
                Kind::Int => Some(Str::Int(self.payload().cast::<i64>().read())),
                Kind::Embedded => {
                    let len = self.payload().cast::<u32>().read() as usize;
                    let at = self.payload().add(4 + self.key_len());
                    Some(Str::Bytes(std::slice::from_raw_parts(at.as_ptr(), len)))
                }
                Kind::Raw => Some(Str::Bytes(self.payload().cast::<Vec<u8>>().as_ref())),
                Kind::Collection => None,
            }
        }
    }

    /// The collection, if it is one.
    ///
    /// # Safety
    /// No other reference to it lives while this one does.
    #[inline]
    pub(crate) unsafe fn collection_mut<'a>(self) -> Option<&'a mut Collection> {
        // SAFETY: the kind says what was written; exclusive by the caller.
        (self.kind() == Kind::Collection).then(|| unsafe { self.payload().cast::<Collection>().as_mut() })
    }

    /// The collection for reading.
    ///
    /// # Safety
    /// No mutable reference to it lives while this one does.
    #[inline]
    pub(crate) unsafe fn collection<'a>(self) -> Option<&'a Collection> {
        // SAFETY: as above.
        (self.kind() == Kind::Collection).then(|| unsafe { self.payload().cast::<Collection>().as_ref() })
    }

    /// The growable buffer of a raw string.
    ///
    /// # Safety
    /// As `collection_mut`.
    pub(crate) unsafe fn raw_mut<'a>(self) -> Option<&'a mut Vec<u8>> {
        // SAFETY: as above.
        (self.kind() == Kind::Raw).then(|| unsafe { self.payload().cast::<Vec<u8>>().as_mut() })
    }

    /// Overwrites an integer in place; false if the entry holds something else.
    #[inline]
    pub(crate) fn overwrite_int(self, value: i64) -> bool {
        let is_int = self.kind() == Kind::Int;
        if is_int {
            // SAFETY: the kind says that an i64 is there.
            unsafe { self.payload().cast::<i64>().write(value) };
        }
        is_int
    }

    /// Overwrites an embedded value in place if the new one fits the same allocation; false otherwise.
    #[inline]
    pub(crate) fn overwrite_embedded(self, value: &[u8]) -> bool {
        if self.kind() != Kind::Embedded || value.len() > EMBED_BYTES_MAX {
            return false;
        }
        // SAFETY: the new total has the same size class, so it lies within the allocation, whose size stays what
        // `size` computes.
        unsafe {
            let old = self.payload().cast::<u32>().read() as usize;
            let head = self.payload_at() + 4 + self.key_len();
            if old != value.len() && size_class(head + old) != size_class(head + value.len()) {
                return false;
            }
            self.payload().cast::<u32>().write(value.len() as u32);
            let at = self.payload().add(4 + self.key_len());
            ptr::copy_nonoverlapping(value.as_ptr(), at.as_ptr(), value.len());
        }
        true
    }

    /// Moves the payload out and frees the allocation.
    ///
    /// # Safety
    /// The entry is in no table any more and no reference into it lives.
    pub(crate) unsafe fn into_payload<'a>(self, embedded: &'a mut Vec<u8>) -> Payload<'a> {
        // SAFETY: each read moves out what the kind says was written; the memory is then freed without dropping it.
        unsafe {
            let payload = match self.kind() {
                Kind::Int => Payload::Int(self.payload().cast::<i64>().read()),
                Kind::Embedded => {
                    embedded.clear();
                    if let Some(Str::Bytes(bytes)) = self.as_str() {
                        embedded.extend_from_slice(bytes);
                    }
                    Payload::Embedded(embedded)
                }
                Kind::Raw => Payload::Raw(self.payload().cast::<Vec<u8>>().read()),
                Kind::Collection => Payload::Collection(self.payload().cast::<Collection>().read()),
            };
            self.release();
            payload
        }
    }

    /// Drops the value and frees the allocation.
    ///
    /// # Safety
    /// As `into_payload`.
    pub(crate) unsafe fn free(self) {
        // SAFETY: by the caller; the kind says what to drop.
        unsafe {
            match self.kind() {
                Kind::Raw => ptr::drop_in_place(self.payload().cast::<Vec<u8>>().as_ptr()),
                Kind::Collection => ptr::drop_in_place(self.payload().cast::<Collection>().as_ptr()),
                Kind::Int | Kind::Embedded => {}
            }
            self.release();
        }
    }

    /// Bytes of the allocation.
    pub(crate) fn size(self) -> usize {
        let embedded = match self.kind() {
            Kind::Embedded => self.as_str().map_or(0, |s| s.len()),
            _ => 0,
        };
        size_class(self.payload_at() + self.payload_len() + self.key_len() + embedded)
    }

    unsafe fn release(self) {
        let layout = Layout::from_size_align(self.size(), 8).expect("it was allocated with this layout");
        // SAFETY: allocated in `new` with the same layout: kind, key length and size class never change in place.
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

const _: () =
    assert!(align_of::<Collection>() <= 8 && align8(size_of::<Collection>()) == size_of::<Collection>());
