//! A small Raft for the simulator: pre-vote, votes, log, snapshots, joint changes of the group, transfer of leadership. It is
//! correct and gives the control plane what a real one may: late commits, leaders that do not know they were deposed, logs
//! applied late, a snapshot in place of entries, changes of the group that a new leader finds half done. It keeps the
//! promises of design rule 2: voters do not vote while leases may be live.

mod group;
mod log;
mod replicate;

pub(crate) use group::Group;
pub(crate) use log::{Kind, Logged, Snapshot};

use fastrand::Rng;
use log::Log;
use redoubt_ha::{NodeId, Rule, Rules, Time, Timing};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Vote { pre: bool, transfer: bool, last: (u64, usize) },
    Voted { pre: bool, granted: bool },
    Append { prev: (u64, usize), entries: Vec<Rc<Logged>>, commit: usize, sent: Time },
    Install { snapshot: Rc<Snapshot>, sent: Time },
    Appended { matched: Option<usize>, sent: Time },
    TimeoutNow,
}

#[derive(Debug, Clone)]
pub(crate) struct RaftMessage {
    /// Two groups never mix.
    pub(crate) group: u64,
    pub(crate) term: u64,
    pub(crate) from: NodeId,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

/// What the node is to do about it.
#[derive(Debug)]
pub(crate) enum RaftEffect {
    Send(NodeId, RaftMessage),
    Elected { by_transfer: bool },
    Deposed,
    Quorum(Time),
}

#[derive(Debug)]
pub(crate) struct Raft {
    pub(crate) me: NodeId,
    // On the disk.
    pub(crate) group: Option<u64>,
    pub(crate) term: u64,
    voted: Option<NodeId>,
    pub(crate) log: Log,
    pub(crate) snapshot: Option<Rc<Snapshot>>,
    // In memory.
    /// The newest group in the log, and where it stands.
    newest_group: (Rc<Group>, usize),
    pub(crate) role: Role,
    pub(crate) leader: Option<NodeId>,
    pub(crate) commit: usize,
    /// No vote before this: a leader was heard, or this process has forgotten whom it heard.
    promised_until: Time,
    election_at: Time,
    votes: BTreeSet<NodeId>,
    by_transfer: bool,
    next: BTreeMap<NodeId, usize>,
    matched: BTreeMap<NodeId, usize>,
    acked: BTreeMap<NodeId, Time>,
    quorum_sent: Time,
    heartbeat_at: Time,
    timing: Timing,
    rules: Rules,
}

impl Raft {
    pub(crate) fn new(me: NodeId, timing: Timing, rules: Rules) -> Raft {
        Raft {
            me,
            group: None,
            term: 0,
            voted: None,
            log: Log::default(),
            snapshot: None,
            newest_group: Default::default(),
            role: Role::Follower,
            leader: None,
            commit: 0,
            promised_until: Time(0),
            election_at: Time(0),
            votes: BTreeSet::new(),
            by_transfer: false,
            next: BTreeMap::new(),
            matched: BTreeMap::new(),
            acked: BTreeMap::new(),
            quorum_sent: Time(0),
            heartbeat_at: Time(0),
            timing,
            rules,
        }
    }

    /// What is left after a crash: the disk. Rule 2: it keeps out for one lease.
    pub(crate) fn reboot(self, now: Time, rng: &mut Rng) -> Raft {
        let mut raft = Raft::new(self.me, self.timing, self.rules);
        (raft.group, raft.term, raft.voted) = (self.group, self.term, self.voted);
        (raft.log, raft.snapshot) = (self.log, self.snapshot);
        raft.commit = raft.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        raft.find_group();
        if raft.rules.hold(Rule::LateVoter) {
            raft.promised_until = now.plus(raft.timing.lease);
        }
        raft.schedule_election(now, true, rng);
        raft
    }

    /// Begins a group.
    pub(crate) fn initialise(&mut self, group: u64, voters: BTreeSet<NodeId>, now: Time) {
        self.group = Some(group);
        self.log.push(Logged { term: 0, kind: Kind::Group(Group::of(voters)) });
        self.find_group();
        self.election_at = now;
    }

    pub(crate) fn members(&self) -> Rc<Group> {
        self.newest_group.0.clone()
    }

    /// Membership counts from the moment it is in the log.
    fn find_group(&mut self) {
        let of_snapshot = || self.snapshot.as_ref().map(|snapshot| (snapshot.group.clone(), 0));
        self.newest_group = self.log.group_before(self.log.len()).or_else(of_snapshot).unwrap_or_default();
    }

