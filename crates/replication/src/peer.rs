//! What a primary knows of a connection that is, or may become, a replica: what it said with REPLCONF.

use crate::member::{Member, OPTION};

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Port it is reached on; 0: it did not say.
    pub port: i64,
    /// Address it is reached on, when that is not the one it connects from.
    pub ip: Option<String>,
    /// It takes a snapshot whose length is not known ahead.
    pub eof: bool,
    /// It understands `+CONTINUE <id>`.
    pub psync2: bool,
    /// It asked with PSYNC, and is answered; SYNC is not.
    pub psync: bool,
    /// It wants a snapshot and no stream (`redis-cli --rdb`).
    pub rdb_only: bool,
    /// The snapshot shall hold functions only, no data.
    pub functions_only: bool,
    /// The process of a deployment it was accepted as.
    pub member: Option<Member>,
}

/// What an accepted REPLCONF asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Nothing but an OK.
    Ok,
    /// Nothing at all: acknowledgements are not answered.
    Ack {
        /// Offset applied.
        offset: u64,
        /// Offset on disk, if it said one.
        on_disk: Option<u64>,
    },
    /// The peer wants to hear our acknowledgement; no answer either.
    GetAck,
    /// To be accepted as a process of our deployment.
    Member(Member),
}

/// A REPLCONF that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not pairs.
    #[error("ERR syntax error")]
    Syntax,
    /// A number that is none.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// Neither 0 nor 1.
    #[error("ERR value is out of range, value must between 0 and 1")]
    NotABit,
    /// The address is none.
    #[error("ERR REPLCONF ip-address provided by replica instance is too long: {0} bytes")]
    LongAddress(usize),
    /// Something other than functions shall be filtered.
    #[error("ERR Unsupported rdb-filter-only option: {0}")]
    Filter(String),
    /// An option of another kind of peer.
    #[error("ERR Unrecognized REPLCONF option: {0}")]
    Unknown(String),
}

/// Longest address a replica may announce, bytes.
const ADDRESS_MAX: usize = 255;

impl Peer {
    /// Takes over the pairs after the word REPLCONF. Pairs before a wrong one count.
    ///
    /// # Errors
    /// With the answer Redis gives.
    pub fn replconf(&mut self, words: &[&[u8]]) -> Result<Ask, PeerError> {
        if !words.len().is_multiple_of(2) {
            return Err(PeerError::Syntax);
        }
        if let [option, member @ ..] = words
            && option.eq_ignore_ascii_case(OPTION.as_bytes())
        {
            return Member::parse(member).map(Ask::Member).ok_or(PeerError::Syntax);
        }
        for pair in words.chunks_exact(2) {
            match pair[0].to_ascii_lowercase().as_slice() {
                b"listening-port" => self.port = integer(pair[1]).ok_or(PeerError::NotAnInteger)?,
                b"ip-address" => self.ip = address(pair[1])?,
                b"capa" => self.capability(pair[1]),
                b"rdb-only" => self.rdb_only = bit(pair[1])?,
                b"rdb-filter-only" => self.filter(pair[1])?,
                b"ack" => return Ok(acknowledgement(words)),
                b"getack" => return Ok(Ask::GetAck),
                _ => return Err(PeerError::Unknown(String::from_utf8_lossy(pair[0]).into_owned())),
            }
        }
        Ok(Ask::Ok)
    }

    /// Capabilities of later versions are accepted and not used.
    fn capability(&mut self, name: &[u8]) {
        self.eof |= name.eq_ignore_ascii_case(b"eof");
        self.psync2 |= name.eq_ignore_ascii_case(b"psync2");
    }

    fn filter(&mut self, names: &[u8]) -> Result<(), PeerError> {
        self.functions_only = false;
        for name in names.split(|byte| *byte == b' ').filter(|name| !name.is_empty()) {
            if !name.eq_ignore_ascii_case(b"functions") {
                return Err(PeerError::Filter(String::from_utf8_lossy(name).into_owned()));
            }
            self.functions_only = true;
        }
        Ok(())
    }
}

