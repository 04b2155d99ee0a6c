//! Members by number (id): a paged vector of members, and an index from member bytes to id.
//!
//! A member is taken out in one of two ways. `swap_remove` moves the last member into the hole: where nothing else is
//! used, a random id is a random member. `vacate` leaves the hole, so it touches no other member, and the next member
//! that comes gets it; `condense` then keeps the holes from becoming too many. Either way members only ever move to
//! lower ids, so a scan that goes from the highest id down returns every member that was there all along, whatever is
//! added or removed meanwhile.

use super::index::Index;
use crate::alloc_size::alloc_size;
use crate::member_table::{Member, member_hash};
use crate::table::{NOW, SOON, prefetch};
use smallvec::SmallVec;
use std::ptr;

/// Ids of a page. A page is one allocation, so growing copies at most one page.
const PAGE_LEN: usize = 256;
/// More ids than this for each member, and `condense` takes some away. A hole takes its place and its number.
const IDS_PER_MEMBER: usize = 3;
/// So many ids may all be holes.
const IDS_FREE: usize = PAGE_LEN;
/// Ids that `condense` takes away at once: more than the `IDS_PER_MEMBER` that a removal may leave over, and few enough not
/// to keep the caller waiting.
const CONDENSED_AT_ONCE: usize = 8;
/// Holes a scan passes by for each member it was asked for.
const HOLES_PER_VISIT: usize = 10;
/// Fewer members are in the cache anyway.
const LOOK_AHEAD_FROM: usize = 4096;
const IN_USE: &str = "ids that are told are in use";

/// See the module's text.
#[derive(Clone)]
pub(crate) struct Numbered<M> {
    pages: Vec<Vec<Option<M>>>,
    /// Ids in use and holes: all below it.
    ids: usize,
    /// Members.
    len: usize,
    /// All holes, besides numbers that are not below `ids` any more. Who comes next gets the last.
    holes: Vec<u32>,
    index: Index,
}

impl<M: Member> Numbered<M> {
    /// No members.
    pub(crate) fn new() -> Numbered<M> {
        const { assert!(size_of::<Option<M>>() == size_of::<M>(), "a hole takes more than a member") };
        Numbered { pages: Vec::new(), ids: 0, len: 0, holes: Vec::new(), index: Index::new() }
    }

