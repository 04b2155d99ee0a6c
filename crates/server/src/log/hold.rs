//! Who must have what is in the log before a reply that tells of it may leave.
//!
//! Each `Hold` has released the log up to an offset of its own; a reply waits for all of them. Offsets mean something
//! within a run of the log only (`Log::restart`): what is released of an earlier run does not count, and what waited
//! when a run ended never leaves.

use crate::client::Client;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Release};

/// What bytes for a client wait for before they may leave. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    offset: u64,
    /// When they were written; 0: they wait for nothing. They are void once there is another life.
    life: u64,
    /// The disk of this machine need not have it.
    spares_disk: bool,
}

impl Held {
    /// One of the first life.
    #[cfg(test)]
    pub(crate) fn sample(offset: u64) -> Held {
        Held { offset, life: 1, spares_disk: false }
    }

    /// Whether it waits for nothing.
    #[inline]
    pub(crate) fn is_nothing(self) -> bool {
        self.life == 0
    }

    /// The same without waiting for this machine's disk.
    pub(crate) fn sparing_disk(self) -> Held {
        Held { spares_disk: true, ..self }
    }

    /// Whether whoever waits for this has waited for the other, too.
    pub(crate) fn covers(self, other: Held) -> bool {
        self.offset >= other.offset
            && self.life <= other.life
            && (other.spares_disk || !self.spares_disk)
            && !self.is_nothing()
            || other.is_nothing()
    }

    /// What waits for both.
    pub(crate) fn and(self, other: Held) -> Held {
        match (self.is_nothing(), other.is_nothing()) {
            (true, _) => other,
            (_, true) => self,
            _ => Held {
                offset: self.offset.max(other.offset),
                life: self.life.min(other.life),
                spares_disk: self.spares_disk && other.spares_disk,
            },
        }
    }
}

/// How far all holds have released the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Released {
    all: u64,
    /// By those for copies on other machines.
    copies: u64,
    life: u64,
    /// The end of what had been released when the life before this one ended, of which not everything may have left
    /// yet; 0: nothing.
    before: u64,
}

impl Released {
    /// One of the first life.
    #[cfg(test)]
    pub(crate) fn sample(offset: u64) -> Released {
        Released { all: offset, copies: offset, life: 1, before: 0 }
    }

    /// Whether what was written up to `offset` may be told.
    #[inline]
    pub(crate) fn has(self, offset: u64, spares_disk: bool) -> bool {
        offset <= if spares_disk { self.copies } else { self.all }
    }

    /// Whether what waits for this may leave.
    pub(crate) fn frees(self, held: Held) -> bool {
        match self.life.wrapping_sub(held.life) {
            _ if held.is_nothing() => true,
            0 => self.has(held.offset, held.spares_disk),
            1 => held.offset < self.before,
            _ => false,
        }
    }

    /// Whether what waits for this never leaves.
    pub(crate) fn voids(self, held: Held) -> bool {
        held.life != self.life && !self.frees(held)
    }
}

/// One who holds replies until it has released them.
pub struct Hold {
    holds: Arc<Holds>,
    index: usize,
    /// The run of the log that `release` is about.
    run: u64,
}

impl Hold {
    /// Everything up to `offset` may be told, as far as this one is concerned. Of no effect after the log was restarted:
    /// then there must be another hold.
    pub fn release(&self, offset: u64) {
        self.release_of(self.run, offset);
    }

    /// As `release`, of this run of the log.
    pub fn release_of(&self, run: u64, offset: u64) {
        let mut state = self.holds.state.lock();
        if run != state.run {
            return;
        }
        let Some(slot) = &mut state.slots[self.index] else { return };
        slot.released = slot.released.max(offset);
        self.holds.settle(state);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.holds.state.lock();
        state.slots[self.index] = None;
        self.holds.settle(state);
    }
}

/// What one hold has released.
struct Slot {
    on: bool,
    /// For copies on other machines.
    remote: bool,
    released: u64,
}

#[derive(Default)]
struct State {
    slots: Vec<Option<Slot>>,
    run: u64,
    waiting: Vec<(Held, Arc<Client>)>,
}

