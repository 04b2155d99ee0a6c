//! One controller, told what three agents say and what Raft does.

use super::*;
use crate::entry::ShardChange;
use crate::event::Cause;
use crate::ids::{Incarnation, Position, SetVersion};
use crate::message::{Leading, Surrender};
use crate::topology::{Announcement, ONLY_SHARD};

fn process(node: u64, incarnation: u64) -> Process {
    Process { node: NodeId(node), incarnation: Incarnation(incarnation) }
}

fn announcement(node: u64) -> Announcement {
    let (clients, peers) = (format!("c{node}"), format!("p{node}"));
    Announcement { clients, peers, zone: String::new(), priority: 100 }
}

/// Node 1's controller. Everything it proposes is applied at once.
struct Bench {
    controller: Controller,
    topology: Topology,
    now: Time,
    seq: u64,
    incarnations: [u64; 4],
    offsets: [u64; 4],
    quiet: Vec<u64>,
    stalled: Option<u64>,
    unwritable: Vec<u64>,
    surrender: Option<Surrender>,
    lagging: Vec<(Process, Span)>,
    proposals: Vec<Entry>,
    leases: Vec<Lease>,
    orders: Vec<HandOver>,
}

impl Bench {
    /// A deployment of three in which all are in sync.
    fn new() -> Bench {
        let now = Time(1_000_000);
        let timing = Timing::default();
        let controller = Controller::new(process(1, 1), 3, timing, Rules::default(), now);
        let mut bench = Bench {
            controller,
            topology: Topology::default(),
            now,
            seq: 0,
            incarnations: [1; 4],
            offsets: [10; 4],
            quiet: Vec::new(),
            stalled: None,
            unwritable: Vec::new(),
            surrender: None,
            lagging: Vec::new(),
            proposals: Vec::new(),
            leases: Vec::new(),
            orders: Vec::new(),
        };
        bench.step(Input::Voters((1..=3).map(NodeId).collect()));
        bench.step(Input::Elected { by_transfer: false });
        bench.pass(300);
        for node in 2..=3 {
            let version = bench.shard().version;
            let change = ShardChange::Grow { version, member: process(node, 1) };
            let (mandate, epoch) = (bench.topology.mandate, bench.shard().epoch);
            bench.apply(&Entry::Change { mandate, shard: ONLY_SHARD, epoch, change });
        }
        bench.proposals.clear();
        bench
    }

    fn shard(&self) -> &Shard {
        &self.topology.shards[&ONLY_SHARD]
    }

    fn apply(&mut self, entry: &Entry) {
        if self.topology.apply(entry, Rules::default()).is_ok() {
            self.step(Input::Topology(Arc::new(self.topology.clone())));
        }
    }

    fn step(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.controller.step(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Propose(entry) => {
                    self.proposals.push(entry.clone());
                    self.apply(&entry);
                }
                Effect::Lease(lease) => self.leases.push(lease),
                Effect::HandOver(order) => self.orders.push(order),
                _ => {}
            }
        }
    }

    /// Lets time pass in heartbeats of all nodes that are not quiet.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.now = self.now.plus(Span::millis(50));
            self.step(Input::Quorum { sent: self.now });
            for node in (1..=3).filter(|node| !self.quiet.contains(node)).collect::<Vec<_>>() {
                let heartbeat = self.heartbeat(node);
                self.step(Input::Heartbeat(Box::new(heartbeat)));
            }
            self.step(Input::Tick);
        }
    }

    fn heartbeat(&mut self, node: u64) -> Heartbeat {
        self.seq += 1;
        let from = process(node, self.incarnations[node as usize]);
        let shard = self.topology.shards.get(&ONLY_SHARD).filter(|shard| shard.primary == from);
        let leading = shard.map(|shard| Leading {
            shard: ONLY_SHARD,
            epoch: shard.epoch,
            version: shard.version,
            offers: Vec::new(),
            lagging: self.lagging.clone(),
            surrender: self.surrender,
        });
        let stalled = self.stalled == Some(node);
        Heartbeat {
            from,
            seq: self.seq,
            sent: self.now,
            announcement: announcement(node),
            position: Some(Position { epoch: Epoch(1), offset: self.offsets[node as usize] }),
            stalled_for: if stalled { Span::millis(60_000) } else { Span(0) },
            writable: !self.unwritable.contains(&node),
            leading,
        }
    }

    fn promotions(&self) -> Vec<(Process, Cause)> {
        let promotion = |entry: &Entry| match entry {
            Entry::Change { change: ShardChange::Promote { candidate, cause, .. }, .. } => {
                Some((*candidate, *cause))
            }
            _ => None,
        };
        self.proposals.iter().filter_map(promotion).collect()
    }
}

