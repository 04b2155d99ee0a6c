//! One agent, told what happens around it.

use super::*;
use crate::entry::{Entry, ShardChange};
use crate::event::Cause;
use crate::ids::Mandate;
use crate::topology::{ACKS, Holder, ONLY_SHARD};

fn process(node: u64, incarnation: u64) -> Process {
    Process { node: NodeId(node), incarnation: Incarnation(incarnation) }
}

fn announcement() -> Announcement {
    Announcement { clients: "c".into(), peers: "p".into(), zone: String::new(), priority: 100 }
}

/// Node 1's agent in a deployment of three, and the facts.
struct Bench {
    agent: Agent,
    topology: Topology,
    now: Time,
}

impl Bench {
    fn new() -> Bench {
        let mut topology = Topology::default();
        let holder = Holder { process: process(2, 1), tenure: 1 };
        let mut entries = vec![Entry::Mandate { holder }];
        entries.extend(
            (1..=3).map(|node| Entry::Announce { process: process(node, 1), announcement: announcement() }),
        );
        entries.push(Entry::CreateShard {
            mandate: Mandate(1),
            shard: ONLY_SHARD,
            primary: process(1, 1),
            replicas: (1..=3).map(NodeId).collect(),
            slots: Vec::new(),
        });
        for entry in &entries {
            topology.apply(entry, Rules::default()).unwrap();
        }
        let agent = Agent::new(process(1, 1), announcement(), Timing::default(), Rules::default());
        Bench { agent, topology, now: Time(1_000_000) }
    }

    /// All in sync, node 1 leads with a lease.
    fn leading() -> Bench {
        let mut bench = Bench::new();
        for node in 2..=3 {
            let version = bench.topology.shards[&ONLY_SHARD].version;
            bench.change(ShardChange::Grow { version, member: process(node, 1) });
        }
        bench.tell();
        bench.lease();
        bench
    }

    fn change(&mut self, change: ShardChange) {
        let epoch = self.topology.shards[&ONLY_SHARD].epoch;
        let entry = Entry::Change { mandate: Mandate(1), shard: ONLY_SHARD, epoch, change };
        self.topology.apply(&entry, Rules::default()).unwrap();
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.agent.step(self.now, input, &mut effects);
        effects
    }

    fn tell(&mut self) -> Vec<Effect> {
        self.step(Input::Topology(Arc::new(self.topology.clone())))
    }

    fn after(&mut self, millis: u64) -> Vec<Effect> {
        self.now = self.now.plus(Span::millis(millis));
        self.step(Input::Tick)
    }

    fn lease(&mut self) -> Vec<Effect> {
        let epoch = self.topology.shards[&ONLY_SHARD].epoch;
        let (shard, sent) = (ONLY_SHARD, self.now);
        self.step(Input::Lease(Lease { to: self.agent.me(), shard, epoch, sent, left: Span::millis(400) }))
    }

    fn set(&mut self, name: &str, value: &str) {
        let entry = Entry::Set { name: name.into(), value: Some(value.into()) };
        self.topology.apply(&entry, Rules::default()).unwrap();
    }

    fn holds(&mut self, offset: u64) -> Vec<Effect> {
        self.step(Input::Holds(Some(Position { epoch: Epoch(1), offset })))
    }

    fn acked(&mut self, node: u64, offset: u64) -> Vec<Effect> {
        let epoch = self.topology.shards[&ONLY_SHARD].epoch;
        self.step(Input::Acked { from: process(node, 1), epoch, offset })
    }
}

fn commits(effects: &[Effect]) -> Vec<u64> {
    let commit = |effect: &Effect| match effect {
        Effect::Commit { offset, .. } => Some(*offset),
        _ => None,
    };
    effects.iter().filter_map(commit).collect()
}

fn heartbeat(effects: &[Effect]) -> Option<&Heartbeat> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Heartbeat(heartbeat) => Some(&**heartbeat),
        _ => None,
    })
}

