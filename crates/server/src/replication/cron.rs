//! Replication's periodic work, on the control thread: it takes no partition, so a slow command delays none of it.

use super::{Replication, full};
use crate::config::Values;
use crate::log::frame;
use crate::shared::Shared;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two rounds.
const TICK: Duration = Duration::from_millis(50);
/// Replicas that ask for a snapshot within this time of each other share it, if `repl-diskless-sync-delay` allows any.
/// A snapshot costs no fork here, so nobody is kept waiting for long.
const GATHER: Duration = Duration::from_millis(100);

/// Runs until the server stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut rounds = Rounds::new();
    loop {
        tokio::time::sleep(TICK).await;
        rounds.tick(&shared);
        shared.replication.step_failover(&shared).await;
    }
}

struct Rounds {
    second: Instant,
    ping: Instant,
    gathering: Option<Instant>,
}

impl Rounds {
    fn new() -> Rounds {
        Rounds { second: Instant::now(), ping: Instant::now(), gathering: None }
    }

    fn tick(&mut self, shared: &Arc<Shared>) {
        let values = shared.values();
        let replication = &shared.replication;
        self.gather(shared, &values);
        replication.close_laggards(shared, &values);
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.second = Instant::now();
            replication.feeds().iter().for_each(|feed| feed.keep_alive());
            replication.count_replicas(&values);
            replication.drop_unwanted_backlog(shared, &values);
        }
        // A failover waits for a replica to be at the very end.
        if replication.failover.is_running() {
            return;
        }
        if self.ping.elapsed() >= values.replication.repl_ping_replica_period {
            self.ping = Instant::now();
            replication.ping(shared);
        }
    }

    /// Starts the snapshot that replicas wait for, once no more of them are expected.
    fn gather(&mut self, shared: &Arc<Shared>, values: &Values) {
        let count = shared.replication.gathering.lock().len();
        if count == 0 {
            self.gathering = None;
            return;
        }
        let most = values.replication.repl_diskless_sync_max_replicas;
        let patience = values.replication.repl_diskless_sync_delay.unwrap_or_default().min(GATHER);
        let since = *self.gathering.get_or_insert_with(Instant::now);
        if since.elapsed() >= patience || (most != 0 && count >= most) {
            full::start(shared);
        }
    }
}

impl Replication {
    /// Appends a command that is for replicas only. Not on a replica: its stream is its primary's.
    fn tell(&self, shared: &Shared, words: &[&[u8]]) {
        if self.follows() || self.feeds.read().is_empty() {
            return;
        }
        let mut frames = Vec::new();
        frame(&mut frames, words);
        // The role may have changed since it was looked at.
        shared.log.append_word(&frames);
        self.wake();
    }

    fn ping(&self, shared: &Shared) {
        self.tell(shared, &[b"PING"]);
    }

    /// Has the replicas say where they are.
    pub(crate) fn ask_acks(&self, shared: &Shared) {
        self.tell(shared, &[b"REPLCONF", b"GETACK", b"*"]);
    }

    /// Closes replicas that are silent or too far behind.
    fn close_laggards(&self, shared: &Shared, values: &Values) {
        let now = self.now_ms();
        let limit = values.client_output_buffer_limit.replica;
        // A replica may always be as far behind as the backlog is long.
        let at_least =
            |bytes: u64| if bytes == 0 { 0 } else { bytes.max(values.replication.repl_backlog_size) };
        let soft = (at_least(limit.soft_bytes), limit.soft_seconds * 1000);
        for feed in self.feeds() {
            if feed.silent_ms(now) > values.replication.repl_timeout.as_millis() as u64 {
                tracing::warn!("Disconnecting timedout replica {}", feed.name());
                shared.kill(&feed.client);
            } else if feed.is_over(at_least(limit.hard_bytes), soft, now) {
                shared.stats.output_buffer_limit(&feed.client);
                shared.kill(&feed.client);
            }
        }
    }

    fn drop_unwanted_backlog(&self, shared: &Shared, values: &Values) {
        let Some(ttl) = values.replication.repl_backlog_ttl else { return };
        let lonely = self.lonely.lock().is_some_and(|since| since.elapsed() > ttl);
        if lonely && !self.follows() && !self.is_watched() && self.is_active() {
            tracing::info!(
                "Replication backlog freed after {} seconds without connected replicas.",
                ttl.as_secs()
            );
            *self.lonely.lock() = None;
            self.close_backlog(shared);
        }
    }
}