#[test]
fn founders_are_announced_and_the_first_primary_is_named() {
    let bench = Bench::new();
    assert_eq!(bench.topology.members.len(), 3);
    assert_eq!(bench.shard().primary, process(1, 1));
    assert_eq!(bench.topology.slots.len(), 1);
    assert!(bench.leases.iter().all(|lease| lease.to == process(1, 1)));
}

#[test]
fn a_silent_primary_is_replaced_after_its_lease_by_the_one_with_most() {
    let mut bench = Bench::new();
    bench.offsets = [0, 10, 10, 12];
    bench.pass(200);
    bench.quiet = vec![1];
    bench.pass(450);
    assert!(bench.promotions().is_empty());
    let granted = bench.leases.last().unwrap();
    assert!(bench.now < granted.sent.plus(granted.left).plus(Span::millis(100)));
    bench.pass(100);
    let (candidate, cause) = bench.promotions()[0];
    assert_eq!(candidate, process(3, 1));
    assert!(matches!(cause, Cause::Silent(_)));
    assert_eq!(bench.shard().epoch, Epoch(2));
}

#[test]
fn a_restarted_primary_is_replaced_at_once_and_a_restarted_set_recovers_the_best() {
    let mut bench = Bench::new();
    bench.incarnations[1] = 2;
    bench.pass(50);
    assert_eq!(bench.promotions()[0].1, Cause::Restarted);
    let mut bench = Bench::new();
    bench.quiet = vec![1, 2, 3];
    bench.pass(600);
    bench.incarnations = [2; 4];
    bench.offsets = [0, 5, 9, 7];
    bench.quiet = vec![3];
    bench.pass(2000);
    assert_eq!(bench.shard().epoch, Epoch(1), "3 is in the set and may live");
    bench.quiet.clear();
    bench.pass(100);
    assert_eq!((bench.shard().primary, bench.shard().cause), (process(2, 2), Cause::AllRestarted));
}

#[test]
fn no_lease_without_a_quorum_and_none_for_an_old_epoch() {
    let mut bench = Bench::new();
    bench.leases.clear();
    bench.now = bench.now.plus(Span::millis(449));
    let heartbeat = bench.heartbeat(1);
    bench.step(Input::Heartbeat(Box::new(heartbeat)));
    assert_eq!(bench.leases.len(), 1);
    assert!(bench.leases[0].left <= Span::millis(1));
    bench.now = bench.now.plus(Span::millis(1));
    let mut heartbeat = bench.heartbeat(1);
    bench.step(Input::Heartbeat(Box::new(heartbeat.clone())));
    assert_eq!(bench.leases.len(), 1);
    bench.step(Input::Quorum { sent: bench.now });
    heartbeat.seq += 1;
    heartbeat.leading.as_mut().unwrap().epoch = Epoch(0);
    bench.step(Input::Heartbeat(Box::new(heartbeat)));
    assert_eq!(bench.leases.len(), 1);
}

#[test]
fn a_hung_data_plane_is_failed_over_and_a_slow_script_is_not() {
    let mut bench = Bench::new();
    bench.stalled = Some(1);
    bench.pass(1000);
    assert!(matches!(bench.promotions()[0].1, Cause::Stalled(_)));
    let mut bench = Bench::new();
    bench.controller.timing.stall_timeout = Span::millis(90_000);
    bench.stalled = Some(1);
    bench.pass(3000);
    assert!(bench.promotions().is_empty());
}

