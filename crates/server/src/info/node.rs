//! Sections about the node: Server, Persistence, Replication, CPU, Cluster, Keyspace.
//!
//! Absent: `gcc_version` and `redis_build_id` (the compiler is rustc, builds have no id), `used_cpu_*_main_thread`
//! (commands run on all workers), fields of saves and append-only files in progress (there is no persistence yet).

use super::{Facts, Page};
use crate::process::{Whose, cpu_seconds};
use crate::snapshot::Purpose;
use crate::version::{REDIS_VERSION, REDOUBT_VERSION};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn server(facts: &Facts<'_>, page: &mut Page) {
    let (shared, values) = (facts.shared, facts.values);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let uptime = shared.started.elapsed().unwrap_or_default().as_secs();
    page.field("redis_version", REDIS_VERSION);
    page.field("server_name", "redoubt");
    page.field("redoubt_version", REDOUBT_VERSION);
    page.field("redis_git_sha1", "00000000");
    page.field("redis_git_dirty", 0);
    page.field("redis_mode", if facts.sentinel { "sentinel" } else { "standalone" });
    page.field("os", operating_system());
    page.field("arch_bits", usize::BITS);
    page.field("monotonic_clock", "POSIX clock_gettime");
    page.field("multiplexing_api", if cfg!(target_os = "linux") { "epoll" } else { "kqueue" });
    page.field("atomicvar_api", "rust-atomics");
    page.field("process_id", std::process::id());
    page.field("process_supervised", values.supervised);
    page.field("run_id", &shared.run_id);
    let port = shared.port.load(Relaxed);
    page.field("tcp_port", if facts.sentinel { usize::from(values.ha.sentinel_port) } else { port });
    page.field("server_time_usec", now.as_micros());
    page.field("uptime_in_seconds", uptime);
    page.field("uptime_in_days", uptime / (24 * 3600));
    page.same(&["hz", "configured_hz"], values.hz);
    page.field("lru_clock", now.as_secs() & 0xff_ffff);
    page.field("executable", std::env::current_exe().unwrap_or_default().display());
    let file = shared.config.read().file().map(|file| file.display().to_string());
    page.field("config_file", file.unwrap_or_default());
    page.field("io_threads_active", u8::from(values.io_threads > 1));
    if let Some(left) = shared.snapshots.shutdown_in_ms() {
        page.field("shutdown_in_milliseconds", left);
    }
    listeners(facts, page);
}

fn listeners(facts: &Facts<'_>, page: &mut Page) {
    let mut number = 0;
    let port = facts.shared.port.load(Relaxed);
    if port != 0 {
        let binds: String = facts.values.bind.iter().map(|bind| format!("bind={bind},")).collect();
        page.field(&format!("listener{number}"), format_args!("name=tcp,{binds}port={port}"));
        number += 1;
    }
    if let Some(path) = &facts.values.unixsocket {
        page.field(&format!("listener{number}"), format_args!("name=unix,bind={}", path.display()));
        number += 1;
    }
    let port = facts.values.ha.sentinel_port;
    if facts.values.ha.enabled && port != 0 {
        let binds: String = facts.values.bind.iter().map(|bind| format!("bind={bind},")).collect();
        page.field(&format!("listener{number}"), format_args!("name=sentinel,{binds}port={port}"));
    }
}

/// Name and release of the kernel, and the processor's family, as `uname -srm` prints them.
fn operating_system() -> String {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    let (name, release) = (read("ostype"), read("osrelease"));
    match name.trim() {
        "" => format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        name => format!("{name} {} {}", release.trim(), std::env::consts::ARCH),
    }
}

pub(super) fn persistence(facts: &Facts<'_>, page: &mut Page) {
    page.field("loading", u8::from(facts.shared.loading.is_on()));
    // What is there is never served while other data is loaded.
    page.field("async_loading", 0);
    snapshots(facts, page);
    let (loaded, expired) = facts.shared.loading.keys();
    page.field("rdb_last_load_keys_expired", expired);
    page.field("rdb_last_load_keys_loaded", loaded);
    append_only(facts, page);
    page.same(&["module_fork_in_progress", "module_fork_last_cow_size"], 0);
    append_only_sizes(facts, page);
    if facts.shared.loading.is_on() {
        loading(facts, page);
    }
}

