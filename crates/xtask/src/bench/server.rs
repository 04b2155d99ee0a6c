//! A server under measurement: pinned, on a free port, with its CPU time and memory read from /proc.

use super::SERVER_CORE;
use super::link::Link;
use crate::process::output;
use anyhow::{Context, Result, bail};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Room for the blocked clients of `blocked`.
const MAX_CLIENTS: &str = "12000";
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A program to measure.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    /// What comes before its settings.
    pub(super) command: Option<&'static str>,
}

impl Contender {
    pub(super) fn new(name: &'static str, program: PathBuf) -> Contender {
        Contender { name, program, command: None }
    }

    /// What it says about itself.
    pub(super) fn version(&self) -> Result<String> {
        Ok(output(Command::new(&self.program).arg("--version"))?.trim().to_string())
    }

    /// Starts it on the core of all measurements, without persistence.
    pub(super) fn start(&self) -> Result<Running> {
        self.start_on(SERVER_CORE, &[])
    }

    /// Starts it on these cores with further settings, without persistence.
    pub(super) fn start_on(&self, cores: &str, settings: &[&str]) -> Result<Running> {
        let mut running = self.begin(cores, settings)?;
        let deadline = Instant::now() + START_TIMEOUT;
        while Link::open(running.port).and_then(|mut link| link.call(&["PING"])).is_err() {
            if running.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{} does not start", self.program.display());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    /// As `start_on`, without waiting until it answers.
    pub(super) fn begin(&self, cores: &str, settings: &[&str]) -> Result<Running> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        self.start_at(port, cores, settings)
    }

    /// As `start_on`, on this port.
    pub(super) fn start_at(&self, port: u16, cores: &str, settings: &[&str]) -> Result<Running> {
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).arg(&self.program).args(self.command).args(["--port", &port.to_string()]);
        command.args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--bind",
            "127.0.0.1",
            "--maxclients",
            MAX_CLIENTS,
        ]);
        command.args(settings);
        command
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().with_context(|| self.program.display().to_string())?;
        Ok(Running { name: self.name, child, port })
    }
}

/// CPU time of all threads of a process so far, as [`Running::cpu_us`].
pub(super) fn cpu_us_of(pid: u32) -> Result<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?))?;
    Ok(Duration::from(clock.now()?).as_secs_f64() * 1e6)
}

/// A started server, killed when dropped.
pub(super) struct Running {
    pub(super) name: &'static str,
    pub(super) port: u16,
    child: Child,
}

impl Running {
    /// CPU time of all its threads so far, ended ones too, user and system, in microseconds. By the clock of the process, as
    /// `/proc/<pid>/stat` counts in ticks of 10 ms.
    pub(super) fn cpu_us(&self) -> Result<f64> {
        cpu_us_of(self.child.id())
    }

    /// Resident memory, bytes.
    pub(super) fn resident_bytes(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024.0)
    }

    /// Memory of it and its children, bytes; what several processes share is counted once.
    pub(super) fn proportional_bytes(&self) -> Result<f64> {
        let own = self.child.id().to_string();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let mut kilobytes = 0.0;
        for pid in std::iter::once(own.as_str()).chain(children.split_whitespace()) {
            // A child may be gone by now.
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
            kilobytes +=
                line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0.0);
        }
        Ok(kilobytes * 1024.0)
    }

    /// `used_memory` of INFO, bytes.
    pub(super) fn used_bytes(&self) -> Result<f64> {
        let info = Link::open(self.port)?.call(&["INFO", "memory"])?;
        let line =
            info.lines().find_map(|line| line.strip_prefix("used_memory:")).context("no used_memory")?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is gone already if this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
