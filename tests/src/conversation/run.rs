//! Runs a conversation against a server and collects what differed.

use super::{Action, Conversation, Expectation, Step};
use crate::client::{Client, Received};
use crate::notation::{self, Expected};
use crate::server::{Kind, Server};
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long an expected reply may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call sent with `>!` may take to be either answered or counted as blocked.
const BLOCK_TIMEOUT: Duration = Duration::from_millis(300);

/// Result of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One message per difference, file and line first.
    pub failures: Vec<String>,
    /// Lines to write in place of the expectation: index of the first line, number of lines, new lines.
    pub rewrites: Vec<(usize, usize, String)>,
}

/// Runs in one protocol version against a fresh server. None if that server is not on this machine.
///
/// # Errors
/// When talking to the server fails in a way that is not a reply.
pub fn run(conversation: &Conversation, kind: Kind, resp3: bool) -> Result<Option<Outcome>> {
    let mut options = vec![("enable-debug-command", "yes")];
    options.extend(conversation.config.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let Some(server) = Server::start(kind, &options) else { return Ok(None) };
    let mut session = Session {
        conversation,
        server: &server,
        folded: conversation.both && resp3,
        clients: BTreeMap::new(),
        current: "main".into(),
        outcome: Outcome::default(),
    };
    session.switch("main")?;
    for step in &conversation.steps {
        if let Err(error) = session.step(step) {
            let message = format!("{}: {error:#}\n", session.place(step));
            session.outcome.failures.push(message);
            break;
        }
    }
    Ok(Some(session.outcome))
}

struct Session<'a> {
    conversation: &'a Conversation,
    server: &'a Server,
    /// The expectation is for RESP2, the connections speak RESP3.
    folded: bool,
    clients: BTreeMap<String, Client>,
    current: String,
    outcome: Outcome,
}

impl Session<'_> {
    fn step(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Client(name) => self.switch(name),
            Action::Resp(version) => {
                self.client().try_call(&["HELLO", &version.to_string()])?;
                Ok(())
            }
            Action::Send(words) => self.send_blocking(words),
            Action::Call(words, expectation) => {
                self.client().send(words)?;
                self.expect(step, expectation)
            }
            Action::Read(expectation) => self.expect(step, expectation),
        }
    }

    fn client(&mut self) -> &mut Client {
        self.clients.get_mut(&self.current).expect("the server accepts the connections of a conversation")
    }

    fn switch(&mut self, name: &str) -> Result<()> {
        self.current = name.into();
        if !self.clients.contains_key(name) {
            let mut client = Client::connect(self.server.address())?;
            if self.folded {
                client.try_call(&["HELLO", "3"])?;
            }
            self.clients.insert(name.into(), client);
        }
        Ok(())
    }

    /// Sends and waits until the server has either answered or parked the call, so that the next step, on another
    /// connection, comes after it.
    fn send_blocking(&mut self, words: &[Vec<u8>]) -> Result<()> {
        let before = self.blocked_clients();
        self.client().send(words)?;
        let deadline = Instant::now() + BLOCK_TIMEOUT;
        while Instant::now() < deadline {
            if self.client().has_data(Duration::from_millis(2))? || self.blocked_clients() > before {
                break;
            }
        }
        Ok(())
    }

    /// The server's count, or 0 when it does not tell (it asks for a password, or clients are paused).
    fn blocked_clients(&self) -> u64 {
        let ask = || -> Result<u64> {
            let mut client = Client::connect(self.server.address())?;
            client.send(&["INFO", "clients"])?;
            let Received::Reply(reply) = client.receive(BLOCK_TIMEOUT)? else { return Ok(0) };
            let text = reply.text();
            let line = text.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
            Ok(line.and_then(|count| count.trim().parse().ok()).unwrap_or(0))
        };
        ask().unwrap_or(0)
    }

    fn expect(&mut self, step: &Step, expectation: &Expectation) -> Result<()> {
        let received = self.client().receive(REPLY_TIMEOUT)?;
        let (fits, got) = match (&received, &expectation.value) {
            (Received::Closed, Some(Expected::Closed)) => (true, String::new()),
            (Received::Reply(reply), Some(value)) => {
                (notation::matches(value, reply, self.folded), reply.to_string())
            }
            (Received::Reply(reply), None) => (false, reply.to_string()),
            (Received::Closed, _) => (false, "(closed)".into()),
            (Received::Nothing, _) => (false, "nothing".into()),
        };
        if !fits {
            self.fail(step, expectation, &got);
        }
        // What follows on a connection that lost its place would only repeat the failure.
        if received == Received::Nothing {
            anyhow::bail!("no reply within {REPLY_TIMEOUT:?}");
        }
        if received == Received::Closed {
            anyhow::ensure!(fits, "the server closed the connection");
            // A file that goes on with this name means a new connection; none comes after SHUTDOWN.
            self.clients.remove(&self.current);
            let name = self.current.clone();
            let _ = self.switch(&name);
        }
        Ok(())
    }

    fn fail(&mut self, step: &Step, expectation: &Expectation, got: &str) {
        let expected = match &expectation.value {
            Some(value) => notation::render(value),
            None => "(the file does not say)".into(),
        };
        let message = format!(
            "{}\n{}\n    expected:\n{}\n    got:\n{}\n",
            self.place(step),
            step.text,
            indented(&expected),
            indented(got)
        );
        self.outcome.failures.push(message);
        self.outcome.rewrites.push((expectation.first, expectation.count, got.into()));
    }

    fn place(&self, step: &Step) -> String {
        let version = if self.folded { "RESP3" } else { "RESP2 or as the file says" };
        format!(
            "{}:{}: ({}, {version})",
            self.conversation.path.display(),
            step.line,
            self.server.kind.name()
        )
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("        {line}")).collect::<Vec<_>>().join("\n")
}
