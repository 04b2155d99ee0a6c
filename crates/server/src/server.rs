//! Starting and ending a server.

use crate::client::flag;
use crate::config::{Config, Values};
use crate::cron;
use crate::net::listener::{self, Listeners, Reopen};
use crate::shared::Shared;
use crate::worker::{self, Worker};
use redoubt_persistence::disk::Folder;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be opened; the text names it.
    #[error("{0}")]
    Listen(std::io::Error),
    /// The data could not be loaded.
    #[error(transparent)]
    Load(#[from] crate::load::LoadError),
    /// Failover is switched on, and cannot begin.
    #[error("{0}")]
    Ha(String),
    /// A thread or its runtime could not be made.
    #[error("could not start a thread: {0}")]
    Thread(std::io::Error),
}

/// Collects what a server needs before it starts.
#[derive(Default)]
pub struct Builder {
    config: Config,
    disk: Option<Arc<dyn Folder>>,
}

impl Builder {
    /// Uses this configuration instead of the defaults.
    pub fn config(mut self, config: Config) -> Builder {
        self.config = config;
        self
    }

    /// Keeps files there instead of in the folder `dir` of the file system. For tests of what disks do.
    pub fn disk(mut self, disk: Arc<dyn Folder>) -> Builder {
        self.disk = Some(disk);
        self
    }

    /// Opens the sockets, starts the threads and loads the data. On return the server serves it.
    ///
    /// # Errors
    /// When an address cannot be bound, a thread cannot be started or the data cannot be loaded; nothing keeps running
    /// then.
    pub fn start(self) -> Result<Handle, StartError> {
        let handle = self.open()?;
        handle.load()?;
        Ok(handle)
    }

    /// Opens the sockets and starts the threads. On return the server accepts connections, but commands on data are
    /// answered -LOADING until `Handle::load` has loaded it.
    ///
    /// # Errors
    /// When an address cannot be bound or a thread cannot be started; nothing keeps running then.
    pub fn open(self) -> Result<Handle, StartError> {
        let values = self.config.values();
        let listeners = listener::open(&values).map_err(StartError::Listen)?;
        let addresses: Vec<SocketAddr> = listeners.tcp.iter().filter_map(|l| l.local_addr().ok()).collect();
        let (garbage, to_drop) = std::sync::mpsc::channel();
        let shared = Arc::new(Shared::new(self.config, garbage, values.io_threads));
        shared.publish(&shared.config.read());
        self.disk.into_iter().for_each(|disk| shared.use_disk(disk));
        shared.loading.begin(0);
        shared.memory.recalibrate();
        shared.port.store(addresses.first().map_or(0, |address| usize::from(address.port())), Relaxed);
        let workers = (0..values.io_threads)
            .map(|index| worker::start(index, Arc::clone(&shared)))
            .collect::<Result<Vec<Worker>, _>>()
            .map_err(|error| abandon(&shared, error))?;
        let lazy_freed = Arc::clone(&shared.lazy_freed);
        let lazy_free = std::thread::Builder::new()
            .name("lazy-free".into())
            .spawn(move || to_drop.into_iter().for_each(|garbage| lazy_freed.free(garbage)))
            .map_err(|error| abandon(&shared, error))?;
        drop(lazy_free);
        let control =
            start_control(Arc::clone(&shared), workers, listeners).inspect_err(|_| shared.request_stop())?;
        shared.memory.recalibrate();
        shared.memory.mark_startup();
        Ok(Handle { shared, addresses, unix_socket: values.unixsocket.clone(), control: Some(control) })
    }
}

/// Becomes the replica that the configuration says.
fn follow_configured(shared: &Arc<Shared>) -> std::io::Result<()> {
    let values = shared.values();
    if let Some((host, port)) = values.replication.replicaof.split_once(' ')
        && let Ok(port) = port.parse()
    {
        shared.replication.follow(shared, host, port)?;
    }
    Ok(())
}

fn abandon(shared: &Shared, error: std::io::Error) -> StartError {
    shared.request_stop();
    StartError::Thread(error)
}

/// The server in this process.
pub struct Server;

impl Server {
    /// Begins to describe a server.
    ///
    /// ```
    /// use redoubt_server::{Server, config::Config};
    /// use std::io::{Read, Write};
    ///
    /// let config = Config::new().with("port", "0")?.with("bind", "127.0.0.1")?;
    /// let server = Server::builder().config(config).start()?;
    /// let mut client = std::net::TcpStream::connect(server.addresses()[0])?;
    /// client.write_all(b"PING\r\n")?;
    /// let mut reply = [0; 7];
    /// client.read_exact(&mut reply)?;
    /// assert_eq!(&reply, b"+PONG\r\n");
    /// server.shutdown();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// A running server. Dropping it stops the server.
pub struct Handle {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    unix_socket: Option<PathBuf>,
    control: Option<JoinHandle<()>>,
}

impl Handle {
    /// Loads the data, then follows the primary that the configuration names. Once, after `Builder::open`.
    ///
    /// # Errors
    /// When it cannot be loaded, or the server is told to end meanwhile.
    pub fn load(&self) -> Result<(), StartError> {
        crate::load::at_start(&self.shared)?;
        follow_configured(&self.shared).map_err(StartError::Thread)
    }

