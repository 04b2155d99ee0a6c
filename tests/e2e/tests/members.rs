//! Who belongs to a deployment changes while it runs: nodes come, go for good and are replaced, under writers.

use redoubt_e2e::deployment::PATIENCE;
use redoubt_e2e::link::Link;
use redoubt_e2e::network::Place;
use redoubt_e2e::scenario::under_load;
use redoubt_e2e::{Deployment, Load, LoadOptions, Options};
use std::time::Duration;

const CALL: Duration = Duration::from_secs(2);

/// What all running nodes agree on: members, voters, and the primary's in-sync set.
fn counts(all: &Deployment) -> Option<(usize, usize, u64)> {
    let up = (0..all.nodes.len()).filter(|node| all.nodes[*node].is_up());
    let said: Option<Vec<_>> = up
        .map(|node| {
            let facts = all.facts(node)?;
            let members = facts.members();
            let voters = members.iter().filter(|member| member.get("voter").is_some_and(|it| it == "1"));
            Some((members.len(), voters.count(), facts.number("ha_in_sync")))
        })
        .collect();
    let said = said?;
    let first = *said.first()?;
    said.iter().all(|one| *one == first).then_some(first)
}

#[track_caller]
fn comes_to(deployment: &mut Deployment, load: &Load, members: usize, voters: usize, in_sync: u64) {
    let what = format!("{members} members, {voters} voters, {in_sync} in sync");
    let wanted = Some((members, voters, in_sync));
    deployment.until(&what, PATIENCE, |all| (counts(all) == wanted).then_some(())).expect("agreed on");
    load.wait_acked(100, PATIENCE).expect("writes go on");
}

fn id(deployment: &Deployment, node: usize) -> String {
    deployment.facts(node).expect("it answers").node().to_owned()
}

fn votes(deployment: &Deployment, node: usize, asked: usize) -> bool {
    let id = id(deployment, node);
    let members = deployment.facts(asked).expect("it answers").members();
    members.iter().any(|member| member["id"] == id && member["voter"] == "1")
}

#[track_caller]
fn forget(deployment: &mut Deployment, asked: usize, id: &str) {
    deployment
        .until("it is forgotten", PATIENCE, |all| {
            let mut link = Link::connect(all.nodes[asked].address, CALL).ok()?;
            let reply = link.call(&["CLUSTER", "FORGET", id], CALL).ok()?;
            (!reply.is_error()).then_some(())
        })
        .expect("accepted");
}

/// Three become five and shrink again: a voter that is killed for good is replaced by the learner, the dead is forgotten
/// by command, comes back as somebody new without its disk, and the primary goes for good.
#[test]
fn voters_are_replaced() {
    let options = Options::default().with_later_ones(2);
    under_load(&options, &LoadOptions::default(), |deployment, load| {
        comes_to(deployment, load, 3, 3, 3);
        deployment.start_node(3).expect("a fourth starts");
        comes_to(deployment, load, 4, 3, 4);
        let primary = deployment.primary().expect("a primary");
        assert!(!votes(deployment, 3, primary), "a fourth voter would be of no use");
        let dead = (primary + 1) % 3;
        let dead_id = id(deployment, dead);
        deployment.retire(dead).expect("killed for good");
        // The dead one is a member still, and no voter.
        comes_to(deployment, load, 4, 3, 3);
        deployment
            .until("the learner votes", PATIENCE, |all| votes(all, 3, primary).then_some(()))
            .expect("promoted");
        comes_to(deployment, load, 4, 3, 3);
        forget(deployment, 3, &dead_id);
        comes_to(deployment, load, 3, 3, 3);
        deployment.start_node(4).expect("a fifth starts");
        comes_to(deployment, load, 4, 3, 4);
        deployment.nodes[dead].empty().expect("emptied");
        deployment.start_node(dead).expect("it starts");
        comes_to(deployment, load, 5, 5, 5);
        assert_ne!(id(deployment, dead), dead_id);
        let primary = deployment.wait_primary().expect("a primary");
        let primary_id = id(deployment, primary);
        deployment.retire(primary).expect("killed for good");
        deployment.wait_other_primary(primary).expect("another leads");
        comes_to(deployment, load, 5, 5, 4);
        forget(deployment, (primary + 1) % 5, &primary_id);
        comes_to(deployment, load, 4, 3, 4);
    });
}

/// Nobody says anything: the dead one is forgotten by itself, and a new one takes its place. When the dead one turns out to
/// have been away for long, it joins as somebody new, on the disk it has.
#[test]
fn the_dead_are_forgotten_in_time() {
    let options = Options::default().with_later_ones(1).with("ha-forget-timeout", "3000");
    under_load(&options, &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let gone = id(deployment, primary);
        deployment.retire(primary).expect("killed for good");
        deployment.wait_other_primary(primary).expect("another leads");
        comes_to(deployment, load, 2, 1, 2);
        deployment.start_node(3).expect("another starts");
        comes_to(deployment, load, 3, 3, 3);
        deployment.start_node(primary).expect("it starts");
        comes_to(deployment, load, 4, 3, 4);
        assert_ne!(id(deployment, primary), gone, "{}", deployment.state());
    });
}

/// The process has not ended, and has to find out that nobody listens to it any more: it joins as another, without a restart.
#[test]
fn who_was_cut_off_for_too_long_joins_again() {
    let options = Options::default().cuttable().with("ha-forget-timeout", "3000");
    under_load(&options, &LoadOptions::default(), |deployment, load| {
        let primary = deployment.primary().expect("a primary");
        let gone = id(deployment, primary);
        deployment.network.isolate(&[Place::Node(primary)]).expect("cut");
        let other = (primary + 1) % 3;
        let is_forgotten =
            |all: &Deployment| all.facts(other).filter(|facts| facts.members().len() == 2).map(drop);
        deployment.until("it is forgotten", PATIENCE, is_forgotten).expect("forgotten");
        deployment.network.heal().expect("healed");
        comes_to(deployment, load, 3, 3, 3);
        assert_ne!(id(deployment, primary), gone, "{}", deployment.state());
    });
}
