//! What can be seen of the nodes from outside, and what has changed between two looks.

use super::node::Node;
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A node that does not answer within this time does not answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// One node, as it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    serving: bool,
    epoch: u64,
    in_sync: u64,
    cause: String,
    took_ms: Option<u64>,
}

/// All nodes that answer, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picture {
    nodes: BTreeMap<String, Seen>,
    ports: BTreeMap<String, u16>,
}

impl Picture {
    pub(super) fn of(nodes: &[Node]) -> Picture {
        let mut picture = Picture::default();
        for node in nodes {
            picture.ports.insert(node.name().to_owned(), node.port());
            if let Ok(facts) = facts(node.port()) {
                picture.nodes.insert(node.name().to_owned(), Seen::from(&facts));
            }
        }
        picture
    }

    /// The node that serves in the newest epoch.
    fn primary(&self) -> Option<(&String, &Seen)> {
        self.nodes.iter().filter(|(_, seen)| seen.serving).max_by_key(|(_, seen)| seen.epoch)
    }

    /// A line for everything that was otherwise before.
    pub(super) fn changes(&self, before: &Picture) -> Vec<String> {
        let mut lines = Vec::new();
        for name in self.ports.keys() {
            match (before.nodes.contains_key(name), self.nodes.contains_key(name)) {
                (true, false) => lines.push(format!("{name} does not answer")),
                (false, true) if !before.ports.is_empty() => lines.push(format!("{name} answers")),
                _ => {}
            }
        }
        let (old, new) = (before.primary(), self.primary());
        match (old, new) {
            (Some((name, _)), None) => lines.push(format!("no primary: {name} has stopped serving")),
            (_, Some((name, seen)))
                if old.is_none_or(|(other, was)| (other, was.epoch) != (name, seen.epoch)) =>
            {
                let port = self.ports.get(name).copied().unwrap_or_default();
                let took = seen.took_ms.map(|ms| format!(", {ms} ms after the last sign of the old one"));
                lines.push(format!(
                    "{name} (port {port}) is the primary of epoch {}: {}{}",
                    seen.epoch,
                    seen.cause,
                    took.unwrap_or_default()
                ));
            }
            _ => {}
        }
        let in_sync = |primary: Option<(&String, &Seen)>| primary.map(|(_, seen)| seen.in_sync);
        if let Some(count) = in_sync(new)
            && in_sync(old) != Some(count)
        {
            lines.push(format!("{count} of {} copies are in sync", self.ports.len()));
        }
        lines
    }
}

impl Seen {
    fn from(facts: &BTreeMap<String, String>) -> Seen {
        let number = |name: &str| facts.get(name).and_then(|text| text.parse().ok());
        Seen {
            serving: number("ha_serving") == Some(1),
            epoch: number("ha_epoch").unwrap_or(0),
            in_sync: number("ha_in_sync").unwrap_or(0),
            cause: facts.get("ha_last_cause").cloned().unwrap_or_default(),
            took_ms: number("ha_last_failover_took_ms"),
        }
    }
}

/// INFO ha of the node at this port.
fn facts(port: u16) -> io::Result<BTreeMap<String, String>> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"INFO ha\r\n")?;
    let mut input = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.extend_from_slice(&piece[..count]),
        }
        if let Some((frame, _)) = decode(&input).map_err(io::Error::other)? {
            return Ok(fields(&frame));
        }
    }
}

fn fields(frame: &OwnedFrame) -> BTreeMap<String, String> {
    let text = match frame {
        OwnedFrame::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(nodes: &[(&str, bool, u64, u64)]) -> Picture {
        let mut picture = Picture::default();
        for name in ["a", "b"] {
            picture.ports.insert(name.into(), 7000);
        }
        for &(name, serving, epoch, in_sync) in nodes {
            let cause = "first primary".into();
            picture.nodes.insert(name.into(), Seen { serving, epoch, in_sync, cause, took_ms: None });
        }
        picture
    }

    #[test]
    fn what_changes_is_told_once() {
        let nobody = picture(&[("a", false, 0, 0)]);
        let first = picture(&[("a", true, 1, 1), ("b", false, 1, 0)]);
        let lines = first.changes(&nobody);
        assert_eq!(
            lines,
            [
                "b answers",
                "a (port 7000) is the primary of epoch 1: first primary",
                "1 of 2 copies are in sync"
            ]
        );
        assert!(first.changes(&first).is_empty());
        let gone = picture(&[("b", false, 1, 0)]);
        assert_eq!(gone.changes(&first), ["a does not answer", "no primary: a has stopped serving"]);
        let next = picture(&[("b", true, 2, 1)]);
        assert!(next.changes(&gone)[0].starts_with("b (port 7000) is the primary of epoch 2"));
    }

    #[test]
    fn fields_of_info() {
        let frame = OwnedFrame::BulkString(b"# Ha\r\nha_serving:1\r\nha_epoch:7\r\n".to_vec());
        let seen = Seen::from(&fields(&frame));
        assert_eq!((seen.serving, seen.epoch), (true, 7));
        assert!(fields(&OwnedFrame::Null).is_empty());
    }
}
