//! Members of a deployment in this process, whose roles a test decides.

use redoubt_ha::{Epoch, Incarnation, NodeId, Position, Process, ShardId};
use redoubt_persistence::disk::faults::Disk;
use redoubt_server::config::Config;
use redoubt_server::log::Hold;
use redoubt_server::replication::{Membership, Watcher};
use redoubt_server::{Handle, Server};
use redoubt_tests::{Client, Reply};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A reply as people read it.
pub(crate) fn text(reply: Reply) -> String {
    match reply {
        Reply::Status(text) => String::from_utf8_lossy(&text).into_owned(),
        Reply::Error(text) => text,
        Reply::Bulk(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Reply::Int(number) => number.to_string(),
        other => other.to_string(),
    }
}

/// Remembers what a watcher is told.
#[derive(Default)]
pub(crate) struct News {
    acks: Mutex<Vec<(Process, Epoch, u64)>>,
    resyncs: Mutex<Vec<Epoch>>,
    /// Is released by every acknowledgement.
    pub(crate) hold: Mutex<Option<Hold>>,
}

impl Watcher for News {
    fn acked(&self, from: Process, epoch: Epoch, offset: u64) {
        if let Some(hold) = &*self.hold.lock().expect("no panic") {
            return hold.release(offset);
        }
        self.acks.lock().expect("no panic").push((from, epoch, offset));
    }

    fn moved(&self) {}

    fn resync_needed(&self, epoch: Epoch) {
        self.resyncs.lock().expect("no panic").push(epoch);
    }
}

/// A node, its disk, and what it was told.
pub(crate) struct Node {
    pub(crate) server: Handle,
    pub(crate) news: Arc<News>,
    pub(crate) me: Process,
    pub(crate) disk: Disk,
    pub(crate) cluster: u128,
}

impl Node {
    pub(crate) fn new(number: u64, settings: &[(&str, &str)]) -> Node {
        Node::on(Disk::new(number), number, 1, settings)
    }

    /// The process that comes after another one, with the disk as that has left it.
    pub(crate) fn on(disk: Disk, number: u64, incarnation: u64, settings: &[(&str, &str)]) -> Node {
        let usual = [
            ("port", "0"),
            ("bind", "127.0.0.1"),
            ("save", ""),
            ("io-threads", "2"),
            ("enable-debug-command", "yes"),
        ];
        let config = usual
            .iter()
            .chain(settings)
            .try_fold(Config::new(), |config, (name, value)| config.with(name, value))
            .expect("valid settings");
        let builder = Server::builder().config(config);
        // A folder of its own means the real disk.
        let real = settings.iter().any(|(name, _)| *name == "dir");
        let builder = if real { builder } else { builder.disk(disk.root()) };
        let server = builder.open().expect("a free port");
        let news = Arc::new(News::default());
        server.shared().replication.watch(Arc::clone(&news) as _);
        assert_eq!(server.shared().replication.position(server.shared()), None, "nothing is loaded");
        server.load().expect("readable files");
        let me = Process { node: NodeId(number), incarnation: Incarnation(incarnation) };
        Node { server, news, me, disk, cluster: 0xc0ffee }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.addresses()[0].port()
    }

    fn membership(&self, epoch: u64) -> Membership {
        Membership { cluster: self.cluster, shard: ShardId(0), epoch: Epoch(epoch), me: self.me }
    }

    pub(crate) fn lead(&self, epoch: u64) {
        self.server.shared().replication.lead_epoch(self.server.shared(), self.membership(epoch));
    }

    pub(crate) fn follow(&self, primary: &Node, epoch: u64) {
        let shared = self.server.shared();
        let membership = self.membership(epoch);
        let begun = shared.replication.follow_epoch(shared, membership, "127.0.0.1", primary.port());
        begun.expect("a thread");
    }

    pub(crate) fn rest(&self) {
        self.server.shared().replication.rest(self.server.shared());
    }

    /// Becomes another process, and takes over everything from the primary it follows.
    pub(crate) fn start_over(&mut self) {
        self.new_life();
        self.server.shared().replication.discard();
    }

    pub(crate) fn new_life(&mut self) {
        self.me.incarnation = self.me.incarnation.next();
        self.server.shared().replication.new_life(self.me);
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.server.shared().replication.position(self.server.shared())
    }

    pub(crate) fn end(&self) -> u64 {
        self.server.shared().log.end()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.server.addresses()[0]).expect("the server listens")
    }

    pub(crate) fn line(&self, line: &str) -> String {
        text(self.client().line(line))
    }

    /// What the data come down to.
    pub(crate) fn digest(&self) -> String {
        self.line("DEBUG DIGEST")
    }

    /// The highest offset that this process has acknowledged in this epoch, as the node was told.
    pub(crate) fn acked(&self, from: Process, epoch: u64) -> Option<u64> {
        let acks = self.news.acks.lock().expect("no panic");
        let its = acks.iter().filter(|(process, of, _)| *process == from && *of == Epoch(epoch));
        its.map(|(.., offset)| *offset).max()
    }

    pub(crate) fn resyncs(&self) -> Vec<u64> {
        self.news.resyncs.lock().expect("no panic").iter().map(|epoch| epoch.0).collect()
    }

    /// Waits until a follower has acknowledged all there is.
    pub(crate) fn await_ack(&self, follower: &Node, epoch: u64) {
        eventually("the follower acknowledges", || self.acked(follower.me, epoch) == Some(self.end()));
    }

    /// Ends the process, as one that is killed: what was written to the disk is there.
    pub(crate) fn kill(self) -> Disk {
        let disk = self.disk.after_kill();
        self.server.shutdown();
        disk
    }

    /// Ends the process in good order.
    pub(crate) fn stop(self) -> Disk {
        self.server.shutdown();
        self.disk
    }
}

/// A primary of epoch 1 with some data and a follower that has them.
pub(crate) fn pair(settings: &[(&str, &str)]) -> (Node, Node) {
    let (primary, mut follower) = (Node::new(1, settings), Node::new(2, settings));
    primary.lead(1);
    primary.line("MSET a 1 b 2 c 3");
    join(&mut follower, &primary, 1);
    (primary, follower)
}

/// A new node becomes a follower.
pub(crate) fn join(follower: &mut Node, primary: &Node, epoch: u64) {
    let asked = follower.resyncs().len();
    follower.follow(primary, epoch);
    eventually("a full sync is needed", || follower.resyncs().len() > asked);
    follower.start_over();
    primary.await_ack(follower, epoch);
    assert_eq!(follower.digest(), primary.digest());
}