    /// TCP addresses it listened on at the start; the port is the real one where 0 was asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The state all threads share: the replication log and its consumers, statistics, memory.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Asks the server to end; `wait` returns once it has.
    pub fn request_stop(&self) {
        self.shared.request_stop();
    }

    /// Returns when the server has ended, by `request_stop` or SHUTDOWN.
    pub fn wait(mut self) {
        self.join();
    }

    /// Ends the server and returns when it has. A node of a deployment leaves it first: whatever it does there, another
    /// takes over.
    pub fn shutdown(self) {
        if let Some(ha) = &self.shared.ha {
            ha.leave();
        }
        self.request_stop();
        self.wait();
    }

    fn join(&mut self) {
        if let Some(control) = self.control.take() {
            // It panicked only if a worker did, which has been logged.
            let _ = control.join();
            if let Some(path) = &self.unix_socket {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.request_stop();
        self.join();
    }
}

/// The control thread accepts connections. Commands never run on it, and it never waits for a partition.
fn start_control(
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    listeners: Listeners,
) -> Result<JoinHandle<()>, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Thread)?;
    let ha = runtime.block_on(crate::ha::start(&shared)).map_err(StartError::Ha)?;
    let (reopen, requests) = unbounded_channel();
    *shared.reopen.lock() = Some(reopen);
    let cron = cron::start(Arc::clone(&shared)).map_err(StartError::Thread)?;
    let files = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
        let threads = runtime.block_on(control(shared, workers, listeners, requests, ha));
        for worker in threads.into_iter().flatten() {
            let _ = worker.thread.join();
        }
        let _ = cron.join();
        // Whoever wants a last snapshot has waited for it.
        files.snapshots.cancel();
        files.snapshots.wait_for_running();
        // Nothing is committed any more.
        files.aof.stop(&files);
    });
    thread.map_err(StartError::Thread)
}

async fn control(
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    listeners: Listeners,
    mut reopen: UnboundedReceiver<Reopen>,
    ha: Option<crate::ha::Started>,
) -> Option<Vec<Worker>> {
    let workers = Arc::new(workers);
    let mut tasks = JoinSet::new();
    let mut tcp = JoinSet::new();
    accept_on(&mut tcp, listeners.tcp, 0, &shared, &workers);
    accept_on(&mut tcp, listeners.sentinel, flag::SENTINEL, &shared, &workers);
    if let Some(socket) = listeners.unix {
        let path = shared.values().unixsocket.clone().unwrap_or_default().display().to_string();
        match tokio::net::UnixListener::from_std(socket) {
            Ok(listener) => {
                tasks.spawn(listener::accept_unix(listener, path, Arc::clone(&shared), Arc::clone(&workers)));
            }
            Err(error) => tracing::error!("the unix socket could not be registered: {error}"),
        }
    }
    tasks.spawn(crate::replication::cron(Arc::clone(&shared)));
    if ha.is_some() {
        tasks.spawn(crate::forward::watch(Arc::clone(&shared)));
    }
    let ha = ha.map(|ha| tokio::spawn(ha.run()));
    tasks.spawn(crate::sentinel::watch(Arc::clone(&shared)));
    let mut stop = shared.stop.subscribe();
    loop {
        tokio::select! {
            // The sender lives in `shared`, so this ends only with a stop.
            _ = stop.wait_for(|stop| *stop) => break,
            Some(request) = reopen.recv() => {
                // Old and new addresses may overlap: the old sockets go first.
                tcp.shutdown().await;
                let outcome = listen_again(&mut tcp, &request.values, &shared, &workers).inspect_err(|error| {
                    tracing::warn!("{error}");
                    if let Err(error) = listen_again(&mut tcp, &shared.values(), &shared, &workers) {
                        tracing::error!("the addresses listened on before are lost: {error}");
                    }
                });
                // Whoever asked may have given up waiting.
                let _ = request.done.send(outcome);
            }
        }
    }
    tcp.shutdown().await;
    tasks.shutdown().await;
    if let Some(ha) = ha {
        // It ends with the server; a panic in it has been logged.
        let _ = ha.await;
    }
    shared.replication.end();
    Arc::into_inner(workers)
}

/// Listens on the TCP addresses of `values`; port 0 means none.
fn listen_again(
    tasks: &mut JoinSet<()>,
    values: &Values,
    shared: &Arc<Shared>,
    workers: &Arc<Vec<Worker>>,
) -> std::io::Result<()> {
    let sockets = if values.port == 0 { Vec::new() } else { listener::open_tcp(values, values.port)? };
    let sentinel = listener::open_sentinel(values)?;
    shared.port.store(if sockets.is_empty() { 0 } else { usize::from(values.port) }, Relaxed);
    accept_on(tasks, sockets, 0, shared, workers);
    accept_on(tasks, sentinel, flag::SENTINEL, shared, workers);
    Ok(())
}

fn accept_on(
    tasks: &mut JoinSet<()>,
    sockets: Vec<std::net::TcpListener>,
    flags: u32,
    shared: &Arc<Shared>,
    workers: &Arc<Vec<Worker>>,
) {
    for socket in sockets {
        match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => {
                tasks.spawn(listener::accept_tcp(listener, flags, Arc::clone(shared), Arc::clone(workers)));
            }
            Err(error) => tracing::error!("a listening socket could not be registered: {error}"),
        }
    }
}