    /// Number of members. Where no id was vacated, all ids are below it.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The member with this id.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> &M {
        member(&self.pages, id)
    }

    /// The member with this id, for change of anything but its bytes.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> &mut M {
        self.slot(id).as_mut().expect(IN_USE)
    }

    #[inline]
    fn slot(&mut self, id: u32) -> &mut Option<M> {
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

    /// Asks for what it takes to `swap_remove` these ids one after the other, once one more has gone: all of the first, and
    /// of the others what is needed to ask for more the next time.
    pub(crate) fn look_ahead_swaps(&self, [first, second, third]: [u32; 3]) {
        if self.len < LOOK_AHEAD_FROM {
            return;
        }
        prefetch::<NOW>(ptr::from_ref(self.get(third)).cast());
        prefetch::<NOW>(self.get(second).key_address());
        self.prefetch_index(first);
        // The last but one will be the one that moves then.
        let last = self.len as u32 - 2;
        self.prefetch_index(last);
        prefetch::<NOW>(self.get(last - 2).key_address());
    }

    /// Asks for the place of a member in the index.
    #[inline]
    pub(crate) fn prefetch_index(&self, id: u32) {
        self.index.prefetch::<NOW>(member_hash(self.get(id).key()));
    }

    /// Adds a member that is not there. At most 2^32 - 1 members fit.
    pub(crate) fn push(&mut self, member: M) -> u32 {
        self.push_hashed(member_hash(member.key()), member)
    }

    fn push_hashed(&mut self, hash: u64, member: M) -> u32 {
        let id = match self.take_hole() {
            Some(hole) => {
                *self.slot(hole) = Some(member);
                hole
            }
            None => self.append(member),
        };
        self.len += 1;
        let pages = &self.pages;
        self.index.insert(hash, id, |other| hash_of(pages, other));
        id
    }

    fn append(&mut self, member: M) -> u32 {
        let id = u32::try_from(self.ids).expect("ids of members fit 32 bits");
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE_LEN => page.push(Some(member)),
            _ => {
                let mut page = Vec::with_capacity(PAGE_LEN);
                page.push(Some(member));
                self.pages.push(page);
            }
        }
        self.ids += 1;
        id
    }

    fn take_hole(&mut self) -> Option<u32> {
        while let Some(hole) = self.holes.pop() {
            if (hole as usize) < self.ids {
                return Some(hole);
            }
        }
        None
    }

    /// Takes the highest id away; the member that had it.
    fn take_last(&mut self) -> Option<M> {
        let page = self.pages.last_mut().expect("there are ids");
        let last = page.pop().expect("the last page is not empty");
        if page.is_empty() {
            self.pages.pop();
        }
        self.ids -= 1;
        last
    }

    /// Takes a member out where no id is ever vacated. The member that had the highest id takes its place, unless it is
    /// the one removed.
    pub(crate) fn swap_remove(&mut self, id: u32) -> M {
        debug_assert_eq!(self.ids, self.len, "ids were vacated");
        let last = (self.len - 1) as u32;
        prefetch::<NOW>(self.get(id).key_address());
        prefetch::<NOW>(self.get(last).key_address());
        let hash = member_hash(self.get(id).key());
        self.index.prefetch::<NOW>(hash);
        let moved = member_hash(self.get(last).key());
        self.index.prefetch::<NOW>(moved);
        self.index.remove(hash, id);
        if id != last {
            self.index.replace(moved, last, id);
        }
        let member = self.take_last().expect(IN_USE);
        self.len -= 1;
        let removed = if id == last { member } else { std::mem::replace(self.get_mut(id), member) };
        self.shrink_index(hash);
        removed
    }

    /// Takes a member out and leaves a hole.
    pub(crate) fn vacate(&mut self, id: u32) -> M {
        let removed = self.slot(id).take().expect(IN_USE);
        let hash = member_hash(removed.key());
        self.index.remove(hash, id);
        self.len -= 1;
        self.holes.push(id);
        self.shrink_index(hash);
        removed
    }

    /// Where there are too many holes, takes the highest ids away. Members that have them move into holes: `moves` is told
    /// the old id and the new one before, while the old one still names the member.
    pub(crate) fn condense(&mut self, mut moves: impl FnMut(&Numbered<M>, u32, u32)) {
        for _ in 0..CONDENSED_AT_ONCE {
            if self.ids <= IDS_FREE.max(self.len * IDS_PER_MEMBER) {
                break;
            }
            let last = (self.ids - 1) as u32;
            if self.slot(last).is_some() {
                let hole = self.take_hole().expect("most ids are holes");
                moves(self, last, hole);
                self.index.replace(member_hash(self.get(last).key()), last, hole);
                let member = self.take_last();
                *self.slot(hole) = member;
            } else {
                self.take_last();
            }
        }
        if self.holes.len() > self.ids + IDS_FREE {
            self.holes.retain(|hole| (*hole as usize) < self.ids);
            self.holes.shrink_to(self.ids);
        }
    }

    fn shrink_index(&mut self, hash: u64) {
        let pages = &self.pages;
        self.index.shrink(hash, |other| hash_of(pages, other));
    }

    /// Members in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &M> {
        self.pages.iter().flatten().flatten()
    }

    /// Visits up to `count` members below `cursor` (0 begins) and returns the next cursor, 0 at the end. Fewer, where there
    /// are many holes.
    pub(crate) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&M)) -> u64 {
        let ids = self.ids as u64;
        let mut next = if cursor == 0 { ids } else { cursor.min(ids) };
        let (mut members, mut looks) = (count, count.saturating_mul(HOLES_PER_VISIT));
        while next > 0 && members > 0 && looks > 0 {
            next -= 1;
            looks -= 1;
            if let Some(member) = &self.pages[next as usize / PAGE_LEN][next as usize % PAGE_LEN] {
                visit(member);
                members -= 1;
            }
        }
        next
    }

    /// Bytes on the heap, those of the members included.
    pub(crate) fn mem_usage(&self) -> usize {
        let members: usize = self.iter().map(Member::mem_usage).sum();
        let pages: usize = self.pages.iter().map(|page| alloc_size(page.capacity() * size_of::<M>())).sum();
        let lists = self.pages.capacity() * size_of::<Vec<M>>() + self.holes.capacity() * size_of::<u32>();
        members + pages + lists + self.index.mem_usage()
    }
}

