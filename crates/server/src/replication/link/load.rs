//! Taking over the primary's snapshot: parsed as it comes, into the emptied keyspace.

use super::session::{SessionError, Wire};
use super::{Phase, State, gate, new_id};
use crate::shared::{Shared, unix_ms};
use redoubt_persistence::rdb::{KeyRecord, Reader, Record};
use redoubt_replication::{Header, Payload, ReplId, header};
use redoubt_store::Txn;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Time between two signs of life to the primary.
const SIGN: Duration = Duration::from_secs(1);

/// Receives a snapshot of the stream of this id at this offset; of a primary that knows neither, of a history of ours.
pub(super) fn take_over(
    shared: &Arc<Shared>,
    state: &Arc<State>,
    wire: &mut Wire,
    place: Option<(ReplId, u64)>,
) -> Result<(), SessionError> {
    state.sync_total.store(-1, Relaxed);
    state.sync_read.store(0, Relaxed);
    state.set_phase(Phase::Sync);
    let payload = await_header(state, wire)?;
    if let Payload::Sized(size) = payload {
        state.sync_total.store(size as i64, Relaxed);
    }
    let _busy = state.busy.lock();
    if state.is_over() {
        return Ok(());
    }
    let replication = &shared.replication;
    // Its files are of data that are about to go; they stay as they are until there are others.
    crate::aof::rewrite::disable(shared);
    // Our replicas' data is about to go, and nobody may take what we have meanwhile for the primary's.
    replication.drop_feeds(shared);
    replication.distrust();
    replication.set_gate(gate::LOADING, true);
    let (id, offset) = place.unwrap_or_else(|| (new_id(), 0));
    empty(shared, offset, 0);
    let loaded = receive(shared, state, wire, payload);
    match &loaded {
        Ok(Received { db, epoch }) => {
            state.db.store(*db, Relaxed);
            shared.log.set_epoch(offset, *epoch);
            replication.history.lock().restart(id);
            replication.open_backlog(shared, &shared.values());
            shared.log.set_db(*db);
            replication.deployment.fill();
            replication.name_stream(shared);
            restart_append_only(shared);
            tracing::info!("MASTER <-> REPLICA sync: Finished with success");
        }
        // What has come is a part of the primary's data, which is worse than none.
        Err(_) => empty(shared, offset, 0),
    }
    replication.set_gate(gate::LOADING, false);
    loaded.map(drop)
}

/// Begins to append again, where a full sync had to stop that.
pub(in crate::replication) fn restart_append_only(shared: &Arc<Shared>) {
    if shared.values().appendonly && !shared.aof.is_on() && crate::aof::rewrite::enable(shared).is_err() {
        tracing::error!("the append-only file could not be begun again");
    }
}

fn await_header(state: &State, wire: &mut Wire) -> Result<Payload, SessionError> {
    loop {
        match header(&wire.input) {
            Header::Begins { skip, payload } => {
                wire.input.drain(..skip);
                return Ok(payload);
            }
            Header::Incomplete { skip } => drop(wire.input.drain(..skip)),
            Header::Refused(text) => {
                return Err(SessionError::Other(format!("the primary gave the snapshot up: {text}")));
            }
            Header::Malformed => {
                return Err(SessionError::Other("what comes is no snapshot".into()));
            }
        }
        wire.fill(state, SIGN)?;
        if state.is_over() {
            return Err(SessionError::Other("stopped".into()));
        }
    }
}

/// Removes all data; the log goes on at `offset`, with what is written in `epoch`.
fn empty(shared: &Shared, offset: u64, epoch: u64) {
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::new());
    txn.acquire(shared.keyspace.all_partitions());
    for db in 0..shared.keyspace.databases() {
        txn.flush(db);
    }
    shared.replication.own_keys.clear();
    // Whoever reads what comes has seen all of the stream up to there.
    txn.set_log_offset(offset);
    shared.log.restart(offset, epoch);
    shared.replication.backlog.restart(offset);
    crate::dispatch::blocking::post_rechecks(&mut txn);
    txn.release();
    txn.garbage.drain(..).for_each(|garbage| shared.free_lazily(garbage));
}

