//! Disks that are full or hang: nothing acknowledged is lost, and writes go on where there is a disk that works.

use redoubt_e2e::deployment::PATIENCE;
use redoubt_e2e::facts::Facts;
use redoubt_e2e::link::Link;
use redoubt_e2e::scenario::under_load;
use redoubt_e2e::{Deployment, Load, LoadOptions, Options};
use std::time::{Duration, Instant};

fn facts(deployment: &Deployment, node: usize) -> Facts {
    deployment.facts(node).expect("it answers")
}

/// Fills the primary's disk until another leads, and has writes go on there for a while.
#[track_caller]
fn primary_fills_up(deployment: &mut Deployment, load: &Load) {
    let primary = deployment.primary().expect("a primary");
    let epoch = facts(deployment, primary).epoch();
    let begun = Instant::now();
    deployment.fill(primary, |all| all.primary().is_some_and(|node| node != primary)).expect("another leads");
    load.wait_acked(200, PATIENCE).expect("writes go on");
    eprintln!("writes go on elsewhere {:?} after the disk began to fill", begun.elapsed());
    let other = deployment.primary().expect("a primary");
    let now = facts(deployment, other);
    assert_eq!((now.epoch(), now.get("ha_last_cause")), (epoch + 1, "could not write to its disk"), "{now}");
    // It stays there, whatever happens to the log of the one that is full.
    load.wait_acked(1000, PATIENCE).expect("writes go on");
    assert_eq!(deployment.primary(), Some(other), "{}", deployment.state());
    deployment.disks[primary].clear().expect("space again");
}

fn appends(policy: &str) -> Options {
    Options::default().with_disks().with("appendonly", "yes").with("appendfsync", policy)
}

#[test]
fn the_primarys_disk_is_full_everysec() {
    under_load(&appends("everysec"), &LoadOptions::default(), primary_fills_up);
}

#[test]
fn the_primarys_disk_is_full_always() {
    under_load(&appends("always"), &LoadOptions::default(), primary_fills_up);
}

#[test]
fn the_primarys_snapshots_fail() {
    let options = Options::default().with_disks().with("save", "1 1");
    under_load(&options, &LoadOptions::default(), primary_fills_up);
}

/// The one whose disk is full acknowledges nothing: it leaves the set, and comes back when it has space.
#[test]
fn a_replicas_disk_is_full_always() {
    under_load(&appends("always"), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let replica = (primary + 1) % 3;
        let left = |all: &Deployment| all.facts(primary).is_some_and(|facts| facts.number("ha_in_sync") == 2);
        deployment.fill(replica, left).expect("it leaves the set");
        load.wait_acked(500, PATIENCE).expect("writes go on");
        assert_eq!(deployment.primary(), Some(primary), "{}", deployment.state());
        deployment.disks[replica].clear().expect("space again");
        deployment.wait_ready().expect("it is back in sync");
    });
}

/// It has everything in memory, as it should, and so it may lead if there is nobody better. The primary is killed: the
/// other replica leads, whose disk has space.
#[test]
fn a_replicas_disk_is_full_everysec() {
    under_load(&appends("everysec"), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let (full, other) = ((primary + 1) % 3, (primary + 2) % 3);
        let noticed = |all: &Deployment| all.nodes[full].log_text().contains("Error writing to the AOF file");
        deployment.fill(full, noticed).expect("it is noticed");
        load.wait_acked(500, PATIENCE).expect("writes go on");
        deployment.kill(primary).expect("killed");
        let leads = |all: &Deployment| (all.primary() == Some(other)).then_some(());
        deployment.until("the one with space leads", PATIENCE, leads).expect("it leads");
        load.wait_acked(200, PATIENCE).expect("writes go on");
        deployment.disks[full].clear().expect("space again");
    });
}