    fn members_committed(&self) -> bool {
        self.newest_group.1 < self.commit
    }

    fn last(&self) -> (u64, usize) {
        (self.log.last_term(), self.log.len())
    }

    /// Who has just heard a leader gives it Raft's own lease on top of the random wait.
    fn schedule_election(&mut self, now: Time, heard: bool, rng: &mut Rng) {
        let random = rng.u64(self.timing.election_min.0..=self.timing.election_max.0);
        let lease = if heard { self.timing.election_max.0 } else { 0 };
        self.election_at = Time(now.0 + lease + random);
    }

    fn message(&self, body: Body) -> RaftMessage {
        RaftMessage { group: self.group.unwrap_or(0), term: self.term, from: self.me, body }
    }

    pub(crate) fn tick(&mut self, now: Time, rng: &mut Rng, effects: &mut Vec<RaftEffect>) {
        if self.group.is_none() {
            return;
        }
        if self.role == Role::Leader {
            if now >= self.heartbeat_at {
                self.heartbeat_at = now.plus(self.timing.heartbeat);
                self.replicate(now, effects);
            }
            self.change_on(now, effects);
            // A leader that no quorum answers gives up in the end; one that votes no more, as soon as all know.
            let is_out = self.members_committed() && !self.members().has_voter(self.me);
            if is_out || now.since(self.quorum_sent) > self.timing.lease.times(3) {
                self.step_down(now, rng, effects);
            }
            return;
        }
        if now >= self.election_at {
            self.schedule_election(now, false, rng);
            // Rule 2: who must not vote must not stand either.
            if now >= self.promised_until && self.members().has_voter(self.me) {
                self.stand(now, true, false, rng, effects);
            }
        }
    }

    fn stand(&mut self, now: Time, pre: bool, transfer: bool, rng: &mut Rng, effects: &mut Vec<RaftEffect>) {
        self.role = if pre { Role::PreCandidate } else { Role::Candidate };
        self.leader = None;
        self.by_transfer = transfer;
        if !pre {
            self.term += 1;
            self.voted = Some(self.me);
        }
        self.votes = [self.me].into();
        for to in self.members().voters() {
            if to != self.me {
                let vote = self.message(Body::Vote { pre, transfer, last: self.last() });
                effects.push(RaftEffect::Send(to, vote));
            }
        }
        self.count_votes(now, rng, effects);
    }

    fn count_votes(&mut self, now: Time, rng: &mut Rng, effects: &mut Vec<RaftEffect>) {
        if !self.newest_group.0.has_quorum(|node| self.votes.contains(&node)) {
            return;
        }
        if self.role == Role::PreCandidate {
            return self.stand(now, false, false, rng, effects);
        }
        self.role = Role::Leader;
        self.leader = Some(self.me);
        self.next.clear();
        self.matched.clear();
        self.acked.clear();
        self.quorum_sent = now;
        self.heartbeat_at = now.plus(self.timing.heartbeat);
        self.log.push(Logged { term: self.term, kind: Kind::Noop });
        effects.push(RaftEffect::Elected { by_transfer: self.by_transfer });
        self.replicate(now, effects);
        self.advance_commit(now, effects);
    }

    fn step_down(&mut self, now: Time, rng: &mut Rng, effects: &mut Vec<RaftEffect>) {
        if self.role == Role::Leader {
            effects.push(RaftEffect::Deposed);
            // The leases it granted outlive its office: it is bound like any voter that answered.
            self.promised_until = self.promised_until.max(self.own_promise());
        }
        self.role = Role::Follower;
        self.leader = None;
        self.schedule_election(now, false, rng);
    }

    fn promise_length(&self) -> redoubt_ha::Span {
        let kept = self.rules.hold(Rule::VoterPromise);
        if kept { self.timing.lease } else { self.timing.election_max }
    }

    fn own_promise(&self) -> Time {
        self.quorum_sent.plus(self.promise_length())
    }

    /// Whether the node has answered something that was sent just now, and has the log: what was under way for long, or lay
    /// in a buffer while this process was stopped, shows nothing.
    pub(crate) fn is_responsive(&self, node: NodeId, behind_max: usize, now: Time) -> bool {
        let answered = self.acked.get(&node).is_some_and(|sent| now.since(*sent) < self.timing.reachable);
        answered && self.matched.get(&node).is_some_and(|at| at + behind_max >= self.log.len())
    }

