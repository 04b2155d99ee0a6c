//! The rules of the control plane by name. They hold, always; a test may build a state machine with one of them broken,
//! to show that the simulator notices.

/// A rule. The first ten are the design's; the others are what the simulator found they need (decision 0010).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Rule 1: a node starts as nobody and leads only by the newest applied entry it knows and a live lease.
    StartAsNobody,
    /// Rule 2: leadership of data ends with its lease.
    Lease,
    /// Rule 3: a write is acknowledged when every member of the in-sync set has it.
    InSyncAcks,
    /// Rule 4: the in-sync set changes only by applied entries.
    SetByEntry,
    /// Rule 5: only a member of the in-sync set is promoted, the one that holds most.
    PromoteInSync,
    /// Rule 6: a restarted process is another one.
    Incarnations,
    /// Rule 7: `min-replicas-to-write` bounds the in-sync set from below.
    MinReplicas,
    /// Rule 8: Raft is initialised once.
    BootstrapOnce,
    /// Rule 9: a primary that hands over holds its writes first.
    HoldOnHandover,
    /// Rule 10: a hung data plane is failed over.
    Stall,
    /// Rule 2: a voter that heard a leader does not vote until the leases granted by it are over.
    VoterPromise,
    /// Rule 2: a restarted voter keeps out for one lease.
    LateVoter,
    /// Rule 2: a leader made by transfer waits one lease before it acts on silence.
    TransferWait,
    /// Rule 2: a controller acts only under its own mandate, so that no decision of an earlier one comes after its grants.
    Mandate,
    /// Rule 4: a follower that was offered to the set counts as a member until the offer is settled.
    OfferCounts,
    /// Rule 4: a primary by itself acknowledges nothing past its commit offset: who is offered next was judged by that offset.
    HoldAlone,
    /// Rule 5: who has applied an epoch refuses the streams of older ones, and only acknowledgements of the own epoch count.
    OldStreams,
    /// Rule 6: before a process throws its data away for a full resync it becomes another one, by an applied entry.
    DiscardByEntry,
}

impl Rule {
    /// The ten rules of the design, in order.
    pub const DESIGN: [Rule; 10] = [
        Rule::StartAsNobody,
        Rule::Lease,
        Rule::InSyncAcks,
        Rule::SetByEntry,
        Rule::PromoteInSync,
        Rule::Incarnations,
        Rule::MinReplicas,
        Rule::BootstrapOnce,
        Rule::HoldOnHandover,
        Rule::Stall,
    ];

    /// What the ten need beside their words.
    pub const MENDED: [Rule; 8] = [
        Rule::VoterPromise,
        Rule::LateVoter,
        Rule::TransferWait,
        Rule::Mandate,
        Rule::OfferCounts,
        Rule::HoldAlone,
        Rule::OldStreams,
        Rule::DiscardByEntry,
    ];
}

/// Which rules hold: all of them, outside of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    #[cfg(feature = "broken-rules")]
    broken: Option<Rule>,
}

impl Rules {
    /// All rules but one.
    #[cfg(feature = "broken-rules")]
    #[must_use]
    pub fn without(rule: Rule) -> Rules {
        Rules { broken: Some(rule) }
    }

    /// Whether the rule holds.
    #[must_use]
    pub fn hold(self, rule: Rule) -> bool {
        #[cfg(feature = "broken-rules")]
        return self.broken != Some(rule);
        #[cfg(not(feature = "broken-rules"))]
        {
            let _ = rule;
            true
        }
    }
}