#[test]
fn it_acknowledges_only_with_a_lease_and_when_all_in_sync_have_it() {
    let mut bench = Bench::new();
    for node in 2..=3 {
        let version = bench.topology.shards[&ONLY_SHARD].version;
        bench.change(ShardChange::Grow { version, member: process(node, 1) });
    }
    let effects = bench.tell();
    assert_eq!(effects[0], Effect::Lead { shard: ONLY_SHARD, epoch: Epoch(1) });
    assert!(heartbeat(&effects).is_some_and(|heartbeat| heartbeat.leading.is_some()));
    bench.holds(10);
    bench.acked(2, 10);
    assert!(commits(&bench.acked(3, 8)).is_empty(), "no lease yet");
    let effects = bench.lease();
    assert!(matches!(effects[0], Effect::Serve { until, .. } if until == Time(1_396_000)));
    assert_eq!(commits(&effects), [8]);
    assert!(effects.contains(&Effect::Writes(Writes::Allowed)));
    assert_eq!(commits(&bench.acked(3, 10)), [10]);
}

#[test]
fn a_lost_lease_fences() {
    let mut bench = Bench::leading();
    assert!(!bench.after(390).contains(&Effect::Fence));
    assert!(bench.after(10).contains(&Effect::Fence));
    assert!(bench.lease().iter().any(|effect| matches!(effect, Effect::Serve { .. })));
    let stranger = Lease {
        to: process(1, 0),
        shard: ONLY_SHARD,
        epoch: Epoch(1),
        sent: bench.now,
        left: Span::millis(400),
    };
    bench.after(500);
    assert!(!bench.step(Input::Lease(stranger)).iter().any(|effect| matches!(effect, Effect::Serve { .. })));
}

#[test]
fn a_new_process_is_nobody_whatever_the_facts_say_of_the_old_one() {
    let mut bench = Bench::new();
    bench.agent = Agent::new(process(1, 2), announcement(), Timing::default(), Rules::default());
    let effects = bench.tell();
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Lead { .. } | Effect::Follow { .. })));
    assert_eq!(bench.agent.leads(), None);
}

#[test]
fn acknowledgements_of_another_epoch_or_life_do_not_count() {
    let mut bench = Bench::leading();
    bench.holds(10);
    bench.acked(2, 10);
    let old = Input::Acked { from: process(3, 1), epoch: Epoch(0), offset: 10 };
    assert!(commits(&bench.step(old)).is_empty());
    let other = Input::Acked { from: process(3, 2), epoch: Epoch(1), offset: 10 };
    assert!(commits(&bench.step(other)).is_empty());
}

#[test]
fn too_few_copies_refuse_writes_and_commit_nothing() {
    let mut bench = Bench::new();
    bench.tell();
    bench.holds(10);
    let effects = bench.lease();
    assert!(effects.contains(&Effect::Writes(Writes::Refused)));
    assert!(commits(&effects).is_empty());
}

#[test]
fn an_offered_follower_is_waited_for_at_once() {
    let mut bench = Bench::new();
    let version = bench.topology.shards[&ONLY_SHARD].version;
    bench.change(ShardChange::Grow { version, member: process(2, 1) });
    bench.tell();
    bench.lease();
    bench.holds(10);
    bench.acked(2, 10);
    bench.acked(3, 10);
    let effects = bench.after(60);
    let leading = heartbeat(&effects).unwrap().leading.clone().unwrap();
    assert_eq!(leading.offers, [process(3, 1)]);
    bench.holds(20);
    assert!(commits(&bench.acked(2, 20)).is_empty(), "the offer counts");
    // Another change of the set settles it.
    let version = bench.topology.shards[&ONLY_SHARD].version;
    bench.topology.shards.get_mut(&ONLY_SHARD).unwrap().version = version.next();
    assert_eq!(commits(&bench.tell()), [20]);
}

#[test]
fn acks_local_waits_for_nobody_and_commits_nothing_by_that() {
    let mut bench = Bench::leading();
    bench.set(ACKS, "local");
    bench.tell();
    assert!(bench.agent.acknowledges_at_once());
    assert!(commits(&bench.holds(30)).is_empty(), "what is read once it is off waits for the set");
    bench.set(ACKS, "in-sync");
    bench.tell();
    assert!(!bench.agent.acknowledges_at_once());
    bench.acked(2, 30);
    assert_eq!(commits(&bench.acked(3, 30)), [30]);
}

#[test]
fn with_acks_local_a_handover_waits_for_the_successor_only() {
    let mut bench = Bench::leading();
    bench.set(ACKS, "local");
    bench.tell();
    bench.holds(10);
    bench.acked(2, 10);
    assert!(bench.step(Input::HandOver { to: None, leaving: false }).contains(&Effect::Fence));
}

