//! Settings that all nodes of a deployment have in common: agreed on through Raft, then taken over by each.

use super::Request;
use super::data::Order;
use super::node::{Group, Node};
use crate::config::Config;
use crate::ops::config::change;
use crate::shared::Shared;
use redoubt_ha::entry::Entry;
use redoubt_ha::topology::{MIN_REPLICAS, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a node that has heard of a new value may take to live by it.
const TAKE_OVER: Duration = Duration::from_secs(5);
/// Between two tries while a new deployment has no leader.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Has all nodes agree on these values. Returns when they hold here.
///
/// # Errors
/// Why they do not.
pub(crate) fn agree(shared: &Arc<Shared>, settings: Vec<(String, String)>) -> Result<(), String> {
    let Some(ha) = &shared.ha else { return Err("failover is switched off".into()) };
    for (name, value) in &settings {
        let (name, value) = (name.clone(), Some(value.clone()));
        ha.request_blocking(|done| Request::Set { name, value, done })?;
    }
    let end = Instant::now() + TAKE_OVER;
    while !settings.iter().all(|(name, value)| holds(&shared.config.read(), name, value)) {
        if Instant::now() > end {
            return Err("agreed on, but not taken over by this node yet".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn holds(config: &Config, name: &str, value: &str) -> bool {
    config.get(&[name]).iter().any(|(_, found)| found == value)
}

/// Takes over what was agreed on. On a thread that may block.
pub(super) fn take_over(shared: &Arc<Shared>, settings: &BTreeMap<String, String>) {
    for (name, value) in settings {
        if holds(&shared.config.read(), name, value) {
            continue;
        }
        match change(shared, &[(name, value)], true) {
            Ok(()) => tracing::info!("The deployment has agreed on {name}"),
            Err(error) => tracing::warn!("This node cannot do as the deployment has agreed: {error}"),
        }
    }
}

/// Has the new deployment agree on its first settings, once it has a leader.
async fn begin_with(driver: Group, settings: Vec<(String, String)>) {
    let end = Instant::now() + TAKE_OVER;
    for (name, value) in settings {
        let entry = Entry::Set { name, value: Some(value) };
        while let Err(error) = driver.propose_anywhere(&entry).await {
            if Instant::now() > end {
                return tracing::warn!("a setting of the new deployment is its default: {error}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Node {
    /// Hands on what was agreed on since.
    pub(super) fn take_over_settings(&mut self, before: &Topology) {
        if self.topology.settings != before.settings {
            let settings = self.topology.settings.clone();
            self.orders.give(Order::Settings(settings));
        }
    }

    /// The first settings of a deployment: those of the node that began it, where they are decided by all.
    pub(super) fn first_settings(&self) {
        let config = self.shared().config.read();
        let value = |name: &str| config.get(&[name]).into_iter().next().map(|(_, value)| value);
        let min_replicas = value(MIN_REPLICAS).filter(|value| value != "0").unwrap_or_else(|| "auto".into());
        let mut first = vec![(MIN_REPLICAS.to_owned(), min_replicas)];
        if let Some(acks) = value(redoubt_ha::topology::ACKS).filter(|value| value != "in-sync") {
            first.push((redoubt_ha::topology::ACKS.to_owned(), acks));
        }
        tokio::spawn(begin_with(self.driver.clone(), first));
    }
}
