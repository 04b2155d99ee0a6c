//! Section Memory.
//!
//! `used_memory_overhead` is what was used at the start and the clients' buffers; tables of the keyspace count as data.
//! Absent: `allocator_muzzy` (jemalloc gives no total).

use super::{Facts, Page};
use std::sync::atomic::Ordering::Relaxed;
use tikv_jemalloc_ctl::{epoch, stats};

pub(super) fn memory(facts: &Facts<'_>, page: &mut Page) {
    facts.shared.memory.recalibrate();
    let (used, peak) = (facts.shared.memory.used(), facts.shared.memory.peak());
    let rss = resident_bytes();
    let clients: usize = facts.shared.clients.iter().map(|client| client.memory_bytes()).sum();
    let startup = facts.shared.memory.startup().min(used);
    let overhead = (startup + clients as u64).min(used);
    page.bytes("used_memory", used);
    page.bytes("used_memory_rss", rss);
    page.bytes("used_memory_peak", peak);
    page.field("used_memory_peak_perc", format_args!("{:.2}%", ratio(used, peak) * 100.0));
    page.field("used_memory_overhead", overhead);
    page.field("used_memory_startup", startup);
    page.field("used_memory_dataset", used - overhead);
    let data = ratio(used - overhead, used - startup) * 100.0;
    page.field("used_memory_dataset_perc", format_args!("{data:.2}%"));
    let allocator = Allocator::read();
    page.field("allocator_allocated", allocator.allocated);
    page.field("allocator_active", allocator.active);
    page.field("allocator_resident", allocator.resident);
    page.bytes("total_system_memory", kilobytes_of("/proc/meminfo", "MemTotal:"));
    scripts(page);
    page.bytes("maxmemory", facts.values.maxmemory);
    page.field("maxmemory_policy", facts.values.maxmemory_policy);
    fragmentation(page, &allocator, used, rss);
    page.field("mem_not_counted_for_evict", 0);
    // The backlog is all that replicas are fed from.
    let backlog = facts.shared.replication.backlog_memory();
    page.same(&["mem_replication_backlog", "mem_total_replication_buffers"], backlog);
    page.field("mem_clients_slaves", 0);
    page.field("mem_clients_normal", clients);
    page.field("mem_cluster_links", 0);
    page.field("mem_aof_buffer", facts.shared.aof.waiting_bytes());
    page.field("mem_allocator", format_args!("jemalloc-{}", allocator.version));
    page.field("active_defrag_running", 0);
    let lazy = &facts.shared.lazy_freed;
    page.field("lazyfree_pending_objects", lazy.pending.load(Relaxed));
    page.field("lazyfreed_objects", lazy.done.load(Relaxed));
}

/// There are no scripts and functions yet, so nothing is used by them.
fn scripts(page: &mut Page) {
    page.bytes("used_memory_lua", 0);
    page.same(&["used_memory_vm_eval", "used_memory_scripts_eval", "number_of_cached_scripts"], 0);
    page.same(&["number_of_functions", "number_of_libraries", "used_memory_vm_functions"], 0);
    page.bytes("used_memory_vm_total", 0);
    page.field("used_memory_functions", 0);
    page.bytes("used_memory_scripts", 0);
}

fn fragmentation(page: &mut Page, allocator: &Allocator, used: u64, rss: u64) {
    let mut pair = |names: [&str; 2], part: u64, whole: u64| {
        page.field(names[0], format_args!("{:.2}", ratio(part, whole)));
        page.field(names[1], part as i64 - whole as i64);
    };
    pair(["allocator_frag_ratio", "allocator_frag_bytes"], allocator.active, allocator.allocated);
    pair(["allocator_rss_ratio", "allocator_rss_bytes"], allocator.resident, allocator.active);
    pair(["rss_overhead_ratio", "rss_overhead_bytes"], rss, allocator.resident);
    pair(["mem_fragmentation_ratio", "mem_fragmentation_bytes"], rss, used);
}

/// `part` of `whole`; 0 of nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Figures of jemalloc, bytes.
pub(crate) struct Allocator {
    pub(crate) allocated: u64,
    pub(crate) active: u64,
    pub(crate) resident: u64,
    version: String,
}

impl Allocator {
    pub(crate) fn read() -> Allocator {
        // Without jemalloc (the server is embedded in a program with another allocator) all are 0.
        let _ = epoch::advance();
        let version = tikv_jemalloc_ctl::version::read().unwrap_or_default();
        Allocator {
            allocated: stats::allocated::read().unwrap_or_default() as u64,
            active: stats::active::read().unwrap_or_default() as u64,
            resident: stats::resident::read().unwrap_or_default() as u64,
            version: version.split('-').next().unwrap_or_default().into(),
        }
    }
}

/// Memory of this process that is in RAM, bytes; 0 where the system does not say.
pub(crate) fn resident_bytes() -> u64 {
    kilobytes_of("/proc/self/status", "VmRSS:")
}

/// Bytes on the line of `path` that begins with `label` and counts in kB.
fn kilobytes_of(path: &str, label: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_default() * 1024
}

impl Page {
    /// A number of bytes, and the same for people ("used_memory_human").
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(&format!("{name}_human"), human(bytes));
    }
}

/// `710.41K`, `13.88M`; whole bytes below 1024.
fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "K", "M", "G", "T", "P"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes}B") } else { format!("{value:.2}{unit}") };
        }
        value /= 1024.0;
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(727_456), "710.41K");
        assert_eq!(human(14_553_088), "13.88M");
        assert_eq!(human(25_276_510_208), "23.54G");
    }
}
