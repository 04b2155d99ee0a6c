//! A disk of a node's own: small, so that it can be filled, and one that can be made to hang: a file with a file system in
//! it, frozen and thawed. Needs root, and loop devices.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What takes the space.
const BALLAST: &str = "ballast";

/// Mounted where a node has its data. Unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    dir: PathBuf,
}

impl SmallDisk {
    /// Makes one of so many megabytes, in a file beside the folder, and mounts it there; None, with a line on stderr that
    /// says why, where that cannot be had.
    pub fn mount(dir: &Path, megabytes: u32) -> Option<SmallDisk> {
        match mount(dir, megabytes) {
            Ok(()) => Some(SmallDisk { dir: dir.to_owned() }),
            Err(error) => {
                eprintln!(
                    "SKIPPED: no disks of their own here (they need root, mkfs.ext4 and loop devices): {error:#}"
                );
                None
            }
        }
    }

    /// Takes all space there is. Whoever writes meanwhile may have taken some of it back when this returns, so it is to be
    /// repeated until somebody notices.
    ///
    /// # Errors
    /// When something else than the lack of space keeps it from writing.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = fs::File::options().create(true).append(true).open(self.dir.join(BALLAST))?;
        let zeros = vec![0; 1 << 20];
        let mut size = zeros.len();
        while size > 0 {
            match ballast.write(&zeros[..size]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
                Err(error) => return Err(error).context("filling a disk"),
            }
        }
        Ok(())
    }

    /// Gives the space back.
    ///
    /// # Errors
    /// When it cannot.
    pub fn clear(&self) -> Result<()> {
        match fs::remove_file(self.dir.join(BALLAST)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("clearing a disk"),
            _ => Ok(()),
        }
    }

    /// From now on whoever writes or syncs waits; so does whoever would end such a process.
    ///
    /// # Errors
    /// When it cannot be frozen.
    pub fn freeze(&self) -> Result<()> {
        run(Command::new("fsfreeze").arg("-f").arg(&self.dir))
    }

    /// Goes on with what waited; nothing, if it is not frozen.
    pub fn thaw(&self) {
        let _ = run(Command::new("fsfreeze").arg("-u").arg(&self.dir));
    }
}

fn mount(dir: &Path, megabytes: u32) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "this is not root");
    fs::create_dir_all(dir)?;
    let image = dir.with_extension("disk");
    fs::File::create(&image)?.set_len(u64::from(megabytes) << 20)?;
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
    run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(dir))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", stderr.trim());
    Ok(())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.thaw();
        // Lazily: a process that is ending may have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.dir).output();
    }
}