fn integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn bit(word: &[u8]) -> Result<bool, PeerError> {
    match integer(word) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(PeerError::NotABit),
        None => Err(PeerError::NotAnInteger),
    }
}

fn address(word: &[u8]) -> Result<Option<String>, PeerError> {
    if word.len() > ADDRESS_MAX {
        return Err(PeerError::LongAddress(word.len()));
    }
    Ok(Some(String::from_utf8_lossy(word).into_owned()).filter(|ip| !ip.is_empty()))
}

/// `ACK offset`, perhaps followed by `FACK offset`. A number that is none is no news, as in Redis.
fn acknowledgement(words: &[&[u8]]) -> Ask {
    let number = |name: &[u8]| {
        let pair = words.chunks_exact(2).find(|pair| pair[0].eq_ignore_ascii_case(name))?;
        u64::try_from(integer(pair[1])?).ok()
    };
    Ask::Ack { offset: number(b"ack").unwrap_or(0), on_disk: number(b"fack") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(peer: &mut Peer, line: &str) -> Result<Ask, String> {
        let words: Vec<&[u8]> = line.split(' ').filter(|word| !word.is_empty()).map(str::as_bytes).collect();
        peer.replconf(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn a_replica_introduces_itself() {
        let mut peer = Peer::default();
        assert_eq!(ask(&mut peer, "listening-port 7000"), Ok(Ask::Ok));
        assert_eq!(ask(&mut peer, "ip-address 10.0.0.9"), Ok(Ask::Ok));
        assert_eq!(ask(&mut peer, "capa eof CAPA psync2 capa later"), Ok(Ask::Ok));
        assert_eq!(ask(&mut peer, ""), Ok(Ask::Ok));
        let expected =
            Peer { port: 7000, ip: Some("10.0.0.9".into()), eof: true, psync2: true, ..Peer::default() };
        assert_eq!(peer, expected);
        assert_eq!(ask(&mut peer, "ACK 17"), Ok(Ask::Ack { offset: 17, on_disk: None }));
        assert_eq!(ask(&mut peer, "ack 17 fack 12"), Ok(Ask::Ack { offset: 17, on_disk: Some(12) }));
        assert_eq!(ask(&mut peer, "ack x"), Ok(Ask::Ack { offset: 0, on_disk: None }));
        assert_eq!(ask(&mut peer, "getack *"), Ok(Ask::GetAck));
        assert_eq!(ask(&mut peer, "rdb-only 1"), Ok(Ask::Ok));
        assert!(peer.rdb_only);
        assert_eq!(ask(&mut peer, "rdb-filter-only functions"), Ok(Ask::Ok));
        assert!(peer.functions_only);
        let member = Member { cluster: 255, shard: 0, epoch: 7, node: 2, incarnation: 3 };
        assert_eq!(ask(&mut peer, "Redoubt-Member ff 0 7 2 3"), Ok(Ask::Member(member)));
        assert_eq!(peer.member, None, "it has to be accepted first");
        assert_eq!(ask(&mut peer, "redoubt-member ff 0 7 2 x"), Err("ERR syntax error".into()));
    }

    #[test]
    fn errors_are_those_of_redis() {
        let mut peer = Peer::default();
        let cases = [
            ("a", "ERR syntax error"),
            ("a b", "ERR Unrecognized REPLCONF option: a"),
            ("a b c", "ERR syntax error"),
            ("listening-port x", "ERR value is not an integer or out of range"),
            ("rdb-only 2", "ERR value is out of range, value must between 0 and 1"),
            ("rdb-filter-only foo", "ERR Unsupported rdb-filter-only option: foo"),
        ];
        for (line, error) in cases {
            assert_eq!(ask(&mut peer, line), Err(error.to_owned()), "{line}");
        }
        assert_eq!(ask(&mut peer, &format!("ip-address {}", "x".repeat(300))).map_err(|e| e.len()), Err(75));
    }
}