/// What it cannot write gathers in its memory up to a limit, then the primary's stream waits: it leaves the set, and has
/// everything once it has space.
#[test]
fn a_replicas_disk_is_full_for_long() {
    const MEGABYTES: usize = 100;
    const LIMIT: u64 = 64 << 20;
    let options = Options::default().with_disks_of(256).with("appendfsync", "everysec");
    under_load(&options, &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let replica = (primary + 1) % 3;
        let connect =
            |node: usize| Link::connect(deployment.nodes[node].address, PATIENCE).expect("it accepts");
        let (mut there, mut here) = (connect(primary), connect(replica));
        here.call(&["CONFIG", "SET", "appendonly", "yes"], PATIENCE).expect("it is done");
        let noticed =
            |all: &Deployment| all.nodes[replica].log_text().contains("Error writing to the AOF file");
        deployment.fill(replica, noticed).expect("it is noticed");
        let value = vec![b'v'; 1 << 20];
        for _ in 0..MEGABYTES {
            there.call(&[b"SET", b"big".as_slice(), &value], PATIENCE).expect("it is written");
        }
        let mut waiting = || {
            let persistence = here.call(&["INFO", "persistence"], PATIENCE).expect("it answers");
            Facts::read(&persistence).expect("INFO").number("aof_buffer_length")
        };
        let gathers = |_: &Deployment| (waiting() >= LIMIT).then_some(());
        deployment.until("as much waits as may", PATIENCE, gathers).expect("it gathers");
        let left = |all: &Deployment| (facts(all, primary).number("ha_in_sync") == 2).then_some(());
        deployment.until("it leaves the set", PATIENCE, left).expect("it leaves the set");
        let waits = waiting();
        assert!((LIMIT..LIMIT + (4 << 20)).contains(&waits), "{waits} bytes wait");
        load.wait_acked(200, PATIENCE).expect("writes go on");
        deployment.disks[replica].clear().expect("space again");
        deployment.wait_ready().expect("it is back in sync");
        assert_eq!(facts(deployment, primary).number("ha_in_sync"), 3, "{}", deployment.state());
        there.call(&["DEL", "big"], PATIENCE).expect("it is gone");
    });
}

/// What nodes agree on has its space in advance: full disks all around do not keep them from choosing another primary.
#[test]
fn all_disks_are_full_and_the_primary_is_killed() {
    under_load(&Options::default().with_disks(), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        deployment.disks.iter().for_each(|disk| disk.fill().expect("filled"));
        deployment.kill(primary).expect("killed");
        deployment.wait_other_primary(primary).expect("another leads");
        load.wait_acked(200, PATIENCE).expect("writes go on");
        std::thread::sleep(Duration::from_millis(200));
        let logs: String = deployment.nodes.iter().map(redoubt_e2e::node::Node::log_text).collect();
        assert!(!logs.contains("Raft log cannot be written"), "{}", deployment.state());
        deployment.disks.iter().for_each(|disk| disk.clear().expect("space again"));
    });
}

/// Nothing is refused and nothing goes on: as if its data threads hung.
#[test]
fn the_primarys_disk_hangs_always() {
    let options = appends("always").with("ha-stall-timeout", "1500");
    under_load(&options, &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let begun = Instant::now();
        deployment.disks[primary].freeze().expect("frozen");
        deployment.wait_other_primary(primary).expect("another leads");
        load.wait_acked(200, PATIENCE).expect("writes go on");
        eprintln!("writes go on elsewhere {:?} after the disk began to hang", begun.elapsed());
        deployment.disks[primary].thaw();
    });
}

/// With `everysec` nobody waits for that disk. What the nodes agree on goes on without the one that cannot write it.
#[test]
fn disks_hang_everysec() {
    under_load(&appends("everysec"), &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        for node in [primary, (primary + 1) % 3] {
            deployment.disks[node].freeze().expect("frozen");
            load.wait_acked(1000, PATIENCE).expect("writes go on");
            deployment.disks[node].thaw();
        }
    });
}
