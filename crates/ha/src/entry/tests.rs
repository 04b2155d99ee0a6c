//! Entries, applied in order to three members of one shard.

use super::*;
use crate::ids::Incarnation;
use crate::topology::{MIN_REPLICAS, ONLY_SHARD};

fn announcement() -> Announcement {
    Announcement { clients: "c".into(), peers: "p".into(), zone: String::new(), priority: 100 }
}

fn process(node: u64, incarnation: u64) -> Process {
    Process { node: NodeId(node), incarnation: Incarnation(incarnation) }
}

fn announce(topology: &mut Topology, process: Process) -> Result<Applied, Void> {
    topology.apply(&Entry::Announce { process, announcement: announcement() }, Rules::default())
}

fn change(topology: &mut Topology, epoch: u64, change: ShardChange) -> Result<Applied, Void> {
    let entry = Entry::Change { mandate: Mandate(1), shard: ONLY_SHARD, epoch: Epoch(epoch), change };
    topology.apply(&entry, Rules::default())
}

fn promote(node: u64, incarnation: u64) -> ShardChange {
    ShardChange::Promote {
        candidate: process(node, incarnation),
        old_leaves: true,
        cause: Cause::Silent(crate::Span(1)),
    }
}

fn shrink(topology: &Topology, member: Process) -> ShardChange {
    let version = topology.shards[&ONLY_SHARD].version;
    ShardChange::Shrink { version, member, why: Leave::Silent }
}

fn grow(topology: &Topology, member: Process) -> ShardChange {
    ShardChange::Grow { version: topology.shards[&ONLY_SHARD].version, member }
}

/// Nodes 1 to 3, all in sync; 1 leads in epoch 1.
fn three() -> Topology {
    let mut topology = Topology::default();
    let mandate = Entry::Mandate { holder: Holder { process: process(1, 1), tenure: 1 } };
    topology.apply(&mandate, Rules::default()).unwrap();
    for node in 1..=3 {
        announce(&mut topology, process(node, 1)).unwrap();
    }
    let create = Entry::CreateShard {
        mandate: Mandate(1),
        shard: ONLY_SHARD,
        primary: process(1, 1),
        replicas: (1..=3).map(NodeId).collect(),
        slots: vec![(0, 16383)],
    };
    topology.apply(&create, Rules::default()).unwrap();
    for node in 2..=3 {
        let grow = grow(&topology, process(node, 1));
        change(&mut topology, 1, grow).unwrap();
    }
    topology
}

fn set(topology: &Topology) -> Vec<(u64, u64)> {
    topology.shards[&ONLY_SHARD].in_sync.iter().map(|(node, incarnation)| (node.0, incarnation.0)).collect()
}

#[test]
fn a_promotion_moves_the_epoch_and_drops_the_old_primary() {
    let mut topology = three();
    assert_eq!(change(&mut topology, 1, promote(2, 1)), Ok(Applied::Primary(ONLY_SHARD)));
    let shard = &topology.shards[&ONLY_SHARD];
    assert_eq!((shard.epoch, shard.primary), (Epoch(2), process(2, 1)));
    assert_eq!(set(&topology), [(2, 1), (3, 1)]);
    assert_eq!(change(&mut topology, 1, promote(3, 1)), Err(Void::OldEpoch));
}

#[test]
fn at_the_minimum_the_old_primary_stays_noted() {
    let mut topology = three();
    let leave = shrink(&topology, process(3, 1));
    change(&mut topology, 1, leave).unwrap();
    change(&mut topology, 1, promote(2, 1)).unwrap();
    assert_eq!(set(&topology), [(1, 1), (2, 1)]);
}

#[test]
fn a_promotion_is_void_out_of_the_set_and_for_a_former_life() {
    let mut topology = three();
    let leave = shrink(&topology, process(3, 1));
    change(&mut topology, 1, leave).unwrap();
    assert_eq!(change(&mut topology, 1, promote(3, 1)), Err(Void::NotInSync));
    announce(&mut topology, process(2, 2)).unwrap();
    assert_eq!(change(&mut topology, 1, promote(2, 1)), Err(Void::OldProcess));
    assert_eq!(change(&mut topology, 1, promote(2, 2)), Err(Void::NotInSync));
    assert_eq!(change(&mut topology, 1, promote(1, 1)), Err(Void::IsPrimary));
}

#[test]
fn the_set_stops_at_the_minimum() {
    let mut topology = three();
    let first = shrink(&topology, process(3, 1));
    assert_eq!(change(&mut topology, 1, first.clone()), Ok(Applied::Set(ONLY_SHARD)));
    assert_eq!(change(&mut topology, 1, first), Err(Void::OldVersion));
    let second = shrink(&topology, process(2, 1));
    assert_eq!(change(&mut topology, 1, second.clone()), Err(Void::AtMinimum));
    let relaxed = Entry::Set { name: MIN_REPLICAS.into(), value: Some("0".into()) };
    topology.apply(&relaxed, Rules::default()).unwrap();
    assert_eq!(change(&mut topology, 1, second), Ok(Applied::Set(ONLY_SHARD)));
    let primary = shrink(&topology, process(1, 1));
    assert_eq!(change(&mut topology, 1, primary), Err(Void::IsPrimary));
}

#[test]
fn an_offer_ends_with_the_next_version() {
    let mut topology = three();
    let first = shrink(&topology, process(3, 1));
    change(&mut topology, 1, first).unwrap();
    let offer = grow(&topology, process(3, 1));
    announce(&mut topology, process(2, 2)).unwrap();
    assert_eq!(change(&mut topology, 1, offer), Err(Void::OldVersion));
    let offer = grow(&topology, process(2, 1));
    assert_eq!(change(&mut topology, 1, offer), Err(Void::OldProcess));
}

