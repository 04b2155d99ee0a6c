//! What goes wrong, and when: drawn from the seed.

use crate::data::Fsync;
use crate::network::Weather;
use fastrand::Rng;
use redoubt_ha::topology::{ACKS, MIN_REPLICAS};

/// A length that does not end within a run.
pub(crate) const FOR_GOOD: u64 = u64::MAX / 2;

/// In place of a machine: whichever leads the Raft group then.
pub(crate) const LEADER: usize = usize::MAX;

/// Something that goes wrong. Times are lengths in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// A machine reaches nobody.
    Isolate { machine: usize, length: u64 },
    /// A link is cut in one direction.
    OneWay { from: usize, to: usize, length: u64 },
    /// A link is cut.
    Cut { one: usize, other: usize, length: u64 },
    /// A machine loses one link after the other: others notice at different times.
    Creep { machine: usize, pace: u64, length: u64 },
    /// Two machines do not reach each other for a while; then a third is made Raft leader, or one of them is and the third
    /// restarts at once.
    Estrange { one: usize, other: usize, third: usize, by_third: bool, after: u64, length: u64 },
    /// All cuts end.
    Heal,
    /// SIGKILL; the machine starts again later.
    Crash { machine: usize, length: u64 },
    /// All machines lose power, and come back one by one.
    PowerCut,
    /// SIGKILL, and the disk is gone.
    Wipe { machine: usize, length: u64 },
    /// SIGSTOP, then SIGCONT.
    Pause { machine: usize, length: u64 },
    /// The data threads make no progress: a slow script, or hung for good.
    Hang { machine: usize, length: u64 },
    /// The network gets better or worse.
    Weather(Weather),
    /// Not a fault at all.
    Operator(Order),
}

/// What operators do, and what nodes do that are asked to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// The Raft leader hands over.
    Transfer { to: usize },
    /// An operator asks the primary to hand over.
    HandOver { leaving: bool },
    /// SIGTERM: the process leaves as it should, and is away for a while; or it stays after all.
    Leave { machine: usize, length: u64, stays: bool },
    /// All machines leave and come back, one after the other.
    Roll { pace: u64, length: u64 },
    /// CLUSTER FORGET. The machine is set up anew later.
    Forget { machine: usize },
    /// CONFIG SET of a setting of the deployment; no value: its default.
    Set { name: &'static str, value: Option<&'static str> },
}

