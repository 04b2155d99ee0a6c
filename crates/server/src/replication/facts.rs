//! INFO replication, with Redis's fields in Redis's order.

use super::{Replication, Told};
use crate::config::Values;
use crate::info::Page;
use crate::shared::Shared;
use std::sync::atomic::Ordering::Relaxed;

/// Prints the section.
pub(crate) fn print(shared: &Shared, values: &Values, page: &mut Page) {
    let replication = &shared.replication;
    let told = Told::of(shared);
    page.field("role", if told == Told::Primary { "master" } else { "slave" });
    if let Some(link) = &*replication.link.lock() {
        link.print(shared, values, page);
    } else if let Told::Lonely { host, port } = &told {
        print_lonely(host, *port, shared, values, page);
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

/// What a replica prints, for one that has no link.
fn print_lonely(host: &str, port: u16, shared: &Shared, values: &Values, page: &mut Page) {
    page.field("master_host", host);
    page.field("master_port", port);
    page.field("master_link_status", "down");
    page.field("master_last_io_seconds_ago", -1);
    page.field("master_sync_in_progress", 0);
    page.field("slave_read_repl_offset", shared.log.end());
    page.field("slave_repl_offset", shared.log.end());
    page.field("master_link_down_since_seconds", -1);
    page.field("slave_priority", values.replication.replica_priority);
    page.field("slave_read_only", u8::from(values.replication.replica_read_only));
    page.field("replica_announced", u8::from(values.replication.replica_announced));
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