/// All holds of a log.
pub(super) struct Holds {
    any: AtomicBool,
    /// The lowest of what holds that are on have released; without any, everything.
    all: AtomicU64,
    copies: AtomicU64,
    /// Rises whenever what waits becomes void. Written before the offsets, read after them.
    life: AtomicU64,
    /// Written before `life`, read after it.
    before: AtomicU64,
    state: Mutex<State>,
}

impl Default for Holds {
    fn default() -> Holds {
        Holds {
            any: AtomicBool::new(false),
            all: AtomicU64::new(u64::MAX),
            copies: AtomicU64::new(u64::MAX),
            life: AtomicU64::new(1),
            before: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }
}

impl Holds {
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.any.load(Acquire)
    }

    #[inline]
    pub(super) fn released(&self) -> Released {
        loop {
            let (all, copies) = (self.all.load(Acquire), self.copies.load(Acquire));
            let (life, before) = (self.life.load(Acquire), self.before.load(Acquire));
            // What belongs to a later life does not count for this one.
            if self.life.load(Acquire) == life {
                return Released { all, copies, life, before };
            }
        }
    }

    pub(super) fn held(&self, offset: u64) -> Held {
        Held { offset, life: self.life.load(Acquire), spares_disk: false }
    }

    pub(super) fn run(&self) -> u64 {
        self.state.lock().run
    }

