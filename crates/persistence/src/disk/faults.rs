//! A disk in memory that fails as disks do, for tests: it crashes at a step, runs full, answers with errors, and after a
//! crash has lost or torn whatever was not synced. One seed decides everything.

use super::{File, Folder, Source, Syncer};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Error, ErrorKind, Result, Write};
use std::sync::Arc;

/// What may be told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writing bytes.
    Write,
    /// Syncing a file.
    Sync,
    /// Creating a file or a folder.
    Create,
    /// Renaming or moving a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing a folder.
    SyncFolder,
    /// Cutting a file.
    Truncate,
}

/// A file's bytes, now and as a crash may leave them.
#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// What the last sync made safe.
    safe: Vec<u8>,
    /// A sync failed: what is not safe by now never will be.
    doomed_from: Option<usize>,
}

/// A change of names that no sync of its folder has made safe yet.
#[derive(Clone, Debug)]
enum Change {
    Put { folder: usize, name: String, node: Node },
    Remove { folder: usize, name: String },
    Move { from: (usize, String), to: (usize, String), node: Node },
}

impl Change {
    fn touches(&self, folder: usize) -> bool {
        match self {
            Change::Put { folder: at, .. } | Change::Remove { folder: at, .. } => *at == folder,
            Change::Move { from, to, .. } => from.0 == folder || to.0 == folder,
        }
    }

    fn apply(&self, folders: &mut [Names]) {
        match self {
            Change::Put { folder, name, node } => drop(folders[*folder].insert(name.clone(), *node)),
            Change::Remove { folder, name } => drop(folders[*folder].remove(name)),
            Change::Move { from, to, node } => {
                folders[from.0].remove(&from.1);
                folders[to.0].insert(to.1.clone(), *node);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder(usize),
}

type Names = BTreeMap<String, Node>;

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    /// Names by folder, as programs see them; folder 0 is the root.
    folders: Vec<Names>,
    /// As the last syncs left them.
    safe: Vec<Names>,
    unsafe_changes: Vec<Change>,
    rng: fastrand::Rng,
    steps: u64,
    crash_at: Option<u64>,
    crashed: bool,
    capacity: Option<u64>,
    read_only: bool,
    failing: Vec<(Operation, ErrorKind, u64)>,
}

/// See the module's text. Clones are the same disk.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// An empty disk without faults.
    pub fn new(seed: u64) -> Disk {
        Disk::with(State {
            folders: vec![Names::new()],
            safe: vec![Names::new()],
            rng: fastrand::Rng::with_seed(seed),
            ..State::default()
        })
    }

    fn with(state: State) -> Disk {
        Disk(Arc::new(Mutex::new(state)))
    }

    /// Its uppermost folder.
    pub fn root(&self) -> Arc<dyn Folder> {
        Arc::new(At { disk: self.clone(), folder: 0 })
    }

    /// How many steps (writes, syncs, changes of names) were tried so far.
    pub fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// Lets the machine crash in step `step`, counted as `steps` does: a write then happens in part, anything else may
    /// have happened or not, and everything later fails.
    pub fn crash_at(&self, step: u64) {
        self.0.lock().crash_at = Some(step);
    }

    /// Whether it has.
    pub fn has_crashed(&self) -> bool {
        self.0.lock().crashed
    }

    /// Lets the next `times` operations of a kind fail.
    pub fn fail(&self, operation: Operation, kind: ErrorKind, times: u64) {
        self.0.lock().failing.push((operation, kind, times));
    }

    /// Room for all files together, bytes.
    pub fn limit(&self, bytes: Option<u64>) {
        self.0.lock().capacity = bytes;
    }

    /// Whether everything that changes something is refused.
    pub fn read_only(&self, on: bool) {
        self.0.lock().read_only = on;
    }

    /// The disk as the next process finds it when only this process has died: with all that was written.
    pub fn after_kill(&self) -> Disk {
        let state = self.0.lock();
        Disk::with(State {
            inodes: state.inodes.clone(),
            folders: state.folders.clone(),
            safe: state.safe.clone(),
            unsafe_changes: state.unsafe_changes.clone(),
            rng: state.rng.clone(),
            capacity: state.capacity,
            ..State::default()
        })
    }

    /// The disk as the next process finds it when the machine has crashed: what was not synced is there wholly, in part
    /// or not at all.
    pub fn after_crash(&self) -> Disk {
        let mut state = self.0.lock();
        let mut rng = state.rng.fork();
        let mut folders = state.safe.clone();
        for change in &state.unsafe_changes {
            if rng.bool() {
                change.apply(&mut folders);
            }
        }
        let inodes = state
            .inodes
            .iter()
            .map(|inode| {
                let bytes = inode.after_crash(&mut rng);
                Inode { safe: bytes.clone(), bytes, doomed_from: None }
            })
            .collect();
        let safe = folders.clone();
        Disk::with(State { inodes, folders, safe, rng, capacity: state.capacity, ..State::default() })
    }
}

impl Inode {
    /// The synced bytes, and perhaps the beginning of the others; torn, or with zeros where the bytes should be, as file
    /// systems leave it that note a file's length before its contents.
    fn after_crash(&self, rng: &mut fastrand::Rng) -> Vec<u8> {
        let same = self.safe.iter().zip(&self.bytes).take_while(|(old, new)| old == new).count();
        if same < self.safe.len() {
            // It was cut, and perhaps written on.
            return if rng.bool() {
                self.safe.clone()
            } else {
                self.bytes[..rng.usize(same..=self.bytes.len())].to_vec()
            };
        }
        let kept = rng.usize(same..=self.bytes.len());
        let mut bytes = self.bytes[..kept].to_vec();
        if kept < self.bytes.len() && rng.u8(0..4) == 0 {
            bytes.resize(rng.usize(kept..=self.bytes.len()), 0);
        }
        bytes
    }

