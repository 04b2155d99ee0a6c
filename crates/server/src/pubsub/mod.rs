//! Channels and who listens to them. <https://redis.io/docs/latest/develop/interact/pubsub/>
//!
//! PUBLISH runs on the publisher's thread: it puts the message, encoded once, into the inbox of each subscriber and
//! wakes them when its batch is over. So the messages of one publisher arrive in order, whatever worker a subscriber
//! belongs to, and each subscriber writes once for all that came in the meantime.

mod events;
pub mod inbox;
mod monitor;
mod subscriptions;

pub(crate) use subscriptions::Subscriptions;

use crate::client::{Client, flag};
use crate::config::Values;
use crate::log::Held;
use bytes::Bytes;
use dashmap::DashMap;
use inbox::Message;
use parking_lot::RwLock;
use redoubt_resp::Reply;
use redoubt_store::glob;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

type Channels = DashMap<Bytes, Subscribers, foldhash::fast::RandomState>;

/// Ways to listen, each with names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SUBSCRIBE
    Channel,
    /// PSUBSCRIBE
    Pattern,
    /// SSUBSCRIBE
    Shard,
}

/// Clients that listen to one name, by id.
#[derive(Default)]
struct Subscribers {
    list: Vec<(u64, Arc<Client>)>,
}

impl Subscribers {
    fn add(&mut self, client: &Arc<Client>) {
        if let Err(at) = self.list.binary_search_by_key(&client.id, |(id, _)| *id) {
            self.list.insert(at, (client.id, Arc::clone(client)));
        }
    }

    /// True if nobody is left.
    fn remove(&mut self, id: u64) -> bool {
        if let Ok(at) = self.list.binary_search_by_key(&id, |(id, _)| *id) {
            self.list.remove(at);
        }
        self.list.is_empty()
    }
}

/// What a thread needs to deliver: whom to wake, and memory to encode in.
#[derive(Default)]
pub(crate) struct Delivery {
    wakes: Vec<Arc<Client>>,
    message: Message,
    name: Vec<u8>,
}

impl Delivery {
    /// Wakes everybody who got something since the last call.
    #[inline]
    pub(crate) fn wake_all(&mut self) {
        for client in self.wakes.drain(..) {
            client.mailbox.wake();
        }
    }

    /// Hands the reply of a parked call to its client.
    pub(crate) fn serve(&mut self, client: &Arc<Client>, frames: &[u8], hold: Held) {
        if client.inbox.serve(frames, hold) {
            self.wakes.push(Arc::clone(client));
        }
    }

    fn give(&mut self, client: &Arc<Client>, limit: usize, hold: Held) {
        let unsent = client.output_bytes.load(Relaxed);
        if client.inbox.push(&mut self.message, unsent, limit, hold) {
            self.wakes.push(Arc::clone(client));
        }
    }
}

/// A lock alone on its cache lines: the flags beside it are read with every command.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// See the module's text.
#[derive(Default)]
pub struct Hub {
    channels: Channels,
    shards: Channels,
    patterns: Apart<RwLock<BTreeMap<Bytes, Subscribers>>>,
    /// Length of `patterns`, to be read without its lock.
    pattern_count: AtomicUsize,
    /// `pubsub_clients`.
    clients: AtomicUsize,
    /// Hard output limit of subscribers and of monitors, bytes; 0 = none.
    subscriber_bytes_max: AtomicUsize,
    monitor_bytes_max: AtomicUsize,
    /// Whether events go to `__keyspace@..__` and to `__keyevent@..__` channels.
    keyspace: AtomicBool,
    keyevent: AtomicBool,
    monitors: Apart<RwLock<Vec<Arc<Client>>>>,
    /// Whether there are `monitors`.
    monitored: AtomicBool,
}

impl Hub {
    /// Takes over the settings.
    pub(crate) fn configure(&self, values: &Values) {
        let limits = &values.client_output_buffer_limit;
        self.subscriber_bytes_max.store(limits.pubsub.hard_bytes as usize, Relaxed);
        self.monitor_bytes_max.store(monitor_limit(values).hard_bytes as usize, Relaxed);
        let (keyspace, keyevent) = events::targets(&values.notify_keyspace_events);
        self.keyspace.store(keyspace, Relaxed);
        self.keyevent.store(keyevent, Relaxed);
    }

    /// Classes of events that are delivered under these settings, as `Keyspace::set_events` takes them.
    pub(crate) fn event_classes(values: &Values) -> u32 {
        events::classes(&values.notify_keyspace_events)
    }

