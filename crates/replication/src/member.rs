//! Members of a deployment, to each other: between REPLCONF and PSYNC a replica says whose it is, and its primary confirms.
//!
//! ```text
//! REPLCONF redoubt-member <cluster> <shard> <epoch> <node> <incarnation>
//! +MEMBER <cluster> <shard> <epoch> <node> <incarnation>
//! ```
//!
//! The cluster is written in hexadecimal, the rest in decimal digits; the answer is about the primary. Only who was told to
//! follow in a deployment sends it, so nobody else need know it; who does not confirm is not followed.

use std::fmt;

/// The word after REPLCONF.
pub(crate) const OPTION: &str = "redoubt-member";
/// How a primary's confirmation begins.
const CONFIRMED: &str = "+MEMBER";
/// How an error begins that tells a member that it must be given everything, which it has not asked for.
pub const RESYNC: &str = "RESYNC";

/// A process of a deployment and the stream it takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The deployment.
    pub cluster: u128,
    /// Its shard.
    pub shard: u64,
    /// The epoch that is led or followed.
    pub epoch: u64,
    /// The node.
    pub node: u64,
    /// Which of its lives.
    pub incarnation: u64,
}

/// Why two members have no stream in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// Another cluster id.
    #[error("another deployment")]
    Cluster,
    /// The same deployment, another shard.
    #[error("another shard: {theirs}, here it is {ours}")]
    Shard {
        /// That of the peer.
        theirs: u64,
        /// Our own.
        ours: u64,
    },
    /// Another epoch.
    #[error("another epoch: {theirs}, here it is {ours}")]
    Epoch {
        /// That of the peer.
        theirs: u64,
        /// Our own.
        ours: u64,
    },
    /// No epoch is led here.
    #[error("no epoch is led here")]
    NobodyLeads,
    /// It is no member at all.
    #[error("no member of a deployment")]
    NoMember,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Member { cluster, shard, epoch, node, incarnation } = self;
        write!(f, "{cluster:032x} {shard} {epoch} {node} {incarnation}")
    }
}

impl Member {
    /// From the words after `OPTION`; none if they are not what it takes.
    pub fn parse(words: &[&[u8]]) -> Option<Member> {
        let [cluster, shard, epoch, node, incarnation] = words else { return None };
        let text = std::str::from_utf8(cluster).ok()?;
        let digits = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Member {
            cluster: u128::from_str_radix(text, 16).ok().filter(|_| digits)?,
            shard: number(shard)?,
            epoch: number(epoch)?,
            node: number(node)?,
            incarnation: number(incarnation)?,
        })
    }

    /// Whether the other takes part in the same stream.
    ///
    /// # Errors
    /// When it does not.
    pub fn same_stream(&self, other: &Member) -> Result<(), Stranger> {
        if self.cluster != other.cluster {
            Err(Stranger::Cluster)
        } else if self.shard != other.shard {
            Err(Stranger::Shard { theirs: other.shard, ours: self.shard })
        } else if self.epoch != other.epoch {
            Err(Stranger::Epoch { theirs: other.epoch, ours: self.epoch })
        } else {
            Ok(())
        }
    }

    /// A primary's answer to a replica it feeds.
    pub fn confirmation(&self) -> String {
        format!("{CONFIRMED} {self}\r\n")
    }

    /// The primary, from its answer.
    pub(crate) fn confirmed(line: &[u8]) -> Option<Member> {
        let words = line.strip_prefix(CONFIRMED.as_bytes())?.strip_prefix(b" ")?;
        Member::parse(&words.split(|byte| *byte == b' ').collect::<Vec<_>>())
    }
}

fn number(word: &[u8]) -> Option<u64> {
    let digits = word.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(word).ok()?.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MEMBER: Member = Member { cluster: 0xabc, shard: 1, epoch: 2, node: 3, incarnation: 4 };

    fn parse(text: &str) -> Option<Member> {
        Member::parse(&text.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_was_written_is_read() {
        assert_eq!(parse("abc 1 2 3 4"), Some(MEMBER));
        assert_eq!(parse("ABC 1 2 3 4"), Some(MEMBER));
        for wrong in
            ["", "abc 1 2 3", "abc 1 2 3 4 5", "+abc 1 2 3 4", "abc -1 2 3 4", "abc +1 2 3 4", "xyz 1 2 3 4"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse(&format!("{} 1 2 3 4", "a".repeat(33))), None);
        assert_eq!(Member::confirmed(b"+OK"), None);
        assert_eq!(Member::confirmed(b"+MEMBER"), None);
    }

    #[test]
    fn strangers_are_told_what_differs() {
        let with = |change: fn(&mut Member)| {
            let mut other = MEMBER;
            change(&mut other);
            MEMBER.same_stream(&other)
        };
        assert_eq!(with(|other| (other.node, other.incarnation) = (7, 8)), Ok(()));
        assert_eq!(with(|other| other.cluster = 1), Err(Stranger::Cluster));
        assert_eq!(with(|other| other.shard = 5), Err(Stranger::Shard { theirs: 5, ours: 1 }));
        assert_eq!(with(|other| other.epoch = 1), Err(Stranger::Epoch { theirs: 1, ours: 2 }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(cluster: u128, shard: u64, epoch: u64, node: u64, incarnation: u64) {
            let member = Member { cluster, shard, epoch, node, incarnation };
            prop_assert_eq!(parse(&member.to_string()), Some(member));
            let line = member.confirmation();
            prop_assert_eq!(Member::confirmed(line.trim_end().as_bytes()), Some(member));
        }
    }
}
