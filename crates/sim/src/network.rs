//! The network: every message may be lost, delayed, doubled and so overtaken; links may be cut, each direction by itself.

use fastrand::Rng;

/// How messages fare where nothing is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Of a thousand messages, so many are lost.
    pub(crate) loss: u32,
    /// Of a thousand messages, so many arrive twice.
    pub(crate) doubled: u32,
    /// Longest delay in microseconds.
    pub(crate) delay: u64,
    /// Of a thousand messages, so many take up to thirty times as long.
    pub(crate) slow: u32,
}

impl Weather {
    pub(crate) const FAIR: Weather = Weather { loss: 0, doubled: 0, delay: 800, slow: 0 };
}

#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) weather: Weather,
    /// Until when the link from one to another is cut.
    cut: Vec<Vec<u64>>,
}

impl Network {
    pub(crate) fn new(machines: usize) -> Network {
        Network { weather: Weather::FAIR, cut: vec![vec![0; machines]; machines] }
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize, until: u64) {
        let end = &mut self.cut[from][to];
        *end = (*end).max(until);
    }

    pub(crate) fn heal(&mut self) {
        self.cut.iter_mut().flatten().for_each(|end| *end = 0);
    }

    /// When copies of a message sent now arrive.
    pub(crate) fn arrivals(&self, now: u64, from: usize, to: usize, rng: &mut Rng) -> [Option<u64>; 2] {
        if from == to {
            return [Some(now + 1), None];
        }
        if self.cut[from][to] > now || rng.u32(0..1000) < self.weather.loss {
            return [None, None];
        }
        let mut arrival = || {
            let longest = if rng.u32(0..1000) < self.weather.slow {
                self.weather.delay * 30
            } else {
                self.weather.delay
            };
            now + 50 + rng.u64(0..=longest)
        };
        let first = Some(arrival());
        let second = arrival();
        let doubled = rng.u32(0..1000) < self.weather.doubled;
        [first, doubled.then_some(second)]
    }
}