/// How a run goes.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) machines: usize,
    pub(crate) expect: usize,
    pub(crate) clients: usize,
    pub(crate) fsync: Fsync,
    /// When the faults end.
    pub(crate) calm_at: u64,
    /// Longest time between two faults.
    pub(crate) pace: u64,
    pub(crate) apply_lag: u64,
    pub(crate) thread_lag: u64,
    /// After how many entries a snapshot takes the place of the log; 0: never.
    pub(crate) compact: usize,
    /// `ha-forget-timeout`.
    pub(crate) forget: Option<u64>,
    /// How many machines are not there from the beginning.
    pub(crate) late: usize,
    /// Whether `ha-acks local` is tried.
    pub(crate) local: bool,
    /// Whether the machines find each other at once.
    pub(crate) rough_start: bool,
    /// Out of a hundred faults, so many destroy memory or disks.
    pub(crate) deadly: u32,
    /// Out of a hundred faults, so many try the edges of leases and elections.
    pub(crate) sly: u32,
    /// Out of a hundred faults, so many are what operators do.
    pub(crate) operated: u32,
}

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Plan {
        let machines = [1, 2, 3, 3, 3, 3, 3, 3, 4, 5][rng.usize(0..10)];
        let expect = if rng.u8(0..4) == 0 { rng.usize(machines / 2 + 1..=machines) } else { machines };
        let late = rng.usize(0..=machines - expect);
        if rng.u8(0..5) == 0 {
            return Plan::patient(rng);
        }
        Plan {
            machines,
            expect,
            clients: rng.usize(2..=4),
            fsync: [Fsync::Off, Fsync::Off, Fsync::EverySecond, Fsync::Always][rng.usize(0..4)],
            calm_at: rng.u64(4_000_000..9_000_000),
            pace: rng.u64(150_000..1_500_000),
            apply_lag: [0, 5_000, 60_000][rng.usize(0..3)],
            thread_lag: [0, 2_000, 40_000][rng.usize(0..3)],
            compact: [0, 2, 8, 30][rng.usize(0..4)],
            forget: (rng.u8(0..8) == 0).then(|| rng.u64(1_200_000..3_000_000)),
            late,
            local: rng.u8(0..6) == 0,
            rough_start: rng.u8(0..3) == 0,
            deadly: [0, 10, 30][rng.usize(0..3)],
            sly: [0, 20, 80][rng.usize(0..3)],
            operated: [0, 20, 60][rng.usize(0..3)],
        }
    }

    /// A healthy deployment in which, every few seconds, the Raft leader is cut off step by step: what depends on one lease
    /// and one election shows only where nothing else is wrong.
    fn patient(rng: &mut Rng) -> Plan {
        let machines = [3, 3, 5][rng.usize(0..3)];
        Plan {
            machines,
            expect: machines,
            clients: 4,
            fsync: Fsync::Off,
            calm_at: 10_000_000,
            pace: 3_500_000,
            apply_lag: 0,
            thread_lag: 0,
            compact: 0,
            forget: None,
            late: 0,
            local: false,
            rough_start: false,
            deadly: 0,
            sly: 100,
            operated: 0,
        }
    }

    /// The next fault.
    pub(crate) fn fault(&self, rng: &mut Rng) -> Fault {
        let machine = rng.usize(0..self.machines);
        let other = rng.usize(0..self.machines);
        let length = [rng.u64(20_000..400_000), rng.u64(300_000..2_500_000)][rng.usize(0..2)];
        if rng.u32(0..100) < self.sly {
            return self.sly(machine, other, rng);
        }
        if rng.u32(0..100) < self.operated {
            return Fault::Operator(self.operated(machine, length, rng));
        }
        if rng.u32(0..100) < self.deadly {
            return match rng.u8(0..10) {
                0 => Fault::PowerCut,
                1 | 2 => Fault::Wipe { machine, length },
                _ => Fault::Crash { machine, length },
            };
        }
        match rng.u8(0..16) {
            0..=2 => Fault::Isolate { machine, length },
            3 | 4 => Fault::OneWay { from: machine, to: other, length },
            5 | 6 => Fault::Cut { one: machine, other, length },
            7 => Fault::Heal,
            8..=10 => Fault::Pause { machine, length },
            11 | 12 => Fault::Hang { machine, length: if rng.u8(0..3) == 0 { FOR_GOOD } else { length } },
            13 => Fault::Operator(Order::Transfer { to: machine }),
            14 => Fault::Operator(Order::HandOver { leaving: rng.bool() }),
            _ => Fault::Weather(Plan::weather(rng)),
        }
    }

    /// What operators do, and what nodes do that are asked to stop.
    fn operated(&self, machine: usize, length: u64, rng: &mut Rng) -> Order {
        match rng.u8(0..10) {
            0..=2 => Order::Leave { machine, length, stays: rng.u8(0..4) == 0 },
            3 => Order::Roll { pace: rng.u64(400_000..1_500_000), length: rng.u64(20_000..600_000) },
            4 => Order::Forget { machine },
            5 => Order::HandOver { leaving: rng.bool() },
            6 if self.local => {
                let value = [None, Some("local"), Some("in-sync")][rng.usize(0..3)];
                Order::Set { name: ACKS, value }
            }
            6..=8 => {
                let value = [None, Some("0"), Some("1"), Some("2")][rng.usize(0..self.machines.clamp(2, 4))];
                Order::Set { name: MIN_REPLICAS, value }
            }
            _ => Order::Transfer { to: machine },
        }
    }

    /// Faults whose parts come within one lease of each other.
    fn sly(&self, machine: usize, other: usize, rng: &mut Rng) -> Fault {
        let third = rng.usize(0..self.machines);
        let by_third = rng.bool();
        let after = [rng.u64(450_000..950_000), rng.u64(430_000..560_000)][rng.usize(0..2)];
        match rng.u8(0..6) {
            0..=2 => {
                let machine = if rng.bool() { LEADER } else { machine };
                Fault::Creep { machine, pace: after, length: after + rng.u64(500_000..1_500_000) }
            }
            3 | 4 => {
                let length = after + 500_000;
                Fault::Estrange { one: machine, other, third, by_third, after, length }
            }
            _ => Fault::Operator(Order::HandOver { leaving: rng.bool() }),
        }
    }

    fn weather(rng: &mut Rng) -> Weather {
        Weather {
            loss: [0, 0, 20, 150][rng.usize(0..4)],
            doubled: [0, 50][rng.usize(0..2)],
            delay: [800, 800, 5_000, 40_000][rng.usize(0..4)],
            slow: [0, 0, 20, 100][rng.usize(0..4)],
        }
    }
}