#[test]
fn a_restarted_replica_leaves_and_a_restarted_primary_is_remembered() {
    let mut topology = three();
    assert_eq!(announce(&mut topology, process(3, 2)), Ok(Applied::Member(vec![ONLY_SHARD])));
    assert_eq!(set(&topology), [(1, 1), (2, 1)]);
    assert_eq!(announce(&mut topology, process(3, 2)), Err(Void::NoChange));
    assert_eq!(announce(&mut topology, process(3, 1)), Err(Void::OldProcess));
    announce(&mut topology, process(1, 2)).unwrap();
    assert_eq!(set(&topology), [(1, 1), (2, 1)]);
    change(&mut topology, 1, promote(2, 1)).unwrap();
    assert_eq!(set(&topology), [(2, 1)]);
}

#[test]
fn recovery_waits_for_the_whole_set() {
    let mut topology = three();
    announce(&mut topology, process(1, 2)).unwrap();
    announce(&mut topology, process(2, 2)).unwrap();
    let recover = |node, incarnation| ShardChange::Recover { candidate: process(node, incarnation) };
    assert_eq!(change(&mut topology, 1, recover(2, 2)), Err(Void::StillAlive));
    announce(&mut topology, process(3, 2)).unwrap();
    assert_eq!(change(&mut topology, 1, recover(2, 1)), Err(Void::OldProcess));
    assert_eq!(change(&mut topology, 1, recover(2, 2)), Ok(Applied::Primary(ONLY_SHARD)));
    assert_eq!(set(&topology), [(2, 2)]);
    assert_eq!(topology.shards[&ONLY_SHARD].recoveries, 1);
}

#[test]
fn old_mandates_are_void() {
    let mut topology = three();
    let mandate = Entry::Mandate { holder: Holder { process: process(2, 1), tenure: 1 } };
    assert_eq!(topology.apply(&mandate, Rules::default()), Ok(Applied::Mandate));
    assert_eq!(change(&mut topology, 1, promote(2, 1)), Err(Void::OldMandate));
}

#[test]
fn a_forgotten_node_is_gone_for_good_and_a_primary_is_replaced_first() {
    let mut topology = three();
    let forget =
        |node| Entry::Forget { mandate: Mandate(1), process: process(node, 1), spares_copies: false };
    assert_eq!(topology.apply(&forget(1), Rules::default()), Err(Void::IsPrimary));
    assert_eq!(topology.apply(&forget(3), Rules::default()), Ok(Applied::Forgotten));
    assert_eq!(set(&topology), [(1, 1), (2, 1)]);
    assert_eq!(announce(&mut topology, process(3, 9)), Err(Void::Forgotten));
}

#[test]
fn silence_does_not_give_up_a_copy_in_sync() {
    let mut topology = three();
    announce(&mut topology, process(3, 2)).unwrap();
    let forget = |node, spares_copies| {
        let incarnation = if node == 3 { 2 } else { 1 };
        Entry::Forget { mandate: Mandate(1), process: process(node, incarnation), spares_copies }
    };
    assert_eq!(topology.apply(&forget(2, true), Rules::default()), Err(Void::InSync));
    assert_eq!(topology.apply(&forget(3, true), Rules::default()), Ok(Applied::Forgotten));
    assert_eq!(topology.apply(&forget(2, false), Rules::default()), Ok(Applied::Forgotten));
}

#[test]
fn who_was_forgotten_before_the_shard_began_is_no_replica_of_it() {
    let mut topology = three();
    let shard = ShardId(1);
    let forget = Entry::Forget { mandate: Mandate(1), process: process(3, 1), spares_copies: false };
    topology.apply(&forget, Rules::default()).unwrap();
    let replicas = (1..=3).map(NodeId).collect();
    let mandate = Mandate(1);
    let create = Entry::CreateShard { mandate, shard, primary: process(2, 1), replicas, slots: Vec::new() };
    topology.apply(&create, Rules::default()).unwrap();
    assert_eq!(topology.shards[&shard].replicas, [NodeId(1), NodeId(2)].into());
}

#[test]
fn slots_change_hands_in_ranges() {
    let mut topology = three();
    let create = Entry::CreateShard {
        mandate: Mandate(1),
        shard: ShardId(1),
        primary: process(2, 1),
        replicas: BTreeSet::new(),
        slots: vec![(100, 199)],
    };
    topology.apply(&create, Rules::default()).unwrap();
    let owners: Vec<_> =
        topology.slots.iter().map(|range| (range.first, range.last, range.shard.0)).collect();
    assert_eq!(owners, [(0, 99, 0), (100, 199, 1), (200, 16383, 0)]);
}

#[test]
fn settings_and_users_are_facts_like_others() {
    let mut topology = three();
    let set = |value: Option<&str>| Entry::Set { name: "maxmemory".into(), value: value.map(String::from) };
    topology.apply(&set(Some("1gb")), Rules::default()).unwrap();
    assert_eq!(topology.settings["maxmemory"], "1gb");
    topology.apply(&set(None), Rules::default()).unwrap();
    assert!(topology.settings.is_empty());
    let user = Entry::User { name: "app".into(), rules: Some("on ~* +@all".into()) };
    topology.apply(&user, Rules::default()).unwrap();
    assert_eq!(topology.users["app"], "on ~* +@all");
}
