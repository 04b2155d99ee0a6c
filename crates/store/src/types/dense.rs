//! Dense table of members: a paged vector of members without holes, and an index from member bytes to position (id).
//!
//! Removing moves the last member into the hole. Because members only ever move to lower ids, a scan that goes from
//! the highest id down returns every member that was there all along, whatever is added or removed meanwhile; a
//! random member is one random id.

use super::index::Index;
use crate::alloc_size::alloc_size;
use crate::member_table::{Member, member_hash};
use crate::table::{NOW, SOON, prefetch};
use smallvec::SmallVec;
use std::ptr;

/// Members of a page. A page is one allocation, so growing copies at most one page.
const PAGE_LEN: usize = 256;

/// The table.
#[derive(Clone)]
pub(crate) struct Dense<M> {
    pages: Vec<Vec<M>>,
    len: usize,
    index: Index,
}

impl<M: Member> Dense<M> {
    /// An empty table.
    pub(crate) fn new() -> Dense<M> {
        Dense { pages: Vec::new(), len: 0, index: Index::new() }
    }

    /// Number of members; ids are below it.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The member with this id.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> &M {
        &self.pages[id as usize / PAGE_LEN][id as usize % PAGE_LEN]
    }

    /// The member with this id, for change of anything but its bytes.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> &mut M {
        &mut self.pages[id as usize / PAGE_LEN][id as usize % PAGE_LEN]
    }

    /// Id of the member with these bytes.
    #[inline]
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<u32> {
        self.find_hashed(member_hash(bytes), bytes)
    }

    #[inline]
    fn find_hashed(&self, hash: u64, bytes: &[u8]) -> Option<u32> {
        self.index.find(hash, |id| self.get(id).key() == bytes)
    }

    /// Id of the member with these bytes, which `make` makes if there is none; and whether it did.
    #[inline]
    pub(crate) fn find_or_push(&mut self, bytes: &[u8], make: impl FnOnce() -> M) -> (u32, bool) {
        let hash = member_hash(bytes);
        match self.find_hashed(hash, bytes) {
            Some(id) => (id, false),
            None => (self.push_hashed(hash, make()), true),
        }
    }

    /// Asks the processor for the memory that finding these members takes, one step for all of them after the other.
    pub(crate) fn look_ahead(&self, members: &[&[u8]]) {
        let hashes: SmallVec<[u64; 32]> = members.iter().map(|member| member_hash(member)).collect();
        hashes.iter().for_each(|hash| self.index.prefetch::<SOON>(*hash));
        let found: SmallVec<[u32; 32]> =
            hashes.iter().filter_map(|hash| self.index.candidate(*hash)).collect();
        found.iter().for_each(|id| prefetch::<SOON>(ptr::from_ref(self.get(*id)).cast()));
        found.iter().for_each(|id| prefetch::<SOON>(self.get(*id).key_address()));
    }

    /// Asks for the place of a member in the index.
    #[inline]
    pub(crate) fn prefetch_index(&self, id: u32) {
        self.index.prefetch::<NOW>(member_hash(self.get(id).key()));
    }

    /// Asks for what taking the member `id` out will need.
    fn prefetch_removal(&self, id: u32) {
        let last = (self.len - 1) as u32;
        prefetch::<NOW>(self.get(id).key_address());
        prefetch::<NOW>(self.get(last).key_address());
    }

    /// Adds a member that is not in the table. At most 2^32 - 1 members fit.
    pub(crate) fn push(&mut self, member: M) -> u32 {
        self.push_hashed(member_hash(member.key()), member)
    }

    fn push_hashed(&mut self, hash: u64, member: M) -> u32 {
        let id = u32::try_from(self.len).expect("ids of members fit 32 bits");
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE_LEN => page.push(member),
            _ => {
                let mut page = Vec::with_capacity(PAGE_LEN);
                page.push(member);
                self.pages.push(page);
            }
        }
        self.len += 1;
        let pages = &self.pages;
        self.index.insert(hash, id, |other| {
            member_hash(pages[other as usize / PAGE_LEN][other as usize % PAGE_LEN].key())
        });
        id
    }

    /// Takes a member out. The member that had the highest id takes its place, unless it is the one removed.
    pub(crate) fn swap_remove(&mut self, id: u32) -> M {
        let last = (self.len - 1) as u32;
        self.prefetch_removal(id);
        let hash = member_hash(self.get(id).key());
        self.index.prefetch::<NOW>(hash);
        let moved = member_hash(self.get(last).key());
        self.index.prefetch::<NOW>(moved);
        self.index.remove(hash, id);
        if id != last {
            self.index.replace(moved, last, id);
        }
        let page = self.pages.last_mut().expect("a table with a member has a page");
        let member = page.pop().expect("the last page is not empty");
        if page.is_empty() {
            self.pages.pop();
        }
        self.len -= 1;
        let removed = if id == last { member } else { std::mem::replace(self.get_mut(id), member) };
        let pages = &self.pages;
        self.index.shrink(hash, |other| {
            member_hash(pages[other as usize / PAGE_LEN][other as usize % PAGE_LEN].key())
        });
        removed
    }

    /// Members in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &M> {
        self.pages.iter().flatten()
    }

    /// Visits up to `count` members below `cursor` (0 begins) and returns the next cursor, 0 at the end.
    pub(crate) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&M)) -> u64 {
        let mut next = if cursor == 0 { self.len as u64 } else { cursor.min(self.len as u64) };
        for _ in 0..count {
            if next == 0 {
                break;
            }
            next -= 1;
            visit(self.get(next as u32));
        }
        next
    }

    /// Bytes on the heap, those of the members included.
    pub(crate) fn mem_usage(&self) -> usize {
        let members: usize = self.iter().map(Member::mem_usage).sum();
        let pages: usize = self.pages.iter().map(|page| alloc_size(page.capacity() * size_of::<M>())).sum();
        members + pages + self.pages.capacity() * size_of::<Vec<M>>() + self.index.mem_usage()
    }
}
