//! The folder of the append-only file under crashes at every step: what was synced is there again, in order, and the
//! folder can always be read.

use redoubt_persistence::ErrorKind;
use redoubt_persistence::aof::{CommandReader, Directory, Kind};
use redoubt_persistence::disk::faults::{Disk, Operation};
use redoubt_persistence::disk::{File, Folder};
use std::io::{self, Write};
use std::sync::Arc;

const FILE: &str = "appendonly.aof";
const FOLDER: &str = "appendonlydir";

fn open(disk: &Disk) -> Directory {
    Directory::open(disk.root(), FILE, FOLDER).expect("a folder that can be read")
}

fn command(number: u64) -> Vec<u8> {
    let word = number.to_string();
    format!("*1\r\n${}\r\n{word}\r\n", word.len()).into_bytes()
}

/// The numbers in all files; only the last file may lack its end, which is cut off.
fn load(directory: &mut Directory) -> Vec<u64> {
    let mut numbers = Vec::new();
    let files: Vec<_> = directory.manifest().files().cloned().collect();
    for (index, entry) in files.iter().enumerate() {
        let size = directory.len(entry).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        let mut reader = CommandReader::new(directory.read(entry).expect("a file"), 0, size);
        loop {
            match reader.next_chunk() {
                Ok(None) => break,
                Ok(Some(chunk)) => {
                    let text = std::str::from_utf8(chunk.bytes).expect("numbers");
                    let words = text.split("\r\n").filter(|line| line.parse::<u64>().is_ok());
                    numbers.extend(words.map(|word| word.parse::<u64>().expect("a number")));
                }
                Err(error) => {
                    assert!(matches!(error.kind, ErrorKind::Truncated), "{}: {error}", entry.name);
                    assert_eq!(index, files.len() - 1, "{} lacks its end and is not the last", entry.name);
                    directory.truncate(entry, reader.intact()).expect("a file");
                    break;
                }
            }
        }
    }
    numbers
}

/// Files of the folder that the manifest does not name.
fn strangers(directory: &Directory) -> Vec<String> {
    let manifest = directory.manifest();
    let mut names = directory.folder().and_then(|folder| folder.names()).expect("a folder");
    let named = |name: &String| manifest.files().chain(&manifest.history).any(|entry| entry.name == *name);
    names.retain(|name| !named(name) && *name != directory.manifest_name());
    names
}

/// A server's work, in one thread: appends numbers, syncs, rewrites. Fails when the disk does.
struct Writer {
    directory: Directory,
    file: Box<dyn File>,
    rng: fastrand::Rng,
    last: u64,
    synced: u64,
}

impl Writer {
    fn start(disk: &Disk, seed: u64) -> io::Result<Writer> {
        let mut directory = open(disk);
        directory.remove_leftovers()?;
        let last = load(&mut directory).len() as u64;
        if directory.is_empty() {
            let folder = directory.make_folder()?;
            write_base(&directory, &*folder, 0)?;
            directory.finish_rewrite(false, false, 0)?;
        }
        let (file, _, _) = directory.open_last()?;
        directory.remove_history()?;
        Ok(Writer { directory, file, rng: fastrand::Rng::with_seed(seed), last, synced: last })
    }

