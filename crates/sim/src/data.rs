//! The data plane in small: a log of records that is streamed to followers, replies that wait for the commit offset, and a
//! disk that holds what the fsync policy says. Its offsets count records.

use fastrand::Rng;
use redoubt_ha::agent::Writes;
use redoubt_ha::{Epoch, NodeId, Position, Process, Rule, Rules, Span, Time};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Keys the clients use.
pub(crate) const KEYS: usize = 4;

/// Records a primary can send again; who is further behind needs everything.
const BACKLOG: usize = 60;

/// How long a follower waits for the stream before it asks again.
const STREAM_TIMEOUT: Span = Span::millis(300);

/// How long a primary waits for an acknowledgement before it sends again.
const RESEND: Span = Span::millis(100);

/// How often a primary with nothing to send says so.
const KEEP_ALIVE: Span = Span::millis(60);

/// How long it waits for everything.
const SNAPSHOT_TIMEOUT: Span = Span::millis(700);

/// One write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) epoch: Epoch,
    pub(crate) key: u8,
    pub(crate) value: u32,
}

/// What reaches the disk, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fsync {
    /// Nothing is written.
    Off,
    /// Now and then.
    EverySecond,
    /// Before a write is acknowledged to anybody.
    Always,
}

#[derive(Debug, Clone)]
pub(crate) enum DataMessage {
    /// A follower asks for the stream from its position; from nothing: for everything.
    Sync { from: Process, epoch: Epoch, session: u64, position: Option<Position> },
    /// It cannot go on from there.
    NeedFull { session: u64 },
    /// Everything up to a point.
    Snapshot { session: u64, records: Rc<[Record]> },
    /// The stream.
    Records { session: u64, start: usize, records: Rc<[Record]> },
    /// A follower has everything up to here.
    Ack { from: Process, epoch: Epoch, offset: usize },
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Read(u8),
    Write(u8, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The value read or written.
    Done(u32),
    /// The same, of a primary that waits for nobody.
    AtOnce(u32),
    /// It was not executed.
    Refused,
    /// It may have been executed.
    Closed,
}

/// A reply that waits, or has just left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) client: usize,
    pub(crate) op: u64,
    pub(crate) required: usize,
    pub(crate) value: u32,
}

#[derive(Debug)]
struct Follower {
    process: Process,
    session: u64,
    sent: usize,
    acked: usize,
    /// When something was last sent.
    fed: Time,
    /// Since when it has acknowledged nothing of what was sent.
    waiting: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Rest,
    Follow { primary: Process, epoch: Epoch },
    Lead { epoch: Epoch },
}

/// What goes out: to whom, what, and how much longer it takes than other messages.
pub(crate) type Out = Vec<(NodeId, DataMessage, u64)>;

#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) log: Vec<Record>,
    /// Value and offset of each key's last write.
    latest: [(u32, usize); KEYS],
    /// Whether the log is whole: not in the middle of a full resync.
    pub(crate) loaded: bool,
    pub(crate) disk: Vec<Record>,
    fsync: Fsync,
    rules: Rules,
    role: Role,
    session: u64,
    /// The session with the primary before this one: refused, if the rules hold.
    former: Option<(u64, Epoch, Process)>,
    streaming: bool,
    /// The data is about to be discarded: nothing is asked for or acknowledged.
    silent: bool,
    heard: Time,
    followers: BTreeMap<NodeId, Follower>,
    pub(crate) serving: bool,
    pub(crate) serve_until: Time,
    /// How many copies were asked for when the commit offset moved last.
    pub(crate) copies: usize,
    writes: Writes,
    /// Up to where replies may leave; nothing: all of them, at once.
    hold: Option<usize>,
    pending: Vec<Pending>,
    /// This process, as the data plane knows it.
    pub(crate) me: Process,
}

