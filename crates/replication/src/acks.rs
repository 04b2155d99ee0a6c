//! What replicas have confirmed, and what follows from it for WAIT and `min-replicas-to-write`.

/// What one replica has said about its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Offset it has applied.
    pub offset: u64,
    /// Offset it has on disk (`REPLCONF ACK offset FACK offset`).
    pub on_disk: u64,
    /// When it last said so, milliseconds of any steady clock.
    pub heard_ms: u64,
}

impl Standing {
    /// Notes an acknowledgement. Offsets never fall, whatever the replica says.
    pub fn acknowledge(&mut self, offset: u64, on_disk: Option<u64>, now_ms: u64) {
        self.offset = self.offset.max(offset);
        self.on_disk = self.on_disk.max(on_disk.unwrap_or(0));
        self.heard_ms = now_ms;
    }

    /// Whole seconds since it was last heard, as INFO prints it.
    pub fn lag_seconds(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.heard_ms) / 1000
    }
}

/// How many of the offsets have reached `offset` (WAIT, WAITAOF).
pub fn reached(offsets: impl IntoIterator<Item = u64>, offset: u64) -> usize {
    offsets.into_iter().filter(|reached| *reached >= offset).count()
}

/// Whether every offset has reached `offset`, and there is one.
pub fn all_reached(offsets: impl IntoIterator<Item = u64>, offset: u64) -> bool {
    let mut offsets = offsets.into_iter().peekable();
    offsets.peek().is_some() && offsets.all(|reached| reached >= offset)
}

/// How many replicas count for `min-replicas-to-write`: those heard within `max_lag` seconds.
pub fn good_replicas(replicas: impl IntoIterator<Item = Standing>, max_lag: u64, now_ms: u64) -> usize {
    replicas.into_iter().filter(|standing| standing.lag_seconds(now_ms) <= max_lag).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_rise() {
        let mut standing = Standing::default();
        standing.acknowledge(10, None, 1000);
        standing.acknowledge(5, Some(3), 2500);
        assert_eq!(standing, Standing { offset: 10, on_disk: 3, heard_ms: 2500 });
        assert_eq!((standing.lag_seconds(3499), standing.lag_seconds(3500)), (0, 1));
    }

    #[test]
    fn waiting_counts_whoever_is_there() {
        assert_eq!(reached([5, 10, 11], 10), 2);
        assert_eq!(reached([], 0), 0);
        assert!(all_reached([3, 4], 3));
        assert!(!all_reached([3, 2], 3));
        assert!(!all_reached([], 0));
    }

    #[test]
    fn a_replica_that_was_not_heard_lately_does_not_count() {
        let heard = |heard_ms| Standing { heard_ms, ..Standing::default() };
        assert_eq!(good_replicas([heard(0), heard(9_000), heard(10_000)], 1, 10_999), 2);
        assert_eq!(good_replicas([heard(0)], 0, 999), 1);
    }
}