    /// Whether no leader was heard for long.
    pub(crate) fn is_lonely(&self, now: Time) -> bool {
        now.since(self.promised_until) > self.timing.lease.times(2) && self.role != Role::Leader
    }

    /// The voter that has most of the log.
    pub(crate) fn heir(&self) -> Option<NodeId> {
        let group = self.members();
        let others = group.voters().filter(|node| *node != self.me);
        others.max_by_key(|node| self.matched.get(node).copied())
    }

    pub(crate) fn transfer(&mut self, to: NodeId, effects: &mut Vec<RaftEffect>) {
        let caught_up = self.matched.get(&to) == Some(&self.log.len());
        if self.role == Role::Leader && to != self.me && caught_up && self.members().has_voter(to) {
            let message = self.message(Body::TimeoutNow);
            effects.push(RaftEffect::Send(to, message));
        }
    }

    pub(crate) fn receive(
        &mut self,
        now: Time,
        message: RaftMessage,
        rng: &mut Rng,
        effects: &mut Vec<RaftEffect>,
    ) {
        if self.group.is_none() && self.accepts_group(&message) {
            self.group = Some(message.group);
            self.schedule_election(now, true, rng);
        }
        if self.group != Some(message.group) {
            return;
        }
        let from = message.from;
        if let Body::Vote { pre, transfer, last } = message.body {
            return self.on_vote(now, from, message.term, (pre, transfer, last), rng, effects);
        }
        if message.term > self.term {
            self.term = message.term;
            self.voted = None;
            self.step_down(now, rng, effects);
        }
        match message.body {
            Body::Voted { pre, granted } => {
                let waits = self.role == if pre { Role::PreCandidate } else { Role::Candidate };
                if waits && granted && message.term == self.term {
                    self.votes.insert(from);
                    self.count_votes(now, rng, effects);
                }
            }
            Body::Append { prev, entries, commit, sent } if message.term == self.term => {
                self.follow(now, from, rng, effects);
                let matched = self.append(prev, entries, commit);
                effects.push(RaftEffect::Send(from, self.message(Body::Appended { matched, sent })));
            }
            Body::Install { snapshot, sent } if message.term == self.term => {
                self.follow(now, from, rng, effects);
                let matched = Some(self.install(snapshot));
                effects.push(RaftEffect::Send(from, self.message(Body::Appended { matched, sent })));
            }
            Body::Append { sent, .. } | Body::Install { sent, .. } => {
                effects.push(RaftEffect::Send(from, self.message(Body::Appended { matched: None, sent })));
            }
            Body::Appended { matched, sent } if message.term == self.term && self.role == Role::Leader => {
                self.on_appended(now, from, matched, sent, effects);
            }
            Body::TimeoutNow if message.term == self.term => self.stand(now, false, true, rng, effects),
            _ => {}
        }
    }

    /// Hears the leader of the term.
    fn follow(&mut self, now: Time, leader: NodeId, rng: &mut Rng, effects: &mut Vec<RaftEffect>) {
        self.promised_until = self.promised_until.max(now.plus(self.promise_length()));
        if self.role != Role::Follower {
            self.step_down(now, rng, effects);
        }
        self.leader = Some(leader);
        self.schedule_election(now, true, rng);
    }

    /// A node without a group takes part in the first that lists or feeds it.
    fn accepts_group(&self, message: &RaftMessage) -> bool {
        matches!(message.body, Body::Append { .. } | Body::Install { .. } | Body::Vote { .. })
    }

    fn on_vote(
        &mut self,
        now: Time,
        from: NodeId,
        term: u64,
        (pre, transfer, last): (bool, bool, (u64, usize)),
        rng: &mut Rng,
        effects: &mut Vec<RaftEffect>,
    ) {
        let bound = if self.role == Role::Leader { self.own_promise() } else { self.promised_until };
        let is_bound = now < bound && !transfer;
        if term < self.term {
            // It must learn of the newer term, or it asks for ever.
            let refusal = self.message(Body::Voted { pre, granted: false });
            return effects.push(RaftEffect::Send(from, refusal));
        }
        if is_bound {
            return;
        }
        if !pre && term > self.term {
            self.term = term;
            self.voted = None;
            self.step_down(now, rng, effects);
        }
        let free = pre || self.voted.is_none() || self.voted == Some(from);
        let granted = last >= self.last() && free;
        if granted && !pre {
            self.voted = Some(from);
            self.schedule_election(now, true, rng);
        }
        let mut reply = self.message(Body::Voted { pre, granted });
        reply.term = term;
        effects.push(RaftEffect::Send(from, reply));
    }
}