impl Data {
    pub(crate) fn new(me: Process, disk: Vec<Record>, fsync: Fsync, rules: Rules, session: u64) -> Data {
        let mut data = Data {
            log: Vec::new(),
            latest: [(0, 0); KEYS],
            loaded: true,
            disk: disk.clone(),
            fsync,
            rules,
            role: Role::Rest,
            session,
            former: None,
            streaming: false,
            silent: false,
            heard: Time(0),
            followers: BTreeMap::new(),
            serving: false,
            serve_until: Time(0),
            copies: 1,
            writes: Writes::Refused,
            hold: None,
            pending: Vec::new(),
            me,
        };
        for record in disk {
            data.push(record);
        }
        data
    }

    pub(crate) fn position(&self) -> Option<Position> {
        let epoch = self.log.last().map_or(Epoch(0), |record| record.epoch);
        self.loaded.then_some(Position { epoch, offset: self.log.len() as u64 })
    }

    /// For traces: the stream as both ends see it.
    pub(crate) fn link(&self) -> String {
        let followers = self.followers.iter().map(|(node, one)| {
            format!("{node}: {} session {} sent {} acked {}", one.process, one.session, one.sent, one.acked)
        });
        let followers: Vec<String> = followers.collect();
        let (session, silent, loaded) = (self.session, self.silent, self.loaded);
        format!("session {session} silent {silent} loaded {loaded} followers {followers:?}")
    }

    /// Whether a reply could leave now.
    pub(crate) fn can_acknowledge(&self, now: Time) -> bool {
        self.serving && now < self.serve_until && matches!(self.role, Role::Lead { .. })
    }

    pub(crate) fn leads(&self) -> Option<Epoch> {
        match self.role {
            Role::Lead { epoch } => Some(epoch),
            _ => None,
        }
    }

    fn push(&mut self, record: Record) {
        self.log.push(record);
        self.latest[record.key as usize] = (record.value, self.log.len());
    }

    fn changed(&mut self) {
        if self.fsync == Fsync::Always {
            self.sync();
        }
    }

    /// Brings the disk up to the log. A log that was begun anew replaces the old one as a whole.
    pub(crate) fn sync(&mut self) {
        if self.fsync == Fsync::Off || !self.loaded {
            return;
        }
        let is_prefix = self.disk.len() <= self.log.len()
            && self.disk.last() == self.disk.len().checked_sub(1).map(|last| &self.log[last]);
        if !is_prefix {
            self.disk.clear();
        }
        self.disk.extend_from_slice(&self.log[self.disk.len()..]);
    }

    /// What the disk holds after a crash: what was synced, and perhaps a part of the rest.
    pub(crate) fn crashed(mut self, rng: &mut Rng) -> Vec<Record> {
        if self.fsync == Fsync::EverySecond && self.loaded && rng.bool() {
            let keeps = rng.usize(0..=self.log.len());
            if keeps > self.disk.len() {
                self.log.truncate(keeps);
                self.sync();
            }
        }
        self.disk
    }

    pub(crate) fn lead(&mut self, me: Process, epoch: Epoch) {
        self.me = me;
        self.role = Role::Lead { epoch };
        self.followers.clear();
    }

    pub(crate) fn follow(&mut self, me: Process, primary: Process, epoch: Epoch) {
        self.me = me;
        if let Role::Follow { primary, epoch } = self.role {
            self.former = Some((self.session, epoch, primary));
        }
        self.role = Role::Follow { primary, epoch };
        self.end_session();
    }

    pub(crate) fn rest(&mut self) {
        self.role = Role::Rest;
        self.end_session();
    }

    pub(crate) fn new_life(&mut self, me: Process) {
        self.me = me;
        self.end_session();
        self.silent = true;
    }

    fn end_session(&mut self) {
        self.session += 1;
        (self.streaming, self.silent, self.heard) = (false, false, Time(0));
    }

    pub(crate) fn discard(&mut self) {
        self.log.clear();
        self.latest = [(0, 0); KEYS];
        self.loaded = false;
        self.end_session();
    }

