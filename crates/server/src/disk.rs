//! The files persistence writes to, over `std::fs`.

use redoubt_persistence::disk::{File, Folder, Source, Syncer};
use std::fs::{self, OpenOptions};
use std::io::{Result, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of the file system.
#[derive(Clone, Debug)]
pub struct DiskFolder(PathBuf);

impl DiskFolder {
    /// The folder at `path`; whether it exists shows when it is used.
    pub fn new(path: impl Into<PathBuf>) -> DiskFolder {
        DiskFolder(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

struct DiskFile(fs::File);

impl Write for DiskFile {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl File for DiskFile {
    fn sync(&mut self) -> Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        self.0.set_len(len)?;
        // One that was not opened to append goes on where it stood.
        std::io::Seek::seek(&mut self.0, std::io::SeekFrom::Start(len)).map(drop)
    }

    fn syncer(&self) -> Result<Box<dyn Syncer>> {
        Ok(Box::new(DiskFile(self.0.try_clone()?)))
    }
}

impl Syncer for DiskFile {
    fn sync(&self) -> Result<()> {
        self.0.sync_data()
    }
}

impl Folder for DiskFolder {
    fn create(&self, name: &str) -> Result<Box<dyn File>> {
        Ok(Box::new(DiskFile(fs::File::create(self.0.join(name))?)))
    }

    fn append(&self, name: &str) -> Result<Box<dyn File>> {
        let file = OpenOptions::new().append(true).create(true).open(self.0.join(name))?;
        Ok(Box::new(DiskFile(file)))
    }

    fn read(&self, name: &str) -> Result<Box<dyn Source>> {
        Ok(Box::new(fs::File::open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn move_into(&self, name: &str, subfolder: &str) -> Result<()> {
        fs::rename(self.0.join(name), self.0.join(subfolder).join(name))
    }

    fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn truncate(&self, name: &str, len: u64) -> Result<()> {
        OpenOptions::new().write(true).open(self.0.join(name))?.set_len(len)
    }

    fn len(&self, name: &str) -> Result<u64> {
        Ok(fs::metadata(self.0.join(name))?.len())
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.0)?;
        // Names that are no text are none of ours.
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn exists(&self, name: &str) -> Result<bool> {
        self.0.join(name).try_exists()
    }

    fn sync(&self) -> Result<()> {
        fs::File::open(&self.0)?.sync_all()
    }

    fn subfolder(&self, name: &str) -> Result<Arc<dyn Folder>> {
        let path = self.0.join(name);
        if !fs::metadata(&path)?.is_dir() {
            return Err(std::io::ErrorKind::NotADirectory.into());
        }
        Ok(Arc::new(DiskFolder(path)))
    }

    fn make_subfolder(&self, name: &str) -> Result<Arc<dyn Folder>> {
        match fs::create_dir(self.0.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            _ => self.subfolder(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redoubt_persistence::disk::replace;

    /// The same calls as on the double of the tests, with the same outcome.
    #[test]
    fn it_does_what_the_trait_says() {
        let path = std::env::temp_dir().join(format!("redoubt-disk-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for the test");
        let root = DiskFolder::new(&path);
        let text = |folder: &dyn Folder, name: &str| {
            let mut text = String::new();
            folder.read(name).expect("a file").read_to_string(&mut text).expect("text");
            text
        };
        let sub = root.make_subfolder("d").expect("a new folder");
        assert!(root.make_subfolder("d").is_ok() && root.subfolder("e").is_err());
        replace(&root, "f", "temp-f", b"one").expect("room");
        let mut file = root.append("f").expect("it is there");
        file.write_all(b"two").expect("room");
        file.syncer().expect("a handle").sync().expect("a disk");
        root.truncate("f", 4).expect("it is there");
        file.write_all(b"!").expect("room");
        assert_eq!((text(&root, "f").as_str(), root.len("f").expect("it is there")), ("onet!", 5));
        root.move_into("f", "d").expect("it is there");
        sub.rename("f", "g").expect("it is there");
        assert!(!root.exists("f").expect("a folder") && sub.exists("g").expect("a folder"));
        assert_eq!(sub.names().expect("a folder"), ["g"]);
        sub.remove("g").expect("it is there");
        sub.sync().expect("a folder");
        assert_eq!(sub.names().expect("a folder"), Vec::<String>::new());
        fs::remove_dir_all(&path).expect("made above");
    }
}
