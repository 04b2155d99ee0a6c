//! From a configuration to a process that serves until it is told to end.

use redoubt_server::config::{Config, Values};
use redoubt_server::load::LoadError;
use redoubt_server::shared::Shared;
use redoubt_server::snapshot::{Shutdown, shut_down};
use redoubt_server::{Handle, Server, StartError, logging, process};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Descriptors the server needs beside its clients' (listeners, log, disk).
const FILES_RESERVED: u64 = 32;

/// Runs the server until a signal or SHUTDOWN ends it. The error is for the operator.
pub(crate) fn run(config: Config) -> Result<(), String> {
    let values = config.values();
    if values.daemonize && !supervised(&values) {
        process::daemonize().map_err(|error| format!("Can't go into the background: {error}"))?;
    }
    logging::init(&values)?;
    logging::banner(&values, "standalone", config.file());
    // Before the first thread: threads inherit what is held back.
    let signals = process::Signals::hold();
    process::hold_huge_pages(values.disable_thp);
    set_allocator_threads(values.jemalloc_bg_thread);
    let config = fit_open_files(config, values.maxclients as u64)?;
    let pidfile = write_pidfile(&values);
    let outcome = serve(config, &values, signals);
    if let Some(path) = pidfile {
        let _ = std::fs::remove_file(path);
    }
    if let Err(error) = &outcome {
        tracing::error!("{error}");
    }
    outcome
}

fn serve(config: Config, values: &Values, signals: process::Signals) -> Result<(), String> {
    let server = Server::builder().config(config).open().map_err(|error| error.to_string())?;
    logging::set_role(logging::Role::Primary);
    tracing::warn!("Server initialized");
    end_by_signal(&server, signals)?;
    match server.load() {
        Ok(()) => announce(&server, values),
        Err(StartError::Load(stopped @ LoadError::Stopped)) => tracing::warn!("{stopped}"),
        Err(error) => return Err(error.to_string()),
    }
    server.wait();
    notify_supervisor(values, "STOPPING=1\n");
    tracing::warn!("Redoubt is now ready to exit, bye bye...");
    Ok(())
}

/// Tells everybody who waits for it that the server serves its data.
fn announce(server: &Handle, values: &Values) {
    if !server.addresses().is_empty() {
        tracing::info!("Ready to accept connections tcp");
    }
    if values.unixsocket.is_some() {
        tracing::info!("Ready to accept connections unix");
    }
    notify_supervisor(values, "STATUS=Ready to accept connections\nREADY=1\n");
}

fn end_by_signal(server: &Handle, signals: process::Signals) -> Result<(), String> {
    let shared = Arc::clone(server.shared());
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || heed(&signals, &shared))
        .map(drop)
        .map_err(|error| format!("could not start a thread: {error}"))
}

/// Ends the server at a signal, as its setting says. Another signal meanwhile ends the process at once.
fn heed(signals: &process::Signals, shared: &Arc<Shared>) {
    let ending = Arc::new(AtomicBool::new(false));
    loop {
        let signal = signals.wait();
        if ending.swap(true, Relaxed) {
            tracing::warn!("You insist with {}... exiting now.", signal.name());
            std::process::exit(1);
        }
        tracing::warn!("Received {} scheduling shutdown...", signal.name());
        let values = shared.values();
        let how = Shutdown::from_words(match signal {
            process::Signal::Int => &values.shutdown_on_sigint,
            process::Signal::Term => &values.shutdown_on_sigterm,
        });
        let (shared, again) = (Arc::clone(shared), Arc::clone(&ending));
        let end = move || {
            if shut_down(&shared, how).is_err() {
                tracing::warn!(
                    "{} received but errors trying to shut down the server, check the logs for more information",
                    signal.name()
                );
                again.store(false, Relaxed);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("shutdown".into()).spawn(end) {
            tracing::error!("could not start a thread: {error}");
            ending.store(false, Relaxed);
        }
    }
}

/// Lowers `maxclients` to what the process may open.
fn fit_open_files(config: Config, clients: u64) -> Result<Config, String> {
    let wanted = clients + FILES_RESERVED;
    let open = process::raise_open_files(wanted);
    if open >= wanted {
        return Ok(config);
    }
    if open <= FILES_RESERVED {
        return Err(format!(
            "The limit of open files ({open}) is too small: at least {} are needed",
            FILES_RESERVED + 1
        ));
    }
    let clients = open - FILES_RESERVED;
    tracing::warn!(
        "maxclients is lowered to {clients}: this process may open {open} files, 'ulimit -n' raises that"
    );
    config.with("maxclients", &clients.to_string()).map_err(|error| error.to_string())
}

/// Whether the allocator gives memory back from threads of its own rather than from those that serve.
/// Threads do not outlive going into the background, so this is not a setting of its start.
fn set_allocator_threads(on: bool) {
    if let Err(error) = tikv_jemalloc_ctl::background_thread::write(on) {
        tracing::debug!("the allocator has no background threads here: {error}");
    }
}

fn write_pidfile(values: &Values) -> Option<PathBuf> {
    let default = values.daemonize.then(|| PathBuf::from("/var/run/redis.pid"));
    let path = values.dir.join(values.pidfile.clone().or(default)?);
    match std::fs::write(&path, format!("{}\n", std::process::id())) {
        Ok(()) => Some(path),
        Err(error) => {
            tracing::warn!("Failed to write PID file: {error}");
            None
        }
    }
}

/// Whether a service manager started the process and waits for word of it.
fn supervised(values: &Values) -> bool {
    match values.supervised {
        "systemd" | "auto" => std::env::var_os("NOTIFY_SOCKET").is_some(),
        "upstart" => std::env::var_os("UPSTART_JOB").is_some(),
        _ => false,
    }
}

/// Tells a supervising systemd what goes on ("READY=1", "STOPPING=1").
/// Protocol: <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>
fn notify_supervisor(values: &Values, state: &str) {
    if !supervised(values) {
        return;
    }
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| {
        match path.to_string_lossy().strip_prefix('@') {
            #[cfg(target_os = "linux")]
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                socket.send_to_addr(
                    state.as_bytes(),
                    &std::os::unix::net::SocketAddr::from_abstract_name(name)?,
                )
            }
            _ => socket.send_to(state.as_bytes(), &path),
        }
    });
    if let Err(error) = sent {
        tracing::warn!("the supervisor was not told '{state}': {error}");
    }
}
