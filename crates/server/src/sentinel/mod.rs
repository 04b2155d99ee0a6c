//! The Sentinel API: this node as one of the Sentinels that watch its own deployment.
//! <https://redis.io/docs/latest/develop/reference/sentinel-clients/>
//!
//! Nothing is decided here. `describe` says in Sentinel's words what the [`View`] says, `events` what has become
//! different between two of them, and [`watch`] tells that to subscribers.

mod describe;
mod events;
mod parameters;
#[cfg(test)]
mod sample;

pub(crate) use describe::{Fields, Moment, Sentinels, run_id};
pub(crate) use parameters::{config, durations};
#[cfg(test)]
pub(crate) use sample::sample;

use crate::ha::View;
use crate::log::Held;
use crate::pubsub::{Delivery, Hub};
use crate::shared::Shared;
use events::{Event, Sight};
use parking_lot::Mutex;
use redoubt_ha::{Epoch, Time};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

/// What the API remembers. Part of `Shared`, where failover is switched on.
#[derive(Default)]
pub struct Sentinel {
    /// Channels of the Sentinel port, which are not those of the server.
    pub hub: Hub,
    reset: Notify,
    /// The epoch that a failover asked for here is to end, and when it is given up.
    failover: Mutex<Option<(Epoch, Time)>>,
}

impl Sentinel {
    /// Has everything announced anew.
    pub(crate) fn reset(&self) {
        self.reset.notify_one();
    }

    /// A failover that was asked for here was accepted.
    pub(crate) fn accepted(&self, view: &View, now: Time) {
        if let Some(shard) = view.shard() {
            *self.failover.lock() = Some((shard.epoch, now.plus(view.timing.handover)));
        }
    }

    /// Whether one is under way.
    pub(crate) fn is_failing_over(&self, view: &View, now: Time) -> bool {
        let epoch = view.shard().map(|shard| shard.epoch);
        self.failover.lock().is_some_and(|(ends, until)| epoch == Some(ends) && now < until)
    }
}

/// Tells subscribers of this node what changes in the deployment, until the server ends. They listen at the Sentinel port
/// or at the server's; nothing of it goes to replicas.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let (Some(ha), Some(sentinel)) = (&shared.ha, &shared.sentinel) else { return };
    let mut changes = ha.watch();
    // Silence is no change of the view.
    let mut ticks = tokio::time::interval(Duration::from_micros(ha.view().timing.heartbeat.0.max(1000)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Sight::default();
    loop {
        let mut forget = false;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = ticks.tick() => {}
            () = sentinel.reset.notified() => forget = true,
        }
        let view = Arc::clone(&changes.borrow_and_update());
        let after = Sight::of(&view, crate::raft::now());
        if forget {
            tell(&shared, &events::reset(&after));
            before.forget_instances();
        }
        tell(&shared, &events::between(&before, &after));
        before = after;
    }
}

fn tell(shared: &Shared, events: &[Event]) {
    let mut delivery = Delivery::default();
    for hub in shared.sentinel.iter().map(|sentinel| &sentinel.hub).chain([&shared.hub]) {
        for event in events.iter().filter(|_| hub.client_count() > 0) {
            hub.publish(
                &mut delivery,
                event.kind.channel().as_bytes(),
                event.text.as_bytes(),
                Held::default(),
            );
        }
    }
    delivery.wake_all();
}