    fn sync(&mut self) {
        let upto = self.doomed_from.unwrap_or(self.bytes.len()).min(self.bytes.len());
        self.safe = self.bytes[..upto].to_vec();
    }
}

impl State {
    /// Counts a step; an error if it must fail. On a crash, tells by `true` in the error's place whether it happened
    /// nevertheless.
    fn step(&mut self, operation: Operation) -> std::result::Result<(), (Error, bool)> {
        if self.crashed {
            return Err((crash(), false));
        }
        self.steps += 1;
        if self.crash_at == Some(self.steps) {
            self.crashed = true;
            return Err((crash(), self.rng.bool()));
        }
        if self.read_only && operation != Operation::Sync {
            return Err((ErrorKind::ReadOnlyFilesystem.into(), false));
        }
        match self.failing.iter_mut().find(|(failing, _, times)| *failing == operation && *times > 0) {
            Some((_, kind, times)) => {
                *times -= 1;
                Err(((*kind).into(), false))
            }
            None => Ok(()),
        }
    }

    /// A change of names: made visible, and noted as not safe.
    fn change(&mut self, operation: Operation, change: Change) -> Result<()> {
        let outcome = self.step(operation);
        if outcome.as_ref().map_or_else(|(_, happened)| *happened, |()| true) {
            change.apply(&mut self.folders);
            self.unsafe_changes.push(change);
        }
        outcome.map_err(|(error, _)| error)
    }

    fn room(&self) -> usize {
        let used: usize = self.folders.iter().flat_map(Names::values).map(|node| self.bytes_of(*node)).sum();
        self.capacity.map_or(usize::MAX, |capacity| (capacity as usize).saturating_sub(used))
    }

    fn bytes_of(&self, node: Node) -> usize {
        match node {
            Node::File(inode) => self.inodes[inode].bytes.len(),
            Node::Folder(_) => 0,
        }
    }

