//! Opening the file, and what a node must remember of itself.

use super::super::codec::{self, CodecError, Kind};
use super::super::types::{Entry, Facts, LogId, Snapshot, SnapshotMeta};
use super::disk::{self, Disk, DiskEnd, LOG, META, Write, other};
use super::file::{Patient, Room};
use super::log::{LogStore, State};
use super::machine::{Applied, Machine};
use openraft::entry::RaftEntry;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The file in the data directory.
const FILE: &str = "raft.redb";

/// What redb may cache; the log is in memory anyway.
const CACHE_BYTES: usize = 4 << 20;

/// What a node remembers of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::raft) struct Identity {
    /// The node's id, for as long as it has this file.
    pub(in crate::raft) node: u64,
    /// Counts the starts of the process, and whatever else begins a new life of its data.
    pub(in crate::raft) incarnation: u64,
    /// The deployment it belongs to, once it does.
    pub(in crate::raft) cluster: Option<u128>,
    /// What others ask to be remembered, by name.
    pub(in crate::raft) notes: BTreeMap<String, Vec<u8>>,
}

/// The identity, and the way to change it.
#[derive(Debug)]
pub(in crate::raft) struct IdentityStore {
    identity: tokio::sync::Mutex<Identity>,
    disk: Disk,
}

impl IdentityStore {
    /// The identity as it is.
    pub(in crate::raft) async fn now(&self) -> Identity {
        self.identity.lock().await.clone()
    }

    /// Changes it; on return the change is on the disk.
    pub(in crate::raft) async fn change(&self, change: impl FnOnce(&mut Identity)) -> io::Result<Identity> {
        let mut identity = self.identity.lock().await;
        let mut new = identity.clone();
        change(&mut new);
        let bytes = codec::encode(Kind::Identity, &new)?;
        self.disk.write(Write::Put(vec![(disk::IDENTITY, bytes)])).await?;
        *identity = new.clone();
        Ok(new)
    }
}

/// An open file.
#[derive(Debug)]
pub(in crate::raft) struct Store<F: Facts> {
    pub(in crate::raft) log: LogStore,
    pub(in crate::raft) machine: Machine<F>,
    /// Everything the machine applies, from its snapshot on.
    pub(in crate::raft) applied: UnboundedReceiver<Applied<F>>,
    /// As it is from this start on.
    pub(in crate::raft) identity: Identity,
    pub(in crate::raft) identities: Arc<IdentityStore>,
    /// Closes the file.
    pub(in crate::raft) disk: DiskEnd,
}

impl<F: Facts> Store<F> {
    /// Opens the file in this directory, or makes one, for a node with a new id. The incarnation is a new one, and is on
    /// the disk.
    ///
    /// # Errors
    /// When the directory cannot be used, the file is locked by another process, or is damaged. The text names the file.
    pub(in crate::raft) fn open(directory: &Path, new_id: impl FnOnce() -> u64) -> io::Result<Store<F>> {
        let path = directory.join(FILE);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if !path.exists() {
            create(directory, new_id()).map_err(named)?;
        }
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let room = Arc::default();
        let file = Patient::open(&path, &room).map_err(named)?;
        let database = builder.create_with_backend(file).map_err(other).map_err(named)?;
        open_on(database, room).map_err(named)
    }
}

/// Sets aside what a node knows that was removed from its group for good. It is not to be used again: whoever opens the
/// directory next is another node.
///
/// # Errors
/// When the directory cannot be written.
pub(crate) fn discard(directory: &Path) -> io::Result<()> {
    std::fs::rename(directory.join(FILE), directory.join("raft.redb.forgotten"))?;
    std::fs::File::open(directory)?.sync_all()
}

/// A file is there whole or not at all: it is made under another name first.
fn create(directory: &Path, node: u64) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let (path, new): (PathBuf, PathBuf) = (directory.join(FILE), directory.join("raft.redb.new"));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let database = Database::builder().create(&new).map_err(other)?;
    put_identity(&database, &Identity { node, ..Identity::default() })?;
    drop(database);
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::rename(&new, &path)?;
    std::fs::File::open(directory)?.sync_all()
}

