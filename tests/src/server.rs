//! Server processes: ours and the reference ones, each on a free port in a folder of its own.

use crate::client::Client;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Attempts at finding a port nobody takes between our asking for it and the server's binding it.
const PORT_ATTEMPTS: u32 = 8;
/// How long a server may take until it answers PING.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Which server to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The server under test: `REDOUBT_SERVER`, or `redoubt-server` of the same cargo profile.
    Ours,
    /// `redis-server` 7.0 from `PATH`.
    Redis7,
    /// redis 8.0 in `REDOUBT_PEERS` or `target/peers`, where `cargo xtask peers` puts it.
    Redis8,
}

impl Kind {
    /// How messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ours => "redoubt-server",
            Kind::Redis7 => "redis-server 7.0",
            Kind::Redis8 => "redis-server 8.0",
        }
    }

    /// Its program, or None if it is not on this machine.
    ///
    /// # Panics
    /// When ours is missing (nothing can be tested), or when `CI` is set and the reference of `PATH` is missing.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Kind::Ours => Some(our_program()),
            Kind::Redis7 => {
                let program = in_path("redis-server");
                let required = std::env::var_os("CI").is_some();
                assert!(
                    program.is_some() || !required,
                    "CI needs redis-server in PATH: install the package redis-server"
                );
                program
            }
            Kind::Redis8 => Some(peers_dir().join("redis8/redis-server")).filter(|path| path.exists()),
        }
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// Which server it is.
    pub kind: Kind,
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
    /// Its working folder, removed when dropped.
    pub dir: PathBuf,
}

impl Server {
    /// Starts a server and waits until it answers PING. `options` follow as `--name value...`, each value split at
    /// blanks. None if that server is not on this machine; a line on stderr says so.
    ///
    /// # Panics
    /// When it does not come up; the message holds its log.
    pub fn start(kind: Kind, options: &[(&str, &str)]) -> Option<Server> {
        let Some(program) = kind.program() else {
            eprintln!("skipped: {} is not on this machine", kind.name());
            return None;
        };
        match start_somewhere(kind, &program, options) {
            Ok(server) => Some(server),
            Err(error) => panic!("starting {}: {error:#}", program.display()),
        }
    }

    /// Starts the server under test.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn ours(options: &[(&str, &str)]) -> Server {
        Server::start(Kind::Ours, options).expect("our own program exists or program() has panicked")
    }

    /// Starts a server on this port.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_at(kind: Kind, port: u16, options: &[(&str, &str)]) -> Server {
        let program = kind.program().expect("the caller knows that it is here");
        let mut server = match spawn(kind, &program, port, options) {
            Ok(server) => server,
            Err(error) => panic!("starting {}: {error:#}", program.display()),
        };
        match wait_ready(&mut server) {
            Ok(true) => server,
            other => panic!("{} on port {port}: {other:?}\n{}", kind.name(), server.log()),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// A new connection in RESP2.
    ///
    /// # Panics
    /// When the server does not accept it.
    #[track_caller]
    pub fn client(&self) -> Client {
        match Client::connect(self.address()) {
            Ok(client) => client,
            Err(error) => panic!("connecting to {}: {error:#}\n{}", self.kind.name(), self.log()),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    /// Waits until the process ends by itself; its exit code, None for a signal.
    ///
    /// # Errors
    /// When it is still there after `timeout`.
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<Option<i32>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if Instant::now() > deadline {
                bail!("{} is still running after {timeout:?}", self.kind.name());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Failures here mean the process is already gone, which is the aim.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn start_somewhere(kind: Kind, program: &Path, options: &[(&str, &str)]) -> Result<Server> {
    for _ in 0..PORT_ATTEMPTS {
        let port = free_port()?;
        let mut server = spawn(kind, program, port, options)?;
        if wait_ready(&mut server)? {
            return Ok(server);
        }
        let ended = server.child.try_wait()?.is_some();
        let log = server.log();
        if ended && !log.contains("ddress already in use") && !log.contains("ddress in use") {
            bail!("it ended at once; its log:\n{log}");
        }
    }
    bail!("no free port after {PORT_ATTEMPTS} attempts")
}

fn spawn(kind: Kind, program: &Path, port: u16, options: &[(&str, &str)]) -> Result<Server> {
    let dir = fresh_dir()?;
    let log = fs::File::create(dir.join("server.log"))?;
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(&dir);
    for (name, value) in options {
        command.arg(format!("--{name}"));
        match *value {
            "" => command.arg(""),
            value => command.args(value.split(' ')),
        };
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("running {}", program.display()))?;
    Ok(Server { child, kind, port, dir })
}

/// False when the process ended before it answered, or somebody else has its port.
fn wait_ready(server: &mut Server) -> Result<bool> {
    let deadline = Instant::now() + START_TIMEOUT;
    while Instant::now() < deadline {
        if server.child.try_wait()?.is_some() {
            return Ok(false);
        }
        match answering_process(server) {
            Some(pid) if pid == server.pid() => return Ok(true),
            // Another test's server took the port first; ours is about to fail.
            Some(_) => return Ok(false),
            None => {}
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    bail!("no answer to PING within {START_TIMEOUT:?}; its log:\n{}", server.log())
}

/// The process id of whoever answers on the server's port, once its data is loaded. One that asks for a password is taken to be ours.
fn answering_process(server: &Server) -> Option<u32> {
    let mut client = Client::connect(server.address()).ok()?;
    client.send(&["INFO", "server", "persistence"]).ok()?;
    let info = client.read().ok()?;
    if info.is_error() {
        return Some(server.pid());
    }
    let info = info.text();
    if info.contains("\r\nloading:1\r\n") {
        return None;
    }
    let pid = info.lines().find_map(|line| line.strip_prefix("process_id:"))?;
    pid.trim().parse().ok()
}

/// A port no other server of this process was given.
fn free_port() -> Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
}

fn fresh_dir() -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("redoubt-test-{}-{number}-{:08x}", std::process::id(), fastrand::u32(..));
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}

fn our_program() -> PathBuf {
    if let Some(path) = std::env::var_os("REDOUBT_SERVER") {
        return PathBuf::from(path);
    }
    let path = profile_dir().join("redoubt-server");
    assert!(
        path.exists(),
        "{} is missing: run the tests with `cargo xtask test`, which builds it, or set REDOUBT_SERVER",
        path.display()
    );
    path
}

fn peers_dir() -> PathBuf {
    match std::env::var_os("REDOUBT_PEERS") {
        Some(dir) => PathBuf::from(dir),
        None => profile_dir().with_file_name("peers"),
    }
}

/// `target/<profile>`: test programs live in its `deps`.
fn profile_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a test knows its own path");
    let dir = program.parent().expect("a program is in a folder");
    if dir.ends_with("deps") { dir.parent().expect("deps is in a profile folder").into() } else { dir.into() }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}
