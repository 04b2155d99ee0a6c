//! The handshake of a replica with its primary: PING, AUTH, REPLCONF, PSYNC, and what each answer means.

use crate::history::ReplId;
use crate::member::{Member, OPTION, RESYNC, Stranger};
use redoubt_resp::Reply;

/// Longest answer that makes sense, bytes.
const LINE_MAX: usize = 4096;

/// What the replica says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `masteruser`.
    pub user: Option<Vec<u8>>,
    /// `masterauth`.
    pub password: Option<Vec<u8>>,
    /// Port it is reached on.
    pub port: u16,
    /// Address it is reached on, where the primary cannot see it (`replica-announce-ip`).
    pub ip: Option<String>,
    /// The process of a deployment it is. Then the primary must confirm that it leads in the same epoch.
    pub member: Option<Member>,
}

/// Where the replica could go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Nowhere: it has nothing of the primary's.
    Nothing,
    /// It has this many bytes of the stream of this id.
    From {
        /// Whose stream.
        id: ReplId,
        /// Bytes it has.
        offset: u64,
    },
}

/// How the primary goes on after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a snapshot; the stream behind it begins at `offset` of the stream of `id`.
    Full {
        /// Id of the primary's history.
        id: ReplId,
        /// Offset of the snapshot.
        offset: u64,
    },
    /// With a snapshot, without ids and offsets: the primary knows SYNC only.
    FullWithoutOffset,
    /// With the stream from where the replica was; under another id, if there is one here.
    Partial {
        /// The primary's current id.
        id: Option<ReplId>,
    },
}

/// Why the handshake came to nothing. After each the connection is closed and tried again later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The primary cannot serve replicas right now; holds its words.
    #[error("the primary is not ready: {0}")]
    NotYet(String),
    /// The primary cannot go on from what the replica has; holds its words. It is a member, and is not given everything
    /// unasked.
    #[error("the primary cannot go on from here: {0}")]
    ResyncNeeded(String),
    /// The primary is not the one to be followed.
    #[error("this is not the primary to be followed: {0}")]
    Stranger(#[from] Stranger),
    /// The primary refused a step.
    #[error("the primary refused {step}: {text}")]
    Refused {
        /// The step.
        step: &'static str,
        /// Its words.
        text: String,
    },
    /// No answer any version gives.
    #[error("unexpected answer to {step}: '{text}'")]
    Malformed {
        /// The step.
        step: &'static str,
        /// What came.
        text: String,
    },
}

/// Whose answer comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ping,
    Auth,
    Port,
    Ip,
    Capa,
    Member,
    Psync,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Ping => "PING",
            Step::Auth => "AUTH",
            Step::Port => "REPLCONF listening-port",
            Step::Ip => "REPLCONF ip-address",
            Step::Capa => "REPLCONF capa",
            Step::Member => "REPLCONF redoubt-member",
            Step::Psync => "PSYNC",
        }
    }
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Handshake {
    identity: Identity,
    resume: Resume,
    takes_over: bool,
    step: Step,
}

impl Handshake {
    /// Begins: writes the first request to `out`. `takes_over` asks the other side, a replica of ours so far, to become
    /// the primary.
    pub fn new(identity: Identity, resume: Resume, takes_over: bool, out: &mut Vec<u8>) -> Handshake {
        request(out, &[b"PING"]);
        Handshake { identity, resume, takes_over, step: Step::Ping }
    }

