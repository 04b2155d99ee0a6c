//! `effects_reproduce_state` on a running server: its log, with transactions, parked calls and expiry in it, makes the
//! same data on a replica whose clock is ahead.

use super::bench::{Bench, Words, differences, dump};
use super::scripts;
use redoubt_commands::spec::{Propagate, Run};
use redoubt_commands::{Args, find, table};
use redoubt_server::config::Config;
use redoubt_server::log::Consumer;
use redoubt_server::{Handle, Server};
use redoubt_tests::Client;
use redoubt_tests::client::Received;
use redoubt_tests::conversation::{Action, Conversation};
use redoubt_tests::reply::Reply;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a reply may take, and a call that may be parked.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
const PARK_TIMEOUT: Duration = Duration::from_millis(300);
/// How far the replica's clock is off: nothing expires there but by the log.
const OFF_MS: i64 = 3_600_000;

/// Keeps everything it is given.
#[derive(Default)]
struct Recorder(Mutex<Vec<u8>>);

impl Consumer for Recorder {
    fn append(&self, _offset: u64, frames: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(frames);
    }
}

impl Recorder {
    /// The commands so far, each with its database.
    fn commands(&self) -> Vec<(usize, Words)> {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut rest, mut db, mut commands) = (frames.as_slice(), 0, Vec::new());
        while let Some((frame, used)) = Reply::decode(rest, false).expect("the log is RESP") {
            rest = &rest[used..];
            let words: Words = frame.list().into_iter().map(bulk).collect();
            match words[0].as_slice() {
                b"SELECT" => db = String::from_utf8_lossy(&words[1]).parse().expect("a database"),
                b"MULTI" | b"EXEC" => {}
                _ => commands.push((db, words)),
            }
        }
        assert!(rest.is_empty(), "the log ends inside a frame");
        commands
    }
}

fn bulk(word: Reply) -> Vec<u8> {
    let Reply::Bulk(bytes) = word else { panic!("a word of the log is {word}") };
    bytes
}

/// A conversation with a server in this process, whatever it answers.
struct Talk {
    server: Handle,
    clients: BTreeMap<String, Client>,
    current: String,
}

impl Talk {
    fn client(&mut self) -> &mut Client {
        let address = self.server.addresses()[0];
        let connect = || Client::connect(address).expect("the server accepts connections");
        self.clients.entry(self.current.clone()).or_insert_with(connect)
    }

    /// False when the conversation is over: nothing came, or the server went.
    fn read(&mut self) -> bool {
        match self.client().receive(REPLY_TIMEOUT) {
            Ok(Received::Reply(_)) => true,
            Ok(Received::Closed) => {
                self.clients.remove(&self.current);
                Client::connect(self.server.addresses()[0]).is_ok()
            }
            Ok(Received::Nothing) | Err(_) => false,
        }
    }

    /// Waits until a call was answered or parked.
    fn settle(&mut self, blocked_before: i64) {
        let deadline = Instant::now() + PARK_TIMEOUT;
        while Instant::now() < deadline {
            let answered = self.client().has_data(Duration::from_millis(1)).unwrap_or(true);
            if answered || self.server.shared().stats.blocked.load(Relaxed) > blocked_before {
                break;
            }
        }
    }
}

/// Runs a conversation on a server whose log is recorded, and compares a replica with it. `wrote` collects the
/// commands after which the log had grown.
fn check(conversation: &Conversation, wrote: &mut BTreeSet<usize>) -> Result<(), String> {
    let mut config = Config::new();
    // What conversations save goes where nobody looks for it.
    let dir = std::env::temp_dir().join(format!("redoubt-guards-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let dir = dir.display().to_string();
    let files = [("save", ""), ("dir", dir.as_str())];
    let own = [("port", "0"), ("bind", "127.0.0.1"), ("enable-debug-command", "yes"), ("io-threads", "2")];
    let theirs = conversation.config.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in own.into_iter().chain(files).chain(theirs) {
        config = config.with(name, value).map_err(|error| error.to_string())?;
    }
    let settings = config.command_settings();
    let server = Server::builder().config(config).start().map_err(|error| error.to_string())?;
    let recorder = Arc::new(Recorder::default());
    server.shared().log.attach(Arc::clone(&recorder) as _, None);
    let mut talk = Talk { server, clients: BTreeMap::new(), current: "main".into() };
    for step in &conversation.steps {
        let before = talk.server.shared().log.end();
        let goes_on = match &step.action {
            Action::Client(name) => {
                talk.current = name.clone();
                true
            }
            Action::Resp(version) => {
                let _ = talk.client().try_call(&["HELLO", &version.to_string()]);
                true
            }
            Action::Send(words) => {
                let blocked = talk.server.shared().stats.blocked.load(Relaxed);
                let sent = talk.client().send(words).is_ok();
                talk.settle(blocked);
                sent
            }
            Action::Call(words, _) => talk.client().send(words).is_ok() && talk.read(),
            Action::Read(_) => talk.read(),
        };
        if let (Action::Call(words, _) | Action::Send(words), true) =
            (&step.action, talk.server.shared().log.end() > before)
        {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            wrote.extend(find(&Args::new(&words)).map(|command| command.id));
        }
        if !goes_on {
            break;
        }
    }
    drop(talk.clients);
    let outcome = compare(&talk.server, &recorder, &settings);
    drop(talk.server);
    std::fs::remove_dir_all(dir).map_err(|error| error.to_string())?;
    outcome
}

/// Whether a conversation makes keys with DEBUG POPULATE, which is not logged, here or in Redis.
fn populates(conversation: &Conversation) -> bool {
    let calls = scripts::calls(conversation);
    calls.iter().any(|(_, words)| words.len() > 1 && words[1].eq_ignore_ascii_case(b"populate"))
}

fn compare(
    server: &Handle,
    recorder: &Recorder,
    settings: &redoubt_commands::Settings,
) -> Result<(), String> {
    // No key may go between the look at the data and the look at the log.
    server.shared().active_expire.store(false, Relaxed);
    std::thread::sleep(Duration::from_millis(2));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let now_ms = since.as_millis() as i64;
    let commands = recorder.commands();
    let mut replica = Bench::follower(99, now_ms + OFF_MS, settings);
    commands.iter().for_each(|(db, words)| replica.apply(*db, words));
    let differences = differences(&dump(&server.shared().keyspace, now_ms), &replica.dump(now_ms));
    if differences.is_empty() {
        return Ok(());
    }
    let log: Vec<String> =
        commands.iter().map(|(db, words)| format!("{db}> {}", scripts::shown(words))).collect();
    Err(format!("{}\nthe log:\n{}", differences.join("\n"), log.join("\n")))
}

#[test]
fn effects_reproduce_state_of_running_servers() {
    let mut wrote = BTreeSet::new();
    let mut failures = String::new();
    for conversation in scripts::conversations().into_iter().filter(|one| !populates(one)) {
        if let Err(error) = check(&conversation, &mut wrote) {
            failures += &format!("{}:\n{error}\n\n", conversation.path.display());
        }
    }
    assert!(failures.is_empty(), "{failures}");
    let writers = (0..table().len()).map(|id| table().by_id(id)).filter(|command| {
        matches!(command.spec.run, Run::Data(_)) && command.spec.propagate != Propagate::Never
    });
    let silent: Vec<&str> =
        writers.filter(|command| !wrote.contains(&command.id)).map(|command| command.full_name).collect();
    assert!(silent.is_empty(), "no conversation makes {} leave anything in the log", silent.join(" "));
}
