//! INFO replication, with Redis's fields in Redis's order.

use super::Replication;
use crate::config::Values;
use crate::info::Page;
use crate::shared::Shared;
use std::sync::atomic::Ordering::Relaxed;

/// Prints the section.
pub(crate) fn print(shared: &Shared, values: &Values, page: &mut Page) {
    let replication = &shared.replication;
    page.field("role", if replication.follows() { "slave" } else { "master" });
    if let Some(link) = &*replication.link.lock() {
        link.print(shared, values, page);
    }
    replication.print_replicas(values, page);
    page.field("master_failover_state", replication.failover.state());
    let history = *replication.history.lock();
    page.field("master_replid", history.id());
    page.field("master_replid2", history.second_id());
    page.field("master_repl_offset", shared.log.end());
    page.field("second_repl_offset", history.second_offset());
    let range = replication.backlog.range();
    page.field("repl_backlog_active", u8::from(range.is_some()));
    page.field("repl_backlog_size", values.replication.repl_backlog_size);
    page.field("repl_backlog_first_byte_offset", range.map_or(0, |(first, _)| first + 1));
    page.field("repl_backlog_histlen", range.map_or(0, |(first, end)| end - first));
}

impl Replication {
    fn print_replicas(&self, values: &Values, page: &mut Page) {
        let feeds = self.feeds();
        page.field("connected_slaves", feeds.len());
        if values.replication.min_replicas_to_write != 0 && values.replication.min_replicas_max_lag != 0 {
            page.field("min_slaves_good_slaves", self.count_replicas(values));
        }
        let now = self.now_ms();
        for (number, feed) in feeds.iter().enumerate() {
            let standing = feed.standing();
            let lag = if feed.is_online() { standing.lag_seconds(now) } else { 0 };
            let line = format_args!(
                "ip={},port={},state={},offset={},lag={lag}",
                feed.ip(),
                feed.peer.port,
                feed.state(),
                standing.offset
            );
            page.field(&format!("slave{number}"), line);
        }
    }

    /// Full syncs, partial ones, and partial ones that were refused.
    pub(crate) fn syncs(&self) -> (u64, u64, u64) {
        (self.full.load(Relaxed), self.partial.load(Relaxed), self.refused.load(Relaxed))
    }

    /// Memory of the backlog, bytes.
    pub(crate) fn backlog_memory(&self) -> usize {
        self.backlog.memory()
    }
}