    pub(crate) fn serve(&mut self, until: Time) {
        (self.serving, self.serve_until) = (true, until);
    }

    /// Nothing leaves any more; gives whom to close.
    pub(crate) fn fence(&mut self) -> Vec<Pending> {
        self.serving = false;
        std::mem::take(&mut self.pending)
    }

    /// Holds back replies that tell of what is not committed, or no longer.
    pub(crate) fn set_hold(&mut self, holds: bool, committed: Option<(usize, usize)>) {
        if holds == self.hold.is_some() {
            return;
        }
        self.hold = holds.then_some(0);
        if let Some(committed) = committed {
            self.commit(committed);
        }
    }

    /// Everything up to here is committed, when so many copies were asked for.
    pub(crate) fn commit(&mut self, (offset, copies): (usize, usize)) {
        if self.hold.is_some_and(|held| held < offset) {
            (self.hold, self.copies) = (Some(offset), copies);
        }
    }

    /// What is not held back is judged by what is asked for now.
    pub(crate) fn note_copies(&mut self, copies: usize) {
        if self.hold.is_none() {
            self.copies = copies;
        }
    }

    pub(crate) fn set_writes(&mut self, writes: Writes) {
        self.writes = writes;
    }

    /// Replies that may leave now.
    pub(crate) fn release(&mut self, now: Time) -> Vec<Pending> {
        if !self.can_acknowledge(now) {
            return Vec::new();
        }
        let held = self.hold.unwrap_or(usize::MAX);
        let (leave, stay) = self.pending.iter().partition(|pending| pending.required <= held);
        self.pending = stay;
        leave
    }

    /// Executes a request; its reply waits, unless it is refused.
    pub(crate) fn request(&mut self, now: Time, client: usize, op: u64, ask: Ask, out: &mut Out) -> bool {
        let Role::Lead { epoch } = self.role else { return false };
        if !self.can_acknowledge(now) {
            return false;
        }
        let (value, required) = match ask {
            Ask::Read(key) => self.latest[key as usize],
            Ask::Write(key, value) => {
                if self.writes != Writes::Allowed {
                    return false;
                }
                self.push(Record { epoch, key, value });
                self.changed();
                self.feed(now, out);
                (value, self.log.len())
            }
        };
        self.pending.push(Pending { client, op, required, value });
        true
    }

    fn feed(&mut self, now: Time, out: &mut Out) {
        let end = self.log.len();
        let nodes: Vec<NodeId> = self.followers.keys().copied().collect();
        for node in nodes {
            let Some(follower) = self.followers.get_mut(&node) else { continue };
            if follower.acked >= follower.sent {
                follower.waiting = now;
            }
            let start = follower.sent.min(end);
            follower.sent = end;
            follower.fed = now;
            let records = self.log[start..].into();
            out.push((node, DataMessage::Records { session: follower.session, start, records }, 0));
        }
    }

    /// Asks for the stream, or sends again what was not acknowledged.
    pub(crate) fn tick(&mut self, now: Time, out: &mut Out) {
        match self.role {
            Role::Rest => {}
            Role::Follow { primary, epoch } => {
                let patience = if self.loaded { STREAM_TIMEOUT } else { SNAPSHOT_TIMEOUT };
                let is_due = now.since(self.heard) > patience || self.heard == Time(0);
                if is_due && !self.silent {
                    self.end_session();
                    self.heard = now;
                    let position = self.position();
                    let sync = DataMessage::Sync { from: self.me, epoch, session: self.session, position };
                    out.push((primary.node, sync, 0));
                }
            }
            Role::Lead { .. } => {
                for follower in self.followers.values_mut() {
                    if follower.acked < follower.sent && now.since(follower.waiting) > RESEND {
                        (follower.sent, follower.waiting) = (follower.acked, now);
                        follower.fed = Time(0);
                    }
                }
                let quiet = |follower: &Follower| now.since(follower.fed) > KEEP_ALIVE;
                if self.followers.values().any(quiet) {
                    self.feed(now, out);
                }
            }
        }
    }

