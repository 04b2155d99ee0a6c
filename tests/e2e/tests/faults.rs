//! One fault at a time, on a deployment under load: what was acknowledged stays, and writes go on.

use redoubt_e2e::deployment::PATIENCE;
use redoubt_e2e::history::Outcome;
use redoubt_e2e::link::Link;
use redoubt_e2e::network::Place;
use redoubt_e2e::scenario::{others_go_on, under_load};
use redoubt_e2e::torture::judge;
use redoubt_e2e::{Aim, Deployment, Load, LoadOptions, Options};
use std::time::{Duration, Instant};

const CALL: Duration = Duration::from_secs(2);

fn start(options: &Options) -> Option<Deployment> {
    Deployment::start(options).expect("a deployment starts")
}

#[test]
fn the_primary_is_killed() {
    under_load(&Options::default(), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        deployment.kill(primary).expect("killed");
        others_go_on(deployment, load, primary);
    });
}

#[test]
fn a_replica_is_killed() {
    under_load(&Options::default(), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        deployment.kill((primary + 1) % 3).expect("killed");
        load.wait_acked(200, PATIENCE).expect("writes go on with the other replica");
    });
}

/// The one that was stopped acknowledges nothing that was sent to it in the meantime, and nothing later.
#[test]
fn the_primary_sleeps_and_wakes() {
    // Replicas of such a deployment answer reads from what they have: only writes are judged.
    let load = LoadOptions { plain: true, ..LoadOptions::default() };
    under_load(&Options::default().with("ha-route", "off"), &load, |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        deployment.nodes[primary].stop().expect("stopped");
        others_go_on(deployment, load, primary);
        let address = deployment.nodes[primary].address;
        let mut late: Vec<Link> = (0..20).map(|_| Link::connect(address, CALL).expect("accepted")).collect();
        for link in &mut late {
            link.send(&["SET", "e2e:zombie", "1"]).expect("sent");
        }
        std::thread::sleep(Duration::from_secs(2));
        deployment.nodes[primary].cont().expect("continued");
        for link in &mut late {
            // Closing is an answer too.
            if let Ok(reply) = link.read(CALL, || false) {
                assert!(reply.is_error(), "the zombie says {reply}");
            }
        }
    });
}

/// Data threads that hang for too long are a dead node: what they were told in time to do is not answered when they wake.
#[test]
fn the_primarys_data_threads_hang() {
    let load = LoadOptions { plain: true, ..LoadOptions::default() };
    let options = Options::default()
        .with("ha-route", "off")
        .with("enable-debug-command", "yes")
        .with("ha-stall-timeout", "1500");
    under_load(&options, &load, |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let begun = Instant::now();
        let hung = deployment.hang(primary, Duration::from_secs(6)).expect("it hangs");
        others_go_on(deployment, load, primary);
        assert!(begun.elapsed() < Duration::from_secs(6), "not before it woke: {:?}", begun.elapsed());
        let leads = deployment.primary().and_then(|node| deployment.facts(node)).expect("facts");
        assert!(leads.get("ha_last_cause").starts_with("data threads hung"), "{leads}");
        // The first is the command that slept: it wrote nothing.
        for mut link in hung.into_iter().skip(1) {
            if let Ok(reply) = link.read(Duration::from_secs(10), || false) {
                assert!(reply.is_error(), "the zombie says {reply}");
            }
        }
    });
}

#[test]
fn a_slow_command_is_no_failure() {
    let options = Options::default().with("enable-debug-command", "yes").with("ha-stall-timeout", "4000");
    under_load(&options, &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let epoch = deployment.facts(primary).expect("facts").epoch();
        for node in 0..3 {
            let slow = deployment.hang(node, Duration::from_millis(1500)).expect("it is slow");
            for mut link in slow {
                let reply = link.read(PATIENCE, || false).expect("it is answered in the end");
                assert!(!reply.is_error(), "{reply}");
            }
            load.wait_acked(50, PATIENCE).expect("writes go on");
        }
        let facts = deployment.facts(primary).expect("facts");
        assert!(facts.is_serving() && facts.epoch() == epoch, "{facts}");
    });
}

#[test]
fn a_handover_at_sigterm() {
    let history = under_load(&Options::default(), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        deployment.nodes[primary].term().expect("signalled");
        let status = deployment.nodes[primary].wait_exit(PATIENCE).expect("it ends");
        assert!(status.success(), "{status}");
        others_go_on(deployment, load, primary);
    });
    assert!(history.acked() > 0);
}