    fn node(&self, folder: usize, name: &str) -> Result<Node> {
        self.folders[folder].get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn file(&self, folder: usize, name: &str) -> Result<usize> {
        match self.node(folder, name)? {
            Node::File(inode) => Ok(inode),
            Node::Folder(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn write(&mut self, inode: usize, buf: &[u8]) -> Result<usize> {
        let before = self.crashed;
        let outcome = self.step(Operation::Write);
        if let Err((error, _)) = outcome {
            // Only this write may have happened in part; nothing happens after the crash.
            if self.crashed && !before {
                let torn = self.rng.usize(0..=buf.len());
                self.inodes[inode].bytes.extend_from_slice(&buf[..torn]);
            }
            return Err(error);
        }
        let room = self.room().min(buf.len());
        if room == 0 && !buf.is_empty() {
            return Err(ErrorKind::StorageFull.into());
        }
        self.inodes[inode].bytes.extend_from_slice(&buf[..room]);
        Ok(room)
    }

    fn truncate(&mut self, inode: usize, len: u64) -> Result<()> {
        let outcome = self.step(Operation::Truncate);
        if outcome.as_ref().map_or_else(|(_, happened)| *happened, |()| true) {
            let inode = &mut self.inodes[inode];
            inode.bytes.resize(len as usize, 0);
            inode.doomed_from = inode.doomed_from.filter(|from| (*from as u64) < len);
        }
        outcome.map_err(|(error, _)| error)
    }

    fn sync(&mut self, inode: usize) -> Result<()> {
        match self.step(Operation::Sync) {
            Ok(()) => self.inodes[inode].sync(),
            Err((error, happened)) => {
                let inode = &mut self.inodes[inode];
                if happened {
                    inode.sync();
                } else {
                    inode.doomed_from.get_or_insert(inode.safe.len());
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What every operation answers once the machine is gone.
fn crash() -> Error {
    Error::other("the machine has crashed")
}

/// A folder of the disk.
struct At {
    disk: Disk,
    folder: usize,
}

impl At {
    fn open(&self, name: &str, empty: bool) -> Result<Box<dyn File>> {
        let mut state = self.disk.0.lock();
        let inode = match state.file(self.folder, name) {
            // Emptied at once, as open with O_TRUNC does.
            Ok(inode) if empty => {
                state.step(Operation::Create).map_err(|(error, _)| error)?;
                state.inodes[inode].bytes.clear();
                state.inodes[inode].doomed_from = None;
                inode
            }
            Ok(inode) => inode,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let inode = state.inodes.len();
                state.inodes.push(Inode::default());
                let put = Change::Put { folder: self.folder, name: name.into(), node: Node::File(inode) };
                state.change(Operation::Create, put)?;
                inode
            }
            Err(error) => return Err(error),
        };
        Ok(Box::new(Open { disk: self.disk.clone(), inode }))
    }
}

impl Folder for At {
    fn create(&self, name: &str) -> Result<Box<dyn File>> {
        self.open(name, true)
    }

    fn append(&self, name: &str) -> Result<Box<dyn File>> {
        self.open(name, false)
    }

    fn read(&self, name: &str) -> Result<Box<dyn Source>> {
        let state = self.disk.0.lock();
        let inode = state.file(self.folder, name)?;
        Ok(Box::new(Cursor::new(state.inodes[inode].bytes.clone())))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.disk.0.lock();
        let node = Node::File(state.file(self.folder, from)?);
        let (from, to) = ((self.folder, from.into()), (self.folder, to.into()));
        state.change(Operation::Rename, Change::Move { from, to, node })
    }

    fn move_into(&self, name: &str, subfolder: &str) -> Result<()> {
        let mut state = self.disk.0.lock();
        let node = Node::File(state.file(self.folder, name)?);
        let Node::Folder(folder) = state.node(self.folder, subfolder)? else {
            return Err(ErrorKind::NotADirectory.into());
        };
        let (from, to) = ((self.folder, name.into()), (folder, name.into()));
        state.change(Operation::Rename, Change::Move { from, to, node })
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.disk.0.lock();
        state.file(self.folder, name)?;
        state.change(Operation::Remove, Change::Remove { folder: self.folder, name: name.into() })
    }

    fn truncate(&self, name: &str, len: u64) -> Result<()> {
        let mut state = self.disk.0.lock();
        let inode = state.file(self.folder, name)?;
        state.truncate(inode, len)
    }

    fn len(&self, name: &str) -> Result<u64> {
        let state = self.disk.0.lock();
        let inode = state.file(self.folder, name)?;
        Ok(state.inodes[inode].bytes.len() as u64)
    }

    fn names(&self) -> Result<Vec<String>> {
        Ok(self.disk.0.lock().folders[self.folder].keys().cloned().collect())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.disk.0.lock();
        let outcome = state.step(Operation::SyncFolder);
        if outcome.as_ref().map_or_else(|(_, happened)| *happened, |()| true) {
            let changes = std::mem::take(&mut state.unsafe_changes);
            for change in changes {
                if change.touches(self.folder) {
                    change.apply(&mut state.safe);
                } else {
                    state.unsafe_changes.push(change);
                }
            }
        }
        outcome.map_err(|(error, _)| error)
    }

    fn subfolder(&self, name: &str) -> Result<Arc<dyn Folder>> {
        match self.disk.0.lock().node(self.folder, name)? {
            Node::Folder(folder) => Ok(Arc::new(At { disk: self.disk.clone(), folder })),
            Node::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn make_subfolder(&self, name: &str) -> Result<Arc<dyn Folder>> {
        match self.subfolder(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut state = self.disk.0.lock();
                let folder = state.folders.len();
                state.folders.push(Names::new());
                state.safe.push(Names::new());
                let put = Change::Put { folder: self.folder, name: name.into(), node: Node::Folder(folder) };
                state.change(Operation::Create, put)?;
                Ok(Arc::new(At { disk: self.disk.clone(), folder }))
            }
            other => other,
        }
    }
}

/// An open file, or its second handle.
struct Open {
    disk: Disk,
    inode: usize,
}

impl Write for Open {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        self.disk.0.lock().write(self.inode, buf)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl File for Open {
    fn sync(&mut self) -> Result<()> {
        self.disk.0.lock().sync(self.inode)
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        self.disk.0.lock().truncate(self.inode, len)
    }

    fn syncer(&self) -> io::Result<Box<dyn Syncer>> {
        Ok(Box::new(Open { disk: self.disk.clone(), inode: self.inode }))
    }
}

impl Syncer for Open {
    fn sync(&self) -> Result<()> {
        self.disk.0.lock().sync(self.inode)
    }
}

#[cfg(test)]
mod tests {
    use super::super::replace;
    use super::*;

    fn contents(folder: &dyn Folder, name: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        folder.read(name).ok()?.read_to_end(&mut bytes).expect("memory");
        Some(bytes)
    }

    /// Of a file of two writes with a sync between, a crash leaves the first and any beginning of the second.
    #[test]
    fn a_crash_keeps_what_was_synced() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let disk = Disk::new(seed);
            let folder = disk.root();
            let mut file = folder.create("f").expect("a new file");
            file.write_all(b"safe").expect("room");
            file.sync().expect("no faults");
            folder.sync().expect("no faults");
            file.write_all(b"lost").expect("room");
            let bytes = contents(&*disk.after_crash().root(), "f").expect("its name was synced");
            assert!(bytes.starts_with(b"safe") && bytes.len() <= 8);
            lengths.insert(bytes.len());
            assert_eq!(contents(&*disk.after_kill().root(), "f"), Some(b"safelost".to_vec()));
        }
        assert_eq!(lengths, (4..=8).collect());
    }

    /// At whatever step the machine crashes, a replaced file is the old or the new one.
    #[test]
    fn replacing_a_file_is_all_or_nothing() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..400 {
            let disk = Disk::new(seed);
            let folder = disk.root();
            replace(&*folder, "f", "temp-f", b"old").expect("no faults");
            let step = disk.steps() + 1 + seed % 6;
            disk.crash_at(step);
            let done = replace(&*folder, "f", "temp-f", b"newer");
            let bytes = contents(&*disk.after_crash().root(), "f").expect("one of them");
            assert!(bytes == b"old" || bytes == b"newer", "{bytes:?}");
            assert!(done.is_err() || bytes == b"newer");
            seen.insert((bytes, done.is_ok()));
        }
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = Disk::new(1);
        let folder = disk.root();
        disk.limit(Some(6));
        let mut file = folder.create("f").expect("names take no room");
        let error = file.write_all(b"12345678").expect_err("no room");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(contents(&*folder, "f"), Some(b"123456".to_vec()));
        folder.truncate("f", 2).expect("no faults");
        disk.limit(None);
        file.write_all(b"rest").expect("room again");
        assert_eq!(contents(&*folder, "f"), Some(b"12rest".to_vec()));
    }

    /// A failed sync loses what it should have saved, although the next one succeeds.
    #[test]
    fn a_failed_sync_is_not_made_good() {
        let disk = Disk::new(1);
        let folder = disk.root();
        let mut file = folder.create("f").expect("a new file");
        folder.sync().expect("no faults");
        disk.fail(Operation::Sync, ErrorKind::Other, 1);
        file.write_all(&[7; 100]).expect("room");
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        let lost = (0..100)
            .any(|_| contents(&*disk.after_crash().root(), "f").is_none_or(|bytes| bytes != [7; 100]));
        assert!(lost);
    }

    #[test]
    fn folders_within_folders() {
        let disk = Disk::new(1);
        let root = disk.root();
        assert!(root.subfolder("d").is_err());
        let sub = root.make_subfolder("d").expect("no faults");
        root.create("f").expect("a new file").write_all(b"x").expect("room");
        root.move_into("f", "d").expect("no faults");
        assert_eq!(
            (root.names().expect("names"), sub.names().expect("names")),
            (vec!["d".into()], vec!["f".into()])
        );
        assert_eq!(contents(&*root.make_subfolder("d").expect("it is there"), "f"), Some(b"x".to_vec()));
        sub.remove("f").expect("it is there");
        assert!(!sub.exists("f").expect("names"));
        disk.read_only(true);
        assert!(sub.create("g").is_err());
    }
}