/// Nothing is copied on write here; `cow` fields say what was saved before it was written to the file.
fn snapshots(facts: &Facts<'_>, page: &mut Page) {
    let snapshots = &facts.shared.snapshots;
    let running = snapshots.running();
    let (staged, keys) = running.map_or(((0, 0), (0, 0)), |running| (running.staged, running.keys));
    page.field("current_cow_peak", staged.1);
    page.field("current_cow_size", staged.0);
    page.field("current_cow_size_age", 0);
    let percent = if keys.1 == 0 { 0.0 } else { keys.0 as f64 * 100.0 / keys.1 as f64 };
    page.field("current_fork_perc", format_args!("{percent:.2}"));
    page.field("current_save_keys_processed", keys.0);
    page.field("current_save_keys_total", keys.1);
    let saves = &snapshots.saves;
    let save = running.filter(|running| running.purpose != Purpose::Rewrite);
    page.field("rdb_changes_since_last_save", saves.changes(facts.shared));
    page.field("rdb_bgsave_in_progress", u8::from(save.is_some()));
    page.field("rdb_last_save_time", saves.last());
    page.field("rdb_last_bgsave_status", if saves.has_failed() { "err" } else { "ok" });
    page.field("rdb_last_bgsave_time_sec", saves.took_seconds());
    let since = save.map_or(-1, |save| save.started.elapsed().as_secs() as i64);
    page.field("rdb_current_bgsave_time_sec", since);
    page.field("rdb_saves", saves.count());
    page.field("rdb_last_cow_size", snapshots.staged_peak());
}

fn append_only(facts: &Facts<'_>, page: &mut Page) {
    let aof = &facts.shared.aof;
    let state = aof.figures.state();
    page.field("aof_enabled", u8::from(aof.is_on()));
    page.field("aof_rewrite_in_progress", u8::from(state.rewrite_seconds >= 0));
    page.field("aof_rewrite_scheduled", u8::from(aof.is_rewrite_scheduled()));
    page.field("aof_last_rewrite_time_sec", state.last_rewrite_seconds);
    page.field("aof_current_rewrite_time_sec", state.rewrite_seconds);
    page.field("aof_last_bgrewrite_status", if state.last_rewrite_failed { "err" } else { "ok" });
    page.field("aof_rewrites", state.rewrites);
    page.field("aof_rewrites_consecutive_failures", state.failures);
    page.field("aof_last_write_status", if facts.shared.refusal.append_fails() { "err" } else { "ok" });
    // Nothing is copied on write.
    page.field("aof_last_cow_size", 0);
}

/// Printed only while there is such a file, as in Redis.
fn append_only_sizes(facts: &Facts<'_>, page: &mut Page) {
    let aof = &facts.shared.aof;
    if !aof.is_on() {
        return;
    }
    let state = aof.figures.state();
    page.field("aof_current_size", state.bytes);
    page.field("aof_base_size", state.base_bytes);
    page.field("aof_pending_rewrite", 0);
    page.field("aof_buffer_length", aof.waiting_bytes());
    page.field("aof_pending_bio_fsync", u8::from(state.syncing));
    page.field("aof_delayed_fsync", state.delayed_syncs);
}

fn loading(facts: &Facts<'_>, page: &mut Page) {
    let progress = facts.shared.loading.progress();
    page.field("loading_start_time", progress.started);
    page.field("loading_total_bytes", progress.total);
    page.field("loading_rdb_used_mem", progress.used_mem);
    page.field("loading_loaded_bytes", progress.loaded);
    page.field("loading_loaded_perc", format_args!("{:.2}", progress.percent));
    page.field("loading_eta_seconds", progress.eta);
}

pub(super) fn replication(facts: &Facts<'_>, page: &mut Page) {
    crate::replication::print(facts.shared, facts.values, page);
}

pub(super) fn ha(facts: &Facts<'_>, page: &mut Page) {
    crate::ha::print(facts.shared, page);
}

pub(super) fn cpu(_: &Facts<'_>, page: &mut Page) {
    let (own, children) = (cpu_seconds(Whose::Process), cpu_seconds(Whose::Children));
    page.field("used_cpu_sys", format_args!("{:.6}", own.system));
    page.field("used_cpu_user", format_args!("{:.6}", own.user));
    page.field("used_cpu_sys_children", format_args!("{:.6}", children.system));
    page.field("used_cpu_user_children", format_args!("{:.6}", children.user));
}

pub(super) fn cluster(_: &Facts<'_>, page: &mut Page) {
    page.field("cluster_enabled", 0);
}

pub(super) fn keyspace(facts: &Facts<'_>, page: &mut Page) {
    for (db, count) in facts.keys.iter().enumerate().filter(|(_, count)| count.keys > 0) {
        let ttl = facts.shared.average_ttl[db].load(Relaxed);
        let line = format_args!(
            "keys={},expires={},avg_ttl={ttl},subexpiry={}",
            count.keys, count.expires, count.expiring_hashes
        );
        page.field(&format!("db{db}"), line);
    }
}