    /// What is waited for, for messages.
    pub fn step(&self) -> &'static str {
        self.step.name()
    }

    /// Reads answers at the front of `input`, writes what to send next to `out`. Returns how many bytes were read and,
    /// at the end, the outcome; what follows then in the input is no answer any more.
    ///
    /// # Errors
    /// When the primary does not want this replica, or not now.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, Option<Outcome>), Failure> {
        let mut read = 0;
        while let Some(newline) = memchr::memchr(b'\n', &input[read..]) {
            let line = &input[read..read + newline];
            read += newline + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // A busy primary sends line breaks to show that it lives.
            if line.is_empty() {
                continue;
            }
            if let Some(outcome) = self.answer(line, out)? {
                return Ok((read, Some(outcome)));
            }
        }
        if input.len() - read > LINE_MAX {
            return Err(self.malformed(&input[read..read + 64]));
        }
        Ok((read, None))
    }

    fn answer(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<Option<Outcome>, Failure> {
        match self.step {
            Step::Ping => self.pong(line, out)?,
            Step::Auth => {
                self.check(line)?;
                self.step = Step::Port;
            }
            // What a primary does not know of these it can do without.
            Step::Port => self.step = if self.identity.ip.is_some() { Step::Ip } else { Step::Capa },
            Step::Ip => self.step = Step::Capa,
            Step::Capa if self.identity.member.is_some() => self.step = Step::Member,
            Step::Member => {
                self.confirm(line)?;
                self.ask(out);
            }
            Step::Capa => self.ask(out),
            Step::Psync => return self.synced(line, out),
        }
        Ok(None)
    }

    /// Any answer but an error is one; of the errors those that ask for a password, which comes next.
    fn pong(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let asks = [&b"-NOAUTH"[..], b"-NOPERM", b"-ERR operation not permitted"];
        if !asks.iter().any(|start| line.starts_with(start)) {
            self.check(line)?;
        }
        let identity = &self.identity;
        self.step = Step::Port;
        if let Some(password) = &identity.password {
            match &identity.user {
                Some(user) => request(out, &[b"AUTH", user, password]),
                None => request(out, &[b"AUTH", password]),
            }
            self.step = Step::Auth;
        }
        request(out, &[b"REPLCONF", b"listening-port", identity.port.to_string().as_bytes()]);
        if let Some(ip) = &identity.ip {
            request(out, &[b"REPLCONF", b"ip-address", ip.as_bytes()]);
        }
        request(out, &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
        if let Some(member) = &identity.member {
            let member = member.to_string();
            let words: Vec<&[u8]> = [&b"REPLCONF"[..], OPTION.as_bytes()]
                .into_iter()
                .chain(member.split(' ').map(str::as_bytes))
                .collect();
            request(out, &words);
        }
        Ok(())
    }

    /// Who does not say that it leads in the same epoch is not followed.
    fn confirm(&self, line: &[u8]) -> Result<(), Failure> {
        self.check(line)?;
        let primary = Member::confirmed(line).ok_or(Stranger::NoMember)?;
        self.identity.member.map_or(Ok(()), |member| Ok(member.same_stream(&primary)?))
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        self.psync(out);
        self.step = Step::Psync;
    }

    fn psync(&self, out: &mut Vec<u8>) {
        match &self.resume {
            Resume::Nothing => request(out, &[b"PSYNC", b"?", b"-1"]),
            Resume::From { id, offset } => {
                let wanted = (offset + 1).to_string();
                let words = [b"PSYNC", id.as_str().as_bytes(), wanted.as_bytes(), b"FAILOVER"];
                request(out, &words[..if self.takes_over { 4 } else { 3 }]);
            }
        }
    }

    fn synced(&self, line: &[u8], out: &mut Vec<u8>) -> Result<Option<Outcome>, Failure> {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
        match words[..] {
            [b"+FULLRESYNC", id, offset] => {
                let id = ReplId::parse(id);
                let offset = std::str::from_utf8(offset).ok().and_then(|text| text.parse().ok());
                let full = id.zip(offset).map(|(id, offset)| Outcome::Full { id, offset });
                full.map(Some).ok_or_else(|| self.malformed(line))
            }
            [b"+CONTINUE"] => Ok(Some(Outcome::Partial { id: None })),
            [b"+CONTINUE", id, ..] => {
                let id = ReplId::parse(id).ok_or_else(|| self.malformed(line))?;
                Ok(Some(Outcome::Partial { id: Some(id) }))
            }
            _ if unknown_command(line) => {
                request(out, &[b"SYNC"]);
                Ok(Some(Outcome::FullWithoutOffset))
            }
            _ => {
                self.check(line)?;
                Err(self.malformed(line))
            }
        }
    }

    /// Fails on an error.
    fn check(&self, line: &[u8]) -> Result<(), Failure> {
        let Some(words) = line.strip_prefix(b"-") else { return Ok(()) };
        let text = shown(words);
        let passing = ["NOMASTERLINK", "LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN"];
        let code = text.split(' ').next().unwrap_or_default();
        if code == RESYNC {
            Err(Failure::ResyncNeeded(text))
        } else if passing.contains(&code) {
            Err(Failure::NotYet(text))
        } else {
            Err(Failure::Refused { step: self.step.name(), text })
        }
    }

    fn malformed(&self, line: &[u8]) -> Failure {
        Failure::Malformed { step: self.step.name(), text: shown(line) }
    }
}

/// Whether the primary is too old for PSYNC.
fn unknown_command(line: &[u8]) -> bool {
    line.starts_with(b"-ERR unknown command") || line.starts_with(b"-ERR Unknown command")
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).into_owned()
}

