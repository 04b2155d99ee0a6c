//! Sections about what clients do: Clients, Stats, Commandstats, Errorstats, Latencystats.
//!
//! Absent: counters of Redis's event loop and its I/O threads (`eventloop_*`, `io_threaded_*`, `total_reads_processed`,
//! `total_writes_processed`, `reply_buffer_*`: there is neither), of its sampling expiry (`expired_stale_perc`,
//! `expired_time_cap_reached_count`, `expire_cycle_cpu_milliseconds`: expiry here does not sample), `acl_access_denied_*`
//! (there are no access control lists yet).

use super::{Facts, Page};
use crate::client::flag;
use crate::pubsub::Kind;
use redoubt_commands::table::{self, Command};
use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

/// Commands and subcommands in the table's order.
fn all_commands() -> impl Iterator<Item = &'static Command> {
    (0..table::table().len()).map(|id| table::table().by_id(id))
}

pub(super) fn clients(facts: &Facts<'_>, page: &mut Page) {
    let (mut input, mut output, mut watching, mut watched, mut timeouts) = (0, 0, 0, 0, 0);
    let (mut blocking, mut on_no_key) = (HashSet::new(), HashSet::new());
    let mut connected = 0;
    for client in &facts.shared.clients {
        connected += usize::from(!client.has(flag::REPLICA));
        input = input.max(client.query_bytes.load(Relaxed) + client.query_room.load(Relaxed));
        output = output.max(client.output_bytes.load(Relaxed) + client.inbox.waiting_bytes());
        let keys = client.watch.load(Relaxed);
        watching += usize::from(keys > 0);
        watched += keys;
        if client.has(flag::BLOCKED) {
            let call = client.parked.lock();
            timeouts += usize::from(call.as_ref().is_some_and(|call| call.deadline_ms().is_some()));
            if let Some(call) = &*call {
                blocking.extend(call.named_keys());
                if call.needs_keys() {
                    on_no_key.extend(call.named_keys());
                }
            }
        }
    }
    page.field("connected_clients", connected);
    page.field("cluster_connections", 0);
    page.field("maxclients", facts.values.maxclients);
    page.field("client_recent_max_input_buffer", input);
    page.field("client_recent_max_output_buffer", output);
    page.field("blocked_clients", facts.shared.stats.blocked.load(Relaxed));
    page.field("tracking_clients", 0);
    page.field("pubsub_clients", facts.hub().client_count());
    page.field("watching_clients", watching);
    page.field("clients_in_timeout_table", timeouts);
    page.field("total_watched_keys", watched);
    page.field("total_blocking_keys", blocking.len());
    page.field("total_blocking_keys_on_nokey", on_no_key.len());
}

