//! Messages between views made by hand.

use super::*;
use crate::ha::Failover;
use crate::sentinel::sample::{NOW, changed, heard, sample};
use proptest::prelude::*;
use redoubt_ha::Process;
use redoubt_ha::event::Cause;
use redoubt_ha::topology::ONLY_SHARD;

fn lines(before: &Sight, after: &Sight) -> Vec<String> {
    between(before, after).iter().map(|event| format!("{} {}", event.kind.channel(), event.text)).collect()
}

fn sight(view: &View) -> Sight {
    Sight::of(view, NOW)
}

fn silent(mut view: View, node: u64) -> View {
    view.heard.get_mut(&NodeId(node)).expect("it was heard").at = Time(0);
    view
}

/// Node 2 leads instead of node 1.
fn promoted(view: &View) -> View {
    let mut view = changed(view, |topology| {
        let shard = topology.shards.get_mut(&ONLY_SHARD).expect("the shard");
        shard.epoch = Epoch(4);
        shard.primary = Process { node: NodeId(2), incarnation: Incarnation(20) };
    });
    let (from, to) = (Some(NodeId(1)), NodeId(2));
    view.failover = Some(Failover { at_ms: 0, from, to, cause: Cause::Planned, took_ms: None });
    view
}

#[test]
fn the_first_look_announces_everybody() {
    let id = |node: u64| run_id(NodeId(node));
    assert_eq!(
        lines(&Sight::default(), &sight(&sample(3))),
        [
            "+new-epoch 3".to_owned(),
            "+monitor master mymaster 10.0.0.1 6379 quorum 2".to_owned(),
            format!("+sentinel sentinel {} 10.0.0.1 6379 @ mymaster 10.0.0.1 6379", id(1)),
            "+slave slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379".to_owned(),
            format!("+sentinel sentinel {} 10.0.0.2 6379 @ mymaster 10.0.0.1 6379", id(2)),
            "+slave slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.1 6379".to_owned(),
        ]
    );
}

#[test]
fn a_failover_from_the_silence_to_the_return() {
    let healthy = sample(3);
    let down = silent(healthy.clone(), 1);
    let id = run_id(NodeId(1));
    assert_eq!(
        lines(&sight(&healthy), &sight(&down)),
        [
            "+sdown master mymaster 10.0.0.1 6379".to_owned(),
            format!("+sdown sentinel {id} 10.0.0.1 6379 @ mymaster 10.0.0.1 6379"),
            "+odown master mymaster 10.0.0.1 6379 #quorum 2/2".to_owned(),
        ]
    );
    let switched = promoted(&down);
    assert_eq!(
        lines(&sight(&down), &sight(&switched)),
        [
            "+new-epoch 4",
            "+promoted-slave slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379",
            "+failover-end master mymaster 10.0.0.1 6379",
            "+switch-master mymaster 10.0.0.1 6379 10.0.0.2 6379",
            "+slave slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379",
            "+sdown slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379",
            "+slave slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.2 6379",
        ]
    );
    let mut caught = switched.clone();
    let third = Process { node: NodeId(3), incarnation: Incarnation(30) };
    caught.heard.insert(third.node, heard(third, 4, 200));
    let done = "+slave-reconf-done slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.2 6379";
    assert_eq!(lines(&sight(&switched), &sight(&caught)), [done]);
    let reborn = Process { node: NodeId(1), incarnation: Incarnation(11) };
    let mut back = changed(&caught, |topology| {
        topology.members.get_mut(&reborn.node).expect("a member").incarnation = reborn.incarnation;
    });
    back.heard.insert(reborn.node, heard(reborn, 4, 200));
    assert_eq!(
        lines(&sight(&caught), &sight(&back)),
        [
            "-sdown slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379".to_owned(),
            format!("-sdown sentinel {id} 10.0.0.1 6379 @ mymaster 10.0.0.2 6379"),
            "+reboot slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379".to_owned(),
            "+convert-to-slave slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379".to_owned(),
        ]
    );
}

