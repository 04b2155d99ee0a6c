//! Whole nodes on loopback: elections, proposals, restarts, lost disks, partitions, handovers.

use super::network::Secret;
use super::scratch::Scratch;
use super::storage::tests::{Sum, failing};
use super::*;
use redoubt_ha::{NodeId, Process, Span, Time, Timing};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener as StdListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Twice the default: the machines tests run on are busy.
fn timing() -> Timing {
    Timing::new(Span::millis(1000))
}

/// Longer than anything may take.
const LIMIT: Duration = Duration::from_secs(60);

struct Node {
    driver: Driver<Sum>,
    inbox: Inbox<Sum>,
    address: String,
}

impl Node {
    async fn start(directory: &Path) -> Node {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (driver, inbox) = Driver::start(settings(directory, listener, "secret")).await.unwrap();
        Node { driver, inbox, address }
    }

    fn id(&self) -> NodeId {
        self.driver.me().node
    }

    fn standing(&self) -> Standing {
        self.inbox.standing.borrow().clone()
    }

    async fn until(&self, what: &str, condition: impl FnMut(&Standing) -> bool) -> Standing {
        let mut standing = self.inbox.standing.clone();
        let found = timeout(LIMIT, standing.wait_for(condition)).await;
        match found {
            Ok(Ok(standing)) => standing.clone(),
            _ => panic!("{what}: {:?}", self.standing()),
        }
    }

    /// Waits until the facts add up to this.
    async fn until_sum(&mut self, sum: u64) {
        let added = async {
            while let Some(applied) = self.inbox.applied.recv().await {
                if applied.facts.0 == sum {
                    return;
                }
            }
        };
        timeout(LIMIT, added).await.unwrap_or_else(|_| panic!("{sum}: {:?}", self.standing()));
    }
}

fn settings(directory: &Path, listener: StdListener, password: &str) -> Settings {
    Settings {
        directory: directory.to_owned(),
        address: listener.local_addr().unwrap().to_string(),
        listeners: vec![listener],
        secret: Secret::derive(password.as_bytes()),
        timing: timing(),
    }
}

struct Group {
    scratch: Vec<Scratch>,
    nodes: Vec<Node>,
}

impl Group {
    /// Nodes that know nothing of each other.
    async fn started(count: usize) -> Group {
        let scratch: Vec<Scratch> = (0..count).map(|_| Scratch::new("raft-node")).collect();
        let mut nodes = Vec::new();
        for scratch in &scratch {
            nodes.push(Node::start(scratch.path()).await);
        }
        Group { scratch, nodes }
    }

    async fn new(count: usize) -> Group {
        let group = Group::started(count).await;
        group.initialise().await;
        group
    }

    async fn initialise(&self) {
        let voters = self.nodes.iter().map(|node| (node.id(), node.address.clone())).collect();
        self.nodes[0].driver.initialise(7, voters).await.unwrap();
    }