#[test]
fn a_rolling_restart() {
    under_load(&Options::default(), &LoadOptions::default(), |deployment, load| {
        for node in 0..3 {
            deployment.nodes[node].term().expect("signalled");
            deployment.nodes[node].wait_exit(PATIENCE).expect("it ends");
            load.wait_acked(50, PATIENCE).expect("writes go on");
            deployment.start_node(node).expect("it starts");
            deployment.wait_ready().expect("it is back in sync");
        }
    });
}

/// A majority, then all of them, in different orders; everything is on the disks.
#[test]
fn restarts_with_disks() {
    under_load(&Options::default().durable(), &LoadOptions::default(), |deployment, load| {
        let orders = [&[0, 1][..], &[0, 2, 1], &[2, 1, 0]];
        for order in orders {
            for &node in order {
                deployment.kill(node).expect("killed");
            }
            for &node in order.iter().rev() {
                deployment.start_node(node).expect("it starts");
            }
            deployment.wait_ready().expect("all come back");
            load.wait_acked(50, PATIENCE).expect("writes go on");
        }
        for node in 0..3 {
            deployment.kill(node).expect("killed");
        }
        for node in [1, 0, 2] {
            deployment.start_node(node).expect("it starts");
            std::thread::sleep(Duration::from_millis(500));
        }
    });
}

/// Memory is the only place data is; one restart at a time loses nothing.
#[test]
fn restarts_without_disks_one_by_one() {
    under_load(&Options::default(), &LoadOptions::default(), |deployment, load| {
        for _ in 0..2 {
            let primary = deployment.wait_primary().expect("a primary");
            deployment.kill(primary).expect("killed");
            // At once: it is back before anybody missed it, and empty.
            deployment.start_node(primary).expect("it starts");
            deployment.wait_ready().expect("all are back in sync");
            load.wait_acked(50, PATIENCE).expect("writes go on");
        }
    });
}

/// With its disk it loses who it was: it comes back as somebody new, and takes what there is.
#[test]
fn a_disk_is_lost() {
    under_load(&Options::default().durable(), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let id = deployment.facts(primary).expect("facts").node().to_owned();
        deployment.kill(primary).expect("killed");
        deployment.nodes[primary].empty().expect("emptied");
        deployment.start_node(primary).expect("it starts");
        others_go_on(deployment, load, primary);
        deployment.wait_ready().expect("it is in sync again");
        let facts = deployment.facts(primary).expect("facts");
        assert!(facts.node() != id && facts.get("ha_role") == "replica", "{facts}");
    });
}

/// All memory is gone: that is said, and all go on from the same.
#[test]
fn everything_is_lost() {
    let Some(mut deployment) = start(&Options::default()) else { return };
    let mut link = Link::connect(deployment.nodes[deployment.primary().unwrap()].address, CALL).unwrap();
    assert!(!link.call(&["SET", "e2e:gone", "1"], CALL).unwrap().is_error());
    for node in 0..3 {
        deployment.kill(node).unwrap();
    }
    for node in 0..3 {
        deployment.start_node(node).unwrap();
    }
    let primary = deployment.wait_ready().expect("they go on");
    let facts = deployment.facts(primary).unwrap();
    assert_eq!(facts.number("ha_recoveries"), 1, "{facts}");
    let logs: String = deployment.nodes.iter().map(redoubt_e2e::node::Node::log_text).collect();
    assert!(logs.contains("All in-sync members restarted"), "{}", deployment.state());
}

/// All restart; those with files have data, one has lost its own: it does not lead over fuller ones, in whatever order
/// they come.
#[test]
fn the_empty_never_lead() {
    for empty in 0..2 {
        let Some(mut deployment) = start(&Options::default().durable()) else { return };
        let primary = deployment.wait_ready().unwrap();
        let mut link = Link::connect(deployment.nodes[primary].address, CALL).unwrap();
        for value in 0..200 {
            let reply = link.call(&["RPUSH", "e2e:kept", &value.to_string()], CALL).unwrap();
            assert!(!reply.is_error(), "{reply}");
        }
        for node in 0..3 {
            deployment.kill(node).unwrap();
        }
        let victim = (primary + empty) % 3;
        let files = std::fs::read_dir(deployment.nodes[victim].dir.join("appendonlydir")).unwrap();
        files.for_each(|file| std::fs::remove_file(file.unwrap().path()).unwrap());
        for node in [victim, (victim + 1) % 3, (victim + 2) % 3] {
            deployment.start_node(node).unwrap();
        }
        let primary = deployment.wait_ready().expect("they go on");
        let mut link = Link::connect(deployment.nodes[primary].address, CALL).unwrap();
        assert_eq!(link.call(&["LLEN", "e2e:kept"], CALL).unwrap().int(), 200, "{}", deployment.state());
    }
}

