//! What one connection listens to.

use super::{Hub, Kind};
use crate::client::Client;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Names by kind. The registry in `Hub` holds the same, turned round.
#[derive(Default)]
pub(crate) struct Subscriptions {
    names: [BTreeSet<Bytes>; 3],
    /// Memory of the names, bytes.
    memory: usize,
}

/// Memory of a name here and in the registry, bytes.
fn memory_of(name: &Bytes) -> usize {
    name.len() + 2 * size_of::<Bytes>()
}

impl Subscriptions {
    fn of(&mut self, kind: Kind) -> &mut BTreeSet<Bytes> {
        &mut self.names[kind as usize]
    }

    /// Whether nothing is listened to.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.iter().all(BTreeSet::is_empty)
    }

    /// Memory it takes, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// The count that confirmations carry: sharded channels, or all else.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Shard => self.names[Kind::Shard as usize].len(),
            Kind::Channel | Kind::Pattern => {
                self.names[Kind::Channel as usize].len() + self.names[Kind::Pattern as usize].len()
            }
        }
    }

    /// All names of a kind, in order.
    pub(crate) fn all(&self, kind: Kind) -> Vec<Bytes> {
        self.names[kind as usize].iter().cloned().collect()
    }

    /// Listens, unless it does already.
    pub(crate) fn add(&mut self, hub: &Hub, kind: Kind, name: &[u8], client: &Arc<Client>) {
        if self.of(kind).contains(name) {
            return;
        }
        let name = Bytes::copy_from_slice(name);
        hub.enter(kind, &name, client);
        if self.is_empty() {
            hub.clients.fetch_add(1, Relaxed);
        }
        self.memory += memory_of(&name);
        self.of(kind).insert(name);
        self.publish(kind, client);
    }

    /// Stops listening.
    pub(crate) fn remove(&mut self, hub: &Hub, kind: Kind, name: &[u8], client: &Client) {
        let Some(name) = self.of(kind).take(name) else { return };
        self.memory -= memory_of(&name);
        hub.leave(kind, &name, client.id);
        if self.is_empty() {
            hub.clients.fetch_sub(1, Relaxed);
        }
        self.publish(kind, client);
    }

    /// Stops listening to anything.
    pub(crate) fn clear(&mut self, hub: &Hub, client: &Client) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for name in self.all(kind) {
                self.remove(hub, kind, &name, client);
            }
        }
    }

    /// Shows the count to CLIENT LIST.
    fn publish(&self, kind: Kind, client: &Client) {
        client.subscriptions[kind as usize].store(self.names[kind as usize].len(), Relaxed);
    }
}