    /// Enters a subscription that the client does not have yet.
    fn enter(&self, kind: Kind, name: &Bytes, client: &Arc<Client>) {
        match kind {
            Kind::Channel => self.channels.entry(name.clone()).or_default().add(client),
            Kind::Shard => self.shards.entry(name.clone()).or_default().add(client),
            Kind::Pattern => {
                let mut patterns = self.patterns.0.write();
                patterns.entry(name.clone()).or_default().add(client);
                self.pattern_count.store(patterns.len(), Relaxed);
            }
        }
    }

    /// Takes a subscription out. From here on nothing of it is delivered.
    fn leave(&self, kind: Kind, name: &Bytes, id: u64) {
        match kind {
            Kind::Channel => drop(self.channels.remove_if_mut(name, |_, subscribers| subscribers.remove(id))),
            Kind::Shard => drop(self.shards.remove_if_mut(name, |_, subscribers| subscribers.remove(id))),
            Kind::Pattern => {
                let mut patterns = self.patterns.0.write();
                if patterns.get_mut(name).is_some_and(|subscribers| subscribers.remove(id)) {
                    patterns.remove(name);
                }
                self.pattern_count.store(patterns.len(), Relaxed);
            }
        }
    }

    /// Sends a message to the subscribers of a channel and of the patterns it fits; returns how many times it was
    /// delivered. `hold`: what must be released before anybody may see it.
    pub(crate) fn publish(
        &self,
        delivery: &mut Delivery,
        channel: &[u8],
        message: &[u8],
        hold: Held,
    ) -> usize {
        let limit = self.subscriber_bytes_max.load(Relaxed);
        let mut count = send(&self.channels, delivery, [b"message", channel, message], limit, hold);
        if self.pattern_count.load(Relaxed) != 0 {
            for (pattern, subscribers) in &*self.patterns.0.read() {
                if glob::matches(pattern, channel) {
                    delivery
                        .message
                        .encode(|frame| write_frame(frame, &[b"pmessage", pattern, channel, message]));
                    subscribers.list.iter().for_each(|(_, client)| delivery.give(client, limit, hold));
                    count += subscribers.list.len();
                }
            }
        }
        count
    }

    /// SPUBLISH.
    pub(crate) fn publish_shard(
        &self,
        delivery: &mut Delivery,
        channel: &[u8],
        message: &[u8],
        hold: Held,
    ) -> usize {
        let limit = self.subscriber_bytes_max.load(Relaxed);
        send(&self.shards, delivery, [b"smessage", channel, message], limit, hold)
    }

    /// Channels with subscribers that fit the pattern (all without one), sorted.
    pub(crate) fn channels(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let fits = |name: &Bytes| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        let all = self.of(kind).iter().map(|entry| entry.key().clone());
        let mut names: Vec<Bytes> = all.filter(fits).collect();
        names.sort_unstable();
        names
    }

    /// Subscribers of a channel, those of patterns not among them.
    pub(crate) fn subscribers(&self, kind: Kind, channel: &[u8]) -> usize {
        self.of(kind).get(channel).map_or(0, |subscribers| subscribers.list.len())
    }

    /// Channels that have subscribers.
    pub(crate) fn channel_count(&self, kind: Kind) -> usize {
        self.of(kind).len()
    }

    /// Different patterns.
    pub(crate) fn pattern_count(&self) -> usize {
        self.pattern_count.load(Relaxed)
    }

    /// Clients that listen to anything.
    pub(crate) fn client_count(&self) -> usize {
        self.clients.load(Relaxed)
    }

    fn of(&self, kind: Kind) -> &Channels {
        if kind == Kind::Shard { &self.shards } else { &self.channels }
    }
}

/// Gives a message of three words to the subscribers of its channel, the second word.
fn send(channels: &Channels, delivery: &mut Delivery, words: [&[u8]; 3], limit: usize, hold: Held) -> usize {
    let Some(subscribers) = channels.get(words[1]) else { return 0 };
    delivery.message.encode(|frame| write_frame(frame, &words));
    subscribers.list.iter().for_each(|(_, client)| delivery.give(client, limit, hold));
    subscribers.list.len()
}

fn write_frame(frame: &mut Vec<u8>, words: &[&[u8]]) {
    let mut reply = Reply::new(frame, false);
    reply.push(words.len());
    words.iter().for_each(|word| reply.bulk(word));
}

/// The output limit of MONITOR: that of ordinary clients, or where they have none, that of subscribers.
pub(crate) fn monitor_limit(values: &Values) -> crate::config::OutputLimit {
    let limits = &values.client_output_buffer_limit;
    let none = limits.normal.hard_bytes == 0 && limits.normal.soft_bytes == 0;
    if none { limits.pubsub } else { limits.normal }
}