    fn fits(&self, position: Position) -> bool {
        let offset = position.offset as usize;
        let matches =
            offset == 0 || self.log.get(offset - 1).is_some_and(|last| last.epoch == position.epoch);
        matches && offset <= self.log.len() && self.log.len() - offset <= BACKLOG
    }

    pub(crate) fn on_sync(&mut self, now: Time, sync: DataMessage, out: &mut Out, rng: &mut Rng) {
        let DataMessage::Sync { from, epoch, session, position } = sync else { return };
        // Who has not applied this epoch yet, or knows a newer one, is not served.
        if self.role != (Role::Lead { epoch }) {
            return;
        }
        // A connection is asked for once, whatever the network does to the message.
        let known = self.followers.get(&from.node);
        if known.is_some_and(|known| known.process == from && known.session >= session) {
            return;
        }
        let sent = match position {
            Some(position) if self.fits(position) => position.offset as usize,
            Some(_) => return out.push((from.node, DataMessage::NeedFull { session }, 0)),
            None => {
                let records: Rc<[Record]> = self.log[..].into();
                let transfer = rng.u64(20_000..200_000);
                out.push((from.node, DataMessage::Snapshot { session, records }, transfer));
                self.log.len()
            }
        };
        // A snapshot is under way for a while: the stream is sent again until it is acknowledged.
        let follower = Follower { process: from, session, sent, acked: sent, fed: now, waiting: now };
        self.followers.insert(from.node, follower);
        self.feed(now, out);
    }

    /// On a follower: something of the stream. Gives what to acknowledge, and in which epoch.
    pub(crate) fn on_stream(&mut self, now: Time, message: DataMessage) -> Option<(Process, Epoch)> {
        let Role::Follow { primary, epoch } = self.role else { return self.on_former(&message) };
        let session = match &message {
            DataMessage::Records { session, .. } | DataMessage::Snapshot { session, .. } => *session,
            _ => return None,
        };
        if session != self.session {
            return self.on_former(&message);
        }
        if self.loaded {
            self.heard = now;
        }
        self.streaming = true;
        match message {
            DataMessage::Snapshot { records, .. } if !self.loaded => {
                self.loaded = true;
                records.iter().for_each(|record| self.push(*record));
                self.changed();
            }
            DataMessage::Records { start, records, .. } => self.append(start, &records)?,
            _ => {}
        }
        self.loaded.then_some((primary, epoch))
    }

    /// Rule 5 broken: a stream of an older epoch is still taken.
    fn on_former(&mut self, message: &DataMessage) -> Option<(Process, Epoch)> {
        let (former, epoch, primary) = self.former?;
        let DataMessage::Records { session, start, records } = message else { return None };
        if self.rules.hold(Rule::OldStreams) || *session != former || self.streaming {
            return None;
        }
        self.append(*start, records)?;
        Some((primary, epoch))
    }

    fn append(&mut self, start: usize, records: &[Record]) -> Option<()> {
        if !self.loaded || start > self.log.len() {
            return None;
        }
        let known = self.log.len() - start;
        records.iter().skip(known).for_each(|record| self.push(*record));
        self.changed();
        Some(())
    }

    /// Whether the answer to the current session is that everything is needed, and in which epoch that was said.
    pub(crate) fn needs_full(&self, session: u64) -> Option<Epoch> {
        match self.role {
            Role::Follow { epoch, .. } if session == self.session => Some(epoch),
            _ => None,
        }
    }

    /// On a primary.
    pub(crate) fn on_ack(&mut self, now: Time, from: Process, offset: usize) {
        if let Some(follower) = self.followers.get_mut(&from.node)
            && follower.process == from
            && follower.acked < offset
        {
            (follower.acked, follower.waiting) = (offset, now);
        }
    }
}
