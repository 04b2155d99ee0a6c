//! Expiry cycles and eviction by sampling.
//! Rules: <https://redis.io/docs/latest/develop/reference/eviction/>

use crate::entry::Entry;
use crate::txn::Txn;

/// `maxmemory-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the published names")]
pub enum EvictionPolicy {
    #[default]
    NoEviction,
    AllkeysLru,
    AllkeysLfu,
    AllkeysRandom,
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
}

impl EvictionPolicy {
    /// Only keys with an expiry may go.
    pub fn is_volatile(self) -> bool {
        use EvictionPolicy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl};
        matches!(self, VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl)
    }

    /// Access clocks count frequency.
    pub fn is_lfu(self) -> bool {
        matches!(self, EvictionPolicy::AllkeysLfu | EvictionPolicy::VolatileLfu)
    }
}

/// A key that may be evicted; the higher the score, the sooner.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Database.
    pub db: usize,
    /// Key.
    pub key: Box<[u8]>,
    /// Rank under the policy.
    pub score: u64,
}

impl Txn<'_> {
    /// Draws up to `samples` candidates from the held partitions of a database.
    pub fn sample(&mut self, db: usize, policy: EvictionPolicy, samples: usize, into: &mut Vec<Candidate>) {
        let Some(database) = self.database_of(db) else { return };
        let volatile = policy.is_volatile();
        let held: Vec<usize> = self
            .held()
            .iter()
            .filter(|p| {
                let count = &database.counts[*p];
                if volatile { count.expires.get() > 0 } else { count.keys.get() > 0 }
            })
            .collect();
        if held.is_empty() {
            return;
        }
        let mut drawn = 0;
        // Slots are drawn at random and walked from there, so that sparse partitions are found too.
        let partition = held[self.rng.usize(0..held.len())];
        let slots = self.keyspace().slots_of(partition);
        let start = self.rng.usize(0..slots.len());
        for step in 0..slots.len() {
            let table = &database.tables[slots.start + (start + step) % slots.len()];
            let wanted = if volatile { table.expires() } else { table.len() };
            if wanted == 0 {
                continue;
            }
            for _ in 0..samples.min(wanted * 4) {
                let Some(entry) = table.random(&mut self.rng) else { break };
                if volatile && entry.expire_ms().is_none() {
                    continue;
                }
                into.push(Candidate { db, key: entry.key().into(), score: self.score(entry, policy) });
                drawn += 1;
                if drawn >= samples {
                    return;
                }
            }
        }
    }

    /// Draws up to `samples` expiring keys of a database from the held partitions: how many of them are alive, and the
    /// sum of their times to live, milliseconds.
    pub fn sample_ttl(&mut self, db: usize, samples: usize) -> (i64, i64) {
        let mut drawn = Vec::new();
        self.sample(db, EvictionPolicy::VolatileTtl, samples, &mut drawn);
        let left = |candidate: &Candidate| (u64::MAX - candidate.score) as i64 - self.now_ms();
        let alive = drawn.iter().map(left).filter(|left| *left > 0);
        alive.fold((0, 0), |(count, sum), left| (count + 1, left.saturating_add(sum)))
    }

    fn score(&mut self, entry: Entry, policy: EvictionPolicy) -> u64 {
        use EvictionPolicy as P;
        match policy {
            P::AllkeysLru | P::VolatileLru => u64::from(self.clock.idle_seconds(entry.clock())),
            P::AllkeysLfu | P::VolatileLfu => 255 - u64::from(self.clock.frequency(entry.clock())),
            P::VolatileTtl => u64::MAX - entry.expire_ms().unwrap_or(i64::MAX).max(0) as u64,
            P::AllkeysRandom | P::VolatileRandom | P::NoEviction => self.rng.u64(..),
        }
    }

    /// Removes what has expired in one held partition of every database, keys and fields of hashes; stops after
    /// `removals_max`. Returns how many went and whether some may be left.
    pub fn expire_partition(&mut self, partition: usize, removals_max: usize) -> (usize, bool) {
        let mut removed = 0;
        let before = self.db();
        for db in 0..self.keyspace().databases() {
            self.set_db(db);
            removed += self.expire_keys(partition, removals_max - removed);
            if removed < removals_max {
                removed += self.expire_fields_of(partition, removals_max - removed);
            }
            if removed >= removals_max {
                break;
            }
        }
        self.set_db(before);
        (removed, removed >= removals_max)
    }

    /// The keys of the current database. May go beyond `removals_max` by those of one slot.
    fn expire_keys(&mut self, partition: usize, removals_max: usize) -> usize {
        let database = self.database_of(self.db());
        if database.is_none_or(|database| database.counts[partition].expires.get() == 0) {
            return 0;
        }
        let mut removed = 0;
        for slot in self.keyspace().slots_of(partition) {
            removed += self.expire_slot(slot);
            if removed >= removals_max {
                break;
            }
        }
        removed
    }
}
