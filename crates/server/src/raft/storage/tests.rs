//! Storage: openraft's own suite, restarts, kills, damage, disks that fail.

use super::super::scratch::Scratch;
use super::super::types::{Entry, Facts, LogId, Proposal, Types, Vote};
use super::log::LogStore;
use super::open::open_on;
use super::*;
use openraft::RaftLogReader;
use openraft::StorageError;
use openraft::entry::{EntryPayload, RaftEntry};
use openraft::storage::{
    IOFlushed, RaftLogStorage, RaftLogStorageExt, RaftSnapshotBuilder, RaftStateMachine,
};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::vote::RaftLeaderId;
use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A sum; its outcome is what it was before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::raft) struct Sum(pub(in crate::raft) u64);

impl Facts for Sum {
    type Entry = u64;
    type Outcome = u64;

    fn apply(&mut self, entry: &u64) -> u64 {
        let before = self.0;
        self.0 += entry;
        before
    }
}

struct Fresh;

impl StoreBuilder<Types, LogStore, Machine<Sum>> for Fresh {
    async fn build(&self) -> Result<((), LogStore, Machine<Sum>), StorageError<Types>> {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        open::put_identity(&database, &Identity { node: 1, ..Identity::default() }).unwrap();
        let store = open_on(database, Arc::default()).unwrap();
        Ok(((), store.log, store.machine))
    }
}

#[test]
fn openrafts_own_suite_passes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Suite::test_all(Fresh)).unwrap();
}

fn id(term: u64, index: u64) -> LogId {
    let leader = <Types as openraft::RaftTypeConfig>::LeaderId::new(term, 7).to_committed();
    LogId::new(leader, index)
}

fn entry(term: u64, index: u64) -> Entry {
    Entry::new(id(term, index), EntryPayload::Normal(Proposal::new(&index).unwrap()))
}

fn open(path: &Path) -> Store<Sum> {
    Store::open(path, || 5).unwrap()
}

/// Ends the store as a process that ends: everything queued is written.
async fn close(store: Store<Sum>) {
    store.disk.stop().await;
}

fn stream(
    entries: Vec<Entry>,
) -> impl futures_util::Stream<Item = io::Result<(Entry, Option<Responder>)>> + Unpin {
    futures_util::stream::iter(entries.into_iter().map(|entry| Ok((entry, None))))
}

type Responder = openraft::storage::ApplyResponder<Types>;

#[tokio::test]
async fn everything_is_there_after_a_start() {
    let scratch = Scratch::new("raft-restart");
    let mut store = open(scratch.path());
    assert_eq!((store.identity.node, store.identity.incarnation), (5, 1));
    assert!(!store.log.is_initialised());
    let vote = Vote::new(3, 7);
    store.log.save_vote(&vote).await.unwrap();
    store.log.blocking_append((0..10).map(|index| entry(2, index))).await.unwrap();
    store.log.truncate_after(Some(id(2, 7))).await.unwrap();
    store.log.blocking_append([entry(3, 8)]).await.unwrap();
    store.machine.apply(stream((0..=5).map(|index| entry(2, index)).collect())).await.unwrap();
    store.machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    store.log.purge(id(2, 3)).await.unwrap();
    store.log.save_committed(Some(id(3, 8))).await.unwrap();
    store.identities.change(|identity| identity.cluster = Some(99)).await.unwrap();
    close(store).await;

    let mut store = open(scratch.path());
    assert_eq!((store.identity.node, store.identity.incarnation), (5, 2));
    assert_eq!(store.identity.cluster, Some(99));
    assert!(store.log.is_initialised());
    assert_eq!(store.log.read_vote().await.unwrap(), Some(vote));
    assert_eq!(store.log.read_committed().await.unwrap(), Some(id(3, 8)));
    let state = store.log.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(2, 3)), Some(id(3, 8))));
    let entries = store.log.try_get_log_entries(..).await.unwrap();
    let expected: Vec<Entry> = (4..8).map(|index| entry(2, index)).chain([entry(3, 8)]).collect();
    assert_eq!(entries, expected);
    assert_eq!(store.machine.applied_state().await.unwrap().0, Some(id(2, 5)));
    assert_eq!(*store.applied.try_recv().unwrap().facts, Sum(15));
    close(store).await;
}

#[tokio::test]
async fn a_killed_process_has_what_was_acknowledged() {
    let scratch = Scratch::new("raft-killed");
    let copy = scratch.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let mut store = open(scratch.path());
    for index in 0..20 {
        store.log.blocking_append([entry(1, index)]).await.unwrap();
        store.log.save_vote(&Vote::new(index, 7)).await.unwrap();
        // What a kill leaves is the file as it is now, not closed.
        std::fs::copy(scratch.path().join("raft.redb"), copy.join("raft.redb")).unwrap();
        let mut found = open(&copy);
        let state = found.log.get_log_state().await.unwrap();
        assert_eq!(state.last_log_id, Some(id(1, index)));
        assert_eq!(found.log.read_vote().await.unwrap(), Some(Vote::new(index, 7)));
        close(found).await;
    }
    close(store).await;
}