#[inline]
fn member<M>(pages: &[Vec<Option<M>>], id: u32) -> &M {
    pages[id as usize / PAGE_LEN][id as usize % PAGE_LEN].as_ref().expect(IN_USE)
}

#[inline]
fn hash_of<M: Member>(pages: &[Vec<Option<M>>], id: u32) -> u64 {
    member_hash(member(pages, id).key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thin::ThinBytes;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    type Model = BTreeMap<u16, u32>;

    fn name(number: u16) -> Vec<u8> {
        format!("member {number}").into_bytes()
    }

    /// Takes a member out as a sorted set does; the model follows those that move.
    fn take(members: &mut Numbered<ThinBytes>, model: &mut Model, number: u16) {
        let id = model.remove(&number).unwrap();
        assert_eq!(&*members.vacate(id), &name(number)[..]);
        members.condense(|members, old, new| {
            assert!(new < old);
            let moved = model.iter().find(|(_, id)| **id == old).map(|(number, _)| *number).unwrap();
            assert_eq!(&**members.get(old), &name(moved)[..]);
            model.insert(moved, new);
        });
    }

    fn check(members: &Numbered<ThinBytes>, model: &Model) {
        assert_eq!(members.len(), model.len());
        for (number, id) in model {
            assert_eq!(members.find(&name(*number)), Some(*id));
            assert_eq!(&**members.get(*id), &name(*number)[..]);
        }
        assert_eq!(members.iter().count(), model.len());
    }

    proptest! {
        #[test]
        fn members_keep_their_numbers_but_for_moves_that_are_told(
            steps in proptest::collection::vec((0..3u8, 0..2000u16), 1..60),
        ) {
            let mut members = Numbered::new();
            let mut model = Model::new();
            for (kind, at) in steps {
                // Runs of additions and removals, so that there are many holes.
                for number in at..at + 300 {
                    if kind == 0 && !model.contains_key(&number) {
                        model.insert(number, members.push(ThinBytes::new(&name(number))));
                    } else if kind != 0 && model.contains_key(&number) {
                        take(&mut members, &mut model, number);
                    }
                }
                check(&members, &model);
                prop_assert!(members.ids <= IDS_FREE.max(model.len() * IDS_PER_MEMBER) + CONDENSED_AT_ONCE);
                prop_assert!(members.holes.len() <= members.ids + IDS_FREE);
            }
        }
    }

    #[test]
    fn a_scan_meets_all_that_stay_while_others_go_and_come() {
        let mut members = Numbered::new();
        let mut model = Model::new();
        for number in 0..20_000 {
            model.insert(number, members.push(ThinBytes::new(&name(number))));
        }
        let mut rng = fastrand::Rng::with_seed(3);
        let mut going: Vec<u16> = (0..20_000).filter(|number| number % 10 != 0).collect();
        rng.shuffle(&mut going);
        let mut seen = BTreeSet::new();
        let mut cursor = 0;
        loop {
            cursor = members.scan(cursor, 3, |member| {
                seen.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
            for number in going.split_off(going.len().saturating_sub(16)) {
                take(&mut members, &mut model, number);
            }
            if rng.u8(..) == 0 {
                let number = rng.u16(20_000..);
                model.entry(number).or_insert_with(|| members.push(ThinBytes::new(&name(number))));
            }
        }
        assert!(going.is_empty(), "the scan was over before they had gone");
        assert!((0..20_000).step_by(10).all(|number| seen.contains(&name(number))));
    }
}
