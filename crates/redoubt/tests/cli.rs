//! The executable: command line, configuration file, log, signals.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_redoubt-server");

fn output(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

/// A folder of its own for a test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("redoubt-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server, killed at the end if it still runs.
struct Running {
    process: Child,
    log: BufReader<std::process::ChildStdout>,
    port: u16,
    /// What it saves at its end goes here.
    _folder: Folder,
}

impl Running {
    /// Starts it with `args` and waits until it says that it is ready.
    fn start(args: &[&str]) -> Running {
        Running::start_in(&[], args)
    }

    /// As `start`, with variables of the environment.
    fn start_in(environment: &[(&str, &str)], args: &[&str]) -> Running {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = Folder::new(&format!("run-{port}"));
        let mut command = Command::new(PROGRAM);
        command.current_dir(&folder.0);
        command.args(args).args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--io-threads", "1"]);
        command.envs(environment.iter().copied());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(process.stdout.take().unwrap());
        let mut running = Running { process, log, port, _folder: folder };
        running.wait_for("Ready to accept connections");
        running
    }

    /// Reads the log up to a line that contains `text`, and returns that line.
    fn wait_for(&mut self, text: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "the log ended before {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends one inline command and reads what comes back within one read.
    fn ask(&self, command: &str) -> String {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut reply = [0; 4096];
        let length = client.read(&mut reply).unwrap();
        String::from_utf8_lossy(&reply[..length]).into_owned()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn version_and_help() {
    let version = output(&["--version"]);
    assert!(version.status.success());
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("Redoubt server v="));
    assert!(String::from_utf8_lossy(&output(&["-h"]).stdout).starts_with("Usage: "));
}

#[test]
fn a_wrong_file_stops_the_start_and_is_named() {
    let folder = Folder::new("wrong");
    let path = folder.file("wrong.conf", "port 0\n\nno-such-setting 1\n");
    for args in [&[path.as_str()][..], &["--check-config", &path]] {
        let refused = output(args);
        assert_eq!(refused.status.code(), Some(1));
        let text = String::from_utf8_lossy(&refused.stderr);
        assert!(text.contains("*** FATAL CONFIG FILE ERROR (Redoubt "), "{text}");
        assert!(text.contains(&format!("at line 3 of {path}\n>>> 'no-such-setting 1'")), "{text}");
    }
    assert!(output(&["--check-config", "--port", "0"]).status.success());
}

#[test]
fn file_options_and_rewrite() {
    let folder = Folder::new("rewrite");
    let path = folder.file("mine.conf", "# mine\nhz 20\nrename-command FLUSHALL \"\"\n");
    let server = Running::start(&[&path, "--loglevel", "verbose"]);
    assert_eq!(server.ask("CONFIG GET hz"), "*2\r\n$2\r\nhz\r\n$2\r\n20\r\n");
    assert!(server.ask("FLUSHALL").starts_with("-ERR unknown command"));
    assert_eq!(server.ask("CONFIG SET hz 30"), "+OK\r\n");
    assert_eq!(server.ask("CONFIG REWRITE"), "+OK\r\n");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# mine\nhz 30\nrename-command FLUSHALL \"\"\n"), "{text}");
    assert!(text.contains(&format!("\nport {}\n", server.port)), "{text}");
}

#[test]
fn listening_sockets_move() {
    let mut server = Running::start(&[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(server.ask(&format!("CONFIG SET port {port}")), "+OK\r\n");
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
    server.port = port;
    assert_eq!(server.ask("PING"), "+PONG\r\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = server.ask(&format!("CONFIG SET port {}", taken.local_addr().unwrap().port()));
    assert!(refused.contains("Unable to listen on this port"), "{refused}");
    assert_eq!(server.ask("PING"), "+PONG\r\n");
}

#[test]
fn a_signal_shuts_down_cleanly() {
    let folder = Folder::new("signal");
    let pidfile = folder.0.join("pid");
    for signal in ["-TERM", "-INT"] {
        let mut server = Running::start(&["--pidfile", &pidfile.display().to_string()]);
        assert_eq!(std::fs::read_to_string(&pidfile).unwrap().trim(), server.process.id().to_string());
        server.signal(signal);
        server.wait_for("bye bye");
        assert!(server.process.wait().unwrap().success());
        assert!(!pidfile.exists());
    }
}

#[test]
fn the_log_goes_where_the_settings_say() {
    let folder = Folder::new("log");
    let log = folder.0.join("server.log").display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let args = ["--port", &port, "--logfile", &log, "--log-format", "json", "--always-show-logo", "yes"];
    let mut process = Command::new(PROGRAM).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let text = loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if text.contains("Ready to accept connections tcp") {
            break text;
        }
        assert!(process.try_wait().unwrap().is_none(), "the server ended: {text}");
        std::thread::yield_now();
    };
    let pid = process.id();
    process.kill().unwrap();
    let mut shown = String::new();
    process.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    process.wait().unwrap();
    assert!(text.lines().all(|line| line.starts_with("{\"timestamp\":\"")), "{text}");
    assert!(text.contains(&format!("PID: {pid}")), "{text}");
    assert_eq!(shown, "");
    let refused = output(&["--logfile", "/does/not/exist/x.log"]);
    assert!(
        String::from_utf8_lossy(&refused.stderr)
            .contains("Can't open the log file: No such file or directory")
    );
}

#[test]
fn it_can_go_into_the_background() {
    let folder = Folder::new("background");
    let pidfile = folder.0.join("pid");
    let socket = folder.0.join("socket");
    let paths = [pidfile.display().to_string(), socket.display().to_string()];
    let dir = folder.0.display().to_string();
    let args = ["--port", "0", "--daemonize", "yes", "--pidfile", &paths[0], "--unixsocket", &paths[1]];
    assert!(output(&[&args[..], &["--dir", &dir]].concat()).status.success());
    let mut client = loop {
        match std::os::unix::net::UnixStream::connect(&socket) {
            Ok(client) => break client,
            Err(_) => std::thread::yield_now(),
        }
    };
    // It may be loading still.
    let mut reply = [0; 7];
    while reply != *b"+PONG\r\n" {
        client.write_all(b"PING\r\n").unwrap();
        client.read_exact(&mut reply).unwrap();
        if reply[0] == b'-' {
            while reply[6] != b'\n' {
                client.read_exact(&mut reply[6..]).unwrap();
            }
        }
    }
    client.write_all(b"SHUTDOWN\r\n").unwrap();
    while pidfile.exists() {
        std::thread::yield_now();
    }
}

/// A command that runs keeps the first signal waiting; a second one does not wait.
#[test]
fn a_second_signal_ends_it_at_once() {
    for signals in [["-INT", "-INT"], ["-TERM", "-TERM"], ["-TERM", "-INT"]] {
        let mut server = Running::start(&["--enable-debug-command", "yes"]);
        let mut busy = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        busy.write_all(b"DEBUG SLEEP 60\r\n").unwrap();
        // Only when the command runs is there something to wait for.
        std::thread::sleep(Duration::from_millis(200));
        let started = std::time::Instant::now();
        server.signal(signals[0]);
        server.wait_for("scheduling shutdown...");
        assert_eq!(server.process.try_wait().unwrap(), None);
        server.signal(signals[1]);
        server.wait_for("exiting now");
        assert_eq!(server.process.wait().unwrap().code(), Some(1), "{signals:?}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_supervisor_is_told() {
    let folder = Folder::new("notify");
    let path = folder.0.join("notify.sock").display().to_string();
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let receive = || {
        let mut text = [0; 4096];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    for supervised in ["systemd", "auto"] {
        let mut server = Running::start_in(&[("NOTIFY_SOCKET", &path)], &["--supervised", supervised]);
        assert!(receive().contains("READY=1"));
        server.signal("-TERM");
        assert_eq!(receive(), "STOPPING=1\n");
        assert!(server.process.wait().unwrap().success());
    }
    // Nobody is told who did not ask.
    let server = Running::start_in(&[("NOTIFY_SOCKET", &path)], &[]);
    server.signal("-TERM");
    drop(server);
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 64]).is_err());
}
