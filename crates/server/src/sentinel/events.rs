//! What subscribers are told: the difference between two looks at the deployment, as Sentinel's messages.
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#pubsub-messages>

use super::{Moment, Sentinels, run_id};
use crate::config::join_host_port;
use crate::ha::{Endpoint, View};
use redoubt_ha::{Epoch, Incarnation, NodeId, Time};
use std::collections::BTreeMap;

/// All messages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is a primary, for the first time.
    Monitor,
    /// Everything is announced anew.
    ResetMaster,
    /// A replica is known.
    Slave,
    /// Another node is known.
    Sentinel,
    /// A node began another life.
    Reboot,
    /// This node finds an instance down.
    Sdown,
    /// It does no more.
    NotSdown,
    /// The primary is down, and there is somebody who will act on it.
    Odown,
    /// It is not.
    NotOdown,
    /// The shard's epoch.
    NewEpoch,
    /// This replica leads from now on.
    PromotedSlave,
    /// Clients are to go elsewhere.
    SwitchMaster,
    /// The failover is over.
    FailoverEnd,
    /// A replica has the new primary's stream.
    SlaveReconfDone,
    /// The former primary has.
    ConvertToSlave,
}

impl Kind {
    /// Its channel.
    pub(super) fn channel(self) -> &'static str {
        match self {
            Kind::Monitor => "+monitor",
            Kind::ResetMaster => "+reset-master",
            Kind::Slave => "+slave",
            Kind::Sentinel => "+sentinel",
            Kind::Reboot => "+reboot",
            Kind::Sdown => "+sdown",
            Kind::NotSdown => "-sdown",
            Kind::Odown => "+odown",
            Kind::NotOdown => "-odown",
            Kind::NewEpoch => "+new-epoch",
            Kind::PromotedSlave => "+promoted-slave",
            Kind::SwitchMaster => "+switch-master",
            Kind::FailoverEnd => "+failover-end",
            Kind::SlaveReconfDone => "+slave-reconf-done",
            Kind::ConvertToSlave => "+convert-to-slave",
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// A member, as seen in one look.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Instance {
    endpoint: Endpoint,
    incarnation: Incarnation,
    /// It is this node.
    own: bool,
    /// It is to hold a copy.
    copies: bool,
    down: bool,
    /// Epoch of the last record it was heard to hold; none while it loads or resyncs.
    held: Option<Epoch>,
}

/// What events are about, as it is at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    name: String,
    epoch: Epoch,
    primary: Option<Endpoint>,
    /// Who led before, if somebody did while this process looked.
    former: Option<NodeId>,
    primary_down: bool,
    agreed: bool,
    /// Nodes that are heard, and how many must agree.
    usable: (usize, usize),
    instances: BTreeMap<NodeId, Instance>,
}

impl Sight {
    pub(super) fn of(view: &View, now: Time) -> Sight {
        let sentinels = Sentinels { view, at: Moment { now, unix_ms: 0, up_ms: 0, failing_over: false } };
        let copies = view.shard().map(|shard| &shard.replicas);
        let instances = view.topology.members.iter().filter_map(|(&node, member)| {
            let own = node == view.me.node;
            let instance = Instance {
                endpoint: view.endpoint(node)?,
                incarnation: member.incarnation,
                own,
                copies: copies.is_some_and(|copies| copies.contains(&node)),
                down: view.is_down(node, now),
                held: view.heard.get(&node).and_then(|heard| heard.position).map(|held| held.epoch),
            };
            Some((node, instance))
        });
        Sight {
            name: view.name.clone(),
            epoch: view.shard().map_or(Epoch(0), |shard| shard.epoch),
            primary: view.primary(),
            former: view.failover.and_then(|failover| failover.from),
            primary_down: view.shard().is_some() && sentinels.is_primary_down(),
            agreed: view.shard().is_some() && sentinels.is_agreed(),
            usable: (sentinels.usable(), sentinels.quorum()),
            instances: instances.collect(),
        }
    }

    /// As if the replicas and the other nodes had not been seen yet.
    pub(super) fn forget_instances(&mut self) {
        self.instances.clear();
    }

    fn is_primary(&self, node: NodeId) -> bool {
        self.primary.as_ref().is_some_and(|primary| primary.node == node)
    }

    fn master(&self) -> Option<String> {
        let primary = self.primary.as_ref()?;
        Some(format!("{} {} {}", self.name, primary.host, primary.port))
    }

    fn slave(&self, endpoint: &Endpoint) -> Option<String> {
        let (host, port) = (&endpoint.host, endpoint.port);
        Some(format!("slave {} {host} {port} @ {}", join_host_port(host, port), self.master()?))
    }

    fn sentinel(&self, endpoint: &Endpoint) -> Option<String> {
        let (host, port) = (&endpoint.host, endpoint.port);
        Some(format!("sentinel {} {host} {port} @ {}", run_id(endpoint.node), self.master()?))
    }

    /// The instance that a member is: the master, or a slave.
    fn instance(&self, node: NodeId, instance: &Instance) -> Option<String> {
        if self.is_primary(node) {
            return Some(format!("master {}", self.master()?));
        }
        self.slave(&instance.endpoint).filter(|_| instance.copies)
    }
}

