//! Rule 2 where it bites: whether replies may leave. Looked at by the threads that serve clients, set by the driver.
//!
//! A reply may leave once there was a moment, after its command was executed, at which everything it could have seen was
//! committed and the lease was live. So a thread looks at the clock after executing; what is not committed then waits in
//! the log, which goes on only while the lease is live ([`Gate::fence`] ends that).

use redoubt_ha::Time;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

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
    /// What the log had released when the last fence fell.
    released: AtomicU64,
}

impl Gate {
    /// The lease lasts until then.
    #[allow(dead_code, reason = "the driver comes next")]
    pub(crate) fn serve(&self, until: Time) {
        self.until.store(until.0, Release);
        self.serving.store(true, Release);
    }

    #[allow(dead_code, reason = "the driver comes next")]
    /// Nothing more is released; the log had got to `released`.
    pub(crate) fn fence(&self, released: u64) {
        self.serving.store(false, Release);
        self.released.store(released, Release);
        self.fences.fetch_add(1, Release);
    }

    /// Whether commands on data may be executed here, as far as is known without looking at the clock.
    #[inline]
    pub fn is_serving(&self) -> bool {
        self.serving.load(Acquire)
    }

    /// To be noted before commands are executed.
    #[inline]
    pub fn tenure(&self) -> Tenure {
        Tenure(self.fences.load(Acquire))
    }

    /// Whether what was executed in this tenure, until now, may be answered as far as it is committed. Looks at the clock.
    #[inline]
    pub fn is_live(&self, tenure: Tenure) -> bool {
        let until = self.until.load(Acquire);
        let now = crate::raft::now();
        now < Time(until) && self.is_serving() && self.tenure() == tenure
    }

    /// Whether a reply of that tenure which waits for an offset of the log will never leave.
    pub fn is_lost(&self, tenure: Tenure, offset: u64) -> bool {
        match self.fences.load(Acquire).wrapping_sub(tenure.0) {
            0 => false,
            1 => offset > self.released.load(Relaxed),
            // What was released in between is not known any more.
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redoubt_ha::Span;

    fn soon() -> Time {
        crate::raft::now().plus(Span::millis(60_000))
    }

    #[test]
    fn nothing_is_live_without_a_lease() {
        let gate = Gate::default();
        assert!(!gate.is_serving() && !gate.is_live(gate.tenure()));
        gate.serve(soon());
        assert!(gate.is_live(gate.tenure()));
        gate.serve(Time(0));
        assert!(
            gate.is_serving() && !gate.is_live(gate.tenure()),
            "the lease ran out, and nobody has fenced yet"
        );
    }

    #[test]
    fn what_was_not_released_before_the_fence_is_lost() {
        let gate = Gate::default();
        gate.serve(soon());
        let tenure = gate.tenure();
        assert!(!gate.is_lost(tenure, 100));
        gate.fence(100);
        assert!(!gate.is_live(tenure));
        assert!(!gate.is_lost(tenure, 100) && gate.is_lost(tenure, 101));
        gate.serve(soon());
        assert!(!gate.is_live(tenure), "another tenure");
        gate.fence(200);
        assert!(gate.is_lost(tenure, 50), "two fences ago: nobody knows");
        assert!(!gate.is_lost(gate.tenure(), 1000));
    }
}