    /// Waits for a leader that a quorum agrees with, and that the others know.
    async fn leader(&self) -> usize {
        let agreed = async {
            loop {
                let standings: Vec<Standing> = self.nodes.iter().map(Node::standing).collect();
                let leader = standings.iter().position(|one| one.leads && one.quorum.is_some());
                if let Some(leader) = leader
                    && standings.iter().all(|one| one.leader == Some(self.nodes[leader].id()))
                {
                    return leader;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LIMIT, agreed).await.unwrap_or_else(|_| {
            panic!("no leader: {:?}", self.nodes.iter().map(Node::standing).collect::<Vec<_>>())
        })
    }

    async fn stop(self) {
        for node in &self.nodes {
            node.driver.stop().await;
        }
    }
}

/// Proposes through any node until it is known to be applied.
async fn add(node: &Node, number: u64) -> u64 {
    let done = async {
        loop {
            match node.driver.propose_anywhere(&number).await {
                Ok((_, before)) => return before,
                Err(ProposeError::NotLeader(_)) => sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(LIMIT, done).await.expect("it is applied")
}

#[tokio::test]
async fn three_nodes_elect_and_agree() {
    let mut group = Group::new(3).await;
    let leader = group.leader().await;
    let other = (leader + 1) % 3;
    assert_eq!(group.nodes[leader].driver.propose(&5).await.unwrap().1, 0);
    let refused = group.nodes[other].driver.propose(&5).await;
    assert_eq!(refused, Err(ProposeError::NotLeader(Some(group.nodes[leader].id()))));
    assert_eq!(add(&group.nodes[other], 6).await, 5, "the outcome comes from the leader");
    for node in &mut group.nodes {
        node.until_sum(11).await;
        assert_eq!(node.driver.cluster(), Some(7));
        assert_eq!(node.standing().voters.len(), 3);
        assert!(!node.standing().by_transfer && node.driver.is_initialised().await.unwrap());
    }
    let again = group.nodes[0].driver.initialise(8, BTreeMap::new()).await;
    assert!(again.is_err(), "once only");
    group.stop().await;
}

#[tokio::test]
async fn a_group_of_one_agrees_with_itself() {
    let mut group = Group::new(1).await;
    group.leader().await;
    add(&group.nodes[0], 3).await;
    group.nodes[0].until_sum(3).await;
    // A quorum of one agrees all the time.
    let first = group.nodes[0].standing().quorum.unwrap();
    let later = |standing: &Standing| standing.quorum > Some(first.plus(timing().lease));
    group.nodes[0].until("its quorum goes on", later).await;
    assert!(group.nodes[0].standing().quorum.unwrap() <= now());
    group.stop().await;
}

#[tokio::test]
async fn a_node_returns_with_its_directory_at_another_address() {
    let mut group = Group::new(3).await;
    let leader = group.leader().await;
    let gone = (leader + 1) % 3;
    add(&group.nodes[leader], 1).await;
    group.nodes[gone].until_sum(1).await;
    let before = group.nodes[gone].driver.me();
    group.nodes[gone].driver.stop().await;
    add(&group.nodes[leader], 2).await;
    group.nodes[gone] = Node::start(group.scratch[gone].path()).await;
    let me = group.nodes[gone].driver.me();
    assert_eq!((me.node, me.incarnation.0), (before.node, before.incarnation.0 + 1));
    // What the file says is there before anybody is heard; what came meanwhile, once the node has told where it is.
    for (index, node) in group.nodes.iter().enumerate().filter(|(index, _)| *index != gone) {
        let process = Process { node: node.id(), incarnation: node.driver.me().incarnation };
        group.nodes[gone].driver.learn(process, &group.nodes[index].address);
        group.nodes[gone].driver.control(node.id(), b"here".to_vec());
    }
    group.nodes[gone].until_sum(3).await;
    group.stop().await;
}

#[tokio::test]
async fn a_node_without_its_disk_joins_as_another() {
    let mut group = Group::new(3).await;
    let leader = group.leader().await;
    let lost = (leader + 1) % 3;
    add(&group.nodes[leader], 1).await;
    let old = group.nodes[lost].id();
    group.nodes[lost].driver.stop().await;
    group.scratch[lost] = Scratch::new("raft-wiped");
    group.nodes[lost] = Node::start(group.scratch[lost].path()).await;
    let new = group.nodes[lost].id();
    assert_ne!(old, new);
    let boss = &group.nodes[leader];
    let not_yet: BTreeSet<NodeId> = group.nodes.iter().map(Node::id).collect();
    assert_eq!(boss.driver.change_voters(not_yet.clone()).await, Err(GroupError::NotALearner(new)));
    boss.driver.add_learner(new, &group.nodes[lost].address).await.unwrap();
    let standing = boss
        .until("it gets the log", |one| one.matched.get(&new).is_some_and(|matched| *matched + 1 >= one.last))
        .await;
    assert_eq!((standing.voters.len(), standing.learners), (3, [new].into()));
    boss.driver.change_voters(not_yet.clone()).await.unwrap();
    boss.driver.remove(old).await.unwrap();
    boss.until("the group has changed", |one| {
        one.settled && one.voters == not_yet && one.learners.is_empty()
    })
    .await;
    assert!(!boss.driver.members().contains_key(&old));
    add(&group.nodes[leader], 2).await;
    group.nodes[lost].until_sum(3).await;
    assert_eq!(group.nodes[lost].driver.cluster(), Some(7), "it was told where it belongs");
    group.stop().await;
}

#[tokio::test]
async fn a_change_that_was_left_half_done_is_ended() {
    let group = Group::new(3).await;
    let leader = group.leader().await;
    let boss = &group.nodes[leader];
    let all: BTreeSet<u64> = group.nodes.iter().map(|node| node.id().0).collect();
    let stay: BTreeSet<u64> =
        all.iter().copied().filter(|node| *node != group.nodes[(leader + 1) % 3].id().0).collect();
    // As if the leader that began it were gone.
    boss.driver.begin_change(vec![all, stay.clone()]).await;
    let standing = boss.until("it is half done", |one| one.half_changed).await;
    assert!(!standing.settled && standing.voters.len() == 3);
    boss.driver.end_change().await.unwrap();
    let standing = boss.until("it is done", |one| one.settled).await;
    assert_eq!(standing.voters, stay.into_iter().map(NodeId).collect());
    assert_eq!(standing.learners.len(), 1);
    let now = super::now();
    let answered =
        boss.until("all answer", |one| one.answered.values().all(|sent| *sent > now)).await.answered;
    assert_eq!(answered.len(), 3, "{answered:?}");
    group.stop().await;
}

#[tokio::test]
async fn a_learner_gets_a_snapshot() {
    let mut group = Group::new(1).await;
    group.leader().await;
    let mut proposals = JoinSet::new();
    for _ in 0..1500 {
        let driver = group.nodes[0].driver.clone();
        proposals.spawn(async move { driver.propose(&1).await.unwrap() });
    }
    timeout(LIMIT, proposals.join_all()).await.unwrap();
    group.nodes[0].until_sum(1500).await;
    let scratch = Scratch::new("raft-learner");
    let mut learner = Node::start(scratch.path()).await;
    group.nodes[0].driver.add_learner(learner.id(), &learner.address).await.unwrap();
    let first = timeout(LIMIT, learner.inbox.applied.recv()).await.unwrap().unwrap();
    assert!(first.outcome.is_none() && first.facts.0 >= 1000, "{first:?}");
    if first.facts.0 < 1500 {
        learner.until_sum(1500).await;
    }
    // Both start again from their snapshots.
    learner.driver.stop().await;
    let mut again = Node::start(scratch.path()).await;
    let first = timeout(LIMIT, again.inbox.applied.recv()).await.unwrap().unwrap();
    assert!(first.outcome.is_none() && first.facts.0 >= 1000, "{first:?}");
    again.driver.stop().await;
    group.stop().await;
}

/// Where one node reaches another, until it is cut.
struct Way {
    address: String,
    cut: Arc<AtomicBool>,
}

/// Relays every connection; while it is cut, what is sent goes nowhere and nothing is closed.
async fn way(to: String) -> Way {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let cut = Arc::new(AtomicBool::new(false));
    let is_cut = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(&to).await else { continue };
            let (near, far) = (near.into_split(), far.into_split());
            tokio::spawn(relay(near.0, far.1, Arc::clone(&is_cut)));
            tokio::spawn(relay(far.0, near.1, Arc::clone(&is_cut)));
        }
    });
    Way { address, cut }
}

async fn relay(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    cut: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 1 << 16];
    let mut was_cut = false;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        was_cut |= cut.load(Relaxed);
        // Bytes are missing from here on: the connection is silent until its ends give it up.
        if !was_cut && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Makes the nodes reach each other through ways that can be cut, by who calls whom.
async fn through_ways(group: &Group) -> BTreeMap<(usize, usize), Way> {
    let mut ways = BTreeMap::new();
    for (from, node) in group.nodes.iter().enumerate() {
        for (to, other) in group.nodes.iter().enumerate().filter(|(to, _)| *to != from) {
            let way = way(other.address.clone()).await;
            let always = Process { node: other.id(), incarnation: redoubt_ha::Incarnation(u64::MAX) };
            node.driver.learn(always, &way.address);
            ways.insert((from, to), way);
        }
    }
    ways
}

fn isolate(ways: &BTreeMap<(usize, usize), Way>, node: usize, cut: bool) {
    for (_, way) in ways.iter().filter(|((from, to), _)| *from == node || *to == node) {
        way.cut.store(cut, Relaxed);
    }
}

#[tokio::test]
async fn a_leader_that_is_cut_off_is_replaced_after_its_lease() {
    let mut group = Group::started(3).await;
    let ways = through_ways(&group).await;
    group.initialise().await;
    let old = group.leader().await;
    add(&group.nodes[old], 1).await;
    isolate(&ways, old, true);
    let (a, b) = ((old + 1) % 3, (old + 2) % 3);
    let elected = async {
        loop {
            let new = [a, b].into_iter().find(|node| group.nodes[*node].standing().leads);
            if let Some(new) = new {
                return (new, now());
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    let (new, at) = timeout(LIMIT, elected).await.expect("the others elect");
    // Rule 2: everything granted on the old leader's last quorum is over.
    let quorum: Time = group.nodes[old].standing().quorum.expect("it led");
    assert!(at >= quorum.plus(timing().lease), "{} after the quorum", at.since(quorum));
    assert!(!group.nodes[new].standing().by_transfer);
    let unknown = group.nodes[old].driver.propose(&100).await;
    assert!(matches!(unknown, Err(ProposeError::Unknown(_) | ProposeError::NotLeader(_))), "{unknown:?}");
    add(&group.nodes[new], 2).await;
    isolate(&ways, old, false);
    for node in &mut group.nodes {
        node.until_sum(3).await;
    }
    let new = group.nodes[new].id();
    group.nodes[old].until("it follows", |one| one.leader == Some(new) && !one.leads).await;
    group.stop().await;
}

/// openraft's voters would vote 6T/10 after they heard the leader: the one that waits has waited long enough by then.
#[tokio::test]
async fn who_missed_the_leader_for_long_waits_for_the_lease_all_the_same() {
    let group = Group::started(3).await;
    let ways = through_ways(&group).await;
    group.initialise().await;
    let leader = group.leader().await;
    let (waits, hears) = ((leader + 1) % 3, (leader + 2) % 3);
    for pair in [(leader, waits), (waits, leader)] {
        ways[&pair].cut.store(true, Relaxed);
    }
    let long = now().plus(timing().lease.times(3));
    while now() < long {
        // Nothing is proposed, so that the one that waits has as much as the one that could vote for it.
        sleep(Duration::from_millis(10)).await;
    }
    assert!(group.nodes[leader].standing().leads);
    for pair in [(leader, hears), (hears, leader)] {
        ways[&pair].cut.store(true, Relaxed);
    }
    let elected = async {
        loop {
            if [waits, hears].iter().any(|node| group.nodes[*node].standing().leads) {
                return now();
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    let at = timeout(LIMIT, elected).await.expect("the others elect");
    let quorum = group.nodes[leader].standing().quorum.expect("it led");
    assert!(at >= quorum.plus(timing().lease), "{} after the quorum", at.since(quorum));
    group.stop().await;
}

#[tokio::test]
async fn a_follower_that_is_cut_off_disturbs_nobody() {
    let mut group = Group::started(3).await;
    let ways = through_ways(&group).await;
    group.initialise().await;
    let leader = group.leader().await;
    add(&group.nodes[leader], 1).await;
    let term = group.nodes[leader].standing().term;
    let cut = (leader + 1) % 3;
    isolate(&ways, cut, true);
    let long = now().plus(timing().lease.times(4));
    let mut sum = 1;
    while now() < long {
        add(&group.nodes[leader], 1).await;
        sum += 1;
        sleep(Duration::from_millis(10)).await;
    }
    assert!(group.nodes[cut].standing().applied < group.nodes[leader].standing().applied);
    let heard = |node: &Node| redoubt_ha::Span(node.driver.leader_heard().unwrap().as_micros() as u64);
    assert!(
        heard(&group.nodes[cut]) > timing().lease.times(2) && heard(&group.nodes[leader]) < timing().lease
    );
    isolate(&ways, cut, false);
    group.nodes[cut].until_sum(sum).await;
    assert_eq!(group.nodes[leader].standing().term, term, "pre-vote keeps the term");
    assert!(group.nodes[leader].standing().leads);
    group.stop().await;
}

#[tokio::test]
async fn a_leader_hands_over() {
    let group = Group::new(3).await;
    let old = group.leader().await;
    add(&group.nodes[old], 1).await;
    let new = (old + 1) % 3;
    let last = group.nodes[old].standing().last;
    group.nodes[new].until("it has everything", |one| one.last >= last).await;
    group.nodes[old].driver.transfer_leader(group.nodes[new].id()).await.unwrap();
    let standing = group.nodes[new].until("it leads", |one| one.leads).await;
    assert!(standing.by_transfer, "leases of the former leader may be live");
    add(&group.nodes[old], 2).await;
    group.stop().await;
}

#[tokio::test]
async fn all_restart_and_remember() {
    let mut group = Group::new(3).await;
    group.leader().await;
    add(&group.nodes[0], 4).await;
    for node in &mut group.nodes {
        node.until_sum(4).await;
    }
    for node in &group.nodes {
        node.driver.keep("note", b"kept".to_vec()).await.unwrap();
        node.driver.stop().await;
    }
    let mut nodes = Vec::new();
    for scratch in &group.scratch {
        nodes.push(Node::start(scratch.path()).await);
    }
    let started = now();
    group.nodes = nodes;
    // All have new addresses: whoever runs the nodes finds them and tells.
    for node in &group.nodes {
        for other in group.nodes.iter().filter(|other| other.id() != node.id()) {
            node.driver.learn(other.driver.me(), &other.address);
        }
        assert_eq!(node.driver.kept("note").await.as_deref(), Some(b"kept".as_slice()));
        assert_eq!(node.driver.cluster(), Some(7));
    }
    group.leader().await;
    assert!(now().since(started) >= timing().lease.part(9, 10), "nobody votes before a lease is over");
    add(&group.nodes[0], 5).await;
    for node in &mut group.nodes {
        node.until_sum(9).await;
    }
    group.stop().await;
}

#[tokio::test]
async fn strangers_get_nothing_and_give_nothing() {
    let mut group = Group::new(1).await;
    group.leader().await;
    let scratch = Scratch::new("raft-stranger");
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let settings = settings(scratch.path(), listener, "another secret");
    let address = settings.address.clone();
    let (stranger, mut inbox): (Driver<Sum>, Inbox<Sum>) = Driver::start(settings).await.unwrap();
    // The same secret, but a deployment of its own.
    let neighbour = Group::started(1).await;
    let it = &neighbour.nodes[0];
    it.driver.initialise(8, [(it.id(), it.address.clone())].into()).await.unwrap();
    neighbour.leader().await;
    // Even somebody who mistakes them for new nodes gets nothing to them, nor they to the group.
    let boss = &group.nodes[0].driver;
    boss.add_learner(stranger.me().node, &address).await.unwrap();
    boss.add_learner(it.id(), &it.address).await.unwrap();
    for _ in 0..40 {
        for driver in [&stranger, &it.driver] {
            driver.control_to(&group.nodes[0].address, b"let me in".to_vec());
        }
        add(&group.nodes[0], 1).await;
        sleep(Duration::from_millis(2)).await;
    }
    assert!(inbox.applied.try_recv().is_err() && stranger.cluster().is_none());
    assert!(group.nodes[0].inbox.control.try_recv().is_err());
    assert_eq!(it.driver.cluster(), Some(8));
    assert_eq!(it.driver.propose(&1).await.unwrap().1, 0, "its facts are its own");
    stranger.stop().await;
    neighbour.stop().await;
    group.stop().await;
}

#[tokio::test]
async fn a_failing_disk_fences_the_node() {
    let (store, fails) = failing();
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let settings = settings(Path::new("."), listener, "secret");
    let address = settings.address.clone();
    let (driver, inbox) = Driver::start_on(store, settings).await.unwrap();
    driver.initialise(7, [(driver.me().node, address)].into()).await.unwrap();
    let mut standing = inbox.standing.clone();
    timeout(LIMIT, standing.wait_for(|one| one.quorum.is_some())).await.unwrap().unwrap();
    driver.propose(&1).await.unwrap();
    fails.store(true, Relaxed);
    assert!(driver.propose(&2).await.is_err());
    let fenced =
        timeout(LIMIT, standing.wait_for(|one| one.failed.is_some())).await.unwrap().unwrap().clone();
    assert!(!fenced.leads && fenced.quorum.is_none() && fenced.leader.is_none(), "{fenced:?}");
    assert!(matches!(driver.propose(&3).await, Err(ProposeError::Failed(_))));
    driver.stop().await;
}