#[test]
fn a_primary_that_moves_house_is_no_failover() {
    let view = sample(2);
    let moved = changed(&view, |topology| {
        let member = topology.members.get_mut(&NodeId(1)).expect("a member");
        member.announcement.clients = "[fe80::1]:7000".into();
    });
    let told = lines(&sight(&view), &sight(&moved));
    assert_eq!(told[0], "+switch-master mymaster 10.0.0.1 6379 fe80::1 7000");
    assert!(told[1..].iter().all(|line| line.starts_with("+slave slave 10.0.0.")), "{told:?}");
}

#[test]
fn a_primary_that_is_cut_off_says_so_to_its_own() {
    let view = sample(1);
    let mut alone = silent(silent(view.clone(), 2), 3);
    alone.is_cut_off = true;
    alone.role = crate::ha::Role::Primary { epoch: Epoch(3), serving: false };
    let told = lines(&sight(&view), &sight(&alone));
    assert_eq!(told.last().map(String::as_str), Some("+sdown master mymaster 10.0.0.1 6379"));
    assert!(!told.iter().any(|line| line.starts_with("+odown")), "nobody agrees with it: {told:?}");
    let back = lines(&sight(&alone), &sight(&view));
    assert!(back.contains(&"-sdown master mymaster 10.0.0.1 6379".to_owned()), "{back:?}");
}

#[test]
fn a_reset_announces_anew() {
    let seen = sight(&sample(3));
    let told = reset(&seen);
    assert_eq!(told[0].text, "master mymaster 10.0.0.1 6379");
    let mut forgotten = seen.clone();
    forgotten.forget_instances();
    let kinds: Vec<Kind> = between(&forgotten, &seen).iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Sentinel, Kind::Slave, Kind::Sentinel, Kind::Slave]);
}

/// Something that happens to node `node`.
fn happen(view: &View, what: usize, node: u64) -> View {
    let of = |incarnation: u64| Process { node: NodeId(node), incarnation: Incarnation(incarnation) };
    match what {
        0 => silent(view.clone(), node),
        1 => {
            let mut view = view.clone();
            view.heard.insert(NodeId(node), heard(of(node * 10), 3, 500));
            view
        }
        2 => changed(view, |topology| {
            let shard = topology.shards.get_mut(&ONLY_SHARD).expect("the shard");
            shard.epoch = shard.epoch.next();
            shard.primary = of(node * 10);
        }),
        3 => changed(view, |topology| {
            topology.members.remove(&NodeId(node));
        }),
        4 => changed(view, |topology| {
            topology
                .members
                .insert(NodeId(node), super::super::sample::member(node, Incarnation(node * 10 + 1)));
        }),
        _ => View { is_cut_off: !view.is_cut_off, ..view.clone() },
    }
}

proptest! {
    /// Whoever follows the messages knows where the primary is, whatever happens; and nothing is told when nothing happens.
    #[test]
    fn followers_of_the_messages_know_the_primary(steps in proptest::collection::vec((0..6usize, 1..4u64), 1..30)) {
        let mut view = sample(1);
        let mut before = sight(&view);
        let mut known = "10.0.0.1 6379".to_owned();
        for (what, node) in steps {
            view = happen(&view, what, node);
            let after = sight(&view);
            prop_assert!(between(&after, &after).is_empty());
            for event in between(&before, &after) {
                let words: Vec<&str> = event.text.split(' ').collect();
                match event.kind {
                    Kind::SwitchMaster => {
                        prop_assert_eq!(words[1..3].join(" "), known.clone());
                        known = words[3..5].join(" ");
                    }
                    Kind::Monitor => known = words[2..4].join(" "),
                    _ => {}
                }
            }
            if let Some(primary) = &after.primary {
                prop_assert_eq!(format!("{} {}", primary.host, primary.port), known.clone());
            } else {
                // A primary without an address is announced again when it has one.
                known = "nowhere".into();
            }
            before = after;
        }
    }
}
