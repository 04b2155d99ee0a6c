//! A node of the demo: a process of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a node is started.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) folder: PathBuf,
    pub(super) settings: Vec<String>,
}

/// See the module's text. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Node {
    plan: Plan,
    process: Child,
    down_since: Option<Instant>,
}

impl Node {
    pub(super) fn start(plan: Plan) -> Result<Node, String> {
        fs::create_dir_all(&plan.folder).map_err(|error| format!("{}: {error}", plan.folder.display()))?;
        let process = spawn(&plan)?;
        Ok(Node { plan, process, down_since: None })
    }

    pub(super) fn name(&self) -> &str {
        &self.plan.name
    }

    pub(super) fn port(&self) -> u16 {
        self.plan.port
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Notices when the process has ended, and starts it again when it was down for a while.
    pub(super) fn look_after(&mut self, rest: Duration) -> Result<Option<String>, String> {
        let Some(since) = self.down_since else {
            let ended = self.process.try_wait().map_err(|error| error.to_string())?;
            return Ok(ended.map(|status| {
                self.down_since = Some(Instant::now());
                format!("{} ended ({status}); it comes back in {} s", self.plan.name, rest.as_secs())
            }));
        };
        if since.elapsed() < rest {
            return Ok(None);
        }
        self.process = spawn(&self.plan)?;
        self.down_since = None;
        Ok(Some(format!("{} is started again (pid {})", self.plan.name, self.pid())))
    }

    /// Asks the process to end. It does not hand over: all nodes end.
    pub(super) fn ask_to_end(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.ask_to_end();
        let _ = self.process.wait();
    }
}

fn spawn(plan: &Plan) -> Result<Child, String> {
    let named = |error: std::io::Error| format!("{} could not be started: {error}", plan.name);
    let program = std::env::current_exe().map_err(named)?;
    let log = File::options().create(true).append(true).open(plan.folder.join("log")).map_err(named)?;
    let errors = log.try_clone().map_err(named)?;
    Command::new(program)
        .args(&plan.settings)
        .arg("--dir")
        .arg(&plan.folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(named)
}
