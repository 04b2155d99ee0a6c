//! How processes find each other: by the addresses they are given, before and after there is a group.

use super::Active;
use crate::machine::{Message, To};
use redoubt_ha::NodeId;
use redoubt_ha::bootstrap::{Decision, Hello};

impl Active<'_> {
    pub(super) fn on_join(&mut self, node: NodeId) {
        if self.running.raft.leader == Some(self.running.raft.me) {
            self.running.joining.insert(node);
        }
    }

    fn hello(&mut self, to: To) {
        self.disk.hello_seq += 1;
        let seq = self.disk.hello_seq;
        let hello = match &self.running.bootstrap {
            Some(bootstrap) => bootstrap.hello(seq),
            None => {
                let node = self.running.raft.me;
                Hello { node, seq, initialised: true, attempt: None, promised: None }
            }
        };
        self.send(to, Message::Hello(hello));
    }

    pub(super) fn bootstrap(&mut self) {
        if self.running.raft.group.is_some() {
            self.running.bootstrap = None;
            let (node, group) = (self.running.raft.me, self.running.raft.members());
            // The entry that let it in may be lost with the leader that appended it, and so may the one it reads this from.
            if !group.contains(node) || self.running.raft.is_lonely(self.local) {
                self.send(To::Everybody, Message::Join(node));
            }
        }
        let Some(bootstrap) = &mut self.running.bootstrap else { return };
        for &(at, node) in self.running.hellos.values() {
            if self.now - at > 500_000 {
                bootstrap.silent(node);
            }
        }
        let decision = bootstrap.decide();
        (self.disk.tries, self.disk.promised) = bootstrap.to_keep();
        match decision {
            Decision::Wait(_) => {}
            Decision::Initialise(voters) => {
                self.note(|| format!("initialises the group with {voters:?}"));
                let group = self.rng.u64(1..);
                self.running.raft.initialise(group, voters, self.local);
                self.running.bootstrap = None;
            }
            Decision::Join(_) => {
                let node = self.running.raft.me;
                self.send(To::Everybody, Message::Join(node));
            }
        }
        self.hello(To::Everybody);
    }

    pub(super) fn on_hello(&mut self, from: usize, hello: Hello) {
        let Some(bootstrap) = &mut self.running.bootstrap else {
            if !hello.initialised {
                self.hello(To::Machine(from));
            }
            return;
        };
        let former = self.running.hellos.insert(from, (self.now, hello.node));
        if let Some((_, node)) = former.filter(|(_, node)| *node != hello.node) {
            bootstrap.replaced(node);
        }
        bootstrap.heard(hello);
    }
}