/// Collects messages; those about things that cannot be named yet are left out.
#[derive(Default)]
struct Told(Vec<Event>);

impl Told {
    fn add(&mut self, kind: Kind, text: Option<String>) {
        self.0.extend(text.map(|text| Event { kind, text }));
    }
}

/// What a reset tells.
pub(super) fn reset(sight: &Sight) -> Vec<Event> {
    let mut told = Told::default();
    told.add(Kind::ResetMaster, sight.master().map(|master| format!("master {master}")));
    told.0
}

/// What has happened from one look to the next, in the order that Sentinel tells it.
pub(super) fn between(before: &Sight, after: &Sight) -> Vec<Event> {
    let mut told = Told::default();
    let moved = match (&before.primary, &after.primary) {
        (Some(old), Some(new)) => (&old.host, old.port) != (&new.host, new.port),
        _ => false,
    };
    // What was found of the old primary was found of the deployment as it was.
    let named = if moved { before } else { after };
    downs(before, after, named, &mut told);
    if after.epoch > before.epoch {
        told.add(Kind::NewEpoch, Some(after.epoch.to_string()));
    }
    if before.primary.is_none() {
        let quorum = after.usable.1;
        told.add(Kind::Monitor, after.master().map(|master| format!("master {master} quorum {quorum}")));
    }
    if moved {
        switch(before, after, &mut told);
    }
    arrivals(before, after, moved, &mut told);
    lives(before, after, &mut told);
    told.0
}

fn downs(before: &Sight, after: &Sight, named: &Sight, told: &mut Told) {
    for (node, instance) in &after.instances {
        let was_down = before.instances.get(node).is_some_and(|instance| instance.down);
        let kind = match (was_down, instance.down) {
            (false, true) => Kind::Sdown,
            (true, false) => Kind::NotSdown,
            _ => continue,
        };
        // Whoever is seen for the first time is announced before it is found down.
        if before.instances.contains_key(node) {
            told.add(kind, named.instance(*node, instance));
            told.add(kind, named.sentinel(&instance.endpoint));
        }
    }
    // Only a primary that is cut off finds itself down.
    if let Some(own) = after.primary.as_ref().and_then(|primary| after.instances.get(&primary.node))
        && own.own
        && before.is_primary(own.endpoint.node)
        && before.primary_down != after.primary_down
    {
        let kind = if after.primary_down { Kind::Sdown } else { Kind::NotSdown };
        told.add(kind, after.master().map(|master| format!("master {master}")));
    }
    let same = before.primary.as_ref().map(|old| old.node) == after.primary.as_ref().map(|new| new.node);
    if same && before.agreed != after.agreed {
        let (kind, end) = match after.agreed {
            true => (Kind::Odown, format!(" #quorum {}/{}", after.usable.0, after.usable.1)),
            false => (Kind::NotOdown, String::new()),
        };
        told.add(kind, after.master().map(|master| format!("master {master}{end}")));
    }
}

/// Another primary, or the same at another address.
fn switch(before: &Sight, after: &Sight, told: &mut Told) {
    let (Some(old), Some(new)) = (&before.primary, &after.primary) else { return };
    if old.node != new.node {
        told.add(Kind::PromotedSlave, before.slave(new));
        told.add(Kind::FailoverEnd, before.master().map(|master| format!("master {master}")));
    }
    let text = format!("{} {} {} {} {}", after.name, old.host, old.port, new.host, new.port);
    told.add(Kind::SwitchMaster, Some(text));
}

/// Replicas and nodes that were not there, and after a switch all replicas.
fn arrivals(before: &Sight, after: &Sight, moved: bool, told: &mut Told) {
    for (node, instance) in &after.instances {
        let old = before.instances.get(node);
        if instance.copies && !after.is_primary(*node) && (moved || old.is_none_or(|old| !old.copies)) {
            told.add(Kind::Slave, after.slave(&instance.endpoint));
            if instance.down {
                told.add(Kind::Sdown, after.slave(&instance.endpoint));
            }
        }
        if old.is_none() && !instance.own {
            told.add(Kind::Sentinel, after.sentinel(&instance.endpoint));
            if instance.down {
                told.add(Kind::Sdown, after.sentinel(&instance.endpoint));
            }
        }
    }
}

/// Restarts, and replicas that have caught the new primary's stream.
fn lives(before: &Sight, after: &Sight, told: &mut Told) {
    for (node, instance) in &after.instances {
        let Some(old) = before.instances.get(node) else { continue };
        if old.incarnation != instance.incarnation {
            told.add(Kind::Reboot, after.instance(*node, instance));
        }
        let replica = instance.copies && !after.is_primary(*node);
        let caught = instance.held == Some(after.epoch) && old.held != instance.held;
        if replica && caught && after.former == Some(*node) {
            told.add(Kind::ConvertToSlave, after.slave(&instance.endpoint));
        } else if replica && caught && old.held.is_some() {
            told.add(Kind::SlaveReconfDone, after.slave(&instance.endpoint));
        }
    }
}

#[cfg(test)]
mod tests;