#[test]
fn a_surrender_is_answered_at_once_with_the_named_successor() {
    let mut bench = Bench::new();
    bench.surrender = Some(Surrender { to: process(3, 1), leaving: true });
    bench.pass(50);
    assert_eq!(bench.promotions()[0], (process(3, 1), Cause::Planned));
    assert!(!bench.shard().in_sync.contains_key(&NodeId(1)));
}

#[test]
fn a_leader_made_by_transfer_waits_one_lease() {
    let mut bench = Bench::new();
    bench.quiet = vec![1];
    bench.pass(400);
    bench.step(Input::Deposed);
    bench.controller.granted.clear();
    bench.step(Input::Elected { by_transfer: true });
    bench.pass(400);
    assert!(bench.promotions().is_empty());
    bench.pass(100);
    assert_eq!(bench.promotions().len(), 1);
}

#[test]
fn lagging_and_silent_members_leave_down_to_the_minimum() {
    let mut bench = Bench::new();
    bench.lagging = vec![(process(2, 1), Span::millis(1100))];
    bench.pass(50);
    assert_eq!(bench.shard().in_sync.keys().map(|node| node.0).collect::<Vec<_>>(), [1, 3]);
    bench.quiet = vec![3];
    bench.pass(2000);
    assert_eq!(bench.shard().in_sync.len(), 2);
    assert_eq!(bench.shard().version, SetVersion(4));
}

#[test]
fn its_own_pause_is_nobodys_silence() {
    let mut bench = Bench::new();
    bench.now = bench.now.plus(Span::millis(20_000));
    bench.step(Input::Quorum { sent: bench.now });
    bench.step(Input::Tick);
    assert!(bench.promotions().is_empty());
}

#[test]
fn a_node_whose_address_is_taken_is_forgotten() {
    let mut bench = Bench::new();
    bench.quiet = vec![3];
    let mut replaced = false;
    for _ in 0..40 {
        bench.pass(50);
        bench.seq += 1;
        let mut heartbeat = bench.heartbeat(2);
        heartbeat.from = process(4, 1);
        heartbeat.announcement = announcement(3);
        bench.step(Input::Heartbeat(Box::new(heartbeat)));
        replaced |= bench.topology.forgotten.contains(&NodeId(3));
    }
    assert!(replaced);
    assert!(bench.shard().replicas.contains(&NodeId(4)));
}

#[test]
fn a_primary_whose_disk_is_full_is_asked_to_hand_over_to_one_that_can_write() {
    let mut bench = Bench::new();
    bench.unwritable = vec![2];
    bench.offsets = [0, 10, 12, 10];
    bench.pass(50);
    bench.unwritable = vec![1, 2];
    bench.pass(100);
    let order = HandOver { primary: process(1, 1), epoch: Epoch(1), to: Some(NodeId(3)) };
    assert_eq!(bench.orders, [order], "once, and not to the one that has more and cannot write either");
    bench.surrender = Some(Surrender { to: process(3, 1), leaving: false });
    bench.pass(50);
    assert_eq!(bench.promotions()[0], (process(3, 1), Cause::Unwritable));
    assert!(bench.shard().in_sync.contains_key(&NodeId(1)), "it has everything, and may come back");
    let mut bench = Bench::new();
    bench.unwritable = vec![2, 3];
    bench.pass(50);
    bench.unwritable = vec![1, 2, 3];
    bench.pass(3000);
    assert!(bench.orders.is_empty() && bench.promotions().is_empty(), "nobody could do better");
}

#[test]
fn writes_do_not_wait_long_for_a_member_whose_disk_is_full() {
    let mut bench = Bench::new();
    bench.lagging = vec![(process(2, 1), Span::millis(150))];
    bench.pass(50);
    assert_eq!(bench.shard().in_sync.len(), 3);
    bench.unwritable = vec![2];
    bench.pass(50);
    assert!(!bench.shard().in_sync.contains_key(&NodeId(2)));
    bench.unwritable = vec![3];
    bench.lagging = vec![(process(3, 1), Span::millis(150))];
    bench.pass(50);
    assert_eq!(bench.shard().in_sync.len(), 2, "without it there are too few copies");
}
