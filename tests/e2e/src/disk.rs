//! A disk of a node's own, of a fixed size, that can be filled: a tmpfs, which needs root.

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
    /// Mounts one of so many megabytes; None, with a line on stderr that says why, where that cannot be had.
    pub fn mount(dir: &Path, megabytes: u32) -> Option<SmallDisk> {
        match mount(dir, megabytes) {
            Ok(()) => Some(SmallDisk { dir: dir.to_owned() }),
            Err(error) => {
                eprintln!(
                    "SKIPPED: no disks that can be filled here (mounting a tmpfs needs root): {error:#}"
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
}

fn mount(dir: &Path, megabytes: u32) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "this is not root");
    fs::create_dir_all(dir)?;
    let size = format!("size={megabytes}m");
    let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "redoubt-e2e"]).arg(dir).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mount: {}", stderr.trim());
    Ok(())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is ending may have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.dir).output();
    }
}
