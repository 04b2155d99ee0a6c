//! MEMORY, but for MEMORY USAGE: <https://redis.io/docs/latest/commands/memory-stats/>

use crate::dispatch::{Scope, Session};
use crate::info::{Allocator, ratio, resident_bytes};
use redoubt_commands::spec::ServerOp;
use redoubt_commands::{CommandError, Context, introspect};
use redoubt_resp::Reply;

/// Below this there is too little to judge, bytes.
const DOCTOR_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// What MEMORY STATS and DOCTOR look at, bytes.
struct Figures {
    used: u64,
    peak: u64,
    startup: u64,
    clients: u64,
    backlog: u64,
    rss: u64,
    keys: u64,
    /// What waits for the append-only file.
    append_only: u64,
    allocator: Allocator,
}

impl Session {
    pub(super) fn memory_op(
        &mut self,
        ctx: &mut Context<'_>,
        op: ServerOp,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        match op {
            ServerOp::MemoryStats => {
                let figures = self.figures(ctx);
                write_stats(&figures, &mut self.reply(scope));
            }
            ServerOp::MemoryDoctor => {
                let text = diagnosis(&self.figures(ctx));
                self.reply(scope).verbatim("txt", text.as_bytes());
            }
            ServerOp::MemoryPurge => {
                crate::memory::purge();
                self.reply(scope).ok();
            }
            ServerOp::MemoryMallocStats => {
                let text = malloc_stats();
                self.reply(scope).verbatim("txt", text.as_bytes());
            }
            _ => introspect::help("memory", &mut self.reply(scope)),
        }
        Ok(())
    }

    fn figures(&self, ctx: &mut Context<'_>) -> Figures {
        let memory = &self.shared.memory;
        memory.recalibrate();
        let keys = self.count_keys(ctx.txn.held().is_empty(), &mut ctx.txn);
        let used = memory.used();
        Figures {
            used,
            peak: memory.peak(),
            startup: memory.startup().min(used),
            clients: self.shared.clients.iter().map(|client| client.memory_bytes() as u64).sum(),
            backlog: self.shared.replication.backlog_memory() as u64,
            rss: resident_bytes(),
            keys: keys.iter().map(|count| count.keys as u64).sum(),
            append_only: self.shared.aof.waiting_bytes(),
            allocator: Allocator::read(),
        }
    }
}

impl Figures {
    fn overhead(&self) -> u64 {
        (self.startup + self.clients + self.backlog).min(self.used)
    }
}

/// The fields of Redis that mean something here. Tables of the keyspace count as data, so there are no sections of single
/// databases.
fn write_stats(figures: &Figures, reply: &mut Reply<'_>) {
    let dataset = figures.used - figures.overhead();
    let net = figures.used - figures.startup;
    let allocator = &figures.allocator;
    let integers = [
        ("peak.allocated", figures.peak),
        ("total.allocated", figures.used),
        ("startup.allocated", figures.startup),
        ("replication.backlog", figures.backlog),
        ("clients.slaves", 0),
        ("clients.normal", figures.clients),
        ("cluster.links", 0),
        ("aof.buffer", figures.append_only),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("overhead.total", figures.overhead()),
        ("keys.count", figures.keys),
        ("keys.bytes-per-key", net.checked_div(figures.keys).unwrap_or(0)),
        ("dataset.bytes", dataset),
        ("allocator.allocated", allocator.allocated),
        ("allocator.active", allocator.active),
        ("allocator.resident", allocator.resident),
    ];
    let doubles = [
        ("dataset.percentage", ratio(dataset, net) * 100.0),
        ("peak.percentage", ratio(figures.used, figures.peak) * 100.0),
        ("allocator-fragmentation.ratio", ratio(allocator.active, allocator.allocated)),
        ("allocator-rss.ratio", ratio(allocator.resident, allocator.active)),
        ("rss-overhead.ratio", ratio(figures.rss, allocator.resident)),
        ("fragmentation", ratio(figures.rss, figures.used)),
    ];
    let differences = [
        ("allocator-fragmentation.bytes", allocator.active, allocator.allocated),
        ("allocator-rss.bytes", allocator.resident, allocator.active),
        ("rss-overhead.bytes", figures.rss, allocator.resident),
        ("fragmentation.bytes", figures.rss, figures.used),
    ];
    reply.map(integers.len() + doubles.len() + differences.len());
    for (name, value) in integers {
        reply.bulk(name.as_bytes());
        reply.int(value as i64);
    }
    for (name, value) in doubles {
        reply.bulk(name.as_bytes());
        reply.double(value);
    }
    for (name, more, less) in differences {
        reply.bulk(name.as_bytes());
        reply.int(more as i64 - less as i64);
    }
}

/// Advice in words; the limits are those Redis's doctor uses.
fn diagnosis(figures: &Figures) -> String {
    if figures.used < DOCTOR_BYTES_MIN {
        return "Too little memory is in use to judge. Ask again when there is data.\n".to_owned();
    }
    let allocator = &figures.allocator;
    let findings = [
        (
            ratio(figures.peak, figures.used) > 1.5,
            "Peak: more than 1.5 times of what is in use now was in use before, and the allocator may keep part of it. MEMORY PURGE may give it back.",
        ),
        (
            ratio(figures.rss, figures.used) > 1.4,
            "Fragmentation: the process holds more than 1.4 times of what is in use. This happens after many deletions and with changing value sizes.",
        ),
        (
            ratio(allocator.active, allocator.allocated) > 1.1,
            "Allocator: more than a tenth of its pages is not in use.",
        ),
        (
            ratio(allocator.resident, allocator.active) > 1.1,
            "Allocator: it holds more than a tenth of pages that it could give back. MEMORY PURGE may help.",
        ),
    ];
    let mut text: String =
        findings.iter().filter(|(found, _)| *found).map(|(_, advice)| format!("* {advice}\n")).collect();
    if text.is_empty() {
        text.push_str("No memory problem was found.\n");
    }
    text
}

/// jemalloc's figures in its words.
fn malloc_stats() -> String {
    let mut text = Vec::new();
    match tikv_jemalloc_ctl::stats_print::stats_print(&mut text, Default::default()) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => format!("No statistics: {error}\n"),
    }
}