pub(super) fn stats(facts: &Facts<'_>, page: &mut Page) {
    let stats = &facts.shared.stats;
    let totals = facts.shared.totals();
    let rates = facts.shared.rates.per_second();
    page.field("total_connections_received", stats.connections.load(Relaxed));
    page.field("total_commands_processed", totals.commands);
    page.field("instantaneous_ops_per_sec", rates.commands.round() as u64);
    page.field("total_net_input_bytes", totals.net_in);
    page.field("total_net_output_bytes", totals.net_out);
    page.field("total_net_repl_input_bytes", totals.repl_in);
    page.field("total_net_repl_output_bytes", totals.repl_out);
    page.field("instantaneous_input_kbps", format_args!("{:.2}", rates.net_in / 1024.0));
    page.field("instantaneous_output_kbps", format_args!("{:.2}", rates.net_out / 1024.0));
    page.field("instantaneous_input_repl_kbps", format_args!("{:.2}", rates.repl_in / 1024.0));
    page.field("instantaneous_output_repl_kbps", format_args!("{:.2}", rates.repl_out / 1024.0));
    page.field("rejected_connections", stats.rejected_connections.load(Relaxed));
    let (full, partial, refused) = facts.shared.replication.syncs();
    page.field("sync_full", full);
    page.field("sync_partial_ok", partial);
    page.field("sync_partial_err", refused);
    page.field("expired_subkeys", stats.expired_fields());
    page.field("expired_keys", stats.expired());
    page.field("evicted_keys", stats.evicted_keys());
    page.field("evicted_clients", stats.evicted_clients.load(Relaxed));
    page.field("evicted_scripts", 0);
    let (exceeded, exceeded_now) = facts.shared.memory.exceeded_micros();
    page.field("total_eviction_exceeded_time", exceeded / 1000);
    page.field("current_eviction_exceeded_time", exceeded_now / 1000);
    page.field("keyspace_hits", stats.hits());
    page.field("keyspace_misses", stats.misses());
    page.field("pubsub_channels", facts.hub().channel_count(Kind::Channel));
    page.field("pubsub_patterns", facts.hub().pattern_count());
    page.field("pubsubshard_channels", facts.hub().channel_count(Kind::Shard));
    // Nothing here forks.
    page.same(&["latest_fork_usec", "total_forks"], 0);
    page.field("migrate_cached_sockets", 0);
    page.field("slave_expires_tracked_keys", facts.shared.replication.own_keys.len());
    page.same(&["active_defrag_hits", "active_defrag_misses"], 0);
    page.same(&["active_defrag_key_hits", "active_defrag_key_misses"], 0);
    page.same(&["total_active_defrag_time", "current_active_defrag_time"], 0);
    page.same(&["tracking_total_keys", "tracking_total_items", "tracking_total_prefixes"], 0);
    page.field("unexpected_error_replies", stats.stream_errors.load(Relaxed));
    page.field("total_error_replies", stats.errors.iter().map(|error| *error.value()).sum::<u64>());
    let query = stats.query_buffer_disconnections.load(Relaxed);
    page.field("client_query_buffer_limit_disconnections", query);
    let output = stats.output_buffer_disconnections.load(Relaxed);
    page.field("client_output_buffer_limit_disconnections", output);
    page.field("redoubt_protocol_errors", stats.protocol_errors.load(Relaxed));
    page.field("redoubt_caught_panics", stats.panics.load(Relaxed));
}

/// `calls`, time and errors of every command that was called or refused.
pub(super) fn command_stats(facts: &Facts<'_>, page: &mut Page) {
    for command in all_commands() {
        let (calls, ticks, rejected, failed) = facts.shared.stats.command(command.id);
        if calls == 0 && rejected == 0 {
            continue;
        }
        let micros = facts.clock.delta_as_nanos(0, ticks) / 1000;
        let each = if calls == 0 { 0.0 } else { micros as f64 / calls as f64 };
        page.field(
            &format!("cmdstat_{}", command.full_name),
            format_args!(
                "calls={calls},usec={micros},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}"
            ),
        );
    }
}

pub(super) fn error_stats(facts: &Facts<'_>, page: &mut Page) {
    let mut errors: Vec<(String, u64)> =
        facts.shared.stats.errors.iter().map(|error| (error.key().clone(), *error.value())).collect();
    errors.sort();
    for (code, count) in errors {
        page.field(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

/// Percentiles of the time each command took, those that `latency-tracking-info-percentiles` names.
pub(super) fn latency_stats(facts: &Facts<'_>, page: &mut Page) {
    if !facts.values.latency_tracking {
        return;
    }
    for command in all_commands() {
        let times = facts.shared.stats.latency(command.id);
        if times.total() == 0 {
            continue;
        }
        let wanted = facts.values.latency_tracking_info_percentiles.iter();
        let parts: Vec<String> = wanted
            .map(|percent| format!("p{percent}={:.3}", times.percentile(*percent) as f64 / 1000.0))
            .collect();
        page.field(&format!("latency_percentiles_usec_{}", command.full_name), parts.join(","));
    }
}
