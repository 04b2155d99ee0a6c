//! Clients that write and read all the time, whatever happens, and note what came of it.

use crate::clock;
use crate::history::{History, Kind, Outcome, Record};
use crate::link::Link;
use crate::watch::{self, Known};
use crate::{outcome, probe};
use anyhow::Result;
use fastrand::Rng;
use redoubt_tests::Reply;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const CONNECT: Duration = Duration::from_millis(250);
/// Before the next attempt after a failed one.
const PAUSE: Duration = Duration::from_millis(2);
/// After the first refusal a plain client stays where it is, as a rule; one in so many goes elsewhere.
const MOVES: u32 = 8;

/// Where a client connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To some node; to the next when the connection fails or the node says that it cannot write.
    Any,
    /// To the primary, as INFO ha names it.
    Primary,
    /// To this node and no other.
    Only(usize),
}

/// What kind of load.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// A client each.
    pub clients: Vec<Aim>,
    /// Registers, sets and counters; few, so that clients meet.
    pub keys: u32,
    /// Between two requests of a client.
    pub pace: Duration,
    /// How long a client waits for a reply.
    pub patience: Duration,
    /// Whether only members are added to sets, and nothing is read.
    pub plain: bool,
    /// Whether every node is probed.
    pub probes: bool,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions {
            clients: [Aim::Primary, Aim::Any].repeat(4),
            keys: 8,
            pace: Duration::from_millis(1),
            patience: Duration::from_secs(2),
            plain: false,
            probes: true,
        }
    }
}

/// Running clients.
#[derive(Debug)]
pub struct Load {
    tag: String,
    /// What is known at this moment.
    pub known: Arc<Known>,
    clients: Vec<JoinHandle<Vec<Record>>>,
    probes: Vec<JoinHandle<probe::Found>>,
    watch: Vec<JoinHandle<Vec<crate::history::Sample>>>,
}

impl Load {
    /// Begins. Every load has keys of its own.
    pub fn start(addresses: &[SocketAddr], options: &LoadOptions) -> Load {
        let tag = format!("e2e:{:08x}", fastrand::u32(..));
        let (known, values) = (Arc::new(Known::default()), Arc::new(AtomicU32::new(1)));
        let client = |(number, aim): (usize, &Aim)| {
            let client = Client {
                number: number as u16,
                aim: *aim,
                tag: tag.clone(),
                addresses: addresses.to_vec(),
                next: number % addresses.len(),
                options: options.clone(),
                known: Arc::clone(&known),
                values: Arc::clone(&values),
                link: None,
                records: Vec::new(),
                rng: Rng::new(),
            };
            std::thread::spawn(move || client.run())
        };
        let clients = options.clients.iter().enumerate().map(client).collect();
        let probed = if options.probes { addresses } else { &[] };
        let probes = probe::start(probed, &tag, &known, &values);
        let watch = watch::start(addresses, &known);
        Load { tag, known, clients, probes, watch }
    }