#[test]
fn a_handover_holds_drains_surrenders_and_follows() {
    let mut bench = Bench::leading();
    bench.holds(10);
    bench.acked(2, 10);
    let effects = bench.step(Input::HandOver { to: None, leaving: false });
    assert!(effects.contains(&Effect::Writes(Writes::Held)));
    assert!(!effects.contains(&Effect::Fence), "3 has not acknowledged the last write");
    let effects = bench.acked(3, 10);
    assert!(effects.contains(&Effect::Fence));
    let surrender = heartbeat(&effects).unwrap().leading.as_ref().unwrap().surrender.unwrap();
    assert_eq!(surrender.to, process(2, 1));
    assert!(!bench.lease().iter().any(|effect| matches!(effect, Effect::Serve { .. })), "no way back");
    let candidate = process(2, 1);
    bench.change(ShardChange::Promote { candidate, old_leaves: false, cause: Cause::Planned });
    let follow = Effect::Follow { shard: ONLY_SHARD, primary: candidate, epoch: Epoch(2) };
    assert!(bench.tell().contains(&follow));
}

#[test]
fn a_handover_that_nobody_answers_is_given_up() {
    let mut bench = Bench::leading();
    bench.holds(10);
    bench.acked(2, 10);
    bench.acked(3, 10);
    bench.step(Input::HandOver { to: None, leaving: false });
    let before = bench.now;
    let effects = bench.after(2100);
    assert!(effects.contains(&Effect::Event(Event::HandoverFailed)));
    assert!(heartbeat(&effects).unwrap().leading.as_ref().unwrap().surrender.is_none());
    let stale = Lease {
        to: process(1, 1),
        shard: ONLY_SHARD,
        epoch: Epoch(1),
        sent: before,
        left: Span::millis(9000),
    };
    assert!(!bench.step(Input::Lease(stale)).iter().any(|effect| matches!(effect, Effect::Serve { .. })));
    let effects = bench.lease();
    assert!(effects.contains(&Effect::Writes(Writes::Allowed)));
}

#[test]
fn data_is_thrown_away_only_under_a_new_life_that_all_know() {
    let mut bench = Bench::leading();
    let candidate = process(2, 1);
    bench.change(ShardChange::Promote { candidate, old_leaves: false, cause: Cause::Planned });
    bench.tell();
    let effects = bench.step(Input::ResyncNeeded);
    assert!(effects.contains(&Effect::NewLife(Incarnation(2))));
    assert!(!effects.contains(&Effect::Discard));
    assert!(!bench.tell().contains(&Effect::Discard));
    let announce = Entry::Announce { process: process(1, 2), announcement: announcement() };
    bench.topology.apply(&announce, Rules::default()).unwrap();
    assert!(bench.tell().contains(&Effect::Discard));
    assert!(!bench.topology.shards[&ONLY_SHARD].in_sync.contains_key(&NodeId(1)));
}

#[test]
fn a_replica_that_leaves_is_in_no_set_and_keeps_its_data() {
    let mut bench = Bench::leading();
    bench.holds(10);
    let candidate = process(2, 1);
    bench.change(ShardChange::Promote { candidate, old_leaves: false, cause: Cause::Planned });
    bench.tell();
    let effects = bench.step(Input::Leaving);
    assert!(effects.contains(&Effect::NewLife(Incarnation(2))));
    assert_eq!(heartbeat(&effects).unwrap().from, process(1, 2));
    let announce = Entry::Announce { process: process(1, 2), announcement: announcement() };
    bench.topology.apply(&announce, Rules::default()).unwrap();
    assert!(!bench.topology.shards[&ONLY_SHARD].in_sync.contains_key(&NodeId(1)));
    assert!(!bench.tell().contains(&Effect::Discard));
    assert!(heartbeat(&bench.after(100)).unwrap().position.is_some());
}

#[test]
fn alone_it_commits_what_it_is_told_of_and_no_more() {
    let mut bench = Bench::new();
    bench.set("min-replicas-to-write", "0");
    bench.tell();
    bench.lease();
    assert!(bench.agent.is_alone() && !bench.agent.acknowledges_at_once());
    assert!(bench.holds(10).contains(&Effect::Commit { epoch: Epoch(1), offset: 10 }));
    // Who has that much is offered, and waited for from then on.
    bench.acked(2, 10);
    bench.after(100);
    assert!(!bench.agent.is_alone());
    assert!(!bench.holds(11).contains(&Effect::Commit { epoch: Epoch(1), offset: 11 }));
    bench.set(ACKS, "local");
    bench.tell();
    assert!(bench.agent.acknowledges_at_once());
}