    fn step(&mut self) -> io::Result<()> {
        match self.rng.u8(0..8) {
            0..4 => {
                for _ in 0..self.rng.u8(1..5) {
                    self.last += 1;
                    self.file.write_all(&command(self.last))?;
                }
            }
            4..7 => self.sync()?,
            _ => self.rewrite()?,
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.directory.settle()?;
        self.synced = self.last;
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let apart = self.rng.bool();
        let folder = Arc::clone(self.directory.folder()?);
        if apart {
            // The log was off and is switched on: nothing is promised before the rewrite is done.
            let mut file = self.directory.begin_apart()?;
            let before = self.last;
            file.write_all(&command(before + 1))?;
            write_base(&self.directory, &*folder, before)?;
            file.sync()?;
            self.directory.finish_rewrite(false, true, 1)?;
            self.last += 1;
            self.file = file;
        } else {
            self.sync()?;
            self.file = self.directory.begin_incremental()?;
            let before = self.last;
            for _ in 0..self.rng.u8(0..3) {
                self.last += 1;
                self.file.write_all(&command(self.last))?;
                if self.rng.bool() {
                    self.sync()?;
                }
            }
            write_base(&self.directory, &*folder, before)?;
            self.directory.finish_rewrite(false, false, 1)?;
        }
        if self.rng.bool() {
            self.directory.remove_history()?;
        }
        Ok(())
    }
}

fn write_base(directory: &Directory, folder: &dyn Folder, last: u64) -> io::Result<()> {
    let mut base = folder.create(&directory.temporary_base())?;
    for number in 1..=last {
        base.write_all(&command(number))?;
    }
    base.sync()
}

/// Works until the disk fails or 30 steps are done. What was synced, and what was written.
fn work(disk: &Disk, seed: u64) -> (u64, u64) {
    let mut bounds = (0, 0);
    let Ok(mut writer) = Writer::start(disk, seed) else { return bounds };
    bounds = (writer.synced, writer.last);
    for _ in 0..30 {
        let outcome = writer.step();
        bounds = (writer.synced, writer.last.max(bounds.1));
        if outcome.is_err() {
            break;
        }
    }
    bounds
}

/// Checks what a disk holds after a crash; then it must be good for another life.
fn check(disk: &Disk, least: u64, most: u64) -> u64 {
    let mut directory = open(disk);
    let numbers = load(&mut directory);
    let found = numbers.len() as u64;
    assert_eq!(numbers, (1..=found).collect::<Vec<_>>());
    // One more: the crash may have come between a write and its being counted.
    assert!((least..=most + 1).contains(&found), "{found} of {least} to {most}");
    found
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_was_synced() {
    for seed in 0..120 {
        let rehearsal = Disk::new(seed);
        work(&rehearsal, seed);
        for step in 1..=rehearsal.steps() {
            let disk = Disk::new(seed);
            disk.crash_at(step);
            let (synced, written) = work(&disk, seed);
            let disk = disk.after_crash();
            let found = check(&disk, synced, written);
            // A second life, which crashes too, on what the first one left.
            let after = disk.steps() + 1 + (seed * 7 + step) % 60;
            disk.crash_at(after);
            let (synced, written) = work(&disk, seed + 1);
            check(&disk.after_crash(), synced.max(if synced == 0 { 0 } else { found }), written.max(found));
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_written() {
    for seed in 0..150 {
        let disk = Disk::new(seed);
        disk.crash_at(10 + seed % 70);
        let (_, written) = work(&disk, seed);
        let mut directory = open(&disk.after_kill());
        let found = load(&mut directory).len() as u64;
        // The write that was cut short was not counted as done, its command may be torn.
        assert!(found + 1 >= written, "{found} of {written}");
    }
}

/// What a crash between the beginning of a file and the manifest that names it has left.
#[test]
fn files_that_no_manifest_came_to_name_are_removed() {
    let disk = Disk::new(1);
    let mut writer = Writer::start(&disk, 1).expect("no faults");
    (0..20).for_each(|_| writer.step().expect("no faults"));
    writer.sync().expect("no faults");
    let (last, seq) = (writer.last, writer.directory.manifest().incremental_seq());
    let folder = Arc::clone(writer.directory.folder().expect("a folder"));
    assert_eq!(strangers(&writer.directory), Vec::<String>::new());
    let orphans =
        [format!("{FILE}.{}.incr.aof", seq + 1), format!("{FILE}.77.base.rdb"), format!("temp-{FILE}.incr")];
    let others =
        ["notes.txt".to_owned(), format!("{FILE}.x.incr.aof"), format!("other.{}.incr.aof", seq + 1)];
    for name in orphans.iter().chain(&others) {
        folder.create(name).and_then(|mut file| file.write_all(b"something")).expect("room");
    }
    let mut directory = open(&disk);
    let mut removed = directory.remove_leftovers().expect("no faults");
    removed.sort();
    assert_eq!(removed, orphans);
    let mut kept = strangers(&directory);
    kept.sort();
    assert_eq!(kept, [&others[1], &others[0], &others[2]].map(Clone::clone));
    others.iter().for_each(|name| folder.remove(name).expect("no faults"));
    check(&disk, last, last);
    // Where there is no manifest, files are nobody's to remove.
    folder.remove(&directory.manifest_name()).expect("no faults");
    let before = folder.names().expect("names").len();
    open(&disk).remove_leftovers().expect("no faults");
    assert_eq!(folder.names().expect("names").len(), before);
}

/// A full disk at any point fails a step, and never the folder.
#[test]
fn a_full_disk_leaves_a_folder_that_can_be_read() {
    for seed in 0..300 {
        let disk = Disk::new(seed);
        disk.limit(Some(20 + seed * 7));
        let (synced, written) = work(&disk, seed);
        check(&disk.after_crash(), synced, written);
        let disk = disk.after_kill();
        disk.limit(None);
        let (synced, written) = work(&disk, seed + 1);
        check(&disk.after_crash(), synced, written);
    }
}

#[test]
fn single_failures_of_names_and_syncs() {
    for seed in 0..300 {
        let disk = Disk::new(seed);
        let operations =
            [Operation::Rename, Operation::SyncFolder, Operation::Create, Operation::Remove, Operation::Sync];
        disk.fail(operations[seed as usize % 5], io::ErrorKind::Other, 1 + seed / 60);
        let (synced, written) = work(&disk, seed);
        check(&disk.after_crash(), synced, written);
        let disk = disk.after_kill();
        let (synced, written) = work(&disk, seed + 1);
        check(&disk.after_crash(), synced, written);
    }
}

/// The single file of old versions is there, whole, at every moment of its move into the folder.
#[test]
fn upgrading_an_old_file() {
    for seed in 0..200 {
        let disk = Disk::new(seed);
        let mut old = disk.root().create(FILE).expect("no faults");
        (1..=5).for_each(|number| old.write_all(&command(number)).expect("room"));
        old.sync().and_then(|()| disk.root().sync()).expect("no faults");
        disk.crash_at(disk.steps() + 1 + seed % 12);
        let upgraded = open(&disk).upgrade();
        let disk = disk.after_crash();
        let mut directory = open(&disk);
        let again = directory.upgrade().expect("no faults");
        assert!(again || upgraded.is_ok() || disk.root().subfolder(FOLDER).is_ok());
        assert_eq!(load(&mut directory), [1, 2, 3, 4, 5]);
        assert!(!directory.upgrade().expect("nothing is left to do"));
        let base = directory.manifest().base.as_ref().expect("the old file");
        assert_eq!((base.name.as_str(), base.seq, base.kind), (FILE, 1, Kind::Base));
        let mut writer = Writer::start(&disk, seed).expect("no faults");
        writer.rewrite().and_then(|()| writer.directory.remove_history()).expect("no faults");
        assert!(!disk.root().subfolder(FOLDER).expect("the folder").exists(FILE).expect("names"));
        check(&disk, writer.last, writer.last);
    }
}