    /// Waits until so many more writes were acknowledged.
    ///
    /// # Errors
    /// When they are not within `timeout`.
    pub fn wait_acked(&self, more: u64, timeout: Duration) -> Result<()> {
        let (enough, deadline) = (self.known.acked.load(SeqCst) + more, Instant::now() + timeout);
        while self.known.acked.load(SeqCst) < enough {
            let so_far = self.known.acked.load(SeqCst);
            anyhow::ensure!(Instant::now() < deadline, "{so_far} of {enough} writes within {timeout:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Ends all clients; what they noted.
    ///
    /// # Panics
    /// When one of them did.
    pub fn finish(self) -> History {
        self.known.ended.store(true, SeqCst);
        let mut history = History { tag: self.tag, ..History::default() };
        for client in self.clients {
            history.records.extend(client.join().expect("a client does not panic"));
        }
        for probe in self.probes {
            let (records, acks) = probe.join().expect("a probe does not panic");
            history.records.extend(records);
            history.acks.extend(acks);
        }
        for watch in self.watch {
            history.samples.extend(watch.join().expect("the watch does not panic"));
        }
        history
    }
}

struct Client {
    number: u16,
    aim: Aim,
    tag: String,
    addresses: Vec<SocketAddr>,
    /// Where it goes next, if it may go anywhere.
    next: usize,
    options: LoadOptions,
    known: Arc<Known>,
    values: Arc<AtomicU32>,
    link: Option<(usize, Link)>,
    records: Vec<Record>,
    rng: Rng,
}

impl Client {
    fn run(mut self) -> Vec<Record> {
        while !self.known.has_ended() {
            if self.connect() {
                self.request();
                std::thread::sleep(self.options.pace);
            } else {
                std::thread::sleep(PAUSE);
            }
        }
        self.records
    }

    /// Whether there is a connection to where it wants to be.
    fn connect(&mut self) -> bool {
        let wanted = match self.aim {
            Aim::Any => Some(self.next),
            Aim::Primary => self.known.primary(),
            Aim::Only(node) => Some(node),
        };
        let Some(wanted) = wanted else { return false };
        if self.link.as_ref().is_some_and(|(node, _)| *node == wanted) {
            return true;
        }
        self.link = Link::connect(self.addresses[wanted], CONNECT).ok().map(|link| (wanted, link));
        if self.link.is_none() {
            self.go_on();
        }
        self.link.is_some()
    }

    fn go_on(&mut self) {
        self.next = (self.next + 1) % self.addresses.len();
    }

    fn request(&mut self) {
        let (kind, key, mut value) = self.choose();
        let words = words(&self.tag, kind, key, value);
        let Some((node, mut link)) = self.link.take() else { return };
        let (aim, known) = (self.aim, Arc::clone(&self.known));
        let is_void = move || {
            known.has_ended() || (aim == Aim::Primary && known.primary().is_some_and(|other| other != node))
        };
        let invoked = clock::now();
        let reply = link.call_unless(&words, self.options.patience, is_void);
        let returned = clock::now();
        let (mut outcome, mut note) = outcome::of(&reply);
        match (&reply, kind) {
            (Ok(Reply::Int(count)), Kind::Count) => value = *count as u32,
            (Ok(Reply::Bulk(read)), Kind::Get) => {
                value = std::str::from_utf8(read).ok().and_then(|read| read.parse().ok()).unwrap_or(u32::MAX);
            }
            (Ok(reply), Kind::Count) if !reply.is_error() => {
                (outcome, note) = (Outcome::Unknown, Some(reply.to_string().into()));
            }
            _ => {}
        }
        let worker = self.number;
        let record = Record { worker, node: node as u8, kind, key, value, invoked, returned, outcome, note };
        if record.is_acked_write() {
            self.known.on_ack(returned);
        }
        self.afterwards(node, link, &record, reply.is_ok());
        self.records.push(record);
    }

    /// Keeps the connection, or gives it up.
    fn afterwards(&mut self, node: usize, link: Link, record: &Record, answered: bool) {
        let refused = record.outcome == Outcome::Refused;
        let is_replica = record.note.as_deref().is_some_and(|note| note.starts_with("READONLY"));
        let stays = answered && !is_replica && !(refused && self.rng.u32(0..MOVES) == 0);
        if stays {
            self.link = Some((node, link));
        } else {
            self.go_on();
        }
        if record.outcome != Outcome::Acked {
            std::thread::sleep(PAUSE);
        }
    }

    fn choose(&mut self) -> (Kind, u32, u32) {
        let key = self.rng.u32(0..self.options.keys);
        let value = self.values.fetch_add(1, Relaxed);
        let kind = match self.rng.u8(0..10) {
            _ if self.options.plain => Kind::Add,
            0..3 => Kind::Set,
            3..6 => Kind::Get,
            6..8 => Kind::Add,
            8 => Kind::Count,
            _ => Kind::Append,
        };
        match kind {
            Kind::Append => (kind, u32::from(self.number), value),
            Kind::Get | Kind::Count => (kind, key, 0),
            _ => (kind, key, value),
        }
    }
}

fn words(tag: &str, kind: Kind, key: u32, value: u32) -> Vec<String> {
    let (command, name) = match kind {
        Kind::Set => ("SET", "reg"),
        Kind::Get => ("GET", "reg"),
        Kind::Add => ("SADD", "set"),
        Kind::Count => ("INCR", "count"),
        Kind::Append => ("RPUSH", "list"),
    };
    let mut words = vec![command.to_owned(), format!("{tag}:{name}:{key}")];
    if !matches!(kind, Kind::Get | Kind::Count) {
        words.push(value.to_string());
    }
    words
}