    /// A new hold, switched off.
    pub(super) fn add(self: &Arc<Holds>, remote: bool) -> Hold {
        let mut state = self.state.lock();
        let slot = Slot { on: false, remote, released: 0 };
        let index = match state.slots.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                state.slots.push(None);
                state.slots.len() - 1
            }
        };
        state.slots[index] = Some(slot);
        Hold { holds: Arc::clone(self), index, run: state.run }
    }

    /// Switches a hold; one that was off has released everything up to `offset` then.
    pub(super) fn switch(&self, hold: &Hold, on: bool, offset: u64) {
        let mut state = self.state.lock();
        if let Some(slot) = &mut state.slots[hold.index]
            && slot.on != on
        {
            (slot.on, slot.released) = (on, offset);
        }
        self.settle(state);
    }

    /// The log goes on at `offset` as another. Returns the number of its run.
    pub(super) fn restart(&self, offset: u64) -> u64 {
        let mut state = self.state.lock();
        state.run += 1;
        self.before.store(0, Release);
        self.life.fetch_add(1, Release);
        for slot in state.slots.iter_mut().flatten() {
            slot.released = if slot.remote { 0 } else { offset };
        }
        let run = state.run;
        self.settle(state);
        run
    }

    /// What waits becomes void; what was released may still leave.
    pub(super) fn void(&self) {
        let state = self.state.lock();
        self.before.store(self.all.load(Acquire).saturating_add(1), Release);
        self.life.fetch_add(1, Release);
        self.settle(state);
    }

    /// Publishes what is released, and wakes those who have waited for it.
    fn settle(&self, mut state: MutexGuard<'_, State>) {
        let lowest = |remote_only: bool| {
            let counted =
                state.slots.iter().flatten().filter(|slot| slot.on && (slot.remote || !remote_only));
            counted.map(|slot| slot.released).min().unwrap_or(u64::MAX)
        };
        let (all, copies) = (lowest(false), lowest(true));
        self.all.store(all, Release);
        self.copies.store(copies, Release);
        self.any.store(state.slots.iter().flatten().any(|slot| slot.on), Release);
        let released = self.released();
        state.waiting.retain(|(held, client)| {
            let ready = released.frees(*held) || released.voids(*held);
            if ready {
                client.mailbox.wake();
            }
            !ready
        });
    }

    pub(super) fn wake_at(&self, held: Held, client: &Arc<Client>) {
        let mut state = self.state.lock();
        let released = self.released();
        if released.frees(held) || released.voids(held) {
            client.mailbox.wake();
        } else {
            state.waiting.push((held, Arc::clone(client)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Log;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replies_wait_for_all_who_hold() {
        let log = Log::default();
        assert!(!log.holds_replies() && log.released().frees(log.held(u64::MAX)));
        let disk = log.local_hold();
        assert!(!log.holds_replies());
        log.switch(&disk, true);
        let copies = log.hold();
        disk.release(10);
        assert!(!log.released().frees(log.held(5)), "the copies have nothing yet");
        copies.release(7);
        assert!(log.released().frees(log.held(7)) && !log.released().frees(log.held(8)));
        copies.release(20);
        assert!(log.released().frees(log.held(10)) && !log.released().frees(log.held(11)));
        assert!(log.released().frees(log.held(20).sparing_disk()));
        drop(disk);
        assert!(log.released().frees(log.held(20)) && !log.released().frees(log.held(21)));
        drop(copies);
        assert!(!log.holds_replies() && log.released().frees(log.held(21)));
    }

    #[test]
    fn what_is_released_late_does_not_count_in_another_run() {
        let log = Log::default();
        log.restart(1000, 0);
        let disk = log.local_hold();
        log.attach(Arc::new(Nobody), Some(&disk));
        let (before, run) = (log.held(900), log.run());
        log.restart(50, 3);
        assert!(log.released().voids(before) && !log.released().frees(before));
        disk.release_of(run, 1000);
        let held = log.held(51);
        assert!(!log.released().frees(held) && !log.released().voids(held));
        disk.release_of(log.run(), 51);
        assert!(log.released().frees(held));
        assert_eq!((log.position(), log.epoch_at(50)), ((3, 50), 3));
    }

    #[test]
    fn what_is_void_does_not_leave_when_the_hold_goes() {
        let log = Log::default();
        let copies = log.hold();
        let held = log.held(5);
        copies.release(4);
        let released = log.held(4);
        log.void();
        drop(copies);
        assert!(log.released().voids(held) && !log.released().frees(held));
        assert!(log.released().frees(released) && !log.released().voids(released), "it was on its way");
        log.void();
        assert!(log.released().voids(released), "two lives ago nobody knows");
        assert!(log.released().frees(log.held(5)));
    }

    struct Nobody;

    impl super::super::Consumer for Nobody {
        fn append(&self, _offset: u64, _frames: &[u8]) {}
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(bool),
        Drop(usize),
        Switch(usize, bool),
        Release(usize, u64),
        Append(u64),
        Restart(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            1 => any::<bool>().prop_map(Step::Add),
            1 => (0..4usize).prop_map(Step::Drop),
            1 => (0..4usize, any::<bool>()).prop_map(|(which, on)| Step::Switch(which, on)),
            4 => (0..4usize, 0..200u64).prop_map(|(which, offset)| Step::Release(which, offset)),
            2 => (1..20u64).prop_map(Step::Append),
            1 => (0..100u64).prop_map(Step::Restart),
        ];
        proptest::collection::vec(step, 1..60)
    }

    proptest! {
        /// The model: for each hold whether it is on, is remote and what it has released, by plain lists.
        #[test]
        fn the_lowest_of_all_counts(steps in steps()) {
            let log = Log::default();
            let mut model: Vec<(Hold, bool, bool, u64)> = Vec::new();
            let mut end = 0;
            for step in steps {
                match step {
                    Step::Add(true) if model.len() < 4 => model.push((log.hold(), true, true, 0)),
                    Step::Add(false) if model.len() < 4 => model.push((log.local_hold(), false, false, 0)),
                    Step::Drop(which) if which < model.len() => drop(model.remove(which)),
                    Step::Switch(which, on) if which < model.len() => {
                        let (hold, was, _, released) = &mut model[which];
                        log.switch(hold, on);
                        if *was != on {
                            (*was, *released) = (on, end);
                        }
                    }
                    Step::Release(which, offset) if which < model.len() => {
                        let (hold, _, _, released) = &mut model[which];
                        hold.release_of(log.run(), offset);
                        *released = offset.max(*released);
                    }
                    Step::Append(bytes) => end = log.append_frames(&vec![b'x'; bytes as usize], None),
                    Step::Restart(offset) => {
                        let held = log.held(0);
                        log.restart(offset, 0);
                        prop_assert!(log.released().voids(held));
                        end = offset;
                        for (_, _, remote, released) in &mut model {
                            *released = if *remote { 0 } else { offset };
                        }
                    }
                    _ => {}
                }
                let lowest = |only_remote: bool| {
                    let counted = model.iter().filter(|(_, on, remote, _)| *on && (*remote || !only_remote));
                    counted.map(|(.., released)| *released).min().unwrap_or(u64::MAX)
                };
                let released = log.released();
                prop_assert_eq!((released.all, released.copies), (lowest(false), lowest(true)));
                prop_assert_eq!(log.holds_replies(), model.iter().any(|(_, on, ..)| *on));
            }
        }
    }
}