/// What a snapshot says of the stream it was taken from.
#[derive(Default)]
struct Received {
    /// The database it was at.
    db: usize,
    /// The epoch of its last record.
    epoch: u64,
}

/// Loads the snapshot.
fn receive(
    shared: &Shared,
    state: &State,
    wire: &mut Wire,
    payload: Payload,
) -> Result<Received, SessionError> {
    let values = shared.values();
    let mut incoming = Incoming { state, wire, payload, free: 0, ended: false, signed: Instant::now() };
    let mut reader = Reader::new(&mut incoming, values.commands.encoding)?;
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::new());
    txn.clock.lfu = values.commands.lfu;
    let (mut received, mut functions) = (Received::default(), Vec::new());
    for record in &mut reader {
        match record? {
            Record::Key(record) => insert(shared, &mut txn, *record)?,
            Record::Aux(name, value) => received.note(&name, &value),
            Record::Function(library) => functions.push(library),
            Record::Select(_) | Record::Resize { .. } | Record::End => {}
        }
    }
    drop(reader);
    incoming.finish()?;
    shared.loading.keep_functions(functions);
    Ok(received)
}

impl Received {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        let number = || -> u64 { String::from_utf8_lossy(value).parse().unwrap_or(0) };
        match name {
            b"repl-stream-db" => self.db = number() as usize,
            b"redoubt-epoch" => self.epoch = number(),
            _ => {}
        }
    }
}

fn insert(shared: &Shared, txn: &mut Txn<'_>, record: KeyRecord) -> Result<(), SessionError> {
    let db = usize::try_from(record.db).unwrap_or(usize::MAX);
    if db >= shared.keyspace.databases() {
        return Err(SessionError::Other("the primary has more databases".into()));
    }
    txn.set_db(db);
    let key = txn.key(&record.key);
    txn.acquire_one(shared.keyspace.partition_of(key.slot));
    txn.insert(&key, record.value, record.expire_ms);
    txn.set_access(&key, record.idle_s, record.frequency);
    crate::dispatch::blocking::post_rechecks(txn);
    txn.events.clear();
    txn.release();
    Ok(())
}

/// The bytes of the snapshot among those of the connection.
struct Incoming<'a> {
    state: &'a State,
    wire: &'a mut Wire,
    payload: Payload,
    /// Bytes at the front of the input that belong to it.
    free: usize,
    /// They are the last ones.
    ended: bool,
    signed: Instant,
}

impl Incoming<'_> {
    /// Makes sure that `free` is not 0, unless this is the end.
    fn advance(&mut self) -> io::Result<()> {
        while self.free == 0 && !self.ended {
            let scan = self.payload.scan(&self.wire.input);
            self.payload.advance(scan.free);
            self.free = scan.free;
            if let Some(mark) = scan.end {
                self.wire.input.drain(scan.free..scan.free + mark);
                self.ended = true;
            } else if scan.free == 0 {
                self.await_more()?;
            }
        }
        Ok(())
    }

    fn await_more(&mut self) -> io::Result<()> {
        if self.state.is_over() {
            return Err(io::Error::other("stopped"));
        }
        if self.signed.elapsed() >= SIGN {
            self.signed = Instant::now();
            // The primary must not think that nobody is there.
            self.wire.stream.write_all(b"\n")?;
        }
        self.wire.fill(self.state, SIGN).map(drop)
    }

    /// Passes over what is left after the snapshot's own end.
    fn finish(mut self) -> io::Result<()> {
        let mut rest = [0; 4096];
        while self.read(&mut rest)? > 0 {}
        Ok(())
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.advance()?;
        let count = self.free.min(out.len());
        out[..count].copy_from_slice(&self.wire.input[..count]);
        self.wire.input.drain(..count);
        self.free -= count;
        self.state.sync_read.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}