#[tokio::test]
async fn a_second_process_is_refused_and_damage_is_named() {
    let scratch = Scratch::new("raft-damage");
    let store = open(scratch.path());
    let error = Store::<Sum>::open(scratch.path(), || 5).unwrap_err().to_string();
    assert!(error.contains("raft.redb"), "{error}");
    close(store).await;
    let path = scratch.path().join("raft.redb");
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(disk::LOG).unwrap().insert(3, b"nonsense".as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::<Sum>::open(scratch.path(), || 5).unwrap_err().to_string();
    assert!(error.contains("entry 3") && error.contains("raft.redb"), "{error}");
    std::fs::write(&path, b"not a database").unwrap();
    assert!(Store::<Sum>::open(scratch.path(), || 5).is_err());
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A disk that works until it is told not to.
#[derive(Debug)]
struct Failing {
    memory: InMemoryBackend,
    fails: Arc<AtomicBool>,
    error: i32,
}

impl Failing {
    fn check(&self) -> io::Result<()> {
        if self.fails.load(Relaxed) { Err(io::Error::from_raw_os_error(self.error)) } else { Ok(()) }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check().and_then(|()| self.memory.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check().and_then(|()| self.memory.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check().and_then(|()| self.memory.write(offset, data))
    }
}

/// A store in memory whose disk fails as soon as the flag is set.
pub(in crate::raft) fn failing() -> (Store<Sum>, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let backend = Failing { memory: InMemoryBackend::new(), fails: Arc::clone(&fails), error: EIO };
    let database = Database::builder().create_with_backend(backend).unwrap();
    open::put_identity(&database, &Identity { node: 5, ..Identity::default() }).unwrap();
    (open_on(database, Arc::default()).unwrap(), fails)
}

#[tokio::test]
async fn a_failing_disk_is_an_error_for_good() {
    let (mut store, fails) = failing();
    store.log.blocking_append([entry(1, 0)]).await.unwrap();
    fails.store(true, Relaxed);
    assert!(store.log.blocking_append([entry(1, 1)]).await.is_err());
    // Nothing is acknowledged from here on, even if the disk seems to work again: what it holds is not known.
    fails.store(false, Relaxed);
    assert!(store.log.save_vote(&Vote::new(9, 7)).await.is_err());
    assert!(store.log.append([entry(1, 2)], IOFlushed::noop()).await.is_ok(), "the callback tells");
    assert!(store.log.truncate_after(Some(id(1, 0))).await.is_err());
    assert!(store.log.purge(id(1, 0)).await.is_err());
    assert!(store.machine.get_snapshot_builder().await.build_snapshot().await.is_err());
    close(store).await;
}

/// A full disk is waited for, and nothing is lost by it; who ends does not wait.
#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let (fails, room) = (Arc::new(AtomicBool::new(false)), Arc::<file::Room>::default());
    let full = Failing { memory: InMemoryBackend::new(), fails: Arc::clone(&fails), error: ENOSPC };
    let full = file::Patient::on(full, &room);
    let database = Database::builder().create_with_backend(full).unwrap();
    open::put_identity(&database, &Identity { node: 5, ..Identity::default() }).unwrap();
    let mut store: Store<Sum> = open_on(database, Arc::clone(&room)).unwrap();
    store.log.blocking_append([entry(1, 0)]).await.unwrap();
    assert!(!room.is_lacking());
    fails.store(true, Relaxed);
    let mut log = store.log.clone();
    let waiting = tokio::spawn(async move { log.save_vote(&Vote::new(9, 7)).await });
    while !store.disk.lacks_space() {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    fails.store(false, Relaxed);
    waiting.await.unwrap().unwrap();
    assert!(!store.disk.lacks_space());
    store.log.blocking_append([entry(1, 1)]).await.unwrap();
    fails.store(true, Relaxed);
    let mut log = store.log.clone();
    let waiting = tokio::spawn(async move { log.save_vote(&Vote::new(10, 7)).await });
    while !store.disk.lacks_space() {
        tokio::task::yield_now().await;
    }
    close(store).await;
    assert!(waiting.await.unwrap().is_err());
}

/// The file has its space before it is used, whatever length the database gives it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_file_has_its_space_in_advance() {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new("raft-space");
    let mut store = open(scratch.path());
    store.log.blocking_append((0..100).map(|index| entry(1, index))).await.unwrap();
    let file = std::fs::metadata(scratch.path().join("raft.redb")).unwrap();
    assert!(file.blocks() * 512 >= 2 << 20, "{} of {}", file.blocks() * 512, file.len());
    close(store).await;
}

#[tokio::test]
async fn an_unreadable_entry_stops_the_machine() {
    let scratch = Scratch::new("raft-unreadable");
    let mut store = open(scratch.path());
    let odd = Entry::new(id(1, 1), EntryPayload::Normal(Proposal::new(&"text").unwrap()));
    let error = store.machine.apply(stream(vec![entry(1, 0), odd])).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    close(store).await;
}