/// Appends a request.
fn request(out: &mut Vec<u8>, words: &[&[u8]]) {
    let mut reply = Reply::new(out, false);
    reply.array(words.len());
    words.iter().for_each(|word| reply.bulk(word));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "0123456789012345678901234567890123456789";

    fn id() -> ReplId {
        ReplId::parse(ID.as_bytes()).expect("forty digits")
    }

    fn identity() -> Identity {
        Identity {
            user: Some(b"repl".to_vec()),
            password: Some(b"secret".to_vec()),
            port: 7000,
            ip: Some("10.0.0.9".into()),
            member: None,
        }
    }

    fn member(epoch: u64) -> Member {
        Member { cluster: 0xfeed, shard: 1, epoch, node: 2, incarnation: 3 }
    }

    /// What was sent, as lines of words.
    fn requests(out: &[u8]) -> Vec<String> {
        let text = String::from_utf8(out.to_vec()).expect("tests write text");
        let mut lines = text.split("\r\n");
        let mut found = Vec::new();
        while let Some(count) = lines.next().and_then(|line| line.strip_prefix('*')) {
            let count: usize = count.parse().expect("a count");
            let words: Vec<&str> =
                (0..count).filter_map(|_| lines.next().and_then(|_| lines.next())).collect();
            found.push(words.join(" "));
        }
        found
    }

    /// Runs a handshake over answers cut at these places; returns requests, outcome and the bytes that followed.
    fn run(
        identity: Identity,
        resume: Resume,
        wire: &[u8],
        cuts: &[usize],
    ) -> (Vec<String>, Result<Option<Outcome>, Failure>, Vec<u8>) {
        let mut out = Vec::new();
        let mut handshake = Handshake::new(identity, resume, false, &mut out);
        let (mut buffer, mut from, mut outcome) = (Vec::new(), 0, None);
        for to in cuts.iter().copied().chain([wire.len()]) {
            buffer.extend_from_slice(&wire[from..to]);
            from = to;
            if outcome.is_none() {
                match handshake.feed(&buffer, &mut out) {
                    Ok((read, found)) => {
                        buffer.drain(..read);
                        outcome = found;
                    }
                    Err(failure) => return (requests(&out), Err(failure), Vec::new()),
                }
            }
        }
        (requests(&out), Ok(outcome), buffer)
    }

    #[test]
    fn the_whole_conversation_wherever_it_is_cut() {
        let wire = format!("+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n\n\n+FULLRESYNC {ID} 77\r\n\n$EOF:");
        let expected = [
            "PING",
            "AUTH repl secret",
            "REPLCONF listening-port 7000",
            "REPLCONF ip-address 10.0.0.9",
            "REPLCONF capa eof capa psync2",
            "PSYNC ? -1",
        ];
        let all: Vec<usize> = (0..wire.len()).collect();
        for cuts in (0..=wire.len()).map(|cut| vec![cut]).chain([all]) {
            let (sent, outcome, rest) = run(identity(), Resume::Nothing, wire.as_bytes(), &cuts);
            assert_eq!(sent, expected, "{cuts:?}");
            assert_eq!(outcome, Ok(Some(Outcome::Full { id: id(), offset: 77 })), "{cuts:?}");
            assert_eq!(rest, b"\n$EOF:");
        }
    }

    #[test]
    fn a_member_and_its_primary_wherever_it_is_cut() {
        let us = member(7);
        let primary = Member { node: 9, incarnation: 1, ..us };
        let identity = Identity { member: Some(us), port: 7000, ..Identity::default() };
        let resume = Resume::From { id: id(), offset: 4 };
        let confirmed = primary.confirmation();
        let wire = format!("+PONG\r\n+OK\r\n+OK\r\n{confirmed}\n+CONTINUE {ID}\r\n*1");
        let expected = [
            "PING".to_owned(),
            "REPLCONF listening-port 7000".into(),
            "REPLCONF capa eof capa psync2".into(),
            format!("REPLCONF redoubt-member {us}"),
            format!("PSYNC {ID} 5"),
        ];
        let all: Vec<usize> = (0..wire.len()).collect();
        for cuts in (0..=wire.len()).map(|cut| vec![cut]).chain([all]) {
            let (sent, outcome, rest) = run(identity.clone(), resume, wire.as_bytes(), &cuts);
            assert_eq!(sent, expected, "{cuts:?}");
            assert_eq!(outcome, Ok(Some(Outcome::Partial { id: Some(id()) })), "{cuts:?}");
            assert_eq!(rest, b"*1");
        }
        let refused = |answer: &str| {
            let wire = format!("+PONG\r\n+OK\r\n+OK\r\n{answer}\r\n");
            let (sent, outcome, _) = run(identity.clone(), resume, wire.as_bytes(), &[]);
            assert!(!sent.iter().any(|request| request.starts_with("PSYNC")), "{answer}");
            outcome.expect_err(answer)
        };
        assert_eq!(refused("+OK"), Failure::Stranger(Stranger::NoMember));
        let other = member(8).confirmation();
        let epochs = Stranger::Epoch { theirs: 8, ours: 7 };
        assert_eq!(refused(other.trim_end()), Failure::Stranger(epochs));
        let step = "REPLCONF redoubt-member";
        let text = "ERR Unrecognized REPLCONF option: redoubt-member";
        assert_eq!(refused(&format!("-{text}")), Failure::Refused { step, text: text.into() });
        let wire = format!("+PONG\r\n+OK\r\n+OK\r\n{confirmed}-RESYNC the backlog begins later\r\n");
        let (_, outcome, _) = run(identity.clone(), resume, wire.as_bytes(), &[]);
        assert_eq!(outcome, Err(Failure::ResyncNeeded("RESYNC the backlog begins later".into())));
    }

    #[test]
    fn a_primary_that_lacks_options_is_served_all_the_same() {
        let identity = Identity { port: 1, ..Identity::default() };
        let resume = Resume::From { id: id(), offset: 99 };
        let wire = b"+PONG\r\n-ERR unknown\r\n-ERR Unrecognized REPLCONF option: capa\r\n+CONTINUE\r\n*1";
        let (sent, outcome, rest) = run(identity.clone(), resume, wire, &[]);
        assert_eq!(sent[3], format!("PSYNC {ID} 100"));
        assert_eq!(outcome, Ok(Some(Outcome::Partial { id: None })));
        assert_eq!(rest, b"*1");
        let wire = b"+PONG\r\n+OK\r\n+OK\r\n-ERR unknown command 'PSYNC'\r\n";
        let (sent, outcome, _) = run(identity, Resume::Nothing, wire, &[]);
        assert_eq!(sent[4], "SYNC");
        assert_eq!(outcome, Ok(Some(Outcome::FullWithoutOffset)));
    }

    #[test]
    fn a_changed_id_is_told() {
        let wire =
            format!("-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+CONTINUE {ID}\r\n");
        let (_, outcome, _) = run(identity(), Resume::From { id: id(), offset: 0 }, wire.as_bytes(), &[]);
        assert_eq!(outcome, Ok(Some(Outcome::Partial { id: Some(id()) })));
    }

    #[test]
    fn refusals() {
        let failure =
            |wire: &str| run(identity(), Resume::Nothing, wire.as_bytes(), &[]).1.expect_err("it fails");
        let refused = |step, text: &str| Failure::Refused { step, text: text.into() };
        assert_eq!(
            failure("-ERR max number of clients reached\r\n"),
            refused("PING", "ERR max number of clients reached")
        );
        assert_eq!(failure("-DENIED by mode\r\n"), refused("PING", "DENIED by mode"));
        assert_eq!(failure("-MASTERDOWN x\r\n"), Failure::NotYet("MASTERDOWN x".into()));
        assert_eq!(failure("+PONG\r\n-WRONGPASS y\r\n"), refused("AUTH", "WRONGPASS y"));
        let ready = "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n";
        for code in ["NOMASTERLINK", "LOADING", "MASTERDOWN"] {
            assert_eq!(failure(&format!("{ready}-{code} z\r\n")), Failure::NotYet(format!("{code} z")));
        }
        assert_eq!(failure(&format!("{ready}-NOPERM z\r\n")), refused("PSYNC", "NOPERM z"));
        for odd in ["+OK", "+FULLRESYNC short 1", "+CONTINUE short", "$5"] {
            let malformed = Failure::Malformed { step: "PSYNC", text: odd.into() };
            assert_eq!(failure(&format!("{ready}{odd}\r\n")), malformed);
        }
        let long = format!("+{}", "x".repeat(5000));
        assert!(matches!(failure(&long), Failure::Malformed { step: "PING", .. }));
    }

    proptest! {
        #[test]
        fn any_bytes_end_or_wait(wire in proptest::collection::vec(any::<u8>(), 0..400), mut cuts in proptest::collection::vec(0..400usize, 0..6)) {
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(wire.len()));
            cuts.sort_unstable();
            let whole = run(identity(), Resume::Nothing, &wire, &[]);
            let cut = run(identity(), Resume::Nothing, &wire, &cuts);
            prop_assert_eq!(whole.1.is_ok(), cut.1.is_ok());
        }
    }
}
