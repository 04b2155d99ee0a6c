//! What nodes say to each other beside Raft: heartbeats, leases, orders, and how they meet.

use crate::raft::codec::{self, CodecError, Kind};
use redoubt_ha::bootstrap::Hello;
use redoubt_ha::message::{HandOver, Heartbeat, Lease};
use redoubt_ha::{NodeId, Process};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// To every member: who is alive, and what it holds.
    Heartbeat(Box<Heartbeat>),
    /// To a primary.
    Lease(Lease),
    /// To a primary.
    HandOver(HandOver),
    /// To whoever is at the addresses of `ha-peers`.
    Hello(Hello),
    /// To members: let this node in, which is there. The leader of the group does it, others pass it on.
    Join(Process, String),
    /// To members: this node is gone for good. The controller does it.
    Forget(NodeId),
    /// To a node that was forgotten, and is not gone: it may come back as another. Says by which deployment, as the
    /// connection may be older than that.
    Forgotten(NodeId, u128),
}

impl Message {
    pub(super) fn encode(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode(Kind::Control, self)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Message, CodecError> {
        codec::decode(Kind::Control, bytes)
    }

    /// Whether it may come from a node that belonged to no deployment when it connected.
    pub(super) fn is_for_strangers(&self) -> bool {
        matches!(self, Message::Hello(_) | Message::Join(..) | Message::Forgotten(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_travel() {
        let process = Process { node: NodeId(1), incarnation: redoubt_ha::Incarnation(2) };
        for message in [
            Message::Join(process, "a:1".into()),
            Message::Forget(NodeId(7)),
            Message::Forgotten(NodeId(7), 8),
        ] {
            assert_eq!(Message::decode(&message.encode().unwrap()).unwrap(), message);
        }
        assert!(Message::decode(b"\xa7 nonsense").is_err());
    }
}