/// Two of three are gone: every write is refused, quickly, and it heals by itself.
#[test]
fn no_majority() {
    let options = LoadOptions { clients: vec![Aim::Any; 4], ..LoadOptions::default() };
    under_load(&Options::default().durable(), &options, |deployment, _| {
        let primary = deployment.primary().expect("a primary");
        let others = [(primary + 1) % 3, (primary + 2) % 3];
        for node in others {
            deployment.kill(node).expect("killed");
        }
        let address = deployment.nodes[primary].address;
        let write = || {
            let begun = Instant::now();
            let mut link = Link::connect(address, CALL).expect("it listens");
            (link.call(&["SET", "e2e:x", "1"], CALL), begun.elapsed())
        };
        let refused = |_: &Deployment| write().0.is_ok_and(|reply| reply.is_error()).then_some(());
        deployment.until("writes are refused", Duration::from_secs(10), refused).expect("refused");
        for _ in 0..20 {
            let (reply, took) = write();
            let reply = reply.expect("an answer");
            assert!(reply.is_error() && took < Duration::from_millis(500), "{reply} after {took:?}");
        }
        for node in others {
            deployment.start_node(node).expect("it starts");
        }
    });
}

/// Half of the clients are with the primary, on the side of the minority.
#[test]
fn a_partition_with_clients_on_the_minority_side() {
    let load = LoadOptions { plain: true, ..LoadOptions::default() };
    under_load(&Options::default().cuttable().with("ha-route", "off"), &load, |deployment, _| {
        let primary = deployment.primary().expect("a primary");
        let epoch = deployment.facts(primary).expect("facts").epoch();
        let others = [Place::Node((primary + 1) % 3), Place::Node((primary + 2) % 3)];
        deployment.network.isolate(&others).expect("cut");
        let cut = Instant::now();
        let address = deployment.nodes[primary].address;
        let refused = |_: &Deployment| {
            let mut link = Link::connect(address, CALL).ok()?;
            let reply = link.call(&["SET", "e2e:minority", "1"], CALL).ok()?;
            reply.is_error().then_some(())
        };
        deployment.until("the minority refuses", PATIENCE, refused).expect("refused");
        eprintln!("the minority refuses {:?} after the cut", cut.elapsed());
        std::thread::sleep(Duration::from_secs(2));
        deployment.network.heal().expect("healed");
        let moved =
            |all: &Deployment| all.facts(all.primary()?).filter(|facts| facts.epoch() > epoch).map(drop);
        deployment.until("the majority had chosen another", PATIENCE, moved).expect("a newer epoch");
    });
}

/// The primary hears its followers, and they do not hear it.
#[test]
fn a_primary_that_nobody_hears() {
    under_load(&Options::default().cuttable(), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        for other in [(primary + 1) % 3, (primary + 2) % 3] {
            deployment.network.cut(Place::Node(primary), Place::Node(other)).expect("cut");
        }
        others_go_on(deployment, load, primary);
        deployment.network.heal().expect("healed");
    });
}

/// What clients of nodes that stay see of a planned handover: nothing.
#[test]
fn plain_clients_do_not_notice_a_handover() {
    let Some(mut deployment) = start(&Options::default()) else { return };
    let primary = deployment.wait_ready().unwrap();
    let others = [(primary + 1) % 3, (primary + 2) % 3].map(Aim::Only);
    let clients = LoadOptions { clients: others.repeat(3), probes: false, ..LoadOptions::default() };
    let load = Load::start(&deployment.addresses(), &clients);
    load.wait_acked(200, PATIENCE).expect("writes flow through any node");
    deployment.nodes[primary].term().unwrap();
    deployment.nodes[primary].wait_exit(PATIENCE).unwrap();
    load.wait_acked(200, PATIENCE).expect("writes go on");
    let mut history = load.finish();
    // What is under way when the load ends has no answer.
    history.records.retain(|record| record.note.as_deref() != Some("given up"));
    let failed: Vec<_> = history.records.iter().filter(|record| record.outcome != Outcome::Acked).collect();
    assert!(failed.is_empty(), "{} requests failed: {:?}", failed.len(), &failed[..failed.len().min(5)]);
    deployment.start_node(primary).unwrap();
    let wrong = judge(&mut deployment, &history).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