/// The output limit of a client.
pub(crate) fn output_limit(values: &Values, client: &Client) -> crate::config::OutputLimit {
    if client.has(flag::PUBSUB) {
        values.client_output_buffer_limit.pubsub
    } else if client.has(flag::MONITOR) {
        monitor_limit(values)
    } else {
        values.client_output_buffer_limit.normal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::output::Output;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const NAMES: [&str; 5] = ["a", "ab", "b", "a*", "?"];
    const KINDS: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::Shard];

    #[derive(Clone, Debug)]
    enum Step {
        Listen(usize, usize, usize),
        Leave(usize, usize, usize),
        LeaveAll(usize),
        Publish(usize),
        PublishShard(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let what = || (0..4usize, 0..KINDS.len(), 0..NAMES.len());
        let step = prop_oneof![
            3 => what().prop_map(|(client, kind, name)| Step::Listen(client, kind, name)),
            2 => what().prop_map(|(client, kind, name)| Step::Leave(client, kind, name)),
            1 => (0..4usize).prop_map(Step::LeaveAll),
            3 => (0..NAMES.len()).prop_map(Step::Publish),
            1 => (0..NAMES.len()).prop_map(Step::PublishShard),
        ];
        proptest::collection::vec(step, 1..60)
    }

    /// Messages in what was sent to the client since the last call.
    fn received(client: &Client) -> usize {
        let mut output = Output::default();
        client.inbox.take(&mut output);
        String::from_utf8_lossy(&output.buffer).matches("message\r\n").count()
    }

    proptest! {
        #[test]
        fn the_registry_agrees_with_a_set_of_subscriptions(steps in steps()) {
            let (hub, mut delivery) = (Hub::default(), Delivery::default());
            let clients: Vec<Arc<Client>> =
                (0..4).map(|id| Arc::new(Client::new(id, String::new(), String::new(), 0, 0))).collect();
            let mut own: Vec<Subscriptions> = clients.iter().map(|_| Subscriptions::default()).collect();
            let mut model: BTreeSet<(usize, usize, &str)> = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Listen(client, kind, name) => {
                        own[client].add(&hub, KINDS[kind], NAMES[name].as_bytes(), &clients[client]);
                        model.insert((client, kind, NAMES[name]));
                    }
                    Step::Leave(client, kind, name) => {
                        own[client].remove(&hub, KINDS[kind], NAMES[name].as_bytes(), &clients[client]);
                        model.remove(&(client, kind, NAMES[name]));
                    }
                    Step::LeaveAll(client) => {
                        own[client].clear(&hub, &clients[client]);
                        model.retain(|(other, _, _)| *other != client);
                    }
                    Step::Publish(name) | Step::PublishShard(name) => {
                        let name = NAMES[name];
                        let shard = matches!(step, Step::PublishShard(_));
                        let fits = |kind: usize, other: &str| match KINDS[kind] {
                            Kind::Channel => !shard && other == name,
                            Kind::Pattern => !shard && glob::matches(other.as_bytes(), name.as_bytes()),
                            Kind::Shard => shard && other == name,
                        };
                        let expected = |client: usize| {
                            model.iter().filter(|(id, kind, other)| *id == client && fits(*kind, other)).count()
                        };
                        let count = if shard {
                            hub.publish_shard(&mut delivery, name.as_bytes(), b"x", Held::default())
                        } else {
                            hub.publish(&mut delivery, name.as_bytes(), b"x", Held::default())
                        };
                        prop_assert_eq!(count, (0..4).map(expected).sum::<usize>());
                        let woken: BTreeSet<u64> = delivery.wakes.iter().map(|client| client.id).collect();
                        prop_assert_eq!(woken.len(), delivery.wakes.len());
                        delivery.wake_all();
                        for (id, client) in clients.iter().enumerate() {
                            prop_assert_eq!(woken.contains(&(id as u64)), expected(id) > 0);
                            prop_assert_eq!(received(client), expected(id));
                        }
                    }
                }
                let names = |wanted: usize| -> BTreeSet<&str> {
                    model.iter().filter(|(_, kind, _)| *kind == wanted).map(|(_, _, name)| *name).collect()
                };
                prop_assert_eq!(hub.channel_count(Kind::Channel), names(0).len());
                prop_assert_eq!(hub.pattern_count(), names(1).len());
                prop_assert_eq!(hub.channel_count(Kind::Shard), names(2).len());
                let listening: BTreeSet<usize> = model.iter().map(|(client, _, _)| *client).collect();
                prop_assert_eq!(hub.client_count(), listening.len());
                prop_assert!(own.iter().enumerate().all(|(id, own)| own.is_empty() != listening.contains(&id)));
            }
        }
    }
}
