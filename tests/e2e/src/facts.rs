//! What a node says of itself and its deployment in INFO ha.

use crate::link::Link;
use anyhow::{Result, bail};
use redoubt_tests::Reply;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// INFO ha, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    fields: BTreeMap<String, String>,
}

impl Facts {
    /// Reads the section's text.
    pub fn parse(text: &str) -> Facts {
        let pairs = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Facts { fields: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Asks the server at an address.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn ask(address: SocketAddr, timeout: Duration) -> Result<Facts> {
        let mut link = Link::connect(address, timeout)?;
        Facts::read(&link.call(&["INFO", "ha"], timeout)?)
    }

    /// From the reply to INFO ha.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(reply: &Reply) -> Result<Facts> {
        match reply {
            Reply::Bulk(text) => Ok(Facts::parse(&String::from_utf8_lossy(text))),
            other => bail!("INFO ha was answered with {other}"),
        }
    }

    /// A field; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// A field that is a number; 0 if there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or(0)
    }

    /// The node's id.
    pub fn node(&self) -> &str {
        self.get("ha_node_id")
    }

    /// Whether it believes it is the primary and may acknowledge.
    pub fn is_serving(&self) -> bool {
        self.get("ha_role") == "primary" && self.get("ha_serving") == "1"
    }

    /// The newest epoch it knows; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.number("ha_epoch")
    }

    /// Its members, each a map of what is said of it.
    pub fn members(&self) -> Vec<BTreeMap<String, String>> {
        let lines = (0..).map_while(|number| self.fields.get(&format!("ha_node{number}")));
        let pairs = |line: &String| {
            line.split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(k, v)| (k.into(), v.into()))
                .collect()
        };
        lines.map(pairs).collect()
    }

    /// The offset this node's own entry holds: how much data it has.
    pub fn offset(&self) -> Option<u64> {
        let own = self.node();
        self.members()
            .iter()
            .find(|member| member.get("id").map(String::as_str) == Some(own))?
            .get("offset")?
            .parse()
            .ok()
    }
}

impl std::fmt::Display for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words =
            self.fields.iter().map(|(name, value)| format!("{}={value}", name.trim_start_matches("ha_")));
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_read() {
        let text = "# Ha\r\nha_enabled:1\r\nha_node_id:00ab\r\nha_role:primary\r\nha_serving:1\r\nha_epoch:7\r\n\
                    ha_node0:id=00ab,address=h:1,role=primary,offset=55,zone=\r\n";
        let facts = Facts::parse(text);
        assert!(facts.is_serving());
        assert_eq!((facts.epoch(), facts.offset(), facts.node()), (7, Some(55), "00ab"));
        assert_eq!(facts.members()[0]["address"], "h:1");
        assert_eq!(facts.number("nothing"), 0);
    }
}
