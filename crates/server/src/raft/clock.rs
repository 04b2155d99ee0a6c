//! The clock of leases: `CLOCK_BOOTTIME`, which goes on while the machine sleeps. openraft's is the monotonic clock, which
//! does not.

use parking_lot::Mutex;
use redoubt_ha::Time;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Jumps that are remembered.
const JUMPS_MAX: usize = 16;
/// A smaller difference of the two clocks is measuring.
const JUMP: Duration = Duration::from_millis(1);

/// Now, on the clock of leases.
#[must_use]
pub fn now() -> Time {
    Time(u64::try_from(since_boot().as_micros()).unwrap_or(u64::MAX))
}

fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
    seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Tells moments of the monotonic clock in the clock of leases. Where the machine slept in between, the moment is told as
/// too early rather than too late: a lease counted from it only gets shorter.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    /// From when on, and what time of the clock of leases the origin would have had.
    bases: Mutex<VecDeque<(Instant, Duration)>>,
}

impl Clock {
    pub(super) fn new() -> Clock {
        let origin = Instant::now();
        Clock { origin, bases: Mutex::new([(origin, since_boot())].into()) }
    }

    /// To be called often: notices that the machine has slept.
    pub(super) fn observe(&self) {
        let instant = Instant::now();
        self.observe_at(instant, since_boot());
    }

    fn observe_at(&self, instant: Instant, boot: Duration) {
        let base = boot.saturating_sub(instant.saturating_duration_since(self.origin));
        let mut bases = self.bases.lock();
        if bases.back().is_some_and(|(_, last)| base > *last + JUMP) {
            bases.push_back((instant, base));
        }
        if bases.len() > JUMPS_MAX {
            bases.pop_front();
        }
    }

    pub(super) fn time_of(&self, instant: Instant) -> Time {
        let bases = self.bases.lock();
        let known = bases.iter().rev().find(|(from, _)| *from <= instant).or(bases.front());
        let base = known.map_or(Duration::ZERO, |(_, base)| *base);
        let time = base + instant.saturating_duration_since(self.origin);
        Time(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_makes_moments_earlier_not_later() {
        let clock = Clock::new();
        let (_, base) = clock.bases.lock()[0];
        let at = |millis| clock.origin + Duration::from_millis(millis);
        let time = |millis| Time(u64::try_from((base + Duration::from_millis(millis)).as_micros()).unwrap());
        assert_eq!(clock.time_of(at(100)), time(100));
        // Asleep for an hour somewhere between 100 and 300; noticed at 300.
        clock.observe_at(at(300), base + Duration::from_millis(3_600_300));
        assert_eq!(clock.time_of(at(100)), time(100));
        assert_eq!(clock.time_of(at(200)), time(200));
        assert_eq!(clock.time_of(at(400)), time(3_600_400));
        clock.observe();
        assert!(now() >= time(0));
    }
}