pub(super) fn put_identity(database: &Database, identity: &Identity) -> io::Result<()> {
    let bytes = codec::encode(Kind::Identity, identity)?;
    let mut transaction = database.begin_write().map_err(other)?;
    transaction.set_durability(Durability::Immediate).map_err(other)?;
    transaction.set_two_phase_commit(true);
    transaction.open_table(LOG).map_err(other)?;
    let mut meta = transaction.open_table(META).map_err(other)?;
    meta.insert(disk::IDENTITY, bytes.as_slice()).map_err(other)?;
    drop(meta);
    transaction.commit().map_err(other)
}

/// Opens a node's storage on a database that has an identity.
pub(in crate::raft) fn open_on<F: Facts>(database: Database, room: Arc<Room>) -> io::Result<Store<F>> {
    let (state, snapshot, mut identity) = load(&database)?;
    identity.incarnation += 1;
    put_identity(&database, &identity)?;
    let (disk, end) = Disk::start(database, room)?;
    let (told, applied) = unbounded_channel();
    let machine = Machine::new(snapshot, disk.clone(), told)?;
    let log = LogStore::new(state, disk.clone());
    let identities = Arc::new(IdentityStore { identity: tokio::sync::Mutex::new(identity.clone()), disk });
    Ok(Store { log, machine, applied, identity, identities, disk: end })
}

fn load(database: &Database) -> io::Result<(State, Option<Snapshot>, Identity)> {
    let transaction = database.begin_read().map_err(other)?;
    let identity: Option<Identity> = meta(&transaction, disk::IDENTITY, Kind::Identity)?;
    let identity = identity.ok_or_else(|| damaged("there is no identity"))?;
    let purged: Option<LogId> = meta(&transaction, disk::PURGED, Kind::LogId)?;
    let committed: Option<Option<LogId>> = meta(&transaction, disk::COMMITTED, Kind::LogId)?;
    let vote = meta(&transaction, disk::VOTE, Kind::Vote)?;
    let mut entries = BTreeMap::new();
    let table = transaction.open_table(LOG).map_err(other)?;
    for row in table.iter().map_err(other)? {
        let (index, bytes) = row.map_err(other)?;
        let entry: Entry = codec::decode(Kind::Entry, bytes.value())
            .map_err(|error| damaged(&format!("entry {}: {error}", index.value())))?;
        entries.insert(index.value(), entry);
    }
    check(&entries, purged)?;
    let last = entries.last_key_value().map(|(_, entry)| entry.log_id()).or(purged);
    // Written lazily, so it may be older than the log, and after a truncation never newer.
    let committed = committed.flatten().filter(|committed| last >= Some(*committed));
    let snapshot_meta: Option<SnapshotMeta> = meta(&transaction, disk::SNAPSHOT_META, Kind::SnapshotMeta)?;
    let snapshot = match snapshot_meta {
        None => None,
        Some(meta) => {
            let bytes = value(&transaction, disk::SNAPSHOT)?;
            let bytes = bytes.ok_or_else(|| damaged("the snapshot is missing"))?;
            Some(Snapshot { meta, snapshot: Arc::new(bytes) })
        }
    };
    Ok((State { entries, purged, vote, committed }, snapshot, identity))
}

/// Entries follow each other without a hole, from behind what was purged.
fn check(entries: &BTreeMap<u64, Entry>, purged: Option<LogId>) -> io::Result<()> {
    let mut expected = purged.map(|id| id.index + 1);
    for (&index, entry) in entries {
        if entry.log_id.index != index || expected.is_some_and(|expected| expected != index) {
            return Err(damaged(&format!("entry {index} is not where it should be")));
        }
        expected = Some(index + 1);
    }
    Ok(())
}

fn value(transaction: &ReadTransaction, name: &str) -> io::Result<Option<Vec<u8>>> {
    let table = transaction.open_table(META).map_err(other)?;
    Ok(table.get(name).map_err(other)?.map(|bytes| bytes.value().to_vec()))
}

fn meta<T: DeserializeOwned>(transaction: &ReadTransaction, name: &str, kind: Kind) -> io::Result<Option<T>> {
    let bytes = value(transaction, name)?;
    let decoded: Option<Result<T, CodecError>> = bytes.map(|bytes| codec::decode(kind, &bytes));
    decoded.transpose().map_err(|error| damaged(&format!("{name}: {error}")))
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the Raft log is damaged: {what}"))
}
