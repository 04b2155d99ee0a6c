//! One server process, over all its lives.

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A node: where it is, what it is started with, its process.
#[derive(Debug)]
pub struct Node {
    /// Where clients reach it.
    pub address: SocketAddr,
    /// Its data.
    pub dir: PathBuf,
    /// What it writes to stdout and stderr, over all its lives.
    pub log: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) child: Option<Child>,
    pub(crate) stopped: bool,
    /// Whether it is gone for good, or not there yet: nobody waits for it.
    pub is_away: bool,
}

impl Node {
    /// Starts its process. `command` is the program, in whatever network it belongs to.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn start(&mut self, mut command: Command) -> Result<()> {
        ensure!(self.child.is_none(), "it runs");
        fs::create_dir_all(&self.dir)?;
        let log = fs::File::options().create(true).append(true).open(&self.log)?;
        command.args(&self.arguments).current_dir(&self.dir);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("running {command:?}"))?);
        self.stopped = false;
        self.is_away = false;
        Ok(())
    }

    /// Whether its process is there, as far as we know, stopped or not.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Whether its process is there and may run.
    pub fn is_up(&self) -> bool {
        self.is_running() && !self.stopped
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        self.stopped = false;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When there is no process.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.stopped = true;
        Ok(())
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When there is no process.
    pub fn cont(&mut self) -> Result<()> {
        self.signal(Signal::CONT)?;
        self.stopped = false;
        Ok(())
    }

    /// SIGTERM.
    ///
    /// # Errors
    /// When there is no process.
    pub fn term(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// When it has not within `timeout`.
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            let child = self.child.as_mut().context("it does not run")?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("still running {timeout:?} after it was told to end");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the process ended although nobody ended it.
    pub fn has_crashed(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Throws its disk away: everything in its folder, which may be where one is mounted.
    ///
    /// # Errors
    /// When it runs or files cannot be removed.
    pub fn empty(&self) -> Result<()> {
        ensure!(self.child.is_none(), "it runs");
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    }

    /// What it wrote so far.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        kill_process(pid, signal).context("sending a signal")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Failures here mean that it is gone, which is the aim.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
