//! Rule 2 where it bites: whether replies may leave. Looked at by the threads that serve clients, set by the driver.
//!
//! A reply may leave once there was a moment, after its command was executed, at which everything it could have seen was
//! committed and the lease was live. So a thread looks at the clock after executing; what is not committed then waits in
//! the log, which goes on only while the lease is live: a fence makes void what waits there.

use redoubt_ha::agent::Writes;
use redoubt_ha::{Span, Time};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::atomic::{Ordering::AcqRel, Ordering::Acquire, Ordering::Release};

/// A time of serving, from a grant of the first lease to the next fence. Replies belong to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenure(u64);

/// See the module's text.
#[derive(Debug, Default)]
pub struct Gate {
    serving: AtomicBool,
    /// The end of the lease, microseconds of the clock of leases.
    until: AtomicU64,
    /// Counts fences.
    fences: AtomicU64,
    /// What becomes of new writes; see the constants.
    writes: AtomicU8,
    /// A handover is about to begin: they wait.
    ahead: AtomicBool,
}

const ALLOWED: u8 = 0;
const HELD: u8 = 1;
const REFUSED: u8 = 2;

impl Gate {
    /// The lease lasts until then.
    pub(crate) fn serve(&self, until: Time) {
        self.until.store(until.0, Release);
        self.serving.store(true, Release);
    }

    /// Nothing that is executed from now on is answered.
    pub(crate) fn fence(&self) {
        self.serving.store(false, Release);
        self.fences.fetch_add(1, Release);
    }

    /// What becomes of new writes, while this node serves.
    pub(crate) fn set_writes(&self, writes: Writes) {
        let writes = match writes {
            Writes::Allowed => ALLOWED,
            Writes::Held => HELD,
            Writes::Refused => REFUSED,
        };
        self.writes.store(writes, Release);
    }

    /// Has new writes wait whatever else is said, or no longer. Whether they did.
    pub(crate) fn hold_ahead(&self, on: bool) -> bool {
        self.ahead.swap(on, AcqRel)
    }

    /// Whether nothing has to be looked at more closely.
    pub(crate) fn is_open(&self) -> bool {
        self.is_serving() && self.writes.load(Acquire) == ALLOWED && !self.ahead.load(Acquire)
    }

    /// Whether writes wait for the end of a handover.
    pub fn holds_writes(&self) -> bool {
        self.is_serving() && (self.writes.load(Acquire) == HELD || self.ahead.load(Acquire))
    }

    /// Whether writes are refused: rule 7, too few copies.
    pub fn refuses_writes(&self) -> bool {
        self.is_serving() && self.writes.load(Acquire) == REFUSED
    }

    /// Whether commands on data may be executed here, as far as is known without looking at the clock.
    #[inline]
    pub fn is_serving(&self) -> bool {
        self.serving.load(Acquire)
    }

    /// How long the lease lasts.
    pub fn lease_left(&self) -> Span {
        if self.is_serving() { Time(self.until.load(Acquire)).since(crate::raft::now()) } else { Span(0) }
    }

    /// To be noted before commands are executed.
    #[inline]
    pub fn tenure(&self) -> Tenure {
        Tenure(self.fences.load(Acquire))
    }

    /// Whether what was executed since the tenure was noted, until now, may be answered as far as it is committed: no fence
    /// fell, and where this node serves, the lease lasts. Looks at the clock.
    #[inline]
    pub fn is_sound(&self, tenure: Tenure) -> bool {
        let until = self.until.load(Acquire);
        (!self.is_serving() || crate::raft::now() < Time(until)) && self.tenure() == tenure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Time {
        crate::raft::now().plus(Span::millis(60_000))
    }

    #[test]
    fn nothing_is_answered_after_the_lease() {
        let gate = Gate::default();
        assert!(!gate.is_serving() && gate.is_sound(gate.tenure()), "what needs no lease is answered");
        gate.serve(soon());
        assert!(gate.is_sound(gate.tenure()) && gate.is_open());
        gate.serve(Time(0));
        assert!(
            gate.is_serving() && !gate.is_sound(gate.tenure()),
            "the lease ran out, and nobody has fenced yet"
        );
    }

    #[test]
    fn a_tenure_ends_with_the_fence() {
        let gate = Gate::default();
        gate.serve(soon());
        let tenure = gate.tenure();
        gate.fence();
        assert!(!gate.is_sound(tenure));
        gate.serve(soon());
        assert!(!gate.is_sound(tenure) && gate.is_sound(gate.tenure()));
    }

    #[test]
    fn writes_wait_or_are_refused_only_while_serving() {
        let gate = Gate::default();
        gate.set_writes(Writes::Held);
        assert!(!gate.holds_writes());
        gate.serve(soon());
        assert!(gate.holds_writes() && !gate.is_open() && !gate.refuses_writes());
        gate.set_writes(Writes::Refused);
        assert!(gate.refuses_writes() && !gate.holds_writes());
        gate.set_writes(Writes::Allowed);
        assert!(gate.is_open());
    }
}
