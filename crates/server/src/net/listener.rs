//! Listening sockets and the admission of connections. Runs on the control thread.

use crate::client::{Client, flag};
use crate::config::Values;
use crate::net::socket::Accepted;
use crate::shared::{Shared, unix_ms};
use crate::worker::{Arrival, Worker};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::net::{TcpListener, UnixListener};

/// Open sockets, not yet accepting.
#[derive(Default)]
pub(crate) struct Listeners {
    pub(crate) tcp: Vec<std::net::TcpListener>,
    /// Those of the Sentinel API.
    pub(crate) sentinel: Vec<std::net::TcpListener>,
    pub(crate) unix: Option<std::os::unix::net::UnixListener>,
}

/// Asks the control thread to listen on the addresses of new settings instead (CONFIG SET bind, port).
pub(crate) struct Reopen {
    pub(crate) values: Values,
    /// Told how it went. On an error the old addresses are listened on again.
    pub(crate) done: std::sync::mpsc::Sender<io::Result<()>>,
}

/// Opens what the configuration names. Without a TCP port and with a unix socket there is only the latter.
pub(crate) fn open(values: &Values) -> io::Result<Listeners> {
    let mut listeners = Listeners::default();
    if values.port != 0 || values.unixsocket.is_none() {
        listeners.tcp = open_tcp(values, values.port)?;
    }
    listeners.sentinel = open_sentinel(values)?;
    if let Some(path) = &values.unixsocket {
        listeners.unix = Some(listen_unix(path, values.unixsocketperm)?);
    }
    Ok(listeners)
}

/// Binds the Sentinel API's port, if there is to be one.
pub(crate) fn open_sentinel(values: &Values) -> io::Result<Vec<std::net::TcpListener>> {
    match values.ha.sentinel_port {
        port if values.ha.enabled && port != 0 => open_tcp(values, port),
        _ => Ok(Vec::new()),
    }
}

/// Binds a port at the TCP addresses; port 0 is any free one. An address that starts with `-` may be missing on this machine.
pub(crate) fn open_tcp(values: &Values, mut port: u16) -> io::Result<Vec<std::net::TcpListener>> {
    let mut listeners = Vec::new();
    for bind in &values.bind {
        let (name, optional) = match bind.strip_prefix('-') {
            Some(name) => (name, true),
            None => (bind.as_str(), false),
        };
        match listen(name, port, values.tcp_backlog) {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if optional && is_unavailable(&error) => {}
            Err(error) => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("Could not create server TCP listening socket {name}:{port}: {error}"),
                ));
            }
        }
    }
    Ok(listeners)
}

fn is_unavailable(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT)
    )
}

fn listen(name: &str, port: u16, backlog: i32) -> io::Result<std::net::TcpListener> {
    let ip: IpAddr = match name {
        "*" => IpAddr::from([0, 0, 0, 0]),
        "::*" => IpAddr::from([0u16; 8]),
        _ => match name.parse() {
            Ok(ip) => ip,
            Err(_) => std::net::ToSocketAddrs::to_socket_addrs(&(name, port))?
                .next()
                .ok_or(io::ErrorKind::AddrNotAvailable)?
                .ip(),
        },
    };
    let socket = Socket::new(Domain::for_address((ip, port).into()), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SocketAddr::from((ip, port)).into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn listen_unix(path: &Path, mode: Option<u32>) -> io::Result<std::os::unix::net::UnixListener> {
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("Could not open the unix socket {}: {error}", path.display()))
    };
    // A socket left behind by a killed server would block the address for ever.
    if std::fs::symlink_metadata(path).is_ok() {
        std::fs::remove_file(path).map_err(explain)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path).map_err(explain)?;
    if let Some(mode) = mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(explain)?;
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts TCP connections until the server stops; clients get these flags.
pub(crate) async fn accept_tcp(
    listener: TcpListener,
    flags: u32,
    shared: Arc<Shared>,
    workers: Arc<Vec<Worker>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = admit_tcp(stream, peer, flags, &shared, &workers) {
                    tracing::debug!("a connection from {peer} ended while it was accepted: {error}");
                }
            }
            Err(error) => back_off(&error).await,
        }
    }
}

/// Accepts connections on the unix socket until the server stops.
pub(crate) async fn accept_unix(
    listener: UnixListener,
    path: String,
    shared: Arc<Shared>,
    workers: Arc<Vec<Worker>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let admitted = stream.into_std().and_then(|stream| {
                    let fd = stream.as_raw_fd();
                    admit(
                        Accepted::Unix(stream),
                        format!("{path}:0"),
                        format!("{path}:0"),
                        fd,
                        flag::UNIX,
                        &shared,
                        &workers,
                    )
                });
                if let Err(error) = admitted {
                    tracing::debug!("a connection to {path} ended while it was accepted: {error}");
                }
            }
            Err(error) => back_off(&error).await,
        }
    }
}

/// Out of descriptors: accepting again at once would spin.
async fn back_off(error: &io::Error) {
    tracing::warn!("Accepting client connection: {error}");
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

fn admit_tcp(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    flags: u32,
    shared: &Arc<Shared>,
    workers: &[Worker],
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let stream = stream.into_std()?;
    let values = shared.values();
    if let Some(interval) = values.tcp_keepalive {
        let probe = (interval / 3).max(std::time::Duration::from_secs(1));
        let keepalive = TcpKeepalive::new().with_time(interval).with_interval(probe).with_retries(3);
        socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    }
    if is_protected(&values, peer.ip()) {
        shared.stats.rejected_connection();
        return (&stream).write_all(PROTECTED.as_bytes());
    }
    let fd = stream.as_raw_fd();
    admit(Accepted::Tcp(stream), peer.to_string(), local.to_string(), fd, flags, shared, workers)
}

/// Protected mode: without a password only loopback is served.
fn is_protected(values: &Values, ip: IpAddr) -> bool {
    values.protected_mode && values.requirepass.is_empty() && !ip.to_canonical().is_loopback()
}

const PROTECTED: &str = "-DENIED This server runs in protected mode: it has no password, so it serves connections from \
    this machine only. To allow others, set a password with 'CONFIG SET requirepass ...' or 'requirepass' in the \
    configuration file and restart clients with it; or, on a network that nobody else can reach, switch the mode off \
    with 'CONFIG SET protected-mode no'.\r\n";

fn admit(
    socket: Accepted,
    addr: String,
    laddr: String,
    fd: i32,
    flags: u32,
    shared: &Arc<Shared>,
    workers: &[Worker],
) -> io::Result<()> {
    if shared.connected.fetch_add(1, Relaxed) >= shared.values().maxclients {
        shared.connected.fetch_sub(1, Relaxed);
        shared.stats.rejected_connection();
        let refusal = b"-ERR max number of clients reached\r\n";
        return match &socket {
            Accepted::Tcp(stream) => (&mut &*stream).write_all(refusal),
            Accepted::Unix(stream) => (&mut &*stream).write_all(refusal),
        };
    }
    let client = Arc::new(Client::new(shared.next_client_id(), addr, laddr, fd, unix_ms()));
    client.set(flags, true);
    shared.stats.connection();
    shared.clients.insert(client.id, Arc::clone(&client));
    let worker = workers.iter().min_by_key(|worker| worker.load.load(Relaxed)).expect("there is a worker");
    worker.load.fetch_add(1, Relaxed);
    // A worker that is gone means that the server stops: the connection is dropped with it.
    let _ = worker.arrivals.send(Arrival { socket, client });
    Ok(())
}
