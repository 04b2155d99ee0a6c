//! Section Sentinel.
//!
//! There is no tilt mode (leases are counted on a clock that does not jump) and there are no scripts.

use super::{Facts, Page};
use crate::config::join_host_port;
use crate::sentinel::{Moment, Sentinels};

pub(super) fn sentinel(facts: &Facts<'_>, page: &mut Page) {
    let Some(ha) = &facts.shared.ha else { return };
    let view = ha.view();
    let sentinels = Sentinels { view: &view, at: Moment::now(facts.shared, &view) };
    page.field("sentinel_masters", 1);
    page.field("sentinel_tilt", 0);
    page.field("sentinel_tilt_since_seconds", -1);
    page.same(&["sentinel_running_scripts", "sentinel_scripts_queue_length"], 0);
    page.field("sentinel_simulate_failure_flags", 0);
    let status = match (sentinels.is_agreed(), sentinels.is_primary_down()) {
        (true, _) => "odown",
        (false, true) => "sdown",
        (false, false) => "ok",
    };
    let primary = sentinels.primary();
    let line = format_args!(
        "name={},status={status},address={},slaves={},sentinels={}",
        view.name,
        join_host_port(&primary.host, primary.port),
        sentinels.replica_nodes().count(),
        sentinels.other_nodes().count() + 1
    );
    page.field("master0", line);
}
